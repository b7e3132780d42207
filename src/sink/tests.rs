//! Sinks against a log that is written by the tests, and addresses that answer as they like.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};

use super::*;
use crate::alert::{Alert, AlertId, Cursor, Severity, State};
use crate::commit::alerts::AlertBoard;
use crate::schema::alerts::{Generation, encode, key};
use crate::schema::sinks;
use crate::store::memory::MemoryStore;
use crate::store::{Batch, Family, Store};

/// Nothing may take longer.
pub(super) const DEADLINE: Duration = Duration::from_secs(60);

pub(super) fn alert(number: u64) -> Alert {
    Alert {
        id: AlertId([number as u8; 16]),
        state: State::ALL[number as usize % 3],
        rule: ["burst", "gap-up"][number as usize % 2].to_owned(),
        symbol: "here:ABC".to_owned(),
        severity: Severity::ALL[number as usize % 3],
        event_time: 0,
        fired_at: None,
        message: format!("alert {number}"),
        labels: Vec::new(),
        values: Vec::new(),
        windows: Vec::new(),
        number,
        suppressed: number.is_multiple_of(5).then(|| "silence:night".to_owned()),
    }
}

/// A log, and how far it is committed.
pub(super) struct Log {
    pub(super) store: Arc<dyn Store>,
    pub(super) board: AlertBoard,
}

impl Log {
    pub(super) fn new() -> Log {
        Log { store: Arc::new(MemoryStore::new()), board: AlertBoard::default() }
    }

    pub(super) fn write(&self, numbers: std::ops::RangeInclusive<u64>) {
        let mut batch = Batch::default();
        for number in numbers.clone() {
            batch.put(Family::Alerts, key(number), encode(&alert(number)));
        }
        self.store.commit(&batch, true).unwrap();
        self.board.publish(*numbers.end());
    }

    pub(super) fn start(&self, specs: &[SinkSpec]) -> Sinks {
        Sinks::start(specs, &Means::default(), &self.store, &self.board).unwrap()
    }

    /// Where the sink would go on.
    pub(super) fn place(&self, name: &str) -> Option<Cursor> {
        let value = self.store.get(Family::Meta, &sinks::key(name)).unwrap();
        value.map(|value| sinks::decode(&value).unwrap().place())
    }
}

pub(super) fn spec(kind: &'static str) -> SinkSpec {
    SinkSpec {
        name: kind.to_owned(),
        kind,
        url: None,
        path: None,
        secret_file: None,
        rules: Vec::new(),
        symbols: Vec::new(),
        severity: None,
        states: State::ALL.to_vec(),
        suppressed: true,
        grouping: None,
    }
}

pub(super) fn to_file(path: &Path) -> SinkSpec {
    SinkSpec { path: Some(path.to_owned()), ..spec("file") }
}

pub(super) fn to_address(address: SocketAddr) -> SinkSpec {
    SinkSpec { url: Some(format!("http://{address}/alerts?key=1")), ..spec("webhook") }
}

/// The numbers of the alerts in a file, each of whose lines is whole.
fn numbers(path: &Path) -> Vec<u64> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    assert!(text.is_empty() || text.ends_with('\n'), "{text}");
    text.lines().map(number).collect()
}

fn number(row: &str) -> u64 {
    let row: serde_json::Value = serde_json::from_str(row).unwrap();
    row["cursor"].as_str().unwrap().split_once('-').unwrap().1.parse().unwrap()
}

/// A request as it came: its head in lower case, its body.
#[derive(Clone, Debug)]
pub(super) struct Posted {
    head: String,
    pub(super) body: String,
}

impl Posted {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// An address that gives these answers, one to each request, and tells what was asked. What is no status is no answer:
/// the connection is closed.
pub(super) fn answering(answers: Vec<&'static str>) -> (SocketAddr, Receiver<Posted>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = bounded(64);
    std::thread::spawn(move || {
        let mut answers = answers.into_iter();
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            while let Some(posted) = read_one(&stream) {
                let Some(answer) = answers.next() else { return };
                if tell.send(posted).is_err() || answer.is_empty() {
                    break;
                }
                if write!(stream, "HTTP/1.1 {answer}\r\ncontent-length: 2\r\n\r\nok").is_err() {
                    break;
                }
            }
        }
    });
    (address, told)
}

fn read_one(stream: &TcpStream) -> Option<Posted> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let head = head.to_lowercase();
    let posted = Posted { head, body: String::new() };
    let mut body = vec![0; posted.header("content-length")?.parse().unwrap()];
    reader.read_exact(&mut body).ok()?;
    Some(Posted { body: String::from_utf8(body).unwrap(), ..posted })
}

#[test]
fn the_list_has_each_kind_once_and_says_what_it_does() {
    let names: Vec<&str> = SINKS.iter().map(|kind| kind.name()).collect();
    assert_eq!(names, ["webhook", "file", "stdout"]);
    assert!(SINKS.iter().all(|kind| !kind.about().is_empty() && !kind.about().ends_with('.')));
}

#[test]
fn a_file_has_every_alert_once_over_stops_and_starts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alerts.ndjson");
    let log = Log::new();
    log.write(1..=3);
    // What was there before it is not told.
    let sinks = log.start(&[to_file(&path)]);
    log.write(4..=200);
    sinks.stop();
    assert_eq!(numbers(&path), (4..=200).collect::<Vec<_>>());
    assert_eq!(log.place("file"), Some(Cursor { generation: 1, number: 200 }));
    // What was committed while it was not there is.
    log.write(201..=205);
    log.start(&[to_file(&path)]).stop();
    log.start(&[to_file(&path)]).stop();
    assert_eq!(numbers(&path), (4..=205).collect::<Vec<_>>());
    // Moved away, it begins anew.
    let sinks = log.start(&[to_file(&path)]);
    std::fs::rename(&path, folder.path().join("old")).unwrap();
    log.write(206..=206);
    sinks.stop();
    assert_eq!(numbers(&path), [206]);
}

#[test]
fn only_what_is_wanted_is_told_and_the_place_goes_on_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let log = Log::new();
    let specs = [
        SinkSpec { name: "rules".to_owned(), rules: vec!["gap*".to_owned()], ..to_file(&path("rules")) },
        SinkSpec { name: "bad".to_owned(), severity: Some(Severity::Critical), ..to_file(&path("bad")) },
        SinkSpec { name: "states".to_owned(), states: vec![State::Firing], ..to_file(&path("states")) },
        SinkSpec { name: "told".to_owned(), suppressed: false, ..to_file(&path("told")) },
        SinkSpec { name: "none".to_owned(), symbols: vec!["there:*".to_owned()], ..to_file(&path("none")) },
    ];
    let sinks = log.start(&specs);
    log.write(1..=12);
    sinks.stop();
    assert_eq!(numbers(&path("rules")), [1, 3, 5, 7, 9, 11]);
    assert_eq!(numbers(&path("bad")), [2, 5, 8, 11]);
    assert_eq!(numbers(&path("states")), [1, 4, 7, 10]);
    assert_eq!(numbers(&path("told")), [1, 2, 3, 4, 6, 7, 8, 9, 11, 12]);
    assert_eq!(numbers(&path("none")), [0; 0]);
    assert!(specs.iter().all(|spec| log.place(&spec.name).is_some_and(|place| place.number == 12)));
}

#[test]
fn what_fails_is_told_again_under_the_same_key_in_order_and_signed() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "made up\n").unwrap();
    let answers = vec!["200 OK", "500 No", "", "302 Elsewhere\r\nlocation: /", "204 Done", "200 OK"];
    let (address, told) = answering(answers);
    let log = Log::new();
    let sinks = log.start(&[SinkSpec { secret_file: Some(secret), ..to_address(address) }]);
    let pulse = sinks.pulses().remove(0);
    log.write(1..=3);
    let posted: Vec<Posted> = (0..6).map(|_| told.recv_timeout(DEADLINE).unwrap()).collect();
    sinks.stop();
    assert_eq!(posted.iter().map(|posted| number(&posted.body)).collect::<Vec<_>>(), [1, 2, 2, 2, 2, 3]);
    assert_eq!((pulse.delivered(), pulse.failures(), pulse.place()), (3, 3, 3));
    for posted in &posted {
        let number = number(&posted.body);
        assert!(posted.head.starts_with("post /alerts?key=1 http/1.1\r\n"), "{posted:?}");
        assert_eq!(posted.header("content-type"), Some("application/json"));
        let state = State::ALL[number as usize % 3].name();
        let key = format!("{}-{state}", AlertId([number as u8; 16]));
        assert_eq!(posted.header("idempotency-key"), Some(key.as_str()));
        let timestamp = posted.header("x-tapedeck-timestamp").unwrap();
        let message = format!("{timestamp}.{}", posted.body);
        let code = hmac::hex(&hmac::sha256(b"made up", &[message.as_bytes()]));
        assert_eq!(posted.header("x-tapedeck-signature"), Some(format!("sha256={code}").as_str()));
    }
}

#[test]
fn one_that_is_not_answered_delays_no_other_and_goes_on_with_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alerts.ndjson");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let log = Log::new();
    let sinks = log.start(&[to_address(silent.local_addr().unwrap()), to_file(&path)]);
    let pulse = sinks.pulses().remove(1);
    log.write(1..=100);
    while pulse.delivered() < 100 {
        std::thread::yield_now();
    }
    // It waits for an answer that does not come, and gives up when its time is over.
    sinks.stop();
    assert_eq!(numbers(&path), (1..=100).collect::<Vec<_>>());
    assert_eq!(log.place("webhook").map(|place| place.number), Some(0));
    let (address, told) = answering(vec!["200 OK"; 100]);
    let sinks = log.start(&[to_address(address)]);
    for expected in 1..=100 {
        assert_eq!(number(&told.recv_timeout(DEADLINE).unwrap().body), expected);
    }
    sinks.stop();
}

#[test]
fn a_generation_that_rose_is_told_again_from_where_the_log_may_differ() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alerts.ndjson");
    let log = Log::new();
    let sinks = log.start(&[to_file(&path)]);
    log.write(1..=9);
    sinks.stop();
    let mut batch = Batch::default();
    Generation { number: 2, differs_from: 7 }.put(&mut batch);
    log.store.commit(&batch, true).unwrap();
    log.start(&[to_file(&path)]).stop();
    assert_eq!(numbers(&path), [1, 2, 3, 4, 5, 6, 7, 8, 9, 7, 8, 9]);
    assert_eq!(log.place("file"), Some(Cursor { generation: 2, number: 9 }));
    // A log that lost its end, too.
    let mut batch = Batch::default();
    batch.delete_range(Family::Alerts, key(5), key(10));
    Generation { number: 3, differs_from: 5 }.put(&mut batch);
    log.store.commit(&batch, true).unwrap();
    let board = AlertBoard::default();
    let log = Log { board, ..log };
    let sinks = log.start(&[to_file(&path)]);
    log.write(5..=5);
    sinks.stop();
    assert_eq!(numbers(&path)[12..], [5]);
}

#[test]
fn what_is_no_longer_kept_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alerts.ndjson");
    let log = Log::new();
    log.start(&[to_file(&path)]).stop();
    log.write(1..=9);
    let mut batch = Batch::default();
    batch.delete_range(Family::Alerts, key(0), key(6));
    log.store.commit(&batch, true).unwrap();
    log.start(&[to_file(&path)]).stop();
    assert_eq!(numbers(&path), [6, 7, 8, 9]);
}

#[test]
fn what_could_never_be_told_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::new();
    let empty = folder.path().join("empty");
    std::fs::write(&empty, " \n").unwrap();
    let address = "127.0.0.1:9".parse().unwrap();
    for wrong in [
        to_file(&folder.path().join("none/alerts.ndjson")),
        to_file(folder.path()),
        SinkSpec { secret_file: Some(folder.path().join("none")), ..to_address(address) },
        SinkSpec { secret_file: Some(empty), ..to_address(address) },
    ] {
        let error = Sinks::start(&[wrong], &Means::default(), &log.store, &log.board).err().unwrap();
        let SinkError::Unopened { name, why } = &error else { panic!("{error}") };
        assert!(error.to_string().contains(&format!("sink `{name}`: ")), "{error}");
        assert!(matches!(&**why, SinkError::File { path, .. } if path.starts_with(folder.path())), "{error}");
    }
}
