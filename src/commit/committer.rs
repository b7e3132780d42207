//! The committer: finished epochs in, in any order; checkpoints out, in tape order.

use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use feeds::symbol::Symbol;

use super::alerts::AlertBoard;
use super::figures::FigureBoard;
use super::journal::Journal;
use super::outages::OutageCounts;
use super::stage::OrderedStage;
use super::writer::{Durability, write_all};
use crate::actors::credit::Credit;
use crate::actors::work::{Fault, Work};
use crate::alert::dispatch::Dispatch;
use crate::config::limits::EPOCHS_IN_FLIGHT;
use crate::feed::backfill::Wants;
use crate::latency::Latencies;
use crate::schema::feeds::Feed;
use crate::schema::run::Run;
use crate::store::{Store, StoreError};
use crate::symbol::ledger::Ledger;
use crate::window::Plan;

/// What the committer begins with.
pub struct Setup {
    /// Where checkpoints go.
    pub store: Arc<dyn Store>,
    /// The run, as of its last checkpoint.
    pub run: Run,
    /// The inputs, without counts.
    pub feeds: Vec<Feed>,
    /// Ledgers of the symbols that the database holds, by number.
    pub ledgers: Vec<Ledger>,
    /// Store the ticks too.
    pub keep_ticks: bool,
    /// What is computed.
    pub plan: Arc<Plan>,
    /// The symbols that the database holds, by number.
    pub symbols: Vec<Symbol>,
    /// Where it is told which trades are missing, so that they can be asked for.
    pub wanted: Option<Wants>,
    /// Commit each epoch; without it only checkpoints are.
    pub journal: Option<Journal>,
    /// Where those who watch find what is committed.
    pub board: FigureBoard,
    /// How many alerts the log keeps.
    pub alerts_kept: u64,
    /// What is decided about alerts behind all symbols.
    pub dispatch: Dispatch,
    /// Where those who follow the alert log hear how far it is.
    pub alerts: AlertBoard,
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// The ledger of all symbols.
    pub ledger: Ledger,
    /// Symbols.
    pub symbols: usize,
    /// Windows emitted or amended by this process.
    pub emissions: u64,
    /// Alerts of this process.
    pub alerts: u64,
    /// The last entry that is in the database.
    pub applied: u64,
    /// Stretches in which ticks may be missing that began, by venue and cause.
    pub outages: OutageCounts,
    /// Symbols that were taken out of service, and why.
    pub faults: Vec<Fault>,
    /// The ledgers of frames, by input.
    pub feeds: Vec<Feed>,
    /// Latencies of this process.
    pub latencies: Latencies,
}

/// Why the commit stopped.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something was lost or counted twice, which is a fault of the engine.
    #[error("the ledger does not add up at tape entry {number}: {what}")]
    Ledger {
        /// The checkpoint.
        number: u64,
        /// Which sum, and its two sides.
        what: String,
    },
    /// A symbol's work panicked: a replay has to come by again without it, and in a live run there were too many.
    #[error("{} panicked at tape entry {}: {}", .0.symbol, .0.number, .0.cause)]
    Fault(Fault),
    /// A thread of the engine panicked.
    #[error("the {0} panicked; what was committed is safe, and --resume goes on from there")]
    Panicked(&'static str),
}

/// A committer at work on a thread of its own.
pub struct Committer {
    thread: JoinHandle<Result<Summary, CommitError>>,
    done: Sender<Arc<Work>>,
}

impl Committer {
    /// Starts it. `credit` gets back what each epoch took.
    ///
    /// # Errors
    /// If no thread can be had.
    pub fn start(setup: Setup, credit: Credit) -> std::io::Result<Committer> {
        // Room for every epoch in flight, and for the one that may exceed the credit alone.
        let (done, finished) = bounded(EPOCHS_IN_FLIGHT + 1);
        // Before this returns: who follows the log may ask for what is behind its last alert at once.
        setup.board.begin(setup.run.applied, &setup.ledgers);
        setup.alerts.publish(setup.run.alerts);
        let thread = std::thread::Builder::new().name("committer".to_owned()).spawn(move || {
            // Whoever waits for credit must not wait for ever, however this ends.
            let _closing = Closing(credit.clone());
            run(setup, &credit, &finished)
        })?;
        Ok(Committer { thread, done })
    }

    /// Where finished epochs go.
    #[must_use]
    pub fn done(&self) -> Sender<Arc<Work>> {
        self.done.clone()
    }

    /// Waits for the last epoch to be committed. Every other sender must be gone.
    ///
    /// # Errors
    /// [`CommitError`], which is why the commit stopped.
    pub fn finish(self) -> Result<Summary, CommitError> {
        drop(self.done);
        self.thread.join().unwrap_or(Err(CommitError::Panicked("committer")))
    }
}

/// Closes the credit when it goes.
struct Closing(Credit);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn run(setup: Setup, credit: &Credit, finished: &Receiver<Arc<Work>>) -> Result<Summary, CommitError> {
    let (orders, to_write) = bounded(1);
    let (written, news) = bounded(4);
    let (store, board) = (Arc::clone(&setup.store), setup.board.clone());
    let mut durability = Durability::of(setup.journal.as_ref());
    let writer = std::thread::Builder::new().name("writer".to_owned()).spawn(move || {
        write_all(&store, &to_write, &written, &mut durability, board).map_err(CommitError::from)
    });
    let writer = writer.map_err(|_| CommitError::Panicked("start of the writer"))?;
    let mut stage = OrderedStage::new(setup);
    let mut result = Ok(());
    while result.is_ok() {
        // What comes first decides nothing but when it is shown.
        // What comes first decides nothing but when it is shown.
        crossbeam_channel::select! {
            recv(finished) -> work => match work {
                Ok(work) => result = stage.finished(work, credit, &orders, &news),
                Err(_) => break,
            },
            recv(news) -> written => match written {
                Ok(written) => stage.heard(written),
                // The writer is gone, and has the reason.
                Err(_) => break,
            },
        }
    }
    drop(orders);
    let written = writer.join().unwrap_or(Err(CommitError::Panicked("writer")));
    stage.hear(&news);
    // The writer's reason comes first: the stage only sees that the writer is gone.
    written?;
    result?;
    stage.write_last_interval()?;
    Ok(stage.summary())
}
