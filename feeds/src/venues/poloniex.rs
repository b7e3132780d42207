//! Poloniex: spot, the interface of 2022.
//!
//! ```json
//! {"channel":"trades","data":[{"symbol":"FOO_USDT","amount":"50.05","quantity":"0.5","takerSide":"sell",
//!   "createTime":1700000000004,"price":"100.1","id":"7","ts":1700000000005}]}
//! {"channel":"book","data":[{"symbol":"FOO_USDT","createTime":1700000000004,"asks":[["100.2","3"],…],
//!   "bids":[["100.1","2"],…],"id":9,"ts":1700000000005}]}
//! {"event":"subscribe","channel":"trades","symbols":["FOO_USDT"]}          confirms
//! {"event":"error","message":"Subscription failed"}
//! {"event":"pong"}                                                          answers {"event":"ping"}
//! ```
//!
//! The size is `quantity`, in coins; `amount` is what it cost. Quotes are the first rows of `book`, which sends its five
//! best levels whole each time.
//! Documented at <https://api-docs.poloniex.com/spot/websocket>.

use serde::Deserialize;
use serde_json::json;

use crate::frame::{Frame, FrameKind};
use crate::json::{Best, Sink, Token, quote, trade};
use crate::live::{Channel, Live, Notice, Rate, Route, Stream};
use crate::offset::VenueClock;
use crate::symbol::SymbolTable;
use crate::tick::{Event, Side};
use crate::time::{Nanos, Unit};
use crate::venue::{DuplicateKey, Endpoint, Output, Session, Venue};
use crate::verdict::{Fault, kind_of, ticks_or, unknown};

/// Levels of a book that are asked for: the fewest that can be.
const BOOK_LEVELS: u64 = 5;

/// The venue.
pub(super) struct Poloniex;

pub(super) static POLONIEX: Poloniex = Poloniex;

/// 2,000 connections an address and 500 requests a second; it hangs up where nothing was sent to it for 30 s. What one
/// connection carries is not said, so that is the careful side.
static LIVE: Live = Live {
    routes: &[Route::all("wss://ws.poloniex.com/ws/public")],
    streams_per_connection: 200,
    streams_per_request: 50,
    requests: Rate::new(50, 1),
    connects: Rate::new(10, 1),
    ping_seconds: Some(15),
    dead_seconds: 45,
    lifetime_seconds: None,
};

impl Venue for Poloniex {
    fn id(&self) -> &'static str {
        "poloniex"
    }

    fn name(&self) -> &'static str {
        "Poloniex"
    }

    fn endpoints(&self) -> &'static [Endpoint] {
        &[Endpoint { host: "ws.poloniex.com", path: "" }]
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
        "action amount asks bids channel createTime data id lastId price quantity symbol takerSide ts"
    }

    fn completeness(&self) -> &'static str {
        "nothing proves it: trade ids are unique, and no document says that they count up by one; quotes, the top of \
         whole books, have rising numbers with holes"
    }

    fn recognises(&self, payload: &[u8]) -> bool {
        let Ok(message) = serde_json::from_slice::<Message<'_>>(payload) else { return false };
        let (Some(channel), Some(data)) = (message.channel, message.data) else { return false };
        let is_whole = |rows: usize| rows > 0;
        match channel.0 {
            br#""trades""# => {
                serde_json::from_slice::<Vec<TradeRow<'_>>>(data.0).is_ok_and(|rows| is_whole(rows.len()))
            }
            br#""book""# | br#""book_lv2""# => {
                serde_json::from_slice::<Vec<BookRow<'_>>>(data.0).is_ok_and(|rows| is_whole(rows.len()))
            }
            _ => false,
        }
    }

    fn open(&self) -> Box<dyn Session> {
        Box::new(PoloniexSession::default())
    }

    fn live(&self) -> Option<&'static Live> {
        Some(&LIVE)
    }
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    channel: Option<Token<'a>>,
    #[serde(borrow)]
    data: Option<Token<'a>>,
    #[serde(borrow)]
    action: Option<Token<'a>>,
    #[serde(borrow)]
    event: Option<Token<'a>>,
    #[serde(borrow)]
    symbols: Option<Token<'a>>,
    #[serde(borrow)]
    message: Option<Token<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TradeRow<'a> {
    #[serde(borrow)]
    symbol: Token<'a>,
    #[serde(borrow)]
    quantity: Token<'a>,
    #[serde(borrow)]
    taker_side: Token<'a>,
    #[serde(borrow)]
    create_time: Token<'a>,
    #[serde(borrow)]
    price: Token<'a>,
    #[serde(borrow)]
    id: Token<'a>,
    #[serde(borrow)]
    ts: Token<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BookRow<'a> {
    #[serde(borrow)]
    symbol: Token<'a>,
    #[serde(borrow)]
    create_time: Token<'a>,
    #[serde(borrow)]
    asks: Best<'a>,
    #[serde(borrow)]
    bids: Best<'a>,
    #[serde(borrow)]
    id: Token<'a>,
    #[serde(borrow)]
    ts: Token<'a>,
}

/// What a connection remembers.
#[derive(Default)]
struct PoloniexSession {
    clock: VenueClock,
}

impl Session for PoloniexSession {
    fn subscribe(&mut self, streams: &[Stream], _now: Nanos, out: &mut Output) {
        ask("subscribe", streams, out);
    }

    fn unsubscribe(&mut self, streams: &[Stream], _now: Nanos, out: &mut Output) {
        ask("unsubscribe", streams, out);
    }

    fn ping(&mut self, _now: Nanos, out: &mut Output) {
        out.sends.push(r#"{"event":"ping"}"#.to_owned());
    }

    fn on_frame(&mut self, frame: Frame<'_>, symbols: &mut SymbolTable, out: &mut Output) -> FrameKind {
        let mut sink = Sink { received_at: frame.received_at, symbols, out };
        kind_of(frame.payload, |payload| self.on_message(&serde_json::from_slice(payload)?, &mut sink))
    }

    fn finish(&mut self, out: &mut Output) {
        self.clock.finish(out);
    }
}

/// Asks for `streams`, one message for each channel.
fn ask(event: &str, streams: &[Stream], out: &mut Output) {
    for channel in Channel::ALL {
        let symbols: Vec<&str> = streams
            .iter()
            .filter(|stream| stream.channel == channel)
            .map(|stream| stream.native.as_str())
            .collect();
        if symbols.is_empty() {
            continue;
        }
        let message = match channel {
            Channel::Trades => json!({ "event": event, "channel": ["trades"], "symbols": symbols }),
            Channel::Quotes => {
                json!({ "event": event, "channel": ["book"], "symbols": symbols, "depth": BOOK_LEVELS })
            }
        };
        out.sends.push(message.to_string());
    }
}

impl PoloniexSession {
    fn on_message(&mut self, message: &Message<'_>, sink: &mut Sink<'_>) -> Result<FrameKind, Fault> {
        if let Some(event) = message.event {
            return on_event(event, message, sink.out);
        }
        let channel = message.channel.and_then(Token::text).ok_or("neither an event nor a channel")?;
        let data = || message.data.ok_or("no data");
        match channel.as_ref() {
            "trades" => self.on_trades(data()?, sink),
            "book" => self.on_books(data()?, sink),
            "book_lv2" => {
                let is_snapshot = message.action.is_some_and(|action| action.0 == br#""snapshot""#);
                Ok(FrameKind::PassedOver(if is_snapshot { "depth_snapshot" } else { "depth" }))
            }
            "ticker" => Ok(FrameKind::PassedOver("ticker")),
            name if name.starts_with("candles_") => Ok(FrameKind::PassedOver("kline")),
            name => Ok(unknown(name)),
        }
    }

    fn observe(&mut self, ts: Token<'_>, sink: &mut Sink<'_>) {
        if let Some(Ok(sent)) = ts.time(Unit::Millis) {
            self.clock.observe(sink.received_at, sent, sink.out);
        }
    }

    fn on_trades(&mut self, data: Token<'_>, sink: &mut Sink<'_>) -> Result<FrameKind, Fault> {
        let rows: Vec<TradeRow<'_>> = serde_json::from_slice(data.0)?;
        let mut trades = Vec::with_capacity(rows.len());
        for row in &rows {
            let symbol = row.symbol.text().ok_or("a symbol that is no text")?;
            let price = row.price.decimal().ok_or("a price that is no number")?;
            let size = row.quantity.decimal().ok_or("a quantity that is no number")?;
            let time = row.create_time.time(Unit::Millis).ok_or("a time that is no number")?;
            let id = row.id.whole().ok_or("an id that is no number")?;
            let side = match row.taker_side.0 {
                br#""buy""# => Side::Buy,
                br#""sell""# => Side::Sell,
                _ => return Err("a side that is neither buy nor sell".into()),
            };
            trades.push((symbol, time, trade(Some(id), price, size, side)));
        }
        if let Some(row) = rows.last() {
            self.observe(row.ts, sink);
        }
        let any = !trades.is_empty();
        for (symbol, time, event) in trades {
            let symbol = sink.symbols.intern(symbol.as_bytes());
            sink.put(symbol, time, event);
        }
        Ok(ticks_or(any, "trade"))
    }

    fn on_books(&mut self, data: Token<'_>, sink: &mut Sink<'_>) -> Result<FrameKind, Fault> {
        let rows: Vec<BookRow<'_>> = serde_json::from_slice(data.0)?;
        let mut quotes = Vec::with_capacity(rows.len());
        for row in &rows {
            let symbol = row.symbol.text().ok_or("a symbol that is no text")?;
            let time = row.create_time.time(Unit::Millis).ok_or("a time that is no number")?;
            let id = row.id.whole().ok_or("an id that is no number")?;
            let [bid, bid_size] = row.bids.decimals().ok_or("a bid that is no number")?;
            let [ask, ask_size] = row.asks.decimals().ok_or("an ask that is no number")?;
            quotes.push((symbol, time, quote(Some(id), [bid, bid_size, ask, ask_size])));
        }
        if let Some(row) = rows.last() {
            self.observe(row.ts, sink);
        }
        let any = !quotes.is_empty();
        for (symbol, time, quote) in quotes {
            let symbol = sink.symbols.intern(symbol.as_bytes());
            sink.put(symbol, time, quote.map(Event::Quote));
        }
        Ok(ticks_or(any, "depth_snapshot"))
    }
}

fn on_event(event: Token<'_>, message: &Message<'_>, out: &mut Output) -> Result<FrameKind, Fault> {
    let why = message.message.and_then(Token::text);
    match event.text().ok_or("an event that is no text")?.as_ref() {
        "pong" => return Ok(FrameKind::Heartbeat),
        "error" => {
            let why = why.map_or_else(|| "error".to_owned(), |why| why.into_owned());
            out.notices.push(Notice::Refused(streams(message), why));
        }
        "subscribe" => {
            let streams = streams(message);
            out.notices.push(match why {
                Some(why) => Notice::Refused(streams, why.into_owned()),
                None => Notice::Acknowledged(streams),
            });
        }
        "unsubscribe" | "unsubscribe_all" => {}
        name => return Ok(unknown(name)),
    }
    Ok(FrameKind::Control)
}

/// What an answer names.
fn streams(message: &Message<'_>) -> Vec<Stream> {
    let channel = match message.channel.map(|channel| channel.0) {
        Some(br#""trades""#) => Channel::Trades,
        Some(br#""book""#) => Channel::Quotes,
        _ => return Vec::new(),
    };
    let symbols: Option<Vec<String>> =
        message.symbols.and_then(|symbols| serde_json::from_slice(symbols.0).ok());
    symbols.unwrap_or_default().into_iter().map(|native| Stream::new(native, channel)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_are_asked_for_by_channel_and_answered_by_name() {
        let (mut symbols, mut out) = (SymbolTable::new("poloniex"), Output::default());
        let mut session = PoloniexSession::default();
        let trades = [Stream::new("FOO_USDT", Channel::Trades), Stream::new("BAR_BTC", Channel::Trades)];
        let quotes = Stream::new("FOO_USDT", Channel::Quotes);
        session.subscribe(&[trades[0].clone(), quotes.clone(), trades[1].clone()], 0, &mut out);
        session.unsubscribe(&[quotes], 0, &mut out);
        assert_eq!(
            out.sends,
            [
                r#"{"channel":["trades"],"event":"subscribe","symbols":["FOO_USDT","BAR_BTC"]}"#,
                r#"{"channel":["book"],"depth":5,"event":"subscribe","symbols":["FOO_USDT"]}"#,
                r#"{"channel":["book"],"depth":5,"event":"unsubscribe","symbols":["FOO_USDT"]}"#,
            ]
        );
        for payload in [
            r#"{"event":"subscribe","channel":"trades","symbols":["FOO_USDT","BAR_BTC"]}"#,
            r#"{"event":"error","message":"Subscription failed (channel)"}"#,
            r#"{"event":"unsubscribe","channel":"book","symbols":["FOO_USDT"]}"#,
        ] {
            let frame = Frame { received_at: None, payload: payload.as_bytes() };
            assert_eq!(session.on_frame(frame, &mut symbols, &mut out), FrameKind::Control);
        }
        let refused = Notice::Refused(Vec::new(), "Subscription failed (channel)".to_owned());
        assert_eq!(out.notices, [Notice::Acknowledged(trades.to_vec()), refused]);
    }
}
