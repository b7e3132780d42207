//! The alert log over WebSocket: without a hole, whoever else follows and however.

use std::time::Duration;

use futures_util::SinkExt;
use tapedeck::serve::Terms;
use tokio_tungstenite::tungstenite::Bytes;
use tokio_tungstenite::tungstenite::protocol::Message;

use crate::client::{Follower, Said};
use crate::support::{get, on, raw};

const PATH: &str = "/v1/alerts/stream";

fn terms(write_ms: u64, heartbeat_ms: u64) -> Terms {
    Terms {
        write_within: Duration::from_millis(write_ms),
        heartbeat_every: Duration::from_millis(heartbeat_ms),
        ..Terms::default()
    }
}

#[test]
fn catching_up_and_being_up_to_date_are_one_sequence() {
    on(Terms::default(), async |served| {
        served.tell(1..=500);
        let mut early = Follower::connect(served.address, PATH).await;
        let mut middle = Follower::connect(served.address, &format!("{PATH}?after=1-498")).await;
        assert_eq!(early.numbers_to(20).await, (1..=20).collect::<Vec<u64>>());
        for last in [501, 502, 540, 541, 900] {
            let first = served.viewer.pulse().alerts().head() + 1;
            served.tell(first..=last);
            let from = if first == 501 { 499 } else { first };
            assert_eq!(middle.numbers_to(last).await, (from..=last).collect::<Vec<u64>>());
        }
        assert_eq!(early.numbers_to(900).await, (21..=900).collect::<Vec<u64>>());
        // The objects are those of the list.
        served.tell(901..=901);
        let Said::Row(row) = early.next().await else { panic!("no row") };
        let (_, listed) = get(served.address, "/v1/alerts?after=1-900");
        assert_eq!(row, listed["rows"][0]);
        let (_, _, metrics) = raw(served.address, "/metrics", "");
        assert!(metrics.contains("tapedeck_followers{way=\"socket\"} 2"), "{metrics}");
        assert!(metrics.contains("tapedeck_alerts_total 901\n"), "{metrics}");
        assert_eq!(get(served.address, "/v1/status").1["alerts"], 901);
    });
}

#[test]
fn who_wants_little_hears_how_far_the_log_is() {
    on(terms(10_000, 50), async |served| {
        let mut follower = Follower::connect(served.address, &format!("{PATH}?symbol=nobody:*")).await;
        let mut burst =
            Follower::connect(served.address, &format!("{PATH}?rule=burst&severity=warning")).await;
        served.tell(1..=40);
        loop {
            match follower.next().await {
                Said::Heartbeat(cursor) if cursor == "1-40" => break,
                Said::Heartbeat(cursor) => assert_eq!(cursor, "1-0"),
                other => panic!("{other:?}"),
            }
        }
        let (_, listed) = get(served.address, "/v1/alerts?rule=burst&severity=warning");
        let wanted: Vec<u64> =
            listed["rows"].as_array().unwrap().iter().map(|row| row["entry"].as_u64().unwrap()).collect();
        assert_eq!(burst.numbers_to(*wanted.last().unwrap()).await, wanted);
    });
}

#[test]
fn what_is_wrong_is_said_before_the_change_to_websocket() {
    on(Terms::default(), async |served| {
        served.tell(1..=9);
        served.forget_before(4);
        let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let without_key = upgrade.split("Sec-WebSocket-Key").next().unwrap();
        let old = upgrade.replace("Version: 13", "Version: 8");
        for (query, headers, status, said) in [
            ("?after=2-5", upgrade, 409, "generation"),
            ("?after=1-1", upgrade, 410, "\"oldest\":\"1-4\""),
            ("?after=1-10", upgrade, 416, "\"head\":\"1-9\""),
            ("?after=x", upgrade, 400, "GENERATION-NUMBER"),
            ("?after=1-5&after=1-6", upgrade, 400, "`after` is there twice"),
            ("?limit=4", upgrade, 400, "unknown parameter"),
            ("?after=1-1", "Accept: text/event-stream\r\n", 410, "\"oldest\":\"1-4\""),
            ("", "Accept: text/event-stream\r\nLast-Event-ID: 1-10\r\n", 416, "\"head\":\"1-9\""),
            ("", "Accept: text/event-stream\r\nLast-Event-ID: x\r\n", 400, "Last-Event-ID"),
            ("", without_key, 400, "handshake"),
            ("", &old, 426, "13"),
            ("", "Accept: application/json\r\n", 426, "WebSocket"),
        ] {
            // A refusal leaves the connection open, so it is ended from this side.
            let headers = headers.replace("Connection: Upgrade", "Connection: Upgrade, close");
            let (was, head, body) = raw(served.address, &format!("{PATH}{query}"), &headers);
            assert_eq!(was, status, "{query} {headers}: {body}");
            assert!(body.contains(said), "{body}");
            assert!(
                status != 426 || head.contains("upgrade: websocket") || head.contains("version: 13"),
                "{head}"
            );
        }
    });
}

#[test]
fn who_does_not_read_is_cut_and_goes_on_without_a_hole() {
    on(terms(300, 15_000), async |served| {
        let mut stalled = Follower::narrow(served.address, PATH).await;
        let mut healthy = Follower::connect(served.address, PATH).await;
        for first in (1..=6_000).step_by(500) {
            served.tell(first..=first + 499);
            let wanted: Vec<u64> = (first..=first + 499).collect();
            assert_eq!(healthy.numbers_to(first + 499).await, wanted);
        }
        // It is cut while it does not read, and finds that out when it does.
        served.shows("tapedeck_followers_ended_total{reason=\"slow\"} 1").await;
        let (numbers, code, cursor) = stalled.numbers_to_end().await;
        assert!(numbers.len() < 3_000, "the kernel kept {}", numbers.len());
        assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<u64>>());
        assert_eq!((code, cursor), (4008, format!("1-{}", numbers.len())));
        let mut again = Follower::connect(served.address, &format!("{PATH}?after=1-{}", numbers.len())).await;
        let rest: Vec<u64> = (numbers.len() as u64 + 1..=6_000).collect();
        assert_eq!(again.numbers_to(6_000).await, rest);
    });
}

#[test]
fn who_owes_an_answer_is_told_no_more_and_finds_all_of_it_whenever_it_reads() {
    on(terms(1_000, 60_000), async |served| {
        let mut stalled = Follower::connect(served.address, PATH).await;
        let mut healthy = Follower::connect(served.address, PATH).await;
        served.tell(1..=10);
        assert_eq!(stalled.numbers_to(10).await.len(), 10);
        served.tell(11..=6_000);
        assert_eq!(healthy.numbers_to(6_000).await.len(), 6_000);
        served.shows("tapedeck_followers_ended_total{reason=\"slow\"} 1").await;
        let (numbers, code, cursor) = stalled.numbers_to_end().await;
        // The kernels at both ends have room for thousands; what it was told has room in its own.
        assert!(numbers.len() < 400, "it was told {}", numbers.len());
        let last = 10 + numbers.len() as u64;
        assert_eq!(numbers, (11..=last).collect::<Vec<u64>>());
        assert_eq!((code, cursor), (4008, format!("1-{last}")));
    });
}

#[test]
fn who_falls_behind_what_is_kept_is_told_the_oldest() {
    on(terms(60_000, 60_000), async |served| {
        let mut stalled = Follower::narrow(served.address, PATH).await;
        let mut healthy = Follower::connect(served.address, PATH).await;
        served.tell(1..=20_000);
        healthy.numbers_to(20_000).await;
        served.forget_before(19_000);
        let (numbers, code, oldest) = stalled.numbers_to_end().await;
        assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<u64>>());
        assert_eq!((code, oldest.as_str()), (4010, "1-19000"));
    });
}

#[test]
fn a_stop_tells_what_is_committed_and_where_to_go_on() {
    on(Terms::default(), async |served| {
        let mut follower = Follower::connect(served.address, PATH).await;
        served.tell(1..=50);
        let ending = served.stop_server();
        let (numbers, code, cursor) = follower.numbers_to_end().await;
        assert_eq!((numbers, code, cursor.as_str()), ((1..=50).collect(), 1001, "1-50"));
        ending.await.unwrap();
    });
}

#[test]
fn who_says_too_much_is_cut_and_nobody_else() {
    on(Terms::default(), async |served| {
        let mut healthy = Follower::connect(served.address, PATH).await;
        let pings = vec![Message::Ping(Bytes::new()); 80];
        for (messages, code) in [
            (vec![Message::text("hello")], 1003),
            (vec![Message::Binary(Bytes::from_static(b"\xff"))], 1003),
            (vec![Message::text("x".repeat(17 << 10))], 1009),
            (pings, 1008),
        ] {
            let mut rude = Follower::connect(served.address, PATH).await;
            for message in messages {
                // It may be cut before it has said all.
                let _ = rude.socket.send(message).await;
            }
            let (_, was, _) = rude.numbers_to_end().await;
            assert_eq!(was, code);
        }
        served.tell(1..=3);
        assert_eq!(healthy.numbers_to(3).await, [1, 2, 3]);
        let answered = healthy.socket.send(Message::Ping(Bytes::new())).await;
        assert!(answered.is_ok());
    });
}

#[test]
fn a_token_sent_as_a_protocol_is_answered_as_one() {
    on(Terms::default(), async |served| {
        let upgrade = "Connection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: bearer, abc\r\n";
        let address = served.address;
        let asking = tokio::task::spawn_blocking(move || raw(address, PATH, upgrade));
        // The stream ends with the server, and with it the answer.
        served.shows("tapedeck_followers{way=\"socket\"} 1").await;
        served.stop_server().await.unwrap();
        let (status, head, _) = asking.await.unwrap();
        assert_eq!(status, 101);
        assert!(head.contains("sec-websocket-protocol: bearer") && !head.contains("abc"), "{head}");
    });
}
