//! The followers, in a process of their own.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use hdrhistogram::Histogram;
use tapedeck::clock;
use tapedeck::market::random::Random;
use tokio::net::TcpStream;
use tokio::sync::{Barrier, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketConfig};

use crate::{Failure, Load};

/// What tells this process from the other.
pub(crate) const ARGUMENT: &str = "--followers";
/// Connections that are opened at a time; a listener's queue has 128 places.
const OPENING: usize = 64;
/// Those of the cut that go on to the end: reading all again for all would take longer than all the rest.
const RESUMED: usize = 50;
/// What one that stalls reads before, half a second or so; what counts is what comes then.
const READ_AT_FIRST: u64 = 50;
/// A place that is none.
const NONE: u64 = u64::MAX;

/// What they share.
struct Crowd {
    address: SocketAddr,
    load: Load,
    opening: Semaphore,
    all_there: Barrier,
    /// Those who read are done.
    done: watch::Sender<bool>,
    cut: AtomicU64,
    resumed: AtomicU64,
    flaps: AtomicU64,
    /// Of all that read: one each would be 100 MiB.
    delivery: Mutex<Histogram<u64>>,
}

impl Crowd {
    /// An alert that was due then came to one that reads.
    fn delivered(&self, due: i64) -> Result<(), Failure> {
        let mut delivery = self.delivery.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(delivery.record(u64::try_from(clock::wall() - due).unwrap_or(0))?)
    }
}

/// One follower's place in the log.
struct Reader {
    crowd: Arc<Crowd>,
    last: u64,
}

/// Follows as the arguments say, and prints what came of it.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let [address, numbers @ ..] = arguments else { return Err("no address".into()) };
    let numbers: Vec<u64> = numbers.iter().map(|number| number.parse()).collect::<Result<_, _>>()?;
    let [healthy, flapping, stalled, after, last] = numbers[..] else { return Err("five numbers".into()) };
    let [healthy, flapping, stalled] = [healthy, flapping, stalled].map(|number| number as usize);
    let load = Load { healthy, flapping, stalled, after, last };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(crowd(address.parse()?, load))
}

async fn crowd(address: SocketAddr, load: Load) -> Result<(), Failure> {
    let crowd = Arc::new(Crowd {
        address,
        load,
        opening: Semaphore::new(OPENING),
        all_there: Barrier::new(load.healthy + load.flapping + load.stalled + 1),
        done: watch::Sender::new(false),
        cut: AtomicU64::new(0),
        resumed: AtomicU64::new(0),
        flaps: AtomicU64::new(0),
        delivery: Mutex::new(Histogram::new(3)?),
    });
    let reader = || Reader { crowd: Arc::clone(&crowd), last: load.after };
    let (mut readers, mut others) = (JoinSet::new(), JoinSet::new());
    for _ in 0..load.healthy {
        readers.spawn(named("one that reads", reader().healthy()));
    }
    for place in 0..load.flapping {
        others.spawn(named("one that comes and goes", reader().flapping(place as u64)));
    }
    for place in 0..load.stalled {
        others.spawn(named("one that does not read", reader().stalled(place < RESUMED)));
    }
    crowd.all_there.wait().await;
    println!("ready");
    while let Some(read) = readers.join_next().await {
        read??;
    }
    crowd.done.send_replace(true);
    while let Some(ended) = others.join_next().await {
        ended??;
    }
    let delivery = crowd.delivery.lock().unwrap_or_else(PoisonError::into_inner);
    for (name, quantile) in [("p50_us", 0.5), ("p99_us", 0.99), ("max_us", 1.0)] {
        println!("{name} {}", delivery.value_at_quantile(quantile) as f64 / 1_000.0);
    }
    for (name, count) in [("cut", &crowd.cut), ("resumed", &crowd.resumed), ("flaps", &crowd.flaps)] {
        println!("{name} {}", count.load(Ordering::Relaxed));
    }
    Ok(())
}

/// What came of one, by what it is.
async fn named(what: &str, following: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    following.await.map_err(|error| format!("{what}: {error}").into())
}

/// What a message is.
enum Said {
    /// The next alert, by when it was due.
    Alert(i64),
    Cut(u16, String),
    Nothing,
}

impl Reader {
    async fn connect(&self) -> Result<WebSocketStream<TcpStream>, Failure> {
        let _turn = self.crowd.opening.acquire().await?;
        let stream = TcpStream::connect(self.crowd.address).await?;
        let config = WebSocketConfig::default().read_buffer_size(4_096);
        let address = format!("ws://{}/v1/alerts/stream?after=1-{}", self.crowd.address, self.last);
        Ok(tokio_tungstenite::client_async_with_config(address, stream, Some(config)).await?.0)
    }

    /// The next message; an alert that is not the next one is a failure.
    async fn next(&mut self, socket: &mut WebSocketStream<TcpStream>) -> Result<Said, Failure> {
        let next = socket.next().await.ok_or("a stream ended without a word")?;
        match next.map_err(|error| format!("behind {}: {error}", self.last))? {
            Message::Text(text) if text.contains("\"heartbeat\"") => Ok(Said::Nothing),
            Message::Text(text) => {
                let (number, due) = read(&text).ok_or("an alert cannot be read")?;
                if number != self.last + 1 {
                    return Err(format!("alert {number} came behind {}", self.last).into());
                }
                self.last = number;
                Ok(Said::Alert(due))
            }
            Message::Close(frame) => {
                let frame = frame.ok_or("a stream was closed without a word")?;
                Ok(Said::Cut(frame.code.into(), frame.reason.to_string()))
            }
            _ => Ok(Said::Nothing),
        }
    }

    async fn healthy(mut self) -> Result<(), Failure> {
        let mut socket = self.connect().await?;
        self.crowd.all_there.wait().await;
        while self.last < self.crowd.load.last {
            match self.next(&mut socket).await? {
                Said::Alert(_) if self.last <= self.crowd.load.after + READ_AT_FIRST => {}
                Said::Alert(due) => self.crowd.delivered(due)?,
                Said::Cut(code, reason) => {
                    return Err(format!("one that reads was cut: {code} {reason}").into());
                }
                Said::Nothing => {}
            }
        }
        Ok(())
    }

    /// Reads for a second or so, and comes again from its cursor.
    async fn flapping(mut self, seed: u64) -> Result<(), Failure> {
        let mut random = Random::new(seed);
        let mut socket = self.connect().await?;
        self.crowd.all_there.wait().await;
        loop {
            let until = tokio::time::sleep(Duration::from_millis(300 + random.below(1_200)));
            tokio::pin!(until);
            loop {
                tokio::select! {
                    said = self.next(&mut socket) => {
                        said?;
                    }
                    () = &mut until => break,
                }
                if self.last == self.crowd.load.last {
                    return Ok(());
                }
            }
            drop(socket);
            self.crowd.flaps.fetch_add(1, Ordering::Relaxed);
            socket = self.connect().await?;
        }
    }

    /// Reads a little and then nothing until the others are done, and then what is left for it.
    async fn stalled(mut self, goes_on: bool) -> Result<(), Failure> {
        let mut socket = self.connect().await?;
        let mut done = self.crowd.done.subscribe();
        self.crowd.all_there.wait().await;
        while self.last < self.crowd.load.after + READ_AT_FIRST {
            self.next(&mut socket).await?;
        }
        done.wait_for(|done| *done).await?;
        let mut cut = NONE;
        while self.last < self.crowd.load.last && cut == NONE {
            if let Said::Cut(code, cursor) = self.next(&mut socket).await? {
                if (code, cursor.as_str()) != (4008, format!("1-{}", self.last).as_str()) {
                    return Err(format!("cut behind {} with {code} {cursor}", self.last).into());
                }
                cut = self.last;
                self.crowd.cut.fetch_add(1, Ordering::Relaxed);
            }
        }
        if cut == NONE || !goes_on {
            return Ok(());
        }
        let mut socket = self.connect().await?;
        while self.last < self.crowd.load.last {
            self.next(&mut socket).await?;
        }
        self.crowd.resumed.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// The number of an alert and its message, without reading the rest.
fn read(text: &str) -> Option<(u64, i64)> {
    let behind = |name: &str| text.split_once(name)?.1.split_once('"').map(|(value, _)| value);
    let number = behind("\"cursor\":\"")?.split_once('-')?.1.parse().ok()?;
    Some((number, behind("\"message\":\"")?.parse().ok()?))
}
