//! What a condition remembers from one judgement to the next.
//!
//! # Bytes
//! For each cell of the condition, in the order of its text, then for its pattern. Their kinds follow from the
//! condition, and the version is that of whoever keeps them.
//!
//! | what | bytes |
//! |---|---|
//! | the last values (`change`) | 0 none, 2 one, 3 the last and the one before; then each |
//! | such a value | the number ([`Number::encode`]) and its rule time (signed varint) |
//! | the last orders (`crosses_above`, `crosses_below`) | 0 none, 4 one, 5 the last and the one before; then each |
//! | such an order | 1 less, 2 equal, 3 greater; its rule time (signed varint) |
//! | a time (`since`; each step of a sequence but the last; what an absence is reckoned from) | 0, or 1 and a signed varint |
//! | cumulative sums (`cusum`) | 0, or 1 and the IEEE 754 bits of S+ and S− (two varints) |
//! | an absence | its time, and 1 if its deadline has come, else 0 |
//! | a count | how many times (varint), then each (signed varint) |
//!
//! Before times were kept, a last value was 1 and the number, a last order 1, 2 or 3; both are read.

use std::cmp::Ordering;
use std::collections::VecDeque;

use feeds::time::Nanos;

use super::Condition;
use super::number::Number;
use crate::codec::{CodecError, Put, Reader};

/// What a [`Condition`] remembers of one symbol. Two are equal if they would judge alike from here on.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    pub(super) cells: Vec<Cell>,
    pub(super) progress: Progress,
    /// For each aggregate the revision of its series at which it was computed, and its value. Not part of the bytes:
    /// it follows from the market.
    pub(super) cache: Vec<Option<(u64, Option<Number>)>>,
    /// Functions say what they said at the last judgement, and nothing is remembered.
    pub(super) is_telling: bool,
}

/// What one function of the condition remembers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell {
    /// The last values.
    Last(Past<Number>),
    /// How two values stood to each other.
    Turn(Past<Ordering>),
    /// When a condition was last true.
    Since(Option<Nanos>),
    /// S+ and S−, once there was a window.
    Cusum(Option<(f64, f64)>),
}

/// What was at the last judgement at which there was a value, and at the one before that, each with its rule time. The
/// one before is for telling what came of the last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Past<T> {
    pub(super) last: Option<(T, Nanos)>,
    pub(super) before: Option<(T, Nanos)>,
}

/// The time of a judgement that was remembered without it.
const UNKNOWN: Nanos = Nanos::MIN;

impl<T: Copy> Past<T> {
    pub(super) const NONE: Past<T> = Past { last: None, before: None };

    fn step(&mut self, value: T, now: Nanos) {
        self.before = self.last.replace((value, now));
    }

    /// The value of the last judgement and of the one before.
    fn both(&self) -> Option<(T, T)> {
        Some((self.last?.0, self.before?.0))
    }

    fn times(&self) -> impl Iterator<Item = Nanos> + use<T> {
        [self.last, self.before].into_iter().flatten().map(|(_, at)| at).filter(|at| *at != UNKNOWN)
    }
}

/// How far a pattern has come.
#[derive(Clone, Debug, PartialEq, Default)]
pub(super) enum Progress {
    /// There is none.
    #[default]
    None,
    /// For each step but the last, the time of the newest first step from which it was reached.
    Steps(Vec<Option<Nanos>>),
    /// From when the absence is reckoned, and whether it lasted long enough.
    Absence { from: Option<Nanos>, is_over: bool },
    /// When it was true, the oldest first.
    Times(VecDeque<Nanos>),
}

impl PartialEq for Memory {
    fn eq(&self, other: &Memory) -> bool {
        self.cells == other.cells && self.progress == other.progress
    }
}

impl Memory {
    /// Appends the bytes that [`Memory::decode`] reads.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        for cell in &self.cells {
            cell.encode(bytes);
        }
        match &self.progress {
            Progress::None => {}
            Progress::Steps(steps) => steps.iter().for_each(|step| put_time(bytes, *step)),
            Progress::Absence { from, is_over } => {
                put_time(bytes, *from);
                bytes.put_u8(u8::from(*is_over));
            }
            Progress::Times(times) => {
                bytes.put_u64(times.len() as u64);
                times.iter().for_each(|at| bytes.put_i64(*at));
            }
        }
    }

    /// Reads what [`Memory::encode`] wrote of a memory of `condition`.
    ///
    /// # Errors
    /// [`CodecError`] if the bytes hold no such memory.
    pub fn decode(condition: &Condition, reader: &mut Reader<'_>) -> Result<Memory, CodecError> {
        let mut memory = condition.memory();
        for cell in &mut memory.cells {
            cell.decode(reader)?;
        }
        match &mut memory.progress {
            Progress::None => {}
            Progress::Steps(steps) => {
                for step in steps {
                    *step = time(reader)?;
                }
            }
            Progress::Absence { from, is_over } => {
                *from = time(reader)?;
                *is_over = flag(reader)?;
            }
            Progress::Times(times) => {
                let count = reader.u64()?;
                if count >= u64::from(condition.times()) {
                    return Err(CodecError::Invalid);
                }
                for _ in 0..count {
                    times.push_back(reader.i64()?);
                }
            }
        }
        Ok(memory)
    }

    /// The same, to tell what was judged last.
    pub(super) fn telling(&self) -> Memory {
        Memory { is_telling: true, ..self.clone() }
    }

    /// Keeps `value`; what it is more than the one before.
    pub(super) fn change(&mut self, cell: usize, value: Number, now: Nanos) -> Option<Number> {
        let Some(Cell::Last(past)) = self.cells.get_mut(cell) else { return None };
        if !self.is_telling {
            past.step(value, now);
        }
        let (last, before) = past.both()?;
        last.minus(before)
    }

    /// Keeps how two values stand to each other; whether they have come to stand so as in `to`.
    pub(super) fn crosses(
        &mut self,
        cell: usize,
        order: Ordering,
        to: Ordering,
        now: Nanos,
    ) -> Option<Number> {
        let Some(Cell::Turn(past)) = self.cells.get_mut(cell) else { return None };
        if !self.is_telling {
            past.step(order, now);
        }
        let (last, before) = past.both()?;
        Some(Number::truth(last == to && before != to))
    }

    /// The rule times of the judgements that a cell compares.
    pub(super) fn compared(&self, cell: usize) -> Vec<Nanos> {
        match self.cells.get(cell) {
            Some(Cell::Last(past)) => past.times().collect(),
            Some(Cell::Turn(past)) => past.times().collect(),
            _ => Vec::new(),
        }
    }

    /// How long ago, in nanoseconds, a condition was true that now is or is not.
    pub(super) fn since(&mut self, cell: usize, is_true: bool, now: Nanos) -> Option<Number> {
        let Some(Cell::Since(last)) = self.cells.get_mut(cell) else { return None };
        if is_true && !self.is_telling {
            *last = Some(now);
        }
        last.map(|last| Number::whole(now.saturating_sub(last)))
    }

    /// The larger of the cumulative sums.
    pub(super) fn cusum(&self, cell: usize) -> Option<Number> {
        match self.cells.get(cell) {
            Some(Cell::Cusum(Some((up, down)))) => Number::float(up.max(*down)),
            _ => None,
        }
    }

    /// One step of the cumulative sums.
    pub(super) fn accumulate(&mut self, cell: usize, z: f64, k: f64) {
        if let Some(Cell::Cusum(sums)) = self.cells.get_mut(cell) {
            let (up, down) = sums.unwrap_or_default();
            // Adding zero makes −0 to 0, so that equal sums have equal bytes.
            let step = |sum: f64| sum.clamp(0.0, f64::MAX) + 0.0;
            *sums = Some((step(up + z - k), step(down - z - k)));
        }
    }
}

impl Cell {
    fn encode(&self, bytes: &mut Vec<u8>) {
        match self {
            Cell::Last(past) => past.encode(2, bytes, |value, bytes| value.encode(bytes)),
            Cell::Turn(past) => past.encode(4, bytes, |order, bytes| bytes.put_u8(turn_byte(order))),
            Cell::Since(at) => put_time(bytes, *at),
            Cell::Cusum(sums) => {
                bytes.put_u8(u8::from(sums.is_some()));
                if let Some((up, down)) = sums {
                    bytes.put_u64(up.to_bits());
                    bytes.put_u64(down.to_bits());
                }
            }
        }
    }

    fn decode(&mut self, reader: &mut Reader<'_>) -> Result<(), CodecError> {
        match self {
            Cell::Last(past) => {
                *past = match reader.u8()? {
                    1 => Past { last: Some((Number::decode(reader)?, UNKNOWN)), before: None },
                    kind => Past::decode(kind, 2, reader, Number::decode)?,
                };
            }
            Cell::Turn(past) => {
                *past = match reader.u8()? {
                    kind @ 1..=3 => Past { last: Some((turn(kind)?, UNKNOWN)), before: None },
                    kind => Past::decode(kind, 4, reader, |reader| turn(reader.u8()?))?,
                };
            }
            Cell::Since(at) => *at = time(reader)?,
            Cell::Cusum(sums) => {
                *sums = if flag(reader)? { Some((sum(reader)?, sum(reader)?)) } else { None };
            }
        }
        Ok(())
    }
}

impl<T: Copy> Past<T> {
    /// Kinds are 0, `one` and the one behind it: how many are remembered.
    fn encode(&self, one: u8, bytes: &mut Vec<u8>, put: impl Fn(T, &mut Vec<u8>)) {
        let kept = [self.last, self.before].into_iter().map_while(|kept| kept);
        bytes.put_u8(match kept.clone().count() {
            0 => 0,
            1 => one,
            _ => one + 1,
        });
        for (value, at) in kept {
            put(value, bytes);
            bytes.put_i64(at);
        }
    }

    fn decode<'a>(
        kind: u8,
        one: u8,
        reader: &mut Reader<'a>,
        read: impl Fn(&mut Reader<'a>) -> Result<T, CodecError>,
    ) -> Result<Past<T>, CodecError> {
        let mut one_of = || Ok::<_, CodecError>((read(reader)?, reader.i64()?));
        match kind {
            0 => Ok(Past::NONE),
            _ if kind == one => Ok(Past { last: Some(one_of()?), before: None }),
            _ if kind == one + 1 => Ok(Past { last: Some(one_of()?), before: Some(one_of()?) }),
            _ => Err(CodecError::Invalid),
        }
    }
}

fn turn_byte(order: Ordering) -> u8 {
    match order {
        Ordering::Less => 1,
        Ordering::Equal => 2,
        Ordering::Greater => 3,
    }
}

fn turn(byte: u8) -> Result<Ordering, CodecError> {
    match byte {
        1 => Ok(Ordering::Less),
        2 => Ok(Ordering::Equal),
        3 => Ok(Ordering::Greater),
        _ => Err(CodecError::Invalid),
    }
}

fn put_time(bytes: &mut Vec<u8>, at: Option<Nanos>) {
    bytes.put_u8(u8::from(at.is_some()));
    if let Some(at) = at {
        bytes.put_i64(at);
    }
}

fn time(reader: &mut Reader<'_>) -> Result<Option<Nanos>, CodecError> {
    Ok(if flag(reader)? { Some(reader.i64()?) } else { None })
}

fn flag(reader: &mut Reader<'_>) -> Result<bool, CodecError> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(CodecError::Invalid),
    }
}

fn sum(reader: &mut Reader<'_>) -> Result<f64, CodecError> {
    let sum = f64::from_bits(reader.u64()?);
    if sum.is_finite() && sum.is_sign_positive() { Ok(sum) } else { Err(CodecError::Invalid) }
}
