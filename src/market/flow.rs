//! The market itself: orders and quotes arrive at random, trades draw more trades after them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use feeds::time::{Nanos, SECOND};

use super::activity::Activity;
use super::book::{Book, deviation};
use super::instrument::{self, Instrument};
use super::random::Random;
use super::{Arrivals, MarketEvent, MarketSpec};

/// Times on the exchange are whole milliseconds.
const MILLI: Nanos = 1_000_000;
/// The least time from an exchange time to its receive time.
const WAY_MIN: Nanos = 2 * MILLI;
/// What receiving takes on top, on average, in nanoseconds.
const WAY_MORE: u64 = 700_000;
/// The mean time from one trade of a burst to the next, where they do not come at once, in nanoseconds.
const BURST_GAP: u64 = 30 * MILLI as u64;
/// Movement of the whole market in one second, standard deviation, in 2⁻³⁰, as is usual.
const MARKET_VOLATILITY: i64 = 60_000;

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
    arrivals: Arrivals,
    /// Movement of the whole market in one second, standard deviation, in 2⁻³⁰.
    volatility: i64,
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
        let (weights, contagion): (Vec<u64>, Vec<u64>) =
            ranks.map(|rank| instrument::activity(rank, spec.bursts)).unzip();
        let mut market = Market {
            random,
            instruments,
            books,
            activity: Activity::new(&weights),
            rates: rates(&spec, &weights, &contagion),
            contagion,
            arrivals: spec.arrivals,
            volatility: MARKET_VOLATILITY * i64::from(spec.correlation) / 100,
            arrives_at: spec.start,
            planned: BinaryHeap::new(),
            plans: 0,
            due: None,
            level: 0,
            level_at: spec.start,
            received_at: spec.start,
        };
        market.arrives_at += market.gap();
        market
    }

    /// The symbols, the most active first; [`MarketEvent::symbol`] is an index of these.
    #[must_use]
    pub fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }

    /// The time to the next arrival.
    fn gap(&mut self) -> Nanos {
        match self.arrivals {
            Arrivals::Poisson => self.random.exponential(self.rates.gap) as Nanos,
            Arrivals::Uniform => self.rates.gap as Nanos,
        }
    }

    /// An arrival: a quote, or the first trade of a burst.
    fn arrive(&mut self) -> MarketEvent {
        let at = self.arrives_at;
        self.arrives_at += self.gap();
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
        self.level += deviation(self.volatility, at - self.level_at, &mut self.random);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::Change;
    use sha2::{Digest, Sha256};
    use std::collections::HashMap;

    fn take(spec: MarketSpec, count: usize) -> Vec<MarketEvent> {
        Market::new(spec).take(count).collect()
    }

    /// If this changes, every figure measured on the market before is of another market: say so in the changelog.
    #[test]
    fn the_same_seed_gives_the_same_market_everywhere() {
        let mut hash = Sha256::new();
        for event in take(MarketSpec::default(), 50_000) {
            hash.update(event.received_at.to_le_bytes());
            hash.update(format!("{:?}", event).as_bytes());
        }
        let digest: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, "86dd1957bb6ecbba");
    }

    #[test]
    fn another_seed_is_another_market() {
        let spec = MarketSpec::default();
        assert_ne!(take(spec, 100), take(MarketSpec { seed: 2, ..spec }, 100));
    }

    #[test]
    fn times_go_up_and_ids_count_up() {
        let mut last = (Nanos::MIN, Nanos::MIN);
        let mut ids: HashMap<u32, u64> = HashMap::new();
        for event in take(MarketSpec { symbols: 50, ..MarketSpec::default() }, 200_000) {
            assert!(event.exchange_ts >= last.0 && event.received_at > last.1);
            assert!(event.exchange_ts % MILLI == 0);
            assert!((WAY_MIN..SECOND / 10).contains(&(event.received_at - event.exchange_ts)));
            last = (event.exchange_ts, event.received_at);
            if let Change::Trade { id, .. } = event.change
                && let Some(before) = ids.insert(event.symbol, id)
            {
                assert_eq!(id, before + 1);
            }
        }
        assert_eq!(ids.len(), 50);
    }

    #[test]
    fn trades_are_at_the_bid_or_the_ask_and_within_its_size() {
        let mut quotes: HashMap<u32, (i64, i64, i64, i64)> = HashMap::new();
        let mut seen = 0;
        for event in take(MarketSpec { symbols: 20, ..MarketSpec::default() }, 100_000) {
            match event.change {
                Change::Quote { bid, bid_size, ask, ask_size, .. } => {
                    assert!(0 < bid && bid < ask && bid_size > 0 && ask_size > 0, "{event:?}");
                    quotes.insert(event.symbol, (bid, bid_size, ask, ask_size));
                }
                Change::Trade { price, size, buyer_is_maker, .. } => {
                    assert!(size > 0);
                    let Some(&(bid, bid_size, ask, ask_size)) = quotes.get(&event.symbol) else { continue };
                    let (best, there) = if buyer_is_maker { (bid, bid_size) } else { (ask, ask_size) };
                    assert!(price == best && size <= there, "{event:?}");
                    seen += 1;
                }
            }
        }
        assert!(seen > 20_000, "{seen}");
    }

    #[test]
    fn rates_are_those_of_the_spec() {
        for quotes_per_trade in [0, 1, 10] {
            let spec = MarketSpec { quotes_per_trade, ..MarketSpec::default() };
            let events = take(spec, 300_000);
            let trades = events.iter().filter(|event| matches!(event.change, Change::Trade { .. })).count();
            let seconds = (events[events.len() - 1].exchange_ts - spec.start) as f64 / 1e9;
            let rate = events.len() as f64 / seconds / spec.ticks_per_second as f64;
            let ratio = (events.len() - trades) as f64 / trades as f64;
            // Quotes that a trade forces come on top.
            assert!((0.97..1.08).contains(&rate), "{quotes_per_trade}: {rate}");
            assert!(
                (ratio - quotes_per_trade as f64).abs() < 0.1 * quotes_per_trade as f64 + 0.15,
                "{ratio}"
            );
        }
    }

    #[test]
    fn activity_follows_zipf_and_trades_cluster() {
        let spec = MarketSpec { quotes_per_trade: 0, ..MarketSpec::default() };
        let mut count = [0u32; 200];
        let mut bitcoin = Vec::new();
        for event in take(spec, 500_000) {
            count[event.symbol as usize] += 1;
            if event.symbol == 0 {
                bitcoin.push(event.exchange_ts);
            }
        }
        for rank in [1usize, 3, 9] {
            let share = f64::from(count[0]) / f64::from(count[rank]);
            assert!((share / (rank + 1) as f64 - 1.0).abs() < 0.1, "rank {rank}: {share}");
        }
        // Independent trades would make the variance of counts in a tenth of a second equal to their mean.
        let mut tenths: HashMap<Nanos, f64> = HashMap::new();
        for time in &bitcoin {
            *tenths.entry(time / (SECOND / 10)).or_default() += 1.0;
        }
        let cells = ((bitcoin[bitcoin.len() - 1] - bitcoin[0]) / (SECOND / 10)) as f64;
        let mean = bitcoin.len() as f64 / cells;
        let variance = tenths.values().map(|n| n * n).sum::<f64>() / cells - mean * mean;
        assert!(variance > 1.5 * mean, "variance {variance}, mean {mean}");
    }

    /// How far two symbols' moves of a minute go together, over six hours.
    fn correlation(spec: MarketSpec) -> f64 {
        let market = Market::new(spec);
        let homes: Vec<f64> = market.instruments().iter().map(|it| it.home as f64).collect();
        let (mut last, mut before) = ([None; 10], [None; 10]);
        let mut moves: Vec<[f64; 10]> = Vec::new();
        let mut minute = spec.start;
        for event in market.take_while(|event| event.exchange_ts < spec.start + 6 * 3_600 * SECOND) {
            let Change::Quote { bid, .. } = event.change else { continue };
            let relative = bid as f64 / homes[event.symbol as usize];
            assert!((0.25..=4.0).contains(&relative), "{event:?}");
            last[event.symbol as usize] = Some(relative);
            if event.exchange_ts >= minute + 60 * SECOND {
                minute += 60 * SECOND;
                let step = std::array::from_fn(|i| last[i].unwrap_or(1.0) - before[i].unwrap_or(1.0));
                moves.push(step);
                before = last;
            }
        }
        let product = |a: usize, b: usize| moves.iter().map(|m| m[a] * m[b]).sum::<f64>();
        product(0, 1) / (product(0, 0) * product(1, 1)).sqrt()
    }

    #[test]
    fn prices_stay_near_home_and_move_together_as_much_as_is_asked_for() {
        let spec = MarketSpec { symbols: 10, ticks_per_second: 50, ..MarketSpec::default() };
        let usual = correlation(spec);
        assert!((0.2..0.9).contains(&usual), "correlation {usual}");
        let apart = correlation(MarketSpec { correlation: 0, ..spec });
        assert!(apart.abs() < 0.15, "correlation {apart}");
        let close = correlation(MarketSpec { correlation: 300, ..spec });
        assert!(close > usual + 0.1, "correlation {close}, usual {usual}");
    }

    #[test]
    fn arrivals_are_even_and_trades_alone_if_that_is_asked_for() {
        let gaps = |spec: MarketSpec| -> (f64, f64) {
            let times: Vec<f64> = take(spec, 20_000).iter().map(|event| event.exchange_ts as f64).collect();
            let gaps: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]) / 1e6).collect();
            let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
            (mean, gaps.iter().map(|gap| (gap - mean) * (gap - mean)).sum::<f64>() / gaps.len() as f64)
        };
        let spec = MarketSpec { quotes_per_trade: 0, ticks_per_second: 100, ..MarketSpec::default() };
        let even = MarketSpec { arrivals: Arrivals::Uniform, bursts: 0, ..spec };
        // Ten milliseconds each, cut to whole ones.
        let (mean, variance) = gaps(even);
        assert!((9.9..10.1).contains(&mean) && variance < 1.0, "{mean} {variance}");
        let (mean, variance) = gaps(MarketSpec { bursts: 0, ..spec });
        assert!((9.5..10.5).contains(&mean), "{mean}");
        assert!(
            (0.9..1.1).contains(&(variance / mean / mean)),
            "{variance}: independent ones have the square"
        );
        let (_, more) = gaps(MarketSpec { bursts: 150, ..spec });
        let (_, usual) = gaps(spec);
        assert!(more > usual && usual > variance * 1.1, "{more} {usual} {variance}");
    }

    #[test]
    fn a_spec_of_nothing_is_still_a_market() {
        let spec = MarketSpec { symbols: 0, ticks_per_second: 0, ..MarketSpec::default() };
        assert_eq!(take(spec, 10).len(), 10);
    }
}
