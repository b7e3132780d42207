//! Where state and results are kept: ordered bytes by family, written in batches by one writer.
//!
//! What the keys and values mean is not known here. Two stores keep the one contract: one in memory, and RocksDB.

use std::path::PathBuf;

/// A column family: a separate ordered map of keys to values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// Live tape: number → chunk of entries.
    Tape,
    /// Results: blocks of windows.
    Windows,
    /// Alert log (none are written yet).
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
    /// Anything else.
    #[error("the database {} failed: {what}", .path.display())]
    Failed {
        /// The database.
        path: PathBuf,
        /// What.
        what: String,
    },
}

/// One key and its value.
pub type Pair = (Box<[u8]>, Box<[u8]>);

/// Pairs in key order. An error is the last item.
pub type Scan<'a> = Box<dyn Iterator<Item = Result<Pair, StoreError>> + 'a>;

/// Changes that are made together or not at all.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    changes: Vec<(Family, Vec<u8>, Option<Vec<u8>>)>,
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

    /// True if it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
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
    pub fn into_sorted(mut self) -> Vec<(Family, Vec<u8>, Option<Vec<u8>>)> {
        self.changes.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        self.changes
    }
}

/// The contract.
pub trait Store: Send + Sync {
    /// The value of `key`.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// The pairs with `from <= key < to` (to the end if `to` is `None`), in key order.
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
}
