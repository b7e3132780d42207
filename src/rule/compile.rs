//! From texts to conditions and messages: names looked up, units checked, operations laid out. What rules read is
//! gathered on the way, each thing once.

use std::collections::{BTreeMap, BTreeSet};

use feeds::live::Channel;
use feeds::symbol::Symbol;

use super::condition::{Condition, Pattern, Reads};
use super::layout::Layout;
use super::lookup::unknown_in_message;
use super::program::Program;
use super::syntax::{Expr, Tree};
use super::template::{Part, Piece, Template, pieces};
use super::unit::Measure;
use super::{Inputs, Names, Problem, Series, Slot, parse};
use crate::stat::Statistic;

/// Compiles the rules of one book and gathers what they read.
#[derive(Debug)]
pub struct Compiler<'a> {
    pub(super) names: Names<'a>,
    inputs: Inputs,
    slots: BTreeMap<SlotKey, usize>,
    series: BTreeMap<(Option<Symbol>, usize, &'static str), usize>,
}

/// What tells slots apart: the kind, then a window and statistic, or a channel.
type SlotKey = (u8, usize, &'static str);

/// Most steps of a sequence: one bit each.
pub(super) const STEPS_MAX: usize = 16;

impl<'a> Compiler<'a> {
    /// A compiler of rules that may use these names.
    #[must_use]
    pub fn new(names: Names<'a>) -> Compiler<'a> {
        Compiler { names, inputs: Inputs::default(), slots: BTreeMap::new(), series: BTreeMap::new() }
    }

    /// Compiles a condition.
    ///
    /// # Errors
    /// What is wrong with it: the first thing that cannot be read, or else everything that does not hold.
    pub fn compile(&mut self, text: &str) -> Result<Condition, Vec<Problem>> {
        let tree = parse::condition(text).map_err(|problem| vec![problem])?;
        let mut layout = Layout::new(self, text, true);
        let mut steps = Vec::new();
        for step in tree.steps() {
            let start = layout.program.ops.len();
            layout.truth(step);
            steps.push(start..layout.program.ops.len());
        }
        if steps.len() > STEPS_MAX {
            layout.wrong(0..text.len(), format!("a sequence has at most {STEPS_MAX} steps"));
        }
        let laid_out = layout.finish(true)?;
        let pattern = match tree {
            Tree::Plain(_) => Pattern::Plain,
            Tree::Sequence { within, .. } => Pattern::Sequence { within },
            Tree::Unanswered { wait, .. } => Pattern::Unanswered { wait },
            Tree::Absent { wait, .. } => Pattern::Absent { wait },
            Tree::Count { times, within, .. } => Pattern::Count { times, within },
        };
        Ok(Condition {
            text: text.to_owned(),
            reads: laid_out.reads,
            program: laid_out.program,
            steps,
            pattern,
            cells: laid_out.cells,
            folds: laid_out.folds,
            sights: laid_out.sights,
            comparing: laid_out.comparing,
        })
    }

    /// Compiles a message.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn template(&mut self, text: &str) -> Result<Template, Vec<Problem>> {
        let (mut parts, mut reads, mut problems) = (Vec::new(), Reads::default(), Vec::new());
        for piece in pieces(text).map_err(|problem| vec![problem])? {
            parts.push(match piece {
                Piece::Text(text) => Part::Text(text),
                Piece::Braced("symbol", _) => Part::Symbol,
                Piece::Braced("rule", _) => Part::Rule,
                Piece::Braced("severity", _) => Part::Severity,
                Piece::Braced("state", _) => Part::State,
                Piece::Braced(inside, start) => match self.value(inside) {
                    Ok((program, measure, of)) => {
                        reads.merge(of);
                        Part::Value { program, measure }
                    }
                    Err(wrong) => {
                        let moved = |problem: Problem| Problem {
                            span: problem.span.start + start..problem.span.end + start,
                            ..problem
                        };
                        let wrong = unknown_in_message(inside).map_or(wrong, |problem| vec![problem]);
                        problems.extend(wrong.into_iter().map(moved));
                        continue;
                    }
                },
            });
        }
        if problems.is_empty() { Ok(Template { parts, reads }) } else { Err(problems) }
    }

    /// What all that was compiled reads.
    #[must_use]
    pub fn finish(self) -> Inputs {
        self.inputs
    }

    /// An expression of a message.
    pub(super) fn value(&mut self, text: &str) -> Result<(Program, Measure, Reads), Vec<Problem>> {
        let expr: Expr = parse::expression(text).map_err(|problem| vec![problem])?;
        let mut layout = Layout::new(self, text, false);
        let measure = layout.expr(&expr);
        let laid_out = layout.finish(false)?;
        Ok((laid_out.program, measure.unwrap_or(Measure::Plain), laid_out.reads))
    }

    /// The place of a slot.
    pub(super) fn slot(&mut self, slot: Slot) -> usize {
        let channel = |channel: Channel| usize::from(channel == Channel::Quotes);
        let key = match slot {
            Slot::Live { window, stat } => (0, window, stat.name),
            Slot::Price => (1, 0, ""),
            Slot::Size => (2, 0, ""),
            Slot::Side => (3, 0, ""),
            Slot::Bid => (4, 0, ""),
            Slot::BidSize => (5, 0, ""),
            Slot::Ask => (6, 0, ""),
            Slot::AskSize => (7, 0, ""),
            Slot::Age(of) => (8, channel(of), ""),
            Slot::Stale(of) => (9, channel(of), ""),
            Slot::Gap(of) => (10, channel(of), ""),
            Slot::Gaps => (11, 0, ""),
            Slot::Delay => (12, 0, ""),
        };
        let slots = &mut self.inputs.slots;
        *self.slots.entry(key).or_insert_with(|| {
            slots.push(slot);
            slots.len() - 1
        })
    }

    /// The place of a series of which the newest `keep` windows are read.
    pub(super) fn series(
        &mut self,
        symbol: Option<&Symbol>,
        window: usize,
        stat: &'static Statistic,
        keep: usize,
    ) -> usize {
        let all = &mut self.inputs.series;
        let place = *self.series.entry((symbol.cloned(), window, stat.name)).or_insert_with(|| {
            all.push(Series { symbol: symbol.cloned(), window, stat, keep });
            all.len() - 1
        });
        if let Some(series) = all.get_mut(place) {
            series.keep = series.keep.max(keep);
        }
        place
    }
}

impl Tree {
    /// Its expressions, in the order in which they are judged.
    fn steps(&self) -> Vec<&Expr> {
        match self {
            Tree::Plain(expr) => vec![expr],
            Tree::Sequence { steps, .. } => steps.iter().collect(),
            Tree::Unanswered { first, absent, .. } => vec![first, absent],
            Tree::Absent { absent, .. } => vec![absent],
            Tree::Count { of, .. } => vec![of],
        }
    }
}

impl Reads {
    /// Adds what something else reads.
    pub(super) fn merge(&mut self, other: Reads) {
        self.trades |= other.trades;
        self.quotes |= other.quotes;
        self.time |= other.time;
        self.outages |= other.outages;
        self.is_live |= other.is_live;
        union(&mut self.windows, other.windows);
        union(&mut self.folds, other.folds);
        union(&mut self.slots, other.slots);
        union(&mut self.series, other.series);
        union(&mut self.symbols, other.symbols);
    }

    /// Adds a slot.
    pub(super) fn slots_with(&mut self, place: usize) {
        union(&mut self.slots, vec![place]);
    }

    /// Adds a series of a window.
    pub(super) fn series_with(&mut self, place: usize, window: usize) {
        union(&mut self.series, vec![place]);
        union(&mut self.windows, vec![window]);
    }

    /// Adds a window over which a sum is kept.
    pub(super) fn folds_with(&mut self, window: usize) {
        union(&mut self.folds, vec![window]);
    }

    /// Adds a symbol.
    pub(super) fn symbols_with(&mut self, symbol: &Symbol) {
        union(&mut self.symbols, vec![symbol.clone()]);
    }

    /// Adds the channel's ticks.
    pub(super) fn channel(&mut self, channel: Channel) {
        match channel {
            Channel::Trades => self.trades = true,
            Channel::Quotes => self.quotes = true,
        }
    }
}

fn union<T: Ord>(all: &mut Vec<T>, others: Vec<T>) {
    let both: BTreeSet<T> = all.drain(..).chain(others).collect();
    all.extend(both);
}
