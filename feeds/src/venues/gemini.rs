//! Gemini: spot and perpetuals. The feed of 2026, and the one before it, which captures have.
//!
//! ```json
//! {"E":1700000000004123456,"s":"FOOUSD","t":7,"p":"100.1","q":"0.5","m":true}
//! {"u":9,"E":1700000000004123456,"s":"FOOUSD","b":"100.1","B":"3","a":"100.2","A":"2"}
//! {"e":"depthUpdate","E":…,"s":"FOOUSD","U":8,"u":9,"b":[],"a":[]}
//! {"id":1,"status":200}                                        confirms what request 1 asked for
//! ```
//!
//! `m` is true if the buyer was the maker, so that the aggressor sold; times are in nanoseconds. Before:
//!
//! ```json
//! {"type":"trade","symbol":"FOOUSD","event_id":7,"timestamp":1700000000004,"price":"100.1","quantity":"0.5","side":"buy"}
//! {"type":"l2_updates","symbol":"FOOUSD","changes":[["buy","100.1","3"],…],"trades":[{"type":"trade",…},…]}
//! {"type":"heartbeat","timestamp":1700000000004}
//! ```
//!
//! There `side` is the aggressor's, and the trades that come with a book are past, newest first. That feed has no best
//! prices but by its book, so it gives no quotes.
//! Documented at <https://developer.gemini.com/websocket/introduction>.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::json;

use crate::frame::{Frame, FrameKind};
use crate::json::{Sink, Token, quote, side_of, trade};
use crate::live::{Channel, Live, Rate, Route, Stream};
use crate::offset::VenueClock;
use crate::requests::Requests;
use crate::symbol::SymbolTable;
use crate::tick::{Event, Rejection, Side};
use crate::time::{Nanos, TimeError, Unit};
use crate::venue::{DuplicateKey, Endpoint, Output, Session, Venue};
use crate::verdict::{Fault, kind_of, ticks_or, unknown};

/// Answers that confirm.
const FINE: &[u8] = b"200";

/// The venue.
pub(super) struct Gemini;

pub(super) static GEMINI: Gemini = Gemini;

/// The documentation names no limits for this feed, so these are the careful side.
static LIVE: Live = Live {
    routes: &[Route::all("wss://ws.gemini.com")],
    streams_per_connection: 100,
    streams_per_request: 20,
    requests: Rate::new(5, 1),
    connects: Rate::new(10, 60),
    ping_seconds: Some(30),
    dead_seconds: 70,
    lifetime_seconds: None,
};

impl Venue for Gemini {
    fn id(&self) -> &'static str {
        "gemini"
    }

    fn name(&self) -> &'static str {
        "Gemini"
    }

    fn endpoints(&self) -> &'static [Endpoint] {
        &[
            Endpoint { host: "ws.gemini.com", path: "" },
            Endpoint { host: "api.gemini.com", path: "/v2/marketdata" },
        ]
    }

    fn trade_key(&self) -> DuplicateKey {
        DuplicateKey::Unique
    }

    fn quote_key(&self) -> DuplicateKey {
        DuplicateKey::Unique
    }

    fn channels(&self) -> &'static [&'static str] {
        &["trades", "quotes"]
    }

    fn fields(&self) -> &'static str {
        "A B E a auction_events auction_price auction_quantity b changes collar_price event_id \
         highest_bid_price lowest_ask_price m p price q quantity result s side symbol t time_ms timestamp \
         trades type u"
    }

    fn completeness(&self) -> &'static str {
        "nothing proves it: ids of trades and quotes rise, with those of other events between them"
    }

    fn recognises(&self, payload: &[u8]) -> bool {
        let Ok(message) = serde_json::from_slice::<Message<'_>>(payload) else { return false };
        match message.kind.map(|kind| kind.0) {
            Some(br#""trade""#) => message.event_id.is_some() && message.symbol.is_some(),
            Some(br#""l2_updates""#) => message.changes.is_some() && message.symbol.is_some(),
            Some(_) => false,
            None => {
                message.event.is_none() && message.s.is_some() && is_in_nanos(message.sent) && {
                    message.maker.is_some() || message.update_id.is_some()
                }
            }
        }
    }

    fn native(&self, written: &str) -> String {
        written.to_ascii_uppercase()
    }

    fn open(&self) -> Box<dyn Session> {
        Box::new(GeminiSession::default())
    }

    fn live(&self) -> Option<&'static Live> {
        Some(&LIVE)
    }
}

/// Others write the same fields, but not the time in nanoseconds.
fn is_in_nanos(time: Option<Token<'_>>) -> bool {
    time.is_some_and(|time| matches!(time.time(Unit::Nanos), Some(Ok(_))))
}

/// A frame of either feed.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, rename = "e")]
    event: Option<Token<'a>>,
    #[serde(borrow, rename = "E")]
    sent: Option<Token<'a>>,
    #[serde(borrow)]
    s: Option<Token<'a>>,
    #[serde(borrow, rename = "t")]
    trade_id: Option<Token<'a>>,
    #[serde(borrow, rename = "p")]
    price: Option<Token<'a>>,
    #[serde(borrow, rename = "q")]
    size: Option<Token<'a>>,
    #[serde(borrow, rename = "m")]
    maker: Option<Token<'a>>,
    #[serde(borrow, rename = "u")]
    update_id: Option<Token<'a>>,
    #[serde(borrow, rename = "b")]
    bid: Option<Token<'a>>,
    #[serde(borrow, rename = "B")]
    bid_size: Option<Token<'a>>,
    #[serde(borrow, rename = "a")]
    ask: Option<Token<'a>>,
    #[serde(borrow, rename = "A")]
    ask_size: Option<Token<'a>>,
    #[serde(borrow)]
    id: Option<Token<'a>>,
    #[serde(borrow)]
    status: Option<Token<'a>>,
    #[serde(borrow)]
    error: Option<Token<'a>>,
    #[serde(borrow, rename = "type")]
    kind: Option<Token<'a>>,
    #[serde(borrow)]
    symbol: Option<Token<'a>>,
    #[serde(borrow)]
    event_id: Option<Token<'a>>,
    #[serde(borrow)]
    timestamp: Option<Token<'a>>,
    #[serde(borrow)]
    changes: Option<Token<'a>>,
    #[serde(borrow)]
    trades: Option<Token<'a>>,
}

/// A trade of the feed before: a frame, or a row of the past.
#[derive(Deserialize)]
struct TradeRow<'a> {
    #[serde(borrow)]
    symbol: Token<'a>,
    #[serde(borrow)]
    event_id: Token<'a>,
    #[serde(borrow)]
    timestamp: Token<'a>,
    #[serde(borrow)]
    price: Token<'a>,
    #[serde(borrow)]
    quantity: Token<'a>,
    #[serde(borrow)]
    side: Token<'a>,
}

/// A row's symbol, time and trade.
type Row<'a> = (Cow<'a, str>, Result<Nanos, TimeError>, Result<Event, Rejection>);

impl<'a> TradeRow<'a> {
    fn read(&self) -> Result<Row<'a>, Fault> {
        let symbol = self.symbol.text().ok_or("a symbol that is no text")?;
        let id = self.event_id.whole().ok_or("an event_id that is no number")?;
        let price = self.price.decimal().ok_or("a price that is no number")?;
        let size = self.quantity.decimal().ok_or("a quantity that is no number")?;
        let time = self.timestamp.time(Unit::Millis).ok_or("a timestamp that is no number")?;
        let side = match self.side.0 {
            br#""buy""# => Side::Buy,
            br#""sell""# => Side::Sell,
            _ => return Err("a side that is neither buy nor sell".into()),
        };
        Ok((symbol, time, trade(Some(id), price, size, side)))
    }
}

#[derive(Deserialize)]
struct Complaint<'a> {
    #[serde(borrow, alias = "message", alias = "reason")]
    msg: Token<'a>,
}

/// What a connection remembers.
#[derive(Default)]
struct GeminiSession {
    clock: VenueClock,
    requests: Requests,
}

impl Session for GeminiSession {
    fn subscribe(&mut self, streams: &[Stream], _now: Nanos, out: &mut Output) {
        let id = self.requests.number(streams);
        out.sends.push(request("subscribe", streams, id));
    }

    fn unsubscribe(&mut self, streams: &[Stream], _now: Nanos, out: &mut Output) {
        let id = self.requests.number_of_none();
        out.sends.push(request("unsubscribe", streams, id));
    }

    fn ping(&mut self, _now: Nanos, out: &mut Output) {
        let id = self.requests.number_of_none();
        out.sends.push(json!({ "id": id, "method": "ping" }).to_string());
    }

    fn on_frame(&mut self, frame: Frame<'_>, symbols: &mut SymbolTable, out: &mut Output) -> FrameKind {
        let mut sink = Sink { received_at: frame.received_at, symbols, out };
        kind_of(frame.payload, |payload| self.on_message(payload, &mut sink))
    }

    fn finish(&mut self, out: &mut Output) {
        self.clock.finish(out);
    }
}

impl GeminiSession {
    fn on_message(&mut self, payload: &[u8], sink: &mut Sink<'_>) -> Result<FrameKind, Fault> {
        let message: Message<'_> = serde_json::from_slice(payload)?;
        if let Some(kind) = message.kind {
            return self.on_former(kind, &message, payload, sink);
        }
        if let Some(event) = message.event {
            self.observe(message.sent, Unit::Nanos, sink);
            let name = event.text().ok_or("an event that is no text")?;
            return Ok(if name == "depthUpdate" { FrameKind::PassedOver("depth") } else { unknown(&name) });
        }
        let Some(symbol) = message.s else { return Ok(self.on_answer(&message, sink.out)) };
        let symbol = symbol.text().ok_or("a symbol that is no text")?;
        let time = message.sent.and_then(|time| time.time(Unit::Nanos)).ok_or("no time")?;
        let event = match (message.trade_id, message.update_id) {
            (Some(id), _) => trade_of(id, &message)?,
            (None, Some(id)) => quote_of(id, &message)?,
            (None, None) => return Ok(unknown("")),
        };
        self.observe(message.sent, Unit::Nanos, sink);
        put((upper(symbol), time, event), false, sink);
        Ok(FrameKind::Ticks)
    }

    fn observe(&mut self, sent: Option<Token<'_>>, unit: Unit, sink: &mut Sink<'_>) {
        if let Some(Ok(sent)) = sent.and_then(|time| time.time(unit)) {
            self.clock.observe(sink.received_at, sent, sink.out);
        }
    }

    /// A frame of the feed before.
    fn on_former(
        &mut self,
        kind: Token<'_>,
        message: &Message<'_>,
        payload: &[u8],
        sink: &mut Sink<'_>,
    ) -> Result<FrameKind, Fault> {
        match kind.text().ok_or("a type that is no text")?.as_ref() {
            "trade" => {
                let row = serde_json::from_slice::<TradeRow<'_>>(payload)?.read()?;
                self.observe(message.timestamp, Unit::Millis, sink);
                put(row, false, sink);
                Ok(FrameKind::Ticks)
            }
            "l2_updates" => {
                let Some(rows) = message.trades else { return Ok(FrameKind::PassedOver("depth")) };
                let rows: Vec<TradeRow<'_>> = serde_json::from_slice(rows.0)?;
                let rows: Vec<Row<'_>> = rows.iter().map(TradeRow::read).collect::<Result<_, _>>()?;
                let any = !rows.is_empty();
                for row in rows {
                    put(row, true, sink);
                }
                Ok(ticks_or(any, "depth_snapshot"))
            }
            "heartbeat" => {
                self.observe(message.timestamp, Unit::Millis, sink);
                Ok(FrameKind::Heartbeat)
            }
            "subscription_ack" | "error" => Ok(FrameKind::Control),
            name if name.starts_with("candles_") => Ok(FrameKind::PassedOver("kline")),
            name if name.starts_with("auction_") => Ok(FrameKind::PassedOver("auction")),
            name => Ok(unknown(name)),
        }
    }

    fn on_answer(&mut self, message: &Message<'_>, out: &mut Output) -> FrameKind {
        if message.status.is_none() && message.error.is_none() && message.id.is_none() {
            return unknown("");
        }
        let id = message.id.and_then(Token::whole);
        if message.error.is_none() && message.status.is_none_or(|status| status.0 == FINE) {
            out.notices.extend(self.requests.confirmed(id));
        } else {
            let error = message.error.map_or(&b"error"[..], |error| error.0);
            let text = serde_json::from_slice::<Complaint<'_>>(error).ok().and_then(|error| error.msg.text());
            let why = text.map_or_else(|| String::from_utf8_lossy(error).into_owned(), Cow::into_owned);
            out.notices.push(self.requests.refused(id, why));
        }
        FrameKind::Control
    }
}

fn put((symbol, time, event): Row<'_>, history: bool, sink: &mut Sink<'_>) {
    let symbol = sink.symbols.intern(symbol.as_bytes());
    sink.put(symbol, time, event).history = history;
}

/// A symbol has one name: that of the feed before, which subscriptions and answers may write in lower case.
fn upper(symbol: Cow<'_, str>) -> Cow<'_, str> {
    if symbol.bytes().any(|byte| byte.is_ascii_lowercase()) {
        Cow::Owned(symbol.to_ascii_uppercase())
    } else {
        symbol
    }
}

fn trade_of(id: Token<'_>, message: &Message<'_>) -> Result<Result<Event, Rejection>, Fault> {
    let id = id.whole().ok_or("an id that is no number")?;
    let price = message.price.and_then(Token::decimal).ok_or("no price")?;
    let size = message.size.and_then(Token::decimal).ok_or("no quantity")?;
    let side = match message.maker.map(|maker| maker.0) {
        Some(b"true") => Side::Sell,
        Some(b"false") => Side::Buy,
        _ => return Err("no word on who was the maker".into()),
    };
    Ok(trade(Some(id), price, size, side))
}

fn quote_of(id: Token<'_>, message: &Message<'_>) -> Result<Result<Event, Rejection>, Fault> {
    let id = id.whole().ok_or("an update id that is no number")?;
    let [bid, bid_size] = side_of(message.bid, message.bid_size).ok_or("a bid that is no number")?;
    let [ask, ask_size] = side_of(message.ask, message.ask_size).ok_or("an ask that is no number")?;
    Ok(quote(Some(id), [bid, bid_size, ask, ask_size]).map(Event::Quote))
}

fn request(method: &str, streams: &[Stream], id: u64) -> String {
    let name = |stream: &Stream| {
        let channel = match stream.channel {
            Channel::Trades => "trade",
            Channel::Quotes => "bookTicker",
        };
        format!("{}@{channel}", stream.native.to_lowercase())
    };
    let params: Vec<String> = streams.iter().map(name).collect();
    json!({ "method": method.to_uppercase(), "params": params, "id": id }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::Notice;

    #[test]
    fn subscriptions_are_asked_for_and_answered_by_number() {
        let (mut symbols, mut out) = (SymbolTable::new("gemini"), Output::default());
        let mut session = GeminiSession::default();
        let streams = [Stream::new("FOOUSD", Channel::Trades), Stream::new("FOOUSD", Channel::Quotes)];
        session.subscribe(&streams, 0, &mut out);
        session.subscribe(&streams[..1], 0, &mut out);
        session.unsubscribe(&streams[1..], 0, &mut out);
        session.ping(0, &mut out);
        assert_eq!(
            out.sends,
            [
                r#"{"id":1,"method":"SUBSCRIBE","params":["foousd@trade","foousd@bookTicker"]}"#,
                r#"{"id":2,"method":"SUBSCRIBE","params":["foousd@trade"]}"#,
                r#"{"id":3,"method":"UNSUBSCRIBE","params":["foousd@bookTicker"]}"#,
                r#"{"id":4,"method":"ping"}"#,
            ]
        );
        for payload in [
            r#"{"id":2,"status":400,"error":{"code":-1121,"msg":"Invalid symbol"}}"#,
            r#"{"id":"1","status":200,"result":{}}"#,
            r#"{"id":3,"status":200}"#,
            r#"{"id":4,"status":200,"result":{}}"#,
        ] {
            let frame = Frame { received_at: None, payload: payload.as_bytes() };
            assert_eq!(session.on_frame(frame, &mut symbols, &mut out), FrameKind::Control);
        }
        let refused = Notice::Refused(streams[..1].to_vec(), "Invalid symbol".to_owned());
        assert_eq!(out.notices, [refused, Notice::Acknowledged(streams.to_vec())]);
    }
}
