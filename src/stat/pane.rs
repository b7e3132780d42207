//! A pane: one accumulator of each family for one slice of a symbol's stream, and a view of it to read from.
//!
//! # Bytes
//! The trades' bytes ([`super::bar`]), then the quotes' ([`super::quotes`]); each says by its first byte if there are
//! none. There is no version byte: whoever stores a pane writes one in front.

use feeds::tick::{Quote, Trade};
use feeds::time::Nanos;

use super::bar::TradePane;
use super::quotes::{CarriedQuote, QuotePane};
use crate::codec::{CodecError, Reader};

/// The place of a tick among its symbol's: by exchange time, then by tape number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Key {
    /// Exchange time.
    pub ts: Nanos,
    /// Tape number.
    pub number: u64,
}

/// What the statistics of one slice or window need of its ticks.
///
/// Panes without quotes, which most are, spend a pointer on them.
#[derive(Clone, Default, Debug, PartialEq)]
pub struct Pane {
    /// The trades.
    pub trades: TradePane,
    /// The quotes, if there were any.
    pub quotes: Option<Box<QuotePane>>,
}

/// A pane as a window, with what was in force when it began.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The window's ticks.
    pub pane: &'a Pane,
    /// The last quote before the window.
    pub carried: Option<&'a CarriedQuote>,
    /// The window's start.
    pub start: Nanos,
    /// The window's end, or the frontier if the window is read before it is over.
    pub end: Nanos,
}

impl Pane {
    /// Adds a trade, in any order of keys. Of two trades with one key the first added is the earlier.
    #[inline]
    pub fn add_trade(&mut self, key: Key, trade: &Trade) {
        self.trades.add(key, trade);
    }

    /// Adds a quote, in the order of keys.
    ///
    /// Out of order, the statistics of kind `Sum` stay right and those of kind `Ordered` do not: if any of those is
    /// read, rebuild the pane from its sorted ticks.
    #[inline]
    pub fn add_quote(&mut self, key: Key, quote: &Quote) {
        self.quotes.get_or_insert_default().add(key, quote);
    }

    /// Adds the pane of a later slice: all of its keys lie above all of this one's.
    ///
    /// For the trades and everything of kind `Sum` the order does not matter.
    pub fn merge(&mut self, later: &Pane) {
        self.trades.merge(&later.trades);
        if let Some(quotes) = &later.quotes {
            match &mut self.quotes {
                Some(own) => own.merge(quotes),
                None => self.quotes = Some(quotes.clone()),
            }
        }
    }

    /// Ticks that were added.
    #[must_use]
    pub fn ticks(&self) -> u64 {
        self.trades.trades() + self.quotes.as_ref().map_or(0, |quotes| quotes.count())
    }

    /// True if no tick was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.has_trades() && !self.has_quotes()
    }

    /// True if a trade was added.
    #[must_use]
    #[inline]
    pub fn has_trades(&self) -> bool {
        self.trades.trades() > 0
    }

    /// True if a quote was added.
    #[must_use]
    #[inline]
    pub fn has_quotes(&self) -> bool {
        self.quotes.is_some()
    }

    /// The last quote by key: what the next window starts with.
    #[must_use]
    pub fn last_quote(&self) -> Option<CarriedQuote> {
        self.quotes.as_ref().map(|quotes| quotes.last())
    }

    /// Appends the bytes that [`Pane::decode`] reads.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        self.trades.encode(bytes);
        QuotePane::encode(self.quotes.as_deref(), bytes);
    }

    /// Reads what [`Pane::encode`] wrote.
    ///
    /// # Errors
    /// [`CodecError`] if the bytes hold no pane.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Pane, CodecError> {
        let trades = TradePane::decode(reader)?;
        let quotes = QuotePane::decode(reader)?.map(Box::new);
        Ok(Pane { trades, quotes })
    }
}
