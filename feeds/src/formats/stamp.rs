//! How a file writes its times: told once, from its head.

use crate::time::{Nanos, TimeError, Unit, parse_digits, parse_in, parse_words};

use super::value::plain;

/// How a file writes its times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stamps {
    /// Numbers of this unit, perhaps with a fraction.
    Number(Unit),
    /// RFC 3339 and the like.
    Words,
    /// The head had none: each tells for itself.
    Unsaid,
}

impl Stamps {
    /// The way of the first of `samples` that is a time.
    pub(super) fn of<'a>(samples: impl Iterator<Item = &'a [u8]>) -> Stamps {
        samples.map(Stamps::one).find(|way| *way != Stamps::Unsaid).unwrap_or(Stamps::Unsaid)
    }

    fn one(sample: &[u8]) -> Stamps {
        let text = plain(sample);
        let whole = text.split(|byte| *byte == b'.').next().unwrap_or_default();
        if let Some(unit) = parse_digits(whole).and_then(Unit::by_magnitude) {
            return Stamps::Number(unit);
        }
        match std::str::from_utf8(text).map(parse_words) {
            Ok(Ok(_)) => Stamps::Words,
            _ => Stamps::Unsaid,
        }
    }

    /// Reads one time.
    #[inline]
    pub(super) fn read(self, text: &[u8]) -> Result<Nanos, TimeError> {
        if let Stamps::Number(unit) = self
            && let Some(value) = parse_digits(text)
        {
            return unit.to_nanos(value);
        }
        self.read_odd(text)
    }

    #[cold]
    fn read_odd(self, text: &[u8]) -> Result<Nanos, TimeError> {
        let text = plain(text);
        match self {
            Stamps::Number(unit) => parse_in(text, unit),
            Stamps::Words => parse_words(std::str::from_utf8(text).map_err(|_| TimeError::NotATime)?),
            Stamps::Unsaid => match Stamps::one(text) {
                Stamps::Unsaid if parse_digits(text).is_some() => Err(TimeError::OutOfRange),
                Stamps::Unsaid => Err(TimeError::NotATime),
                way => way.read_odd(text),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_told_by_magnitude() {
        let of = |text: &str| Stamps::of([text.as_bytes()].into_iter());
        assert_eq!(of("1700000000"), Stamps::Number(Unit::Seconds));
        assert_eq!(of("1700000000.25"), Stamps::Number(Unit::Seconds));
        assert_eq!(of("\"1700000000000\""), Stamps::Number(Unit::Millis));
        assert_eq!(of("1700000000000000"), Stamps::Number(Unit::Micros));
        assert_eq!(of("1700000000000000000"), Stamps::Number(Unit::Nanos));
        assert_eq!(of("2023-11-14T22:13:20Z"), Stamps::Words);
        assert_eq!(of("0"), Stamps::Unsaid);
        assert_eq!(Stamps::of([&b"x"[..], b"", b"1700000000"].into_iter()), Stamps::Number(Unit::Seconds));
    }

    #[test]
    fn each_way_reads_its_own_and_refuses_the_rest() {
        let noon = 1_700_000_000_250_000_000;
        assert_eq!(Stamps::Number(Unit::Millis).read(b"1700000000250"), Ok(noon));
        assert_eq!(Stamps::Number(Unit::Millis).read(b" 1700000000250"), Ok(noon));
        assert_eq!(Stamps::Number(Unit::Seconds).read(b"1700000000.25"), Ok(noon));
        assert_eq!(Stamps::Words.read(b"2023-11-14T23:13:20.25+01:00"), Ok(noon));
        assert_eq!(Stamps::Unsaid.read(b"2023-11-14 22:13:20.25"), Ok(noon));
        assert_eq!(Stamps::Unsaid.read(b"0"), Err(TimeError::OutOfRange));
        assert_eq!(Stamps::Unsaid.read(b"-5"), Err(TimeError::NotATime));
        assert_eq!(Stamps::Number(Unit::Millis).read(b"1700000000250000"), Err(TimeError::OtherUnit));
        assert_eq!(Stamps::Number(Unit::Millis).read(b"9223372036854775807"), Err(TimeError::OutOfRange));
        assert_eq!(Stamps::Number(Unit::Millis).read(b""), Err(TimeError::NotATime));
        assert_eq!(Stamps::Words.read(b"2262-01-01T00:00:00Z"), Err(TimeError::OutOfRange));
    }
}
