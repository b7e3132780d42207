//! Values on the command line, read with errors that say what would be right.

use std::fmt;

use feeds::time::{Nanos, TimeError, Unit, parse_digits, parse_words};

/// How fast a replay goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// As fast as the machine can.
    Max,
    /// This many times the pace at which the ticks came; finite and above zero.
    Times(f64),
}

/// Slowest and fastest pace: a thousandth, and a day in less than a tenth of a second.
const SPEED_RANGE: (f64, f64) = (0.001, 1_000_000.0);

impl Speed {
    /// Reads `max` or `<number>x`.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(text: &str) -> Result<Speed, String> {
        if text == "max" {
            return Ok(Speed::Max);
        }
        let plain =
            |number: &str| !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || c == '.');
        let times = |number: &str| number.parse::<f64>().ok().filter(|_| plain(number));
        let Some(times) = text.strip_suffix('x').and_then(times) else {
            let bare = text.trim().trim_matches(['x', 'X', '*', '×']);
            return Err(match times(bare) {
                Some(_) => format!("write `{bare}x`"),
                None => "write `max`, or a number and x, such as `1x`, `10x` or `0.5x`".to_owned(),
            });
        };
        let (slowest, fastest) = SPEED_RANGE;
        if !(slowest..=fastest).contains(&times) {
            return Err(format!("write a speed from {slowest}x to {fastest}x, or `max`"));
        }
        Ok(Speed::Times(times))
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Speed::Max => f.write_str("max"),
            Speed::Times(times) => write!(f, "{times}x"),
        }
    }
}

/// Where epochs are cut, in tests that show that it does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpochCut {
    /// After this many entries.
    Every(usize),
    /// After a random number of entries, from this seed.
    Random(u64),
}

impl EpochCut {
    /// Reads `<n>` or `random:<seed>`.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(text: &str) -> Result<EpochCut, String> {
        let cut = match text.strip_prefix("random:") {
            Some(seed) => seed.parse().ok().map(EpochCut::Random),
            None => text.parse().ok().filter(|n| *n > 0).map(EpochCut::Every),
        };
        cut.ok_or_else(|| "write a number of entries from 1, or random:SEED".to_owned())
    }
}

/// A time: RFC 3339, `YYYY-MM-DD HH:MM:SS` (UTC), a date (its first instant, UTC), or an integer in seconds,
/// milliseconds, microseconds or nanoseconds by its magnitude.
///
/// # Errors
/// What to write instead.
pub(crate) fn time(text: &str) -> Result<Nanos, String> {
    if let Some(number) = parse_digits(text.as_bytes()) {
        let unit = Unit::by_magnitude(number).ok_or_else(|| {
            "write a time between 1990 and 2200, in seconds, milliseconds, microseconds or nanoseconds"
                .to_owned()
        })?;
        return unit.to_nanos(number).map_err(|error| error.to_string());
    }
    let is_date = text.len() == 10 && text.bytes().filter(|byte| *byte == b'-').count() == 2;
    let words = if is_date { format!("{text}T00:00:00Z") } else { text.to_owned() };
    parse_words(&words).map_err(|error| match error {
        TimeError::OutOfRange | TimeError::OtherUnit => "write a time between 1990 and 2200".to_owned(),
        TimeError::NotATime => "write 2024-08-08T12:00:00Z, 2024-08-08, or an integer since 1970".to_owned(),
    })
}

/// A length of time, as configurations write it.
///
/// # Errors
/// What to write instead.
pub(super) fn span(text: &str) -> Result<Nanos, String> {
    crate::config::duration::parse(text).map_err(|error| error.to_string())
}

/// A name that is not empty and has no space or control character.
///
/// # Errors
/// What to write instead.
pub(super) fn name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("write a name without spaces".to_owned());
    }
    Ok(text.to_owned())
}
