//! What a condition remembers from one judgement to the next.
//!
//! # Bytes
//! For each cell of the condition, in the order of its text, then for its pattern. Their kinds follow from the
//! condition, and the version is that of whoever keeps them.
//!
//! | what | bytes |
//! |---|---|
//! | the last value (`change`) | 0, or 1 and the number ([`Number::encode`]) |
//! | the last order (`crosses_above`, `crosses_below`) | 0 none, 1 less, 2 equal, 3 greater |
//! | a time (`since`; each step of a sequence but the last; what an absence is reckoned from) | 0, or 1 and a signed varint |
//! | cumulative sums (`cusum`) | 0, or 1 and the IEEE 754 bits of S+ and S− (two varints) |
//! | an absence | its time, and 1 if its deadline has come, else 0 |
//! | a count | how many times (varint), then each (signed varint) |

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
}

/// What one function of the condition remembers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell {
    /// The last value.
    Last(Option<Number>),
    /// How two values stood to each other.
    Turn(Option<Ordering>),
    /// When a condition was last true.
    Since(Option<Nanos>),
    /// S+ and S−, once there was a window.
    Cusum(Option<(f64, f64)>),
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

    /// Keeps `value` and returns the one before.
    pub(super) fn replace(&mut self, cell: usize, value: Number) -> Option<Number> {
        match self.cells.get_mut(cell) {
            Some(Cell::Last(last)) => last.replace(value),
            _ => None,
        }
    }

    /// Keeps how two values stand to each other and returns how they stood.
    pub(super) fn turn(&mut self, cell: usize, order: Ordering) -> Option<Ordering> {
        match self.cells.get_mut(cell) {
            Some(Cell::Turn(last)) => last.replace(order),
            _ => None,
        }
    }

    /// How long ago, in nanoseconds, a condition was true that now is or is not.
    pub(super) fn since(&mut self, cell: usize, is_true: bool, now: Nanos) -> Option<Number> {
        let Some(Cell::Since(last)) = self.cells.get_mut(cell) else { return None };
        if is_true {
            *last = Some(now);
        }
        last.map(|last| Number::whole(now.saturating_sub(last)))
    }

    /// How long ago a condition was true, by the last judgement.
    pub(super) fn ago(&self, cell: usize, now: Nanos) -> Option<Number> {
        match self.cells.get(cell) {
            Some(Cell::Since(Some(last))) => Some(Number::whole(now.saturating_sub(*last))),
            _ => None,
        }
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
            Cell::Last(value) => {
                bytes.put_u8(u8::from(value.is_some()));
                if let Some(value) = value {
                    value.encode(bytes);
                }
            }
            Cell::Turn(order) => bytes.put_u8(match order {
                None => 0,
                Some(Ordering::Less) => 1,
                Some(Ordering::Equal) => 2,
                Some(Ordering::Greater) => 3,
            }),
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
            Cell::Last(value) => *value = if flag(reader)? { Some(Number::decode(reader)?) } else { None },
            Cell::Turn(order) => {
                *order = match reader.u8()? {
                    0 => None,
                    1 => Some(Ordering::Less),
                    2 => Some(Ordering::Equal),
                    3 => Some(Ordering::Greater),
                    _ => return Err(CodecError::Invalid),
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
