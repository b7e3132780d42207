//! Days: connections that a venue ends every 24 h are replaced before, without a hole.

use std::collections::BTreeSet;

use feeds::live::Live;
use futures_util::{SinkExt, StreamExt};
use tokio::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::Message;

use super::server::{Setting, on_stage, told};
use super::venue::LIVE;
use crate::feed::slot::SlotState;

const DAYS: u32 = 2;

/// A trade a minute to every connection that is open and asked for it; the venue cuts each after 24 h.
#[tokio::test(start_paused = true)]
async fn two_days_of_connections_of_24_h_lose_no_trade_of_2880() {
    on_stage(async {
        let live = Live { lifetime_seconds: Some(86_400), ..LIVE };
        let silence = Duration::from_secs(600);
        let mut scene = Setting { silence, ..Setting::new(live, 1) }.start();
        let (trades, _) = tokio::sync::broadcast::channel::<u32>(16);
        let (mut ids, mut overlaps, mut is_open) = (BTreeSet::new(), 0, BTreeSet::new());
        let mut minutes = tokio::time::interval(Duration::from_secs(60));
        let mut id = 0;
        while id < DAYS * 1_440 {
            tokio::select! {
                _ = minutes.tick() => {
                    id += 1;
                    let _ = trades.send(id);
                }
                Some(wire) = scene.wires.recv() => {
                    let mut trades = trades.subscribe();
                    tokio::task::spawn_local(async move {
                        let mut peer = tokio_tungstenite::accept_async(wire).await.unwrap();
                        let begin = Instant::now();
                        let mut is_subscribed = false;
                        loop {
                            let out = tokio::select! {
                                Ok(id) = trades.recv() => format!("trade S0 {id}"),
                                text = peer.next() => match text {
                                    Some(Ok(Message::Text(text))) => {
                                        is_subscribed = true;
                                        text.replace("subscribe", "ack")
                                    }
                                    Some(Ok(_)) => continue,
                                    _ => return,
                                },
                                () = tokio::time::sleep_until(begin + Duration::from_secs(86_400)) => return,
                            };
                            if is_subscribed && peer.send(Message::text(out)).await.is_err() {
                                return;
                            }
                        }
                    });
                }
                Some(delivery) = scene.deliveries.recv() => {
                    let text = told(delivery);
                    assert!(!text.starts_with("alarm"), "{text}");
                    let words: Vec<&str> = text.split(' ').collect();
                    match words[0] {
                        "opened" => {
                            overlaps += u32::from(!is_open.is_empty());
                            is_open.insert(words[1].to_owned());
                        }
                        "closed" => {
                            assert!(text.contains("replaced: its lifetime is nearly over"), "{text}");
                            is_open.remove(words[1]);
                        }
                        _ => ids.extend(words.iter().filter_map(|word| word.split_once('#')?.1.parse::<u32>().ok())),
                    }
                }
            }
        }
        // The first may have been before the subscription; of the others none is missing but the one on its way.
        let first = *ids.first().unwrap();
        assert!(first <= 2);
        assert_eq!(ids, (first..=*ids.last().unwrap()).collect());
        assert!(*ids.last().unwrap() >= id - 1);
        let status = scene.feeds.status().remove(0);
        assert_eq!((status.state, status.alarms, status.failures), (SlotState::Live, 0, 0));
        assert_eq!(u64::from(overlaps), status.reconnects, "each was open before the other ended");
        assert!((u64::from(DAYS)..=u64::from(DAYS) + 1).contains(&status.reconnects), "{status:?}");
    })
    .await;
}
