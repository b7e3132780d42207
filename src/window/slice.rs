//! A slice: the part of a symbol's stream between two edges of windows, while it may still change.

use feeds::tick::Quote;
use feeds::time::Nanos;

use crate::stat::quotes::QuotePane;
use crate::stat::{Key, Pane};

/// A part of the stream that may still change.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Slice {
    pub(crate) start: Nanos,
    pub(crate) end: Nanos,
    pub(crate) pane: Pane,
    /// The quotes of `pane` that can have no other put before them any more, as far as they are folded.
    pub(crate) folded: Option<Box<QuotePane>>,
    /// The other quotes of `pane` in order, so that one out of order can be put in its place. Empty if no window
    /// reads quotes.
    pub(crate) quotes: Vec<(Key, Quote)>,
}

/// Quotes below the watermark that a slice keeps before they are folded: folding costs once per so many.
const UNFOLDED_QUOTES: usize = 64;

impl Slice {
    /// Puts a quote in its place among the slice's quotes, rebuilding their statistics if it is not the last.
    pub(crate) fn insert_quote(&mut self, key: Key, quote: &Quote, watermark: Nanos) {
        let index = self.quotes.partition_point(|(other, _)| *other < key);
        self.quotes.insert(index, (key, *quote));
        if index + 1 == self.quotes.len() {
            self.pane.add_quote(key, quote);
        } else {
            self.pane.quotes = self.folded.clone();
            for (key, quote) in &self.quotes {
                self.pane.add_quote(*key, quote);
            }
        }
        self.fold(watermark);
    }

    fn fold(&mut self, watermark: Nanos) {
        if self.quotes.get(UNFOLDED_QUOTES).is_none_or(|(key, _)| key.ts >= watermark) {
            return;
        }
        let below = self.quotes.partition_point(|(key, _)| key.ts < watermark);
        let folded = self.folded.get_or_insert_default();
        for (key, quote) in self.quotes.drain(..below) {
            folded.add(key, &quote);
        }
    }
}
