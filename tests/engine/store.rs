//! Bounds when the store is slow, and what happens when it fails.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use proptest::prelude::*;
use tapedeck::commit::CommitError;
use tapedeck::config::limits::EPOCHS_IN_FLIGHT;
use tapedeck::replay::plan::Mode;
use tapedeck::replay::stop::Stop;
use tapedeck::replay::{Ending, ReplayError, ReplayOptions, Report, replay};
use tapedeck::source;
use tapedeck::store::memory::MemoryStore;
use tapedeck::store::{Batch, Family, Scan, Store, StoreError};
use tapedeck::tape::Cut;

use crate::made::{Kind, config, made};
use crate::support::{assert_same, dump_of, dumped, options, run};

/// Entries between checkpoints, and in an epoch, of these tests.
const CHECKPOINT: u64 = 100;
const EPOCH: u64 = 20;

/// What a store does with its commits.
enum Fault {
    /// The disk is full at these commits, counted from 0.
    Full(std::ops::Range<u64>),
    /// This commit fails for another reason.
    Failed(u64),
    /// A commit waits until this is closed.
    Slow(Receiver<()>),
}

struct Faulty {
    inner: Arc<dyn Store>,
    commits: AtomicU64,
    fault: Fault,
}

impl Store for Faulty {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.get(family, key)
    }

    fn scan<'a>(&'a self, family: Family, from: &[u8], to: Option<&[u8]>) -> Scan<'a> {
        self.inner.scan(family, from, to)
    }

    fn commit(&self, batch: &Batch, sync: bool) -> Result<(), StoreError> {
        let commit = self.commits.fetch_add(1, Ordering::Relaxed);
        match &self.fault {
            Fault::Full(commits) if commits.contains(&commit) => {
                Err(StoreError::Full { path: PathBuf::from("made"), needed: batch.bytes(), free: 0 })
            }
            Fault::Failed(number) if *number == commit => {
                Err(StoreError::Failed { path: PathBuf::from("made"), what: "made to fail".to_owned() })
            }
            Fault::Slow(released) => {
                // Nothing is ever sent: this waits for the other end to go.
                let _ = released.recv();
                self.inner.commit(batch, sync)
            }
            _ => self.inner.commit(batch, sync),
        }
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.inner.sync()
    }
}

fn made_options(mode: Mode) -> ReplayOptions {
    let mut options = ReplayOptions {
        config: config(false),
        mode,
        cut: Cut::Every(usize::try_from(EPOCH).unwrap()),
        ..options()
    };
    options.config.engine.checkpoint_entries = CHECKPOINT;
    options
}

/// A replay into `inner` behind `fault`.
fn run_faulty(
    inner: &Arc<dyn Store>,
    fault: Fault,
    files: &[PathBuf],
    mode: Mode,
) -> Result<Report, ReplayError> {
    let store: Arc<dyn Store> =
        Arc::new(Faulty { inner: Arc::clone(inner), commits: AtomicU64::new(0), fault });
    let options = made_options(mode);
    let source = source::open(files, &options.source).unwrap();
    replay(&store, source, &options, &Stop::default(), &mut |_, _| {})
}

fn inner() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_commit_that_fails_ends_the_run_with_its_reason_and_the_rest_is_resumed(
        commits in prop::collection::vec(0u64..14, 1..4),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let files = made(Kind::Capture, 11, 1_000).whole(folder.path());
        let whole = dump_of(&files, &made_options(Mode::Fresh));
        let store = inner();
        let mut mode = Mode::Fresh;
        for commit in commits {
            match run_faulty(&store, Fault::Failed(commit), &files, mode) {
                Err(ReplayError::Commit(CommitError::Store(StoreError::Failed { what, .. }))) => {
                    prop_assert_eq!(what, "made to fail");
                }
                Ok(report) => prop_assert!(matches!(report.ending, Ending::Complete | Ending::NothingLeft)),
                Err(other) => panic!("{other}"),
            }
            if commit > 0 || matches!(mode, Mode::Resume) {
                mode = Mode::Resume;
            }
        }
        run(&store, &files, &made_options(mode));
        assert_same(&dumped(&store), &whole, "after resuming");
    }
}

#[test]
fn a_disk_that_is_full_for_a_moment_costs_time_only() {
    let folder = tempfile::tempdir().unwrap();
    let files = made(Kind::Capture, 11, 1_000).whole(folder.path());
    let store = inner();
    let report = run_faulty(&store, Fault::Full(3..6), &files, Mode::Fresh).unwrap();
    assert!(matches!(report.ending, Ending::Complete));
    assert_same(&dumped(&store), &dump_of(&files, &made_options(Mode::Fresh)), "with a full disk");
}

#[test]
fn a_disk_that_stays_full_ends_the_run_and_the_rest_is_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let files = made(Kind::Capture, 11, 1_000).whole(folder.path());
    let store = inner();
    match run_faulty(&store, Fault::Full(4..u64::MAX), &files, Mode::Fresh) {
        Err(ReplayError::Commit(CommitError::Store(StoreError::Full { needed, .. }))) => assert!(needed > 0),
        other => panic!("{other:?}"),
    }
    run(&store, &files, &made_options(Mode::Resume));
    assert_same(&dumped(&store), &dump_of(&files, &made_options(Mode::Fresh)), "after resuming");
}

#[test]
fn a_store_that_does_not_answer_holds_the_source_back() {
    let folder = tempfile::tempdir().unwrap();
    let made = made(Kind::Csv, 11, 3_000);
    // A file is a batch, and the replay is heard after each.
    let files: Vec<PathBuf> = made
        .lines
        .chunks(5)
        .enumerate()
        .map(|(part, lines)| {
            crate::made::file(folder.path(), &format!("part{part:03}.csv"), &made.head, lines)
        })
        .collect();
    let (release, released) = bounded::<()>(1);
    let store = inner();
    let slow: Arc<dyn Store> = Arc::new(Faulty {
        inner: Arc::clone(&store),
        commits: AtomicU64::new(0),
        fault: Fault::Slow(released),
    });
    let (heard, hear) = bounded(made.lines.len());
    let replaying = std::thread::spawn({
        let files = files.clone();
        move || {
            let mut options = made_options(Mode::Fresh);
            options.source.decoders = 1;
            let source = source::open(&files, &options.source).unwrap();
            let mut watch = |_, ticks| heard.send(ticks).unwrap();
            replay(&slow, source, &options, &Stop::default(), &mut watch).map(|report| report.ending)
        }
    });
    // One checkpoint is being written, one waits, one is handed over; then come the epochs in flight, and the one
    // that waits for credit.
    let most = 3 * CHECKPOINT + (EPOCHS_IN_FLIGHT as u64 + 1) * EPOCH;
    let mut last = 0;
    loop {
        match hear.recv_timeout(Duration::from_millis(700)) {
            Ok(ticks) => last = ticks,
            Err(RecvTimeoutError::Timeout) => break,
            Err(RecvTimeoutError::Disconnected) => panic!("it went on to the end"),
        }
        assert!(last <= most, "{last} ticks are on the tape, {most} may be");
    }
    drop(release);
    assert!(matches!(replaying.join().unwrap(), Ok(Ending::Complete)));
    assert!(hear.try_iter().last() == Some(3_000), "it stood at {last}");
    assert_same(&dumped(&store), &dump_of(&files, &made_options(Mode::Fresh)), "after a slow start");
}
