//! A market whose every value is set by hand.

use std::collections::VecDeque;

use feeds::symbol::Symbol;
use feeds::time::{Nanos, SECOND};

use crate::rule::{Compiler, Condition, Inputs, Market, Memory, Names, Number, Problem, Slot};
use crate::stat::STATISTICS;
use crate::window::plan::Window;

/// Windows `1s` and `1m` with every statistic, and `bare` with `close` only.
pub(super) fn windows() -> Vec<Window> {
    let window = |name: &str, size| Window { name: name.to_owned(), size, stats: STATISTICS.to_vec() };
    let mut windows = vec![window("1s", SECOND), window("1m", 60 * SECOND), window("bare", 10 * SECOND)];
    windows[2].stats.retain(|stat| stat.name == "close");
    windows
}

/// The condition and what it reads.
pub(super) fn compile(text: &str) -> Result<(Condition, Inputs), Vec<Problem>> {
    let windows = windows();
    let mut compiler = Compiler::new(Names { windows: &windows });
    let condition = compiler.compile(text)?;
    Ok((condition, compiler.finish()))
}

/// A number as it is written; `-` is nothing.
pub(super) fn number(text: &str) -> Option<Number> {
    match text.strip_prefix('-') {
        Some("") => None,
        Some(digits) => Number::parse(digits, 0).map(Number::negated),
        None => Number::parse(text, 0),
    }
}

/// Values by place.
#[derive(Clone, Debug, Default)]
pub(super) struct Stage {
    pub(super) inputs: Inputs,
    pub(super) slots: Vec<Option<Number>>,
    pub(super) series: Vec<VecDeque<Option<Number>>>,
    pub(super) revision: u64,
    pub(super) now: Nanos,
}

impl Market for Stage {
    fn slot(&self, place: usize) -> Option<Number> {
        self.slots[place]
    }

    fn series(&self, place: usize) -> &VecDeque<Option<Number>> {
        &self.series[place]
    }

    fn series_revision(&self, _: usize) -> u64 {
        self.revision
    }

    fn now(&self) -> Nanos {
        self.now
    }
}

impl Stage {
    pub(super) fn new(inputs: Inputs) -> Stage {
        let slots = vec![None; inputs.slots.len()];
        let series = vec![VecDeque::new(); inputs.series.len()];
        Stage { inputs, slots, series, revision: 0, now: 0 }
    }

    /// Sets what is called `name`: a name of the language, or `stat[window]`.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        let places: Vec<usize> =
            (0..self.slots.len()).filter(|&place| self.name(&self.inputs.slots[place]) == name).collect();
        assert!(!places.is_empty(), "{name} is not read");
        for place in places {
            self.slots[place] = number(value);
        }
    }

    /// Appends final windows to `stat[window]` or `"venue:SYM".stat[window]`, keeping as many as are read.
    pub(super) fn close(&mut self, name: &str, values: &[&str]) {
        let windows = windows();
        let mut found = false;
        for (place, series) in self.inputs.series.iter().enumerate() {
            let whose = series.symbol.as_ref().map(|s: &Symbol| format!("\"{s}\".")).unwrap_or_default();
            if format!("{whose}{}[{}]", series.stat.name, windows[series.window].name) != name {
                continue;
            }
            found = true;
            for value in values {
                self.series[place].push_back(number(value));
                if self.series[place].len() > series.keep {
                    self.series[place].pop_front();
                }
            }
        }
        assert!(found, "{name} is not read");
        self.revision += 1;
    }

    /// Everything that can be set.
    pub(super) fn names(&self) -> Vec<String> {
        self.inputs.slots.iter().map(|slot| self.name(slot)).collect()
    }

    fn name(&self, slot: &Slot) -> String {
        match slot {
            Slot::Live { window, stat } => format!("{}[{}]", stat.name, windows()[*window].name),
            Slot::Price => "price".to_owned(),
            Slot::Size => "size".to_owned(),
            Slot::Side => "side".to_owned(),
            Slot::Bid => "bid".to_owned(),
            Slot::BidSize => "bid_size".to_owned(),
            Slot::Ask => "ask".to_owned(),
            Slot::AskSize => "ask_size".to_owned(),
            Slot::Age(channel) => format!("age({})", channel.name()),
            Slot::Stale(channel) => format!("stale({})", channel.name()),
            Slot::Gap(channel) => format!("gap({})", channel.name()),
            Slot::Gaps => "gaps".to_owned(),
            Slot::Delay => "delay".to_owned(),
        }
    }
}

/// One condition with its market and memory.
pub(super) struct Trial {
    pub(super) condition: Condition,
    pub(super) stage: Stage,
    pub(super) memory: Memory,
}

impl Trial {
    pub(super) fn new(text: &str) -> Trial {
        let (condition, inputs) = compile(text).unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
        Trial { stage: Stage::new(inputs), memory: condition.memory(), condition }
    }

    pub(super) fn judge(&mut self) -> Option<bool> {
        self.condition.judge(&self.stage, &mut self.memory)
    }

    /// Judges it at so many seconds with what is called `name` set.
    pub(super) fn at(&mut self, seconds: i64, name: &str, value: &str) -> Option<bool> {
        self.stage.now = seconds * SECOND;
        self.stage.set(name, value);
        self.judge()
    }

    /// The value of what is shown as `text`.
    pub(super) fn saw(&self, text: &str) -> Option<Number> {
        let saw = self.condition.saw(&self.stage, &self.memory);
        let found = saw.iter().find(|(name, _)| name == text);
        found.unwrap_or_else(|| panic!("{text} is not among {saw:?}")).1
    }
}
