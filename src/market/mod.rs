//! A made-up market from a seed: for demonstrations, load and tests, without a network or anyone's data.
//!
//! Pure: no clock, file or thread decides anything here, and all of it is integer arithmetic, so that one
//! [`MarketSpec`] gives the same events, to the byte, on every machine. What it imitates, because engines stumble
//! over it: activity by Zipf's law, prices that move together, tick sizes from 0.01 to 0.00000001, trades at the
//! bid and the ask that come in bursts, ids that count up by one, bytes that arrive a little after their time.
//!
//! [`csv`] and [`capture`] write it as files, [`faults`] spoils lines on purpose, [`cli`] is `tapedeck simulate`.

pub mod random;

mod activity;

mod instrument;

mod book;

mod flow;

pub(crate) mod digits;

pub mod csv;

pub mod capture;

mod file;

pub mod faults;

pub mod cli;

use feeds::number::Decimal;
use feeds::symbol::SymbolId;
use feeds::tick::{Event, Quote, Side, Tick, Trade};
use feeds::time::Nanos;

pub use flow::Market;
pub use instrument::Instrument;

/// 2025-01-06T00:00:00Z, where a market begins unless told otherwise.
pub const START: Nanos = 1_736_121_600_000_000_000;

/// What a market is made from. The same spec gives the same events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarketSpec {
    /// How many symbols (at least one), the first being the most active.
    pub symbols: u32,
    /// Where the random numbers begin.
    pub seed: u64,
    /// The time at which the market opens.
    pub start: Nanos,
    /// Trades and quotes of all symbols in one second, on average; at least one.
    pub ticks_per_second: u64,
    /// Quotes for each trade, on average. With 0 there are trades only. Quotes that a trade forces by emptying the
    /// best price come on top.
    pub quotes_per_trade: u64,
    /// When things happen.
    pub arrivals: Arrivals,
    /// How much trades draw further trades after them, in percent of the usual: 0 for not at all.
    pub bursts: u32,
    /// How much symbols share of the whole market's moves, in percent of the usual: with 0 they move apart.
    pub correlation: u32,
}

/// When orders and quotes arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Arrivals {
    /// At random, independent of each other.
    Poisson,
    /// At equal distances.
    Uniform,
}

impl MarketSpec {
    /// Two hundred symbols with three quotes a trade and ten million trades in an hour.
    pub const DEFAULT: MarketSpec = MarketSpec {
        symbols: 200,
        seed: 1,
        start: START,
        ticks_per_second: 11_050,
        quotes_per_trade: 3,
        arrivals: Arrivals::Poisson,
        bursts: 100,
        correlation: 100,
    };
}

impl Default for MarketSpec {
    fn default() -> MarketSpec {
        MarketSpec::DEFAULT
    }
}

/// One event of a [`Market`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarketEvent {
    /// When it happened, in whole milliseconds; never before the event before it.
    pub exchange_ts: Nanos,
    /// When its bytes came in: at least two milliseconds later, and always after the event before it.
    pub received_at: Nanos,
    /// Whose it is: an index of [`Market::instruments`].
    pub symbol: u32,
    /// What happened.
    pub change: Change,
}

/// What happened. Prices and sizes are mantissas at the scales of the [`Instrument`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A trade.
    Trade {
        /// Counts up by one for each trade of the symbol.
        id: u64,
        /// Price per unit.
        price: i64,
        /// Size, above zero.
        size: i64,
        /// True if the taker sold.
        buyer_is_maker: bool,
    },
    /// A new best bid or ask, or a new size there.
    Quote {
        /// Counts up for each update of the symbol's book.
        id: u64,
        /// Best bid, below `ask`.
        bid: i64,
        /// Size at the best bid, above zero.
        bid_size: i64,
        /// Best ask.
        ask: i64,
        /// Size at the best ask, above zero.
        ask_size: i64,
    },
}

impl Change {
    /// The trade's id, or the update's.
    #[must_use]
    pub fn id(&self) -> u64 {
        match self {
            Change::Trade { id, .. } | Change::Quote { id, .. } => *id,
        }
    }
}

impl Instrument {
    /// The tick that a decoder makes of `event`, under the number `symbol`.
    #[must_use]
    pub fn tick(&self, event: &MarketEvent, symbol: SymbolId) -> Tick {
        let price = |mantissa| Decimal::new(mantissa, self.price_scale);
        let size = |mantissa| Decimal::new(mantissa, self.size_scale);
        let change = match event.change {
            Change::Trade { id, price: at, size: of, buyer_is_maker } => {
                let side = if buyer_is_maker { Side::Sell } else { Side::Buy };
                Event::Trade(Trade::new(Some(id), price(at), size(of), side))
            }
            Change::Quote { id, bid, bid_size, ask, ask_size } => {
                Event::Quote(Quote::new(Some(id), price(bid), size(bid_size), price(ask), size(ask_size)))
            }
        };
        Tick::new(symbol, event.exchange_ts, Some(event.received_at), change)
    }
}
