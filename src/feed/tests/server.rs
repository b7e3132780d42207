//! The other end: wires that a test takes over, and what comes out of the feeds.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use feeds::live::{Channel, Live, Ticket};
use feeds::tick::Event;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::venue::{venue, with_ticket};
use crate::feed::address::Address;
use crate::feed::budget::Budgets;
use crate::feed::delivery::Delivery;
use crate::feed::dial::{Dial, Dialling, Wire};
use crate::feed::{FeedOptions, FeedSpec, Feeds};

/// Bytes that a pipe holds; a peer that does not read is felt soon.
const PIPE_BYTES: usize = 64 << 10;

/// Hands the far end of each wire to the test; panics or fails where the script says so.
pub(super) struct PipeDial {
    wires: mpsc::Sender<DuplexStream>,
    pub(super) addresses: Mutex<Vec<(Instant, String)>>,
    pub(super) script: Mutex<VecDeque<Turn>>,
}

/// What the next attempt meets, instead of a wire.
pub(super) enum Turn {
    /// An actor that dies.
    Panic,
    /// Nobody there.
    Unreachable,
}

impl PipeDial {
    pub(super) fn new(wires: mpsc::Sender<DuplexStream>) -> PipeDial {
        PipeDial { wires, addresses: Mutex::default(), script: Mutex::default() }
    }
}

impl Dial for PipeDial {
    fn dial<'a>(&'a self, address: &'a Address) -> Dialling<'a> {
        Box::pin(async move {
            self.addresses.lock().unwrap().push((Instant::now(), address.request()));
            // Not in the head of the match: a panic there would poison the script.
            let turn = self.script.lock().unwrap().pop_front();
            match turn {
                Some(Turn::Panic) => panic!("the test asked for it"),
                Some(Turn::Unreachable) => return Err(io::Error::other("nobody there")),
                None => {}
            }
            let (near, far) = tokio::io::duplex(PIPE_BYTES);
            self.wires.send(far).await.map_err(io::Error::other)?;
            Ok(Box::new(near) as Wire)
        })
    }
}

/// A test's surroundings.
pub(super) struct Scene {
    pub(super) feeds: Feeds,
    pub(super) deliveries: mpsc::Receiver<Delivery>,
    pub(super) wires: mpsc::Receiver<DuplexStream>,
    pub(super) dial: Arc<PipeDial>,
    pub(super) start: Instant,
}

/// How a scene differs from the usual one.
pub(super) struct Setting {
    pub(super) live: Live,
    pub(super) symbols: Vec<String>,
    pub(super) silence: Duration,
    pub(super) room: usize,
    pub(super) script: Vec<Turn>,
    pub(super) ticket: Option<&'static dyn Ticket>,
}

impl Setting {
    /// `count` symbols, `S0` and on, with trades; an hour of silence allowed.
    pub(super) fn new(live: Live, count: usize) -> Setting {
        let symbols = (0..count).map(|n| format!("S{n}")).collect();
        Setting {
            live,
            symbols,
            silence: Duration::from_secs(3_600),
            room: 10_000,
            script: Vec::new(),
            ticket: None,
        }
    }

    pub(super) fn start(self) -> Scene {
        let (wires_in, wires) = mpsc::channel(1_000);
        let (deliveries_in, deliveries) = mpsc::channel(self.room);
        let dial = Arc::new(PipeDial::new(wires_in));
        dial.script.lock().unwrap().extend(self.script);
        let spec = FeedSpec {
            venue: self.ticket.map_or_else(|| venue(self.live), |ticket| with_ticket(self.live, ticket)),
            symbols: self.symbols,
            channels: vec![Channel::Trades],
            url: Some("ws://127.0.0.1:9100/foo".to_owned()),
            silence: self.silence,
        };
        let options = FeedOptions {
            dial: dial.clone(),
            budgets: Arc::new(Budgets::default()),
            seed: 7,
            wall: crate::clock::wall,
        };
        let start = Instant::now();
        let feeds = Feeds::start(&[spec], deliveries_in, options).unwrap();
        Scene { feeds, deliveries, wires, dial, start }
    }
}

/// Runs a test where actors can live.
pub(super) async fn on_stage<T>(test: impl Future<Output = T>) -> T {
    LocalSet::new().run_until(test).await
}

/// The far end of a WebSocket.
pub(super) type Peer = WebSocketStream<DuplexStream>;

impl Scene {
    /// The next connection, shaken hands with.
    pub(super) async fn accept(&mut self) -> Peer {
        let wire = self.wires.recv().await.unwrap();
        tokio_tungstenite::accept_async(wire).await.unwrap()
    }

    /// The next connection, with everything subscribed and acknowledged that `requests` messages ask for.
    pub(super) async fn accept_and_acknowledge(&mut self, requests: usize) -> Peer {
        let mut peer = self.accept().await;
        for _ in 0..requests {
            acknowledge(&mut peer).await;
        }
        peer
    }

    /// The next attempt, answered with `head` and nothing else.
    pub(super) async fn refuse(&mut self, head: &str) {
        let mut wire = self.wires.recv().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(wire.read_u8().await.unwrap());
        }
        wire.write_all(format!("{head}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await.unwrap();
    }

    /// The next delivery in words: `opened 0`, `frames 0 S0#7 S1#8`, `alarm …`, `closed 0 …`,
    /// `broken off 0 …`.
    pub(super) async fn next(&mut self) -> String {
        told(self.deliveries.recv().await.unwrap())
    }

    /// As [`Scene::next`], passing over deliveries without ticks until one begins with `mark`.
    pub(super) async fn next_of(&mut self, mark: &str) -> String {
        loop {
            let text = self.next().await;
            if text.starts_with(mark) {
                return text;
            }
        }
    }
}

/// A delivery in words.
pub(super) fn told(delivery: Delivery) -> String {
    match delivery {
        Delivery::Opened { connection, .. } => format!("opened {}", connection.0),
        Delivery::Closed { connection, why, broken_off, .. } => {
            format!("{} {} {why}", if broken_off { "broken off" } else { "closed" }, connection.0)
        }
        Delivery::Time { .. } => "time".to_owned(),
        Delivery::Stopping { .. } => "stopping".to_owned(),
        Delivery::Wish { wish, .. } => format!("wish {} {}", wish.stream.native, wish.wanted),
        Delivery::Answer { answer, .. } => {
            let streams = answer.streams.iter().map(|one| format!(" {}:{}", one.native, one.channel.name()));
            format!("granted {}{}", answer.granted, streams.collect::<String>())
        }
        Delivery::Rules { .. } => "rules".to_owned(),
        Delivery::Past { past, .. } => format!("past {} {}", past.first, past.last),
        Delivery::Alarm { alarm, .. } => format!("alarm {}", alarm.what),
        Delivery::Frames(decoded) => {
            assert!(decoded.counts.adds_up());
            assert_eq!(decoded.counts.frames as usize, decoded.frames.len());
            let ticks: usize = decoded.frames.iter().map(|frame| frame.ticks).sum();
            assert_eq!(ticks, decoded.output.ticks.len());
            let ids = decoded.output.ticks.iter().map(|tick| match tick.event {
                Event::Trade(trade) => format!(" {}#{}", tick.symbol.0, trade.id().unwrap_or(0)),
                _ => " ?".to_owned(),
            });
            let broken = if decoded.counts.broken > 0 { " broken" } else { "" };
            format!("frames {}{}{broken}", decoded.connection.0, ids.collect::<String>())
        }
    }
}

/// The next words of a client; pings and pongs are passed over. `None` when it has gone.
pub(super) async fn heard(peer: &mut Peer) -> Option<String> {
    loop {
        match peer.next().await? {
            Ok(Message::Text(text)) => return Some(text.to_string()),
            Ok(Message::Close(frame)) => {
                return frame.map(|frame| format!("close {}", u16::from(frame.code)));
            }
            Ok(_) => {}
            Err(_) => return None,
        }
    }
}

/// Acknowledges the next request.
pub(super) async fn acknowledge(peer: &mut Peer) -> String {
    let request = heard(peer).await.unwrap();
    let names = request.strip_prefix("subscribe").unwrap();
    say(peer, &format!("ack{names}")).await;
    request
}

/// Sends a text.
pub(super) async fn say(peer: &mut Peer, text: &str) {
    peer.send(Message::text(text)).await.unwrap();
}
