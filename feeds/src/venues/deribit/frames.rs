//! What Deribit's frames have in them, as the text it was written in.

use std::borrow::Cow;

use serde::Deserialize;

use crate::json::{Reason, Token, quote, side_of, trade};
use crate::tick::{Event, Quote, Rejection, Side};
use crate::time::{Nanos, TimeError, Unit};

/// A frame of JSON-RPC: a notice with `method` and `params`, or an answer with `id`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Envelope<'a> {
    #[serde(borrow)]
    pub(super) method: Option<Token<'a>>,
    #[serde(borrow)]
    pub(super) params: Option<Params<'a>>,
    #[serde(borrow)]
    pub(super) id: Option<Token<'a>>,
    #[serde(borrow)]
    pub(super) result: Option<Token<'a>>,
    #[serde(borrow)]
    pub(super) error: Option<Token<'a>>,
    /// When an answer was sent, in microseconds.
    #[serde(borrow)]
    pub(super) us_out: Option<Token<'a>>,
}

/// What a notice is about.
#[derive(Deserialize)]
pub(super) struct Params<'a> {
    #[serde(borrow)]
    pub(super) channel: Option<Token<'a>>,
    #[serde(borrow)]
    data: Option<Token<'a>>,
    #[serde(borrow, rename = "type")]
    pub(super) kind: Option<Token<'a>>,
}

/// The streams that a channel's name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Trades,
    Quotes,
    Tickers,
    Depth,
    Other,
}

impl Stream {
    pub(super) fn of(channel: &str) -> Stream {
        match channel.split_once('.') {
            Some(("trades", _)) => Stream::Trades,
            Some(("quote", _)) => Stream::Quotes,
            Some(("ticker", _)) => Stream::Tickers,
            Some(("book", _)) => Stream::Depth,
            _ => Stream::Other,
        }
    }
}

/// A trade.
#[derive(Deserialize)]
pub(super) struct TradeRow<'a> {
    #[serde(borrow)]
    instrument_name: Token<'a>,
    #[serde(borrow)]
    trade_seq: Token<'a>,
    #[serde(borrow)]
    timestamp: Token<'a>,
    #[serde(borrow)]
    price: Token<'a>,
    #[serde(borrow)]
    amount: Token<'a>,
    #[serde(borrow)]
    direction: Token<'a>,
}

/// The best prices of a quote or a ticker.
#[derive(Deserialize)]
pub(super) struct QuoteRow<'a> {
    #[serde(borrow)]
    instrument_name: Token<'a>,
    #[serde(borrow)]
    timestamp: Token<'a>,
    #[serde(borrow)]
    best_bid_price: Token<'a>,
    #[serde(borrow)]
    best_bid_amount: Token<'a>,
    #[serde(borrow)]
    best_ask_price: Token<'a>,
    #[serde(borrow)]
    best_ask_amount: Token<'a>,
}

/// What other data may have.
#[derive(Default, Deserialize)]
pub(super) struct OtherRow<'a> {
    #[serde(borrow)]
    instrument_name: Option<Token<'a>>,
    #[serde(borrow)]
    change_id: Option<Token<'a>>,
    #[serde(borrow)]
    timestamp: Option<Token<'a>>,
    #[serde(borrow, rename = "type")]
    pub(super) kind: Option<Token<'a>>,
}

impl OtherRow<'_> {
    /// The time in it.
    pub(super) fn time(&self) -> Option<Nanos> {
        self.timestamp?.time(Unit::Millis)?.ok()
    }
}

/// A trade that a frame tells of.
pub(super) struct FoundTrade<'a> {
    pub(super) symbol: Cow<'a, str>,
    pub(super) id: u64,
    pub(super) time: Result<Nanos, TimeError>,
    pub(super) event: Result<Event, Rejection>,
}

/// A quote that a frame tells of.
pub(super) struct FoundQuote<'a> {
    pub(super) symbol: Cow<'a, str>,
    pub(super) time: Result<Nanos, TimeError>,
    pub(super) quote: Result<Quote, Rejection>,
}

impl<'a> Params<'a> {
    /// # Errors
    /// If `data` has no trades.
    pub(super) fn trades(&self) -> Result<Vec<TradeRow<'a>>, String> {
        self.read()
    }

    /// # Errors
    /// If `data` has no best prices.
    pub(super) fn quote(&self) -> Result<QuoteRow<'a>, String> {
        self.read()
    }

    /// What is known of `data` of any kind.
    pub(super) fn other(&self) -> OtherRow<'a> {
        self.read().unwrap_or_default()
    }

    /// True if `data` is plainly a book.
    pub(super) fn is_depth(&self) -> bool {
        let row = self.other();
        row.instrument_name.is_some() && row.change_id.is_some()
    }

    fn read<T: Deserialize<'a>>(&self) -> Result<T, String> {
        let data = self.data.ok_or("no `data`")?;
        serde_json::from_slice(data.0).map_err(|error| error.to_string())
    }
}

impl<'a> TradeRow<'a> {
    /// The trade.
    ///
    /// # Errors
    /// Which field is not of its type.
    pub(super) fn found(&self) -> Result<FoundTrade<'a>, Reason> {
        let symbol = self.instrument_name.text().ok_or("the trade's instrument is no text")?;
        let id = self.trade_seq.whole().ok_or("the trade's `trade_seq` is no number")?;
        let time = self.timestamp.time(Unit::Millis).ok_or("the trade's time is no number")?;
        let price = self.price.decimal().ok_or("the trade's price is no number")?;
        let size = self.amount.decimal().ok_or("the trade's amount is no number")?;
        let side = match self.direction.0 {
            br#""buy""# => Side::Buy,
            br#""sell""# => Side::Sell,
            _ => return Err("the trade's direction is neither buy nor sell"),
        };
        Ok(FoundTrade { symbol, id, time, event: trade(Some(id), price, size, side) })
    }
}

impl<'a> QuoteRow<'a> {
    /// The quote.
    ///
    /// # Errors
    /// Which field is not of its type.
    pub(super) fn found(&self) -> Result<FoundQuote<'a>, Reason> {
        let symbol = self.instrument_name.text().ok_or("the quote's instrument is no text")?;
        let time = self.timestamp.time(Unit::Millis).ok_or("the quote's time is no number")?;
        let there = |token: Token<'a>| (token.0 != b"null").then_some(token);
        let side = |price, amount| side_of(there(price), there(amount));
        let [bid, bid_size] =
            side(self.best_bid_price, self.best_bid_amount).ok_or("the quote's bid is no number")?;
        let [ask, ask_size] =
            side(self.best_ask_price, self.best_ask_amount).ok_or("the quote's ask is no number")?;
        Ok(FoundQuote { symbol, time, quote: quote(None, [bid, bid_size, ask, ask_size]) })
    }
}
