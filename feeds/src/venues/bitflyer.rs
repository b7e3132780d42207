//! bitFlyer Lightning: spot and FX in yen. JSON-RPC, one channel of one product a request.
//!
//! ```json
//! {"jsonrpc":"2.0","method":"channelMessage","params":{"channel":"lightning_executions_FOO_JPY","message":[
//!   {"id":7,"side":"BUY","price":5860832.0,"size":0.01,"exec_date":"2023-11-14T22:13:20.1234567Z",…}]}}
//! {"jsonrpc":"2.0","method":"channelMessage","params":{"channel":"lightning_ticker_FOO_JPY","message":{
//!   "product_code":"FOO_JPY","timestamp":"2023-11-14T22:13:20.1234567Z","tick_id":3,"best_bid":5859870.0,
//!   "best_ask":5862038.0,"best_bid_size":0.04,"best_ask_size":0.02,…}}}
//! {"jsonrpc":"2.0","id":1,"result":true}
//! ```
//!
//! One frame has all executions of one order. `side` is the aggressor's; it is empty for an auction's. No frame has the
//! time of its sending; the newest time in it stands for that. A ticker has the best prices with their sizes.
//! Documented at <https://bf-lightning-api.readme.io/docs/realtime-api>.

use serde::Deserialize;

use crate::frame::{Frame, FrameError, FrameKind};
use crate::json::{Reason, Sink, Token, quote, trade};
use crate::live::{Channel, Live, PastRange, PastRequest, PastTrades, Rate, Route, Stream};
use crate::number::Decimal;
use crate::offset::VenueClock;
use crate::past::{self, PastTrade};
use crate::requests::Requests;
use crate::symbol::SymbolTable;
use crate::tick::{Event, Rejection, Side, Tick};
use crate::time::{Nanos, TimeError, parse_words};
use crate::venue::{DuplicateKey, Endpoint, Output, Session, Venue};
use crate::verdict::{Fault, kind_of, ticks_or, unknown};

const EXECUTIONS: &str = "lightning_executions_";
const TICKER: &str = "lightning_ticker_";

/// Channels that are known and not used, by how they begin, with the name of their kind.
const PASSED_OVER: &[(&str, &str)] =
    &[("lightning_board_snapshot_", "depth_snapshot"), ("lightning_board_", "depth")];

/// The venue.
pub(super) struct BitFlyer;

pub(super) static BITFLYER: BitFlyer = BitFlyer;

/// The documentation of the stream names no limits; these are well below those of requests, 500 in 5 minutes. Nothing
/// comes while a market rests, such as in the nightly maintenance, so a silence is long before it means something.
static LIVE: Live = Live {
    routes: &[Route::all("wss://ws.lightstream.bitflyer.com/json-rpc")],
    streams_per_connection: 50,
    streams_per_request: 1,
    requests: Rate::new(10, 1),
    connects: Rate::new(10, 60),
    ping_seconds: None,
    dead_seconds: 120,
    lifetime_seconds: None,
};

impl Venue for BitFlyer {
    fn id(&self) -> &'static str {
        "bitflyer"
    }

    fn name(&self) -> &'static str {
        "bitFlyer"
    }

    fn endpoints(&self) -> &'static [Endpoint] {
        &[Endpoint { host: "ws.lightstream.bitflyer.com", path: "" }]
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
        "best_ask best_ask_size best_bid best_bid_size buy_child_order_acceptance_id channel \
         circuit_break_end exec_date id jsonrpc ltp market_ask_size market_bid_size message method params \
         preopen_end price product_code sell_child_order_acceptance_id side size state tick_id timestamp \
         total_ask_depth total_bid_depth volume volume_by_product"
    }

    fn completeness(&self) -> &'static str {
        "nothing proves it: ids of trades and quotes rise, with the ids of other products between them"
    }

    fn recognises(&self, payload: &[u8]) -> bool {
        let Ok(message) = serde_json::from_slice::<Message<'_>>(payload) else { return false };
        let channel = message.params.and_then(|params| params.channel.text());
        channel.is_some_and(|channel| channel.starts_with("lightning_"))
    }

    fn open(&self) -> Box<dyn Session> {
        Box::new(BitFlyerSession::default())
    }

    fn live(&self) -> Option<&'static Live> {
        Some(&LIVE)
    }

    fn past_trades(&self) -> Option<&'static dyn PastTrades> {
        Some(&Past)
    }
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    method: Option<Token<'a>>,
    #[serde(borrow)]
    params: Option<Params<'a>>,
    #[serde(borrow)]
    id: Option<Token<'a>>,
    #[serde(borrow)]
    error: Option<Token<'a>>,
    #[serde(borrow)]
    result: Option<Token<'a>>,
}

#[derive(Clone, Copy, Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    channel: Token<'a>,
    #[serde(borrow)]
    message: Token<'a>,
}

#[derive(Deserialize)]
struct Execution<'a> {
    #[serde(borrow)]
    id: Token<'a>,
    #[serde(borrow)]
    side: Token<'a>,
    #[serde(borrow)]
    price: Token<'a>,
    #[serde(borrow)]
    size: Token<'a>,
    #[serde(borrow)]
    exec_date: Token<'a>,
}

#[derive(Deserialize)]
struct Ticker<'a> {
    #[serde(borrow)]
    timestamp: Token<'a>,
    #[serde(borrow)]
    tick_id: Token<'a>,
    #[serde(borrow)]
    best_bid: Token<'a>,
    #[serde(borrow)]
    best_ask: Token<'a>,
    #[serde(borrow)]
    best_bid_size: Token<'a>,
    #[serde(borrow)]
    best_ask_size: Token<'a>,
}

#[derive(Deserialize)]
struct Complaint {
    message: String,
}

impl Execution<'_> {
    fn executed(&self) -> Result<PastTrade, Reason> {
        let id = self.id.whole().ok_or("an id that is no number")?;
        let price = self.price.decimal().ok_or("a price that is no number")?;
        let size = self.size.decimal().ok_or("a size that is no number")?;
        let side = match self.side.0 {
            br#""BUY""# => Side::Buy,
            br#""SELL""# => Side::Sell,
            br#""""# => Side::Unknown,
            _ => return Err("a side that is none"),
        };
        Ok(PastTrade { id, time: time(self.exec_date)?, event: trade(Some(id), price, size, side) })
    }
}

fn time(token: Token<'_>) -> Result<Result<Nanos, TimeError>, &'static str> {
    token.text().map(|text| parse_words(&text)).ok_or("a time that is no text")
}

/// What a connection remembers.
#[derive(Default)]
struct BitFlyerSession {
    clock: VenueClock,
    requests: Requests,
}

impl Session for BitFlyerSession {
    fn subscribe(&mut self, streams: &[Stream], _now: Nanos, out: &mut Output) {
        for stream in streams {
            let id = self.requests.number(std::slice::from_ref(stream));
            out.sends.push(request("subscribe", stream, id));
        }
    }

    fn unsubscribe(&mut self, streams: &[Stream], _now: Nanos, out: &mut Output) {
        for stream in streams {
            let id = self.requests.number_of_none();
            out.sends.push(request("unsubscribe", stream, id));
        }
    }

    fn on_frame(&mut self, frame: Frame<'_>, symbols: &mut SymbolTable, out: &mut Output) -> FrameKind {
        let mut sink = Sink { received_at: frame.received_at, symbols, out };
        kind_of(frame.payload, |payload| self.on_message(&serde_json::from_slice(payload)?, &mut sink))
    }

    fn finish(&mut self, out: &mut Output) {
        self.clock.finish(out);
    }
}

impl BitFlyerSession {
    fn on_message(&mut self, message: &Message<'_>, sink: &mut Sink<'_>) -> Result<FrameKind, Fault> {
        let Some(params) = message.params else { return Ok(self.on_other(message, sink.out)) };
        let channel = params.channel.text().ok_or("a channel that is no text")?;
        if let Some(product) = channel.strip_prefix(EXECUTIONS) {
            return self.on_executions(product, params.message, sink);
        }
        if let Some(product) = channel.strip_prefix(TICKER) {
            return self.on_ticker(product, params.message, sink);
        }
        let known = PASSED_OVER.iter().find(|(start, _)| channel.starts_with(start));
        Ok(known.map_or_else(|| unknown("channelMessage"), |(_, kind)| FrameKind::PassedOver(kind)))
    }

    fn on_executions(
        &mut self,
        product: &str,
        message: Token<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<FrameKind, Fault> {
        let rows: Vec<Execution<'_>> = serde_json::from_slice(message.0)?;
        let trades: Vec<PastTrade> = rows.iter().map(Execution::executed).collect::<Result<_, _>>()?;
        if let Some(newest) = trades.iter().filter_map(|trade| trade.time.ok()).max() {
            self.clock.observe(sink.received_at, newest, sink.out);
        }
        let any = !trades.is_empty();
        if any {
            let symbol = sink.symbols.intern(product.as_bytes());
            for PastTrade { time, event, .. } in trades {
                sink.put(symbol, time, event);
            }
        }
        Ok(ticks_or(any, "trade"))
    }

    fn on_ticker(
        &mut self,
        product: &str,
        message: Token<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<FrameKind, Fault> {
        let ticker: Ticker<'_> = serde_json::from_slice(message.0)?;
        let time = time(ticker.timestamp)?;
        let id = ticker.tick_id.whole().ok_or("a tick_id that is no number")?;
        let sides = sides(&ticker).ok_or("a price or size that is no number")?;
        if let Ok(time) = time {
            self.clock.observe(sink.received_at, time, sink.out);
        }
        let symbol = sink.symbols.intern(product.as_bytes());
        sink.put(symbol, time, quote(Some(id), sides).map(Event::Quote));
        Ok(FrameKind::Ticks)
    }

    fn on_other(&mut self, message: &Message<'_>, out: &mut Output) -> FrameKind {
        if message.error.is_none() && message.result.is_none() {
            let name = message.method.and_then(Token::text);
            return unknown(name.as_deref().unwrap_or_default());
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

fn sides(ticker: &Ticker<'_>) -> Option<[Result<Decimal, Rejection>; 4]> {
    Some([
        ticker.best_bid.decimal()?,
        ticker.best_bid_size.decimal()?,
        ticker.best_ask.decimal()?,
        ticker.best_ask_size.decimal()?,
    ])
}

fn request(method: &str, stream: &Stream, id: u64) -> String {
    let start = match stream.channel {
        Channel::Trades => EXECUTIONS,
        Channel::Quotes => TICKER,
    };
    let channel = format!("{start}{}", stream.native);
    serde_json::json!({ "jsonrpc": "2.0", "method": method, "params": { "channel": channel }, "id": id })
        .to_string()
}

/// `getexecutions`, which answers with the newest first; rows are those of the stream.
struct Past;

/// Most trades of one answer.
const PAST_TRADES: u64 = 500;

impl PastTrades for Past {
    fn host(&self) -> &'static str {
        "https://api.bitflyer.com"
    }

    fn per_request(&self) -> u64 {
        PAST_TRADES
    }

    fn requests(&self) -> Rate {
        // An address has 500 in 5 minutes; others may share it.
        Rate::new(250, 300)
    }

    fn reach(&self) -> &'static str {
        "by id, of the last 31 days"
    }

    /// Both ids are exclusive. The newest come first, up to the count: where more than that lie between, the older ones
    /// are asked for by a range that ends before them.
    fn path(&self, range: &PastRange<'_>) -> String {
        let (before, after) = (range.last.saturating_add(1), range.first.saturating_sub(1));
        let native = range.native;
        format!("/v1/getexecutions?product_code={native}&count={PAST_TRADES}&before={before}&after={after}")
    }

    fn decode(
        &self,
        request: &PastRequest<'_>,
        symbols: &mut SymbolTable,
        out: &mut Vec<Tick>,
    ) -> Result<(), FrameError> {
        past::read(request, symbols, out, rows)
    }
}

fn rows(body: &[u8]) -> Result<Vec<PastTrade>, Fault> {
    let rows: Vec<Execution<'_>> = serde_json::from_slice(body)?;
    rows.iter().map(|row| Ok(row.executed()?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::Notice;

    #[test]
    fn subscriptions_are_asked_for_and_answered_by_number() {
        let (mut symbols, mut out) = (SymbolTable::new("bitflyer"), Output::default());
        let mut session = BitFlyerSession::default();
        let (trades, quotes) =
            (Stream::new("FOO_JPY", Channel::Trades), Stream::new("FX_BAR_JPY", Channel::Quotes));
        session.subscribe(&[trades.clone(), quotes.clone()], 0, &mut out);
        session.unsubscribe(std::slice::from_ref(&trades), 0, &mut out);
        let sent = |method, channel, id| {
            format!(r#"{{"id":{id},"jsonrpc":"2.0","method":"{method}","params":{{"channel":"{channel}"}}}}"#)
        };
        assert_eq!(
            out.sends,
            [
                sent("subscribe", "lightning_executions_FOO_JPY", 1),
                sent("subscribe", "lightning_ticker_FX_BAR_JPY", 2),
                sent("unsubscribe", "lightning_executions_FOO_JPY", 3),
            ]
        );
        for payload in [
            r#"{"jsonrpc":"2.0","id":1,"result":true}"#,
            r#"{"jsonrpc":"2.0","id":2,"error":{"code":-32602,"message":"Invalid params"}}"#,
            r#"{"jsonrpc":"2.0","id":3,"result":true}"#,
        ] {
            let frame = Frame { received_at: None, payload: payload.as_bytes() };
            assert_eq!(session.on_frame(frame, &mut symbols, &mut out), FrameKind::Control);
        }
        let refused = Notice::Refused(vec![quotes], "Invalid params".to_owned());
        assert_eq!(out.notices, [Notice::Acknowledged(vec![trades]), refused]);
    }

    #[test]
    fn past_trades_are_those_asked_for_in_the_order_of_their_ids() {
        let row = |id: u64| {
            format!(r#"{{"id":{id},"side":"","price":5.5,"size":2,"exec_date":"2023-11-14T22:13:20.5"}}"#)
        };
        let body = format!("[{},{},{}]", row(9), row(8), row(6));
        let request = PastRequest {
            native: "FOO_JPY",
            first: 6,
            last: 8,
            received_at: 1_800_000_000_000_000_000,
            body: body.as_bytes(),
        };
        let (mut symbols, mut ticks) = (SymbolTable::new("bitflyer"), Vec::new());
        Past.decode(&request, &mut symbols, &mut ticks).unwrap();
        let shown: Vec<String> =
            ticks.iter().map(|tick| format!("{} {:?}", tick.exchange_ts, tick.event)).collect();
        assert_eq!(
            shown,
            [
                "1700000000500000000 Trade(trade Some(6) 2 @ 5.5 Unknown)",
                "1700000000500000000 Trade(trade Some(8) 2 @ 5.5 Unknown)"
            ]
        );
        let cut = PastRequest { body: &request.body[..40], ..request };
        assert!(Past.decode(&cut, &mut symbols, &mut ticks).is_err());
        assert_eq!(ticks.len(), 2);
        assert_eq!(
            Past.path(&PastRange { native: "FOO_JPY", first: 6, last: 8, after: 0, before: 0 }),
            "/v1/getexecutions?product_code=FOO_JPY&count=500&before=9&after=5"
        );
    }
}
