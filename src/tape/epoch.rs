//! An epoch: entries of the tape, grouped by symbol, each group in tape order.
//!
//! Ticks are copied into their groups, once: an actor then reads its own from one place, where fetching them one by one
//! from a batch that another core has written would cost more than the work on them.

use std::time::Instant;

use feeds::frame::FrameCounts;
use feeds::symbol::Symbol;
use feeds::time::Nanos;
use feeds::venue::DuplicateKey;

use crate::source::NewInput;
use crate::symbol::Entry;

/// One entry as one symbol meets it.
#[derive(Clone, Copy, Debug)]
pub struct Sequenced {
    /// Its tape number.
    pub number: u64,
    /// What it is.
    pub entry: Entry,
}

/// The entries of one symbol: `entries[from..to]`. Empty if only a snapshot is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// The symbol's number.
    pub symbol: u32,
    /// First entry.
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
    /// The number of the rulebook in force when it joined.
    pub book: u32,
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
    /// All entries, grouped by symbol.
    pub entries: Vec<Sequenced>,
    /// The groups.
    pub shares: Vec<Share>,
    /// Connections that opened.
    pub inputs: Vec<NewInput>,
    /// Rulebooks that came into force: the entry, the book's number and its text.
    pub books: Vec<(u64, u32, String)>,
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
    /// Bytes that it holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.entries.len() * size_of::<Sequenced>() + self.shares.len() * size_of::<Share>()
    }

    /// The entries of one symbol.
    #[must_use]
    pub fn of(&self, share: &Share) -> &[Sequenced] {
        self.entries.get(share.from as usize..share.to as usize).unwrap_or_default()
    }
}
