//! What OKX's frames have in them, as the text it was written in.

use serde::Deserialize;

use crate::json::{Best, Reason, Token, quote, trade};
use crate::number::Decimal;
use crate::tick::{Event, Quote, Rejection, Side};
use crate::time::{Nanos, TimeError, Unit};

/// The outer object of a frame, and the fields of answers.
#[derive(Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(borrow)]
    pub(super) arg: Option<Arg<'a>>,
    #[serde(borrow)]
    pub(super) action: Option<Token<'a>>,
    #[serde(borrow)]
    pub(super) data: Option<Token<'a>>,
    #[serde(borrow)]
    pub(super) event: Option<Token<'a>>,
    #[serde(borrow)]
    pub(super) code: Option<Token<'a>>,
    #[serde(borrow)]
    pub(super) msg: Option<Token<'a>>,
    #[serde(borrow)]
    pub(super) id: Option<Token<'a>>,
}

/// What a frame is of.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arg<'a> {
    #[serde(borrow)]
    pub(super) channel: Token<'a>,
    #[serde(borrow)]
    pub(super) inst_id: Option<Token<'a>>,
    #[serde(borrow)]
    pub(super) inst_type: Option<Token<'a>>,
}

/// The streams that a channel's name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Trades(Grain),
    Best,
    Tickers,
    Depth,
    Other,
}

/// What one row of trades is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grain {
    /// What one order took at one price.
    Order,
    /// Every fill.
    Fill,
}

impl Stream {
    pub(super) fn of(channel: &str) -> Stream {
        match channel {
            "trades" => Stream::Trades(Grain::Order),
            "trades-all" => Stream::Trades(Grain::Fill),
            "bbo-tbt" => Stream::Best,
            "tickers" => Stream::Tickers,
            "books" | "books5" | "books-l2-tbt" | "books50-l2-tbt" | "books-elp-all" | "books-elp" => {
                Stream::Depth
            }
            _ => Stream::Other,
        }
    }
}

/// A trade.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TradeRow<'a> {
    #[serde(borrow)]
    pub(super) inst_id: Token<'a>,
    #[serde(borrow)]
    trade_id: Token<'a>,
    #[serde(borrow)]
    px: Token<'a>,
    #[serde(borrow)]
    sz: Token<'a>,
    #[serde(borrow)]
    side: Token<'a>,
    #[serde(borrow)]
    ts: Token<'a>,
    #[serde(borrow)]
    count: Option<Token<'a>>,
}

/// The levels of a book.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BookRow<'a> {
    #[serde(borrow)]
    bids: Best<'a>,
    #[serde(borrow)]
    asks: Best<'a>,
    #[serde(borrow)]
    ts: Token<'a>,
    #[serde(borrow)]
    pub(super) seq_id: Option<Token<'a>>,
    #[serde(borrow)]
    pub(super) checksum: Option<Token<'a>>,
}

/// The best prices of a ticker.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TickerRow<'a> {
    #[serde(borrow)]
    bid_px: Token<'a>,
    #[serde(borrow)]
    bid_sz: Token<'a>,
    #[serde(borrow)]
    ask_px: Token<'a>,
    #[serde(borrow)]
    ask_sz: Token<'a>,
    #[serde(borrow)]
    ts: Token<'a>,
}

/// The time of any row, if it has one.
#[derive(Deserialize)]
pub(super) struct TimedRow<'a> {
    #[serde(borrow)]
    pub(super) ts: Option<Token<'a>>,
}

/// A trade that a frame tells of, with its id and how many fills it is.
pub(super) struct FoundTrade {
    pub(super) id: u64,
    pub(super) fills: Option<u64>,
    pub(super) time: Result<Nanos, TimeError>,
    pub(super) event: Result<Event, Rejection>,
}

/// A quote that a frame tells of.
pub(super) struct FoundQuote {
    pub(super) time: Result<Nanos, TimeError>,
    pub(super) quote: Result<Quote, Rejection>,
}

impl<'a> Envelope<'a> {
    /// # Errors
    /// If `data` has no trades.
    pub(super) fn trades(&self) -> Result<Vec<TradeRow<'a>>, String> {
        self.read()
    }

    /// # Errors
    /// If `data` has no levels.
    pub(super) fn books(&self) -> Result<Vec<BookRow<'a>>, String> {
        self.read()
    }

    /// # Errors
    /// If `data` has no tickers.
    pub(super) fn tickers(&self) -> Result<Vec<TickerRow<'a>>, String> {
        self.read()
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

impl TradeRow<'_> {
    /// The trade.
    ///
    /// # Errors
    /// Which field is not of its type.
    pub(super) fn found(&self) -> Result<FoundTrade, Reason> {
        let id = self.trade_id.whole().ok_or("the trade's id is no number")?;
        let fills = match self.count {
            Some(count) => Some(count.whole().ok_or("the trade's number of fills is no number")?),
            None => None,
        };
        let time = self.ts.time(Unit::Millis).ok_or("the trade's time is no number")?;
        let price = self.px.decimal().ok_or("the trade's price is no number")?;
        let size = self.sz.decimal().ok_or("the trade's size is no number")?;
        let side = match self.side.0 {
            br#""buy""# => Side::Buy,
            br#""sell""# => Side::Sell,
            _ => return Err("the trade's side is neither buy nor sell"),
        };
        Ok(FoundTrade { id, fills, time, event: trade(Some(id), price, size, side) })
    }
}

impl BookRow<'_> {
    /// The best prices.
    ///
    /// # Errors
    /// Which field is not of its type.
    pub(super) fn found(&self) -> Result<FoundQuote, Reason> {
        let id = match self.seq_id {
            Some(id) => Some(id.whole().ok_or("the quote's `seqId` is no number")?),
            None => None,
        };
        let time = self.ts.time(Unit::Millis).ok_or("the quote's time is no number")?;
        let [bid, bid_size] = self.bids.decimals().ok_or("the best bid is no price and size")?;
        let [ask, ask_size] = self.asks.decimals().ok_or("the best ask is no price and size")?;
        Ok(FoundQuote { time, quote: quote(id, [bid, bid_size, ask, ask_size]) })
    }
}

impl TickerRow<'_> {
    /// The best prices.
    ///
    /// # Errors
    /// Which field is not of its type.
    pub(super) fn found(&self) -> Result<FoundQuote, Reason> {
        let time = self.ts.time(Unit::Millis).ok_or("the ticker's time is no number")?;
        // A side without orders is written as an empty text.
        let number = |token: Token<'_>| match token.0 {
            br#""""# => Some(Ok(Decimal::ZERO)),
            _ => token.decimal(),
        };
        let side = |price, size| Some([number(price)?, number(size)?]);
        let [bid, bid_size] = side(self.bid_px, self.bid_sz).ok_or("the ticker's bid is no number")?;
        let [ask, ask_size] = side(self.ask_px, self.ask_sz).ok_or("the ticker's ask is no number")?;
        Ok(FoundQuote { time, quote: quote(None, [bid, bid_size, ask, ask_size]) })
    }
}
