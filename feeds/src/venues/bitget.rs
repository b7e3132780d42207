//! Bitget, spot and contracts, by its protocol of 2022 (v1), which only files have.
//!
//! ```json
//! {"action":"snapshot","arg":{"instType":"sp","channel":"trade","instId":"BTCUSDT"},"data":[
//!   ["1700000000004","100.10","0.5","buy"],["1700000000001","100.20","1","sell"]]}
//! {"action":"update","arg":{"instType":"mc","channel":"trade","instId":"BTCUSDT"},"data":[["1700000000004","100.1","2","sell"]]}
//! ```
//!
//! A row is time, price, size and the aggressor's side. Rows of a `snapshot` are the past, the newest first. There is no
//! id: two rows alike may be two trades. Spot (`sp`) and contracts (`mc`) have symbols of the same names, and so are two
//! venues here. Tickers have the best prices without sizes, cut to six decimals: they are no quotes.

use serde::Deserialize;

use crate::frame::{Frame, FrameError, FrameKind};
use crate::json::{Cells, Reason, Sink, Token, trade};
use crate::live::Live;
use crate::offset::VenueClock;
use crate::symbol::SymbolTable;
use crate::tick::{Event, Rejection, Side};
use crate::time::{Nanos, TimeError, Unit};
use crate::venue::{DuplicateKey, Endpoint, Output, Session, Venue};

/// Longest name of an unknown kind that is kept, in characters.
const NAME_CHARS: usize = 40;

/// One of Bitget's markets.
pub(super) struct Bitget {
    id: &'static str,
    name: &'static str,
    endpoints: &'static [Endpoint],
    inst_type: &'static str,
}

pub(super) static SPOT: Bitget = Bitget {
    id: "bitget",
    name: "Bitget spot (until 2023)",
    endpoints: &[Endpoint { host: "ws.bitget.com", path: "/spot/v1/stream" }],
    inst_type: "sp",
};

pub(super) static MIX: Bitget = Bitget {
    id: "bitget-mix",
    name: "Bitget contracts (until 2023)",
    endpoints: &[Endpoint { host: "ws.bitget.com", path: "/mix/v1/stream" }],
    inst_type: "mc",
};

impl Venue for Bitget {
    fn id(&self) -> &'static str {
        self.id
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn endpoints(&self) -> &'static [Endpoint] {
        self.endpoints
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
        "action arg channel data instId instType ts"
    }

    fn completeness(&self) -> &'static str {
        "trades have no id: nothing tells; no quotes, because tickers have prices without sizes"
    }

    fn recognises(&self, payload: &[u8]) -> bool {
        let Ok(envelope) = serde_json::from_slice::<Envelope<'_>>(payload.trim_ascii()) else { return false };
        let inst_type = envelope.arg.and_then(|arg| arg.inst_type.text());
        envelope.data.is_some() && envelope.action.is_some() && inst_type.as_deref() == Some(self.inst_type)
    }

    fn open(&self) -> Box<dyn Session> {
        Box::new(BitgetSession::default())
    }

    fn live(&self) -> Option<&'static Live> {
        None
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    event: Option<Token<'a>>,
    #[serde(borrow)]
    action: Option<Token<'a>>,
    #[serde(borrow)]
    arg: Option<Arg<'a>>,
    #[serde(borrow)]
    data: Option<Token<'a>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Arg<'a> {
    #[serde(borrow)]
    inst_type: Token<'a>,
    #[serde(borrow)]
    channel: Token<'a>,
    #[serde(borrow)]
    inst_id: Token<'a>,
}

/// The time of a row that is an object, by either of its names.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TimedRow<'a> {
    #[serde(borrow)]
    ts: Option<Token<'a>>,
    #[serde(borrow)]
    system_time: Option<Token<'a>>,
}

/// What a connection remembers.
#[derive(Default)]
struct BitgetSession {
    clock: VenueClock,
}

impl Session for BitgetSession {
    fn on_frame(&mut self, frame: Frame<'_>, symbols: &mut SymbolTable, out: &mut Output) -> FrameKind {
        let payload = frame.payload.trim_ascii();
        match payload {
            b"" => return FrameKind::Blank,
            b"pong" => return FrameKind::Heartbeat,
            _ => {}
        }
        let broken = |reason: String| FrameKind::Broken(FrameError::new(reason, payload));
        let envelope: Envelope<'_> = match serde_json::from_slice(payload) {
            Ok(envelope) => envelope,
            Err(error) => return broken(error.to_string()),
        };
        let mut sink = Sink { received_at: frame.received_at, symbols, out };
        match (envelope.event, envelope.arg) {
            (Some(_), _) => FrameKind::Control,
            (None, Some(arg)) => self.on_data(arg, &envelope, &mut sink).unwrap_or_else(broken),
            (None, None) => FrameKind::Unknown("?".to_owned()),
        }
    }

    fn finish(&mut self, out: &mut Output) {
        self.clock.finish(out);
    }
}

impl BitgetSession {
    fn on_data(
        &mut self,
        arg: Arg<'_>,
        envelope: &Envelope<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<FrameKind, String> {
        let channel = arg.channel.text().ok_or("the channel is no text")?;
        let data = envelope.data.ok_or("no `data`")?;
        let past = match envelope.action.map(|action| action.0) {
            Some(br#""snapshot""#) => true,
            Some(br#""update""#) => false,
            _ => return Err("`action` is neither snapshot nor update".to_owned()),
        };
        if channel == "trade" {
            return self.on_trades(arg, data, past, sink);
        }
        let rows: Vec<TimedRow<'_>> = serde_json::from_slice(data.0).unwrap_or_default();
        let time = rows.last().and_then(|row| row.ts.or(row.system_time)?.time(Unit::Millis)?.ok());
        if let Some(time) = time {
            self.clock.observe(sink.received_at, time, sink.out);
        }
        Ok(match &*channel {
            "books" if past => FrameKind::PassedOver("depth_snapshot"),
            "books" => FrameKind::PassedOver("depth"),
            // Those of some levels are whole each time.
            name if name.starts_with("books") => FrameKind::PassedOver("depth_snapshot"),
            name if name.starts_with("candle") => FrameKind::PassedOver("kline"),
            "ticker" => FrameKind::PassedOver("ticker"),
            name => FrameKind::Unknown(name.chars().take(NAME_CHARS).collect()),
        })
    }

    fn on_trades(
        &mut self,
        arg: Arg<'_>,
        data: Token<'_>,
        past: bool,
        sink: &mut Sink<'_>,
    ) -> Result<FrameKind, String> {
        let name = arg.inst_id.text().ok_or("the symbol is no text")?;
        let rows: Vec<Cells<'_, 4>> = serde_json::from_slice(data.0).map_err(|error| error.to_string())?;
        let found = rows.iter().map(read_trade).collect::<Result<Vec<_>, _>>()?;
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

fn read_trade(row: &Cells<'_, 4>) -> Result<Found, Reason> {
    let [time, price, size, side] = row.all().ok_or("a trade without time, price, size and side")?;
    let time = time.time(Unit::Millis).ok_or("the trade's time is no number")?;
    let price = price.decimal().ok_or("the trade's price is no number")?;
    let size = size.decimal().ok_or("the trade's size is no number")?;
    let side = match side.0 {
        br#""buy""# => Side::Buy,
        br#""sell""# => Side::Sell,
        _ => return Err("the trade's side is neither buy nor sell"),
    };
    Ok((time, trade(None, price, size, side)))
}
