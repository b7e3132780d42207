//! The bytes of everything that is persisted: variable-length integers and length-prefixed bytes.
//!
//! Unsigned integers are LEB128 (seven bits a byte, least significant first, high bit = more follows). Signed ones
//! are zigzag-mapped first. An `i128` is the same over 128 bits. Bytes are their length, then themselves. Reading
//! never panics: bytes that end too early or run too long are a [`CodecError`].

/// Why bytes could not be read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The bytes end in the middle of a value.
    #[error("bytes end early")]
    Short,
    /// A value is out of the range of its type, or a tag is unknown.
    #[error("bytes hold no valid value")]
    Invalid,
}

/// Appends values to bytes.
pub trait Put {
    /// One byte.
    fn put_u8(&mut self, value: u8);
    /// An unsigned integer.
    fn put_u64(&mut self, value: u64);
    /// A signed integer.
    fn put_i64(&mut self, value: i64);
    /// A wide signed integer.
    fn put_i128(&mut self, value: i128);
    /// Length, then bytes.
    fn put_bytes(&mut self, value: &[u8]);
}

impl Put for Vec<u8> {
    #[inline]
    fn put_u8(&mut self, value: u8) {
        self.push(value);
    }

    #[inline]
    fn put_u64(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.push(value as u8);
    }

    #[inline]
    fn put_i64(&mut self, value: i64) {
        self.put_u64(((value << 1) ^ (value >> 63)) as u64);
    }

    #[inline]
    fn put_i128(&mut self, value: i128) {
        let mut zigzag = ((value << 1) ^ (value >> 127)) as u128;
        while zigzag >= 0x80 {
            self.push((zigzag & 0x7f) as u8 | 0x80);
            zigzag >>= 7;
        }
        self.push(zigzag as u8);
    }

    #[inline]
    fn put_bytes(&mut self, value: &[u8]) {
        self.put_u64(value.len() as u64);
        self.extend_from_slice(value);
    }
}

/// Takes values off the front of bytes.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader at the start of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes }
    }

    /// True at the end.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What has not been read.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// One byte.
    ///
    /// # Errors
    /// [`CodecError::Short`] at the end.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, CodecError> {
        let (&first, rest) = self.bytes.split_first().ok_or(CodecError::Short)?;
        self.bytes = rest;
        Ok(first)
    }

    /// An unsigned integer.
    ///
    /// # Errors
    /// [`CodecError`] if the bytes hold none.
    #[inline]
    pub fn u64(&mut self) -> Result<u64, CodecError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(CodecError::Invalid);
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(CodecError::Invalid)
    }

    /// A signed integer.
    ///
    /// # Errors
    /// [`CodecError`] if the bytes hold none.
    #[inline]
    pub fn i64(&mut self) -> Result<i64, CodecError> {
        let zigzag = self.u64()?;
        Ok((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
    }

    /// A wide signed integer.
    ///
    /// # Errors
    /// [`CodecError`] if the bytes hold none.
    pub fn i128(&mut self) -> Result<i128, CodecError> {
        let mut zigzag = 0u128;
        for shift in (0..128).step_by(7) {
            let byte = self.u8()?;
            let bits = u128::from(byte & 0x7f);
            if shift == 126 && bits > 3 {
                return Err(CodecError::Invalid);
            }
            zigzag |= bits << shift;
            if byte < 0x80 {
                return Ok((zigzag >> 1) as i128 ^ -((zigzag & 1) as i128));
            }
        }
        Err(CodecError::Invalid)
    }

    /// Length-prefixed bytes.
    ///
    /// # Errors
    /// [`CodecError`] if the bytes hold none.
    pub fn bytes(&mut self) -> Result<&'a [u8], CodecError> {
        let length = usize::try_from(self.u64()?).map_err(|_| CodecError::Invalid)?;
        let (value, rest) = self.bytes.split_at_checked(length).ok_or(CodecError::Short)?;
        self.bytes = rest;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    //! What is written comes back, in the bytes that are promised.

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn values_come_back(
            byte in any::<u8>(), unsigned in any::<u64>(), signed in any::<i64>(), wide in any::<i128>(),
            shift in 0u32..127, text in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut bytes = Vec::new();
            bytes.put_u8(byte);
            bytes.put_u64(unsigned >> (shift % 64));
            bytes.put_i64(signed >> (shift % 64));
            bytes.put_i128(wide >> shift);
            bytes.put_bytes(&text);
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.u8(), Ok(byte));
            prop_assert_eq!(reader.u64(), Ok(unsigned >> (shift % 64)));
            prop_assert_eq!(reader.i64(), Ok(signed >> (shift % 64)));
            prop_assert_eq!(reader.i128(), Ok(wide >> shift));
            prop_assert_eq!(reader.bytes(), Ok(&text[..]));
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn an_i64_is_written_alike_at_both_widths(value in any::<i64>(), shift in 0u32..64) {
            let value = value >> shift;
            let (mut narrow, mut wide) = (Vec::new(), Vec::new());
            narrow.put_i64(value);
            wide.put_i128(i128::from(value));
            prop_assert_eq!(narrow, wide);
        }

        #[test]
        fn a_value_cut_short_is_short(wide in any::<i128>(), unsigned in any::<u64>(), cut in 0usize..19) {
            let (mut bytes, mut small) = (Vec::new(), Vec::new());
            bytes.put_i128(wide);
            small.put_u64(unsigned);
            let (cut, small_cut) = (cut.min(bytes.len() - 1), cut.min(small.len() - 1));
            prop_assert_eq!(Reader::new(&bytes[..cut]).i128(), Err(CodecError::Short));
            prop_assert_eq!(Reader::new(&small[..small_cut]).u64(), Err(CodecError::Short));
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = Reader::new(&bytes).u64();
            let _ = Reader::new(&bytes).i64();
            let _ = Reader::new(&bytes).i128();
            let _ = Reader::new(&bytes).bytes();
        }
    }

    #[test]
    fn bytes_are_leb128_and_zigzag() {
        let mut bytes = Vec::new();
        bytes.put_u64(300);
        bytes.put_i64(-2);
        bytes.put_i128(64);
        bytes.put_bytes(b"ab");
        assert_eq!(bytes, [0xac, 0x02, 3, 0x80, 0x01, 2, b'a', b'b']);
    }

    #[test]
    fn the_extremes_come_back() {
        let mut bytes = Vec::new();
        bytes.put_u64(u64::MAX);
        bytes.put_i64(i64::MIN);
        bytes.put_i128(i128::MIN);
        bytes.put_i128(i128::MAX);
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.u64(), Ok(u64::MAX));
        assert_eq!(reader.i64(), Ok(i64::MIN));
        assert_eq!(reader.i128(), Ok(i128::MIN));
        assert_eq!(reader.i128(), Ok(i128::MAX));
    }

    #[test]
    fn what_is_too_large_is_invalid() {
        let longer = [0xff; 30];
        assert_eq!(Reader::new(&longer).u64(), Err(CodecError::Invalid));
        assert_eq!(Reader::new(&longer).i128(), Err(CodecError::Invalid));
        // The tenth byte of a u64 has one bit left, the nineteenth of an i128 two.
        let over = [&[0xff; 9][..], &[2]].concat();
        assert_eq!(Reader::new(&over).u64(), Err(CodecError::Invalid));
        let over = [&[0xff; 18][..], &[4]].concat();
        assert_eq!(Reader::new(&over).i128(), Err(CodecError::Invalid));
        // A length that goes past the end.
        assert_eq!(Reader::new(&[5, 1, 2]).bytes(), Err(CodecError::Short));
    }
}
