//! Captures as cryptofeed records them, times in seconds with a fraction.
//!
//! ```text
//! wss://host/path <-> TIME              a connection was opened
//! wss://host/path <- TIME: PAYLOAD      sent
//! https://host/path -> TIME: PAYLOAD    answered to a request
//! TIME: PAYLOAD                         received
//! ```
//!
//! A payload is text as it came, or Python's way of writing bytes: `b'\x1f\x8b…'`. Only received lines are frames
//! of the venue; the others are the recorder's. A second opening begins a fresh session.

use crate::frame::FrameKind;
use crate::symbol::SymbolTable;
use crate::time::{Nanos, Unit, parse_in};
use crate::venue::Venue;

use super::capture::{self, Capture, Venues, broken};
use super::line::{Lines, is_blank, written};
use super::{Decoded, Decoder, Format, FormatError, Head};

/// The format `cryptofeed`.
pub struct Cryptofeed {
    venues: Venues,
}

impl Cryptofeed {
    /// The format for captures of one of `venues`.
    #[must_use]
    pub const fn of(venues: &'static [&'static dyn Venue]) -> Cryptofeed {
        Cryptofeed { venues }
    }
}

impl Format for Cryptofeed {
    fn name(&self) -> &'static str {
        "cryptofeed"
    }

    fn describe(&self) -> &'static str {
        "captures of cryptofeed: the endpoint's address, then a time in seconds, a colon, the frame"
    }

    fn matches(&self, head: &Head<'_>) -> bool {
        let Some(first) = written(head.bytes).next() else { return false };
        match read(first) {
            Line::Opened(address) => endpoint(address).is_some(),
            Line::Recorder(address) => endpoint(address).is_some(),
            Line::Received(_, payload) => matches!(payload, [b'{' | b'[', ..] | [b'b', b'\'' | b'"', ..]),
            Line::Odd(_) => false,
        }
    }

    fn open(&self, head: &Head<'_>) -> Result<Box<dyn Decoder>, FormatError> {
        let lines = || written(head.bytes).map(read);
        if lines().all(|line| matches!(line, Line::Odd(_))) {
            let why = "no line at the start of the file is an endpoint's address or a time and a frame";
            return Err(FormatError::NotThis(why.to_owned()));
        }
        let told = capture::told(self.venues, head)?;
        let named = lines().find_map(|line| match line {
            Line::Opened(address) | Line::Recorder(address) => venue_at(self.venues, address),
            _ => None,
        });
        let payloads: Vec<Vec<u8>> = lines()
            .filter_map(|line| match line {
                Line::Received(_, payload) => unescaped(payload),
                _ => None,
            })
            .collect();
        let by_frames = || capture::recognised(self.venues, payloads.iter().map(Vec::as_slice));
        let venue = named.or_else(by_frames).or(told).ok_or_else(|| capture::venue_unsaid(head))?;
        let venues = self.venues;
        Ok(Box::new(CryptofeedDecoder {
            capture: Capture::new(venue),
            venues,
            opened: false,
            foreign: false,
        }))
    }
}

/// What a line is.
enum Line<'l> {
    /// A connection was opened to this address.
    Opened(&'l str),
    /// Another line of the recorder about this address.
    Recorder(&'l str),
    /// A frame, as written.
    Received(Nanos, &'l [u8]),
    /// None of these, and why.
    Odd(&'static str),
}

const SCHEMES: [&str; 4] = ["wss://", "ws://", "https://", "http://"];

fn read(line: &[u8]) -> Line<'_> {
    if SCHEMES.iter().any(|scheme| line.starts_with(scheme.as_bytes())) {
        return read_recorder(line);
    }
    let Some(colon) = memchr::memchr(b':', line.get(..40).unwrap_or(line)) else {
        return Line::Odd("no receive time and frame in the line");
    };
    match parse_in(&line[..colon], Unit::Seconds) {
        Ok(time) => Line::Received(time, line[colon + 1..].trim_ascii_start()),
        Err(_) => Line::Odd("the receive time is not a time in seconds between 1990 and 2200"),
    }
}

fn read_recorder(line: &[u8]) -> Line<'_> {
    let space = memchr::memchr(b' ', line).unwrap_or(line.len());
    let Ok(address) = std::str::from_utf8(&line[..space]) else {
        return Line::Odd("an address that is no text");
    };
    match line[space..].trim_ascii_start() {
        rest if rest.starts_with(b"<-> ") => Line::Opened(address),
        rest if rest.starts_with(b"<- ") || rest.starts_with(b"-> ") => Line::Recorder(address),
        _ => Line::Odd("an address without <->, <- or -> behind it"),
    }
}

/// Host and path of an address.
fn endpoint(address: &str) -> Option<(&str, &str)> {
    let rest = SCHEMES.iter().find_map(|scheme| address.strip_prefix(scheme))?;
    let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let host = host.split(':').next().filter(|host| !host.is_empty())?;
    Some((host, path))
}

/// The venue that answers at an address, by the longest path of its endpoints.
fn venue_at(venues: Venues, address: &str) -> Option<&'static dyn Venue> {
    let (host, path) = endpoint(address)?;
    let mut best: Option<(usize, &'static dyn Venue)> = None;
    for venue in venues.iter().copied() {
        for known in venue.endpoints() {
            let fits = known.host.eq_ignore_ascii_case(host) && path.starts_with(known.path);
            if fits && best.is_none_or(|(length, _)| known.path.len() > length) {
                best = Some((known.path.len(), venue));
            }
        }
    }
    best.map(|(_, venue)| venue)
}

/// The bytes that a payload stands for; `None` if it is written as bytes but wrongly.
fn unescaped(payload: &[u8]) -> Option<Vec<u8>> {
    let inside = match payload {
        [b'b', b'\'', inside @ .., b'\''] | [b'b', b'"', inside @ .., b'"'] => inside,
        [b'b', b'\'' | b'"', ..] => return None,
        _ => return Some(payload.to_vec()),
    };
    let mut bytes = Vec::with_capacity(inside.len());
    let mut rest = inside;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        bytes.extend_from_slice(&rest[..at]);
        let (byte, taken) = escape(&rest[at + 1..])?;
        bytes.push(byte);
        rest = &rest[at + 1 + taken..];
    }
    bytes.extend_from_slice(rest);
    Some(bytes)
}

/// The byte that the text behind a backslash stands for, and how long that text is.
fn escape(text: &[u8]) -> Option<(u8, usize)> {
    match text {
        [b'x', high, low, ..] => {
            let digit = |byte: &u8| char::from(*byte).to_digit(16);
            let byte = digit(high)? * 16 + digit(low)?;
            Some((u8::try_from(byte).ok()?, 3))
        }
        [b'n', ..] => Some((b'\n', 1)),
        [b'r', ..] => Some((b'\r', 1)),
        [b't', ..] => Some((b'\t', 1)),
        [byte @ (b'\\' | b'\'' | b'"'), ..] => Some((*byte, 1)),
        _ => None,
    }
}

struct CryptofeedDecoder {
    capture: Capture,
    venues: Venues,
    /// True once a line has said that a connection was opened.
    opened: bool,
    /// True while what follows is of another venue than the file's first.
    foreign: bool,
}

impl CryptofeedDecoder {
    fn line(&mut self, line: &[u8], number: u64, out: &mut Decoded) {
        let kind = if is_blank(line) {
            FrameKind::Blank
        } else if let Some(kind) = capture::too_long(line) {
            kind
        } else {
            match read(line) {
                Line::Opened(address) => {
                    self.opened(address, out);
                    FrameKind::Control
                }
                Line::Recorder(_) => FrameKind::Control,
                Line::Odd(why) => broken(why, line),
                Line::Received(..) if self.foreign => {
                    broken("a frame of another venue than the file's first; give each venue a file", line)
                }
                Line::Received(time, payload) => return self.received(time, payload, number, out),
            }
        };
        capture::count(kind, number, out);
    }

    fn opened(&mut self, address: &str, out: &mut Decoded) {
        let venue = venue_at(self.venues, address);
        self.foreign = venue.is_some_and(|venue| venue.id() != self.capture.venue.id());
        if self.opened {
            self.capture.reopen(out);
        }
        self.opened = true;
    }

    fn received(&mut self, time: Nanos, payload: &[u8], number: u64, out: &mut Decoded) {
        if !matches!(payload, [b'b', b'\'' | b'"', ..]) {
            return self.capture.frame(time, payload, number, out);
        }
        match unescaped(payload) {
            Some(bytes) => self.capture.frame(time, &bytes, number, out),
            None => {
                capture::count(broken("bytes with an escape that is none, or cut off", payload), number, out)
            }
        }
    }
}

impl Decoder for CryptofeedDecoder {
    fn decode(&mut self, block: &[u8], out: &mut Decoded) {
        let mut number = 0;
        for line in Lines::new(block) {
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

    #[test]
    fn bytes_as_python_writes_them() {
        assert_eq!(unescaped(br#"b'a\x00\xfF\\\'"\n'"#).as_deref(), Some(&b"a\x00\xff\\'\"\n"[..]));
        assert_eq!(unescaped(br#"b"it's""#).as_deref(), Some(&b"it's"[..]));
        assert_eq!(unescaped(b"b''").as_deref(), Some(&b""[..]));
        assert_eq!(unescaped(b"{\"b\":1}").as_deref(), Some(&b"{\"b\":1}"[..]));
        for bad in [&b"b'cut"[..], b"b'\\x0'", b"b'\\q'", b"b'", b"b'\\x"] {
            assert_eq!(unescaped(bad), None);
        }
    }

    #[test]
    fn hosts_and_paths() {
        assert_eq!(endpoint("wss://a.example:9443/ws?x=1"), Some(("a.example", "/ws?x=1")));
        assert_eq!(endpoint("wss://a.example"), Some(("a.example", "")));
        assert_eq!(endpoint("ws:///x"), None);
        assert_eq!(endpoint("ftp://x"), None);
    }
}
