//! The usual course: subscribed, read, changed while running, closed.

use tokio::time::Duration;

use super::server::{Setting, acknowledge, heard, on_stage, say};
use super::venue::LIVE;
use crate::feed::slot::SlotState;

#[tokio::test(start_paused = true)]
async fn what_comes_in_together_goes_on_together_and_every_connection_is_closed_with_1000() {
    on_stage(async {
        let mut scene = Setting::new(LIVE, 7).start();
        let mut peer = scene.accept().await;
        assert_eq!(scene.next().await, "opened 0");
        let first = acknowledge(&mut peer).await;
        assert_eq!(first, "subscribe S0:trades S1:trades S2:trades S3:trades S4:trades", "5 in a request");
        assert_eq!(acknowledge(&mut peer).await, "subscribe S5:trades S6:trades");
        for text in ["trade S0 1", "trade S1 1", "nonsense", "trade S0 2", "skipped 5 9", "ask"] {
            say(&mut peer, text).await;
        }
        assert_eq!(scene.next_of("frames 0 ").await, "frames 0 0#1 1#1 0#2 broken");
        assert_eq!(heard(&mut peer).await.as_deref(), Some("answer"));
        let status = scene.feeds.status().remove(0);
        assert_eq!((status.state, status.streams, status.acknowledged), (SlotState::Live, 7, 7));
        assert_eq!((status.frames, status.skipped, status.reconnects), (8, 5, 0));
        assert_eq!(status.address, "ws://127.0.0.1:9100/foo/stream");
        assert!(serde_json::to_string(&status).unwrap().contains(r#""state":"live""#));

        let last_words = async {
            assert_eq!(heard(&mut peer).await.as_deref(), Some("close 1000"));
        };
        tokio::join!(scene.feeds.stop(), last_words);
        let mut end = String::new();
        while let Some(delivery) = scene.deliveries.recv().await {
            end = super::server::told(delivery);
        }
        assert_eq!(end, "closed 0 stopped");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn requests_keep_to_5_a_second() {
    on_stage(async {
        let live = feeds::live::Live { streams_per_connection: 100, ..LIVE };
        let mut scene = Setting::new(live, 60).start();
        let mut peer = scene.accept().await;
        let mut times = Vec::new();
        for _ in 0..12 {
            acknowledge(&mut peer).await;
            times.push(scene.start.elapsed());
        }
        for (first, sixth) in times.iter().zip(times.iter().skip(5)) {
            assert!(*sixth - *first >= Duration::from_secs(1), "{times:?}");
        }
    })
    .await;
}
