//! When time alone changes a symbol: clock entries at whole seconds of the receive time.
//!
//! Every clock entry holds for every symbol. It is *sent* only to those for which something comes due; the others
//! are brought up to date with their next tick. Both give the same state.

use feeds::offset::{OffsetWindow, STEP};
use feeds::tick::Tick;
use feeds::time::{Nanos, SECOND};

use crate::window::Plan;

/// How long a leap of the receive time holds back what the clock says of a connection's time, if nothing comes that shows
/// whether the clocks still differ as they did: what is still on the line comes within that.
const HELD: Nanos = 60 * SECOND;

/// What is known of a symbol without asking it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pulse {
    /// The connection that its last tick came from.
    pub(crate) connection: usize,
    /// The frontier that its ticks have set.
    pub(crate) frontier: Nanos,
    /// No tick of it is newer.
    pub(crate) newest: Nanos,
    /// The last clock frontier sent to it.
    pub(crate) clocked: Nanos,
    /// It is in the list of those that may come due.
    pub(crate) awake: bool,
}

/// The offset of an input whose decoder does not estimate it.
#[derive(Default)]
pub(super) struct Estimate {
    pub(super) by_decoder: bool,
    pub(super) window: OffsetWindow,
    /// How long its last timed tick was on its way, by two clocks: more than the offset where the venue, the network
    /// or we are behind.
    pub(super) lag: Option<Nanos>,
}

/// The estimates of all connections.
#[derive(Default)]
pub(super) struct Estimates(Vec<Estimate>);

impl Estimates {
    /// That of `connection`.
    pub(super) fn of(&mut self, connection: usize) -> &mut Estimate {
        if self.0.len() <= connection {
            self.0.resize_with(connection + 1, Estimate::default);
        }
        &mut self.0[connection]
    }
}

impl Estimate {
    /// Takes a timed tick; the offset that it leads to, where that is not the decoder's. What is rejected because it is
    /// not `on_time` says nothing of it, unless it `is_far` off, so that another must confirm it anyway.
    pub(super) fn observe(
        &mut self,
        tick: &Tick,
        received_at: Nanos,
        on_time: bool,
        is_far: bool,
    ) -> Option<Nanos> {
        if on_time && !tick.history && !tick.excluded {
            self.lag = Some(received_at.saturating_sub(tick.exchange_ts));
        }
        let says = !self.by_decoder && (on_time || is_far);
        if says { self.window.observe(received_at, tick.exchange_ts) } else { None }
    }
}

/// The clocks of all connections.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    /// The whole second at which the next entry is due.
    next: Option<Nanos>,
    connections: Vec<ConnectionClock>,
    /// Connections may be held back until then.
    held: Option<Nanos>,
}

#[derive(Clone, Debug)]
struct ConnectionClock {
    offset: Option<Nanos>,
    /// The highest frontier that a clock entry has set.
    frontier: Nanos,
    /// Nothing has come since the last leap that shows that the offset holds.
    is_held: bool,
}

impl Pulse {
    pub(crate) fn new(connection: usize, frontier: Nanos, newest: Nanos) -> Pulse {
        Pulse { connection, frontier, newest, clocked: Nanos::MIN, awake: false }
    }

    /// True if a frontier of `target` would emit or settle something; `None` if nothing ever will.
    pub(crate) fn comes_due(&self, plan: &Plan, target: Nanos) -> Option<bool> {
        let frontier = self.frontier.max(self.clocked);
        if target <= frontier {
            return Some(false);
        }
        plan.next_due(self.newest, frontier).map(|due| due <= target)
    }
}

impl Clock {
    /// Takes a receive time; true if it crosses a whole second, which is an entry before it.
    #[inline]
    pub(crate) fn crosses(&mut self, received_at: Nanos) -> bool {
        match self.next {
            Some(next) if received_at < next => false,
            known => {
                let second = received_at.div_euclid(SECOND) * SECOND;
                self.next = Some(second + SECOND);
                known.is_some()
            }
        }
    }

    /// Makes the clock entry for the second that was just crossed.
    pub(crate) fn strike(&mut self, plan: &Plan) {
        let Some(second) = self.next.map(|next| next - SECOND) else { return };
        self.held = self.held.filter(|until| second < *until);
        for connection in &mut self.connections {
            if self.held.is_some() && connection.is_held {
                continue;
            }
            // Without an offset nothing is known of the venue's time.
            let Some(offset) = connection.offset else { continue };
            connection.frontier =
                connection.frontier.max(second.saturating_sub(offset).saturating_sub(plan.idle));
        }
    }

    /// The second that was crossed last.
    #[inline]
    pub(crate) fn second(&self) -> Nanos {
        self.next.map_or(0, |next| next - SECOND)
    }

    /// A new estimate of the offset of `connection`; true if it is far from the one before, so that a clock was set.
    pub(crate) fn set_offset(&mut self, connection: usize, offset: Nanos) -> bool {
        let known = self.of(connection).offset.replace(offset);
        known.is_some_and(|known| known.abs_diff(offset) > STEP.unsigned_abs())
    }

    /// Receive time has leapt to `received_at`.
    pub(crate) fn hold(&mut self, received_at: Nanos) {
        self.held = Some(received_at.saturating_add(HELD));
        for connection in &mut self.connections {
            connection.is_held = true;
        }
    }

    /// A tick of `connection` was on its way for `sample`, by two clocks.
    #[inline]
    pub(crate) fn see(&mut self, connection: usize, sample: Nanos) {
        if self.held.is_some()
            && self.offset(connection).is_some_and(|offset| sample.abs_diff(offset) <= STEP.unsigned_abs())
        {
            self.of(connection).is_held = false;
        }
    }

    /// The estimate of the offset of `connection`.
    #[inline]
    pub(crate) fn offset(&self, connection: usize) -> Option<Nanos> {
        self.connections.get(connection).and_then(|clock| clock.offset)
    }

    /// The frontier that the clock gives symbols of `connection`.
    #[inline]
    pub(crate) fn frontier(&self, connection: usize) -> Nanos {
        self.connections.get(connection).map_or(Nanos::MIN, |clock| clock.frontier)
    }

    fn of(&mut self, connection: usize) -> &mut ConnectionClock {
        if self.connections.len() <= connection {
            self.connections.resize(
                connection + 1,
                ConnectionClock { offset: None, frontier: Nanos::MIN, is_held: false },
            );
        }
        &mut self.connections[connection]
    }
}
