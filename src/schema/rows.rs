//! Results: blocks of emissions of one window of one symbol, in order of start and revision.
//!
//! A row holds the window's mergeable state rather than its statistics: those are computed when it is read, exactly,
//! and a statistic that is added later can be computed from rows that are there.
//!
//! # Bytes of a block
//! | bytes | what |
//! |---|---|
//! | u8 | version, 1 |
//! | varint | number of rows |
//! | rows | each: start − start of the row before, signed varint (the first: its start); revision; flags; tag; what the tag names; pane ([`crate::stat`]) |
//!
//! The tag has bit 0 if a carried quote follows, bit 1 if `until − start` does (otherwise the window was read at its
//! end).

use feeds::time::Nanos;

use super::Key;
use crate::codec::{CodecError, Put, Reader};
use crate::stat::{CarriedQuote, Pane, View};
use crate::window::{Emission, Flags};

const VERSION: u8 = 1;
const CARRIED: u8 = 1;
const UNTIL: u8 = 2;

/// The first part of what a recovery writes. Its entry is that of the journal's last epoch, whose blocks stay: they may
/// have a window that a backfill revised, which a recovery has as it was before.
pub const RECOVERED_PARTS: u16 = 0x8000;

/// One emission of a window.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Where the window begins.
    pub start: Nanos,
    /// How many emissions there were before.
    pub revision: u32,
    /// What a reader must know.
    pub flags: Flags,
    /// Up to where it was read, if before its end.
    pub until: Option<Nanos>,
    /// The quote in force at its start.
    pub carried: Option<CarriedQuote>,
    /// Its content.
    pub pane: Pane,
}

impl Row {
    /// The row as statistics read it, of a window of `size`.
    #[must_use]
    pub fn view(&self, size: Nanos) -> View<'_> {
        View {
            pane: &self.pane,
            carried: self.carried.as_ref(),
            start: self.start,
            end: self.until.unwrap_or(self.start.saturating_add(size)),
        }
    }
}

/// Where an encoded emission lies in [`Emissions::bytes`].
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// Index of the window in the configuration.
    pub window: u16,
    /// Where the window begins.
    pub start: Nanos,
    /// How many emissions there were before.
    pub revision: u32,
    from: u32,
    to: u32,
}

/// Emissions of one symbol, encoded where they arose, but for their start.
#[derive(Clone, Debug, Default)]
pub struct Emissions {
    /// In order of emission.
    pub heads: Vec<Head>,
    bytes: Vec<u8>,
}

impl Emissions {
    /// Appends one.
    pub fn push(&mut self, emission: &Emission, size: Nanos) {
        let from = self.bytes.len() as u32;
        let out = &mut self.bytes;
        let whole = emission.until == emission.start + size;
        out.put_u64(u64::from(emission.revision));
        out.put_u64(u64::from(emission.flags.bits()));
        out.put_u8(if emission.carried.is_some() { CARRIED } else { 0 } | if whole { 0 } else { UNTIL });
        if let Some(carried) = &emission.carried {
            carried.encode(out);
        }
        if !whole {
            out.put_i64(emission.until - emission.start);
        }
        emission.pane.encode(out);
        let window = u16::try_from(emission.window).unwrap_or(u16::MAX);
        let (start, revision, to) = (emission.start, emission.revision, self.bytes.len() as u32);
        self.heads.push(Head { window, start, revision, from, to });
    }

    /// Bytes of all of them.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// One as it will be read.
    ///
    /// # Errors
    /// [`CodecError`] never, unless the bytes are not what was pushed.
    pub fn row(&self, head: &Head) -> Result<Row, CodecError> {
        decode_row(head.start, &mut Reader::new(self.bytes(head)))
    }

    /// The bytes of one.
    #[must_use]
    pub fn bytes(&self, head: &Head) -> &[u8] {
        &self.bytes[head.from as usize..head.to as usize]
    }
}

/// A block being built.
#[derive(Debug, Default)]
pub struct Block {
    rows: u64,
    last: Nanos,
    bytes: Vec<u8>,
}

impl Block {
    /// Rows in it.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Appends a row; starts do not decrease.
    pub fn push(&mut self, start: Nanos, row: &[u8]) {
        self.bytes.put_i64(start - if self.rows == 0 { 0 } else { self.last });
        self.bytes.extend_from_slice(row);
        self.last = start;
        self.rows += 1;
    }

    /// Its key in `part` of the checkpoint at `number`, and its value. What is left is empty.
    pub fn take(&mut self, window: u16, symbol: u32, number: u64, part: u16) -> (Vec<u8>, Vec<u8>) {
        let key = prefix(window, symbol).time(self.last).u64(number).u16(part).bytes();
        let mut value = Vec::with_capacity(self.bytes.len() + 4);
        value.put_u8(VERSION);
        value.put_u64(self.rows);
        value.append(&mut self.bytes);
        self.rows = 0;
        (key, value)
    }
}

/// What the keys of all blocks of a window of a symbol begin with.
#[must_use]
pub fn prefix(window: u16, symbol: u32) -> Key {
    Key::default().u16(window).u32(symbol)
}

/// The rows of a block.
///
/// # Errors
/// [`CodecError`] if the bytes are no block.
pub fn decode(value: &[u8]) -> Result<Vec<Row>, CodecError> {
    let mut from = Reader::new(value);
    if from.u8()? != VERSION {
        return Err(CodecError::Invalid);
    }
    let count = from.u64()?;
    let mut rows = Vec::new();
    let mut start: Nanos = 0;
    for _ in 0..count {
        start = from.i64()?.checked_add(start).ok_or(CodecError::Invalid)?;
        rows.push(decode_row(start, &mut from)?);
    }
    if from.is_empty() { Ok(rows) } else { Err(CodecError::Invalid) }
}

fn decode_row(start: Nanos, from: &mut Reader<'_>) -> Result<Row, CodecError> {
    let revision = u32::try_from(from.u64()?).map_err(|_| CodecError::Invalid)?;
    let flags = Flags::from_bits(from.u64()?).ok_or(CodecError::Invalid)?;
    let tag = from.u8()?;
    let carried = if tag & CARRIED == 0 { None } else { Some(CarriedQuote::decode(from)?) };
    if tag > CARRIED | UNTIL {
        return Err(CodecError::Invalid);
    }
    let until = if tag & UNTIL == 0 { None } else { Some(start.saturating_add(from.i64()?)) };
    Ok(Row { start, revision, flags, until, carried, pane: Pane::decode(from)? })
}
