//! Missing ids: version 1, last id, time before, time behind.

use super::Key;
use crate::codec::{CodecError, Put, Reader};
use crate::symbol::duplicates::Hole;

const VERSION: u8 = 1;

/// The key of the gap of `symbol` that begins at id `first`.
#[must_use]
pub fn key(symbol: u32, first: u64) -> Vec<u8> {
    Key::default().u32(symbol).u64(first).bytes()
}

/// The value of a gap.
#[must_use]
pub fn encode(hole: &Hole) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.put_u64(hole.last);
    out.put_i64(hole.after);
    out.put_i64(hole.before);
    out
}

/// The gap and its symbol's number.
///
/// # Errors
/// [`CodecError`] if the bytes are no gap.
pub fn decode(key: &[u8], value: &[u8]) -> Result<(u32, Hole), CodecError> {
    let mut from = Reader::new(value);
    if from.u8()? != VERSION {
        return Err(CodecError::Invalid);
    }
    let first = super::u64_at(key, 4)?;
    let hole = Hole { first, last: from.u64()?, after: from.i64()?, before: from.i64()?, declared: true };
    if from.is_empty() { Ok((super::u32_at(key, 0)?, hole)) } else { Err(CodecError::Invalid) }
}
