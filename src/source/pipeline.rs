//! The threads of one file: one reads blocks, some decode them, and the blocks come out in the file's order.
//!
//! Every block travels in one of [`Plan::buffers`] buffers, and the reader waits for one to come back before it
//! reads on, so no channel here ever holds more than that. With `d` decoders there are `d + 2` buffers: one being
//! filled, `d` being decoded, one being used. A full block is 1 MiB of bytes and, at 50 bytes a row, 1.6 MiB of
//! ticks: with two decoders 10 MiB in all.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};
use feeds::formats::Decoder;
use feeds::tick::Tick;

use super::block::{Blocks, Piece};
use super::decode::{Block, Worker, said};
use super::error::Failure;
use super::filter::Filter;
use super::input::Input;
use crate::clock::stamp;

/// Ticks of blocks that were used, to be filled again without new pages from the system.
pub(super) type Spares = (Sender<Vec<Tick>>, Receiver<Vec<Tick>>);

/// How a file is read.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) block_bytes: usize,
    pub(super) line_bytes: usize,
    pub(super) decoders: usize,
    pub(super) filter: Filter,
    /// False for what may keep a read waiting for ever: its thread is not waited for.
    pub(super) joins: bool,
}

impl Plan {
    fn buffers(decoders: usize) -> usize {
        decoders + 2
    }
}

/// A piece on its way to a decode thread.
struct Work {
    /// Its place in the file.
    number: u64,
    content: Content,
    /// Bytes on disk up to its end.
    offset: u64,
    entered: Instant,
}

enum Content {
    Piece(Piece),
    /// The end of the input, and whether it was the file's.
    End(Result<(), Failure>),
}

/// What comes out.
pub(super) enum Done {
    Block(Box<Block>),
    End(Box<End>),
}

/// The end of a file.
pub(super) struct End {
    /// Who decoded the last of it, not finished.
    pub(super) worker: Worker,
    /// Whether it was the file's end.
    pub(super) ending: Result<(), Failure>,
    /// Bytes on disk.
    pub(super) offset: u64,
}

type Outcome = (u64, Result<Done, String>);

/// One file's threads and what they have ready.
pub(super) struct Pipeline {
    /// Dropping it ends the reader, which ends the decoders.
    buffers: Option<Sender<Vec<u8>>>,
    outcomes: Option<Receiver<Outcome>>,
    /// Blocks that came before their turn.
    early: BTreeMap<u64, Result<Done, String>>,
    next: u64,
    threads: Vec<JoinHandle<()>>,
    joins: bool,
}

impl Pipeline {
    /// Starts the threads for `input`. `decoder` takes the file's first block, its forks share the others.
    pub(super) fn start(
        input: Input,
        decoder: Box<dyn Decoder>,
        plan: Plan,
        spares: &Spares,
    ) -> Result<Pipeline, Failure> {
        let mut decoders = vec![decoder];
        while decoders.len() < plan.decoders.max(1)
            && let Some(fork) = decoders[0].fork()
        {
            decoders.push(fork);
        }
        let count = Plan::buffers(decoders.len());
        let (buffers, free) = bounded(count);
        for _ in 0..count {
            // Cannot fail: there is room, and the receiver is here.
            let _ = buffers.try_send(Vec::new());
        }
        let (first, first_work) = bounded(1);
        let (work, works) = bounded(count + 1);
        let (done, outcomes) = bounded(count + 1);
        let mut pipeline = Pipeline {
            buffers: Some(buffers),
            outcomes: Some(outcomes),
            early: BTreeMap::new(),
            next: 0,
            threads: Vec::new(),
            joins: plan.joins,
        };
        let sizes = (plan.block_bytes, plan.line_bytes);
        pipeline.spawn("read", move || read(input, sizes, &free, &first, &work))?;
        for (number, decoder) in decoders.into_iter().enumerate() {
            let worker = Worker::new(number, decoder, plan.filter.clone());
            let own = if number == 0 { Some(first_work.clone()) } else { None };
            let (works, done, spares) = (works.clone(), done.clone(), spares.1.clone());
            pipeline.spawn("decode", move || decode(worker, own.as_ref(), &works, &done, &spares))?;
        }
        Ok(pipeline)
    }

    fn spawn(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
        let thread = Builder::new().name(name.to_owned()).spawn(run);
        self.threads.push(thread.map_err(|error| Failure::Thread(error.to_string()))?);
        Ok(())
    }

    /// The next block in the file's order, and at last the end. Waits for it.
    pub(super) fn next(&mut self) -> Result<Done, Failure> {
        loop {
            if let Some(done) = self.early.remove(&self.next) {
                self.next += 1;
                return done.map_err(Failure::Panicked);
            }
            let outcome = self.outcomes.as_ref().and_then(|outcomes| outcomes.recv().ok());
            let Some((number, done)) = outcome else {
                return Err(Failure::Panicked("a thread ended early".to_owned()));
            };
            self.early.insert(number, done);
        }
    }

    /// Gives a buffer back to the reader.
    pub(super) fn give_back(&self, buffer: Vec<u8>) {
        if let Some(buffers) = &self.buffers {
            // Full only if it was no buffer of this file; closed when the reader is done.
            let _ = buffers.try_send(buffer);
        }
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.buffers = None;
        self.outcomes = None;
        if self.joins {
            for thread in self.threads.drain(..) {
                // A panic of its own was told through the channel.
                let _ = thread.join();
            }
        }
    }
}

/// Reads blocks into free buffers until the end of the input, or until nobody gives any buffer back.
fn read(
    input: Input,
    sizes: (usize, usize),
    free: &Receiver<Vec<u8>>,
    first: &Sender<Work>,
    work: &Sender<Work>,
) {
    let Ok(buffer) = free.recv() else { return };
    let mut blocks = Blocks::new(input, sizes.0, sizes.1, buffer);
    for number in 0.. {
        let Ok(spare) = free.recv() else { return };
        let content = match blocks.next(spare) {
            Some(piece) => Content::Piece(piece),
            None => Content::End(blocks.ending().unwrap_or(Ok(()))),
        };
        let last = matches!(content, Content::End(_));
        let item = Work { number, content, offset: blocks.offset(), entered: stamp().instant() };
        let sent = if number == 0 { first.send(item) } else { work.send(item) };
        if last || sent.is_err() {
            return;
        }
    }
}

/// Decodes what comes, `own` work first, until there is no more or nobody wants it.
fn decode(
    mut worker: Worker,
    own: Option<&Receiver<Work>>,
    works: &Receiver<Work>,
    done: &Sender<Outcome>,
    spares: &Receiver<Vec<Tick>>,
) {
    let own = own.into_iter().flat_map(Receiver::iter).take(1);
    for Work { number, content, offset, entered } in own.chain(works.iter()) {
        let piece = match content {
            Content::Piece(piece) => piece,
            Content::End(ending) => {
                // Nobody may want it any more.
                let _ = done.send((number, Ok(Done::End(Box::new(End { worker, ending, offset })))));
                return;
            }
        };
        let ticks = spares.try_recv().unwrap_or_default();
        let result = catch_unwind(AssertUnwindSafe(|| worker.decode(piece, offset, entered, ticks)));
        let broken = result.is_err();
        let result = result.map(|block| Done::Block(Box::new(block))).map_err(|panic| said(panic.as_ref()));
        if done.send((number, result)).is_err() || broken {
            return;
        }
    }
}
