//! A compiled condition: when it is judged, what it says, and what it saw.

use std::ops::Range;

use feeds::symbol::Symbol;
use feeds::time::Nanos;

use super::Market;
use super::memory::{Cell, Memory, Progress};
use super::number::Number;
use super::program::{Aggregate, Program, read_window, zscore};

/// What a condition reads, and so when it is judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// Something that a trade changes.
    pub trades: bool,
    /// Something that a quote changes.
    pub quotes: bool,
    /// Something that time alone changes.
    pub time: bool,
    /// Something that outages change.
    pub outages: bool,
    /// Windows of which final ones are read, by their place in the configuration, in order.
    pub windows: Vec<usize>,
    /// Those of them for which [`Condition::fold`] is to be called: a cumulative sum is kept over them.
    pub folds: Vec<usize>,
    /// Places of [`super::Inputs::slots`], in order.
    pub slots: Vec<usize>,
    /// Places of [`super::Inputs::series`], in order.
    pub series: Vec<usize>,
    /// Symbols that are named, in order.
    pub symbols: Vec<Symbol>,
    /// It reads something that is of now.
    pub(super) is_live: bool,
}

impl Reads {
    /// True if it reads final windows only: it is judged once for each of them. Otherwise it is *live*: judged at ticks
    /// of the kinds that it reads, and at entries of the clock and of outages if it reads those.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !self.is_live
    }

    /// True if it names symbols, and so reads windows of those and not of a symbol of its own.
    #[must_use]
    pub fn is_cross(&self) -> bool {
        !self.symbols.is_empty()
    }
}

/// How a condition comes to be true.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    /// Its one step is.
    Plain,
    /// Its steps are, one after the other.
    Sequence { within: Nanos },
    /// Its first step was, and the second was not afterwards.
    Unanswered { wait: Nanos },
    /// Its one step was not.
    Absent { wait: Nanos },
    /// Its one step was, so many times.
    Count { times: u32, within: Nanos },
}

/// A cumulative sum that is kept over final windows.
#[derive(Clone, Debug)]
pub(super) struct Fold {
    pub(super) cell: usize,
    pub(super) window: usize,
    pub(super) series: u32,
    pub(super) mean: Aggregate,
    pub(super) stdev: Aggregate,
    pub(super) slack: f64,
}

/// Something that a person wants to see of a judgement.
#[derive(Clone, Debug)]
pub(super) enum Sight {
    /// What these operations leave.
    Ops(Range<usize>),
    /// The newest window of a series.
    Newest(u32),
}

/// Windows that a condition reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LooksAt {
    /// The one of the slot at this place of [`super::Inputs::slots`], if that is of a window.
    Slot(usize),
    /// Final ones.
    Final {
        /// The place of their series in [`super::Inputs::series`].
        series: usize,
        /// Which is the newest of them: 1 is the newest that there is.
        newest: usize,
        /// Which is the oldest of them.
        oldest: usize,
    },
}

/// A function that compares what it is of with what that was.
#[derive(Clone, Debug)]
pub(super) struct Comparing {
    pub(super) cell: usize,
    /// The operations that it is of.
    pub(super) ops: Range<usize>,
}

/// A condition that can be judged. It is the same for all symbols; what it remembers of each is a [`Memory`].
#[derive(Clone, Debug)]
pub struct Condition {
    pub(super) text: String,
    pub(super) reads: Reads,
    pub(super) program: Program,
    /// The operations of each step.
    pub(super) steps: Vec<Range<usize>>,
    pub(super) pattern: Pattern,
    pub(super) cells: Vec<Cell>,
    pub(super) folds: Vec<Fold>,
    pub(super) sights: Vec<(String, Sight)>,
    pub(super) comparing: Vec<Comparing>,
}

impl Condition {
    /// What it reads.
    #[must_use]
    pub fn reads(&self) -> &Reads {
        &self.reads
    }

    /// The text, as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it remembers before the first judgement.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let progress = match self.pattern {
            Pattern::Plain => Progress::None,
            Pattern::Sequence { .. } => Progress::Steps(vec![None; self.steps.len().saturating_sub(1)]),
            Pattern::Unanswered { .. } | Pattern::Absent { .. } => {
                Progress::Absence { from: None, is_over: false }
            }
            Pattern::Count { .. } => Progress::Times(Default::default()),
        };
        let cache = vec![None; self.program.aggregates.len()];
        Memory { cells: self.cells.clone(), progress, cache, is_telling: false }
    }

    /// Takes a window into account that became final, before anything is judged on it: to be called once for each
    /// final window of [`Reads::folds`], when `market` has it as its newest one.
    pub fn fold(&self, window: usize, market: &impl Market, memory: &mut Memory) {
        for fold in self.folds.iter().filter(|fold| fold.window == window) {
            let value = read_window(market, fold.series, 1);
            let z = zscore(value, fold.mean.of(market), fold.stdev.of(market));
            if let Some(z) = z {
                memory.accumulate(fold.cell, z.to_f64(), fold.slack);
            }
        }
    }

    /// Whether it is true now; `None` if there is nothing to tell it from. Time does not go back between judgements.
    pub fn judge(&self, market: &impl Market, memory: &mut Memory) -> Option<bool> {
        let mut step = |index: usize| {
            let range = self.steps.get(index)?;
            self.program.truth(range, market, memory)
        };
        match self.pattern {
            Pattern::Plain => step(0),
            Pattern::Sequence { within } => {
                let found = (0..self.steps.len()).filter(|&index| step(index) == Some(true));
                let found = found.fold(0u32, |found, index| found | 1 << index);
                Some(memory.progress.follow(found, market.now(), within))
            }
            Pattern::Unanswered { wait } => {
                let (first, answer) = (step(0) == Some(true), step(1) == Some(true));
                Some(memory.progress.wait(answer, first, market.now(), wait))
            }
            Pattern::Absent { wait } => {
                let came = step(0) == Some(true);
                Some(memory.progress.wait(came, true, market.now(), wait))
            }
            Pattern::Count { times, within } => {
                let came = step(0) == Some(true);
                Some(memory.progress.count(came, market.now(), times, within))
            }
        }
    }

    /// When time alone next makes it true: the deadline of an absence.
    #[must_use]
    pub fn deadline(&self, memory: &Memory) -> Option<Nanos> {
        let (Pattern::Unanswered { wait } | Pattern::Absent { wait }) = self.pattern else { return None };
        match memory.progress {
            Progress::Absence { from, is_over: false } => from.map(|from| from.saturating_add(wait)),
            _ => None,
        }
    }

    /// The time `at` has come, at or behind the deadline, and nothing happened before: what it says from then on.
    pub fn pass(&self, at: Nanos, memory: &mut Memory) -> Option<bool> {
        let deadline = self.deadline(memory);
        match &mut memory.progress {
            Progress::Absence { is_over, .. } => {
                *is_over |= deadline.is_some_and(|deadline| at >= deadline);
                Some(*is_over)
            }
            _ => None,
        }
    }

    /// What it reads and the functions that it calls, as they are written (`volume[1s]`, `mean(volume[1s], 60)`), each
    /// once, with its value now; what compares judgements (`change`) with what it said at the last.
    #[must_use]
    pub fn saw(&self, market: &impl Market, memory: &Memory) -> Vec<(String, Option<Number>)> {
        let mut memory = memory.telling();
        let mut value = |sight: &Sight| match sight {
            Sight::Ops(ops) => self.program.run(ops, market, &mut memory),
            Sight::Newest(series) => read_window(market, *series, 1),
        };
        self.sights.iter().map(|(text, sight)| (text.clone(), value(sight))).collect()
    }

    /// The windows behind what it [`saw`](Condition::saw): those of now, and with a rule time those that were read in
    /// judgements that a function compared. One may be told several times.
    #[must_use]
    pub fn looked(&self, memory: &Memory) -> Vec<(LooksAt, Option<Nanos>)> {
        let all = 0..self.program.ops.len();
        let mut looked: Vec<(LooksAt, Option<Nanos>)> =
            self.program.looks(&all).map(|looks| (looks, None)).collect();
        for fold in &self.folds {
            let newest = LooksAt::Final { series: fold.series as usize, newest: 1, oldest: 1 };
            looked.extend([newest, fold.mean.looks()].map(|looks| (looks, None)));
        }
        for comparing in &self.comparing {
            for at in memory.compared(comparing.cell) {
                looked.extend(self.program.looks(&comparing.ops).map(|looks| (looks, Some(at))));
            }
        }
        looked
    }

    /// How many times a counting pattern counts to.
    pub(super) fn times(&self) -> u32 {
        match self.pattern {
            Pattern::Count { times, .. } => times,
            _ => 0,
        }
    }
}

impl Progress {
    /// One more judgement of a sequence; bit i of `found` says that step i is true. True when the last step is reached;
    /// then it begins anew.
    fn follow(&mut self, found: u32, now: Nanos, within: Nanos) -> bool {
        let Progress::Steps(reached) = self else { return false };
        let last = reached.len();
        // The last step first, so that one judgement is one step of it only.
        for step in (0..=last).rev().filter(|step| found >> step & 1 == 1) {
            let start = match step.checked_sub(1) {
                None => Some(now),
                Some(before) => reached[before].filter(|start| now.saturating_sub(*start) <= within),
            };
            let Some(start) = start else { continue };
            if step == last {
                reached.fill(None);
                return true;
            }
            // Starts only get newer.
            reached[step] = Some(start);
        }
        false
    }

    /// One more judgement of an absence: what came, if anything did, and what it is reckoned from, if that is true now.
    fn wait(&mut self, came: bool, begins: bool, now: Nanos, wait: Nanos) -> bool {
        let Progress::Absence { from, is_over } = self else { return false };
        if came {
            (*from, *is_over) = (None, false);
        }
        if begins && from.is_none() {
            *from = Some(now);
        }
        *is_over |= from.is_some_and(|from| now.saturating_sub(from) >= wait);
        *is_over
    }

    /// One more judgement of a count. True when there are enough; then it begins anew.
    fn count(&mut self, came: bool, now: Nanos, times: u32, within: Nanos) -> bool {
        let Progress::Times(seen) = self else { return false };
        if !came {
            return false;
        }
        while seen.front().is_some_and(|first| now.saturating_sub(*first) > within) {
            seen.pop_front();
        }
        seen.push_back(now);
        let is_enough = seen.len() >= times as usize;
        if is_enough {
            seen.clear();
        }
        is_enough
    }
}
