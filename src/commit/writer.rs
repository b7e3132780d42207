//! The one that writes: a checkpoint at a time, trying again for a while when the disk is full.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use super::checkpoint::Checkpoint;
use crate::clock::{self, Stamp};
use crate::config::limits::DISK_FULL_RETRY;
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

/// Writes orders until there are none. `written` hears of each.
///
/// # Errors
/// The first [`StoreError`] that trying again does not help.
pub fn write_all(
    store: &Arc<dyn Store>,
    orders: &Receiver<Order>,
    written: &Sender<Written>,
) -> Result<(), StoreError> {
    let patience = Duration::from_nanos(DISK_FULL_RETRY as u64);
    for order in orders {
        let run = Run { committed_at: clock::wall(), ..order.run };
        let batch = order.checkpoint.batch(&run);
        store.commit_within(&batch, true, patience)?;
        if written.send(Written { applied: run.applied, at: clock::stamp() }).is_err() {
            break;
        }
    }
    Ok(())
}
