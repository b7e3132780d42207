//! The time-weighted spread: how far apart bid and ask were, on average over the time in which there were both.
//!
//! `spread_tw` = ∫ (ask − bid) dt / T over the window [start, end), in quote currency per unit, where the quote
//! before the window is in force from its start, each quote until the next, and the last until the end; T is the
//! time in which neither side was empty (McInish and Wood 1992). The area is an exact sum of price × nanoseconds,
//! the quotient half-even at 12 decimals. No value if T is zero.
//!
//! A pane holds the area between its first and its last quote. What lies before the first and after the last is open:
//! a merge closes it with the neighbour's quote, a reading with the window's edges.
//!
//! # Bytes
//! Covered time in ns (varint), area ([`Sum`]).

use feeds::number::Decimal;
use feeds::time::Nanos;

use super::{CarriedQuote, Kind, QUOTIENT_DECIMALS, Reads, Statistic, Sum, Unit, Value, ValueType, View};
use crate::codec::{CodecError, Put, Reader};

/// ∫ (ask − bid) dt and the time that it covers.
#[derive(Clone, Default, Debug, PartialEq)]
pub struct SpreadArea {
    /// Nanoseconds in which neither side was empty.
    covered: u64,
    /// Price × nanoseconds.
    area: Sum,
}

impl SpreadArea {
    /// `quote` was in force from `from` until `until`. Nothing is added if that is no time, or if a side is empty.
    #[inline]
    pub fn add(&mut self, quote: &CarriedQuote, from: Nanos, until: Nanos) {
        let Some(nanos) = until.checked_sub(from).filter(|nanos| *nanos > 0) else {
            return;
        };
        if !quote.has_both_sides() {
            return;
        }
        let weight = Decimal::new(nanos, 0);
        self.covered = self.covered.saturating_add(nanos.unsigned_abs());
        self.area.add_product(quote.ask, weight);
        self.area.sub_product(quote.bid, weight);
    }

    /// Adds the area of another stretch of time.
    pub fn merge(&mut self, other: &SpreadArea) {
        self.covered = self.covered.saturating_add(other.covered);
        self.area.merge(&other.area);
    }

    /// The average; `None` if no time is covered.
    #[must_use]
    pub fn average(&self) -> Option<Sum> {
        self.area.div_half_even(&Sum::from(self.covered), QUOTIENT_DECIMALS)
    }

    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.put_u64(self.covered);
        self.area.encode(bytes);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<SpreadArea, CodecError> {
        Ok(SpreadArea { covered: reader.u64()?, area: Sum::decode(reader)? })
    }
}

/// The area over the whole window: what was carried in, what is in the pane, and the last quote up to the end.
fn area_of(view: &View<'_>) -> SpreadArea {
    let quotes = view.pane.quotes.as_deref();
    let mut total = quotes.map(|quotes| quotes.spread().clone()).unwrap_or_default();
    if let Some(carried) = view.carried {
        total.add(carried, view.start, quotes.map_or(view.end, |quotes| quotes.first().ts));
    }
    if let Some(quotes) = quotes {
        let last = quotes.last();
        total.add(&last, last.key.ts, view.end);
    }
    total
}

/// Time-weighted spread.
pub static SPREAD_TW: Statistic = Statistic {
    name: "spread_tw",
    kind: Kind::Ordered,
    reads: Reads::Quotes,
    value_type: ValueType::Sum,
    unit: Unit::Price,
    doc: "integral of (ask - bid) dt / time with both sides, half-even at 12 decimals (McInish, Wood 1992)",
    value: |view| area_of(view).average().map(Value::Sum),
};
