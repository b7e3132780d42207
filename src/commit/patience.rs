//! A full disk is waited for, and who looks at the run is told: what it needs and what there is.

use std::time::Duration;

use super::figures::FigureBoard;
use super::witnessed::Witnessed;
use crate::schema::head;
use crate::store::{Batch, Family, PAUSE_WHEN_FULL, Store, StoreError, pause};

/// How long a full disk is waited for, by whom, and where that is told.
pub struct Patience {
    most: Duration,
    who: &'static str,
    board: FigureBoard,
}

impl Patience {
    /// Waits for `most`; `who` does.
    #[must_use]
    pub fn new(most: Duration, who: &'static str, board: FigureBoard) -> Patience {
        Patience { most, who, board }
    }

    /// [`Store::commit`], again and again while the disk is full.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was changed then.
    pub fn commit(&self, store: &dyn Store, batch: &Batch, sync: bool) -> Result<(), StoreError> {
        self.again(|| store.commit(batch, sync))
    }

    /// Makes what is committed survive a power loss, again and again while the disk is full.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn sync(&self, store: &dyn Store, witnessed: &mut Witnessed) -> Result<(), StoreError> {
        self.again(|| witnessed.sync(store))
    }

    /// The same for the last time. A note of a sink that found no room has every sync refused until something finds some,
    /// and nobody else commits any more: so the end of the tape is written once more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn sync_at_last(&self, store: &dyn Store, witnessed: &mut Witnessed) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        if let Some(head) = store.get(Family::Meta, &head::key())? {
            batch.put(Family::Meta, head::key(), head);
        }
        self.again(|| match witnessed.sync_at_last(store) {
            Err(StoreError::Full { .. }) if !batch.is_empty() => {
                store.commit(&batch, false)?;
                witnessed.sync_at_last(store)
            }
            synced => synced,
        })
    }

    fn again(&self, mut work: impl FnMut() -> Result<(), StoreError>) -> Result<(), StoreError> {
        let mut waited = Duration::ZERO;
        loop {
            match work() {
                Err(error @ StoreError::Full { .. }) if waited < self.most => {
                    if waited.is_zero() {
                        tracing::warn!(who = self.who, %error, "the disk is full: it goes on when there is room");
                    }
                    self.board.wait(self.who, Some(error.to_string()));
                }
                done => {
                    if !waited.is_zero() {
                        tracing::info!(who = self.who, ?waited, "the disk was full");
                        self.board.wait(self.who, None);
                    }
                    return done;
                }
            }
            pause(PAUSE_WHEN_FULL);
            waited += PAUSE_WHEN_FULL;
        }
    }
}
