//! `demo`: an exchange that is made up, the engine connected to it over real sockets, and what comes of that.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use feeds::live::Channel;
use feeds::time::SECOND;
use feeds::venues::by_id;

use super::args::DemoArgs;
use super::{Failure, run, summary};
use crate::clock;
use crate::config::limits::SILENCE;
use crate::config::{Catalogue, Config, Listen};
use crate::feed::FeedSpec;
use crate::live::generation;
use crate::live::recorder::Recorder;
use crate::live::service::{self, Service};
use crate::live::{Deck, LiveOptions};
use crate::market::{Market, MarketSpec};
use crate::query::{Catalogue as Stored, dump};
use crate::replay::plan::Mode;
use crate::replay::stop::Stop;
use crate::replay::{ReplayOptions, replay};
use crate::serve;
use crate::simulator::faults::Script;
use crate::simulator::protocol::PROTOCOLS;
use crate::simulator::{Simulator, SimulatorError, SimulatorSpec};
use crate::source::{self, SourceOptions};
use crate::store::Store;
use crate::store::memory::MemoryStore;
use crate::tape::Cut;
use crate::view::{Facts, Viewer};

/// What it computes and watches for.
const CONFIG: &str = r#"
[[windows]]
name = "1s"
[[windows]]
name = "10s"
[[windows]]
name = "1m"

[[rules]]
name = "burst"
when = "volume[1s, -1] > 2 * mean(volume[1s, -1], 8) and trades[1s, -1] > 20"
cooldown = "10s"
message = "{volume[1s, -1]} in a second, where {mean(volume[1s, -1], 8)} is usual"

[[rules]]
name = "move"
when = "abs(zscore(close[1s], 12)) > 4 and trades[10s] > 10"
cooldown = "10s"
severity = "info"
message = "at {price}, {zscore(close[1s], 12)} deviations from the last seconds"

[[rules]]
name = "gap"
symbols = ["*:BTCUSDT"]
when = "gap(trades)"
severity = "critical"
message = "{state}: ids are missing or a connection broke; {gaps} gaps so far"
"#;

/// Where the exchange listens, if nobody else does.
const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9100);
/// `demo`.
pub(super) fn demo(args: &DemoArgs) -> Result<(), Failure> {
    let market = MarketSpec {
        symbols: args.symbols,
        seed: args.seed,
        ticks_per_second: args.ticks_per_second,
        arrivals: args.arrivals,
        bursts: args.bursts,
        correlation: args.correlation,
        ..MarketSpec::default()
    };
    let bound = serve::bind(args.listen.as_ref().unwrap_or(&Listen::Usual)).map_err(anyhow::Error::from)?;
    let simulator = simulator(market, &args.faults)?;
    let url = format!("ws://{}/{}", simulator.address(), venue());
    let folder = folder_of(args)?;

    let names = Catalogue::built_in();
    let workers = available_parallelism().map_or(1, usize::from);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let recorder = Recorder::start(&folder, clock::wall()).map_err(anyhow::Error::from)?;
    let mut config = Config::parse("the demonstration", CONFIG, &names)?;
    // What is shown is what the last checkpoint has.
    config.engine.checkpoint_every = SECOND;
    let options = LiveOptions { config, workers, cut: Cut::Adaptive, sabotage: None };
    generation::found(&*store, clock::wall()).map_err(anyhow::Error::from)?;
    let deck = Deck::start(&store, &options, Some(recorder)).map_err(anyhow::Error::from)?;
    let stop = Stop::on_signals().map_err(anyhow::Error::from)?;
    let service = Service {
        feeds: vec![feed(market, url.clone())?],
        ca: Vec::new(),
        seed: args.seed,
        backfill: true,
        limit: args.limit,
    };
    let facts = Facts { db: None, recording: Some(folder.clone()), checkpoint_every: SECOND };
    let viewer = Viewer::new(deck.pulse(), Arc::clone(&store), facts);
    tell("a made-up exchange with faults, and the engine connected to it over real sockets")?;
    tell(&format!("  exchange   {url}   faults: {}", args.faults))?;
    tell(&format!("  recording  {}", folder.display()))?;
    let shown = run::show(bound, viewer, Vec::new())?;
    if let Some(server) = &shown.server {
        tell(&format!("  {}   with /metrics, /v1/status and /v1/feeds", run::place(server)))?;
        let place = format!("{}://{}", server.scheme(), server.address());
        tell(&format!("  three rules are on; in another terminal: tapedeck alerts follow {place}"))?;
    }
    tell(if args.limit.is_some() { "  Ctrl-C ends it sooner" } else { "  Ctrl-C ends it, or --for 30s" })?;
    let ran = service::run(service, deck, &stop, Box::new(|_| {}));
    drop(shown);
    let ran = ran.map_err(anyhow::Error::from)?;

    tell("\nwhat came of it")?;
    summary::live(&ran, &mut io::stdout())?;
    summary::alerts(&*store, &mut io::stdout())?;
    tell("\nwhat the exchange says")?;
    for totals in simulator.stop() {
        // What it sent of every symbol is for tests.
        totals.to_string().lines().take(2).try_for_each(|line| tell(&format!("  {}", line.trim())))?;
    }
    tell("\nthe recording, replayed: is the answer the same?")?;
    let again = replayed(&folder, options.config)?;
    let (live, again) = (digest(&store)?, digest(&again)?);
    tell(&format!("{live}  live\n{again}  replayed from {}", folder.display()))?;
    if live == again {
        Ok(())
    } else {
        Err(anyhow::anyhow!("the two digests differ, which must never be").into())
    }
}

/// The first protocol of the simulator's list.
fn venue() -> &'static str {
    PROTOCOLS.first().map_or("", |protocol| protocol.venue())
}

fn simulator(market: MarketSpec, faults: &str) -> Result<Simulator, Failure> {
    let spec = |address| -> Result<SimulatorSpec, Failure> {
        let faults = if faults.is_empty() {
            Script::default()
        } else {
            Script::parse(faults).map_err(Failure::usage)?
        };
        Ok(SimulatorSpec {
            address,
            venues: vec![venue().to_owned()],
            market,
            faults,
            opens_with: 1,
            events: None,
        })
    };
    let started = match Simulator::start(spec(ADDRESS)?) {
        // Somebody else is there: any free port will do.
        Err(SimulatorError::Listen(..)) => Simulator::start(spec(SocketAddr::new(ADDRESS.ip(), 0))?),
        started => started,
    };
    Ok(started.map_err(anyhow::Error::from)?)
}

fn feed(market: MarketSpec, url: String) -> Result<FeedSpec, Failure> {
    let venue = by_id(venue()).ok_or_else(|| Failure::usage(format!("no venue {}", venue())))?;
    let symbols =
        Market::new(market).instruments().iter().map(|instrument| instrument.native.clone()).collect();
    let silence = Duration::from_nanos(SILENCE.unsigned_abs());
    Ok(FeedSpec { venue, symbols, channels: Channel::ALL.to_vec(), url: Some(url), silence })
}

/// A folder of its own for this demonstration.
fn folder_of(args: &DemoArgs) -> Result<std::path::PathBuf, Failure> {
    let folder = args.record.clone().unwrap_or_else(|| {
        std::env::temp_dir().join(format!("tapedeck-demo-{}-{}", std::process::id(), clock::wall() / SECOND))
    });
    std::fs::create_dir_all(&folder).map_err(anyhow::Error::from)?;
    Ok(folder)
}

fn replayed(folder: &std::path::Path, config: Config) -> Result<Arc<dyn Store>, Failure> {
    let files = std::fs::read_dir(folder).map_err(anyhow::Error::from)?;
    let mut paths: Vec<_> = files.filter_map(|file| Some(file.ok()?.path())).collect();
    paths.sort();
    let source_options = SourceOptions { decoders: 1, ..SourceOptions::default() };
    let source = source::open(&paths, &source_options)?;
    let options = ReplayOptions {
        config,
        source: source_options,
        rules_given: false,
        mode: Mode::Fresh,
        workers: 1,
        speed: None,
        cut: Cut::Adaptive,
        keep_ticks: false,
        sabotage: None,
    };
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    replay(&store, source, &options, &Stop::default(), &mut |_, _| {})?;
    Ok(store)
}

fn digest(store: &Arc<dyn Store>) -> Result<String, Failure> {
    Ok(dump::digest(&**store, &Stored::read(&**store)?)?)
}

fn tell(line: &str) -> Result<(), Failure> {
    Ok(writeln!(io::stdout(), "{line}").map_err(anyhow::Error::from)?)
}
