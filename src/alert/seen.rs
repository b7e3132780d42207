//! The windows that an alert names: those that its rule read, out of the final ones that are remembered.
//!
//! Windows that were read together (those of a mean) are one span of them, told by its first, its last and their number.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use feeds::time::Nanos;

use super::SeenWindow;
use super::history::Mark;
use crate::rule::LooksAt;
use crate::window::Flags;

/// Spans that an alert names by themselves, at some 30 bytes each: more than anyone reads. Where a rule reads more, there is
/// one for each window's name, from the first to the last that was read.
const SPANS_MAX: usize = 64;

/// Windows behind those that a rule can read that are remembered, too: those in which judgements that are compared read.
/// What was compared across more of them is told without the earlier windows.
pub(super) const EARLIER_MAX: usize = 8;

/// What is remembered of the final windows of one name.
pub(super) struct Remembered<'a> {
    /// The newest of them, the oldest first.
    pub(super) marks: &'a VecDeque<Mark>,
    /// Their size.
    pub(super) size: Nanos,
    /// From which rule time on each of them was read; from its end on if none.
    pub(super) since: Option<&'a VecDeque<Nanos>>,
    /// Of how many of them the series that was read has values.
    pub(super) values: usize,
}

impl Remembered<'_> {
    /// Places in `marks` of the first and the last of the windows that are `newest` to `oldest` back. With a time, as they
    /// were then.
    fn span(&self, newest: usize, oldest: usize, as_of: Option<Nanos>) -> Option<(usize, usize)> {
        let all = self.marks.len();
        let end = match (as_of, self.since) {
            (None, _) => all,
            (Some(at), Some(since)) => since.partition_point(|since| *since <= at).min(all),
            (Some(at), None) => self.marks.partition_point(|mark| mark.start.saturating_add(self.size) <= at),
        };
        // How far this reaches must not depend on what other rules have remembered.
        let has_values = newest <= self.values && all - end <= EARLIER_MAX;
        let last = end.checked_sub(newest).filter(|_| has_values)?;
        Some((end.saturating_sub(oldest.min(self.values)), last))
    }
}

/// The final windows among `looked`, by name and of one name the newest first. `of` finds what is remembered of a series,
/// and tells names apart; `name` makes them readable: the symbol, if it is not the alert's, and the window's name.
pub(super) fn finals<'a, K: Copy + Ord>(
    looked: impl IntoIterator<Item = (LooksAt, Option<Nanos>)>,
    of: impl Fn(usize) -> Option<(K, Remembered<'a>)>,
    name: impl Fn(K) -> (Option<String>, String),
) -> Vec<SeenWindow> {
    type Spans = BTreeSet<(Reverse<usize>, Reverse<usize>)>;
    let mut found: BTreeMap<K, (&VecDeque<Mark>, Spans)> = BTreeMap::new();
    for (looks, as_of) in looked {
        let LooksAt::Final { series, newest, oldest } = looks else { continue };
        let Some((key, remembered)) = of(series) else { continue };
        if let Some((first, last)) = remembered.span(newest, oldest, as_of) {
            let spans = &mut found.entry(key).or_insert_with(|| (remembered.marks, Spans::new())).1;
            spans.insert((Reverse(last), Reverse(first)));
        }
    }
    if found.values().map(|(_, spans)| spans.len()).sum::<usize>() > SPANS_MAX {
        for (_, spans) in found.values_mut() {
            let last = spans.iter().map(|(last, _)| *last).min();
            let first = spans.iter().map(|(_, first)| *first).max();
            *spans = last.zip(first).into_iter().collect();
        }
    }
    let mut seen = Vec::new();
    for (key, (marks, spans)) in found {
        for (Reverse(last), Reverse(first)) in spans {
            let (symbol, window) = name(key);
            seen.extend(told(symbol, window, marks.range(first..=last)));
        }
    }
    seen
}

/// A span, by its windows.
fn told<'a>(
    symbol: Option<String>,
    window: String,
    mut marks: impl Iterator<Item = &'a Mark>,
) -> Option<SeenWindow> {
    let first = marks.next()?;
    let mut seen = SeenWindow {
        symbol,
        window,
        start: first.start,
        last: first.start,
        count: 1,
        revision: Some(first.revision),
        flags: first.flags,
    };
    for mark in marks {
        seen.last = mark.start;
        seen.count += 1;
        seen.revision = seen.revision.max(Some(mark.revision));
        seen.flags = seen.flags.with(mark.flags);
    }
    Some(seen)
}

impl SeenWindow {
    /// One that was not over.
    pub(super) fn open(window: &str, start: Nanos, flags: Flags) -> SeenWindow {
        let window = window.to_owned();
        SeenWindow { symbol: None, window, start, last: start, count: 1, revision: None, flags }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(starts: impl IntoIterator<Item = Nanos>) -> VecDeque<Mark> {
        let mark = |start| Mark { start, revision: (start % 3) as u32, flags: Flags::NONE };
        starts.into_iter().map(mark).collect()
    }

    fn found(
        marks: &VecDeque<Mark>,
        values: usize,
        looked: &[(usize, usize, Option<Nanos>)],
    ) -> Vec<(Nanos, Nanos, u64)> {
        let looked =
            looked.iter().map(|&(newest, oldest, at)| (LooksAt::Final { series: 0, newest, oldest }, at));
        let of = |_| Some(((), Remembered { marks, size: 10, since: None, values }));
        let seen = finals(looked, of, |()| (None, "w".to_owned()));
        seen.iter().map(|seen| (seen.start, seen.last, seen.count)).collect()
    }

    #[test]
    fn spans_are_told_once_and_the_newest_first() {
        // One window was empty, so it is not there.
        let marks = marks([10, 20, 40, 50, 60]);
        let looked = [(2, 4, None), (1, 1, None), (3, 3, None), (1, 1, None)];
        assert_eq!(found(&marks, 9, &looked), [(60, 60, 1), (20, 50, 3), (40, 40, 1)]);
        // At 60 the one that began at 50 was the newest.
        assert_eq!(found(&marks, 9, &[(1, 1, Some(60)), (2, 3, Some(69))]), [(50, 50, 1), (20, 40, 2)]);
        // There are not so many, or the series has no values of them.
        assert_eq!(found(&marks, 9, &[(2, 60, None), (6, 6, None)]), [(10, 50, 4)]);
        assert_eq!(found(&marks, 2, &[(1, 5, None), (3, 3, None)]), [(50, 60, 2)]);
        assert_eq!(found(&marks, 9, &[(1, 1, Some(5))]), []);
    }

    #[test]
    fn what_was_compared_long_ago_is_left_out() {
        let marks = marks((0..40).map(|at| at * 10));
        assert_eq!(found(&marks, 9, &[(1, 1, Some(320))]), [(310, 310, 1)]);
        assert_eq!(found(&marks, 9, &[(1, 1, Some(310))]), []);
    }

    #[test]
    fn many_spans_become_one_of_each_name() {
        let marks = marks((0..200).map(|at| at * 10));
        let looked =
            |count: usize| -> Vec<_> { (1..=count).map(|back| (back * 2, back * 2, None)).collect() };
        assert_eq!(found(&marks, 200, &looked(SPANS_MAX)).len(), SPANS_MAX);
        let last = 2 * (SPANS_MAX as Nanos + 1);
        assert_eq!(found(&marks, 200, &looked(SPANS_MAX + 1)), [((200 - last) * 10, 1_980, last as u64 - 1)]);
    }
}
