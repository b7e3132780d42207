//! What goes wrong with venues: refusals, dead sockets, rubbish, silence, ends that are foretold.

use feeds::live::{Live, Rate};
use futures_util::SinkExt;
use tokio::time::Duration;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::server::{Setting, Turn, acknowledge, heard, on_stage, say};
use super::venue::LIVE;
use crate::feed::slot::SlotState;

#[tokio::test(start_paused = true)]
async fn connects_stay_within_3_in_60_s_and_never_cease_while_all_are_refused() {
    on_stage(async {
        let live = Live { connects: Rate::new(3, 60), ..LIVE };
        let mut setting = Setting::new(live, 1);
        setting.script = vec![Turn::Unreachable, Turn::Unreachable];
        let mut scene = setting.start();
        for round in 0..100 {
            let refusals =
                ["HTTP/1.1 503 Service Unavailable", "HTTP/1.1 429 Too Many Requests\r\nretry-after: 90"];
            scene.refuse(refusals[round % 2]).await;
        }
        let times: Vec<Duration> =
            scene.dial.addresses.lock().unwrap().iter().map(|(at, _)| *at - scene.start).collect();
        assert_eq!(times.len(), 102);
        for (index, (first, fourth)) in times.iter().zip(times.iter().skip(3)).enumerate() {
            assert!(*fourth - *first >= Duration::from_secs(60), "connects {index} to {} in 60 s", index + 3);
        }
        // Attempts 3, 5, 7 … were refused with 429: the next keeps away for 90 s.
        for pair in times[3..].chunks_exact(2) {
            assert!(pair[1] - pair[0] >= Duration::from_secs(90), "{pair:?}, 90 s asked for");
        }
        let status = &scene.feeds.status()[0];
        assert!(status.failures >= 101, "{status:?}");
        assert!(scene.deliveries.try_recv().is_err(), "nothing was open, nothing is told");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_half_open_socket_is_noticed_after_60_s_within_1_s() {
    on_stage(async {
        let mut scene = Setting::new(LIVE, 1).start();
        let peer = scene.accept_and_acknowledge(1).await;
        let begin = scene.start.elapsed();
        // The peer neither reads nor writes any more, and stays.
        assert_eq!(scene.next_of("closed").await, "closed 0 dead: no byte for 60 s");
        let took = scene.start.elapsed() - begin;
        assert!((60..=61).contains(&took.as_secs()) && took <= Duration::from_secs(61), "{took:?}");
        drop(peer);
        let mut peer = scene.accept_and_acknowledge(1).await;
        assert_eq!(scene.next_of("opened").await, "opened 1");
        say(&mut peer, "trade S0 5").await;
        assert_eq!(scene.next_of("frames 1 ").await, "frames 1 0#5");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_answers_pings_is_not_dead() {
    on_stage(async {
        let mut scene = Setting::new(LIVE, 1).start();
        let mut peer = scene.accept_and_acknowledge(1).await;
        // Reading is what answers pings.
        let waited = tokio::time::timeout(Duration::from_secs(600), heard(&mut peer)).await;
        assert!(waited.is_err(), "600 s without a frame, ten times the limit, and still there");
        assert_eq!(scene.feeds.status()[0].reconnects, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn rubbish_oversized_frames_and_close_codes_end_one_connection_and_not_the_feed() {
    on_stage(async {
        let mut scene = Setting::new(LIVE, 1).start();
        let mut mark = 0;
        let mut expect = async |scene: &mut super::server::Scene, part: &str| {
            let closed = scene.next_of("closed").await;
            assert!(closed.starts_with(&format!("closed {mark} ")) && closed.contains(part), "{closed}");
            mark += 1;
        };
        let mut peer = scene.accept_and_acknowledge(1).await;
        let frame = CloseFrame { code: CloseCode::Policy, reason: "too many requests".into() };
        peer.send(Message::Close(Some(frame))).await.unwrap();
        expect(&mut scene, "closed by the venue: 1008 too many requests").await;

        // A head that announces 64 MiB; 16 MiB are taken.
        let peer = scene.accept_and_acknowledge(1).await;
        raw(peer, &[0x82, 127, 0, 0, 0, 0, 4, 0, 0, 0]).await;
        expect(&mut scene, "too long").await;

        for rubbish in [&b"\xff\xff\xff\xff"[..], b"\x81\x02\xc3\x28", b"HTTP/1.1 500 Sorry\r\n\r\n", b"\x81"]
        {
            let peer = scene.accept_and_acknowledge(1).await;
            raw(peer, rubbish).await;
            expect(&mut scene, "").await;
        }
        let mut peer = scene.accept_and_acknowledge(1).await;
        say(&mut peer, "trade S0 5").await;
        assert!(scene.next_of("frames 6 0").await.contains("0#5"));
        assert_eq!((scene.feeds.status()[0].reconnects, scene.feeds.status()[0].revived), (6, 0));
    })
    .await;
}

async fn raw(peer: super::server::Peer, bytes: &[u8]) {
    use tokio::io::AsyncWriteExt;
    let mut wire = peer.into_inner();
    wire.write_all(bytes).await.unwrap();
    wire.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_replaced_before_its_end_and_no_trade_of_1000_is_lost() {
    on_stage(async {
        let mut scene = Setting::new(LIVE, 2).start();
        let mut old = scene.accept_and_acknowledge(1).await;
        assert_eq!(scene.next().await, "opened 0");
        // Old enough to be a good connection, which is replaced at once.
        let _ = tokio::time::timeout(Duration::from_secs(100), heard(&mut old)).await;
        let (mut ids, mut next_id) = (std::collections::BTreeSet::new(), 0);
        let mut trade = async |peers: &mut [&mut super::server::Peer]| {
            next_id += 1;
            for peer in peers {
                // One that was told goodbye takes no more.
                let _ = peer.send(Message::text(format!("trade S0 {next_id}"))).await;
            }
        };
        for _ in 0..300 {
            trade(&mut [&mut old]).await;
        }
        say(&mut old, "ending").await;
        let mut new = scene.accept().await;
        for _ in 0..300 {
            trade(&mut [&mut old]).await;
        }
        acknowledge(&mut new).await;
        // Both carry the flow until the old one hears goodbye.
        for _ in 0..300 {
            trade(&mut [&mut old, &mut new]).await;
        }
        assert_eq!(heard(&mut old).await.as_deref(), Some("close 1000"));
        for _ in 0..100 {
            trade(&mut [&mut new]).await;
        }
        let mut closed = None;
        while ids.len() < 1_000 || closed.is_none() {
            let text = scene.next().await;
            if text.starts_with("closed 0") {
                closed = Some(text.clone());
            }
            ids.extend(text.split('#').skip(1).map(|id| {
                let digits: String = id.chars().take_while(char::is_ascii_digit).collect();
                digits.parse::<u64>().unwrap()
            }));
        }
        assert_eq!(ids, (1..=1_000).collect());
        assert_eq!(closed.as_deref(), Some("closed 0 replaced: the venue ends it: maintenance"));
        let status = scene.feeds.status().remove(0);
        assert_eq!((status.state, status.acknowledged, status.reconnects), (SlotState::Live, 2, 1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_lifetime_of_86400_s_is_foreseen_by_an_hour_at_least() {
    on_stage(async {
        let live = Live { lifetime_seconds: Some(86_400), ..LIVE };
        let mut scene = Setting { silence: Duration::from_secs(1 << 30), ..Setting::new(live, 1) }.start();
        let mut old = scene.accept_and_acknowledge(1).await;
        let (gone, mut new) = tokio::join!(heard(&mut old), async { scene.accept_and_acknowledge(1).await });
        assert_eq!(gone.as_deref(), Some("close 1000"));
        let age = scene.start.elapsed().as_secs();
        assert!((86_400 - 5_400..=86_400 - 3_600 + 2).contains(&age), "{age} s");
        say(&mut new, "trade S0 1").await;
        assert_eq!(scene.next_of("frames 1 ").await, "frames 1 0#1");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_panics_is_made_again_within_1_s_and_its_connection_is_told_closed() {
    on_stage(async {
        let mut scene = Setting::new(LIVE, 1).start();
        let mut peer = scene.accept_and_acknowledge(1).await;
        assert_eq!(scene.next().await, "opened 0");
        scene.dial.script.lock().unwrap().push_back(Turn::Panic);
        let _ = tokio::time::timeout(Duration::from_secs(100), heard(&mut peer)).await;
        // The successor is dialled while the old one is open, and that takes the actor with it.
        say(&mut peer, "ending").await;
        let begin = scene.start.elapsed();
        assert_eq!(scene.next_of("broken off").await, "broken off 0 its actor ended unexpectedly");
        assert!(scene.start.elapsed() - begin <= Duration::from_secs(1));
        let mut peer = scene.accept_and_acknowledge(1).await;
        say(&mut peer, "trade S0 3").await;
        assert!(scene.next_of("frames").await.contains("frames"));
        assert_eq!(scene.feeds.status()[0].revived, 1);
        tokio::join!(scene.feeds.stop(), heard(&mut peer));
    })
    .await;
}
