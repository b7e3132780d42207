//! An epoch: entries of the tape, grouped by symbol, each group in tape order.
//!
//! Ticks are not copied: an item points into the decoded batch that its tick came in, which the epochs cut from it
//! share.

use std::sync::Arc;
use std::time::Instant;

use feeds::frame::FrameCounts;
use feeds::symbol::Symbol;
use feeds::tick::{Event, Rejection, Tick};
use feeds::time::Nanos;
use feeds::venue::DuplicateKey;

use crate::symbol::Entry;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemKind {
    /// The tick at `index` of `segment`.
    Tick,
    /// The same, with a time that cannot be: it is rejected.
    BadTime,
    /// The clock; `index` is that of the frontier in [`Epoch::clocks`].
    Clock,
    /// All inputs are exhausted.
    End,
}

/// One entry as one symbol meets it.
#[derive(Clone, Copy, Debug)]
pub struct Item {
    /// Tape number, less the epoch's first.
    pub offset: u32,
    /// See [`ItemKind`].
    pub index: u32,
    /// Which of [`Epoch::segments`].
    pub segment: u16,
    /// What it is.
    pub kind: ItemKind,
}

/// The items of one symbol: `items[from..to]`. Empty if only a snapshot is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// The symbol's number.
    pub symbol: u32,
    /// First item.
    pub from: u32,
    /// One past the last.
    pub to: u32,
}

/// Ticks that came in together, for the latency of each.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Which input.
    pub file: usize,
    /// How many ticks.
    pub ticks: u64,
    /// When their bytes came in.
    pub entered: Instant,
    /// When they were decoded.
    pub decoded: Instant,
}

/// A symbol met for the first time.
#[derive(Clone, Debug)]
pub struct Joined {
    /// Its number.
    pub number: u32,
    /// Its name.
    pub symbol: Symbol,
    /// How its repeated trades are known.
    pub trade_key: DuplicateKey,
    /// How its repeated quotes are known.
    pub quote_key: DuplicateKey,
}

/// A contiguous run of tape entries.
#[derive(Debug, Default)]
pub struct Epoch {
    /// The first number in it.
    pub first: u64,
    /// One past the last number in it.
    pub end: u64,
    /// Ticks of the tape up to `end`, for the ledger.
    pub ticks_so_far: u64,
    /// Decoded batches.
    pub segments: Vec<Arc<Vec<Tick>>>,
    /// Frontiers that clock entries set.
    pub clocks: Vec<Nanos>,
    /// All entries, grouped by symbol.
    pub items: Vec<Item>,
    /// The groups.
    pub shares: Vec<Share>,
    /// Symbols that first appear here.
    pub joined: Vec<Joined>,
    /// Every symbol that changed since the last snapshot writes one as of this epoch's end.
    pub snapshot: bool,
    /// This is the last epoch of exhausted inputs.
    pub ended: bool,
    /// What the latency of its ticks is computed from.
    pub arrivals: Vec<Arrival>,
    /// Receive time less exchange time, of so many ticks of an input.
    pub crossings: Vec<(usize, Nanos, u64)>,
    /// Frames that were decoded since the epoch before, by input.
    pub frames: Vec<(usize, FrameCounts)>,
    /// When it was cut.
    pub sequenced: Option<Instant>,
}

impl Epoch {
    /// Bytes that it holds, ticks in shared batches counted once for each epoch by its own items.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.items.len() * (size_of::<Item>() + size_of::<Tick>()) + self.shares.len() * size_of::<Share>()
    }

    /// What `item` says, and its number.
    #[must_use]
    #[inline]
    pub fn entry(&self, item: &Item) -> Option<(u64, Entry)> {
        let number = self.first + u64::from(item.offset);
        let entry = match item.kind {
            ItemKind::Tick => Entry::Tick(*self.tick(item)?),
            ItemKind::BadTime => {
                let mut tick = *self.tick(item)?;
                tick.event = Event::Rejected(Rejection::BadTime);
                Entry::Tick(tick)
            }
            ItemKind::Clock => Entry::Clock(*self.clocks.get(item.index as usize)?),
            ItemKind::End => Entry::End,
        };
        Some((number, entry))
    }

    #[inline]
    fn tick(&self, item: &Item) -> Option<&Tick> {
        self.segments.get(usize::from(item.segment))?.get(item.index as usize)
    }
}
