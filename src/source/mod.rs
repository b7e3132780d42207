//! From files on disk to one ordered stream of decoded batches, bounded in memory.
//!
//! One thread a file reads (and inflates) blocks of whole lines, others decode them, and [`Source::next`] puts the
//! blocks back in order, settles what only the order can settle (line numbers, the file's clock, symbols) and
//! merges the files. Nothing behind it sees a thread.

mod block;
mod clock;
mod decode;
mod error;
mod filter;
mod head;
mod input;
mod lane;
mod merge;
mod open;
pub mod pace;
mod part;
mod pipeline;
mod recorded;
mod register;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use feeds::frame::FrameCounts;
use feeds::symbol::{Symbol, SymbolId};
use feeds::tick::Tick;
use feeds::time::Nanos;
use feeds::venue::{DuplicateKey, Gap};

pub use error::{Complaint, SourceError};
pub use open::open;

use crate::symbol::outages::{Cause, Channels};
use merge::Merge;
use recorded::Recorded;

/// Bytes of whole lines that are read and decoded in one go when one file is replayed: about 20,000 rows, long
/// enough to make hand-overs cheap, short enough that its ticks (1.6 MB) are still in the cache when they are used.
pub const BLOCK_BYTES: usize = 1 << 20;
/// Most complaints that are kept of a whole source; the others are counted.
pub const COMPLAINTS_KEPT: usize = 10;

/// What to read, and how.
#[derive(Clone, Debug, Default)]
pub struct SourceOptions {
    /// `--format`; `None` finds out.
    pub format: Option<String>,
    /// `--venue`, for files that do not say.
    pub venue: Option<String>,
    /// `--symbol`: names the symbol of files that name none, filters those that do. `venue:NATIVE` or the native
    /// part alone. Empty for all.
    pub symbols: Vec<String>,
    /// `--from`: ticks before this `exchange_ts` are not delivered.
    pub from: Option<Nanos>,
    /// `--to`: ticks at or past this `exchange_ts` are not delivered.
    pub to: Option<Nanos>,
    /// Decode threads in all (at least one for each file that is being read).
    pub decoders: usize,
    /// The first complaint is an error.
    pub strict: bool,
}

/// One input file. All of it but the path is its identity for `--resume`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// As given.
    pub path: PathBuf,
    /// The format's name.
    pub format: &'static str,
    /// The venue's id, where the file or the options name one that is known.
    pub venue: Option<&'static str>,
    /// Bytes on disk; 0 for a pipe.
    pub size: u64,
    /// SHA-256 of the first 64 KiB on disk followed by the size as eight bytes, little-endian.
    pub first_block: [u8; 32],
}

/// How far the reading has come, in bytes on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes whose ticks have been delivered.
    pub read: u64,
    /// Bytes of all files.
    pub total: u64,
}

/// A symbol that has not been met before in this source. Its number is its place in the order of announcement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSymbol {
    /// Its full name.
    pub symbol: Symbol,
    /// How repeated trades are known.
    pub trade_key: DuplicateKey,
    /// How repeated quotes are known.
    pub quote_key: DuplicateKey,
    /// The file that named it first.
    pub file: usize,
}

/// A connection that opens: a further input beside the files that a run began with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewInput {
    /// Its number among the inputs.
    pub number: usize,
    /// Its address.
    pub name: String,
    /// Its venue's id.
    pub venue: &'static str,
}

/// Consecutive ticks of a batch that come from one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The file.
    pub file: usize,
    /// The index behind its last tick; it begins where the run before ends.
    pub end: usize,
}

/// A new estimate of `received_at − exchange time` at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset {
    /// It holds from the tick with this index on.
    pub at: usize,
    /// For this file.
    pub file: usize,
    /// The estimate.
    pub offset: Nanos,
}

/// Ticks may be missing that no id shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOutage {
    /// Before the tick with this index.
    pub at: usize,
    /// Among what stands before that tick: behind so many of the batch's `offsets`.
    pub offsets: usize,
    /// On this input.
    pub file: usize,
    /// Of these symbols, in the numbering of the whole source.
    pub symbols: Vec<(SymbolId, Channels)>,
    /// Nothing is missing that was received before this; none if that is not known.
    pub after: Option<Nanos>,
    /// Why.
    pub cause: Cause,
}

/// A gap that a venue shows in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileGap {
    /// The file.
    pub file: usize,
    /// The gap; its symbol is in the numbering of the whole source.
    pub gap: Gap,
}

/// Files, opened and in order: merged by time, or the parts of a recording.
pub enum Source {
    /// Files that are merged.
    Merge(Box<Merge>),
    /// A recording of many connections.
    Recorded(Box<Recorded>),
}

impl Source {
    /// The files.
    #[must_use]
    pub fn files(&self) -> &[FileInfo] {
        match self {
            Source::Merge(merge) => merge.files(),
            Source::Recorded(recorded) => recorded.files(),
        }
    }

    /// True if the ticks have receive times (those of all files, or of none).
    #[must_use]
    pub fn has_receive_times(&self) -> bool {
        match self {
            Source::Merge(merge) => merge.has_receive_times(),
            Source::Recorded(_) => true,
        }
    }

    /// True if this is a recording of a run that judged rules, and has them.
    #[must_use]
    pub fn has_rules(&self) -> bool {
        match self {
            Source::Merge(_) => false,
            Source::Recorded(recorded) => recorded.has_rules(),
        }
    }

    /// True if this is a recording that has ended with a stop on purpose.
    #[must_use]
    pub fn was_stopped(&self) -> bool {
        match self {
            Source::Merge(_) => false,
            Source::Recorded(recorded) => recorded.was_stopped(),
        }
    }

    /// How far the delivered batches have come.
    #[must_use]
    pub fn progress(&self) -> Progress {
        match self {
            Source::Merge(merge) => merge.progress(),
            Source::Recorded(recorded) => recorded.progress(),
        }
    }

    /// Complaints behind what was read so far, kept or not.
    #[must_use]
    pub fn complaints_in_all(&self) -> u64 {
        match self {
            Source::Merge(merge) => merge.complaints_in_all(),
            Source::Recorded(recorded) => recorded.complaints_in_all(),
        }
    }

    /// Takes the vector of a used batch back, to be filled again.
    pub fn recycle(&self, ticks: Vec<Tick>) {
        if let Source::Merge(merge) = self {
            merge.recycle(ticks);
        }
    }

    /// The next batch in tape order; waits for it. `None` after the last.
    ///
    /// # Errors
    /// A [`SourceError`] if a file cannot be read or decoded further. A file that is cut or damaged ends where it
    /// cannot be inflated any more; the error comes when all that could be read of all files was delivered. After an
    /// error there is no further batch.
    #[expect(clippy::should_implement_trait, reason = "an iterator would lose the error's place at the end")]
    pub fn next(&mut self) -> Result<Option<Batch>, SourceError> {
        match self {
            Source::Merge(merge) => merge.next(),
            Source::Recorded(recorded) => recorded.next(),
        }
    }
}

/// Some ticks in tape order, with all that came with them.
///
/// One shape for one file and for many: `runs` says which ticks are whose. Replaying one file gives batches of one
/// run; a merge gives batches of many. A batch may have no tick at all (a block of comments is counted, too).
#[derive(Debug)]
pub struct Batch {
    /// The ticks. Their `symbol` is an index into `symbols`.
    pub ticks: Vec<Tick>,
    /// For the `symbol` number of a tick here, the symbol's number in the whole source. Numbers that no tick of
    /// this batch has may lead nowhere (`u32::MAX`).
    pub symbols: Arc<[SymbolId]>,
    /// Whose ticks these are; the last one's end is the number of ticks.
    pub runs: Vec<Run>,
    /// Connections that open with this batch.
    pub inputs: Vec<NewInput>,
    /// Time has come so far though nothing came in.
    pub clock: Option<Nanos>,
    /// The rules that are in force from here on.
    pub rules: Option<String>,
    /// Trades that were missing and were asked for, all in one entry.
    pub past: Vec<Tick>,
    /// Symbols met first in this batch (or announced with it), in the order of their numbers.
    pub new_symbols: Vec<NewSymbol>,
    /// Changed estimates, in order of position.
    pub offsets: Vec<Offset>,
    /// Where ticks may be missing, in order of position.
    pub outages: Vec<NewOutage>,
    /// Files of which this is the first that is heard, each with the file before it whose connection goes on in it.
    pub continued: Vec<(usize, usize)>,
    /// Gaps, in the order in which the files show them.
    pub gaps: Vec<FileGap>,
    /// The ledgers of the frames behind this batch, by file; a file may stand here several times.
    pub frames: Vec<(usize, FrameCounts)>,
    /// What is wrong in the frames behind this batch, as long as fewer than [`COMPLAINTS_KEPT`] were kept.
    pub complaints: Vec<Complaint>,
    /// How many complaints there were, kept or not.
    pub complaints_in_all: u64,
    /// When the (earliest) bytes came in.
    pub entered: Instant,
    /// When the last of them were decoded.
    pub decoded: Instant,
}
