//! A replay: files in, exact and durable windows out.
//!
//! The source decodes, the sequencer numbers and cuts, the symbol actors apply, the committer makes checkpoints. This
//! is the loop around them, and what happens at its ends: begin or go on ([`plan`]), and end or stop ([`stop`]).

pub mod plan;
pub mod stop;

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use feeds::tick::Tick;

use crate::actors::credit::Credit;
use crate::actors::looks::Lookers;
use crate::actors::symbol::Sabotage;
use crate::actors::work::Fault;
use crate::actors::{Engine, EngineError, EngineOptions};
use crate::clock::{self, Stamp};
use crate::commit::alerts::AlertBoard;
use crate::commit::figures::FigureBoard;
use crate::commit::{CommitError, Committer, Setup, Summary};
use crate::config::Config;
use crate::config::limits::FAULTS_MAX;
use crate::schema::alerts;
use crate::schema::feeds::Feed;
use crate::source::pace::Pace;
use crate::source::{self, Complaint, Progress, Source, SourceError, SourceOptions};
use crate::store::Store;
use crate::tape::{Cut, Epoch, Pacer, Sequencer};
use crate::window::Plan;
use plan::{Job, Mode, PlanError};
use stop::Stop;

/// How to replay.
pub struct ReplayOptions {
    /// Windows and times.
    pub config: Config,
    /// What was asked of the source; part of what a resumed replay must repeat.
    pub source: SourceOptions,
    /// The rules of `config` were given to judge by, none of them too: a recording's own are passed over then. Otherwise
    /// they are only if `config` has some.
    pub rules_given: bool,
    /// What to do with a database that holds results.
    pub mode: Mode,
    /// Threads that apply ticks.
    pub workers: usize,
    /// Tape seconds a second; `None` for as fast as it goes.
    pub speed: Option<f64>,
    /// Where epochs are cut.
    pub cut: Cut,
    /// Store the ticks too.
    pub keep_ticks: bool,
    /// For tests of quarantine.
    pub sabotage: Option<Sabotage>,
}

/// How a replay ended.
#[derive(Debug)]
pub enum Ending {
    /// All inputs are exhausted.
    Complete,
    /// It was complete before.
    NothingLeft,
    /// It was asked to stop; `--resume` goes on.
    Stopped,
    /// An input is damaged; what was read before is in the database.
    Damaged(SourceError),
}

/// What a replay did.
#[derive(Debug)]
pub struct Report {
    /// How it ended.
    pub ending: Ending,
    /// Ledgers, counts, latencies.
    pub summary: Summary,
    /// The first complaints about lines.
    pub complaints: Vec<Complaint>,
    /// How many there were.
    pub complaints_in_all: u64,
    /// From the first byte read to the last one synced.
    pub took: Duration,
}

/// Why a replay failed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It cannot be done on this database.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The commit failed.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The inputs could not be opened once more.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The rules of a recording cannot be used with these windows.
    #[error(
        "the recording's rules cannot be used here; give --rules, or --config with the windows that they read: {0}"
    )]
    Rules(String),
    /// No thread can be had.
    #[error("no thread can be started")]
    Threads(#[source] std::io::Error),
}

/// Hears how far a replay is, about once a batch.
pub type Watch<'a> = &'a mut dyn FnMut(Progress, u64);

/// Replays `source` into `store`.
///
/// If a symbol's work panics, the replay goes back to its last checkpoint and comes by again with that symbol taken out
/// of service at that entry.
///
/// # Errors
/// [`ReplayError`]. What was committed before stays, and `--resume` goes on from there.
pub fn replay(
    store: &Arc<dyn Store>,
    source: Source,
    options: &ReplayOptions,
    stop: &Stop,
    watch: Watch<'_>,
) -> Result<Report, ReplayError> {
    let start = clock::stamp();
    let paths: Vec<PathBuf> = source.files().iter().map(|file| file.path.clone()).collect();
    let mut attempt = Attempt { store, options, mode: options.mode, faults: Vec::new(), start };
    let mut source = source;
    loop {
        let runs = plan::runs(&**store)?.len();
        match attempt.run(source, stop, watch) {
            Err(ReplayError::Commit(CommitError::Fault(fault))) if attempt.faults.len() < FAULTS_MAX => {
                tracing::error!(symbol = %fault.symbol, entry = fault.number, cause = fault.cause, "out of service");
                attempt.faults.push(fault);
                if plan::runs(&**store)?.len() > runs {
                    attempt.mode = Mode::Resume;
                }
                source = source::open(&paths, &options.source)?;
            }
            Ok(mut report) => {
                report.summary.faults = attempt.faults;
                return Ok(report);
            }
            Err(error) => return Err(error),
        }
    }
}

/// One go at a replay.
struct Attempt<'a> {
    store: &'a Arc<dyn Store>,
    options: &'a ReplayOptions,
    mode: Mode,
    faults: Vec<Fault>,
    start: Stamp,
}

impl Attempt<'_> {
    fn run(&self, source: Source, stop: &Stop, watch: Watch<'_>) -> Result<Report, ReplayError> {
        let options = self.options;
        let plan = Arc::new(plan::plan_of(&options.config));
        let files = source.files();
        let job = plan::job(self.store, &plan, &options.config, files, &options.source, self.mode)?;
        if job.done {
            return Ok(nothing_left(&job));
        }
        let mut sequencer = Sequencer::new(
            Arc::clone(&plan),
            options.cut,
            options.config.engine.checkpoint_entries,
            job.run.first,
            job.run.applied,
        );
        let credit = Credit::default();
        let committer = start_committer(self.store, Arc::clone(&plan), &source, &job, options, &credit)?;
        let engine_options = EngineOptions {
            workers: options.workers,
            faults: self.faults.clone(),
            sabotage: options.sabotage,
            lookers: Lookers::default(),
        };
        let mut engine = Engine::start(plan, &engine_options, credit, committer.done());
        sequencer.ruled_by(job.run.rules_before);
        let first_input = if matches!(source, Source::Recorded(_)) { source.files().len() } else { 0 };
        for member in job.members {
            sequencer.restore(&member.joined.symbol, first_input, &member.state);
            engine.join(member);
        }
        // As the run that was recorded did.
        if matches!(source, Source::Recorded(_)) && job.run.first > 1 {
            sequencer.was_away();
        }
        // A recording has its own, unless others are given.
        let are_given = options.rules_given || !job.run.rules.is_empty();
        let own_rules = !matches!(source, Source::Recorded(_)) || are_given;
        if own_rules {
            sequencer.rules(&job.run.rules).map_err(ReplayError::Rules)?;
        }
        let mut drive = Drive::new(sequencer, engine, options, self.start);
        drive.own_rules = own_rules;
        let ending = drive.run(source, stop, watch);
        let Drive { engine, complaints, complaints_in_all, .. } = drive;
        engine.stop();
        // The commit's own error is the cause of the engine's.
        let summary = committer.finish()?;
        let took = Duration::from_nanos(self.start.elapsed_nanos() as u64);
        Ok(Report { ending: ending?, summary, complaints, complaints_in_all, took })
    }
}

/// What the database holds is all of it.
fn nothing_left(job: &Job) -> Report {
    let mut summary = Summary { applied: job.run.applied, symbols: job.members.len(), ..Summary::default() };
    for member in &job.members {
        summary.ledger.merge(member.state.ledger());
    }
    Report {
        ending: Ending::NothingLeft,
        summary,
        complaints: Vec::new(),
        complaints_in_all: 0,
        took: Duration::ZERO,
    }
}

fn start_committer(
    store: &Arc<dyn Store>,
    plan: Arc<Plan>,
    source: &Source,
    job: &Job,
    options: &ReplayOptions,
    credit: &Credit,
) -> Result<Committer, ReplayError> {
    let feeds = source.files().iter().map(|file| Feed {
        name: file.path.display().to_string(),
        format: file.format.to_owned(),
        venue: file.venue.map(str::to_owned),
        ..Feed::default()
    });
    let setup = Setup {
        store: Arc::clone(store),
        run: job.run.clone(),
        feeds: feeds.collect(),
        ledgers: job.members.iter().map(|member| *member.state.ledger()).collect(),
        keep_ticks: options.keep_ticks,
        plan: Arc::clone(&plan),
        symbols: job.members.iter().map(|member| member.joined.symbol.clone()).collect(),
        wanted: None,
        journal: None,
        board: FigureBoard::default(),
        dispatch: alerts::dispatch(&**store, &plan, job.run.rules_before).map_err(PlanError::from)?,
        alerts: AlertBoard::default(),
        alerts_kept: options.config.engine.alerts_kept,
    };
    Committer::start(setup, credit.clone()).map_err(ReplayError::Threads)
}

/// The loop from source to engine.
struct Drive {
    sequencer: Sequencer,
    engine: Engine,
    pace: Option<Pace>,
    adaptive: bool,
    checkpoint_every: i64,
    last_checkpoint: Cell<Stamp>,
    /// When the first tick that is to be paced came; paces are told from there.
    paced_from: Option<Stamp>,
    complaints: Vec<Complaint>,
    complaints_in_all: u64,
    /// The rules are not those of the recording.
    own_rules: bool,
}

impl Drive {
    fn new(sequencer: Sequencer, engine: Engine, options: &ReplayOptions, start: Stamp) -> Drive {
        Drive {
            sequencer,
            engine,
            pace: options.speed.and_then(Pace::new),
            adaptive: options.cut == Cut::Adaptive,
            checkpoint_every: options.config.engine.checkpoint_every,
            last_checkpoint: Cell::new(start),
            paced_from: None,
            complaints: Vec::new(),
            complaints_in_all: 0,
            own_rules: true,
        }
    }

    fn run(&mut self, mut source: Source, stop: &Stop, watch: Watch<'_>) -> Result<Ending, ReplayError> {
        let ending = loop {
            if stop.asked() {
                break Ending::Stopped;
            }
            match source.next() {
                Ok(Some(mut batch)) => {
                    self.complaints.append(&mut batch.complaints);
                    self.complaints_in_all += batch.complaints_in_all;
                    if !self.push(batch, stop)? {
                        break Ending::Stopped;
                    }
                    watch(source.progress(), self.sequencer.ticks());
                }
                Ok(None) => break Ending::Complete,
                Err(error) => break Ending::Damaged(error),
            }
        };
        match &ending {
            Ending::Complete if source.was_stopped() => self.sequencer.stop(),
            Ending::Complete => self.sequencer.end(),
            // What is whole of a cut input is all that there is of it.
            Ending::Damaged(SourceError::Cut { .. } | SourceError::Damaged { .. }) => self.sequencer.end(),
            _ => self.sequencer.want_snapshot(),
        }
        let last = self.sequencer.cut(clock::stamp().instant());
        self.engine.submit(last)?;
        Ok(ending)
    }

    /// Puts a batch on the tape; false if it is to stop.
    fn push(&mut self, mut batch: crate::source::Batch, stop: &Stop) -> Result<bool, ReplayError> {
        if let Some(rules) = batch.rules.take().filter(|_| !self.own_rules) {
            self.sequencer.rules(&rules).map_err(ReplayError::Rules)?;
        }
        let due = Due { last: &self.last_checkpoint, every: self.checkpoint_every };
        if due.left() <= 0 {
            self.sequencer.want_snapshot();
        }
        let from = &mut self.paced_from;
        let pacer = self.pace.as_mut();
        let mut pacer = pacer.map(|pace| TapePacer { pace, from, due: 0, checkpoint: &due, stop });
        let pacer = pacer.as_mut().map(|pacer| pacer as &mut dyn Pacer);
        let mut submit = |epoch: Epoch| {
            if epoch.snapshot {
                due.last.set(clock::stamp());
            }
            self.engine.submit(epoch)
        };
        let go_on = self.sequencer.push(batch, || clock::stamp().instant(), pacer, &mut submit)?;
        // Nothing is in work: what has gathered need not wait for more.
        if self.adaptive && !self.sequencer.is_empty() && self.engine.in_flight().0 == 0 {
            let epoch = self.sequencer.cut(clock::stamp().instant());
            if epoch.snapshot {
                self.last_checkpoint.set(clock::stamp());
            }
            self.engine.submit(epoch)?;
        }
        Ok(go_on)
    }
}

/// When the next checkpoint is due.
struct Due<'a> {
    last: &'a Cell<Stamp>,
    /// Nanoseconds from one to the next.
    every: i64,
}

impl Due<'_> {
    /// Nanoseconds left until then.
    fn left(&self) -> i64 {
        self.every - self.last.get().elapsed_nanos()
    }
}

/// Holds ticks back to the pace at which they came.
struct TapePacer<'a> {
    pace: &'a mut Pace,
    from: &'a mut Option<Stamp>,
    /// When the last tick asked about is due, in nanoseconds from the first.
    due: i64,
    checkpoint: &'a Due<'a>,
    stop: &'a Stop,
}

impl TapePacer<'_> {
    /// Nanoseconds until the last tick asked about is due.
    fn left(&mut self) -> i64 {
        self.due - self.from.get_or_insert_with(clock::stamp).elapsed_nanos()
    }
}

impl Pacer for TapePacer<'_> {
    fn is_due(&mut self, tick: &Tick) -> bool {
        let due = self.pace.due(tick.received_at().unwrap_or(tick.exchange_ts));
        self.due = i64::try_from(due.as_nanos()).unwrap_or(i64::MAX);
        self.left() <= 0
    }

    fn wait(&mut self) -> bool {
        // A checkpoint that is due and was not made has nothing to write until the tick comes.
        let checkpoint = self.checkpoint.left();
        let left = if checkpoint > 0 { self.left().min(checkpoint) } else { self.left() };
        u64::try_from(left).map_or(true, |left| self.stop.wait(Duration::from_nanos(left)))
    }

    fn wants_snapshot(&self) -> bool {
        self.checkpoint.left() <= 0
    }
}
