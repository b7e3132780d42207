//! Entries of the epoch that is being gathered, before they are copied into their groups.

use std::sync::Arc;

use feeds::tick::{Event, Rejection, Tick};
use feeds::time::Nanos;

use crate::symbol::Entry;

/// An entry that is not in its group yet.
#[derive(Clone, Copy)]
pub(super) struct Staged {
    pub(super) symbol: u32,
    /// Tape number, less the epoch's first.
    pub(super) offset: u32,
    pub(super) what: What,
}

/// What a staged entry is.
#[derive(Clone, Copy)]
pub(super) enum What {
    /// The tick at this index of this batch.
    Tick(u16, u32),
    /// The same, with a time that cannot be: it is rejected.
    BadTime(u16, u32),
    /// The clock sets this frontier.
    Clock(Nanos),
    /// All inputs are exhausted.
    End,
}

impl Staged {
    pub(super) fn entry(&self, batches: &[Arc<Vec<Tick>>]) -> Entry {
        match self.what {
            What::Tick(batch, index) => Entry::Tick(batches[usize::from(batch)][index as usize]),
            What::BadTime(batch, index) => {
                let mut tick = batches[usize::from(batch)][index as usize];
                tick.event = Event::Rejected(Rejection::BadTime);
                Entry::Tick(tick)
            }
            What::Clock(frontier) => Entry::Clock(frontier),
            What::End => Entry::End,
        }
    }
}
