//! One run on every exchange that can be simulated at once, each of them faulty: what they sent is what came, and the
//! recording gives the same answer again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use feeds::live::Channel;
use feeds::time::SECOND;
use feeds::venues::by_id;
use tapedeck::clock;
use tapedeck::commit::Summary;
use tapedeck::config::Config;
use tapedeck::feed::{ConnectionStatus, FeedSpec};
use tapedeck::live::recorder::Recorder;
use tapedeck::live::service::{self, Service};
use tapedeck::live::{Deck, LiveOptions};
use tapedeck::market::MarketSpec;
use tapedeck::replay::ReplayOptions;
use tapedeck::replay::stop::Stop;
use tapedeck::simulator::faults::Script;
use tapedeck::simulator::protocol::PROTOCOLS;
use tapedeck::simulator::totals::Totals;
use tapedeck::simulator::{Simulator, SimulatorSpec};
use tapedeck::store::Store;
use tapedeck::tape::Cut;
use tempfile::TempDir;

use crate::made::config;
use crate::support::{assert_same, dump_of, dumped, memory, options};

/// Events of each exchange.
const EVENTS: u64 = 3_000;
const SYMBOLS: u32 = 3;
/// What goes wrong at each of them. Not among them: half-open sockets, which take half a minute.
const FAULTS: &str = "too-many@1,duplicate@300*9,garbage@500*5,reorder@700*3,gap@900*5,slow@1000*5,disconnect@1200,\
                      silence@1900*80,skew@2100*40,lag@2300*20,shutdown@2500*100";

/// Exchanges, and how they are listened to.
pub(crate) struct Exchanges {
    pub(crate) market: MarketSpec,
    /// Venues, and what goes wrong at each of them.
    pub(crate) groups: Vec<(Vec<&'static str>, String)>,
    /// Events of each.
    pub(crate) events: u64,
    pub(crate) config: Config,
    /// What is missing is asked for.
    pub(crate) backfill: bool,
    /// How long a stream may bring nothing.
    pub(crate) silence: Duration,
}

/// What a live run left behind.
pub(crate) struct Ran {
    pub(crate) totals: Vec<Totals>,
    pub(crate) summary: Summary,
    pub(crate) store: Arc<dyn Store>,
    folder: TempDir,
}

impl Exchanges {
    fn simulator(&self, venues: &[&str], faults: &str) -> Simulator {
        Simulator::start(SimulatorSpec {
            address: "127.0.0.1:0".parse().unwrap(),
            venues: venues.iter().map(|venue| (*venue).to_owned()).collect(),
            market: self.market,
            faults: Script::parse(faults).unwrap(),
            opens_with: self.market.symbols as usize * Channel::ALL.len(),
            events: Some(self.events),
        })
        .unwrap()
    }

    /// Listens to all of them to the end, and records it.
    pub(crate) fn run(&self) -> Ran {
        let simulators: Vec<Simulator> =
            self.groups.iter().map(|(venues, faults)| self.simulator(venues, faults)).collect();
        let feeds = simulators.iter().flat_map(|simulator| {
            simulator.totals().into_iter().map(|totals| FeedSpec {
                venue: by_id(&totals.venue).unwrap(),
                symbols: totals.made.symbols.into_iter().map(|symbol| symbol.native).collect(),
                channels: Channel::ALL.to_vec(),
                url: Some(format!("ws://{}/{}", simulator.address(), totals.venue)),
                silence: self.silence,
            })
        });
        let (feeds, limit) = (feeds.collect(), Some(120 * SECOND));
        let service = Service { feeds, ca: Vec::new(), seed: 3, backfill: self.backfill, limit };
        let folder = tempfile::tempdir().unwrap();
        let store = memory();
        let recorder = Recorder::start(folder.path(), clock::wall()).unwrap();
        let live =
            LiveOptions { config: self.config.clone(), workers: 2, cut: Cut::Adaptive, sabotage: None };
        let deck = Deck::start(&store, &live, Some(recorder)).unwrap();
        let stop = Stop::default();
        let (simulators, asking) = (Arc::new(simulators), stop.clone());
        let looked_at = Arc::clone(&simulators);
        // Behind its last event an exchange closes its connections. A client that comes again has read to the end of
        // what it had, and gets nothing more.
        let watch = Box::new(move |_: &[ConnectionStatus]| {
            let mut all = looked_at.iter().flat_map(Simulator::totals);
            if all.all(|totals| totals.over && totals.reopened > 0) {
                asking.ask();
            }
        });
        let summary = service::run(service, deck, &stop, watch).unwrap();
        let simulators = Arc::into_inner(simulators).unwrap();
        let totals: Vec<Totals> = simulators.into_iter().flat_map(Simulator::stop).collect();
        for totals in &totals {
            assert!(totals.over && totals.reopened > 0, "the time was over first: {totals}");
        }
        Ran { totals, summary, store, folder }
    }
}

impl Ran {
    /// Asserts that what came is what was sent, and that the recording gives the same windows; returns these.
    pub(crate) fn assert_told_and_replayed(&self, config: Config) -> String {
        let account: String = self.totals.iter().map(ToString::to_string).collect();
        let mut sent = 0;
        for totals in &self.totals {
            let (trades, quotes) = totals.sent.ticks();
            assert!(trades > 100 && quotes > 100, "{totals}");
            sent += trades + quotes + totals.sent.history();
        }
        let ledger = self.summary.ledger;
        // Answers hold more than was missing, and the last of them may come when the run is over.
        let answered = self.totals.iter().map(|totals| totals.answered).sum::<u64>();
        assert!((sent..=sent + answered).contains(&ledger.received), "{ledger:?}\n{account}");
        assert!(ledger.adds_up(), "{ledger:?}");
        let live = dumped(&self.store);
        for feed in &self.summary.feeds {
            assert!(feed.unknown_fields.is_empty(), "{}: {:?}", feed.name, feed.unknown_fields);
        }
        for totals in &self.totals {
            let of_venue = format!(",{}:", totals.venue);
            let is_its = |line: &str| line.starts_with("window,") && line.contains(&of_venue);
            assert!(live.lines().any(is_its), "no window of {}", totals.venue);
        }
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(self.folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        assert_same(&dump_of(&files, &ReplayOptions { config, ..options() }), &live, "the replay");
        live
    }
}

#[test]
fn every_exchange_at_once_with_its_faults_is_received_as_sent_and_replays_alike() {
    let mut venues: Vec<&str> = PROTOCOLS.iter().map(|protocol| protocol.venue()).collect();
    // The exchange ends connections of the one half; those of the other end themselves over a frame that is too large.
    let careful = venues.split_off(venues.len() / 2);
    let too_large = FAULTS.replace("disconnect@1200", "oversize@1200");
    assert_ne!(too_large, FAULTS);
    let exchanges = Exchanges {
        market: MarketSpec { symbols: SYMBOLS, ticks_per_second: 1_500, ..MarketSpec::default() },
        groups: vec![(venues, FAULTS.to_owned()), (careful, too_large)],
        events: EVENTS,
        config: config(true),
        backfill: false,
        silence: Duration::from_secs(60),
    };
    let ran = exchanges.run();
    ran.assert_told_and_replayed(exchanges.config);
    assert_eq!(ran.totals.len(), PROTOCOLS.len());
    for totals in &ran.totals {
        let answers = (totals.answers, totals.answered);
        assert_eq!(
            (totals.refused, totals.dropped, totals.faults.len(), answers),
            (1, 0, 10, (0, 0)),
            "{totals}"
        );
    }
    assert!(ran.summary.ledger.duplicate >= 9 * 4, "{:?}", ran.summary.ledger);
}
