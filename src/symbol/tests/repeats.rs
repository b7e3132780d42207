//! What a tick turns out to be, by each kind of key, against models that remember everything.

use std::collections::{BTreeMap, BTreeSet};

use feeds::number::Decimal;
use feeds::tick::Quote;
use feeds::time::Nanos;
use feeds::venue::DuplicateKey;
use proptest::prelude::*;

use super::trade;
use crate::config::limits::{OPEN_HOLES, UNIQUE_RING};
use crate::symbol::duplicates::{Seen, Verdict};

/// All ids since the venue last began to count anew, and when.
#[derive(Default)]
struct Everything {
    seen: BTreeMap<u64, Nanos>,
}

impl Everything {
    fn see(&mut self, id: u64, ts: Nanos) -> &'static str {
        let (Some((&lowest, _)), Some((&highest, _))) =
            (self.seen.first_key_value(), self.seen.last_key_value())
        else {
            self.seen.insert(id, ts);
            return "new";
        };
        let between = (lowest..highest).contains(&id) && !self.seen.contains_key(&id);
        let verdict = if between {
            "fills"
        } else if id > highest {
            if id > highest + 1 { "opens" } else { "new" }
        } else if self.seen.values().all(|seen| *seen < ts) {
            self.seen.clear();
            "new"
        } else if id < lowest {
            if id + 1 < lowest { "opens" } else { "new" }
        } else {
            return "repeat";
        };
        self.seen.insert(id, ts);
        verdict
    }

    fn missing(&self) -> Vec<u64> {
        let (Some(lowest), Some(highest)) = (self.seen.keys().next(), self.seen.keys().last()) else {
            return Vec::new();
        };
        (*lowest..*highest).filter(|id| !self.seen.contains_key(id)).collect()
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::New => "new",
        Verdict::Opens => "opens",
        Verdict::Fills(_) => "fills",
        Verdict::Repeat => "repeat",
    }
}

proptest! {
    #[test]
    fn contiguous_ids_equal_a_set(ticks in prop::collection::vec((-12i64..14, -3i64..6), 1..120)) {
        let (mut seen, mut model) = (Seen::new(DuplicateKey::Contiguous), Everything::default());
        let (mut id, mut ts) = (100u64, 1_000);
        for (up, on) in ticks {
            id = id.saturating_add_signed(up);
            ts += on;
            prop_assert_eq!(word(seen.trade(ts, &trade(id))), model.see(id, ts), "id {} at {}", id, ts);
            let open: Vec<u64> = seen.holes().iter().flat_map(|hole| hole.first..=hole.last).collect();
            prop_assert_eq!(open, model.missing());
            prop_assert!(seen.holes().is_sorted_by(|a, b| a.last + 1 < b.first), "holes apart from each other");
        }
    }

    #[test]
    fn a_hole_spans_the_time_of_what_is_missing(order in Just((0..40u64).collect::<Vec<_>>()).prop_shuffle()) {
        // A trade a second, in any order: whatever is missing is within its hole's time, and every window over it
        // says so.
        let mut seen = Seen::new(DuplicateKey::Contiguous);
        // Nothing is later than the first, or it would be a new beginning of the count.
        seen.trade(40, &trade(40));
        let mut came = BTreeSet::new();
        for id in order {
            seen.trade(id as Nanos, &trade(id));
            came.insert(id);
            for missing in (*came.first().unwrap()..40).filter(|id| !came.contains(id)) {
                let at = missing as Nanos;
                prop_assert!(seen.is_missing_in(at, at + 1), "{} is missing and nothing says so", missing);
            }
        }
        prop_assert!(!seen.is_missing_in(Nanos::MIN, Nanos::MAX));
    }

    #[test]
    fn unique_ids_and_rows_equal_a_list(keys in prop::collection::vec(0u64..2_500, 1..3_000)) {
        let mut ids = Seen::new(DuplicateKey::Unique);
        let mut rows = Seen::new(DuplicateKey::Row);
        let mut quotes = Seen::new(DuplicateKey::Unique);
        let mut last: Vec<u64> = Vec::new();
        for key in keys {
            let repeat = last[last.len().saturating_sub(UNIQUE_RING)..].contains(&key);
            let expected = if repeat { "repeat" } else { "new" };
            if !repeat {
                last.push(key);
            }
            prop_assert_eq!(word(ids.trade(1, &trade(key))), expected);
            prop_assert_eq!(word(rows.trade(key as Nanos, &trade(7))), expected);
            let one = Decimal::new(1, 0);
            prop_assert_eq!(word(quotes.quote(&Quote::new(Some(key), one, one, one, one))), expected);
        }
    }
}

#[test]
fn without_an_id_or_a_key_nothing_is_a_repeat() {
    let one = Decimal::new(1, 0);
    let nameless = feeds::tick::Trade::new(None, one, one, feeds::tick::Side::Buy);
    for key in [DuplicateKey::Contiguous, DuplicateKey::Unique, DuplicateKey::None] {
        let mut seen = Seen::new(key);
        assert_eq!([seen.trade(1, &nameless), seen.trade(1, &nameless)], [Verdict::New; 2]);
    }
    let mut seen = Seen::new(DuplicateKey::None);
    assert_eq!([seen.trade(1, &trade(1)), seen.trade(1, &trade(1))], [Verdict::New; 2]);
    let mut seen = Seen::new(DuplicateKey::Row);
    assert_eq!([seen.trade(1, &nameless), seen.trade(1, &nameless)], [Verdict::New, Verdict::Repeat]);
}

#[test]
fn the_oldest_hole_gives_way_and_is_reported_at_once() {
    let mut seen = Seen::new(DuplicateKey::Contiguous);
    let all = OPEN_HOLES as u64 + 30;
    let mut reported = Vec::new();
    for number in 0..=all {
        seen.trade(number as Nanos, &trade(number * 2));
        seen.declare(-1, |hole| reported.push(hole.first));
    }
    assert_eq!(seen.holes().len(), OPEN_HOLES);
    assert_eq!(reported, (0..30).map(|number| number * 2 + 1).collect::<Vec<_>>());
    assert_eq!(seen.trade(all as Nanos, &trade(1)), Verdict::Repeat, "given up");
    assert!(matches!(seen.trade(all as Nanos, &trade(all)), Verdict::Fills(_) | Verdict::Repeat));
    assert!((0..all as Nanos).all(|at| seen.is_missing_in(at, at + 1)), "still marked as missing");
}

#[test]
fn ids_at_the_ends_of_their_range() {
    let mut seen = Seen::new(DuplicateKey::Contiguous);
    assert_eq!(seen.trade(5, &trade(u64::MAX)), Verdict::New);
    assert_eq!(seen.trade(4, &trade(0)), Verdict::Opens);
    assert_eq!((seen.holes()[0].first, seen.holes()[0].last), (1, u64::MAX - 1));
    assert!(matches!(seen.trade(5, &trade(u64::MAX - 1)), Verdict::Fills(_)));
    assert!(matches!(seen.trade(5, &trade(1)), Verdict::Fills(_)));
    assert_eq!(seen.trade(5, &trade(u64::MAX)), Verdict::Repeat);
}
