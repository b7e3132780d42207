//! `tapedeck simulate`: its options, and a made-up market to files, as CSV, as a capture, or both.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::Args;
use feeds::time::{Nanos, parse_words};

use super::capture::CaptureWriter;
use super::file::OutputFile;
use super::{Arrivals, Change, Instrument, Market, MarketEvent, MarketSpec, csv};
use crate::simulator::cli::ServeArgs;

/// What is written at once, in bytes.
const BUFFER_BYTES: usize = 1 << 20;

/// Writes a made-up market. The same options give the same bytes on every machine.
#[derive(Args, Clone, Debug)]
pub struct SimulateArgs {
    /// Write the trades as CSV: time (ms), symbol, id, price, qty, is_buyer_maker
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Write trades and quotes as a capture of Binance's spot streams; .gz and .zst compress
    #[arg(long, value_name = "FILE")]
    pub capture: Option<PathBuf>,
    /// How it is served, if it is.
    #[command(flatten)]
    pub serving: ServeArgs,
    /// How many symbols trade
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    pub symbols: u32,
    /// How many trades to write
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub trades: u64,
    /// Another seed is another market
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// When the market opens, RFC 3339
    #[arg(long, value_name = "T", default_value = "2025-01-06T00:00:00Z", value_parser = parse_start)]
    pub start: Nanos,
    /// Trades and quotes in a second, all symbols together
    #[arg(long, value_name = "N", default_value_t = MarketSpec::default().ticks_per_second,
          value_parser = clap::value_parser!(u64).range(1..))]
    pub ticks_per_second: u64,
    /// Quotes for each trade
    #[arg(long, value_name = "N", default_value_t = MarketSpec::default().quotes_per_trade,
          value_parser = clap::value_parser!(u64).range(..=1_000))]
    pub quotes_per_trade: u64,
    /// When orders and quotes arrive
    #[arg(long, value_enum, value_name = "HOW", default_value_t = MarketSpec::default().arrivals)]
    pub arrivals: Arrivals,
    /// How much trades draw further trades after them, in percent of the usual
    #[arg(long, value_name = "PERCENT", default_value_t = MarketSpec::default().bursts,
          value_parser = clap::value_parser!(u32).range(..=1_000))]
    pub bursts: u32,
    /// How much symbols share of the market's moves, in percent of the usual
    #[arg(long, value_name = "PERCENT", default_value_t = MarketSpec::default().correlation,
          value_parser = clap::value_parser!(u32).range(..=1_000))]
    pub correlation: u32,
}

impl SimulateArgs {
    /// The market that the options describe.
    #[must_use]
    pub fn spec(&self) -> MarketSpec {
        MarketSpec {
            symbols: self.symbols,
            seed: self.seed,
            start: self.start,
            ticks_per_second: self.ticks_per_second,
            quotes_per_trade: self.quotes_per_trade,
            arrivals: self.arrivals,
            bursts: self.bursts,
            correlation: self.correlation,
        }
    }
}

fn parse_start(text: &str) -> Result<Nanos, String> {
    parse_words(text).map_err(|error| format!("{error}; write it like 2025-01-06T00:00:00Z"))
}

/// Writes the files.
///
/// # Errors
/// If no file is asked for, or one cannot be written.
pub fn run(args: &SimulateArgs) -> anyhow::Result<()> {
    ensure!(
        args.csv.is_some() || args.capture.is_some(),
        "nothing to write: give --csv FILE, --capture FILE or both"
    );
    let market = Market::new(args.spec());
    let instruments = market.instruments().to_vec();
    let mut csv = args.csv.as_deref().map(CsvFile::create).transpose()?;
    let mut capture = args
        .capture
        .as_deref()
        .map(|path| CaptureFile::create(path, &instruments, args.start))
        .transpose()?;
    for event in first_trades(market, args.trades) {
        let instrument = &instruments[event.symbol as usize];
        if let Some(csv) = &mut csv {
            csv.put(&event, instrument)?;
        }
        if let Some(capture) = &mut capture {
            capture.put(&event, instrument)?;
        }
    }
    if let Some(csv) = csv {
        csv.0.finish()?;
    }
    if let Some(capture) = capture {
        capture.0.finish()?;
    }
    Ok(())
}

/// The events up to and with the `trades`-th trade.
fn first_trades(market: Market, trades: u64) -> impl Iterator<Item = MarketEvent> {
    let mut left = trades;
    market.take_while(move |event| {
        let within = left > 0;
        left -= u64::from(within && matches!(event.change, Change::Trade { .. }));
        within
    })
}

/// A file, its name for messages, and what is not written yet.
struct Buffered {
    path: PathBuf,
    file: OutputFile,
    buffer: Vec<u8>,
}

impl Buffered {
    fn create(path: &Path) -> anyhow::Result<Buffered> {
        let file = OutputFile::create(path).with_context(|| format!("create {}", path.display()))?;
        Ok(Buffered { path: path.to_owned(), file, buffer: Vec::with_capacity(BUFFER_BYTES + 4_096) })
    }

    #[inline]
    fn drain(&mut self, least: usize) -> anyhow::Result<()> {
        if self.buffer.len() < least {
            return Ok(());
        }
        self.file.drain(&mut self.buffer, least).with_context(|| format!("write {}", self.path.display()))
    }

    fn finish(mut self) -> anyhow::Result<()> {
        self.drain(0)?;
        self.file.finish().with_context(|| format!("write {}", self.path.display()))
    }
}

struct CsvFile(Buffered);

impl CsvFile {
    fn create(path: &Path) -> anyhow::Result<CsvFile> {
        let mut out = Buffered::create(path)?;
        out.buffer.extend_from_slice(csv::HEADER.as_bytes());
        Ok(CsvFile(out))
    }

    fn put(&mut self, event: &MarketEvent, instrument: &Instrument) -> anyhow::Result<()> {
        csv::put_row(&mut self.0.buffer, event, instrument);
        self.0.drain(BUFFER_BYTES)
    }
}

struct CaptureFile(Buffered, CaptureWriter);

impl CaptureFile {
    fn create(path: &Path, instruments: &[Instrument], start: Nanos) -> anyhow::Result<CaptureFile> {
        let mut out = Buffered::create(path)?;
        let writer = CaptureWriter::new(instruments);
        writer.put_opening(&mut out.buffer, start);
        Ok(CaptureFile(out, writer))
    }

    fn put(&mut self, event: &MarketEvent, instrument: &Instrument) -> anyhow::Result<()> {
        self.1.put_event(&mut self.0.buffer, event, instrument);
        self.0.drain(BUFFER_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use std::io::Read;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        simulate: SimulateArgs,
    }

    fn parse(arguments: &[&str]) -> Result<SimulateArgs, clap::Error> {
        let program = Program::try_parse_from([&["simulate"], arguments].concat())?;
        Ok(program.simulate)
    }

    #[test]
    fn files_hold_the_same_whatever_they_are_called() {
        let folder = tempfile::tempdir().unwrap();
        let write = |option: &str, name: &str| {
            let path = folder.path().join(name);
            let arguments = [option, path.to_str().unwrap(), "--trades", "500", "--symbols", "7"];
            run(&parse(&arguments).unwrap()).unwrap();
            std::fs::read(path).unwrap()
        };
        let plain = write("--capture", "a.capture");
        let mut inflated = Vec::new();
        flate2::read::GzDecoder::new(&write("--capture", "a.gz")[..]).read_to_end(&mut inflated).unwrap();
        assert_eq!(inflated, plain);
        assert_eq!(zstd::decode_all(&write("--capture", "a.zst")[..]).unwrap(), plain);
        assert_eq!(plain.windows(7).filter(|at| at == b"@trade\"").count(), 500);

        let csv = String::from_utf8(write("--csv", "a.csv")).unwrap();
        assert_eq!(csv.lines().count(), 501);
        assert!(csv.ends_with("true\n") || csv.ends_with("false\n"));
    }

    #[test]
    fn options_are_checked() {
        let nothing = run(&parse(&[]).unwrap()).unwrap_err();
        assert!(nothing.to_string().contains("--csv"), "{nothing}");
        let error = parse(&["--start", "yesterday"]).unwrap_err().to_string();
        assert!(error.contains("write it like"), "{error}");
        assert!(parse(&["--symbols", "0"]).is_err());
        assert!(parse(&["--arrivals", "now and then"]).is_err());
        let even = parse(&["--arrivals", "uniform", "--bursts", "0", "--correlation", "50"]).unwrap().spec();
        assert_eq!((even.arrivals, even.bursts, even.correlation), (Arrivals::Uniform, 0, 50));
        assert_eq!(parse(&[]).unwrap().spec(), MarketSpec::default());
        let spec = parse(&["--start", "2024-02-29T12:00:00Z", "--seed", "9"]).unwrap().spec();
        assert_eq!((spec.start, spec.seed), (1_709_208_000_000_000_000, 9));
        let missing = parse(&["--csv", "/nowhere/at/all.csv"]).unwrap();
        assert!(run(&missing).unwrap_err().to_string().contains("/nowhere/at/all.csv"));
    }
}
