//! Whether a follower reads: what is told to it carries a ping now and then, and its client answers by itself when it comes to
//! that.
//!
//! A client that has stopped reading looks to its sender like any other until all buffers between them are full: seconds
//! in which a thousand such take half of the writes from those who read, and memory in the kernel for as long as they stay. So
//! whoever owes an answer is told nothing more until it answers, and is cut when it has not for too long. What was told
//! until then has room in its own buffers: it finds all of it, and why it was cut, whenever it reads again.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::limits::{
    STREAM_ANSWER_WITHIN, STREAM_BATCH_BYTES, STREAM_PROBE_EVERY, STREAM_SEND_BYTES,
};

/// How long the first answer may take, and any other at most: more than the way around the earth.
const FIRST_WITHIN: Duration = Duration::from_secs(1);

/// Pings, and whether one is without an answer.
#[derive(Debug, Default)]
pub(super) struct Probe {
    /// Since when an answer is owed.
    owed_since: Option<Instant>,
    /// When the last ping went.
    asked: Option<Instant>,
    /// Bytes told since then.
    told: usize,
    /// How long its last answer took.
    took: Option<Duration>,
}

impl Probe {
    /// True if a ping should go with what is told at `now`.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let is_time = |asked| now - asked >= nanos(STREAM_PROBE_EVERY) || self.told >= STREAM_BATCH_BYTES;
        self.owed_since.is_none() && self.asked.is_none_or(is_time)
    }

    /// A ping went at `now`.
    pub(super) fn asked(&mut self, now: Instant) {
        self.asked = Some(now);
        self.told = 0;
        self.owed_since.get_or_insert(now);
    }

    /// So many bytes were told.
    pub(super) fn told(&mut self, bytes: usize) {
        self.told = self.told.saturating_add(bytes);
    }

    /// It answered at `now`, or said anything else: it reads.
    pub(super) fn answered(&mut self, now: Instant) {
        if let Some(since) = self.owed_since.take() {
            self.took = Some(now - since);
        }
    }

    /// Since when an answer is owed.
    pub(super) fn owed_since(&self) -> Option<Instant> {
        self.owed_since
    }

    /// True if nothing is told to it at `now`, until it answers: it may take twice as long as the last time, and more, unless
    /// it was told too much meanwhile.
    pub(super) fn is_held(&self, now: Instant) -> bool {
        let within = self.took.map_or(FIRST_WITHIN, |took| took * 2 + nanos(STREAM_ANSWER_WITHIN));
        self.owed_since
            .is_some_and(|since| self.told > STREAM_SEND_BYTES || now >= since + within.min(FIRST_WITHIN))
    }
}

fn nanos(nanos: i64) -> Duration {
    Duration::from_nanos(nanos.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_answers_is_asked_again_after_a_while_and_who_does_not_is_held() {
        let (begin, mut probe) = (Instant::now(), Probe::default());
        let every = nanos(STREAM_PROBE_EVERY);
        assert!(probe.is_due(begin));
        assert!(probe.owed_since().is_none() && !probe.is_held(begin));
        probe.asked(begin);
        assert_eq!(probe.owed_since(), Some(begin));
        assert!(!probe.is_held(begin + FIRST_WITHIN / 2) && probe.is_held(begin + FIRST_WITHIN));
        assert!(!probe.is_due(begin + every * 9), "one ping is enough");
        probe.answered(begin + every / 2);
        assert!(probe.owed_since().is_none() && !probe.is_held(begin + FIRST_WITHIN));
        assert!(!probe.is_due(begin + every / 2) && probe.is_due(begin + every));
    }

    #[test]
    fn who_is_told_much_is_asked_sooner_and_told_only_so_much() {
        let (begin, mut probe) = (Instant::now(), Probe::default());
        probe.asked(begin);
        probe.answered(begin);
        probe.told(STREAM_BATCH_BYTES);
        assert!(probe.is_due(begin));
        probe.asked(begin);
        probe.told(STREAM_SEND_BYTES);
        assert!(!probe.is_held(begin));
        probe.told(1);
        assert!(probe.is_held(begin));
        probe.answered(begin);
        assert!(!probe.is_held(begin) && probe.is_due(begin));
    }

    #[test]
    fn who_is_far_away_may_take_longer_each_time_and_never_for_ever() {
        let (begin, mut probe) = (Instant::now(), Probe::default());
        let mut is_held_at = |took: u64, at: Duration| {
            probe.asked(begin);
            probe.answered(begin + Duration::from_millis(took));
            probe.asked(begin);
            let is_held = probe.is_held(begin + at);
            probe.answered(begin);
            is_held
        };
        let (least, little) = (nanos(STREAM_ANSWER_WITHIN), Duration::from_millis(1));
        assert!(is_held_at(0, least) && !is_held_at(0, least - little));
        let far = least + Duration::from_millis(400);
        assert!(is_held_at(200, far) && !is_held_at(200, far - little));
        assert!(is_held_at(9_000, FIRST_WITHIN) && !is_held_at(9_000, FIRST_WITHIN - little));
    }
}
