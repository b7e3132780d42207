//! The last tick of every symbol as it came in: for people who watch, and for nothing that is computed.
//!
//! Results are as old as the last checkpoint; this is what goes by. Repeats are in it, and what will be late.

use std::sync::Arc;

use feeds::number::Decimal;
use feeds::symbol::{Symbol, SymbolId};
use feeds::tick::{Event, Side, Tick};
use feeds::time::Nanos;
use rustc_hash::FxHashMap;

use crate::feed::delivery::{ConnectionId, Delivery};

/// What came of one symbol so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastTick {
    /// Whose.
    pub symbol: Arc<Symbol>,
    /// Price and side of the last trade.
    pub trade: Option<(Decimal, Side)>,
    /// Best bid and ask of the last quote.
    pub quote: Option<(Decimal, Decimal)>,
    /// Trades that came in.
    pub trades: u64,
    /// Quotes that came in.
    pub quotes: u64,
    /// When the last of them came, by the wall clock.
    pub received_at: Nanos,
}

/// The last ticks over all connections.
#[derive(Default)]
pub struct LastTicks {
    ticks: Vec<LastTick>,
    places: FxHashMap<Symbol, usize>,
    /// By connection: its numbers of symbols to places.
    connections: FxHashMap<ConnectionId, Vec<usize>>,
}

impl LastTicks {
    /// Looks at what is about to be taken in.
    pub fn look(&mut self, delivery: &Delivery) {
        match delivery {
            Delivery::Opened { connection, .. } => {
                self.connections.insert(*connection, Vec::new());
            }
            Delivery::Frames(decoded) => {
                let Some(places) = self.connections.get_mut(&decoded.connection) else { return };
                for symbol in &decoded.new_symbols {
                    let place = *self.places.entry(symbol.clone()).or_insert_with(|| {
                        self.ticks.push(LastTick::new(symbol));
                        self.ticks.len() - 1
                    });
                    places.push(place);
                }
                let received_at = decoded.frames.last().map_or(0, |frame| frame.received_at);
                for tick in &decoded.output.ticks {
                    let SymbolId(number) = tick.symbol;
                    let last = places.get(number as usize).and_then(|&place| self.ticks.get_mut(place));
                    if let Some(last) = last {
                        last.see(tick, received_at);
                    }
                }
            }
            Delivery::Closed { connection, .. } => {
                self.connections.remove(connection);
            }
            Delivery::Time { .. } | Delivery::Alarm { .. } => {}
        }
    }

    /// All of them, in the order in which the symbols appeared.
    #[must_use]
    pub fn all(&self) -> &[LastTick] {
        &self.ticks
    }
}

impl LastTick {
    fn new(symbol: &Symbol) -> LastTick {
        let symbol = Arc::new(symbol.clone());
        LastTick { symbol, trade: None, quote: None, trades: 0, quotes: 0, received_at: 0 }
    }

    #[inline]
    fn see(&mut self, tick: &Tick, received_at: Nanos) {
        if tick.history || tick.excluded {
            return;
        }
        match &tick.event {
            Event::Trade(trade) => {
                self.trade = Some((trade.price(), trade.side));
                self.trades += 1;
            }
            Event::Quote(quote) => {
                self.quote = Some((quote.bid(), quote.ask()));
                self.quotes += 1;
            }
            Event::Rejected(_) => return,
        }
        self.received_at = received_at;
    }
}
