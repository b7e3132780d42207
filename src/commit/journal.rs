//! The journal of a live run: each epoch is in the database as soon as it is applied.
//!
//! An epoch's batch has its entries of the tape, the windows that they emitted, late ticks and gaps, and the [`Head`],
//! which also counts frames: an input's ledger is text, and written now and then. A crash then costs nothing that was
//! committed: recovery applies the tape behind the last checkpoint to its snapshots. The next checkpoint writes the same windows again, many to a block, and takes the small
//! blocks out; the tape goes one checkpoint later, so that there is always what the older snapshots need.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use feeds::frame::FrameCounts;

use super::alerts::Numbered;
use super::checkpoint::{Checkpoint, put_alerts, put_books, put_findings, put_windows};
use super::figures::FigureBoard;
use super::patience::Patience;
use crate::actors::work::{Fault, ShareResult};
use crate::config::limits::{DISK_FULL_WAIT, TAPE_CHUNK_TICKS};
use crate::schema::feeds::Feed;
use crate::schema::head::{self, Head};
use crate::schema::ticks::Chunk;
use crate::schema::{Key, faults, feeds as ledgers, symbols};
use crate::store::{Batch, Family, Store, StoreError};
use crate::symbol::Entry;
use crate::tape::Epoch;

/// Inputs that the head counts frames of: as many bytes as the ledger of one has as text.
const HEAD_INPUTS: usize = 16;

/// Set while something is committed and not yet synced.
pub type Unsynced = Arc<AtomicBool>;

/// See the module.
pub struct Journal {
    store: Arc<dyn Store>,
    patience: Patience,
    run: u32,
    ticks_before: u64,
    /// Every epoch is synced before it counts as committed.
    always: bool,
    unsynced: Unsynced,
    /// Symbols that the next epoch takes out of service: keys and values.
    faults: Vec<(Vec<u8>, Vec<u8>)>,
    /// The generation of cursors, where a witness of it is kept.
    generation: Option<u64>,
    /// What came of each input since its ledger was written.
    frames: Vec<(u32, FrameCounts)>,
    /// Blocks of windows that the next checkpoint takes out.
    blocks: Vec<Vec<u8>>,
    /// The last entries of the two checkpoints before.
    checkpoints: [u64; 2],
}

impl Journal {
    /// The journal of run `run`, which goes on behind entry `applied` and `ticks_before` ticks.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        (run, applied, ticks_before): (u32, u64, u64),
        always: bool,
        board: FigureBoard,
    ) -> Journal {
        let most = Duration::from_nanos(DISK_FULL_WAIT as u64);
        Journal {
            store,
            patience: Patience::new(most, "epochs", board),
            run,
            ticks_before,
            always,
            unsynced: Unsynced::default(),
            faults: Vec::new(),
            generation: None,
            frames: Vec::new(),
            blocks: Vec::new(),
            checkpoints: [0, applied],
        }
    }

    /// The same, with a witness of how far it is synced in generation `generation` of the cursors.
    #[must_use]
    pub fn witnessed(self, generation: u64) -> Journal {
        Journal { generation: Some(generation), ..self }
    }

    /// The generation of cursors, where a witness of it is to be kept.
    #[must_use]
    pub fn generation(&self) -> Option<u64> {
        self.generation
    }

    /// What says that something waits to be synced; none if nothing ever does.
    #[must_use]
    pub fn unsynced(&self) -> Option<Unsynced> {
        (!self.always).then(|| Arc::clone(&self.unsynced))
    }

    /// The epoch that is committed next takes `symbol` out of service.
    pub fn fault(&mut self, symbol: u32, fault: &Fault) {
        self.faults.push((faults::key(symbol), faults::encode(fault.number, &fault.cause)));
    }

    /// Commits an epoch and what came of it. `feed` gives the ledger of an input with this epoch in it.
    ///
    /// # Errors
    /// [`StoreError`] if that fails; a full disk only after [`DISK_FULL_WAIT`].
    pub fn commit(
        &mut self,
        epoch: &Epoch,
        (results, alerts): (&[ShareResult], &Numbered),
        feed: impl Fn(usize) -> Option<Feed>,
    ) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        let applied = epoch.end.saturating_sub(1);
        if let Some((key, value)) = chunk_of(epoch).take() {
            batch.put(Family::Tape, key, value);
        }
        self.blocks.extend(put_windows(results, (applied, 0), &mut batch));
        for result in results {
            put_findings(result, &mut batch);
        }
        for (key, value) in self.faults.drain(..) {
            batch.put(Family::Meta, key, value);
        }
        put_alerts(alerts, &mut batch);
        put_books(&epoch.books, &mut batch);
        for joined in &epoch.joined {
            batch.put(Family::Meta, symbols::key(joined.number), symbols::encode(joined));
        }
        for input in self.count(epoch) {
            if let Some(feed) = feed(input as usize) {
                batch.put(Family::Meta, ledgers::key(self.run, input), feed.encode());
            }
        }
        if batch.is_empty() && epoch.frames.is_empty() {
            return Ok(());
        }
        let frames = std::mem::take(&mut self.frames);
        let head = Head { run: self.run, applied, ticks: self.ticks_before + epoch.ticks_so_far, frames };
        batch.put(Family::Meta, head::key(), head.encode());
        self.frames = head.frames;
        self.patience.commit(&*self.store, &batch, self.always)?;
        self.unsynced.store(true, Ordering::Release);
        Ok(())
    }

    /// Counts the epoch's frames. The inputs whose ledgers are to be written now: they begin, they met what is counted
    /// by name, or a checkpoint is due or the head becomes long, and then all that have changed.
    fn count(&mut self, epoch: &Epoch) -> Vec<u32> {
        let mut due: Vec<u32> = epoch.inputs.iter().map(|input| input.number as u32).collect();
        for (input, counts) in &epoch.frames {
            let input = *input as u32;
            if counts.has_names() {
                due.push(input);
            }
            match self.frames.iter_mut().find(|(known, _)| *known == input) {
                Some((_, more)) => more.merge(counts),
                None => self.frames.push((input, counts.clone())),
            }
        }
        if epoch.snapshot || self.frames.len() > HEAD_INPUTS {
            due.extend(self.frames.iter().map(|(input, _)| *input));
        }
        due.sort_unstable();
        due.dedup();
        self.frames.retain(|(input, _)| due.binary_search(input).is_err());
        due
    }

    /// What a checkpoint as of entry `applied` makes superfluous.
    pub fn retire(&mut self, applied: u64, checkpoint: &mut Checkpoint) {
        checkpoint.superseded = std::mem::take(&mut self.blocks);
        let [before, last] = self.checkpoints;
        if before < last {
            checkpoint.past = Some((before + 1, last + 1));
        }
        self.checkpoints = [last, applied];
    }
}

/// An epoch's entries as a chunk.
fn chunk_of(epoch: &Epoch) -> Chunk {
    let mut chunk = Chunk::default();
    for (number, symbol, entry) in in_order(epoch, |_| true) {
        chunk.push(number, symbol, entry);
    }
    chunk
}

/// Appends the ticks of an epoch to the tape's chunks, in tape order, where no journal has them.
pub(super) fn keep_ticks(epoch: &Epoch, chunk: &mut Chunk, chunks: &mut Vec<(Vec<u8>, Vec<u8>)>) {
    for (number, symbol, entry) in in_order(epoch, |entry| matches!(entry, Entry::Tick(_) | Entry::Past(_))) {
        chunk.push(number, symbol, entry);
        if chunk.entries() >= TAPE_CHUNK_TICKS {
            chunks.extend(chunk.take());
        }
    }
}

/// The entries of an epoch that are `wanted`, in the order of the tape.
fn in_order(epoch: &Epoch, wanted: impl Fn(&Entry) -> bool) -> Vec<(u64, u32, &Entry)> {
    let mut order: Vec<(u64, u32, &Entry)> = Vec::with_capacity(epoch.entries.len());
    for share in &epoch.shares {
        let entries = epoch.of(share).iter().filter(|it| wanted(&it.entry));
        order.extend(entries.map(|it| (it.number, share.symbol, &it.entry)));
    }
    // A number may stand for several symbols, and for several entries of one (the clock before a tick): stable.
    order.sort_by_key(|(number, _, _)| *number);
    order
}

/// The key of the first chunk at or behind entry `number`.
#[must_use]
pub fn tape_key(number: u64) -> Vec<u8> {
    Key::default().u64(number).bytes()
}
