//! One run on every exchange that can be simulated at once, each of them faulty: what they sent is what came, and the
//! recording gives the same answer again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use feeds::live::Channel;
use feeds::time::SECOND;
use feeds::venues::by_id;
use tapedeck::clock;
use tapedeck::feed::{ConnectionStatus, FeedSpec};
use tapedeck::live::recorder::Recorder;
use tapedeck::live::service::{self, Service};
use tapedeck::live::{Deck, LiveOptions};
use tapedeck::market::MarketSpec;
use tapedeck::replay::ReplayOptions;
use tapedeck::replay::stop::Stop;
use tapedeck::simulator::faults::Script;
use tapedeck::simulator::protocol::PROTOCOLS;
use tapedeck::simulator::{Simulator, SimulatorSpec};
use tapedeck::tape::Cut;

use crate::made::config;
use crate::support::{assert_same, dump_of, dumped, memory, options};

/// Events of each exchange.
const EVENTS: u64 = 3_000;
const SYMBOLS: u32 = 3;
/// What goes wrong at each of them. Not among them: what ends a client's connection from its own side (a frame that is
/// too large), since then nobody can say what it still read, and half-open sockets, which take half a minute.
const FAULTS: &str = "too-many@1,duplicate@300*9,garbage@500*5,reorder@700*3,gap@900*5,slow@1000*5,disconnect@1200,\
                      silence@1900*80,skew@2100*40,lag@2300*20,shutdown@2500*100";

#[test]
fn every_exchange_at_once_with_its_faults_is_received_as_sent_and_replays_alike() {
    let market = MarketSpec { symbols: SYMBOLS, ticks_per_second: 1_500, ..MarketSpec::default() };
    let venues: Vec<String> = PROTOCOLS.iter().map(|protocol| protocol.venue().to_owned()).collect();
    let simulator = Simulator::start(SimulatorSpec {
        address: "127.0.0.1:0".parse().unwrap(),
        venues: venues.clone(),
        market,
        faults: Script::parse(FAULTS).unwrap(),
        opens_with: SYMBOLS as usize * Channel::ALL.len(),
        events: Some(EVENTS),
    })
    .unwrap();
    let feeds = simulator.totals().into_iter().map(|totals| FeedSpec {
        venue: by_id(&totals.venue).unwrap(),
        symbols: totals.made.symbols.into_iter().map(|symbol| symbol.native).collect(),
        channels: Channel::ALL.to_vec(),
        url: Some(format!("ws://{}/{}", simulator.address(), totals.venue)),
        silence: Duration::from_secs(60),
    });
    let service = Service {
        feeds: feeds.collect(),
        ca: Vec::new(),
        seed: 3,
        backfill: false,
        limit: Some(120 * SECOND),
    };
    let folder = tempfile::tempdir().unwrap();
    let store = memory();
    let recorder = Recorder::start(folder.path(), clock::wall()).unwrap();
    let live = LiveOptions { config: config(true), workers: 2, cut: Cut::Adaptive };
    let deck = Deck::start(&store, &live, Some(recorder)).unwrap();
    let stop = Stop::default();
    let (simulator, asking) = (Arc::new(simulator), stop.clone());
    let looked_at = Arc::clone(&simulator);
    // Behind its last event an exchange closes its connections. A client that comes again has read to the end of what it
    // had, and gets nothing more.
    let watch = Box::new(move |_: &[ConnectionStatus]| {
        if looked_at.totals().iter().all(|totals| totals.over && totals.reopened > 0) {
            asking.ask();
        }
    });
    let summary = service::run(service, deck, &stop, watch).unwrap();
    let totals = Arc::into_inner(simulator).unwrap().stop();
    let account: String = totals.iter().map(ToString::to_string).collect();
    let mut sent = 0;
    for totals in &totals {
        assert!(totals.over && totals.reopened > 0, "the time was over first: {account}");
        assert_eq!((totals.refused, totals.dropped, totals.faults.len()), (1, 0, 10), "{totals}");
        let (trades, quotes) = totals.sent.ticks();
        assert!(trades > 100 && quotes > 100, "{totals}");
        sent += trades + quotes + totals.sent.history();
    }
    assert_eq!(totals.len(), PROTOCOLS.len());
    assert_eq!(summary.ledger.received, sent, "{:?}\n{account}", summary.ledger);
    assert!(summary.ledger.adds_up() && summary.ledger.duplicate >= 9 * 4, "{:?}", summary.ledger);
    let live = dumped(&store);
    for venue in &venues {
        let begins = format!("window,1s,{venue}:");
        assert!(live.lines().any(|line| line.starts_with(&begins)), "no window of {venue}");
    }
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let replay = ReplayOptions { config: config(true), ..options() };
    assert_same(&dump_of(&files, &replay), &live, "the replay");
}
