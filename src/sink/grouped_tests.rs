//! Sinks that group alerts, against the log and the addresses of the other tests.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use feeds::time::{Nanos, SECOND};
use serde_json::Value;

use super::tests::{DEADLINE, Log, Posted, answering, to_address, to_file};
use super::*;
use crate::alert::Cursor;
use crate::config::limits::SINK_GROUP_ALERTS;
use crate::config::{GroupBy, Grouping};
use crate::schema::alerts::{Generation, key};
use crate::schema::sinks::{self, Progress};
use crate::store::memory::MemoryStore;
use crate::store::{Batch, Family, Scan, Store, StoreError};

const HOUR: Nanos = 3_600 * SECOND;

/// Grouped by rule; alerts with even numbers are of `burst`, the others of `gap-up`.
fn grouped(wait: Nanos, interval: Nanos, spec: SinkSpec) -> SinkSpec {
    SinkSpec { grouping: Some(Grouping { by: vec![GroupBy::Rule], wait, interval }), ..spec }
}

/// The rule of a notification, and the numbers of its alerts.
fn notification(text: &str) -> (String, Vec<u64>) {
    let body: Value = serde_json::from_str(text).unwrap();
    let alerts = body["alerts"].as_array().unwrap().iter();
    let numbers =
        alerts.map(|row| row["cursor"].as_str().unwrap().split_once('-').unwrap().1.parse().unwrap());
    (body["group"]["rule"].as_str().unwrap().to_owned(), numbers.collect())
}

fn notifications(path: &Path) -> Vec<(String, Vec<u64>)> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(notification).collect()
}

fn gap_up(numbers: &[u64]) -> (String, Vec<u64>) {
    ("gap-up".to_owned(), numbers.to_vec())
}

fn burst(numbers: &[u64]) -> (String, Vec<u64>) {
    ("burst".to_owned(), numbers.to_vec())
}

/// What a sink noted; nothing, if it has not come to that.
fn kept(log: &Log, name: &str) -> Progress {
    let value = log.store.get(Family::Meta, &sinks::key(name)).unwrap();
    value.map(|value| sinks::decode(&value).unwrap()).unwrap_or_default()
}

fn keep(log: &Log, name: &str, progress: &Progress) {
    let mut batch = Batch::default();
    batch.put(Family::Meta, sinks::key(name), sinks::encode(progress));
    log.store.commit(&batch, true).unwrap();
}

/// Waits until a sink has looked at the log up to `number`.
fn reached(log: &Log, name: &str, number: u64) {
    while kept(log, name).reached < number {
        std::thread::yield_now();
    }
}

/// A store that remembers what the sink called `file` noted, and what its file had then.
struct Noted {
    store: MemoryStore,
    path: PathBuf,
    notes: Mutex<Vec<(Progress, Vec<u64>)>>,
}

impl Store for Noted {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.get(family, key)
    }

    fn scan<'a>(&'a self, family: Family, from: &[u8], to: Option<&[u8]>) -> Scan<'a> {
        self.store.scan(family, from, to)
    }

    fn commit(&self, batch: &Batch, sync: bool) -> Result<(), StoreError> {
        self.store.commit(batch, sync)?;
        let noted = self.store.get(Family::Meta, &sinks::key("file"))?;
        let told = notifications(&self.path).into_iter().flat_map(|(_, numbers)| numbers).collect();
        let mut notes = self.notes.lock().unwrap();
        notes.extend(noted.map(|value| (sinks::decode(&value).unwrap(), told)));
        notes.dedup();
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.store.sync()
    }
}

#[test]
fn a_group_is_one_request_with_its_alerts_in_order_and_signed() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "made up\n").unwrap();
    let alone = folder.path().join("alone");
    let (address, told) = answering(vec!["200 OK", "500 No", "", "204 Done"]);
    let log = Log::new();
    let webhook = SinkSpec { secret_file: Some(secret), ..to_address(address) };
    let sinks = log.start(&[grouped(0, HOUR, webhook), to_file(&alone)]);
    let pulse = sinks.pulses().remove(0);
    log.write(1..=6);
    let posted: Vec<Posted> = (0..4).map(|_| told.recv_timeout(DEADLINE).unwrap()).collect();
    sinks.stop();
    let all: Vec<_> = posted.iter().map(|posted| notification(&posted.body)).collect();
    let burst = burst(&[2, 4, 6]);
    assert_eq!(all, [gap_up(&[1, 3, 5]), burst.clone(), burst.clone(), burst]);
    assert_eq!((pulse.delivered(), pulse.failures(), pulse.place()), (6, 2, 6));
    assert_eq!(log.place("webhook"), Some(Cursor { generation: 1, number: 6 }));
    // The rows are those that a sink without groups tells.
    let rows = std::fs::read_to_string(&alone).unwrap();
    let rows: Vec<&str> = rows.lines().collect();
    let expected = format!(
        "{{\"group\":{{\"rule\":\"gap-up\"}},\"firing\":1,\"resolved\":1,\"alerts\":[{},{},{}]}}",
        rows[0], rows[2], rows[4]
    );
    assert_eq!(posted[0].body, expected);
    let keys: Vec<_> = posted.iter().map(|posted| posted.header("idempotency-key").unwrap()).collect();
    assert!(keys[0] != keys[1] && keys[1] == keys[2] && keys[2] == keys[3], "{keys:?}");
    for posted in &posted {
        let message = format!("{}.{}", posted.header("x-tapedeck-timestamp").unwrap(), posted.body);
        let code = hmac::hex(&hmac::sha256(b"made up", &[message.as_bytes()]));
        assert_eq!(posted.header("x-tapedeck-signature"), Some(format!("sha256={code}").as_str()));
    }
}

#[test]
fn what_waits_holds_the_cursor_back_and_is_told_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alerts.ndjson");
    let log = Log::new();
    let spec = grouped(HOUR, HOUR, to_file(&path));
    let sinks = log.start(std::slice::from_ref(&spec));
    log.write(1..=3);
    reached(&log, "file", 3);
    assert_eq!((notifications(&path), log.place("file").unwrap().number), (vec![], 0));
    assert_eq!(kept(&log, "file").waiting, [1, 2, 3]);
    log.write(4..=5);
    sinks.stop();
    assert_eq!(notifications(&path), [gap_up(&[1, 3, 5]), burst(&[2, 4])]);
    assert_eq!(kept(&log, "file"), Progress { generation: 1, reached: 5, ..Progress::default() });
    log.start(&[spec]).stop();
    assert_eq!(notifications(&path).len(), 2);
}

#[test]
fn new_alerts_of_a_group_that_was_told_wait_for_the_interval() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alerts.ndjson");
    let log = Log::new();
    let sinks = log.start(&[grouped(0, HOUR, to_file(&path))]);
    let pulse = sinks.pulses().remove(0);
    log.write(1..=2);
    while pulse.delivered() < 2 {
        std::thread::yield_now();
    }
    for number in 3..=6 {
        log.write(number..=number);
        reached(&log, "file", number);
    }
    assert_eq!(notifications(&path), [gap_up(&[1]), burst(&[2])]);
    sinks.stop();
    assert_eq!(notifications(&path)[2..], [gap_up(&[3, 5]), burst(&[4, 6])]);
    // A short one is over in time, without a stop.
    let sinks = log.start(&[grouped(SECOND / 1_000, SECOND / 1_000, to_file(&path))]);
    let pulse = sinks.pulses().remove(0);
    for number in 7..=9 {
        log.write(number..=number);
        while pulse.delivered() < number - 6 {
            std::thread::yield_now();
        }
    }
    sinks.stop();
    assert_eq!(notifications(&path)[4..], [gap_up(&[7]), burst(&[8]), gap_up(&[9])]);
}

#[test]
fn a_group_that_is_full_is_told_early() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alerts.ndjson");
    let log = Log::new();
    let spec = to_file(&path);
    let grouping = Some(Grouping { by: Vec::new(), wait: HOUR, interval: HOUR });
    let sinks = log.start(&[SinkSpec { grouping, ..spec }]);
    let pulse = sinks.pulses().remove(0);
    let most = SINK_GROUP_ALERTS as u64;
    log.write(1..=2 * most + 9);
    while pulse.delivered() < 2 * most {
        std::thread::yield_now();
    }
    reached(&log, "file", 2 * most + 9);
    assert_eq!(log.place("file").map(|place| place.number), Some(2 * most));
    sinks.stop();
    let text = std::fs::read_to_string(&path).unwrap();
    let sizes: Vec<usize> = text.lines().map(|line| line.matches("\"cursor\":").count()).collect();
    assert_eq!(sizes, [SINK_GROUP_ALERTS, SINK_GROUP_ALERTS, 9]);
    let cursors: Vec<u64> = text
        .split("\"cursor\":\"1-")
        .skip(1)
        .map(|rest| rest.split_once('"').unwrap().0.parse().unwrap())
        .collect();
    assert_eq!(cursors, (1..=2 * most + 9).collect::<Vec<_>>());
}

#[test]
fn a_crash_between_telling_and_the_cursor_tells_the_same_again_and_what_came_since_by_itself() {
    // It takes the first notification, and its answer does not arrive any more.
    let (address, told) = answering(vec![""; 9]);
    let log = Log::new();
    let sinks = log.start(&[grouped(0, HOUR, to_address(address))]);
    log.write(1..=4);
    let taken = told.recv_timeout(DEADLINE).unwrap();
    sinks.stop();
    assert_eq!(notification(&taken.body), gap_up(&[1, 3]));
    let before = kept(&log, "webhook");
    assert_eq!(before, Progress { generation: 1, reached: 4, telling: vec![1, 3], waiting: vec![2, 4] });
    assert_eq!(before.place().number, 0);
    // More comes before it starts again.
    log.write(5..=9);
    let (address, told) = answering(vec!["200 OK"; 9]);
    let sinks = log.start(&[grouped(0, SECOND / 1_000, to_address(address))]);
    let again: Vec<Posted> = (0..3).map(|_| told.recv_timeout(DEADLINE).unwrap()).collect();
    sinks.stop();
    assert_eq!(again[0].body, taken.body);
    assert_eq!(again[0].header("idempotency-key"), taken.header("idempotency-key"));
    assert_eq!(notification(&again[1].body), burst(&[2, 4, 6, 8]));
    assert_eq!(notification(&again[2].body), gap_up(&[5, 7, 9]));
    assert!(again.iter().skip(1).all(|one| one.header("idempotency-key") != taken.header("idempotency-key")));
    assert_eq!((told.try_iter().count(), log.place("webhook").map(|place| place.number)), (0, Some(9)));
}

#[test]
fn a_crash_of_the_process_at_any_note_leaves_nothing_out() {
    // Every state of the database that a sink leaves behind, each the beginning of another run.
    let folder = tempfile::tempdir().unwrap();
    let first = folder.path().join("first");
    let (store, notes) = (MemoryStore::new(), Mutex::default());
    let noted = Arc::new(Noted { store, path: first.clone(), notes });
    let log = Log { store: Arc::clone(&noted) as Arc<dyn Store>, ..Log::new() };
    let sinks = log.start(&[grouped(0, HOUR, to_file(&first))]);
    let pulse = sinks.pulses().remove(0);
    log.write(1..=5);
    // Nothing is written to the file while the log is.
    while pulse.delivered() < 5 {
        std::thread::yield_now();
    }
    log.write(6..=9);
    sinks.stop();
    let whole = notifications(&first);
    let notes = noted.notes.lock().unwrap().clone();
    assert!(notes.len() > 8, "{notes:?}");
    for (at, (progress, told)) in notes.iter().enumerate() {
        let place = progress.place().number;
        assert!((1..=place).all(|number| told.contains(&number)), "{progress:?} passes what was not told");
        keep(&log, "file", progress);
        let path = folder.path().join(format!("after{at}"));
        log.start(&[grouped(0, HOUR, to_file(&path))]).stop();
        let again = notifications(&path);
        let mut numbers: Vec<u64> = again.iter().flat_map(|(_, numbers)| numbers.clone()).collect();
        numbers.sort_unstable();
        let open = |number: &u64| progress.telling.contains(number) || !told.contains(number);
        let open: Vec<u64> = (1..=9).filter(open).collect();
        assert_eq!(numbers, open, "all that was not told, and again only what was being told: {progress:?}");
        if !progress.telling.is_empty() {
            assert_eq!(again[0].1, progress.telling);
            assert!(whole.contains(&again[0]));
        }
    }
}

#[test]
fn what_was_grouped_is_told_by_itself_or_grouped_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::new();
    log.write(1..=12);
    let left = Progress { generation: 1, reached: 9, telling: vec![1, 3], waiting: vec![4, 8] };
    let told = |name: &str, grouping: Option<Vec<GroupBy>>| -> Vec<Vec<u64>> {
        let path = folder.path().join(name);
        keep(&log, "file", &left);
        let grouping = grouping.map(|by| Grouping { by, wait: 0, interval: HOUR });
        log.start(&[SinkSpec { grouping, ..to_file(&path) }]).stop();
        assert_eq!(kept(&log, "file"), Progress { generation: 1, reached: 12, ..Progress::default() });
        let text = std::fs::read_to_string(&path).unwrap();
        let cursors = |line: &str| {
            let parts = line.split("\"cursor\":\"1-").skip(1);
            parts.map(|rest| rest.split_once('"').unwrap().0.parse().unwrap()).collect()
        };
        text.lines().map(cursors).collect()
    };
    assert_eq!(told("alone", None), [[1], [3], [4], [8], [10], [11], [12]]);
    assert_eq!(told("rule", Some(vec![GroupBy::Rule])), [vec![1, 3], vec![4, 8, 10, 12], vec![11]]);
    // 1 and 4 and 10 are warnings, 3 and 12 infos, 8 and 11 critical.
    let severity = told("severity", Some(vec![GroupBy::Severity]));
    assert_eq!(severity, [vec![1], vec![3], vec![4, 10], vec![8, 11], vec![12]]);
}

#[test]
fn what_is_no_longer_kept_is_passed_over_and_what_rose_is_told_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alerts.ndjson");
    let log = Log::new();
    log.write(1..=9);
    let mut batch = Batch::default();
    batch.delete_range(Family::Alerts, key(0), key(4));
    log.store.commit(&batch, true).unwrap();
    let left = Progress { generation: 1, reached: 8, telling: vec![1, 5], waiting: vec![2, 6] };
    keep(&log, "file", &left);
    let spec = [grouped(0, HOUR, to_file(&path))];
    log.start(&spec).stop();
    assert_eq!(notifications(&path), [gap_up(&[5]), burst(&[6]), gap_up(&[9])]);
    // In another generation that counts up to where the log may differ.
    let mut batch = Batch::default();
    Generation { number: 2, differs_from: 7 }.put(&mut batch);
    log.store.commit(&batch, true).unwrap();
    keep(&log, "file", &Progress { telling: vec![5, 8], waiting: vec![6, 9], reached: 9, ..left });
    log.start(&spec).stop();
    assert_eq!(notifications(&path)[3..], [gap_up(&[5]), burst(&[6, 8]), gap_up(&[7, 9])]);
    assert_eq!(log.place("file"), Some(Cursor { generation: 2, number: 9 }));
}
