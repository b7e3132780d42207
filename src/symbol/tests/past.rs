//! What was missing and comes in afterwards: every window says in the end what it would have said, final or not.

use std::collections::BTreeMap;

use feeds::number::Decimal;
use feeds::symbol::SymbolId;
use feeds::tick::{Event, Side, Tick, Trade};
use feeds::time::{Nanos, SECOND};
use feeds::venue::DuplicateKey;
use proptest::prelude::*;

use super::holes::Run;
use super::{plan, tick};
use crate::stat::{Pane, View, by_name};
use crate::symbol::{Entry, GapChange};

const STATS: [&str; 8] = ["open", "high", "low", "close", "volume", "notional", "first_id", "last_id"];

fn trade(id: u64, ts: Nanos) -> Tick {
    let (price, size) = (Decimal::new(1_000 + (id * 7 % 13) as i64, 2), Decimal::new(1 + (id % 5) as i64, 1));
    let side = if id.is_multiple_of(2) { Side::Buy } else { Side::Sell };
    Tick::new(SymbolId(0), ts, None, Event::Trade(Trade::new(Some(id), price, size, side)))
}

/// The statistics of trades of each window as a store would have them, by window and start.
fn stored(run: &Run) -> BTreeMap<(usize, Nanos), Vec<String>> {
    let mut panes: BTreeMap<(usize, Nanos), Pane> = BTreeMap::new();
    for emission in &run.out.windows {
        panes.insert((emission.window, emission.start), emission.pane.clone());
    }
    for repair in &run.out.repairs {
        let pane = panes.entry((repair.window, repair.start)).or_default();
        for (key, trade) in &repair.trades {
            pane.add_trade(*key, trade);
        }
    }
    let said = |pane: &Pane, start| {
        let view = View { pane, carried: None, start, end: start };
        STATS.iter().map(|name| format!("{:?}", (by_name(name).unwrap().value)(&view))).collect()
    };
    panes.iter().map(|(&(window, start), pane)| ((window, start), said(pane, start))).collect()
}

fn run_of(sizes: &[Nanos]) -> Run {
    Run::with(plan(sizes, 2), DuplicateKey::Contiguous)
}

proptest! {
    #[test]
    fn every_window_says_in_the_end_what_it_would_have_said(
        steps in prop::collection::vec(1_i64..2_500, 20..120),
        from in 0.1_f64..0.8,
        missing in 1_usize..30,
        asked_after in 0_usize..60,
        sizes in prop_oneof![Just(vec![1]), Just(vec![1, 5, 60]), Just(vec![2, 3, 12]), Just(vec![60, 7])],
    ) {
        let mut at = 0;
        let times: Vec<Nanos> = steps.iter().map(|step| { at += step * SECOND / 1_000; at }).collect();
        let ticks: Vec<Tick> = (1..).zip(&times).map(|(id, &ts)| trade(id, ts)).collect();
        // The first is always there: a hole has two ends.
        let first = 1 + (ticks.len() as f64 * from) as usize;
        let last = (first + missing).min(ticks.len() - 1);
        let mut whole = run_of(&sizes);
        ticks.iter().for_each(|tick| whole.apply(Entry::Tick(*tick)));
        whole.apply(Entry::End);

        let mut run = run_of(&sizes);
        let asked = (last + asked_after).min(ticks.len());
        let live = ticks[..first].iter().chain(&ticks[last..asked]);
        live.for_each(|tick| run.apply(Entry::Tick(*tick)));
        let was_missing = asked > last;
        run.together(ticks[first..last].iter().map(|tick| Entry::Past(*tick)));
        ticks[asked..].iter().for_each(|tick| run.apply(Entry::Tick(*tick)));
        run.apply(Entry::End);
        prop_assert!(run.state.ledger().adds_up());
        prop_assert_eq!(run.state.ledger().received, ticks.len() as u64);
        if was_missing {
            prop_assert_eq!(stored(&run), stored(&whole));
            prop_assert_eq!(run.state.totals().trades.trades(), ticks.len() as u64);
            prop_assert!(run.out.repairs.iter().all(|repair| repair.flags.to_string() == "backfilled"));
            let is_open = |change: &GapChange| matches!(change, GapChange::Opened(_));
            let is_closed = |change: &GapChange| matches!(change, GapChange::Closed(_));
            let opened = run.out.gaps.iter().filter(|change| is_open(change)).count();
            prop_assert_eq!(opened, run.out.gaps.iter().filter(|change| is_closed(change)).count());
        } else {
            // Nothing was known to be missing: what is asked for then is none of it.
            prop_assert_eq!(run.state.ledger().duplicate, (last - first) as u64);
        }
    }
}

#[test]
fn a_final_window_is_revised_once_for_an_entry_and_still_says_what_is_missing() {
    let mut run = run_of(&[1, 10]);
    for (id, tenths) in [(1, 2), (6, 8), (7, 42)] {
        run.trade(id, tenths);
    }
    assert!(run.out.windows.iter().all(|emission| emission.flags.to_string() == "gap"));
    run.together([2, 3, 4].map(|id| Entry::Past(tick(id, 3 * SECOND / 10))));
    let [repair] = &run.out.repairs[..] else { panic!("{:?}", run.out.repairs) };
    assert_eq!((repair.window, repair.start, repair.trades.len()), (0, 0, 3));
    assert_eq!(repair.flags.to_string(), "gap|backfilled", "5 is still missing");
    run.together([Entry::Past(tick(5, 3 * SECOND / 10)), Entry::Past(tick(6, 8 * SECOND / 10))]);
    let [_, repair] = &run.out.repairs[..] else { panic!("{:?}", run.out.repairs) };
    assert_eq!((repair.trades.len(), repair.flags.to_string().as_str()), (1, "backfilled"));
    assert_eq!(run.state.ledger().duplicate, 1, "6 was there");
    run.out.clear();
    run.trade(8, 110);
    let long = run.out.windows.iter().find(|emission| emission.window == 1).unwrap();
    assert_eq!((long.pane.trades.trades(), long.flags.to_string().as_str()), (7, "backfilled"));
}
