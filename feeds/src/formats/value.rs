//! Single values of a row: numbers, sides, ids, and what is wrong with them.

use crate::frame::FrameError;
use crate::number::{Decimal, NumberError};
use crate::symbol::SymbolId;
use crate::tick::{Rejection, Side};
use crate::time::{Nanos, TimeError, parse_digits};

use super::stamp::Stamps;

/// What is wrong with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It cannot be read, or does not say of which symbol it is.
    Broken(&'static str),
    /// It is a tick of a known symbol, of no use.
    Rejected(SymbolId, Bad),
}

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bad {
    pub(super) rejection: Rejection,
    pub(super) what: &'static str,
    pub(super) why: &'static str,
}

impl Bad {
    pub(super) fn of(self, symbol: SymbolId) -> Fault {
        Fault::Rejected(symbol, self)
    }

    /// The complaint about `row`.
    pub(super) fn about(self, row: &[u8]) -> FrameError {
        FrameError::new(format!("{} {}", self.what, self.why), row)
    }
}

/// `text` without surrounding white space and one pair of quotes.
pub(super) fn plain(text: &[u8]) -> &[u8] {
    let text = text.trim_ascii();
    match text {
        [b'"', inside @ .., b'"'] => inside.trim_ascii(),
        _ => text,
    }
}

/// A decimal of any sign; `what` is its name.
#[inline]
pub(super) fn decimal(text: &[u8], what: &'static str) -> Result<Decimal, Bad> {
    match Decimal::parse(text) {
        Ok(value) => Ok(value),
        Err(_) => decimal_odd(text, what),
    }
}

#[cold]
fn decimal_odd(text: &[u8], what: &'static str) -> Result<Decimal, Bad> {
    Decimal::parse(plain(text)).map_err(|error| {
        let why = match error {
            NumberError::NotANumber => "is not a decimal number",
            NumberError::OutOfRange => "is out of range",
        };
        Bad { rejection: Rejection::BadNumber, what, why }
    })
}

/// A decimal that is not below zero.
#[inline]
pub(super) fn unsigned(text: &[u8], what: &'static str) -> Result<Decimal, Bad> {
    let value = decimal(text, what)?;
    if value.is_negative() {
        return Err(Bad { rejection: Rejection::BadSign, what, why: "is below zero" });
    }
    Ok(value)
}

/// The size of a trade: above zero.
#[inline]
pub(super) fn traded(text: &[u8]) -> Result<Decimal, Bad> {
    let value = unsigned(text, "size")?;
    if value.is_zero() {
        return Err(Bad { rejection: Rejection::BadSign, what: "size", why: "of a trade is zero" });
    }
    Ok(value)
}

/// A price or size of one side of a quote: nothing is zero, for a side without orders.
#[inline]
pub(super) fn quoted(text: &[u8], what: &'static str) -> Result<Decimal, Bad> {
    if text.is_empty() { Ok(Decimal::ZERO) } else { unsigned(text, what) }
}

/// A trade's id: nothing is none.
#[inline]
pub(super) fn id(text: &[u8]) -> Result<Option<u64>, Bad> {
    match parse_digits(text) {
        Some(id) => Ok(Some(id.unsigned_abs())),
        None => id_odd(text),
    }
}

#[cold]
fn id_odd(text: &[u8]) -> Result<Option<u64>, Bad> {
    let text = plain(text);
    if text.is_empty() {
        return Ok(None);
    }
    match std::str::from_utf8(text).map(str::parse) {
        Ok(Ok(id)) if text.iter().all(u8::is_ascii_digit) => Ok(Some(id)),
        _ => Err(Bad { rejection: Rejection::BadNumber, what: "id", why: "is not a number" }),
    }
}

/// A time in `stamps`; `what` is its name.
#[inline]
pub(super) fn time(text: &[u8], stamps: Stamps, what: &'static str) -> Result<Nanos, Bad> {
    stamps.read(text).map_err(|error| {
        let (rejection, why) = match error {
            TimeError::NotATime => (Rejection::BadTime, "is not a time"),
            TimeError::OutOfRange => (Rejection::BadTime, "lies outside 1990-2200"),
            TimeError::OtherUnit => (Rejection::OtherUnit, "is not in the unit of the file's first"),
        };
        Bad { rejection, what, why }
    })
}

/// True or false, as in `is_buyer_maker`: whether the aggressor sold.
#[inline]
pub(super) fn maker_side(text: &[u8]) -> Option<Side> {
    match text {
        b"true" | b"True" => Some(Side::Sell),
        b"false" | b"False" => Some(Side::Buy),
        _ => maker_side_odd(text),
    }
}

#[cold]
fn maker_side_odd(text: &[u8]) -> Option<Side> {
    match plain(text).to_ascii_lowercase().as_slice() {
        b"true" | b"t" | b"1" => Some(Side::Sell),
        b"false" | b"f" | b"0" => Some(Side::Buy),
        b"" => Some(Side::Unknown),
        _ => None,
    }
}

/// The aggressor's side in words.
#[inline]
pub(super) fn taker_side(text: &[u8]) -> Option<Side> {
    match text {
        b"buy" => Some(Side::Buy),
        b"sell" => Some(Side::Sell),
        _ => taker_side_odd(text),
    }
}

#[cold]
fn taker_side_odd(text: &[u8]) -> Option<Side> {
    match plain(text).to_ascii_lowercase().as_slice() {
        b"buy" | b"b" | b"bid" => Some(Side::Buy),
        b"sell" | b"s" | b"ask" => Some(Side::Sell),
        b"" | b"unknown" | b"none" | b"null" | b"-" => Some(Side::Unknown),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_what_is_wrong_with_them() {
        let rejection = |r: Result<Decimal, Bad>| r.unwrap_err().rejection;
        assert_eq!(unsigned(b" \"1.50\" ", "price"), Ok(Decimal::new(15, 1)));
        assert_eq!(rejection(unsigned(b"NaN", "price")), Rejection::BadNumber);
        assert_eq!(rejection(unsigned(b"99999999999999999999", "price")), Rejection::BadNumber);
        assert_eq!(rejection(unsigned(b"-1", "price")), Rejection::BadSign);
        assert_eq!(rejection(traded(b"0.000")), Rejection::BadSign);
        assert_eq!(quoted(b"", "bid"), Ok(Decimal::ZERO));
    }

    #[test]
    fn ids_and_sides() {
        assert_eq!(id(b"18446744073709551615"), Ok(Some(u64::MAX)));
        assert_eq!(id(b""), Ok(None));
        assert!(id(b"18446744073709551616").is_err() && id(b"+1").is_err() && id(b"a-b").is_err());
        assert_eq!(maker_side(b"TRUE"), Some(Side::Sell));
        assert_eq!(maker_side(b"maybe"), None);
        assert_eq!(taker_side(b" Sell"), Some(Side::Sell));
        assert_eq!(taker_side(b""), Some(Side::Unknown));
        assert_eq!(taker_side(b"x"), None);
    }
}
