//! Version 1: an array of a channel's number, one or two payloads, the channel's name and the pair.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::session::{KrakenSession, QuoteStream};
use crate::frame::FrameKind;
use crate::json::{Reason, Sink, Token, quote, trade};
use crate::tick::{Quote, Rejection, Side};
use crate::time::{Nanos, TimeError, Unit, parse_in};
use crate::verdict::{Fault, ticks_or, unknown};

/// The parts of a frame.
struct Parts<'a> {
    /// The first payload.
    payload: Token<'a>,
    channel: Cow<'a, str>,
    pair: Cow<'a, str>,
}

fn parts(payload: &[u8]) -> Result<Parts<'_>, Fault> {
    let tokens: Vec<Token<'_>> = serde_json::from_slice(payload)?;
    let [number, payload, .., channel, pair] = tokens.as_slice() else {
        return Err("an array that is too short".into());
    };
    number.whole().ok_or("no number of a channel at the front")?;
    let channel = channel.text().ok_or("no name of a channel")?;
    let pair = pair.text().ok_or("no pair at the end")?;
    Ok(Parts { payload: *payload, channel, pair })
}

/// Kinds of channels by the beginning of their names, the rest being depth or interval.
fn kind(channel: &str) -> &str {
    channel.split('-').next().unwrap_or_default()
}

pub(super) fn recognises(payload: &[u8]) -> bool {
    parts(payload).is_ok_and(|parts| {
        let is_known = ["trade", "ticker", "spread", "book", "ohlc"].contains(&kind(&parts.channel));
        is_known && parts.pair.contains('/')
    })
}

/// Price, size, time, side, kind of order, more.
#[derive(Deserialize)]
struct TradeRow<'a>(
    #[serde(borrow)] Token<'a>,
    #[serde(borrow)] Token<'a>,
    #[serde(borrow)] Token<'a>,
    #[serde(borrow)] Token<'a>,
    IgnoredAny,
    IgnoredAny,
);

/// Price, whole lots, size.
#[derive(Deserialize)]
struct Best<'a>(#[serde(borrow)] Token<'a>, IgnoredAny, #[serde(borrow)] Token<'a>);

#[derive(Deserialize)]
struct Ticker<'a> {
    #[serde(borrow)]
    a: Best<'a>,
    #[serde(borrow)]
    b: Best<'a>,
}

/// Bid, ask, time, size of the bid, size of the ask.
#[derive(Deserialize)]
struct Spread<'a>(#[serde(borrow)] [Token<'a>; 5]);

#[derive(Deserialize)]
struct Book {
    #[serde(rename = "as")]
    asks: Option<IgnoredAny>,
    #[serde(rename = "bs")]
    bids: Option<IgnoredAny>,
}

impl KrakenSession {
    /// A frame of version 1 that is an array.
    pub(super) fn on_array(&mut self, payload: &[u8], sink: &mut Sink<'_>) -> Result<FrameKind, Fault> {
        let parts = parts(payload)?;
        match kind(&parts.channel) {
            "trade" => self.on_array_trades(&parts, sink),
            "ticker" => {
                let Ticker { a, b } = serde_json::from_slice(parts.payload.0)?;
                let quote = quote_of([b.0, b.2, a.0, a.2])?;
                Ok(self.put_quote(QuoteStream::Ticker, &parts.pair, None, quote, sink))
            }
            "spread" => {
                let Spread([bid, ask, time, bid_size, ask_size]) = serde_json::from_slice(parts.payload.0)?;
                let time = seconds(time).ok_or("no time in the spread")?;
                let quote = quote_of([bid, bid_size, ask, ask_size])?;
                self.observe(time, sink);
                Ok(self.put_quote(QuoteStream::Spread, &parts.pair, Some(time), quote, sink))
            }
            "book" => {
                let book: Book = serde_json::from_slice(parts.payload.0)?;
                let is_snapshot = book.asks.is_some() || book.bids.is_some();
                Ok(FrameKind::PassedOver(if is_snapshot { "depth_snapshot" } else { "depth" }))
            }
            "ohlc" => Ok(FrameKind::PassedOver("kline")),
            other => Ok(unknown(other)),
        }
    }

    fn on_array_trades(&mut self, parts: &Parts<'_>, sink: &mut Sink<'_>) -> Result<FrameKind, Fault> {
        let rows: Vec<TradeRow<'_>> = serde_json::from_slice(parts.payload.0)?;
        let mut trades = Vec::with_capacity(rows.len());
        for TradeRow(price, size, time, side, ..) in rows {
            let price = price.decimal().ok_or("no price in a trade")?;
            let size = size.decimal().ok_or("no size in a trade")?;
            let time = seconds(time).ok_or("no time in a trade")?;
            let side = match side.0 {
                br#""b""# => Side::Buy,
                br#""s""# => Side::Sell,
                _ => return Err("the side of a trade is neither b nor s".into()),
            };
            trades.push((time, trade(None, price, size, side)));
        }
        for (time, trade) in &trades {
            self.observe(*time, sink);
            let symbol = sink.symbols.intern(parts.pair.as_bytes());
            sink.put(symbol, *time, *trade);
        }
        Ok(ticks_or(!trades.is_empty(), "no_trades"))
    }
}

/// Bid, its size, ask, its size.
fn quote_of(tokens: [Token<'_>; 4]) -> Result<Result<Quote, Rejection>, Reason> {
    let [Some(bid), Some(bid_size), Some(ask), Some(ask_size)] = tokens.map(Token::decimal) else {
        return Err("a best price or size is no decimal");
    };
    Ok(quote(None, [bid, bid_size, ask, ask_size]))
}

/// A time in seconds with a fraction.
pub(super) fn seconds(token: Token<'_>) -> Option<Result<Nanos, TimeError>> {
    token.number().map(|digits| parse_in(digits, Unit::Seconds))
}
