//! Symbols that a live run took out of service: version 1, the number of the entry at fault, what the panic said.

use super::Key;
use crate::codec::{CodecError, Put, Reader};

const VERSION: u8 = 1;
const PREFIX: &str = "fault/";
/// Characters of what a panic said that are kept: a line or two, which is what is read.
const CAUSE_CHARS: usize = 512;

/// Why a symbol is out of service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFault {
    /// The symbol's number.
    pub symbol: u32,
    /// The entry's tape number.
    pub number: u64,
    /// What the panic said.
    pub cause: String,
}

/// What the keys of all of them begin with.
#[must_use]
pub fn prefix() -> Key {
    Key::text(PREFIX)
}

/// The key of the fault of symbol `number`; a symbol has one at most.
#[must_use]
pub fn key(number: u32) -> Vec<u8> {
    prefix().u32(number).bytes()
}

/// The value of a fault at entry `number`.
#[must_use]
pub fn encode(number: u64, cause: &str) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.put_u64(number);
    let kept: String = cause.chars().take(CAUSE_CHARS).collect();
    out.put_bytes(kept.as_bytes());
    out
}

/// Reads a fault back.
///
/// # Errors
/// [`CodecError`] if the bytes are no fault.
pub fn decode(key: &[u8], value: &[u8]) -> Result<StoredFault, CodecError> {
    let mut from = Reader::new(value);
    if from.u8()? != VERSION {
        return Err(CodecError::Invalid);
    }
    let number = from.u64()?;
    let cause = std::str::from_utf8(from.bytes()?).map_err(|_| CodecError::Invalid)?.to_owned();
    if !from.is_empty() {
        return Err(CodecError::Invalid);
    }
    Ok(StoredFault { symbol: super::u32_at(key, PREFIX.len())?, number, cause })
}
