//! The far end: a thread for each connection, which answers subscriptions and then writes what it was given.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use tapedeck::clock::{self, Stamp};
use tokio_tungstenite::tungstenite::{self, Message};

use super::frames::Frames;
use crate::Failure;

/// Bytes written at once.
const CHUNK_BYTES: usize = 256 << 10;

/// When what is sent.
#[derive(Clone, Copy)]
pub(crate) enum Pace {
    /// As fast as it is taken.
    Flood,
    /// So many nanoseconds apart, by a plan that waits for nobody.
    Every(u64),
}

/// See the module.
pub(crate) struct Exchange {
    pub(crate) address: SocketAddr,
    pub(crate) frames: usize,
    /// Everybody is subscribed, and the first byte goes out now.
    begun: Receiver<Stamp>,
}

impl Exchange {
    /// Waits for `connections`, and then floods them.
    pub(crate) fn start(connections: usize, frames: Frames) -> Result<Exchange, Failure> {
        Exchange::paced(connections, frames, Pace::Flood)
    }

    /// Waits for `connections`, and then sends at `pace`.
    pub(crate) fn paced(connections: usize, frames: Frames, pace: Pace) -> Result<Exchange, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let count = frames.ends.iter().map(Vec::len).sum();
        let ready = Arc::new(Barrier::new(connections));
        let (begin, begun) = bounded(connections);
        let mut shares = frames.bytes.into_iter().zip(frames.ends);
        std::thread::spawn(move || {
            // Connections come in any order: each share goes to the one that asks for its symbol.
            let mut waiting: Vec<_> = (0..connections).map(|_| shares.next()).collect();
            for wire in listener.incoming().take(connections) {
                let Ok((wire, first)) = wire.map_err(Failure::from).and_then(greet) else { return };
                let place = if connections == 1 { 0 } else { first };
                let Some((bytes, ends)) = waiting.get_mut(place).and_then(Option::take) else { return };
                let (ready, begin) = (Arc::clone(&ready), begin.clone());
                std::thread::spawn(move || {
                    ready.wait();
                    let start = clock::stamp();
                    let _ = begin.send(start);
                    send(wire, &bytes, &ends, pace, start)
                });
            }
        });
        Ok(Exchange { address, frames: count, begun })
    }

    /// When the first frame was due.
    pub(crate) fn begun(&self) -> Result<Stamp, Failure> {
        Ok(self.begun.recv()?)
    }
}

/// Shakes hands, acknowledges the subscription, and says which symbol it names first.
fn greet(wire: TcpStream) -> Result<(TcpStream, usize), Failure> {
    wire.set_nodelay(true)?;
    let mut socket = tungstenite::accept(wire).map_err(|error| error.to_string())?;
    loop {
        let message = socket.read()?;
        let Message::Text(text) = message else { continue };
        let text = text.as_str();
        let first =
            text.find("made").and_then(|at| text.get(at + 4..at + 5)).and_then(|digit| digit.parse().ok());
        let id = text.rsplit("\"id\":").next().unwrap_or("").chars().take_while(char::is_ascii_digit);
        let id: String = id.collect();
        socket.send(Message::text(format!(
            r#"{{"result":null,"id":{}}}"#,
            if id.is_empty() { "1" } else { &id }
        )))?;
        return Ok((socket.into_inner(), first.unwrap_or(0)));
    }
}

fn send(mut wire: TcpStream, bytes: &[u8], ends: &[usize], pace: Pace, start: Stamp) -> std::io::Result<()> {
    match pace {
        Pace::Flood => {
            for chunk in bytes.chunks(CHUNK_BYTES) {
                wire.write_all(chunk)?;
            }
        }
        Pace::Every(apart) => {
            let (mut sent, mut from) = (0, 0);
            while sent < ends.len() {
                let now = start.elapsed_nanos().unsigned_abs();
                let due =
                    usize::try_from(now / apart).unwrap_or(usize::MAX).saturating_add(1).min(ends.len());
                if due > sent {
                    wire.write_all(&bytes[from..ends[due - 1]])?;
                    (sent, from) = (due, ends[due - 1]);
                } else {
                    let next = apart * sent as u64;
                    // Nobody unparks it.
                    std::thread::park_timeout(Duration::from_nanos(next.saturating_sub(now)));
                }
            }
        }
    }
    // Open until the other side has had enough.
    let mut rest = [0; 64];
    while std::io::Read::read(&mut wire, &mut rest)? > 0 {}
    Ok(())
}
