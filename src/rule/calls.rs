//! Calls of functions, laid out.

use std::ops::Range;

use feeds::live::Channel;

use super::Slot;
use super::catalogue::{Call, FUNCTIONS, Function};
use super::condition::{Fold, Sight};
use super::layout::Layout;
use super::lookup::{Found, unknown_function};
use super::memory::{Cell, Past};
use super::number::Number;
use super::program::{Gathering, Op};
use super::syntax::{Comparison, Expr, Node, Reference};
use super::unit::{Measure, RATIO};
use crate::config::limits;
use crate::config::nearest::advice;

impl Layout<'_, '_> {
    pub(super) fn call(
        &mut self,
        name: &str,
        name_span: &Range<usize>,
        args: &[Expr],
        whole: &Expr,
    ) -> Option<Measure> {
        let Some(function) = FUNCTIONS.iter().find(|function| function.name == name) else {
            self.wrong(name_span.clone(), unknown_function(name));
            return None;
        };
        let (call, span) = (function.call, &whole.span);
        if !self.remembers && remembers_of(call) {
            self.wrong(span.clone(), format!("a message has no memory: `{name}` cannot stand in it"));
            return None;
        }
        let start = self.program.ops.len();
        let measure = match (call, args) {
            (Call::Min | Call::Max, [first, second]) if !is_over_windows(first, second) => {
                self.pair(if call == Call::Min { Op::Least } else { Op::Greatest }, first, second, "and")
            }
            (Call::Mean, [of, n]) => self.gathered(Gathering::Mean, function, of, n),
            (Call::Stdev, [of, n]) => self.gathered(Gathering::Stdev, function, of, n),
            (Call::Min, [of, n]) => self.gathered(Gathering::Min, function, of, n),
            (Call::Max, [of, n]) => self.gathered(Gathering::Max, function, of, n),
            (Call::Quantile, [of, n]) => self.gathered(Gathering::Quantile(0.5), function, of, n),
            (Call::Quantile, [of, n, q]) => {
                let q = self.literal(q, "q", 1.0);
                self.gathered(Gathering::Quantile(q?), function, of, n)
            }
            (Call::ZScore, [of, n]) => self.zscore(function, of, n),
            (Call::Cusum, [of, n, k]) => self.cusum(function, of, n, k),
            (Call::CrossesAbove | Call::CrossesBelow, [a, b]) => {
                let cell = self.cell(Cell::Turn(Past::NONE));
                let op = if call == Call::CrossesAbove { Op::CrossesAbove } else { Op::CrossesBelow };
                let measure = self.pair(op(cell), a, b, "compared with").map(|_| Measure::Truth);
                self.compares(cell, start);
                measure
            }
            (Call::Change | Call::Abs | Call::Sqrt | Call::Ln | Call::Since, [of]) => {
                self.of_one(call, of, span)
            }
            (Call::Age | Call::Stale | Call::Gap, [of]) => self.channel(call, of, whole),
            (Call::Crossed | Call::Locked, []) => {
                self.slot(Slot::Bid, "bid", span);
                self.slot(Slot::Ask, "ask", span);
                let how = if call == Call::Crossed { Comparison::More } else { Comparison::Same };
                self.emit(Op::Compare(how));
                Some(Measure::Truth)
            }
            _ => {
                self.wrong(span.clone(), format!("`{name}` is written `{}`", function.signature));
                None
            }
        };
        // What is wrong is not told of.
        if measure.is_some() {
            self.see_call(whole.to_string(), start);
        }
        measure
    }

    /// A function of one expression.
    fn of_one(&mut self, call: Call, of: &Expr, span: &Range<usize>) -> Option<Measure> {
        let begin = self.program.ops.len();
        if call == Call::Since {
            let start = self.height;
            self.truth(of);
            self.height = start + 1;
            let cell = self.cell(Cell::Since(None));
            self.emit(Op::Since(cell));
            self.reads.time = true;
            self.now(span);
            return Some(Measure::Duration);
        }
        let measure = self.expr(of)?;
        let is_plain = matches!(measure, Measure::Plain | Measure::Count) || measure == RATIO;
        let (op, result, fault) = match call {
            Call::Change => {
                let cell = self.cell(Cell::Last(Past::NONE));
                self.compares(cell, begin);
                (Op::Change(cell), measure.change(), "has no change")
            }
            Call::Abs => (Op::Abs, measure.is_amount().then_some(measure), "has no sign"),
            Call::Sqrt => {
                (Op::Sqrt, measure.root(), "has no root that measures anything; divide by like first")
            }
            _ => (Op::Ln, is_plain.then_some(RATIO), "has no logarithm; divide by like first"),
        };
        self.emit(op);
        if result.is_none() {
            self.wrong(of.span.clone(), format!("{measure} {fault}"));
        }
        result
    }

    /// Two that measure the same.
    fn pair(&mut self, op: Op, first: &Expr, second: &Expr, verb: &str) -> Option<Measure> {
        let (a, b) = (self.expr(first), self.expr(second));
        self.emit(op);
        let (a, b) = (a?, b?);
        let ordered = |measure| !matches!(measure, Measure::Truth | Measure::Side);
        let together = a.with(b).filter(|_| ordered(a));
        if together.is_none() {
            self.unlike(verb, (a, first), (b, second));
        }
        together
    }

    /// `age(trades)` and the like.
    fn channel(&mut self, call: Call, of: &Expr, whole: &Expr) -> Option<Measure> {
        let names = Channel::ALL.map(Channel::name);
        let found = match &of.node {
            Node::Name(name) => Channel::by_name(name).ok_or_else(|| advice(name, names)),
            _ => Err(advice("", names)),
        };
        let channel = match found {
            Ok(channel) => channel,
            Err(advice) => {
                self.wrong(of.span.clone(), format!("`{of}` is no stream; {advice}"));
                return None;
            }
        };
        let (slot, measure) = match call {
            Call::Age => (Slot::Age(channel), Measure::Duration),
            Call::Stale => (Slot::Stale(channel), Measure::Truth),
            _ => (Slot::Gap(channel), Measure::Truth),
        };
        self.slot(slot, &whole.to_string(), &whole.span);
        Some(measure)
    }

    /// An aggregate over final windows.
    fn gathered(&mut self, what: Gathering, function: &Function, of: &Expr, n: &Expr) -> Option<Measure> {
        let (reference, found, count) = self.over_windows(function, of, n)?;
        let measure = Measure::from(found.stat.unit);
        let extreme = matches!(what, Gathering::Min | Gathering::Max);
        if !extreme && !measure.is_amount() {
            self.wrong(of.span.clone(), format!("{measure} cannot be averaged"));
            return None;
        }
        let aggregate = self.aggregate(what, reference, &found, count);
        self.gather(aggregate);
        Some(measure)
    }

    fn zscore(&mut self, function: &Function, of: &Expr, n: &Expr) -> Option<Measure> {
        let (reference, found, count) = self.over_windows(function, of, n)?;
        self.read(reference, &found, &of.span);
        let mean = self.aggregate(Gathering::Mean, reference, &found, count);
        let stdev = self.aggregate(Gathering::Stdev, reference, &found, count);
        self.gather(mean);
        self.emit(Op::Subtract);
        self.gather(stdev);
        self.emit(Op::Divide);
        Some(RATIO)
    }

    fn cusum(&mut self, function: &Function, of: &Expr, n: &Expr, k: &Expr) -> Option<Measure> {
        let slack = self.literal(k, "k", f64::from(limits::RULE_WINDOWS_MAX));
        let (reference, found, count) = self.over_windows(function, of, n)?;
        let slack = slack?;
        if reference.back != 1 {
            let message = format!("`cusum` goes on with each final window: write `{}`", function.signature);
            self.wrong(of.span.clone(), message);
            return None;
        }
        let mean = self.aggregate(Gathering::Mean, reference, &found, count);
        let stdev = self.aggregate(Gathering::Stdev, reference, &found, count);
        let cell = self.cell(Cell::Cusum(None));
        self.reads.folds_with(found.window);
        let cell_at = cell as usize;
        self.folds.push(Fold {
            cell: cell_at,
            window: found.window,
            series: mean.series,
            mean,
            stdev,
            slack,
        });
        self.emit(Op::Cusum(cell));
        self.see(reference.to_string(), Sight::Newest(mean.series));
        Some(RATIO)
    }

    /// The statistic and the number of windows that a function reads.
    fn over_windows<'e>(
        &mut self,
        function: &Function,
        of: &'e Expr,
        n: &Expr,
    ) -> Option<(&'e Reference, Found, u32)> {
        let found = match &of.node {
            Node::Window(reference) => self.find(reference, &of.span).map(|found| (reference, found)),
            _ => {
                let message =
                    format!("`{}` reads a statistic: write `{}`", function.name, function.signature);
                self.wrong(of.span.clone(), message);
                None
            }
        };
        // A deviation needs two.
        let least = if matches!(function.call, Call::Stdev | Call::ZScore | Call::Cusum) { 2 } else { 1 };
        let most = limits::RULE_WINDOWS_MAX;
        let count = match n.node {
            Node::Number { value: Number::Exact { mantissa, .. }, is_whole: true } => {
                u32::try_from(mantissa).ok().filter(|count| (least..=most).contains(count))
            }
            _ => None,
        };
        if count.is_none() {
            let message = format!("n is a whole number of windows from {least} to {most}");
            self.wrong(n.span.clone(), message);
        }
        let (reference, found) = found?;
        Some((reference, found, count?))
    }

    /// A number that is written as one, from 0 to `most`.
    fn literal(&mut self, expr: &Expr, name: &str, most: f64) -> Option<f64> {
        let value = match expr.node {
            Node::Number { value, .. } => Some(value.to_f64()).filter(|value| (0.0..=most).contains(value)),
            _ => None,
        };
        if value.is_none() {
            self.wrong(expr.span.clone(), format!("{name} is a number from 0 to {most}"));
        }
        value
    }
}

/// True if the two arguments of `min` or `max` are a statistic and a number of windows.
fn is_over_windows(first: &Expr, second: &Expr) -> bool {
    let is_whole = matches!(second.node, Node::Number { is_whole: true, .. });
    matches!(first.node, Node::Window(_)) && is_whole
}

/// True for functions that look back at earlier judgements or windows by themselves.
fn remembers_of(call: Call) -> bool {
    let judgements = [Call::CrossesAbove, Call::CrossesBelow, Call::Change, Call::Since];
    judgements.contains(&call) || call == Call::Cusum
}

/// True if `expr` has to be judged each time, so that it remembers.
pub(super) fn remembers(expr: &Expr) -> bool {
    match &expr.node {
        Node::Call { name, args, .. } => {
            let function = FUNCTIONS.iter().find(|function| function.name == *name);
            let is_fold = |call| call == Call::Cusum;
            function.is_some_and(|function| remembers_of(function.call) && !is_fold(function.call))
                || args.iter().any(remembers)
        }
        Node::Negative(inner) | Node::Not(inner) => remembers(inner),
        Node::Compare(_, sides) => remembers(&sides.0) || remembers(&sides.1),
        Node::Sum(terms) => terms.iter().any(|(_, term)| remembers(term)),
        Node::Product(terms) => terms.iter().any(|(_, term)| remembers(term)),
        Node::And(terms) | Node::Or(terms) => terms.iter().any(remembers),
        _ => false,
    }
}
