//! The lock of a database: one process writes.
//!
//! A file `LOCK.tapedeck` in the directory, locked by the operating system, which lets go when the process ends,
//! however it ends. It holds the process id as text, for the message to whom comes second. Readers do not take it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use super::StoreError;

/// The name of the file.
pub const LOCK_FILE: &str = "LOCK.tapedeck";

/// Held as long as this is.
#[derive(Debug)]
pub struct WriterLock {
    /// The lock is the file's; closing it lets go.
    _file: File,
}

impl WriterLock {
    /// Takes the lock of the database in the directory `path`, or fails at once.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another process, or another store of this one, has it; [`StoreError::Failed`] if
    /// the file cannot be made.
    pub fn take(path: &Path) -> Result<Self, StoreError> {
        let name = path.join(LOCK_FILE);
        let failed = |error: std::io::Error| StoreError::Failed {
            path: path.to_owned(),
            what: format!("{}: {error}", name.display()),
        };
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&name)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked { path: path.to_owned(), pid: holder(&mut file) });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // Only the message to others suffers if this cannot be written, as on a full disk.
        drop(write_holder(&mut file));
        Ok(Self { _file: file })
    }
}

/// The process id in the file, if there is one.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Writes our process id into the file.
fn write_holder(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_holds_it_and_gets_it_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let lock = WriterLock::take(folder.path()).unwrap();
        let refused = WriterLock::take(folder.path()).unwrap_err();
        assert!(
            matches!(&refused, StoreError::Locked { pid: Some(pid), .. } if *pid == std::process::id()),
            "{refused}"
        );
        assert_eq!(refused.exit_code(), 4);
        drop(lock);
        WriterLock::take(folder.path()).unwrap();
    }

    #[test]
    fn a_holder_that_does_not_say_who_it_is_still_holds() {
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join(LOCK_FILE)).unwrap();
        file.lock().unwrap();
        let refused = WriterLock::take(folder.path()).unwrap_err();
        assert!(matches!(refused, StoreError::Locked { pid: None, .. }), "{refused}");
    }

    #[test]
    fn a_longer_pid_of_before_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(LOCK_FILE), "99999999999999\n").unwrap();
        let _lock = WriterLock::take(folder.path()).unwrap();
        let text = std::fs::read_to_string(folder.path().join(LOCK_FILE)).unwrap();
        assert_eq!(text, format!("{}\n", std::process::id()));
    }
}
