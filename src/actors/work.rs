//! An epoch on its way through the symbol actors, and what each made of its share.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::Sender;
use feeds::symbol::Symbol;
use feeds::tick::Tick;

use crate::alert::judge::Judged;
use crate::schema::rows::Emissions;
use crate::symbol::ledger::Ledger;
use crate::symbol::{GapChange, Outcomes, Repair, SymbolState};
use crate::tape::Epoch;
use crate::tape::epoch::Share;
use crate::window::{Emission, Plan};

/// An epoch in flight.
pub struct Work {
    /// The entries.
    pub epoch: Epoch,
    /// Its place among all epochs of the engine. (Tape numbers do not tell: an epoch may have none.)
    pub place: u64,
    /// The credit that it took.
    pub bytes: usize,
    pending: AtomicUsize,
    results: Mutex<Vec<ShareResult>>,
    shown: Mutex<Vec<Shown>>,
    done: Sender<Arc<Work>>,
}

/// An entry that a symbol's work panicked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The symbol.
    pub symbol: Symbol,
    /// The entry's tape number.
    pub number: u64,
    /// What the panic says.
    pub cause: String,
}

/// How a symbol's open windows stand: no result, and none's cause.
#[derive(Debug)]
pub struct Shown {
    /// The symbol's number.
    pub symbol: u32,
    /// Each open window once, as if it were emitted now.
    pub rows: Emissions,
}

impl Shown {
    /// The open windows of the symbol of this number.
    #[must_use]
    pub fn of(symbol: u32, open: &[Emission], plan: &Plan) -> Shown {
        let mut rows = Emissions::default();
        for window in open {
            rows.push(window, plan.windows()[window.window].size);
        }
        Shown { symbol, rows }
    }
}

/// What a symbol made of its share of an epoch.
#[derive(Debug, Default)]
pub struct ShareResult {
    /// The symbol's number.
    pub symbol: u32,
    /// Windows.
    pub emissions: Emissions,
    /// Ticks that came too late, with their numbers.
    pub late: Vec<(u64, Tick)>,
    /// Changes to what is missing.
    pub gaps: Vec<GapChange>,
    /// What final windows lacked.
    pub repairs: Vec<Repair>,
    /// What the rules say.
    pub judged: Judged,
    /// The state as of the epoch's end, if it was asked for, and its ledger.
    pub snapshot: Option<(Vec<u8>, Ledger)>,
    /// The entry that it could not apply, if there was one. Nothing else is handed in then.
    pub fault: Option<Fault>,
}

impl ShareResult {
    /// What came of applying entries to the symbol of this number.
    #[must_use]
    pub fn of(symbol: u32, outcomes: Outcomes, plan: &Plan) -> ShareResult {
        let mut emissions = Emissions::default();
        for emission in &outcomes.windows {
            emissions.push(emission, plan.windows()[emission.window].size);
        }
        let Outcomes { late, gaps, repairs, judged, .. } = outcomes;
        ShareResult { symbol, emissions, late, gaps, repairs, judged, snapshot: None, fault: None }
    }

    /// Adds the state as it is now.
    pub fn take_snapshot(&mut self, state: &SymbolState) {
        let mut bytes = Vec::new();
        state.encode(&mut bytes);
        self.snapshot = Some((bytes, *state.ledger()));
    }

    fn is_empty(&self) -> bool {
        self.emissions.heads.is_empty()
            && self.late.is_empty()
            && self.gaps.is_empty()
            && self.repairs.is_empty()
            && self.judged.is_empty()
            && self.snapshot.is_none()
            && self.fault.is_none()
    }
}

impl Work {
    /// The work on `epoch`, and the permits for its shares. When the last permit is dropped, whatever the reason, the
    /// work goes to `done`.
    #[must_use]
    pub fn new(
        epoch: Epoch,
        place: u64,
        done: Sender<Arc<Work>>,
    ) -> (Arc<Work>, Vec<(Share, Permit)>, Permit) {
        let bytes = epoch.bytes();
        let shares = epoch.shares.clone();
        let pending = AtomicUsize::new(shares.len() + 1);
        let (results, shown) = (Mutex::default(), Mutex::default());
        let work = Arc::new(Work { epoch, place, bytes, pending, results, shown, done });
        let permits = shares.into_iter().map(|share| (share, Permit(Arc::clone(&work)))).collect();
        let own = Permit(Arc::clone(&work));
        (work, permits, own)
    }

    /// What the symbols made of it, in the order in which they were done.
    #[must_use]
    pub fn take_results(&self) -> Vec<ShareResult> {
        std::mem::take(&mut *self.results.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How open windows stood when it was done.
    #[must_use]
    pub fn take_shown(&self) -> Vec<Shown> {
        std::mem::take(&mut *self.shown.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One share's hold on its epoch: given back by being dropped, so that a panic cannot keep it.
pub struct Permit(Arc<Work>);

impl Permit {
    /// The epoch.
    #[must_use]
    pub fn epoch(&self) -> &Epoch {
        &self.0.epoch
    }

    /// A further hold on the same epoch.
    #[must_use]
    pub fn another(&self) -> Permit {
        self.0.pending.fetch_add(1, Ordering::Relaxed);
        Permit(Arc::clone(&self.0))
    }

    /// Hands in a look.
    pub fn show(&self, shown: Shown) {
        self.0.shown.lock().unwrap_or_else(PoisonError::into_inner).push(shown);
    }

    /// Hands in what the symbol made of its share.
    pub fn hand_in(&self, result: ShareResult) {
        if !result.is_empty() {
            self.0.results.lock().unwrap_or_else(PoisonError::into_inner).push(result);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.0.pending.fetch_sub(1, Ordering::AcqRel) == 1 {
            // The channel has room for every epoch that credit lets into flight; it is gone only if the committer is.
            let _ = self.0.done.try_send(Arc::clone(&self.0));
        }
    }
}
