//! What stands between the ticks of a batch: changed estimates and outages, in the order in which they came.
//!
//! Frames without ticks leave their marks at one place. What they mean must not depend on how many of them came in one
//! batch, so an outage says which estimates were known before it.

use super::sequencer::Sequencer;
use crate::source::{NewOutage, Offset};

/// One of them.
#[derive(Clone, Copy)]
pub(super) enum Mark<'a> {
    /// A changed estimate.
    Offset(&'a Offset),
    /// An outage.
    Outage(&'a NewOutage),
}

/// Those of a batch that have yet to come.
pub(super) struct Marks<'a> {
    offsets: &'a [Offset],
    outages: &'a [NewOutage],
    /// How many of the offsets came.
    known: usize,
}

impl<'a> Marks<'a> {
    pub(super) fn new(offsets: &'a [Offset], outages: &'a [NewOutage]) -> Marks<'a> {
        Marks { offsets, outages, known: 0 }
    }

    /// The next one that stands before the tick with this index.
    #[inline]
    pub(super) fn before(&mut self, index: usize) -> Option<Mark<'a>> {
        let outage = self.outages.first().filter(|outage| outage.at <= index);
        let limit = outage.map_or(usize::MAX, |outage| outage.offsets);
        if let Some((offset, rest)) = self.offsets.split_first()
            && offset.at <= index
            && self.known < limit
        {
            self.offsets = rest;
            self.known += 1;
            return Some(Mark::Offset(offset));
        }
        let (outage, rest) = self.outages.split_first().filter(|(outage, _)| outage.at <= index)?;
        self.outages = rest;
        Some(Mark::Outage(outage))
    }
}

impl Sequencer {
    pub(super) fn mark(&mut self, mark: Mark<'_>) {
        match mark {
            Mark::Offset(offset) => self.offset(offset.file, offset.offset),
            Mark::Outage(outage) => self.outage(outage),
        }
    }
}
