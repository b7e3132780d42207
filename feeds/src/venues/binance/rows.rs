//! Trades and quotes of Binance frames, from the tokens of their fields.
//!
//! A field that is missing or of the wrong JSON type breaks the frame; a value that cannot be used rejects the tick.

use std::borrow::Cow;

use super::fields::{Fields, text};
use crate::json::{Reason, Token, quote};
use crate::number::Decimal;
use crate::tick::{Quote, Rejection, Side, Trade};
use crate::time::{Nanos, TimeError, Unit, in_range, parse_digits};

/// A trade as the frame has it; price, size and time may still be unusable.
pub(super) struct TradeRow<'a> {
    pub(super) symbol: Cow<'a, str>,
    pub(super) time: Result<Nanos, TimeError>,
    id: u64,
    price: &'a [u8],
    size: &'a [u8],
    side: Side,
    /// True if it is none of the market's own (insurance fund, auto-deleveraging).
    pub(super) off_market: bool,
}

impl<'a> TradeRow<'a> {
    /// The trade with the id in `id`.
    pub(super) fn read(fields: &Fields<'a>, id: &'a [u8]) -> Result<TradeRow<'a>, Reason> {
        Ok(TradeRow {
            symbol: symbol(fields.symbol)?,
            time: time(fields.time).ok_or("no trade time `T` in the trade")?,
            id: whole(id).ok_or("no id in the trade")?,
            price: number(fields.price).ok_or("no price `p` in the trade")?,
            size: number(fields.size).ok_or("no size `q` in the trade")?,
            side: match fields.buyer_is_maker {
                b"true" => Side::Sell,
                b"false" => Side::Buy,
                _ => return Err("no side `m` in the trade"),
            },
            off_market: match fields.execution {
                b"" | br#""MARKET""# => false,
                [b'"', ..] => true,
                _ => return Err("the kind of execution `X` is no text"),
            },
        })
    }

    /// The trade itself. One that is not the market's may be of size zero: it is not counted, but its id is.
    #[inline]
    pub(super) fn trade(&self) -> Result<Trade, Rejection> {
        let price = Decimal::parse(self.price).map_err(|_| Rejection::BadNumber)?;
        let size = Decimal::parse(self.size).map_err(|_| Rejection::BadNumber)?;
        if price.is_negative() || size.is_negative() || (size.is_zero() && !self.off_market) {
            return Err(Rejection::BadSign);
        }
        Ok(Trade::new(Some(self.id), price, size, self.side))
    }
}

/// A quote as the frame has it; prices, sizes and time may still be unusable.
pub(super) struct QuoteRow<'a> {
    pub(super) symbol: Cow<'a, str>,
    /// The venue's time; `None` on spot, where it gives none.
    pub(super) time: Option<Result<Nanos, TimeError>>,
    id: u64,
    numbers: [&'a [u8]; 4],
}

impl<'a> QuoteRow<'a> {
    pub(super) fn read(fields: &Fields<'a>) -> Result<QuoteRow<'a>, Reason> {
        let own_time = if fields.time.is_empty() { fields.event_time } else { fields.time };
        let time = match own_time {
            b"" => None,
            token => Some(time(token).ok_or("the time of the quote is no number")?),
        };
        Ok(QuoteRow {
            symbol: symbol(fields.symbol)?,
            time,
            id: whole(fields.update_id).ok_or("no update id `u` in the quote")?,
            numbers: [
                number(fields.b).ok_or("no bid `b` in the quote")?,
                number(fields.bid_size).ok_or("no bid size `B` in the quote")?,
                number(fields.a).ok_or("no ask `a` in the quote")?,
                number(fields.ask_size).ok_or("no ask size `A` in the quote")?,
            ],
        })
    }

    /// The quote itself.
    #[inline]
    pub(super) fn quote(&self) -> Result<Quote, Rejection> {
        let sides = self.numbers.map(|text| Decimal::parse(text).map_err(|_| Rejection::BadNumber));
        quote(Some(self.id), sides)
    }
}

/// A time in milliseconds or, with `timeUnit=microsecond`, in microseconds; their ranges do not overlap. `None` if
/// the token is no number.
#[inline]
pub(super) fn time(token: &[u8]) -> Option<Result<Nanos, TimeError>> {
    if !is_number(token) {
        return None;
    }
    let Some(value) = parse_digits(token) else { return Some(Err(TimeError::OutOfRange)) };
    let unit = if Unit::Millis.to_nanos(value).is_ok() { Unit::Millis } else { Unit::Micros };
    Some(unit.to_nanos(value).and_then(in_range))
}

fn symbol(token: &[u8]) -> Result<Cow<'_, str>, Reason> {
    text(token).filter(|symbol| !symbol.is_empty()).ok_or("no symbol `s`")
}

#[inline]
fn whole(token: &[u8]) -> Option<u64> {
    // Ids are JSON numbers.
    if is_number(token) { Token(token).whole() } else { None }
}

#[inline]
fn number(token: &[u8]) -> Option<&[u8]> {
    Token(token).number()
}

#[inline]
fn is_number(token: &[u8]) -> bool {
    matches!(token.first(), Some(b'-' | b'0'..=b'9'))
}
