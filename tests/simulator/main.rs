//! The simulator as a client sees it: over real sockets, with the engine's own decoders.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should panic")]

mod client;
mod faults;
mod replayed;
mod round_trip;

use client::{Client, End, all_streams, get, socket_path, start};
use feeds::live::{Channel, Notice, Stream};

#[tokio::test]
async fn the_same_seed_is_the_same_market() {
    let mut ticks = Vec::new();
    for _ in 0..2 {
        let simulator = start("binance", "", 1_000);
        let mut client = Client::subscribed(&simulator, "binance").await;
        client.run_out().await;
        let events: Vec<String> = client
            .out
            .ticks
            .iter()
            .map(|tick| {
                format!("{} {:?}", client.symbols.symbols()[tick.symbol.0 as usize].as_str(), tick.event)
            })
            .collect();
        assert_eq!(events.len(), 1_000);
        ticks.push(events);
    }
    assert_eq!(ticks[0], ticks[1]);
}

#[tokio::test]
async fn streams_are_refused_and_ended_as_the_venue_does() {
    let simulator = start("binance", "", 100);
    let mut client = Client::connect(&simulator, "binance", "/stream").await.unwrap();
    let unknown = [Stream::new("NOSUCHUSDT", Channel::Trades)];
    client.subscribe(&unknown).await;
    let Notice::Refused(streams, _) = client.next_answer().await else { panic!("not refused") };
    assert_eq!(streams, unknown);
    let all = all_streams(&simulator);
    client.subscribe(&all[..2]).await;
    assert_eq!(client.next_answer().await, Notice::Acknowledged(all[..2].to_vec()));
    client.send(r#"{"method":"UNSUBSCRIBE","params":["btcusdt@trade"],"id":77}"#).await;
    assert_eq!(client.step().await, None);
    client.send(r#"{"method":"LIST_SUBSCRIPTIONS","id":78}"#).await;
    assert_eq!(client.step().await, None);
    // Eight more open the market: nine in all are not enough.
    client.subscribe(&all[2..]).await;
    assert_eq!(client.next_answer().await, Notice::Acknowledged(all[2..].to_vec()));
    assert_eq!(simulator.totals()[0].made.ticks(), (0, 0));
    client.send("no JSON").await;
    // More messages than the venue allows in a second, whichever second that is.
    let mut end = None;
    for _ in 0..12 {
        client.send("{}").await;
    }
    while end.is_none() {
        end = client.step().await;
    }
    assert_eq!(end, Some(End::Closed(1008)));
}

#[tokio::test]
async fn addresses_name_streams_and_unrouted_futures_stay_mute() {
    let simulator = start("binance", "", 500);
    let path = "/stream?streams=btcusdt@trade/ethusdt@bookTicker/nosuch@trade";
    let mut named = Client::connect(&simulator, "binance", path).await.unwrap();
    let mut raw = Client::connect(&simulator, "binance", "/ws").await.unwrap();
    raw.subscribe(&all_streams(&simulator)[..8]).await;
    assert_eq!(named.run_out().await, End::Closed(1001));
    assert_eq!(raw.run_out().await, End::Closed(1001));
    let made = simulator.totals().remove(0).made;
    let (of_named, of_raw) = (named.account(&made), raw.account(&made));
    assert_eq!(of_named.symbols[0].runs, made.symbols[0].runs);
    assert_eq!(of_named.symbols[1].quotes, made.symbols[1].quotes);
    assert_eq!(of_named.ticks(), (made.symbols[0].trades, made.symbols[1].quotes));
    assert_eq!(of_raw.symbols[..4], made.symbols[..4]);

    let mute = start("binance-usdm", "", 500);
    let mut client = Client::connect(&mute, "binance-usdm", "/stream").await.unwrap();
    client.subscribe(&all_streams(&mute)).await;
    assert_eq!(client.run_out().await, End::Closed(1001));
    assert_eq!((client.out.ticks.len(), client.frames.len()), (0, 1));
    assert_eq!(mute.totals()[0].sent.ticks(), (0, 0));
}

#[tokio::test]
async fn wrong_addresses_are_answered() {
    let simulator = start("binance", "", 1);
    for (path, status) in [
        ("/", "404"),
        ("/nowhere/stream", "404"),
        ("/binance/stream", "404"),
        ("/binance/api/v3/historicalTrades", "400"),
        ("/binance/api/v3/historicalTrades?symbol=NOSUCH", "400"),
        ("/binance/api/v3/historicalTrades?symbol=BTCUSDT&limit=x", "400"),
        ("/binance/api/v3/historicalTrades?symbol=BTCUSDT", "200"),
    ] {
        let (head, _) = get(&simulator, path).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {head}");
    }
    let socket = socket_path(feeds::venues::by_id("binance").unwrap());
    assert!(Client::connect(&simulator, "binance", &format!("{socket}/x")).await.is_err());
    assert!(Client::connect(&simulator, "binance-us", socket).await.is_err());
}
