//! Receive times as the tape has them: strictly increasing, and moved far only by two that agree.

use feeds::time::Nanos;

use crate::config::limits::JUMP_MAX;

/// The receive times of the entries so far.
#[derive(Debug, Default)]
pub(super) struct Received {
    highest: Option<Nanos>,
    /// One far ahead that waits for the next to confirm it.
    leap: Option<Nanos>,
    /// The last one that went on leapt.
    has_leapt: bool,
}

impl Received {
    /// The tape's receive time of an entry that came in at `received_at`: at least 1 ns past the one before. One that
    /// alone leaps ahead moves nothing further, because times go on from the highest, and one in a far year would hold
    /// the clock of all that follow.
    #[inline]
    pub(super) fn stamp(&mut self, received_at: Nanos) -> Nanos {
        let Some(highest) = self.highest else {
            self.highest = Some(received_at);
            return received_at;
        };
        let leaps = received_at > highest.saturating_add(JUMP_MAX);
        let confirmed = self.leap.is_some_and(|leap| received_at > leap.saturating_sub(JUMP_MAX));
        self.leap = (leaps && !confirmed).then_some(received_at);
        let next = highest.saturating_add(1);
        let stamp = if self.leap.is_some() { next } else { next.max(received_at) };
        self.has_leapt = leaps && confirmed;
        self.highest = Some(stamp);
        stamp
    }

    /// True if the last one leapt, and was confirmed: our clock was set, or nothing came for long.
    #[inline]
    pub(super) fn has_leapt(&self) -> bool {
        self.has_leapt
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use feeds::time::SECOND;

    #[test]
    fn stamps_rise_and_one_alone_does_not_carry_them_away() {
        let mut received = Received::default();
        let hour = 3_600 * SECOND;
        let mut leaps = Vec::new();
        let stamps: Vec<Nanos> = [5, 5, 4, 9, hour, 10, hour, hour + 1, hour]
            .into_iter()
            .map(|stamp| {
                let stamp = received.stamp(stamp);
                leaps.push(received.has_leapt());
                stamp
            })
            .collect();
        assert_eq!(stamps, [5, 6, 7, 9, 10, 11, 12, hour + 1, hour + 2]);
        assert_eq!(leaps.iter().position(|leapt| *leapt), Some(7));
        assert_eq!(leaps.iter().filter(|leapt| **leapt).count(), 1);
    }
}
