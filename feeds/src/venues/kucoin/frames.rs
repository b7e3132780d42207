//! What KuCoin's frames have in them.

use serde::Deserialize;

use crate::json::{Cells, Reason, Token};
use crate::number::Decimal;
use crate::tick::Rejection;
use crate::time::{Nanos, TimeError, Unit};
use crate::verdict::Fault;

#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Token<'a>,
    #[serde(borrow)]
    pub(super) id: Option<Token<'a>>,
    #[serde(borrow)]
    pub(super) topic: Option<Token<'a>>,
    #[serde(borrow)]
    pub(super) subject: Option<Token<'a>>,
    #[serde(borrow)]
    pub(super) data: Option<Token<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Match<'a> {
    #[serde(borrow)]
    pub(super) symbol: Token<'a>,
    #[serde(borrow)]
    pub(super) sequence: Token<'a>,
    #[serde(borrow)]
    pub(super) side: Token<'a>,
    #[serde(borrow)]
    pub(super) size: Token<'a>,
    #[serde(borrow)]
    pub(super) price: Token<'a>,
    #[serde(borrow)]
    pub(super) time: Token<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TickerData<'a> {
    #[serde(borrow)]
    pub(super) sequence: Token<'a>,
    #[serde(borrow)]
    pub(super) best_bid: Token<'a>,
    #[serde(borrow)]
    pub(super) best_bid_size: Token<'a>,
    #[serde(borrow)]
    pub(super) best_ask: Token<'a>,
    #[serde(borrow)]
    pub(super) best_ask_size: Token<'a>,
    #[serde(borrow)]
    pub(super) time: Token<'a>,
}

#[derive(Deserialize)]
pub(super) struct Level1<'a> {
    #[serde(borrow)]
    pub(super) bids: Cells<'a, 2>,
    #[serde(borrow)]
    pub(super) asks: Cells<'a, 2>,
    #[serde(borrow)]
    pub(super) timestamp: Token<'a>,
}

/// A quote as one of the two streams has it; price, size and time may still be unusable.
pub(super) struct FoundQuote {
    pub(super) id: Option<u64>,
    pub(super) time: Result<Nanos, TimeError>,
    pub(super) sides: [Result<Decimal, Rejection>; 4],
}

impl FoundQuote {
    pub(super) fn of_ticker(data: &[u8]) -> Result<FoundQuote, Fault> {
        let row: TickerData<'_> = serde_json::from_slice(data)?;
        let sides = [row.best_bid, row.best_bid_size, row.best_ask, row.best_ask_size];
        Ok(FoundQuote {
            id: Some(row.sequence.whole().ok_or("no sequence in the ticker")?),
            time: row.time.time(Unit::Millis).ok_or("no time in the ticker")?,
            sides: decimals(sides)?,
        })
    }

    pub(super) fn of_level1(data: &[u8]) -> Result<FoundQuote, Fault> {
        let row: Level1<'_> = serde_json::from_slice(data)?;
        // A side without orders is empty.
        let side = |cells: Cells<'_, 2>| match cells.some() {
            [] => Ok([Ok(Decimal::ZERO); 2]),
            [price, size] => decimals([*price, *size]),
            _ => Err("no size beside the price"),
        };
        let ([bid, bid_size], [ask, ask_size]) = (side(row.bids)?, side(row.asks)?);
        let time = row.timestamp.time(Unit::Millis).ok_or("no time in the quote")?;
        Ok(FoundQuote { id: None, time, sides: [bid, bid_size, ask, ask_size] })
    }
}

/// The decimals in all of `tokens`; inside, whether they can be used.
pub(super) fn decimals<const N: usize>(
    tokens: [Token<'_>; N],
) -> Result<[Result<Decimal, Rejection>; N], Reason> {
    let mut decimals = [Err(Rejection::BadNumber); N];
    for (decimal, token) in decimals.iter_mut().zip(tokens) {
        *decimal = token.decimal().ok_or("a price or size is no number")?;
    }
    Ok(decimals)
}
