//! Intervals as a standard HdrHistogram log, as HistogramLogAnalyzer, HistogramLogProcessor and hdr-plot read it.
//!
//! One line for each interval, venue and stage, tagged `venue/stage`, with the start in seconds since the epoch, the
//! length in seconds, the greatest time in milliseconds and the compressed histogram of nanoseconds. The clock offset
//! of a venue stands in a comment before its line.

use std::io::{self, Write};
use std::time::Duration;

use feeds::time::{self, Nanos};
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, IntervalLogWriterError, Tag};

use super::Latencies;

/// Nanoseconds in the unit of a line's greatest time.
const MAX_UNIT: f64 = 1_000_000.0;

/// What was recorded from `start` for `length`.
#[derive(Clone, Debug, PartialEq)]
pub struct Interval {
    /// When it began.
    pub start: Nanos,
    /// How long it was, in nanoseconds.
    pub length: Nanos,
    /// What was recorded in it.
    pub latencies: Latencies,
}

/// Why a log was not written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The writer failed.
    #[error("cannot write the histogram log")]
    Io(#[from] io::Error),
    /// A venue whose name a tag cannot hold.
    #[error("the venue name {0:?} cannot stand in a histogram log: it has a comma, a space or a line's end")]
    Name(String),
    /// A histogram that cannot be encoded.
    #[error("cannot encode the histogram of {tag}: {why}")]
    Histogram {
        /// Its venue and stage.
        tag: String,
        /// What the encoder says.
        why: String,
    },
}

/// Writes `intervals`, which should be in the order of their starts, as a log.
///
/// # Errors
/// [`LogError`] if the writer fails or an interval cannot be written in this form.
pub fn write_log<W: Write>(
    out: &mut W,
    intervals: impl IntoIterator<Item = Interval>,
) -> Result<(), LogError> {
    let mut intervals = intervals.into_iter().peekable();
    writeln!(out, "#[Histogram log format version 1.3]")?;
    if let Some(first) = intervals.peek() {
        let (seconds, at) = (first.start as f64 / 1e9, time::format(first.start));
        writeln!(out, "#[StartTime: {seconds:.3} (seconds since epoch), {at}]")?;
    }
    writeln!(
        out,
        "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\""
    )?;
    let mut serializer = V2DeflateSerializer::new();
    let mut builder = IntervalLogWriterBuilder::new();
    let mut log = builder.with_max_value_divisor(MAX_UNIT).begin_log_with(out, &mut serializer)?;
    for interval in intervals {
        let (start, length) = (duration(interval.start), duration(interval.length));
        for (venue, stage, series) in interval.latencies.series() {
            let Some(histogram) = series.histogram() else {
                continue;
            };
            let name = format!("{venue}/{}", stage.name());
            let tag = Tag::new(&name).ok_or_else(|| LogError::Name(venue.to_owned()))?;
            if let Some(offset) = series.offset() {
                log.write_comment(&format!("[ClockOffset: {venue} {offset} ns]"))?;
            }
            log.write_histogram(histogram, start, length, Some(tag)).map_err(|error| match error {
                IntervalLogWriterError::IoError(error) => LogError::Io(error),
                IntervalLogWriterError::SerializeError(error) => {
                    LogError::Histogram { tag: name.clone(), why: error.to_string() }
                }
            })?;
        }
    }
    Ok(())
}

/// A time or length that is not negative.
fn duration(nanos: Nanos) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}
