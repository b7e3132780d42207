//! The market itself: orders and quotes arrive at random, trades draw more trades after them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use feeds::time::{Nanos, SECOND};

use super::activity::Activity;
use super::book::Book;
use super::instrument::{self, Instrument};
use super::random::Random;
use super::{MarketEvent, MarketSpec};

/// Times on the exchange are whole milliseconds.
const MILLI: Nanos = 1_000_000;
/// The least time from an exchange time to its receive time.
const WAY_MIN: Nanos = 2 * MILLI;
/// What receiving takes on top, on average, in nanoseconds.
const WAY_MORE: u64 = 700_000;
/// The mean time from one trade of a burst to the next, where they do not come at once, in nanoseconds.
const BURST_GAP: u64 = 30 * MILLI as u64;
/// Movement of the whole market in one second, standard deviation, in 10⁻⁹.
const MARKET_VOLATILITY: i64 = 60_000;
/// The square root of a second's nanoseconds.
const ROOT_OF_SECOND: i64 = 31_623;

/// A trade to come: the next one of a burst. Sorted by time, then by the order in which they were planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Planned {
    at: Nanos,
    number: u64,
    symbol: u32,
    sells: bool,
}

/// What a random arrival can be.
#[derive(Clone, Copy, Debug)]
struct Rates {
    /// The mean time between two arrivals, in nanoseconds.
    gap: u64,
    /// Of `whole` arrivals, how many are quotes; the others begin a burst of trades.
    quotes: u64,
    whole: u64,
}

/// An endless market: an iterator of its events, in order of time.
#[derive(Clone, Debug)]
pub struct Market {
    random: Random,
    instruments: Vec<Instrument>,
    books: Vec<Book>,
    /// Of 256 trades of a symbol, how many draw another.
    contagion: Vec<u64>,
    activity: Activity,
    rates: Rates,
    arrives_at: Nanos,
    planned: BinaryHeap<Reverse<Planned>>,
    plans: u64,
    /// A quote that a trade made due at once.
    due: Option<(Nanos, u32)>,
    level: i64,
    level_at: Nanos,
    received_at: Nanos,
}

impl Market {
    /// The market of `spec`. A spec of no symbols or no ticks is taken as one of one.
    #[must_use]
    pub fn new(spec: MarketSpec) -> Market {
        let mut random = Random::new(spec.seed);
        let ranks = 0..spec.symbols.max(1) as usize;
        let instruments: Vec<Instrument> =
            ranks.clone().map(|rank| instrument::at_rank(rank, &mut random)).collect();
        let books = instruments.iter().map(|it| Book::new(it, spec.start, &mut random)).collect();
        let (weights, contagion): (Vec<u64>, Vec<u64>) = ranks.map(instrument::activity).unzip();
        let mut market = Market {
            random,
            instruments,
            books,
            activity: Activity::new(&weights),
            rates: rates(&spec, &weights, &contagion),
            contagion,
            arrives_at: spec.start,
            planned: BinaryHeap::new(),
            plans: 0,
            due: None,
            level: 0,
            level_at: spec.start,
            received_at: spec.start,
        };
        market.arrives_at += market.random.exponential(market.rates.gap) as Nanos;
        market
    }

    /// The symbols, the most active first; [`MarketEvent::symbol`] is an index of these.
    #[must_use]
    pub fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }

    /// An arrival: a quote, or the first trade of a burst.
    fn arrive(&mut self) -> MarketEvent {
        let at = self.arrives_at;
        self.arrives_at += self.random.exponential(self.rates.gap) as Nanos;
        self.move_market(at);
        let symbol = self.activity.draw(&mut self.random) as u32;
        if self.random.happens(self.rates.quotes, self.rates.whole) {
            self.step(at, symbol);
            return self.quote(at, symbol);
        }
        if self.rates.quotes == 0 {
            self.step(at, symbol);
        }
        let sells = self.random.happens(1, 2);
        self.trade(at, symbol, sells)
    }

    fn step(&mut self, at: Nanos, symbol: u32) {
        let index = symbol as usize;
        self.books[index].step(&self.instruments[index], at, self.level, &mut self.random);
    }

    fn move_market(&mut self, at: Nanos) {
        let root = u64::try_from(at - self.level_at).unwrap_or(0).isqrt() as i64;
        self.level += MARKET_VOLATILITY * root / ROOT_OF_SECOND * self.random.bell() / (1 << 16);
        self.level_at = at;
    }

    fn quote(&mut self, at: Nanos, symbol: u32) -> MarketEvent {
        let change = self.books[symbol as usize].quote(&mut self.random);
        self.stamp(at, symbol, change)
    }

    fn trade(&mut self, at: Nanos, symbol: u32, sells: bool) -> MarketEvent {
        let index = symbol as usize;
        let (change, emptied) = self.books[index].trade(&self.instruments[index], sells, &mut self.random);
        if emptied && self.rates.quotes > 0 {
            self.due = Some((at, symbol));
        }
        if self.random.happens(self.contagion[index], 256) {
            let at_once = self.random.happens(1, 2);
            let later = if at_once { 0 } else { self.random.exponential(BURST_GAP) as Nanos };
            self.plans += 1;
            self.planned.push(Reverse(Planned { at: at + later, number: self.plans, symbol, sells }));
        }
        self.stamp(at, symbol, change)
    }

    fn stamp(&mut self, at: Nanos, symbol: u32, change: super::Change) -> MarketEvent {
        let exchange_ts = at - at % MILLI;
        let arrived = exchange_ts + WAY_MIN + self.random.exponential(WAY_MORE) as Nanos;
        self.received_at = arrived.max(self.received_at + 1);
        MarketEvent { exchange_ts, received_at: self.received_at, symbol, change }
    }
}

impl Iterator for Market {
    type Item = MarketEvent;

    fn next(&mut self) -> Option<MarketEvent> {
        if let Some((at, symbol)) = self.due.take() {
            return Some(self.quote(at, symbol));
        }
        if let Some(&Reverse(next)) = self.planned.peek()
            && next.at <= self.arrives_at
        {
            self.planned.pop();
            return Some(self.trade(next.at, next.symbol, next.sells));
        }
        Some(self.arrive())
    }
}

/// How often something must arrive for the spec's ticks to come out, bursts included.
fn rates(spec: &MarketSpec, weights: &[u64], contagion: &[u64]) -> Rates {
    // One order makes `256 / (256 - contagion)` trades; in 1/256 on average over the symbols, by their weight:
    let orders: u128 = weights.iter().map(|w| u128::from(*w)).sum();
    let trades: u128 =
        weights.iter().zip(contagion).map(|(w, c)| u128::from(*w) * 256 * 256 / u128::from(256 - c)).sum();
    let burst = (trades / orders.max(1)) as u64;
    // For each order, `burst / 256` trades and that many times the quotes.
    let quotes = spec.quotes_per_trade * burst;
    let ticks_of_256_orders = u128::from(burst + quotes);
    let arrivals_of_256_orders = u128::from(256 + quotes);
    let gap = SECOND as u128 * ticks_of_256_orders
        / (u128::from(spec.ticks_per_second.max(1)) * arrivals_of_256_orders);
    Rates { gap: gap as u64, quotes, whole: quotes + 256 }
}
