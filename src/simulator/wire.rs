//! Values as venues write them: decimals with all of their digits, times, and names made of numbers.

use feeds::time::{Nanos, SECOND};

use crate::market::digits::put_padded;

/// Letters of a time up to its microseconds.
const MICROS_LETTERS: usize = 26;
/// Nanoseconds of a millisecond.
const MILLI: Nanos = 1_000_000;
/// Nanoseconds of a microsecond.
const MICRO: Nanos = 1_000;

/// `mantissa / 10^scale` with all of its digits.
pub(super) fn fixed(mantissa: i64, scale: u8) -> String {
    padded(mantissa, scale, scale)
}

/// `mantissa / 10^scale` with at least `digits` digits behind the point.
pub(super) fn padded(mantissa: i64, scale: u8, digits: u8) -> String {
    let mut out = Vec::new();
    put_padded(&mut out, mantissa, scale, digits.max(scale));
    String::from_utf8_lossy(&out).into_owned()
}

/// In words, with microseconds.
pub(super) fn words(at: Nanos) -> String {
    let mut text = feeds::time::format(at);
    text.truncate(MICROS_LETTERS);
    text.push('Z');
    text
}

/// In whole milliseconds.
pub(super) fn millis(at: Nanos) -> Nanos {
    at / MILLI
}

/// In whole microseconds.
pub(super) fn micros(at: Nanos) -> Nanos {
    at / MICRO
}

/// In whole seconds.
pub(super) fn seconds(at: Nanos) -> Nanos {
    at / SECOND
}

/// A UUID that is `id` when the halves of it are laid over each other by exclusive or.
pub(super) fn uuid(id: u64) -> String {
    // The finaliser of SplitMix64: neighbours look nothing alike.
    let mut high = id.wrapping_add(0x9e37_79b9_7f4a_7c15);
    high = (high ^ (high >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    high = (high ^ (high >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    high ^= high >> 31;
    let low = high ^ id;
    let (a, b, c) = (high >> 32, high >> 16 & 0xffff, high & 0xffff);
    format!("{a:08x}-{b:04x}-{c:04x}-{:04x}-{:012x}", low >> 48, low & 0xffff_ffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_digits() {
        assert_eq!((fixed(12_300, 4), padded(-5, 1, 3)), ("1.2300".to_owned(), "-0.500".to_owned()));
        assert_eq!((padded(7, 2, 0), fixed(7, 0)), ("0.07".to_owned(), "7".to_owned()));
        let at = 1_750_000_000_123_456_789;
        assert_eq!(words(at), "2025-06-15T15:06:40.123456Z");
        assert_eq!(
            (seconds(at), millis(at), micros(at)),
            (1_750_000_000, 1_750_000_000_123, 1_750_000_000_123_456)
        );
    }

    #[test]
    fn halves_of_a_uuid_make_its_number() {
        for id in [0, 1, 77, u64::MAX, 0x0123_4567_89ab_cdef] {
            let digits: String = uuid(id).split('-').collect();
            let value = u128::from_str_radix(&digits, 16).unwrap();
            assert_eq!(((value >> 64) as u64) ^ (value as u64), id);
            assert_eq!((uuid(id).len(), digits.len()), (36, 32));
        }
        assert_ne!(uuid(1)[..8], uuid(2)[..8]);
    }
}
