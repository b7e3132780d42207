//! A served run, raw clients of it, and a well-behaved one that is served all the while.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use feeds::time::Nanos;
use sha2::{Digest, Sha256};
use socket2::{Domain, Socket, Type};
use tapedeck::clock;
use tapedeck::config::{Access, Catalogue, Config, Listen, Scope, Token};
use tapedeck::live::control::Command;
use tapedeck::live::{Deck, LiveOptions};
use tapedeck::serve::{Server, bind_for};
use tapedeck::store::Store;
use tapedeck::store::memory::MemoryStore;
use tapedeck::tape::Cut;
use tapedeck::view::{Facts, Viewer};
use tokio::sync::mpsc;

/// Nothing may take longer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
/// Tokens, made up.
pub(crate) const READ: &str = "made-up.read-token";
pub(crate) const CONTROL: &str = "made-up.control-token";
pub(crate) const ENDED: &str = "made-up.ended-token";
/// A page that may ask.
pub(crate) const ORIGIN: &str = "https://desk.example";

/// A run that gets no ticks, and is served.
pub(crate) struct Stage {
    deck: Option<Deck>,
    server: Option<Server>,
    pub(crate) address: SocketAddr,
}

impl Stage {
    pub(crate) fn new(access: &Access) -> Stage {
        Stage::controlled(access, None)
    }

    /// One that takes commands at the other end of `control`.
    pub(crate) fn controlled(access: &Access, control: Option<mpsc::Sender<Command>>) -> Stage {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let config = Config::standard(&Catalogue::built_in());
        let facts = Facts { checkpoint_every: config.engine.checkpoint_every, ..Facts::default() };
        let options = LiveOptions { config, workers: 1, cut: Cut::Adaptive, sabotage: None };
        let deck = Deck::start(&store, &options, None).unwrap();
        let viewer = Viewer::new(deck.pulse(), store, facts);
        let viewer = Arc::new(match control {
            Some(control) => viewer.controlled(control),
            None => viewer,
        });
        let bound = bind_for(&Listen::At("127.0.0.1:0".to_owned()), access).unwrap().unwrap();
        let server = bound.serve(viewer).unwrap();
        Stage { deck: Some(deck), address: server.address(), server: Some(server) }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.server.take();
        if let Some(deck) = self.deck.take().filter(|_| !std::thread::panicking()) {
            deck.stop().unwrap();
        }
    }
}

/// The hash of a token under a name.
pub(crate) fn token(text: &str, scope: Scope, expires: Option<Nanos>) -> Token {
    let sha256 = Sha256::digest(text.as_bytes()).into();
    Token { name: text.replace('.', "-"), scope, sha256, expires }
}

/// With all three tokens.
pub(crate) fn guarded() -> Access {
    let tokens = vec![
        token(READ, Scope::Read, None),
        token(CONTROL, Scope::Control, None),
        token(ENDED, Scope::Read, Some(clock::wall() - 1)),
    ];
    Access { tokens, origins: vec![ORIGIN.to_owned()], ..Access::default() }
}

/// What came back. The status is 0 if the connection was closed without a word.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn of(bytes: &[u8]) -> Answer {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Answer { status, head: head.to_lowercase(), body: body.to_owned() }
    }
}

/// A connection from any address of loopback's.
pub(crate) fn connect_from(address: SocketAddr, from: &str) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(from.parse::<IpAddr>().unwrap(), 0).into()).unwrap();
    socket.connect(&address.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    connect_from(address, "127.0.0.1")
}

/// All that comes until the end; what comes before a reset counts too.
pub(crate) fn read_all(stream: &mut impl Read) -> Vec<u8> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4_096]);
    while let Ok(length @ 1..) = stream.read(&mut piece) {
        bytes.extend(&piece[..length]);
    }
    bytes
}

/// Sends bytes on a connection of their own.
pub(crate) fn send(address: SocketAddr, bytes: &[u8]) -> Answer {
    let mut stream = connect(address);
    // Some are answered, and closed, before they have said all.
    let _ = stream.write_all(bytes);
    Answer::of(&read_all(&mut stream))
}

/// A request that closes the connection, with further lines.
pub(crate) fn request(what: &str, lines: &[&str]) -> Vec<u8> {
    let host = if lines.iter().any(|line| line.starts_with("Host:")) { "" } else { "Host: localhost\r\n" };
    let mut text = format!("{what} HTTP/1.1\r\n{host}");
    if !lines.iter().any(|line| line.starts_with("Connection:")) {
        text.push_str("Connection: close\r\n");
    }
    for line in lines {
        text.push_str(line);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// The line that shows a token.
pub(crate) fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

/// How long the well-behaved client rests between two requests.
const REST: Duration = Duration::from_millis(5);

/// A client that asks again and again, each time on a connection of its own, and must always be served.
pub(crate) struct Healthy {
    stop: Sender<()>,
    thread: JoinHandle<usize>,
}

impl Healthy {
    pub(crate) fn start(address: SocketAddr, token: Option<&str>) -> Healthy {
        let line = token.map(bearer);
        let lines: Vec<&str> = line.as_deref().into_iter().collect();
        let bytes = request("GET /v1/status", &lines);
        let (stop, stopped) = bounded(0);
        let (begun, first) = bounded(1);
        let thread = std::thread::spawn(move || {
            let mut served = 0;
            loop {
                let mut stream = connect_from(address, "127.0.0.9");
                stream.write_all(&bytes).unwrap();
                let answer = Answer::of(&read_all(&mut stream));
                assert_eq!(answer.status, 200, "the well-behaved client: {answer:?}");
                served += 1;
                let _ = begun.try_send(());
                if stopped.recv_timeout(REST) != Err(RecvTimeoutError::Timeout) {
                    return served;
                }
            }
        });
        first.recv_timeout(DEADLINE).unwrap();
        Healthy { stop, thread }
    }

    /// How often it was served.
    pub(crate) fn end(self) -> usize {
        drop(self.stop);
        self.thread.join().unwrap()
    }
}
