//! Keeps a slot's connection open: for ever, by waiting longer and longer, and by overlapping where it can foresee an end.

use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use super::backoff::Backoff;
use super::connection::{End, Phase, run};
use super::delivery::Delivery;
use super::slot::{Slot, SlotState, lock};

/// A connection that was open for so long was a good one: the next wait is the first again.
const STABLE: Duration = Duration::from_secs(60);
/// Connections end by age up to so much apart.
const LIFETIME_JITTER: Duration = Duration::from_secs(1_800);

type Running = Pin<Box<dyn Future<Output = (u64, End)>>>;

struct Handle {
    phase: Arc<Phase>,
    leave: watch::Sender<Option<String>>,
    started: Instant,
}

/// A slot's connections: the current one, perhaps its successor, and those that are on their way out.
struct Keeper {
    slot: Arc<Slot>,
    backoff: Backoff,
    running: FuturesUnordered<Running>,
    handles: BTreeMap<u64, Handle>,
    current: Option<u64>,
    successor: Option<u64>,
    /// When the next connection is begun.
    start_at: Option<Instant>,
    begun: u64,
    news: Arc<Notify>,
    troubles: Troubles,
}

/// Attempts that failed and connections that ended without our wish, in a row. They are told ever more seldom: a venue
/// that is away for a night must be in the log, and must not fill it.
#[derive(Default)]
struct Troubles {
    row: u64,
    /// It is known that a connection was up since.
    is_over: bool,
}

impl Troubles {
    /// One more. True if it is to be told: the 1st, 2nd, 4th, 8th, … in a row.
    fn add(&mut self) -> bool {
        self.row += 1;
        self.is_over = false;
        self.row.is_power_of_two()
    }

    /// A connection is up. How many there were before, if that is news.
    fn end(&mut self) -> Option<u64> {
        (self.row > 0 && !std::mem::replace(&mut self.is_over, true)).then_some(self.row)
    }
}

/// Keeps `slot` until it is told to stop; then every connection is closed and was delivered as closed.
pub async fn keep(slot: Arc<Slot>) {
    close_leftovers(&slot).await;
    let seed = slot.shared.seed
        ^ slot.shared.keepers.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut keeper = Keeper {
        backoff: Backoff::new(seed),
        running: FuturesUnordered::new(),
        handles: BTreeMap::new(),
        current: None,
        successor: None,
        start_at: None,
        begun: 0,
        news: Arc::new(Notify::new()),
        troubles: Troubles::default(),
        slot: slot.clone(),
    };
    keeper.keep().await;
    slot.enter(SlotState::Stopped);
    slot.done.send_replace(true);
}

/// An actor that panicked left connections that nobody told the sequencer the end of.
async fn close_leftovers(slot: &Slot) {
    let leftovers = std::mem::take(&mut *lock(&slot.open));
    for connection in leftovers {
        let why = "its actor ended unexpectedly".to_owned();
        let (received_at, rest) = (slot.shared.now(), Box::default());
        let closed = Delivery::Closed { connection, why, received_at, rest, broken_off: true };
        let _ = slot.shared.deliveries.send(closed).await;
    }
}

impl Keeper {
    async fn keep(&mut self) {
        let mut stopping = self.slot.stopping.subscribe();
        let mut changes = self.slot.changes.subscribe();
        while !*stopping.borrow() {
            self.decide();
            let start_at = self.start_at;
            let start = async {
                match start_at {
                    Some(at) => sleep_until(at).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                _ = stopping.changed() => {}
                _ = changes.changed() => {}
                Some((number, end)) = self.running.next() => self.ended(number, &end),
                () = self.news.notified() => {}
                () = start => self.begin(),
            }
        }
        for handle in self.handles.values() {
            handle.leave.send_replace(Some("stopped".to_owned()));
        }
        while let Some((number, end)) = self.running.next().await {
            self.ended(number, &end);
        }
    }

    /// What is to be done as things stand.
    fn decide(&mut self) {
        if self.slot.wanted().is_empty() {
            // Nothing to carry: the next stream that is wanted opens it again.
            for number in [self.current.take(), self.successor.take()].into_iter().flatten() {
                self.dismiss(number, "nothing is wanted of it");
            }
            self.start_at = None;
            self.slot.enter(SlotState::Waiting);
            return;
        }
        if let Some(successor) = self.successor
            && self.may_take_over(successor)
        {
            if let Some(old) = self.current {
                let why = self.handles.get(&old).and_then(|handle| lock(&handle.phase.replace).clone());
                self.dismiss(old, &format!("replaced: {}", why.unwrap_or_default()));
            }
            self.promote();
        }
        if self.slot.state() == SlotState::Live
            && let Some(troubles) = self.troubles.end()
        {
            let (venue, address) = (self.slot.venue.id(), self.slot.address.shown());
            tracing::info!(venue, address, troubles, "a connection is up again");
        }
        if self.start_at.is_some() || self.successor.is_some() {
            return;
        }
        let Some(current) = self.current.and_then(|current| self.handles.get(&current)) else {
            self.start_at = Some(Instant::now());
            return;
        };
        if lock(&current.phase.replace).is_some() {
            // A venue that ends every connection at once must not make us connect in a circle.
            let is_good = current.started.elapsed() >= STABLE;
            let wait = if is_good { Duration::ZERO } else { self.backoff.next(None) };
            self.start_at = Some(Instant::now() + wait);
        }
    }

    /// Everything that `successor` was to carry is answered, and nothing was refused that the current one carries. Else
    /// that one stays for as long as it lives.
    fn may_take_over(&self, successor: u64) -> bool {
        let Some(successor) = self.handles.get(&successor) else { return false };
        let Some(current) = self.current.and_then(|current| self.handles.get(&current)) else { return true };
        let refused = lock(&successor.phase.refused);
        let (missing, silent) = (lock(&current.phase.refused), lock(&current.phase.silent));
        successor.phase.is_ready.load(Ordering::Relaxed)
            && refused.iter().all(|stream| missing.contains(stream) || silent.contains(stream))
    }

    fn begin(&mut self) {
        self.start_at = None;
        let number = self.begun;
        self.begun += 1;
        let phase = Arc::new(Phase { news: self.news.clone(), ..Phase::default() });
        let (leave, left) = watch::channel(None);
        if self.current.is_some() {
            phase.is_successor.store(true, Ordering::Relaxed);
            self.successor = Some(number);
        } else {
            self.current = Some(number);
            *lock(&self.slot.current) = phase.clone();
            self.slot.enter(SlotState::Waiting);
        }
        let (slot, jitter) = (self.slot.clone(), self.backoff.jitter(LIFETIME_JITTER));
        let connection = run(slot, phase.clone(), left, jitter);
        self.handles.insert(number, Handle { phase, leave, started: Instant::now() });
        self.running.push(Box::pin(async move { (number, connection.await) }));
    }

    /// The successor takes the current one's place.
    fn promote(&mut self) {
        self.current = self.successor.take();
        let Some(handle) = self.current.and_then(|current| self.handles.get(&current)) else { return };
        handle.phase.is_successor.store(false, Ordering::Relaxed);
        *lock(&self.slot.current) = handle.phase.clone();
        let is_ready = handle.phase.is_ready.load(Ordering::Relaxed);
        self.slot.enter(if is_ready { SlotState::Live } else { SlotState::Subscribing });
    }

    fn dismiss(&mut self, number: u64, why: &str) {
        if let Some(handle) = self.handles.get(&number) {
            handle.leave.send_replace(Some(why.to_owned()));
        }
    }

    fn ended(&mut self, number: u64, end: &End) {
        let is_ours = self.handles.remove(&number).is_some_and(|handle| handle.leave.borrow().is_some());
        self.slot.ended(&end.why);
        if let Some(asked) = end.asked {
            self.slot.shared.budgets.hold(&self.slot.host, asked.min(super::backoff::ASKED_LONGEST));
        }
        if end.lived.is_some_and(|lived| lived >= STABLE) {
            self.backoff.reset();
            self.troubles.row = 0;
        }
        self.tell(end, is_ours);
        let was_current = self.current == Some(number);
        if was_current {
            self.promote();
        } else if self.successor == Some(number) {
            self.successor = None;
        } else {
            return;
        }
        // Where its end was foreseen, the next one has its time already: waiting anew would make a warning cost more.
        let is_planned = self.start_at.is_some() && end.asked.is_none();
        if !is_planned && (!was_current || self.current.is_none()) {
            self.start_at = Some(Instant::now() + self.backoff.next(end.asked));
        }
        if self.current.is_none() {
            self.slot.enter(SlotState::Waiting);
            *lock(&self.slot.current) = Arc::default();
        }
    }
    /// Says that a connection or an attempt has ended: for who looks closely, or, without our wish, for all.
    fn tell(&mut self, end: &End, is_ours: bool) {
        let (venue, address, why) = (self.slot.venue.id(), self.slot.address.shown(), &end.why);
        let what = if end.lived.is_some() { "a connection has ended" } else { "no connection" };
        if !is_ours && self.troubles.add() {
            tracing::warn!(venue, address, why, in_a_row = self.troubles.row, "{what}");
        } else {
            tracing::info!(venue, address, why, "{what}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn troubles_are_told_at_first_and_then_ever_more_seldom_and_their_end_once() {
        let mut troubles = Troubles::default();
        assert_eq!(troubles.end(), None, "a first connection is no news");
        let told: Vec<u64> = (1..=20).filter(|_| troubles.add()).collect();
        assert_eq!(told, [1, 2, 4, 8, 16]);
        assert_eq!((troubles.end(), troubles.end()), (Some(20), None));
        // One that lived long enough begins a new row.
        troubles.row = 0;
        assert!(troubles.add());
        assert_eq!(troubles.end(), Some(1));
    }
}
