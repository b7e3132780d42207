//! What the live path costs, on loopback: frames a second through the whole engine (sockets, feed actors, sequencer,
//! symbol actors, a store in memory) against a bare loop over the same sockets that parses the same frames; and how
//! long a tick takes by stage at a steady pace.
//!
//! `cargo bench --no-default-features --bench live [-- SECTION…]`
//!
//! Sections: `frames-1`, `frames-8` (connections), `latency-1000`, `latency-10000`, `latency-50000` (ticks a second);
//! all of them unless told otherwise, and, with the feature `rocksdb`, `durable-…` for `latency-…` on RocksDB.
//! `engine-N`, `tee-N` and `bare-N` are one side of `frames-N`, once, for a profiler.
//! The sides of a row alternate in one process; median of five. Load is open loop: a frame has a time at which it is
//! due, and what is late counts from then.

use std::process::ExitCode;

mod live {
    pub(crate) mod bare;
    pub(crate) mod engine;
    pub(crate) mod exchange;
    pub(crate) mod frames;
    pub(crate) mod latency;
}
#[path = "engine/table.rs"]
mod table;

use live::bare;
use live::engine::{self, Kept, Tee};
use live::exchange::Exchange;
use live::frames::Frames;
use live::latency;
use table::{Table, median};

/// What is measured without being asked for.
const SECTIONS: &[&str] = &["frames-1", "frames-8", "latency-1000", "latency-10000", "latency-50000"];
/// And what is measured with RocksDB.
const DURABLE: &[&str] =
    if cfg!(feature = "rocksdb") { &["durable-1000", "durable-10000", "durable-50000"] } else { &[] };
/// Frames of a run: a second or two.
const FRAMES: usize = 600_000;
/// Runs of each side.
const RUNS: usize = 5;

/// Anything that keeps a figure from being measured.
pub(crate) type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let sections: Vec<&str> = if asked.is_empty() {
        [SECTIONS, DURABLE].concat()
    } else {
        asked.iter().map(String::as_str).collect()
    };
    let mut table = Table::default();
    for section in sections {
        if let Err(error) = measure(section, &mut table) {
            eprintln!("{section}: {error}");
            return ExitCode::FAILURE;
        }
    }
    table.print();
    ExitCode::SUCCESS
}

fn measure(section: &str, table: &mut Table) -> Result<(), Failure> {
    let (what, number) = section.split_once('-').ok_or("there is no such section")?;
    let number: usize = number.parse()?;
    match what {
        "frames" => frames(number, table),
        "engine" => frames_once(number, |exchange| engine::run(exchange, number, Tee::Off)),
        "tee" => frames_once(number, |exchange| engine::run(exchange, number, Tee::On)),
        "bare" => frames_once(number, |exchange| bare::run(exchange, number)),
        "latency" => latency::measure(number, Kept::Memory, table),
        "durable" => latency::measure(number, Kept::RocksDb, table),
        _ => Err("there is no such section".into()),
    }
}

fn frames_once(connections: usize, side: impl Fn(&Exchange) -> Result<f64, Failure>) -> Result<(), Failure> {
    let exchange = Exchange::start(connections, Frames::made(FRAMES, connections))?;
    let seconds = side(&exchange)?;
    eprintln!("{:.0} frames/s", FRAMES as f64 / seconds);
    Ok(())
}

/// The three sides in turn.
fn frames(connections: usize, table: &mut Table) -> Result<(), Failure> {
    let (mut loops, mut engines, mut tees) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        loops.push(timed(connections, |exchange| bare::run(exchange, connections))?);
        engines.push(timed(connections, |exchange| engine::run(exchange, connections, Tee::Off))?);
        tees.push(timed(connections, |exchange| engine::run(exchange, connections, Tee::On))?);
    }
    let middle = |runs: &[(f64, f64)]| {
        [median(runs.iter().map(|run| run.0).collect()), median(runs.iter().map(|run| run.1).collect())]
    };
    let bare = middle(&loops);
    for (what, runs) in [("", engines), (", recorded", tees)] {
        let figures = middle(&runs);
        let kinds = ["frames/s", "frames per CPU second"];
        for (kind, (figure, bare)) in kinds.into_iter().zip(figures.into_iter().zip(bare)) {
            table.row(
                format!("{kind}, {connections} connections{what}"),
                format!("{figure:.0}"),
                format!("{bare:.0} in a bare loop"),
                format!("{:.2}", figure / bare),
            );
        }
    }
    Ok(())
}

/// Frames by second, and by second of CPU time of the whole process; the exchange's is in both sides'.
fn timed(
    connections: usize,
    side: impl Fn(&Exchange) -> Result<f64, Failure>,
) -> Result<(f64, f64), Failure> {
    let exchange = Exchange::start(connections, Frames::made(FRAMES, connections))?;
    let before = cpu_seconds();
    let seconds = side(&exchange)?;
    let busy = cpu_seconds().zip(before).map_or(f64::NAN, |(after, before)| after - before);
    Ok((FRAMES as f64 / seconds, FRAMES as f64 / busy))
}

/// CPU time of all threads of this process, where the system says: in hundredths of a second.
fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some(ticks / 100.0)
}
