//! Sixteen bytes of text at once: where a byte is, and the number that its digits are.
//!
//! Everything here takes the same time whatever the digits are, and has no branch that depends on them: lengths
//! vary from row to row, and a wrong guess of the processor costs more than the work saved. A text that ends at
//! some byte is read with the bytes before it, so that its last digit is always in the same place.

use std::hint::select_unpredictable;

use crate::number::Decimal;

/// The bytes in a [`Word`].
const WORD_BYTES: usize = 16;

/// By length: ones in that many bytes at the top.
static TOP: [u128; WORD_BYTES + 1] = {
    let mut masks = [0; WORD_BYTES + 1];
    let mut length = 1;
    while length <= WORD_BYTES {
        masks[length] = u128::MAX << (128 - 8 * length);
        length += 1;
    }
    masks
};

/// Sixteen bytes of text, the first one lowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word(u128);

/// `byte` in each of sixteen places.
const fn everywhere(byte: u8) -> u128 {
    u128::from_le_bytes([byte; WORD_BYTES])
}

impl Word {
    /// The sixteen bytes of `text` from `at` on; `None` if there are fewer.
    #[inline(always)]
    pub(crate) fn load(text: &[u8], at: usize) -> Option<Word> {
        let bytes = text.get(at..)?.first_chunk()?;
        Some(Word(u128::from_le_bytes(*bytes)))
    }

    /// How many bytes stand before the first `byte`: 16 if there is none.
    #[inline(always)]
    pub(crate) fn find(self, byte: u8) -> usize {
        let differs = self.0 ^ everywhere(byte);
        // The lowest high bit that this sets is that of the first byte that is zero; those above it may be wrong.
        let zero = differs.wrapping_sub(everywhere(1)) & !differs & everywhere(0x80);
        zero.trailing_zeros() as usize / 8
    }

    /// The first `length` bytes (at most fifteen) and their number as one key that no other text has, and not 0.
    #[inline(always)]
    pub(crate) fn key(self, length: usize) -> u128 {
        debug_assert!(length < WORD_BYTES);
        self.0 & ((1 << (length * 8)) - 1) | (length as u128 | 0x80) << 120
    }

    /// The number that the first `LENGTH` bytes (1 to 16) are, if all of them are digits.
    #[inline(always)]
    pub(crate) fn number<const LENGTH: usize>(self) -> Option<u64> {
        digits_of((self.0 ^ everywhere(b'0')) << ((WORD_BYTES - LENGTH) * 8))
    }

    /// True or false, as the first bytes say it (the first letter may be a capital), and how many these are.
    #[inline(always)]
    pub(crate) fn boolean(self) -> Option<(bool, usize)> {
        const CAPITAL: u32 = 0x20;
        let four = self.0 as u32 | CAPITAL;
        let is_true = four == u32::from_le_bytes(*b"true");
        let is_false = (four == u32::from_le_bytes(*b"fals")) & ((self.0 >> 32) as u8 == b'e');
        (is_true | is_false).then_some((is_true, 4 + usize::from(is_false)))
    }
}

/// The sixteen bytes of `text` before `end`, each by its distance from `0`; `None` if there are fewer.
#[inline(always)]
fn before(text: &[u8], end: usize) -> Option<u128> {
    Some(Word::load(text, end.checked_sub(WORD_BYTES)?)?.0 ^ everywhere(b'0'))
}

/// The number that the `length` bytes of `text` before `end` are; `None` if these are more than fifteen, none, not
/// all digits, or so close to the beginning of `text` that it cannot be told.
#[inline(always)]
pub(crate) fn number_before(text: &[u8], end: usize, length: usize) -> Option<u64> {
    if length == 0 || length >= WORD_BYTES {
        return None;
    }
    digits_of(before(text, end)? & TOP[length])
}

/// The decimal that the `length` bytes of `text` before `end` are, of which `word` begins with the first; `None` as
/// in [`number_before`], but that there may be a point among the digits.
#[inline(always)]
pub(crate) fn decimal_before(text: &[u8], end: usize, length: usize, word: Word) -> Option<Decimal> {
    let point = word.find(b'.');
    let has_point = point < length;
    let one = usize::from(has_point);
    if length == one || length >= WORD_BYTES {
        return None;
    }
    // What stands before the digits is no zero, or they have a point, which is none.
    let zeros = before(text, end)?.leading_zeros() as usize / 8;
    let zeros = select_unpredictable(has_point, zeros, 0);
    let (end, length) = (end - zeros, length - zeros);
    let scale = select_unpredictable(has_point, length.wrapping_sub(point + 1), 0);
    // Those behind the point from where they end, those before it from a byte further on: the point is gone.
    let behind = *TOP.get(scale)?;
    let digits = before(text, end)? & behind | before(text, end - one)? & !behind;
    let mantissa = digits_of(digits & TOP.get(length - one)?)?;
    // Fifteen digits fit in an i64.
    Some(Decimal::new_canonical(mantissa as i64, scale as u8))
}

/// The number of sixteen digits, each in a byte, the first one lowest; `None` if one is past nine.
#[inline(always)]
fn digits_of(digits: u128) -> Option<u64> {
    const TO_HIGH_BIT: u64 = 0x7676_7676_7676_7676;
    let (high, low) = (digits as u64, (digits >> 64) as u64);
    // A byte of ten or more gets its high bit set, or has it; carries come from such bytes only.
    let past_nine = high.wrapping_add(TO_HIGH_BIT) | high | low.wrapping_add(TO_HIGH_BIT) | low;
    let number = eight(high).wrapping_mul(100_000_000).wrapping_add(eight(low));
    (past_nine & 0x8080_8080_8080_8080 == 0).then_some(number)
}

/// The number of eight digits: neighbours are joined to pairs, pairs to fours, fours to the whole. Each product
/// adds ten, a hundred or ten thousand times a part to the one above it.
#[inline(always)]
fn eight(digits: u64) -> u64 {
    let pairs = digits.wrapping_mul(10 << 8 | 1) >> 8 & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100 << 16 | 1) >> 16 & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(10_000 << 32 | 1) >> 32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn word(text: [u8; 16]) -> Word {
        Word(u128::from_le_bytes(text))
    }

    #[test]
    fn a_word_is_there_or_not() {
        let text = b"abcdefghijklmnopq";
        assert_eq!(Word::load(text, 1), Some(word(*b"bcdefghijklmnopq")));
        assert_eq!((Word::load(text, 2), Word::load(text, 18)), (None, None));
        assert_eq!(number_before(b"0123456789012345", 16, 15), Some(123_456_789_012_345));
        assert_eq!(number_before(b"0123456789012345", 15, 3), None, "too close to the beginning");
        assert_eq!(number_before(b"0123456789012345", 17, 3), None, "past the end");
        assert_eq!(number_before(b"0123456789012345", 16, 16), None);
        assert_eq!(number_before(b"0123456789012345", 16, 0), None);
    }

    #[test]
    fn every_byte_in_every_place_is_a_digit_or_none() {
        for at in 0..16 {
            for byte in 0..=255u8 {
                let mut text = *b"1234567890123456";
                text[at] = byte;
                let digits = text.iter().all(u8::is_ascii_digit);
                let number =
                    std::str::from_utf8(&text).ok().filter(|_| digits).and_then(|text| text.parse().ok());
                assert_eq!(word(text).number::<16>(), number, "{byte} at {at}");
            }
        }
        assert_eq!(word(*b"1700000000123,x9").number::<13>(), Some(1_700_000_000_123));
        assert_eq!(word(*b"1700000000123,x9").number::<14>(), None);
    }

    #[test]
    fn keys_tell_lengths_apart() {
        let zeros = word(*b"AB\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        let keys: Vec<u128> = (0..16).map(|length| zeros.key(length)).collect();
        assert!((0..16).all(|length| keys[length] != 0 && !keys[..length].contains(&keys[length])));
        assert_eq!(word(*b"AB,x567890123456").key(2), keys[2]);
    }

    #[test]
    fn true_and_false_and_nothing_else() {
        let read =
            |text: &str| Word::load(format!("{text}{}", " ".repeat(16)).as_bytes(), 0).unwrap().boolean();
        assert_eq!((read("true,"), read("True")), (Some((true, 4)), Some((true, 4))));
        assert_eq!((read("false\n"), read("False\r")), (Some((false, 5)), Some((false, 5))));
        for text in ["TRUE", "fals,", "fALSE", "\"true\"", "0", "", " true", "\x14rue"] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }

    /// What [`decimal_before`] is to do, by the parser that takes any decimal.
    fn by_digit(text: &str) -> Option<Decimal> {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        Decimal::parse(text.as_bytes()).ok().filter(|_| plain && text.len() < 16)
    }

    proptest! {
        #[test]
        fn the_first_of_a_byte_is_found(bytes in any::<[u8; 16]>(), byte in any::<u8>()) {
            // Neighbours of the byte, which borrows and carries might take for it, and a few of it.
            let text = bytes.map(|b| if b & 4 == 0 { byte ^ (b & 3) } else { b });
            let place = text.iter().position(|b| *b == byte);
            prop_assert_eq!(word(text).find(byte), place.unwrap_or(16));
        }

        #[test]
        fn numbers_agree_with_the_standard_parser(before in "[ -~]{16}", text in "[0-9]{0,16}", behind in "[0-9]{0,2}") {
            let whole = format!("{before}{text}{behind}");
            let expected = text.parse().ok().filter(|_| text.len() < 16);
            prop_assert_eq!(number_before(whole.as_bytes(), 16 + text.len(), text.len()), expected);
        }

        #[test]
        fn decimals_agree_with_the_other_parser(
            before in "[ -~]{15}[,0-9.]",
            text in "[0-9]{0,8}[.]?[0-9]{0,3}0{0,4}|0{0,8}[.]?0{0,8}|[0-9.x]{0,16}",
            behind in "[,0-9.]{16}",
        ) {
            let whole = format!("{before}{text}{behind}");
            let end = 16 + text.len();
            let word = Word::load(whole.as_bytes(), 16).unwrap();
            prop_assert_eq!(decimal_before(whole.as_bytes(), end, text.len(), word), by_digit(&text), "{}", text);
        }
    }
}
