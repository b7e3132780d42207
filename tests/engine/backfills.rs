//! What a connection did not bring is asked for, revises what was final, and is there in the replay as it was live.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use feeds::recording::Past;
use feeds::time::SECOND;
use feeds::venues::by_id;
use tapedeck::clock;
use tapedeck::config::{Config, WindowSpec};
use tapedeck::feed::ConnectionStatus;
use tapedeck::feed::delivery::Delivery;
use tapedeck::live::Deck;
use tapedeck::live::recorder::Recorder;
use tapedeck::live::service::{self, Service};
use tapedeck::market::MarketSpec;
use tapedeck::replay::ReplayOptions;
use tapedeck::replay::stop::Stop;
use tapedeck::store::{Batch, Family, Scan, Store, StoreError};
use tapedeck::tape::Cut;

use crate::live::{Connection, exchange, live_options, recording};
use crate::made::{capture_trade, config, native_of};
use crate::recovery::{died, options as recovery_options};
use crate::support::{assert_same, dump_of, dumped, lines, memory, options, run};

/// Under which windows are final before what they lack can have been asked for.
fn hasty() -> Config {
    let mut config = config(true);
    config.engine.lateness = SECOND / 100;
    let short = WindowSpec { name: "20ms".to_owned(), size: SECOND / 50, ..config.windows[0].clone() };
    config.windows.push(short);
    config
}

/// The dump of a live run, recorded in `folder`, on an exchange that leaves out trades and has them when asked.
fn run_with_gaps(folder: &Path) -> String {
    const EVENTS: u64 = 9_000;
    let market = MarketSpec { symbols: 3, ticks_per_second: 3_000, ..MarketSpec::default() };
    let (simulator, feed) = exchange(market, "gap@1500*7,gap@3000*40", EVENTS);
    let store = memory();
    let recorder = Recorder::start(folder, clock::wall()).unwrap();
    let mut options = live_options(2, Cut::Adaptive);
    options.config = hasty();
    let deck = Deck::start(&store, &options, Some(recorder)).unwrap();
    let (stop, gaps) = (Stop::default(), Arc::clone(&store));
    let (asking, pulse) = (stop.clone(), deck.pulse());
    // Until nothing more comes, and nothing is missing.
    let mut still = 0;
    let watch = Box::new(move |connections: &[ConnectionStatus]| {
        let frames = connections.iter().map(|connection| connection.frames).sum::<u64>();
        let is_whole = gaps.scan(Family::Gaps, &[], None).all(|pair| pair.unwrap().1[0] != 1);
        if frames > EVENTS / 2 && frames == still && is_whole && pulse.in_flight().0 == 0 {
            asking.ask();
        }
        still = frames;
    });
    let service =
        Service { feeds: vec![feed], ca: Vec::new(), seed: 1, backfill: true, limit: Some(60 * SECOND) };
    let summary = service::run(service, deck, &stop, watch).unwrap();
    let sent = simulator.stop().remove(0);
    let (trades, quotes) = sent.sent.ticks();
    assert!(sent.answered > 0, "{sent}");
    assert_eq!(summary.ledger.received, trades + quotes + sent.answered, "{sent}");
    let live = dumped(&store);
    let revised = lines(&live, "window,20ms,").into_iter().filter(|line| line.contains("backfilled"));
    assert!(revised.filter(|line| !line.contains("Z,0,")).count() > 0, "no window was revised");
    live
}

#[test]
fn what_is_missing_is_asked_for_and_final_windows_are_revised() {
    let folder = tempfile::tempdir().unwrap();
    let live = run_with_gaps(folder.path());
    for (workers, cut) in [(1, Cut::Adaptive), (8, Cut::Every(7))] {
        let replay = ReplayOptions { config: hasty(), workers, cut, ..options() };
        assert_same(&dump_of(&recording(folder.path()), &replay), &live, "the replay");
    }
}

/// A store that is about to commit a checkpoint until somebody has read windows without it, or nobody does for a while.
struct Hesitant {
    inner: Arc<dyn Store>,
    reads: (Sender<()>, Receiver<()>),
    /// Reads of windows.
    read: AtomicUsize,
}

/// Long for whoever is about to read, and little for hundreds of checkpoints.
const WHILE: Duration = Duration::from_millis(10);

impl Store for Hesitant {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.get(family, key)
    }

    fn scan<'a>(&'a self, family: Family, from: &[u8], to: Option<&[u8]>) -> Scan<'a> {
        let scan = self.inner.scan(family, from, to);
        if family == Family::Windows {
            self.read.fetch_add(1, Ordering::SeqCst);
            let _ = self.reads.0.try_send(());
        }
        scan
    }

    fn commit(&self, batch: &Batch, sync: bool) -> Result<(), StoreError> {
        let _ = self.reads.1.try_recv();
        let _ = self.reads.1.recv_timeout(WHILE);
        self.inner.commit(batch, sync)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.inner.sync()
    }
}

/// What a backfill amends may be neither in memory nor in the store, but on its way.
#[test]
fn a_window_in_a_checkpoint_that_is_being_written_is_revised_too() {
    let folder = tempfile::tempdir().unwrap();
    let live = run_with_gaps(folder.path());
    let mut read = 0;
    for every in [100, 200, 400] {
        let hesitant = Arc::new(Hesitant { inner: memory(), reads: bounded(1), read: AtomicUsize::new(0) });
        let store: Arc<dyn Store> = hesitant.clone();
        // Each epoch is a checkpoint.
        let mut replay = ReplayOptions { config: hasty(), cut: Cut::Every(every), ..options() };
        replay.config.engine.checkpoint_entries = every as u64;
        run(&store, &recording(folder.path()), &replay);
        read += hesitant.read.load(Ordering::SeqCst);
        assert_same(&dumped(&store), &live, "the replay");
    }
    assert!(read > 0, "no window was read back");
}

/// A trade at 100 ms of a second from `START`, then one at 3 s, so that the first's window is final; between them two ids
/// are missing, of which the venue has one, in that window.
fn deliveries_with_a_backfill() -> Vec<Delivery> {
    const START: i64 = 1_790_000_000 * SECOND;
    let venue = by_id("binance").unwrap();
    let trade = |id, at| {
        let line = capture_trade(0, id, START + at, START + at + SECOND / 100);
        let space = line.iter().position(|byte| *byte == b' ').unwrap();
        (START + at + SECOND / 100, line[space + 1..].trim_ascii_end().to_vec())
    };
    let (mut connection, opened) = Connection::open(1, venue, START);
    let frames = connection.frames(&[trade(10, SECOND / 10), trade(13, 3 * SECOND)]);
    let time = (START + SECOND / 5) / 1_000_000;
    let body = format!(r#"[{{"id":11,"price":"9.00","qty":"5","time":{time},"isBuyerMaker":true}}]"#);
    let past = Past { venue: venue.id().to_owned(), native: native_of(0), first: 11, last: 12, body };
    vec![opened, frames, Delivery::Past { past, received_at: START + 4 * SECOND }]
}

/// The window is emitted once more by recovery, as it was before.
#[test]
fn what_a_backfill_revised_is_there_after_a_crash() {
    let windows = |store: &Arc<dyn Store>| {
        lines(&dumped(store), "window,1s,").into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let options = recovery_options(i64::MAX, Cut::Adaptive);
    let store = died(deliveries_with_a_backfill(), &options, false);
    let before = windows(&store);
    let [first, ..] = &before[..] else { panic!("no window was final") };
    assert!(first.contains("Z,1,gap|backfilled,") && first.contains("trades=2"), "{first}");
    for _ in 0..2 {
        Deck::start(&store, &options, None).unwrap().stop().unwrap();
        assert_eq!(windows(&store)[..before.len()], before);
    }
}
