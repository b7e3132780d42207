//! The alert log as server-sent events.

use std::time::Duration;

use serde_json::Value;
use tapedeck::serve::Terms;

use crate::client::{Event, Listener, dial, number};
use crate::support::{get, on};

const PATH: &str = "/v1/alerts/stream";

fn row(event: &Event) -> Value {
    assert_eq!(event.name, "");
    let row: Value = serde_json::from_str(&event.data).unwrap();
    assert_eq!(row["cursor"], event.id.as_str());
    row
}

async fn numbers_to(listener: &mut Listener, last: u64) -> Vec<u64> {
    let mut numbers = Vec::new();
    while numbers.last() != Some(&last) {
        let event = listener.next().await.unwrap_or_else(|| panic!("it ends behind {:?}", numbers.last()));
        if event.name != "heartbeat" {
            numbers.push(number(&row(&event)));
        }
    }
    numbers
}

#[test]
fn events_go_on_where_the_browser_was() {
    on(Terms::default(), async |served| {
        served.tell(1..=30);
        let mut listener = Listener::connect(served.address, PATH, "").await;
        assert!(listener.head.contains("content-type: text/event-stream"), "{}", listener.head);
        assert!(listener.head.contains("cache-control: no-store"), "{}", listener.head);
        assert_eq!(numbers_to(&mut listener, 30).await, (1..=30).collect::<Vec<u64>>());
        served.tell(31..=33);
        assert_eq!(numbers_to(&mut listener, 33).await, [31, 32, 33]);
        let (_, listed) = get(served.address, "/v1/alerts?after=1-33");
        assert_eq!(listed["rows"].as_array().unwrap().len(), 0);
        // A browser repeats the address that it began with; how far it came is in the header.
        let mut again =
            Listener::connect(served.address, &format!("{PATH}?after=1-2"), "Last-Event-ID: 1-31\r\n").await;
        assert_eq!(numbers_to(&mut again, 33).await, [32, 33]);
        let ending = served.stop_server();
        for listener in [&mut listener, &mut again] {
            let cut = listener.next().await.unwrap();
            assert_eq!(
                (cut.name.as_str(), cut.data.as_str()),
                ("cut", "{\"code\":1001,\"cursor\":\"1-33\"}")
            );
            assert_eq!(listener.next().await, None);
        }
        ending.await.unwrap();
    });
}

#[test]
fn heartbeats_carry_the_cursor_as_id() {
    on(Terms { heartbeat_every: Duration::from_millis(50), ..Terms::default() }, async |served| {
        let mut listener = Listener::connect(served.address, &format!("{PATH}?rule=none"), "").await;
        served.tell(1..=5);
        loop {
            let event = listener.next().await.unwrap();
            assert_eq!(event.name, "heartbeat");
            if event.id == "1-5" {
                break;
            }
        }
    });
}

#[test]
fn who_does_not_read_is_cut_and_nobody_else_waits() {
    on(Terms { write_within: Duration::from_millis(300), ..Terms::default() }, async |served| {
        let narrow = dial(served.address, Some(4_096)).await;
        let mut stalled = Listener::over(narrow, PATH, "").await;
        let mut healthy = Listener::connect(served.address, PATH, "").await;
        for first in (1..=6_000).step_by(500) {
            served.tell(first..=first + 499);
            let wanted: Vec<u64> = (first..=first + 499).collect();
            assert_eq!(numbers_to(&mut healthy, first + 499).await, wanted);
        }
        served.shows("tapedeck_followers_ended_total{reason=\"slow\"} 1").await;
        let mut last = 0;
        let cut = loop {
            let event = stalled.next().await.unwrap();
            if event.name == "cut" {
                break event.data;
            }
            last += 1;
            assert_eq!(number(&row(&event)), last);
        };
        assert_eq!(cut, format!("{{\"code\":4008,\"cursor\":\"1-{last}\"}}"));
        assert!((1..3_000).contains(&last), "the kernel kept {last}");
        let mut again =
            Listener::connect(served.address, PATH, &format!("Last-Event-ID: 1-{last}\r\n")).await;
        assert_eq!(numbers_to(&mut again, 6_000).await, (last + 1..=6_000).collect::<Vec<u64>>());
    });
}
