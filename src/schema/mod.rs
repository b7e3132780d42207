//! What is kept, byte by byte. Keys are big-endian, so that they sort; every value begins with a version byte.
//!
//! | family | key | value |
//! |---|---|---|
//! | `windows` | window u16, symbol u32, highest start in it i64, tape number of the checkpoint u64, part u16 | [`rows`] |
//! | `state` | symbol u32 | snapshot, [`crate::symbol::snapshot`] |
//! | `late` | symbol u32, exchange time i64, tape number u64 | [`ticks`] |
//! | `gaps` | symbol u32, then as [`gaps`] says | [`gaps`] |
//! | `alerts` | number u64, from 1 without holes | [`alerts`] |
//! | `tape` | tape number u64 of the chunk's first entry | [`ticks`] |
//! | `latency` | time of the checkpoint i64 | [`crate::latency`] |
//! | `meta` | `schema` | the format of the database ([`crate::store`]) |
//! | `meta` | `head` | [`head`] |
//! | `meta` | `generation` | that of the cursors, [`alerts`] |
//! | `meta` | `generation/` and its number u64 | each that rose, [`alerts`] |
//! | `meta` | `boot` | [`boot`] |
//! | `meta` | `dispatch` | [`crate::alert::dispatch`] |
//! | `meta` | `sink/` and its name | [`sinks`] |
//! | `meta` | `run/` and its number u32 | [`run`] |
//! | `meta` | `rules/` and the number of the book u32 | [`rules`] |
//! | `meta` | `symbol/` and its number u32 | [`symbols`] |
//! | `meta` | `feed/`, number of the run u32, of the input u32 | [`feeds`] |
//! | `meta` | `fault/` and the number of a symbol u32 | [`faults`] |
//!
//! A signed key is stored with its sign bit turned, so that it sorts too. Windows are numbered as in the
//! configuration, which is fixed for a database; symbols in the order in which they were met.

pub mod alerts;
pub mod boot;
pub mod faults;
pub mod feeds;
pub mod gaps;
pub mod head;
pub mod rows;
pub mod rules;
pub mod run;
pub mod sinks;
pub mod symbols;
pub mod ticks;

#[cfg(test)]
mod tests;

use ::feeds::time::Nanos;

use crate::codec::CodecError;

/// A key, built from its parts.
#[derive(Clone, Debug, Default)]
pub struct Key(Vec<u8>);

impl Key {
    /// A key that begins with text.
    #[must_use]
    pub fn text(text: &str) -> Key {
        Key(text.as_bytes().to_vec())
    }

    /// Two bytes more.
    #[must_use]
    pub fn u16(mut self, value: u16) -> Key {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// Four bytes more.
    #[must_use]
    pub fn u32(mut self, value: u32) -> Key {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// Eight bytes more.
    #[must_use]
    pub fn u64(mut self, value: u64) -> Key {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// Eight bytes more, that sort as the signed value.
    #[must_use]
    pub fn time(self, value: Nanos) -> Key {
        self.u64(value as u64 ^ (1 << 63))
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(self) -> Vec<u8> {
        self.0
    }

    /// The first key behind all that begin with this one; `None` if there is none.
    #[must_use]
    pub fn next(&self) -> Option<Vec<u8>> {
        let mut bytes = self.0.clone();
        while let Some(last) = bytes.pop() {
            if last < u8::MAX {
                bytes.push(last + 1);
                return Some(bytes);
            }
        }
        None
    }
}

/// Takes a `u32` from a key at `at`.
///
/// # Errors
/// [`CodecError::Short`] if the key ends before.
pub fn u32_at(key: &[u8], at: usize) -> Result<u32, CodecError> {
    let bytes = key.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
    bytes.map(u32::from_be_bytes).ok_or(CodecError::Short)
}

/// Takes a `u64` from a key at `at`.
///
/// # Errors
/// [`CodecError::Short`] if the key ends before.
pub fn u64_at(key: &[u8], at: usize) -> Result<u64, CodecError> {
    let bytes = key.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
    bytes.map(u64::from_be_bytes).ok_or(CodecError::Short)
}

/// Takes a time from a key at `at`.
///
/// # Errors
/// [`CodecError::Short`] if the key ends before.
pub fn time_at(key: &[u8], at: usize) -> Result<Nanos, CodecError> {
    u64_at(key, at).map(|value| (value ^ (1 << 63)) as Nanos)
}
