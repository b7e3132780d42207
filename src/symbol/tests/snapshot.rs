//! A state as bytes is the state: it goes on alike from any point, and no other bytes do harm.

use feeds::symbol::SymbolId;
use feeds::tick::{Event, Quote, Tick, Trade};
use feeds::venue::DuplicateKey;
use proptest::prelude::*;

use super::clock;
use crate::symbol::outages::{Cause, Channels, Outage};
use crate::symbol::{Entry, Outcomes, SymbolState};
use crate::window::Plan;
use crate::window::tests::made::{Step, plans, steps};

/// How the ids of a run are made of those of its steps.
#[derive(Clone, Copy, Debug)]
struct Kind {
    trades: DuplicateKey,
    quotes: DuplicateKey,
}

fn kinds() -> impl Strategy<Value = Kind> {
    let key = || {
        prop_oneof![
            Just(DuplicateKey::Contiguous),
            Just(DuplicateKey::Unique),
            Just(DuplicateKey::Row),
            Just(DuplicateKey::None)
        ]
    };
    (key(), key()).prop_map(|(trades, quotes)| Kind { trades, quotes })
}

pub(crate) fn apply(state: &mut SymbolState, plan: &Plan, number: u64, step: &Step, out: &mut Outcomes) {
    let tick = |ts, event| Tick::new(SymbolId(0), ts, Some(ts), event);
    if number % 9 < 2 {
        let (since, channels) = (state.frontier().saturating_sub(3), Channels::from_bits(number as u8));
        let cause = Cause::ALL[number as usize % Cause::ALL.len()];
        state.apply(plan, number, &Entry::Outage(Outage { since, channels, cause }), out);
    }
    match step {
        Step::Trade(ts, trade) => {
            // Ids that mostly count up, with jumps, repeats and ones out of order.
            let id = number.saturating_sub(trade.id().unwrap_or(0) % 7);
            let trade = Trade::new(Some(id), trade.price(), trade.size(), trade.side);
            state.apply(plan, number, &Entry::Tick(tick(*ts, Event::Trade(trade))), out);
        }
        Step::Quote { ts, timed, quote } => {
            let quote =
                Quote::new(Some(number / 2), quote.bid(), quote.bid_size(), quote.ask(), quote.ask_size());
            let mut tick = tick(*ts, Event::Quote(quote));
            tick.timed = *timed;
            state.apply(plan, number, &Entry::Tick(tick), out);
        }
        Step::Clock(frontier) => state.apply(plan, number, &clock(*frontier), out),
        Step::End => state.apply(plan, number, &Entry::End, out),
    }
}

fn bytes_of(state: &SymbolState) -> Vec<u8> {
    let mut bytes = Vec::new();
    state.encode(&mut bytes);
    bytes
}

/// A state after some steps.
fn state_after(plan: &Plan, kind: Kind, steps: &[Step]) -> SymbolState {
    let mut state = SymbolState::new(plan, kind.trades, kind.quotes);
    for (number, step) in (1..).zip(steps) {
        apply(&mut state, plan, number, step, &mut Outcomes::default());
    }
    state
}

proptest! {
    #[test]
    fn a_state_read_back_goes_on_alike(
        plan in plans(),
        kind in kinds(),
        steps in steps(100),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 1..5),
        quarantined in prop::bool::weighted(0.1),
    ) {
        let mut whole = SymbolState::new(&plan, kind.trades, kind.quotes);
        let mut cut = whole.clone();
        let (mut one, mut other) = (Outcomes::default(), Outcomes::default());
        for (number, step) in (1..).zip(&steps) {
            apply(&mut whole, &plan, number, step, &mut one);
            apply(&mut cut, &plan, number, step, &mut other);
            if quarantined && number == steps.len() as u64 / 2 {
                whole.quarantine(&plan, number, &mut one);
                cut.quarantine(&plan, number, &mut other);
            }
            if cuts.iter().any(|at| at.index(steps.len()) as u64 + 1 == number) {
                cut = SymbolState::decode(&plan, &bytes_of(&cut)).unwrap();
                prop_assert_eq!(&cut, &whole);
            }
        }
        prop_assert_eq!(one, other);
        prop_assert_eq!(bytes_of(&cut), bytes_of(&whole));
        prop_assert!(whole.ledger().adds_up(), "{:?}", whole.ledger());
    }

    #[test]
    fn bytes_that_are_no_state_are_refused(
        plan in plans(),
        kind in kinds(),
        steps in steps(60),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        tail in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let bytes = bytes_of(&state_after(&plan, kind, &steps));
        let at = at.index(bytes.len());
        prop_assert!(SymbolState::decode(&plan, &bytes[..at]).is_err(), "cut short");
        let longer = [bytes.as_slice(), &[byte]].concat();
        prop_assert!(SymbolState::decode(&plan, &longer).is_err(), "one byte too many");
        let mut changed = bytes.clone();
        changed[at] = byte;
        let replaced = [&bytes[..at], &tail].concat();
        for bytes in [changed, replaced, tail] {
            // What is read at all is written alike, so nothing was read as something else.
            if let Ok(state) = SymbolState::decode(&plan, &bytes) {
                let again = SymbolState::decode(&plan, &bytes_of(&state)).unwrap();
                prop_assert_eq!(again, state);
            }
        }
    }

    #[test]
    fn a_state_of_another_plan_is_refused(kind in kinds(), steps in steps(30)) {
        let one = super::plan(&[1, 60], 2);
        let state = state_after(&one, kind, &steps);
        prop_assert!(SymbolState::decode(&super::plan(&[1], 2), &bytes_of(&state)).is_err());
    }
}
