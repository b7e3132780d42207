//! The durable store: RocksDB, one column family for each [`Family`], one writer, any number of readers beside it
//! ([`super::rocks_reader`]).
//!
//! What a commit without `sync` wrote is in the log and survives the end of the process; [`Store::sync`] makes it
//! survive a power loss. One `WriteBatch` over all families is atomic through the one log. A failed commit changed
//! nothing that this process sees; if it was the sync that failed, the batch may be there, whole, after a restart.
//!
//! A full disk shows only in writes that fail ([`StoreError::Full`]). Reads still work, and writes work again by
//! themselves some seconds after space was freed; but not if the log is synced before that, which RocksDB takes for a failure
//! of another kind and never recovers from. So nothing is synced between a batch that found no room and the next that does.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rocksdb::{
    ColumnFamily, DB, Direction, ErrorKind, IteratorMode, Options, ReadOptions, WriteBatch, WriteOptions,
};

use super::directory::{self, Directory};
use super::lock::WriterLock;
use super::rocks_options::{self, Access};
use super::rocks_reader::RocksReader;
use super::{Batch, Family, SCHEMA, SCHEMA_KEY, Scan, Store, StoreError};

/// Bytes that a change costs in a batch beside its key and value.
const CHANGE_OVERHEAD: usize = 16;

/// The database, for writing.
pub struct RocksStore {
    path: PathBuf,
    /// Before the lock, so that it is closed before the lock is let go.
    db: DB,
    /// Bytes of the batch that found no room, until one finds it; 0 otherwise.
    lacking: AtomicU64,
    _lock: WriterLock,
}

impl RocksStore {
    /// Opens the database in the directory `path`, or makes it if there is none.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another process writes to it, [`StoreError::Damaged`], [`StoreError::Newer`],
    /// [`StoreError::Full`] if opening needs space that is not there, and [`StoreError::Failed`] if the directory
    /// holds something else.
    pub fn create_or_open(path: &Path) -> Result<Self, StoreError> {
        if directory::inspect(path)? == Directory::Absent {
            std::fs::create_dir_all(path).map_err(|error| failed(path, error.to_string()))?;
        }
        let lock = WriterLock::take(path)?;
        // Looked at again under the lock: another process may have made it meanwhile.
        let create = directory::inspect(path)? != Directory::Database;
        if !create {
            refuse_unknown_families(path)?;
        }
        let families = rocks_options::descriptors(Family::ALL);
        let db = DB::open_cf_descriptors(&rocks_options::database(Access::Write { create }), path, families)
            .map_err(|error| failure(path, &error, rocks_options::WRITE_BUFFER as u64))?;
        let store = Self { path: path.to_owned(), db, lacking: AtomicU64::new(0), _lock: lock };
        if read_schema(&store.db, path)?.is_none() {
            store.write_schema()?;
        }
        Ok(store)
    }

    /// Marks a database that was just made.
    fn write_schema(&self) -> Result<(), StoreError> {
        for family in Family::ALL {
            if self.scan(family, &[], None).next().transpose()?.is_some() {
                let what = format!("it holds {}, but no schema version", family.name());
                return Err(StoreError::Damaged { path: self.path.clone(), what });
            }
        }
        let mut batch = Batch::default();
        batch.put(Family::Meta, SCHEMA_KEY.to_vec(), SCHEMA.to_be_bytes().to_vec());
        self.commit(&batch, true)?;
        // Into a table at once: a database whose log is lost is then still known for one.
        let meta = handle(&self.db, &self.path, Family::Meta)?;
        self.db.flush_cf(meta).map_err(|error| failure(&self.path, &error, batch.bytes()))
    }
}

impl Store for RocksStore {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        get(&self.db, &self.path, family, key)
    }

    fn scan<'a>(&'a self, family: Family, from: &[u8], to: Option<&[u8]>) -> Scan<'a> {
        match handle(&self.db, &self.path, family) {
            Ok(handle) => scan(&self.db, &self.path, handle, from, to),
            Err(error) => Box::new(std::iter::once(Err(error))),
        }
    }

    fn commit(&self, batch: &Batch, sync: bool) -> Result<(), StoreError> {
        let changes = batch.sorted();
        let bytes = batch.bytes();
        let capacity = usize::try_from(bytes).unwrap_or(0) + changes.len() * CHANGE_OVERHEAD;
        let mut writes = WriteBatch::with_capacity_bytes(capacity);
        for (family, from, to) in batch.ranges() {
            writes.delete_range_cf(handle(&self.db, &self.path, *family)?, from, to);
        }
        for changes in changes.chunk_by(|a, b| a.0 == b.0) {
            let Some((family, ..)) = changes.first() else { continue };
            let handle = handle(&self.db, &self.path, *family)?;
            for (_, key, value) in changes {
                match value {
                    Some(value) => writes.put_cf(handle, key, value),
                    None => writes.delete_cf(handle, key),
                }
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(sync);
        let written = self.db.write_opt(writes, &options).map_err(|error| failure(&self.path, &error, bytes));
        match &written {
            Err(StoreError::Full { .. }) => self.lacking.store(bytes.max(1), Ordering::Release),
            Ok(()) if self.lacking.load(Ordering::Relaxed) != 0 => self.lacking.store(0, Ordering::Release),
            _ => {}
        }
        written
    }

    fn sync(&self) -> Result<(), StoreError> {
        match self.lacking.load(Ordering::Acquire) {
            0 => self.db.flush_wal(true).map_err(|error| failure(&self.path, &error, 0)),
            needed => {
                let free = fs4::available_space(&self.path).unwrap_or(0);
                Err(StoreError::Full { path: self.path.clone(), needed, free })
            }
        }
    }

    fn directory(&self) -> Option<&Path> {
        Some(&self.path)
    }
}

/// Refuses a database with families that are not ours, before anything in it is changed: it is a newer tapedeck's, or
/// another program's.
fn refuse_unknown_families(path: &Path) -> Result<(), StoreError> {
    let names = DB::list_cf(&Options::default(), path).map_err(|error| failure(path, &error, 0))?;
    let known = |name: &String| {
        name == rocksdb::DEFAULT_COLUMN_FAMILY_NAME || Family::ALL.iter().any(|family| name == family.name())
    };
    let Some(unknown) = names.into_iter().find(|name| !known(name)) else { return Ok(()) };
    match RocksReader::open(path) {
        Ok(_) | Err(StoreError::Missing(_)) => Err(failed(
            path,
            format!("this is not a tapedeck database: it holds a family {unknown}; use another --db"),
        )),
        Err(error) => Err(error),
    }
}

/// The schema version in the database, if it has one yet.
pub(super) fn read_schema(db: &DB, path: &Path) -> Result<Option<u32>, StoreError> {
    if db.cf_handle(Family::Meta.name()).is_none() {
        return Ok(None);
    }
    let Some(value) = get(db, path, Family::Meta, SCHEMA_KEY)? else { return Ok(None) };
    match <[u8; 4]>::try_from(value.as_slice()).map(u32::from_be_bytes) {
        Ok(found) if found > SCHEMA => Err(StoreError::Newer { path: path.to_owned(), found, known: SCHEMA }),
        Ok(found) if found > 0 => Ok(Some(found)),
        _ => Err(StoreError::Damaged {
            path: path.to_owned(),
            what: format!("its schema version is no number: {value:02x?}"),
        }),
    }
}

/// RocksDB's handle of `family`.
fn handle<'a>(db: &'a DB, path: &Path, family: Family) -> Result<&'a ColumnFamily, StoreError> {
    db.cf_handle(family.name()).ok_or_else(|| failed(path, format!("it has no family {}", family.name())))
}

/// The value of `key`.
pub(super) fn get(db: &DB, path: &Path, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    db.get_cf(handle(db, path, family)?, key).map_err(|error| failure(path, &error, 0))
}

/// The pairs with `from <= key < to`. RocksDB's iterator keeps to the state in which it was made, and the crate's
/// (not its raw one) ends with the error if it cannot go on.
pub(super) fn scan<'a>(
    db: &'a DB,
    path: &'a Path,
    handle: &ColumnFamily,
    from: &[u8],
    to: Option<&[u8]>,
) -> Scan<'a> {
    if to.is_some_and(|to| to <= from) {
        return Box::new(std::iter::empty());
    }
    let mut options = ReadOptions::default();
    if let Some(to) = to {
        options.set_iterate_upper_bound(to);
    }
    let pairs = db.iterator_cf_opt(handle, options, IteratorMode::From(from, Direction::Forward));
    Box::new(pairs.map(move |pair| pair.map_err(|error| failure(path, &error, 0))))
}

/// True if a file of the database is not there, or RocksDB itself asks to try again.
pub(super) fn is_missing_file(error: &rocksdb::Error) -> bool {
    error.kind() == ErrorKind::TryAgain || error.as_ref().contains("No such file or directory")
}

/// True if no room is left, on the disk or for the user.
fn is_full(error: &rocksdb::Error) -> bool {
    ["No space left on device", "Disk quota exceeded", "NoSpace"]
        .iter()
        .any(|text| error.as_ref().contains(text))
}

/// Says what an error of RocksDB means. It knows them by their text: the crate passes nothing else on.
pub(super) fn failure(path: &Path, error: &rocksdb::Error, needed: u64) -> StoreError {
    let path = path.to_owned();
    let what = error.as_ref().to_owned();
    if is_full(error) {
        let free = fs4::available_space(&path).unwrap_or(0);
        StoreError::Full { path, needed, free }
    } else if error.kind() == ErrorKind::Corruption || is_missing_file(error) {
        StoreError::Damaged { path, what }
    } else if what.contains("lock file") || what.contains("lock hold by") {
        StoreError::Locked { path, pid: None }
    } else {
        StoreError::Failed { path, what }
    }
}

/// An error that is none of the others.
pub(super) fn failed(path: &Path, what: String) -> StoreError {
    StoreError::Failed { path: path.to_owned(), what }
}
