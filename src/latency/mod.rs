//! How long things take: one HDR histogram for each stage and venue, never for a symbol.
//!
//! The stages inside are measured from a tick's own arrival (a monotonic stamp taken when its bytes enter), not from
//! the end of the stage before, so an engine that falls behind shows its queue in every stage after it. The caller
//! takes the stamps and hands in differences; there is no clock in here.
//!
//! A histogram holds 1 ns to 1 h at three digits. A longer time is recorded as 1 h and counted in `above`; a negative
//! one is counted in `negative` and recorded nowhere. Exchange clocks are not ours, so [`Stage::ExchangeToReceived`]
//! is taken apart: the clock **offset** is the least `received − exchange` (negative if our clock is behind), and the
//! histogram holds the **jitter**, which is what lies above the least that was seen in this interval and the one
//! before. A clock that drifts is followed within two intervals.
//!
//! # Bytes
//! | bytes | what |
//! |---|---|
//! | 1 | version: 1 |
//! | varint | number of series, then each, ordered by venue and stage |
//! | varint, bytes | venue |
//! | 1 | stage, its place in [`Stage::ALL`] |
//! | varint | negative |
//! | varint | above |
//! | varint | greatest time recorded, in ns |
//! | 1, signed varint | 1 and the clock offset in ns, or 0 |
//! | varint, bytes | the histogram in the standard encoding V2; no bytes if nothing was recorded |

mod log;
mod series;
#[cfg(test)]
mod tests;

use feeds::time::Nanos;

use crate::codec::{CodecError, Put, Reader};
pub use log::{Interval, LogError, write_log};
use series::Series;

/// The longest time that a histogram holds, in nanoseconds: one hour.
pub const LONGEST: u64 = 3_600_000_000_000;

const VERSION: u8 = 1;

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// From the exchange's time to arrival: a clock offset, and the jitter above it.
    ExchangeToReceived,
    /// From arrival to decoded.
    Decoded,
    /// From arrival to having a tape number.
    Sequenced,
    /// From arrival to having updated its symbol's state.
    Applied,
    /// From arrival to the end of the commit.
    Committed,
    /// From arrival to having been handed to the subscribers.
    Published,
    /// From the exchange's time to published. The caller takes [`Latencies::clock_offset`] off first.
    EndToEnd,
}

impl Stage {
    /// All stages, in the order in which a tick meets them.
    pub const ALL: [Stage; 7] = [
        Stage::ExchangeToReceived,
        Stage::Decoded,
        Stage::Sequenced,
        Stage::Applied,
        Stage::Committed,
        Stage::Published,
        Stage::EndToEnd,
    ];

    /// The name in outputs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Stage::ExchangeToReceived => "exchange→received",
            Stage::Decoded => "received→decoded",
            Stage::Sequenced => "received→sequenced",
            Stage::Applied => "received→applied",
            Stage::Committed => "received→committed",
            Stage::Published => "received→published",
            Stage::EndToEnd => "end-to-end",
        }
    }

    const fn index(self) -> usize {
        self as usize
    }
}

/// The histograms of an interval, or of everything since the start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Latencies {
    /// Ordered by name. There are a few dozen at most.
    venues: Vec<Venue>,
}

#[derive(Clone, Debug, PartialEq)]
struct Venue {
    name: Box<str>,
    /// A histogram takes 270 KiB, so a stage has none until something is recorded.
    stages: [Option<Box<Series>>; Stage::ALL.len()],
}

/// One line of the percentile table. Times are in nanoseconds, within one part in a thousand; `max` is exact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What is timed.
    pub stage: Stage,
    /// Whose ticks.
    pub venue: String,
    /// How many are in the percentiles.
    pub count: u64,
    /// Median.
    pub p50: u64,
    /// 90th percentile.
    pub p90: u64,
    /// 99th percentile.
    pub p99: u64,
    /// 99.9th percentile.
    pub p999: u64,
    /// 99.99th percentile.
    pub p9999: u64,
    /// Greatest.
    pub max: u64,
    /// How many were longer than [`LONGEST`]; the percentiles have them at that.
    pub above: u64,
    /// How many were negative. The percentiles have only those of [`Stage::ExchangeToReceived`], as jitter.
    pub negative: u64,
    /// The clock offset that the jitter lies above, for [`Stage::ExchangeToReceived`].
    pub offset: Option<i64>,
}

impl Latencies {
    /// Nothing recorded.
    #[must_use]
    pub fn new() -> Latencies {
        Latencies::default()
    }

    /// True if nothing is recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series().all(|(_, _, series)| series.is_empty())
    }

    /// Records that `stage` took `nanos` for each of `n` ticks of `venue`.
    #[inline]
    pub fn record_n(&mut self, stage: Stage, venue: &str, nanos: Nanos, n: u64) {
        if n == 0 {
            return;
        }
        let series = self.series_mut(stage, venue);
        match stage {
            Stage::ExchangeToReceived => series.record_across_clocks(nanos, n),
            _ => series.record(nanos, n),
        }
    }

    /// The least `received − exchange` of `venue` in this interval and the one before.
    #[must_use]
    pub fn clock_offset(&self, venue: &str) -> Option<i64> {
        let at = self.place(venue).ok()?;
        self.venues[at].stages[Stage::ExchangeToReceived.index()].as_ref()?.clock_offset()
    }

    /// Adds what another recorded.
    pub fn merge(&mut self, other: &Latencies) {
        for (venue, stage, series) in other.series() {
            self.series_mut(stage, venue).merge(series);
        }
    }

    /// What was recorded since the last time, leaving nothing but the clock offsets that jitter is measured against.
    #[must_use]
    pub fn take_interval(&mut self) -> Latencies {
        let taken = std::mem::take(self);
        for (venue, stage, series) in taken.series() {
            if let Some(offset) = series.offset() {
                self.series_mut(stage, venue).start_from(offset);
            }
        }
        Latencies { venues: taken.venues.into_iter().filter_map(Venue::recorded).collect() }
    }

    /// The percentile table, by stage and then venue.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let recorded = self.series().filter(|(_, _, series)| !series.is_empty());
        let mut rows: Vec<Row> = recorded.map(|(venue, stage, series)| series.row(stage, venue)).collect();
        rows.sort_by_key(|row| row.stage);
        rows
    }

    /// Appends the bytes that [`Latencies::decode`] reads.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        let recorded = || self.series().filter(|(_, _, series)| !series.is_empty());
        bytes.put_u8(VERSION);
        bytes.put_u64(recorded().count() as u64);
        for (venue, stage, series) in recorded() {
            bytes.put_bytes(venue.as_bytes());
            bytes.put_u8(stage as u8);
            series.encode(bytes);
        }
    }

    /// Reads what [`Latencies::encode`] wrote.
    ///
    /// # Errors
    /// [`CodecError`] if the bytes hold no latencies of a known version.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Latencies, CodecError> {
        if reader.u8()? != VERSION {
            return Err(CodecError::Invalid);
        }
        let mut latencies = Latencies::new();
        for _ in 0..reader.u64()? {
            let venue = std::str::from_utf8(reader.bytes()?).map_err(|_| CodecError::Invalid)?;
            let stage = *Stage::ALL.get(usize::from(reader.u8()?)).ok_or(CodecError::Invalid)?;
            let series = Series::decode(reader)?;
            latencies.series_mut(stage, venue).merge(&series);
        }
        Ok(latencies)
    }

    fn place(&self, venue: &str) -> Result<usize, usize> {
        self.venues.binary_search_by(|known| (*known.name).cmp(venue))
    }

    #[inline]
    fn series_mut(&mut self, stage: Stage, venue: &str) -> &mut Series {
        let at = self.place(venue).unwrap_or_else(|at| {
            self.venues.insert(at, Venue { name: venue.into(), stages: Default::default() });
            at
        });
        self.venues[at].stages[stage.index()].get_or_insert_default()
    }

    /// Every series with its venue and stage, by venue and then stage.
    fn series(&self) -> impl Iterator<Item = (&str, Stage, &Series)> {
        self.venues.iter().flat_map(|venue| {
            let stages = Stage::ALL.into_iter().zip(&venue.stages);
            stages.filter_map(|(stage, series)| Some((&*venue.name, stage, &**series.as_ref()?)))
        })
    }
}

impl Venue {
    /// Itself without the series that have recorded nothing, if any has.
    fn recorded(mut self) -> Option<Venue> {
        for series in &mut self.stages {
            series.take_if(|series| series.is_empty());
            if let Some(series) = series {
                series.forget_start();
            }
        }
        self.stages.iter().any(Option::is_some).then_some(self)
    }
}
