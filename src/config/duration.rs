//! Durations as people write them in configurations: a whole number and a unit (`250ms`), exact to the nanosecond.
//!
//! One spelling per duration would be too strict (`60s` and `1m` are both fine), several per unit too loose: `1sec`
//! is refused, with the right spelling of what was meant.

use feeds::time::Nanos;

/// The units, longest first, with their nanoseconds.
const UNITS: [(&str, i64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// What people write for a unit, and what it is called here.
const OTHER_SPELLINGS: [(&[&str], i64); 8] = [
    (&["w", "wk", "week", "weeks"], 604_800_000_000_000),
    (&["d", "day", "days"], 86_400_000_000_000),
    (&["h", "hr", "hrs", "hour", "hours"], 3_600_000_000_000),
    (&["m", "min", "mins", "minute", "minutes"], 60_000_000_000),
    (&["", "s", "sec", "secs", "second", "seconds"], 1_000_000_000),
    (&["ms", "msec", "msecs", "milli", "millis", "millisecond", "milliseconds"], 1_000_000),
    (&["us", "\u{b5}s", "\u{3bc}s", "usec", "micro", "micros", "microsecond", "microseconds"], 1_000),
    (&["ns", "nsec", "nano", "nanos", "nanosecond", "nanoseconds"], 1),
];

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// It is written otherwise, but what was meant is plain.
    #[error("`{text}` is not a duration; write `{nearest}`")]
    Misspelt {
        /// What was written.
        text: String,
        /// How that is written.
        nearest: String,
    },
    /// It says nothing that could be a duration.
    #[error(
        "`{0}` is not a duration; write a whole number and one of d, h, m, s, ms, us, ns, such as `500ms`"
    )]
    NotADuration(String),
    /// Longer than `i64` nanoseconds.
    #[error("`{0}` is longer than 292 years")]
    TooLong(String),
}

/// Reads `<whole number><unit>` with the units d, h, m, s, ms, us and ns. Never negative.
///
/// # Errors
/// [`DurationError`], with the nearest right spelling where one can be told.
pub fn parse(text: &str) -> Result<Nanos, DurationError> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(unit_at);
    let known = UNITS.iter().find(|(name, _)| *name == unit);
    let padded = digits.len() > 1 && digits.starts_with('0');
    match known {
        Some((_, nanos)) if !digits.is_empty() && !padded => {
            let number = digits.parse::<i64>().ok();
            number.and_then(|n| n.checked_mul(*nanos)).ok_or_else(|| DurationError::TooLong(text.to_owned()))
        }
        _ => Err(match meant(text) {
            Some(nanos) => DurationError::Misspelt { text: text.to_owned(), nearest: format(nanos) },
            None => DurationError::NotADuration(text.to_owned()),
        }),
    }
}

/// The shortest spelling that [`parse`] reads back: `60_000_000_000` is `1m`, not `60s`.
///
/// Negative values, which no duration here has, keep their sign and do not parse.
#[must_use]
pub fn format(nanos: Nanos) -> String {
    if nanos == 0 {
        return "0s".to_owned();
    }
    let unit = UNITS.iter().find(|(_, unit)| nanos % unit == 0);
    unit.map_or_else(|| format!("{nanos}ns"), |(name, unit)| format!("{}{name}", nanos / unit))
}

/// What a misspelt duration means: numbers with a point and unit words, in any case and with spaces, added up.
fn meant(text: &str) -> Option<Nanos> {
    let text: String = text.to_lowercase().chars().filter(|c| !c.is_whitespace() && *c != '_').collect();
    let mut rest = text.as_str();
    let mut total: i64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let number_ends = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, behind) = rest.split_at(number_ends);
        let unit_ends = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
        let (word, behind) = behind.split_at(unit_ends);
        let (_, unit) = OTHER_SPELLINGS.iter().find(|(words, _)| words.contains(&word))?;
        total = total.checked_add(times(number, *unit)?)?;
        rest = behind;
    }
    Some(total)
}

/// `number`, which may have a point, times `unit`, if that is a whole number.
fn times(number: &str, unit: i64) -> Option<i64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let divisor = 10i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let nanos = digits.checked_mul(i128::from(unit))?;
    if nanos % divisor != 0 {
        return None;
    }
    i64::try_from(nanos / divisor).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_exact() {
        for (text, nanos) in [
            ("1s", 1_000_000_000),
            ("250ms", 250_000_000),
            ("1m", 60_000_000_000),
            ("5m", 300_000_000_000),
            ("1h", 3_600_000_000_000),
            ("7d", 604_800_000_000_000),
            ("3us", 3_000),
            ("0s", 0),
            ("9223372036854775807ns", i64::MAX),
        ] {
            assert_eq!(parse(text), Ok(nanos), "{text}");
        }
    }

    #[test]
    fn the_right_spelling_is_named() {
        for (text, nearest) in [
            ("1 s", "1s"),
            ("1sec", "1s"),
            ("5 minutes", "5m"),
            ("1S", "1s"),
            ("10", "10s"),
            ("1.5s", "1500ms"),
            ("1m30s", "90s"),
            ("500µs", "500us"),
            ("01s", "1s"),
            ("1w", "7d"),
            ("1_000ms", "1s"),
            (".5s", "500ms"),
        ] {
            let expected = DurationError::Misspelt { text: text.to_owned(), nearest: nearest.to_owned() };
            assert_eq!(parse(text), Err(expected));
        }
        assert_eq!(parse("1sec").unwrap_err().to_string(), "`1sec` is not a duration; write `1s`");
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for text in ["", "s", "-1s", "1x", "fast", "1.0000000001s", "1e3s", "\u{661}s", ".s", " "] {
            let refused = matches!(parse(text), Err(DurationError::NotADuration(_)));
            assert!(refused, "{text}: {:?}", parse(text));
        }
        assert_eq!(parse("106752d"), Err(DurationError::TooLong("106752d".to_owned())));
        let text = "99999999999999999999ns";
        assert_eq!(parse(text), Err(DurationError::TooLong(text.to_owned())));
    }

    proptest! {
        #[test]
        fn every_duration_reads_back(nanos in 0..=i64::MAX, unit in 0usize..7, count in 0i64..100_000) {
            prop_assert_eq!(parse(&format(nanos)), Ok(nanos));
            let whole = count * UNITS[unit].1;
            prop_assert_eq!(parse(&format(whole)), Ok(whole));
            prop_assert_eq!(parse(&std::format!("{count}{}", UNITS[unit].0)), Ok(whole));
        }

        #[test]
        fn no_text_panics_and_every_suggestion_parses(text in "[0-9._ ]{0,4}[a-zµ ]{0,4}[0-9a-z.]{0,4}") {
            if let Err(DurationError::Misspelt { nearest, .. }) = parse(&text) {
                prop_assert!(parse(&nearest).is_ok());
            }
        }
    }
}
