//! How far the tape of a live run is in the database: a key that every epoch's batch sets.
//!
//! # Bytes
//! Version 1; number of the run; tape number of the last entry; ticks up to there, earlier runs included: unsigned
//! integers as in [`crate::codec`].

use crate::codec::{CodecError, Put, Reader};

const VERSION: u8 = 1;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The run.
    pub run: u32,
    /// The last entry of its tape that is in the database.
    pub applied: u64,
    /// Ticks up to there.
    pub ticks: u64,
}

/// Its key.
#[must_use]
pub fn key() -> Vec<u8> {
    b"head".to_vec()
}

impl Head {
    /// Its value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        for value in [u64::from(self.run), self.applied, self.ticks] {
            out.put_u64(value);
        }
        out
    }

    /// Reads a head back.
    ///
    /// # Errors
    /// [`CodecError`] if the bytes are none.
    pub fn decode(value: &[u8]) -> Result<Head, CodecError> {
        let mut from = Reader::new(value);
        if from.u8()? != VERSION {
            return Err(CodecError::Invalid);
        }
        let run = u32::try_from(from.u64()?).map_err(|_| CodecError::Invalid)?;
        let head = Head { run, applied: from.u64()?, ticks: from.u64()? };
        if from.is_empty() { Ok(head) } else { Err(CodecError::Invalid) }
    }
}
