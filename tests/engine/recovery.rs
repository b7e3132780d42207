//! A live run that dies at any moment loses nothing that was committed, and goes on as if it had made a checkpoint there.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use tapedeck::feed::delivery::Delivery;
use tapedeck::live::{Deck, LiveOptions};
use tapedeck::replay::plan;
use tapedeck::schema::feeds::{self, Feed};
use tapedeck::schema::head::{self, Head};
use tapedeck::store::{Batch, Family, Scan, Store, StoreError};
use tapedeck::tape::Cut;

use crate::live::{deliveries, live_options};
use crate::support::{assert_same, dumped, memory};

/// A store whose process dies: from then on nothing more gets into it.
struct Mortal {
    inner: Arc<dyn Store>,
    is_dead: AtomicBool,
}

impl Store for Mortal {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.get(family, key)
    }

    fn scan<'a>(&'a self, family: Family, from: &[u8], to: Option<&[u8]>) -> Scan<'a> {
        self.inner.scan(family, from, to)
    }

    fn commit(&self, batch: &Batch, sync: bool) -> Result<(), StoreError> {
        if self.is_dead.load(Ordering::SeqCst) {
            return Err(StoreError::Failed { path: PathBuf::from("made"), what: "dead".to_owned() });
        }
        self.inner.commit(batch, sync)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.inner.sync()
    }
}

pub(crate) fn options(checkpoint_every: i64, cut: Cut) -> LiveOptions {
    let mut options = live_options(2, cut);
    options.config.engine.checkpoint_every = checkpoint_every;
    options
}

/// Runs on `deliveries` and dies: as soon as all of them are committed, or, if `at_once`, whatever is.
pub(crate) fn died(deliveries: Vec<Delivery>, options: &LiveOptions, at_once: bool) -> Arc<dyn Store> {
    let inner = memory();
    let mortal = Arc::new(Mortal { inner: Arc::clone(&inner), is_dead: AtomicBool::new(false) });
    let store: Arc<dyn Store> = mortal.clone();
    let mut deck = Deck::start(&store, options, None).unwrap();
    let pulse = deck.pulse();
    for delivery in deliveries {
        deck.take(delivery, false).unwrap();
    }
    // What is given back is committed.
    while !at_once && pulse.in_flight().0 > 0 {
        std::thread::yield_now();
    }
    mortal.is_dead.store(true, Ordering::SeqCst);
    assert!(deck.stop().is_err(), "it could not make its last checkpoint");
    inner
}

/// How far its tape is in the database, if anything of it is.
fn head_of(store: &Arc<dyn Store>) -> Option<Head> {
    let head = store.get(Family::Meta, &head::key()).unwrap();
    // What of its frames stands there and not in the ledgers depends on when those were written.
    head.map(|value| Head { frames: Vec::new(), ..Head::decode(&value).unwrap() })
}

/// Frames that gave ticks, by the ledgers of all inputs, each of which adds up.
fn frames_with_ticks(store: &Arc<dyn Store>) -> u64 {
    let prefix = feeds::prefix();
    let pairs = store.scan(Family::Meta, &prefix.clone().bytes(), prefix.next().as_deref());
    let ticks = pairs.map(|pair| {
        let feed = Feed::decode(&pair.unwrap().1).unwrap();
        let named: u64 = feed.passed_over.values().chain(feed.unknown.values()).sum();
        let parts = feed.ticks + feed.control + feed.heartbeat + named + feed.broken + feed.blank;
        assert_eq!(feed.frames, parts, "{feed:?}");
        feed.ticks
    });
    ticks.sum()
}

/// How many frames with ticks may be in the database when all of these are taken and it dies: those behind the last
/// tick (their own ticks wait for a time) are committed with the next entry, which may not come.
fn frames_of(deliveries: &[Delivery]) -> std::ops::RangeInclusive<u64> {
    let (mut sure, mut all) = (0, 0);
    for delivery in deliveries {
        if let Delivery::Frames(decoded) = delivery {
            all += decoded.counts.ticks;
            sure = if decoded.output.ticks.is_empty() { sure } else { all };
        }
    }
    sure..=all
}

/// Goes on from what is there, and stops on purpose.
fn gone_on(store: &Arc<dyn Store>, options: &LiveOptions) -> String {
    let head = head_of(store).unwrap();
    let deck = Deck::start(store, options, None).unwrap();
    let recovered = plan::runs(&**store).unwrap();
    let [.., before, last] = &recovered[..] else { panic!("there are two runs") };
    assert_eq!((before.applied, before.ticks), (head.applied, head.ticks), "all that was committed is there");
    assert_eq!((last.first, last.ticks_before), (head.applied + 1, head.ticks));
    let summary = deck.stop().unwrap();
    assert!(summary.ledger.adds_up());
    assert_eq!(summary.ledger.received, head.ticks);
    dumped(store)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5))]

    #[test]
    fn the_tape_behind_a_checkpoint_is_as_good_as_a_checkpoint(seed in any::<u64>(), lines in 50_usize..900) {
        let never = options(i64::MAX, Cut::Adaptive);
        let stored = died(deliveries(seed, lines), &never, false);
        let end = head_of(&stored);
        let frames = frames_of(&deliveries(seed, lines));
        let whole = gone_on(&stored, &never);
        prop_assert!(whole.contains("window,"));
        prop_assert!(frames.contains(&frames_with_ticks(&stored)), "{:?}", frames);
        for (every, cut) in [(0, Cut::Adaptive), (1_000_000, Cut::Adaptive), (i64::MAX, Cut::Every(3))] {
            let options = options(every, cut);
            let stored = died(deliveries(seed, lines), &options, false);
            // Where epochs are cut by number, the last entries wait for more and die with it.
            let head = head_of(&stored);
            // With a checkpoint each time, what concerns no symbol is committed, too.
            let applied = |head: &Option<Head>| head.as_ref().map(|head| head.applied);
            prop_assert!(applied(&head) >= applied(&end) || cut != Cut::Adaptive);
            let dump = gone_on(&stored, &options);
            if head == end {
                prop_assert!(frames.contains(&frames_with_ticks(&stored)), "{:?}", frames);
                assert_same(&dump, &whole, "from another checkpoint");
            }
        }
    }

    #[test]
    fn whatever_was_committed_when_it_died_is_there(seed in any::<u64>(), lines in 50_usize..900) {
        let options = options(2_000_000, Cut::Adaptive);
        let store = died(deliveries(seed, lines), &options, true);
        if head_of(&store).is_some() {
            gone_on(&store, &options);
            // And again: what was recovered is a checkpoint.
            gone_on_twice(&store, &options);
        }
    }
}

fn gone_on_twice(store: &Arc<dyn Store>, options: &LiveOptions) {
    let before = plan::runs(&**store).unwrap().len();
    Deck::start(store, options, None).unwrap().stop().unwrap();
    assert_eq!(plan::runs(&**store).unwrap().len(), before + 1);
}

/// The tape is kept as far as the older of two checkpoints needs it, and the blocks of single epochs go.
#[test]
fn what_no_checkpoint_needs_goes() {
    let store = memory();
    let options = options(0, Cut::Adaptive);
    let mut deck = Deck::start(&store, &options, None).unwrap();
    for delivery in deliveries(5, 900) {
        deck.take(delivery, false).unwrap();
    }
    let summary = deck.stop().unwrap();
    let chunks = store.scan(Family::Tape, &[], None).count();
    assert!(summary.applied > 300 && chunks < 12, "{chunks} chunks of {} entries are left", summary.applied);
}
