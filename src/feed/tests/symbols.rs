//! Symbols that come and go while others flow, names in another spelling, budgets of several venues at once.

use std::sync::Arc;

use feeds::live::{Channel, Live, Rate};
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant, timeout};

use super::server::{PipeDial, Setting, acknowledge, heard, on_stage, say};
use super::venue::{LIVE, named};
use crate::feed::budget::Budgets;
use crate::feed::{FeedOptions, FeedSpec, Feeds};

const TRADES: [Channel; 1] = [Channel::Trades];

fn names(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|n| format!("N{n}")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_hundred_changes_of_symbols_cost_the_others_no_frame_and_no_connection() {
    on_stage(async {
        let live = Live { requests: Rate::new(100, 1), ..LIVE };
        let mut scene = Setting::new(live, 2).start();
        let mut peer = scene.accept_and_acknowledge(1).await;
        let mut requests = Vec::new();
        let mut id = 0;
        for round in 0..50 {
            let changed = names(round % 3..round % 3 + 4);
            for is_added in [true, false] {
                if is_added {
                    scene.feeds.subscribe("foo", &changed, &TRADES).await.unwrap();
                } else {
                    scene.feeds.unsubscribe("foo", &changed, &TRADES).await;
                }
                id += 1;
                say(&mut peer, &format!("trade S0 {id}")).await;
                say(&mut peer, &format!("trade S1 {id}")).await;
                while let Ok(Some(request)) = timeout(Duration::from_millis(200), heard(&mut peer)).await {
                    assert!(!request.contains('S'), "{request}: the others are left alone");
                    requests.push(request);
                }
            }
        }
        assert_eq!(requests.len(), 100, "one request for each change: {requests:?}");
        let mut seen = [0, 0];
        while let Ok(text) = timeout(Duration::from_secs(1), scene.next()).await {
            assert!(!text.starts_with("closed") && !text.starts_with("alarm"), "{text}");
            for word in text.split(' ').filter(|word| word.contains('#')) {
                let (symbol, id) = word.split_once('#').unwrap();
                let symbol: usize = symbol.parse().unwrap();
                seen[symbol] += 1;
                assert_eq!(id, seen[symbol].to_string(), "the next trade of S{symbol}");
            }
        }
        assert_eq!(seen, [100, 100]);
        let status = scene.feeds.status();
        let shape: Vec<_> =
            status.iter().map(|one| (one.streams, one.acknowledged, one.reconnects)).collect();
        assert_eq!(shape, [(2, 2, 0)]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_slot_without_streams_closes_and_opens_again_for_the_next() {
    on_stage(async {
        let mut scene = Setting::new(LIVE, 1).start();
        let mut peer = scene.accept_and_acknowledge(1).await;
        scene.feeds.unsubscribe("foo", &["S0".to_owned()], &TRADES).await;
        while let Some(text) = heard(&mut peer).await {
            assert!(text == "unsubscribe S0:trades" || text == "close 1000", "{text}");
        }
        drop(peer);
        assert_eq!(scene.next_of("closed").await, "closed 0 nothing is wanted of it");
        assert!(timeout(Duration::from_secs(600), scene.wires.recv()).await.is_err(), "nobody asked for one");
        scene.feeds.subscribe("foo", &["S7".to_owned()], &TRADES).await.unwrap();
        let mut peer = scene.accept().await;
        assert_eq!(acknowledge(&mut peer).await, "subscribe S7:trades");
        say(&mut peer, "trade S7 1").await;
        assert_eq!(scene.next_of("frames 1 ").await, "frames 1 0#1");
    })
    .await;
}

/// The venue takes lower case and answers in upper case: what a person wrote is the same stream.
#[tokio::test(start_paused = true)]
async fn names_in_another_spelling_are_one_stream_and_are_not_missed() {
    on_stage(async {
        let mut setting = Setting::new(LIVE, 0);
        setting.symbols = ["s0", "S0", "s1"].map(str::to_owned).to_vec();
        setting.silence = Duration::from_secs(30);
        let mut scene = setting.start();
        let mut peer = scene.accept().await;
        assert_eq!(acknowledge(&mut peer).await, "subscribe S0:trades S1:trades");
        for id in 0..120 {
            say(&mut peer, &format!("trade S0 {id}")).await;
            say(&mut peer, &format!("trade S1 {id}")).await;
            let asked = timeout(Duration::from_secs(1), heard(&mut peer)).await;
            assert!(asked.is_err(), "{asked:?} after {id} s");
        }
        scene.feeds.unsubscribe("foo", &["s1".to_owned()], &TRADES).await;
        assert_eq!(heard(&mut peer).await.as_deref(), Some("unsubscribe S1:trades"));
        let status = scene.feeds.status().remove(0);
        assert_eq!((status.streams, status.alarms, status.reconnects), (1, 0, 0));
    })
    .await;
}

/// One venue refuses for ever with 429 and an hour; the other, on another host, loses a connection every 5 s.
#[tokio::test(start_paused = true)]
async fn venues_have_budgets_of_their_own_which_all_their_connections_share() {
    on_stage(async {
        let (wires_in, mut wires) = mpsc::channel(1_000);
        let (deliveries_in, mut deliveries) = mpsc::channel(10_000);
        let dial = Arc::new(PipeDial::new(wires_in));
        let live = Live { streams_per_connection: 1, connects: Rate::new(10, 60), ..LIVE };
        let spec = |venue, count: u32| FeedSpec {
            venue,
            symbols: names(0..count),
            channels: TRADES.to_vec(),
            url: None,
            silence: Duration::from_secs(3_600),
        };
        let specs = [
            spec(named("foo", "wss://foo.example/stream", live), 8),
            spec(named("bar", "wss://bar.example/stream", live), 1),
        ];
        let options = FeedOptions {
            dial: dial.clone(),
            budgets: Arc::new(Budgets::default()),
            seed: 3,
            wall: crate::clock::wall,
        };
        let start = Instant::now();
        let feeds = Feeds::start(&specs, deliveries_in, options).unwrap();
        let end = start + Duration::from_secs(1_800);
        loop {
            tokio::select! {
                wire = wires.recv() => drop(wire),
                _ = deliveries.recv() => {}
                () = tokio::time::sleep_until(end) => break,
            }
        }
        let times = |host: &str| -> Vec<Duration> {
            let all = dial.addresses.lock().unwrap();
            all.iter().filter(|(_, address)| address.contains(host)).map(|(at, _)| *at - start).collect()
        };
        for host in ["foo.example", "bar.example"] {
            let times = times(host);
            for (index, (first, last)) in times.iter().zip(times.iter().skip(10)).enumerate() {
                assert!(
                    *last - *first >= Duration::from_secs(60),
                    "{host}: connects {index} to {}",
                    index + 10
                );
            }
            assert!(times.len() > 20, "{host}: {} attempts in 30 minutes", times.len());
        }
        assert!(times("foo.example").len() > 3 * times("bar.example").len(), "eight places against one");
        feeds.stop().await;
    })
    .await;
}

/// Each connection that carried a stream tells when it is not wanted any more, before it goes for that.
#[tokio::test(start_paused = true)]
async fn what_is_not_wanted_any_more_is_told_once_and_when_it_is_wanted_again() {
    on_stage(async {
        let mut scene = Setting::new(LIVE, 2).start();
        let mut peer = scene.accept_and_acknowledge(1).await;
        let second = ["S1".to_owned()];
        assert_eq!(scene.feeds.wanted().into_iter().collect::<Vec<_>>(), ["foo:S0", "foo:S1"]);
        scene.feeds.unsubscribe("foo", &second, &TRADES).await;
        assert_eq!(heard(&mut peer).await.as_deref(), Some("unsubscribe S1:trades"));
        assert_eq!(scene.next_of("wish").await, "wish S1 false");
        scene.feeds.subscribe("foo", &second, &scene.feeds.channels("foo")).await.unwrap();
        assert_eq!(acknowledge(&mut peer).await, "subscribe S1:trades");
        assert_eq!(scene.next_of("wish").await, "wish S1 true");
        let all = ["S0".to_owned(), second[0].clone()];
        scene.feeds.unsubscribe("foo", &all, &TRADES).await;
        while heard(&mut peer).await.is_some_and(|text| text != "close 1000") {}
        drop(peer);
        let mut told = Vec::new();
        while !told.last().is_some_and(|text: &String| text.starts_with("closed")) {
            told.push(scene.next().await);
        }
        told.retain(|text| !text.starts_with("frames"));
        assert_eq!(told, ["wish S0 false", "wish S1 false", "closed 0 nothing is wanted of it"]);
        assert!(scene.feeds.wanted().is_empty());
    })
    .await;
}
