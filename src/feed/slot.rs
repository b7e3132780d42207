//! The place of one connection: what is wanted on it, how it does, and what outlives its sockets and its actor.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use feeds::live::{Live, Stream};
use feeds::time::Nanos;
use feeds::venue::Venue;
use serde::Serialize;
use tokio::sync::{mpsc, watch};

use super::address::Address;
use super::budget::Budgets;
use super::connection::Phase;
use super::delivery::{ConnectionId, Delivery};
use super::dial::Dial;
use super::watch::Patience;

/// What all slots share.
pub struct Shared {
    /// How streams of bytes are opened.
    pub dial: Arc<dyn Dial>,
    /// Connects of the whole process.
    pub budgets: Arc<Budgets>,
    /// The way to the sequencer.
    pub deliveries: mpsc::Sender<Delivery>,
    /// The next connection's number.
    pub next: AtomicU32,
    /// Keepers so far, so that each has waits of its own.
    pub keepers: AtomicU64,
    /// What jitter follows from.
    pub seed: u64,
    /// The wall clock.
    pub wall: fn() -> Nanos,
}

impl Shared {
    /// Nanoseconds since 1970.
    #[must_use]
    pub fn now(&self) -> Nanos {
        (self.wall)()
    }

    /// A number never given before.
    pub fn number(&self) -> ConnectionId {
        ConnectionId(self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// What a slot is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotState {
    /// Waits before the next attempt, or for the budget.
    Waiting,
    /// Opens a connection.
    Connecting,
    /// Open; not all subscriptions are confirmed.
    Subscribing,
    /// Open, and every subscription is confirmed, refused or bringing data.
    Live,
    /// Ended by us, for good.
    Stopped,
}

const STATES: [SlotState; 5] =
    [SlotState::Waiting, SlotState::Connecting, SlotState::Subscribing, SlotState::Live, SlotState::Stopped];

/// Counters of a slot, over all its connections.
#[derive(Debug, Default)]
pub struct Counters {
    state: AtomicU8,
    /// Since when it is in that state, by the wall clock; 0 before the first.
    since: AtomicI64,
    /// Connections that were opened.
    pub connections: AtomicU64,
    /// Attempts that failed before the connection was open.
    pub failures: AtomicU64,
    /// Frames.
    pub frames: AtomicU64,
    /// Bytes of frames.
    pub bytes: AtomicU64,
    /// When the last frame came, by the wall clock; 0 before the first.
    pub last_frame_at: AtomicI64,
    /// Alarms.
    pub alarms: AtomicU64,
    /// Complaints of the venue.
    pub complaints: AtomicU64,
    /// Messages of the venue's own counting that are missing.
    pub skipped: AtomicU64,
    /// Counters that began again.
    pub restarted: AtomicU64,
    /// Frames that could not be handed on before a connection was dropped for that.
    pub undelivered: AtomicU64,
    /// Times that the actor was made again after a panic.
    pub revived: AtomicU64,
}

/// How one connection does.
#[derive(Clone, Debug, Serialize)]
pub struct ConnectionStatus {
    /// The venue's id.
    pub venue: &'static str,
    /// Where, without secrets.
    pub address: String,
    /// What it is doing.
    pub state: SlotState,
    /// Since when, nanoseconds since 1970 by the wall clock.
    pub since: Option<i64>,
    /// Streams that are wanted.
    pub streams: usize,
    /// Of those, confirmed or bringing data.
    pub acknowledged: u64,
    /// Of those, refused.
    pub refused: u64,
    /// Which: `NATIVE trades`. They are asked for again.
    pub refused_streams: Vec<String>,
    /// Frames so far, over all connections of this place.
    pub frames: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// Connections after the first.
    pub reconnects: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// When the last frame came, nanoseconds since 1970 by the wall clock.
    pub last_frame_at: Option<i64>,
    /// Alarms so far.
    pub alarms: u64,
    /// Complaints of the venue so far.
    pub complaints: u64,
    /// Messages missing by the venue's own counting.
    pub skipped: u64,
    /// Counters that began again.
    pub restarted: u64,
    /// Frames lost because the engine did not take them in time.
    pub undelivered: u64,
    /// Times that the connection's actor had to be made again.
    pub revived: u64,
    /// Streams that have brought nothing for too long: `NATIVE trades`.
    pub silent: Vec<String>,
    /// Why the last connection or attempt ended.
    pub last_end: Option<String>,
}

impl ConnectionStatus {
    /// It brings nothing of what is wanted, because the venue refused it.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.refused > 0 && self.acknowledged == 0
    }
}

/// See the module.
pub struct Slot {
    /// What it shares with the others.
    pub shared: Arc<Shared>,
    /// Whose.
    pub venue: &'static dyn Venue,
    /// The venue's limits.
    pub live: &'static Live,
    /// Which of the venue's routes.
    pub route: usize,
    /// Where it goes.
    pub address: Address,
    /// Where it would go without an override: the budget's name.
    pub host: String,
    /// The override itself, for addresses that the venue gives.
    pub base: Option<Address>,
    /// How long a stream may bring nothing.
    pub silence: Duration,
    /// Its counters.
    pub counters: Counters,
    /// Tells keepers and connections that `wanted` changed.
    pub changes: watch::Sender<u64>,
    /// True when it is to end.
    pub stopping: watch::Sender<bool>,
    /// True when it has ended.
    pub done: watch::Sender<bool>,
    /// Connections that were told to the sequencer as opened, and not yet as closed.
    pub open: Mutex<BTreeSet<ConnectionId>>,
    /// What the current connection says of itself.
    pub current: Mutex<Arc<Phase>>,
    wanted: Mutex<BTreeSet<Stream>>,
    patience: Mutex<Patience>,
    last_end: Mutex<Option<String>>,
}

impl Slot {
    /// The place for `streams` on `route` of `venue`, at `address`.
    #[must_use]
    pub fn new(
        shared: Arc<Shared>,
        venue: (&'static dyn Venue, &'static Live),
        route: (usize, Address, Option<Address>),
        silence: Duration,
        streams: &[Stream],
    ) -> Slot {
        let (route, address, base) = route;
        let target = match &base {
            Some(base) => address.moved_to(base),
            None => address.clone(),
        };
        Slot {
            shared,
            venue: venue.0,
            live: venue.1,
            route,
            address: target,
            host: address.host,
            base,
            silence,
            counters: Counters::default(),
            changes: watch::Sender::new(0),
            stopping: watch::Sender::new(false),
            done: watch::Sender::new(false),
            open: Mutex::default(),
            current: Mutex::default(),
            wanted: Mutex::new(streams.iter().cloned().collect()),
            patience: Mutex::new(BTreeMap::new()),
            last_end: Mutex::default(),
        }
    }

    /// The streams that are wanted.
    #[must_use]
    pub fn wanted(&self) -> BTreeSet<Stream> {
        lock(&self.wanted).clone()
    }

    /// Changes what is wanted, and tells the connection.
    pub fn want(&self, change: impl FnOnce(&mut BTreeSet<Stream>)) {
        change(&mut lock(&self.wanted));
        self.changes.send_modify(|version| *version += 1);
    }

    /// The patience with its streams.
    pub fn patience(&self) -> MutexGuard<'_, Patience> {
        lock(&self.patience)
    }

    /// The slot is doing `state`.
    pub fn enter(&self, state: SlotState) {
        let number = STATES.iter().position(|known| *known == state).unwrap_or(0);
        let before = self.counters.state.swap(number as u8, Ordering::Relaxed);
        if usize::from(before) != number || self.counters.since.load(Ordering::Relaxed) == 0 {
            self.counters.since.store(self.shared.now(), Ordering::Relaxed);
        }
    }

    /// What it is doing.
    #[must_use]
    pub fn state(&self) -> SlotState {
        STATES[usize::from(self.counters.state.load(Ordering::Relaxed)).min(STATES.len() - 1)]
    }

    /// A connection or an attempt ended.
    pub fn ended(&self, why: &str) {
        *lock(&self.last_end) = Some(why.to_owned());
    }

    /// How it does.
    #[must_use]
    pub fn status(&self) -> ConnectionStatus {
        let counters = &self.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let current = lock(&self.current).clone();
        let refused = lock(&current.refused).clone();
        let named = |stream: &Stream| format!("{} {}", stream.native, stream.channel.name());
        let some = |time: &AtomicI64| Some(time.load(Ordering::Relaxed)).filter(|time| *time != 0);
        ConnectionStatus {
            venue: self.venue.id(),
            address: self.address.shown(),
            state: self.state(),
            since: some(&counters.since),
            streams: lock(&self.wanted).len(),
            acknowledged: read(&current.acknowledged),
            refused: refused.len() as u64,
            refused_streams: refused.iter().map(named).collect(),
            frames: read(&counters.frames),
            bytes: read(&counters.bytes),
            reconnects: read(&counters.connections).saturating_sub(1),
            failures: read(&counters.failures),
            last_frame_at: some(&counters.last_frame_at),
            alarms: read(&counters.alarms),
            complaints: read(&counters.complaints),
            skipped: read(&counters.skipped),
            restarted: read(&counters.restarted),
            undelivered: read(&counters.undelivered),
            revived: read(&counters.revived),
            silent: lock(&current.silent).iter().map(named).collect(),
            last_end: lock(&self.last_end).clone(),
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
