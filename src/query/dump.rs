//! Every result in canonical order, and the digest of that.
//!
//! A line is fields joined by commas. First the windows, by name of the window, symbol and start: `window`, name,
//! symbol, start, revision, flags, then `name=value` for each statistic that has one. Then the alerts, in the order of the
//! log: `alert`, id, state, rule, symbol, severity, event time, then `name=value` for what the rule saw. Then the ledgers
//! by symbol: `ledger`, symbol, `name=value` for each column. Nothing in it depends on when or how it was computed: no receive or
//! commit times, no tape numbers, no numbers of symbols, no histograms.

use std::io::Write;

use anyhow::Result;
use feeds::time;
use sha2::{Digest, Sha256};

use super::tables::standing;
use super::windows::emissions;
use super::{Catalogue, Filter};
use crate::schema::alerts;
use crate::store::Store;
use crate::symbol::ledger::Ledger;

/// Writes the dump to `out`.
///
/// # Errors
/// If the database cannot be read, or `out` cannot be written.
pub fn write(store: &dyn Store, catalogue: &Catalogue, out: &mut dyn Write) -> Result<()> {
    let windows = catalogue.plan.windows();
    let mut order: Vec<usize> = (0..windows.len()).collect();
    order.sort_by(|a, b| windows[*a].name.cmp(&windows[*b].name));
    for window in order {
        for joined in &catalogue.symbols {
            for row in emissions(store, window, joined.number, &Filter::default(), false)? {
                let spec = &windows[window];
                let view = row.view(spec.size);
                let start = time::format(row.start);
                write!(out, "window,{},{},{start},{},{}", spec.name, joined.symbol, row.revision, row.flags)?;
                for stat in &spec.stats {
                    if let Some(value) = (stat.value)(&view) {
                        write!(out, ",{}={value}", stat.name)?;
                    }
                }
                writeln!(out)?;
            }
        }
    }
    for alert in alerts::scan(store, 1) {
        let (_, alert) = alert?;
        let (at, severity) = (time::format(alert.event_time), alert.severity.name());
        let (id, state) = (alert.id, alert.state.name());
        write!(out, "alert,{id},{state},{},{},{severity},{at}", alert.rule, alert.symbol)?;
        for (name, value) in &alert.values {
            write!(out, ",{name}={value}")?;
        }
        writeln!(out)?;
    }
    for joined in &catalogue.symbols {
        let ledger = standing(store, catalogue, joined)?.ledger;
        write!(out, "ledger,{}", joined.symbol)?;
        for (name, count) in Ledger::COLUMNS.iter().zip(ledger.columns()) {
            write!(out, ",{name}={count}")?;
        }
        writeln!(out, ",trades={},quotes={}", ledger.trades, ledger.quotes)?;
    }
    Ok(())
}

/// SHA-256 of the dump, in hexadecimal.
///
/// # Errors
/// If the database cannot be read.
pub fn digest(store: &dyn Store, catalogue: &Catalogue) -> Result<String> {
    let mut hash = Hashing(Sha256::new());
    write(store, catalogue, &mut hash)?;
    Ok(hash.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

struct Hashing(Sha256);

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
