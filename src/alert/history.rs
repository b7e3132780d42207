//! The windows that rules look back on: those that are over but not final, and the values of the last final ones.
//!
//! A window's values are taken from its emissions, so what a rule sees of a window is what is stored of it. When the
//! watermark passes a window's end its values become the newest of their series.
//!
//! # Bytes
//! For each window that is watched, in the order of the book: the windows that are not final (start i64, revision u64,
//! flags u64, a value for each series), the last final ones (start, revision, flags). Then the series, each a list of
//! values, the oldest first. A value is 0, or 1 and a number; a list its length and its items.

use std::collections::{BTreeMap, VecDeque};

use feeds::time::Nanos;

use super::seen::{EARLIER_MAX, Remembered};
use crate::codec::{CodecError, Put, Reader};
use crate::rule::{Number, Series};
use crate::stat::View;
use crate::window::{Emission, Flags};

/// A window as it was emitted last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) start: Nanos,
    pub(crate) revision: u32,
    pub(crate) flags: Flags,
}

/// A window that is not final.
#[derive(Clone, Debug, PartialEq)]
struct Over {
    mark: Mark,
    values: Vec<Option<Number>>,
}

/// What is remembered of the windows of one name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Watched {
    /// Its place in the configuration.
    pub(crate) window: usize,
    pub(crate) size: Nanos,
    /// The series that it feeds, by their places in the book.
    series: Vec<usize>,
    over: VecDeque<Over>,
    /// The final ones, the oldest first, so that an alert can name those that it read: as many as there are values, and
    /// [`EARLIER_MAX`].
    named: VecDeque<Mark>,
    keep: usize,
}

impl Watched {
    fn trim(&mut self) {
        let more = self.named.len().saturating_sub(self.keep);
        self.named.drain(..more);
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    watched: Vec<Watched>,
    series: Vec<VecDeque<Option<Number>>>,
    /// How often each series has changed, for those who keep what they computed from one.
    revisions: Vec<u64>,
}

impl PartialEq for History {
    fn eq(&self, other: &History) -> bool {
        (&self.watched, &self.series) == (&other.watched, &other.series)
    }
}

impl History {
    /// Nothing yet, of `series`, of which those in `own` (their places, in order) are kept, and of `closing`, windows of
    /// which only their close is wanted. `size` is that of the window at a place in the configuration.
    pub(crate) fn new(
        series: &[Series],
        own: &[usize],
        closing: &[usize],
        size: impl Fn(usize) -> Nanos,
    ) -> History {
        let mut by_window: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        by_window.extend(closing.iter().map(|&window| (window, Vec::new())));
        own.iter().for_each(|&place| by_window.entry(series[place].window).or_default().push(place));
        let watched = by_window.into_iter().map(|(window, own)| Watched {
            window,
            size: size(window),
            keep: own.iter().map(|&place| series[place].keep).max().unwrap_or(0) + EARLIER_MAX,
            series: own,
            over: VecDeque::new(),
            named: VecDeque::new(),
        });
        let watched = watched.collect();
        History { watched, series: vec![VecDeque::new(); series.len()], revisions: vec![0; series.len()] }
    }

    /// The values of a series, the oldest first.
    pub(crate) fn series(&self, place: usize) -> &VecDeque<Option<Number>> {
        &self.series[place]
    }

    /// Rises whenever the series has changed.
    pub(crate) fn revision(&self, place: usize) -> u64 {
        self.revisions[place]
    }

    /// What is remembered of the final windows of this series, which is of the window at this place in the configuration.
    pub(super) fn remembered(&self, series: usize, window: usize) -> Option<Remembered<'_>> {
        let watched = self.watched.iter().find(|watched| watched.window == window)?;
        let values = self.series.get(series)?.len();
        Some(Remembered { marks: &watched.named, size: watched.size, since: None, values })
    }

    /// A window was emitted or amended.
    pub(crate) fn absorb(&mut self, emission: &Emission, series: &[Series]) {
        let Some(watched) = self.watched.iter_mut().find(|it| it.window == emission.window) else { return };
        let view = View {
            pane: &emission.pane,
            carried: emission.carried.as_ref(),
            start: emission.start,
            end: emission.until,
        };
        let value =
            |place: &usize| (series[*place].stat.value)(&view).and_then(|value| Number::from_value(&value));
        let values: Vec<Option<Number>> = watched.series.iter().map(value).collect();
        let mark = Mark { start: emission.start, revision: emission.revision, flags: emission.flags };
        if let Some(newest) = watched.named.back_mut().filter(|newest| mark.start <= newest.start) {
            // It was judged as final when the inputs ended, or a backfill came: it is not judged again.
            if newest.start == mark.start {
                *newest = mark;
                for (place, value) in watched.series.iter().zip(values) {
                    if let Some(last) = self.series[*place].back_mut() {
                        *last = value;
                    }
                    self.revisions[*place] += 1;
                }
            }
            return;
        }
        let at = watched.over.partition_point(|over| over.mark.start < mark.start);
        match watched.over.get_mut(at).filter(|over| over.mark.start == mark.start) {
            Some(over) => *over = Over { mark, values },
            None => watched.over.insert(at, Over { mark, values }),
        }
    }

    /// The end of the last of these windows that is not final.
    pub(crate) fn last_end(&self, windows: &[usize]) -> Option<Nanos> {
        let of_these = self.watched.iter().filter(|it| windows.contains(&it.window));
        of_these.filter_map(|it| Some(it.over.back()?.mark.start.saturating_add(it.size))).max()
    }

    /// The end of the next window that becomes final.
    pub(crate) fn next_end(&self) -> Option<Nanos> {
        self.watched.iter().filter_map(|it| Some(it.over.front()?.mark.start.saturating_add(it.size))).min()
    }

    /// Makes the windows that end at `end` final. `became` hears of each, with the places of its series.
    pub(crate) fn finalise(
        &mut self,
        end: Nanos,
        series: &[Series],
        mut became: impl FnMut(usize, Mark, &[usize], &[Option<Number>]),
    ) {
        for watched in &mut self.watched {
            let ends =
                watched.over.front().is_some_and(|over| over.mark.start.saturating_add(watched.size) <= end);
            let Some(over) = (if ends { watched.over.pop_front() } else { None }) else { continue };
            for (&place, &value) in watched.series.iter().zip(&over.values) {
                let kept = &mut self.series[place];
                kept.push_back(value);
                while kept.len() > series[place].keep {
                    kept.pop_front();
                }
                self.revisions[place] += 1;
            }
            became(watched.window, over.mark, &watched.series, &over.values);
            watched.named.push_back(over.mark);
            watched.trim();
        }
    }

    /// Takes over what `old` knows of the windows and statistics that both have. `same` finds the place in `old` of one
    /// of these series.
    pub(crate) fn inherit(
        &mut self,
        old: &History,
        series: &[Series],
        same: impl Fn(usize) -> Option<usize>,
    ) {
        for watched in &mut self.watched {
            let Some(was) = old.watched.iter().find(|was| was.window == watched.window) else { continue };
            watched.named.clone_from(&was.named);
            watched.trim();
            watched.over = was
                .over
                .iter()
                .map(|over| Over {
                    mark: over.mark,
                    values: watched
                        .series
                        .iter()
                        .map(|&place| {
                            let at = was.series.iter().position(|known| same(place) == Some(*known))?;
                            over.values[at]
                        })
                        .collect(),
                })
                .collect();
            for &place in &watched.series {
                let Some(at) = same(place) else { continue };
                let values = &old.series[at];
                // Rules that go on have kept what they computed as of this.
                self.revisions[place] = old.revisions[at];
                let skip = values.len().saturating_sub(series[place].keep);
                self.series[place] = values.iter().skip(skip).copied().collect();
            }
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        for watched in &self.watched {
            out.put_u64(watched.over.len() as u64);
            for over in &watched.over {
                put_mark(&over.mark, out);
                over.values.iter().for_each(|value| put_value(*value, out));
            }
            out.put_u64(watched.named.len() as u64);
            watched.named.iter().for_each(|mark| put_mark(mark, out));
            for &place in &watched.series {
                out.put_u64(self.series[place].len() as u64);
                self.series[place].iter().for_each(|value| put_value(*value, out));
            }
        }
    }

    /// Reads what [`History::encode`] wrote into one that is new.
    pub(crate) fn decode(&mut self, from: &mut Reader<'_>) -> Result<(), CodecError> {
        for watched in &mut self.watched {
            for _ in 0..length(from)? {
                let mark = mark(from)?;
                let values = watched.series.iter().map(|_| value(from)).collect::<Result<_, _>>()?;
                watched.over.push_back(Over { mark, values });
            }
            for _ in 0..length(from)? {
                watched.named.push_back(mark(from)?);
            }
            for &place in &watched.series {
                for _ in 0..length(from)? {
                    self.series[place].push_back(value(from)?);
                }
            }
        }
        Ok(())
    }
}

/// Each item takes a byte at least: a length beyond the bytes left is refused.
fn length(from: &mut Reader<'_>) -> Result<u64, CodecError> {
    let length = from.u64()?;
    if length > from.rest().len() as u64 { Err(CodecError::Short) } else { Ok(length) }
}

fn put_mark(mark: &Mark, out: &mut Vec<u8>) {
    out.put_i64(mark.start);
    out.put_u64(u64::from(mark.revision));
    out.put_u64(u64::from(mark.flags.bits()));
}

fn mark(from: &mut Reader<'_>) -> Result<Mark, CodecError> {
    let start = from.i64()?;
    let revision = u32::try_from(from.u64()?).map_err(|_| CodecError::Invalid)?;
    Ok(Mark { start, revision, flags: Flags::from_bits(from.u64()?).ok_or(CodecError::Invalid)? })
}

pub(super) fn put_value(value: Option<Number>, out: &mut Vec<u8>) {
    out.put_u8(u8::from(value.is_some()));
    if let Some(value) = value {
        value.encode(out);
    }
}

pub(super) fn value(from: &mut Reader<'_>) -> Result<Option<Number>, CodecError> {
    match from.u8()? {
        0 => Ok(None),
        1 => Number::decode(from).map(Some),
        _ => Err(CodecError::Invalid),
    }
}
