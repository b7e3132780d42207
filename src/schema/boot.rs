//! Under which boot of the machine the last live run wrote, and whether it came to its end.
//!
//! # Bytes
//! `boot` in the family `meta`: version 1; the boot's id as text, with its length in front, empty where the system tells
//! none; 1 if the run stopped on purpose, with all of it synced, else 0.

use crate::codec::{CodecError, Put, Reader};

const VERSION: u8 = 1;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// The boot's id; empty where the system tells none.
    pub id: String,
    /// The run stopped on purpose.
    pub stopped: bool,
}

/// Its key.
#[must_use]
pub fn key() -> Vec<u8> {
    b"boot".to_vec()
}

impl Boot {
    /// Its value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.put_bytes(self.id.as_bytes());
        out.put_u8(u8::from(self.stopped));
        out
    }

    /// Reads it back.
    ///
    /// # Errors
    /// [`CodecError`] if the bytes are none.
    pub fn decode(value: &[u8]) -> Result<Boot, CodecError> {
        let mut from = Reader::new(value);
        if from.u8()? != VERSION {
            return Err(CodecError::Invalid);
        }
        let id = std::str::from_utf8(from.bytes()?).map_err(|_| CodecError::Invalid)?.to_owned();
        let stopped = match from.u8()? {
            0 => false,
            1 => true,
            _ => return Err(CodecError::Invalid),
        };
        if from.is_empty() { Ok(Boot { id, stopped }) } else { Err(CodecError::Invalid) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_version_one() {
        let boot = Boot { id: "a-b".to_owned(), stopped: true };
        let bytes = boot.encode();
        assert_eq!(bytes, [1, 3, b'a', b'-', b'b', 1]);
        assert_eq!(Boot::decode(&bytes), Ok(boot));
        for cut in 0..bytes.len() {
            assert!(Boot::decode(&bytes[..cut]).is_err(), "{cut}");
        }
        assert_eq!(Boot::decode(&[1, 0, 2]), Err(CodecError::Invalid));
    }
}
