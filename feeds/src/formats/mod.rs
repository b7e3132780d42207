//! File formats: blocks of whole lines to ticks. Opening, inflating and splitting files is not done here.
//!
//! One format is one file here and one line in [`FORMATS`]. Two engines do the work: `table` reads files of rows
//! that say it all, whose blocks can be decoded apart; `capture` hands frames to a venue's session, in order.

use crate::frame::{FrameCounts, FrameError};
use crate::symbol::SymbolTable;
use crate::venue::{DuplicateKey, Output, Venue};
use crate::venues::VENUES;

mod line;

mod stamp;

mod value;

mod name;

mod shape;

mod table;

mod capture;

pub mod recording;

pub mod hftbacktest;

pub mod cryptofeed;

mod vision;

pub mod binance_trades;

pub mod binance_aggtrades;

mod tardis;

pub mod tardis_trades;

pub mod tardis_quotes;

pub mod csv;

pub mod ndjson;

/// Every format, in the order in which they are tried on a file that does not say what it is.
pub static FORMATS: &[&dyn Format] = &[
    &recording::Recording,
    &hftbacktest::HftBacktest::of(VENUES),
    &cryptofeed::Cryptofeed::of(VENUES),
    &binance_trades::BinanceTrades,
    &binance_aggtrades::BinanceAggTrades,
    &tardis_trades::TardisTrades,
    &tardis_quotes::TardisQuotes,
    &csv::Csv,
    &ndjson::Ndjson,
];

/// Longest line of a table, in bytes; a longer one is broken.
pub const MAX_LINE_BYTES: usize = 1 << 20;
/// Longest line of a capture, in bytes: some venues send a whole book in one frame.
pub const MAX_FRAME_BYTES: usize = 16 << 20;

/// The first format that a file with this head is of.
#[must_use]
pub fn detect(head: &Head<'_>) -> Option<&'static dyn Format> {
    FORMATS.iter().copied().find(|format| format.matches(head))
}

/// The format with this name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static dyn Format> {
    FORMATS.iter().copied().find(|format| format.name() == name)
}

/// What is known of a file before it is read.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    /// The file's name without directories and without `.gz` or `.zst`.
    pub file_name: &'a str,
    /// The first bytes after inflating, cut behind the last whole line where there is one.
    pub bytes: &'a [u8],
    /// `--venue`.
    pub venue: Option<&'a str>,
    /// `--symbol`, for files that name none.
    pub symbol: Option<&'a str>,
}

/// A kind of file.
pub trait Format: Sync {
    /// The name for `--format`.
    fn name(&self) -> &'static str;
    /// One line for people.
    fn describe(&self) -> &'static str;
    /// True if a file with this head is of this format.
    fn matches(&self, head: &Head<'_>) -> bool;
    /// A decoder for a file with this head.
    ///
    /// # Errors
    /// A [`FormatError`] if the file is not of this format after all (wrong columns) or needs to be told its
    /// venue or symbol. Nothing has been read yet.
    fn open(&self, head: &Head<'_>) -> Result<Box<dyn Decoder>, FormatError>;
}

/// Why a file cannot be read in a format; said before anything is written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// A column that must be there is not; names the nearest header found, and what was there.
    #[error("no column `{missing}`; the header has {found}")]
    Columns {
        /// The missing column.
        missing: String,
        /// The header's columns.
        found: String,
    },
    /// The file needs `--symbol` or `--venue`.
    #[error("{0}")]
    Needs(String),
    /// The file is not of this format.
    #[error("{0}")]
    NotThis(String),
}

/// Reads the lines of one file (or, forked, of one block of it).
pub trait Decoder: Send {
    /// Decodes `block`, which is whole lines (the file's last one may lack its newline).
    fn decode(&mut self, block: &[u8], out: &mut Decoded);
    /// The end of the file.
    fn finish(&mut self, out: &mut Decoded);
    /// A decoder for another block of the same file, if blocks can be decoded apart from each other in any order;
    /// `None` if what a line means depends on the lines before it.
    fn fork(&self) -> Option<Box<dyn Decoder>>;
    /// The venue whose keys hold for the ticks of this file.
    fn venue(&self) -> Option<&'static dyn Venue>;
    /// How repeated trades of this file are known: its venue's way, unless the file lacks the ids for it.
    fn trade_key(&self) -> DuplicateKey {
        self.venue().map_or(DuplicateKey::None, Venue::trade_key)
    }
    /// True if its ticks have receive times.
    fn has_receive_times(&self) -> bool;
    /// The symbols met so far; ticks refer to them by number.
    fn symbols(&self) -> &SymbolTable;
}

/// What a block of lines gave.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Ticks, offsets, gaps.
    pub output: Output,
    /// The ledger of the block's lines.
    pub frames: FrameCounts,
    /// Lines in the block.
    pub lines: u64,
    /// Lines that are broken or whose tick was rejected: line within the block (from 0) and why. At most
    /// [`COMPLAINTS`] a block; `complaints_in_all` counts on.
    pub complaints: Vec<(u64, FrameError)>,
    /// How many there were.
    pub complaints_in_all: u64,
}

/// Most complaints that are kept of one block.
pub const COMPLAINTS: usize = 10;

impl Decoded {
    /// Notes what is wrong with line `line` of the block.
    pub fn complain(&mut self, line: u64, error: FrameError) {
        self.complaints_in_all += 1;
        if self.complaints.len() < COMPLAINTS {
            self.complaints.push((line, error));
        }
    }
}
