//! The whole engine on the exchange of this bench: feeds on a thread, the deck on another, as in a live run.

use std::sync::Arc;
use std::time::Duration;

use feeds::live::{Channel, Live};
use feeds::venue::{DuplicateKey, Endpoint, Session, Venue};
use feeds::venues::by_id;
use tapedeck::clock::{self, Stamp};
use tapedeck::commit::Summary;
use tapedeck::config::limits::DELIVERIES_WAITING;
use tapedeck::config::{Catalogue, Config};
use tapedeck::feed::delivery::{Decoded, Delivery};
use tapedeck::feed::{FeedOptions, FeedSpec, Feeds};
use tapedeck::live::recorder::Recorder;
use tapedeck::live::{Deck, LiveOptions};
use tapedeck::store::memory::MemoryStore;
use tapedeck::store::{Store, open_writer};
use tapedeck::tape::Cut;
use tokio::sync::mpsc;

use super::exchange::Exchange;
use super::frames::{SYMBOLS, native};
use crate::Failure;

/// Whether what comes is recorded as well.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tee {
    Off,
    On,
}

/// Where what came of it is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    Memory,
    RocksDb,
}

/// Seconds from the first byte to the last commit.
pub(crate) fn run(exchange: &Exchange, connections: usize, tee: Tee) -> Result<f64, Failure> {
    let mut start = None;
    let served = serve(exchange, connections, (tee, Kept::Memory), |_, _| {
        if start.is_none() {
            start = exchange.begun().ok();
        }
    })?;
    let start = start.ok_or("nothing came")?;
    let (taken, frames) = (served.summary.ledger.received, exchange.frames as u64);
    if taken != frames {
        return Err(format!("{taken} ticks of {frames} frames").into());
    }
    Ok(served.committed.since(start) as f64 / 1e9)
}

/// What came of a run.
pub(crate) struct Served {
    pub(crate) summary: Summary,
    /// Deliveries that had ticks.
    pub(crate) deliveries: u64,
    /// When all was committed; closing connections takes as long as the other side likes.
    pub(crate) committed: Stamp,
}

/// Runs until every frame has come and is committed. `look` sees what comes, when the deck takes it.
pub(crate) fn serve(
    exchange: &Exchange,
    connections: usize,
    (tee, kept): (Tee, Kept),
    mut look: impl FnMut(&Decoded, Stamp),
) -> Result<Served, Failure> {
    // On a disk: folders for temporary files may be in memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let recorder = match tee {
        Tee::Off => None,
        Tee::On => Some(Recorder::start(folder.path(), clock::wall())?),
    };
    let store: Arc<dyn Store> = match kept {
        Kept::Memory => Arc::new(MemoryStore::new()),
        Kept::RocksDb => open_writer(&folder.path().join("db"))?,
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let config = Config::standard(&Catalogue::built_in());
    let mut deck =
        Deck::start(&store, &LiveOptions { config, workers, cut: Cut::Adaptive, sabotage: None }, recorder)?;
    let (deliveries, mut arriving) = mpsc::channel(DELIVERIES_WAITING);
    let (enough, stop) = tokio::sync::oneshot::channel::<()>();
    let spec = spec(exchange, connections)?;
    let feeds = std::thread::spawn(move || {
        actix::System::new().block_on(async move {
            let options = FeedOptions::tcp(1).map_err(|error| error.to_string())?;
            let feeds =
                Feeds::start(&[spec], deliveries.clone(), options).map_err(|error| error.to_string())?;
            tokio::select! {
                _ = stop => {}
                () = tick(&deliveries) => {}
            }
            drop(deliveries);
            feeds.stop().await;
            Ok::<(), String>(())
        })
    });
    let (mut ticks, mut carrying) = (0, 0);
    while let Some(delivery) = arriving.blocking_recv() {
        if let Delivery::Frames(decoded) = &delivery {
            ticks += decoded.output.ticks.len();
            carrying += u64::from(!decoded.output.ticks.is_empty());
            look(decoded, clock::stamp());
        }
        if let Delivery::Closed { rest, .. } = &delivery {
            ticks += rest.ticks.len();
        }
        deck.take(delivery, !arriving.is_empty())?;
        if ticks >= exchange.frames {
            break;
        }
    }
    let summary = deck.stop()?;
    let committed = clock::stamp();
    drop(arriving);
    // They may have ended by themselves, which they will say.
    let _ = enough.send(());
    feeds.join().map_err(|_| "the feeds panicked")??;
    Ok(Served { summary, deliveries: carrying, committed })
}

/// The second hand.
async fn tick(deliveries: &mpsc::Sender<Delivery>) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if deliveries.send(Delivery::Time { received_at: clock::wall() }).await.is_err() {
            return;
        }
    }
}

fn spec(exchange: &Exchange, connections: usize) -> Result<FeedSpec, Failure> {
    let venue = by_id("binance").ok_or("no such venue")?;
    let live = venue.live().ok_or("not live")?;
    let per_connection = SYMBOLS * 2 / connections;
    // For as long as the process runs, which is short.
    let live = Box::leak(Box::new(Live { streams_per_connection: per_connection, ..*live }));
    Ok(FeedSpec {
        venue: Box::leak(Box::new(Narrow { venue, live })),
        symbols: (0..SYMBOLS).map(native).collect(),
        channels: Channel::ALL.to_vec(),
        url: Some(format!("ws://{}", exchange.address)),
        silence: Duration::from_secs(3_600),
    })
}

/// A venue with room for fewer streams on a connection.
struct Narrow {
    venue: &'static dyn Venue,
    live: &'static Live,
}

impl Venue for Narrow {
    fn id(&self) -> &'static str {
        self.venue.id()
    }

    fn name(&self) -> &'static str {
        self.venue.name()
    }

    fn endpoints(&self) -> &'static [Endpoint] {
        self.venue.endpoints()
    }

    fn trade_key(&self) -> DuplicateKey {
        self.venue.trade_key()
    }

    fn quote_key(&self) -> DuplicateKey {
        self.venue.quote_key()
    }

    fn channels(&self) -> &'static [&'static str] {
        self.venue.channels()
    }

    fn fields(&self) -> &'static str {
        self.venue.fields()
    }

    fn completeness(&self) -> &'static str {
        self.venue.completeness()
    }

    fn recognises(&self, payload: &[u8]) -> bool {
        self.venue.recognises(payload)
    }

    fn open(&self) -> Box<dyn Session> {
        self.venue.open()
    }

    fn live(&self) -> Option<&'static Live> {
        Some(self.live)
    }
}
