//! How far sinks came.
//!
//! # Bytes
//! `sink/` and the sink's name in the family `meta`: version 1; generation and number of the cursor behind which it goes
//! on.

use super::Key;
use crate::alert::Cursor;
use crate::codec::{CodecError, Put, Reader};

const VERSION: u8 = 1;

/// The key of the sink called `name`.
#[must_use]
pub fn key(name: &str) -> Vec<u8> {
    Key::text("sink/").bytes().into_iter().chain(name.bytes()).collect()
}

/// Its value.
#[must_use]
pub fn encode(place: Cursor) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.put_u64(place.generation);
    out.put_u64(place.number);
    out
}

/// Reads it back.
///
/// # Errors
/// [`CodecError`] if the bytes are none.
pub fn decode(value: &[u8]) -> Result<Cursor, CodecError> {
    let mut from = Reader::new(value);
    if from.u8()? != VERSION {
        return Err(CodecError::Invalid);
    }
    let place = Cursor { generation: from.u64()?, number: from.u64()? };
    if from.is_empty() { Ok(place) } else { Err(CodecError::Invalid) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_version_one() {
        let place = Cursor { generation: 2, number: 300 };
        assert_eq!((key("a"), encode(place)), (b"sink/a".to_vec(), vec![1, 2, 0xac, 2]));
        assert_eq!(decode(&encode(place)), Ok(place));
        assert!(decode(&[1, 2, 3, 4]).is_err() && decode(&[2, 2, 3]).is_err() && decode(&[1]).is_err());
    }
}
