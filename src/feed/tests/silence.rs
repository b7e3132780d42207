//! Streams that bring nothing: noticed, remedied, and left in peace if the market is quiet.

use futures_util::SinkExt;
use tokio::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::Message;

use super::server::{Setting, acknowledge, heard, on_stage, say};
use super::venue::LIVE;

fn setting(symbols: usize) -> Setting {
    Setting { silence: Duration::from_secs(30), ..Setting::new(LIVE, symbols) }
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_is_noticed_after_30_s_within_1_s_while_pings_and_others_flow() {
    on_stage(async {
        let mut scene = setting(2).start();
        let mut peer = scene.accept_and_acknowledge(1).await;
        let begin = Instant::now();
        let mut requests = Vec::new();
        for id in 0..36 {
            peer.send(Message::Ping(bytes::Bytes::new())).await.unwrap();
            say(&mut peer, &format!("trade S1 {id}")).await;
            say(&mut peer, "heartbeat").await;
            let until = begin + Duration::from_secs(id + 1);
            while let Ok(Some(request)) = tokio::time::timeout_at(until, heard(&mut peer)).await {
                requests.push((begin.elapsed(), request));
            }
        }
        assert_eq!(scene.next_of("alarm").await, "alarm foo:S0 trades silent for 30 s, subscribing again");
        let at = requests[0].0;
        assert!((Duration::from_secs(30)..=Duration::from_secs(31)).contains(&at), "{at:?}");
        let texts: Vec<&str> = requests.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["unsubscribe S0:trades", "subscribe S0:trades"], "S1 is left alone");
        assert_eq!(scene.feeds.status()[0].alarms, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_quiet_market_of_a_day_costs_at_most_11_reconnects() {
    on_stage(async {
        let mut scene = setting(1).start();
        let end = Instant::now() + Duration::from_secs(86_400);
        let mut connections = 0;
        let mut peer = scene.accept_and_acknowledge(1).await;
        loop {
            tokio::select! {
                // Whatever is asked is granted, and nothing comes.
                request = heard(&mut peer) => match request {
                    Some(text) if text.starts_with("subscribe") =>
                        say(&mut peer, &text.replace("subscribe", "ack")).await,
                    _ => {}
                },
                wire = scene.wires.recv() => {
                    connections += 1;
                    let mut next = tokio_tungstenite::accept_async(wire.unwrap()).await.unwrap();
                    acknowledge(&mut next).await;
                    peer = next;
                }
                () = tokio::time::sleep_until(end) => break,
            }
        }
        assert!((5..=11).contains(&connections), "{connections} reconnects");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_venue_that_says_there_is_nothing_new_is_believed_for_3600_s() {
    on_stage(async {
        let mut scene = setting(1).start();
        let mut peer = scene.accept_and_acknowledge(1).await;
        say(&mut peer, "trade S0 7").await;
        for _ in 0..360 {
            say(&mut peer, "newest S0 7").await;
            let wait = tokio::time::timeout(Duration::from_secs(10), heard(&mut peer)).await;
            assert!(wait.is_err(), "{wait:?}");
        }
        let status = scene.feeds.status().remove(0);
        assert_eq!((status.alarms, status.reconnects), (0, 0));
        // A newer one that we were not given is no sign of life.
        let begin = Instant::now();
        let mut asked = None;
        while asked.is_none() && begin.elapsed() < Duration::from_secs(60) {
            say(&mut peer, "newest S0 8").await;
            asked = tokio::time::timeout(Duration::from_secs(1), heard(&mut peer)).await.ok().flatten();
        }
        assert_eq!(asked.as_deref(), Some("unsubscribe S0:trades"));
        assert!(begin.elapsed() <= Duration::from_secs(31), "{:?}", begin.elapsed());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn symbols_come_and_go_while_running_and_the_11th_gets_a_connection_of_its_own() {
    on_stage(async {
        let mut scene = Setting::new(LIVE, 9).start();
        let mut first = scene.accept_and_acknowledge(2).await;
        assert_eq!(scene.next().await, "opened 0");
        let names: Vec<String> = ["N0", "N1"].map(str::to_owned).to_vec();
        let channels = [feeds::live::Channel::Trades];
        scene.feeds.subscribe("foo", &names, &channels).await.unwrap();
        assert_eq!(acknowledge(&mut first).await, "subscribe N0:trades");
        let mut second = scene.accept().await;
        assert_eq!(acknowledge(&mut second).await, "subscribe N1:trades");
        scene.feeds.unsubscribe("foo", &names[..1], &channels).await;
        assert_eq!(heard(&mut first).await.as_deref(), Some("unsubscribe N0:trades"));
        say(&mut second, "refuse N1:trades").await;
        assert_eq!(scene.next_of("alarm").await, "alarm foo:N1 trades refused: no such symbol");
        let status = scene.feeds.status();
        let shape: Vec<(usize, u64, u64)> =
            status.iter().map(|s| (s.streams, s.acknowledged, s.refused)).collect();
        assert_eq!(shape, [(9, 9, 0), (1, 0, 1)]);
        assert_eq!(status[0].reconnects, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_takes_nothing_for_10_s_loses_the_connection_and_is_told() {
    on_stage(async {
        let mut scene = Setting { room: 1, ..Setting::new(LIVE, 1) }.start();
        let mut peer = scene.accept_and_acknowledge(1).await;
        say(&mut peer, "trade S0 1").await;
        while heard(&mut peer).await.is_some() {}
        // What was lost is counted; the end is told as soon as there is room.
        assert_eq!(scene.next().await, "opened 0");
        let end = scene.next_of("broken off").await;
        assert!(end.starts_with("broken off 0 the engine took nothing for 10 s, "), "{end}");
        assert!(scene.feeds.status()[0].undelivered >= 1);
    })
    .await;
}
