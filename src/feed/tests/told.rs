//! What the log says of venues that cannot be reached, at the level that is shown without being asked for.

use std::sync::Mutex;

use tokio::time::{Duration, timeout};
use tracing_subscriber::fmt::MakeWriter;

use super::server::{Scene, Setting, Turn, heard, on_stage, say};
use super::venue::LIVE;

/// What is logged on this thread from now on.
struct Log {
    lines: &'static Mutex<Vec<u8>>,
    _guard: tracing::subscriber::DefaultGuard,
}

impl Log {
    fn of(level: tracing::Level) -> Log {
        let lines: &'static Mutex<Vec<u8>> = Box::leak(Box::default());
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_ansi(false)
            .without_time()
            .with_target(false)
            .with_writer(move || lines.make_writer());
        Log { lines, _guard: tracing::subscriber::set_default(subscriber.finish()) }
    }

    /// What came since it was last asked.
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(std::mem::take(&mut *self.lines.lock().unwrap())).unwrap();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }
}

const AT: &str = r#"venue="foo" address="ws://127.0.0.1:9100/foo/stream""#;

/// A venue that refuses so many connects, and then answers.
fn away(attempts: usize) -> Scene {
    let script = (0..attempts).map(|_| Turn::Unreachable).collect();
    Setting { script, ..Setting::new(LIVE, 1) }.start()
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_reached_is_told_at_first_and_then_ever_more_seldom() {
    on_stage(async {
        let log = Log::of(tracing::Level::WARN);
        let mut scene = away(20);
        let _peer = scene.accept_and_acknowledge(1).await;
        let lines = log.lines();
        let rows = [1, 2, 4, 8, 16];
        assert_eq!(lines.len(), rows.len(), "{lines:?}");
        for (line, row) in lines.iter().zip(rows) {
            let start = format!("WARN no connection {AT} why=\"");
            assert!(line.starts_with(&start) && line.contains("nobody there"), "{line}");
            assert!(line.ends_with(&format!("in_a_row={row}")), "{line}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_end_without_our_wish_is_told_and_one_of_ours_is_not() {
    on_stage(async {
        let log = Log::of(tracing::Level::INFO);
        let of_connections = || {
            let mut lines = log.lines();
            lines.retain(|line| line.contains("connection") && line.contains("venue="));
            lines
        };
        let mut scene = away(1);
        let mut peer = scene.accept_and_acknowledge(1).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        let lines = of_connections();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert_eq!(lines[1], format!("INFO a connection is up again {AT} troubles=1"));
        // Longer than that a connection counts as a good one; the peer answers pings meanwhile.
        assert!(timeout(Duration::from_secs(70), heard(&mut peer)).await.is_err());
        drop(peer);
        let mut peer = scene.accept_and_acknowledge(1).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        let lines = of_connections();
        assert!(
            lines[0].starts_with("WARN a connection has ended") && lines[0].ends_with("in_a_row=1"),
            "{lines:?}"
        );
        assert_eq!(lines.len(), 2, "{lines:?}");
        // Replaced, and stopped: as we want it.
        say(&mut peer, "ending").await;
        let mut next = scene.accept_and_acknowledge(1).await;
        while heard(&mut peer).await.is_some_and(|text| text != "close 1000") {}
        drop(peer);
        let last_words = async { while heard(&mut next).await.is_some_and(|text| text != "close 1000") {} };
        tokio::join!(scene.feeds.stop(), last_words);
        let lines = of_connections();
        let all_ours = lines.iter().all(|line| line.starts_with("INFO a connection has ended"));
        assert!(lines.len() == 2 && all_ours, "{lines:?}");
    })
    .await;
}
