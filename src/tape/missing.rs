//! What is missing on the tape: entries that say so, trades that came afterwards, and ticks of symbols that nobody announced.

use std::sync::Arc;

use feeds::symbol::SymbolId;
use feeds::tick::Tick;
use feeds::time::Nanos;

use super::sequencer::Sequencer;
use super::staged::What;
use crate::source::NewOutage;
use crate::symbol::outages::Outage;

impl Sequencer {
    /// Trades that were missing, as one entry.
    pub(super) fn past(&mut self, ticks: Vec<Tick>, symbols: &[SymbolId]) {
        if ticks.is_empty() {
            return;
        }
        let ticks = Arc::new(ticks);
        let batch_number = self.staging.open_batch(&ticks);
        for (index, tick) in ticks.iter().enumerate() {
            let Some(symbol) = self.symbol_of(symbols, tick.symbol) else {
                self.pass_over();
                continue;
            };
            self.catch_up(symbol);
            self.ticks += 1;
            self.stage(symbol, What::Past(batch_number, index as u32));
        }
        self.next += 1;
    }

    /// An entry for the symbols of which ticks may be missing.
    pub(super) fn outage(&mut self, outage: &NewOutage) {
        let connection = self.connection(outage.file);
        // What came last may have been late: what is missing then happened longer ago than the offset says.
        let behind = self.clock.offset(connection).max(self.estimates.of(connection).lag).unwrap_or(0);
        let since = outage.after.map_or(Nanos::MIN, |after| after.saturating_sub(behind));
        for &(symbol, channels) in &outage.symbols {
            let Some(&symbol) = self.of_source.get(symbol.0 as usize) else { continue };
            self.catch_up(symbol);
            self.stage_outage(symbol, Outage { since, channels, cause: outage.cause });
        }
        self.next += 1;
    }

    pub(super) fn stage_outage(&mut self, symbol: u32, outage: Outage) {
        let what = self.staging.outage(outage);
        self.stage(symbol, what);
    }

    /// A tick of a symbol that nobody announced has no place on the tape. A source that gives one is wrong, and told so.
    #[cold]
    pub(super) fn pass_over(&mut self) {
        self.passed_over += 1;
        if self.passed_over.is_power_of_two() {
            tracing::error!(
                ticks = self.passed_over,
                "ticks of symbols that nobody announced are passed over"
            );
        }
    }
}
