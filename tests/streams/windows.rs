//! Windows as they are committed: every emission, for who reads at once and for who reads later.

use std::collections::BTreeMap;
use std::time::Duration;

use crossbeam_channel::bounded;
use feeds::live::Channel;
use feeds::time::SECOND;
use feeds::venues::by_id;
use serde_json::Value;
use tapedeck::config::{Catalogue, Config};
use tapedeck::feed::{ConnectionStatus, FeedSpec};
use tapedeck::live::service::{self, Service};
use tapedeck::market::{Market, MarketSpec};
use tapedeck::output::{Format, write};
use tapedeck::query::windows::{Selection, rows};
use tapedeck::replay::stop::Stop;
use tapedeck::serve::Terms;
use tapedeck::simulator::faults::Script;
use tapedeck::simulator::{Simulator, SimulatorSpec};
use tapedeck::store::Store;

use crate::client::{Follower, Said};
use crate::support::{DEADLINE, Served, get, raw};

/// Events of the market in a test, and symbols.
const EVENTS: u64 = 4_000;
const SYMBOLS: u32 = 3;
/// Short windows, so that there are many.
const CONFIG: &str = "[[windows]]\nname = \"10ms\"\n[[windows]]\nname = \"1s\"\n";

fn exchange() -> (Simulator, FeedSpec) {
    let market = MarketSpec { symbols: SYMBOLS, ticks_per_second: 1_500, ..MarketSpec::default() };
    let simulator = Simulator::start(SimulatorSpec {
        address: "127.0.0.1:0".parse().unwrap(),
        venues: vec!["binance".to_owned()],
        market,
        faults: Script::default(),
        opens_with: 6,
        events: Some(EVENTS),
    })
    .unwrap();
    let feed = FeedSpec {
        venue: by_id("binance").unwrap(),
        symbols: Market::new(market).instruments().iter().map(|i| i.native.clone()).collect(),
        channels: Channel::ALL.to_vec(),
        url: Some(format!("ws://{}/binance", simulator.address())),
        silence: Duration::from_secs(60),
    };
    (simulator, feed)
}

/// Every emission in the store, or the last of each window, as the query shows them.
fn stored(store: &dyn Store, selection: &Selection) -> Vec<Value> {
    let catalogue = tapedeck::query::Catalogue::read(store).unwrap();
    let (columns, rows) = rows(store, &catalogue, selection).unwrap();
    let mut lines = Vec::new();
    write(Format::Ndjson, &columns, rows, &mut lines).unwrap();
    String::from_utf8(lines).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Rows and the count of those left out, until they are `total` or the server stops.
async fn all_of(mut follower: Follower, total: u64) -> (Vec<Value>, u64) {
    let (mut rows, mut left_out) = (Vec::new(), 0);
    loop {
        if rows.len() as u64 + left_out == total {
            return (rows, left_out);
        }
        match follower.next().await {
            // What is open comes beside them.
            Said::Row(message) if message["open"] == true => {}
            Said::Row(message) => {
                left_out += message["left_out"].as_u64().unwrap();
                rows.extend(message["rows"].as_array().unwrap().iter().cloned());
            }
            Said::Heartbeat(_) => {}
            Said::Cut(code, _) => {
                assert_eq!(code, 1001);
                return (rows, left_out);
            }
        }
    }
}

fn key(row: &Value) -> (String, String, String, u64) {
    let text = |name: &str| row[name].as_str().unwrap().to_owned();
    (text("symbol"), text("window"), text("start"), row["revision"].as_u64().unwrap())
}

#[test]
fn every_emission_is_told_or_counted() {
    let config = Config::parse("test", CONFIG, &Catalogue::built_in()).unwrap();
    let terms = Terms { write_within: Duration::from_secs(60), ..Terms::default() };
    let Served { deck, store, server, address, .. } = Served::with(config, terms);
    let (simulator, feed) = exchange();
    let one = feed.symbols[0].clone();
    let wanted = one.clone();
    let stop = Stop::default();
    let asking = stop.clone();
    let (begun, begins) = bounded(1);
    let (read, reads) = bounded(1);
    let (caught_up, catches_up) = bounded(1);
    let following = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let all = Follower::connect(address, "/v1/windows/stream").await;
            let some =
                Follower::connect(address, &format!("/v1/windows/stream?window=1s&symbol={one}")).await;
            let slow = Follower::narrow(address, "/v1/windows/stream?live=true").await;
            begun.send(()).unwrap();
            let slow = async {
                let total = tokio::task::spawn_blocking(move || reads.recv().unwrap()).await.unwrap();
                let read = all_of(slow, total).await;
                caught_up.send(()).unwrap();
                read
            };
            tokio::join!(all_of(all, u64::MAX), all_of(some, u64::MAX), slow)
        })
    });
    begins.recv().unwrap();
    let mut before = 0;
    let watch = Box::new(move |connections: &[ConnectionStatus]| {
        // Nothing more comes.
        let frames: u64 = connections.iter().map(|connection| connection.frames).sum();
        if frames == before && frames > EVENTS / 2 {
            asking.ask();
        }
        before = frames;
    });
    let service =
        Service { feeds: vec![feed], ca: Vec::new(), seed: 1, backfill: false, limit: Some(60 * SECOND) };
    let summary = service::run(service, deck, &stop, watch).unwrap();
    read.send(summary.emissions).unwrap();
    catches_up.recv_timeout(DEADLINE).unwrap();
    drop(server);
    let ((all, none), (some, _), (late, left_out)) = following.join().unwrap();
    drop(simulator);

    let revisions = stored(&*store, &Selection { revisions: true, ..Selection::default() });
    assert_eq!(summary.emissions, revisions.len() as u64);
    assert!(revisions.len() > 300, "only {}", revisions.len());
    let by_key =
        |rows: &[Value]| -> BTreeMap<_, Value> { rows.iter().map(|row| (key(row), row.clone())).collect() };
    assert_eq!((by_key(&all), all.len(), none), (by_key(&revisions), revisions.len(), 0));

    let is_wanted =
        |row: &&Value| row["window"] == "1s" && row["symbol"].as_str().unwrap().ends_with(&wanted);
    let of_one: Vec<Value> = revisions.iter().filter(is_wanted).cloned().collect();
    assert!(!of_one.is_empty());
    assert_eq!(by_key(&some), by_key(&of_one));

    assert_eq!((by_key(&late), late.len(), left_out), (by_key(&revisions), revisions.len(), 0));
}

#[test]
fn what_is_wrong_is_said_first() {
    let served = Served::start();
    for (query, status, said) in [
        ("window=1x", 404, "did you mean"),
        ("windows=1s", 400, "the nearest is `window`"),
        ("after=0-7", 416, "\"head\":\"0-0\""),
        ("after=1-0", 409, "another run"),
        ("after=-", 400, "GENERATION-NUMBER"),
        ("after=1-1&after=1-2", 400, "`after` is there twice"),
        ("live=yes", 400, "`live`: write true or false"),
    ] {
        let path = format!("/v1/windows/stream?{query}");
        let (was, _, body) = raw(served.address, &path, "Accept: text/event-stream\r\n");
        assert_eq!(was, status, "{query}: {body}");
        assert!(body.contains(said), "{body}");
    }
    assert_eq!(get(served.address, "/v1/windows/stream").0, 426);
    served.end();
}
