//! Random conditions on random markets, held to the interpreter in [`super::model`], with what they remember written
//! and read back at random.

use std::cmp::Ordering;

use proptest::prelude::*;

use super::model::{E, Gathered, Stat, Val, World};
use super::stage::{Stage, compile, windows};
use crate::codec::Reader;
use crate::rule::{Compiler, Condition, Inputs, Memory, Names, Number};

/// Choices that were made beforehand; when they are used up, the first of everything.
pub(super) struct Choices<'a>(std::slice::Iter<'a, u8>);

impl Choices<'_> {
    pub(super) fn new(bytes: &[u8]) -> Choices<'_> {
        Choices(bytes.iter())
    }

    fn of(&mut self, count: usize) -> usize {
        self.0.next().map_or(0, |byte| usize::from(*byte)) % count
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.of(of.len())]
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Unit {
    Price,
    Size,
    Ratio,
    Duration,
}

const PRICES: [&str; 7] =
    ["1", "0.1", "99.5", "100", "123456.789", "0.000000000000000001", "9223372036854775807"];
const RATIOS: [&str; 6] = ["2", "0", "0.5", "1.25", "3", "123456789012345678901234567890.12345678"];

fn literal(text: &str) -> E {
    E::Literal(text.to_owned(), Val::parse(text))
}

fn stat_of(unit: Unit) -> &'static str {
    match unit {
        Unit::Price => "close",
        Unit::Size => "volume",
        _ => "trades",
    }
}

fn stat(unit: Unit, choose: &mut Choices<'_>) -> Stat {
    Stat { name: stat_of(unit), back: choose.of(4) }
}

fn atom(unit: Unit, choose: &mut Choices<'_>) -> E {
    let slots: &[&str] = match unit {
        Unit::Price => &["price", "bid", "ask"],
        Unit::Size => &["size", "bid_size", "ask_size"],
        Unit::Ratio => &["gaps"],
        Unit::Duration => &["age(trades)", "age(quotes)", "delay"],
    };
    let kinds = if unit == Unit::Duration { 2 } else { 4 };
    match choose.of(kinds) {
        0 => E::Slot(choose.one(slots).to_owned()),
        1 => match unit {
            Unit::Duration => {
                let (text, nanos) = choose.one(&[("5s", 5_000_000_000), ("1ns", 1), ("250ms", 250_000_000)]);
                E::Literal(text.to_owned(), Val::whole(nanos))
            }
            Unit::Price => literal(choose.one(&PRICES)),
            _ => literal(choose.one(&RATIOS)),
        },
        2 => E::Stat(stat(unit, choose)),
        _ => {
            let quarters = u8::try_from(choose.of(5)).unwrap();
            let (mean, stdev, quantile) = (Gathered::Mean, Gathered::Stdev, Gathered::Quantile(quarters));
            let what = choose.one(&[mean, stdev, Gathered::Min, Gathered::Max, quantile]);
            E::Gathered(what, stat(unit, choose), choose.of(4) + 2)
        }
    }
}

/// An expression of that unit; with `memory`, perhaps one that remembers.
fn amount(unit: Unit, depth: usize, memory: bool, choose: &mut Choices<'_>) -> E {
    if depth == 0 {
        return atom(unit, choose);
    }
    let kind = choose.of(12);
    let mut of = |unit| Box::new(amount(unit, depth - 1, memory, choose));
    match (kind, unit) {
        (1, _) => E::Two("+", of(unit), of(unit)),
        (2, _) => E::Two("-", of(unit), of(unit)),
        (3 | 4, _) => {
            let plain = of(unit);
            let first = if matches!(unit, Unit::Price | Unit::Size) { measured(plain, unit) } else { plain };
            E::Two(if kind == 3 { "*" } else { "/" }, first, of(Unit::Ratio))
        }
        (5, _) => E::One("-", of(unit)),
        (6, _) => E::One("abs", of(unit)),
        (7, _) => E::Two(if depth.is_multiple_of(2) { "min" } else { "max" }, of(unit), of(unit)),
        (8, Unit::Price | Unit::Size) => {
            let (a, b) = (measured(of(unit), unit), measured(of(unit), unit));
            E::One("sqrt", Box::new(E::Two("*", a, b)))
        }
        (8 | 9, Unit::Ratio) => {
            let unit = if kind == 8 { Unit::Price } else { Unit::Size };
            E::Two("/", measured(of(unit), unit), measured(of(unit), unit))
        }
        (10, Unit::Ratio) => E::One("ln", of(unit)),
        (11, Unit::Ratio) => score(memory, choose),
        (8, Unit::Duration) if memory => E::Since(Box::new(truth(depth - 1, true, choose)), None),
        (9 | 10, _) if memory => E::Change(of(unit), None),
        _ => atom(unit, choose),
    }
}

/// `of`, which may be a number alone, with something added that has the unit.
fn measured(of: Box<E>, unit: Unit) -> Box<E> {
    let name = if unit == Unit::Price { "price" } else { "size" };
    Box::new(E::Two("+", of, Box::new(E::Slot(name.to_owned()))))
}

/// How far a statistic is from what it was.
fn score(memory: bool, choose: &mut Choices<'_>) -> E {
    let unit = choose.one(&[Unit::Price, Unit::Size, Unit::Ratio]);
    if memory && choose.of(2) == 1 {
        let slack = choose.one(&["0.5", "0", "2"]).to_owned();
        return E::Cusum { stat: stat_of(unit), n: choose.of(3) + 2, slack, sums: None };
    }
    E::ZScore(stat(unit, choose), choose.of(3) + 2)
}

/// An expression that is true or not.
fn truth(depth: usize, memory: bool, choose: &mut Choices<'_>) -> E {
    let slots = ["stale(trades)", "stale(quotes)", "gap(trades)", "gap(quotes)"];
    let kind = if depth == 0 { 2 + choose.of(2) } else { choose.of(9) };
    match kind {
        2 => E::Slot(choose.one(&slots).to_owned()),
        3 => {
            let (text, side) = choose.one(&[("buy", 1), ("sell", -1)]);
            let side = E::Literal(text.to_owned(), Val::whole(side));
            let sign = choose.one(&["==", "!="]);
            E::Two(sign, Box::new(E::Slot("side".to_owned())), Box::new(side))
        }
        4 => E::One("not", Box::new(truth(depth - 1, memory, choose))),
        5 | 6 => {
            let terms = (0..choose.of(3) + 2).map(|_| truth(depth - 1, memory, choose)).collect();
            E::Chain(kind == 5, terms)
        }
        _ => {
            let unit = choose.one(&[Unit::Price, Unit::Size, Unit::Ratio, Unit::Duration]);
            let a = Box::new(amount(unit, depth - 1, memory, choose));
            let b = Box::new(amount(unit, depth - 1, memory, choose));
            if kind == 7 && memory {
                return E::Crosses(choose.one(&[Ordering::Greater, Ordering::Less]), a, b, None);
            }
            E::Two(choose.one(&["<", "<=", ">", ">=", "==", "!="]), a, b)
        }
    }
}

/// A condition with every judgement of its steps, most of it kept for ever.
pub(super) struct Pattern {
    steps: Vec<E>,
    kind: usize,
    /// The duration in nanoseconds, and the number of times.
    wait: i64,
    times: usize,
    /// When what was judged was true, for each step, since it last began anew.
    past: Vec<(i64, Vec<bool>)>,
}

impl Pattern {
    pub(super) fn new(choose: &mut Choices<'_>) -> Pattern {
        let kind = choose.of(8);
        let count = match kind {
            1 => 2 + choose.of(2),
            2 => 2,
            _ => 1,
        };
        let steps = (0..count).map(|_| truth(3, true, choose)).collect();
        Pattern { steps, kind, wait: 1 + choose.of(3) as i64, times: choose.of(3) + 1, past: Vec::new() }
    }

    pub(super) fn text(&self) -> String {
        let (wait, steps) = (self.wait, self.steps.iter().map(E::text).collect::<Vec<_>>());
        match self.kind {
            1 => format!("{} within {wait}ns", steps.join(" then ")),
            2 => format!("{} then not ({}) for {wait}ns", steps[0], steps[1]),
            3 => format!("not ({}) for {wait}ns", steps[0]),
            4 => format!("{} of {} within {wait}ns", self.times, steps[0]),
            _ => steps[0].clone(),
        }
    }

    fn judge(&mut self, world: &World) -> Option<bool> {
        let values: Vec<Option<bool>> =
            self.steps.iter_mut().map(|step| step.eval(world).map(|value| value.is_true())).collect();
        if ![1, 2, 3, 4].contains(&self.kind) {
            return values[0];
        }
        self.past.push((world.now, values.iter().map(|value| *value == Some(true)).collect()));
        let past = &self.past;
        let is_true = match self.kind {
            1 => {
                past.last().unwrap().1[self.steps.len() - 1]
                    && self.led_here(self.steps.len() - 1, past.len() - 1)
            }
            4 => {
                let is_recent = |at: i64| world.now - at <= self.wait;
                let came = past.iter().filter(|(at, came)| came[0] && is_recent(*at)).count();
                past.last().unwrap().1[0] && came >= self.times
            }
            kind => {
                let answer = usize::from(kind == 2);
                let answered = past.iter().rposition(|(_, came)| came[answer]);
                let since = &past[answered.unwrap_or(0)..];
                let begun = since.iter().find(|(_, came)| kind == 3 || came[0]);
                begun.is_some_and(|(at, _)| world.now - at >= self.wait)
            }
        };
        if is_true && [1, 4].contains(&self.kind) {
            self.past.clear();
        }
        Some(is_true)
    }

    /// True if steps before `step` were true at earlier and earlier judgements before `at`, the first recently enough.
    fn led_here(&self, step: usize, at: usize) -> bool {
        let now = self.past.last().unwrap().0;
        if step == 0 {
            return now - self.past[at].0 <= self.wait;
        }
        (0..at).any(|before| self.past[before].1[step - 1] && self.led_here(step - 1, before))
    }
}

fn value_of(name: &str, choose: &mut Choices<'_>) -> &'static str {
    if choose.of(6) == 5 {
        return "-";
    }
    match name {
        "side" => choose.one(&["1", "-1"]),
        name if name.starts_with("stale") || name.starts_with("gap(") => choose.one(&["0", "1"]),
        name if name.starts_with("age") || name == "delay" => {
            choose.one(&["0", "1", "5000000000", "300000000"])
        }
        name if name.starts_with("trades") || name == "gaps" => choose.one(&["0", "1", "7"]),
        name if name.contains("size") || name.starts_with("volume") => choose.one(&RATIOS[..5]),
        _ => choose.one(&PRICES),
    }
}

fn val(text: &str) -> Option<Val> {
    (text != "-").then(|| Val::parse(text))
}

/// Moves both markets on: some time, some values, some final windows, after each of which `fold` is called.
fn advance(
    stage: &mut Stage,
    world: &mut World,
    choose: &mut Choices<'_>,
    mut fold: impl FnMut(&Stage, &World),
) {
    world.now += choose.of(3) as i64;
    stage.now = world.now;
    for name in stage.names() {
        if choose.of(2) == 1 {
            let value = value_of(&name, choose);
            stage.set(&name, value);
            world.slots.insert(name, val(value));
        }
    }
    for _ in 0..choose.of(3) {
        for stat in ["close", "volume", "trades"] {
            if stage.inputs.series.iter().any(|series| series.stat.name == stat) {
                let value = value_of(stat, choose);
                stage.close(&format!("{stat}[1s]"), &[value]);
                world.finals.entry(stat).or_default().push(val(value));
            }
        }
        fold(stage, world);
    }
}

/// The condition, unless nothing was chosen but numbers.
fn compiled(text: &str) -> Result<Option<(Condition, Inputs)>, TestCaseError> {
    match compile(text) {
        Ok(compiled) => Ok(Some(compiled)),
        Err(problems) if problems[0].message.contains("reads nothing") => Ok(None),
        Err(problems) => Err(TestCaseError::fail(format!("{text}: {problems:?}"))),
    }
}

fn same(number: Option<Number>, val: Option<Val>) -> bool {
    match (number, val) {
        (Some(Number::Float(a)), Some(Val::Float(b))) => a.to_bits() == (b + 0.0).to_bits(),
        (Some(number @ Number::Exact { .. }), Some(val @ Val::Exact(..))) => {
            Val::parse(&number.to_string()) == val
        }
        (None, None) => true,
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn amounts_are_what_the_tree_says(bytes in prop::collection::vec(any::<u8>(), 0..120), depth in 1usize..5) {
        let mut choose = Choices::new(&bytes);
        let unit = choose.one(&[Unit::Price, Unit::Size, Unit::Ratio, Unit::Duration]);
        let mut tree = amount(unit, depth, false, &mut choose);
        let windows = windows();
        let mut compiler = Compiler::new(Names { windows: &windows });
        let (program, ..) = compiler.value(&tree.text()).map_err(|e| TestCaseError::fail(format!("{} {e:?}", tree.text())))?;
        let mut stage = Stage::new(compiler.finish());
        let mut world = World::default();
        let mut memory = Memory::default();
        for _ in 0..4 {
            advance(&mut stage, &mut world, &mut choose, |_, _| {});
            let found = program.run(&(0..program.ops.len()), &stage, &mut memory);
            let expected = tree.eval(&world);
            prop_assert!(same(found, expected.clone()), "{}: {found:?} {expected:?}", tree.text());
        }
    }

    #[test]
    fn conditions_are_judged_as_the_tree_says_and_their_memory_survives_its_bytes(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut choose = Choices::new(&bytes);
        let mut pattern = Pattern::new(&mut choose);
        let text = pattern.text();
        let Some((condition, inputs)) = compiled(&text)? else { return Ok(()) };
        let (mut stage, mut world) = (Stage::new(inputs), World::default());
        let mut memory = condition.memory();
        for _ in 0..12 {
            advance(&mut stage, &mut world, &mut choose, |stage, world| {
                condition.fold(0, stage, &mut memory);
                pattern.steps.iter_mut().for_each(|step| step.fold(world));
            });
            let (found, expected) = (condition.judge(&stage, &mut memory), pattern.judge(&world));
            prop_assert_eq!(found, expected, "{}", text);
            if choose.of(3) == 1 {
                let mut bytes = Vec::new();
                memory.encode(&mut bytes);
                let mut reader = Reader::new(&bytes);
                let decoded = Memory::decode(&condition, &mut reader).unwrap();
                prop_assert!(reader.is_empty() && decoded == memory);
                let mut again = Vec::new();
                decoded.encode(&mut again);
                prop_assert_eq!(&again, &bytes);
                memory = decoded;
            }
        }
    }

    #[test]
    fn no_bytes_of_a_memory_panic(choices in prop::collection::vec(any::<u8>(), 0..60), bytes in prop::collection::vec(0u8..4, 0..40)) {
        let pattern = Pattern::new(&mut Choices::new(&choices));
        let Some((condition, _)) = compiled(&pattern.text())? else { return Ok(()) };
        let _ = Memory::decode(&condition, &mut Reader::new(&bytes));
    }
}
