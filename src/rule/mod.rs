//! The language of rules: conditions over statistics, ticks and outages, as text, compiled, and judged.
//!
//! ```text
//! condition := pattern | expr
//! pattern   := expr "then" expr ("then" expr)* "within" DURATION   one after the other
//!            | expr "then" "not" expr "for" DURATION               the second does not follow the first
//!            | "not" expr "for" DURATION                           it does not come
//!            | INTEGER "of" expr "within" DURATION                 so many times
//! expr      := or and not, < <= > >= == !=, + - * /, unary -, parentheses, numbers, durations, true false buy sell,
//!              names, calls, stat[window], stat[window, -k], "venue:SYM".stat[window, -k]
//! ```
//!
//! `&&`, `||` and `!` are other spellings of `and`, `or` and `not`, which binds less than a comparison. Names and
//! functions are in [`NAMES`] and [`FUNCTIONS`].
//!
//! # What it means
//! **Windows.** `stat[w]` is the window that contains the symbol's frontier, `stat[w, -1]` the newest final one, `-2`
//! the one before it. Only windows that exist count. `f(stat[w], n)` reads the n final windows before the one that is
//! named: the n newest for `stat[w]`, for `stat[w, -1]` the n before the newest. It says nothing until there are so
//! many; windows in which the statistic says nothing are left out. In `min` and `max` a statistic and a whole number mean
//! windows: write `max(volume[1s], 5.0)` for the greater of two.
//!
//! **Nothing.** What has no value (no quote yet, too few windows, a quotient by zero) is nothing. Sums and comparisons
//! with nothing are nothing; `and`, `or` and `not` are Kleene's, so `false and nothing` is false. What is nothing is not
//! true.
//!
//! **Numbers.** Exact or the nearest float, see [`Number`]. Durations and times are nanoseconds.
//!
//! **Units.** Price is compared with price, not with size. A number takes the unit of what it is compared with or added
//! to, but a duration is written as one. Prices and sizes may be multiplied and divided; like by like is a ratio, and
//! a count is one in a product.
//!
//! **Memory.** `change` and `crosses_…` look at the last judgement at which there was a value, `since` at the last at
//! which its condition was true. They are always judged: `false and change(price) > 0` remembers the price. `cusum` goes
//! one step with each final window. A *judgement* is one call of [`Condition::judge`].
//!
//! **Closed and live.** A condition that reads final windows only is closed, and judged once for each of them; else it is
//! live, and judged at each tick of the kinds that it reads, at any tick and at entries of the clock if it reads time, and
//! at entries of outages if it reads those ([`Reads`]).
//!
//! **Patterns.** A sequence is true at the judgement at which its last step is true, each step at a later judgement than
//! the one before and the last at most so long after the first (the newest that leads there); then it begins anew. A
//! count is true at the judgement at which its condition is true for the n-th time within the duration; then it begins
//! anew. `not b for d` is true from d after b was last true (from the first judgement, if it never was) until b is true.
//! `a then not b for d` is true from d after an a, the oldest that no later judgement answered with b, until b is true.
//! An absence becomes true at its deadline ([`Condition::deadline`], [`Condition::pass`]), not at what comes next.

mod calls;
mod catalogue;
mod compile;
mod condition;
mod layout;
mod lookup;
mod memory;
mod number;
mod parse;
mod program;
mod syntax;
mod template;
#[cfg(test)]
mod tests;
mod token;
mod unit;

use std::collections::VecDeque;
use std::ops::Range;

use feeds::live::Channel;
use feeds::symbol::Symbol;
use feeds::time::Nanos;

pub use catalogue::{FUNCTIONS, Function, NAMES, Name};
pub use compile::Compiler;
pub use condition::{Condition, LooksAt, Reads};
pub use memory::Memory;
pub use number::{DIGITS_MAX, Number};
pub use template::Template;

use crate::stat::Statistic;
use crate::window::plan::Window;

/// What rules may name.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// The windows. A rule may read only the statistics that its window keeps.
    pub windows: &'a [Window],
}

/// What is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: bytes of the text.
    pub span: Range<usize>,
    /// What, and what to do.
    pub message: String,
}

/// One value of now that rules read, shared by all rules of a book.
#[derive(Clone, Copy, Debug)]
pub enum Slot {
    /// A statistic of the window that contains the frontier.
    Live {
        /// The window's place in the configuration.
        window: usize,
        /// What is read from it.
        stat: &'static Statistic,
    },
    /// Price of the last trade.
    Price,
    /// Size of the last trade.
    Size,
    /// Side of the last trade: 1 bought, -1 sold, nothing if unknown.
    Side,
    /// Best bid of the last quote; nothing if that side is empty.
    Bid,
    /// Size at the best bid; nothing if that side is empty.
    BidSize,
    /// Best ask of the last quote; nothing if that side is empty.
    Ask,
    /// Size at the best ask; nothing if that side is empty.
    AskSize,
    /// Rule time less the time of the channel's last tick, in nanoseconds.
    Age(Channel),
    /// 1 while the channel has been silent for too long, else 0.
    Stale(Channel),
    /// 1 while ticks of the channel may be missing, and at the entry at which some were found to be, else 0.
    Gap(Channel),
    /// Gaps that were found so far.
    Gaps,
    /// Receive time less exchange time of the last tick, less the least of that over the last 1,024 ticks, in nanoseconds.
    Delay,
}

/// Values of final windows that are kept: those of the newest windows that exist.
#[derive(Clone, Debug)]
pub struct Series {
    /// Whose windows; the judged symbol's if none.
    pub symbol: Option<Symbol>,
    /// The window's place in the configuration.
    pub window: usize,
    /// What is read from it.
    pub stat: &'static Statistic,
    /// How many are read at most.
    pub keep: usize,
}

/// Everything that a book of rules reads, each thing once. Rules refer to places in these lists.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// Values of now.
    pub slots: Vec<Slot>,
    /// Values of final windows.
    pub series: Vec<Series>,
}

/// What a judgement looks at.
pub trait Market {
    /// What the slot at `place` of [`Inputs::slots`] says now.
    fn slot(&self, place: usize) -> Option<Number>;

    /// The values of the series at `place` of [`Inputs::series`], the oldest first; `None` for a window in which the
    /// statistic says nothing. At most [`Series::keep`] of them.
    fn series(&self, place: usize) -> &VecDeque<Option<Number>>;

    /// A number that is another one whenever the series at `place` has changed, for as long as a [`Memory`] is used with
    /// it. What is computed from the series is kept until then.
    fn series_revision(&self, place: usize) -> u64;

    /// The rule time.
    fn now(&self) -> Nanos;
}
