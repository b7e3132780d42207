//! The ledger, and what a symbol out of service still says: nothing.

use feeds::tick::{Event, Rejection};
use feeds::time::SECOND;
use feeds::venue::DuplicateKey;

use super::{clock, plan, tick, trade, windows};
use crate::symbol::{Entry, Outcomes, SymbolState};

#[test]
fn a_symbol_out_of_service_rejects_and_its_windows_stay_as_they_were_left() {
    let plan = plan(&[1, 60], 2);
    let mut state = SymbolState::new(&plan, DuplicateKey::Contiguous, DuplicateKey::Unique);
    let mut out = Outcomes::default();
    state.apply(&plan, 1, &Entry::Tick(tick(1, 0)), &mut out);
    state.apply(&plan, 2, &Entry::Tick(tick(2, SECOND)), &mut out);
    out.clear();
    state.quarantine(&plan, 3, &mut out);
    let flags: Vec<_> =
        windows(&out).into_iter().map(|(_, start, revision, flags)| (start, revision, flags)).collect();
    let expected = [(0, 1, "quarantined"), (1, 0, "partial|quarantined"), (0, 0, "partial|quarantined")];
    assert_eq!(flags, expected.map(|(start, revision, flags)| (start, revision, flags.to_owned())));
    out.clear();
    state.quarantine(&plan, 3, &mut out);
    state.apply(&plan, 3, &Entry::Tick(tick(3, 2 * SECOND)), &mut out);
    state.apply(&plan, 4, &clock(1_000 * SECOND), &mut out);
    state.apply(&plan, 5, &Entry::End, &mut out);
    assert_eq!(out, Outcomes::default());
    assert_eq!((state.ledger().rejected, state.ledger().aggregated), (1, 2));
    assert!(state.ledger().adds_up());
}

#[test]
fn every_tick_is_in_one_column() {
    let plan = plan(&[1], 2);
    let mut state = SymbolState::new(&plan, DuplicateKey::Contiguous, DuplicateKey::Unique);
    let mut past = tick(9, 0);
    past.history = true;
    let ticks = [tick(1, 0), tick(1, 0), tick(2, 10 * SECOND), tick(3, SECOND), past];
    let mut out = Outcomes::default();
    let mut number = 0;
    for tick in ticks {
        number += 1;
        state.apply(&plan, number, &Entry::Tick(tick), &mut out);
    }
    for why in [
        Rejection::BadNumber,
        Rejection::BadSign,
        Rejection::BadTime,
        Rejection::OtherUnit,
        Rejection::Dropped,
    ] {
        number += 1;
        let mut tick = tick(1, 0);
        tick.event = Event::Rejected(why);
        state.apply(&plan, number, &Entry::Tick(tick), &mut out);
    }
    assert_eq!(state.ledger().columns(), [10, 2, 1, 1, 4, 1, 1]);
    assert!(state.ledger().adds_up());
    assert_eq!(out.late, [(4, tick(3, SECOND))]);
    assert_eq!(state.totals().trades.trades(), 3, "late trades are in the totals");
    assert_eq!(state.frontier(), 10 * SECOND);
    assert_eq!(trade(1).id(), Some(1));
}
