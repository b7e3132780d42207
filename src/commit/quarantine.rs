//! Symbols of a live run that are out of service: what their actors no longer hand in is made here.
//!
//! After a panic nobody knows what a symbol's state is worth. It is made again from its last snapshot and the tape behind
//! it, up to just before the entry at fault; its open windows come out `quarantined`, and what follows is rejected. That
//! is little work, so it is done where the epochs come by in order: no other symbol, no connection and no epoch in
//! flight notices.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::committer::CommitError;
use super::journal::tape_key;
use crate::actors::work::{Fault, ShareResult, Work};
use crate::codec::CodecError;
use crate::config::limits::FAULTS_MAX;
use crate::schema::faults::{self, StoredFault};
use crate::schema::run::Run;
use crate::schema::{Key, symbols, ticks};
use crate::store::{Family, Store, StoreError};
use crate::symbol::{Outcomes, SymbolState};
use crate::tape::Epoch;
use crate::tape::epoch::Joined;
use crate::window::Plan;

/// See the module.
#[derive(Default)]
pub(super) struct OutOfService {
    symbols: BTreeMap<u32, Stopped>,
}

/// A symbol that is out of service.
struct Stopped {
    /// From this entry on.
    from: u64,
    state: SymbolState,
}

impl OutOfService {
    /// Puts into `results` what the symbols that are out of service make of `work`, and takes out of service those at
    /// fault in it, which are returned. `run` is the run that `store` holds.
    ///
    /// # Errors
    /// [`CommitError::Fault`] if there are too many, or if a state cannot be made again; [`CommitError`] if the store
    /// cannot be read.
    pub(super) fn stand_in(
        &mut self,
        work: &Work,
        results: &mut Vec<ShareResult>,
        (store, run): (&dyn Store, &Run),
        plan: &Plan,
    ) -> Result<Vec<(u32, Fault)>, CommitError> {
        let mut found = Vec::new();
        for result in results.iter_mut() {
            if let Some(fault) = result.fault.take() {
                found.push((result.symbol, fault));
            }
        }
        results.retain(|result| !found.iter().any(|(symbol, _)| *symbol == result.symbol));
        for (symbol, fault) in &found {
            if self.symbols.len() >= FAULTS_MAX {
                return Err(CommitError::Fault(fault.clone()));
            }
            let state = guarded(fault, || state_before(*symbol, &work.epoch, store, run, plan))?;
            self.symbols.insert(*symbol, Stopped { from: fault.number, state });
        }
        for share in &work.epoch.shares {
            let Some(stopped) = self.symbols.get_mut(&share.symbol) else { continue };
            let mut out = Outcomes::default();
            for sequenced in work.epoch.of(share) {
                if sequenced.number >= stopped.from {
                    stopped.state.quarantine(plan, sequenced.number, &mut out);
                }
                stopped.state.apply(plan, sequenced.number, &sequenced.entry, &mut out);
            }
            let mut result = ShareResult::of(share.symbol, out, plan);
            if work.epoch.snapshot {
                result.take_snapshot(&stopped.state);
            }
            results.push(result);
        }
        Ok(found)
    }
}

/// What `work` returns; the fault itself if it panics, too: then the store and the tape do not give what they gave.
fn guarded<T>(fault: &Fault, work: impl FnOnce() -> Result<T, CommitError>) -> Result<T, CommitError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(CommitError::Fault(fault.clone())))
}

/// The state of a symbol before `epoch`, whose entries are not in the database yet.
fn state_before(
    symbol: u32,
    epoch: &Epoch,
    store: &dyn Store,
    run: &Run,
    plan: &Plan,
) -> Result<SymbolState, CommitError> {
    let (applied, snapshot) = snapshot(symbol, store, run)?;
    let mut state = match snapshot {
        Some(bytes) => SymbolState::decode(plan, &bytes).map_err(damaged("the state of a symbol"))?,
        None => {
            let joined = joined(symbol, epoch, store)?;
            SymbolState::joined(plan, &joined)
        }
    };
    // What came of these entries was committed with them.
    let mut out = Outcomes::default();
    for pair in store.scan(Family::Tape, &tape_key(applied + 1), None) {
        let (key, value) = pair?;
        let entries = ticks::decode_entries(&key, &value).map_err(damaged("the tape"))?;
        for (number, of, entry) in entries {
            if of == symbol && number < epoch.first {
                state.apply(plan, number, &entry, &mut out);
                out.clear();
            }
        }
    }
    Ok(state)
}

/// The symbol's last snapshot, and the entry that it is as of.
fn snapshot(symbol: u32, store: &dyn Store, run: &Run) -> Result<(u64, Option<Vec<u8>>), CommitError> {
    let applied = || -> Result<u64, CommitError> {
        match store.get(Family::Meta, &run.key())? {
            Some(value) => Ok(Run::decode(&value).map_err(damaged("a run"))?.applied),
            None => Ok(run.applied),
        }
    };
    loop {
        let before = applied()?;
        let state = store.get(Family::State, &Key::default().u32(symbol).bytes())?;
        // The writer may have a checkpoint in hand. It gets no further ones meanwhile, so this ends.
        if applied()? == before {
            return Ok((before, state));
        }
    }
}

fn joined(symbol: u32, epoch: &Epoch, store: &dyn Store) -> Result<Joined, CommitError> {
    if let Some(joined) = epoch.joined.iter().find(|joined| joined.number == symbol) {
        return Ok(joined.clone());
    }
    let key = symbols::key(symbol);
    let value = store.get(Family::Meta, &key)?.unwrap_or_default();
    symbols::decode(&key, &value).map_err(damaged("the name of a symbol"))
}

fn damaged(what: &str) -> impl FnOnce(CodecError) -> CommitError {
    let what = format!("{what} cannot be read");
    |_| CommitError::Store(StoreError::Damaged { path: Default::default(), what })
}

/// The faults that earlier runs, or this one, left in `store`.
///
/// # Errors
/// [`StoreError`] if they cannot be read.
pub fn stored(store: &dyn Store) -> Result<Vec<StoredFault>, StoreError> {
    let prefix = faults::prefix();
    let pairs = store.scan(Family::Meta, &prefix.clone().bytes(), prefix.next().as_deref());
    let faults = pairs.map(|pair| {
        let (key, value) = pair?;
        let what = "why a symbol is out of service cannot be read".to_owned();
        faults::decode(&key, &value).map_err(|_| StoreError::Damaged { path: Default::default(), what })
    });
    faults.collect()
}
