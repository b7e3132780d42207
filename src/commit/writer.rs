//! The one that writes: a checkpoint at a time, trying again for a while when the disk is full.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::checkpoint::Checkpoint;
use super::figures::FigureBoard;
use super::journal::{Journal, Unsynced};
use super::patience::Patience;
use super::witnessed::Witnessed;
use crate::clock::{self, Stamp};
use crate::config::limits::{DISK_FULL_RETRY, DISK_FULL_WAIT, SYNC_EVERY};
use crate::schema::run::Run;
use crate::store::{Store, StoreError};

/// A checkpoint to be written, and what the run is then.
pub struct Order {
    /// What came of the epochs.
    pub checkpoint: Checkpoint,
    /// The run as of it.
    pub run: Run,
}

/// What was written.
pub struct Written {
    /// The last tape entry in the database.
    pub applied: u64,
    /// When it was committed.
    pub at: Stamp,
}

/// What is synced when.
pub enum Durability {
    /// Each checkpoint, as it is committed: nothing else is written.
    Checkpoints,
    /// Each checkpoint, behind its commit, so that nobody who commits meanwhile waits for the disk; and what the journal
    /// has committed, every [`SYNC_EVERY`]. Without a mark the journal does it itself.
    Journal(Option<Unsynced>, Witnessed),
}

impl Durability {
    /// That of a run with this journal, if it has one.
    #[must_use]
    pub fn of(journal: Option<&Journal>) -> Durability {
        journal.map_or(Durability::Checkpoints, |journal| {
            Durability::Journal(journal.unsynced(), Witnessed::of(journal.generation()))
        })
    }
}

/// Writes orders until there are none. `written` hears of each.
///
/// # Errors
/// The first [`StoreError`] that trying again does not help.
pub fn write_all(
    store: &Arc<dyn Store>,
    orders: &Receiver<Order>,
    written: &Sender<Written>,
    durability: &mut Durability,
    board: FigureBoard,
) -> Result<(), StoreError> {
    let most = Duration::from_nanos(match durability {
        Durability::Checkpoints => DISK_FULL_RETRY as u64,
        Durability::Journal(..) => DISK_FULL_WAIT as u64,
    });
    let patience = Patience::new(most, "checkpoints", board.clone());
    while let Some(order) = next(store, orders, durability, &patience)? {
        let run = Run { committed_at: clock::wall(), ..order.run };
        let batch = order.checkpoint.batch(&run);
        match durability {
            Durability::Checkpoints => patience.commit(&**store, &batch, true)?,
            Durability::Journal(_, witnessed) => {
                patience.commit(&**store, &batch, false)?;
                patience.sync(&**store, witnessed)?;
            }
        }
        if written.send(Written { applied: run.applied, at: clock::stamp() }).is_err() {
            break;
        }
    }
    if let Durability::Journal(_, witnessed) = durability {
        // What the last checkpoint has is synced: nobody need wait for an hour.
        let most = Duration::from_nanos(DISK_FULL_RETRY as u64);
        Patience::new(most, "checkpoints", board).sync_at_last(&**store, witnessed)?;
    }
    Ok(())
}

/// The next order; syncs what was committed while there is none.
fn next(
    store: &Arc<dyn Store>,
    orders: &Receiver<Order>,
    durability: &mut Durability,
    patience: &Patience,
) -> Result<Option<Order>, StoreError> {
    let Durability::Journal(Some(unsynced), witnessed) = durability else { return Ok(orders.recv().ok()) };
    loop {
        match orders.recv_timeout(Duration::from_nanos(SYNC_EVERY as u64)) {
            Ok(order) => return Ok(Some(order)),
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
            Err(RecvTimeoutError::Timeout) => {
                if unsynced.swap(false, Ordering::AcqRel) {
                    patience.sync(&**store, witnessed)?;
                }
            }
        }
    }
}
