//! Phemex: spot, inverse perpetuals and those margined in USDT.
//!
//! ```json
//! {"sequence":9,"symbol":"FOOUSD","trades":[[1700000000004000000,"Buy",1001000,5],…],"type":"incremental"}
//! {"sequence":9,"symbol":"FOOUSDT","trades_p":[[1700000000004000000,"Sell","100.1","0.5"]],"type":"snapshot"}
//! {"error":null,"id":1,"result":{"status":"success"}}
//! ```
//!
//! The side is the aggressor's, the time in nanoseconds; a frame of the type `snapshot` holds the past, newest first.
//! `trades` has integers: prices times 10⁴ for inverse perpetuals, prices and sizes times 10⁸ for spot (`sFOOUSDT`).
//! Which power it is stands in the venue's list of products and not in a frame, so they stay as written.
//! `trades_p`, for perpetuals in USDT, has plain decimals.
//!
//! Best prices come only as changes of a book, so quotes are not offered.
//! Documented at <https://phemex-docs.github.io/>.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::json;

use crate::frame::{Frame, FrameKind};
use crate::json::{Cells, Sink, Token, trade};
use crate::live::{Channel, Live, Rate, Route, Stream};
use crate::offset::VenueClock;
use crate::requests::Requests;
use crate::symbol::SymbolTable;
use crate::tick::Side;
use crate::time::{Nanos, Unit};
use crate::venue::{DuplicateKey, Endpoint, Output, Session, Venue};
use crate::verdict::{Fault, kind_of, ticks_or, unknown};

/// The number of a sign of life; those of requests begin with 1.
const PING_ID: u64 = 0;

/// The venue.
pub(super) struct Phemex;

pub(super) static PHEMEX: Phemex = Phemex;

/// 20 subscriptions a connection, 20 requests a second. It hangs up 30 s after the last sign of life.
static LIVE: Live = Live {
    routes: &[Route { channels: &[Channel::Trades], ..Route::all("wss://ws.phemex.com") }],
    streams_per_connection: 20,
    streams_per_request: 1,
    requests: Rate::new(10, 1),
    connects: Rate::new(5, 10),
    ping_seconds: Some(5),
    dead_seconds: 30,
    lifetime_seconds: None,
};

impl Venue for Phemex {
    fn id(&self) -> &'static str {
        "phemex"
    }

    fn name(&self) -> &'static str {
        "Phemex"
    }

    fn endpoints(&self) -> &'static [Endpoint] {
        &[Endpoint { host: "ws.phemex.com", path: "" }, Endpoint { host: "phemex.com", path: "/ws" }]
    }

    /// Trades have no id, and two of one order may be alike to the nanosecond: nothing tells them from a repeat. After
    /// a break the venue sends what was before as past, so that none comes twice.
    fn trade_key(&self) -> DuplicateKey {
        DuplicateKey::None
    }

    fn quote_key(&self) -> DuplicateKey {
        DuplicateKey::None
    }

    fn channels(&self) -> &'static [&'static str] {
        &["trades"]
    }

    fn fields(&self) -> &'static str {
        "dts mts sequence symbol trades trades_p type"
    }

    fn completeness(&self) -> &'static str {
        "nothing proves it: trades have no id, and the numbers of frames rise with holes; spot and inverse \
         perpetuals have prices and sizes times a power of ten; no quotes, since best prices come only as changes \
         of a book"
    }

    fn recognises(&self, payload: &[u8]) -> bool {
        let Ok(message) = serde_json::from_slice::<Message<'_>>(payload) else { return false };
        let books = [message.book, message.orderbook];
        let content = message.trades.or(message.trades_p).is_some() || books.iter().any(Option::is_some);
        content && message.sequence.is_some() && message.symbol.is_some() && message.kind.is_some()
    }

    fn open(&self) -> Box<dyn Session> {
        Box::new(PhemexSession::default())
    }

    fn live(&self) -> Option<&'static Live> {
        Some(&LIVE)
    }
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    symbol: Option<Token<'a>>,
    #[serde(borrow)]
    sequence: Option<Token<'a>>,
    #[serde(borrow, rename = "type")]
    kind: Option<Token<'a>>,
    #[serde(borrow)]
    timestamp: Option<Token<'a>>,
    #[serde(borrow)]
    trades: Option<Token<'a>>,
    #[serde(borrow)]
    trades_p: Option<Token<'a>>,
    #[serde(borrow)]
    book: Option<Token<'a>>,
    #[serde(borrow, rename = "orderbook_p")]
    orderbook: Option<Token<'a>>,
    #[serde(borrow)]
    id: Option<Token<'a>>,
    #[serde(borrow)]
    result: Option<Token<'a>>,
    #[serde(borrow)]
    error: Option<Token<'a>>,
    #[serde(borrow, alias = "kline_p")]
    kline: Option<Token<'a>>,
    #[serde(borrow, alias = "spot_market24h")]
    market24h: Option<Token<'a>>,
    #[serde(borrow)]
    method: Option<Token<'a>>,
}

#[derive(Deserialize)]
struct Complaint {
    message: String,
}

/// What a connection remembers.
#[derive(Default)]
struct PhemexSession {
    clock: VenueClock,
    requests: Requests,
    /// What is subscribed: ending one subscription ends all of its kind.
    wanted: BTreeSet<Stream>,
}

impl Session for PhemexSession {
    fn subscribe(&mut self, streams: &[Stream], _now: Nanos, out: &mut Output) {
        for stream in streams {
            self.wanted.insert(stream.clone());
            self.ask(stream, out);
        }
    }

    fn unsubscribe(&mut self, streams: &[Stream], _now: Nanos, out: &mut Output) {
        for stream in streams {
            self.wanted.remove(stream);
        }
        for kind in ["trade", "trade_p"] {
            if !streams.iter().any(|stream| kind_of_trades(&stream.native) == kind) {
                continue;
            }
            let id = self.requests.number_of_none();
            out.sends
                .push(json!({ "id": id, "method": format!("{kind}.unsubscribe"), "params": [] }).to_string());
            let kept: Vec<Stream> = self.wanted.iter().cloned().collect();
            for stream in kept.iter().filter(|stream| kind_of_trades(&stream.native) == kind) {
                self.ask(stream, out);
            }
        }
    }

    fn ping(&mut self, _now: Nanos, out: &mut Output) {
        out.sends.push(json!({ "id": PING_ID, "method": "server.ping", "params": [] }).to_string());
    }

    fn on_frame(&mut self, frame: Frame<'_>, symbols: &mut SymbolTable, out: &mut Output) -> FrameKind {
        let mut sink = Sink { received_at: frame.received_at, symbols, out };
        kind_of(frame.payload, |payload| self.on_message(&serde_json::from_slice(payload)?, &mut sink))
    }

    fn finish(&mut self, out: &mut Output) {
        self.clock.finish(out);
    }
}

/// The subscription that carries trades of `native`: those of perpetuals in USDT or USDC have a kind of their own.
fn kind_of_trades(native: &str) -> &'static str {
    let is_spot = native.starts_with('s');
    let is_linear = native.ends_with("USDT") || native.ends_with("USDC");
    if is_linear && !is_spot { "trade_p" } else { "trade" }
}

impl PhemexSession {
    fn ask(&mut self, stream: &Stream, out: &mut Output) {
        let id = self.requests.number(std::slice::from_ref(stream));
        let method = format!("{}.subscribe", kind_of_trades(&stream.native));
        out.sends.push(json!({ "id": id, "method": method, "params": [stream.native] }).to_string());
    }

    fn on_message(&mut self, message: &Message<'_>, sink: &mut Sink<'_>) -> Result<FrameKind, Fault> {
        let is_snapshot = message.kind.is_some_and(|kind| kind.0 == br#""snapshot""#);
        if let Some(rows) = message.trades.or(message.trades_p) {
            return self.on_trades(message, rows, is_snapshot, sink);
        }
        if let Some(Ok(time)) = message.timestamp.and_then(|time| time.time(Unit::Nanos)) {
            self.clock.observe(sink.received_at, time, sink.out);
        }
        if message.book.or(message.orderbook).is_some() {
            return Ok(FrameKind::PassedOver(if is_snapshot { "depth_snapshot" } else { "depth" }));
        }
        if message.kline.is_some() {
            return Ok(FrameKind::PassedOver("kline"));
        }
        let method = message.method.and_then(Token::text);
        if message.market24h.is_some() || method.as_deref().is_some_and(|name| name.contains("market24h")) {
            return Ok(FrameKind::PassedOver("ticker"));
        }
        Ok(self.on_answer(message, method.as_deref(), sink.out))
    }

    fn on_trades(
        &mut self,
        message: &Message<'_>,
        rows: Token<'_>,
        is_snapshot: bool,
        sink: &mut Sink<'_>,
    ) -> Result<FrameKind, Fault> {
        let symbol = message.symbol.and_then(Token::text).ok_or("no symbol")?;
        let kind = message.kind.ok_or("no type, which tells the past from the present")?;
        if !is_snapshot && kind.0 != br#""incremental""# {
            return Err("a type that is neither snapshot nor incremental".into());
        }
        let rows: Vec<Cells<'_, 4>> = serde_json::from_slice(rows.0)?;
        let mut trades = Vec::with_capacity(rows.len());
        for row in &rows {
            let [time, side, price, size] = row.all().ok_or("a trade of less than four values")?;
            let time = time.time(Unit::Nanos).ok_or("a time that is no number")?;
            let side = match side.0 {
                br#""Buy""# => Side::Buy,
                br#""Sell""# => Side::Sell,
                _ => return Err("a side that is neither Buy nor Sell".into()),
            };
            let price = price.decimal().ok_or("a price that is no number")?;
            let size = size.decimal().ok_or("a size that is no number")?;
            trades.push((time, trade(None, price, size, side)));
        }
        let newest = trades.iter().filter_map(|(time, _)| time.ok()).max();
        if let Some(newest) = newest.filter(|_| !is_snapshot) {
            self.clock.observe(sink.received_at, newest, sink.out);
        }
        let any = !trades.is_empty();
        if any {
            let symbol = sink.symbols.intern(symbol.as_bytes());
            for (time, event) in trades {
                sink.put(symbol, time, event).history = is_snapshot;
            }
        }
        Ok(ticks_or(any, "trade"))
    }

    fn on_answer(&mut self, message: &Message<'_>, method: Option<&str>, out: &mut Output) -> FrameKind {
        if message.result.is_some_and(|result| result.0 == br#""pong""#) {
            return FrameKind::Heartbeat;
        }
        if message.result.is_none() && message.error.is_none() {
            return unknown(method.unwrap_or_default());
        }
        let id = message.id.and_then(Token::whole);
        match message.error {
            Some(error) => {
                let why = serde_json::from_slice::<Complaint>(error.0).map(|complaint| complaint.message);
                let why = why.unwrap_or_else(|_| String::from_utf8_lossy(error.0).into_owned());
                out.notices.push(self.requests.refused(id, why));
            }
            None => out.notices.extend(self.requests.confirmed(id)),
        }
        FrameKind::Control
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::Notice;

    fn stream(native: &str) -> Stream {
        Stream::new(native, Channel::Trades)
    }

    #[test]
    fn ending_one_subscription_asks_again_for_the_others_of_its_kind() {
        let (mut session, mut out) = (PhemexSession::default(), Output::default());
        session.subscribe(&[stream("FOOUSDT"), stream("sFOOUSDT"), stream("BARUSD")], 0, &mut out);
        session.unsubscribe(&[stream("BARUSD")], 0, &mut out);
        session.unsubscribe(&[stream("FOOUSDT")], 0, &mut out);
        let sent = |id, method, params| format!(r#"{{"id":{id},"method":"{method}","params":[{params}]}}"#);
        assert_eq!(
            out.sends,
            [
                sent(1, "trade_p.subscribe", r#""FOOUSDT""#),
                sent(2, "trade.subscribe", r#""sFOOUSDT""#),
                sent(3, "trade.subscribe", r#""BARUSD""#),
                sent(4, "trade.unsubscribe", ""),
                sent(5, "trade.subscribe", r#""sFOOUSDT""#),
                sent(6, "trade_p.unsubscribe", ""),
            ]
        );
    }

    #[test]
    fn subscriptions_are_answered_by_number() {
        let (mut symbols, mut out) = (SymbolTable::new("phemex"), Output::default());
        let mut session = PhemexSession::default();
        session.subscribe(&[stream("FOOUSD"), stream("NONE")], 0, &mut out);
        for payload in [
            r#"{"error":{"code":6001,"message":"invalid argument"},"id":2,"result":null}"#,
            r#"{"error":null,"id":1,"result":{"status":"success"}}"#,
            r#"{"error":null,"id":7,"result":{"status":"success"}}"#,
        ] {
            let frame = Frame { received_at: None, payload: payload.as_bytes() };
            assert_eq!(session.on_frame(frame, &mut symbols, &mut out), FrameKind::Control);
        }
        let refused = Notice::Refused(vec![stream("NONE")], "invalid argument".to_owned());
        assert_eq!(out.notices, [refused, Notice::Acknowledged(vec![stream("FOOUSD")])]);
    }
}
