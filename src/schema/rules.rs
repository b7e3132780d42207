//! Rulebooks by number: version 1, the tape number of the entry by which it came into force u64, then the text.

use super::Key;
use crate::codec::{CodecError, Put, Reader};

const VERSION: u8 = 1;
const PREFIX: &str = "rules/";

/// What the keys of all books begin with.
#[must_use]
pub fn prefix() -> Key {
    Key::text(PREFIX)
}

/// The key of book `number`.
#[must_use]
pub fn key(number: u32) -> Vec<u8> {
    prefix().u32(number).bytes()
}

/// The value of a book that came into force by entry `at`.
#[must_use]
pub fn encode(at: u64, text: &str) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.put_u64(at);
    out.extend(text.as_bytes());
    out
}

/// The number of a book, the entry by which it came into force, and its text.
///
/// # Errors
/// [`CodecError`] if the bytes are no book.
pub fn decode(key: &[u8], value: &[u8]) -> Result<(u32, u64, String), CodecError> {
    let mut from = Reader::new(value);
    if from.u8()? != VERSION {
        return Err(CodecError::Invalid);
    }
    let at = from.u64()?;
    let text = std::str::from_utf8(from.rest()).map_err(|_| CodecError::Invalid)?;
    Ok((super::u32_at(key, PREFIX.len())?, at, text.to_owned()))
}
