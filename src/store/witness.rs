//! The witness: how far the database was, told apart from the database.
//!
//! RocksDB may open without its last log and say nothing. So the file `HWM` in its directory names the number up to
//! which everything was committed and synced, and the generation. A database that recovers below it has lost
//! something, and numbers above what it recovered may have been seen: the generation rises.
//!
//! The file, 54 bytes, integers big-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 0..4 | `TDHW` |
//! | 4..6 | version of this layout, 1 |
//! | 6..14 | committed number, u64 |
//! | 14..22 | generation, u64 |
//! | 22..54 | SHA-256 of the bytes before |

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::StoreError;

/// The name of the file.
pub const WITNESS_FILE: &str = "HWM";

/// Its name while it is written.
pub const WITNESS_NEW_FILE: &str = "HWM.new";

/// What the file begins with: its mark and version 1.
const HEAD: &[u8; 6] = b"TDHW\x00\x01";

/// Bytes before the checksum.
const BODY: usize = 22;

/// Bytes in all.
const SIZE: usize = BODY + 32;

/// How far a database was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Witness {
    /// The number up to which everything survives a power loss.
    pub committed: u64,
    /// Rises whenever what was committed may have been lost.
    pub generation: u64,
}

impl Witness {
    /// Reads the witness of the database at `path`; `None` if it has none.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if it is not what was written, [`StoreError::Failed`] if it cannot be read.
    pub fn read(path: &Path) -> Result<Option<Self>, StoreError> {
        let name = path.join(WITNESS_FILE);
        match std::fs::read(&name) {
            Ok(bytes) => Self::decode(&bytes).map(Some).ok_or_else(|| StoreError::Damaged {
                path: path.to_owned(),
                what: format!("{} does not hold what was written to it", name.display()),
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failure(path, &name, &error)),
        }
    }

    /// Writes the witness of the database at `path`. It survives a power loss when this returns; a power loss before
    /// leaves the earlier one.
    ///
    /// # Errors
    /// [`StoreError::Full`] or [`StoreError::Failed`] if it cannot be written.
    pub fn write(self, path: &Path) -> Result<(), StoreError> {
        let (new, name) = (path.join(WITNESS_NEW_FILE), path.join(WITNESS_FILE));
        self.write_new(&new).map_err(|error| failure(path, &new, &error))?;
        std::fs::rename(&new, &name).map_err(|error| failure(path, &name, &error))?;
        sync_directory(path).map_err(|error| failure(path, path, &error))
    }

    /// Writes and syncs the file under its new name.
    fn write_new(self, new: &Path) -> std::io::Result<()> {
        let mut file = File::create(new)?;
        file.write_all(&self.encode())?;
        file.sync_all()
    }

    /// The bytes of the file.
    fn encode(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SIZE);
        bytes.extend_from_slice(HEAD);
        bytes.extend_from_slice(&self.committed.to_be_bytes());
        bytes.extend_from_slice(&self.generation.to_be_bytes());
        let checksum = Sha256::digest(&bytes);
        bytes.extend_from_slice(&checksum);
        bytes
    }

    /// What the bytes of a file say, if they are whole.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, checksum) = bytes.split_at_checked(BODY)?;
        if Sha256::digest(body).as_slice() != checksum {
            return None;
        }
        let (committed, generation) = body.strip_prefix(HEAD)?.split_first_chunk::<8>()?;
        let generation = generation.first_chunk::<8>()?;
        Some(Self { committed: u64::from_be_bytes(*committed), generation: u64::from_be_bytes(*generation) })
    }
}

/// The error of writing or reading `name`.
fn failure(path: &Path, name: &Path, error: &std::io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full {
            path: path.to_owned(),
            needed: SIZE as u64,
            free: fs4::available_space(path).unwrap_or(0),
        },
        _ => StoreError::Failed { path: path.to_owned(), what: format!("{}: {error}", name.display()) },
    }
}

/// Makes a rename in the directory `path` survive a power loss.
#[cfg(unix)]
fn sync_directory(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}

/// Windows keeps the order of renames itself and cannot open a directory as a file.
#[cfg(not(unix))]
fn sync_directory(_path: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_the_last_one_written() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Witness::read(folder.path()).unwrap(), None);
        for witness in
            [Witness { committed: 7, generation: 1 }, Witness { committed: u64::MAX, generation: 2 }]
        {
            witness.write(folder.path()).unwrap();
            assert_eq!(Witness::read(folder.path()).unwrap(), Some(witness));
        }
        assert!(!folder.path().join(WITNESS_NEW_FILE).exists());
    }

    #[test]
    fn any_flipped_bit_or_other_length_is_damage_that_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join(WITNESS_FILE);
        let good = Witness { committed: 123_456, generation: 3 }.encode();
        assert_eq!(good.len(), SIZE);
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Witness::decode(&bad), None, "bit {bit}");
        }
        for length in 0..good.len() {
            assert_eq!(Witness::decode(&good[..length]), None, "length {length}");
        }
        std::fs::write(&name, [good.as_slice(), b"x"].concat()).unwrap();
        let error = Witness::read(folder.path()).unwrap_err();
        assert_eq!(error.exit_code(), 3);
        assert!(error.to_string().contains(&name.display().to_string()), "{error}");
    }

    #[test]
    fn half_of_a_new_one_leaves_the_earlier_one() {
        let folder = tempfile::tempdir().unwrap();
        let witness = Witness { committed: 9, generation: 1 };
        witness.write(folder.path()).unwrap();
        std::fs::write(folder.path().join(WITNESS_NEW_FILE), b"TDH").unwrap();
        assert_eq!(Witness::read(folder.path()).unwrap(), Some(witness));
        Witness { committed: 10, generation: 1 }.write(folder.path()).unwrap();
        assert_eq!(Witness::read(folder.path()).unwrap().map(|witness| witness.committed), Some(10));
    }
}
