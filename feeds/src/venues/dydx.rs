//! dYdX by its protocol until 2024 (v3), which only files have.
//!
//! ```json
//! {"type":"connected","connection_id":"c","message_id":0}
//! {"type":"subscribed","connection_id":"c","message_id":1,"channel":"v3_trades","id":"BTC-USD","contents":{"trades":[
//!   {"side":"BUY","size":"0.5","price":"100.1","createdAt":"2021-10-28T17:56:57.972Z"}]}}
//! {"type":"channel_data","connection_id":"c","message_id":2,"id":"BTC-USD","channel":"v3_trades","contents":{"trades":[…]}}
//! ```
//!
//! `side` is the aggressor's. Trades of `subscribed` are the past, the newest first. There is no id: two rows alike may be
//! two trades. `message_id` counts a connection's messages. Books come by changes only and are passed over. What
//! followed (v4) has other channels and another market behind them.

use serde::Deserialize;

use crate::frame::{Frame, FrameError, FrameKind};
use crate::json::{Reason, Sink, Token, trade};
use crate::live::{Live, Notice};
use crate::offset::VenueClock;
use crate::symbol::SymbolTable;
use crate::tick::{Event, Rejection, Side};
use crate::time::{Nanos, TimeError};
use crate::venue::{DuplicateKey, Endpoint, Output, Session, Venue};

/// Longest name of an unknown kind that is kept, in characters.
const NAME_CHARS: usize = 40;

/// dYdX.
pub(super) struct Dydx;

pub(super) static DYDX: Dydx = Dydx;

impl Venue for Dydx {
    fn id(&self) -> &'static str {
        "dydx"
    }

    fn name(&self) -> &'static str {
        "dYdX (until 2024)"
    }

    fn endpoints(&self) -> &'static [Endpoint] {
        &[Endpoint { host: "api.dydx.exchange", path: "/v3/ws" }]
    }

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
        "channel connection_id contents createdAt id liquidation message_id price side size trades type"
    }

    fn completeness(&self) -> &'static str {
        "a connection's messages are counted, so a hole shows, but not whose it is; no quotes, because books are not kept"
    }

    fn recognises(&self, payload: &[u8]) -> bool {
        let Ok(envelope) = serde_json::from_slice::<Envelope<'_>>(payload.trim_ascii()) else { return false };
        let channel = envelope.channel.and_then(Token::text);
        envelope.message_id.is_some()
            && envelope.contents.is_some()
            && channel.is_some_and(|channel| ["v3_trades", "v3_orderbook", "v3_markets"].contains(&&*channel))
    }

    fn open(&self) -> Box<dyn Session> {
        Box::new(DydxSession::default())
    }

    fn live(&self) -> Option<&'static Live> {
        None
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, rename = "type")]
    kind: Token<'a>,
    #[serde(borrow)]
    message_id: Option<Token<'a>>,
    #[serde(borrow)]
    channel: Option<Token<'a>>,
    #[serde(borrow)]
    id: Option<Token<'a>>,
    #[serde(borrow)]
    contents: Option<Token<'a>>,
}

#[derive(Deserialize)]
struct Trades<'a> {
    #[serde(borrow)]
    trades: Vec<TradeRow<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TradeRow<'a> {
    #[serde(borrow)]
    side: Token<'a>,
    #[serde(borrow)]
    size: Token<'a>,
    #[serde(borrow)]
    price: Token<'a>,
    #[serde(borrow)]
    created_at: Token<'a>,
}

/// What a connection remembers.
#[derive(Default)]
struct DydxSession {
    clock: VenueClock,
    /// The number of the last message.
    newest: Option<u64>,
}

impl Session for DydxSession {
    fn on_frame(&mut self, frame: Frame<'_>, symbols: &mut SymbolTable, out: &mut Output) -> FrameKind {
        let payload = frame.payload.trim_ascii();
        if payload.is_empty() {
            return FrameKind::Blank;
        }
        let broken = |reason: String| FrameKind::Broken(FrameError::new(reason, payload));
        let envelope: Envelope<'_> = match serde_json::from_slice(payload) {
            Ok(envelope) => envelope,
            Err(error) => return broken(error.to_string()),
        };
        let Some(kind) = envelope.kind.text() else { return broken("`type` is no text".to_owned()) };
        let mut sink = Sink { received_at: frame.received_at, symbols, out };
        let verdict = match &*kind {
            "connected" | "unsubscribed" | "error" => FrameKind::Control,
            "subscribed" => self.on_data(true, &envelope, &mut sink).unwrap_or_else(broken),
            "channel_data" => self.on_data(false, &envelope, &mut sink).unwrap_or_else(broken),
            "pong" => FrameKind::Heartbeat,
            name => FrameKind::Unknown(name.chars().take(NAME_CHARS).collect()),
        };
        if let Some(number) = envelope.message_id.and_then(Token::whole) {
            self.count(number, out);
        }
        verdict
    }

    fn finish(&mut self, out: &mut Output) {
        self.clock.finish(out);
    }
}

impl DydxSession {
    /// Holds a message's number against the last one's. It is not held against a frame if that cannot be read.
    fn count(&mut self, number: u64, out: &mut Output) {
        let newest = self.newest.replace(number);
        let Some(expected) = newest.and_then(|newest| newest.checked_add(1)) else { return };
        if number > expected {
            out.notices.push(Notice::Skipped { first: expected, last: number - 1 });
        } else if number < expected {
            out.notices.push(Notice::Restarted(None));
        }
    }

    fn on_data(
        &mut self,
        past: bool,
        envelope: &Envelope<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<FrameKind, String> {
        let channel = envelope.channel.and_then(Token::text).ok_or("no channel")?;
        match &*channel {
            "v3_trades" => self.on_trades(past, envelope, sink),
            "v3_orderbook" => Ok(FrameKind::PassedOver(if past { "depth_snapshot" } else { "depth" })),
            "v3_markets" => Ok(FrameKind::PassedOver("instruments")),
            name => Ok(FrameKind::Unknown(name.chars().take(NAME_CHARS).collect())),
        }
    }

    fn on_trades(
        &mut self,
        past: bool,
        envelope: &Envelope<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<FrameKind, String> {
        let name = envelope.id.and_then(Token::text).ok_or("no symbol")?;
        let contents = envelope.contents.ok_or("no `contents`")?;
        let Trades { trades } =
            serde_json::from_slice(contents.0).map_err(|error: serde_json::Error| error.to_string())?;
        let found = trades.iter().map(read_trade).collect::<Result<Vec<_>, _>>()?;
        let Some((last, _)) = found.last() else { return Ok(FrameKind::PassedOver("no_trades")) };
        if let (Ok(time), false) = (*last, past) {
            self.clock.observe(sink.received_at, time, sink.out);
        }
        let symbol = sink.symbols.intern(name.as_bytes());
        for (time, event) in found {
            sink.put(symbol, time, event).history = past;
        }
        Ok(FrameKind::Ticks)
    }
}

type Found = (Result<Nanos, TimeError>, Result<Event, Rejection>);

fn read_trade(row: &TradeRow<'_>) -> Result<Found, Reason> {
    let time = row.created_at.time_in_words().ok_or("the trade's time is no text")?;
    let price = row.price.decimal().ok_or("the trade's price is no number")?;
    let size = row.size.decimal().ok_or("the trade's size is no number")?;
    let side = match row.side.0 {
        br#""BUY""# => Side::Buy,
        br#""SELL""# => Side::Sell,
        _ => return Err("the trade's side is neither BUY nor SELL"),
    };
    Ok((time, trade(None, price, size, side)))
}
