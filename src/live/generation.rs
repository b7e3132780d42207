//! Whether the cursors of followers still hold when a live run begins.
//!
//! What was published may be lost: the log's tail with the power of the machine, or files with their disk. Numbers of
//! alerts would then be given again, to others. So the generation of cursors rises if the database recovered below its
//! witness ([`crate::store::witness`]), or if the last run did not stop on purpose and the machine was started since.
//!
//! A database that is begun anew numbers its alerts from one again, like the one before it, whose followers may still have
//! their cursors. So its first generation is the second in which it began.

use feeds::time::{Nanos, SECOND};
use tracing::warn;

use crate::schema::alerts::{self, Generation};
use crate::schema::boot::{self, Boot};
use crate::store::witness::Witness;
use crate::store::{Batch, Family, Store, StoreError};

/// Where Linux tells which boot this is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What is known of the run before.
struct Before {
    /// What the witness says; `Err` if it cannot be read.
    witness: Result<Option<Witness>, String>,
    boot: Option<Boot>,
    generation: Generation,
}

/// The generation of a run that begins on `store`, which has recovered up to tape entry `recovered`.
///
/// # Errors
/// [`StoreError`] if that cannot be read or noted.
pub fn begin(store: &dyn Store, recovered: u64) -> Result<Generation, StoreError> {
    begin_under(store, recovered, &boot_id())
}

/// Makes the second `now` lies in the first generation of `store`, if nothing was ever begun there.
///
/// # Errors
/// [`StoreError`] if that cannot be read or noted.
pub fn found(store: &dyn Store, now: Nanos) -> Result<(), StoreError> {
    let before = Before::read(store)?;
    let is_new = before.boot.is_none() && matches!(before.witness, Ok(None));
    if !is_new || before.generation != Generation::default() || alerts::head(store)? > 0 {
        return Ok(());
    }
    let mut batch = Batch::default();
    let number = (now / SECOND).unsigned_abs().max(1);
    Generation { number, differs_from: 1 }.put(&mut batch);
    store.commit(&batch, true)
}

/// Notes that the run stopped on purpose and all of it is in the database.
///
/// # Errors
/// [`StoreError`].
pub fn end(store: &dyn Store) -> Result<(), StoreError> {
    note(store, &Boot { id: boot_id(), stopped: true }, None)
}

fn begin_under(store: &dyn Store, recovered: u64, id: &str) -> Result<Generation, StoreError> {
    let before = Before::read(store)?;
    let known = before.witness.as_ref().ok().copied().flatten().map_or(0, |witness| witness.generation);
    let mut generation = before.generation;
    let why = before.why(recovered, id);
    if let Some(why) = &why {
        let number = generation.number.max(known) + 1;
        generation = Generation { number, differs_from: alerts::head(store)? + 1 };
        let differs_from = generation.differs_from;
        warn!(
            generation = number,
            differs_from, "{why}: alerts from that number on may not be those that were published"
        );
    }
    note(store, &Boot { id: id.to_owned(), stopped: false }, why.is_some().then_some(generation))?;
    if let Some(directory) = store.directory() {
        Witness { committed: recovered, generation: generation.number }.write(directory)?;
    }
    Ok(generation)
}

/// Notes the boot, and the generation if it rose.
fn note(store: &dyn Store, boot: &Boot, risen: Option<Generation>) -> Result<(), StoreError> {
    let mut batch = Batch::default();
    batch.put(Family::Meta, boot::key(), boot.encode());
    if let Some(generation) = risen {
        generation.put(&mut batch);
    }
    store.commit(&batch, true)
}

impl Before {
    fn read(store: &dyn Store) -> Result<Before, StoreError> {
        let witness = match store.directory().map_or(Ok(None), Witness::read) {
            Err(StoreError::Damaged { what, .. }) => Err(what),
            read => Ok(read?),
        };
        // One that cannot be read is of a run that is not known to have stopped.
        let boot = store
            .get(Family::Meta, &boot::key())?
            .map(|value| Boot::decode(&value).unwrap_or(Boot { id: String::new(), stopped: false }));
        Ok(Before { witness, boot, generation: Generation::read(store)? })
    }

    /// Why what was published may be lost; `None` if it is not.
    fn why(&self, recovered: u64, id: &str) -> Option<String> {
        match &self.witness {
            Err(what) => return Some(format!("the witness cannot be read ({what})")),
            Ok(Some(witness)) if witness.committed > recovered => {
                let had = witness.committed;
                return Some(format!(
                    "the database was at tape entry {had} and has lost what is behind {recovered}"
                ));
            }
            Ok(Some(witness)) if witness.generation > self.generation.number => {
                return Some("the database has lost its generation".to_owned());
            }
            Ok(_) => {}
        }
        let boot = self.boot.as_ref().filter(|boot| !boot.stopped)?;
        let is_same = !boot.id.is_empty() && boot.id == id;
        (!is_same)
            .then(|| "the last run did not stop on purpose, and the machine was started since".to_owned())
    }
}

/// Which boot of the machine this is; empty where the system tells none.
fn boot_id() -> String {
    std::fs::read_to_string(BOOT_ID).map(|id| id.trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::store::Scan;
    use crate::store::memory::MemoryStore;

    /// A store in memory whose witness is in a directory.
    struct Housed(MemoryStore, PathBuf);

    impl Store for Housed {
        fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            self.0.get(family, key)
        }

        fn scan<'a>(&'a self, family: Family, from: &[u8], to: Option<&[u8]>) -> Scan<'a> {
            self.0.scan(family, from, to)
        }

        fn commit(&self, batch: &Batch, sync: bool) -> Result<(), StoreError> {
            self.0.commit(batch, sync)
        }

        fn sync(&self) -> Result<(), StoreError> {
            self.0.sync()
        }

        fn directory(&self) -> Option<&Path> {
            Some(&self.1)
        }
    }

    fn alerts_up_to(store: &dyn Store, head: u64) {
        let mut batch = Batch::default();
        for number in 1..=head {
            batch.put(Family::Alerts, alerts::key(number), vec![0]);
        }
        store.commit(&batch, false).unwrap();
    }

    #[test]
    fn a_run_that_stopped_or_was_killed_keeps_its_cursors() {
        let folder = tempfile::tempdir().unwrap();
        let store = Housed(MemoryStore::new(), folder.path().to_owned());
        assert_eq!(begin_under(&store, 0, "one").unwrap(), Generation::default());
        // Killed under the same boot: the log has survived.
        assert_eq!(begin_under(&store, 7, "one").unwrap(), Generation::default());
        note(&store, &Boot { id: "one".to_owned(), stopped: true }, None).unwrap();
        assert_eq!(begin_under(&store, 9, "two").unwrap(), Generation::default());
        assert_eq!(Witness::read(folder.path()).unwrap(), Some(Witness { committed: 9, generation: 1 }));
    }

    #[test]
    fn an_unclean_stop_under_another_boot_or_an_unknown_one_raises_it_once() {
        for (before, now) in [("one", "two"), ("", "")] {
            let store = MemoryStore::new();
            assert_eq!(begin_under(&store, 0, before).unwrap().number, 1);
            alerts_up_to(&store, 5);
            let risen = Generation { number: 2, differs_from: 6 };
            assert_eq!(begin_under(&store, 7, now).unwrap(), risen);
            assert_eq!(Generation::read(&store).unwrap(), risen);
            note(&store, &Boot { id: now.to_owned(), stopped: true }, None).unwrap();
            assert_eq!(begin_under(&store, 7, now).unwrap(), risen);
        }
    }

    #[test]
    fn what_recovers_below_its_witness_raises_it_above_what_the_witness_knew() {
        let folder = tempfile::tempdir().unwrap();
        let store = Housed(MemoryStore::new(), folder.path().to_owned());
        begin_under(&store, 0, "one").unwrap();
        alerts_up_to(&store, 3);
        Witness { committed: 100, generation: 1 }.write(folder.path()).unwrap();
        assert_eq!(begin_under(&store, 100, "one").unwrap().number, 1);
        assert_eq!(begin_under(&store, 99, "one").unwrap(), Generation { number: 2, differs_from: 4 });
        // What was lost now is all of it, the generation too.
        let empty = Housed(MemoryStore::new(), folder.path().to_owned());
        Witness { committed: 100, generation: 7 }.write(folder.path()).unwrap();
        assert_eq!(begin_under(&empty, 0, "one").unwrap(), Generation { number: 8, differs_from: 1 });
        std::fs::write(folder.path().join(crate::store::witness::WITNESS_FILE), b"rot").unwrap();
        assert_eq!(begin_under(&empty, 0, "one").unwrap(), Generation { number: 9, differs_from: 1 });
    }

    /// Cursors of the database before it mean nothing in it, though they may lie within its log.
    #[test]
    fn a_new_database_has_a_generation_of_its_own_and_keeps_it() {
        let (store, second) = (MemoryStore::new(), 1_700_000_000);
        found(&store, second * SECOND + 7).unwrap();
        let first = Generation { number: second.unsigned_abs(), differs_from: 1 };
        assert_eq!(begin_under(&store, 0, "one").unwrap(), first);
        found(&store, 2 * second * SECOND).unwrap();
        assert_eq!(begin_under(&store, 0, "one").unwrap(), first);
        assert_eq!(
            first.differs_since(&store, 3).unwrap(),
            1,
            "no alert of another database is one of its own"
        );
        // What a replay began had its alerts told under the first one.
        let replayed = MemoryStore::new();
        alerts_up_to(&replayed, 1);
        found(&replayed, second * SECOND).unwrap();
        assert_eq!(begin_under(&replayed, 9, "one").unwrap(), Generation::default());
    }
}
