//! The statistics of windows: what is kept for a slice of a symbol's stream, and what is read from it.
//!
//! A *family* is an accumulator and the statistics that are read from it, in one file: [`bar`] (trades), [`quotes`]
//! (count and mid), [`spread`] (time-weighted). A [`Pane`] holds one accumulator of each family; panes of adjoining
//! slices merge into the pane of the span. Everything here is a pure function of the ticks and their [`Key`]s: no
//! clock, no task, no file.
//!
//! A new statistic is a [`Statistic`] beside its accumulator and one line in [`STATISTICS`].

pub mod bar;
mod pane;
pub mod quotes;
pub mod spread;
mod sum;
#[cfg(test)]
mod tests;
mod value;

pub use pane::{Key, Pane, View};
pub use quotes::CarriedQuote;
pub use sum::{SUM_SCALE_MAX, Sum};
pub use value::{Value, ValueType};

/// Digits behind the point of a quotient (a price per unit, an average); the last one is rounded half to even.
pub const QUOTIENT_DECIMALS: u8 = 12;

/// How a statistic depends on the order of the ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Updated in place by ticks in any order; merging is commutative.
    Sum,
    /// Needs the ticks in the order of their keys: an out-of-order tick rebuilds its pane, and panes merge in order.
    Ordered,
}

/// Which ticks a statistic reads. A window exists if one of its statistics read at least one tick in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reads {
    /// Trades.
    Trades,
    /// Changes of the best bid and ask.
    Quotes,
}

/// What a number counts or measures. Rules add and compare like with like only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Quote currency per unit.
    Price,
    /// The venue's unit of size.
    Size,
    /// Price × size.
    Notional,
    /// How many.
    Count,
    /// A plain number: like by like.
    Ratio,
    /// Nanoseconds.
    Duration,
    /// Nanoseconds since 1970 in UTC.
    Time,
    /// A venue's id.
    Id,
    /// Yes or no.
    Truth,
    /// The aggressor's side.
    Side,
}

impl Unit {
    /// The name in listings and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Unit::Price => "price",
            Unit::Size => "size",
            Unit::Notional => "notional",
            Unit::Count => "count",
            Unit::Ratio => "ratio",
            Unit::Duration => "duration",
            Unit::Time => "time",
            Unit::Id => "id",
            Unit::Truth => "truth",
            Unit::Side => "side",
        }
    }
}

/// One number that is read from a window.
#[derive(Debug)]
pub struct Statistic {
    /// Its name in configurations and outputs.
    pub name: &'static str,
    /// How it depends on order.
    pub kind: Kind,
    /// Which ticks it reads.
    pub reads: Reads,
    /// The type of its values.
    pub value_type: ValueType,
    /// What its values measure.
    pub unit: Unit,
    /// Formula, unit and source, in one line.
    pub doc: &'static str,
    /// Its value in a window; `None` if there is nothing to say.
    pub value: fn(&View<'_>) -> Option<Value>,
}

/// Every statistic, in the order in which they are listed.
pub static STATISTICS: &[&Statistic] = &[
    &bar::OPEN,
    &bar::HIGH,
    &bar::LOW,
    &bar::CLOSE,
    &bar::VOLUME,
    &bar::NOTIONAL,
    &bar::VWAP,
    &bar::TRADES,
    &bar::BUY_VOLUME,
    &bar::BUY_NOTIONAL,
    &bar::BUY_TRADES,
    &bar::SELL_VOLUME,
    &bar::SELL_NOTIONAL,
    &bar::SELL_TRADES,
    &bar::FIRST_ID,
    &bar::LAST_ID,
    &bar::FIRST_TIME,
    &bar::LAST_TIME,
    &quotes::QUOTES,
    &quotes::MID_CLOSE,
    &spread::SPREAD_TW,
];

/// Names for several statistics at once, in the order of their columns.
pub static SETS: &[(&str, &[&str])] = &[
    (
        "bar",
        &[
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
            "first_id",
            "last_id",
            "first_time",
            "last_time",
        ],
    ),
    ("quote", &["spread_tw", "mid_close", "quotes"]),
];

/// The statistic called `name`.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Statistic> {
    STATISTICS.iter().copied().find(|statistic| statistic.name == name)
}
