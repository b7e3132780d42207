//! Coinbase Advanced Trade: the same markets behind another interface.
//!
//! ```json
//! {"channel":"market_trades","client_id":"","timestamp":"2025-06-15T15:06:40.2Z","sequence_num":5,"events":[
//!  {"type":"update","trades":[{"trade_id":"10","product_id":"BTC-USD","price":"100.10","size":"0.5","side":"BUY",
//!   "time":"2025-06-15T15:06:40.1Z"}]}]}
//! {"channel":"ticker",…,"events":[{"type":"update","tickers":[{"type":"ticker","product_id":"BTC-USD",…,
//!  "best_bid":"100.09","best_bid_quantity":"3","best_ask":"100.10","best_ask_quantity":"2"}]}]}
//! {"channel":"heartbeats",…,"events":[{"current_time":"…","heartbeat_counter":42}]}
//! {"channel":"subscriptions",…,"events":[{"subscriptions":{"market_trades":["BTC-USD"]}}]}
//! ```
//!
//! Trades of an event `snapshot` are history. `side` is the maker's, so that the aggressor is the other one. A ticker's
//! time is that of its message. `sequence_num` counts the messages of the connection. Each subscribing message names one
//! channel; channels without updates close after a minute or so unless `heartbeats` is subscribed, too.
//! Documented at <https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-channels>.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::live::Answers;
use super::taker_side;
use crate::frame::{Frame, FrameKind};
use crate::json::{Reason, Sink, Token, quote, trade};
use crate::live::{Channel, Live, Notice, Rate, Route, Stream};
use crate::number::Decimal;
use crate::offset::VenueClock;
use crate::symbol::SymbolTable;
use crate::tick::{Event, Rejection, Side};
use crate::time::{Nanos, TimeError};
use crate::venue::{DuplicateKey, Endpoint, Output, Session, Venue};
use crate::verdict::{Fault, kind_of, ticks_or, unknown};

/// Coinbase Advanced Trade.
pub(in crate::venues) struct Advanced;

pub(in crate::venues) static ADVANCED: Advanced = Advanced;

/// 8 messages and 8 connections a second without an account; a heartbeat each second. How many streams one connection
/// carries is not said.
static LIVE: Live = Live {
    routes: &[Route::all("wss://advanced-trade-ws.coinbase.com")],
    streams_per_connection: 200,
    streams_per_request: 50,
    requests: Rate::new(8, 1),
    connects: Rate::new(8, 1),
    ping_seconds: None,
    dead_seconds: 30,
    lifetime_seconds: None,
};

/// Channels that are known and not used, with the name of their kind.
const PASSED_OVER: &[(&str, &str)] = &[
    ("l2_data", "depth"),
    ("level2", "depth"),
    ("candles", "kline"),
    ("ticker_batch", "ticker_batch"),
    ("status", "status"),
];

impl Venue for Advanced {
    fn id(&self) -> &'static str {
        "coinbase-advanced"
    }

    fn name(&self) -> &'static str {
        "Coinbase Advanced Trade"
    }

    fn endpoints(&self) -> &'static [Endpoint] {
        &[Endpoint { host: "advanced-trade-ws.coinbase.com", path: "" }]
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
        "best_ask best_ask_quantity best_bid best_bid_quantity channel client_id events high_24_h high_52_w \
         low_24_h low_52_w price price_percent_chg_24_h product_id sequence_num side size tickers time \
         timestamp trade_id trades type volume_24_h"
    }

    fn completeness(&self) -> &'static str {
        "messages of a connection are numbered, so a lost one shows, though not whose it was; a quote comes with trades \
         only"
    }

    fn recognises(&self, payload: &[u8]) -> bool {
        let payload = payload.trim_ascii();
        payload.starts_with(b"{") && serde_json::from_slice::<Shape>(payload).is_ok()
    }

    fn open(&self) -> Box<dyn Session> {
        Box::new(AdvancedSession::default())
    }

    fn live(&self) -> Option<&'static Live> {
        Some(&LIVE)
    }
}

/// All that every message has but an error.
#[derive(Deserialize)]
struct Shape {
    #[serde(rename = "channel")]
    _channel: IgnoredAny,
    #[serde(rename = "client_id")]
    _client_id: IgnoredAny,
    #[serde(rename = "timestamp")]
    _timestamp: IgnoredAny,
    #[serde(rename = "sequence_num")]
    _sequence_num: u64,
    #[serde(rename = "events")]
    _events: Vec<IgnoredAny>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    channel: Option<Token<'a>>,
    #[serde(borrow)]
    timestamp: Option<Token<'a>>,
    sequence_num: Option<u64>,
    #[serde(borrow)]
    events: Option<Token<'a>>,
    #[serde(rename = "type")]
    kind: Option<Cow<'a, str>>,
    message: Option<Cow<'a, str>>,
}

/// What a message says of a list: the event's kind, and the rows of the channel's name.
#[derive(Deserialize)]
struct Rows<'a, R> {
    #[serde(borrow, rename = "type")]
    kind: Option<Token<'a>>,
    #[serde(alias = "tickers")]
    trades: Vec<R>,
}

#[derive(Deserialize)]
struct TradeRow<'a> {
    #[serde(borrow)]
    trade_id: Token<'a>,
    #[serde(borrow)]
    product_id: Token<'a>,
    #[serde(borrow)]
    price: Token<'a>,
    #[serde(borrow)]
    size: Token<'a>,
    #[serde(borrow)]
    side: Token<'a>,
    #[serde(borrow)]
    time: Token<'a>,
}

/// A trade as written; its values may still be unusable.
struct TradeValues<'a> {
    product: Cow<'a, str>,
    id: Option<u64>,
    price: Result<Decimal, Rejection>,
    size: Result<Decimal, Rejection>,
    side: Side,
    time: Result<Nanos, TimeError>,
}

#[derive(Deserialize)]
struct TickerRow<'a> {
    #[serde(borrow)]
    product_id: Token<'a>,
    #[serde(borrow)]
    best_bid: Token<'a>,
    #[serde(borrow)]
    best_bid_quantity: Option<Token<'a>>,
    #[serde(borrow)]
    best_ask: Token<'a>,
    #[serde(borrow)]
    best_ask_quantity: Option<Token<'a>>,
}

#[derive(Deserialize)]
struct Subscribed {
    subscriptions: BTreeMap<String, Vec<String>>,
}

/// What a connection remembers.
#[derive(Default)]
struct AdvancedSession {
    clock: VenueClock,
    answers: Answers,
    /// The number of the newest message.
    last_number: Option<u64>,
}

impl Session for AdvancedSession {
    fn greet(&mut self, _now: Nanos, out: &mut Output) {
        out.sends.push(r#"{"type":"subscribe","channel":"heartbeats"}"#.to_owned());
    }

    fn subscribe(&mut self, streams: &[Stream], _now: Nanos, out: &mut Output) {
        self.answers.expect(streams);
        request("subscribe", streams, out);
    }

    fn unsubscribe(&mut self, streams: &[Stream], _now: Nanos, out: &mut Output) {
        request("unsubscribe", streams, out);
    }

    fn on_frame(&mut self, frame: Frame<'_>, symbols: &mut SymbolTable, out: &mut Output) -> FrameKind {
        kind_of(frame.payload, |payload| {
            if !payload.starts_with(b"{") {
                return Err("no JSON object".into());
            }
            let message = serde_json::from_slice::<Message<'_>>(payload)?;
            let mut sink = Sink { received_at: frame.received_at, symbols, out };
            self.on_message(&message, &mut sink)
        })
    }

    fn finish(&mut self, out: &mut Output) {
        self.clock.finish(out);
    }
}

impl AdvancedSession {
    fn on_message(&mut self, message: &Message<'_>, sink: &mut Sink<'_>) -> Result<FrameKind, Fault> {
        let Some(channel) = message.channel else {
            if message.kind.as_deref() != Some("error") {
                return Err("neither a `channel` nor an error".into());
            }
            self.answers.complain(&[message.message.as_deref().unwrap_or_default()], sink.out);
            return Ok(FrameKind::Control);
        };
        let channel = channel.text().ok_or("`channel` is no string")?;
        let events = message.events.ok_or("no `events`")?;
        let number = message.sequence_num.ok_or("no `sequence_num`")?;
        let time = message.timestamp.and_then(Token::time_in_words).ok_or("no `timestamp`")?;
        let kind = match channel.as_ref() {
            "market_trades" => {
                let events = trades_of(events)?;
                self.observe(time, sink);
                put_trades(&events, sink)
            }
            "ticker" => {
                let events = serde_json::from_slice::<Vec<Rows<'_, TickerRow<'_>>>>(events.0)?;
                self.on_tickers(&events, time, sink)?
            }
            "heartbeats" => {
                self.observe(time, sink);
                FrameKind::Heartbeat
            }
            "subscriptions" => {
                let events = serde_json::from_slice::<Vec<Subscribed>>(events.0)?;
                let listed = events.iter().flat_map(|event| &event.subscriptions);
                self.answers.acknowledge(
                    listed.map(|(name, products)| (name.as_str(), products.as_slice())),
                    sink.out,
                );
                FrameKind::Control
            }
            other => {
                self.observe(time, sink);
                match PASSED_OVER.iter().find(|(known, _)| *known == other) {
                    Some(("l2_data", _)) if is_snapshot(events) => FrameKind::PassedOver("depth_snapshot"),
                    Some((_, name)) => FrameKind::PassedOver(name),
                    None => unknown(other),
                }
            }
        };
        self.count(number, sink.out);
        Ok(kind)
    }

    fn on_tickers(
        &mut self,
        events: &[Rows<'_, TickerRow<'_>>],
        time: Result<Nanos, TimeError>,
        sink: &mut Sink<'_>,
    ) -> Result<FrameKind, Reason> {
        let rows = || events.iter().flat_map(|event| &event.trades);
        let mut quotes = Vec::new();
        for row in rows() {
            let product = row.product_id.text().ok_or("`product_id` of a ticker is no string")?;
            // Products that are not open for trading have no sizes.
            let (Some(bid_size), Some(ask_size)) = (row.best_bid_quantity, row.best_ask_quantity) else {
                continue;
            };
            let tokens = [row.best_bid, bid_size, row.best_ask, ask_size];
            let [Some(bid), Some(bid_size), Some(ask), Some(ask_size)] = tokens.map(Token::decimal) else {
                return Err("a best price or quantity of a ticker is no decimal");
            };
            quotes.push((product, quote(None, [bid, bid_size, ask, ask_size])));
        }
        self.observe(time, sink);
        for (product, quote) in &quotes {
            let symbol = sink.symbols.intern(product.as_bytes());
            sink.put(symbol, time, quote.map(Event::Quote));
        }
        Ok(ticks_or(!quotes.is_empty(), "ticker"))
    }

    fn observe(&mut self, time: Result<Nanos, TimeError>, sink: &mut Sink<'_>) {
        if let Ok(time) = time {
            self.clock.observe(sink.received_at, time, sink.out);
        }
    }

    /// Messages are numbered one by one; a smaller number begins anew.
    fn count(&mut self, number: u64, out: &mut Output) {
        match self.last_number.replace(number) {
            Some(last) if number < last => out.notices.push(Notice::Restarted(None)),
            Some(last) if number - last > 1 => {
                out.notices.push(Notice::Skipped { first: last + 1, last: number - 1 });
            }
            _ => {}
        }
    }
}

/// The trades of a frame, each with whether it is history.
fn trades_of(events: Token<'_>) -> Result<Vec<(bool, TradeValues<'_>)>, Fault> {
    let events = serde_json::from_slice::<Vec<Rows<'_, TradeRow<'_>>>>(events.0)?;
    let mut trades = Vec::with_capacity(events.iter().map(|event| event.trades.len()).sum());
    for event in &events {
        let history = match event.kind.map(|kind| kind.0) {
            Some(br#""snapshot""#) => true,
            Some(br#""update""#) => false,
            _ => return Err("an event of trades that is neither a snapshot nor an update".into()),
        };
        for row in &event.trades {
            trades.push((history, row.values()?));
        }
    }
    Ok(trades)
}

impl<'a> TradeRow<'a> {
    fn values(&self) -> Result<TradeValues<'a>, Reason> {
        Ok(TradeValues {
            product: self.product_id.text().ok_or("`product_id` of a trade is no string")?,
            // Text where it is no number: such a trade has none.
            id: self
                .trade_id
                .number()
                .ok_or("`trade_id` is neither a number nor a string")
                .map(|_| self.trade_id.whole())?,
            price: self.price.decimal().ok_or("`price` of a trade is no decimal")?,
            size: self.size.decimal().ok_or("`size` of a trade is no decimal")?,
            side: taker_side(self.side).ok_or("`side` of a trade is neither BUY nor SELL")?,
            time: self.time.time_in_words().ok_or("`time` of a trade is no string")?,
        })
    }
}

fn put_trades(trades: &[(bool, TradeValues<'_>)], sink: &mut Sink<'_>) -> FrameKind {
    for (history, row) in trades {
        let symbol = sink.symbols.intern(row.product.as_bytes());
        sink.put(symbol, row.time, trade(row.id, row.price, row.size, row.side)).history = *history;
    }
    ticks_or(!trades.is_empty(), "no_trades")
}

fn is_snapshot(events: Token<'_>) -> bool {
    #[derive(Deserialize)]
    struct Kind<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<Token<'a>>,
    }
    serde_json::from_slice::<Vec<Kind<'_>>>(events.0)
        .is_ok_and(|events| events.iter().any(|event| event.kind == Some(Token(br#""snapshot""#))))
}

/// One message for each channel.
fn request(kind: &str, streams: &[Stream], out: &mut Output) {
    for (channel, name) in [(Channel::Trades, "market_trades"), (Channel::Quotes, "ticker")] {
        let streams = streams.iter().filter(|stream| stream.channel == channel);
        let products: Vec<&str> = streams.map(|stream| stream.native.as_str()).collect();
        if !products.is_empty() {
            let message = serde_json::json!({ "type": kind, "channel": name, "product_ids": products });
            out.sends.push(message.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(session: &mut AdvancedSession, payload: &str) -> (FrameKind, Output) {
        let (mut symbols, mut out) = (SymbolTable::new("coinbase-advanced"), Output::default());
        let frame = Frame { received_at: Some(1_750_000_000_000_000_000), payload: payload.as_bytes() };
        let kind = session.on_frame(frame, &mut symbols, &mut out);
        (kind, out)
    }

    fn message(channel: &str, events: &str, number: u64) -> String {
        format!(
            r#"{{"channel":"{channel}","timestamp":"2025-06-15T15:06:40Z","sequence_num":{number},"events":{events}}}"#
        )
    }

    /// Each row with one field at a time taken out, made `null`, or of another type.
    #[test]
    fn a_row_without_a_field_that_it_needs_breaks_the_frame() {
        let trade = [
            ("trade_id", r#""7""#),
            ("product_id", r#""FOO-USD""#),
            ("price", r#""1.5""#),
            ("size", r#""2""#),
            ("side", r#""BUY""#),
            ("time", r#""2025-06-15T15:06:40Z""#),
        ];
        let ticker = [("product_id", r#""FOO-USD""#), ("best_bid", r#""1.5""#), ("best_ask", r#""1.6""#)];
        let sizes = r#","best_bid_quantity":"1","best_ask_quantity":"2""#;
        let cases = [("market_trades", "trades", &trade[..], ""), ("ticker", "tickers", &ticker[..], sizes)];
        for (channel, list, fields, end) in cases {
            let written = |changed: usize, value: Option<&str>| {
                let tokens = fields.iter().enumerate().filter_map(|(index, (key, token))| {
                    let token = if index == changed { value? } else { token };
                    Some(format!(r#""{key}":{token}"#))
                });
                let row = tokens.collect::<Vec<_>>().join(",");
                message(channel, &format!(r#"[{{"type":"update","{list}":[{{{row}{end}}}]}}]"#), 1)
            };
            let whole = written(0, Some(fields[0].1));
            assert_eq!(decode(&mut AdvancedSession::default(), &whole).0, FrameKind::Ticks);
            for changed in 0..fields.len() {
                for value in [None, Some("null"), Some("{}"), Some("true"), Some("")] {
                    let frame = written(changed, value);
                    let (kind, out) = decode(&mut AdvancedSession::default(), &frame);
                    assert!(matches!(kind, FrameKind::Broken(_)), "{frame} gave {kind:?}");
                    assert!(out.ticks.is_empty() && out.offsets.is_empty(), "{frame}");
                }
            }
        }
    }

    #[test]
    fn each_channel_has_a_message_of_its_own() {
        let (mut session, mut out) = (AdvancedSession::default(), Output::default());
        let of = |name, channel| Stream::new(name, channel);
        session.greet(0, &mut out);
        let streams =
            [of("FOO-USD", Channel::Trades), of("FOO-USD", Channel::Quotes), of("BAR-EUR", Channel::Trades)];
        session.subscribe(&streams, 0, &mut out);
        session.unsubscribe(&streams[1..2], 0, &mut out);
        assert_eq!(
            out.sends,
            [
                r#"{"type":"subscribe","channel":"heartbeats"}"#,
                r#"{"channel":"market_trades","product_ids":["FOO-USD","BAR-EUR"],"type":"subscribe"}"#,
                r#"{"channel":"ticker","product_ids":["FOO-USD"],"type":"subscribe"}"#,
                r#"{"channel":"ticker","product_ids":["FOO-USD"],"type":"unsubscribe"}"#,
            ]
        );
        let (_, out) = decode(&mut session, r#"{"type":"error","message":"unknown product BAR-EUR."}"#);
        let refused = Notice::Refused(vec![streams[2].clone()], "unknown product BAR-EUR.".to_owned());
        assert_eq!(out.notices, [refused]);
    }

    #[test]
    fn numbers_that_are_jumped_over_are_missing() {
        let mut session = AdvancedSession::default();
        let mut notices = Vec::new();
        for number in [3, 4, 4, 5, 9, 10, 0, 1] {
            notices.extend(decode(&mut session, &message("heartbeats", "[]", number)).1.notices);
        }
        assert_eq!(notices, [Notice::Skipped { first: 6, last: 8 }, Notice::Restarted(None)]);
    }
}
