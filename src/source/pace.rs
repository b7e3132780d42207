//! When a tick is due if a tape is replayed at a chosen speed. The waiting is done by who asks.

use std::time::Duration;

use feeds::time::Nanos;

/// A pace: tape time to time since the start of the replay.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    speed: f64,
    start: Option<Nanos>,
    due: Duration,
}

impl Pace {
    /// A pace of `speed` tape seconds a second (above 0; 2 is twice as fast as it happened). `None` for what is no
    /// speed.
    #[must_use]
    pub fn new(speed: f64) -> Option<Pace> {
        (speed.is_finite() && speed > 0.0).then_some(Pace { speed, start: None, due: Duration::ZERO })
    }

    /// When a tick of `time` (its receive time, else its exchange time) is due, from the start of the replay. The
    /// first tick is due at once, and none before one that was asked for earlier.
    pub fn due(&mut self, time: Nanos) -> Duration {
        let start = *self.start.get_or_insert(time);
        let passed = i128::from(time) - i128::from(start);
        let seconds = passed.max(0) as f64 / 1e9 / self.speed;
        let due = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        self.due = self.due.max(due);
        self.due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use feeds::time::SECOND;

    #[test]
    fn the_first_tick_is_due_at_once_and_none_goes_back() {
        let mut pace = Pace::new(2.0).unwrap();
        assert_eq!(pace.due(100 * SECOND), Duration::ZERO);
        assert_eq!(pace.due(103 * SECOND), Duration::from_millis(1500));
        assert_eq!(pace.due(101 * SECOND), Duration::from_millis(1500));
        assert_eq!(pace.due(99 * SECOND), Duration::from_millis(1500));
        assert_eq!(pace.due(104 * SECOND), Duration::from_secs(2));
    }

    #[test]
    fn odd_speeds_and_times() {
        assert!(Pace::new(0.0).is_none());
        assert!(Pace::new(-1.0).is_none());
        assert!(Pace::new(f64::NAN).is_none());
        assert!(Pace::new(f64::INFINITY).is_none());
        let mut slow = Pace::new(1e-300).unwrap();
        slow.due(Nanos::MIN);
        assert_eq!(slow.due(Nanos::MAX), Duration::MAX);
        let mut fast = Pace::new(1e12).unwrap();
        fast.due(0);
        assert_eq!(fast.due(SECOND), Duration::ZERO);
    }
}
