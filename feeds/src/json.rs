//! Values of JSON frames as the text they were written in, and what they are as parts of a tick.
//!
//! Venues write numbers as JSON strings or as JSON numbers; either way their text is read, and nothing passes through a
//! float. A session's frame types hold [`Token`]s. What has no such token is broken; a token with a value that cannot be
//! used rejects the tick.

use std::borrow::Cow;
use std::fmt;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::number::Decimal;
use crate::symbol::{SymbolId, SymbolTable};
use crate::tick::{Event, Quote, Rejection, Side, Tick, Trade};
use crate::time::{Nanos, TimeError, Unit, in_range, parse_digits, parse_words};
use crate::venue::Output;

/// What is wrong with a frame.
pub(crate) type Reason = &'static str;

/// One JSON value as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a>(pub(crate) &'a [u8]);

impl<'de: 'a, 'a> Deserialize<'de> for Token<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Token<'a>, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Ok(Token(raw.get().as_bytes()))
    }
}

impl<'a> Token<'a> {
    /// The text of a JSON string.
    pub(crate) fn text(self) -> Option<Cow<'a, str>> {
        let inner = self.0.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        if memchr::memchr(b'\\', inner).is_none() {
            return std::str::from_utf8(inner).ok().map(Cow::Borrowed);
        }
        serde_json::from_slice::<String>(self.0).ok().map(Cow::Owned)
    }

    /// The digits of a JSON number, or of a string that should hold one.
    #[inline]
    pub(crate) fn number(self) -> Option<&'a [u8]> {
        if matches!(self.0.first(), Some(b'-' | b'0'..=b'9')) {
            return Some(self.0);
        }
        self.0.strip_prefix(b"\"")?.strip_suffix(b"\"")
    }

    /// The decimal in it; `None` if it is neither a number nor a string.
    #[inline]
    pub(crate) fn decimal(self) -> Option<Result<Decimal, Rejection>> {
        self.number().map(|digits| Decimal::parse(digits).map_err(|_| Rejection::BadNumber))
    }

    /// A whole number that is not negative, such as an id.
    #[inline]
    pub(crate) fn whole(self) -> Option<u64> {
        parse_digits(self.number()?).and_then(|value| u64::try_from(value).ok())
    }

    /// A time in whole `unit`s; `None` if it is neither a number nor a string.
    pub(crate) fn time(self, unit: Unit) -> Option<Result<Nanos, TimeError>> {
        let digits = self.number()?;
        let Some(value) = parse_digits(digits) else { return Some(Err(TimeError::OutOfRange)) };
        Some(unit.to_nanos(value).and_then(in_range))
    }

    /// A time in words, such as `"2025-06-15T15:06:40.5Z"`; `None` if it is no string.
    pub(crate) fn time_in_words(self) -> Option<Result<Nanos, TimeError>> {
        let text = self.text()?;
        Some(parse_words(&text))
    }
}

/// `00000000-0000-5000-8000-000000000001`
pub(crate) fn uuid(text: &[u8]) -> Option<u128> {
    const DASHES: [usize; 4] = [8, 13, 18, 23];
    if text.len() != 36 {
        return None;
    }
    let mut value = 0;
    for (index, byte) in text.iter().enumerate() {
        if DASHES.contains(&index) {
            if *byte != b'-' {
                return None;
            }
        } else {
            value = value << 4 | u128::from(char::from(*byte).to_digit(16)?);
        }
    }
    Some(value)
}

/// A UUID as a tick's id: the exclusive or of its halves.
pub(crate) fn folded(uuid: u128) -> u64 {
    let [high, low] = [uuid >> 64, uuid & u128::from(u64::MAX)];
    u64::try_from(high ^ low).unwrap_or(u64::MAX)
}

/// The first values of an array, up to `N` of them; what stands behind is passed over, since venues append values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cells<'a, const N: usize> {
    cells: [Token<'a>; N],
    count: usize,
}

impl<'a, const N: usize> Cells<'a, N> {
    /// The values, if there are `N`.
    pub(crate) fn all(self) -> Option<[Token<'a>; N]> {
        (self.count == N).then_some(self.cells)
    }

    /// Those that there are.
    pub(crate) fn some(&self) -> &[Token<'a>] {
        &self.cells[..self.count]
    }
}

impl<'de: 'a, 'a, const N: usize> Deserialize<'de> for Cells<'a, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Cells<'a, N>, D::Error> {
        struct Values<const N: usize>;
        impl<'de, const N: usize> Visitor<'de> for Values<N> {
            type Value = Cells<'de, N>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Cells<'de, N>, A::Error> {
                let mut found = Cells { cells: [Token(b""); N], count: 0 };
                while found.count < N
                    && let Some(value) = values.next_element()?
                {
                    found.cells[found.count] = value;
                    found.count += 1;
                }
                while values.next_element::<IgnoredAny>()?.is_some() {}
                Ok(found)
            }
        }
        deserializer.deserialize_seq(Values)
    }
}

/// The first row of a book's side, which is its best: price, size, and what may stand behind them. The other rows are
/// only passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Best<'a>(Option<Cells<'a, 2>>);

impl Best<'_> {
    /// Price and size; both zero where the side has no orders. `None` if they are neither numbers nor strings.
    pub(crate) fn decimals(self) -> Option<[Result<Decimal, Rejection>; 2]> {
        let Some(row) = self.0 else { return Some([Ok(Decimal::ZERO); 2]) };
        let [price, size] = row.all()?;
        Some([price.decimal()?, size.decimal()?])
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Best<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Best<'a>, D::Error> {
        struct Rows;
        impl<'de> Visitor<'de> for Rows {
            type Value = Best<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("rows of a book")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<Best<'de>, A::Error> {
                let first = rows.next_element()?;
                while rows.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Best(first))
            }
        }
        deserializer.deserialize_seq(Rows)
    }
}

/// A trade of these, if the values can be used.
///
/// # Errors
/// Why they cannot.
#[inline]
pub(crate) fn trade(
    id: Option<u64>,
    price: Result<Decimal, Rejection>,
    size: Result<Decimal, Rejection>,
    side: Side,
) -> Result<Event, Rejection> {
    let (price, size) = (price?, size?);
    if price.is_negative() || size.is_negative() || size.is_zero() {
        return Err(Rejection::BadSign);
    }
    Ok(Event::Trade(Trade::new(id, price, size, side)))
}

/// A quote of these (bid, its size, ask, its size), if the values can be used.
///
/// # Errors
/// Why they cannot.
#[inline]
pub(crate) fn quote(id: Option<u64>, sides: [Result<Decimal, Rejection>; 4]) -> Result<Quote, Rejection> {
    let [bid, bid_size, ask, ask_size] = sides;
    let (bid, bid_size, ask, ask_size) = (bid?, bid_size?, ask?, ask_size?);
    if [bid, bid_size, ask, ask_size].iter().any(|decimal| decimal.is_negative()) {
        return Err(Rejection::BadSign);
    }
    Ok(Quote::new(id, bid, bid_size, ask, ask_size))
}

/// Price and size of one side of a quote, as text that may be usable or not.
pub(crate) type QuoteSide = [Result<Decimal, Rejection>; 2];

/// Price and size of one side; both are zero where there is no order: without a price, and without a size or with one of
/// zero. `None` if only one of the two is there, or if what is there is neither a number nor a string.
pub(crate) fn side_of(price: Option<Token<'_>>, size: Option<Token<'_>>) -> Option<QuoteSide> {
    match (price, size) {
        (Some(price), Some(size)) => Some([price.decimal()?, size.decimal()?]),
        (None, None) => Some([Ok(Decimal::ZERO); 2]),
        (None, Some(size)) if size.decimal()? == Ok(Decimal::ZERO) => Some([Ok(Decimal::ZERO); 2]),
        _ => None,
    }
}

/// Best bid, its size, best ask and its size, of which a side may be missing as in [`side_of`]. `None` if that cannot be
/// read, or if neither side is there.
pub(crate) fn best_of(tokens: [Option<Token<'_>>; 4]) -> Option<[Result<Decimal, Rejection>; 4]> {
    let [bid, bid_size, ask, ask_size] = tokens;
    if bid.is_none() && ask.is_none() {
        return None;
    }
    let ([bid, bid_size], [ask, ask_size]) = (side_of(bid, bid_size)?, side_of(ask, ask_size)?);
    Some([bid, bid_size, ask, ask_size])
}

/// Where a frame's ticks go.
pub(crate) struct Sink<'a> {
    pub(crate) received_at: Option<Nanos>,
    pub(crate) symbols: &'a mut SymbolTable,
    pub(crate) out: &'a mut Output,
}

impl Sink<'_> {
    /// Puts out a tick with the venue's time or, if that or the event cannot be used, a rejected one.
    #[inline]
    pub(crate) fn put(
        &mut self,
        symbol: SymbolId,
        time: Result<Nanos, TimeError>,
        event: Result<Event, Rejection>,
    ) -> &mut Tick {
        let event = match (event, time) {
            (Ok(event), Ok(_)) => event,
            (Err(rejection), _) => Event::Rejected(rejection),
            (Ok(_), Err(TimeError::OtherUnit)) => Event::Rejected(Rejection::OtherUnit),
            (Ok(_), Err(_)) => Event::Rejected(Rejection::BadTime),
        };
        let exchange_ts = time.ok().or(self.received_at).unwrap_or(0);
        let mut tick = Tick::new(symbol, exchange_ts, self.received_at, event);
        tick.timed = time.is_ok();
        let ticks = &mut self.out.ticks;
        ticks.push(tick);
        let last = ticks.len() - 1;
        &mut ticks[last]
    }

    /// Puts out a quote to which the venue gave no time and which cannot be used.
    pub(crate) fn put_untimed_rejection(&mut self, symbol: SymbolId, rejection: Rejection) {
        let received_at = self.received_at;
        let mut tick = Tick::new(symbol, received_at.unwrap_or(0), received_at, Event::Rejected(rejection));
        tick.timed = false;
        self.out.ticks.push(tick);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best(text: &str) -> Result<Best<'_>, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn the_best_row_is_the_first() {
        let one = |text| best(text).unwrap().decimals().unwrap().map(|side| side.unwrap().to_string());
        assert_eq!(one(r#"[["1.5","2",7],["1.4","x"],[]]"#), ["1.5", "2"]);
        assert_eq!(one("[[1.5e-4,2]]"), ["0.00015", "2"]);
        assert_eq!(one("[]"), ["0", "0"]);
        for text in ["[[null,1]]", "[[]]", "[[1]]"] {
            assert_eq!(best(text).unwrap().decimals(), None, "{text}");
        }
        for bad in ["[1]", "{}", "null", "[[1,2]", "[[1,2],}"] {
            assert!(best(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_side_is_whole_or_not_there() {
        let shown =
            |price: Option<&'static str>, size: Option<&'static str>| {
                let token = |text: &'static str| Token(text.as_bytes());
                let side = side_of(price.map(token), size.map(token))?;
                Some(side.map(|decimal| {
                    decimal.map_or_else(|why| format!("{why:?}"), |decimal| decimal.to_string())
                }))
            };
        let zeros = Some(["0".to_owned(), "0".to_owned()]);
        assert_eq!(shown(Some("1.5"), Some(r#""2""#)), Some(["1.5".to_owned(), "2".to_owned()]));
        assert_eq!(shown(Some(r#""x""#), Some("2")), Some(["BadNumber".to_owned(), "2".to_owned()]));
        assert_eq!((shown(None, None), shown(None, Some("0.0"))), (zeros.clone(), zeros));
        for (price, size) in
            [(None, Some("2")), (Some("1"), None), (Some("{}"), Some("1")), (None, Some("true"))]
        {
            assert_eq!(shown(price, size), None, "{price:?} {size:?}");
        }
    }

    #[test]
    fn cells_are_the_first_of_an_array() {
        let some = |text| {
            let cells: Cells<'_, 2> = serde_json::from_str(text).unwrap();
            (cells.some().iter().map(|cell| cell.0).collect::<Vec<_>>(), cells.all().is_some())
        };
        assert_eq!(some(r#"[1, "x", {}]"#), (vec![&b"1"[..], br#""x""#], true));
        assert_eq!(some("[[2]]"), (vec![&b"[2]"[..]], false));
        assert_eq!(some("[]"), (vec![], false));
        assert!(serde_json::from_str::<Cells<'_, 2>>("[1,2,3").is_err());
    }

    #[test]
    fn a_uuid_is_the_exclusive_or_of_its_halves() {
        let number = folded(uuid(b"01234567-89ab-5cde-8f01-23456789abcd").unwrap());
        assert_eq!(number, 0x0123_4567_89ab_5cde ^ 0x8f01_2345_6789_abcd);
        for wrong in ["", "01234567-89ab-5cde-8f01-23456789abc", "01234567089ab-5cde-8f01-23456789abcd"] {
            assert_eq!(uuid(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(uuid(b"0123456g-89ab-5cde-8f01-23456789abcd"), None);
    }
}
