//! Refused subscriptions: asked for again, and no reason to give up a connection that has what they were to bring.

use feeds::live::Live;
use tokio::time::{Duration, Instant, timeout};

use super::server::{Peer, Scene, Setting, acknowledge, heard, on_stage, say};
use super::venue::LIVE;
use crate::feed::slot::SlotState;

/// What a client says next, and when.
async fn asked(peer: &mut Peer, begin: Instant) -> (Duration, String) {
    let text = heard(peer).await.unwrap();
    (begin.elapsed(), text)
}

/// Streams that are acknowledged and refused.
fn shape(scene: &Scene) -> (u64, Vec<String>, SlotState) {
    let status = scene.feeds.status().remove(0);
    assert_eq!(status.refused, status.refused_streams.len() as u64);
    (status.acknowledged, status.refused_streams, status.state)
}

async fn settle() {
    tokio::time::sleep(Duration::from_millis(10)).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_is_asked_for_again_within_5_s_and_is_there_when_it_is_granted() {
    on_stage(async {
        let mut scene = Setting { silence: Duration::from_secs(30), ..Setting::new(LIVE, 2) }.start();
        let mut peer = scene.accept().await;
        assert_eq!(heard(&mut peer).await.as_deref(), Some("subscribe S0:trades S1:trades"));
        say(&mut peer, "refuse S0:trades S1:trades").await;
        let begin = Instant::now();
        assert_eq!(scene.next_of("alarm").await, "alarm foo:S0 trades refused: no such symbol");
        let none = (0, vec!["S0 trades".to_owned(), "S1 trades".to_owned()], SlotState::Live);
        assert_eq!(shape(&scene), none);
        let (at, request) = asked(&mut peer, begin).await;
        assert_eq!(request, "subscribe S0:trades S1:trades");
        assert!((2_500..=5_600).contains(&at.as_millis()), "{at:?}");
        assert_eq!(shape(&scene), none, "asked for, and not there yet");
        // One is confirmed, the other brings data and no word.
        say(&mut peer, "ack S0:trades").await;
        say(&mut peer, "trade S1 1").await;
        settle().await;
        assert_eq!(shape(&scene), (2, Vec::new(), SlotState::Live));
        // From now on they are streams like others: silence is noticed.
        let (at, request) = asked(&mut peer, Instant::now()).await;
        assert!(
            request.starts_with("unsubscribe ") && at <= Duration::from_secs(31),
            "{request} after {at:?}"
        );
        let status = scene.feeds.status().remove(0);
        assert_eq!(status.reconnects, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_ever_is_asked_for_ever_more_seldom_and_for_ever() {
    on_stage(async {
        let mut scene = Setting { silence: Duration::from_secs(30), ..Setting::new(LIVE, 1) }.start();
        let mut peer = scene.accept().await;
        let (begin, mut times) = (Instant::now(), Vec::new());
        while begin.elapsed() < Duration::from_secs(6 * 3_600) {
            let (at, request) = asked(&mut peer, begin).await;
            assert_eq!(request, "subscribe S0:trades");
            times.push(at);
            say(&mut peer, "refuse S0:trades").await;
        }
        let waits: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
        for (wait, whole) in
            waits.iter().zip([5.0, 10.0, 20.0, 40.0, 80.0, 160.0].into_iter().chain([300.0; 999]))
        {
            assert!((whole / 2.0..=whole + 0.6).contains(wait), "{wait} s of {whole} s");
        }
        assert!((72..150).contains(&times.len()), "{} requests in 6 h", times.len());
        let status = scene.feeds.status().remove(0);
        assert_eq!(
            (status.alarms, status.reconnects),
            (1, 0),
            "told once, and never a reason to connect again"
        );
    })
    .await;
}

/// The venue refuses a whole request for one symbol in it that it does not know.
#[tokio::test(start_paused = true)]
async fn one_unknown_symbol_keeps_no_other_one_away() {
    on_stage(async {
        let mut scene = Setting::new(LIVE, 5).start();
        let mut peer = scene.accept().await;
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(60) {
            let Ok(request) = timeout(Duration::from_secs(60), heard(&mut peer)).await else { break };
            let names =
                request.as_deref().and_then(|text| text.strip_prefix("subscribe")).unwrap().to_owned();
            let verdict = if names.contains("S3:") { "refuse" } else { "ack" };
            say(&mut peer, &format!("{verdict}{names}")).await;
        }
        assert_eq!(shape(&scene), (4, vec!["S3 trades".to_owned()], SlotState::Live));
    })
    .await;
}

/// A successor whose subscription is refused, while its predecessor delivers.
async fn refused_successor(scene: &mut Scene) -> (Peer, Peer) {
    let mut first = scene.accept_and_acknowledge(1).await;
    say(&mut first, "trade S0 1").await;
    assert_eq!(scene.next_of("frames 0 0").await, "frames 0 0#1");
    say(&mut first, "ending").await;
    let mut second = scene.accept().await;
    assert_eq!(heard(&mut second).await.as_deref(), Some("subscribe S0:trades S1:trades"));
    say(&mut second, "refuse S0:trades S1:trades").await;
    settle().await;
    (first, second)
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_delivers_is_not_given_up_for_one_that_was_refused() {
    on_stage(async {
        let mut scene = Setting::new(LIVE, 2).start();
        let (mut first, mut second) = refused_successor(&mut scene).await;
        // It goes on delivering until what it carries is granted to its successor.
        for id in 2..10 {
            say(&mut first, &format!("trade S0 {id}")).await;
            assert_eq!(scene.next_of("frames 0 0").await, format!("frames 0 0#{id}"));
        }
        assert_eq!(heard(&mut second).await.as_deref(), Some("subscribe S0:trades S1:trades"));
        say(&mut second, "ack S0:trades").await;
        settle().await;
        assert_eq!(shape(&scene), (2, Vec::new(), SlotState::Live), "one is still refused to the successor");
        say(&mut second, "refuse S1:trades").await;
        assert_eq!(heard(&mut second).await.as_deref(), Some("subscribe S1:trades"));
        say(&mut second, "ack S1:trades").await;
        assert_eq!(heard(&mut first).await.as_deref(), Some("close 1000"));
        drop(first);
        assert_eq!(scene.next_of("closed").await, "closed 0 replaced: the venue ends it: maintenance");
        assert_eq!(scene.feeds.status()[0].reconnects, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_successor_that_was_refused_takes_over_as_it_is_when_the_other_one_has_ended() {
    on_stage(async {
        let mut scene = Setting::new(LIVE, 2).start();
        let (first, mut second) = refused_successor(&mut scene).await;
        drop(first);
        assert!(scene.next_of("closed").await.starts_with("closed 0 "));
        let refused = vec!["S0 trades".to_owned(), "S1 trades".to_owned()];
        assert_eq!(shape(&scene), (0, refused, SlotState::Live));
        assert_eq!(acknowledge(&mut second).await, "subscribe S0:trades S1:trades");
        say(&mut second, "trade S0 2").await;
        assert_eq!(scene.next_of("frames 1 0").await, "frames 1 0#2");
        assert_eq!(shape(&scene), (2, Vec::new(), SlotState::Live));
        let wire = timeout(Duration::from_secs(50), scene.wires.recv()).await;
        assert!(wire.is_err(), "no third connection");
    })
    .await;
}

/// What neither has is no reason to keep both: refused to both, or silent on the one and refused to the other.
#[tokio::test(start_paused = true)]
async fn what_the_old_connection_lacks_does_not_keep_it() {
    on_stage(async {
        let live = Live { streams_per_request: 1, ..LIVE };
        let mut scene = Setting { silence: Duration::from_secs(30), ..Setting::new(live, 2) }.start();
        let mut first = scene.accept().await;
        assert_eq!(acknowledge(&mut first).await, "subscribe S0:trades");
        assert_eq!(acknowledge(&mut first).await, "subscribe S1:trades");
        let begin = Instant::now();
        // The second symbol brings nothing, is subscribed again in vain, and another connection is taken.
        let mut second = loop {
            say(&mut first, &format!("trade S0 {}", begin.elapsed().as_millis())).await;
            if let Ok(peer) = timeout(Duration::from_secs(1), scene.accept()).await {
                break peer;
            }
            assert!(begin.elapsed() < Duration::from_secs(70), "no second connection");
        };
        assert_eq!(acknowledge(&mut second).await, "subscribe S0:trades");
        assert_eq!(heard(&mut second).await.as_deref(), Some("subscribe S1:trades"));
        say(&mut second, "refuse S1:trades").await;
        assert_eq!(scene.next_of("closed").await, "closed 0 replaced: foo:S1 trades was silent");
        // Refused to both.
        say(&mut second, "ending").await;
        let mut third = scene.accept().await;
        assert_eq!(acknowledge(&mut third).await, "subscribe S0:trades");
        assert_eq!(heard(&mut third).await.as_deref(), Some("subscribe S1:trades"));
        say(&mut third, "refuse S1:trades").await;
        assert_eq!(scene.next_of("closed").await, "closed 1 replaced: the venue ends it: maintenance");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_the_venue_answers_for_streams_is_told_as_entries() {
    on_stage(async {
        let mut scene = Setting::new(LIVE, 2).start();
        let mut peer = scene.accept().await;
        assert!(heard(&mut peer).await.is_some());
        say(&mut peer, "ack S0:trades ELSE:trades").await;
        assert_eq!(scene.next_of("granted").await, "granted true S0:trades", "of what is wanted alone");
        say(&mut peer, "ack ELSE:trades").await;
        say(&mut peer, "refuse S1:trades").await;
        assert_eq!(scene.next_of("granted").await, "granted false S1:trades");
    })
    .await;
}
