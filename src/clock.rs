//! The one place that asks what time it is. Nothing that decides a result may.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use feeds::time::Nanos;

/// A monotonic stamp, for durations.
#[derive(Clone, Copy, Debug)]
pub struct Stamp(Instant);

impl Stamp {
    /// The stamp of an [`Instant`].
    #[must_use]
    pub fn of(instant: Instant) -> Stamp {
        Stamp(instant)
    }

    /// Nanoseconds from `earlier` to this; 0 if it is not earlier.
    #[must_use]
    pub fn since(self, earlier: Stamp) -> Nanos {
        nanos(self.0.saturating_duration_since(earlier.0))
    }

    /// Nanoseconds since this stamp was taken.
    #[must_use]
    pub fn elapsed_nanos(self) -> Nanos {
        stamp().since(self)
    }

    /// As an [`Instant`].
    #[must_use]
    pub fn instant(self) -> Instant {
        self.0
    }
}

/// A stamp of now.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn stamp() -> Stamp {
    Stamp(Instant::now())
}

/// Nanoseconds since 1970 by the wall clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn wall() -> Nanos {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, nanos)
}

/// Waits.
pub fn wait(time: Nanos) {
    let time = Duration::from_nanos(u64::try_from(time).unwrap_or(0));
    // Nobody sends: this is a wait with a deadline.
    let _ = crossbeam_channel::after(time).recv();
}

fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}
