//! Many followers at once, most of them bad: each ends with every alert, in order and once.

use std::time::Duration;

use feeds::time::{Nanos, SECOND};
use tapedeck::clock::{self, Stamp};
use tapedeck::serve::Terms;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::client::{Follower, Said, number};
use crate::support::{on, raw};

const PATH: &str = "/v1/alerts/stream";
/// Alerts in all, and how many are committed at once.
const ALERTS: u64 = 2_500;
const AT_ONCE: u64 = 50;
/// Followers that read, that keep going and coming again, and that do not read.
const HEALTHY: usize = 40;
const FLAPPING: usize = 15;
const STALLED: usize = 50;
/// The server's time for bytes that are not acknowledged: a connection that is younger has not met it.
const GIVEN_UP_AFTER: Nanos = 30 * SECOND;

/// What became of a follower.
#[derive(Debug, Default)]
struct Ledger {
    /// The last number that it has, having had all before it.
    last: u64,
    connections: usize,
    cuts: usize,
    /// When it connected last.
    since: Option<Stamp>,
}

impl Ledger {
    /// One more connection, until it is cut, has `most` alerts, or has all.
    async fn read_on(&mut self, follower: &mut Follower, most: u64) {
        let from = self.last;
        while self.last < ALERTS && self.last - from < most {
            match follower.next().await {
                Said::Row(row) => {
                    assert_eq!(number(&row), self.last + 1);
                    self.last += 1;
                }
                Said::Heartbeat(_) => {}
                Said::Cut(code, cursor) => {
                    // What the kernel keeps for one that does not read, it gives up after half a minute.
                    let is_given_up =
                        code == 0 && self.since.is_some_and(|s| s.elapsed_nanos() > GIVEN_UP_AFTER);
                    let is_told = (code, cursor.as_str()) == (4008, format!("1-{}", self.last).as_str());
                    assert!(is_told || is_given_up, "{code} {cursor} behind {}", self.last);
                    self.cuts += 1;
                    return;
                }
            }
        }
    }

    async fn connect(&mut self, address: std::net::SocketAddr, is_narrow: bool) -> Follower {
        self.connections += 1;
        self.since = Some(clock::stamp());
        let path = format!("{PATH}?after=1-{}", self.last);
        if is_narrow {
            Follower::narrow(address, &path).await
        } else {
            Follower::connect(address, &path).await
        }
    }
}

#[test]
fn each_of_many_has_every_alert_once_whatever_the_others_do() {
    let terms = Terms { write_within: Duration::from_millis(500), ..Terms::default() };
    on(terms, async |served| {
        let address = served.address;
        let (all_cut, wait) = watch::channel(false);
        let (mut readers, mut stalled) = (JoinSet::new(), JoinSet::new());
        for place in 0..HEALTHY + FLAPPING {
            let most = if place < HEALTHY { u64::MAX } else { 37 + place as u64 };
            readers.spawn(async move {
                let mut ledger = Ledger::default();
                while ledger.last < ALERTS {
                    let mut follower = ledger.connect(address, false).await;
                    ledger.read_on(&mut follower, most).await;
                }
                (place < HEALTHY, ledger)
            });
        }
        for _ in 0..STALLED {
            let mut wait = wait.clone();
            stalled.spawn(async move {
                let mut ledger = Ledger::default();
                let mut follower = ledger.connect(address, true).await;
                wait.wait_for(|cut| *cut).await.unwrap();
                ledger.read_on(&mut follower, u64::MAX).await;
                let cut_at = ledger.last;
                while ledger.last < ALERTS {
                    let mut follower = ledger.connect(address, false).await;
                    ledger.read_on(&mut follower, u64::MAX).await;
                }
                (cut_at, ledger)
            });
        }
        for first in (1..=ALERTS).step_by(AT_ONCE as usize) {
            served.tell(first..=first + AT_ONCE - 1);
            tokio::task::yield_now().await;
        }
        let (mut connections, mut cuts) = (0, 0);
        while let Some(done) = readers.join_next().await {
            let (is_healthy, ledger) = done.unwrap();
            assert_eq!(ledger.last, ALERTS);
            // Also one that reads may be cut on a machine that is busy; it loses nothing by that.
            assert_eq!(ledger.connections - 1, if is_healthy { ledger.cuts } else { ledger.connections - 1 });
            connections += ledger.connections;
            cuts += ledger.cuts;
        }
        assert!(connections > HEALTHY + 10 * FLAPPING, "{connections}");
        // None of those who read waited for one who does not: only now do these read what is left for them.
        served.are_cut(STALLED + cuts).await;
        all_cut.send_replace(true);
        while let Some(done) = stalled.join_next().await {
            let (cut_at, ledger) = done.unwrap();
            assert!((1..ALERTS).contains(&cut_at) && ledger.cuts >= 1, "{ledger:?}");
            assert_eq!(ledger.last, ALERTS);
        }
    });
}

/// Who finds no place is told so, and finds one when another has gone.
#[test]
fn there_are_so_many_places_and_no_more() {
    const LOOK: &str = "/v1/windows/stream?live=true";
    let terms = Terms { followers: 3, lookers: 2, ..Terms::default() };
    on(terms, async |served| {
        let address = served.address;
        let refused = |path: &str, why: &str| {
            let (status, head, body) = raw(address, path, "Accept: text/event-stream\r\n");
            assert!(
                status == 503 && head.contains("retry-after: 5") && body.contains(why),
                "{status} {body}"
            );
        };
        let first = Follower::connect(address, LOOK).await;
        let second = Follower::connect(address, LOOK).await;
        refused(LOOK, "2 look at open windows already");
        let third = Follower::connect(address, "/v1/windows/stream").await;
        refused(PATH, "3 follow already");
        served.shows("tapedeck_followers{way=\"socket\"} 3").await;
        served.shows("tapedeck_followers_refused_total 2").await;
        drop(third);
        served.shows("tapedeck_followers{way=\"socket\"} 2").await;
        refused(LOOK, "2 look at open windows already");
        let again = Follower::connect(address, PATH).await;
        refused(PATH, "3 follow already");
        drop((first, again));
        served.shows("tapedeck_followers{way=\"socket\"} 1").await;
        drop((Follower::connect(address, LOOK).await, second));
        served.shows("tapedeck_followers_refused_total 4").await;
    });
}
