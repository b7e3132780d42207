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
            Delivery::Time { .. }
            | Delivery::Stopping { .. }
            | Delivery::Alarm { .. }
            | Delivery::Wish { .. }
            | Delivery::Answer { .. }
            | Delivery::Past { .. }
            | Delivery::Rules { .. } => {}
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

#[cfg(test)]
mod tests {
    use feeds::frame::FrameCounts;
    use feeds::tick::{Quote, Rejection, Trade};
    use feeds::venue::Output;
    use feeds::venues::VENUES;

    use super::*;
    use crate::clock;
    use crate::feed::delivery::{Decoded, RawFrame};

    fn number(text: &str) -> Decimal {
        Decimal::parse(text.as_bytes()).unwrap()
    }

    fn trade(symbol: u32, price: &str) -> Tick {
        let trade = Trade::new(Some(1), number(price), number("2"), Side::Sell);
        Tick::new(SymbolId(symbol), 1, Some(2), Event::Trade(trade))
    }

    fn opened(id: u32) -> Delivery {
        let address = "ws://made".to_owned();
        Delivery::Opened { connection: ConnectionId(id), venue: VENUES[0], address, received_at: 1 }
    }

    fn frames(id: u32, received_at: Nanos, new_symbols: &[&str], ticks: Vec<Tick>) -> Delivery {
        let frame = RawFrame {
            received_at,
            entered: clock::stamp(),
            payload: bytes::Bytes::new(),
            ticks: ticks.len(),
        };
        Delivery::Frames(Box::new(Decoded {
            connection: ConnectionId(id),
            frames: vec![frame],
            output: Output { ticks, ..Output::default() },
            counts: FrameCounts::default(),
            new_symbols: new_symbols.iter().map(|name| Symbol::new("made", name)).collect(),
            decoded: clock::stamp(),
        }))
    }

    #[test]
    fn connections_number_their_symbols_each_for_itself() {
        let mut last = LastTicks::default();
        last.look(&opened(1));
        last.look(&opened(2));
        last.look(&frames(1, 10, &["A", "B"], vec![trade(0, "1"), trade(1, "5")]));
        last.look(&frames(2, 20, &["B"], vec![trade(0, "6.5")]));
        last.look(&frames(1, 30, &[], vec![trade(0, "2")]));
        let seen: Vec<(&str, u64, String, Nanos)> = last
            .all()
            .iter()
            .map(|tick| {
                (tick.symbol.native(), tick.trades, tick.trade.unwrap().0.to_string(), tick.received_at)
            })
            .collect();
        assert_eq!(seen, [("A", 2, "2".to_owned(), 30), ("B", 2, "6.5".to_owned(), 20)]);
    }

    #[test]
    fn what_is_past_or_cannot_be_used_is_not_seen_and_strangers_do_no_harm() {
        let mut last = LastTicks::default();
        last.look(&frames(7, 5, &["A"], vec![trade(0, "1")]));
        assert!(last.all().is_empty(), "nobody opened that connection");
        last.look(&opened(7));
        let (mut history, mut excluded) = (trade(0, "3"), trade(0, "4"));
        (history.history, excluded.excluded) = (true, true);
        let rejected = Tick::new(SymbolId(0), 1, Some(2), Event::Rejected(Rejection::BadNumber));
        last.look(&frames(7, 6, &["A"], vec![history, excluded, rejected, trade(9, "9")]));
        assert_eq!((last.all().len(), last.all()[0].trades, last.all()[0].received_at), (1, 0, 0));
        let quote = Quote::new(None, number("1.5"), number("1"), number("1.75"), number("1"));
        let quote = Tick::new(SymbolId(0), 1, None, Event::Quote(quote));
        last.look(&frames(7, 8, &[], vec![quote]));
        let seen = &last.all()[0];
        assert_eq!(
            (seen.quote, seen.quotes, seen.received_at),
            (Some((number("1.5"), number("1.75"))), 1, 8)
        );
        last.look(&Delivery::Closed {
            connection: ConnectionId(7),
            why: String::new(),
            received_at: 9,
            rest: Box::default(),
            broken_off: false,
        });
        last.look(&frames(7, 10, &[], vec![trade(0, "1")]));
        assert_eq!(last.all()[0].trades, 0, "it is closed");
    }
}
