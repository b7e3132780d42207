//! Made-up plans and ticks for the tests of windows, symbols and their snapshots.

use feeds::number::Decimal;
use feeds::tick::{Quote, Side, Trade};
use feeds::time::{Nanos, SECOND};
use proptest::prelude::*;

use crate::stat::{Pane, by_name};
use crate::window::{Emission, Flags, Plan, Window};

/// Where made-up time begins: not at an edge of anything but the second.
pub(crate) const START: Nanos = 1_700_000_007 * SECOND;

/// Every statistic of the trades, and of the quotes.
const BAR: [&str; 18] = [
    "open",
    "high",
    "low",
    "close",
    "volume",
    "notional",
    "vwap",
    "trades",
    "buy_volume",
    "buy_notional",
    "buy_trades",
    "sell_volume",
    "sell_notional",
    "sell_trades",
    "first_id",
    "last_id",
    "first_time",
    "last_time",
];
const QUOTES: [&str; 3] = ["quotes", "mid_close", "spread_tw"];

/// One entry of a symbol's tape.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Trade(Nanos, Trade),
    Quote { ts: Nanos, timed: bool, quote: Quote },
    Clock(Nanos),
    End,
}

/// A window of `size` with statistics of `kind`: trades, quotes, both, or few of each.
fn window(index: usize, size: Nanos, kind: u8) -> Window {
    let stats: Vec<&str> = match kind % 4 {
        0 => BAR.to_vec(),
        1 => QUOTES.to_vec(),
        2 => BAR.iter().chain(&QUOTES).copied().collect(),
        _ => vec!["high", "spread_tw", "trades"],
    };
    let stats = stats.into_iter().map(|name| by_name(name).unwrap()).collect();
    Window { name: format!("w{index}"), size, stats }
}

/// The sizes of a plan, in units of `unit`.
const SHAPES: [&[Nanos]; 8] = [
    &[1, 60],
    &[2, 5],
    &[1, 5, 60, 300],
    &[3],
    &[2, 2, 2],
    &[60, 1, 5, 1],
    &[4, 6, 7, 9],
    &[1, 2, 4, 8, 16, 32, 64, 128, 3, 6, 12, 24, 48, 96, 5, 10, 20, 40, 80, 160],
];

/// Plans of every shape, lateness and mixture of statistics.
pub(crate) fn plans() -> impl Strategy<Value = Plan> {
    let unit = prop_oneof![Just(SECOND), Just(SECOND / 4)];
    let lateness = prop_oneof![Just(0), Just(1), Just(2 * SECOND), Just(2 * SECOND + 1), Just(90 * SECOND)];
    let kinds = prop::collection::vec(any::<u8>(), 20);
    (0..SHAPES.len(), unit, lateness, kinds).prop_map(|(shape, unit, lateness, kinds)| {
        let windows = SHAPES[shape].iter().zip(&kinds).enumerate();
        let windows = windows.map(|(index, (size, kind))| window(index, size * unit, *kind)).collect();
        let mut plan = Plan::new(windows);
        plan.lateness = lateness;
        plan
    })
}

pub(crate) fn trades() -> impl Strategy<Value = Trade> {
    let side = prop_oneof![Just(Side::Buy), Just(Side::Sell), Just(Side::Unknown)];
    (prop::option::of(0u64..1_000), 1i64..5_000, 0u8..3, 1i64..5_000, 0u8..3, side).prop_map(
        |(id, price, price_scale, size, size_scale, side)| {
            Trade::new(id, Decimal::new(price, price_scale), Decimal::new(size, size_scale), side)
        },
    )
}

pub(crate) fn quotes() -> impl Strategy<Value = Quote> {
    let side = || (1i64..5_000, 0u8..3, prop_oneof![9 => 1i64..100, 1 => Just(0)]);
    (side(), side()).prop_map(|((bid, bid_scale, bid_size), (ask, ask_scale, ask_size))| {
        let (bid, ask) = (Decimal::new(bid, bid_scale), Decimal::new(ask, ask_scale));
        Quote::new(None, bid, Decimal::new(bid_size, 0), ask, Decimal::new(ask_size, 0))
    })
}

/// How far the time of an entry is from the one before: mostly a little on, often a tie, sometimes back, rarely far.
fn strides() -> impl Strategy<Value = Nanos> {
    prop_oneof![
        4 => 0..SECOND / 2,
        2 => Just(0),
        2 => -3 * SECOND..0,
        1 => (0i64..40).prop_map(|quarters| quarters * SECOND / 4),
        1 => (-8i64..8).prop_map(|quarters| quarters * SECOND / 4),
        1 => -100 * SECOND..200 * SECOND,
    ]
}

/// Entries in an order that is out of order within any lateness and beyond.
pub(crate) fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let what = prop_oneof![
        8 => trades().prop_map(|trade| Step::Trade(0, trade)),
        6 => (any::<bool>(), quotes()).prop_map(|(timed, quote)| Step::Quote { ts: 0, timed, quote }),
        1 => Just(Step::Clock(0)),
        1 => Just(Step::End),
    ];
    let ended = prop::bool::weighted(0.1);
    prop::collection::vec((strides(), what, ended), 0..most).prop_map(|made| {
        let mut now = START;
        let mut steps = Vec::new();
        for (stride, step, ended) in made {
            // Time goes on from the highest so far, so that entries stay around the frontier.
            let ts = now + stride;
            now = now.max(ts);
            steps.push(match step {
                Step::Trade(_, trade) => Step::Trade(ts, trade),
                Step::Quote { timed, quote, .. } => Step::Quote { ts, timed, quote },
                Step::Clock(_) => Step::Clock(ts),
                Step::End if ended => Step::End,
                Step::End => continue,
            });
        }
        steps.push(Step::End);
        steps
    })
}

/// An emission of the window at this place, with nothing in it.
pub(crate) fn emission(window: usize, start: Nanos) -> Emission {
    Emission {
        window,
        start,
        revision: 0,
        flags: Flags::NONE,
        number: 1,
        until: start + 1,
        carried: None,
        pane: Pane::default(),
    }
}

/// Windows of these sizes in seconds that say first how many trades they have, and read quotes too.
pub(crate) fn nested(sizes: &[Nanos]) -> Vec<Window> {
    let stats = || ["trades", "spread_tw"].map(|name| by_name(name).unwrap()).to_vec();
    sizes
        .iter()
        .map(|size| Window { name: format!("{size}s"), size: size * SECOND, stats: stats() })
        .collect()
}
