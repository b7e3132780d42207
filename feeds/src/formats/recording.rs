//! Recordings of one connection of one venue, which anything can write: what a live run cannot derive, a line each, so
//! that a crash costs the last line at most. What tapedeck records itself, of many connections, is
//! [`crate::recording`].
//!
//! # Format, version 1
//!
//! The first line is a JSON object. `tapedeck_recording` is the version, `venue` the id of the one venue whose
//! frames follow; readers pass over further members.
//!
//! ```text
//! {"tapedeck_recording":1,"venue":"binance"}
//! ```
//!
//! Each further line is an entry, four parts with one space between them and `\n` behind them:
//!
//! ```text
//! NUMBER RECEIVED_AT KIND CONTENT
//! ```
//!
//! - `NUMBER`: the entry's number on the tape, a decimal u64 of at most 19 digits. It rises from line to line.
//! - `RECEIVED_AT`: when it came in, ns since the Unix epoch, decimal.
//! - `KIND`: one byte.
//!   - `f` a frame of text: the bytes as received, with no `\r`, `\n` or backslash in them
//!   - `e` a frame with other bytes: `\n` for a line feed, `\r` for a carriage return, `\\` for a backslash, every
//!     other byte as it is
//!   - `o` a connection was opened, `c` one was closed: the address or the reason, escaped as in `e`
//!   - `s` the run was stopped on purpose; no content
//! - `CONTENT`: all up to the line feed; may be empty.
//!
//! A line without its line feed was cut by a crash and is broken. A kind that is not listed is counted as unknown
//! and passed over; another version is refused.

use std::borrow::Cow;

use serde::Deserialize;

use crate::frame::FrameKind;
use crate::symbol::SymbolTable;
use crate::time::{Nanos, in_range, parse_digits};
use crate::venue::Venue;

use super::capture::{self, Capture, Venues, broken};
use super::line::written;
use super::{Decoded, Decoder, Format, FormatError, Head};

/// The version that is written, and the only one that is read.
pub const VERSION: u32 = 1;

/// One entry of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its number on the tape; at most `i64::MAX`.
    pub number: u64,
    /// When it came in.
    pub received_at: Nanos,
    /// What it is.
    pub content: Content<'a>,
}

/// What an entry of a recording is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// A frame's bytes.
    Frame(Cow<'a, [u8]>),
    /// A connection was opened: its address.
    Opened(Cow<'a, [u8]>),
    /// A connection was closed: why.
    Closed(Cow<'a, [u8]>),
    /// The run was stopped on purpose.
    Stop,
    /// Of a kind that this version does not know.
    Unknown(u8),
}

/// The first line of a recording of `venue`.
#[must_use]
pub fn first_line(venue: &str) -> Vec<u8> {
    let mut line =
        serde_json::json!({ "tapedeck_recording": VERSION, "venue": venue }).to_string().into_bytes();
    line.push(b'\n');
    line
}

impl Entry<'_> {
    /// Appends the entry's line to `out`. An [`Content::Unknown`] has none.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (kind, content): (u8, &[u8]) = match &self.content {
            Content::Frame(bytes) if is_plain(bytes) => (b'f', bytes),
            Content::Frame(bytes) => (b'e', bytes),
            Content::Opened(address) => (b'o', address),
            Content::Closed(why) => (b'c', why),
            Content::Stop => (b's', b""),
            Content::Unknown(_) => return,
        };
        out.extend_from_slice(format!("{} {} ", self.number, self.received_at).as_bytes());
        out.extend_from_slice(&[kind, b' ']);
        escape(content, out);
        out.push(b'\n');
    }
}

/// Appends `content` without line feeds and carriage returns.
pub(crate) fn escape(content: &[u8], out: &mut Vec<u8>) {
    for &byte in content {
        match byte {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\\' => out.extend_from_slice(b"\\\\"),
            _ => out.push(byte),
        }
    }
}

/// True if nothing in it needs an escape.
pub(crate) fn is_plain(bytes: &[u8]) -> bool {
    memchr::memchr3(b'\n', b'\r', b'\\', bytes).is_none()
}

/// The entry on `line` (without its line feed).
///
/// # Errors
/// Why it is none.
pub fn decode(line: &[u8]) -> Result<Entry<'_>, &'static str> {
    let mut parts = line.splitn(4, |byte| *byte == b' ');
    let mut part = || parts.next().ok_or("fewer than four parts in the line");
    let number = parse_digits(part()?).ok_or("the entry's number is not a number")?;
    let received_at = parse_digits(part()?).and_then(|time| in_range(time).ok());
    let received_at = received_at.ok_or("the receive time lies outside 1990-2200")?;
    let kind = part()?;
    let text = part()?;
    let content = match kind {
        b"f" => Content::Frame(Cow::Borrowed(text)),
        b"e" => Content::Frame(unescaped(text)?),
        b"o" => Content::Opened(unescaped(text)?),
        b"c" => Content::Closed(unescaped(text)?),
        b"s" => Content::Stop,
        [other] => Content::Unknown(*other),
        _ => return Err("the entry's kind is not one byte"),
    };
    Ok(Entry { number: number.unsigned_abs(), received_at, content })
}

/// Undoes [`escape`].
pub(crate) fn unescaped(text: &[u8]) -> Result<Cow<'_, [u8]>, &'static str> {
    if is_plain(text) {
        return Ok(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match (byte, if *byte == b'\\' { rest.next() } else { None }) {
            (b'\\', Some(b'n')) => b'\n',
            (b'\\', Some(b'r')) => b'\r',
            (b'\\', Some(b'\\')) => b'\\',
            (b'\\', _) => return Err("a backslash with nothing known behind it"),
            (other, _) => *other,
        });
    }
    Ok(Cow::Owned(bytes))
}

/// The format `recording`.
pub struct Recording {
    venues: Venues,
}

impl Recording {
    /// The format for recordings of one of `venues`.
    #[must_use]
    pub const fn of(venues: &'static [&'static dyn Venue]) -> Recording {
        Recording { venues }
    }
}

#[derive(Deserialize)]
struct FirstLine<'l> {
    tapedeck_recording: u64,
    #[serde(borrow)]
    venue: Cow<'l, str>,
}

impl Format for Recording {
    fn name(&self) -> &'static str {
        "recording"
    }

    fn describe(&self) -> &'static str {
        "tapedeck's own recordings of live frames"
    }

    fn matches(&self, head: &Head<'_>) -> bool {
        written(head.bytes).next().is_some_and(|line| line.starts_with(b"{\"tapedeck_recording\":"))
    }

    fn open(&self, head: &Head<'_>) -> Result<Box<dyn Decoder>, FormatError> {
        let line = written(head.bytes).next().unwrap_or_default();
        let not_this =
            |error| FormatError::NotThis(format!("the first line is not that of a recording: {error}"));
        let first: FirstLine<'_> = serde_json::from_slice(line).map_err(not_this)?;
        if first.tapedeck_recording != u64::from(VERSION) {
            let version = first.tapedeck_recording;
            return Err(FormatError::NotThis(format!(
                "a recording of version {version}; this program reads version {VERSION}"
            )));
        }
        let id = Some(first.venue.as_ref());
        let venue = capture::told(self.venues, &Head { venue: id, ..*head })?;
        let capture = Capture::new(venue.ok_or_else(|| capture::venue_unsaid(head))?);
        Ok(Box::new(RecordingDecoder { capture, first: line.to_vec(), last: None }))
    }
}

struct RecordingDecoder {
    capture: Capture,
    first: Vec<u8>,
    /// The number of the last entry.
    last: Option<u64>,
}

impl RecordingDecoder {
    fn line(&mut self, line: &[u8], number: u64, out: &mut Decoded) {
        let Some(line) = line.strip_suffix(b"\n") else {
            return capture::count(broken("the last line was cut off", line), number, out);
        };
        let kind = if line == self.first || line.strip_prefix(b"\xef\xbb\xbf") == Some(&self.first[..]) {
            FrameKind::Control
        } else if line.is_empty() {
            FrameKind::Blank
        } else if let Some(kind) = capture::too_long(line) {
            kind
        } else {
            match decode(line) {
                Ok(entry) => return self.entry(&entry, line, number, out),
                Err(why) => broken(why, line),
            }
        };
        capture::count(kind, number, out);
    }

    fn entry(&mut self, entry: &Entry<'_>, line: &[u8], number: u64, out: &mut Decoded) {
        if self.last.is_some_and(|last| entry.number <= last) {
            let why = "the entry's number is not above that of the entry before";
            return capture::count(broken(why, line), number, out);
        }
        self.last = Some(entry.number);
        match &entry.content {
            Content::Frame(payload) => return self.capture.frame(entry.received_at, payload, number, out),
            Content::Opened(_) => self.capture.reopen(out),
            Content::Closed(_) | Content::Stop => self.capture.finish(out),
            Content::Unknown(kind) => {
                let name = String::from_utf8_lossy(&[*kind]).into_owned();
                return capture::count(FrameKind::Unknown(name), number, out);
            }
        }
        capture::count(FrameKind::Control, number, out);
    }
}

impl Decoder for RecordingDecoder {
    fn decode(&mut self, block: &[u8], out: &mut Decoded) {
        let mut number = 0;
        for line in block.split_inclusive(|byte| *byte == b'\n') {
            self.line(line, number, out);
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn content() -> impl Strategy<Value = Content<'static>> {
        let bytes =
            || prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'\\'), any::<u8>()], 0..40);
        prop_oneof![
            bytes().prop_map(|b| Content::Frame(Cow::Owned(b))),
            bytes().prop_map(|b| Content::Opened(Cow::Owned(b))),
            bytes().prop_map(|b| Content::Closed(Cow::Owned(b))),
            Just(Content::Stop),
        ]
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(
            number in 0..i64::MAX as u64,
            received_at in crate::time::EARLIEST..crate::time::LATEST,
            content in content(),
        ) {
            let entry = Entry { number, received_at, content };
            let mut line = Vec::new();
            entry.encode(&mut line);
            prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            prop_assert_eq!(decode(line.strip_suffix(b"\n").unwrap()), Ok(entry));
        }
    }

    #[test]
    fn the_bytes_of_version_one() {
        let mut bytes = first_line("here");
        let entry = |content| Entry { number: 7, received_at: 1_700_000_000_000_000_001, content };
        entry(Content::Frame(Cow::Borrowed(b"{\"a\": 1}"))).encode(&mut bytes);
        entry(Content::Frame(Cow::Borrowed(b"a\nb\\c"))).encode(&mut bytes);
        entry(Content::Stop).encode(&mut bytes);
        let expected = "{\"tapedeck_recording\":1,\"venue\":\"here\"}\n\
            7 1700000000000000001 f {\"a\": 1}\n7 1700000000000000001 e a\\nb\\\\c\n7 1700000000000000001 s \n";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }
}
