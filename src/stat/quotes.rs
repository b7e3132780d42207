//! The quotes of a window: how many, and the mid price at its end. The spread between them is in [`super::spread`].
//!
//! - `quotes` = the number of changes of the best bid or ask
//! - `mid_close` = (bid + ask) / 2 of the last quote by key, of the one carried in if the window has none; exact, in
//!   quote currency per unit; no value if a side is empty
//!
//! A side is empty if its size or its price is zero. Inside, an empty side is a price of zero.
//!
//! # Bytes
//! | bytes | what |
//! |---|---|
//! | varint | number of quotes. 0: no quotes, and the end |
//! | varint | first time, signed |
//! | varint | first tape number |
//! | varint | last time − first time |
//! | varint | last tape number − first, signed |
//! | 2 × (1 + varint) | scale and signed mantissa of the last quote's bid, then of its ask |
//! | | the spread's bytes ([`super::spread`]) |

use feeds::number::{Decimal, SCALE_MAX};
use feeds::tick::Quote;

use super::spread::SpreadArea;
use super::{Key, Kind, Reads, Statistic, Sum, Unit, Value, ValueType};
use crate::codec::{CodecError, Put, Reader};

/// One half.
const HALF: Decimal = Decimal::new(5, 1);

/// A quote that is in force until the next one: carried into a window, never stored in its pane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct CarriedQuote {
    /// Its place.
    pub key: Key,
    /// Best bid; zero if that side is empty.
    pub bid: Decimal,
    /// Best ask; zero if that side is empty.
    pub ask: Decimal,
}

impl CarriedQuote {
    /// What stays in force of `quote`.
    #[must_use]
    #[inline]
    pub fn new(key: Key, quote: &Quote) -> CarriedQuote {
        let side = |price: Decimal, size: Decimal| if size.is_zero() { Decimal::ZERO } else { price };
        CarriedQuote {
            key,
            bid: side(quote.bid(), quote.bid_size()),
            ask: side(quote.ask(), quote.ask_size()),
        }
    }

    /// True if neither side is empty.
    #[must_use]
    #[inline]
    pub fn has_both_sides(&self) -> bool {
        !self.bid.is_zero() && !self.ask.is_zero()
    }

    /// Halfway between bid and ask, exactly; `None` if a side is empty.
    #[must_use]
    pub fn mid(&self) -> Option<Sum> {
        self.has_both_sides().then(|| {
            let mut mid = Sum::default();
            mid.add_product(self.bid, HALF);
            mid.add_product(self.ask, HALF);
            mid
        })
    }

    /// Appends the bytes that [`CarriedQuote::decode`] reads: time (signed varint), tape number (varint), and scale
    /// (1 byte) and mantissa (signed varint) of bid and ask.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.put_i64(self.key.ts);
        bytes.put_u64(self.key.number);
        put_decimal(bytes, self.bid);
        put_decimal(bytes, self.ask);
    }

    /// Reads what [`CarriedQuote::encode`] wrote.
    ///
    /// # Errors
    /// [`CodecError`] if the bytes hold no quote.
    pub fn decode(reader: &mut Reader<'_>) -> Result<CarriedQuote, CodecError> {
        let key = Key { ts: reader.i64()?, number: reader.u64()? };
        Ok(CarriedQuote { key, bid: decimal(reader)?, ask: decimal(reader)? })
    }
}

/// The accumulator of the quotes; there is none without at least one quote.
#[derive(Clone, Default, Debug, PartialEq)]
pub struct QuotePane {
    count: u64,
    /// Only the place of the first quote matters: what is in force before it is an earlier one.
    first: Key,
    last: CarriedQuote,
    spread: SpreadArea,
}

impl QuotePane {
    /// Adds a quote, in the order of keys (see [`super::Pane::add_quote`]).
    #[inline]
    pub fn add(&mut self, key: Key, quote: &Quote) {
        let quote = CarriedQuote::new(key, quote);
        if self.count == 0 {
            (self.first, self.last) = (key, quote);
        } else if key >= self.last.key {
            self.spread.add(&self.last, self.last.key.ts, key.ts);
            self.last = quote;
        } else if key < self.first {
            self.first = key;
        }
        self.count += 1;
    }

    /// Adds the quotes of a later pane and closes the time between the two.
    pub fn merge(&mut self, later: &QuotePane) {
        if self.count == 0 {
            self.clone_from(later);
            return;
        }
        if later.count == 0 {
            return;
        }
        self.spread.add(&self.last, self.last.key.ts, later.first.ts);
        self.spread.merge(&later.spread);
        self.first = self.first.min(later.first);
        if later.last.key >= self.last.key {
            self.last = later.last;
        }
        self.count += later.count;
    }

    /// How many quotes there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The place of the first quote.
    #[must_use]
    pub fn first(&self) -> Key {
        self.first
    }

    /// The last quote.
    #[must_use]
    pub fn last(&self) -> CarriedQuote {
        self.last
    }

    /// The spread between the first quote and the last.
    #[must_use]
    pub fn spread(&self) -> &SpreadArea {
        &self.spread
    }

    pub(super) fn encode(pane: Option<&QuotePane>, bytes: &mut Vec<u8>) {
        let Some(pane) = pane.filter(|pane| pane.count > 0) else {
            bytes.put_u64(0);
            return;
        };
        let (first, last) = (pane.first, &pane.last);
        bytes.put_u64(pane.count);
        bytes.put_i64(first.ts);
        bytes.put_u64(first.number);
        bytes.put_u64(last.key.ts.abs_diff(first.ts));
        bytes.put_i64(last.key.number.wrapping_sub(first.number) as i64);
        put_decimal(bytes, last.bid);
        put_decimal(bytes, last.ask);
        pane.spread.encode(bytes);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Option<QuotePane>, CodecError> {
        let count = reader.u64()?;
        if count == 0 {
            return Ok(None);
        }
        let first = Key { ts: reader.i64()?, number: reader.u64()? };
        let key = Key {
            ts: first.ts.checked_add_unsigned(reader.u64()?).ok_or(CodecError::Invalid)?,
            number: first.number.wrapping_add(reader.i64()? as u64),
        };
        let last = CarriedQuote { key, bid: decimal(reader)?, ask: decimal(reader)? };
        Ok(Some(QuotePane { count, first, last, spread: SpreadArea::decode(reader)? }))
    }
}

fn put_decimal(bytes: &mut Vec<u8>, value: Decimal) {
    bytes.put_u8(value.scale());
    bytes.put_i64(value.mantissa());
}

fn decimal(reader: &mut Reader<'_>) -> Result<Decimal, CodecError> {
    let scale = reader.u8()?;
    if scale > SCALE_MAX {
        return Err(CodecError::Invalid);
    }
    Ok(Decimal::new(reader.i64()?, scale))
}

/// Number of quotes.
pub static QUOTES: Statistic = Statistic {
    name: "quotes",
    kind: Kind::Sum,
    reads: Reads::Quotes,
    value_type: ValueType::Count,
    unit: Unit::Count,
    doc: "number of changes of the best bid or ask",
    value: |view| Some(Value::Count(view.pane.quotes.as_ref().map_or(0, |quotes| quotes.count))),
};

/// Mid price at the end.
pub static MID_CLOSE: Statistic = Statistic {
    name: "mid_close",
    kind: Kind::Sum,
    reads: Reads::Quotes,
    value_type: ValueType::Sum,
    unit: Unit::Price,
    doc: "(bid + ask) / 2 of the last quote, of the one before the window if it has none, exact",
    value: |view| {
        let last = view.pane.quotes.as_deref().map(QuotePane::last);
        last.as_ref().or(view.carried)?.mid().map(Value::Sum)
    },
};
