//! A live run and the replay of its recording are one answer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use feeds::frame::{Frame, FrameCounts};
use feeds::live::{Channel, Stream};
use feeds::outage::Attention;
use feeds::recording::{Alarm, Answer};
use feeds::symbol::SymbolTable;
use feeds::time::SECOND;
use feeds::venue::{Output, Session, Venue};
use feeds::venues::by_id;
use proptest::prelude::*;
use tapedeck::clock;
use tapedeck::feed::delivery::{ConnectionId, Decoded, Delivery, RawFrame};
use tapedeck::feed::{ConnectionStatus, FeedSpec};
use tapedeck::live::recorder::Recorder;
use tapedeck::live::service::{self, Service};
use tapedeck::live::{Deck, LiveOptions};
use tapedeck::market::{Market, MarketSpec};
use tapedeck::replay::ReplayOptions;
use tapedeck::replay::stop::Stop;
use tapedeck::simulator::faults::Script;
use tapedeck::simulator::{Simulator, SimulatorSpec};
use tapedeck::store::{Family, Store};
use tapedeck::tape::Cut;

use crate::made::{Kind, Made, config, made, native_of};
use crate::support::{assert_same, dump_of, dumped, memory, options};

/// One connection of a test: what its socket would have.
pub(crate) struct Connection {
    id: ConnectionId,
    session: Box<dyn Session>,
    attention: Attention,
    symbols: SymbolTable,
    announced: usize,
}

impl Connection {
    pub(crate) fn open(id: u32, venue: &'static dyn Venue, received_at: i64) -> (Connection, Delivery) {
        let symbols = SymbolTable::new(venue.id());
        let (id, session, attention) = (ConnectionId(id), venue.open(), Attention::new(venue));
        let connection = Connection { id, session, attention, symbols, announced: 0 };
        let address = format!("ws://made/{}", id.0);
        (connection, Delivery::Opened { connection: id, venue, address, received_at })
    }

    pub(crate) fn frames(&mut self, lines: &[(i64, Vec<u8>)]) -> Delivery {
        let (mut output, mut counts, mut frames) = (Output::default(), FrameCounts::default(), Vec::new());
        for (received_at, payload) in lines {
            let frame = Frame { received_at: Some(*received_at), payload };
            let Connection { session, attention, symbols, .. } = self;
            attention.on_frame(&mut **session, frame, symbols, &mut output, &mut counts);
            let payload = Bytes::copy_from_slice(payload);
            let (entered, ticks) = (clock::stamp(), output.ticks.len());
            frames.push(RawFrame { received_at: *received_at, entered, payload, ticks });
        }
        let new_symbols = self.symbols.symbols()[self.announced..].to_vec();
        self.announced = self.symbols.symbols().len();
        let (connection, decoded) = (self.id, clock::stamp());
        Delivery::Frames(Box::new(Decoded { connection, frames, output, counts, new_symbols, decoded }))
    }

    pub(crate) fn close(mut self, received_at: i64) -> Delivery {
        let mut rest = Box::new(Output::default());
        self.session.finish(&mut rest);
        let why = "made\nup".to_owned();
        Delivery::Closed { connection: self.id, why, received_at, rest, broken_off: false }
    }

    /// It broke off: what its session has is lost.
    pub(crate) fn break_off(self, received_at: i64) -> Delivery {
        let (connection, why, rest) = (self.id, "lost".to_owned(), Box::default());
        Delivery::Closed { connection, why, received_at, rest, broken_off: true }
    }
}

/// A market over three sockets, two at a time, with reconnects, alarms and a timer; cut into deliveries by `seed`.
pub(crate) fn deliveries(seed: u64, lines: usize) -> Vec<Delivery> {
    deliveries_of(&made(Kind::Capture, seed, lines), seed)
}

/// The same of these lines.
pub(crate) fn deliveries_of(made: &Made, seed: u64) -> Vec<Delivery> {
    played(made, seed).0
}

/// The same, and the connections that are still open then.
fn played(made: &Made, seed: u64) -> (Vec<Delivery>, Vec<Connection>) {
    let parsed = made.lines.iter().map(|line| {
        let space = line.iter().position(|byte| *byte == b' ').unwrap();
        let received_at: i64 = std::str::from_utf8(&line[..space]).unwrap().parse().unwrap();
        (received_at, line[space + 1..].trim_ascii_end().to_vec())
    });
    let parsed: Vec<(i64, Vec<u8>)> = parsed.collect();
    let venues = [by_id("binance").unwrap(), by_id("binance-us").unwrap()];
    let (mut out, mut open, mut next) = (Vec::new(), Vec::new(), 1);
    let mut random = seed | 1;
    let mut draw = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let mut at = 0;
    let mut second = 0;
    while at < parsed.len() {
        let received_at = parsed[at].0;
        while open.len() < 2 {
            let (connection, opened) = Connection::open(next, venues[draw(2) as usize], received_at);
            open.push(connection);
            out.push(opened);
            next += 1;
        }
        if received_at / SECOND > second {
            second = received_at / SECOND;
            out.push(Delivery::Time { received_at });
        }
        let many = (1 + draw(30) as usize).min(parsed.len() - at);
        let which = draw(2) as usize;
        out.push(open[which].frames(&parsed[at..at + many]));
        at += many;
        if draw(6) == 0 {
            let (granted, native) = (draw(3) > 0, native_of(draw(7) as usize));
            let streams = Channel::ALL.map(|channel| Stream::new(&native, channel)).to_vec();
            let (connection, answer) = (open[which].id, Answer { streams, granted });
            out.push(Delivery::Answer { connection, answer, received_at });
        }
        if draw(12) == 0 {
            let stream = draw(2) == 0;
            let stream = stream.then(|| Stream::new(native_of(1), Channel::Trades));
            let alarm = Alarm { stream, since: received_at - SECOND, what: "silent for too long".to_owned() };
            out.push(Delivery::Alarm { connection: open[which].id, alarm, received_at });
            out.push(open.remove(which).close(received_at));
        }
    }
    (out, open)
}

pub(crate) fn recording(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

pub(crate) fn live_options(workers: usize, cut: Cut) -> LiveOptions {
    LiveOptions { config: config(true), workers, cut, sabotage: None }
}

/// A live run, recorded in `folder`.
pub(crate) fn run_live(folder: &Path, deliveries: Vec<Delivery>, options: &LiveOptions) -> Arc<dyn Store> {
    let store = memory();
    let recorder = Recorder::start(folder, clock::wall()).unwrap();
    let mut deck = Deck::start(&store, options, Some(recorder)).unwrap();
    let in_all = deliveries.len();
    for (number, delivery) in deliveries.into_iter().enumerate() {
        deck.take(delivery, number % 3 != 0 && number + 1 < in_all).unwrap();
    }
    let summary = deck.stop().unwrap();
    assert!(summary.ledger.adds_up() && summary.ledger.received > 0);
    store
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn a_recording_replays_to_the_digest_of_its_run(seed in any::<u64>(), epochs in any::<u64>()) {
        let folder = tempfile::tempdir().unwrap();
        let live = dumped(&run_live(folder.path(), deliveries(seed, 1_500), &live_options(2, Cut::Adaptive)));
        prop_assert!(live.lines().filter(|line| line.starts_with("window,")).count() > 100);
        prop_assert!(live.contains(",gap,") || live.contains("|gap"), "connections ended and windows show it");
        let files = recording(folder.path());
        for (workers, cut) in [(1, Cut::Adaptive), (2, Cut::Random(epochs)), (8, Cut::Every(7))] {
            let replay = ReplayOptions { config: config(true), workers, cut, ..options() };
            assert_same(&dump_of(&files, &replay), &live, "the replay");
        }
    }
}

/// A crash cuts the last part anywhere; what is whole is replayed, and is the beginning of the run.
#[test]
fn a_recording_that_was_cut_gives_its_whole_entries() {
    let folder = tempfile::tempdir().unwrap();
    let live = dumped(&run_live(folder.path(), deliveries(7, 1_200), &live_options(2, Cut::Adaptive)));
    let files = recording(folder.path());
    let packed = std::fs::read(&files[0]).unwrap();
    let plain = zstd::stream::decode_all(&packed[..]).unwrap();
    let path = folder.path().join("cut.rec");
    let half = plain.len() / 2;
    let line_end = plain[..half].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    let dump = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        dump_of(std::slice::from_ref(&path), &ReplayOptions { config: config(true), ..options() })
    };
    let whole_lines = dump(&plain[..line_end]);
    assert_same(&dump(&plain[..line_end + 9]), &whole_lines, "with half a line more");
    let finals = |text: &str| {
        let windows = text.lines().filter(|line| line.starts_with("window,1s,") && !line.contains("partial"));
        windows.map(str::to_owned).collect::<Vec<_>>()
    };
    let (cut, all) = (finals(&whole_lines), finals(&live));
    assert!(cut.len() > 20 && cut.len() < all.len());
    assert!(cut.iter().filter(|line| all.contains(line)).count() + 20 > cut.len());
}

/// Stopped and started again, the state goes on: nothing is counted twice and nothing begins anew.
#[test]
fn a_run_goes_on_from_the_one_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = memory();
    let mut received = 0;
    for seed in [3, 4] {
        let mut deck = Deck::start(&store, &live_options(2, Cut::Adaptive), None).unwrap();
        for delivery in deliveries(seed, 400) {
            if let Delivery::Frames(decoded) = &delivery {
                received += decoded.output.ticks.len() as u64;
            }
            if let Delivery::Closed { rest, .. } = &delivery {
                received += rest.ticks.len() as u64;
            }
            deck.take(delivery, false).unwrap();
        }
        let summary = deck.stop().unwrap();
        assert_eq!(summary.ledger.received, received, "run of seed {seed}");
    }
    drop(folder);
}

/// A rule on gaps would fire with every stop, and the windows' end is for the next run to know.
#[test]
fn connections_that_a_stop_ends_are_no_outage_until_the_next_run() {
    let made = made(Kind::Capture, 21, 900);
    let end = *made.times.last().unwrap() + SECOND;
    let (folder, options) = (tempfile::tempdir().unwrap(), live_options(2, Cut::Adaptive));
    let closing = |is_stop: bool, name: &str| {
        let (mut deliveries, open) = played(&made, 21);
        if is_stop {
            deliveries.push(Delivery::Stopping { received_at: end });
        }
        deliveries.extend(open.into_iter().map(|connection| connection.close(end)));
        let folder = folder.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        let store = run_live(&folder, deliveries, &options);
        let replay = ReplayOptions { config: config(true), ..crate::support::options() };
        assert_same(&dump_of(&recording(&folder), &replay), &dumped(&store), name);
        store
    };
    let (stopped, ended) = (closing(true, "stopped"), closing(false, "ended"));
    let open = run_live(tempfile::tempdir().unwrap().path(), deliveries_of(&made, 21), &options);
    assert_same(&dumped(&stopped), &dumped(&open), "a stop");
    let gaps = |store: &Arc<dyn Store>| {
        let alerts = dumped(store).lines().filter(|line| line.contains(",firing,gap,")).count();
        (alerts, store.scan(Family::Gaps, &[], None).count())
    };
    let (before, with_outages) = (gaps(&stopped), gaps(&ended));
    assert!(with_outages.0 > before.0 && with_outages.1 > before.1, "{before:?} {with_outages:?}");
    drop(Deck::start(&stopped, &options, None).unwrap().stop().unwrap());
    assert!(gaps(&stopped).1 > before.1, "the next run misses it");
}

/// An exchange that trades when all of a feed is subscribed, and that feed: trades and quotes of every symbol.
pub(crate) fn exchange(market: MarketSpec, faults: &str, events: u64) -> (Simulator, FeedSpec) {
    let symbols: Vec<String> =
        Market::new(market).instruments().iter().map(|instrument| instrument.native.clone()).collect();
    let simulator = Simulator::start(SimulatorSpec {
        address: "127.0.0.1:0".parse().unwrap(),
        venues: vec!["binance".to_owned()],
        market,
        faults: Script::parse(faults).unwrap(),
        opens_with: symbols.len() * Channel::ALL.len(),
        events: Some(events),
    })
    .unwrap();
    let feed = FeedSpec {
        venue: by_id("binance").unwrap(),
        symbols,
        channels: Channel::ALL.to_vec(),
        url: Some(format!("ws://{}/binance", simulator.address())),
        silence: std::time::Duration::from_secs(60),
    };
    (simulator, feed)
}

/// Sockets, faults, recorder and replay together: what the exchange says it sent is what the ledger has.
#[test]
fn a_run_on_a_faulty_exchange_replays_to_its_digest_and_its_ledger_is_the_exchanges() {
    const EVENTS: u64 = 6_000;
    let market = MarketSpec { symbols: 4, ticks_per_second: 4_000, ..MarketSpec::default() };
    let faults = "duplicate@500*9,garbage@900,reorder@1500,gap@2500*5";
    let (simulator, feed) = exchange(market, faults, EVENTS);
    let folder = tempfile::tempdir().unwrap();
    let store = memory();
    let recorder = Recorder::start(folder.path(), clock::wall()).unwrap();
    let deck = Deck::start(&store, &live_options(2, Cut::Adaptive), Some(recorder)).unwrap();
    let stop = Stop::default();
    let asking = stop.clone();
    // The exchange closes every connection behind its last event; then a new one is opened, and brings nothing more.
    let mut still = (0, 0);
    let watch = Box::new(move |connections: &[ConnectionStatus]| {
        let frames = connections.iter().map(|connection| connection.frames).sum::<u64>();
        still = if frames == still.0 { (frames, still.1 + 1) } else { (frames, 0) };
        if frames > EVENTS / 2 && still.1 >= 2 {
            asking.ask();
        }
    });
    let service =
        Service { feeds: vec![feed], ca: Vec::new(), seed: 1, backfill: true, limit: Some(60 * SECOND) };
    let summary = service::run(service, deck, &stop, watch).unwrap();
    let sent = simulator.stop().remove(0);
    assert!(summary.ledger.adds_up() && summary.ledger.received > EVENTS / 2, "{:?}", summary.ledger);
    assert!(summary.ledger.duplicate >= 9, "{:?}", summary.ledger);
    let (trades, quotes) = sent.sent.ticks();
    assert_eq!(summary.ledger.received, trades + quotes + sent.answered, "{sent}");
    let live = dumped(&store);
    let files = recording(folder.path());
    let replay = ReplayOptions { config: config(true), ..options() };
    assert_same(&dump_of(&files, &replay), &live, "the replay");
    let packed = std::fs::read(files.last().unwrap()).unwrap();
    let kinds: String = zstd::stream::decode_all(&packed[..])
        .unwrap()
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.split(|byte| *byte == b' ').nth(3))
        .map(|kind| char::from(kind[0]))
        .collect();
    assert!(kinds.trim_end_matches('s').trim_end_matches('c').ends_with('q'), "the run closes what is open");
    assert!(
        live.lines()
            .any(|line| line.starts_with("window,") && (line.contains("gap") || line.contains("backfilled"))),
        "no window has a flag"
    );
}
