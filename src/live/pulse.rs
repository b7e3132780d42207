//! How a live run does, for whoever looks at it from another thread: pointers that are replaced, and counters.
//!
//! The run never waits for a reader. What it hands over it hands over whole, a few times a second at most.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::last::{LastTick, LastTicks};
use crate::actors::credit::Credit;
use crate::clock::{self, Stamp};
use crate::commit::alerts::AlertBoard;
use crate::commit::figures::{FigureBoard, Figures};
use crate::commit::open::OpenBoard;
use crate::commit::windows::WindowBoard;
use crate::config::limits::LAST_TICKS_EVERY;
use crate::feed::ConnectionStatus;
use crate::feed::backfill::WantsGauge;
use crate::feed::slot::SlotState;

/// What the feeds said when they were last asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// When.
    pub at: Stamp,
    /// How each connection does.
    pub connections: Arc<[ConnectionStatus]>,
    /// Deliveries that wait for the tape.
    pub waiting: usize,
    /// The tape's last entry then, and since when that is the last.
    pub tape: (u64, Stamp),
    /// Places among `connections` that have not yet had all subscriptions answered, and one granted, since the run began.
    pub unready: Arc<[usize]>,
}

/// See the module.
pub struct Pulse {
    begun: Stamp,
    run: u32,
    credit: Credit,
    board: FigureBoard,
    alerts: AlertBoard,
    wants: WantsGauge,
    /// The tape's last entry.
    taken: AtomicU64,
    waiting_max: AtomicUsize,
    asked: Mutex<Asked>,
    last: Mutex<Arc<[LastTick]>>,
    ended: AtomicBool,
}

impl Pulse {
    /// Of run `run`, whose tape goes on behind entry `taken`.
    pub(super) fn new(
        (run, taken): (u32, u64),
        credit: Credit,
        board: FigureBoard,
        alerts: AlertBoard,
        wants: WantsGauge,
    ) -> Pulse {
        let begun = clock::stamp();
        let asked = Asked {
            at: begun,
            connections: Arc::new([]),
            waiting: 0,
            tape: (taken, begun),
            unready: Arc::new([]),
        };
        Pulse {
            begun,
            run,
            credit,
            board,
            alerts,
            wants,
            taken: AtomicU64::new(taken),
            waiting_max: AtomicUsize::new(0),
            asked: Mutex::new(asked),
            last: Mutex::new(Arc::new([])),
            ended: AtomicBool::new(false),
        }
    }

    /// When the run began.
    #[must_use]
    pub fn begun(&self) -> Stamp {
        self.begun
    }

    /// The run's number in its database.
    #[must_use]
    pub fn run(&self) -> u32 {
        self.run
    }

    /// The number of the tape's last entry.
    #[must_use]
    pub fn tape(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// What is committed.
    #[must_use]
    pub fn committed(&self) -> Figures {
        self.board.read()
    }

    /// The windows, as they are committed.
    #[must_use]
    pub fn windows(&self) -> &WindowBoard {
        self.board.windows()
    }

    /// The windows that are open.
    #[must_use]
    pub fn open_windows(&self) -> &OpenBoard {
        self.board.open()
    }

    /// How far the alert log is committed.
    #[must_use]
    pub fn alerts(&self) -> &AlertBoard {
        &self.alerts
    }

    /// What is missing and waits to be asked for.
    #[must_use]
    pub fn wants(&self) -> &WantsGauge {
        &self.wants
    }

    /// Epochs and bytes between the sequencer and the commit.
    #[must_use]
    pub fn in_flight(&self) -> (usize, usize) {
        self.credit.in_flight()
    }

    /// What the feeds said last.
    #[must_use]
    pub fn asked(&self) -> Asked {
        lock(&self.asked).clone()
    }

    /// The most deliveries that were seen waiting.
    #[must_use]
    pub fn waiting_max(&self) -> usize {
        self.waiting_max.load(Ordering::Relaxed)
    }

    /// The last tick of every symbol.
    #[must_use]
    pub fn last(&self) -> Arc<[LastTick]> {
        lock(&self.last).clone()
    }

    /// True once the run was stopped and all of it is committed.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Notes what the feeds say now.
    pub(crate) fn ask(&self, connections: Vec<ConnectionStatus>, waiting: usize) {
        let now = clock::stamp();
        self.waiting_max.fetch_max(waiting, Ordering::Relaxed);
        let taken = self.tape();
        let mut asked = lock(&self.asked);
        // Places never go, so one that was not yet looked at has never been ready.
        let looked_at = asked.connections.len();
        let never_ready = |place: &usize| *place >= looked_at || asked.unready.contains(place);
        let is_waiting = |place: &usize| {
            let connection = &connections[*place];
            connection.streams > 0 && (connection.state != SlotState::Live || connection.is_refused())
        };
        let unready: Vec<usize> = (0..connections.len()).filter(never_ready).filter(is_waiting).collect();
        let since = if asked.tape.0 == taken { asked.tape.1 } else { now };
        *asked = Asked {
            at: now,
            connections: connections.into(),
            waiting,
            tape: (taken, since),
            unready: unready.into(),
        };
    }

    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

/// The run's side of it: gathers, and hands over when it is time.
pub(super) struct Heart {
    pulse: Arc<Pulse>,
    last: LastTicks,
    shown: Stamp,
}

impl Heart {
    pub(super) fn new(pulse: Pulse) -> Heart {
        Heart { shown: pulse.begun, pulse: Arc::new(pulse), last: LastTicks::default() }
    }

    pub(super) fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }

    pub(super) fn last(&mut self) -> &mut LastTicks {
        &mut self.last
    }

    /// The tape is at entry `taken` now.
    pub(super) fn beat(&mut self, taken: u64, now: Stamp) {
        self.pulse.taken.store(taken, Ordering::Relaxed);
        if now.since(self.shown) >= LAST_TICKS_EVERY {
            self.shown = now;
            let ticks = Arc::from(self.last.all());
            *lock(&self.pulse.last) = ticks;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
