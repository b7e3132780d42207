//! Hyperliquid: perpetuals and spot of its own chain.
//!
//! ```json
//! {"channel":"trades","data":[{"coin":"FOO","side":"B","px":"100.1","sz":"0.5","hash":"0x…","time":1700000000004,
//!   "tid":7,"users":["0x…","0x…"]}]}
//! {"channel":"bbo","data":{"coin":"FOO","time":1700000000004,"bbo":[{"px":"100.1","sz":"3","n":2},null]}}
//! {"channel":"subscriptionResponse","data":{"method":"subscribe","subscription":{"type":"trades","coin":"FOO"}}}
//! {"channel":"error","data":"Invalid subscription {\"type\":\"trades\",\"coin\":\"NONE\"}"}
//! {"channel":"pong"}                                   answers {"method":"ping"}
//! ```
//!
//! `side` is the aggressor's: `B` bought, `A` sold. The first trades after subscribing are old ones, not marked, so they
//! count as live. No frame has the time of its sending; the newest time in it stands for that.
//! Documented at <https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/websocket>.

use serde::Deserialize;

use crate::frame::{Frame, FrameKind};
use crate::json::{Sink, Token, quote, trade};
use crate::live::{Channel, Live, Notice, Rate, Route, Stream};
use crate::number::Decimal;
use crate::offset::VenueClock;
use crate::symbol::SymbolTable;
use crate::tick::{Event, Side};
use crate::time::{Nanos, Unit};
use crate::venue::{DuplicateKey, Endpoint, Output, Session, Venue};
use crate::verdict::{Fault, kind_of, ticks_or, unknown};

/// Channels that are known and not used, with the name of their kind.
const PASSED_OVER: &[(&str, &str)] = &[
    ("l2Book", "depth_snapshot"),
    ("candle", "kline"),
    ("allMids", "mids"),
    ("activeAssetCtx", "asset_context"),
    ("activeSpotAssetCtx", "asset_context"),
    ("allDexsAssetCtxs", "asset_context"),
    ("notification", "notification"),
    ("webData2", "web_data"),
];

/// The venue.
pub(super) struct Hyperliquid;

pub(super) static HYPERLIQUID: Hyperliquid = Hyperliquid;

/// An address has 1,000 subscriptions, 2,000 messages a minute and 30 new connections a minute; half of the first two,
/// since others may share it. The server hangs up where it has sent nothing for 60 s.
static LIVE: Live = Live {
    routes: &[Route::all("wss://api.hyperliquid.xyz/ws")],
    streams_per_connection: 500,
    streams_per_request: 1,
    requests: Rate::new(1_000, 60),
    connects: Rate::new(30, 60),
    ping_seconds: Some(25),
    dead_seconds: 65,
    lifetime_seconds: None,
};

impl Venue for Hyperliquid {
    fn id(&self) -> &'static str {
        "hyperliquid"
    }

    fn name(&self) -> &'static str {
        "Hyperliquid"
    }

    fn endpoints(&self) -> &'static [Endpoint] {
        &[Endpoint { host: "api.hyperliquid.xyz", path: "" }]
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
        "bbo channel coin data hash n px side sz tid time users"
    }

    fn completeness(&self) -> &'static str {
        "nothing proves it: trade ids are unique and in no order, and quotes have none"
    }

    fn recognises(&self, payload: &[u8]) -> bool {
        let Ok(Message { channel, data: Some(data) }) = serde_json::from_slice::<Message<'_>>(payload) else {
            return false;
        };
        match channel.text().as_deref() {
            Some("trades") => {
                serde_json::from_slice::<Vec<TradeRow<'_>>>(data.0).is_ok_and(|rows| !rows.is_empty())
            }
            Some("bbo") => serde_json::from_slice::<Best<'_>>(data.0).is_ok(),
            Some("l2Book") => serde_json::from_slice::<Book<'_>>(data.0).is_ok(),
            _ => false,
        }
    }

    fn open(&self) -> Box<dyn Session> {
        Box::new(HyperliquidSession::default())
    }

    fn live(&self) -> Option<&'static Live> {
        Some(&LIVE)
    }
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    channel: Token<'a>,
    #[serde(borrow)]
    data: Option<Token<'a>>,
}

#[derive(Deserialize)]
struct TradeRow<'a> {
    #[serde(borrow)]
    coin: Token<'a>,
    #[serde(borrow)]
    side: Token<'a>,
    #[serde(borrow)]
    px: Token<'a>,
    #[serde(borrow)]
    sz: Token<'a>,
    #[serde(borrow)]
    time: Token<'a>,
    #[serde(borrow)]
    tid: Token<'a>,
}

#[derive(Deserialize)]
struct Best<'a> {
    #[serde(borrow)]
    coin: Token<'a>,
    #[serde(borrow)]
    time: Token<'a>,
    #[serde(borrow)]
    bbo: [Option<Level<'a>>; 2],
}

#[derive(Deserialize)]
struct Level<'a> {
    #[serde(borrow)]
    px: Token<'a>,
    #[serde(borrow)]
    sz: Token<'a>,
}

/// A book, of which only that it is one is of interest.
#[derive(Deserialize)]
struct Book<'a> {
    #[serde(borrow, rename = "coin")]
    _coin: Token<'a>,
    #[serde(borrow, rename = "levels")]
    _levels: Token<'a>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    method: Token<'a>,
    #[serde(borrow)]
    subscription: Subscription<'a>,
}

#[derive(Deserialize)]
struct Subscription<'a> {
    #[serde(borrow, rename = "type")]
    kind: Token<'a>,
    #[serde(borrow)]
    coin: Option<Token<'a>>,
}

impl Subscription<'_> {
    fn stream(&self) -> Option<Stream> {
        let channel = match self.kind.text()?.as_ref() {
            "trades" => Channel::Trades,
            "bbo" => Channel::Quotes,
            _ => return None,
        };
        Some(Stream::new(self.coin?.text()?, channel))
    }
}

/// What a connection remembers.
#[derive(Default)]
struct HyperliquidSession {
    clock: VenueClock,
}

impl Session for HyperliquidSession {
    fn subscribe(&mut self, streams: &[Stream], _now: Nanos, out: &mut Output) {
        out.sends.extend(streams.iter().map(|stream| request("subscribe", stream)));
    }

    fn unsubscribe(&mut self, streams: &[Stream], _now: Nanos, out: &mut Output) {
        out.sends.extend(streams.iter().map(|stream| request("unsubscribe", stream)));
    }

    fn ping(&mut self, _now: Nanos, out: &mut Output) {
        out.sends.push(r#"{"method":"ping"}"#.to_owned());
    }

    fn on_frame(&mut self, frame: Frame<'_>, symbols: &mut SymbolTable, out: &mut Output) -> FrameKind {
        let mut sink = Sink { received_at: frame.received_at, symbols, out };
        kind_of(frame.payload, |payload| self.on_message(serde_json::from_slice(payload)?, &mut sink))
    }

    fn finish(&mut self, out: &mut Output) {
        self.clock.finish(out);
    }
}

impl HyperliquidSession {
    fn on_message(&mut self, message: Message<'_>, sink: &mut Sink<'_>) -> Result<FrameKind, Fault> {
        let channel = message.channel.text().ok_or("a channel that is no text")?;
        let data = || message.data.ok_or("no data");
        match channel.as_ref() {
            "trades" => self.on_trades(data()?, sink),
            "bbo" => self.on_quote(data()?, sink),
            "pong" => Ok(FrameKind::Heartbeat),
            "subscriptionResponse" => on_answer(data()?, sink.out),
            "error" => on_error(data()?, sink.out),
            name => {
                let known = PASSED_OVER.iter().find(|(known, _)| *known == name);
                Ok(known.map_or_else(|| unknown(name), |(_, kind)| FrameKind::PassedOver(kind)))
            }
        }
    }

    fn on_trades(&mut self, data: Token<'_>, sink: &mut Sink<'_>) -> Result<FrameKind, Fault> {
        let rows: Vec<TradeRow<'_>> = serde_json::from_slice(data.0)?;
        let mut trades = Vec::with_capacity(rows.len());
        let mut newest = None;
        for row in &rows {
            let coin = row.coin.text().ok_or("a coin that is no text")?;
            let price = row.px.decimal().ok_or("a price that is no number")?;
            let size = row.sz.decimal().ok_or("a size that is no number")?;
            let time = row.time.time(Unit::Millis).ok_or("a time that is no number")?;
            let side = match row.side.0 {
                br#""B""# => Side::Buy,
                br#""A""# => Side::Sell,
                _ => return Err("a side that is neither B nor A".into()),
            };
            let id = row.tid.whole().ok_or("an id that is no number")?;
            newest = newest.max(time.ok());
            trades.push((coin, time, trade(Some(id), price, size, side)));
        }
        if let Some(newest) = newest {
            self.clock.observe(sink.received_at, newest, sink.out);
        }
        let any = !trades.is_empty();
        for (coin, time, event) in trades {
            let symbol = sink.symbols.intern(coin.as_bytes());
            sink.put(symbol, time, event);
        }
        Ok(ticks_or(any, "trade"))
    }

    fn on_quote(&mut self, data: Token<'_>, sink: &mut Sink<'_>) -> Result<FrameKind, Fault> {
        let best: Best<'_> = serde_json::from_slice(data.0)?;
        let coin = best.coin.text().ok_or("a coin that is no text")?;
        let time = best.time.time(Unit::Millis).ok_or("a time that is no number")?;
        let side = |level: &Option<Level<'_>>| {
            let Some(level) = level else { return Some((Ok(Decimal::ZERO), Ok(Decimal::ZERO))) };
            Some((level.px.decimal()?, level.sz.decimal()?))
        };
        let [bid, ask] = &best.bbo;
        let (bid, bid_size) = side(bid).ok_or("a bid that is no number")?;
        let (ask, ask_size) = side(ask).ok_or("an ask that is no number")?;
        if let Ok(time) = time {
            self.clock.observe(sink.received_at, time, sink.out);
        }
        let symbol = sink.symbols.intern(coin.as_bytes());
        sink.put(symbol, time, quote(None, [bid, bid_size, ask, ask_size]).map(Event::Quote));
        Ok(FrameKind::Ticks)
    }
}

fn on_answer(data: Token<'_>, out: &mut Output) -> Result<FrameKind, Fault> {
    let answer: Answer<'_> = serde_json::from_slice(data.0)?;
    if answer.method.0 == br#""subscribe""#
        && let Some(stream) = answer.subscription.stream()
    {
        out.notices.push(Notice::Acknowledged(vec![stream]));
    }
    Ok(FrameKind::Control)
}

/// A refusal names the subscription in its text.
fn on_error(data: Token<'_>, out: &mut Output) -> Result<FrameKind, Fault> {
    let why = data.text().ok_or("an error that is no text")?.into_owned();
    let asked = why.find('{').zip(why.rfind('}')).and_then(|(start, end)| why.get(start..=end));
    let stream = asked.and_then(|text| serde_json::from_str::<Subscription<'_>>(text).ok()?.stream());
    // Asked for twice is as good as confirmed.
    out.notices.push(match stream {
        Some(stream) if why.starts_with("Already subscribed") => Notice::Acknowledged(vec![stream]),
        // What had ended already is not refused.
        Some(_) if why.starts_with("Already unsubscribed") => Notice::Complaint(why),
        Some(stream) => Notice::Refused(vec![stream], why),
        None => Notice::Complaint(why),
    });
    Ok(FrameKind::Control)
}

fn request(method: &str, stream: &Stream) -> String {
    let kind = match stream.channel {
        Channel::Trades => "trades",
        Channel::Quotes => "bbo",
    };
    serde_json::json!({ "method": method, "subscription": { "type": kind, "coin": stream.native } })
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_are_asked_for_and_answered_by_name() {
        let (mut symbols, mut out) = (SymbolTable::new("hyperliquid"), Output::default());
        let mut session = HyperliquidSession::default();
        let (trades, quotes) = (Stream::new("FOO", Channel::Trades), Stream::new("@7", Channel::Quotes));
        session.subscribe(&[trades.clone(), quotes.clone()], 0, &mut out);
        session.unsubscribe(std::slice::from_ref(&trades), 0, &mut out);
        let expected = [
            r#"{"method":"subscribe","subscription":{"coin":"FOO","type":"trades"}}"#,
            r#"{"method":"subscribe","subscription":{"coin":"@7","type":"bbo"}}"#,
            r#"{"method":"unsubscribe","subscription":{"coin":"FOO","type":"trades"}}"#,
        ];
        assert_eq!(out.sends, expected);
        let answer = |request: &str| format!(r#"{{"channel":"subscriptionResponse","data":{request}}}"#);
        let error = |text: &str| format!(r#"{{"channel":"error","data":{}}}"#, serde_json::json!(text));
        let none = r#"Invalid subscription {"type":"bbo","coin":"@7"}"#;
        for payload in [
            answer(&out.sends[0].clone()),
            answer(&out.sends[2].clone()),
            error(none),
            error(r#"Already subscribed: {"type":"trades","coin":"FOO"}"#),
            error(r#"Already unsubscribed: {"type":"trades","coin":"FOO"}"#),
            error("Error parsing JSON into valid websocket request: }{"),
        ] {
            let frame = Frame { received_at: None, payload: payload.as_bytes() };
            assert_eq!(session.on_frame(frame, &mut symbols, &mut out), FrameKind::Control);
        }
        let confirmed = Notice::Acknowledged(vec![trades]);
        assert_eq!(
            out.notices,
            [
                confirmed.clone(),
                Notice::Refused(vec![quotes], none.to_owned()),
                confirmed,
                Notice::Complaint(r#"Already unsubscribed: {"type":"trades","coin":"FOO"}"#.to_owned()),
                Notice::Complaint("Error parsing JSON into valid websocket request: }{".to_owned()),
            ]
        );
    }
}
