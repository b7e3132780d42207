//! Latencies against plain lists of times.

use std::collections::BTreeMap;

use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use proptest::prelude::*;

use super::*;

type Recorded = Vec<(usize, String, i64, u64)>;

/// Times of every size and sign, for a few venues.
fn recorded() -> impl Strategy<Value = Recorded> {
    let nanos = prop_oneof![
        6 => (0u32..42).prop_flat_map(|bits| 0..(1i64 << bits)),
        1 => -5_000_000_000i64..0,
        1 => any::<i64>(),
    ];
    let venue = prop_oneof![Just("alpha".to_owned()), Just("beta".to_owned()), Just("gamma".to_owned())];
    prop::collection::vec((0usize..7, venue, nanos, 1u64..1_000), 0..40)
}

fn latencies_of(recorded: &[(usize, String, i64, u64)]) -> Latencies {
    let mut latencies = Latencies::new();
    for (stage, venue, nanos, n) in recorded {
        latencies.record_n(Stage::ALL[*stage], venue, *nanos, *n);
    }
    latencies
}

fn bytes_of(latencies: &Latencies) -> Vec<u8> {
    let mut bytes = Vec::new();
    latencies.encode(&mut bytes);
    bytes
}

/// Without what depends on which times came before: the stage across clocks.
fn inside(recorded: &Recorded) -> Recorded {
    recorded.iter().filter(|(stage, ..)| *stage > 0).cloned().collect()
}

/// The `quantile` of times with counts, the way HDR histograms define it.
fn quantile(times: &BTreeMap<u64, u64>, quantile: f64) -> u64 {
    let count: u64 = times.values().sum();
    let rank = ((quantile * count as f64).ceil() as u64).max(1);
    let mut seen = 0;
    for (time, n) in times {
        seen += n;
        if seen >= rank {
            return *time;
        }
    }
    panic!("no times")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn rows_are_the_quantiles_of_the_list(recorded in recorded()) {
        let recorded = inside(&recorded);
        for row in latencies_of(&recorded).rows() {
            let of = || recorded.iter().filter(|(s, v, ..)| Stage::ALL[*s] == row.stage && *v == row.venue);
            let mut times: BTreeMap<u64, u64> = BTreeMap::new();
            for (_, _, nanos, n) in of().filter(|r| r.2 >= 0) {
                *times.entry(nanos.unsigned_abs().min(LONGEST)).or_default() += n;
            }
            prop_assert_eq!(row.count, times.values().sum::<u64>());
            prop_assert_eq!(row.negative, of().filter(|r| r.2 < 0).map(|r| r.3).sum::<u64>());
            prop_assert_eq!(row.above, of().filter(|r| r.2 > LONGEST as i64).map(|r| r.3).sum::<u64>());
            prop_assert_eq!(row.max, times.keys().last().copied().unwrap_or(0));
            if row.count > 0 {
                let read = [(0.5, row.p50), (0.9, row.p90), (0.99, row.p99), (0.999, row.p999), (0.9999, row.p9999)];
                for (at, value) in read {
                    let exact = quantile(&times, at);
                    prop_assert!(value >= exact && value - exact <= exact / 1_000 + 1, "{} {} {}", at, value, exact);
                }
            }
        }
    }

    #[test]
    fn merging_is_recording_both(a in recorded(), b in recorded()) {
        let (a, b) = (inside(&a), inside(&b));
        let mut merged = latencies_of(&a);
        merged.merge(&latencies_of(&b));
        let union = latencies_of(&[a, b].concat());
        prop_assert_eq!(bytes_of(&merged), bytes_of(&union));
        prop_assert_eq!(merged, union);
    }

    #[test]
    fn merging_keeps_counts_and_the_least_offset(a in recorded(), b in recorded()) {
        let (one, other) = (latencies_of(&a), latencies_of(&b));
        let mut merged = one.clone();
        merged.merge(&other);
        for venue in ["alpha", "beta", "gamma"] {
            let least = a.iter().chain(&b).filter(|r| r.0 == 0 && r.1 == venue).map(|r| r.2).min();
            prop_assert_eq!(merged.clock_offset(venue), least);
        }
        let count = |latencies: &Latencies| latencies.rows().iter().map(|row| row.count).sum::<u64>();
        prop_assert_eq!(count(&merged), count(&one) + count(&other));
    }

    #[test]
    fn bytes_come_back(recorded in recorded()) {
        let latencies = latencies_of(&recorded);
        let bytes = bytes_of(&latencies);
        let mut reader = Reader::new(&bytes);
        let back = Latencies::decode(&mut reader).unwrap();
        prop_assert!(reader.is_empty());
        prop_assert_eq!(&back, &latencies);
        prop_assert_eq!(back.rows(), latencies.rows());
    }

    #[test]
    fn damaged_bytes_never_panic(
        recorded in recorded(), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = bytes_of(&latencies_of(&recorded));
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(damaged) = Latencies::decode(&mut Reader::new(&bytes)) {
            let _ = damaged.rows();
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = Latencies::decode(&mut Reader::new(&[&[VERSION, 1][..], &bytes].concat()));
    }
}

#[test]
fn a_clock_that_runs_behind_is_an_offset_and_jitter() {
    let mut latencies = Latencies::new();
    for nanos in [-1_270_000_000, -1_269_000_000, -1_269_500_000] {
        latencies.record_n(Stage::ExchangeToReceived, "alpha", nanos, 1);
    }
    let row = &latencies.rows()[0];
    assert_eq!((row.offset, row.negative, row.count, row.max), (Some(-1_270_000_000), 3, 3, 1_000_000));
    assert!(row.p50.abs_diff(500_000) <= 500, "{row:?}");
}

#[test]
fn the_extremes_across_clocks_do_not_wrap() {
    let mut latencies = Latencies::new();
    latencies.record_n(Stage::ExchangeToReceived, "alpha", i64::MIN, 1);
    latencies.record_n(Stage::ExchangeToReceived, "alpha", i64::MAX, 2);
    latencies.record_n(Stage::Decoded, "alpha", i64::MIN, 4);
    let rows = latencies.rows();
    assert_eq!((rows[0].offset, rows[0].above, rows[0].max), (Some(i64::MIN), 2, LONGEST));
    assert_eq!((rows[1].negative, rows[1].count), (4, 0));
}

#[test]
fn an_interval_is_taken_once_and_leaves_the_offset() {
    let mut latencies = Latencies::new();
    latencies.record_n(Stage::ExchangeToReceived, "alpha", 100, 1);
    latencies.record_n(Stage::Committed, "alpha", 40_000, 5);
    let first = latencies.take_interval();
    assert_eq!(first.rows().len(), 2);
    assert!(latencies.is_empty() && latencies.rows().is_empty() && bytes_of(&latencies) == [VERSION, 0]);
    assert_eq!(latencies.clock_offset("alpha"), Some(100));

    // The next interval's jitter lies above the offset of the first, its own offset is its own.
    latencies.record_n(Stage::ExchangeToReceived, "alpha", 350, 1);
    let second = latencies.take_interval();
    assert_eq!((second.rows()[0].max, second.rows()[0].offset), (250, Some(350)));
    // The one after that follows the drift.
    latencies.record_n(Stage::ExchangeToReceived, "alpha", 360, 1);
    assert_eq!(latencies.take_interval().rows()[0].max, 10);
    // A quiet interval is empty.
    let _ = latencies.take_interval();
    assert!(latencies.take_interval().is_empty());

    let mut total = first;
    total.merge(&second);
    assert_eq!(total.rows()[0].count, 2);
}

#[test]
fn a_header_of_another_histogram_is_refused() {
    let mut latencies = Latencies::new();
    latencies.record_n(Stage::Decoded, "alpha", 5, 1);
    let bytes = bytes_of(&latencies);
    let at = bytes.windows(4).position(|window| window == [0, 0, 0, 3]).expect("the digits of the header");
    let mut other = bytes.clone();
    other[at + 3] = 5;
    assert!(Latencies::decode(&mut Reader::new(&bytes)).is_ok());
    assert_eq!(Latencies::decode(&mut Reader::new(&other)), Err(CodecError::Invalid));
    let mut newer = bytes;
    newer[0] = VERSION + 1;
    assert_eq!(Latencies::decode(&mut Reader::new(&newer)), Err(CodecError::Invalid));
}

#[test]
fn a_log_is_read_by_the_standard_reader() {
    let mut latencies = Latencies::new();
    latencies.record_n(Stage::ExchangeToReceived, "alpha", -7, 1);
    latencies.record_n(Stage::Committed, "alpha", 2_000_000, 3);
    let start = 1_723_161_255_250_000_000;
    let interval = Interval { start, length: 1_000_000_000, latencies };
    let mut log = Vec::new();
    write_log(&mut log, [interval]).unwrap();

    let text = String::from_utf8(log.clone()).unwrap();
    assert!(
        text.starts_with("#[Histogram log format version 1.3]\n#[StartTime: 1723161255.250 (seconds since"),
        "{text}"
    );
    assert!(text.contains("#[ClockOffset: alpha -7 ns]\n"), "{text}");
    let entries: Vec<_> = IntervalLogIterator::new(&log).map(|entry| entry.unwrap()).collect();
    assert!(matches!(entries[0], LogEntry::StartTime(time) if time.as_millis() == 1_723_161_255_250));
    let LogEntry::Interval(committed) = &entries[2] else {
        panic!("{entries:?}");
    };
    assert_eq!(committed.tag().unwrap().as_str(), "alpha/received→committed");
    assert_eq!(committed.start_timestamp().as_millis(), 1_723_161_255_250);
    assert_eq!(committed.duration().as_secs(), 1);
    assert!((committed.max() - 2.0).abs() < 0.01, "milliseconds: {}", committed.max());
    // "HIST" in base64 is how every compressed histogram begins.
    assert!(committed.encoded_histogram().starts_with("HIST"));
    assert_eq!(entries.len(), 3);
}

#[test]
fn a_venue_that_would_break_the_log_is_named() {
    let mut latencies = Latencies::new();
    latencies.record_n(Stage::Decoded, "a,b", 1, 1);
    let result = write_log(&mut Vec::new(), [Interval { start: 0, length: 1, latencies }]);
    assert!(matches!(result, Err(LogError::Name(name)) if name == "a,b"));
}
