//! One expression laid out as operations, with its units checked.

use std::ops::Range;

use feeds::symbol::Symbol;

use super::calls::remembers;
use super::catalogue::{NAMES, Reading};
use super::compile::Compiler;
use super::condition::{Comparing, Fold, Reads, Sight};
use super::lookup::Found;
use super::memory::Cell;
use super::number::Number;
use super::program::{Aggregate, Gathering, Op, Program, STACK_MAX};
use super::syntax::{Additive, Comparison, Expr, Factor, Node, Reference};
use super::unit::Measure;
use super::{Problem, Slot};
use crate::config::limits::RULE_BYTES_MAX;

/// Bytes of the calls of a text that are told with their values: each call repeats those inside it, so that they are
/// more than the text; with those of twenty lines nested eight deep an alert is still small. A call beyond is not told,
/// what is inside it is.
const CALLED_BYTES_MAX: usize = 8 * RULE_BYTES_MAX;

/// What comes of a text, being put together.
pub(super) struct Layout<'c, 'a> {
    pub(super) compiler: &'c mut Compiler<'a>,
    text: &'c str,
    /// Whether functions with a memory may be used.
    pub(super) remembers: bool,
    pub(super) program: Program,
    cells: Vec<Cell>,
    pub(super) folds: Vec<Fold>,
    sights: Vec<(String, Sight)>,
    /// Bytes of the texts of calls among them.
    called: usize,
    comparing: Vec<Comparing>,
    pub(super) reads: Reads,
    pub(super) problems: Vec<Problem>,
    /// Numbers on the stack.
    pub(super) height: usize,
    /// Where something of the judged symbol itself is read, and where something of now.
    pub(super) own: Option<Range<usize>>,
    live: Option<Range<usize>>,
}

/// What came of a text.
pub(super) struct LaidOut {
    pub(super) program: Program,
    pub(super) cells: Vec<Cell>,
    pub(super) folds: Vec<Fold>,
    pub(super) sights: Vec<(String, Sight)>,
    pub(super) comparing: Vec<Comparing>,
    pub(super) reads: Reads,
}

impl<'c, 'a> Layout<'c, 'a> {
    pub(super) fn new(compiler: &'c mut Compiler<'a>, text: &'c str, remembers: bool) -> Layout<'c, 'a> {
        Layout {
            compiler,
            text,
            remembers,
            program: Program::default(),
            cells: Vec::new(),
            folds: Vec::new(),
            sights: Vec::new(),
            called: 0,
            comparing: Vec::new(),
            reads: Reads::default(),
            problems: Vec::new(),
            height: 0,
            own: None,
            live: None,
        }
    }

    /// What came of it. `must_read`: it has to read something.
    pub(super) fn finish(mut self, must_read: bool) -> Result<LaidOut, Vec<Problem>> {
        if !self.reads.symbols.is_empty() {
            if let Some(own) = self.own.take() {
                let message = "a rule that names symbols names one with everything that it reads: write \
                               \"venue:NATIVE\".close[1s, -1]";
                self.wrong(own, message);
            } else if let Some(live) = self.live.take() {
                self.wrong(live, "a rule that names symbols reads final windows only");
            }
        }
        let reads_nothing = self.reads.slots.is_empty() && self.reads.series.is_empty();
        if must_read && reads_nothing && self.problems.is_empty() {
            self.wrong(0..self.text.len(), "the condition reads nothing that could change");
        }
        if self.program.depth > STACK_MAX {
            self.wrong(0..self.text.len(), "nested too deep; make two rules of it");
        }
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        let Layout { program, cells, folds, sights, comparing, reads, .. } = self;
        Ok(LaidOut { program, cells, folds, sights, comparing, reads })
    }

    pub(super) fn wrong(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.problems.push(Problem { span, message: message.into() });
    }

    /// An expression that is true or not.
    pub(super) fn truth(&mut self, expr: &Expr) {
        let start = self.height;
        if let Some(measure) = self.expr(expr).filter(|measure| *measure != Measure::Truth) {
            let advice = "compare it with something";
            self.wrong(expr.span.clone(), format!("{measure} is not true or false; {advice}"));
        }
        self.height = start;
    }

    /// Lays out `expr`; what it measures, or `None` if that is a problem already.
    pub(super) fn expr(&mut self, expr: &Expr) -> Option<Measure> {
        match &expr.node {
            Node::Number { value, .. } => Some(self.constant(*value, Measure::Plain)),
            Node::Duration(nanos) => Some(self.constant(Number::whole(*nanos), Measure::Duration)),
            Node::Truth(truth) => Some(self.constant(Number::truth(*truth), Measure::Truth)),
            Node::Side(is_buy) => {
                Some(self.constant(Number::whole(if *is_buy { 1 } else { -1 }), Measure::Side))
            }
            Node::Name(name) => self.name(name, &expr.span),
            Node::Window(reference) => self.window(reference, &expr.span),
            Node::Call { name, name_span, args } => self.call(name, name_span, args, expr),
            Node::Negative(inner) => {
                let measure = self.expr(inner)?;
                self.emit(Op::Negate);
                if !measure.is_amount() {
                    self.wrong(expr.span.clone(), format!("{measure} has no sign"));
                    return None;
                }
                Some(measure)
            }
            Node::Not(inner) => {
                self.truth(inner);
                self.height += 1;
                self.emit(Op::Not);
                Some(Measure::Truth)
            }
            Node::Compare(how, sides) => self.compare(*how, &sides.0, &sides.1, expr),
            Node::Sum(terms) => self.sum(terms),
            Node::Product(terms) => self.product(terms),
            Node::And(terms) => self.logic(terms, true),
            Node::Or(terms) => self.logic(terms, false),
        }
    }

    fn compare(&mut self, how: Comparison, left: &Expr, right: &Expr, whole: &Expr) -> Option<Measure> {
        let said = self.problems.len();
        let (a, b) = (self.expr(left), self.expr(right));
        match (a, b) {
            (None, Some(Measure::Side)) => self.no_side(left, said),
            (Some(Measure::Side), None) => self.no_side(right, said),
            _ => {}
        }
        self.emit(Op::Compare(how));
        let (a, b) = (a?, b?);
        let same_only = matches!(a, Measure::Truth | Measure::Side);
        if a.with(b).is_none() {
            self.unlike("compared with", (a, left), (b, right));
            return None;
        } else if same_only && !matches!(how, Comparison::Same | Comparison::Other) {
            let message = format!("{a} is neither less nor more than another: write `==` or `!=`");
            self.wrong(whole.span.clone(), message);
            return None;
        }
        Some(Measure::Truth)
    }

    /// What is compared with a side is a name that there is not: says what sides there are, in place of what was `said`.
    fn no_side(&mut self, expr: &Expr, said: usize) {
        if let Node::Name(name) = &expr.node {
            self.problems.truncate(said);
            let advice = "a side is `buy` or `sell`, and nothing where the venue does not say";
            self.wrong(expr.span.clone(), format!("unknown side `{name}`; {advice}"));
        }
    }

    fn sum(&mut self, terms: &[(Additive, Expr)]) -> Option<Measure> {
        let mut sum: Option<(Measure, &Expr)> = None;
        let mut is_right = true;
        for (index, (sign, term)) in terms.iter().enumerate() {
            let measure = self.expr(term);
            if index > 0 {
                self.emit(if *sign == Additive::Plus { Op::Add } else { Op::Subtract });
            }
            let Some(measure) = measure else {
                is_right = false;
                continue;
            };
            let Some((before, first)) = sum else {
                sum = Some((measure, term));
                continue;
            };
            let (together, verb) = match sign {
                Additive::Plus => (before.plus(measure), "added to"),
                Additive::Minus => (before.minus(measure), "less"),
            };
            match together {
                Some(together) => sum = Some((together, first)),
                None => {
                    self.unlike(verb, (before, first), (measure, term));
                    is_right = false;
                }
            }
        }
        sum.filter(|_| is_right).map(|(measure, _)| measure)
    }

    fn product(&mut self, terms: &[(Factor, Expr)]) -> Option<Measure> {
        let mut product: Option<Measure> = None;
        let mut is_right = true;
        for (index, (sign, term)) in terms.iter().enumerate() {
            let measure = self.expr(term);
            if index > 0 {
                self.emit(if *sign == Factor::Times { Op::Multiply } else { Op::Divide });
            }
            let Some(measure) = measure else {
                is_right = false;
                continue;
            };
            let Some(before) = product else {
                product = Some(measure);
                continue;
            };
            let (together, verb) = match sign {
                Factor::Times => (before.times(measure), "times"),
                Factor::Over => (before.over(measure), "divided by"),
            };
            if together.is_none() {
                let message = format!("{before} {verb} {measure} says nothing");
                self.wrong(term.span.clone(), message);
                is_right = false;
            }
            product = together.or(product);
        }
        product.filter(|_| is_right)
    }

    /// A chain of `and` or `or`. What cannot change the result any more is passed over, unless it has to remember.
    fn logic(&mut self, terms: &[Expr], is_and: bool) -> Option<Measure> {
        let mut skips = Vec::new();
        for (index, term) in terms.iter().enumerate() {
            self.truth(term);
            self.height += 1;
            self.program.depth = self.program.depth.max(self.height);
            if index > 0 {
                self.emit(if is_and { Op::And } else { Op::Or });
            }
            let rest = &terms[index + 1..];
            if !rest.is_empty() && !rest.iter().any(remembers) {
                skips.push(self.program.ops.len());
                self.emit(if is_and { Op::SkipIfFalse(0) } else { Op::SkipIfTrue(0) });
            }
        }
        let end = index(self.program.ops.len());
        for skip in skips {
            self.program.ops[skip] = if is_and { Op::SkipIfFalse(end) } else { Op::SkipIfTrue(end) };
        }
        Some(Measure::Truth)
    }

    pub(super) fn unlike(&mut self, verb: &str, (a, _): (Measure, &Expr), (b, right): (Measure, &Expr)) {
        let advice = match (a, b) {
            (Measure::Duration, Measure::Plain) | (Measure::Plain, Measure::Duration) => {
                "; write a duration with its unit, such as `5s`"
            }
            (Measure::Side, _) | (_, Measure::Side) => "; write `side == buy` or `side == sell`",
            _ => "",
        };
        self.wrong(right.span.clone(), format!("{a} {verb} {b} says nothing{advice}"));
    }

    fn name(&mut self, name: &str, span: &Range<usize>) -> Option<Measure> {
        let Some(known) = NAMES.iter().find(|known| known.name == name) else {
            let message = super::lookup::unknown_name(name);
            self.wrong(span.clone(), message);
            return None;
        };
        let start = self.program.ops.len();
        match known.reading {
            Reading::Mid => {
                self.slot(Slot::Bid, "bid", span);
                self.slot(Slot::Ask, "ask", span);
                self.emit(Op::Add);
                // Half of an exact number is exact.
                self.constant(Number::Exact { mantissa: 5, scale: 1 }, Measure::Plain);
                self.emit(Op::Multiply);
                self.see_call(name.to_owned(), start);
            }
            Reading::Spread => {
                self.slot(Slot::Ask, "ask", span);
                self.slot(Slot::Bid, "bid", span);
                self.emit(Op::Subtract);
                self.see_call(name.to_owned(), start);
            }
            Reading::Price => self.slot(Slot::Price, name, span),
            Reading::Size => self.slot(Slot::Size, name, span),
            Reading::Side => self.slot(Slot::Side, name, span),
            Reading::Bid => self.slot(Slot::Bid, name, span),
            Reading::Ask => self.slot(Slot::Ask, name, span),
            Reading::BidSize => self.slot(Slot::BidSize, name, span),
            Reading::AskSize => self.slot(Slot::AskSize, name, span),
            Reading::Gaps => self.slot(Slot::Gaps, name, span),
            Reading::Delay => self.slot(Slot::Delay, name, span),
        }
        Some(Measure::from(known.unit))
    }

    /// A statistic, as it is.
    fn window(&mut self, reference: &Reference, span: &Range<usize>) -> Option<Measure> {
        let found = self.find(reference, span)?;
        self.read(reference, &found, span);
        Some(Measure::from(found.stat.unit))
    }

    /// Puts the statistic onto the stack.
    pub(super) fn read(&mut self, reference: &Reference, found: &Found, span: &Range<usize>) {
        let start = self.program.ops.len();
        if reference.back == 0 {
            let place = self.compiler.slot(Slot::Live { window: found.window, stat: found.stat });
            self.reads.slots_with(place);
            self.now(span);
            self.emit(Op::Slot(index(place)));
        } else {
            let series = self.series(reference, found, reference.back as usize);
            self.emit(Op::Window { series, back: reference.back });
        }
        self.see(reference.to_string(), Sight::Ops(start..start + 1));
    }

    /// The series of a statistic, of which `keep` windows are read.
    fn series(&mut self, reference: &Reference, found: &Found, keep: usize) -> u32 {
        let symbol: Option<&Symbol> = reference.symbol.as_ref();
        let place = self.compiler.series(symbol, found.window, found.stat, keep);
        self.reads.series_with(place, found.window);
        index(place)
    }

    pub(super) fn aggregate(
        &mut self,
        what: Gathering,
        reference: &Reference,
        found: &Found,
        count: u32,
    ) -> Aggregate {
        let series = self.series(reference, found, count as usize + reference.back as usize);
        Aggregate { what, series, count, back: reference.back }
    }

    /// Puts an aggregate onto the stack.
    pub(super) fn gather(&mut self, aggregate: Aggregate) {
        let known = self.program.aggregates.iter().position(|other| *other == aggregate);
        let place = known.unwrap_or_else(|| {
            self.program.aggregates.push(aggregate);
            self.program.aggregates.len() - 1
        });
        self.emit(Op::Aggregate(index(place)));
    }

    /// Puts a slot of the judged symbol onto the stack.
    pub(super) fn slot(&mut self, slot: Slot, text: &str, span: &Range<usize>) {
        let place = self.compiler.slot(slot);
        self.reads.slots_with(place);
        match slot {
            Slot::Price | Slot::Size | Slot::Side => self.reads.trades = true,
            Slot::Bid | Slot::Ask | Slot::BidSize | Slot::AskSize => self.reads.quotes = true,
            Slot::Age(channel) => {
                self.reads.channel(channel);
                self.reads.time = true;
            }
            Slot::Stale(channel) | Slot::Gap(channel) => {
                self.reads.channel(channel);
                self.reads.outages = true;
            }
            Slot::Gaps => {
                (self.reads.trades, self.reads.quotes) = (true, true);
                self.reads.outages = true;
            }
            Slot::Delay => (self.reads.trades, self.reads.quotes) = (true, true),
            // Its ticks are noted where its statistic is looked up.
            Slot::Live { .. } => {}
        }
        self.now(span);
        self.own.get_or_insert_with(|| span.clone());
        let start = self.program.ops.len();
        self.emit(Op::Slot(index(place)));
        self.see(text.to_owned(), Sight::Ops(start..start + 1));
    }

    /// Notes that something of now is read there.
    pub(super) fn now(&mut self, span: &Range<usize>) {
        self.reads.is_live = true;
        self.live.get_or_insert_with(|| span.clone());
    }

    pub(super) fn see(&mut self, text: String, sight: Sight) {
        if self.sights.iter().all(|(other, _)| *other != text) {
            self.sights.push((text, sight));
        }
    }

    /// Notes a call, or what is written as one name and made of several values: its operations begin at `start`.
    pub(super) fn see_call(&mut self, text: String, start: usize) {
        if self.called + text.len() <= CALLED_BYTES_MAX {
            self.called += text.len();
            self.see(text, Sight::Ops(start..self.program.ops.len()));
        }
    }

    /// Notes that a cell compares what the operations from `start` on say with what they said.
    pub(super) fn compares(&mut self, cell: u32, start: usize) {
        let ops = start..self.program.ops.len();
        self.comparing.push(Comparing { cell: cell as usize, ops });
    }

    fn constant(&mut self, number: Number, measure: Measure) -> Measure {
        self.program.constants.push(number);
        self.emit(Op::Constant(index(self.program.constants.len() - 1)));
        measure
    }

    /// A new cell.
    pub(super) fn cell(&mut self, cell: Cell) -> u32 {
        self.cells.push(cell);
        index(self.cells.len() - 1)
    }

    pub(super) fn emit(&mut self, op: Op) {
        match op {
            Op::Constant(_) | Op::Slot(_) | Op::Window { .. } | Op::Aggregate(_) | Op::Cusum(_) => {
                self.height += 1;
            }
            Op::Add
            | Op::Subtract
            | Op::Multiply
            | Op::Divide
            | Op::Least
            | Op::Greatest
            | Op::Compare(_)
            | Op::And
            | Op::Or
            | Op::CrossesAbove(_)
            | Op::CrossesBelow(_) => self.height = self.height.saturating_sub(1),
            _ => {}
        }
        self.program.depth = self.program.depth.max(self.height);
        self.program.ops.push(op);
    }
}

/// A place in one of the lists, of which none is longer than a text may be.
pub(super) fn index(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}
