//! Memory per symbol, in a process of its own for each figure.

use std::process::Command;
use std::sync::Arc;

use feeds::venue::DuplicateKey;
use tapedeck::symbol::{Entry, Outcomes, SymbolState};

use super::flow::{self, BATCH_TICKS, Flow};
use super::path::Path;
use super::table::Table;

/// What a child's first argument begins with.
pub(crate) const CHILD: &str = "memory-of-";

const SYMBOLS: u32 = 100_000;
/// Ticks of each symbol, a quarter of a second apart, so that windows of 1 s and 1 m are open and settled.
const TICKS_EACH: u32 = 20;

/// Starts a process for each figure and reads what it prints.
pub(crate) fn measure(table: &mut Table) -> Result<(), String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    for (kind, what) in [("states", "states in a plain loop"), ("actors", "actors with all around them")] {
        let child = Command::new(&own).arg(format!("{CHILD}{kind}")).output();
        let output = child.map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout);
        let figures: Option<Vec<f64>> = text.split_whitespace().map(|word| word.parse().ok()).collect();
        let Some(&[grown, peak]) = figures.as_deref() else {
            return Err(format!(
                "no figures from a process for {kind}: {}",
                String::from_utf8_lossy(&output.stderr)
            ));
        };
        table.row(
            format!("{SYMBOLS} symbols, {what}"),
            format!("{:.0} bytes a symbol", grown * 1024.0 / f64::from(SYMBOLS)),
            format!("{:.0} MiB at the peak, of 1024", peak / 1024.0),
            format!("{:.2}", peak / 1024.0 / 1024.0),
        );
    }
    Ok(())
}

/// Grows, and prints by how many KiB, and the highest ever.
pub(crate) fn child(kind: &str) -> Result<(), String> {
    let before = status("VmRSS:")?;
    let flow = Flow { symbols: SYMBOLS, ticks: 0, stamped: false };
    let after = match kind {
        "states" => states(&flow)?,
        "actors" => actors(&flow)?,
        _ => return Err(format!("{CHILD}{kind} is nothing that is measured")),
    };
    println!("{} {}", after - before, status("VmHWM:")?);
    Ok(())
}

fn states(flow: &Flow) -> Result<f64, String> {
    let plan = flow::plan(&[1, 60]);
    let new = || SymbolState::new(&plan, DuplicateKey::Contiguous, DuplicateKey::Unique);
    let mut states: Vec<SymbolState> = (0..flow.symbols).map(|_| new()).collect();
    let mut out = Outcomes::default();
    for (number, tick) in ticks(flow).enumerate() {
        states[tick.symbol.0 as usize].apply(&plan, number as u64 + 1, &Entry::Tick(tick), &mut out);
        out.clear();
    }
    let rss = status("VmRSS:")?;
    // They live until here.
    drop(states);
    Ok(rss)
}

fn actors(flow: &Flow) -> Result<f64, String> {
    let plan = Arc::new(flow::plan(&[1, 60]));
    let mut path = Path::start(&plan, flow)?;
    let mut ticks = ticks(flow);
    loop {
        let batch: Vec<_> = ticks.by_ref().take(BATCH_TICKS).collect();
        if batch.is_empty() {
            break;
        }
        path.push(batch)?;
    }
    path.checkpoint()?;
    let rss = status("VmRSS:")?;
    path.end()?;
    Ok(rss)
}

/// Ticks of every symbol in turn: all that move at one time, then all again a quarter of a second later.
fn ticks(flow: &Flow) -> impl Iterator<Item = feeds::tick::Tick> {
    use feeds::number::Decimal;
    use feeds::symbol::SymbolId;
    use feeds::tick::{Event, Side, Tick, Trade};
    let symbols = flow.symbols;
    (0..TICKS_EACH).flat_map(move |turn| {
        (0..symbols).map(move |symbol| {
            let (price, size) = (Decimal::new(i64::from(100_000 + symbol + turn), 2), Decimal::new(15, 1));
            let trade = Trade::new(Some(u64::from(turn)), price, size, Side::Buy);
            let at = tapedeck::market::START + i64::from(turn) * 250_000_000;
            Tick::new(SymbolId(symbol), at, None, Event::Trade(trade))
        })
    })
}

/// A line of this process's status, in KiB.
fn status(name: &str) -> Result<f64, String> {
    let text = std::fs::read_to_string("/proc/self/status")
        .map_err(|error| format!("no memory figures on this system: {error}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let word = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    word.ok_or_else(|| format!("no {name} in /proc/self/status"))
}
