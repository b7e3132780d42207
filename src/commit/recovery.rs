//! Recovery of a live run that ended without a checkpoint: its snapshots, and the tape behind them.
//!
//! What was committed is applied again, symbol by symbol, and made a checkpoint. Emissions come out as they did, and stand
//! beside the same that are in the database already. What a backfill revised was committed with the entry that brought it,
//! and is left as it is.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ::feeds::symbol::Symbol;

use super::checkpoint::Checkpoint;
use super::journal::tape_key;
use super::quarantine;
use crate::actors::symbol::text_of;
use crate::actors::work::ShareResult;
use crate::alert::dispatch::take;
use crate::alert::judge::Judged;
use crate::clock;
use crate::codec::CodecError;
use crate::schema::feeds::{self, Feed};
use crate::schema::head::{self, Head};
use crate::schema::run::Run;
use crate::schema::{Key, alerts, faults, symbols, ticks};
use crate::store::{Family, Store, StoreError};
use crate::symbol::{Entry, Outcomes, SymbolState};
use crate::tape::epoch::Joined;
use crate::window::Plan;

/// Why a run cannot be recovered.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What it holds cannot be read.
    #[error("the database is damaged: {what} cannot be read")]
    Damaged {
        /// What.
        what: String,
    },
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Entries behind the last checkpoint.
    pub entries: u64,
    /// The last entry of the tape.
    pub applied: u64,
    /// Symbols that panicked, and are out of service from that entry on.
    pub faults: Vec<(String, u64)>,
}

fn damaged(what: impl Into<String>) -> impl FnOnce(CodecError) -> RecoveryError {
    |_| RecoveryError::Damaged { what: what.into() }
}

/// Recovers the last run, `run`, under the rulebooks `books` of the database, if the tape in the database, or what is counted of its frames, goes beyond its last
/// checkpoint.
///
/// # Errors
/// [`RecoveryError`]; nothing was changed then.
pub fn recover(
    store: &Arc<dyn Store>,
    plan: &Plan,
    run: &Run,
    books: &[(u64, u32, String)],
) -> Result<Option<Recovered>, RecoveryError> {
    let Some(value) = store.get(Family::Meta, &head::key())? else { return Ok(None) };
    let head = Head::decode(&value).map_err(damaged("the end of the tape"))?;
    if head.run != run.number || (head.applied <= run.applied && head.frames.is_empty()) {
        return Ok(None);
    }
    let mut joined = joined_symbols(&**store)?;
    let mut shares: BTreeMap<u32, Vec<(u64, Entry)>> = BTreeMap::new();
    // A symbol that joined behind the checkpoint has a state only from here on, whether it had a tick or not.
    for symbol in joined.values() {
        if store.get(Family::State, &state_key(symbol.number))?.is_none() {
            shares.insert(symbol.number, Vec::new());
        }
    }
    for pair in store.scan(Family::Tape, &tape_key(run.applied + 1), None) {
        let (key, value) = pair?;
        for (number, symbol, entry) in ticks::decode_entries(&key, &value).map_err(damaged("the tape"))? {
            shares.entry(symbol).or_default().push((number, entry));
        }
    }
    let (mut faults, mut new_faults) = (Vec::new(), Vec::new());
    let known = quarantine::stored(&**store)?;
    let mut checkpoint = Checkpoint { is_recovered: true, ..Checkpoint::default() };
    let mut said: Vec<(Symbol, Judged)> = Vec::new();
    for (number, entries) in shares {
        let symbol = joined
            .remove(&number)
            .ok_or_else(|| RecoveryError::Damaged { what: format!("the name of symbol {number}") })?;
        let known = known.iter().find(|fault| fault.symbol == number && fault.number > run.applied);
        let (mut result, fault) = apply(store, plan, &symbol, &entries, known.map(|fault| fault.number))?;
        if let Some((at, cause)) = fault {
            faults.push((symbol.symbol.to_string(), at));
            new_faults.push((faults::key(number), faults::encode(at, &cause)));
        }
        said.push((symbol.symbol, std::mem::take(&mut result.judged)));
        checkpoint.results.push(result);
    }
    let mut dispatch = alerts::dispatch(&**store, plan, run.rules_before)?;
    let said = said.iter_mut().map(|(symbol, judged)| (symbol.as_str(), std::mem::take(judged)));
    let changes: Vec<(u64, u32, String)> =
        books.iter().filter(|(at, ..)| *at > run.applied).cloned().collect();
    // What it says is in the log already.
    let _ = take(&mut dispatch, said.collect(), &changes, &plan.books);
    dispatch.encode(&mut checkpoint.dispatch);
    let recovered = Recovered { entries: head.applied - run.applied, applied: head.applied, faults };
    // Alerts were committed with the entries that caused them.
    let alerts = alerts::last(&**store, run.alerts)?;
    let run =
        Run { applied: head.applied, ticks: head.ticks, alerts, committed_at: clock::wall(), ..run.clone() };
    let mut batch = checkpoint.batch(&run);
    for (key, value) in new_faults {
        batch.put(Family::Meta, key, value);
    }
    // Without what is added now: recovery may be cut short behind this, and then begins again.
    batch.put(Family::Meta, head::key(), Head { frames: Vec::new(), ..head.clone() }.encode());
    for (input, more) in &head.frames {
        let key = feeds::key(run.number, *input);
        let value = store.get(Family::Meta, &key)?.unwrap_or_default();
        let mut feed = Feed::decode(&value).map_err(damaged(format!("the frames of input {input}")))?;
        feed.add(more);
        batch.put(Family::Meta, key, feed.encode());
    }
    store.commit(&batch, true)?;
    Ok(Some(recovered))
}

/// Applies a symbol's entries to its snapshot, out of service from entry `known` on; and the entry that it panicked at, if
/// it did, with what the panic says.
fn apply(
    store: &Arc<dyn Store>,
    plan: &Plan,
    joined: &Joined,
    entries: &[(u64, Entry)],
    known: Option<u64>,
) -> Result<(ShareResult, Option<(u64, String)>), RecoveryError> {
    let begin = || -> Result<SymbolState, RecoveryError> {
        match store.get(Family::State, &state_key(joined.number))? {
            None => Ok(SymbolState::joined(plan, joined)),
            Some(bytes) => {
                let state = SymbolState::decode(plan, &bytes);
                let state = state.map_err(damaged(format!("the state of {}", joined.symbol)))?;
                Ok(state.named(&joined.symbol))
            }
        }
    };
    let (mut from, mut fault) = (known, None);
    loop {
        let (mut state, mut out, mut at) = (begin()?, Outcomes::default(), 0);
        let applied = catch_unwind(AssertUnwindSafe(|| {
            for (number, entry) in entries {
                at = *number;
                if from.is_some_and(|from| at >= from) {
                    state.quarantine(plan, at, &mut out);
                }
                state.apply(plan, at, entry, &mut out);
            }
        }));
        // A symbol that panics out of service, too, stays as its last snapshot has it.
        if let Err(cause) = &applied
            && from.is_none()
        {
            from = Some(at);
            fault = Some((at, text_of(&**cause).to_owned()));
            continue;
        }
        let mut result = ShareResult::of(joined.number, out, plan);
        result.take_snapshot(&state);
        return Ok((result, fault));
    }
}

fn joined_symbols(store: &dyn Store) -> Result<BTreeMap<u32, Joined>, RecoveryError> {
    let prefix = symbols::prefix();
    let pairs = store.scan(Family::Meta, &prefix.clone().bytes(), prefix.next().as_deref());
    pairs
        .map(|pair| {
            let (key, value) = pair?;
            let joined = symbols::decode(&key, &value).map_err(damaged("a symbol"))?;
            Ok((joined.number, joined))
        })
        .collect()
}

fn state_key(symbol: u32) -> Vec<u8> {
    Key::default().u32(symbol).bytes()
}
