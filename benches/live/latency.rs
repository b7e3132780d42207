//! How long a tick takes, at a steady pace that waits for nobody.

use hdrhistogram::Histogram;
use tapedeck::latency::{LONGEST, Stage};

use super::engine::{self, Kept, Tee};
use super::exchange::{Exchange, Pace};
use super::frames::Frames;
use crate::{Failure, Table};

/// How long a pace is kept.
const SECONDS: usize = 10;
/// Digits of the histograms.
const DIGITS: u8 = 3;

/// The stages at `rate` ticks a second.
pub(crate) fn measure(rate: usize, kept: Kept, table: &mut Table) -> Result<(), Failure> {
    let count = rate * SECONDS;
    let pace = Pace::Every(1_000_000_000 / rate as u64);
    let exchange = Exchange::paced(1, Frames::made(count, 1), pace)?;
    let apart = 1_000_000_000 / rate as i64;
    let mut received = Histogram::<u64>::new_with_bounds(1, LONGEST, DIGITS)?;
    let mut taken = received.clone();
    let (mut start, mut number) = (None, 0);
    let served = engine::serve(&exchange, 1, (Tee::Off, kept), |decoded, now| {
        for frame in decoded.frames.iter().filter(|frame| frame.payload.starts_with(b"{\"stream\"")) {
            if start.is_none() {
                start = exchange.begun().ok();
            }
            let Some(start) = start else { continue };
            // From when it was due, whenever it was sent.
            let due = apart * number;
            number += 1;
            received.saturating_record((frame.entered.since(start) - due).max(1).unsigned_abs());
            taken.saturating_record((now.since(start) - due).max(1).unsigned_abs());
        }
    })?;
    let where_to = if kept == Kept::RocksDb { ", RocksDB" } else { "" };
    let micros = |nanos: u64| format!("{:.1}", nanos as f64 / 1e3);
    let mut row = |what: &str, [p50, p99, p999, max]: [u64; 4]| {
        table.row(
            format!("{rate}/s{where_to} {what}"),
            format!("p50 {} µs", micros(p50)),
            format!("p99 {} µs", micros(p99)),
            format!("p99.9 {} µs, max {} µs", micros(p999), micros(max)),
        );
    };
    let of = |histogram: &Histogram<u64>| {
        let at = |quantile| histogram.value_at_quantile(quantile);
        [at(0.5), at(0.99), at(0.999), histogram.max()]
    };
    row("due→received", of(&received));
    row("due→sequencer", of(&taken));
    // When these frames happened is made up.
    let inside =
        served.summary.latencies.rows().into_iter().filter(|row| row.stage != Stage::ExchangeToReceived);
    for stage in inside {
        row(stage.stage.name(), [stage.p50, stage.p99, stage.p999, stage.max]);
    }
    eprintln!("{:.1} frames a delivery", count as f64 / served.deliveries as f64);
    Ok(())
}
