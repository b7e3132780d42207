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
    /// [`TimeError::OutOfRange`] outside 1990–2200.
    #[inline]
    pub fn to_nanos(self, value: i64) -> Result<Nanos, TimeError> {
        value.checked_mul(self.nanos()).filter(|t| (EARLIEST..LATEST).contains(t)).ok_or(TimeError::OutOfRange)
    }
}

/// An integer time in `unit`, with up to nine digits behind a point (`1626916403.8469708` in seconds).
///
/// # Errors
/// [`TimeError`] if it is no number or lies outside 1990–2200. Digits below a nanosecond are cut off.
pub fn parse_in(text: &[u8], unit: Unit) -> Result<Nanos, TimeError> {
    let point = memchr::memchr(b'.', text).unwrap_or(text.len());
    let whole = parse_digits(&text[..point]).ok_or(TimeError::NotATime)?;
    let mut nanos = whole.checked_mul(unit.nanos()).ok_or(TimeError::OutOfRange)?;
    let mut worth = unit.nanos();
    for &byte in text.get(point + 1..).unwrap_or_default() {
        if !byte.is_ascii_digit() {
            return Err(TimeError::NotATime);
        }
        worth /= 10;
        nanos = nanos.checked_add(i64::from(byte - b'0') * worth).ok_or(TimeError::OutOfRange)?;
    }
    in_range(nanos)
}

/// An unsigned integer of at most 19 digits.
#[must_use]
#[inline]
pub fn parse_digits(text: &[u8]) -> Option<i64> {
    if text.is_empty() || text.len() > 19 {
        return None;
    }
    let mut value: i64 = 0;
    for &byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(i64::from(digit))?;
    }
    Some(value)
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
