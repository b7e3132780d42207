//! Symbols by number: version 2, how repeated trades and quotes are known (0 contiguous, 1 unique, 2 row, 3 nothing),
//! the name, the number of the rulebook in force when it joined. Version 1 has no such number: it is 0.

use feeds::symbol::Symbol;
use feeds::venue::DuplicateKey;

use super::Key;
use crate::codec::{CodecError, Put, Reader};
use crate::tape::epoch::Joined;

const VERSION: u8 = 2;
const WITHOUT_BOOK: u8 = 1;
const PREFIX: &str = "symbol/";
const KEYS: [DuplicateKey; 4] =
    [DuplicateKey::Contiguous, DuplicateKey::Unique, DuplicateKey::Row, DuplicateKey::None];

/// What the keys of all symbols begin with.
#[must_use]
pub fn prefix() -> Key {
    Key::text(PREFIX)
}

/// The key of symbol `number`.
#[must_use]
pub fn key(number: u32) -> Vec<u8> {
    prefix().u32(number).bytes()
}

/// The value of a symbol.
#[must_use]
pub fn encode(joined: &Joined) -> Vec<u8> {
    let mut out = vec![VERSION];
    for key in [joined.trade_key, joined.quote_key] {
        out.put_u8(KEYS.iter().position(|known| *known == key).unwrap_or(KEYS.len() - 1) as u8);
    }
    out.put_bytes(joined.symbol.as_str().as_bytes());
    out.put_u64(u64::from(joined.book));
    out
}

/// Reads a symbol back.
///
/// # Errors
/// [`CodecError`] if the bytes are no symbol.
pub fn decode(key: &[u8], value: &[u8]) -> Result<Joined, CodecError> {
    let mut from = Reader::new(value);
    let version = from.u8()?;
    if version != VERSION && version != WITHOUT_BOOK {
        return Err(CodecError::Invalid);
    }
    let mut duplicate_key = || KEYS.get(usize::from(from.u8()?)).copied().ok_or(CodecError::Invalid);
    let (trade_key, quote_key) = (duplicate_key()?, duplicate_key()?);
    let name = std::str::from_utf8(from.bytes()?).map_err(|_| CodecError::Invalid)?;
    let symbol = Symbol::parse(name).ok_or(CodecError::Invalid)?;
    let book = match version {
        WITHOUT_BOOK => 0,
        _ => u32::try_from(from.u64()?).map_err(|_| CodecError::Invalid)?,
    };
    if !from.is_empty() {
        return Err(CodecError::Invalid);
    }
    Ok(Joined { number: super::u32_at(key, PREFIX.len())?, symbol, trade_key, quote_key, book })
}
