//! Captures as hftbacktest's collectors write them: `<receive time> <raw frame>`, a line each.
//!
//! The time is a whole number of ns, or of µs in older files: told once, by magnitude, from the file's head.

use crate::frame::FrameKind;
use crate::symbol::SymbolTable;
use crate::time::{Nanos, Unit, parse_digits};
use crate::venue::Venue;

use super::capture::{self, Capture, Venues, broken};
use super::line::{Lines, is_blank, written};
use super::{Decoded, Decoder, Format, FormatError, Head};

/// The format `hftbacktest`.
pub struct HftBacktest {
    venues: Venues,
}

impl HftBacktest {
    /// The format for captures of one of `venues`.
    #[must_use]
    pub const fn of(venues: &'static [&'static dyn Venue]) -> HftBacktest {
        HftBacktest { venues }
    }
}

impl Format for HftBacktest {
    fn name(&self) -> &'static str {
        "hftbacktest"
    }

    fn describe(&self) -> &'static str {
        "captures of hftbacktest: a receive time in ns or us, a space, the raw frame"
    }

    fn matches(&self, head: &Head<'_>) -> bool {
        written(head.bytes).next().is_some_and(|line| unit_of(line).is_some())
    }

    fn open(&self, head: &Head<'_>) -> Result<Box<dyn Decoder>, FormatError> {
        let unit = written(head.bytes).find_map(unit_of);
        let not_this = || {
            FormatError::NotThis("no line at the start of the file is a receive time and a frame".to_owned())
        };
        let unit = unit.ok_or_else(not_this)?;
        let frames = || written(head.bytes).filter_map(split).map(|(_, payload)| payload);
        let venue = match capture::told(self.venues, head)? {
            Some(venue) => Some(venue),
            None => capture::recognised(self.venues, frames()),
        };
        let capture = Capture::new(venue.ok_or_else(|| capture::venue_unsaid(head))?);
        Ok(Box::new(HftBacktestDecoder { capture, unit }))
    }
}

/// The two halves of a line.
fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = memchr::memchr(b' ', line.get(..24).unwrap_or(line))?;
    Some((&line[..space], &line[space + 1..]))
}

/// The unit of a line's time, if it looks like a line of this format.
fn unit_of(line: &[u8]) -> Option<Unit> {
    let (time, payload) = split(line)?;
    let unit = Unit::by_magnitude(parse_digits(time)?)?;
    let frame = matches!(payload.first(), Some(b'{' | b'['));
    (frame && matches!(unit, Unit::Micros | Unit::Nanos)).then_some(unit)
}

struct HftBacktestDecoder {
    capture: Capture,
    unit: Unit,
}

impl HftBacktestDecoder {
    fn read<'l>(&self, line: &'l [u8]) -> Result<(Nanos, &'l [u8]), FrameKind> {
        if is_blank(line) {
            return Err(FrameKind::Blank);
        }
        if let Some(kind) = capture::too_long(line) {
            return Err(kind);
        }
        let (time, payload) =
            split(line).ok_or_else(|| broken("no receive time and frame in the line", line))?;
        let time = parse_digits(time).ok_or_else(|| broken("the receive time is not a number", line))?;
        let time = self.unit.to_nanos(time).map_err(|error| broken(&format!("receive {error}"), line))?;
        Ok((time, payload))
    }
}

impl Decoder for HftBacktestDecoder {
    fn decode(&mut self, block: &[u8], out: &mut Decoded) {
        let mut number = 0;
        for line in Lines::new(block) {
            match self.read(line) {
                Ok((received_at, payload)) => self.capture.frame(received_at, payload, number, out),
                Err(kind) => capture::count(kind, number, out),
            }
            number += 1;
        }
        out.lines += number;
    }

    fn finish(&mut self, out: &mut Decoded) {
        self.capture.finish(out);
    }

    fn fork(&self) -> Option<Box<dyn Decoder>> {
        None
    }

    fn venue(&self) -> Option<&'static dyn Venue> {
        Some(self.capture.venue)
    }

    fn has_receive_times(&self) -> bool {
        true
    }

    fn symbols(&self) -> &SymbolTable {
        &self.capture.symbols
    }
}
