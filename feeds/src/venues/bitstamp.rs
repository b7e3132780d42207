//! Bitstamp.
//!
//! ```json
//! {"data":{"id":7,"timestamp":"1700000000","amount":0.5,"amount_str":"0.50000000","price":100.1,"price_str":"100.10",
//!  "type":0,"microtimestamp":"1700000000000004","buy_order_id":2,"sell_order_id":1},
//!  "channel":"live_trades_btcusd","event":"trade"}
//! {"data":{"timestamp":"1700000000","microtimestamp":"1700000000000004","bids":[["100.10","3"],…],"asks":[…]},
//!  "channel":"order_book_btcusd","event":"data"}
//! {"event":"bts:subscription_succeeded","channel":"live_trades_btcusd","data":{}}
//! {"event":"bts:request_reconnect","channel":"","data":""}
//! ```
//!
//! `type` is the aggressor's side: 0 bought, 1 sold. The best bid and ask are the first rows of `order_book`, which is
//! sent whole, a hundred rows a side; `diff_order_book` needs a snapshot from elsewhere and is passed over. A symbol's
//! name is the end of the channel's. Documented at <https://www.bitstamp.net/websocket/v2/>.

use std::borrow::Cow;

use serde::Deserialize;

use crate::frame::{Frame, FrameKind};
use crate::json::{Best, Reason, Sink, Token, quote, trade};
use crate::live::{Channel, Live, Notice, Rate, Route, Stream};
use crate::offset::VenueClock;
use crate::symbol::SymbolTable;
use crate::tick::{Event, Side};
use crate::time::{Nanos, TimeError, Unit};
use crate::venue::{DuplicateKey, Endpoint, Output, Session, Venue};
use crate::verdict::{kind_of, unknown};

const TRADES: &str = "live_trades";
const QUOTES: &str = "order_book";

/// Channels that are known and not used, with the name of their kind.
const PASSED_OVER: &[(&str, &str)] = &[
    ("diff_order_book", "depth"),
    ("detail_order_book", "order_depth"),
    ("live_orders", "order"),
    ("funding_rate", "funding_rate"),
];

/// The venue ends connections after 90 days. Nothing is said of how many streams one may have or how fast they may be
/// asked for; each is a message of its own.
static LIVE: Live = Live {
    routes: &[Route::all("wss://ws.bitstamp.net")],
    streams_per_connection: 200,
    streams_per_request: 1,
    requests: Rate::new(10, 1),
    connects: Rate::new(10, 60),
    ping_seconds: Some(20),
    dead_seconds: 60,
    lifetime_seconds: Some(90 * 24 * 3_600),
};

pub(super) struct Bitstamp;

impl Venue for Bitstamp {
    fn id(&self) -> &'static str {
        "bitstamp"
    }

    fn name(&self) -> &'static str {
        "Bitstamp"
    }

    fn endpoints(&self) -> &'static [Endpoint] {
        &[Endpoint { host: "ws.bitstamp.net", path: "" }]
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
        "amount amount_str asks bids buy_order_id channel data event id microtimestamp price price_str \
         sell_order_id timestamp type"
    }

    fn completeness(&self) -> &'static str {
        "nothing tells: trade ids rise with holes, books have times only; quotes are the top of `order_book`"
    }

    fn recognises(&self, payload: &[u8]) -> bool {
        let Ok(message) = serde_json::from_slice::<Message<'_>>(payload) else { return false };
        let kind = message.event.text();
        match kind.as_deref() {
            Some("trade" | "data") => message.channel().is_some_and(|(kind, _)| {
                message.data.is_some() && (kind == TRADES || kind.ends_with(QUOTES))
            }),
            Some(event) => event.starts_with("bts:"),
            None => false,
        }
    }

    fn open(&self) -> Box<dyn Session> {
        Box::new(BitstampSession::default())
    }

    fn live(&self) -> Option<&'static Live> {
        Some(&LIVE)
    }
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    event: Token<'a>,
    #[serde(borrow)]
    channel: Option<Token<'a>>,
    #[serde(borrow)]
    data: Option<Token<'a>>,
}

impl<'a> Message<'a> {
    /// The channel's kind and symbol.
    fn channel(&self) -> Option<(Cow<'a, str>, Cow<'a, str>)> {
        match self.channel?.text()? {
            Cow::Borrowed(name) => name.rsplit_once('_').map(|(kind, symbol)| (kind.into(), symbol.into())),
            Cow::Owned(name) => {
                let (kind, symbol) = name.rsplit_once('_')?;
                Some((Cow::Owned(kind.to_owned()), Cow::Owned(symbol.to_owned())))
            }
        }
    }

    /// What can be subscribed, if the channel is that.
    fn stream(&self) -> Option<Stream> {
        let (kind, symbol) = self.channel()?;
        let channel = Channel::ALL.into_iter().find(|channel| name(*channel) == kind)?;
        Some(Stream::new(symbol, channel))
    }
}

fn name(channel: Channel) -> &'static str {
    match channel {
        Channel::Trades => TRADES,
        Channel::Quotes => QUOTES,
    }
}

#[derive(Deserialize)]
struct TradeData<'a> {
    #[serde(borrow)]
    id: Token<'a>,
    #[serde(borrow)]
    price_str: Token<'a>,
    #[serde(borrow)]
    amount_str: Token<'a>,
    #[serde(borrow, rename = "type")]
    side: Token<'a>,
    #[serde(borrow)]
    microtimestamp: Token<'a>,
}

#[derive(Deserialize)]
struct BookData<'a> {
    #[serde(borrow)]
    microtimestamp: Token<'a>,
    #[serde(borrow)]
    bids: Best<'a>,
    #[serde(borrow)]
    asks: Best<'a>,
}

#[derive(Deserialize)]
struct TimedData<'a> {
    #[serde(borrow)]
    microtimestamp: Option<Token<'a>>,
}

#[derive(Deserialize)]
struct ErrorData<'a> {
    #[serde(borrow)]
    message: Token<'a>,
}

/// What a connection remembers.
#[derive(Default)]
struct BitstampSession {
    clock: VenueClock,
}

impl Session for BitstampSession {
    fn subscribe(&mut self, streams: &[Stream], _now: Nanos, out: &mut Output) {
        out.sends.extend(streams.iter().map(|stream| request("bts:subscribe", stream)));
    }

    fn unsubscribe(&mut self, streams: &[Stream], _now: Nanos, out: &mut Output) {
        out.sends.extend(streams.iter().map(|stream| request("bts:unsubscribe", stream)));
    }

    fn ping(&mut self, _now: Nanos, out: &mut Output) {
        out.sends.push(r#"{"event":"bts:heartbeat"}"#.to_owned());
    }

    fn on_frame(&mut self, frame: Frame<'_>, symbols: &mut SymbolTable, out: &mut Output) -> FrameKind {
        let mut sink = Sink { received_at: frame.received_at, symbols, out };
        kind_of(frame.payload, |payload| {
            let message: Message<'_> = serde_json::from_slice(payload)?;
            Ok(self.on_message(&message, &mut sink)?)
        })
    }

    fn finish(&mut self, out: &mut Output) {
        self.clock.finish(out);
    }
}

impl BitstampSession {
    fn on_message(&mut self, message: &Message<'_>, sink: &mut Sink<'_>) -> Result<FrameKind, Reason> {
        let event = message.event.text().ok_or("the event is no text")?;
        if event.starts_with("bts:") {
            return Ok(on_control(&event, message, sink.out));
        }
        let Some((kind, symbol)) = message.channel() else { return Ok(unknown(&event)) };
        let data = message.data.ok_or("no data in the frame")?;
        match (kind.as_ref(), event.as_ref()) {
            (TRADES, "trade") => self.on_trade(&symbol, data, sink),
            (QUOTES, "data") => self.on_book(&symbol, data, sink),
            (kind, _) => {
                let Some((_, passed)) = PASSED_OVER.iter().find(|(name, _)| *name == kind) else {
                    return Ok(unknown(kind));
                };
                self.on_other(data, sink);
                Ok(FrameKind::PassedOver(passed))
            }
        }
    }

    fn on_trade(&mut self, symbol: &str, data: Token<'_>, sink: &mut Sink<'_>) -> Result<FrameKind, Reason> {
        let row: TradeData<'_> =
            serde_json::from_slice(data.0).map_err(|_| "a field is missing in the trade")?;
        let id = row.id.whole().ok_or("no id in the trade")?;
        let price = row.price_str.decimal().ok_or("no price in the trade")?;
        let size = row.amount_str.decimal().ok_or("no amount in the trade")?;
        let time = row.microtimestamp.time(Unit::Micros).ok_or("no time in the trade")?;
        let side = match row.side.0 {
            b"0" => Side::Buy,
            b"1" => Side::Sell,
            _ => return Err("no side in `type` of the trade"),
        };
        self.observe(time, sink);
        let symbol = sink.symbols.intern(symbol.as_bytes());
        sink.put(symbol, time, trade(Some(id), price, size, side));
        Ok(FrameKind::Ticks)
    }

    fn on_book(&mut self, symbol: &str, data: Token<'_>, sink: &mut Sink<'_>) -> Result<FrameKind, Reason> {
        let book: BookData<'_> = serde_json::from_slice(data.0).map_err(|_| "the book is not whole")?;
        let time = book.microtimestamp.time(Unit::Micros).ok_or("no time in the book")?;
        let [bid, bid_size] = book.bids.decimals().ok_or("no number in the best bid")?;
        let [ask, ask_size] = book.asks.decimals().ok_or("no number in the best ask")?;
        self.observe(time, sink);
        let symbol = sink.symbols.intern(symbol.as_bytes());
        // The time is all that tells one state of a book from the next.
        let id = book.microtimestamp.whole();
        sink.put(symbol, time, quote(id, [bid, bid_size, ask, ask_size]).map(Event::Quote));
        Ok(FrameKind::Ticks)
    }

    /// A frame that gives no tick; its time still tells of the venue's clock.
    fn on_other(&mut self, data: Token<'_>, sink: &mut Sink<'_>) {
        let timed = serde_json::from_slice::<TimedData<'_>>(data.0).ok();
        let time = timed.and_then(|timed| timed.microtimestamp?.time(Unit::Micros));
        self.observe(time.unwrap_or(Err(TimeError::NotATime)), sink);
    }

    fn observe(&mut self, time: Result<Nanos, TimeError>, sink: &mut Sink<'_>) {
        if let Ok(time) = time {
            self.clock.observe(sink.received_at, time, sink.out);
        }
    }
}

fn on_control(event: &str, message: &Message<'_>, out: &mut Output) -> FrameKind {
    match event {
        "bts:heartbeat" => return FrameKind::Heartbeat,
        "bts:subscription_succeeded" => {
            out.notices.extend(message.stream().map(|stream| Notice::Acknowledged(vec![stream])));
        }
        "bts:request_reconnect" => out.notices.push(Notice::Ending("it asks to connect again".to_owned())),
        "bts:error" => out.notices.push(refused(message)),
        _ => {}
    }
    FrameKind::Control
}

fn refused(message: &Message<'_>) -> Notice {
    let data = message.data.and_then(|data| serde_json::from_slice::<ErrorData<'_>>(data.0).ok());
    let why = data.and_then(|data| data.message.text().map(Cow::into_owned)).unwrap_or_default();
    match message.stream() {
        Some(stream) => Notice::Refused(vec![stream], why),
        None => Notice::Complaint(why),
    }
}

fn request(event: &str, stream: &Stream) -> String {
    let channel = format!("{}_{}", name(stream.channel), stream.native);
    serde_json::json!({ "event": event, "data": { "channel": channel } }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_answered_by_channel() {
        let (mut symbols, mut out) = (SymbolTable::new("bitstamp"), Output::default());
        let mut session = BitstampSession::default();
        let streams = [Stream::new("fooeur", Channel::Trades), Stream::new("foousd-perp", Channel::Quotes)];
        session.subscribe(&streams, 0, &mut out);
        session.unsubscribe(&streams[..1], 0, &mut out);
        assert_eq!(
            out.sends,
            [
                r#"{"data":{"channel":"live_trades_fooeur"},"event":"bts:subscribe"}"#,
                r#"{"data":{"channel":"order_book_foousd-perp"},"event":"bts:subscribe"}"#,
                r#"{"data":{"channel":"live_trades_fooeur"},"event":"bts:unsubscribe"}"#,
            ]
        );
        for payload in [
            r#"{"event":"bts:subscription_succeeded","channel":"order_book_foousd-perp","data":{}}"#,
            r#"{"event":"bts:error","channel":"live_trades_fooeur","data":{"code":4,"message":"Bad pair"}}"#,
            r#"{"event":"bts:error","channel":"","data":{"code":null,"message":"Bad message"}}"#,
            r#"{"event":"bts:request_reconnect","channel":"","data":""}"#,
            r#"{"event":"bts:unsubscription_succeeded","channel":"live_trades_fooeur","data":{}}"#,
        ] {
            let frame = Frame { received_at: None, payload: payload.as_bytes() };
            assert_eq!(session.on_frame(frame, &mut symbols, &mut out), FrameKind::Control);
        }
        let [trades, quotes] = streams;
        assert_eq!(
            out.notices,
            [
                Notice::Acknowledged(vec![quotes]),
                Notice::Refused(vec![trades], "Bad pair".to_owned()),
                Notice::Complaint("Bad message".to_owned()),
                Notice::Ending("it asks to connect again".to_owned()),
            ]
        );
    }
}
