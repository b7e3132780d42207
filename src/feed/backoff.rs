//! How long to wait before the next attempt: doubling, with jitter, for ever.

use std::time::Duration;

use crate::market::random::Random;

/// The first wait, before jitter. Most ends are a venue's restart of one server, and the next answers at once.
pub const FIRST: Duration = Duration::from_secs(1);
/// The longest wait, before jitter: a venue that is back from maintenance is met within a minute.
pub const LONGEST: Duration = Duration::from_secs(60);
/// The longest wait that a venue may ask for; beyond it somebody should look, and attempts are the sign.
pub const ASKED_LONGEST: Duration = Duration::from_secs(3_600);

/// The waits of one connection, or of its refused streams.
#[derive(Clone, Debug)]
pub struct Backoff {
    random: Random,
    first: Duration,
    longest: Duration,
    attempts: u32,
}

impl Backoff {
    /// Waits between connects whose jitter follows from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Backoff {
        Backoff::between(seed, FIRST, LONGEST)
    }

    /// Waits from `first` to `longest`.
    #[must_use]
    pub fn between(seed: u64, first: Duration, longest: Duration) -> Backoff {
        Backoff { random: Random::new(seed), first, longest, attempts: 0 }
    }

    /// The wait before the next attempt: between half and all of 1 s, 2 s, 4 s … 60 s, as connects have it; never less than `asked`, which
    /// is what the venue said (Retry-After), with up to a tenth more so that not all come back at once.
    pub fn next(&mut self, asked: Option<Duration>) -> Duration {
        let whole = self.first.saturating_mul(1 << self.attempts.min(16)).min(self.longest);
        self.attempts = self.attempts.saturating_add(1);
        let wait = whole / 2 + self.jitter(whole / 2);
        let asked = asked.unwrap_or_default().min(ASKED_LONGEST);
        wait.max(asked + self.jitter(asked / 10))
    }

    /// The connection was good: the next wait is the first again.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }

    /// A duration below `most`.
    pub fn jitter(&mut self, most: Duration) -> Duration {
        Duration::from_nanos(self.random.below(u64::try_from(most.as_nanos()).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_1_s_to_60_s_with_jitter_of_one_half() {
        let mut backoff = Backoff::new(1);
        for whole in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            let (wait, whole) = (backoff.next(None), Duration::from_secs(whole));
            assert!(whole / 2 <= wait && wait < whole, "{wait:?} of {whole:?}");
        }
        backoff.reset();
        assert!(backoff.next(None) < FIRST);
        for _ in 0..1_000 {
            assert!(backoff.next(None) < LONGEST, "never gives up, never beyond 60 s");
        }
    }

    #[test]
    fn what_the_venue_asks_for_is_the_least_and_bounded_by_an_hour() {
        let mut backoff = Backoff::new(2);
        let wait = backoff.next(Some(Duration::from_secs(90)));
        assert!((Duration::from_secs(90)..Duration::from_secs(99)).contains(&wait), "{wait:?}");
        let wait = backoff.next(Some(Duration::MAX));
        assert!(wait < ASKED_LONGEST + ASKED_LONGEST / 10, "{wait:?}");
    }

    #[test]
    fn connections_do_not_come_back_together() {
        let waits: std::collections::BTreeSet<Duration> =
            (0..100).map(|seed| Backoff::new(seed).next(None)).collect();
        assert_eq!(waits.len(), 100, "100 connections, 100 waits");
    }
}
