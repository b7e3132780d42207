//! Reading a RocksDB database that another process may be writing to.
//!
//! RocksDB has two ways, and each lacks something. Opened *read-only*, everything is checked, but nothing new is ever
//! seen. A *secondary* follows the writer, but where a table is missing or damaged it shows an older state, or an
//! empty one, and says nothing. So a reader opens read-only, and [`Store::refresh`] turns to a secondary that follows.
//!
//! Neither holds the writer up, so files may go while they are read. Before any goes, the writer notes it in its
//! manifest; what was read while the manifest stayed as it was is one whole state. If it did not, it is read again.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rocksdb::{ColumnFamilyDescriptor, DB, Options};

use super::directory::{self, CURRENT, Directory};
use super::rocks::{failed, failure, get, is_missing_file, read_schema, scan};
use super::rocks_options::{self, Access};
use super::{Batch, Family, Scan, Store, StoreError, pause};

/// How often something is read again because the writer changed it meanwhile.
const ATTEMPTS: u32 = 10;

/// The pause between these attempts.
const PAUSE: Duration = Duration::from_millis(20);

/// The database, for reading beside a writer or alone. It shows the state of when it was opened or last refreshed.
pub struct RocksReader {
    path: PathBuf,
    /// As it was when opened; `None` if the writer was too busy for that.
    opened: Option<DB>,
    /// What follows the writer, from the first refresh on.
    following: OnceLock<DB>,
    /// One refresh at a time.
    refreshing: Mutex<()>,
    /// After both, so that they are closed before their folder goes.
    folder: PrivateFolder,
}

#[cfg(test)]
impl RocksReader {
    /// Its private folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder.0
    }
}

impl RocksReader {
    /// Opens the database in the directory `path`. Nothing is written there.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is none (yet), [`StoreError::Damaged`], [`StoreError::Newer`], and
    /// [`StoreError::Failed`] if the directory holds something else.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if directory::inspect(path)? != Directory::Database {
            return Err(StoreError::Missing(path.to_owned()));
        }
        let reader = Self {
            path: path.to_owned(),
            opened: while_it_changes(path, || open_read_only(path))?,
            following: OnceLock::new(),
            refreshing: Mutex::new(()),
            folder: PrivateFolder::create().map_err(|error| failed(path, error.to_string()))?,
        };
        match &reader.opened {
            Some(db) => known(db, path)?,
            None => reader.refresh()?,
        }
        Ok(reader)
    }

    /// What is read from.
    fn db(&self) -> Result<&DB, StoreError> {
        self.following
            .get()
            .or(self.opened.as_ref())
            .ok_or_else(|| failed(&self.path, "it has not been read yet".to_owned()))
    }

    /// A secondary that has caught up.
    fn follow(&self) -> Result<DB, StoreError> {
        let open = || {
            let (options, families) = reading(&self.path)?;
            DB::open_cf_descriptors_as_secondary(&options, &self.path, &self.folder.0, families)
        };
        let db = while_files_vanish(open).map_err(|error| failure(&self.path, &error, 0))?;
        self.catch_up(&db)?;
        known(&db, &self.path)?;
        Ok(db)
    }

    /// Lets `db` catch up until what it has read is one whole state.
    fn catch_up(&self, db: &DB) -> Result<(), StoreError> {
        while_it_changes(&self.path, || db.try_catch_up_with_primary())?.ok_or_else(|| {
            failed(&self.path, format!("its writer changed it {ATTEMPTS} times while it was read; try again"))
        })
    }

    /// The error of a change.
    fn refuse(&self) -> StoreError {
        failed(&self.path, "it is open for reading only".to_owned())
    }
}

impl Store for RocksReader {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let db = self.db()?;
        match db.cf_handle(family.name()) {
            Some(_) => get(db, &self.path, family, key),
            None => Ok(None),
        }
    }

    fn scan<'a>(&'a self, family: Family, from: &[u8], to: Option<&[u8]>) -> Scan<'a> {
        match self.db().map(|db| (db, db.cf_handle(family.name()))) {
            Ok((db, Some(handle))) => scan(db, &self.path, handle, from, to),
            Ok((_, None)) => Box::new(std::iter::empty()),
            Err(error) => Box::new(std::iter::once(Err(error))),
        }
    }

    fn commit(&self, _batch: &Batch, _sync: bool) -> Result<(), StoreError> {
        Err(self.refuse())
    }

    fn sync(&self) -> Result<(), StoreError> {
        Err(self.refuse())
    }

    fn refresh(&self) -> Result<(), StoreError> {
        let _one = self.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
        match self.following.get() {
            Some(db) => self.catch_up(db),
            None => {
                let db = self.follow()?;
                self.following.get_or_init(|| db);
                Ok(())
            }
        }
    }
}

/// The database as it is, all of it checked.
fn open_read_only(path: &Path) -> Result<DB, rocksdb::Error> {
    let (options, families) = reading(path)?;
    DB::open_cf_descriptors_read_only(&options, path, families, false)
}

/// The options for reading, and those of our families that the database has: an older one may have fewer.
fn reading(path: &Path) -> Result<(Options, Vec<ColumnFamilyDescriptor>), rocksdb::Error> {
    let options = rocks_options::database(Access::Read);
    let there = DB::list_cf(&options, path)?;
    let families = Family::ALL.into_iter().filter(|family| there.iter().any(|name| name == family.name()));
    Ok((options, rocks_options::descriptors(families)))
}

/// Refuses a database that is newer than this program, or that its writer is making just now.
fn known(db: &DB, path: &Path) -> Result<(), StoreError> {
    match read_schema(db, path)? {
        Some(_) => Ok(()),
        None => Err(StoreError::Missing(path.to_owned())),
    }
}

/// Which manifest the database has, and how long it is. It grows whenever the set of the database's files changes.
fn manifest(path: &Path) -> Option<(String, u64)> {
    let name = std::fs::read_to_string(path.join(CURRENT)).ok()?;
    let length = std::fs::metadata(path.join(name.trim_end())).ok()?.len();
    Some((name, length))
}

/// Does `work` until the writer did not change the set of files meanwhile; `None` if it always did.
fn while_it_changes<T>(
    path: &Path,
    mut work: impl FnMut() -> Result<T, rocksdb::Error>,
) -> Result<Option<T>, StoreError> {
    for _ in 0..ATTEMPTS {
        let before = manifest(path);
        let done = while_files_vanish(&mut work);
        if manifest(path) == before {
            return done.map(Some).map_err(|error| failure(path, &error, 0));
        }
        pause(PAUSE);
    }
    Ok(None)
}

/// Does `work` again while files vanish under it. The last error counts: then they are not there at all.
fn while_files_vanish<T>(mut work: impl FnMut() -> Result<T, rocksdb::Error>) -> Result<T, rocksdb::Error> {
    for _ in 1..ATTEMPTS {
        match work() {
            Err(error) if is_missing_file(&error) => pause(PAUSE),
            done => return done,
        }
    }
    work()
}

/// A directory in the system's temporary one, for what a secondary writes: RocksDB's log of what it does.
struct PrivateFolder(PathBuf);

impl PrivateFolder {
    /// A new one, that nobody else can look into.
    fn create() -> std::io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("tapedeck-reader-{}-{number}", std::process::id()));
            match create_private(&path) {
                Ok(()) => return Ok(Self(path)),
                // Left by an earlier process of this number.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        // Left over in the temporary directory if this fails; nothing depends on it.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Makes a directory that only its owner may enter.
fn create_private(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
