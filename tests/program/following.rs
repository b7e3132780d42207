//! Clients of the alert stream that keep what they are told: over a WebSocket of their own, and the program's.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tapedeck::alert::{Alert, Cursor};
use tokio_tungstenite::tungstenite::{self, Error, Message, WebSocket};

use super::support::{Draws, Folder, Running, command, pause};

/// Before a client comes again.
const COMES_AGAIN: Duration = Duration::from_millis(25);
/// Between two looks at whether it is to stop.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Answers that mean: later.
const LATER: [u16; 2] = [429, 503];
/// One in so many kills of the run kills a client that is mortal, too.
const MORTAL_ONE_IN: u64 = 4;

/// What a client keeps of an alert: its number, its id, its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row(u64, String, String);

impl Row {
    pub(crate) fn of(number: u64, alert: &Alert) -> Row {
        Row(number, alert.id.to_string(), alert.state.name().to_owned())
    }

    /// An alert as it is told in this generation; none for a heartbeat.
    fn read(text: &str, known: u64) -> Option<Row> {
        let value: Value = serde_json::from_str(text).unwrap();
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        let cursor = text("cursor").unwrap();
        let (generation, number) = cursor.split_once('-').unwrap();
        assert_eq!(generation, known.to_string(), "nothing that was published was lost");
        Some(Row(number.parse().unwrap(), text("id")?, text("state")?))
    }
}

/// A client, and what it was told.
pub(crate) trait Follower {
    fn name(&self) -> String;

    /// The number of the last alert that it was told.
    fn number(&self) -> u64;

    /// It has not failed.
    fn check(&mut self);

    /// The run was killed.
    fn disturb(&mut self, draws: &mut Draws) {
        let _ = draws;
        self.check();
    }

    /// Ends it. Behind which number it began, and what it was told, each alert once.
    fn end(self: Box<Self>) -> (u64, Vec<Row>);
}

/// A client that comes again at once.
pub(crate) struct Socket {
    begin: u64,
    back: u64,
    last: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Row>>,
}

impl Socket {
    /// Follows behind this alert; each time it comes again it goes back by up to `back` alerts that it knows.
    pub(crate) fn start(port: u16, behind: Cursor, back: u64) -> Socket {
        let Cursor { generation, number: begin } = behind;
        let (last, stop) = (Arc::new(AtomicU64::new(begin)), Arc::new(AtomicBool::new(false)));
        let shared = (Arc::clone(&last), Arc::clone(&stop));
        let work = Work { port, generation, begin, back, last: shared.0, stop: shared.1, told: Vec::new() };
        Socket { begin, back, last, stop, thread: std::thread::spawn(|| work.run()) }
    }
}

impl Follower for Socket {
    fn name(&self) -> String {
        format!("a socket behind {}, back by {}", self.begin, self.back)
    }

    fn number(&self) -> u64 {
        self.last.load(Ordering::SeqCst)
    }

    fn check(&mut self) {
        assert!(!self.thread.is_finished(), "{}: it failed", self.name());
    }

    fn end(self: Box<Self>) -> (u64, Vec<Row>) {
        self.stop.store(true, Ordering::SeqCst);
        (self.begin, self.thread.join().unwrap())
    }
}

/// A socket's thread.
struct Work {
    port: u16,
    generation: u64,
    begin: u64,
    back: u64,
    last: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    told: Vec<Row>,
}

impl Work {
    fn run(mut self) -> Vec<Row> {
        let mut draws = Draws(self.begin + self.back + 1);
        while !self.stop.load(Ordering::SeqCst) {
            let known = self.told.len() as u64;
            let back = draws.below(self.back + 1).min(known);
            if let Some(socket) = self.open(self.begin + known - back) {
                self.listen(socket, (known - back) as usize);
            }
            pause(COMES_AGAIN);
        }
        self.told
    }

    fn open(&self, after: u64) -> Option<WebSocket<TcpStream>> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(LOOK_EVERY)).ok()?;
        let (port, generation) = (self.port, self.generation);
        let url = format!("ws://127.0.0.1:{port}/v1/alerts/stream?after={generation}-{after}");
        match tungstenite::client(url, stream) {
            Ok((socket, _)) => Some(socket),
            // A log that ends before what was told, or is another, is told by other answers.
            Err(tungstenite::HandshakeError::Failure(Error::Http(answer))) => {
                let status = answer.status().as_u16();
                assert!(LATER.contains(&status), "status {status} behind {after}");
                None
            }
            Err(_) => None,
        }
    }

    /// Takes what is told up to the end of the connection: one by one behind the alert in `place`, known ones as known.
    fn listen(&mut self, mut socket: WebSocket<TcpStream>, mut place: usize) {
        while !self.stop.load(Ordering::SeqCst) {
            let text = match socket.read() {
                Ok(Message::Text(text)) => text,
                Ok(_) => continue,
                Err(Error::Io(error))
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    continue;
                }
                Err(_) => return,
            };
            let Some(row) = Row::read(&text, self.generation) else { continue };
            assert_eq!(row.0, self.begin + place as u64 + 1, "not the next one");
            match self.told.get(place) {
                Some(known) => assert_eq!(row, *known, "told otherwise than before"),
                None => {
                    self.last.store(row.0, Ordering::SeqCst);
                    self.told.push(row);
                }
            }
            place += 1;
        }
    }
}

/// `tapedeck alerts follow` with its state file.
pub(crate) struct Program {
    name: &'static str,
    folder: PathBuf,
    port: u16,
    generation: u64,
    begin: u64,
    is_mortal: bool,
    starts: usize,
    running: Running,
}

impl Program {
    /// Follows behind this alert. One that `is_mortal` is killed with the run, now and then, and started again.
    pub(crate) fn start(
        folder: &Folder,
        port: u16,
        name: &'static str,
        behind: Cursor,
        is_mortal: bool,
    ) -> Program {
        let folder = folder.path().to_owned();
        let Cursor { generation, number: begin } = behind;
        let running = started(&folder, port, name, behind, 0);
        Program { name, folder, port, generation, begin, is_mortal, starts: 1, running }
    }
}

fn output(folder: &Path, name: &str, start: usize) -> PathBuf {
    folder.join(format!("{name}.{start}.ndjson"))
}

fn started(folder: &Path, port: u16, name: &str, behind: Cursor, start: usize) -> Running {
    let line = format!(
        "alerts follow http://127.0.0.1:{port} --after {behind} --format ndjson --state-file {name}.cursor"
    );
    let out = File::create(output(folder, name, start)).unwrap();
    let mut command = command(line.split(' '));
    let child = command.current_dir(folder).stdout(out).stderr(Stdio::null()).spawn().unwrap();
    Running { child }
}

impl Follower for Program {
    fn name(&self) -> String {
        format!("the program `{}` behind {}", self.name, self.begin)
    }

    fn number(&self) -> u64 {
        let cursor = fs::read_to_string(self.folder.join(format!("{}.cursor", self.name)));
        let number = cursor.ok().and_then(|cursor| cursor.trim().split_once('-')?.1.parse().ok());
        number.unwrap_or(self.begin)
    }

    fn check(&mut self) {
        assert_eq!(self.running.ended(), None, "{}: it ended", self.name());
    }

    fn disturb(&mut self, draws: &mut Draws) {
        self.check();
        if self.is_mortal && draws.below(MORTAL_ONE_IN) == 0 {
            self.running.signal("KILL");
            self.running.wait();
            let behind = Cursor { generation: self.generation, number: self.begin };
            self.running = started(&self.folder, self.port, self.name, behind, self.starts);
            self.starts += 1;
        }
    }

    fn end(mut self: Box<Self>) -> (u64, Vec<Row>) {
        self.running.signal("TERM");
        assert_eq!(self.running.wait().code(), Some(0));
        let mut told: Vec<Row> = Vec::new();
        for start in 0..self.starts {
            let text = fs::read_to_string(output(&self.folder, self.name, start)).unwrap();
            // What it was writing when it was killed is torn, and comes again.
            let (whole, torn) = text.rsplit_once('\n').unwrap_or(("", &text));
            assert!(torn.is_empty() || start + 1 < self.starts, "it ends with {torn:?}");
            let mut is_again = start > 0;
            for row in whole.lines().map(|line| Row::read(line, self.generation).unwrap()) {
                // Only who was killed is told again what it may have lost.
                match row.0.checked_sub(self.begin + 1).and_then(|place| told.get(place as usize)) {
                    Some(known) => assert!(is_again && row == *known, "{}: {row:?} twice", self.name()),
                    None => {
                        is_again = false;
                        told.push(row);
                    }
                }
            }
        }
        (self.begin, told)
    }
}
