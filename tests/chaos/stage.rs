//! The engine in virtual time, and the account of a run: what was sent, what came, what is told as missing.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use feeds::live::Channel;
use feeds::symbol::Symbol;
use feeds::tick::Event;
use feeds::time::{Nanos, SECOND};
use tapedeck::commit::Summary;
use tapedeck::config::{Catalogue, Config};
use tapedeck::feed::address::Address;
use tapedeck::feed::budget::Budgets;
use tapedeck::feed::delivery::{ConnectionId, Delivery};
use tapedeck::feed::dial::{Dial, Dialling, Wire};
use tapedeck::feed::{ConnectionStatus, FeedOptions, FeedSpec, Feeds};
use tapedeck::live::{Deck, LiveOptions};
use tapedeck::schema::gaps::{self, Missing};
use tapedeck::store::memory::MemoryStore;
use tapedeck::store::{Family, Store};
use tapedeck::tape::Cut;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tokio::time::Instant;

use crate::exchange::{Book, Exchange, OPEN};
use crate::modes::Mode;
use crate::protocol::Dialect;

/// How long a stream may be silent in these tests.
pub(crate) const SILENCE: Duration = Duration::from_secs(20);
/// How long a run is.
const LENGTH: Duration = Duration::from_secs(OPEN.as_secs() + 10);
/// Bytes that a pipe holds, and deliveries that may wait: both small, so that limits are felt.
pub(crate) const PIPE_BYTES: usize = 64 << 10;
const DELIVERIES: usize = 64;
/// When virtual time begins.
const BEGIN: Nanos = 1_750_000_000 * SECOND;

thread_local! {
    static ORIGIN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The wall clock of virtual time.
pub(crate) fn wall() -> Nanos {
    let origin = ORIGIN.get().unwrap_or_else(Instant::now);
    BEGIN + Nanos::try_from(origin.elapsed().as_nanos()).unwrap()
}

struct PipeDial {
    wires: mpsc::Sender<DuplexStream>,
    times: Arc<Mutex<Vec<Instant>>>,
}

impl Dial for PipeDial {
    fn dial<'a>(&'a self, _: &'a Address) -> Dialling<'a> {
        Box::pin(async move {
            self.times.lock().unwrap().push(Instant::now());
            let (near, far) = tokio::io::duplex(PIPE_BYTES);
            self.wires.send(far).await.map_err(io::Error::other)?;
            Ok(Box::new(near) as Wire)
        })
    }
}

/// What came of a run.
pub(crate) struct Outcome {
    pub(crate) what: String,
    pub(crate) book: Book,
    pub(crate) summary: Summary,
    pub(crate) status: Vec<ConnectionStatus>,
    /// By symbol: the ids that were delivered as new.
    pub(crate) ids: BTreeMap<String, BTreeSet<u64>>,
    /// Trades and other ticks that were delivered, repeats and history included.
    pub(crate) delivered: u64,
    /// Ids that the engine tells as missing.
    pub(crate) missing: u64,
    pub(crate) alarms: Vec<(Instant, String)>,
    /// By symbol: when the last trade had come before the first alarm of silence.
    pub(crate) silent_since: Option<(Duration, String)>,
    pub(crate) broken: u64,
}

/// Plays `mode` once.
pub(crate) fn play(dialect: Dialect, mode: Mode, seed: u64) -> Outcome {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    // What a failed run leaves behind still wants timers when it goes.
    let _inside = runtime.enter();
    LocalSet::new().block_on(&runtime, run(dialect, mode, seed))
}

async fn run(dialect: Dialect, mode: Mode, seed: u64) -> Outcome {
    let start = Instant::now();
    ORIGIN.set(Some(start));
    let (wires_in, wires) = mpsc::channel(100);
    let (deliveries_in, mut deliveries) = mpsc::channel(DELIVERIES);
    let times = Arc::new(Mutex::new(Vec::new()));
    let exchange = Exchange::new(dialect, mode, seed);
    let book = exchange.book.clone();
    let serving = tokio::task::spawn_local(exchange.run(wires));
    let dial = Arc::new(PipeDial { wires: wires_in, times: times.clone() });
    let spec = FeedSpec {
        venue: dialect.venue(),
        symbols: dialect.natives().map(str::to_owned).to_vec(),
        channels: vec![Channel::Trades],
        url: None,
        silence: SILENCE,
    };
    let options = FeedOptions { dial, budgets: Arc::new(Budgets::default()), seed, wall };
    let feeds = Feeds::start(&[spec], deliveries_in, options).unwrap();
    let mut account = Account::start();
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    let end = start + LENGTH;
    loop {
        tokio::select! {
            Some(delivery) = deliveries.recv() => account.take(delivery, &book.borrow()),
            _ = seconds.tick() => account.take(Delivery::Time { received_at: wall() }, &book.borrow()),
            () = tokio::time::sleep_until(end) => break,
        }
    }
    let status = feeds.status();
    let rest = async {
        while let Some(delivery) = deliveries.recv().await {
            account.take(delivery, &book.borrow());
        }
    };
    tokio::join!(feeds.stop(), rest);
    serving.abort();
    check_connects(&times.lock().unwrap());
    account.finish(format!("{mode:?} of {dialect:?}, seed {seed}"), status, book.take())
}

/// At most one a second on average, and 300 in any 300 s.
fn check_connects(times: &[Instant]) {
    assert!(times.len() as u64 <= LENGTH.as_secs(), "{} connects in {LENGTH:?}", times.len());
    for (first, after) in times.iter().zip(times.iter().skip(300)) {
        assert!(*after - *first >= Duration::from_secs(300));
    }
}

struct Account {
    store: Arc<dyn Store>,
    /// To the deck, which has threads and a runtime of its own.
    deck: Sender<(Delivery, bool)>,
    decked: JoinHandle<Summary>,
    /// By connection: its symbols in the order of their numbers.
    symbols: BTreeMap<ConnectionId, Vec<Symbol>>,
    open: BTreeSet<ConnectionId>,
    ids: BTreeMap<String, BTreeSet<u64>>,
    delivered: u64,
    alarms: Vec<(Instant, String)>,
    silent_since: Option<(Duration, String)>,
    broken: u64,
    taken: u64,
}

impl Account {
    fn start() -> Account {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let (deck, taken) = bounded(DELIVERIES);
        let under = Arc::clone(&store);
        let decked = std::thread::spawn(move || {
            let config = Config::standard(&Catalogue::built_in());
            let options = LiveOptions { config, workers: 1, cut: Cut::Adaptive, sabotage: None };
            let mut deck = Deck::start(&under, &options, None).unwrap();
            for (delivery, more) in taken {
                deck.take(delivery, more).unwrap();
            }
            deck.stop().unwrap()
        });
        Account {
            deck,
            decked,
            store,
            symbols: BTreeMap::new(),
            open: BTreeSet::new(),
            ids: BTreeMap::new(),
            delivered: 0,
            alarms: Vec::new(),
            silent_since: None,
            broken: 0,
            taken: 0,
        }
    }

    fn take(&mut self, delivery: Delivery, book: &Book) {
        match &delivery {
            Delivery::Opened { connection, .. } => assert!(self.open.insert(*connection), "opened once"),
            Delivery::Closed { connection, rest, .. } => {
                assert!(self.open.remove(connection), "closed once, and opened before");
                assert!(rest.ticks.is_empty(), "nothing waits in these dialects");
            }
            Delivery::Frames(decoded) => {
                assert!(self.open.contains(&decoded.connection), "between opened and closed");
                let symbols = self.symbols.entry(decoded.connection).or_default();
                symbols.extend(decoded.new_symbols.iter().cloned());
                self.broken += decoded.counts.broken;
                self.delivered += decoded.output.ticks.len() as u64;
                for tick in &decoded.output.ticks {
                    if let (Event::Trade(trade), false) = (&tick.event, tick.history) {
                        let native = symbols[tick.symbol.0 as usize].native().to_owned();
                        self.ids.entry(native).or_default().insert(trade.id().unwrap());
                    }
                }
            }
            Delivery::Alarm { alarm, .. } => {
                let what = &alarm.what;
                if self.silent_since.is_none() && what.contains("silent") {
                    let of = |symbol: usize| (book.brought[symbol], symbol);
                    let (since, _) = if what.contains("FOO") { of(0) } else { of(1) };
                    self.silent_since = Some((since.unwrap().elapsed(), what.clone()));
                }
                self.alarms.push((Instant::now(), what.clone()));
            }
            Delivery::Time { .. }
            | Delivery::Stopping { .. }
            | Delivery::Past { .. }
            | Delivery::Wish { .. }
            | Delivery::Answer { .. }
            | Delivery::Rules { .. } => {}
        }
        self.taken += 1;
        self.deck.send((delivery, !self.taken.is_multiple_of(16))).unwrap();
    }

    fn finish(self, what: String, status: Vec<ConnectionStatus>, book: Book) -> Outcome {
        assert!(self.open.is_empty(), "{what}: all that was opened is closed");
        drop(self.deck);
        let summary = self.decked.join().unwrap();
        let missing = self.store.scan(Family::Gaps, &[], None).map(|pair| {
            let (key, value) = pair.unwrap();
            match gaps::decode(&key, &value).unwrap().1 {
                Missing::Ids(hole) => hole.last - hole.first + 1,
                Missing::Stretch(_) => 0,
            }
        });
        Outcome {
            missing: missing.sum(),
            what,
            book,
            summary,
            status,
            ids: self.ids,
            delivered: self.delivered,
            alarms: self.alarms,
            silent_since: self.silent_since,
            broken: self.broken,
        }
    }
}

impl Outcome {
    /// What holds whatever happened: the ledger has each tick once, every trade of the market is in a window or told as
    /// missing, and in the end the newest has come.
    pub(crate) fn check(&self) {
        let (what, ledger) = (&self.what, &self.summary.ledger);
        assert!(ledger.adds_up() && self.summary.faults.is_empty(), "{what}: {ledger:?}");
        assert_eq!(ledger.received, self.delivered, "{what}");
        assert!(self.book.faults > 0, "{what}: nothing went wrong");
        let revived: u64 = self.status.iter().map(|status| status.revived).sum();
        assert_eq!(revived, 0, "{what}: an actor panicked");
        let distinct: u64 = self.ids.values().map(|ids| ids.len() as u64).sum();
        assert_eq!(ledger.aggregated + ledger.late, distinct, "{what}: each trade once: {ledger:?}");
        let span = |ids: &BTreeSet<u64>| ids.last().unwrap() - ids.first().unwrap() + 1;
        let spans: u64 = self.ids.values().map(span).sum();
        assert_eq!(distinct + self.missing, spans, "{what}: came and missing is what there was");
    }

    /// In the end everything flows again.
    pub(crate) fn check_recovered(&self, dialect: Dialect) {
        for (symbol, native) in dialect.natives().iter().enumerate() {
            let newest = self.book.newest[symbol];
            let has_come = self.ids.get(*native).is_some_and(|ids| ids.contains(&newest));
            assert!(has_come, "{}: the newest of {native}", self.what);
        }
        assert!(
            self.status.iter().all(|status| status.acknowledged == 2),
            "{}: {:?}",
            self.what,
            self.status
        );
    }

    /// The first silence was told within what is configured and a second.
    pub(crate) fn check_silence_told(&self) {
        let (since, alarm) = self.silent_since.as_ref().unwrap_or_else(|| panic!("{}: no alarm", self.what));
        assert!(
            *since >= SILENCE && *since <= SILENCE + Duration::from_secs(1),
            "{}: {since:?}: {alarm}",
            self.what
        );
    }
}
