//! What every store must do, written once over `&dyn Store`.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::memory::MemoryStore;
use super::*;

/// A batch of `changes` in one family.
fn batch(family: Family, changes: &[(&str, Option<&str>)]) -> Batch {
    let mut batch = Batch::default();
    for (key, value) in changes {
        match value {
            Some(value) => batch.put(family, key.as_bytes().to_vec(), value.as_bytes().to_vec()),
            None => batch.delete(family, key.as_bytes().to_vec()),
        }
    }
    batch
}

/// The pairs of a scan, as text.
fn scanned(store: &dyn Store, family: Family, from: &str, to: Option<&str>) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let pairs = store.scan(family, from.as_bytes(), to.map(str::as_bytes));
    pairs.map(|pair| pair.map(|(key, value)| (text(&key), text(&value))).unwrap()).collect()
}

/// The keys of a scan, put together.
fn keys(store: &dyn Store, family: Family, from: &str, to: Option<&str>) -> String {
    scanned(store, family, from, to).into_iter().map(|(key, _)| key).collect::<Vec<_>>().join(" ")
}

fn puts_gets_and_deletes(store: &dyn Store) {
    assert_eq!(store.get(Family::Tape, b"a").unwrap(), None);
    store.commit(&batch(Family::Tape, &[("a", Some("1")), ("b", Some(""))]), false).unwrap();
    assert_eq!(store.get(Family::Tape, b"a").unwrap().as_deref(), Some(b"1".as_slice()));
    assert_eq!(
        store.get(Family::Tape, b"b").unwrap().as_deref(),
        Some(b"".as_slice()),
        "an empty value is a value"
    );
    assert_eq!(store.get(Family::Late, b"a").unwrap(), None, "families are apart");
    store.commit(&batch(Family::Tape, &[("a", None), ("never there", None)]), true).unwrap();
    assert_eq!(store.get(Family::Tape, b"a").unwrap(), None);
    store.commit(&Batch::default(), false).unwrap();
    store.sync().unwrap();
    store.refresh().unwrap();
}

fn a_batch_spans_families(store: &dyn Store) {
    let mut all = Batch::default();
    for family in Family::ALL {
        all.put(family, b"spans".to_vec(), family.name().into());
    }
    assert_eq!(all.bytes(), Family::ALL.iter().map(|family| 5 + family.name().len() as u64).sum::<u64>());
    store.commit(&all, false).unwrap();
    for family in Family::ALL {
        assert_eq!(store.get(family, b"spans").unwrap().unwrap(), family.name().as_bytes());
    }
}

fn later_changes_of_a_key_win(store: &dyn Store) {
    let changes = [
        ("k", Some("1")),
        ("l", Some("1")),
        ("k", None),
        ("l", Some("2")),
        ("k", Some("3")),
        ("m", Some("1")),
        ("m", None),
    ];
    store.commit(&batch(Family::State, &changes), false).unwrap();
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(scanned(store, Family::State, "k", Some("n")), [pair("k", "3"), pair("l", "2")]);
}

fn scans_keep_order_and_bounds(store: &dyn Store) {
    let unsorted = [("c", Some("")), ("a", Some("")), ("bb", Some("")), ("b", Some("")), ("d", Some(""))];
    store.commit(&batch(Family::Windows, &unsorted), false).unwrap();
    assert_eq!(keys(store, Family::Windows, "", None), "a b bb c d");
    assert_eq!(keys(store, Family::Windows, "b", Some("c")), "b bb", "from is in, to is out");
    assert_eq!(keys(store, Family::Windows, "ba", Some("cc")), "bb c");
    assert_eq!(keys(store, Family::Windows, "c", None), "c d");
    for (from, to) in [("c", "c"), ("d", "a"), ("e", "f"), ("", "")] {
        assert_eq!(keys(store, Family::Windows, from, Some(to)), "", "{from}..{to}");
    }
    assert_eq!(keys(store, Family::Gaps, "", None), "");
}

fn a_scan_keeps_to_its_state(store: &dyn Store) {
    store
        .commit(&batch(Family::Alerts, &[("a", Some("1")), ("b", Some("1")), ("c", Some("1"))]), false)
        .unwrap();
    let mut scan = store.scan(Family::Alerts, b"", None);
    assert_eq!(&*scan.next().unwrap().unwrap().0, b"a");
    store
        .commit(
            &batch(Family::Alerts, &[("a", Some("2")), ("b", None), ("bb", Some("2")), ("c", Some("2"))]),
            false,
        )
        .unwrap();
    let rest: Vec<Pair> = scan.map(Result::unwrap).collect();
    let pair = |key: &[u8]| (Box::from(key), Box::from(b"1".as_slice()));
    assert_eq!(rest, [pair(b"b"), pair(b"c")]);
    assert_eq!(keys(store, Family::Alerts, "", None), "a bb c");
}

fn keeps_big_values_and_odd_keys(store: &dyn Store) {
    let big: Vec<u8> = (0..5_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut odd = Batch::default();
    odd.put(Family::Latency, vec![], b"the empty key".to_vec());
    odd.put(Family::Latency, vec![0], big.clone());
    odd.put(Family::Latency, vec![0xff; 300], vec![0]);
    store.commit(&odd, false).unwrap();
    assert_eq!(store.get(Family::Latency, &[0]).unwrap().as_ref(), Some(&big));
    let lengths: Vec<(usize, usize)> = store
        .scan(Family::Latency, b"", None)
        .map(Result::unwrap)
        .map(|(key, value)| (key.len(), value.len()))
        .collect();
    assert_eq!(lengths, [(0, 13), (1, 5_000_000), (300, 1)]);
}

/// The whole contract. `store` holds nothing but its schema.
pub(super) fn keeps_the_contract(store: &dyn Store) {
    puts_gets_and_deletes(store);
    later_changes_of_a_key_win(store);
    scans_keep_order_and_bounds(store);
    a_scan_keeps_to_its_state(store);
    keeps_big_values_and_odd_keys(store);
    a_batch_spans_families(store);
}

/// Batches of changes of few keys, so that they meet.
pub(super) fn batches() -> impl Strategy<Value = Vec<Vec<(u8, u8, Option<u16>)>>> {
    let change = (0_u8..3, 0_u8..20, proptest::option::weighted(0.7, any::<u16>()));
    proptest::collection::vec(proptest::collection::vec(change, 0..12), 0..8)
}

/// Commits `batches` to `store` and to a map, and compares all scans of them.
pub(super) fn agrees_with_a_map(store: &dyn Store, batches: &[Vec<(u8, u8, Option<u16>)>]) {
    let mut oracle: BTreeMap<(u8, u8), u16> = BTreeMap::new();
    for changes in batches {
        let mut batch = Batch::default();
        for (family, key, value) in changes {
            let place = Family::ALL[usize::from(*family)];
            match value {
                Some(value) => batch.put(place, vec![*key], value.to_be_bytes().to_vec()),
                None => batch.delete(place, vec![*key]),
            }
            match value {
                Some(value) => oracle.insert((*family, *key), *value),
                None => oracle.remove(&(*family, *key)),
            };
        }
        store.commit(&batch, false).unwrap();
    }
    for (family, place) in Family::ALL.into_iter().enumerate().take(3) {
        for (from, to) in [(0, 20), (5, 11), (7, 7), (12, 3)] {
            let found: Vec<Pair> = store.scan(place, &[from], Some(&[to])).map(Result::unwrap).collect();
            let expected: Vec<Pair> = oracle
                .iter()
                .filter(|((place, key), _)| usize::from(*place) == family && (from..to).contains(key))
                .map(|((_, key), value)| {
                    (Box::from([*key].as_slice()), Box::from(value.to_be_bytes().as_slice()))
                })
                .collect();
            assert_eq!(found, expected, "{place:?} {from}..{to}");
        }
    }
}

#[test]
fn memory_keeps_the_contract() {
    keeps_the_contract(&MemoryStore::new());
}

#[test]
fn errors_have_their_exit_codes() {
    let path = PathBuf::from("db");
    let codes = [
        (StoreError::Missing(path.clone()), 2),
        (StoreError::Locked { path: path.clone(), pid: Some(1) }, 4),
        (StoreError::Full { path: path.clone(), needed: 1, free: 0 }, 1),
        (StoreError::Damaged { path: path.clone(), what: String::new() }, 3),
        (StoreError::Newer { path: path.clone(), found: 2, known: 1 }, 1),
        (StoreError::Failed { path, what: String::new() }, 1),
    ];
    for (error, code) in codes {
        assert_eq!(error.exit_code(), code, "{error}");
    }
}

#[cfg(not(feature = "rocksdb"))]
#[test]
fn a_build_without_rocksdb_says_so() {
    let folder = tempfile::tempdir().unwrap();
    for error in [open_writer(folder.path()).err().unwrap(), open_reader(folder.path()).err().unwrap()] {
        assert!(error.to_string().contains("without RocksDB"), "{error}");
    }
}

proptest! {
    #[test]
    fn memory_agrees_with_a_map(batches in batches()) {
        agrees_with_a_map(&MemoryStore::new(), &batches);
    }
}
