//! The command line: every command, its options and their help.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{ArgAction, ArgGroup, Args as ClapArgs, Parser, Subcommand};
use feeds::formats::FORMATS;
use feeds::time::Nanos;

use super::alerts::{AlertsArgs, AlertsQuery};
use super::help;
use super::parse::{EpochCut, Speed, name, span, time};
use super::test::TestArgs;
use crate::config::{Listen, limits};
use crate::market::cli::SimulateArgs;
use crate::market::{Arrivals, MarketSpec};
use crate::output::Format;
use crate::source::SourceOptions;

/// Turns market data into durable, queryable statistics per symbol, and gives the same answer every time.
#[derive(Clone, Debug, Parser)]
#[command(name = "tapedeck", version, after_help = help::TAPEDECK, max_term_width = 110)]
pub struct Args {
    /// Log more to stderr: -v what is done, -vv how, -vvv everything
    #[arg(short, long, action = ArgAction::Count, global = true, display_order = 900)]
    pub verbose: u8,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Read files into a database: windows, totals and latencies of every symbol in them
    Replay(Box<ReplayArgs>),
    /// Watch the engine at work on a made-up exchange, over real sockets, without network
    Demo(DemoArgs),
    /// Connect to venues: the live service, until it is stopped
    Run(RunArgs),
    /// Connect to venues and write down what comes, raw
    Record(RecordArgs),
    /// Print what a database holds
    Query(QueryArgs),
    /// Print every result in canonical order, or the digest of that
    Dump(DumpArgs),
    /// Print percentiles of the time that ticks take, by stage and venue
    Latency(LatencyArgs),
    /// Say why an alert is what it is: its rule, what it saw, the windows behind that and their part of the tape
    Explain(ExplainArgs),
    /// Follow the alerts of a running tapedeck
    Alerts(Box<AlertsArgs>),
    /// Write a made-up market to files, the same bytes on every machine, or serve it as an exchange would
    #[command(
        group(ArgGroup::new("outputs").args(["csv", "capture", "serve"]).required(true).multiple(true)),
        after_help = help::SIMULATE
    )]
    Simulate(SimulateArgs),
    /// Say whether a configuration is right and, if not, where not
    Check(CheckArgs),
    /// Test rules on made-up ticks: what each says, and when
    Test(TestArgs),
    /// List the venues whose frames are understood
    Venues,
    /// List the statistics that windows can have
    Stats(StatsArgs),
    /// List the names and functions that rules can use
    Functions,
    /// List the kinds of windows
    Windows,
    /// List the file formats that are read
    Formats,
}

/// `demo`.
#[derive(Clone, Debug, ClapArgs)]
pub struct DemoArgs {
    /// How many symbols trade
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub symbols: u32,
    /// Trades and quotes in a second, all symbols together
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub ticks_per_second: u64,
    /// Another seed is another market
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// When orders and quotes arrive
    #[arg(long, value_enum, value_name = "HOW", default_value_t = MarketSpec::DEFAULT.arrivals)]
    pub arrivals: Arrivals,
    /// How much trades draw further trades after them, in percent of the usual
    #[arg(long, value_name = "PERCENT", default_value_t = MarketSpec::DEFAULT.bursts,
          value_parser = clap::value_parser!(u32).range(..=1_000))]
    pub bursts: u32,
    /// How much symbols share of the market's moves, in percent of the usual
    #[arg(long, value_name = "PERCENT", default_value_t = MarketSpec::DEFAULT.correlation,
          value_parser = clap::value_parser!(u32).range(..=1_000))]
    pub correlation: u32,
    /// What goes wrong and when, as in `tapedeck simulate --faults`
    #[arg(
        long,
        value_name = "SCRIPT",
        default_value = "duplicate@3000*20,garbage@5000,disconnect@8000,gap@14000*5"
    )]
    pub faults: String,
    /// Where to show it over HTTP: HOST:PORT, or off [default: 127.0.0.1:7311, or a free port]
    #[arg(long, value_name = "ADDR", value_parser = Listen::parse)]
    pub listen: Option<Listen>,
    /// Write down what comes in this directory [default: one among the temporary files]
    #[arg(long, value_name = "DIR")]
    pub record: Option<PathBuf>,
    /// Stop after so long: 30s, 8h
    #[arg(long = "for", value_name = "TIME", value_parser = span)]
    pub limit: Option<Nanos>,
}

/// What to connect to.
#[derive(Clone, Debug, ClapArgs)]
pub struct FeedArgs {
    /// Symbols: binance:BTCUSDT coinbase:BTC-USD; instead of those of the configuration
    #[arg(value_name = "SYMBOL", required_unless_present = "config")]
    pub symbols: Vec<String>,
    /// The configuration; without it, windows 1s and 1m with the set `bar`
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Another address for a venue, such as a simulator's: binance=ws://127.0.0.1:9100/binance
    #[arg(long, value_name = "VENUE=URL")]
    pub url: Vec<String>,
    /// Certificates (PEM) of authorities to trust beside those that browsers trust, for all venues [default: `engine.ca`]
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Stop after so long: 30s, 8h
    #[arg(long = "for", value_name = "TIME", value_parser = span)]
    pub limit: Option<Nanos>,
}

/// `run`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = help::RUN)]
pub struct RunArgs {
    /// What to connect to.
    #[command(flatten)]
    pub feeds: FeedArgs,
    /// The database's directory; made if it is not there [default: `engine.db`, or data]
    #[arg(long, value_name = "DIR")]
    pub db: Option<PathBuf>,
    /// Write down what comes in this directory, too; `tapedeck replay` of it gives the same digest
    #[arg(long, value_name = "DIR")]
    pub record: Option<PathBuf>,
    /// Where to show it over HTTP: HOST:PORT, or off [default: `http.listen`, or 127.0.0.1:7311 or a free port]
    #[arg(long, value_name = "ADDR", value_parser = Listen::parse)]
    pub listen: Option<Listen>,
    /// Threads that apply ticks [default: one for each core]
    #[arg(long, value_name = "N", value_parser = workers)]
    pub workers: Option<usize>,
}

/// `record`.
#[derive(Clone, Debug, ClapArgs)]
pub struct RecordArgs {
    /// What to connect to.
    #[command(flatten)]
    pub feeds: FeedArgs,
    /// The directory of the recording; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// `replay`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = help::REPLAY)]
pub struct ReplayArgs {
    /// Files to read, plain or compressed with gzip or zstd; several are merged by time
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// The database's directory; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub db: PathBuf,
    /// The configuration; without it, windows 1s and 1m with the set `bar`
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Rules to judge by, instead of those of the configuration or the recording: a file of rules alone
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// The files' format; `auto` finds out
    #[arg(long, value_name = "FORMAT", default_value = "auto", value_parser = input_formats())]
    pub format: String,
    /// The venue of files that do not say
    #[arg(long, value_name = "VENUE", value_parser = name)]
    pub venue: Option<String>,
    /// Names the symbol of files that name none; of others, takes only this symbol (again for more)
    #[arg(long = "symbol", value_name = "SYMBOL", value_parser = name)]
    pub symbols: Vec<String>,
    /// How fast: `max`, or a multiple of the pace at which the ticks came, such as `1x` or `0.5x`
    #[arg(long, value_name = "SPEED", default_value = "max", value_parser = Speed::parse)]
    pub speed: Speed,
    /// The times to take.
    #[command(flatten)]
    pub range: TimeRange,
    /// Threads that apply ticks; one per core unless said here or in the configuration
    #[arg(long, value_name = "N", value_parser = workers)]
    pub workers: Option<usize>,
    /// Go on with an interrupted replay of the same files; nothing is done twice
    #[arg(long, conflicts_with = "append")]
    pub resume: bool,
    /// Add other files to what the database holds
    #[arg(long)]
    pub append: bool,
    /// Stop at the first bad line (exit code 3) instead of counting it
    #[arg(long)]
    pub strict: bool,
    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,
    /// Keep the ticks in the database, for `query ticks`
    #[arg(long)]
    pub keep_ticks: bool,
    /// Where epochs are cut: every N entries, or random:SEED; no result may depend on it
    #[arg(long, value_name = "CUT", hide = true, value_parser = EpochCut::parse)]
    pub epoch: Option<EpochCut>,
}

impl ReplayArgs {
    /// What to read and how, with `decoders` decode threads.
    #[must_use]
    pub fn source_options(&self, decoders: usize) -> SourceOptions {
        SourceOptions {
            format: self.input_format().map(str::to_owned),
            venue: self.venue.clone(),
            symbols: self.symbols.clone(),
            from: self.range.from,
            to: self.range.to,
            decoders,
            strict: self.strict,
        }
    }

    /// The format that was asked for; `None` to find out.
    #[must_use]
    pub fn input_format(&self) -> Option<&str> {
        (self.format != AUTO).then_some(self.format.as_str())
    }
}

/// A half-open range of event times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ClapArgs)]
pub struct TimeRange {
    /// Only what is at or after this time: RFC 3339, a date, or an integer (s, ms, µs or ns by its size)
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub from: Option<Nanos>,
    /// Only what is before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub to: Option<Nanos>,
}

/// `query`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = help::QUERY)]
pub struct QueryArgs {
    /// What to print.
    #[command(subcommand)]
    pub what: Query,
}

/// What a query prints.
#[derive(Clone, Debug, Subcommand)]
pub enum Query {
    /// Closed windows by symbol and start, each in its latest revision
    #[command(after_help = help::QUERY_WINDOWS)]
    Windows(WindowsQuery),
    /// The alert log in its order, a row for each step of an episode
    #[command(after_help = help::QUERY_ALERTS)]
    Alerts(Box<AlertsQuery>),
    /// Totals of every symbol, and what became of each of its ticks
    Symbols(SymbolsQuery),
    /// What became of every frame or line of each input
    Feeds(FeedsQuery),
    /// The ticks themselves, where `replay --keep-ticks` kept them
    Ticks(TicksQuery),
    /// Ticks that came too late for their window
    Late(TicksQuery),
    /// Ranges that are known to be missing
    Gaps(TicksQuery),
}

impl Query {
    /// The database and the form of the output.
    #[must_use]
    pub fn common(&self) -> &QueryCommon {
        match self {
            Query::Windows(query) => &query.common,
            Query::Alerts(query) => &query.common,
            Query::Symbols(query) => &query.common,
            Query::Feeds(query) => &query.common,
            Query::Ticks(query) | Query::Late(query) | Query::Gaps(query) => &query.common,
        }
    }

    /// The times that are asked for; all where the query has none.
    #[must_use]
    pub fn range(&self) -> TimeRange {
        match self {
            Query::Windows(query) => query.range,
            Query::Alerts(query) => query.range,
            Query::Ticks(query) | Query::Late(query) | Query::Gaps(query) => query.range,
            Query::Symbols(_) | Query::Feeds(_) => TimeRange::default(),
        }
    }
}

/// What every query has.
#[derive(Clone, Debug, ClapArgs)]
pub struct QueryCommon {
    /// The database's directory
    #[arg(long, value_name = "DIR")]
    pub db: PathBuf,
    /// How to print; a table on a terminal, else CSV
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Write to this file, which appears when it is whole
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

impl QueryCommon {
    /// The format that was asked for, or the one that suits the output.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format.unwrap_or_else(|| Format::default_for(self.out.as_deref()))
    }
}

/// `query windows`.
#[derive(Clone, Debug, ClapArgs)]
pub struct WindowsQuery {
    /// Database and output.
    #[command(flatten)]
    pub common: QueryCommon,
    /// Only the window of this name; all without
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub window: Option<String>,
    /// Only this symbol (again for more)
    #[arg(long = "symbol", value_name = "SYMBOL", value_parser = name)]
    pub symbols: Vec<String>,
    /// Window starts.
    #[command(flatten)]
    pub range: TimeRange,
    /// Every emission of a window, not only the latest
    #[arg(long)]
    pub revisions: bool,
}

/// `query symbols`.
#[derive(Clone, Debug, ClapArgs)]
pub struct SymbolsQuery {
    /// Database and output.
    #[command(flatten)]
    pub common: QueryCommon,
    /// Only this symbol (again for more)
    #[arg(long = "symbol", value_name = "SYMBOL", value_parser = name)]
    pub symbols: Vec<String>,
}

/// `query feeds`.
#[derive(Clone, Debug, ClapArgs)]
pub struct FeedsQuery {
    /// Database and output.
    #[command(flatten)]
    pub common: QueryCommon,
}

/// `query ticks`, `query late` and `query gaps`.
#[derive(Clone, Debug, ClapArgs)]
pub struct TicksQuery {
    /// Database and output.
    #[command(flatten)]
    pub common: QueryCommon,
    /// Only this symbol (again for more)
    #[arg(long = "symbol", value_name = "SYMBOL", value_parser = name)]
    pub symbols: Vec<String>,
    /// Event times.
    #[command(flatten)]
    pub range: TimeRange,
}

/// `dump`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = help::DUMP)]
pub struct DumpArgs {
    /// The database's directory
    #[arg(long, value_name = "DIR")]
    pub db: PathBuf,
    /// Print only the SHA-256 of the dump, as the first word
    #[arg(long)]
    pub digest: bool,
}

/// `explain`.
#[derive(Clone, Debug, ClapArgs)]
pub struct ExplainArgs {
    /// The alert: its cursor, such as 1-42, its number, or its id or the beginning of it
    #[arg(value_name = "ALERT", value_parser = name)]
    pub alert: String,
    /// The database's directory
    #[arg(long, value_name = "DIR")]
    pub db: PathBuf,
}

/// `latency`.
#[derive(Clone, Debug, ClapArgs)]
pub struct LatencyArgs {
    /// The database's directory
    #[arg(long, value_name = "DIR")]
    pub db: PathBuf,
    /// Write a standard HdrHistogram log to this file
    #[arg(long, value_name = "FILE")]
    pub hlog: Option<PathBuf>,
}

/// `check`.
#[derive(Clone, Debug, ClapArgs)]
pub struct CheckArgs {
    /// The configuration
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// `stats`.
#[derive(Clone, Debug, ClapArgs)]
pub struct StatsArgs {
    /// List the sets, which name several statistics at once, with their members
    #[arg(long)]
    pub sets: bool,
}

/// The value of `--format` that leaves the format to be found out.
const AUTO: &str = "auto";

fn input_formats() -> PossibleValuesParser {
    PossibleValuesParser::new([AUTO].into_iter().chain(FORMATS.iter().map(|format| format.name())))
}

fn workers(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=limits::WORKERS_MAX).contains(number));
    number.ok_or_else(|| format!("write a whole number from 1 to {}", limits::WORKERS_MAX))
}
