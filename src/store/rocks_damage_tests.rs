//! Damage to RocksDB's files is said and never a wrong answer.

use std::path::PathBuf;

use super::rocks::RocksStore;
use super::rocks_reader::RocksReader;
use super::rocks_tests::{count, numbered};
use super::*;

/// Batches in a damaged database.
const BATCHES: u64 = 5000;

/// A database with [`BATCHES`] batches, in tables if `tables`, else in the log.
fn database(tables: bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = RocksStore::create_or_open(folder.path()).unwrap();
    for number in 0..BATCHES {
        store.commit(&numbered(number), false).unwrap();
    }
    drop(store);
    if tables {
        // Opening again writes what the log holds into tables.
        drop(RocksStore::create_or_open(folder.path()).unwrap());
    }
    folder
}

/// The largest file whose name ends with `extension`.
fn largest(path: &Path, extension: &str) -> PathBuf {
    let files = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        files.filter(|file| file.extension().is_some_and(|it| it == extension)).collect();
    files.sort_by_key(|file| std::fs::metadata(file).unwrap().len());
    files.pop().unwrap()
}

/// Reads `BATCHES` batches from both families, or says why not. What is read is right.
fn read_all(store: &dyn Store) -> Result<(), StoreError> {
    for family in [Family::Tape, Family::Windows] {
        let mut next = 0_u64;
        for pair in store.scan(family, b"", None) {
            let (key, value) = pair?;
            assert_eq!((&*key, &*value), (&next.to_be_bytes()[..], &next.to_le_bytes()[..]));
            next += 1;
        }
        assert_eq!(next, BATCHES, "a scan that ends without an error is whole");
        for number in 0..BATCHES {
            assert_eq!(store.get(family, &number.to_be_bytes())?.unwrap(), number.to_le_bytes());
        }
    }
    Ok(())
}

#[test]
fn a_flipped_byte_in_a_table_is_damage_wherever_it_is() {
    let folder = database(true);
    let table = largest(folder.path(), "sst");
    let good = std::fs::read(&table).unwrap();
    let mut noticed = 0;
    for part in 0..24 {
        let at = part * (good.len() - 1) / 23;
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        std::fs::write(&table, &bad).unwrap();
        // As a reader: it changes nothing, so that the next flip meets the same database.
        let answer = RocksReader::open(folder.path()).and_then(|reader| read_all(&reader));
        if let Err(error) = answer {
            assert!(matches!(error, StoreError::Damaged { .. }), "byte {at}: {error}");
            assert_eq!(error.exit_code(), 3);
            noticed += 1;
        }
    }
    // Some bytes answer nothing that was asked: a property or a filter that is only consulted for absent keys.
    assert!(noticed >= 16, "{noticed} of 24");

    let mut bad = good.clone();
    bad[good.len() / 4] ^= 1;
    std::fs::write(&table, &bad).unwrap();
    let store = RocksStore::create_or_open(folder.path()).unwrap();
    let error = read_all(&store).unwrap_err().to_string();
    let name = table.file_name().unwrap().to_string_lossy();
    assert!(error.contains(&*name) && error.contains("offset"), "it names the file and the offset: {error}");
}

#[test]
fn a_table_that_is_gone_or_cut_refuses_to_open() {
    for cut in [false, true] {
        let folder = database(true);
        let table = largest(folder.path(), "sst");
        if cut {
            let bytes = std::fs::read(&table).unwrap();
            std::fs::write(&table, &bytes[..bytes.len() / 2]).unwrap();
        } else {
            std::fs::remove_file(&table).unwrap();
        }
        let name = table.file_name().unwrap().to_string_lossy().into_owned();
        for error in [open_writer(folder.path()).err().unwrap(), open_reader(folder.path()).err().unwrap()] {
            assert!(matches!(error, StoreError::Damaged { .. }), "cut {cut}: {error}");
            assert!(error.to_string().contains(&name), "it names the file: {error}");
        }
    }
}

#[test]
fn a_log_that_a_crash_cut_off_opens_with_what_is_whole() {
    let folder = database(false);
    let log = largest(folder.path(), "log");
    let bytes = std::fs::read(&log).unwrap();
    std::fs::write(&log, &bytes[..bytes.len() - 11]).unwrap();
    let store = open_writer(folder.path()).unwrap();
    assert_eq!(count(&*store, Family::Tape), BATCHES - 1);
    assert_eq!(count(&*store, Family::Windows), BATCHES - 1, "a batch is lost whole");
}

#[test]
fn a_flipped_byte_within_the_log_is_refused() {
    let folder = database(false);
    let log = largest(folder.path(), "log");
    let mut bytes = std::fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&log, &bytes).unwrap();
    let error = open_writer(folder.path()).err().unwrap();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    bytes[middle] ^= 1;
    std::fs::write(&log, &bytes).unwrap();
    read_all(&*open_writer(folder.path()).unwrap()).unwrap();
}

#[test]
fn lost_or_garbled_descriptions_of_the_database_are_damage() {
    let manifest = |path: &Path| {
        let names = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        names.into_iter().find(|name| name.to_string_lossy().contains("MANIFEST-")).unwrap()
    };
    let spoils: [fn(&Path, &Path); 4] = [
        |path, _| std::fs::remove_file(path.join("CURRENT")).unwrap(),
        |path, _| std::fs::write(path.join("CURRENT"), b"nonsense").unwrap(),
        |_, manifest| std::fs::remove_file(manifest).unwrap(),
        |_, manifest| std::fs::write(manifest, b"not a manifest at all, but long enough to be one").unwrap(),
    ];
    for (number, spoil) in spoils.into_iter().enumerate() {
        let folder = database(true);
        spoil(folder.path(), &manifest(folder.path()));
        for error in [open_writer(folder.path()).err().unwrap(), open_reader(folder.path()).err().unwrap()] {
            assert!(matches!(error, StoreError::Damaged { .. }), "spoil {number}: {error}");
        }
    }
}
