//! The language by its definition: a tree that is walked, whole numbers of any length, every window and every judgement
//! kept. It shares no code with what it is held against.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use num_bigint::BigInt;

/// A value: an exact decimal in lowest form, or a float.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Val {
    Exact(BigInt, u32),
    Float(f64),
}

use Val::{Exact, Float};

fn ten(power: u32) -> BigInt {
    BigInt::from(10).pow(power)
}

fn few_digits(mantissa: &BigInt) -> bool {
    mantissa.magnitude() < ten(38).magnitude()
}

impl Val {
    pub(super) fn whole(value: i64) -> Val {
        Exact(BigInt::from(value), 0)
    }

    fn truth(value: bool) -> Val {
        Val::whole(i64::from(value))
    }

    pub(super) fn parse(text: &str) -> Val {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        Val::lowest(format!("{whole}{fraction}").parse().unwrap(), u32::try_from(fraction.len()).unwrap())
    }

    fn lowest(mut mantissa: BigInt, mut scale: u32) -> Val {
        while scale > 0 && &mantissa % 10 == BigInt::ZERO {
            mantissa /= 10;
            scale -= 1;
        }
        Exact(mantissa, scale)
    }

    pub(super) fn float(&self) -> f64 {
        match self {
            Exact(mantissa, scale) => format!("{mantissa}e-{scale}").parse().unwrap(),
            Float(value) => *value,
        }
    }

    fn finite(value: f64) -> Option<Val> {
        value.is_finite().then_some(Float(value))
    }

    pub(super) fn is_true(&self) -> bool {
        self.compare(&Val::whole(0)) != Ordering::Equal
    }

    pub(super) fn compare(&self, other: &Val) -> Ordering {
        match (self, other) {
            (Exact(a, s), Exact(b, t)) => (a * ten(*t)).cmp(&(b * ten(*s))),
            _ => self.float().partial_cmp(&other.float()).unwrap(),
        }
    }

    fn add(&self, other: &Val) -> Option<Val> {
        if let (Exact(a, s), Exact(b, t)) = (self, other) {
            let scale = *s.max(t);
            let (a, b) = (a * ten(scale - s), b * ten(scale - t));
            let sum = &a + &b;
            if few_digits(&a) && few_digits(&b) && few_digits(&sum) {
                return Some(Val::lowest(sum, scale));
            }
        }
        Val::finite(self.float() + other.float())
    }

    fn negative(&self) -> Val {
        match self {
            Exact(mantissa, scale) => Exact(-mantissa, *scale),
            Float(value) => Float(-value),
        }
    }

    fn times(&self, other: &Val) -> Option<Val> {
        if let (Exact(a, s), Exact(b, t)) = (self, other)
            && few_digits(&(a * b))
            && s + t <= 38
        {
            return Some(Val::lowest(a * b, s + t));
        }
        Val::finite(self.float() * other.float())
    }

    fn over(&self, other: &Val) -> Option<Val> {
        Val::finite(self.float() / other.float())
    }
}

/// What the market is at a judgement.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) now: i64,
    pub(super) slots: BTreeMap<String, Option<Val>>,
    /// Every final window of each statistic.
    pub(super) finals: BTreeMap<&'static str, Vec<Option<Val>>>,
}

impl World {
    fn slot(&self, name: &str) -> Option<Val> {
        self.slots.get(name).cloned().flatten()
    }

    fn back(&self, stat: &str, back: usize) -> Option<Val> {
        let finals = self.finals.get(stat)?;
        finals[finals.len().checked_sub(back)?].clone()
    }

    /// The values in the `n` windows before the newest `back`; `None` if there are not as many windows.
    fn before(&self, stat: &str, back: usize, n: usize) -> Option<Vec<Val>> {
        let finals = self.finals.get(stat)?;
        let end = finals.len().checked_sub(back)?;
        Some(finals[end.checked_sub(n)?..end].iter().flatten().cloned().collect())
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Gathered {
    Mean,
    Stdev,
    Min,
    Max,
    /// In quarters.
    Quantile(u8),
}

/// A statistic of the windows `1s`; `back` 0 is the one that is open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stat {
    pub(super) name: &'static str,
    pub(super) back: usize,
}

/// An expression with what it remembers.
#[derive(Clone, Debug)]
pub(super) enum E {
    Literal(String, Val),
    Slot(String),
    Stat(Stat),
    Gathered(Gathered, Stat, usize),
    ZScore(Stat, usize),
    Cusum {
        stat: &'static str,
        n: usize,
        slack: String,
        sums: Option<(f64, f64)>,
    },
    One(&'static str, Box<E>),
    Two(&'static str, Box<E>, Box<E>),
    Change(Box<E>, Option<Val>),
    Crosses(Ordering, Box<E>, Box<E>, Option<Ordering>),
    Since(Box<E>, Option<i64>),
    /// `and`, or else `or`.
    Chain(bool, Vec<E>),
}

pub(super) fn mean(values: &[Val]) -> Option<Val> {
    let sum = values.iter().try_fold(Val::whole(0), |sum, value| sum.add(value))?;
    sum.over(&Val::whole(i64::try_from(values.len()).unwrap()))
}

pub(super) fn stdev(values: &[Val]) -> Option<Val> {
    let n = values.len();
    if n < 2 {
        return None;
    }
    let exact = |value: Option<Val>| value.filter(|value| matches!(value, Exact(..)));
    let deviations = || {
        let (mut sum, mut squares) = (Val::whole(0), Val::whole(0));
        for value in values {
            sum = exact(sum.add(value))?;
            squares = exact(squares.add(&exact(value.times(value))?))?;
        }
        let whole = exact(squares.times(&Val::whole(i64::try_from(n).unwrap())))?;
        exact(whole.add(&exact(sum.times(&sum))?.negative()))
    };
    if let Some(deviations) = deviations() {
        return Val::finite((deviations.float() / (n as f64 * (n - 1) as f64)).sqrt());
    }
    let mean = mean(values)?.float();
    let squares: f64 = values.iter().map(|value| (value.float() - mean) * (value.float() - mean)).sum();
    Val::finite((squares / (n - 1) as f64).sqrt())
}

fn gather(what: Gathered, values: &[Val]) -> Option<Val> {
    match what {
        Gathered::Mean => mean(values),
        Gathered::Stdev => stdev(values),
        Gathered::Min => values.iter().min_by(|a, b| a.compare(b)).cloned(),
        // Of equal ones the first, as of the least.
        Gathered::Max => values.iter().rev().max_by(|a, b| a.compare(b)).cloned(),
        Gathered::Quantile(quarters) => {
            let mut sorted: Vec<f64> = values.iter().map(Val::float).collect();
            sorted.sort_by(|a, b| a.partial_cmp(b).unwrap());
            let rank = sorted.len().checked_sub(1)? as f64 * (f64::from(quarters) / 4.0);
            let (low, part) = (rank.trunc() as usize, rank.fract());
            let high = sorted[(low + 1).min(sorted.len() - 1)];
            Val::finite(sorted[low] + part * (high - sorted[low]))
        }
    }
}

fn zscore(value: Option<Val>, values: Option<Vec<Val>>) -> Option<Val> {
    let (value, values) = (value?, values?);
    value.add(&mean(&values)?.negative())?.over(&stdev(&values)?)
}

impl E {
    /// A window became final.
    pub(super) fn fold(&mut self, world: &World) {
        match self {
            E::Cusum { stat, n, slack, sums } => {
                let Some(z) = zscore(world.back(stat, 1), world.before(stat, 1, *n)) else { return };
                let (z, k) = (z.float(), slack.parse::<f64>().unwrap());
                let (up, down) = sums.unwrap_or((0.0, 0.0));
                *sums = Some(((up + z - k).max(0.0), (down - z - k).max(0.0)));
            }
            E::One(_, a) | E::Change(a, _) | E::Since(a, _) => a.fold(world),
            E::Two(_, a, b) | E::Crosses(_, a, b, _) => {
                a.fold(world);
                b.fold(world);
            }
            E::Chain(_, terms) => terms.iter_mut().for_each(|term| term.fold(world)),
            _ => {}
        }
    }

    pub(super) fn eval(&mut self, world: &World) -> Option<Val> {
        match self {
            E::Literal(_, value) => Some(value.clone()),
            E::Slot(name) => world.slot(name),
            E::Stat(stat) => read(world, *stat),
            E::Gathered(what, stat, n) => gather(*what, &world.before(stat.name, stat.back, *n)?),
            E::ZScore(stat, n) => zscore(read(world, *stat), world.before(stat.name, stat.back, *n)),
            E::Cusum { sums, .. } => sums.map(|(up, down)| Float(up.max(down))),
            E::One(name, a) => one(name, &a.eval(world)?),
            E::Two(name, a, b) => {
                let (a, b) = (a.eval(world), b.eval(world));
                two(name, &a?, &b?)
            }
            E::Change(a, last) => {
                let now = a.eval(world)?;
                let before = last.replace(now.clone())?;
                now.add(&before.negative())
            }
            E::Crosses(to, a, b, last) => {
                let (a, b) = (a.eval(world), b.eval(world));
                let now = a?.compare(&b?);
                let before = last.replace(now)?;
                Some(Val::truth(now == *to && before != *to))
            }
            E::Since(a, last) => {
                if a.eval(world).is_some_and(|a| a.is_true()) {
                    *last = Some(world.now);
                }
                last.map(|last| Val::whole(world.now - last))
            }
            E::Chain(is_and, terms) => {
                let values: Vec<_> = terms.iter_mut().map(|term| term.eval(world)).collect();
                let truths = || values.iter().map(|value| value.as_ref().map(Val::is_true));
                let decided = truths().any(|truth| truth == Some(!*is_and));
                if decided {
                    return Some(Val::truth(!*is_and));
                }
                truths().all(|truth| truth.is_some()).then(|| Val::truth(*is_and))
            }
        }
    }

    pub(super) fn text(&self) -> String {
        match self {
            E::Literal(text, _) => text.clone(),
            E::Slot(name) => name.clone(),
            E::Stat(stat) => stat.text(),
            E::Gathered(Gathered::Quantile(q), stat, n) => {
                format!("quantile({}, {n}, {})", stat.text(), f64::from(*q) / 4.0)
            }
            E::Gathered(what, stat, n) => {
                format!("{}({}, {n})", format!("{what:?}").to_lowercase(), stat.text())
            }
            E::ZScore(stat, n) => format!("zscore({}, {n})", stat.text()),
            E::Cusum { stat, n, slack, .. } => format!("cusum({stat}[1s, -1], {n}, {slack})"),
            E::One(name @ ("not" | "-"), a) => format!("({name} ({}))", a.text()),
            E::One(name, a) => format!("{name}({})", a.text()),
            E::Two(name @ ("min" | "max"), a, b) => {
                // A whole number would be one of windows.
                let is_whole = b.text().bytes().all(|byte| byte.is_ascii_digit());
                format!("{name}({}, {}{})", a.text(), b.text(), if is_whole { ".0" } else { "" })
            }
            E::Two(name, a, b) => format!("({} {name} {})", a.text(), b.text()),
            E::Change(a, _) => format!("change({})", a.text()),
            E::Crosses(to, a, b, _) => {
                let to = if *to == Ordering::Greater { "above" } else { "below" };
                format!("crosses_{to}({}, {})", a.text(), b.text())
            }
            E::Since(a, _) => format!("since({})", a.text()),
            E::Chain(is_and, terms) => {
                let terms: Vec<String> = terms.iter().map(E::text).collect();
                format!("({})", terms.join(if *is_and { " and " } else { " or " }))
            }
        }
    }
}

impl Stat {
    fn text(self) -> String {
        match self.back {
            0 => format!("{}[1s]", self.name),
            back => format!("{}[1s, -{back}]", self.name),
        }
    }
}

fn read(world: &World, stat: Stat) -> Option<Val> {
    match stat.back {
        0 => world.slot(&stat.text()),
        back => world.back(stat.name, back),
    }
}

fn one(name: &str, a: &Val) -> Option<Val> {
    match name {
        "not" => Some(Val::truth(!a.is_true())),
        "-" => Some(a.negative()),
        "abs" => Some(if a.compare(&Val::whole(0)).is_lt() { a.negative() } else { a.clone() }),
        "sqrt" => Val::finite(a.float().sqrt()),
        "ln" => Val::finite(libm::log(a.float())),
        _ => panic!("{name}"),
    }
}

fn two(name: &str, a: &Val, b: &Val) -> Option<Val> {
    let order = a.compare(b);
    match name {
        "+" => a.add(b),
        "-" => a.add(&b.negative()),
        "*" => a.times(b),
        "/" => a.over(b),
        "min" => Some(if order.is_gt() { b } else { a }.clone()),
        "max" => Some(if order.is_lt() { b } else { a }.clone()),
        "<" => Some(Val::truth(order.is_lt())),
        "<=" => Some(Val::truth(order.is_le())),
        ">" => Some(Val::truth(order.is_gt())),
        ">=" => Some(Val::truth(order.is_ge())),
        "==" => Some(Val::truth(order.is_eq())),
        "!=" => Some(Val::truth(order.is_ne())),
        _ => panic!("{name}"),
    }
}
