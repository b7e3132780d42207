//! The sequencer against a tape on which every clock entry is sent to every symbol: whom it wakes changes nothing.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use feeds::number::Decimal;
use feeds::symbol::{Symbol, SymbolId};
use feeds::tick::{Event, Quote, Rejection, Side, Tick, Trade};
use feeds::time::{Nanos, SECOND};
use feeds::venue::DuplicateKey;
use proptest::prelude::*;

use super::{Cut, Epoch, Sequencer};
use crate::clock;
use crate::source::{Batch, NewSymbol, Offset, Run};
use crate::symbol::tests::clock as struck;
use crate::symbol::{Entry, Outcomes, SymbolState};
use crate::window::Plan;
use crate::window::tests::made::{START, nested};

const SYMBOLS: u32 = 4;

/// A tick of a symbol from a file, after so long; now and then with a new offset of the file before it.
#[derive(Clone, Debug)]
struct Made {
    symbol: u32,
    file: usize,
    after: Nanos,
    behind: Nanos,
    timed: bool,
    quote: bool,
    offset: Option<Nanos>,
}

fn made() -> impl Strategy<Value = Made> {
    let after = prop_oneof![6 => 0..SECOND / 3, 2 => 0..3 * SECOND, 1 => 0..30 * SECOND, 1 => Just(0)];
    let behind = prop_oneof![8 => 0..SECOND, 2 => -SECOND..5 * SECOND, 1 => Just(-3_600 * SECOND)];
    let offset = prop::option::weighted(0.1, -SECOND..SECOND);
    // The last symbols are quiet.
    let symbol = prop_oneof![8 => Just(0), 4 => Just(1), 1 => Just(2), 1 => Just(3)];
    (symbol, 0usize..2, after, behind, any::<bool>(), any::<bool>(), offset).prop_map(
        |(symbol, file, after, behind, timed, quote, offset)| Made {
            symbol,
            file,
            after,
            behind,
            timed: timed || !quote,
            quote,
            offset,
        },
    )
}

fn plan() -> Arc<Plan> {
    let mut plan = Plan::new(nested(&[1, 7, 60]));
    plan.idle = 2 * SECOND;
    Arc::new(plan)
}

fn tick(made: &Made, number: u64, received_at: Nanos) -> Tick {
    let one = Decimal::new(1, 0);
    let event = if made.quote {
        Event::Quote(Quote::new(None, one, one, Decimal::new(2, 0), one))
    } else {
        // Some ids are left out.
        Event::Trade(Trade::new(Some(number + number / 9), one, one, Side::Buy))
    };
    let mut tick = Tick::new(SymbolId(made.symbol), received_at - made.behind, Some(received_at), event);
    tick.timed = made.timed;
    tick
}

fn batch(all: &[Made], first: bool, number: &mut u64, received_at: &mut Nanos) -> Batch {
    let mut batch = Batch {
        inputs: Vec::new(),
        clock: None,
        rules: None,
        past: Vec::new(),
        ticks: Vec::new(),
        symbols: (0..SYMBOLS).map(SymbolId).collect(),
        runs: Vec::new(),
        new_symbols: Vec::new(),
        offsets: Vec::new(),
        outages: Vec::new(),
        continued: Vec::new(),
        gaps: Vec::new(),
        frames: Vec::new(),
        complaints: Vec::new(),
        complaints_in_all: 0,
        entered: clock::stamp().instant(),
        decoded: clock::stamp().instant(),
    };
    if first {
        batch.new_symbols = (0..SYMBOLS).map(new_symbol).collect();
    }
    for made in all {
        *number += 1;
        *received_at += made.after;
        let at = batch.ticks.len();
        batch.offsets.extend(made.offset.map(|offset| Offset { at, file: made.file, offset }));
        batch.ticks.push(tick(made, *number, *received_at));
        batch.runs.push(Run { file: made.file, end: at + 1 });
    }
    batch
}

fn new_symbol(number: u32) -> NewSymbol {
    NewSymbol {
        symbol: Symbol::parse(&format!("v:S{number}")).unwrap(),
        trade_key: DuplicateKey::Contiguous,
        quote_key: DuplicateKey::None,
        file: number as usize % 2,
    }
}

fn states(plan: &Plan) -> BTreeMap<u32, (SymbolState, Outcomes)> {
    let state = || SymbolState::new(plan, DuplicateKey::Contiguous, DuplicateKey::None);
    (0..SYMBOLS).map(|symbol| (symbol, (state(), Outcomes::default()))).collect()
}

/// Through the sequencer. If `known`, a run before has announced the symbols, and stopped before any of them ticked.
fn sequenced(all: &[Made], each: usize, cut: Cut, known: bool) -> BTreeMap<u32, (SymbolState, Outcomes)> {
    let plan = plan();
    let mut states = states(&plan);
    let mut sequencer = Sequencer::new(Arc::clone(&plan), cut, u64::MAX, 1, 0);
    for (symbol, (state, _)) in states.iter().filter(|_| known) {
        sequencer.restore(&new_symbol(*symbol).symbol, 0, state);
    }
    let mut next = 1;
    let mut apply = |epoch: Epoch| {
        assert_eq!(epoch.first, next, "epochs adjoin");
        next = epoch.end;
        for share in &epoch.shares {
            let (state, out) = states.get_mut(&share.symbol).unwrap();
            for sequenced in epoch.of(share) {
                assert!((epoch.first..epoch.end).contains(&sequenced.number));
                state.apply(&plan, sequenced.number, &sequenced.entry, out);
            }
        }
        Ok::<(), Infallible>(())
    };
    let now = || -> Instant { clock::stamp().instant() };
    let (mut number, mut received_at) = (0, START);
    for (index, part) in all.chunks(each).enumerate() {
        let batch = batch(part, index == 0, &mut number, &mut received_at);
        assert_eq!(sequencer.push(batch, now, None, &mut apply), Ok(true));
    }
    sequencer.end();
    apply(sequencer.cut(now())).unwrap();
    states
}

/// By the rules alone, every clock entry to every symbol.
fn by_the_rules(all: &[Made]) -> BTreeMap<u32, (SymbolState, Outcomes)> {
    let plan = plan();
    let mut states = states(&plan);
    let mut offsets = [None; 2];
    let mut frontiers = [Nanos::MIN; 2];
    // A symbol follows the file that named it, then that of its last tick.
    let mut files: Vec<usize> = (0..SYMBOLS as usize).map(|symbol| symbol % 2).collect();
    let (mut entry, mut received_at, mut stamp, mut second) = (0, Nanos::MIN, START, None);
    for (number, made) in (1..).zip(all) {
        offsets[made.file] = made.offset.or(offsets[made.file]);
        stamp += made.after;
        received_at = stamp.max(received_at.saturating_add(1));
        let now = received_at.div_euclid(SECOND);
        if second.is_some_and(|second| now > second) {
            entry += 1;
            for (frontier, offset) in frontiers.iter_mut().zip(offsets) {
                *frontier =
                    offset.map_or(*frontier, |offset| (now * SECOND - offset - plan.idle).max(*frontier));
            }
            for (symbol, (state, out)) in &mut states {
                state.apply(&plan, entry, &struck(frontiers[files[*symbol as usize]]), out);
            }
        }
        second = Some(now);
        files[made.symbol as usize] = made.file;
        let mut tick = tick(made, number, stamp);
        let limit = offsets[made.file].map(|offset| stamp - offset + plan.max_ahead);
        if made.timed && limit.is_some_and(|limit| tick.exchange_ts > limit) {
            tick.event = Event::Rejected(Rejection::BadTime);
        }
        entry += 1;
        let (state, out) = states.get_mut(&made.symbol).unwrap();
        state.apply(&plan, entry, &Entry::Tick(tick), out);
    }
    for (state, out) in states.values_mut() {
        state.apply(&plan, entry + 1, &Entry::End, out);
    }
    states
}

proptest! {
    #[test]
    fn whom_the_clock_wakes_changes_nothing(
        all in prop::collection::vec(made(), 1..200),
        each in 1usize..60,
        cut in prop_oneof![Just(Cut::Every(1)), Just(Cut::Every(17)), Just(Cut::Adaptive), any::<u64>().prop_map(Cut::Random)],
    ) {
        // Each file's offset is known from its decoder before its first tick, as with captures.
        let first = |file, symbol| Made {
            file, symbol, after: SECOND / 10, behind: 0, timed: true, quote: false, offset: Some(0),
        };
        let all = [vec![first(0, 0), first(1, 1)], all].concat();
        let expected = by_the_rules(&all);
        for known in [false, true] {
            for (symbol, (state, out)) in sequenced(&all, each, cut, known) {
                let (their_state, their_out) = &expected[&symbol];
                prop_assert_eq!(&out.windows, &their_out.windows, "windows of {}, known {}", symbol, known);
                prop_assert_eq!(&out.late, &their_out.late, "late ticks of {}, known {}", symbol, known);
                prop_assert_eq!(&out.gaps, &their_out.gaps, "gaps of {}, known {}", symbol, known);
                prop_assert_eq!(&state, their_state);
            }
        }
    }
}

/// What is left of a session that was given more than came to the tape may name symbols that nobody announced.
#[test]
fn ticks_of_symbols_that_nobody_announced_are_passed_over_and_count_for_no_other() {
    let now = || -> Instant { clock::stamp().instant() };
    let made =
        |symbol| Made { symbol, file: 0, after: SECOND, behind: 0, timed: true, quote: false, offset: None };
    for announced in [0, 1] {
        let mut sequencer = Sequencer::new(plan(), Cut::Adaptive, u64::MAX, 1, 0);
        let all = [made(0), made(9), made(0)];
        let mut batch = batch(&all, false, &mut 0, &mut START.clone());
        batch.new_symbols = (0..announced).map(new_symbol).collect();
        // The second has a number that is no symbol of the batch's, the one of the past one that nobody announced.
        batch.past = vec![tick(&made(3), 1, START)];
        let never = |_: Epoch| -> Result<(), Infallible> { panic!("nothing is cut yet") };
        assert_eq!(sequencer.push(batch, now, None, never), Ok(true));
        assert_eq!(sequencer.ticks(), u64::from(2 * announced));
        assert_eq!(sequencer.passed_over, u64::from(4 - 2 * announced));
        let epoch = sequencer.cut(now());
        assert!(epoch.shares.iter().all(|share| share.symbol < announced));
    }
}
