//! The JSON of a Binance frame, taken apart into the few fields that matter, as the bytes they were written in.
//!
//! There are two readers. [`scan`] goes over the plain form that the venue sends and gives up on anything else;
//! [`parse`] is serde's and knows all of JSON. What the first accepts, the second reads alike; a property test holds
//! them together.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::scan::scan;

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
    pub(super) fn slot(&mut self, key: &[u8]) -> Option<&mut &'a [u8]> {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A value as the venue, or a careless hand, might write it.
    fn value() -> impl Strategy<Value = String> {
        prop_oneof![
            4 => r#""[0-9]{1,9}\.[0-9]{1,8}""#,
            4 => "[1-9][0-9]{0,18}",
            2 => "true|false",
            2 => r#"\[(\["[0-9.]{1,6}","[0-9.]{1,6}"\](,\["[0-9.]{1,6}","[0-9.]{1,6}"\]){0,2})?\]"#,
            2 => r#""(trade|aggTrade|bookTicker|depthUpdate|kline|MARKET|BTCUSDT|BTCUSD_PERP)""#,
            1 => r#"null|0|01|-1|1e3|0\.5|""|"NaN"|"a\\"b"|"\\u0041"|"é"|\{\}|\{"e":"trade"\}|\[1\]|\[\]|[ 1]"#,
        ]
    }

    fn key() -> impl Strategy<Value = String> {
        let known = "e|E|T|s|t|p|q|m|M|X|u|U|b|B|a|A|pu|ps|f|l|st";
        prop_oneof![12 => known, 1 => "lastUpdateId|result|id|pair|stream|data|é|\\\\u0065|"]
    }

    fn object() -> impl Strategy<Value = String> {
        prop::collection::vec((key(), value()), 0..10).prop_map(|fields| {
            let fields: Vec<String> =
                fields.iter().map(|(key, value)| format!(r#""{key}":{value}"#)).collect();
            format!("{{{}}}", fields.join(","))
        })
    }

    fn frame() -> impl Strategy<Value = String> {
        (object(), 0..4).prop_map(|(object, envelope)| match envelope {
            0 => object,
            1 => format!(r#"{{"data":{object},"stream":"x@trade"}}"#),
            _ => format!(r#"{{"stream":"btcusdt@depth@100ms","data":{object}}}"#),
        })
    }

    /// The scanner may give up on anything, but what it reads is what serde reads.
    fn agree(payload: &[u8]) -> Result<bool, TestCaseError> {
        let Some(scanned) = scan(payload) else { return Ok(false) };
        let parsed = parse(payload);
        prop_assert!(parsed.is_ok(), "{:?}: {}", parsed.err(), String::from_utf8_lossy(payload));
        prop_assert_eq!(Some(scanned), parsed.ok(), "{}", String::from_utf8_lossy(payload));
        Ok(true)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn the_scanner_reads_what_serde_reads(frame in frame()) {
            agree(frame.as_bytes())?;
        }

        #[test]
        fn and_so_in_damaged_frames(
            frame in frame(), edits in prop::collection::vec((any::<prop::sample::Index>(), 0..3, any::<u8>()), 1..4)
        ) {
            let mut bytes = frame.into_bytes();
            for (index, edit, byte) in edits {
                let at = index.index(bytes.len());
                match edit {
                    0 => bytes[at] = byte,
                    1 => bytes.insert(at, byte),
                    _ if bytes.len() > 1 => drop(bytes.remove(at)),
                    _ => {}
                }
            }
            agree(&bytes)?;
        }
    }

    /// What the venue sends by the million must not fall back.
    #[test]
    fn the_frames_that_come_often_are_scanned() {
        let frames = [
            r#"{"stream":"x@trade","data":{"e":"trade","E":1,"s":"X","t":2,"p":"1.0","q":"2","T":1,"m":true,"M":true}}"#,
            r#"{"e":"trade","E":1,"T":1,"s":"X","t":2,"p":"1.0","q":"2","X":"MARKET","m":false}"#,
            r#"{"e":"aggTrade","E":1,"s":"X","a":7,"p":"1","q":"2","f":1,"l":1,"T":1,"m":true,"M":true}"#,
            r#"{"stream":"x@bookTicker","data":{"u":1,"s":"X","b":"1","B":"2","a":"3","A":"4"}}"#,
            r#"{"u":1,"e":"bookTicker","s":"X_PERP","ps":"X","b":"1","B":"2","a":"3","A":"4","T":1,"E":1}"#,
            r#"{"e":"depthUpdate","E":1,"s":"X","U":1,"u":2,"b":[["1.0","2"],["0.9","0"]],"a":[]}"#,
        ];
        for frame in frames {
            assert!(agree(frame.as_bytes()).unwrap(), "{frame}");
        }
    }

    #[test]
    fn all_of_json_is_read() {
        let spaced = br#"{ "data" : { "p" : "1.5" , "\u0065" : "trade", "k": {"e": [1, {}]} }, "stream" : "x@trade" }"#;
        let message = parse(spaced).unwrap();
        assert_eq!((message.stream, message.list), (br#""x@trade""#.as_slice(), false));
        assert_eq!(
            (message.fields.event, message.fields.price),
            (br#""trade""#.as_slice(), br#""1.5""#.as_slice())
        );
        let list =
            parse(br#"{"stream":"!ticker@arr","data":[{"e":"24hrTicker","E":5},{"e":"other"}]}"#).unwrap();
        assert_eq!((list.list, list.fields.event_time), (true, b"5".as_slice()));
        for broken in
            ["", "5", "\"trade\"", "{", "[{}", "[1]", r#"{"p":"1","p":"2"}"#, "{} {}", "{\"e\":\"\u{1}\"}"]
        {
            assert!(Message::read(broken.as_bytes()).is_err(), "{broken}");
        }
        assert!(Message::read(b"{\"e\":\"\xff\"}").is_err());
    }
}
