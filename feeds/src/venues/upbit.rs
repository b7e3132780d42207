//! Upbit: spot in won, bitcoin and tether.
//!
//! Frames are JSON in binary, with short names (format `SIMPLE`) or long ones (`DEFAULT`), as was asked for:
//!
//! ```json
//! {"ty":"trade","cd":"KRW-FOO","tms":1700000000300,"ttms":1700000000000,"tp":127.0,"tv":46.5,"ab":"BID",
//!  "sid":17000000000000003,"st":"REALTIME"}
//! {"ty":"orderbook","cd":"KRW-FOO","tms":1700000000300,"obu":[{"ap":127.0,"bp":126.0,"as":280.4,"bs":688.6},…],
//!  "st":"REALTIME"}
//! {"type":"trade","code":"KRW-FOO","timestamp":…,"trade_timestamp":…,"trade_price":127.0,"trade_volume":46.5,
//!  "ask_bid":"ASK","sequential_id":…,"stream_type":"SNAPSHOT"}
//! {"status":"UP"}                                      answers PING
//! {"error":{"name":"NO_CODES","message":"…"}}
//! ```
//!
//! `BID`: the aggressor bought; `ASK`: it sold. A trade of the stream type `SNAPSHOT` is past. Quotes are the first row
//! of a book, which is whole in every frame; one that is marked as a snapshot is how things stand now, so it counts. A
//! book whose levels were put together (`level`, `lv`) has no best prices and is passed over.
//! Documented at <https://global-docs.upbit.com/reference/websocket-guide>.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::json;

use crate::frame::{Frame, FrameKind};
use crate::json::{Sink, Token, quote, trade};
use crate::live::{Channel, Live, Notice, Rate, Route, Stream};
use crate::number::Decimal;
use crate::offset::VenueClock;
use crate::symbol::SymbolTable;
use crate::tick::{Event, Side};
use crate::time::{Nanos, Unit};
use crate::venue::{DuplicateKey, Endpoint, Output, Session, Venue};
use crate::verdict::{Fault, kind_of, unknown};

/// The venue.
pub(super) struct Upbit;

pub(super) static UPBIT: Upbit = Upbit;

/// An address has 5 connections and 5 messages a second, 100 messages a minute. One message holds everything that a
/// connection wants, so its bound is that of the connection.
static LIVE: Live = Live {
    routes: &[Route::all("wss://api.upbit.com/websocket/v1")],
    streams_per_connection: 200,
    streams_per_request: 200,
    requests: Rate::new(1, 1),
    connects: Rate::new(4, 1),
    ping_seconds: Some(50),
    // It hangs up after 120 s in which nothing was sent either way.
    dead_seconds: 120,
    lifetime_seconds: None,
};

impl Venue for Upbit {
    fn id(&self) -> &'static str {
        "upbit"
    }

    fn name(&self) -> &'static str {
        "Upbit"
    }

    fn endpoints(&self) -> &'static [Endpoint] {
        &[Endpoint { host: "api.upbit.com", path: "" }]
    }

    fn trade_key(&self) -> DuplicateKey {
        DuplicateKey::Unique
    }

    fn quote_key(&self) -> DuplicateKey {
        DuplicateKey::None
    }

    fn channels(&self) -> &'static [&'static str] {
        &["trades", "quotes"]
    }

    fn fields(&self) -> &'static str {
        "ab ap as ask_bid ask_price ask_size bap bas bbp bbs best_ask_price best_ask_size best_bid_price \
         best_bid_size bid_price bid_size bp bs c cd change change_price code cp level lv obu \
         orderbook_units pcp prev_closing_price sequential_id sid st stream_type tas tbs td timestamp tms \
         total_ask_size total_bid_size tp trade_date trade_price trade_time trade_timestamp trade_volume \
         ttm ttms tv ty type"
    }

    fn completeness(&self) -> &'static str {
        "nothing proves it: trade ids are unique and have holes, and quotes, the top of whole books, have none"
    }

    fn recognises(&self, payload: &[u8]) -> bool {
        let Ok(message) = serde_json::from_slice::<Message<'_>>(payload) else { return false };
        let shows_content = message.price.is_some() && message.side.is_some() || message.units.is_some();
        message.kind.is_some() && message.code.is_some() && message.sent.is_some() && shows_content
    }

    fn open(&self) -> Box<dyn Session> {
        Box::new(UpbitSession::default())
    }

    fn live(&self) -> Option<&'static Live> {
        Some(&LIVE)
    }
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, rename = "ty", alias = "type")]
    kind: Option<Token<'a>>,
    #[serde(borrow, rename = "cd", alias = "code")]
    code: Option<Token<'a>>,
    #[serde(borrow, rename = "tms", alias = "timestamp")]
    sent: Option<Token<'a>>,
    #[serde(borrow, rename = "ttms", alias = "trade_timestamp")]
    traded: Option<Token<'a>>,
    #[serde(borrow, rename = "tp", alias = "trade_price")]
    price: Option<Token<'a>>,
    #[serde(borrow, rename = "tv", alias = "trade_volume")]
    size: Option<Token<'a>>,
    #[serde(borrow, rename = "ab", alias = "ask_bid")]
    side: Option<Token<'a>>,
    #[serde(borrow, rename = "sid", alias = "sequential_id")]
    id: Option<Token<'a>>,
    #[serde(borrow, rename = "st", alias = "stream_type")]
    stream_type: Option<Token<'a>>,
    #[serde(borrow, rename = "obu", alias = "orderbook_units")]
    units: Option<Token<'a>>,
    #[serde(borrow, rename = "lv", alias = "level")]
    level: Option<Token<'a>>,
    #[serde(borrow)]
    status: Option<Token<'a>>,
    #[serde(borrow)]
    error: Option<Token<'a>>,
}

/// A row of a book: as far from the best on either side.
#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow, rename = "bp", alias = "bid_price")]
    bid: Token<'a>,
    #[serde(borrow, rename = "bs", alias = "bid_size")]
    bid_size: Token<'a>,
    #[serde(borrow, rename = "ap", alias = "ask_price")]
    ask: Token<'a>,
    #[serde(borrow, rename = "as", alias = "ask_size")]
    ask_size: Token<'a>,
}

#[derive(Deserialize)]
struct Complaint<'a> {
    #[serde(borrow)]
    name: Option<Token<'a>>,
    #[serde(borrow)]
    message: Option<Token<'a>>,
}

/// What a connection remembers.
#[derive(Default)]
struct UpbitSession {
    clock: VenueClock,
    /// All that is subscribed: every request replaces what was asked for before.
    wanted: BTreeSet<Stream>,
}

impl Session for UpbitSession {
    fn subscribe(&mut self, streams: &[Stream], _now: Nanos, out: &mut Output) {
        self.wanted.extend(streams.iter().cloned());
        out.sends.push(self.request());
    }

    /// The last of all cannot be unsubscribed: an empty request is refused. Whoever wants nothing more hangs up.
    fn unsubscribe(&mut self, streams: &[Stream], _now: Nanos, out: &mut Output) {
        for stream in streams {
            self.wanted.remove(stream);
        }
        if !self.wanted.is_empty() {
            out.sends.push(self.request());
        }
    }

    fn ping(&mut self, _now: Nanos, out: &mut Output) {
        out.sends.push("PING".to_owned());
    }

    fn on_frame(&mut self, frame: Frame<'_>, symbols: &mut SymbolTable, out: &mut Output) -> FrameKind {
        let mut sink = Sink { received_at: frame.received_at, symbols, out };
        kind_of(frame.payload, |payload| self.on_message(&serde_json::from_slice(payload)?, &mut sink))
    }

    fn finish(&mut self, out: &mut Output) {
        self.clock.finish(out);
    }
}

impl UpbitSession {
    /// Everything that is wanted, in one message. The venue answers no request, so the snapshots that it sends first
    /// are asked for, too: each shows that its subscription was taken.
    fn request(&self) -> String {
        let mut parts = vec![json!({ "ticket": "tapedeck" })];
        for channel in Channel::ALL {
            let codes: Vec<&str> = self
                .wanted
                .iter()
                .filter(|stream| stream.channel == channel)
                .map(|stream| stream.native.as_str())
                .collect();
            if codes.is_empty() {
                continue;
            }
            parts.push(match channel {
                Channel::Trades => json!({ "type": "trade", "codes": codes }),
                Channel::Quotes => json!({ "type": "orderbook", "codes": codes }),
            });
        }
        parts.push(json!({ "format": "SIMPLE" }));
        serde_json::Value::Array(parts).to_string()
    }

    fn on_message(&mut self, message: &Message<'_>, sink: &mut Sink<'_>) -> Result<FrameKind, Fault> {
        let Some(kind) = message.kind else { return Ok(on_other(message, sink.out)) };
        let kind = kind.text().ok_or("a type that is no text")?;
        match kind.as_ref() {
            "trade" => self.on_trade(message, sink),
            "orderbook" => self.on_book(message, sink),
            "ticker" => Ok(FrameKind::PassedOver("ticker")),
            name if name.starts_with("candle") => Ok(FrameKind::PassedOver("kline")),
            name => Ok(unknown(name)),
        }
    }

    fn on_trade(&mut self, message: &Message<'_>, sink: &mut Sink<'_>) -> Result<FrameKind, Fault> {
        let code = message.code.and_then(Token::text).ok_or("no code")?;
        let price = message.price.and_then(Token::decimal).ok_or("no price")?;
        let size = message.size.and_then(Token::decimal).ok_or("no volume")?;
        let id = message.id.and_then(Token::whole).ok_or("no id")?;
        let time = message.traded.and_then(|time| time.time(Unit::Millis)).ok_or("no time of the trade")?;
        let side = match message.side.map(|side| side.0) {
            Some(br#""BID""#) => Side::Buy,
            Some(br#""ASK""#) => Side::Sell,
            _ => return Err("a side that is neither BID nor ASK".into()),
        };
        if message.stream_type.is_none() {
            return Err("no stream type, which tells the past from the present".into());
        }
        let history = self.is_snapshot(message, sink)?;
        let symbol = sink.symbols.intern(code.as_bytes());
        sink.put(symbol, time, trade(Some(id), price, size, side)).history = history;
        Ok(FrameKind::Ticks)
    }

    fn on_book(&mut self, message: &Message<'_>, sink: &mut Sink<'_>) -> Result<FrameKind, Fault> {
        let code = message.code.and_then(Token::text).ok_or("no code")?;
        let units = message.units.ok_or("no book")?;
        let units: Vec<Row<'_>> = serde_json::from_slice(units.0)?;
        let time = message.sent.and_then(|time| time.time(Unit::Millis)).ok_or("no time")?;
        if let Some(level) = message.level {
            let level = level.decimal().ok_or("a level that is no number")?;
            if level != Ok(Decimal::ZERO) {
                return Ok(FrameKind::PassedOver("grouped_depth"));
            }
        }
        let nothing = Ok(Decimal::ZERO);
        let sides = match units.first() {
            None => Some([nothing; 4]),
            Some(best) => sides(best),
        };
        let sides = sides.ok_or("a price or size that is no number")?;
        self.is_snapshot(message, sink)?;
        let symbol = sink.symbols.intern(code.as_bytes());
        sink.put(symbol, time, quote(None, sides).map(Event::Quote));
        Ok(FrameKind::Ticks)
    }

    /// True if the frame is marked as past. What is not tells of the venue's clock.
    fn is_snapshot(&mut self, message: &Message<'_>, sink: &mut Sink<'_>) -> Result<bool, Fault> {
        let sent = message.sent.and_then(|time| time.time(Unit::Millis)).ok_or("no time")?;
        let is_snapshot = match message.stream_type.map(|kind| kind.0) {
            Some(br#""SNAPSHOT""#) => true,
            Some(br#""REALTIME""#) | None => false,
            Some(_) => return Err("a stream type that is neither SNAPSHOT nor REALTIME".into()),
        };
        if let Ok(sent) = sent
            && !is_snapshot
        {
            self.clock.observe(sink.received_at, sent, sink.out);
        }
        Ok(is_snapshot)
    }
}

fn sides(best: &Row<'_>) -> Option<[Result<Decimal, crate::tick::Rejection>; 4]> {
    Some([best.bid.decimal()?, best.bid_size.decimal()?, best.ask.decimal()?, best.ask_size.decimal()?])
}

fn on_other(message: &Message<'_>, out: &mut Output) -> FrameKind {
    if message.status.is_some() {
        return FrameKind::Heartbeat;
    }
    let Some(error) = message.error else { return unknown("") };
    let complaint: Option<Complaint<'_>> = serde_json::from_slice(error.0).ok();
    let text = complaint.and_then(|complaint| complaint.message.or(complaint.name)).and_then(Token::text);
    let why = text.map_or_else(|| String::from_utf8_lossy(error.0).into_owned(), |text| text.into_owned());
    // The venue confirms nothing, and its errors name no subscription: one of them may be in the request.
    out.notices.push(Notice::Refused(Vec::new(), why));
    FrameKind::Control
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_of_all_that_is_wanted() {
        let (mut session, mut out) = (UpbitSession::default(), Output::default());
        let trades = [Stream::new("KRW-FOO", Channel::Trades), Stream::new("BTC-BAR", Channel::Trades)];
        let quotes = [Stream::new("KRW-FOO", Channel::Quotes)];
        session.subscribe(&trades, 0, &mut out);
        session.subscribe(&quotes, 0, &mut out);
        session.unsubscribe(&trades[..1], 0, &mut out);
        session.unsubscribe(&trades[1..], 0, &mut out);
        session.unsubscribe(&quotes, 0, &mut out);
        let (ticket, end) = (r#"[{"ticket":"tapedeck"}"#, r#"{"format":"SIMPLE"}]"#);
        let both = r#"{"codes":["BTC-BAR","KRW-FOO"],"type":"trade"}"#;
        let one = r#"{"codes":["BTC-BAR"],"type":"trade"}"#;
        let book = r#"{"codes":["KRW-FOO"],"type":"orderbook"}"#;
        assert_eq!(
            out.sends,
            [
                format!("{ticket},{both},{end}"),
                format!("{ticket},{both},{book},{end}"),
                format!("{ticket},{one},{book},{end}"),
                format!("{ticket},{book},{end}"),
            ]
        );
    }
}
