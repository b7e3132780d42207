//! What RocksDB must do beyond the contract of every store: opening, reopening, readers beside the writer.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use rocksdb::{DB, Options};

use super::contract_tests::{agrees_with_a_map, batches, keeps_the_contract};
use super::lock::LOCK_FILE;
use super::rocks::RocksStore;
use super::rocks_reader::RocksReader;
use super::*;

/// A batch that puts `number` under `number` in two families.
pub(super) fn numbered(number: u64) -> Batch {
    let mut batch = Batch::default();
    batch.put(Family::Windows, number.to_be_bytes().to_vec(), number.to_le_bytes().to_vec());
    batch.put(Family::Tape, number.to_be_bytes().to_vec(), number.to_le_bytes().to_vec());
    batch
}

/// How many batches of [`numbered`], from 0 on and without a hole, `family` holds.
pub(super) fn count(store: &dyn Store, family: Family) -> u64 {
    let mut count = 0_u64;
    for pair in store.scan(family, b"", None) {
        let (key, value) = pair.unwrap();
        assert_eq!(*key, count.to_be_bytes(), "no hole in {family:?}");
        assert_eq!(*value, count.to_le_bytes());
        count += 1;
    }
    count
}

/// The names in a directory.
fn names(path: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(path).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn rocks_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    keeps_the_contract(&RocksStore::create_or_open(folder.path()).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn rocks_agrees_with_a_map(batches in batches()) {
        let folder = tempfile::tempdir().unwrap();
        agrees_with_a_map(&RocksStore::create_or_open(folder.path()).unwrap(), &batches);
    }
}

#[test]
fn reopening_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some/where/db");
    for round in 0..4 {
        let store = open_writer(&path).unwrap();
        assert_eq!(count(&*store, Family::Tape), round * 10);
        assert_eq!(count(&*store, Family::Windows), round * 10);
        for number in round * 10..(round + 1) * 10 {
            store.commit(&numbered(number), false).unwrap();
        }
        assert_eq!(store.get(Family::Meta, SCHEMA_KEY).unwrap().unwrap(), SCHEMA.to_be_bytes());
    }
    let reader = open_reader(&path).unwrap();
    assert_eq!(
        count(&*reader, Family::Windows),
        40,
        "a reader of a stopped database sees what is only in the log"
    );
}

#[test]
fn a_second_writer_of_this_process_is_refused_and_readers_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let store = RocksStore::create_or_open(folder.path()).unwrap();
    let refused = RocksStore::create_or_open(folder.path()).err().unwrap();
    assert!(
        matches!(refused, StoreError::Locked { pid: Some(pid), .. } if pid == std::process::id()),
        "{refused}"
    );
    RocksReader::open(folder.path()).unwrap();
    drop(store);
    RocksStore::create_or_open(folder.path()).unwrap();
}

#[test]
fn a_database_that_another_rocksdb_program_holds_is_locked() {
    let folder = tempfile::tempdir().unwrap();
    drop(RocksStore::create_or_open(folder.path()).unwrap());
    let names = DB::list_cf(&Options::default(), folder.path()).unwrap();
    let _other = DB::open_cf(&Options::default(), folder.path(), names).unwrap();
    let refused = RocksStore::create_or_open(folder.path()).err().unwrap();
    assert!(matches!(refused, StoreError::Locked { pid: None, .. }), "{refused}");
}

#[test]
fn a_reader_sees_fresh_commits_when_it_refreshes() {
    let folder = tempfile::tempdir().unwrap();
    let store = RocksStore::create_or_open(folder.path()).unwrap();
    store.commit(&numbered(0), false).unwrap();
    let reader = RocksReader::open(folder.path()).unwrap();
    assert_eq!(count(&reader, Family::Tape), 1, "what is only in the log is seen");
    store.commit(&numbered(1), false).unwrap();
    let scan = reader.scan(Family::Tape, b"", None);
    assert_eq!(count(&reader, Family::Tape), 1, "its state is that of the last refresh");
    reader.refresh().unwrap();
    assert_eq!(count(&reader, Family::Tape), 2);
    assert_eq!(reader.get(Family::Windows, &1_u64.to_be_bytes()).unwrap().unwrap(), 1_u64.to_le_bytes());
    assert_eq!(scan.count(), 1, "a scan keeps to its state through a refresh");
    assert!(reader.commit(&numbered(2), false).unwrap_err().to_string().contains("reading only"));
    assert!(reader.sync().is_err());
    let own = reader.folder().to_owned();
    assert!(own.is_dir());
    drop(reader);
    assert!(!own.exists(), "its folder goes with it");
}

#[test]
fn a_reader_keeps_up_with_a_writer_that_flushes_and_compacts() {
    let folder = tempfile::tempdir().unwrap();
    let store = RocksStore::create_or_open(folder.path()).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Large values fill the write buffers, so that logs, tables and the manifest change underneath.
            for number in 0..600_u64 {
                let mut batch = Batch::default();
                for family in [Family::Windows, Family::Tape] {
                    batch.put(family, (number % 200).to_be_bytes().to_vec(), vec![number as u8; 1 << 19]);
                    batch.put(family, b"count".to_vec(), number.to_be_bytes().to_vec());
                }
                store.commit(&batch, false).unwrap();
            }
            done.store(true, Ordering::Release);
        });
        let reader = RocksReader::open(folder.path()).unwrap();
        let mut last = None;
        loop {
            let finished = done.load(Ordering::Acquire);
            reader.refresh().unwrap();
            let counts = [Family::Windows, Family::Tape].map(|family| reader.get(family, b"count").unwrap());
            assert_eq!(counts[0], counts[1], "a batch is seen whole");
            assert!(counts[0] >= last, "and never goes back");
            let scanned = reader.scan(Family::Tape, b"", None).map(|pair| pair.unwrap().1.len()).max();
            assert!(scanned.is_none_or(|length| length == 1 << 19));
            last = counts[0].clone();
            drop(RocksReader::open(folder.path()).unwrap());
            if finished {
                break;
            }
        }
        assert_eq!(last.unwrap(), 599_u64.to_be_bytes());
    });
}

#[test]
fn a_reader_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("none");
    for path in [folder.path(), &absent] {
        let missing = RocksReader::open(path).err().unwrap();
        assert!(matches!(missing, StoreError::Missing(_)), "{missing}");
        assert_eq!(missing.exit_code(), 2);
    }
    assert!(!absent.exists());
    assert!(names(folder.path()).is_empty());

    drop(RocksStore::create_or_open(folder.path()).unwrap());
    let before = names(folder.path());
    drop(RocksReader::open(folder.path()).unwrap());
    assert_eq!(names(folder.path()), before);
}

#[test]
fn a_directory_of_something_else_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("letters.txt"), "dear").unwrap();
    for refused in [open_writer(folder.path()).err().unwrap(), open_reader(folder.path()).err().unwrap()] {
        assert!(refused.to_string().contains("not a tapedeck database"), "{refused}");
    }
    assert_eq!(names(folder.path()), BTreeSet::from(["letters.txt".to_owned()]));
}

#[test]
fn another_programs_rocksdb_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    drop(DB::open_cf(&options, folder.path(), ["default", "their"]).unwrap());
    let refused = open_writer(folder.path()).err().unwrap();
    assert!(refused.to_string().contains("not a tapedeck database: it holds a family their"), "{refused}");
}

#[test]
fn a_newer_database_is_refused_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let store = RocksStore::create_or_open(folder.path()).unwrap();
    let mut batch = Batch::default();
    batch.put(Family::Meta, SCHEMA_KEY.to_vec(), (SCHEMA + 1).to_be_bytes().to_vec());
    store.commit(&batch, true).unwrap();
    drop(store);
    let check = |refused: StoreError| {
        assert!(matches!(refused, StoreError::Newer { found: 2, known: 1, .. }), "{refused}");
        assert!(refused.to_string().contains("upgrade tapedeck"), "{refused}");
    };
    check(open_writer(folder.path()).err().unwrap());
    check(open_reader(folder.path()).err().unwrap());

    // A newer one may have families that are unknown here.
    let mut options = Options::default();
    options.create_missing_column_families(true);
    let mut families = DB::list_cf(&options, folder.path()).unwrap();
    families.push("baskets".to_owned());
    drop(DB::open_cf(&options, folder.path(), families).unwrap());
    check(open_writer(folder.path()).err().unwrap());
    check(open_reader(folder.path()).err().unwrap());
}

#[test]
fn a_lost_schema_version_is_damage() {
    for value in [None, Some(vec![]), Some(vec![0; 4]), Some(b"1".to_vec())] {
        let folder = tempfile::tempdir().unwrap();
        let store = RocksStore::create_or_open(folder.path()).unwrap();
        let mut batch = numbered(0);
        match value {
            Some(value) => batch.put(Family::Meta, SCHEMA_KEY.to_vec(), value),
            None => batch.delete(Family::Meta, SCHEMA_KEY.to_vec()),
        }
        store.commit(&batch, false).unwrap();
        drop(store);
        let damaged = open_writer(folder.path()).err().unwrap();
        assert!(matches!(damaged, StoreError::Damaged { .. }), "{damaged}");
    }
}

#[test]
fn a_creation_that_was_cut_short_is_begun_again() {
    let folder = tempfile::tempdir().unwrap();
    for name in [LOCK_FILE, "LOCK", "LOG", "IDENTITY", "MANIFEST-000001", "000001.dbtmp"] {
        std::fs::write(folder.path().join(name), b"").unwrap();
    }
    assert!(matches!(open_reader(folder.path()), Err(StoreError::Missing(_))));
    let store = open_writer(folder.path()).unwrap();
    store.commit(&numbered(0), false).unwrap();
    drop(store);
    assert_eq!(count(&*open_writer(folder.path()).unwrap(), Family::Tape), 1);

    // Cut short between RocksDB's part and ours: some families, no schema version.
    let other = tempfile::tempdir().unwrap();
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    drop(DB::open_cf(&options, other.path(), ["default", "tape", "meta"]).unwrap());
    assert!(matches!(open_reader(other.path()), Err(StoreError::Missing(_))));
    keeps_the_contract(&*open_writer(other.path()).unwrap());
}
