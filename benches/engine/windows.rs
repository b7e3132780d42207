//! What a tick costs at one window and at twenty, each twice as long as the one before.

use std::hint::black_box;

use feeds::number::Decimal;
use feeds::symbol::SymbolId;
use feeds::tick::{Event, Side, Tick, Trade};
use feeds::time::{Nanos, SECOND};
use feeds::venue::DuplicateKey;
use tapedeck::clock;
use tapedeck::market::START;
use tapedeck::symbol::{Entry, Outcomes, SymbolState};
use tapedeck::window::Plan;

use super::flow;
use super::table::{Table, median};

const ROUNDS: usize = 5;
/// How many windows the longer plan has.
const MANY: u32 = 20;

/// Measures at 1, 10 and 100 ticks in each second, which is the shortest window.
pub(crate) fn measure(table: &mut Table) {
    let sizes: Vec<Nanos> = (0..MANY).map(|power| 1 << power).collect();
    let (one, many) = (flow::plan(&sizes[..1]), flow::plan(&sizes));
    for (per_second, ticks) in [(1, 500_000), (10, 2_000_000), (100, 4_000_000)] {
        let ticks = ticks_at(per_second, ticks);
        let (mut short, mut long) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            short.push(cost(&one, &ticks));
            long.push(cost(&many, &ticks));
        }
        let (short, long) = (median(short), median(long));
        table.row(
            format!("{MANY} windows, {per_second} ticks in the shortest"),
            format!("{long:.1} ns a tick"),
            format!("{short:.1} ns at one window"),
            format!("{:.2}", long / short),
        );
    }
}

/// Nanoseconds a tick, outcomes thrown away.
fn cost(plan: &Plan, ticks: &[Tick]) -> f64 {
    let mut state = SymbolState::new(plan, DuplicateKey::Contiguous, DuplicateKey::None);
    let mut out = Outcomes::default();
    let begun = clock::stamp();
    for (number, tick) in ticks.iter().enumerate() {
        state.apply(plan, number as u64 + 1, &Entry::Tick(*tick), &mut out);
        out.clear();
    }
    let nanos = begun.elapsed_nanos() as f64;
    black_box(state.ledger().aggregated);
    nanos / ticks.len() as f64
}

/// Trades of one symbol at even distances.
pub(crate) fn ticks_at(per_second: i64, count: i64) -> Vec<Tick> {
    let trade = |index: i64| {
        // Prices and sizes that wander a little, by the digits of a product.
        let wander = (index * 7_919) % 1_009;
        let (price, size) = (Decimal::new(9_731_000 + wander, 2), Decimal::new(1 + wander, 5));
        let side = if wander % 2 == 0 { Side::Buy } else { Side::Sell };
        let at = START + index * (SECOND / per_second);
        Tick::new(SymbolId(0), at, None, Event::Trade(Trade::new(Some(index as u64), price, size, side)))
    };
    (0..count).map(trade).collect()
}
