//! The names and functions of rules, in one list each: errors, listings and the compiler go by them.

use crate::stat::Unit;

/// A value that a rule reads by its name alone.
#[derive(Debug)]
pub struct Name {
    /// How it is written.
    pub name: &'static str,
    /// What it measures.
    pub unit: Unit,
    /// What it is, in one line.
    pub doc: &'static str,
    pub(super) reading: Reading,
}

/// What a name reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Price,
    Size,
    Side,
    Bid,
    Ask,
    BidSize,
    AskSize,
    Mid,
    Spread,
    Gaps,
    Delay,
}

/// Every name, in the order of listings.
pub static NAMES: &[Name] = &[
    name("price", Unit::Price, Reading::Price, "price of the last trade"),
    name("size", Unit::Size, Reading::Size, "size of the last trade"),
    name("side", Unit::Side, Reading::Side, "side of the last trade's aggressor: `side == buy`"),
    name("bid", Unit::Price, Reading::Bid, "best bid of the last quote; nothing if there is none"),
    name("ask", Unit::Price, Reading::Ask, "best ask of the last quote; nothing if there is none"),
    name("bid_size", Unit::Size, Reading::BidSize, "size at the best bid of the last quote"),
    name("ask_size", Unit::Size, Reading::AskSize, "size at the best ask of the last quote"),
    name("mid", Unit::Price, Reading::Mid, "(bid + ask) / 2, exact"),
    name("spread", Unit::Price, Reading::Spread, "ask - bid, exact"),
    name("gaps", Unit::Count, Reading::Gaps, "gaps in the symbol's ticks that were found so far"),
    name(
        "delay",
        Unit::Duration,
        Reading::Delay,
        "receive time less exchange time of the last tick, less the least of that over the last 1,024 ticks",
    ),
];

/// A function of rules.
#[derive(Debug)]
pub struct Function {
    /// How it is written.
    pub name: &'static str,
    /// Its arguments, as they are written.
    pub signature: &'static str,
    /// What it is, in one line.
    pub doc: &'static str,
    pub(super) call: Call,
}

/// What a function does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Mean,
    Stdev,
    ZScore,
    Min,
    Max,
    Quantile,
    Cusum,
    CrossesAbove,
    CrossesBelow,
    Change,
    Abs,
    Sqrt,
    Ln,
    Age,
    Since,
    Stale,
    Gap,
    Crossed,
    Locked,
}

/// Every function, in the order of listings.
pub static FUNCTIONS: &[Function] = &[
    function(
        "mean",
        "mean(stat[w], n)",
        Call::Mean,
        "mean over the n final windows before the one that is named",
    ),
    function(
        "stdev",
        "stdev(stat[w], n)",
        Call::Stdev,
        "sample standard deviation (n - 1) over the n final windows before the one that is named",
    ),
    function(
        "zscore",
        "zscore(stat[w], n)",
        Call::ZScore,
        "(stat[w] - mean) / stdev of the n final windows before the one that is named",
    ),
    function(
        "min",
        "min(stat[w], n) or min(a, b)",
        Call::Min,
        "least over the n final windows before the one that is named; or the lesser of two",
    ),
    function(
        "max",
        "max(stat[w], n) or max(a, b)",
        Call::Max,
        "greatest over the n final windows before the one that is named; or the greater of two",
    ),
    function(
        "quantile",
        "quantile(stat[w], n, q)",
        Call::Quantile,
        "quantile q (0.5 if left out) of the n final windows before the one that is named, linear between the \
         closest ranks (Hyndman, Fan 1996, type 7)",
    ),
    function(
        "cusum",
        "cusum(stat[w, -1], n, k)",
        Call::Cusum,
        "max(S+, S-), S+ = max(0, S+ + z - k), S- = max(0, S- - z - k), z = zscore(stat[w, -1], n), once a final \
         window (Page 1954)",
    ),
    function(
        "crosses_above",
        "crosses_above(a, b)",
        Call::CrossesAbove,
        "a > b now, and a <= b at the last judgement at which both had a value",
    ),
    function(
        "crosses_below",
        "crosses_below(a, b)",
        Call::CrossesBelow,
        "a < b now, and a >= b at the last judgement at which both had a value",
    ),
    function(
        "change",
        "change(x)",
        Call::Change,
        "x less its value at the last judgement at which it had one",
    ),
    function("abs", "abs(x)", Call::Abs, "x without its sign"),
    function("sqrt", "sqrt(x)", Call::Sqrt, "square root; nothing below zero"),
    function("ln", "ln(x)", Call::Ln, "natural logarithm; nothing for zero and below"),
    function("age", "age(trades) or age(quotes)", Call::Age, "rule time less the time of the last such tick"),
    function(
        "since",
        "since(condition)",
        Call::Since,
        "rule time since the condition was last true; nothing if it never was",
    ),
    function(
        "stale",
        "stale(trades) or stale(quotes)",
        Call::Stale,
        "the stream has been silent for too long",
    ),
    function(
        "gap",
        "gap(trades) or gap(quotes)",
        Call::Gap,
        "such ticks may be missing right now, or were found missing just now",
    ),
    function("crossed", "crossed()", Call::Crossed, "bid > ask"),
    function("locked", "locked()", Call::Locked, "bid == ask"),
];

const fn name(name: &'static str, unit: Unit, reading: Reading, doc: &'static str) -> Name {
    Name { name, unit, doc, reading }
}

const fn function(name: &'static str, signature: &'static str, call: Call, doc: &'static str) -> Function {
    Function { name, signature, doc, call }
}
