//! Recordings of a live run: what cannot be derived, in the sequencer's order, a line each, so that a crash costs the
//! last line at most.
//!
//! # Format, version 2
//!
//! The first line of each part is a JSON object: the version, the part's number from 1, the connections that are open
//! where it begins, when its run began, which its parts have in common, and whether that judged rules, which are entries
//! then. Readers pass over further members; the last two may be missing.
//!
//! ```text
//! {"tapedeck_recording":2,"part":1,"connections":[],"run":1700000000000000001,"judged":true}
//! ```
//!
//! A later part can be read without those before it. A connection that is open there is
//! `{"number":…,"venue":…,"address":…,"granted":[…],"unwanted":[…]}`: the streams, `{"native":…,"channel":…}`, that the
//! venue has granted it, and those that are not wanted of it any more; either may be missing if there are none. The
//! rules in force, if any were given, are repeated as the first entry behind the line. To who has read the part before,
//! neither says anything new.
//!
//! Each further line is an entry, five parts with one space between them and `\n` behind them:
//!
//! ```text
//! NUMBER RECEIVED_AT CONNECTION KIND CONTENT
//! ```
//!
//! - `NUMBER`: the tape number that the next entry of the tape had when it came; never less than in the line before.
//! - `RECEIVED_AT`: when it came in, ns since the Unix epoch, as its session was told.
//! - `CONNECTION`: the connection's number, 0 where the kind is about none (`t`, `r`, `u`, `q`, `s`). Connections are
//!   numbered from 0, and no number is given again.
//! - `KIND`: one byte.
//!   - `f` a frame of text without `\r`, `\n` or backslash in it: the bytes as received
//!   - `e` a frame with other bytes: `\n` for a line feed, `\r` for a carriage return, `\\` for a backslash
//!   - `o` the connection was opened: `{"venue":…,"address":…}`; `c` it was closed: why
//!   - `b` the connection broke off: closed, too, but nothing that its session still had is on the tape, because frames
//!     were lost behind those that are here, or the session itself: why
//!   - `t` time passed and nothing came
//!   - `a` an alarm: `{"native":…,"channel":…,"since":…,"what":…}`; `native` and `channel` if it is about one stream,
//!     `since` when that was last heard
//!   - `w` a stream is not wanted of the connection any more, or is again: `{"native":…,"channel":…,"wanted":…}`
//!   - `g` the venue has granted streams that the connection asked for, or refused them:
//!     `{"streams":[{"native":…,"channel":…}],"granted":…}`. Frames alone do not tell where a venue answers by the number of
//!     a request
//!   - `r` past trades that were asked for: `{"venue":…,"native":…,"first":…,"last":…,"body":…}`, the ids that were asked
//!     for and the answer
//!   - `u` the rules that are in force from here on, as TOML
//!   - `q` the run begins to stop: connections that are closed behind it are closed by it
//!   - `s` the run was stopped on purpose
//! - `CONTENT`: all up to the line feed; may be empty. Other than in `f` it is escaped as in `e`.
//!
//! A line without its line feed was cut by a crash. Version 1, of one connection, was never released.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::live::Stream;
use crate::time::{Nanos, in_range, parse_digits};

/// The version that is written, and the only one that is read here.
pub const VERSION: u32 = 2;
/// What the first line of a recording begins with.
pub const BEGINS: &[u8] = b"{\"tapedeck_recording\":2,";

/// The first line of a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`VERSION`].
    pub tapedeck_recording: u32,
    /// The part's number, from 1.
    pub part: u64,
    /// The connections that are open where it begins.
    pub connections: Vec<OpenConnection>,
    /// When its run began; 0 if that is not said.
    #[serde(default)]
    pub run: Nanos,
    /// Rules were judged in the run, and are among its entries whenever they changed.
    #[serde(default)]
    pub judged: bool,
}

/// A connection that goes on from the part before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenConnection {
    /// Its number.
    pub number: u32,
    /// Whose and where.
    #[serde(flatten)]
    pub opened: Opened,
    /// The streams that it was granted.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub granted: BTreeSet<Stream>,
    /// The streams that are not wanted of it any more.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unwanted: BTreeSet<Stream>,
}

impl OpenConnection {
    /// One that has just been opened.
    #[must_use]
    pub fn new(number: u32, opened: Opened) -> OpenConnection {
        OpenConnection { number, opened, granted: BTreeSet::new(), unwanted: BTreeSet::new() }
    }

    /// The venue has granted it streams, or refused them.
    pub fn answer(&mut self, answer: &Answer) {
        for stream in &answer.streams {
            if answer.granted {
                self.granted.insert(stream.clone());
            } else {
                self.granted.remove(stream);
            }
        }
    }

    /// A stream is not wanted of it any more, or is again: then it has yet to be granted again.
    pub fn wish(&mut self, wish: &Wish) {
        self.granted.remove(&wish.stream);
        if wish.wanted {
            self.unwanted.remove(&wish.stream);
        } else {
            self.unwanted.insert(wish.stream.clone());
        }
    }
}

/// Whose a connection is, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// The venue's id.
    pub venue: String,
    /// The address.
    pub address: String,
}

/// An alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// The stream that it is about, if it is about one.
    #[serde(flatten)]
    pub stream: Option<Stream>,
    /// When that stream was last heard.
    pub since: Nanos,
    /// What, in one line.
    pub what: String,
}

/// A stream that is not wanted of a connection any more: what it does not bring from here on is not missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// Which.
    #[serde(flatten)]
    pub stream: Stream,
    /// True if it is wanted again.
    pub wanted: bool,
}

/// What the venue says to streams that were asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Which.
    pub streams: Vec<Stream>,
    /// False if they cannot be had.
    pub granted: bool,
}

/// What was asked for of the past, and the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// The venue's id.
    pub venue: String,
    /// The symbol as on the wire.
    pub native: String,
    /// The first id that was asked for.
    pub first: u64,
    /// The last id that was asked for.
    pub last: u64,
    /// The answer's body.
    pub body: String,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// See the format.
    pub number: u64,
    /// When it came in.
    pub received_at: Nanos,
    /// The connection; 0 where it is about none.
    pub connection: u32,
    /// What it is.
    pub content: Content<'a>,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// A frame's bytes.
    Frame(Cow<'a, [u8]>),
    /// The connection was opened.
    Opened(Opened),
    /// It was closed: why.
    Closed(Cow<'a, [u8]>),
    /// It broke off: why. What its session still had is not on the tape.
    BrokenOff(Cow<'a, [u8]>),
    /// Time passed and nothing came.
    Time,
    /// An alarm.
    Alarm(Alarm),
    /// A stream is not wanted any more, or is again.
    Wish(Wish),
    /// The venue has granted streams, or refused them.
    Answer(Answer),
    /// Past trades that were asked for.
    Past(Past),
    /// The rules that are in force from here on.
    Rules(Cow<'a, str>),
    /// The run begins to stop.
    Stopping,
    /// The run was stopped on purpose.
    Stop,
}

impl Header {
    /// Its line.
    #[must_use]
    pub fn line(&self) -> Vec<u8> {
        // A type without maps: nothing in it can fail.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }

    /// Reads the first line of a part.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(line: &[u8]) -> Result<Header, String> {
        serde_json::from_slice(line)
            .map_err(|error| format!("the first line is not that of a recording: {error}"))
    }
}

impl Entry<'_> {
    /// Appends its line to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let json;
        let (kind, content): (u8, &[u8]) = match &self.content {
            Content::Frame(bytes) if is_plain(bytes) => (b'f', bytes),
            Content::Frame(bytes) => (b'e', bytes),
            Content::Opened(what) => {
                json = serde_json::to_vec(what).unwrap_or_default();
                (b'o', &json)
            }
            Content::Closed(why) => (b'c', why),
            Content::BrokenOff(why) => (b'b', why),
            Content::Time => (b't', b""),
            Content::Alarm(alarm) => {
                json = serde_json::to_vec(alarm).unwrap_or_default();
                (b'a', &json)
            }
            Content::Wish(wish) => {
                json = serde_json::to_vec(wish).unwrap_or_default();
                (b'w', &json)
            }
            Content::Answer(answer) => {
                json = serde_json::to_vec(answer).unwrap_or_default();
                (b'g', &json)
            }
            Content::Past(past) => {
                json = serde_json::to_vec(past).unwrap_or_default();
                (b'r', &json)
            }
            Content::Rules(text) => (b'u', text.as_bytes()),
            Content::Stopping => (b'q', b""),
            Content::Stop => (b's', b""),
        };
        for number in [self.number, self.received_at.unsigned_abs(), u64::from(self.connection)] {
            put_digits(number, out);
            out.push(b' ');
        }
        out.extend_from_slice(&[kind, b' ']);
        if kind == b'f' {
            out.extend_from_slice(content);
        } else {
            escape(content, out);
        }
        out.push(b'\n');
    }
}

fn put_digits(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            return out.extend_from_slice(&digits[at..]);
        }
    }
}

/// The entry on `line` (without its line feed).
///
/// # Errors
/// Why it is none.
pub fn decode(line: &[u8]) -> Result<Entry<'_>, &'static str> {
    let mut parts = line.splitn(5, |byte| *byte == b' ');
    let mut part = || parts.next().ok_or("fewer than five parts in the line");
    let number = parse_digits(part()?).ok_or("the entry's number is not a number")?;
    let received_at = parse_digits(part()?).and_then(|time| in_range(time).ok());
    let received_at = received_at.ok_or("the receive time lies outside 1990-2200")?;
    let connection = parse_digits(part()?).and_then(|number| u32::try_from(number).ok());
    let connection = connection.ok_or("the connection's number is not a number")?;
    let (kind, text) = (part()?, part()?);
    let content = match kind {
        b"f" => Content::Frame(Cow::Borrowed(text)),
        b"e" => Content::Frame(unescaped(text)?),
        b"o" => Content::Opened(
            serde_json::from_slice(&unescaped(text)?).map_err(|_| "no venue and address of a connection")?,
        ),
        b"c" => Content::Closed(unescaped(text)?),
        b"b" => Content::BrokenOff(unescaped(text)?),
        b"t" => Content::Time,
        b"a" => Content::Alarm(serde_json::from_slice(&unescaped(text)?).map_err(|_| "no text of an alarm")?),
        b"w" => Content::Wish(serde_json::from_slice(&unescaped(text)?).map_err(|_| "no stream of a wish")?),
        b"g" => {
            Content::Answer(serde_json::from_slice(&unescaped(text)?).map_err(|_| "no streams of an answer")?)
        }
        b"r" => {
            Content::Past(serde_json::from_slice(&unescaped(text)?).map_err(|_| "no answer of past trades")?)
        }
        b"u" => Content::Rules(match unescaped(text)? {
            Cow::Borrowed(bytes) => {
                Cow::Borrowed(std::str::from_utf8(bytes).map_err(|_| "rules that are no text")?)
            }
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8(bytes).map_err(|_| "rules that are no text")?),
        }),
        b"q" => Content::Stopping,
        b"s" => Content::Stop,
        _ => return Err("the entry's kind is not known"),
    };
    Ok(Entry { number: number.unsigned_abs(), received_at, connection, content })
}

/// Appends `content` without line feeds and carriage returns.
fn escape(content: &[u8], out: &mut Vec<u8>) {
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
fn is_plain(bytes: &[u8]) -> bool {
    memchr::memchr3(b'\n', b'\r', b'\\', bytes).is_none()
}

/// Undoes [`escape`].
fn unescaped(text: &[u8]) -> Result<Cow<'_, [u8]>, &'static str> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::Channel;
    use proptest::prelude::*;

    fn content() -> impl Strategy<Value = Content<'static>> {
        let bytes =
            || prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'\\'), any::<u8>()], 0..40);
        let opened = ("[a-z-]{1,9}", ".{0,30}").prop_map(|(venue, address)| Opened { venue, address });
        let stream = prop::option::of((".{0,9}", any::<bool>()).prop_map(|(native, is_quotes)| {
            Stream::new(native, if is_quotes { Channel::Quotes } else { Channel::Trades })
        }));
        let alarm =
            (stream, any::<i64>(), ".{0,30}").prop_map(|(stream, since, what)| Alarm { stream, since, what });
        let wish = (".{0,9}", any::<bool>())
            .prop_map(|(native, wanted)| Wish { stream: Stream::new(native, Channel::Quotes), wanted });
        let streams =
            prop::collection::vec(".{0,9}".prop_map(|native| Stream::new(native, Channel::Trades)), 0..4);
        let answer = (streams, any::<bool>()).prop_map(|(streams, granted)| Answer { streams, granted });
        let past = ("[a-z-]{1,9}", ".{0,9}", any::<u64>(), any::<u64>(), "(?s).{0,40}")
            .prop_map(|(venue, native, first, last, body)| Past { venue, native, first, last, body });
        prop_oneof![
            bytes().prop_map(|b| Content::Frame(Cow::Owned(b))),
            opened.prop_map(Content::Opened),
            bytes().prop_map(|b| Content::Closed(Cow::Owned(b))),
            bytes().prop_map(|b| Content::BrokenOff(Cow::Owned(b))),
            alarm.prop_map(Content::Alarm),
            wish.prop_map(Content::Wish),
            answer.prop_map(Content::Answer),
            past.prop_map(Content::Past),
            "(?s).{0,40}".prop_map(|text| Content::Rules(Cow::Owned(text))),
            Just(Content::Time),
            Just(Content::Stopping),
            Just(Content::Stop),
        ]
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(
            number in 0..i64::MAX as u64,
            received_at in crate::time::EARLIEST..crate::time::LATEST,
            connection in any::<u32>(),
            content in content(),
        ) {
            let entry = Entry { number, received_at, connection, content };
            let mut line = Vec::new();
            entry.encode(&mut line);
            prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            prop_assert_eq!(decode(line.strip_suffix(b"\n").unwrap()), Ok(entry));
        }
    }

    #[test]
    fn a_header_has_what_open_connections_were_granted_and_what_is_not_wanted_of_them() {
        let [one, other, third] = ["A", "B", "C"].map(|native| Stream::new(native, Channel::Trades));
        let opened = Opened { venue: "here".to_owned(), address: "ws://x/y".to_owned() };
        let mut open = OpenConnection::new(3, opened);
        let answer = |streams: &[&Stream], granted| Answer {
            streams: streams.iter().copied().cloned().collect(),
            granted,
        };
        open.answer(&answer(&[&one, &other, &third], true));
        open.answer(&answer(&[&third], false));
        for (stream, wanted) in [(&other, false), (&one, false), (&one, true)] {
            open.wish(&Wish { stream: stream.clone(), wanted });
        }
        open.answer(&answer(&[&one], true));
        let header =
            Header { tapedeck_recording: VERSION, part: 2, connections: vec![open], run: 5, judged: true };
        let line = header.line();
        let expected = r#"[{"number":3,"venue":"here","address":"ws://x/y","granted":[{"native":"A","channel":"trades"}],"unwanted":[{"native":"B","channel":"trades"}]}]"#;
        assert!(String::from_utf8(line.clone()).unwrap().contains(expected));
        assert_eq!(Header::read(&line), Ok(header));
    }

    #[test]
    fn the_bytes_of_version_two() {
        let opened = Opened { venue: "here".to_owned(), address: "ws://x/y".to_owned() };
        let connections = vec![OpenConnection::new(3, opened.clone())];
        let header = Header { tapedeck_recording: VERSION, part: 2, connections, run: 5, judged: true };
        let mut bytes = header.line();
        assert!(bytes.starts_with(BEGINS));
        assert_eq!(Header::read(&bytes), Ok(header));
        let entry =
            |content| Entry { number: 7, received_at: 1_700_000_000_000_000_001, connection: 3, content };
        bytes.clear();
        for content in [
            Content::Opened(opened),
            Content::Frame(Cow::Borrowed(b"{\"a\": 1}")),
            Content::Frame(Cow::Borrowed(b"a\nb\\c")),
            Content::BrokenOff(Cow::Borrowed(b"lost")),
            Content::Time,
            Content::Stopping,
            Content::Stop,
        ] {
            entry(content).encode(&mut bytes);
        }
        let expected = "7 1700000000000000001 3 o {\"venue\":\"here\",\"address\":\"ws://x/y\"}\n\
            7 1700000000000000001 3 f {\"a\": 1}\n7 1700000000000000001 3 e a\\nb\\\\c\n\
            7 1700000000000000001 3 b lost\n\
            7 1700000000000000001 3 t \n7 1700000000000000001 3 q \n7 1700000000000000001 3 s \n";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
        assert!(decode(b"7 1700000000000000001 3 z x").is_err() && decode(b"7 17 3 f x").is_err());
    }
}
