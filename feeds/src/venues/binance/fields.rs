//! The JSON of a Binance frame, taken apart into the few fields that matter, as the bytes they were written in.
//!
//! There are two readers. [`scan`] goes over the plain form that the venue sends (no white space, no escapes, flat
//! objects, levels of digits) once and gives up on anything else; [`parse`] is serde's and knows all of JSON. What
//! the first accepts, the second reads alike; a property test holds them together.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The fields of one event object, each the JSON token as written; empty where absent or `null`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields<'a> {
    /// `e`: what kind of event.
    pub(super) event: &'a [u8],
    /// `E`: when the venue sent it.
    pub(super) event_time: &'a [u8],
    /// `T`: when it happened.
    pub(super) time: &'a [u8],
    /// `s`: the symbol.
    pub(super) symbol: &'a [u8],
    /// `t`: a trade's id.
    pub(super) trade_id: &'a [u8],
    /// `p`: a trade's price.
    pub(super) price: &'a [u8],
    /// `q`: a trade's size.
    pub(super) size: &'a [u8],
    /// `m`: true if the buyer was the maker.
    pub(super) buyer_is_maker: &'a [u8],
    /// `M`: a leftover that only spot trades have.
    pub(super) best_match: &'a [u8],
    /// `X`: how a futures trade came about.
    pub(super) execution: &'a [u8],
    /// `u`: a quote's update id.
    pub(super) update_id: &'a [u8],
    /// `b`: best bid, in depth the levels.
    pub(super) b: &'a [u8],
    /// `B`: size at the best bid.
    pub(super) bid_size: &'a [u8],
    /// `a`: best ask, in depth the levels, in an aggregated trade its id.
    pub(super) a: &'a [u8],
    /// `A`: size at the best ask.
    pub(super) ask_size: &'a [u8],
    /// `pu`: the update before, in futures depth.
    pub(super) previous_update: &'a [u8],
    /// `ps` or `pair`: the pair, in COIN-M frames.
    pub(super) pair: &'a [u8],
    /// `lastUpdateId`: a depth snapshot or partial depth.
    pub(super) last_update: &'a [u8],
    /// `result`, `error`, `code`, `method`: an answer or a request.
    pub(super) answer: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Where the value of `key` belongs; `None` if it does not matter.
    #[inline]
    fn slot(&mut self, key: &[u8]) -> Option<&mut &'a [u8]> {
        Some(match key {
            b"e" => &mut self.event,
            b"E" => &mut self.event_time,
            b"T" => &mut self.time,
            b"s" => &mut self.symbol,
            b"t" => &mut self.trade_id,
            b"p" => &mut self.price,
            b"q" => &mut self.size,
            b"m" => &mut self.buyer_is_maker,
            b"M" => &mut self.best_match,
            b"X" => &mut self.execution,
            b"u" => &mut self.update_id,
            b"b" => &mut self.b,
            b"B" => &mut self.bid_size,
            b"a" => &mut self.a,
            b"A" => &mut self.ask_size,
            b"pu" => &mut self.previous_update,
            b"ps" | b"pair" => &mut self.pair,
            b"lastUpdateId" => &mut self.last_update,
            b"result" | b"error" | b"code" | b"method" => &mut self.answer,
            _ => return None,
        })
    }
}

/// One frame: the event, and the stream it came on if the frame says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Message<'a> {
    /// `stream`, as the JSON token; empty in raw frames.
    pub(super) stream: &'a [u8],
    /// The event; of a list, its first one.
    pub(super) fields: Fields<'a>,
    /// True if the frame is a list of events (`!ticker@arr`).
    pub(super) list: bool,
}

impl<'a> Message<'a> {
    /// Reads one frame without white space around it.
    ///
    /// # Errors
    /// What serde says of a frame that is not JSON, or not of this form.
    #[inline]
    pub(super) fn read(payload: &'a [u8]) -> Result<Message<'a>, serde_json::Error> {
        match scan(payload) {
            Some(message) => Ok(message),
            None => parse(payload),
        }
    }
}

/// The text of a JSON string token; `None` if the token is no string.
#[inline]
pub(super) fn text(token: &[u8]) -> Option<Cow<'_, str>> {
    let inner = token.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if memchr::memchr(b'\\', inner).is_none() {
        return std::str::from_utf8(inner).ok().map(Cow::Borrowed);
    }
    serde_json::from_slice::<String>(token).ok().map(Cow::Owned)
}

// The plain form, in one pass.

/// Reads the plain form; `None` means "ask serde", never "broken".
#[inline]
pub(super) fn scan(payload: &[u8]) -> Option<Message<'_>> {
    let mut message = Message::default();
    let mut scanner = Scanner { bytes: payload, at: 0 };
    let enveloped = payload.starts_with(br#"{"stream":"#);
    if enveloped {
        scanner.at = br#"{"stream":"#.len();
        message.stream = scanner.string()?;
        scanner.expect(br#","data":"#)?;
    }
    scanner.object(&mut message.fields)?;
    if enveloped {
        scanner.expect(b"}")?;
    }
    (scanner.at == payload.len()).then_some(message)
}

/// The longest key that the scanner takes; longer ones are of frames that are rare.
const SCANNED_KEY_MAX: usize = 2;

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    #[inline]
    fn expect(&mut self, literal: &[u8]) -> Option<()> {
        self.bytes.get(self.at..)?.starts_with(literal).then(|| self.at += literal.len())
    }

    #[inline]
    fn object(&mut self, fields: &mut Fields<'a>) -> Option<()> {
        self.expect(b"{")?;
        loop {
            let key = self.string()?;
            let key = &key[1..key.len() - 1];
            if key.len() > SCANNED_KEY_MAX {
                return None;
            }
            self.expect(b":")?;
            let value = self.value()?;
            if let Some(slot) = fields.slot(key) {
                if !slot.is_empty() {
                    return None;
                }
                *slot = value;
            }
            match self.next()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    #[inline]
    fn value(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        match self.peek()? {
            b'"' => return self.string(),
            b'0'..=b'9' => self.digits()?,
            b't' => self.expect(b"true")?,
            b'f' => self.expect(b"false")?,
            b'[' => self.levels()?,
            _ => return None,
        }
        self.bytes.get(start..self.at)
    }

    /// A string of printable ASCII without escapes, with its quotes.
    #[inline]
    fn string(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        self.expect(b"\"")?;
        loop {
            match self.next()? {
                b'"' => return self.bytes.get(start..self.at),
                b'\\' | 0..0x20 | 0x7f.. => return None,
                _ => {}
            }
        }
    }

    /// A whole number as JSON has them: no sign here, and no zero in front.
    #[inline]
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek()?.is_ascii_digit() {
            self.at += 1;
        }
        (self.bytes[start] != b'0' || self.at == start + 1).then_some(())
    }

    /// Levels of depth: `[["1.20","3"],["1.10","0"]]`.
    fn levels(&mut self) -> Option<()> {
        self.expect(b"[")?;
        if self.peek()? == b']' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.expect(b"[\"")?;
            self.decimal()?;
            self.expect(b",\"")?;
            self.decimal()?;
            self.expect(b"]")?;
            match self.next()? {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    /// Digits and points up to and with the closing quote.
    #[inline]
    fn decimal(&mut self) -> Option<()> {
        loop {
            match self.next()? {
                b'"' => return Some(()),
                b'0'..=b'9' | b'.' => {}
                _ => return None,
            }
        }
    }
}

// All of JSON.

/// Reads any form.
///
/// # Errors
/// What serde says of a frame that is not JSON, is no object or list of objects, or has a field twice.
pub(super) fn parse(payload: &[u8]) -> Result<Message<'_>, serde_json::Error> {
    if payload.starts_with(b"[") {
        return parse_list(b"", payload);
    }
    let Whole { stream, data, fields } = serde_json::from_slice(payload)?;
    match data {
        b"" => Ok(Message { stream, fields, list: false }),
        [b'[', ..] => parse_list(stream, data),
        _ => Ok(Message { stream, fields: serde_json::from_slice::<Whole<'_>>(data)?.fields, list: false }),
    }
}

fn parse_list<'a>(stream: &'a [u8], list: &'a [u8]) -> Result<Message<'a>, serde_json::Error> {
    let items: Vec<Whole<'a>> = serde_json::from_slice(list)?;
    let fields = items.first().map(|first| first.fields).unwrap_or_default();
    Ok(Message { stream, fields, list: true })
}

/// An object with the fields of the envelope and of an event, whichever it has.
#[derive(Default)]
struct Whole<'a> {
    stream: &'a [u8],
    data: &'a [u8],
    fields: Fields<'a>,
}

impl<'a> Whole<'a> {
    fn slot(&mut self, key: &str) -> Option<&mut &'a [u8]> {
        match key {
            "stream" => Some(&mut self.stream),
            "data" => Some(&mut self.data),
            _ => self.fields.slot(key.as_bytes()),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Whole<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(WholeVisitor).map(|whole: Whole<'de>| whole)
    }
}

/// A key, borrowed unless it has escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

struct WholeVisitor;

impl<'de> Visitor<'de> for WholeVisitor {
    type Value = Whole<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Whole<'de>, A::Error> {
        let mut whole = Whole::default();
        while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
            let Some(slot) = whole.slot(&key) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let token = map.next_value::<&'de RawValue>()?.get().as_bytes();
            if !slot.is_empty() {
                return Err(A::Error::custom(format_args!("field `{key}` twice")));
            }
            // `"result":null` is how a request is answered; elsewhere null is nothing.
            if token != b"null" || key == "result" {
                *slot = token;
            }
        }
        Ok(whole)
    }
}
