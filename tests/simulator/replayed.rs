//! A capture that is served: by the venue that it comes from, and by others.

use std::collections::BTreeMap;
use std::path::PathBuf;

use feeds::live::{Channel, Stream};
use feeds::number::Decimal;
use feeds::tick::{Event, Side};
use tapedeck::market::capture::CaptureWriter;
use tapedeck::market::{Change, Market, MarketEvent};
use tapedeck::simulator::replayed::{Replayed, ReplayedError};
use tapedeck::simulator::{Simulator, SimulatorError, SimulatorSpec};

use crate::client::{Client, End, MARKET, socket_path, spec};

const EVENTS: usize = 3_000;

/// The tests' market as a capture of a third of a second.
fn capture(folder: &tempfile::TempDir) -> (PathBuf, Vec<MarketEvent>) {
    let market = Market::new(MARKET);
    let instruments = market.instruments().to_vec();
    let events: Vec<MarketEvent> = market.take(EVENTS).collect();
    let mut writer = CaptureWriter::new(&instruments);
    let mut text = Vec::new();
    writer.put_opening(&mut text, MARKET.start);
    for event in &events {
        writer.put_event(&mut text, event, &instruments[event.symbol as usize]);
    }
    let path = folder.path().join("market.capture");
    std::fs::write(&path, text).unwrap();
    (path, events)
}

/// By symbol: the trades as far as every venue tells of them.
type Trades = BTreeMap<String, Vec<(u64, Decimal, Decimal, Side)>>;

fn trades_of(events: &[MarketEvent]) -> Trades {
    let instruments = Market::new(MARKET).instruments().to_vec();
    let mut trades = Trades::new();
    for event in events {
        let Change::Trade { id, price, size, buyer_is_maker } = event.change else { continue };
        let instrument = &instruments[event.symbol as usize];
        let side = if buyer_is_maker { Side::Sell } else { Side::Buy };
        let price = Decimal::new(price, instrument.price_scale);
        let size = Decimal::new(size, instrument.size_scale);
        trades.entry(instrument.native.clone()).or_default().push((id, price, size, side));
    }
    trades
}

async fn served(venue: &str, path: PathBuf, speed: f64) -> (Client, Simulator) {
    let replayed = Replayed::open(&[path], speed).unwrap();
    assert_eq!(replayed.venues(), ["binance"]);
    let natives = replayed.natives();
    assert_eq!(natives.len(), 5);
    let spec = SimulatorSpec { events: None, ..spec(venue, "", 0) };
    let simulator = Simulator::replay(spec, replayed).unwrap();
    let path = socket_path(feeds::venues::by_id(venue).unwrap());
    let mut client = Client::connect(&simulator, venue, path).await.unwrap();
    let streams = natives.iter().flat_map(|native| Channel::ALL.map(|channel| Stream::new(native, channel)));
    client.subscribe(&streams.collect::<Vec<_>>()).await;
    assert_eq!(client.run_out().await, End::Closed(1001));
    (client, simulator)
}

#[tokio::test]
async fn a_capture_is_played_by_any_venue_under_its_own_names() {
    let folder = tempfile::tempdir().unwrap();
    let (path, events) = capture(&folder);
    let quotes = events.iter().filter(|event| matches!(event.change, Change::Quote { .. })).count();
    for venue in ["binance", "coinbase", "kraken", "okx", "bybit-linear", "deribit"] {
        let (client, simulator) = served(venue, path.clone(), 1.0).await;
        let totals = simulator.stop().remove(0);
        assert!(totals.over);
        assert_eq!(client.account(&totals.sent), totals.sent, "{venue}");
        assert_eq!(totals.sent, totals.made, "{venue}");
        let mut trades = Trades::new();
        for tick in &client.out.ticks {
            if let Event::Trade(trade) = &tick.event {
                let row = (trade.id().unwrap(), trade.price(), trade.size(), trade.side);
                trades.entry(client.native(tick).to_owned()).or_default().push(row);
            }
        }
        assert_eq!(trades, trades_of(&events), "{venue}");
        assert_eq!(totals.sent.ticks().1, quotes as u64, "{venue}");
    }
}

#[tokio::test]
async fn times_are_of_now_and_go_as_fast_as_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (path, events) = capture(&folder);
    let (client, simulator) = served("binance", path, 0.5).await;
    let opened = simulator.stop().remove(0).opened_at.unwrap();
    let made = events.iter().filter(|event| matches!(event.change, Change::Trade { .. }));
    let got = client.out.ticks.iter().filter(|tick| matches!(tick.event, Event::Trade(_)));
    let first = events[0].received_at;
    let mut count = 0;
    for (event, tick) in made.zip(got) {
        let expected = opened + (event.exchange_ts - first) * 2;
        assert!((0..1_000_000).contains(&(expected - tick.exchange_ts)), "{}", expected - tick.exchange_ts);
        count += 1;
    }
    assert!(count > 500);
}

/// A file of rows without receive times and without a venue, and one of frames: each venue has its own symbols.
#[tokio::test]
async fn files_of_several_venues_are_played_in_parts() {
    let folder = tempfile::tempdir().unwrap();
    let rows = |symbol: &str, first: u32| -> String {
        let row = |at: u32| {
            format!("{},{symbol},{at},{}.5,0.25,buy\n", 1_750_000_000_000u64 + u64::from(at), 100 + at)
        };
        (first..first + 40).map(row).collect()
    };
    let path = folder.path().join("trades.csv");
    let header = "time,symbol,id,price,qty,side\n";
    std::fs::write(&path, format!("{header}{}{}", rows("kraken:BTC/USD", 1), rows("okx:BTC-USDT", 41)))
        .unwrap();
    let replayed = Replayed::open(&[path], 10.0).unwrap();
    assert_eq!(replayed.venues(), ["kraken", "okx"]);
    let absent = Simulator::replay(spec("deribit", "", 0), replayed.clone()).err().unwrap();
    assert!(
        matches!(&absent, SimulatorError::Absent(venue, all) if venue == "deribit" && all == "kraken, okx")
    );
    let venues = vec!["kraken".to_owned(), "okx".to_owned()];
    let spec = SimulatorSpec { venues, events: None, opens_with: 1, ..spec("kraken", "", 0) };
    let simulator = Simulator::replay(spec, replayed).unwrap();
    for (venue, native, count) in [("kraken", "BTC/USD", 40), ("okx", "BTC-USDT", 40)] {
        let path = socket_path(feeds::venues::by_id(venue).unwrap());
        let mut client = Client::connect(&simulator, venue, path).await.unwrap();
        client.subscribe(&[Stream::new(native, Channel::Trades)]).await;
        assert_eq!(client.run_out().await, End::Closed(1001), "{venue}");
        assert_eq!(client.out.ticks.len(), count, "{venue}");
        assert!(client.out.ticks.iter().all(|tick| client.native(tick) == native));
    }
    assert!(
        simulator
            .stop()
            .iter()
            .all(|totals| totals.made.symbols.len() == 1 && totals.made.ticks() == (40, 0))
    );
}

#[test]
fn what_cannot_be_played_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = capture(&folder);
    assert!(matches!(Replayed::open(std::slice::from_ref(&path), 0.0), Err(ReplayedError::Speed(_))));
    let missing = Replayed::open(&[folder.path().join("nothing")], 1.0);
    assert!(matches!(missing, Err(ReplayedError::Source(_))));
    let empty = folder.path().join("empty.csv");
    std::fs::write(&empty, "symbol,id,price,qty,time,is_buyer_maker\n").unwrap();
    assert!(matches!(Replayed::open(&[empty], 1.0), Err(ReplayedError::Empty | ReplayedError::Source(_))));
    let replayed = Replayed::open(&[path], 1.0).unwrap();
    let error = Simulator::replay(spec("nowhere", "", 1), replayed).err().unwrap();
    assert!(matches!(error, SimulatorError::Venue(..)), "{error}");
}
