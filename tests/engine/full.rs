//! A full disk under a live run: it stops taking in, says why, goes on when there is room, and has lost nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crossbeam_channel::{TrySendError, bounded};
use feeds::time::SECOND;
use tapedeck::clock;
use tapedeck::config::limits::EPOCHS_IN_FLIGHT;
use tapedeck::live::{Deck, LiveOptions};
use tapedeck::store::{Batch, Family, Scan, Store, StoreError};
use tapedeck::tape::Cut;
use tapedeck::view::unready;

use crate::live::deliveries;
use crate::recovery::options;
use crate::support::{assert_same, dumped, memory};

/// A store on a disk that is full as long as somebody says so.
struct Small {
    inner: Arc<dyn Store>,
    is_full: AtomicBool,
    refused: AtomicUsize,
}

impl Small {
    fn full<T>(&self, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        if self.is_full.load(Ordering::SeqCst) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Err(StoreError::Full { path: PathBuf::from("made"), needed: 4_096, free: 17 });
        }
        work()
    }
}

impl Store for Small {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.get(family, key)
    }

    fn scan<'a>(&'a self, family: Family, from: &[u8], to: Option<&[u8]>) -> Scan<'a> {
        self.inner.scan(family, from, to)
    }

    fn commit(&self, batch: &Batch, sync: bool) -> Result<(), StoreError> {
        self.full(|| self.inner.commit(batch, sync))
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.full(|| self.inner.sync())
    }
}

/// The dump of a run on a disk that is full from delivery `at` on, until nothing more is taken in.
fn filled(options: &LiveOptions, at: usize) -> String {
    let small =
        Arc::new(Small { inner: memory(), is_full: AtomicBool::new(false), refused: AtomicUsize::new(0) });
    let store: Arc<dyn Store> = small.clone();
    // As the feeds do, which find that there is no more room.
    let (feeds, arriving) = bounded(8);
    let (started, pulse) = bounded(1);
    let options = LiveOptions { config: options.config.clone(), ..*options };
    let running = std::thread::spawn(move || {
        let mut deck = Deck::start(&store, &options, None).unwrap();
        started.send(deck.pulse()).unwrap();
        for delivery in arriving {
            deck.take(delivery, false).unwrap();
        }
        deck.stop().unwrap()
    });
    let pulse = pulse.recv().unwrap();
    let why = || unready(&pulse, 5 * SECOND, clock::stamp());
    let is_told = || why().iter().any(|why| why.contains("no space left") && why.contains("17 free"));
    let mut waited = false;
    for (number, mut delivery) in deliveries(13, 1_500).into_iter().enumerate() {
        if number == at {
            small.is_full.store(true, Ordering::SeqCst);
        }
        while let Err(TrySendError::Full(back)) = feeds.try_send(delivery) {
            delivery = back;
            if small.is_full.load(Ordering::SeqCst) && pulse.in_flight().0 == EPOCHS_IN_FLIGHT && is_told() {
                let refused_again = || {
                    let refused = small.refused.load(Ordering::SeqCst);
                    while small.refused.load(Ordering::SeqCst) < refused + 3 {
                        std::thread::yield_now();
                    }
                };
                // What it had in hand when the last place was taken, it takes; then it holds as long as it is full.
                refused_again();
                let taken = pulse.tape();
                refused_again();
                assert_eq!(pulse.tape(), taken, "nothing more is taken in");
                (waited, _) = (true, small.is_full.store(false, Ordering::SeqCst));
            }
            std::thread::yield_now();
        }
    }
    assert!(waited, "the disk was full before the end");
    drop(feeds);
    let summary = running.join().unwrap();
    assert!(summary.ledger.adds_up());
    assert!(pulse.committed().waits.is_empty(), "nobody waits any more");
    dumped(&small.inner)
}

#[test]
fn a_live_run_waits_for_room_says_so_and_loses_nothing() {
    for every in [i64::MAX, 0] {
        let options = options(every, Cut::Adaptive);
        let store = memory();
        let mut deck = Deck::start(&store, &options, None).unwrap();
        for delivery in deliveries(13, 1_500) {
            deck.take(delivery, false).unwrap();
        }
        deck.stop().unwrap();
        assert_same(&filled(&options, 20), &dumped(&store), "on a disk that was full");
    }
}

/// A store in which, after each sync, somebody's note finds no room: until a commit finds some, nothing can be synced.
struct Noted {
    inner: Arc<dyn Store>,
    lacks: AtomicBool,
}

impl Store for Noted {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.get(family, key)
    }

    fn scan<'a>(&'a self, family: Family, from: &[u8], to: Option<&[u8]>) -> Scan<'a> {
        self.inner.scan(family, from, to)
    }

    fn commit(&self, batch: &Batch, sync: bool) -> Result<(), StoreError> {
        self.lacks.store(false, Ordering::SeqCst);
        self.inner.commit(batch, sync)
    }

    fn sync(&self) -> Result<(), StoreError> {
        if self.lacks.swap(true, Ordering::SeqCst) {
            return Err(StoreError::Full { path: PathBuf::from("made"), needed: 64, free: 17 });
        }
        self.inner.sync()
    }
}

/// Behind the last checkpoint nothing is committed any more that would show that there is room again.
#[test]
fn a_note_that_finds_no_room_at_the_end_does_not_fail_the_run() {
    let store: Arc<dyn Store> = Arc::new(Noted { inner: memory(), lacks: AtomicBool::new(false) });
    let mut deck = Deck::start(&store, &options(i64::MAX, Cut::Adaptive), None).unwrap();
    for delivery in deliveries(13, 200) {
        deck.take(delivery, false).unwrap();
    }
    let summary = deck.stop().unwrap();
    assert!(summary.ledger.adds_up() && summary.applied > 0);
}
