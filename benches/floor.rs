//! The floor: trades in CSV to one-second bars (and, as a second figure, one-minute bars from those) by the best
//! plain single-thread loop that we can write. No engine, no store: what any engine's time is measured against.
//!
//! `cargo bench --no-default-features --bench floor -- FILE [--windows 1s|1s,1m]`
//!
//! The loop trusts its input: rows in order of time by symbol, the columns that `tapedeck simulate --csv` writes,
//! fields of at most 15 bytes, no repeats. It reads blocks that stay in the second-level cache, looks at 16 bytes
//! at a time instead of one, takes the buyer's part without a branch, and keeps exact sums of every statistic of
//! the set `bar`. The totals that it prints at the end can be compared with any other program's.

use std::fs::File;
use std::io::Read;
use std::process::ExitCode;
use std::time::Instant;

mod floor {
    pub(crate) mod bars;
    pub(crate) mod row;
}

use floor::bars::{Bars, Totals};
use floor::row::{HEADER, PADDING, Parser};

/// Read at once, in bytes: half of a small second-level cache.
const BLOCK_BYTES: usize = 256 << 10;

fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let (mut path, mut windows) = (None, None);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--windows" => windows = arguments.next(),
            _ => path = Some(argument),
        }
    }
    let Some(path) = path else {
        eprintln!("no file, nothing measured; give one that `tapedeck simulate --csv FILE` wrote");
        return ExitCode::SUCCESS;
    };
    let measured = match windows.as_deref() {
        None => measure::<false>(&path).and_then(|()| measure::<true>(&path)),
        Some("1s") => measure::<false>(&path),
        Some("1s,1m") => measure::<true>(&path),
        Some(other) => Err(format!("windows {other:?} are not measured; give 1s or 1s,1m")),
    };
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{path}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the loop over the file once and prints one line of figures.
#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn measure<const MINUTES: bool>(path: &str) -> Result<(), String> {
    let begun = Instant::now();
    let mut bars = Bars::<MINUTES>::default();
    let rows = read(path, &mut bars)?;
    bars.finish().ok_or("sums out of range")?;
    let seconds = begun.elapsed().as_secs_f64();
    let names = if MINUTES { "1s,1m" } else { "1s" };
    println!(
        "windows={names} seconds={seconds:.3} rows={rows} rows_per_second={:.0} bars={} minute_bars={} {}",
        rows as f64 / seconds,
        bars.seconds.len(),
        bars.minutes.len(),
        Totals::of(&bars.seconds),
    );
    Ok(())
}

/// Gives every row of the file to `bars`, and returns how many there were.
fn read<const MINUTES: bool>(path: &str, bars: &mut Bars<MINUTES>) -> Result<u64, String> {
    let mut file = File::open(path).map_err(|error| error.to_string())?;
    let mut block = vec![0u8; BLOCK_BYTES + PADDING];
    let mut parser = Parser::default();
    let (mut rows, mut kept, mut first) = (0, 0, true);
    loop {
        let read = file.read(&mut block[kept..BLOCK_BYTES]).map_err(|error| error.to_string())?;
        let filled = kept + read;
        let mut start = 0;
        if first && filled >= HEADER.len() {
            if !block.starts_with(HEADER) {
                return Err("not the columns of `tapedeck simulate --csv`".to_owned());
            }
            (start, first) = (HEADER.len(), false);
        }
        let whole = memchr::memrchr(b'\n', &block[..filled]).map_or(0, |newline| newline + 1);
        while start < whole {
            let (row, next) =
                parser.row(&block, start).ok_or_else(|| format!("row {}: unreadable", rows + 1))?;
            bars.add(&row).ok_or_else(|| format!("row {}: out of order or out of range", rows + 1))?;
            start = next;
            rows += 1;
        }
        if read == 0 {
            return if whole == filled { Ok(rows) } else { Err(format!("row {}: cut off", rows + 1)) };
        }
        block.copy_within(whole..filled, 0);
        kept = filled - whole;
    }
}
