//! A compiled expression: operations on a small stack, and how they are run.
//!
//! Nothing is allocated while one runs, except where a quantile is computed anew.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::ops::Range;

use super::Market;
use super::condition::LooksAt;
use super::memory::Memory;
use super::number::Number;
use super::syntax::Comparison;

/// One operation. Indices are into the program's lists.
#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    /// Puts a constant onto the stack.
    Constant(u32),
    /// Puts what a slot says.
    Slot(u32),
    /// Puts the value of the final window that is so many back from the newest, 1 being that one.
    Window {
        series: u32,
        back: u32,
    },
    /// Puts an aggregate of final windows.
    Aggregate(u32),
    /// Puts the sum that a cell keeps.
    Cusum(u32),
    /// Of the two on top.
    Add,
    Subtract,
    Multiply,
    Divide,
    Least,
    Greatest,
    Compare(Comparison),
    And,
    Or,
    /// Of the one on top.
    Not,
    Negate,
    Abs,
    Sqrt,
    Ln,
    /// Jumps there if the top is false.
    SkipIfFalse(u32),
    /// Jumps there if the top is true.
    SkipIfTrue(u32),
    /// With what the cell remembers.
    Change(u32),
    CrossesAbove(u32),
    CrossesBelow(u32),
    Since(u32),
}

/// What of a series is put together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Gathering {
    Mean,
    Stdev,
    Min,
    Max,
    Quantile(f64),
}

/// An aggregate over `count` final windows, of which the newest `back` are left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Aggregate {
    pub(super) what: Gathering,
    pub(super) series: u32,
    pub(super) count: u32,
    pub(super) back: u32,
}

/// Operations with what they refer to.
#[derive(Clone, Debug, Default)]
pub(super) struct Program {
    pub(super) ops: Vec<Op>,
    pub(super) constants: Vec<Number>,
    pub(super) aggregates: Vec<Aggregate>,
    /// Numbers that are on the stack at once, at most.
    pub(super) depth: usize,
}

/// Stacks that suffice for most rules, for nearly all, and for the deepest nesting that can be written: with each level
/// go at most six numbers (an operand of `or`, `and`, a comparison, a sum, a product, and a function's first argument).
const STACKS: [usize; 3] = [4, 16, STACK_MAX];
pub(super) const STACK_MAX: usize = 6 * (crate::config::limits::RULE_DEPTH_MAX + 1);

type Stack<'a> = &'a mut [Option<Number>];

impl Program {
    /// Runs the operations `range`; the result is what is left on the stack.
    pub(super) fn run(
        &self,
        range: &Range<usize>,
        market: &impl Market,
        memory: &mut Memory,
    ) -> Option<Number> {
        if self.depth <= STACKS[0] {
            self.run_on(&mut [None; STACKS[0]], range, market, memory)
        } else if self.depth <= STACKS[1] {
            self.run_on(&mut [None; STACKS[1]], range, market, memory)
        } else {
            self.run_on(&mut [None; STACKS[2]], range, market, memory)
        }
    }

    fn run_on(
        &self,
        stack: Stack<'_>,
        range: &Range<usize>,
        market: &impl Market,
        memory: &mut Memory,
    ) -> Option<Number> {
        let (mut top, mut at) = (0, range.start);
        while at < range.end {
            let op = self.ops.get(at)?;
            at += 1;
            match *op {
                Op::Constant(index) => push(stack, &mut top, self.constants.get(index as usize).copied()),
                Op::Slot(place) => push(stack, &mut top, market.slot(place as usize)),
                Op::Window { series, back } => {
                    push(stack, &mut top, window(market.series(series as usize), back));
                }
                Op::Aggregate(index) => {
                    let value = self.aggregate(index as usize, market, memory);
                    push(stack, &mut top, value);
                }
                Op::Cusum(cell) => push(stack, &mut top, memory.cusum(cell as usize)),
                Op::SkipIfFalse(to) if peek(stack, top) == Some(false) => at = to as usize,
                Op::SkipIfTrue(to) if peek(stack, top) == Some(true) => at = to as usize,
                Op::SkipIfFalse(_) | Op::SkipIfTrue(_) => {}
                Op::Not | Op::Negate | Op::Abs | Op::Sqrt | Op::Ln | Op::Change(_) | Op::Since(_) => {
                    let value = stack.get_mut(top.checked_sub(1)?)?;
                    *value = unary(*op, *value, market, memory);
                }
                _ => {
                    top = top.checked_sub(1)?;
                    let [a, b] = stack.get_mut(top.checked_sub(1)?..=top)? else { return None };
                    *a = binary(*op, *a, *b, market, memory);
                }
            }
        }
        *stack.get(top.checked_sub(1)?)?
    }

    /// The windows that the operations `range` read; those that keep a sum have no part in it.
    pub(super) fn looks(&self, range: &Range<usize>) -> impl Iterator<Item = LooksAt> + '_ {
        self.ops.get(range.clone()).unwrap_or_default().iter().filter_map(|op| match *op {
            Op::Slot(place) => Some(LooksAt::Slot(place as usize)),
            Op::Window { series, back } => {
                let back = back as usize;
                Some(LooksAt::Final { series: series as usize, newest: back, oldest: back })
            }
            Op::Aggregate(index) => self.aggregates.get(index as usize).map(Aggregate::looks),
            _ => None,
        })
    }

    /// What a condition's pattern goes by: the result as a truth.
    pub(super) fn truth(
        &self,
        range: &Range<usize>,
        market: &impl Market,
        memory: &mut Memory,
    ) -> Option<bool> {
        self.run(range, market, memory).map(Number::is_true)
    }

    /// The aggregate, computed anew only if its series changed.
    fn aggregate(&self, index: usize, market: &impl Market, memory: &mut Memory) -> Option<Number> {
        let aggregate = self.aggregates.get(index)?;
        let revision = market.series_revision(aggregate.series as usize);
        let Some(kept) = memory.cache.get_mut(index) else { return aggregate.of(market) };
        match kept {
            Some((of, value)) if *of == revision => *value,
            _ => {
                let value = aggregate.of(market);
                *kept = Some((revision, value));
                value
            }
        }
    }
}

fn push(stack: Stack<'_>, top: &mut usize, value: Option<Number>) {
    if let Some(place) = stack.get_mut(*top) {
        *place = value;
        *top += 1;
    }
}

fn peek(stack: &[Option<Number>], top: usize) -> Option<bool> {
    stack.get(top.checked_sub(1)?)?.map(Number::is_true)
}

fn window(series: &VecDeque<Option<Number>>, back: u32) -> Option<Number> {
    *series.get(series.len().checked_sub(back as usize)?)?
}

fn unary(op: Op, value: Option<Number>, market: &impl Market, memory: &mut Memory) -> Option<Number> {
    if let Op::Since(cell) = op {
        // Time goes by while the condition says nothing, too.
        return memory.since(cell as usize, value.is_some_and(Number::is_true), market.now());
    }
    let value = value?;
    match op {
        Op::Not => Some(Number::truth(!value.is_true())),
        Op::Negate => Some(value.negated()),
        Op::Abs => Some(value.distance()),
        Op::Sqrt => value.square_root(),
        Op::Ln => value.logarithm(),
        Op::Change(cell) => memory.change(cell as usize, value, market.now()),
        _ => None,
    }
}

fn binary(
    op: Op,
    a: Option<Number>,
    b: Option<Number>,
    market: &impl Market,
    memory: &mut Memory,
) -> Option<Number> {
    let mut crosses = |cell: u32, order, to| memory.crosses(cell as usize, order, to, market.now());
    match op {
        Op::And => return both(a, b, false),
        Op::Or => return both(a, b, true),
        _ => {}
    }
    let (a, b) = (a?, b?);
    match op {
        Op::Add => a.plus(b),
        Op::Subtract => a.minus(b),
        Op::Multiply => a.times(b),
        Op::Divide => a.over(b),
        Op::Least => Some(if a.compare(b).is_gt() { b } else { a }),
        Op::Greatest => Some(if a.compare(b).is_lt() { b } else { a }),
        Op::Compare(how) => Some(Number::truth(holds(how, a.compare(b)))),
        Op::CrossesAbove(cell) => crosses(cell, a.compare(b), Ordering::Greater),
        Op::CrossesBelow(cell) => crosses(cell, a.compare(b), Ordering::Less),
        _ => None,
    }
}

/// Kleene's `and` (`decides` false) and `or` (true): one that decides decides, and nothing spreads otherwise.
fn both(a: Option<Number>, b: Option<Number>, decides: bool) -> Option<Number> {
    match (a.map(Number::is_true), b.map(Number::is_true)) {
        (Some(a), Some(b)) => Some(Number::truth(if decides { a || b } else { a && b })),
        (Some(one), None) | (None, Some(one)) if one == decides => Some(Number::truth(decides)),
        _ => None,
    }
}

fn holds(how: Comparison, order: Ordering) -> bool {
    match how {
        Comparison::Less => order.is_lt(),
        Comparison::AtMost => order.is_le(),
        Comparison::More => order.is_gt(),
        Comparison::AtLeast => order.is_ge(),
        Comparison::Same => order.is_eq(),
        Comparison::Other => order.is_ne(),
    }
}

impl Aggregate {
    /// The windows that it is over.
    pub(super) fn looks(&self) -> LooksAt {
        let back = self.back as usize;
        LooksAt::Final { series: self.series as usize, newest: back + 1, oldest: back + self.count as usize }
    }

    /// Its value; nothing until there are as many windows, or if none of them says anything.
    pub(super) fn of(&self, market: &impl Market) -> Option<Number> {
        let series = market.series(self.series as usize);
        let end = series.len().checked_sub(self.back as usize)?;
        let start = end.checked_sub(self.count as usize)?;
        let values = || series.range(start..end).copied().flatten();
        match self.what {
            Gathering::Mean => mean(values()),
            Gathering::Stdev => stdev(values()),
            Gathering::Min => values().reduce(|a, b| if a.compare(b).is_gt() { b } else { a }),
            Gathering::Max => values().reduce(|a, b| if a.compare(b).is_lt() { b } else { a }),
            Gathering::Quantile(q) => quantile(values(), q),
        }
    }
}

/// The sum, as exact as numbers are, then one division.
fn mean(values: impl Iterator<Item = Number>) -> Option<Number> {
    let (mut sum, mut count) = (Number::ZERO, 0i64);
    for value in values {
        sum = sum.plus(value)?;
        count += 1;
    }
    sum.over(Number::whole(count))
}

/// √(D / (n (n − 1))) with D = n Σ x² − (Σ x)² where that is exact, so that equal values deviate by nothing; else
/// √(Σ (x − mean)² / (n − 1)) in floats, the oldest first. Nothing of less than two.
fn stdev(values: impl Iterator<Item = Number> + Clone) -> Option<Number> {
    let count = u32::try_from(values.clone().count()).ok().filter(|count| *count > 1)?;
    let degrees = f64::from(count - 1);
    if let Some(d) = deviations(values.clone(), count) {
        return Number::float((d / (f64::from(count) * degrees)).sqrt());
    }
    let mean = mean(values.clone())?.to_f64();
    let mut squares = 0.0;
    for value in values {
        let away = value.to_f64() - mean;
        squares += away * away;
    }
    Number::float((squares / degrees).sqrt())
}

/// n Σ x² − (Σ x)², if every step is exact.
fn deviations(values: impl Iterator<Item = Number>, count: u32) -> Option<f64> {
    let exact = |number: Option<Number>| number.filter(|number| matches!(number, Number::Exact { .. }));
    let (mut sum, mut squares) = (Number::ZERO, Number::ZERO);
    for value in values {
        sum = exact(sum.plus(value))?;
        squares = exact(squares.plus(exact(value.times(value))?))?;
    }
    let whole = exact(squares.times(Number::whole(i64::from(count))))?;
    exact(whole.minus(exact(sum.times(sum))?)).map(Number::to_f64)
}

/// Between the values of the closest ranks, linearly: rank 1 + (n − 1) q (Hyndman, Fan 1996, type 7).
fn quantile(values: impl Iterator<Item = Number>, q: f64) -> Option<Number> {
    let mut sorted: Vec<f64> = values.map(Number::to_f64).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let rank = sorted.len().checked_sub(1)? as f64 * q;
    let below = rank.floor();
    let low = *sorted.get(below as usize)?;
    let high = sorted.get(below as usize + 1).copied().unwrap_or(low);
    Number::float(low + (rank - below) * (high - low))
}

/// (x − mean) / stdev.
pub(super) fn zscore(value: Option<Number>, mean: Option<Number>, stdev: Option<Number>) -> Option<Number> {
    value?.minus(mean?)?.over(stdev?)
}

/// The value of a window so many back.
pub(super) fn read_window(market: &impl Market, series: u32, back: u32) -> Option<Number> {
    window(market.series(series as usize), back)
}
