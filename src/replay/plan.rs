//! What a replay is to do with the database it is given: begin, go on, add, or nothing.

use std::sync::Arc;

use feeds::symbol::Symbol;

use crate::actors::Member;
use crate::alert::rulebook::Books;
use crate::config::digest::describe_difference;
use crate::config::{Config, WindowSpec};
use crate::schema::run::{Input, Progress, Run};
use crate::schema::{self, Key, rules, symbols};
use crate::source::{FileInfo, SourceOptions};
use crate::store::{Family, Store, StoreError};
use crate::symbol::SymbolState;
use crate::window::Plan;

/// What the user asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Begin; refuse a database that holds results.
    #[default]
    Fresh,
    /// Do what is left of the same replay.
    Resume,
    /// Add other inputs.
    Append,
    /// Go on live, after whatever the database holds; after a crash, from the last checkpoint.
    Live,
}

/// Why a replay cannot be done on this database (exit code 2), or the database cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// There are results, and nothing was said about them.
    #[error(
        "the database holds the results of {} earlier replay: give --resume to go on with the same files, --append \
         to add other files, or another --db",
        if *.0 == Progress::Complete { "an" } else { "an interrupted" }
    )]
    HoldsResults(Progress),
    /// `--append` to a run that is not complete.
    #[error("the last replay into the database was interrupted: finish it with --resume before --append")]
    Unfinished,
    /// `--resume` or `--append` with something else than before.
    #[error("{0}")]
    Differs(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the store holds cannot be read.
    #[error("the database is damaged: {0} cannot be read")]
    Damaged(String),
}

/// What is to be done.
pub struct Job {
    /// The run, new or as of its last checkpoint.
    pub run: Run,
    /// The symbols that the database holds, by number.
    pub members: Vec<Member>,
    /// True if nothing is left to do.
    pub done: bool,
}

/// The engine's plan of a configuration.
#[must_use]
pub fn plan_of(config: &Config) -> Plan {
    let mut plan = Plan::new(config.windows.iter().map(WindowSpec::planned).collect());
    plan.lateness = config.engine.lateness;
    plan.max_ahead = config.engine.max_ahead;
    plan.idle = config.engine.idle;
    plan.books = Books::new(config.windows.clone(), plan.windows().to_vec());
    plan
}

/// Puts the rulebooks of the database on the shelf of `plan`: the entries by which they came into force, and their
/// numbers, in order.
///
/// # Errors
/// [`PlanError`] if one cannot be read.
pub fn books(store: &dyn Store, plan: &Plan) -> Result<Vec<(u64, u32, String)>, PlanError> {
    let mut books = Vec::new();
    for pair in scan(store, Family::Meta, &rules::prefix()) {
        let (key, value) = pair?;
        let damaged = |_| PlanError::Damaged("a rulebook".to_owned());
        let (number, at, text) = rules::decode(&key, &value).map_err(damaged)?;
        plan.books.put(number, &text).map_err(|why| {
            PlanError::Damaged(format!("rulebook {number}, which this tapedeck refuses ({why}),"))
        })?;
        books.push((at, number, text));
    }
    Ok(books)
}

/// Finds out what is to be done.
///
/// # Errors
/// [`PlanError`]; nothing has been written.
pub fn job(
    store: &Arc<dyn Store>,
    plan: &Plan,
    config: &Config,
    files: &[FileInfo],
    options: &SourceOptions,
    mode: Mode,
) -> Result<Job, PlanError> {
    let wanted = Run {
        number: 0,
        progress: Progress::Unfinished,
        first: 1,
        applied: 0,
        ticks_before: 0,
        ticks: 0,
        inputs: files.iter().map(input_of).collect(),
        options: options_text(options),
        config: config.canonical(),
        rules_before: 0,
        rules: config.rules.text(),
        alerts: 0,
        committed_at: 0,
    };
    let Some(last) = runs(&**store)?.pop() else {
        return Ok(Job { run: wanted, members: Vec::new(), done: false });
    };
    let known = books(&**store, plan)?;
    let run = match mode {
        Mode::Fresh => return Err(PlanError::HoldsResults(last.progress)),
        Mode::Resume => {
            same(&last, &wanted)?;
            last
        }
        // A live run has no inputs to read again.
        Mode::Live if last.progress != Progress::Complete && !last.inputs.is_empty() => {
            return Err(PlanError::Unfinished);
        }
        Mode::Append if last.progress != Progress::Complete => return Err(PlanError::Unfinished),
        Mode::Append | Mode::Live => {
            same_config(&last, &wanted)?;
            Run {
                number: last.number + 1,
                first: last.applied + 1,
                applied: last.applied,
                ticks_before: last.ticks,
                ticks: last.ticks,
                rules_before: known.last().map_or(0, |(_, number, _)| *number),
                alerts: last.alerts,
                ..wanted
            }
        }
    };
    let done = mode != Mode::Live && run.progress == Progress::Complete;
    Ok(Job { run, members: members(&**store, plan)?, done })
}

/// All runs, in order.
///
/// # Errors
/// [`PlanError`] if they cannot be read.
pub fn runs(store: &dyn Store) -> Result<Vec<Run>, PlanError> {
    let prefix = schema::run::prefix();
    let mut runs = Vec::new();
    for pair in scan(store, Family::Meta, &prefix) {
        let (_, value) = pair?;
        runs.push(Run::decode(&value).map_err(|_| PlanError::Damaged("a run".to_owned()))?);
    }
    Ok(runs)
}

/// Pairs whose keys begin with `prefix`.
pub fn scan<'a>(store: &'a dyn Store, family: Family, prefix: &Key) -> crate::store::Scan<'a> {
    store.scan(family, &prefix.clone().bytes(), prefix.next().as_deref())
}

fn members(store: &dyn Store, plan: &Plan) -> Result<Vec<Member>, PlanError> {
    let mut members = Vec::new();
    for pair in scan(store, Family::Meta, &symbols::prefix()) {
        let (key, value) = pair?;
        let joined = symbols::decode(&key, &value).map_err(|_| PlanError::Damaged("a symbol".to_owned()))?;
        let damaged = |symbol: &Symbol| PlanError::Damaged(format!("the state of {symbol}"));
        let snapshot = store.get(Family::State, &Key::default().u32(joined.number).bytes())?;
        let snapshot = snapshot.ok_or_else(|| damaged(&joined.symbol))?;
        let state = SymbolState::decode(plan, &snapshot).map_err(|_| damaged(&joined.symbol))?;
        let state = state.named(&joined.symbol);
        members.push(Member { joined, state });
    }
    Ok(members)
}

fn input_of(file: &FileInfo) -> Input {
    Input {
        path: file.path.display().to_string(),
        format: file.format.to_owned(),
        size: file.size,
        first_block: file.first_block.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

/// What else changes results, one `name = value` a line.
fn options_text(options: &SourceOptions) -> String {
    let time = |time: Option<i64>| time.map_or_else(|| "none".to_owned(), feeds::time::format);
    format!(
        "venue = {}\nsymbols = {}\nfrom = {}\nto = {}\n",
        options.venue.as_deref().unwrap_or("none"),
        options.symbols.join(" "),
        time(options.from),
        time(options.to)
    )
}

fn same_config(last: &Run, wanted: &Run) -> Result<(), PlanError> {
    match describe_difference(&last.config, &wanted.config) {
        None => Ok(()),
        Some(what) => Err(PlanError::Differs(format!(
            "the configuration differs from the database's: {what}; use the same, or another --db"
        ))),
    }
}

fn same(last: &Run, wanted: &Run) -> Result<(), PlanError> {
    same_config(last, wanted)?;
    if last.rules != wanted.rules {
        let what = "the replay to resume had other rules; give the same rules";
        return Err(PlanError::Differs(what.to_owned()));
    }
    if last.inputs.len() != wanted.inputs.len() {
        return Err(PlanError::Differs(format!(
            "the replay to resume had {} files, not {}; give the same files in the same order",
            last.inputs.len(),
            wanted.inputs.len()
        )));
    }
    for (was, is) in last.inputs.iter().zip(&wanted.inputs) {
        if (was.size, &was.first_block, &was.format) != (is.size, &is.first_block, &is.format) {
            return Err(PlanError::Differs(format!(
                "{} is not the file that the replay to resume read as {} ({} bytes, {}); give the same files in the \
                 same order",
                is.path, was.path, was.size, was.format
            )));
        }
    }
    let differs = last.options.lines().zip(wanted.options.lines()).find(|(was, is)| was != is);
    match differs {
        None => Ok(()),
        Some((was, is)) => Err(PlanError::Differs(format!(
            "the replay to resume had the option `{was}`, not `{is}`; give the same options"
        ))),
    }
}
