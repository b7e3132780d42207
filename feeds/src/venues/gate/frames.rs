//! What Gate's frames have in them.

use std::borrow::Cow;

use serde::Deserialize;

use super::Market;
use crate::json::{Reason, Token, quote, trade};
use crate::number::Decimal;
use crate::past::PastTrade;
use crate::tick::{Event, Rejection, Side};
use crate::time::{Nanos, TimeError, Unit, parse_in};
use crate::verdict::Fault;

/// The outer object of a frame.
#[derive(Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(borrow)]
    pub(super) time: Option<Token<'a>>,
    #[serde(borrow)]
    pub(super) time_ms: Option<Token<'a>>,
    #[serde(borrow)]
    pub(super) channel: Option<Token<'a>>,
    #[serde(borrow)]
    pub(super) event: Option<Token<'a>>,
    #[serde(borrow)]
    pub(super) id: Option<Token<'a>>,
    #[serde(borrow)]
    pub(super) error: Option<Token<'a>>,
    #[serde(borrow)]
    pub(super) result: Option<Token<'a>>,
    #[serde(borrow, rename = "type")]
    pub(super) kind: Option<Token<'a>>,
    #[serde(borrow)]
    pub(super) msg: Option<Token<'a>>,
}

/// Why a request was refused.
#[derive(Deserialize)]
pub(super) struct Complaint {
    pub(super) message: String,
}

/// A time behind a frame that gives no tick.
#[derive(Deserialize)]
pub(super) struct Timed<'a> {
    #[serde(borrow)]
    pub(super) t: Option<Token<'a>>,
}

#[derive(Deserialize)]
struct SpotTrade<'a> {
    #[serde(borrow)]
    id: Token<'a>,
    #[serde(borrow)]
    create_time_ms: Token<'a>,
    #[serde(borrow)]
    side: Token<'a>,
    #[serde(borrow)]
    currency_pair: Token<'a>,
    #[serde(borrow)]
    amount: Token<'a>,
    #[serde(borrow)]
    price: Token<'a>,
}

#[derive(Deserialize)]
struct FuturesTrade<'a> {
    #[serde(borrow)]
    id: Token<'a>,
    #[serde(borrow)]
    create_time_ms: Token<'a>,
    #[serde(borrow)]
    contract: Token<'a>,
    #[serde(borrow)]
    size: Token<'a>,
    #[serde(borrow)]
    price: Token<'a>,
    #[serde(default)]
    is_internal: bool,
}

#[derive(Deserialize)]
struct BookTicker<'a> {
    #[serde(borrow, rename = "t")]
    time: Token<'a>,
    #[serde(borrow, rename = "u")]
    id: Token<'a>,
    #[serde(borrow, rename = "s")]
    symbol: Token<'a>,
    #[serde(borrow, rename = "b")]
    bid: Token<'a>,
    #[serde(borrow, rename = "B")]
    bid_size: Token<'a>,
    #[serde(borrow, rename = "a")]
    ask: Token<'a>,
    #[serde(borrow, rename = "A")]
    ask_size: Token<'a>,
}

/// A row as a tick is made of it.
pub(super) struct Found<'a> {
    pub(super) symbol: Cow<'a, str>,
    pub(super) time: Result<Nanos, TimeError>,
    pub(super) event: Result<Event, Rejection>,
    /// True if it is none of the market's own.
    pub(super) excluded: bool,
}

/// Milliseconds, which may have digits behind a point.
fn millis(token: Token<'_>) -> Option<Result<Nanos, TimeError>> {
    token.number().map(|digits| parse_in(digits, Unit::Millis))
}

impl<'a> SpotTrade<'a> {
    fn found(&self) -> Result<Found<'a>, Reason> {
        let id = self.id.whole().ok_or("no id in the trade")?;
        let price = self.price.decimal().ok_or("no price in the trade")?;
        let size = self.amount.decimal().ok_or("no amount in the trade")?;
        let side = match self.side.0 {
            br#""buy""# => Side::Buy,
            br#""sell""# => Side::Sell,
            _ => return Err("the trade's side is neither buy nor sell"),
        };
        Ok(Found {
            symbol: self.currency_pair.text().ok_or("the trade's pair is no text")?,
            time: millis(self.create_time_ms).ok_or("no time in the trade")?,
            event: trade(Some(id), price, size, side),
            excluded: false,
        })
    }
}

impl<'a> FuturesTrade<'a> {
    fn found(&self) -> Result<Found<'a>, Reason> {
        let id = self.id.whole().ok_or("no id in the trade")?;
        let price = self.price.decimal().ok_or("no price in the trade")?;
        let size = self.size.number().ok_or("no size in the trade")?;
        let (digits, side) = match size.strip_prefix(b"-") {
            Some(digits) => (digits, Side::Sell),
            None => (size, Side::Buy),
        };
        let size = Decimal::parse(digits).map_err(|_| Rejection::BadNumber);
        Ok(Found {
            symbol: self.contract.text().ok_or("the trade's contract is no text")?,
            time: millis(self.create_time_ms).ok_or("no time in the trade")?,
            event: trade(Some(id), price, size, side),
            excluded: self.is_internal,
        })
    }
}

/// The trades of a frame: an object, or several in an array.
pub(super) fn trades(market: Market, result: &[u8]) -> Result<Vec<Found<'_>>, Fault> {
    fn rows<'a, R: Deserialize<'a>>(result: &'a [u8]) -> Result<Vec<R>, serde_json::Error> {
        if result.starts_with(b"[") {
            return serde_json::from_slice(result);
        }
        serde_json::from_slice(result).map(|row| vec![row])
    }
    let found: Result<Vec<_>, _> = match market {
        Market::Spot => rows::<SpotTrade<'_>>(result)?.iter().map(SpotTrade::found).collect(),
        Market::Futures => rows::<FuturesTrade<'_>>(result)?.iter().map(FuturesTrade::found).collect(),
    };
    Ok(found?)
}

/// The spot trades of an answer about the past.
pub(super) fn past_trades(body: &[u8]) -> Result<Vec<PastTrade>, Fault> {
    let rows: Vec<SpotTrade<'_>> = serde_json::from_slice(body)?;
    let row = |row: &SpotTrade<'_>| {
        let Found { time, event, .. } = row.found()?;
        Ok(PastTrade { id: row.id.whole().ok_or("no id in the trade")?, time, event })
    };
    rows.iter().map(row).collect()
}

/// The quote of a frame.
pub(super) fn book_ticker(result: &[u8]) -> Result<Found<'_>, Fault> {
    let row: BookTicker<'_> = serde_json::from_slice(result)?;
    // A side without orders has an empty price, and perhaps an empty size.
    let number = |token: Token<'_>| match token.0 {
        br#""""# => Some(Ok(Decimal::ZERO)),
        _ => token.decimal(),
    };
    let bid = number(row.bid).ok_or("no bid in the quote")?;
    let bid_size = number(row.bid_size).ok_or("no size of the bid in the quote")?;
    let ask = number(row.ask).ok_or("no ask in the quote")?;
    let ask_size = number(row.ask_size).ok_or("no size of the ask in the quote")?;
    let id = row.id.whole().ok_or("no id in the quote")?;
    Ok(Found {
        symbol: row.symbol.text().ok_or("the quote's symbol is no text")?,
        time: millis(row.time).ok_or("no time in the quote")?,
        event: quote(Some(id), [bid, bid_size, ask, ask_size]).map(Event::Quote),
        excluded: false,
    })
}
