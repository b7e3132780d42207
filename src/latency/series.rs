//! The times of one stage and venue: a histogram, and counts of what it cannot hold.

use feeds::time::Nanos;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};

use super::{LONGEST, Row, Stage};
use crate::codec::{CodecError, Put, Reader};

/// Significant decimal digits of a recorded time.
const DIGITS: u8 = 3;

/// Bytes of a V2 histogram before its counts: cookie, length of the counts, normalising offset, digits (4 each),
/// lowest and highest value, ratio (8 each), big-endian.
const V2_HEADER: usize = 40;

/// Where the length of the counts stands among them.
const V2_LENGTH: std::ops::Range<usize> = 4..8;

/// The times of one stage and venue.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Series {
    /// Made when something is recorded.
    histogram: Option<Histogram<u64>>,
    max: u64,
    negative: u64,
    above: u64,
    /// The least time across clocks in this interval.
    offset: Option<i64>,
    /// The least in the interval before.
    before: Option<i64>,
}

impl Series {
    pub(super) fn is_empty(&self) -> bool {
        self.histogram.is_none() && self.negative == 0 && self.above == 0
    }

    pub(super) fn histogram(&self) -> Option<&Histogram<u64>> {
        self.histogram.as_ref()
    }

    /// The least time across clocks in this interval.
    pub(super) fn offset(&self) -> Option<i64> {
        self.offset
    }

    /// The least time across clocks in this interval and the one before.
    pub(super) fn clock_offset(&self) -> Option<i64> {
        self.offset.into_iter().chain(self.before).min()
    }

    /// The interval before ended with `offset`.
    pub(super) fn start_from(&mut self, offset: i64) {
        self.before = Some(offset);
    }

    /// Forgets the interval before.
    pub(super) fn forget_start(&mut self) {
        self.before = None;
    }

    #[inline]
    pub(super) fn record(&mut self, nanos: Nanos, n: u64) {
        match u64::try_from(nanos) {
            Ok(nanos) => self.insert(nanos, n),
            Err(_) => self.negative += n,
        }
    }

    /// Records the part of `nanos` above the clock offset, and lowers that first if `nanos` is less.
    pub(super) fn record_across_clocks(&mut self, nanos: Nanos, n: u64) {
        if nanos < 0 {
            self.negative += n;
        }
        self.offset = Some(self.offset.map_or(nanos, |least| least.min(nanos)));
        let offset = self.clock_offset().unwrap_or(nanos);
        self.insert(nanos.abs_diff(offset), n);
    }

    #[inline]
    fn insert(&mut self, nanos: u64, n: u64) {
        let held = nanos.min(LONGEST);
        if nanos > held {
            self.above += n;
        }
        self.max = self.max.max(held);
        if self.histogram.is_none() {
            // These bounds are ones that a histogram can have, so there is one from here on.
            self.histogram = Histogram::new_with_bounds(1, LONGEST, DIGITS).ok();
        }
        if let Some(histogram) = &mut self.histogram {
            histogram.saturating_record_n(held, n);
        }
    }

    pub(super) fn merge(&mut self, other: &Series) {
        self.max = self.max.max(other.max);
        self.negative = self.negative.saturating_add(other.negative);
        self.above = self.above.saturating_add(other.above);
        self.offset = self.offset.into_iter().chain(other.offset).min();
        match (&mut self.histogram, &other.histogram) {
            (_, None) => {}
            (own @ None, Some(histogram)) => *own = Some(histogram.clone()),
            (Some(own), Some(histogram)) => {
                if own.add(histogram).is_err() {
                    // Not with equal bounds, which all of ours have.
                    self.above = self.above.saturating_add(histogram.len());
                }
            }
        }
    }

    pub(super) fn row(&self, stage: Stage, venue: &str) -> Row {
        // A bucket's upper edge can lie above the greatest time in it.
        let at = |quantile| self.histogram().map_or(0, |h| h.value_at_quantile(quantile).min(self.max));
        Row {
            stage,
            venue: venue.to_owned(),
            count: self.histogram().map_or(0, Histogram::len),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: self.max,
            above: self.above,
            negative: self.negative,
            offset: self.offset,
        }
    }

    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.put_u64(self.negative);
        bytes.put_u64(self.above);
        bytes.put_u64(self.max);
        match self.offset {
            Some(offset) => {
                bytes.put_u8(1);
                bytes.put_i64(offset);
            }
            None => bytes.put_u8(0),
        }
        bytes.put_bytes(&self.histogram().map(v2).unwrap_or_default());
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Series, CodecError> {
        let (negative, above, max) = (reader.u64()?, reader.u64()?, reader.u64()?);
        let offset = match reader.u8()? {
            0 => None,
            1 => Some(reader.i64()?),
            _ => return Err(CodecError::Invalid),
        };
        let histogram = match reader.bytes()? {
            [] => None,
            bytes => Some(from_v2(bytes).ok_or(CodecError::Invalid)?),
        };
        Ok(Series { histogram, max, negative, above, offset, before: None })
    }
}

/// The histogram in the standard encoding V2. Nothing fails when writing to memory but a count above 2^63.
fn v2(histogram: &Histogram<u64>) -> Vec<u8> {
    let mut bytes = Vec::new();
    match V2Serializer::new().serialize(histogram, &mut bytes) {
        Ok(_) => bytes,
        Err(_) => Vec::new(),
    }
}

/// Reads [`v2`] back. Only a header as ours gets as far as the crate's reader, which believes what a header says
/// about how much memory to take.
fn from_v2(mut bytes: &[u8]) -> Option<Histogram<u64>> {
    let (header, counts) = bytes.split_at_checked(V2_HEADER)?;
    let mut expected = v2(&Histogram::new_with_bounds(1, LONGEST, DIGITS).ok()?);
    expected.truncate(V2_HEADER);
    expected[V2_LENGTH].copy_from_slice(&u32::try_from(counts.len()).ok()?.to_be_bytes());
    // The least integer is no count and no gap, and the reader negates gaps.
    if header != expected || counts.windows(9).any(|window| window == [0xff; 9]) {
        return None;
    }
    Deserializer::new().deserialize(&mut bytes).ok()
}
