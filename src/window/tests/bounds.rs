//! Edges, one at a time: what is half-open, what a tie does, when exactly something is final.

use feeds::number::Decimal;
use feeds::tick::{Quote, Side, Trade};
use feeds::time::{Nanos, SECOND};

use super::made::{START, Step, nested};
use super::oracle::run;
use crate::window::Plan;

fn plan(sizes: &[Nanos], lateness: Nanos) -> Plan {
    let mut plan = Plan::new(nested(sizes));
    plan.lateness = lateness;
    plan
}

fn trade(ts: Nanos) -> Step {
    Step::Trade(START + ts, Trade::new(None, Decimal::new(1, 0), Decimal::new(1, 0), Side::Buy))
}

fn quote(ts: Nanos, timed: bool) -> Step {
    let one = Decimal::new(1, 0);
    Step::Quote { ts: START + ts, timed, quote: Quote::new(None, one, one, Decimal::new(2, 0), one) }
}

/// Number, seconds from the start, revision, trades, flags.
fn short(plan: &Plan, steps: &[Step]) -> Vec<(u64, Nanos, u32, String, String)> {
    let (said, _) = run(plan, steps);
    let short = said.into_iter().map(|said| {
        let trades = said.values[0].clone().unwrap_or_default();
        (said.number, (said.start - START) / SECOND, said.revision, trades, said.flags)
    });
    short.collect()
}

fn row(
    number: u64,
    start: Nanos,
    revision: u32,
    trades: &str,
    flags: &str,
) -> (u64, Nanos, u32, String, String) {
    (number, start, revision, trades.to_owned(), flags.to_owned())
}

#[test]
fn the_end_belongs_to_the_next_window() {
    let plan = plan(&[1], 0);
    let steps = [trade(0), trade(SECOND - 1), trade(SECOND), Step::End];
    assert_eq!(short(&plan, &steps), [row(3, 0, 0, "2", ""), row(4, 1, 0, "1", "partial")]);
}

#[test]
fn a_tick_at_the_watermark_amends_and_one_below_is_late() {
    let plan = plan(&[1], 2 * SECOND);
    let steps = [trade(0), trade(2 * SECOND + 1), trade(1), trade(0), Step::End];
    let expected = [row(2, 0, 0, "1", ""), row(3, 0, 1, "2", ""), row(5, 2, 0, "1", "partial")];
    assert_eq!(short(&plan, &steps), expected);
    assert_eq!(run(&plan, &steps).1, [4]);
}

#[test]
fn a_window_that_begins_to_exist_when_it_is_over_is_emitted_at_once() {
    let plan = plan(&[1], 2 * SECOND);
    let steps = [trade(2 * SECOND), trade(SECOND / 2), trade(SECOND / 2)];
    assert_eq!(short(&plan, &steps), [row(2, 0, 0, "1", ""), row(3, 0, 1, "2", "")]);
}

#[test]
fn an_untimed_quote_never_moves_the_frontier() {
    let plan = plan(&[1], 0);
    let steps = [trade(0), quote(50 * SECOND, false), trade(1), quote(SECOND, true)];
    assert_eq!(short(&plan, &steps), [row(4, 0, 0, "2", "")]);
}

#[test]
fn what_follows_the_end_amends_it() {
    let plan = plan(&[1, 60], 2 * SECOND);
    let steps = [trade(0), Step::End, trade(1), Step::End, Step::End, trade(SECOND)];
    let expected = [
        row(2, 0, 0, "1", "partial"),
        row(2, -27, 0, "1", "partial"),
        row(4, 0, 1, "2", "partial"),
        row(4, -27, 1, "2", "partial"),
        row(6, 0, 2, "2", ""),
    ];
    assert_eq!(short(&plan, &steps), expected);
}
