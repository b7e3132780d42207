//! An hour of a made-up market through feeds, intake, sequencer and symbols, in virtual time: the memory of the process
//! stays where it was after half of it. A binary of its own, because what is looked at is the whole process.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should panic")]

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::bounded;
use feeds::live::Channel;
use feeds::time::Nanos;
use feeds::venues::by_id;
use futures_util::{SinkExt, StreamExt};
use tapedeck::commit::Summary;
use tapedeck::config::{Catalogue, Config};
use tapedeck::feed::address::Address;
use tapedeck::feed::budget::Budgets;
use tapedeck::feed::delivery::Delivery;
use tapedeck::feed::dial::{Dial, Dialling, Wire};
use tapedeck::feed::{ConnectionStatus, FeedOptions, FeedSpec, Feeds};
use tapedeck::live::{Deck, LiveOptions};
use tapedeck::market::capture::CaptureWriter;
use tapedeck::market::{Market, MarketSpec, START};
use tapedeck::store::{Batch, Family, Scan, Store, StoreError};
use tapedeck::tape::Cut;
use tokio::io::DuplexStream;
use tokio::sync::{broadcast, mpsc};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::Message;

/// How long the market is open.
const HOUR: u64 = 3_600;
/// How often memory is looked at.
const QUARTER: u64 = HOUR / 4;
/// How much the process may grow in the second half. What comes in meanwhile are 15 MB of frames and 90,000 ticks; what
/// is still filling are blocks of 64 windows of a minute, for 64 minutes.
const GROWTH_MAX: u64 = 8 << 20;
/// A connection is cut after so long.
const CUT_EVERY: Duration = Duration::from_secs(420);
const TICKS_PER_SECOND: u64 = 50;
const SYMBOLS: u32 = 20;
/// Deliveries that may wait, before the deck and in front of it.
const WAITING: usize = 256;

thread_local! {
    static ORIGIN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The wall clock of virtual time.
fn wall() -> Nanos {
    let origin = ORIGIN.get().unwrap_or_else(Instant::now);
    START + Nanos::try_from(origin.elapsed().as_nanos()).unwrap()
}

struct PipeDial(mpsc::Sender<DuplexStream>);

impl Dial for PipeDial {
    fn dial<'a>(&'a self, _: &'a Address) -> Dialling<'a> {
        Box::pin(async move {
            let (near, far) = tokio::io::duplex(64 << 10);
            self.0.send(far).await.map_err(io::Error::other)?;
            Ok(Box::new(near) as Wire)
        })
    }
}

/// A store that keeps nothing: what grows is not the results.
struct Forgetful;

impl Store for Forgetful {
    fn get(&self, _: Family, _: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }

    fn scan<'a>(&'a self, _: Family, _: &[u8], _: Option<&[u8]>) -> Scan<'a> {
        Box::new(std::iter::empty())
    }

    fn commit(&self, _: &Batch, _: bool) -> Result<(), StoreError> {
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Bytes of the process that are in memory; nothing where the system does not say.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1_024)
}

fn spec() -> MarketSpec {
    MarketSpec { symbols: SYMBOLS, ticks_per_second: TICKS_PER_SECOND, ..MarketSpec::default() }
}

/// Every event at its time, as a frame, to whoever listens.
async fn trade(frames: broadcast::Sender<String>, start: Instant) -> u64 {
    let mut market = Market::new(spec());
    let instruments = market.instruments().to_vec();
    let mut writer = CaptureWriter::new(&instruments);
    let mut opening = Vec::new();
    writer.put_opening(&mut opening, START);
    let mut count = 0;
    loop {
        let event = market.next().unwrap();
        let after = Duration::from_nanos((event.received_at - START).unsigned_abs());
        if after.as_secs() >= HOUR {
            return count;
        }
        sleep_until(start + after).await;
        let mut line = Vec::new();
        writer.put_event(&mut line, &event, &instruments[event.symbol as usize]);
        let text = String::from_utf8(line).unwrap();
        count += 1;
        let _ = frames.send(text.trim_end().split_once(' ').unwrap().1.to_owned());
    }
}

/// Acknowledges, brings what happens, and cuts the connection after a while.
async fn serve(wire: DuplexStream, mut frames: broadcast::Receiver<String>) {
    let mut peer = tokio_tungstenite::accept_async(wire).await.unwrap();
    let end = Instant::now() + CUT_EVERY;
    loop {
        let text = tokio::select! {
            frame = frames.recv() => match frame {
                Ok(text) => text,
                Err(_) => return,
            },
            heard = peer.next() => match heard {
                Some(Ok(Message::Text(text))) => {
                    let request: serde_json::Value = serde_json::from_str(&text).unwrap();
                    format!(r#"{{"result":null,"id":{}}}"#, request["id"])
                }
                Some(Ok(_)) => continue,
                _ => return,
            },
            () = sleep_until(end) => return,
        };
        if peer.send(Message::text(text)).await.is_err() {
            return;
        }
    }
}

/// What an hour comes to.
struct Hour {
    summary: Summary,
    sent: u64,
    delivered: u64,
    status: ConnectionStatus,
    waiting_max: usize,
    /// At the end of each quarter.
    resident: Vec<u64>,
}

async fn run() -> Hour {
    let start = Instant::now();
    ORIGIN.set(Some(start));
    let (wires_in, mut wires) = mpsc::channel(16);
    let (deliveries_in, mut deliveries) = mpsc::channel(WAITING);
    let (frames, _) = broadcast::channel(4_096);
    let trading = spawn_local(trade(frames.clone(), start));
    spawn_local(async move {
        while let Some(wire) = wires.recv().await {
            spawn_local(serve(wire, frames.subscribe()));
        }
    });
    let symbols = Market::new(spec()).instruments().iter().map(|one| one.native.clone()).collect();
    let feed = FeedSpec {
        venue: by_id("binance").unwrap(),
        symbols,
        channels: Channel::ALL.to_vec(),
        url: None,
        silence: Duration::from_secs(600),
    };
    let dial = Arc::new(PipeDial(wires_in));
    let options = FeedOptions { dial, budgets: Arc::new(Budgets::default()), seed: 5, wall };
    let feeds = Feeds::start(&[feed], deliveries_in, options).unwrap();
    let (deck, taken) = bounded::<(Delivery, bool)>(WAITING);
    let decked = std::thread::spawn(move || {
        let store: Arc<dyn Store> = Arc::new(Forgetful);
        let mut config = Config::standard(&Catalogue::built_in());
        // Checkpoints come by the process's own time, of which an hour of the market takes seconds.
        config.engine.checkpoint_entries = 5 * TICKS_PER_SECOND;
        let options = LiveOptions { config, workers: 1, cut: Cut::Adaptive, sabotage: None };
        let mut deck = Deck::start(&store, &options, None).unwrap();
        for (delivery, more) in taken {
            deck.take(delivery, more).unwrap();
        }
        deck.stop().unwrap()
    });
    let (mut delivered, mut waiting_max, mut looks) = (0, 0, Vec::new());
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    let end = start + Duration::from_secs(HOUR + 5);
    loop {
        let delivery = tokio::select! {
            Some(delivery) = deliveries.recv() => delivery,
            _ = seconds.tick() => {
                if start.elapsed().as_secs() >= QUARTER * (looks.len() as u64 + 1) {
                    looks.extend(resident());
                }
                Delivery::Time { received_at: wall() }
            }
            () = sleep_until(end) => break,
        };
        if let Delivery::Frames(decoded) = &delivery {
            delivered += decoded.output.ticks.len() as u64;
        }
        waiting_max = waiting_max.max(deliveries.len());
        // As much is gathered as a busy second brings.
        let more = !matches!(delivery, Delivery::Time { .. });
        deck.send((delivery, more)).unwrap();
    }
    let status = feeds.status().remove(0);
    let rest = async {
        while let Some(delivery) = deliveries.recv().await {
            if let Delivery::Closed { rest, .. } = &delivery {
                delivered += rest.ticks.len() as u64;
            }
            deck.send((delivery, true)).unwrap();
        }
    };
    tokio::join!(feeds.stop(), rest);
    drop(deck);
    let (summary, sent) = (decked.join().unwrap(), trading.await.unwrap());
    Hour { summary, sent, delivered, status, waiting_max, resident: looks }
}

#[test]
fn an_hour_of_a_market_leaves_memory_where_it_was_after_30_minutes() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    // What a failed run leaves behind still wants timers when it goes.
    let _inside = runtime.enter();
    let hour = LocalSet::new().block_on(&runtime, run());
    let ledger = hour.summary.ledger;
    assert!(ledger.adds_up(), "{ledger:?}");
    assert_eq!(ledger.received, hour.delivered, "{ledger:?}");
    // What happened between two connections is missing, and nothing else.
    assert!(hour.status.frames > hour.sent * 99 / 100, "{} of {}", hour.status.frames, hour.sent);
    assert!(ledger.aggregated > ledger.received * 99 / 100, "{ledger:?}");
    // One second windows of the most active symbol alone are thousands.
    assert!(hour.summary.emissions > HOUR, "{} windows", hour.summary.emissions);
    assert_eq!(hour.status.reconnects, HOUR / CUT_EVERY.as_secs(), "a connection is cut every {CUT_EVERY:?}");
    assert!(hour.waiting_max < WAITING / 2, "{} deliveries waited", hour.waiting_max);
    if let [_, half, _, end] = hour.resident.as_slice() {
        assert!(end.saturating_sub(*half) <= GROWTH_MAX, "memory by quarter: {:?}", hour.resident);
    }
}
