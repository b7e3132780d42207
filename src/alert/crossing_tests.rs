//! Rules over several symbols: what is kept of them, and how they end.

use std::sync::Arc;

use feeds::time::{Nanos, SECOND};

use super::Alert;
use super::crossing::{Crossing, News};
use super::dispatch::Dispatch;
use super::judge::{Export, Judged};
use super::rulebook::{Books, RuleBook};
use crate::codec::{Put, Reader};
use crate::config::{Cut, WindowSpec};
use crate::rule::Number;
use crate::window::Flags;

/// A book of these rules about one window.
fn book(size: Nanos, stat: &'static str, rules: &str) -> (Books, Arc<RuleBook>) {
    let spec = WindowSpec { name: "w".to_owned(), kind: Cut::Tumbling, size, stats: vec![stat] };
    let books = Books::new(vec![spec.clone()], vec![spec.planned()]);
    books.put(1, rules).unwrap();
    let book = books.get(1).unwrap();
    (books, book)
}

/// What was kept before it was known from when on a window was read goes on.
#[test]
fn both_versions_of_the_bytes_are_read() {
    let when = "change('a:B'.close[w, -1]) > 0".replace('\'', "\\\"");
    let (_, book) = book(1_000_000, "close", &format!("[[rules]]\nname = 'r'\nwhen = \"{when}\"\n"));
    let mut crossing = Crossing::new(&book, 0);
    let values = vec![(0, Some(Number::ONE))];
    let (number, received_at, start) = (1, None, 3_000_000);
    let export = Export { number, received_at, window: 0, start, revision: 2, flags: Flags::GAP, values };
    crossing.hear("a:B", &News::Final(&export), (1, None), 0, &mut Vec::new());
    crossing.hear("a:B", &News::Watermark(4_000_000), (1, None), 0, &mut Vec::new());
    let (mut bytes, mut since) = (Vec::new(), Vec::new());
    crossing.encode(&mut bytes);
    since.put_i64(4_000_000);
    let old = bytes.strip_suffix(&since[..]).unwrap();
    for (version, kept) in [(2, &bytes[..]), (1, old)] {
        let (mut read, mut from) = (Crossing::new(&book, 0), Reader::new(kept));
        read.decode(version, &mut from).unwrap();
        let mut again = Vec::new();
        read.encode(&mut again);
        assert!(from.is_empty() && again == bytes, "version {version}");
    }
}

/// Two symbols, of each of which one series is read, under rules over both.
struct Pair {
    books: Books,
    dispatch: Dispatch,
    number: u64,
}

const NAMES: [&str; 2] = ["a:A", "b:B"];

impl Pair {
    /// A rule that holds where both have a value above 0.
    fn new(terms: &str) -> Pair {
        let when = r#"'''"a:A".trades[w, -1] > 0 and "b:B".trades[w, -1] > 0'''"#;
        let (books, book) =
            book(SECOND, "trades", &format!("[[rules]]\nname = 'pair'\nwhen = {when}\n{terms}\n"));
        let mut pair = Pair { books, dispatch: Dispatch::new(Some(book), 2 * SECOND), number: 0 };
        // Whoever has never come is passed over.
        assert_eq!(pair.take([&[(1, 0)], &[(1, 0)]], [Some(1), Some(1)]), []);
        pair
    }

    /// Windows become final of the first and of the second symbol: their ends in seconds and their values. Then each
    /// symbol tells its watermark, if it does. What is told of it: state, seconds, who was passed over.
    fn take(
        &mut self,
        windows: [&[(Nanos, u64)]; 2],
        watermarks: [Option<Nanos>; 2],
    ) -> Vec<(&'static str, Nanos, String)> {
        self.number += 1;
        let (number, received_at) = (self.number, None);
        let said = (0..2).map(|place| {
            let exports = windows[place].iter().map(|&(end, value)| Export {
                number,
                received_at,
                window: 0,
                start: (end - 1) * SECOND,
                revision: 0,
                flags: Flags::NONE,
                values: vec![(place, Some(if value > 0 { Number::ONE } else { Number::ZERO }))],
            });
            let told = watermarks[place].map(|at| (number, received_at, at.saturating_mul(SECOND)));
            let watermarks = told.into_iter().collect();
            (NAMES[place], Judged { exports: exports.collect(), watermarks, ..Judged::default() })
        });
        let alerts = self.dispatch.take(said.collect(), &[]);
        // As a run that goes on from here.
        let mut bytes = Vec::new();
        self.dispatch.encode(&mut bytes);
        self.dispatch = Dispatch::decode(&self.books, 2 * SECOND, &bytes).unwrap();
        let told = |alert: Alert| {
            let over = alert.values.into_iter().find(|(name, _)| name == "passed_over");
            (alert.state.name(), alert.event_time / SECOND, over.map_or(String::new(), |(_, over)| over))
        };
        alerts.into_iter().map(told).collect()
    }
}

fn row(state: &'static str, at: Nanos, over: &str) -> (&'static str, Nanos, String) {
    (state, at, over.to_owned())
}

const END: [Option<Nanos>; 2] = [Some(Nanos::MAX), Some(Nanos::MAX)];

#[test]
fn nobody_is_passed_over_because_another_was_ended_first() {
    let mut pair = Pair::new("");
    let told = pair.take([&[(2, 1), (4, 0), (9, 1)], &[(3, 1), (8, 0), (9, 1)]], END);
    assert_eq!(told, [row("firing", 3, ""), row("resolved", 4, ""), row("firing", 9, "")]);
    // Another run goes on.
    assert_eq!(pair.take([&[(20, 0)], &[(20, 1)]], [Some(20), None]), [row("resolved", 20, "b:B")]);
}

#[test]
fn time_does_not_go_on_behind_the_last_window() {
    for (hold, told) in [("1h", vec![]), ("8s", vec![]), ("7s", vec![row("firing", 9, "")])] {
        let mut pair = Pair::new(&format!("for = '{hold}'"));
        let first = pair.take([&[(2, 1)], &[(2, 1)]], [Some(2), Some(2)]);
        assert_eq!(first, [row("pending", 2, "")]);
        assert_eq!(pair.take([&[(3, 1), (10, 1)], &[(3, 1)]], END), told, "{hold}");
    }
}

#[test]
fn who_never_came_or_is_out_of_service_is_not_waited_for_at_the_end() {
    let mut pair = Pair::new("");
    assert_eq!(pair.take([&[(2, 1)], &[(2, 1)]], [Some(2), Some(2)]), [row("firing", 2, "")]);
    // The second symbol does not end: nothing is heard of it any more.
    assert_eq!(pair.take([&[(3, 0)], &[]], [Some(Nanos::MAX), None]), [row("resolved", 3, "b:B")]);
    let mut pair = Pair::new("");
    assert_eq!(pair.take([&[(2, 1)], &[]], [Some(Nanos::MAX), None]), []);
}
