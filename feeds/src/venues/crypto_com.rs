//! Crypto.com Exchange: spot and perpetuals.
//!
//! ```json
//! {"id":-1,"method":"subscribe","code":0,"result":{"instrument_name":"FOO_USD","subscription":"trade.FOO_USD",
//!   "channel":"trade","data":[{"d":"4611686018400000007","t":1700000000004,"tn":"1700000000004123456","p":"100.1",
//!   "q":"0.5","s":"BUY","i":"FOO_USD"}]}}
//! {"id":-1,"method":"subscribe","code":0,"result":{"instrument_name":"FOO_USD","subscription":"ticker.FOO_USD",
//!   "channel":"ticker","data":[{"b":"100.1","bs":"3","k":"100.2","ks":"2","i":"FOO_USD","t":1700000000004}]}}
//! {"id":1,"method":"subscribe","code":0}                       confirms what request 1 asked for
//! {"id":7,"method":"public/heartbeat","code":0}                wants {"id":7,"method":"public/respond-heartbeat"}
//! ```
//!
//! `s` is the aggressor's side. **Several fills of one trade have one id `d`.** The first trades after subscribing are
//! old ones, not marked, so they count as live. No frame has the time of its sending; the newest time in it stands for
//! that. A connection should wait a second before it asks for anything.
//! Documented at <https://exchange-docs.crypto.com/exchange/v1/rest-ws/index.html>.

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

/// What the venue answers to a subscription that there is already.
const ALREADY_SUBSCRIBED: &[u8] = b"40003";

/// Channels that are known and not used, with the name of their kind.
const PASSED_OVER: &[(&str, &str)] = &[
    ("book", "depth_snapshot"),
    ("book.update", "depth"),
    ("candlestick", "kline"),
    ("mark", "mark_price"),
    ("index", "index_price"),
    ("settlement", "settlement"),
    ("funding", "funding"),
    ("estimatedfunding", "funding"),
];

/// The venue.
pub(super) struct CryptoCom;

pub(super) static CRYPTO_COM: CryptoCom = CryptoCom;

/// 400 subscriptions a connection and 100 requests a second; a heartbeat comes every 30 s.
static LIVE: Live = Live {
    routes: &[Route::all("wss://stream.crypto.com/exchange/v1/market")],
    streams_per_connection: 400,
    streams_per_request: 100,
    requests: Rate::new(10, 1),
    connects: Rate::new(5, 10),
    ping_seconds: None,
    dead_seconds: 75,
    lifetime_seconds: None,
};

impl Venue for CryptoCom {
    fn id(&self) -> &'static str {
        "crypto-com"
    }

    fn name(&self) -> &'static str {
        "Crypto.com Exchange"
    }

    fn endpoints(&self) -> &'static [Endpoint] {
        &[Endpoint { host: "stream.crypto.com", path: "" }]
    }

    fn trade_key(&self) -> DuplicateKey {
        DuplicateKey::Row
    }

    fn quote_key(&self) -> DuplicateKey {
        DuplicateKey::None
    }

    fn channels(&self) -> &'static [&'static str] {
        &["trades", "quotes"]
    }

    fn fields(&self) -> &'static str {
        "a b bs c channel code d data h i id instrument_name k ks l m method oi p q result s subscription t \
         tn v vv"
    }

    fn completeness(&self) -> &'static str {
        "nothing proves it: several fills share one trade id, ids have holes, and quotes have none"
    }

    fn recognises(&self, payload: &[u8]) -> bool {
        let Ok(message) = serde_json::from_slice::<Message<'_>>(payload) else { return false };
        if message.method.is_some_and(|method| method.0 == br#""public/heartbeat""#) {
            return true;
        }
        let Some(result) = message.result else { return false };
        serde_json::from_slice::<Content<'_>>(result.0)
            .is_ok_and(|content| content.instrument.is_some() && content.subscription.is_some())
    }

    fn open(&self) -> Box<dyn Session> {
        Box::new(CryptoComSession::default())
    }

    fn live(&self) -> Option<&'static Live> {
        Some(&LIVE)
    }
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<Token<'a>>,
    #[serde(borrow)]
    method: Option<Token<'a>>,
    #[serde(borrow)]
    code: Option<Token<'a>>,
    #[serde(borrow)]
    message: Option<Token<'a>>,
    #[serde(borrow)]
    result: Option<Token<'a>>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow, rename = "instrument_name")]
    instrument: Option<Token<'a>>,
    #[serde(borrow)]
    subscription: Option<Token<'a>>,
    #[serde(borrow)]
    channel: Token<'a>,
    #[serde(borrow)]
    data: Token<'a>,
}

#[derive(Deserialize)]
struct TradeRow<'a> {
    #[serde(borrow)]
    d: Token<'a>,
    #[serde(borrow)]
    t: Token<'a>,
    #[serde(borrow)]
    tn: Option<Token<'a>>,
    #[serde(borrow)]
    p: Token<'a>,
    #[serde(borrow)]
    q: Token<'a>,
    #[serde(borrow)]
    s: Token<'a>,
    #[serde(borrow)]
    i: Option<Token<'a>>,
}

#[derive(Deserialize)]
struct TickerRow<'a> {
    #[serde(borrow)]
    b: Option<Token<'a>>,
    #[serde(borrow)]
    bs: Option<Token<'a>>,
    #[serde(borrow)]
    k: Option<Token<'a>>,
    #[serde(borrow)]
    ks: Option<Token<'a>>,
    #[serde(borrow)]
    i: Option<Token<'a>>,
    #[serde(borrow)]
    t: Token<'a>,
}

/// What a connection remembers.
#[derive(Default)]
struct CryptoComSession {
    clock: VenueClock,
    requests: Requests,
}

impl Session for CryptoComSession {
    fn subscribe(&mut self, streams: &[Stream], now: Nanos, out: &mut Output) {
        let id = self.requests.number(streams);
        out.sends.push(request("subscribe", streams, id, now));
    }

    fn unsubscribe(&mut self, streams: &[Stream], now: Nanos, out: &mut Output) {
        let id = self.requests.number_of_none();
        out.sends.push(request("unsubscribe", streams, id, now));
    }

    fn on_frame(&mut self, frame: Frame<'_>, symbols: &mut SymbolTable, out: &mut Output) -> FrameKind {
        let mut sink = Sink { received_at: frame.received_at, symbols, out };
        kind_of(frame.payload, |payload| self.on_message(&serde_json::from_slice(payload)?, &mut sink))
    }

    fn finish(&mut self, out: &mut Output) {
        self.clock.finish(out);
    }
}

impl CryptoComSession {
    fn on_message(&mut self, message: &Message<'_>, sink: &mut Sink<'_>) -> Result<FrameKind, Fault> {
        let method = message.method.and_then(Token::text).ok_or("no method")?;
        match method.as_ref() {
            "public/heartbeat" => {
                let id = message.id.and_then(Token::whole).ok_or("a heartbeat without a number")?;
                sink.out.sends.push(format!(r#"{{"id":{id},"method":"public/respond-heartbeat"}}"#));
                Ok(FrameKind::Heartbeat)
            }
            "subscribe" => {
                let kind = match message.result {
                    Some(result) => self.on_content(&serde_json::from_slice(result.0)?, sink)?,
                    None => FrameKind::Control,
                };
                self.on_answer(message, sink.out);
                Ok(kind)
            }
            "unsubscribe" => {
                self.on_answer(message, sink.out);
                Ok(FrameKind::Control)
            }
            name => Ok(unknown(name)),
        }
    }

    fn on_content(&mut self, content: &Content<'_>, sink: &mut Sink<'_>) -> Result<FrameKind, Fault> {
        let channel = content.channel.text().ok_or("a channel that is no text")?;
        match channel.as_ref() {
            "trade" => self.on_trades(content, sink),
            "ticker" => self.on_tickers(content, sink),
            name => {
                let known = PASSED_OVER.iter().find(|(known, _)| *known == name);
                Ok(known.map_or_else(|| unknown(name), |(_, kind)| FrameKind::PassedOver(kind)))
            }
        }
    }

    fn on_trades(&mut self, content: &Content<'_>, sink: &mut Sink<'_>) -> Result<FrameKind, Fault> {
        let rows: Vec<TradeRow<'_>> = serde_json::from_slice(content.data.0)?;
        let mut ticks = Vec::with_capacity(rows.len());
        for row in &rows {
            let price = row.p.decimal().ok_or("a price that is no number")?;
            let size = row.q.decimal().ok_or("a quantity that is no number")?;
            let (time, unit) = row.tn.map_or((row.t, Unit::Millis), |time| (time, Unit::Nanos));
            let time = time.time(unit).ok_or("a time that is no number")?;
            let id = row.d.whole().ok_or("an id that is no number")?;
            let side = match row.s.0 {
                br#""BUY""# | br#""buy""# => Side::Buy,
                br#""SELL""# | br#""sell""# => Side::Sell,
                _ => return Err("a side that is neither BUY nor SELL".into()),
            };
            ticks.push((name(row.i, content)?, time, trade(Some(id), price, size, side)));
        }
        Ok(self.put(ticks, "trade", sink))
    }

    fn on_tickers(&mut self, content: &Content<'_>, sink: &mut Sink<'_>) -> Result<FrameKind, Fault> {
        let rows: Vec<TickerRow<'_>> = serde_json::from_slice(content.data.0)?;
        let mut ticks = Vec::with_capacity(rows.len());
        for row in &rows {
            let time = row.t.time(Unit::Millis).ok_or("a time that is no number")?;
            let [bid, bid_size] = side_of(row.b, row.bs).ok_or("a bid that is no number")?;
            let [ask, ask_size] = side_of(row.k, row.ks).ok_or("an ask that is no number")?;
            let quote = quote(None, [bid, bid_size, ask, ask_size]);
            ticks.push((name(row.i, content)?, time, quote.map(Event::Quote)));
        }
        Ok(self.put(ticks, "ticker", sink))
    }

    /// Puts out what the rows of a frame gave.
    fn put(&mut self, rows: Vec<Row<'_>>, kind: &'static str, sink: &mut Sink<'_>) -> FrameKind {
        if let Some(newest) = rows.iter().filter_map(|(_, time, _)| time.ok()).max() {
            self.clock.observe(sink.received_at, newest, sink.out);
        }
        let any = !rows.is_empty();
        for (symbol, time, event) in rows {
            let symbol = sink.symbols.intern(symbol.as_bytes());
            sink.put(symbol, time, event);
        }
        ticks_or(any, kind)
    }

    fn on_answer(&mut self, message: &Message<'_>, out: &mut Output) {
        let id = message.id.and_then(Token::whole);
        if message.code.is_none_or(|code| code.0 == b"0" || code.0 == ALREADY_SUBSCRIBED) {
            out.notices.extend(self.requests.confirmed(id));
            return;
        }
        let code = message.code.map_or_else(Default::default, |code| String::from_utf8_lossy(code.0));
        let text = message.message.and_then(Token::text).unwrap_or_default();
        out.notices.push(self.requests.refused(id, format!("{code} {text}").trim_end().to_owned()));
    }
}

/// A row's symbol, time and what it says.
type Row<'a> = (Cow<'a, str>, Result<Nanos, TimeError>, Result<Event, Rejection>);

/// The symbol of a row: its own, or the frame's.
fn name<'a>(row: Option<Token<'a>>, content: &Content<'a>) -> Result<Cow<'a, str>, Fault> {
    Ok(row.or(content.instrument).and_then(Token::text).ok_or("no instrument")?)
}

fn request(method: &str, streams: &[Stream], id: u64, now: Nanos) -> String {
    let name = |stream: &Stream| match stream.channel {
        Channel::Trades => format!("trade.{}", stream.native),
        Channel::Quotes => format!("ticker.{}", stream.native),
    };
    let channels: Vec<String> = streams.iter().map(name).collect();
    let nonce = now / Unit::Millis.nanos();
    json!({ "id": id, "method": method, "nonce": nonce, "params": { "channels": channels } }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::Notice;

    #[test]
    fn subscriptions_are_asked_for_and_answered_by_number() {
        let (mut symbols, mut out) = (SymbolTable::new("crypto-com"), Output::default());
        let mut session = CryptoComSession::default();
        let streams = [Stream::new("FOO_USD", Channel::Trades), Stream::new("FOO_USD", Channel::Quotes)];
        let now = 1_700_000_000_123_456_789;
        session.subscribe(&streams, now, &mut out);
        session.subscribe(&streams[..1], now, &mut out);
        session.subscribe(&streams[1..], now, &mut out);
        session.unsubscribe(&streams[1..], now, &mut out);
        let sent = |id: u64, method: &str, channels: &str| {
            format!(
                r#"{{"id":{id},"method":"{method}","nonce":1700000000123,"params":{{"channels":[{channels}]}}}}"#
            )
        };
        assert_eq!(out.sends[0], sent(1, "subscribe", r#""trade.FOO_USD","ticker.FOO_USD""#));
        assert_eq!(out.sends[3], sent(4, "unsubscribe", r#""ticker.FOO_USD""#));
        for payload in [
            r#"{"id":1,"method":"subscribe","code":0}"#,
            r#"{"id":2,"method":"subscribe","code":40003,"message":"ALREADY_SUBSCRIBED"}"#,
            r#"{"id":3,"method":"subscribe","code":40004,"message":"Unknown instrument","channel":"ticker.FOO_USD"}"#,
            r#"{"id":4,"method":"unsubscribe","code":40004,"message":"Not subscribed"}"#,
        ] {
            let frame = Frame { received_at: None, payload: payload.as_bytes() };
            assert_eq!(session.on_frame(frame, &mut symbols, &mut out), FrameKind::Control);
        }
        assert_eq!(
            out.notices,
            [
                Notice::Acknowledged(streams.to_vec()),
                Notice::Acknowledged(streams[..1].to_vec()),
                Notice::Refused(streams[1..].to_vec(), "40004 Unknown instrument".to_owned()),
                Notice::Complaint("40004 Not subscribed".to_owned()),
            ]
        );
    }
}
