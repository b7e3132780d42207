//! BitMEX.
//!
//! ```json
//! {"table":"trade","action":"insert","data":[{"timestamp":"2025-06-15T15:06:40.004Z","symbol":"XBTUSD","side":"Buy",
//!  "size":100,"price":100.5,"trdMatchID":"00000000-006d-1000-0000-00000000000c","trdType":"Regular",…},…]}
//! {"table":"quote","action":"insert","data":[{"timestamp":"…","symbol":"XBTUSD","bidSize":300,"bidPrice":100,
//!  "askPrice":100.5,"askSize":200},…]}
//! {"table":"trade","action":"partial","keys":[],"types":{…},"filter":{"symbol":"XBTUSD"},"data":[…]}
//! ```
//!
//! A table begins with its `partial`: that of trades is the past, that of quotes is how things stand. `side` is the
//! aggressor's, sizes are contracts. A trade's id is a UUID; a tick has the exclusive or of its halves. Signs of life are
//! the bare words `ping` and `pong`. Documented at <https://www.bitmex.com/app/wsAPI>.

use serde::Deserialize;

use crate::frame::{Frame, FrameKind};
use crate::json::{Reason, Sink, Token, folded, quote, side_of, trade, uuid};
use crate::live::{Channel, Live, Notice, Rate, Route, Stream};
use crate::offset::VenueClock;
use crate::symbol::SymbolTable;
use crate::tick::{Event, Rejection, Side};
use crate::time::{Nanos, TimeError};
use crate::venue::{DuplicateKey, Endpoint, Output, Session, Venue};
use crate::verdict::{Fault, kind_of, ticks_or, unknown};

/// Tables that are known and not used, with the name of their kind.
const PASSED_OVER: &[(&str, &str)] = &[
    ("orderBook10", "depth"),
    ("instrument", "instrument"),
    ("funding", "funding"),
    ("liquidation", "liquidation"),
    ("settlement", "settlement"),
    ("insurance", "insurance"),
    ("tradeBin1m", "kline"),
    ("tradeBin5m", "kline"),
    ("tradeBin1h", "kline"),
    ("tradeBin1d", "kline"),
    ("quoteBin1m", "quote_kline"),
    ("quoteBin5m", "quote_kline"),
    ("quoteBin1h", "quote_kline"),
    ("quoteBin1d", "quote_kline"),
    ("announcement", "announcement"),
    ("publicNotifications", "announcement"),
    ("chat", "chat"),
    ("connected", "connected"),
];

/// Books whose rows come one by one.
const BOOKS: [&str; 2] = ["orderBookL2", "orderBookL2_25"];

/// The status of a request that came too soon.
const TOO_MANY: &[u8] = b"429";

/// The venue tells of 40 connections that one address has left, and of 720 subscriptions an hour. It says nothing by
/// itself while nothing happens, but answers each `ping`.
static LIVE: Live = Live {
    routes: &[Route::all("wss://ws.bitmex.com/realtime")],
    streams_per_connection: 200,
    streams_per_request: 10,
    requests: Rate::new(600, 3_600),
    connects: Rate::new(30, 3_600),
    ping_seconds: Some(15),
    dead_seconds: 40,
    lifetime_seconds: None,
};

pub(super) struct Bitmex;

impl Venue for Bitmex {
    fn id(&self) -> &'static str {
        "bitmex"
    }

    fn name(&self) -> &'static str {
        "BitMEX"
    }

    fn endpoints(&self) -> &'static [Endpoint] {
        &[Endpoint { host: "ws.bitmex.com", path: "" }, Endpoint { host: "www.bitmex.com", path: "" }]
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
        "action askPrice askSize attributes bidPrice bidSize data filter foreignKeys foreignNotional \
         grossValue homeNotional keys price side size symbol table tickDirection timestamp trdMatchID \
         trdType types"
    }

    fn completeness(&self) -> &'static str {
        "nothing tells: trades have UUIDs, quotes have times, and messages are not numbered"
    }

    fn recognises(&self, payload: &[u8]) -> bool {
        let Ok(message) = serde_json::from_slice::<Message<'_>>(payload) else { return false };
        match (message.table.and_then(Token::text), message.info.and_then(Token::text)) {
            (Some(table), _) => {
                let known = PASSED_OVER.iter().any(|(name, _)| *name == table)
                    || BOOKS.contains(&table.as_ref())
                    || ["trade", "quote"].contains(&table.as_ref());
                known && message.action.is_some() && message.data.is_some()
            }
            (None, Some(info)) => info.starts_with("Welcome to the BitMEX"),
            (None, None) => false,
        }
    }

    fn open(&self) -> Box<dyn Session> {
        Box::new(BitmexSession::default())
    }

    fn live(&self) -> Option<&'static Live> {
        Some(&LIVE)
    }
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    table: Option<Token<'a>>,
    #[serde(borrow)]
    action: Option<Token<'a>>,
    #[serde(borrow)]
    data: Option<Token<'a>>,
    #[serde(borrow)]
    info: Option<Token<'a>>,
    #[serde(borrow)]
    success: Option<Token<'a>>,
    #[serde(borrow)]
    subscribe: Option<Token<'a>>,
    #[serde(borrow)]
    error: Option<Token<'a>>,
    #[serde(borrow)]
    status: Option<Token<'a>>,
    #[serde(borrow)]
    request: Option<Token<'a>>,
}

#[derive(Deserialize)]
struct TradeRow<'a> {
    #[serde(borrow)]
    timestamp: Token<'a>,
    #[serde(borrow)]
    symbol: Token<'a>,
    #[serde(borrow)]
    side: Token<'a>,
    #[serde(borrow)]
    size: Token<'a>,
    #[serde(borrow)]
    price: Token<'a>,
    #[serde(borrow, rename = "trdMatchID")]
    id: Token<'a>,
    #[serde(borrow, rename = "trdType")]
    kind: Option<Token<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct QuoteRow<'a> {
    #[serde(borrow)]
    timestamp: Token<'a>,
    #[serde(borrow)]
    symbol: Token<'a>,
    #[serde(borrow)]
    bid_size: Option<Token<'a>>,
    #[serde(borrow)]
    bid_price: Option<Token<'a>>,
    #[serde(borrow)]
    ask_price: Option<Token<'a>>,
    #[serde(borrow)]
    ask_size: Option<Token<'a>>,
}

/// A row as a tick is made of it.
struct Found<'a> {
    symbol: std::borrow::Cow<'a, str>,
    time: Result<Nanos, TimeError>,
    event: Result<Event, Rejection>,
    excluded: bool,
}

impl<'a> TradeRow<'a> {
    fn found(&self) -> Result<Found<'a>, Reason> {
        let id = self.id.text().ok_or("the trade's id is no text")?;
        let price = self.price.decimal().ok_or("the trade's price is no number")?;
        let size = self.size.decimal().ok_or("the trade's size is no number")?;
        if self.kind.is_some_and(|kind| kind.text().is_none()) {
            return Err("the trade's type is no text");
        }
        let side = match self.side.text().ok_or("the trade's side is no text")?.as_ref() {
            "Buy" => Side::Buy,
            "Sell" => Side::Sell,
            _ => Side::Unknown,
        };
        Ok(Found {
            symbol: self.symbol.text().ok_or("the trade's symbol is no text")?,
            time: self.timestamp.time_in_words().ok_or("the trade's time is no text")?,
            event: trade(uuid(id.as_bytes()).map(folded), price, size, side),
            // The values of an index are written as trades, which nobody made.
            excluded: self.kind.is_some_and(|kind| kind.0 == br#""Referential""#),
        })
    }
}

impl<'a> QuoteRow<'a> {
    fn found(&self) -> Result<Found<'a>, Reason> {
        // A side without orders has no price.
        let [bid, bid_size] =
            side_of(self.bid_price, self.bid_size).ok_or("price or size of the quote's bid is no number")?;
        let [ask, ask_size] =
            side_of(self.ask_price, self.ask_size).ok_or("price or size of the quote's ask is no number")?;
        Ok(Found {
            symbol: self.symbol.text().ok_or("the quote's symbol is no text")?,
            time: self.timestamp.time_in_words().ok_or("the quote's time is no text")?,
            event: quote(None, [bid, bid_size, ask, ask_size]).map(Event::Quote),
            excluded: false,
        })
    }
}

/// What a connection remembers.
#[derive(Default)]
struct BitmexSession {
    clock: VenueClock,
}

impl Session for BitmexSession {
    fn subscribe(&mut self, streams: &[Stream], _now: Nanos, out: &mut Output) {
        out.sends.push(request("subscribe", streams));
    }

    fn unsubscribe(&mut self, streams: &[Stream], _now: Nanos, out: &mut Output) {
        out.sends.push(request("unsubscribe", streams));
    }

    fn ping(&mut self, _now: Nanos, out: &mut Output) {
        out.sends.push("ping".to_owned());
    }

    fn on_frame(&mut self, frame: Frame<'_>, symbols: &mut SymbolTable, out: &mut Output) -> FrameKind {
        let mut sink = Sink { received_at: frame.received_at, symbols, out };
        kind_of(frame.payload, |payload| {
            if payload == b"pong" {
                return Ok(FrameKind::Heartbeat);
            }
            let message: Message<'_> = serde_json::from_slice(payload)?;
            match message.table {
                Some(table) => self.on_table(table, &message, &mut sink),
                None => Ok(on_control(&message, sink.out)),
            }
        })
    }

    fn finish(&mut self, out: &mut Output) {
        self.clock.finish(out);
    }
}

impl BitmexSession {
    fn on_table(
        &mut self,
        table: Token<'_>,
        message: &Message<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<FrameKind, Fault> {
        let table = table.text().ok_or("the table's name is no text")?;
        let is_partial = match message.action.map(|action| action.0) {
            Some(br#""partial""#) => true,
            Some(br#""insert""# | br#""update""# | br#""delete""#) => false,
            _ => return Err("no action on the table".into()),
        };
        let data = message.data.ok_or("no data of the table")?.0;
        match table.as_ref() {
            "trade" => {
                let rows: Vec<TradeRow<'_>> = serde_json::from_slice(data)?;
                let found = rows.iter().map(TradeRow::found).collect::<Result<Vec<_>, _>>()?;
                Ok(ticks_or(self.put(&found, is_partial, is_partial, sink), "no_trades"))
            }
            "quote" => {
                let rows: Vec<QuoteRow<'_>> = serde_json::from_slice(data)?;
                let found = rows.iter().map(QuoteRow::found).collect::<Result<Vec<_>, _>>()?;
                Ok(ticks_or(self.put(&found, is_partial, false, sink), "no_quotes"))
            }
            table if BOOKS.contains(&table) => {
                Ok(FrameKind::PassedOver(if is_partial { "depth_snapshot" } else { "depth" }))
            }
            table => Ok(match PASSED_OVER.iter().find(|(name, _)| *name == table) {
                Some((_, kind)) => FrameKind::PassedOver(kind),
                None => unknown(table),
            }),
        }
    }

    /// Puts out what was found, and says if there was any. Of a `partial` the times tell nothing of the venue's clock.
    fn put(&mut self, found: &[Found<'_>], is_partial: bool, history: bool, sink: &mut Sink<'_>) -> bool {
        let newest = found.iter().filter_map(|row| row.time.ok()).max();
        if let Some(time) = newest.filter(|_| !is_partial) {
            self.clock.observe(sink.received_at, time, sink.out);
        }
        for row in found {
            let symbol = sink.symbols.intern(row.symbol.as_bytes());
            let tick = sink.put(symbol, row.time, row.event);
            (tick.history, tick.excluded) = (history, row.excluded);
        }
        !found.is_empty()
    }
}

fn table(channel: Channel) -> &'static str {
    match channel {
        Channel::Trades => "trade",
        Channel::Quotes => "quote",
    }
}

fn topic(stream: &Stream) -> String {
    format!("{}:{}", table(stream.channel), stream.native)
}

fn stream_of(topic: &str) -> Option<Stream> {
    let (name, native) = topic.split_once(':')?;
    let channel = Channel::ALL.into_iter().find(|channel| table(*channel) == name)?;
    Some(Stream::new(native, channel))
}

fn request(op: &str, streams: &[Stream]) -> String {
    let topics: Vec<String> = streams.iter().map(topic).collect();
    serde_json::json!({ "op": op, "args": topics }).to_string()
}

fn on_control(message: &Message<'_>, out: &mut Output) -> FrameKind {
    if let Some(why) = message.error.and_then(Token::text) {
        out.notices.push(refused(message, &why));
    } else if let Some(topic) = message.subscribe.and_then(Token::text) {
        out.notices.extend(stream_of(&topic).map(|stream| Notice::Acknowledged(vec![stream])));
    } else if message.success.is_none() && message.info.is_none() {
        return unknown("");
    }
    FrameKind::Control
}

/// An answer to a request repeats it. Of several topics it refuses those that it names; where it names none, none is
/// taken to be subscribed.
fn refused(message: &Message<'_>, why: &str) -> Notice {
    #[derive(Deserialize)]
    struct Request {
        op: String,
        args: Vec<String>,
    }
    let request = message.request.and_then(|request| serde_json::from_slice::<Request>(request.0).ok());
    let Some(request) = request.filter(|request| request.op == "subscribe") else {
        return Notice::Complaint(why.to_owned());
    };
    let streams: Vec<Stream> = request.args.iter().filter_map(|topic| stream_of(topic)).collect();
    let too_many = message.status.is_some_and(|status| status.0 == TOO_MANY);
    let named: Vec<Stream> =
        streams.iter().filter(|stream| !too_many && why.contains(&stream.native)).cloned().collect();
    Notice::Refused(if named.is_empty() { streams } else { named }, why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_answered_by_topic() {
        let (mut symbols, mut out) = (SymbolTable::new("bitmex"), Output::default());
        let mut session = BitmexSession::default();
        let streams = [Stream::new("FOOUSD", Channel::Trades), Stream::new("BARUSD", Channel::Quotes)];
        session.subscribe(&streams, 0, &mut out);
        session.unsubscribe(&streams[1..], 0, &mut out);
        session.ping(0, &mut out);
        assert_eq!(
            out.sends,
            [
                r#"{"args":["trade:FOOUSD","quote:BARUSD"],"op":"subscribe"}"#,
                r#"{"args":["quote:BARUSD"],"op":"unsubscribe"}"#,
                "ping",
            ]
        );
        let request = &out.sends[0].clone();
        for payload in [
            format!(r#"{{"success":true,"subscribe":"trade:FOOUSD","request":{request}}}"#),
            format!(r#"{{"status":400,"error":"Unknown symbol BARUSD.","meta":{{}},"request":{request}}}"#),
            format!(r#"{{"status":429,"error":"Rate limit exceeded","meta":{{}},"request":{request}}}"#),
            r#"{"status":400,"error":"Unrecognized request"}"#.to_owned(),
            r#"{"success":true,"unsubscribe":"quote:BARUSD","request":{}}"#.to_owned(),
        ] {
            let frame = Frame { received_at: None, payload: payload.as_bytes() };
            assert_eq!(session.on_frame(frame, &mut symbols, &mut out), FrameKind::Control);
        }
        let [trades, quotes] = streams;
        assert_eq!(
            out.notices,
            [
                Notice::Acknowledged(vec![trades.clone()]),
                Notice::Refused(vec![quotes.clone()], "Unknown symbol BARUSD.".to_owned()),
                Notice::Refused(vec![trades, quotes], "Rate limit exceeded".to_owned()),
                Notice::Complaint("Unrecognized request".to_owned()),
            ]
        );
    }
}
