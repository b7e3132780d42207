//! HitBTC, version 2 of its protocol, which is of the past: only captures have it.
//!
//! ```json
//! {"jsonrpc":"2.0","method":"updateTrades","params":{"data":[{"id":12,"price":"100.1","quantity":"0.5","side":"sell",
//!  "timestamp":"2021-01-02T03:04:05.678Z"},…],"symbol":"BTCUSD"}}
//! {"jsonrpc":"2.0","method":"snapshotTrades","params":{"data":[…],"symbol":"BTCUSD"}}
//! {"jsonrpc":"2.0","method":"ticker","params":{"ask":"100.2","bid":"100.1",…,"timestamp":"…","symbol":"BTCUSD"}}
//! {"jsonrpc":"2.0","result":true,"id":1}
//! ```
//!
//! `snapshotTrades` is sent on subscribing and is the past. Tickers have no sizes, so there are no quotes.

use serde::Deserialize;

use crate::frame::{Frame, FrameKind};
use crate::json::{Reason, Sink, Token, trade};
use crate::live::Live;
use crate::number::Decimal;
use crate::offset::VenueClock;
use crate::symbol::SymbolTable;
use crate::tick::{Rejection, Side};
use crate::time::{Nanos, TimeError};
use crate::venue::{DuplicateKey, Endpoint, Output, Session, Venue};
use crate::verdict::{Fault, kind_of, ticks_or, unknown};

/// Methods that are known and not used, with the name of their kind.
const PASSED_OVER: &[(&str, &str)] = &[
    ("snapshotOrderbook", "depth_snapshot"),
    ("updateOrderbook", "depth"),
    ("snapshotCandles", "kline"),
    ("updateCandles", "kline"),
    ("ticker", "ticker"),
];

pub(super) struct Hitbtc;

impl Venue for Hitbtc {
    fn id(&self) -> &'static str {
        "hitbtc"
    }

    fn name(&self) -> &'static str {
        "HitBTC"
    }

    fn endpoints(&self) -> &'static [Endpoint] {
        &[Endpoint { host: "api.hitbtc.com", path: "/api/2/ws" }]
    }

    fn trade_key(&self) -> DuplicateKey {
        DuplicateKey::Unique
    }

    fn quote_key(&self) -> DuplicateKey {
        DuplicateKey::None
    }

    fn channels(&self) -> &'static [&'static str] {
        &["trades"]
    }

    fn fields(&self) -> &'static str {
        "data id jsonrpc method params price quantity side symbol timestamp"
    }

    fn completeness(&self) -> &'static str {
        "nothing tells: the ids of trades rise with holes; only books are numbered by symbol"
    }

    fn recognises(&self, payload: &[u8]) -> bool {
        let Ok(message) = serde_json::from_slice::<Message<'_>>(payload) else { return false };
        let Some(method) = message.method.and_then(Token::text) else { return false };
        message.params.is_some()
            && ["snapshot", "update"].iter().any(|start| {
                method.strip_prefix(start).is_some_and(|rest| ["Trades", "Orderbook"].contains(&rest))
            })
    }

    fn open(&self) -> Box<dyn Session> {
        Box::new(HitbtcSession::default())
    }

    fn live(&self) -> Option<&'static Live> {
        None
    }
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    method: Option<Token<'a>>,
    #[serde(borrow)]
    params: Option<Token<'a>>,
    #[serde(borrow)]
    result: Option<Token<'a>>,
    #[serde(borrow)]
    error: Option<Token<'a>>,
}

#[derive(Deserialize)]
struct Trades<'a> {
    #[serde(borrow)]
    data: Vec<TradeRow<'a>>,
    #[serde(borrow)]
    symbol: Token<'a>,
}

#[derive(Deserialize)]
struct TradeRow<'a> {
    #[serde(borrow)]
    id: Token<'a>,
    #[serde(borrow)]
    price: Token<'a>,
    #[serde(borrow)]
    quantity: Token<'a>,
    #[serde(borrow)]
    side: Token<'a>,
    #[serde(borrow)]
    timestamp: Token<'a>,
}

/// A trade whose price, size and time may still be unusable.
struct Found {
    id: u64,
    price: Result<Decimal, Rejection>,
    size: Result<Decimal, Rejection>,
    side: Side,
    time: Result<Nanos, TimeError>,
}

impl TradeRow<'_> {
    fn found(&self) -> Result<Found, Reason> {
        Ok(Found {
            id: self.id.whole().ok_or("no id in the trade")?,
            price: self.price.decimal().ok_or("no price in the trade")?,
            size: self.quantity.decimal().ok_or("no quantity in the trade")?,
            side: match self.side.0 {
                br#""buy""# => Side::Buy,
                br#""sell""# => Side::Sell,
                _ => return Err("the trade's side is neither buy nor sell"),
            },
            time: self.timestamp.time_in_words().ok_or("no time in the trade")?,
        })
    }
}

/// The time of a frame that gives no tick.
#[derive(Deserialize)]
struct Timed<'a> {
    #[serde(borrow)]
    timestamp: Option<Token<'a>>,
}

/// What a connection remembers.
#[derive(Default)]
struct HitbtcSession {
    clock: VenueClock,
}

impl Session for HitbtcSession {
    fn on_frame(&mut self, frame: Frame<'_>, symbols: &mut SymbolTable, out: &mut Output) -> FrameKind {
        let mut sink = Sink { received_at: frame.received_at, symbols, out };
        kind_of(frame.payload, |payload| self.on_message(&serde_json::from_slice(payload)?, &mut sink))
    }

    fn finish(&mut self, out: &mut Output) {
        self.clock.finish(out);
    }
}

impl HitbtcSession {
    fn on_message(&mut self, message: &Message<'_>, sink: &mut Sink<'_>) -> Result<FrameKind, Fault> {
        let Some(method) = message.method else {
            let is_answer = message.result.is_some() || message.error.is_some();
            return Ok(if is_answer { FrameKind::Control } else { unknown("") });
        };
        let method = method.text().ok_or("the method is no text")?;
        let params = message.params.ok_or("no params")?.0;
        match method.as_ref() {
            "updateTrades" => self.on_trades(params, false, sink),
            "snapshotTrades" => self.on_trades(params, true, sink),
            method => {
                let Some((_, kind)) = PASSED_OVER.iter().find(|(name, _)| *name == method) else {
                    return Ok(unknown(method));
                };
                let timed = serde_json::from_slice::<Timed<'_>>(params).ok();
                if let Some(Ok(time)) = timed.and_then(|timed| timed.timestamp?.time_in_words()) {
                    self.clock.observe(sink.received_at, time, sink.out);
                }
                Ok(FrameKind::PassedOver(kind))
            }
        }
    }

    fn on_trades(&mut self, params: &[u8], history: bool, sink: &mut Sink<'_>) -> Result<FrameKind, Fault> {
        let trades: Trades<'_> = serde_json::from_slice(params)?;
        let symbol = trades.symbol.text().ok_or("the symbol is no text")?;
        let rows = trades.data.iter().map(TradeRow::found).collect::<Result<Vec<_>, _>>()?;
        let newest = rows.iter().filter_map(|row| row.time.ok()).max();
        if let Some(time) = newest.filter(|_| !history) {
            self.clock.observe(sink.received_at, time, sink.out);
        }
        let symbol = sink.symbols.intern(symbol.as_bytes());
        for row in &rows {
            sink.put(symbol, row.time, trade(Some(row.id), row.price, row.size, row.side)).history = history;
        }
        Ok(ticks_or(!rows.is_empty(), "no_trades"))
    }
}
