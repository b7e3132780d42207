//! What lies in a directory that is to be, or to hold, a database.

use std::io::ErrorKind;
use std::path::Path;

use super::StoreError;
use super::lock::LOCK_FILE;
use super::witness::{WITNESS_FILE, WITNESS_NEW_FILE};

/// What a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Directory {
    /// There is none.
    Absent,
    /// Nothing is in it, or what a creation left that did not come to its end.
    Empty,
    /// It holds a RocksDB database.
    Database,
}

/// The file that names RocksDB's current state. It is the last that a creation makes.
pub(super) const CURRENT: &str = "CURRENT";

/// Looks into the directory `path`.
///
/// # Errors
/// [`StoreError::Failed`] if it holds something else, is no directory or cannot be read; [`StoreError::Damaged`] if a
/// database lost its `CURRENT`.
pub(super) fn inspect(path: &Path) -> Result<Directory, StoreError> {
    let failed = |what: String| StoreError::Failed { path: path.to_owned(), what };
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Directory::Absent),
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            return Err(failed("it is a file, not a directory".to_owned()));
        }
        Err(error) => return Err(failed(error.to_string())),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(
            entry.map_err(|error| failed(error.to_string()))?.file_name().to_string_lossy().into_owned(),
        );
    }
    if names.iter().any(|name| name == CURRENT) {
        return Ok(Directory::Database);
    }
    if let Some(name) = names.iter().find(|name| holds_data(name)) {
        let what = format!("{} is missing, though {name} is there", path.join(CURRENT).display());
        return Err(StoreError::Damaged { path: path.to_owned(), what });
    }
    match names.iter().find(|name| !made_by_creation(name)) {
        Some(name) => {
            Err(failed(format!("this is not a tapedeck database: it holds {name}; use another --db")))
        }
        None => Ok(Directory::Empty),
    }
}

/// True for RocksDB's tables and logs and for our witness: a creation that got so far had made `CURRENT` before.
fn holds_data(name: &str) -> bool {
    let numbered = |extension: &str| {
        name.strip_suffix(extension)
            .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
    };
    name == WITNESS_FILE || numbered(".sst") || numbered(".log")
}

/// True for what a creation makes before `CURRENT`.
fn made_by_creation(name: &str) -> bool {
    [LOCK_FILE, WITNESS_NEW_FILE, "LOCK", "LOG", "IDENTITY"].contains(&name)
        || name.starts_with("LOG.old.")
        || name.starts_with("MANIFEST-")
        || name.ends_with(".dbtmp")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a directory with these files is.
    fn of(names: &[&str]) -> Result<Directory, StoreError> {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            std::fs::write(folder.path().join(name), b"").unwrap();
        }
        inspect(folder.path())
    }

    #[test]
    fn tells_apart_what_may_become_or_is_a_database() {
        assert_eq!(of(&[]).unwrap(), Directory::Empty);
        assert_eq!(
            of(&["LOCK.tapedeck", "LOCK", "LOG", "MANIFEST-000001", "000001.dbtmp"]).unwrap(),
            Directory::Empty
        );
        assert_eq!(of(&["CURRENT", "anything"]).unwrap(), Directory::Database);
    }

    #[test]
    fn refuses_what_is_something_else_or_lost_its_current() {
        let foreign = of(&["LOCK", "holiday.jpg"]).unwrap_err();
        assert_eq!(foreign.exit_code(), 1);
        assert!(foreign.to_string().contains("not a tapedeck database: it holds holiday.jpg"), "{foreign}");
        for name in ["000012.sst", "000007.log", "HWM"] {
            let damaged = of(&["LOCK", name]).unwrap_err();
            assert_eq!(damaged.exit_code(), 3, "{name}");
            assert!(damaged.to_string().contains("CURRENT is missing"), "{damaged}");
        }
        assert_eq!(of(&["server.log"]).unwrap_err().exit_code(), 1);
    }

    #[test]
    fn a_path_that_is_not_there_or_a_file() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(inspect(&folder.path().join("none")).unwrap(), Directory::Absent);
        let file = folder.path().join("file");
        std::fs::write(&file, b"x").unwrap();
        let error = inspect(&file).unwrap_err();
        assert!(error.to_string().contains("not a directory"), "{error}");
    }
}
