//! How far our clock is from a venue's, by one connection's timed events; and the quotes that wait to be placed.
//!
//! The least `received_at − event time` over the last [`WINDOW`] timed events is the clocks' difference and the
//! shortest way of a frame together. A quote to which the venue gives no time happened at `received_at − offset`,
//! as nearly as can be said. All of it is computed from the frames alone, so that a replay gets the same.
//!
//! One event with a time far ahead would be the least for a long while. So one sample alone moves nothing far: a
//! sample more than [`STEP`] below the estimate is set aside, and believed only if the next one is near it. The very
//! first sample is the estimate until two in a row agree on another.
//!
//! A receive time that leaps by more than [`LEAP`] either way says that our clock was set, or that nothing came for long.
//! If two samples behind it agree on another estimate, far from the one before either way, what was known is forgotten.

use std::collections::{BTreeMap, VecDeque};

use crate::symbol::SymbolId;
use crate::tick::{Event, Quote, Rejection, Tick};
use crate::time::{Nanos, SECOND, in_range};
use crate::venue::Output;

/// How many timed events the estimate looks back.
pub const WINDOW: u64 = 1_024;
/// How far below the estimate a sample may be without another to confirm it.
pub const STEP: Nanos = 10 * SECOND;
/// How far a receive time leaps if a clock was set.
pub const LEAP: Nanos = 600 * SECOND;
/// Most quotes of one symbol that wait for the first estimate.
pub const WAITING_MAX: usize = 1_000;
/// Most quotes of all symbols of a connection that wait: some 10 MB of them. A connection of a thousand symbols that has
/// not one timed event among so many frames will hardly have one; what comes then is dropped.
pub const WAITING_IN_ALL_MAX: usize = 100_000;

/// The least believed sample among the last [`WINDOW`], kept in a queue that only rises towards its back.
#[derive(Clone, Debug, Default)]
pub struct OffsetWindow {
    events: u64,
    rising: VecDeque<(u64, Nanos)>,
    /// A sample that the next one may confirm.
    aside: Option<Nanos>,
    /// Two samples in a row were near each other; before that, the first one is all that is known.
    confirmed: bool,
    /// The last receive time.
    last: Option<Nanos>,
    /// It has leapt, and no sample has shown yet that the estimate holds.
    leapt: bool,
}

impl OffsetWindow {
    /// Takes one timed event in. Returns the estimate if that changed it.
    #[inline]
    pub fn observe(&mut self, received_at: Nanos, event_time: Nanos) -> Option<Nanos> {
        let before = self.estimate();
        let sample = received_at.saturating_sub(event_time);
        self.leapt |= self.last.is_some_and(|last| received_at.abs_diff(last) > LEAP.unsigned_abs());
        self.last = Some(received_at);
        let holds = |estimate: Nanos| {
            sample >= estimate.saturating_sub(STEP) && !(self.leapt && sample > estimate.saturating_add(STEP))
        };
        if self.confirmed && before.is_some_and(holds) {
            self.aside = None;
            self.leapt = false;
            self.take(sample);
        } else {
            self.weigh(before, sample);
        }
        self.estimate().filter(|now| before != Some(*now))
    }

    /// Takes in a sample that alone may not be believed.
    fn weigh(&mut self, estimate: Option<Nanos>, sample: Nanos) {
        let is_near = |other: Nanos| other.abs_diff(sample) <= STEP.unsigned_abs();
        let aside = self.aside.take();
        match (estimate, aside) {
            (None, _) => self.take(sample),
            (Some(first), _) if !self.confirmed && is_near(first) => {
                self.confirmed = true;
                self.take(sample);
            }
            (Some(_), Some(aside)) if is_near(aside) => {
                if !self.confirmed || self.leapt {
                    self.rising.clear();
                    (self.confirmed, self.leapt) = (true, false);
                }
                self.take(aside);
                self.take(sample);
            }
            _ => self.aside = Some(sample),
        }
    }

    #[inline]
    fn take(&mut self, sample: Nanos) {
        while self.rising.back().is_some_and(|&(_, held)| held >= sample) {
            self.rising.pop_back();
        }
        self.rising.push_back((self.events, sample));
        self.events += 1;
        if self.rising.front().is_some_and(|&(event, _)| event + WINDOW < self.events) {
            self.rising.pop_front();
        }
    }

    /// The newest estimate, unless receive time has leapt to `received_at`, or before, and no event has shown since whether
    /// it holds.
    #[inline]
    fn holding_at(&self, received_at: Nanos) -> Option<Nanos> {
        let leaps =
            self.leapt || self.last.is_some_and(|last| received_at.abs_diff(last) > LEAP.unsigned_abs());
        self.estimate().filter(|_| !leaps)
    }

    /// The newest estimate; `None` before the first timed event.
    #[must_use]
    #[inline]
    pub fn estimate(&self) -> Option<Nanos> {
        self.rising.front().map(|&(_, sample)| sample)
    }
}

/// What one connection shows of its venue's clock, with the quotes that wait for an estimate.
#[derive(Debug, Default)]
pub struct VenueClock {
    window: OffsetWindow,
    arrivals: u64,
    /// How many wait.
    waiting_in_all: usize,
    waiting: BTreeMap<SymbolId, VecDeque<(u64, Tick)>>,
}

impl VenueClock {
    /// Takes in a frame's own time. The first one releases what waits, in order of arrival; so call this before
    /// the frame's ticks are put out. Without a receive time there is nothing to learn.
    #[inline]
    pub fn observe(&mut self, received_at: Option<Nanos>, event_time: Nanos, out: &mut Output) {
        let Some(received_at) = received_at else { return };
        if let Some(offset) = self.window.observe(received_at, event_time) {
            out.offsets.push((out.ticks.len(), offset));
        }
        if !self.waiting.is_empty()
            && let Some(offset) = self.window.holding_at(received_at)
        {
            self.release(offset, out);
        }
    }

    /// Puts out a quote to which the venue gave no time, or lets it wait. It is rejected if nothing can place it.
    #[inline]
    pub fn place(&mut self, symbol: SymbolId, received_at: Option<Nanos>, quote: Quote, out: &mut Output) {
        let event = match received_at {
            Some(_) => Event::Quote(quote),
            None => Event::Rejected(Rejection::BadTime),
        };
        let mut tick = Tick::new(symbol, received_at.unwrap_or(0), received_at, event);
        tick.timed = false;
        match self.window.holding_at(received_at.unwrap_or(0)) {
            Some(offset) => out.ticks.push(placed(tick, offset)),
            None if received_at.is_none() => out.ticks.push(tick),
            None => self.wait(tick, out),
        }
    }

    /// The end of the connection: what still waits was never placed, and is dropped.
    pub fn finish(&mut self, out: &mut Output) {
        let dropped = self.take_waiting().into_iter().map(dropped);
        out.ticks.extend(dropped);
    }

    fn wait(&mut self, tick: Tick, out: &mut Output) {
        let is_full = self.waiting_in_all >= WAITING_IN_ALL_MAX;
        if is_full && !self.waiting.contains_key(&tick.symbol) {
            out.ticks.push(dropped(tick));
            return;
        }
        let queue = self.waiting.entry(tick.symbol).or_default();
        if (is_full || queue.len() >= WAITING_MAX)
            && let Some((_, oldest)) = queue.pop_front()
        {
            self.waiting_in_all -= 1;
            out.ticks.push(dropped(oldest));
        }
        queue.push_back((self.arrivals, tick));
        self.waiting_in_all += 1;
        self.arrivals += 1;
    }

    fn release(&mut self, offset: Nanos, out: &mut Output) {
        let released = self.take_waiting().into_iter().map(|tick| placed(tick, offset));
        out.ticks.extend(released);
    }

    /// All that waits, in order of arrival.
    fn take_waiting(&mut self) -> Vec<Tick> {
        self.waiting_in_all = 0;
        let mut all: Vec<(u64, Tick)> = std::mem::take(&mut self.waiting).into_values().flatten().collect();
        all.sort_unstable_by_key(|&(arrival, _)| arrival);
        all.into_iter().map(|(_, tick)| tick).collect()
    }
}

fn placed(mut tick: Tick, offset: Nanos) -> Tick {
    let Some(received_at) = tick.received_at() else { return tick };
    match in_range(received_at.saturating_sub(offset)) {
        Ok(time) => tick.exchange_ts = time,
        Err(_) => tick.event = Event::Rejected(Rejection::BadTime),
    }
    tick
}

fn dropped(mut tick: Tick) -> Tick {
    tick.event = Event::Rejected(Rejection::Dropped);
    tick
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::number::Decimal;
    use crate::symbol::SymbolTable;

    const NOON: Nanos = 1_700_000_000_000_000_000;

    fn quote(id: u64) -> Quote {
        Quote::new(Some(id), Decimal::new(1, 0), Decimal::new(2, 0), Decimal::new(3, 0), Decimal::new(4, 0))
    }

    fn ids(ticks: &[Tick]) -> Vec<Option<u64>> {
        let id = |tick: &Tick| match tick.event {
            Event::Quote(quote) => quote.id(),
            _ => None,
        };
        ticks.iter().map(id).collect()
    }

    proptest! {
        #[test]
        fn the_estimate_is_the_least_of_the_last_window(samples in prop::collection::vec(-50i64..50, 1..4_000)) {
            let mut window = OffsetWindow::default();
            let mut told = None;
            for (index, &sample) in samples.iter().enumerate() {
                let start = (index + 1).saturating_sub(usize::try_from(WINDOW).unwrap());
                let least = samples[start..=index].iter().copied().min();
                if let Some(change) = window.observe(NOON + sample, NOON) {
                    prop_assert_ne!(told, Some(change), "told although nothing changed");
                    told = Some(change);
                }
                prop_assert_eq!(window.estimate(), least);
                prop_assert_eq!(told, least);
            }
        }
    }

    /// The estimates that samples in seconds lead to, one after the other.
    fn estimates(samples: &[i64]) -> Vec<i64> {
        let mut window = OffsetWindow::default();
        let estimate = |sample: &i64| {
            window.observe(NOON, NOON - sample * SECOND);
            window.estimate().unwrap() / SECOND
        };
        samples.iter().map(estimate).collect()
    }

    #[test]
    fn one_sample_alone_moves_the_estimate_only_so_far() {
        assert_eq!(estimates(&[5, 6, -3_600, 6, 5, -3_600, 4]), [5, 5, 5, 5, 5, 5, 4]);
        assert_eq!(
            estimates(&[5, 6, -3_600, -3_595, 5]),
            [5, 5, 5, -3_600, -3_600],
            "two in a row are believed"
        );
        assert_eq!(estimates(&[5, 6, -3_600, 6, -3_600, 6]), [5; 6], "in a row");
        assert_eq!(estimates(&[5, 6, -3_600, -7_200, -7_201]), [5, 5, 5, 5, -7_201]);
        assert_eq!(estimates(&[5, 6, -4, -14]), [5, 5, -4, -14], "step by step");
        assert_eq!(estimates(&[5, 3_600, 6, 3_600, 3_601]), [5; 5], "an old event is none that shows much");
    }

    /// The same of samples in seconds at receive times in seconds.
    fn estimates_at(samples: &[(i64, i64)]) -> Vec<i64> {
        let mut window = OffsetWindow::default();
        let estimate = |(at, sample): &(i64, i64)| {
            let received_at = NOON + at * SECOND;
            window.observe(received_at, received_at - sample * SECOND);
            window.estimate().unwrap() / SECOND
        };
        samples.iter().map(estimate).collect()
    }

    #[test]
    fn behind_a_leap_two_samples_that_agree_are_the_estimate() {
        let ahead = [(0, 5), (1, 6), (3_602, 3_607), (3_603, 3_606), (3_604, 3_605)];
        assert_eq!(estimates_at(&ahead), [5, 5, 5, 3_606, 3_605], "our clock was set ahead");
        let back = [(0, 5), (1, 6), (-3_598, -3_593), (-3_597, -3_594), (-3_596, -3_592)];
        assert_eq!(estimates_at(&back), [5, 5, 5, -3_594, -3_594], "and back");
        let pause = [(0, 5), (1, 6), (3_602, 7), (3_603, 30), (3_604, 31)];
        assert_eq!(estimates_at(&pause), [5; 5], "nothing came for an hour, and then late");
        let garbled = [(0, 5), (1, 6), (3_602, 3_607), (3, 6), (4, 30), (5, 30)];
        assert_eq!(estimates_at(&garbled), [5; 6], "one receive time alone was wrong");
        let slow = [(0, 5), (1, 6), (2, 3_600), (3, 3_601), (4, 3_600)];
        assert_eq!(estimates_at(&slow), [5; 5], "without a leap an old event is none that shows much");
    }

    #[test]
    fn the_first_sample_gives_way_to_two_that_agree() {
        assert_eq!(estimates(&[-3_600, 6, 5, 7]), [-3_600, -3_600, 5, 5]);
        assert_eq!(estimates(&[6, -3_600, 5, 7]), [6, 6, 5, 5]);
        assert_eq!(estimates(&[6, -3_600, 3_600, 5, 7]), [6, 6, 6, 5, 5]);
        assert_eq!(estimates(&[3_600, -3_600, 5, 7]), [3_600, 3_600, 3_600, 5]);
    }

    #[test]
    fn quotes_wait_for_the_first_estimate_and_leave_in_order_of_arrival() {
        let mut symbols = SymbolTable::new("v");
        let (x, y) = (symbols.intern(b"X"), symbols.intern(b"Y"));
        let (mut clock, mut out) = (VenueClock::default(), Output::default());
        for (id, symbol) in [(1, y), (2, x), (3, y)] {
            clock.place(symbol, Some(NOON + 10 * i64::try_from(id).unwrap()), quote(id), &mut out);
        }
        assert!(out.ticks.is_empty());
        clock.observe(Some(NOON + 100), NOON + 93, &mut out);
        assert_eq!(ids(&out.ticks), [Some(1), Some(2), Some(3)]);
        assert_eq!(out.offsets, [(0, 7)]);
        assert_eq!(out.ticks[0].exchange_ts, NOON + 3);
        assert!(!out.ticks[0].timed);
        clock.place(x, Some(NOON + 200), quote(4), &mut out);
        assert_eq!(out.ticks[3].exchange_ts, NOON + 193);
    }

    #[test]
    fn quotes_wait_behind_a_leap_until_two_events_show_what_it_was() {
        let mut symbols = SymbolTable::new("v");
        let x = symbols.intern(b"X");
        let hour = 3_600 * SECOND;
        let (mut clock, mut out) = (VenueClock::default(), Output::default());
        for at in [0, 1] {
            clock.observe(Some(NOON + at), NOON + at - 5, &mut out);
        }
        clock.place(x, Some(NOON + hour), quote(1), &mut out);
        clock.observe(Some(NOON + hour + 2), NOON + 2 - 5, &mut out);
        clock.place(x, Some(NOON + hour + 3), quote(2), &mut out);
        assert!(out.ticks.is_empty());
        clock.observe(Some(NOON + hour + 4), NOON + 4 - 5, &mut out);
        let times: Vec<Nanos> = out.ticks.iter().map(|tick| tick.exchange_ts).collect();
        assert_eq!(times, [NOON - 5, NOON - 2], "by the clock as it was set");
        clock.place(x, Some(NOON + 3 * hour), quote(3), &mut out);
        clock.observe(Some(NOON + 3 * hour), NOON + 2 * hour - 5, &mut out);
        assert_eq!(out.ticks[2].exchange_ts, NOON + 2 * hour - 5, "it was a pause");
    }

    #[test]
    fn waiting_is_bounded_by_symbol_and_the_oldest_leaves_as_dropped() {
        let mut symbols = SymbolTable::new("v");
        let (x, y) = (symbols.intern(b"X"), symbols.intern(b"Y"));
        let (mut clock, mut out) = (VenueClock::default(), Output::default());
        clock.place(y, Some(NOON), quote(0), &mut out);
        for id in 0..1_003 {
            clock.place(x, Some(NOON + id), quote(0), &mut out);
        }
        let dropped: Vec<_> = out.ticks.iter().map(|t| (t.symbol, t.exchange_ts, t.event)).collect();
        let expected = (0..3).map(|id| (x, NOON + id, Event::Rejected(Rejection::Dropped)));
        assert_eq!(dropped, expected.collect::<Vec<_>>());
        clock.finish(&mut out);
        assert_eq!(out.ticks.len(), 1_004);
        assert!(out.ticks.iter().all(|t| t.event == Event::Rejected(Rejection::Dropped)));
        assert_eq!(out.ticks[3].symbol, y, "the rest in order of arrival");
    }

    #[test]
    fn waiting_of_all_symbols_together_is_bounded_too() {
        let (mut clock, mut out) = (VenueClock::default(), Output::default());
        let all = u32::try_from(WAITING_IN_ALL_MAX).unwrap();
        for symbol in 0..all + 7 {
            clock.place(SymbolId(symbol), Some(NOON), quote(0), &mut out);
        }
        // A symbol that already waits keeps its newest.
        clock.place(SymbolId(3), Some(NOON + 1), quote(0), &mut out);
        let dropped: Vec<u32> = out.ticks.iter().map(|tick| tick.symbol.0).collect();
        assert_eq!(dropped, (all..all + 7).chain([3]).collect::<Vec<_>>());
        clock.observe(Some(NOON + 2), NOON, &mut out);
        assert_eq!(out.ticks.len(), WAITING_IN_ALL_MAX + 8);
        let mut out = Output::default();
        let mut clock = VenueClock::default();
        clock.place(SymbolId(0), Some(NOON), quote(0), &mut out);
        clock.finish(&mut out);
        assert_eq!(clock.waiting_in_all, 0);
    }

    #[test]
    fn a_quote_that_nothing_can_place_is_rejected() {
        let mut symbols = SymbolTable::new("v");
        let x = symbols.intern(b"X");
        let (mut clock, mut out) = (VenueClock::default(), Output::default());
        clock.place(x, None, quote(1), &mut out);
        clock.observe(None, NOON, &mut out);
        assert!(out.offsets.is_empty());
        clock.observe(Some(NOON), NOON - 1, &mut out);
        clock.place(x, None, quote(2), &mut out);
        clock.place(x, Some(5), quote(3), &mut out);
        clock.observe(Some(NOON + 1), NOON, &mut out);
        let events: Vec<_> = out.ticks.iter().map(|t| t.event).collect();
        assert_eq!(events, [Event::Rejected(Rejection::BadTime); 3]);
    }
}
