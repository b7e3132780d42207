//! What is missing: ids, and stretches of time.
//!
//! # Bytes
//! | what | key behind the symbol's number | value |
//! |---|---|---|
//! | missing ids | first id u64 | version 1, last id, time before, time behind |
//! | a stretch | where it begins i64, channel u8, kind u8 | version 2, then as in [`crate::symbol::snapshot`] |
//!
//! Of one kind are stretches with the same flag, of which two that begin together are one: 1 for silence, 2 for unknown
//! fields, 0 for all others.

use super::Key;
use crate::codec::{CodecError, Put, Reader};
use crate::symbol::duplicates::Hole;
use crate::symbol::outages::{Cause, Channels, Stretch};
use crate::symbol::snapshot::{decode_stretch, encode_stretch};

const IDS: u8 = 1;
const STRETCH: u8 = 2;

/// Something that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Ids.
    Ids(Hole),
    /// Whatever came in a stretch of time.
    Stretch(Stretch),
}

/// The key of the gap of `symbol` that begins at id `first`.
#[must_use]
pub fn key(symbol: u32, first: u64) -> Vec<u8> {
    Key::default().u32(symbol).u64(first).bytes()
}

/// The value of a gap.
#[must_use]
pub fn encode(hole: &Hole) -> Vec<u8> {
    let mut out = vec![IDS];
    out.put_u64(hole.last);
    out.put_i64(hole.after);
    out.put_i64(hole.before);
    out
}

/// The key of a stretch of `symbol`.
#[must_use]
pub fn stretch_key(symbol: u32, stretch: &Stretch) -> Vec<u8> {
    let mut key = Key::default().u32(symbol).time(stretch.from).bytes();
    let kind = match stretch.cause {
        Cause::Silence => 1,
        Cause::Fields => 2,
        _ => 0,
    };
    key.extend([Channels::of(stretch.channel).bits(), kind]);
    key
}

/// The value of a stretch.
#[must_use]
pub fn encode_missing(stretch: &Stretch) -> Vec<u8> {
    let mut out = vec![STRETCH];
    encode_stretch(stretch, &mut out);
    out
}

/// What is missing, and its symbol's number.
///
/// # Errors
/// [`CodecError`] if the bytes are no gap.
pub fn decode(key: &[u8], value: &[u8]) -> Result<(u32, Missing), CodecError> {
    let mut from = Reader::new(value);
    let missing = match from.u8()? {
        IDS => {
            let first = super::u64_at(key, 4)?;
            let (last, after, before) = (from.u64()?, from.i64()?, from.i64()?);
            Missing::Ids(Hole { first, last, after, before, declared: true })
        }
        STRETCH => Missing::Stretch(decode_stretch(&mut from)?),
        _ => return Err(CodecError::Invalid),
    };
    if from.is_empty() { Ok((super::u32_at(key, 0)?, missing)) } else { Err(CodecError::Invalid) }
}
