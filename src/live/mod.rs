//! A live run behind its sockets: deliveries in, exact and durable windows out, and what came on record.
//!
//! [`Deck`] is the same path as a replay's: sequencer, symbol actors, checkpoints. Only the source at its front differs,
//! and it does not know that. [`recorder`] writes down what the sequencer takes in, so that the replay of it is equal.

pub mod control;
pub mod generation;
pub mod last;
pub mod pulse;
pub mod recorder;
pub mod service;
mod symbols;

use std::sync::Arc;

use feeds::time::Nanos;
use tokio::sync::mpsc;

use crate::actors::credit::Credit;
use crate::actors::symbol::Sabotage;
use crate::actors::work::Fault;
use crate::actors::{Engine, EngineError, EngineOptions};
use crate::clock::{self, Stamp};
use crate::commit::alerts::AlertBoard;
use crate::commit::figures::FigureBoard;
use crate::commit::journal::Journal;
use crate::commit::quarantine;
use crate::commit::recovery::{Recovered, RecoveryError, recover};
use crate::commit::{CommitError, Committer, Setup, Summary};
use crate::config::{Config, Durability};
use crate::feed::backfill::{Wanted, Wants};
use crate::feed::delivery::Delivery;
use crate::feed::intake::Intake;
use crate::replay::plan::{self, Job, Mode, PlanError};
use crate::schema::alerts;
use crate::source::SourceOptions;
use crate::store::{Batch, Family, Store, StoreError};
use crate::tape::{Cut, Epoch, Sequencer};
use crate::window::Plan;
use control::{Command, Commands, carried};
use pulse::{Heart, Pulse};
use recorder::{RecordError, Recorder};

/// Why a live run failed.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// It cannot be done on this database.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The last run ended without a checkpoint and cannot be recovered.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The commit failed.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The recording cannot be written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The rules cannot be used.
    #[error("the rules cannot be used: {0}")]
    Rules(String),
    /// No thread can be had.
    #[error("no thread can be started")]
    Threads(#[source] std::io::Error),
}

/// How to run.
pub struct LiveOptions {
    /// Windows and times.
    pub config: Config,
    /// Threads that apply ticks.
    pub workers: usize,
    /// Where epochs are cut.
    pub cut: Cut,
    /// For tests of quarantine.
    pub sabotage: Option<Sabotage>,
}

/// See the module.
pub struct Deck {
    plan: Arc<Plan>,
    intake: Intake,
    sequencer: Sequencer,
    engine: Engine,
    committer: Committer,
    store: Arc<dyn Store>,
    recorder: Option<Recorder>,
    adaptive: bool,
    checkpoint_every: Nanos,
    last_checkpoint: Stamp,
    checkpoint_due: bool,
    wanted: Option<mpsc::Receiver<Wanted>>,
    control: mpsc::Sender<Command>,
    commands: Option<Commands>,
    heart: Heart,
}

impl Deck {
    /// Goes on from what `store` holds.
    ///
    /// # Errors
    /// [`LiveError`]; nothing has been written then.
    pub fn start(
        store: &Arc<dyn Store>,
        options: &LiveOptions,
        recorder: Option<Recorder>,
    ) -> Result<Deck, LiveError> {
        let plan = Arc::new(plan::plan_of(&options.config));
        recover_last(store, &plan, &options.config)?;
        let job = plan::job(store, &plan, &options.config, &[], &SourceOptions::default(), Mode::Live)?;
        let engine = &options.config.engine;
        let (first, applied, rules_before) = (job.run.first, job.run.applied, job.run.rules_before);
        let rules = first_rules(&options.config, &plan.books.text(rules_before));
        let mut sequencer =
            Sequencer::new(Arc::clone(&plan), options.cut, engine.checkpoint_entries, first, applied);
        let (credit, board, heard) = (Credit::default(), FigureBoard::default(), AlertBoard::default());
        let at = (job.run.number, first.saturating_sub(1));
        let (wants, wanted) = Wants::new();
        let pulse = Pulse::new(at, credit.clone(), board.clone(), heard.clone(), wants.gauge());
        let heart = Heart::new(pulse);
        show_faults(&**store, &job, &board)?;
        let generation = generation::begin(&**store, job.run.applied)?.number;
        let mut begun = Batch::default();
        begun.put(Family::Meta, job.run.key(), job.run.encode());
        store.commit(&begun, true)?;
        let always = engine.sync == Durability::Always;
        let place = (job.run.number, job.run.applied, job.run.ticks_before);
        let journal =
            Some(Journal::new(Arc::clone(store), place, always, board.clone()).witnessed(generation));
        let setup = Setup {
            store: Arc::clone(store),
            run: job.run,
            feeds: Vec::new(),
            ledgers: job.members.iter().map(|member| *member.state.ledger()).collect(),
            keep_ticks: false,
            plan: Arc::clone(&plan),
            symbols: job.members.iter().map(|member| member.joined.symbol.clone()).collect(),
            wanted: Some(wants),
            journal,
            board,
            dispatch: alerts::dispatch(&**store, &plan, rules_before)?,
            alerts: heard,
            alerts_kept: engine.alerts_kept,
        };
        let committer = Committer::start(setup, credit.clone()).map_err(LiveError::Threads)?;
        let layout = layout(options, heart.pulse());
        let mut symbols = Engine::start(Arc::clone(&plan), &layout, credit, committer.done());
        sequencer.ruled_by(rules_before);
        for member in job.members {
            sequencer.restore(&member.joined.symbol, 0, &member.state);
            symbols.join(member);
        }
        if first > 1 {
            sequencer.was_away();
        }
        let (control, commands) = Commands::about(&options.config, &rules);
        let mut deck = Deck {
            plan,
            intake: Intake::new(0),
            sequencer,
            engine: symbols,
            committer,
            store: Arc::clone(store),
            recorder,
            adaptive: options.cut == Cut::Adaptive,
            checkpoint_every: engine.checkpoint_every,
            last_checkpoint: clock::stamp(),
            checkpoint_due: false,
            wanted: Some(wanted),
            control,
            commands: Some(commands),
            heart,
        };
        if rules_before != 0 || !rules.is_empty() {
            deck.take(Delivery::Rules { text: rules, received_at: clock::wall(), answer: None }, false)?;
        }
        Ok(deck)
    }

    /// How it does, for other threads.
    #[must_use]
    pub fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(self.heart.pulse())
    }

    /// Where it takes commands.
    #[must_use]
    pub fn control(&self) -> mpsc::Sender<Command> {
        self.control.clone()
    }

    /// What becomes of them; once.
    pub fn commands(&mut self) -> Option<Commands> {
        self.commands.take()
    }

    /// Where it tells which trades are missing; once.
    pub fn wanted(&mut self) -> Option<mpsc::Receiver<Wanted>> {
        self.wanted.take()
    }

    /// Puts a delivery on record and on the tape. `more` is true if another one waits already: what has gathered is
    /// then sent on with it.
    ///
    /// # Errors
    /// [`LiveError`] if it cannot be recorded, applied or committed.
    pub fn take(&mut self, delivery: Delivery, more: bool) -> Result<(), LiveError> {
        let mut delivery = delivery;
        let mut asked = None;
        if let Delivery::Rules { text, answer, .. } = &mut delivery {
            asked = answer.take();
            if let Err(why) = self.plan.books.next(self.sequencer.book(), text) {
                tracing::error!(why, "the rules are refused, and those before stay");
                // Who asked may be gone.
                asked.map(|asked| asked.send(Err(why)));
                return Ok(());
            }
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.put(self.sequencer.next_number(), &delivery)?;
        }
        self.heart.last().look(&delivery);
        let now = clock::stamp();
        let mut batch = self.intake.accept(delivery, now);
        if let Some(rules) = batch.rules.take() {
            let entry = self.sequencer.next_number();
            self.sequencer.rules(&rules).map_err(LiveError::Rules)?;
            asked.map(|asked| asked.send(Ok(entry)));
        }
        self.checkpoint_due |= self.last_checkpoint.elapsed_nanos() >= self.checkpoint_every;
        if self.checkpoint_due {
            self.sequencer.want_snapshot();
        }
        let engine = &mut self.engine;
        let mut made_checkpoint = false;
        let submit = |epoch: Epoch| {
            made_checkpoint |= epoch.snapshot;
            engine.submit(epoch)
        };
        self.sequencer.push(batch, || clock::stamp().instant(), None, submit)?;
        // Credit holds this back while four epochs are in work; what comes meanwhile is the next one.
        if self.adaptive && !more && (self.checkpoint_due || !self.sequencer.is_empty()) {
            let epoch = self.sequencer.cut(clock::stamp().instant());
            made_checkpoint |= epoch.snapshot;
            self.engine.submit(epoch)?;
        }
        if made_checkpoint {
            self.checkpoint_due = false;
            self.last_checkpoint = clock::stamp();
        }
        self.heart.beat(self.sequencer.next_number().saturating_sub(1), now);
        Ok(())
    }

    /// A stop on purpose: open windows come out `partial`, all is committed, and the recording ends with it.
    ///
    /// # Errors
    /// [`LiveError`] if that fails; what was committed before stays.
    pub fn stop(mut self) -> Result<Summary, LiveError> {
        let recorded = match self.recorder.take() {
            Some(recorder) => recorder.stop(self.sequencer.next_number(), clock::wall()),
            None => Ok(()),
        };
        self.sequencer.stop();
        let last = self.sequencer.cut(clock::stamp().instant());
        let submitted = self.engine.submit(last);
        self.engine.stop();
        // The commit's own error is the cause of the engine's.
        let summary = self.committer.finish()?;
        self.heart.pulse().end();
        submitted?;
        generation::end(&*self.store)?;
        recorded?;
        Ok(summary)
    }
}

/// The rules that a run begins with: those of its configuration, and what was asked for before and has not ended.
fn first_rules(config: &Config, before: &str) -> String {
    carried(config.rules.clone(), before, &config.windows, clock::wall()).text()
}

/// How the engine of a live run is laid out.
fn layout(options: &LiveOptions, pulse: &Pulse) -> EngineOptions {
    let LiveOptions { workers, sabotage, .. } = *options;
    EngineOptions { workers, faults: Vec::new(), sabotage, lookers: pulse.open_windows().lookers().clone() }
}

/// Recovers the last run, if it died. With another configuration its snapshots cannot be read, which is told later.
fn recover_last(store: &Arc<dyn Store>, plan: &Plan, config: &Config) -> Result<(), LiveError> {
    let Some(last) = plan::runs(&**store)?.pop().filter(|last| last.config == config.canonical()) else {
        return Ok(());
    };
    let books = plan::books(&**store, plan)?;
    if let Some(Recovered { entries, applied, faults }) = recover(store, plan, &last, &books)? {
        tracing::warn!(entries, applied, ?faults, "the last run ended without a checkpoint: recovered");
    }
    Ok(())
}

/// Shows the symbols that are out of service since earlier runs.
fn show_faults(store: &dyn Store, job: &Job, board: &FigureBoard) -> Result<(), LiveError> {
    for fault in quarantine::stored(store)? {
        if let Some(member) = job.members.get(fault.symbol as usize) {
            let symbol = member.joined.symbol.clone();
            board.fault(Fault { symbol, number: fault.number, cause: fault.cause });
        }
    }
    Ok(())
}
