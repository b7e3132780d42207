//! The model: a list of ticks and the rules, no slices, no merging.

use std::collections::BTreeMap;

use feeds::number::Decimal;
use feeds::tick::{Quote, Side, Trade};
use feeds::time::{self, Nanos};

use super::made::Step;
use crate::stat::Reads;
use crate::window::Plan;

/// One emission as text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Said {
    pub(crate) number: u64,
    pub(crate) window: usize,
    pub(crate) start: Nanos,
    pub(crate) revision: u32,
    pub(crate) flags: String,
    /// The value of each statistic, in the window's order.
    pub(crate) values: Vec<Option<String>>,
}

type Place = (Nanos, u64);
/// Ticks, the quote carried in, and up to when it was read.
type Standing = (usize, Option<(Option<Place>, Nanos)>);

/// What became of a window so far.
#[derive(Default)]
struct Record {
    emissions: u32,
    over: bool,
    /// What it stood on at the last end: its ticks, and if it reads quotes what was carried in and up to when.
    partial: Option<Standing>,
}

/// See the module.
pub(crate) struct Model<'a> {
    plan: &'a Plan,
    frontier: Nanos,
    trades: Vec<(Place, Trade)>,
    quotes: Vec<(Place, Quote)>,
    records: BTreeMap<(usize, Nanos), Record>,
    pub(crate) said: Vec<Said>,
    pub(crate) late: Vec<u64>,
}

impl<'a> Model<'a> {
    pub(crate) fn new(plan: &'a Plan) -> Model<'a> {
        Model {
            plan,
            frontier: Nanos::MIN,
            trades: Vec::new(),
            quotes: Vec::new(),
            records: BTreeMap::new(),
            said: Vec::new(),
            late: Vec::new(),
        }
    }

    pub(crate) fn apply(&mut self, number: u64, step: &Step) {
        match step {
            Step::Clock(frontier) => self.advance(number, *frontier),
            Step::End => self.end(number),
            Step::Trade(ts, trade) => {
                if self.is_late(number, *ts) {
                    return;
                }
                self.advance(number, *ts);
                self.trades.push(((*ts, number), *trade));
                self.trades.sort_by_key(|(place, _)| *place);
                self.touch(number, *ts, Reads::Trades);
            }
            Step::Quote { ts, timed, quote } => {
                if self.is_late(number, *ts) {
                    return;
                }
                if *timed {
                    self.advance(number, *ts);
                }
                self.quotes.push(((*ts, number), *quote));
                self.quotes.sort_by_key(|(place, _)| *place);
                self.touch(number, *ts, Reads::Quotes);
            }
        }
    }

    fn is_late(&mut self, number: u64, ts: Nanos) -> bool {
        let late = ts < self.frontier.saturating_sub(self.plan.lateness);
        if late {
            self.late.push(number);
        }
        late
    }

    /// The frontier reaches `ts`: whatever ends there or before, and exists, is emitted.
    fn advance(&mut self, number: u64, ts: Nanos) {
        self.frontier = self.frontier.max(ts);
        let over: Vec<(usize, Nanos)> = self
            .records
            .iter()
            .filter(|((window, start), record)| !record.over && start + self.size(*window) <= self.frontier)
            .map(|(place, _)| *place)
            .collect();
        for (window, start) in over {
            self.emit(number, window, start);
        }
    }

    /// A tick of this kind at `ts` was put in its place: the windows that read it exist, and those that are over are
    /// emitted anew, as are those that it is now carried into.
    fn touch(&mut self, number: u64, ts: Nanos, kind: Reads) {
        for window in 0..self.plan.windows().len() {
            if !self.plan.windows()[window].reads(kind) {
                continue;
            }
            let start = ts.div_euclid(self.size(window)) * self.size(window);
            self.records.entry((window, start)).or_default();
            let mut changed = Vec::new();
            for ((other, begins), record) in &self.records {
                let carried = || self.carried(*begins).is_some_and(|(place, _)| *place == (ts, number));
                let is_in = *begins == start;
                let is_into = kind == Reads::Quotes && record.over && *begins > ts && carried();
                if *other == window && begins + self.size(window) <= self.frontier && (is_in || is_into) {
                    changed.push(*begins);
                }
            }
            for start in changed {
                self.emit(number, window, start);
            }
        }
    }

    /// The window as it stands, if it is over.
    fn emit(&mut self, number: u64, window: usize, start: Nanos) {
        let values = self.values(window, start, start + self.size(window));
        let record = self.records.get_mut(&(window, start)).unwrap();
        record.over = true;
        let revision = record.emissions;
        record.emissions += 1;
        self.said.push(Said { number, window, start, revision, flags: String::new(), values });
    }

    /// Every window that is not over is emitted as it stands, unless it stands on the same as at the end before.
    fn end(&mut self, number: u64) {
        let open: Vec<(usize, Nanos)> =
            self.records.iter().filter(|(_, record)| !record.over).map(|(place, _)| *place).collect();
        for (window, start) in open {
            let read = self.ticks(window, start);
            let newest = self.quotes_in(window, start).last().map_or(start, |((ts, _), _)| *ts);
            let until = (start + self.size(window)).min(self.frontier.max(newest));
            let values = self.values(window, start, until);
            let reads_quotes = self.plan.windows()[window].reads(Reads::Quotes);
            let carried = self.carried(start).map(|(place, _)| *place);
            let partial = Some((read, reads_quotes.then_some((carried, until))));
            let record = self.records.get_mut(&(window, start)).unwrap();
            if record.partial == partial {
                continue;
            }
            record.partial = partial;
            let revision = record.emissions;
            record.emissions += 1;
            self.said.push(Said { number, window, start, revision, flags: "partial".to_owned(), values });
        }
    }

    fn size(&self, window: usize) -> Nanos {
        self.plan.windows()[window].size
    }

    fn trades_in(&self, window: usize, start: Nanos) -> Vec<&(Place, Trade)> {
        let end = start + self.size(window);
        self.trades.iter().filter(|((ts, _), _)| (start..end).contains(ts)).collect()
    }

    fn quotes_in(&self, window: usize, start: Nanos) -> Vec<&(Place, Quote)> {
        let end = start + self.size(window);
        self.quotes.iter().filter(|((ts, _), _)| (start..end).contains(ts)).collect()
    }

    fn ticks(&self, window: usize, start: Nanos) -> usize {
        let spec = &self.plan.windows()[window];
        let trades = if spec.reads(Reads::Trades) { self.trades_in(window, start).len() } else { 0 };
        trades + if spec.reads(Reads::Quotes) { self.quotes_in(window, start).len() } else { 0 }
    }

    /// The quote in force at `start`.
    fn carried(&self, start: Nanos) -> Option<&(Place, Quote)> {
        self.quotes.iter().rev().find(|((ts, _), _)| *ts < start)
    }

    fn values(&self, window: usize, start: Nanos, until: Nanos) -> Vec<Option<String>> {
        let trades = self.trades_in(window, start);
        let quotes = self.quotes_in(window, start);
        let carried = self.carried(start);
        let stats = self.plan.windows()[window].stats.iter();
        let value = |name: &str| match name {
            "quotes" => Some(quotes.len().to_string()),
            "mid_close" => quotes.last().copied().or(carried).and_then(|(_, quote)| mid(quote)),
            "spread_tw" => spread(start, until, carried, &quotes),
            name => bar(name, &trades),
        };
        stats.map(|stat| value(stat.name)).collect()
    }
}

/// Hundredths: every made-up price and size is whole in them.
fn hundredths(value: Decimal) -> i128 {
    i128::from(value.mantissa()) * 10i128.pow(2 - u32::from(value.scale()))
}

/// `value` × 10^-scale, plainly.
fn plain(value: i128, scale: usize) -> String {
    let digits = format!("{:0>1$}", value.unsigned_abs(), scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let fraction = fraction.trim_end_matches('0');
    let sign = if value < 0 { "-" } else { "" };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// `a / b` in units of 10^-12, half to even; `b` is above zero.
fn quotient(a: i128, b: i128) -> i128 {
    let a = a * 1_000_000_000_000;
    let (floor, rest) = (a.div_euclid(b), a.rem_euclid(b));
    match (2 * rest).cmp(&b) {
        std::cmp::Ordering::Less => floor,
        std::cmp::Ordering::Greater => floor + 1,
        std::cmp::Ordering::Equal => floor + floor.rem_euclid(2),
    }
}

fn bar(name: &str, trades: &[&(Place, Trade)]) -> Option<String> {
    let of = |side: Option<Side>| {
        let taken = trades.iter().filter(move |(_, trade)| side.is_none_or(|side| trade.side == side));
        taken.map(|(_, trade)| (hundredths(trade.price()), hundredths(trade.size())))
    };
    let side = match name.split_once('_') {
        Some(("buy", _)) => Some(Side::Buy),
        Some(("sell", _)) => Some(Side::Sell),
        _ => None,
    };
    let (volume, notional) = of(side).fold((0, 0), |(v, n), (price, size)| (v + size, n + price * size));
    let price = |price: Option<i128>| price.map(|price| plain(price, 2));
    let (first, last) = (trades.first(), trades.last());
    match name.trim_start_matches("buy_").trim_start_matches("sell_") {
        "open" => price(of(None).next().map(|(price, _)| price)),
        "close" => price(last.map(|(_, trade)| hundredths(trade.price()))),
        "high" => price(of(None).map(|(price, _)| price).max()),
        "low" => price(of(None).map(|(price, _)| price).min()),
        "volume" => Some(plain(volume, 2)),
        "notional" => Some(plain(notional, 4)),
        "trades" => Some(of(side).count().to_string()),
        // Notional is in ten-thousandths, volume in hundredths.
        "vwap" => (volume > 0).then(|| plain(quotient(notional, volume * 100), 12)),
        "first_id" => first.and_then(|(_, trade)| trade.id()).map(|id| id.to_string()),
        "last_id" => last.and_then(|(_, trade)| trade.id()).map(|id| id.to_string()),
        "first_time" => first.map(|((ts, _), _)| time::format(*ts)),
        "last_time" => last.map(|((ts, _), _)| time::format(*ts)),
        other => panic!("the model knows no statistic {other}"),
    }
}

fn has_both(quote: &Quote) -> bool {
    !quote.bid_size().is_zero() && !quote.ask_size().is_zero()
}

fn mid(quote: &Quote) -> Option<String> {
    has_both(quote).then(|| plain((hundredths(quote.bid()) + hundredths(quote.ask())) * 5, 3))
}

fn spread(
    start: Nanos,
    until: Nanos,
    carried: Option<&(Place, Quote)>,
    quotes: &[&(Place, Quote)],
) -> Option<String> {
    let mut stretches: Vec<(Nanos, &Quote)> = carried.iter().map(|(_, quote)| (start, quote)).collect();
    stretches.extend(quotes.iter().map(|((ts, _), quote)| (*ts, quote)));
    let ends = stretches.iter().skip(1).map(|(from, _)| *from).chain([until]).collect::<Vec<_>>();
    let (mut area, mut covered) = (0, 0);
    for ((from, quote), to) in stretches.into_iter().zip(ends) {
        if has_both(quote) && to > from {
            covered += i128::from(to - from);
            area += (hundredths(quote.ask()) - hundredths(quote.bid())) * i128::from(to - from);
        }
    }
    (covered > 0).then(|| plain(quotient(area, covered * 100), 12))
}
