//! Syncs, and the witness that tells of them ([`crate::store::witness`]).

use crate::clock::{self, Stamp};
use crate::config::limits::WITNESS_EVERY;
use crate::schema::head::{self, Head};
use crate::store::witness::Witness;
use crate::store::{Family, Store, StoreError};

/// Syncs a store and tells its witness, every [`WITNESS_EVERY`] at most. A witness that is late is still true.
#[derive(Debug, Default)]
pub struct Witnessed {
    /// The generation of cursors; without it, or without a directory, nothing is told.
    generation: Option<u64>,
    told: Option<(Stamp, u64)>,
}

impl Witnessed {
    /// For a run whose cursors are of `generation`.
    #[must_use]
    pub fn of(generation: Option<u64>) -> Witnessed {
        Witnessed { generation, told: None }
    }

    /// Makes what is committed survive a power loss.
    ///
    /// # Errors
    /// [`StoreError`] if that fails. A witness that cannot be written is not such: the earlier one stays, and is true.
    pub fn sync(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        let is_due = self.told.is_none_or(|(at, _)| at.elapsed_nanos() >= WITNESS_EVERY);
        self.sync_and(store, is_due)
    }

    /// The same, and tells it at once: nothing more comes.
    ///
    /// # Errors
    /// As [`Witnessed::sync`].
    pub fn sync_at_last(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        self.sync_and(store, true)
    }

    fn sync_and(&mut self, store: &dyn Store, is_due: bool) -> Result<(), StoreError> {
        let (Some(directory), Some(generation), true) = (store.directory(), self.generation, is_due) else {
            return store.sync();
        };
        // Looked at before the sync: what is committed meanwhile may not be in it.
        let head = store.get(Family::Meta, &head::key())?;
        let committed = head.and_then(|value| Head::decode(&value).ok()).map_or(0, |head| head.applied);
        store.sync()?;
        if self.told.is_none_or(|(_, told)| committed > told) {
            if let Err(error) = (Witness { committed, generation }).write(directory) {
                tracing::warn!(%error, "the witness of what is synced stays behind");
            }
            self.told = Some((clock::stamp(), committed));
        }
        Ok(())
    }
}
