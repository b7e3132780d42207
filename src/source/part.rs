//! A settled block of one file, and how it gets into a batch of several.

use std::sync::Arc;
use std::time::Instant;

use feeds::frame::FrameCounts;
use feeds::symbol::SymbolId;
use feeds::tick::Tick;
use feeds::time::Nanos;

use super::error::Complaint;
use super::{Batch, FileGap, NewOutage, Offset};

/// A settled block. Its ticks still have their decoder's symbol numbers.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) ticks: Vec<Tick>,
    pub(super) symbols: Arc<[SymbolId]>,
    pub(super) offsets: Vec<(usize, Nanos)>,
    pub(super) outages: Vec<NewOutage>,
    pub(super) gaps: Vec<FileGap>,
    pub(super) frames: FrameCounts,
    pub(super) complaints: Vec<Complaint>,
    pub(super) complaints_in_all: u64,
    pub(super) entered: Instant,
    pub(super) decoded: Instant,
    /// No tick here sorts behind this; `None` if that is not known.
    pub(super) highest: Option<Nanos>,
    /// Bytes on disk up to its end.
    pub(super) offset: u64,
    /// Ticks, offsets and outages that were handed out.
    pub(super) at: usize,
    pub(super) offsets_at: usize,
    pub(super) outages_at: usize,
}

impl Part {
    /// Adds what stands at no tick to `batch`.
    pub(super) fn attach(&mut self, file: usize, batch: &mut Batch) {
        batch.frames.push((file, std::mem::take(&mut self.frames)));
        batch.gaps.append(&mut self.gaps);
        batch.complaints.append(&mut self.complaints);
        batch.complaints_in_all += self.complaints_in_all;
        batch.entered = batch.entered.min(self.entered);
        batch.decoded = batch.decoded.max(self.decoded);
    }

    /// Adds the changed estimates and the outages that stand before the next tick to `batch`, in their order.
    #[inline]
    pub(super) fn move_marks(&mut self, file: usize, batch: &mut Batch) {
        while let Some(outage) = self.outages.get(self.outages_at).filter(|outage| outage.at <= self.at) {
            let (at, before) = (batch.ticks.len(), outage.offsets);
            let outage = outage.clone();
            self.move_offsets(before, file, batch);
            batch.outages.push(NewOutage { at, offsets: batch.offsets.len(), ..outage });
            self.outages_at += 1;
        }
        self.move_offsets(usize::MAX, file, batch);
    }

    /// The first `many` of the changed estimates at most.
    #[inline]
    fn move_offsets(&mut self, many: usize, file: usize, batch: &mut Batch) {
        while self.offsets_at < many
            && let Some(&(_, offset)) = self.offsets.get(self.offsets_at).filter(|(at, _)| *at <= self.at)
        {
            batch.offsets.push(Offset { at: batch.ticks.len(), file, offset });
            self.offsets_at += 1;
        }
    }
}

/// A batch with nothing in it yet.
pub(super) fn empty_batch(ticks: Vec<Tick>, entered: Instant, decoded: Instant) -> Batch {
    Batch {
        inputs: Vec::new(),
        clock: None,
        rules: None,
        past: Vec::new(),
        ticks,
        symbols: Arc::new([]),
        runs: Vec::new(),
        new_symbols: Vec::new(),
        offsets: Vec::new(),
        continued: Vec::new(),
        outages: Vec::new(),
        gaps: Vec::new(),
        frames: Vec::new(),
        complaints: Vec::new(),
        complaints_in_all: 0,
        entered,
        decoded,
    }
}
