//! Where state and results are kept: ordered bytes by family, written in batches by one writer.
//!
//! What the keys and values mean is not known here. Two stores keep the one contract: one in memory, and RocksDB.
//!
//! Beside RocksDB's own files, a database's directory holds `LOCK.tapedeck` ([`lock`]) and `HWM` ([`witness`]).
//! One key is the store's own: `schema` in [`Family::Meta`], the format of the database as a `u32`, big-endian
//! ([`SCHEMA`]). It is written when a database is made and checked whenever one is opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "rocksdb")]
mod directory;
pub mod lock;
pub mod memory;
#[cfg(feature = "rocksdb")]
pub mod rocks;
#[cfg(feature = "rocksdb")]
mod rocks_options;
#[cfg(feature = "rocksdb")]
pub mod rocks_reader;
pub mod witness;

#[cfg(test)]
mod contract_tests;
#[cfg(feature = "rocksdb")]
#[cfg(test)]
mod rocks_crash_tests;
#[cfg(feature = "rocksdb")]
#[cfg(test)]
mod rocks_damage_tests;
#[cfg(feature = "rocksdb")]
#[cfg(test)]
mod rocks_tests;

/// The format of the databases that this program writes. A greater one in a database is refused.
pub const SCHEMA: u32 = 1;

/// The key of the format in [`Family::Meta`].
pub const SCHEMA_KEY: &[u8] = b"schema";

/// How long [`Store::commit_within`] waits between two attempts on a full disk.
pub(crate) const PAUSE_WHEN_FULL: Duration = Duration::from_millis(100);

/// A column family: a separate ordered map of keys to values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// Live tape: number → chunk of entries.
    Tape,
    /// Results: blocks of windows.
    Windows,
    /// Alert log.
    Alerts,
    /// Snapshots of symbols.
    State,
    /// Ticks that came too late.
    Late,
    /// Ranges that are missing.
    Gaps,
    /// Schema version, symbols, configuration, checkpoints, ledgers.
    Meta,
    /// Interval histograms.
    Latency,
}

impl Family {
    /// All families, in the order of their names' declaration.
    pub const ALL: [Family; 8] = [
        Family::Tape,
        Family::Windows,
        Family::Alerts,
        Family::State,
        Family::Late,
        Family::Gaps,
        Family::Meta,
        Family::Latency,
    ];

    /// The name in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Family::Tape => "tape",
            Family::Windows => "windows",
            Family::Alerts => "alerts",
            Family::State => "state",
            Family::Late => "late",
            Family::Gaps => "gaps",
            Family::Meta => "meta",
            Family::Latency => "latency",
        }
    }
}

/// Why a store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No database there.
    #[error("no database at {}", .0.display())]
    Missing(PathBuf),
    /// Another process writes to it (exit code 4).
    #[error("the database {} is held by another process{}; stop it, or use another --db", .path.display(),
        .pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Locked {
        /// The database.
        path: PathBuf,
        /// Who holds it, if it says so.
        pid: Option<u32>,
    },
    /// The disk is full; what was committed is safe.
    #[error("no space left for the database {}: {needed} bytes needed, {free} free", .path.display())]
    Full {
        /// The database.
        path: PathBuf,
        /// Bytes that the batch in hand needs.
        needed: u64,
        /// Bytes free there.
        free: u64,
    },
    /// The data is damaged (exit code 3).
    #[error("the database {} is damaged: {what}", .path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What, with file and offset where known.
        what: String,
    },
    /// A newer program wrote it.
    #[error("the database {} was written by a newer tapedeck (format {found}, this one knows {known}): \
        upgrade tapedeck", .path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that is known here.
        known: u32,
    },
    /// Anything else.
    #[error("the database {} failed: {what}", .path.display())]
    Failed {
        /// The database.
        path: PathBuf,
        /// What.
        what: String,
    },
}

impl StoreError {
    /// The exit code of a program that ends with this error: 2 for a wrong path (a usage error), 3 for damaged data,
    /// 4 if another process holds the database, else 1.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            StoreError::Missing(_) => 2,
            StoreError::Damaged { .. } => 3,
            StoreError::Locked { .. } => 4,
            StoreError::Full { .. } | StoreError::Newer { .. } | StoreError::Failed { .. } => 1,
        }
    }
}

/// One key and its value.
pub type Pair = (Box<[u8]>, Box<[u8]>);

/// Pairs in key order. An error is the last item.
pub type Scan<'a> = Box<dyn Iterator<Item = Result<Pair, StoreError>> + 'a>;

/// The new value of a key, or `None` if the key goes.
pub type Change = (Family, Vec<u8>, Option<Vec<u8>>);

/// Changes that are made together or not at all.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Ranges of keys that go, before anything else is changed.
    ranges: Vec<(Family, Vec<u8>, Vec<u8>)>,
    changes: Vec<Change>,
}

impl Batch {
    /// Sets `key` to `value`.
    pub fn put(&mut self, family: Family, key: Vec<u8>, value: Vec<u8>) {
        self.changes.push((family, key, Some(value)));
    }

    /// Removes `key`.
    pub fn delete(&mut self, family: Family, key: Vec<u8>) {
        self.changes.push((family, key, None));
    }

    /// Removes the keys with `from <= key < to`, those that this batch sets excepted.
    pub fn delete_range(&mut self, family: Family, from: Vec<u8>, to: Vec<u8>) {
        self.ranges.push((family, from, to));
    }

    /// True if it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.ranges.is_empty()
    }

    /// The ranges that go.
    #[must_use]
    pub fn ranges(&self) -> &[(Family, Vec<u8>, Vec<u8>)] {
        &self.ranges
    }

    /// Bytes of all keys and values.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.changes
            .iter()
            .map(|(_, key, value)| (key.len() + value.as_ref().map_or(0, Vec::len)) as u64)
            .sum()
    }

    /// The changes, sorted by family and key: later changes of a key stay behind earlier ones.
    #[must_use]
    pub fn into_sorted(mut self) -> Vec<Change> {
        self.changes.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        self.changes
    }

    /// The changes in the order of [`Batch::into_sorted`], without moving any bytes.
    #[must_use]
    pub fn sorted(&self) -> Vec<&Change> {
        let mut changes: Vec<&Change> = self.changes.iter().collect();
        changes.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        changes
    }
}

/// The contract.
pub trait Store: Send + Sync {
    /// The value of `key`.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// The pairs with `from <= key < to` (to the end if `to` is `None`), in key order, as they are now: what is
    /// committed while the scan is in use does not show in it.
    fn scan<'a>(&'a self, family: Family, from: &[u8], to: Option<&[u8]>) -> Scan<'a>;

    /// Makes the changes of `batch`, all or none. With `sync`, they survive a power loss when this returns;
    /// without, they survive the end of the process.
    ///
    /// # Errors
    /// [`StoreError`], and then nothing was changed.
    fn commit(&self, batch: &Batch, sync: bool) -> Result<(), StoreError>;

    /// Makes everything committed so far survive a power loss.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot.
    fn sync(&self) -> Result<(), StoreError>;

    /// Makes visible what another process has committed since this store was opened or last refreshed. A store that
    /// writes sees all there is.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read; what the store shows then is not to be relied on until a later one
    /// succeeds.
    fn refresh(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Where it is on disk, for what is kept beside it ([`witness`]); `None` if it is nowhere.
    fn directory(&self) -> Option<&Path> {
        None
    }

    /// Commits `batch`, and tries again for as long as `patience` while the disk is full. RocksDB takes writes again
    /// by itself some 5 s after space was freed.
    ///
    /// # Errors
    /// [`StoreError`], and then nothing was changed.
    fn commit_within(&self, batch: &Batch, sync: bool, patience: Duration) -> Result<(), StoreError> {
        let mut waited = Duration::ZERO;
        loop {
            match self.commit(batch, sync) {
                Err(StoreError::Full { .. }) if waited < patience => pause(PAUSE_WHEN_FULL),
                done => return done,
            }
            waited += PAUSE_WHEN_FULL;
        }
    }
}

/// Waits for another process, or for somebody to make room: nothing says when that is done.
#[expect(
    clippy::disallowed_methods,
    reason = "neither a full disk nor another process can be waited for otherwise"
)]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Opens the database at `path` for writing; makes it if there is nothing.
///
/// # Errors
/// [`StoreError`]: held by another process, damaged, newer, no tapedeck database, or a build without RocksDB.
pub fn open_writer(path: &Path) -> Result<Arc<dyn Store>, StoreError> {
    #[cfg(feature = "rocksdb")]
    return Ok(Arc::new(rocks::RocksStore::create_or_open(path)?));
    #[cfg(not(feature = "rocksdb"))]
    return Err(without_rocksdb(path));
}

/// Opens the database at `path` for reading, beside a process that writes to it or alone.
///
/// # Errors
/// [`StoreError`]: missing, damaged, newer, no tapedeck database, or a build without RocksDB.
pub fn open_reader(path: &Path) -> Result<Arc<dyn Store>, StoreError> {
    #[cfg(feature = "rocksdb")]
    return Ok(Arc::new(rocks_reader::RocksReader::open(path)?));
    #[cfg(not(feature = "rocksdb"))]
    return Err(without_rocksdb(path));
}

/// This build cannot open databases.
#[cfg(not(feature = "rocksdb"))]
fn without_rocksdb(path: &Path) -> StoreError {
    let what = "this tapedeck was built without RocksDB; build it with the feature rocksdb".to_owned();
    StoreError::Failed { path: path.to_owned(), what }
}
