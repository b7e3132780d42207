//! What Bybit's frames have in them, as the text it was written in.

use std::borrow::Cow;

use serde::Deserialize;

use crate::json::{Cells, Reason, Token, folded, trade, uuid};
use crate::number::Decimal;
use crate::tick::{Event, Rejection, Side};
use crate::time::{Nanos, TimeError, Unit};

/// The outer object of a frame, and the fields of answers.
#[derive(Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(borrow)]
    pub(super) topic: Option<Token<'a>>,
    #[serde(borrow, rename = "type")]
    pub(super) kind: Option<Token<'a>>,
    #[serde(borrow)]
    pub(super) ts: Option<Token<'a>>,
    #[serde(borrow)]
    pub(super) cts: Option<Token<'a>>,
    /// The time of sending before v5, in microseconds.
    #[serde(borrow)]
    pub(super) timestamp_e6: Option<Token<'a>>,
    #[serde(borrow)]
    pub(super) data: Option<Token<'a>>,
    pub(super) success: Option<bool>,
    #[serde(borrow)]
    pub(super) ret_msg: Option<Token<'a>>,
    #[serde(borrow)]
    pub(super) req_id: Option<Token<'a>>,
    #[serde(borrow)]
    pub(super) op: Option<Token<'a>>,
}

/// A trade of v5.
#[derive(Deserialize)]
pub(super) struct TradeRow<'a> {
    #[serde(borrow, rename = "T")]
    time: Token<'a>,
    #[serde(borrow, rename = "s")]
    symbol: Token<'a>,
    #[serde(borrow, rename = "S")]
    side: Token<'a>,
    #[serde(borrow, rename = "v")]
    size: Token<'a>,
    #[serde(borrow, rename = "p")]
    price: Token<'a>,
    #[serde(borrow, rename = "i")]
    id: Token<'a>,
}

/// A trade of v2.
#[derive(Deserialize)]
struct TradeRowOfV2<'a> {
    #[serde(borrow)]
    trade_time_ms: Token<'a>,
    #[serde(borrow)]
    symbol: Token<'a>,
    #[serde(borrow)]
    side: Token<'a>,
    #[serde(borrow)]
    size: Token<'a>,
    #[serde(borrow)]
    price: Token<'a>,
    #[serde(borrow)]
    trade_id: Token<'a>,
}

impl<'a> From<TradeRowOfV2<'a>> for TradeRow<'a> {
    fn from(row: TradeRowOfV2<'a>) -> TradeRow<'a> {
        let TradeRowOfV2 { trade_time_ms: time, symbol, side, size, price, trade_id: id } = row;
        TradeRow { time, symbol, side, size, price, id }
    }
}

/// The levels of a book's frame.
#[derive(Deserialize)]
pub(super) struct Levels<'a> {
    #[serde(borrow, rename = "s")]
    pub(super) symbol: Token<'a>,
    #[serde(borrow, rename = "b")]
    pub(super) bids: Vec<Cells<'a, 2>>,
    #[serde(borrow, rename = "a")]
    pub(super) asks: Vec<Cells<'a, 2>>,
    #[serde(borrow, rename = "u")]
    pub(super) update: Token<'a>,
    #[serde(borrow)]
    pub(super) seq: Option<Token<'a>>,
}

impl<'a> Envelope<'a> {
    /// The trades of a frame of v5.
    ///
    /// # Errors
    /// If it has none of their form.
    pub(super) fn trades(&self) -> Result<Vec<TradeRow<'a>>, String> {
        self.read()
    }

    /// The trades of a frame of v2.
    ///
    /// # Errors
    /// If it has none of their form.
    pub(super) fn trades_of_v2(&self) -> Result<Vec<TradeRow<'a>>, String> {
        let rows: Vec<TradeRowOfV2<'a>> = self.read()?;
        Ok(rows.into_iter().map(TradeRow::from).collect())
    }

    /// `data`, if it is a `T`.
    ///
    /// # Errors
    /// What it is not.
    pub(super) fn read<T: Deserialize<'a>>(&self) -> Result<T, String> {
        let data = self.data.ok_or("no `data`")?;
        serde_json::from_slice(data.0).map_err(|error| error.to_string())
    }
}

/// A trade's id as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TradeId {
    Number(u64),
    Uuid(u128),
}

impl TradeId {
    /// The id that ticks have.
    pub(super) fn number(self) -> u64 {
        match self {
            TradeId::Number(number) => number,
            TradeId::Uuid(uuid) => folded(uuid),
        }
    }
}

/// A trade that a frame tells of.
pub(super) struct FoundTrade<'a> {
    pub(super) symbol: Cow<'a, str>,
    pub(super) time: Result<Nanos, TimeError>,
    pub(super) event: Result<Event, Rejection>,
}

impl<'a> TradeRow<'a> {
    /// The id; `None` if it is neither a number nor a UUID. Such a trade has none.
    pub(super) fn id(&self) -> Option<TradeId> {
        if let Some(number) = self.id.whole() {
            return Some(TradeId::Number(number));
        }
        uuid(self.id.number()?).map(TradeId::Uuid)
    }

    /// The trade.
    ///
    /// # Errors
    /// Which field is not of its type.
    pub(super) fn found(&self) -> Result<FoundTrade<'a>, Reason> {
        let symbol = self.symbol.text().ok_or("the trade's symbol is no text")?;
        let time = self.time.time(Unit::Millis).ok_or("the trade's time is no number")?;
        let price = self.price.decimal().ok_or("the trade's price is no number")?;
        let size = self.size.decimal().ok_or("the trade's size is no number")?;
        let side = match self.side.0 {
            br#""Buy""# => Side::Buy,
            br#""Sell""# => Side::Sell,
            _ => return Err("the trade's side is neither Buy nor Sell"),
        };
        self.id.number().ok_or("the trade's id is neither a number nor a text")?;
        let event = trade(self.id().map(TradeId::number), price, size, side);
        Ok(FoundTrade { symbol, time, event })
    }
}

/// A level's price and size.
///
/// # Errors
/// If they are no numbers; inside, if they cannot be used.
pub(super) fn level(row: &Cells<'_, 2>) -> Result<Result<(Decimal, Decimal), Rejection>, Reason> {
    let [price, size] = row.all().ok_or("a level without price and size")?;
    let price = price.decimal().ok_or("a level's price is no number")?;
    let size = size.decimal().ok_or("a level's size is no number")?;
    Ok(price.and_then(|price| Ok((price, size?))))
}

/// What a topic is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Trades,
    Quotes,
    Depth,
    TradesOfV2,
    DepthOfV2,
    Other,
}

impl Topic {
    pub(super) fn of(topic: &str) -> Topic {
        match topic.split_once('.') {
            Some(("publicTrade", _)) => Topic::Trades,
            Some(("orderbook", rest)) if rest.starts_with("1.") => Topic::Quotes,
            Some(("orderbook", _)) => Topic::Depth,
            Some(("trade", _)) => Topic::TradesOfV2,
            Some(("orderBookL2_25" | "orderBook_200", _)) => Topic::DepthOfV2,
            _ => Topic::Other,
        }
    }
}
