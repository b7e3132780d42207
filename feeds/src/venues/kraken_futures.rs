//! Kraken Futures, formerly Crypto Facilities.
//!
//! ```json
//! {"feed":"trade","product_id":"PI_XBTUSD","uid":"…","side":"buy","type":"fill","seq":10,"time":1700000000123,
//!  "qty":50.0,"price":100.5}
//! {"feed":"trade_snapshot","product_id":"PI_XBTUSD","trades":[{"feed":"trade",…},…]}                      history
//! {"feed":"ticker","product_id":"PI_XBTUSD","time":1700000000123,"bid":100.0,"bid_size":30.0,"ask":100.5,
//!  "ask_size":20.0,…}
//! {"event":"subscribed","feed":"trade","product_ids":["PI_XBTUSD"]}
//! ```
//!
//! `side` is the aggressor's. A trade's id is its `seq`, which counts up by one for each product, and not its `uid`.
//! Sizes are contracts. `ticker_lite` has prices without sizes and is passed over. Positions that are assigned to others
//! or terminated show as trades, too, and are excluded: none of them was in the market.
//! Documented at <https://docs.kraken.com/api/docs/futures-api/websocket/trade>.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::frame::{Frame, FrameKind};
use crate::json::{Reason, Sink, Token, best_of, quote, trade};
use crate::live::{Channel, Live, Notice, Rate, Route, Stream};
use crate::offset::VenueClock;
use crate::symbol::SymbolTable;
use crate::tick::{Event, Rejection, Side};
use crate::time::{Nanos, TimeError, Unit};
use crate::venue::{DuplicateKey, Endpoint, Output, Session, Venue};
use crate::verdict::{Fault, kind_of, ticks_or, unknown};

/// Kraken's derivatives.
pub(super) struct KrakenFutures;

pub(super) static FUTURES: KrakenFutures = KrakenFutures;

/// 100 requests a second; a connection without a ping for a minute is closed, WebSocket's own will do. How many streams
/// one carries, and how many connections there may be, is not said.
static LIVE: Live = Live {
    routes: &[Route::all("wss://futures.kraken.com/ws/v1")],
    streams_per_connection: 200,
    streams_per_request: 50,
    requests: Rate::new(50, 1),
    connects: Rate::new(1, 1),
    ping_seconds: None,
    dead_seconds: 60,
    lifetime_seconds: None,
};

/// Feeds that are known and not used, with the name of their kind.
const PASSED_OVER: &[(&str, &str)] =
    &[("book", "depth"), ("book_snapshot", "depth_snapshot"), ("ticker_lite", "ticker_lite")];

impl Venue for KrakenFutures {
    fn id(&self) -> &'static str {
        "kraken-futures"
    }

    fn name(&self) -> &'static str {
        "Kraken Futures"
    }

    fn endpoints(&self) -> &'static [Endpoint] {
        &[
            Endpoint { host: "futures.kraken.com", path: "" },
            Endpoint { host: "www.cryptofacilities.com", path: "" },
        ]
    }

    fn trade_key(&self) -> DuplicateKey {
        DuplicateKey::Contiguous
    }

    fn quote_key(&self) -> DuplicateKey {
        DuplicateKey::None
    }

    fn channels(&self) -> &'static [&'static str] {
        &["trades", "quotes"]
    }

    fn fields(&self) -> &'static str {
        "ask ask_size bid bid_size change delta dtm feed funding_rate funding_rate_prediction gamma greeks \
         high index iv last leverage low markPrice maturityTime next_funding_rate_time open openInterest \
         pair post_only premium price product_id qty relative_funding_rate relative_funding_rate_prediction \
         rho seq side suspended tag theta time trades type uid vega volume volumeQuote"
    }

    fn completeness(&self) -> &'static str {
        "trades of a product are numbered one by one, so a hole shows; of quotes nothing tells"
    }

    fn recognises(&self, payload: &[u8]) -> bool {
        let payload = payload.trim_ascii();
        payload.starts_with(b"{") && serde_json::from_slice(payload).is_ok_and(|shape| is_plain(&shape))
    }

    fn open(&self) -> Box<dyn Session> {
        Box::new(FuturesSession::default())
    }

    fn live(&self) -> Option<&'static Live> {
        Some(&LIVE)
    }
}

/// What of a frame shows whose it is.
#[derive(Deserialize)]
struct Shape<'a> {
    #[serde(borrow)]
    feed: Token<'a>,
    #[serde(rename = "product_id")]
    _product_id: IgnoredAny,
    seq: Option<IgnoredAny>,
    qty: Option<IgnoredAny>,
    trades: Option<Vec<IgnoredAny>>,
    bid: Option<IgnoredAny>,
    ask: Option<IgnoredAny>,
    tag: Option<IgnoredAny>,
}

fn is_plain(shape: &Shape<'_>) -> bool {
    match shape.feed.0 {
        br#""trade""# | br#""book""# => shape.seq.is_some() && shape.qty.is_some(),
        br#""book_snapshot""# => shape.seq.is_some(),
        br#""trade_snapshot""# => shape.trades.is_some(),
        br#""ticker""# | br#""ticker_lite""# => {
            shape.bid.is_some() && shape.ask.is_some() && shape.tag.is_some()
        }
        _ => false,
    }
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    feed: Option<Token<'a>>,
    #[serde(borrow)]
    event: Option<Token<'a>>,
    #[serde(borrow)]
    time: Option<Token<'a>>,
    #[serde(borrow)]
    timestamp: Option<Token<'a>>,
}

#[derive(Deserialize)]
struct TradeRow<'a> {
    #[serde(borrow)]
    product_id: Token<'a>,
    #[serde(borrow)]
    side: Token<'a>,
    #[serde(borrow, rename = "type")]
    kind: Option<Token<'a>>,
    #[serde(borrow)]
    seq: Token<'a>,
    #[serde(borrow)]
    time: Token<'a>,
    #[serde(borrow)]
    qty: Token<'a>,
    #[serde(borrow)]
    price: Token<'a>,
}

/// A trade as written; its values may still be unusable.
struct TradeValues<'a> {
    product: Cow<'a, str>,
    time: Result<Nanos, TimeError>,
    trade: Result<Event, Rejection>,
    excluded: bool,
}

#[derive(Deserialize)]
struct Snapshot<'a> {
    #[serde(borrow)]
    trades: Vec<TradeRow<'a>>,
}

#[derive(Deserialize)]
struct TickerRow<'a> {
    #[serde(borrow)]
    product_id: Token<'a>,
    #[serde(borrow)]
    time: Token<'a>,
    #[serde(borrow)]
    bid: Option<Token<'a>>,
    #[serde(borrow)]
    bid_size: Option<Token<'a>>,
    #[serde(borrow)]
    ask: Option<Token<'a>>,
    #[serde(borrow)]
    ask_size: Option<Token<'a>>,
}

#[derive(Deserialize)]
struct Answer {
    feed: Option<String>,
    #[serde(default)]
    product_ids: Vec<String>,
    message: Option<String>,
}

/// What a connection remembers.
#[derive(Default)]
struct FuturesSession {
    clock: VenueClock,
}

impl Session for FuturesSession {
    fn greet(&mut self, _now: Nanos, out: &mut Output) {
        out.sends.push(r#"{"event":"subscribe","feed":"heartbeat"}"#.to_owned());
    }

    fn subscribe(&mut self, streams: &[Stream], _now: Nanos, out: &mut Output) {
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
            let mut sink = Sink { received_at: frame.received_at, symbols, out };
            self.on_object(payload, &mut sink)
        })
    }

    fn finish(&mut self, out: &mut Output) {
        self.clock.finish(out);
    }
}

impl FuturesSession {
    fn on_object(&mut self, payload: &[u8], sink: &mut Sink<'_>) -> Result<FrameKind, Fault> {
        let message = serde_json::from_slice::<Message<'_>>(payload)?;
        if let Some(event) = message.event {
            return on_event(&event.text().ok_or("`event` is no string")?, payload, sink.out);
        }
        match message
            .feed
            .ok_or("neither a `feed` nor an `event`")?
            .text()
            .ok_or("`feed` is no string")?
            .as_ref()
        {
            "trade" => {
                let trade = serde_json::from_slice::<TradeRow<'_>>(payload)?.read()?;
                self.observe(trade.time, sink);
                put_trade(&trade, false, sink);
                Ok(FrameKind::Ticks)
            }
            "trade_snapshot" => on_snapshot(&serde_json::from_slice(payload)?, sink),
            "ticker" => Ok(self.on_ticker(&serde_json::from_slice(payload)?, sink)?),
            other => {
                if let Some(time) =
                    message.time.or(message.timestamp).and_then(|token| token.time(Unit::Millis))
                {
                    self.observe(time, sink);
                }
                Ok(match PASSED_OVER.iter().find(|(known, _)| *known == other) {
                    Some((_, name)) => FrameKind::PassedOver(name),
                    None if other == "heartbeat" => FrameKind::Heartbeat,
                    None => unknown(other),
                })
            }
        }
    }

    fn on_ticker(&mut self, row: &TickerRow<'_>, sink: &mut Sink<'_>) -> Result<FrameKind, Reason> {
        let product = row.product_id.text().ok_or("`product_id` of the ticker is no string")?;
        let time = row.time.time(Unit::Millis).ok_or("`time` of the ticker is no number")?;
        let [bid, bid_size, ask, ask_size] = best_of([row.bid, row.bid_size, row.ask, row.ask_size])
            .ok_or("a best price or size of the ticker is missing, or no number")?;
        self.observe(time, sink);
        let symbol = sink.symbols.intern(product.as_bytes());
        sink.put(symbol, time, quote(None, [bid, bid_size, ask, ask_size]).map(Event::Quote));
        Ok(FrameKind::Ticks)
    }

    fn observe(&mut self, time: Result<Nanos, TimeError>, sink: &mut Sink<'_>) {
        if let Ok(time) = time {
            self.clock.observe(sink.received_at, time, sink.out);
        }
    }
}

fn on_snapshot(snapshot: &Snapshot<'_>, sink: &mut Sink<'_>) -> Result<FrameKind, Fault> {
    let mut trades = Vec::with_capacity(snapshot.trades.len());
    for row in &snapshot.trades {
        trades.push(row.read()?);
    }
    for trade in &trades {
        put_trade(trade, true, sink);
    }
    Ok(ticks_or(!trades.is_empty(), "no_trades"))
}

fn put_trade(row: &TradeValues<'_>, history: bool, sink: &mut Sink<'_>) {
    let symbol = sink.symbols.intern(row.product.as_bytes());
    let tick = sink.put(symbol, row.time, row.trade);
    (tick.history, tick.excluded) = (history, row.excluded);
}

impl<'a> TradeRow<'a> {
    fn read(&self) -> Result<TradeValues<'a>, Reason> {
        let product = self.product_id.text().ok_or("`product_id` of a trade is no string")?;
        let id = self.seq.whole().ok_or("`seq` of a trade is no whole number")?;
        let price = self.price.decimal().ok_or("`price` of a trade is no number")?;
        let size = self.qty.decimal().ok_or("`qty` of a trade is no number")?;
        let time = self.time.time(Unit::Millis).ok_or("`time` of a trade is no number")?;
        let side = match self.side.0 {
            br#""buy""# => Side::Buy,
            br#""sell""# => Side::Sell,
            _ => return Err("`side` of a trade is neither buy nor sell"),
        };
        if self.kind.is_some_and(|kind| kind.text().is_none()) {
            return Err("`type` of a trade is no string");
        }
        let excluded = [br#""assignment""#.as_slice(), br#""termination""#]
            .map(|kind| Some(Token(kind)))
            .contains(&self.kind);
        Ok(TradeValues { product, time, trade: trade(Some(id), price, size, side), excluded })
    }
}

fn on_event(event: &str, payload: &[u8], out: &mut Output) -> Result<FrameKind, Fault> {
    let answer: Answer = serde_json::from_slice(payload)?;
    let channel =
        FEEDS.iter().find(|(_, feed)| answer.feed.as_deref() == Some(*feed)).map(|(channel, _)| *channel);
    let streams: Vec<Stream> = channel
        .into_iter()
        .flat_map(|channel| answer.product_ids.iter().map(move |name| Stream::new(name, channel)))
        .collect();
    let why = answer.message.unwrap_or_else(|| event.to_owned());
    // An error names neither; "Invalid product id" and "Invalid feed" are answers to a subscription.
    let is_refusal = ["product", "feed"].iter().any(|word| why.to_lowercase().contains(word));
    match event {
        "subscribed" if !streams.is_empty() => out.notices.push(Notice::Acknowledged(streams)),
        "subscribed_failed" => out.notices.push(Notice::Refused(streams, why)),
        "alert" | "error" if is_refusal => out.notices.push(Notice::Refused(streams, why)),
        "alert" | "error" | "unsubscribed_failed" => out.notices.push(Notice::Complaint(why)),
        "info" | "subscribed" | "unsubscribed" | "challenge" => {}
        other => return Ok(unknown(other)),
    }
    Ok(FrameKind::Control)
}

const FEEDS: [(Channel, &str); 2] = [(Channel::Trades, "trade"), (Channel::Quotes, "ticker")];

/// One message for each feed.
fn request(event: &str, streams: &[Stream], out: &mut Output) {
    for (channel, feed) in FEEDS {
        let streams = streams.iter().filter(|stream| stream.channel == channel);
        let products: Vec<&str> = streams.map(|stream| stream.native.as_str()).collect();
        if !products.is_empty() {
            let message = serde_json::json!({ "event": event, "feed": feed, "product_ids": products });
            out.sends.push(message.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(payload: &str) -> (FrameKind, Output) {
        let (mut symbols, mut out) = (SymbolTable::new("kraken-futures"), Output::default());
        let frame = Frame { received_at: Some(1_750_000_000_000_000_000), payload: payload.as_bytes() };
        let kind = FuturesSession::default().on_frame(frame, &mut symbols, &mut out);
        (kind, out)
    }

    /// Each frame with one field at a time taken out, made `null`, or of another type.
    #[test]
    fn a_frame_without_a_field_that_it_needs_is_broken() {
        let product = ("product_id", r#""PI_FOOUSD""#);
        let (bid, ask) = (("bid", "1.5"), ("ask", "1.6"));
        let trade = [
            product,
            ("side", r#""buy""#),
            ("seq", "7"),
            ("time", "1750000000000"),
            ("qty", "2"),
            ("price", "1.5"),
        ];
        let ticker = [product, ("time", "1750000000000"), bid, ("bid_size", "2"), ask, ("ask_size", "3")];
        for (feed, fields) in [("trade", trade), ("ticker", ticker)] {
            let written = |changed: usize, value: Option<&str>| {
                let tokens = fields.iter().enumerate().filter_map(|(index, (key, token))| {
                    let token = if index == changed { value? } else { token };
                    Some(format!(r#""{key}":{token}"#))
                });
                format!(r#"{{"feed":"{feed}",{}}}"#, tokens.collect::<Vec<_>>().join(","))
            };
            assert_eq!(decode(&written(0, Some(fields[0].1))).0, FrameKind::Ticks);
            for changed in 0..fields.len() {
                for value in [None, Some("null"), Some("{}"), Some("true"), Some("")] {
                    let frame = written(changed, value);
                    let (kind, out) = decode(&frame);
                    assert!(matches!(kind, FrameKind::Broken(_)), "{frame} gave {kind:?}");
                    assert!(out.ticks.is_empty() && out.offsets.is_empty(), "{frame}");
                }
            }
        }
    }

    #[test]
    fn each_feed_has_a_message_of_its_own() {
        let (mut session, mut out) = (FuturesSession::default(), Output::default());
        let streams = [Stream::new("PI_FOOUSD", Channel::Trades), Stream::new("PI_BARUSD", Channel::Quotes)];
        session.subscribe(&streams, 0, &mut out);
        session.unsubscribe(&streams[1..], 0, &mut out);
        assert_eq!(
            out.sends,
            [
                r#"{"event":"subscribe","feed":"trade","product_ids":["PI_FOOUSD"]}"#,
                r#"{"event":"subscribe","feed":"ticker","product_ids":["PI_BARUSD"]}"#,
                r#"{"event":"unsubscribe","feed":"ticker","product_ids":["PI_BARUSD"]}"#,
            ]
        );
    }
}
