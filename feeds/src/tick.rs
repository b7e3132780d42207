//! A tick: one decoded market event of one symbol, in the engine's own units.
//!
//! Ticks are moved by the million, so the layout is packed by hand: mantissas and scales stand apart, and a
//! missing time or id is a flag rather than an `Option` beside every field.

use crate::number::Decimal;
use crate::symbol::SymbolId;
use crate::time::Nanos;

/// Which side the aggressor (the taker) was on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Side {
    /// The taker bought.
    Buy,
    /// The taker sold.
    Sell,
    /// The venue does not say (auctions, some index venues).
    #[default]
    Unknown,
}

/// One trade. Sizes are as the venue wrote them: contracts stay contracts.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Trade {
    id: u64,
    price: i64,
    size: i64,
    price_scale: u8,
    size_scale: u8,
    has_id: bool,
    /// The aggressor's side.
    pub side: Side,
}

impl Trade {
    /// A trade of `size` at `price`.
    #[must_use]
    #[inline]
    pub fn new(id: Option<u64>, price: Decimal, size: Decimal, side: Side) -> Trade {
        Trade {
            id: id.unwrap_or(0),
            price: price.mantissa(),
            size: size.mantissa(),
            price_scale: price.scale(),
            size_scale: size.scale(),
            has_id: id.is_some(),
            side,
        }
    }

    /// The venue's id, where it has one.
    #[must_use]
    #[inline]
    pub fn id(&self) -> Option<u64> {
        self.has_id.then_some(self.id)
    }

    /// Price per unit.
    #[must_use]
    #[inline]
    pub fn price(&self) -> Decimal {
        Decimal::new_canonical(self.price, self.price_scale)
    }

    /// Size in the venue's unit.
    #[must_use]
    #[inline]
    pub fn size(&self) -> Decimal {
        Decimal::new_canonical(self.size, self.size_scale)
    }
}

impl std::fmt::Debug for Trade {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "trade {:?} {} @ {} {:?}", self.id(), self.size(), self.price(), self.side)
    }
}

/// The best bid and ask with their sizes. A side without orders has size zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quote {
    id: u64,
    bid: i64,
    bid_size: i64,
    ask: i64,
    ask_size: i64,
    scales: [u8; 4],
    has_id: bool,
}

impl Quote {
    /// The best `bid` and `ask`; `id` is the venue's update id, where it has one.
    #[must_use]
    #[inline]
    pub fn new(id: Option<u64>, bid: Decimal, bid_size: Decimal, ask: Decimal, ask_size: Decimal) -> Quote {
        Quote {
            id: id.unwrap_or(0),
            bid: bid.mantissa(),
            bid_size: bid_size.mantissa(),
            ask: ask.mantissa(),
            ask_size: ask_size.mantissa(),
            scales: [bid.scale(), bid_size.scale(), ask.scale(), ask_size.scale()],
            has_id: id.is_some(),
        }
    }

    /// The venue's update id, where it has one.
    #[must_use]
    #[inline]
    pub fn id(&self) -> Option<u64> {
        self.has_id.then_some(self.id)
    }

    /// Best bid price.
    #[must_use]
    #[inline]
    pub fn bid(&self) -> Decimal {
        Decimal::new_canonical(self.bid, self.scales[0])
    }

    /// Size at the best bid.
    #[must_use]
    #[inline]
    pub fn bid_size(&self) -> Decimal {
        Decimal::new_canonical(self.bid_size, self.scales[1])
    }

    /// Best ask price.
    #[must_use]
    #[inline]
    pub fn ask(&self) -> Decimal {
        Decimal::new_canonical(self.ask, self.scales[2])
    }

    /// Size at the best ask.
    #[must_use]
    #[inline]
    pub fn ask_size(&self) -> Decimal {
        Decimal::new_canonical(self.ask_size, self.scales[3])
    }
}

impl std::fmt::Debug for Quote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (bid, ask) = (self.bid(), self.ask());
        write!(f, "quote {:?} {} @ {bid} | {ask} @ {}", self.id(), self.bid_size(), self.ask_size())
    }
}

/// Why a tick of a known symbol was not taken. It still travels, so that its symbol's ledger counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// A price or size that is no number, or out of range.
    BadNumber,
    /// A price or size below zero (or a trade of size zero).
    BadSign,
    /// A time outside 1990–2200, or one that nothing confirms.
    BadTime,
    /// A quote that waited for a time estimate longer than the bound allows; counted as dropped.
    Dropped,
    /// A time that is one in another unit than the venue's, or than the file's first.
    OtherUnit,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A trade.
    Trade(Trade),
    /// A change of the best bid or ask.
    Quote(Quote),
    /// Something that was a tick but cannot be used.
    Rejected(Rejection),
}

/// One decoded market event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tick {
    /// When it happened by the venue's clock (or, if not `timed`, by estimate).
    pub exchange_ts: Nanos,
    received_at: Nanos,
    /// Whose it is, in the numbering of the [`crate::symbol::SymbolTable`] it was decoded with.
    pub symbol: SymbolId,
    /// True if the venue gave `exchange_ts`. An untimed tick never advances a frontier.
    pub timed: bool,
    /// True if the venue marks it as past (sent again on subscribing): counted, not aggregated.
    pub history: bool,
    /// True for a trade that is none of the market's (an insurance fund's, a forced one): counted with `history`, not
    /// aggregated, and its id is not missing.
    pub excluded: bool,
    /// True if another connection has brought it already, and it has no key that would show that: counted as a
    /// duplicate.
    pub repeated: bool,
    /// What happened.
    pub event: Event,
}

impl Tick {
    /// A live tick with the venue's own time.
    #[must_use]
    #[inline]
    pub fn new(symbol: SymbolId, exchange_ts: Nanos, received_at: Option<Nanos>, event: Event) -> Tick {
        let received_at = received_at.unwrap_or(Nanos::MIN);
        let (history, excluded, repeated) = (false, false, false);
        Tick { exchange_ts, received_at, symbol, timed: true, history, excluded, repeated, event }
    }

    /// When its bytes came in by our clock; `None` in files that do not say.
    #[must_use]
    #[inline]
    pub fn received_at(&self) -> Option<Nanos> {
        (self.received_at != Nanos::MIN).then_some(self.received_at)
    }

    /// The same tick with another receive time.
    #[must_use]
    #[inline]
    pub fn with_received_at(mut self, received_at: Option<Nanos>) -> Tick {
        self.received_at = received_at.unwrap_or(Nanos::MIN);
        self
    }
}
