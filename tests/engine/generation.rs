//! A database that lost what it had committed raises the generation of its cursors; one that lost nothing does not.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tapedeck::live::Deck;
use tapedeck::schema::alerts::Generation;
use tapedeck::schema::boot::{self, Boot};
use tapedeck::store::memory::MemoryStore;
use tapedeck::store::witness::Witness;
use tapedeck::store::{Batch, Family, Scan, Store, StoreError};
use tapedeck::tape::Cut;

use crate::live::{deliveries, live_options};

/// A store in memory with a directory, which can die.
struct Housed {
    inner: MemoryStore,
    directory: PathBuf,
    is_dead: AtomicBool,
}

impl Housed {
    fn new(directory: &Path) -> Arc<Housed> {
        let directory = directory.to_owned();
        Arc::new(Housed { inner: MemoryStore::new(), directory, is_dead: AtomicBool::new(false) })
    }

    /// All that is in it now.
    fn copied(&self) -> Batch {
        let mut batch = Batch::default();
        for family in Family::ALL {
            for pair in self.inner.scan(family, &[], None) {
                let (key, value) = pair.unwrap();
                batch.put(family, key.into(), value.into());
            }
        }
        batch
    }
}

impl Store for Housed {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.get(family, key)
    }

    fn scan<'a>(&'a self, family: Family, from: &[u8], to: Option<&[u8]>) -> Scan<'a> {
        self.inner.scan(family, from, to)
    }

    fn commit(&self, batch: &Batch, sync: bool) -> Result<(), StoreError> {
        if self.is_dead.load(Ordering::SeqCst) {
            return Err(StoreError::Failed { path: self.directory.clone(), what: "dead".to_owned() });
        }
        self.inner.commit(batch, sync)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.inner.sync()
    }

    fn directory(&self) -> Option<&Path> {
        Some(&self.directory)
    }
}

/// The generation and whether the last run stopped on purpose.
fn told(store: &dyn Store) -> (u64, bool) {
    let boot = store.get(Family::Meta, &boot::key()).unwrap().unwrap();
    (Generation::read(store).unwrap().number, Boot::decode(&boot).unwrap().stopped)
}

#[test]
fn a_witness_follows_the_run_and_convicts_a_database_that_lost_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let options = live_options(2, Cut::Adaptive);
    let housed = Housed::new(folder.path());
    let store: Arc<dyn Store> = housed.clone();
    let mut deck = Deck::start(&store, &options, None).unwrap();
    assert_eq!(told(&*store), (1, false));
    let early = housed.copied();
    for delivery in deliveries(7, 300) {
        deck.take(delivery, false).unwrap();
    }
    let summary = deck.stop().unwrap();
    assert_eq!(told(&*store), (1, true));
    let witness = Witness::read(folder.path()).unwrap().unwrap();
    assert_eq!(witness, Witness { committed: summary.applied, generation: 1 });
    assert!(summary.applied > 0);

    // Nothing was lost.
    let again = Deck::start(&store, &options, None).unwrap();
    assert_eq!(told(&*store), (1, false));
    // Killed, under the same boot.
    housed.is_dead.store(true, Ordering::SeqCst);
    assert!(again.stop().is_err());
    housed.is_dead.store(false, Ordering::SeqCst);
    Deck::start(&store, &options, None).unwrap().stop().unwrap();
    assert_eq!(told(&*store), (1, true));

    // Its log is gone, and it says nothing of that itself.
    let lost = Housed::new(folder.path());
    lost.commit(&early, false).unwrap();
    let store: Arc<dyn Store> = lost;
    Deck::start(&store, &options, None).unwrap().stop().unwrap();
    assert_eq!(told(&*store), (2, true));
    assert_eq!(Generation::read(&*store).unwrap().differs_from, 1);
}
