//! Times: i64 nanoseconds since the Unix epoch, UTC, read from the texts that venues and files write.
//!
//! Nothing here knows what time it is.

use chrono::{DateTime, NaiveDateTime, SecondsFormat};

/// Nanoseconds since the Unix epoch, UTC.
pub type Nanos = i64;

/// One second in [`Nanos`].
pub const SECOND: Nanos = 1_000_000_000;
/// The first time that a tick may have: 1990-01-01.
pub const EARLIEST: Nanos = 631_152_000 * SECOND;
/// The first time past those that a tick may have: 2200-01-01.
pub const LATEST: Nanos = 7_258_118_400 * SECOND;

/// The unit of an integer time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
    /// Nanoseconds.
    Nanos,
}

/// Why a text is not a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Neither an integer nor a time in words.
    #[error("not a time")]
    NotATime,
    /// Before 1990 or after 2199.
    #[error("time outside 1990-2200")]
    OutOfRange,
    /// Within 1990 and 2200, but in another unit than it should be.
    #[error("time in another unit")]
    OtherUnit,
}

impl Unit {
    /// Nanoseconds in one unit.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        match self {
            Unit::Seconds => SECOND,
            Unit::Millis => 1_000_000,
            Unit::Micros => 1_000,
            Unit::Nanos => 1,
        }
    }

    /// The unit in which `value` lies between 1990 and 2200; those ranges do not overlap. `None` if in none.
    #[must_use]
    pub fn by_magnitude(value: i64) -> Option<Unit> {
        [Unit::Seconds, Unit::Millis, Unit::Micros, Unit::Nanos]
            .into_iter()
            .find(|unit| (EARLIEST / unit.nanos()..LATEST / unit.nanos()).contains(&value))
    }

    /// `value` of this unit in nanoseconds.
    ///
    /// # Errors
    /// [`TimeError::OutOfRange`] outside 1990–2200, [`TimeError::OtherUnit`] if it lies within those in another unit.
    #[inline]
    pub fn to_nanos(self, value: i64) -> Result<Nanos, TimeError> {
        value
            .checked_mul(self.nanos())
            .filter(|t| (EARLIEST..LATEST).contains(t))
            .ok_or_else(|| unusable(value))
    }
}

/// Why an integer is no time in the unit that it should have.
#[cold]
fn unusable(value: i64) -> TimeError {
    Unit::by_magnitude(value).map_or(TimeError::OutOfRange, |_| TimeError::OtherUnit)
}

/// An integer time in `unit`, with up to nine digits behind a point (`1626916403.8469708` in seconds).
///
/// # Errors
/// [`TimeError`] if it is no number or lies outside 1990–2200. Digits below a nanosecond are cut off.
pub fn parse_in(text: &[u8], unit: Unit) -> Result<Nanos, TimeError> {
    let point = memchr::memchr(b'.', text).unwrap_or(text.len());
    let whole = parse_digits(&text[..point]).ok_or(TimeError::NotATime)?;
    let mut nanos = whole.checked_mul(unit.nanos()).ok_or_else(|| unusable(whole))?;
    let mut worth = unit.nanos();
    for &byte in text.get(point + 1..).unwrap_or_default() {
        if !byte.is_ascii_digit() {
            return Err(TimeError::NotATime);
        }
        worth /= 10;
        nanos = nanos.checked_add(i64::from(byte - b'0') * worth).ok_or(TimeError::OutOfRange)?;
    }
    in_range(nanos).map_err(|_| unusable(whole))
}

/// An unsigned integer of at most 19 digits.
#[must_use]
#[inline]
pub fn parse_digits(text: &[u8]) -> Option<i64> {
    if text.is_empty() || text.len() > 19 {
        return None;
    }
    let (eights, tail) = text.as_chunks::<8>();
    // Nineteen digits fit in a u64.
    let mut value: u64 = 0;
    for eight in eights {
        value = value * 100_000_000 + eight_digits(*eight)?;
    }
    for &byte in tail {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    i64::try_from(value).ok()
}

/// Eight digits at once: neighbours are joined to pairs, pairs to fours, fours to the whole.
#[inline]
fn eight_digits(text: [u8; 8]) -> Option<u64> {
    const HIGH: u64 = 0xf0f0_f0f0_f0f0_f0f0;
    let word = u64::from_le_bytes(text);
    let past_nine = word.wrapping_add(0x0606_0606_0606_0606);
    if (word & HIGH) | ((past_nine & HIGH) >> 4) != 0x3333_3333_3333_3333 {
        return None;
    }
    let digits = word & 0x0f0f_0f0f_0f0f_0f0f;
    let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours * 10_000 + (fours >> 32)) & 0xffff_ffff)
}

/// A time in words: RFC 3339 with an offset or `Z`, or `YYYY-MM-DD[T ]HH:MM:SS[.fraction]` taken as UTC.
///
/// # Errors
/// [`TimeError`] if it is neither, or lies outside 1990–2200.
pub fn parse_words(text: &str) -> Result<Nanos, TimeError> {
    let nanos = match DateTime::parse_from_rfc3339(text) {
        Ok(time) => time.timestamp_nanos_opt(),
        Err(_) => ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
            .iter()
            .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
            .ok_or(TimeError::NotATime)?
            .and_utc()
            .timestamp_nanos_opt(),
    };
    in_range(nanos.ok_or(TimeError::OutOfRange)?)
}

/// `nanos`, if it lies between 1990 and 2200.
///
/// # Errors
/// [`TimeError::OutOfRange`] if not.
#[inline]
pub fn in_range(nanos: Nanos) -> Result<Nanos, TimeError> {
    if (EARLIEST..LATEST).contains(&nanos) { Ok(nanos) } else { Err(TimeError::OutOfRange) }
}

/// RFC 3339 in UTC with nine digits: `2024-08-08T23:54:15.342000000Z`.
#[must_use]
pub fn format(nanos: Nanos) -> String {
    DateTime::from_timestamp_nanos(nanos).to_rfc3339_opts(SecondsFormat::Nanos, true)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOON: Nanos = 1_723_161_255_342_000_000;

    #[test]
    fn the_unit_shows_in_the_magnitude() {
        for unit in [Unit::Seconds, Unit::Millis, Unit::Micros, Unit::Nanos] {
            assert_eq!(Unit::by_magnitude(NOON / unit.nanos()), Some(unit));
            assert_eq!(Unit::by_magnitude(EARLIEST / unit.nanos()), Some(unit));
            assert_eq!(unit.to_nanos(LATEST / unit.nanos()), Err(TimeError::OutOfRange));
            assert_eq!(unit.to_nanos(EARLIEST / unit.nanos() - 1), Err(TimeError::OutOfRange));
            assert_eq!(unit.to_nanos(i64::MAX), Err(TimeError::OutOfRange));
        }
        for value in [0, -1, 1_000, i64::MAX, i64::MIN] {
            assert_eq!(Unit::by_magnitude(value), None, "{value}");
        }
    }

    #[test]
    fn fractions_keep_their_nanoseconds() {
        assert_eq!(parse_in(b"1626916403.8469708", Unit::Seconds), Ok(1_626_916_403_846_970_800));
        assert_eq!(parse_in(b"1626916403.8469708119", Unit::Seconds), Ok(1_626_916_403_846_970_811));
        assert_eq!(parse_in(b"1626916403", Unit::Seconds), Ok(1_626_916_403 * SECOND));
        assert_eq!(parse_in(b"1626916403846.5", Unit::Millis), Ok(1_626_916_403_846_500_000));
        assert_eq!(parse_in(b"", Unit::Seconds), Err(TimeError::NotATime));
        assert_eq!(parse_in(b"16269164x3", Unit::Seconds), Err(TimeError::NotATime));
        assert_eq!(parse_in(b"1626916403.8x", Unit::Seconds), Err(TimeError::NotATime));
        assert_eq!(parse_in(b"-5", Unit::Seconds), Err(TimeError::NotATime));
        assert_eq!(parse_in(b"9999999999999999999", Unit::Nanos), Err(TimeError::NotATime));
        assert_eq!(parse_in(b"999999999999999999", Unit::Seconds), Err(TimeError::OtherUnit));
        assert_eq!(parse_in(b"1626916403.5", Unit::Millis), Err(TimeError::OtherUnit));
        assert_eq!(parse_in(b"99", Unit::Seconds), Err(TimeError::OutOfRange));
    }

    #[test]
    fn digits_are_digits_only() {
        assert_eq!(parse_digits(b"9223372036854775807"), Some(i64::MAX));
        for text in
            ["", "9223372036854775808", "9999999999999999999", "00000000000000000001", "+1", "-1", "1 ", "1."]
        {
            assert_eq!(parse_digits(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn anything_but_digits_is_no_number_wherever_it_stands() {
        for at in 0..17 {
            for byte in 0..=255u8 {
                let mut text = *b"01234567890123456";
                text[at] = byte;
                assert_eq!(parse_digits(&text).is_some(), byte.is_ascii_digit(), "{byte} at {at}");
            }
        }
        assert_eq!(parse_digits(b""), None);
    }

    #[test]
    fn words_in_any_offset_are_utc() {
        let same = ["2024-08-08T23:54:15.342Z", "2024-08-09T01:54:15.342+02:00", "2024-08-08 23:54:15.342"];
        for text in
            same.into_iter().chain(["2024-08-08T23:54:15.342000", "2024-08-08T19:54:15.342000000-04:00"])
        {
            assert_eq!(parse_words(text), Ok(NOON), "{text}");
        }
        assert_eq!(parse_words("2024-08-08T23:54:15Z"), Ok(NOON - 342_000_000));
        for text in ["", "yesterday", "2024-13-01T00:00:00Z", "2024-08-08", "1723161255"] {
            assert_eq!(parse_words(text), Err(TimeError::NotATime), "{text:?}");
        }
        for text in ["0001-01-01T00:00:00Z", "1989-12-31T23:59:59.999999999Z", "2200-01-01T00:00:00Z"] {
            assert_eq!(parse_words(text), Err(TimeError::OutOfRange), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(nanos in EARLIEST..LATEST) {
            let text = format(nanos);
            prop_assert_eq!(text.len(), "2024-08-08T23:54:15.342000000Z".len());
            prop_assert_eq!(parse_words(&text), Ok(nanos));
            let seconds = format!("{}.{:09}", nanos / SECOND, nanos % SECOND);
            prop_assert_eq!(parse_in(seconds.as_bytes(), Unit::Seconds), Ok(nanos));
        }

        #[test]
        fn digits_agree_with_the_standard_parser(value in any::<u64>()) {
            let text = value.to_string();
            prop_assert_eq!(parse_digits(text.as_bytes()), text.parse::<i64>().ok());
        }
    }
}
