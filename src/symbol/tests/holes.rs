//! Missing trades: on which windows it shows, when it is reported, how it is taken back.

use feeds::number::Decimal;
use feeds::symbol::SymbolId;
use feeds::tick::{Event, Quote, Tick};
use feeds::time::{Nanos, SECOND};
use feeds::venue::DuplicateKey;

use super::{clock, gaps, plan, tick, windows};
use crate::symbol::{Entry, Outcomes, SymbolState};
use crate::window::Plan;

/// A symbol and what came out of it.
pub(super) struct Run {
    plan: Plan,
    pub(super) state: SymbolState,
    number: u64,
    pub(super) out: Outcomes,
}

impl Run {
    fn new(sizes: &[Nanos], lateness: Nanos) -> Run {
        let plan = plan(sizes, lateness);
        Run::with(plan, DuplicateKey::Contiguous)
    }

    pub(super) fn with(plan: Plan, trades: DuplicateKey) -> Run {
        let state = SymbolState::new(&plan, trades, DuplicateKey::Unique);
        Run { plan, state, number: 0, out: Outcomes::default() }
    }

    pub(super) fn apply(&mut self, entry: Entry) {
        self.number += 1;
        self.state.apply(&self.plan, self.number, &entry, &mut self.out);
    }

    /// Applies entries that have one number together.
    pub(super) fn together(&mut self, entries: impl IntoIterator<Item = Entry>) {
        self.number += 1;
        for entry in entries {
            self.state.apply(&self.plan, self.number, &entry, &mut self.out);
        }
    }

    pub(super) fn trade(&mut self, id: u64, tenths: Nanos) {
        self.apply(Entry::Tick(tick(id, tenths * SECOND / 10)));
    }

    pub(super) fn quote(&mut self, id: u64, tenths: Nanos) {
        let one = Decimal::new(1, 0);
        let quote = Event::Quote(Quote::new(Some(id), one, one, one, one));
        self.apply(Entry::Tick(Tick::new(SymbolId(0), tenths * SECOND / 10, None, quote)));
    }
}

fn row(number: u64, start: Nanos, revision: u32, flags: &str) -> (u64, Nanos, u32, String) {
    (number, start, revision, flags.to_owned())
}

#[test]
fn a_jump_marks_every_window_that_it_may_have_hit_and_what_fills_it_unmarks_them() {
    let mut run = Run::new(&[1], 2);
    run.trade(1, 5);
    run.trade(4, 15);
    run.trade(5, 22);
    assert_eq!(windows(&run.out), [row(2, 0, 0, "gap"), row(3, 1, 0, "gap")]);
    run.trade(2, 8);
    assert_eq!(windows(&run.out)[2..], [row(4, 0, 1, "gap")], "3 is still missing");
    run.trade(3, 12);
    assert_eq!(windows(&run.out)[3..], [row(5, 1, 1, ""), row(5, 0, 2, "")]);
    run.apply(Entry::End);
    assert_eq!(gaps(&run.out), []);
    assert!(run.state.ledger().adds_up());
}

#[test]
fn a_jump_marks_windows_that_were_emitted_before_it_was_known() {
    let mut run = Run::new(&[1], 2);
    run.trade(1, 5);
    run.quote(1, 11);
    assert_eq!(windows(&run.out), [row(2, 0, 0, "")]);
    run.trade(4, 15);
    assert_eq!(windows(&run.out)[1..], [row(3, 0, 1, "gap")]);
}

#[test]
fn a_gap_is_reported_once_when_nothing_can_fill_it_in_time() {
    let mut run = Run::new(&[1], 2);
    run.trade(1, 5);
    run.trade(4, 15);
    run.trade(5, 35);
    assert_eq!(gaps(&run.out), [], "a trade of 1.5 s is still in time");
    run.apply(clock(3 * SECOND + SECOND / 2 + 1));
    assert_eq!(gaps(&run.out), [(2, 3)]);
    run.trade(6, 90);
    run.apply(Entry::End);
    assert_eq!(gaps(&run.out), [(2, 3)]);
}

#[test]
fn what_comes_late_takes_the_report_back_as_far_as_it_goes() {
    let mut run = Run::new(&[1], 2);
    run.trade(1, 5);
    run.trade(6, 15);
    run.trade(7, 90);
    assert_eq!(gaps(&run.out), [(2, 5)]);
    run.trade(3, 8);
    assert_eq!(gaps(&run.out), [(2, 2), (4, 5)]);
    assert_eq!(run.state.ledger().late, 1);
    run.trade(2, 8);
    run.trade(4, 8);
    run.trade(5, 8);
    run.apply(Entry::End);
    assert_eq!(gaps(&run.out), []);
}

#[test]
fn the_end_reports_what_is_missing_and_what_follows_takes_it_back() {
    let mut run = Run::new(&[60], 2);
    run.trade(1, 5);
    run.trade(3, 6);
    run.apply(Entry::End);
    assert_eq!(gaps(&run.out), [(2, 2)]);
    assert_eq!(windows(&run.out), [row(3, 0, 0, "partial|gap")]);
    run.trade(2, 6);
    run.apply(Entry::End);
    assert_eq!(gaps(&run.out), []);
    assert_eq!(windows(&run.out)[1..], [row(5, 0, 1, "partial")]);
}

#[test]
fn a_new_count_keeps_the_marks_of_the_old_one() {
    let mut run = Run::new(&[1, 60], 2);
    run.trade(100, 5);
    run.trade(105, 15);
    run.trade(1, 25);
    run.trade(2, 35);
    assert_eq!(gaps(&run.out), [(101, 104)]);
    run.trade(3, 650);
    let minute = windows(&run.out).into_iter().filter(|window| window.0 == 5 && window.1 == 0);
    assert_eq!(minute.collect::<Vec<_>>(), [row(5, 0, 0, "gap")]);
    assert_eq!(run.state.ledger().duplicate, 0);
}

#[test]
fn a_trade_that_the_venue_marks_as_past_fills_nothing() {
    let mut run = Run::new(&[1], 2);
    run.trade(1, 5);
    let mut past = tick(2, SECOND / 2);
    past.history = true;
    run.apply(Entry::Tick(past));
    run.apply(Entry::Tick(past));
    run.trade(3, 15);
    run.apply(Entry::End);
    assert_eq!(windows(&run.out), [row(4, 0, 0, "gap"), row(5, 1, 0, "partial|gap")]);
    assert_eq!(gaps(&run.out), [(2, 2)]);
    assert_eq!((run.state.ledger().history, run.state.ledger().duplicate), (2, 0));
}
