//! `replay`: the options brought together, the run watched, its end told.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::thread::available_parallelism;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::ReplayArgs;
use super::parse::{EpochCut, Speed};
use super::{Failure, checked, summary};
use crate::config::rules::RulesSpec;
use crate::config::{Catalogue, Config, ConfigError};
use crate::replay::plan::Mode;
use crate::replay::stop::Stop;
use crate::replay::{Ending, ReplayError, ReplayOptions, Report, replay as run};
use crate::source::{self, Progress};
use crate::store::open_writer;
use crate::tape::Cut;

/// `replay`.
pub(super) fn replay(args: &ReplayArgs) -> Result<(), Failure> {
    checked(args.range)?;
    let mut options = options(args)?;
    // The inputs first: while they cannot be read, nothing is written.
    let source = source::open(&args.files, &options.source)?;
    if source.has_rules() && args.rules.is_none() && !options.config.rules.is_empty() {
        // They were the first of the run's, perhaps; what was reloaded and silenced since then is in the recording.
        options.config.rules = RulesSpec::default();
        tracing::warn!(
            "the recording's own rules are judged, not the configuration's; --rules FILE judges by others"
        );
    }
    let store = open_writer(&args.db)?;
    let stop = Stop::on_signals().map_err(ReplayError::Threads)?;
    let bar = bar();
    let report = run(&store, source, &options, &stop, &mut |progress, ticks| show(&bar, progress, ticks));
    bar.finish_and_clear();
    let report = report?;
    tell(args, &report)?;
    match report.ending {
        Ending::Damaged(error) => Err(error.into()),
        Ending::Complete | Ending::NothingLeft | Ending::Stopped => Ok(()),
    }
}

fn options(args: &ReplayArgs) -> Result<ReplayOptions, Failure> {
    let names = Catalogue::built_in();
    let mut config = match &args.config {
        Some(path) => Config::load(path, &names)?,
        None => Config::standard(&names),
    };
    if let Some(path) = &args.rules {
        config.rules = rules(path, &config)?;
    }
    for section in config.unused() {
        tracing::warn!(section, "this section has no effect on a replay");
    }
    let cores = available_parallelism().map_or(1, usize::from);
    Ok(ReplayOptions {
        source: args.source_options(cores),
        rules_given: args.rules.is_some(),
        mode: match (args.resume, args.append) {
            (true, _) => Mode::Resume,
            (_, true) => Mode::Append,
            _ => Mode::Fresh,
        },
        workers: args.workers.or(config.engine.workers).unwrap_or(cores),
        speed: match args.speed {
            Speed::Max => None,
            Speed::Times(times) => Some(times),
        },
        cut: match args.epoch {
            None => Cut::Adaptive,
            Some(EpochCut::Every(entries)) => Cut::Every(entries),
            Some(EpochCut::Random(seed)) => Cut::Random(seed),
        },
        keep_ticks: args.keep_ticks,
        sabotage: None,
        config,
    })
}

/// The rules of a file of their own, about the windows of `config`.
fn rules(path: &Path, config: &Config) -> Result<RulesSpec, Failure> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    Ok(RulesSpec::parse(&path.display().to_string(), &text, &config.windows)?)
}

/// A bar with rate and time left, on a terminal.
fn bar() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    }
    let bar = ProgressBar::new(0);
    let style = "{bar:32} {percent:>3}% of {total_bytes}  {binary_bytes_per_sec}  {msg}  {eta} left";
    bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn show(bar: &ProgressBar, progress: Progress, ticks: u64) {
    if bar.is_hidden() {
        return;
    }
    bar.set_length(progress.total);
    bar.set_position(progress.read);
    let seconds = bar.elapsed().as_secs_f64();
    if seconds > 0.0 {
        bar.set_message(format!("{:.1} M ticks/s", ticks as f64 / seconds / 1e6));
    }
}

/// Complaints to stderr, the summary to stdout.
fn tell(args: &ReplayArgs, report: &Report) -> Result<(), Failure> {
    let mut errors = io::stderr().lock();
    for complaint in &report.complaints {
        let file = args.files.get(complaint.file).map(|path| path.display().to_string()).unwrap_or_default();
        // With stderr gone there is nobody to tell.
        let _ = writeln!(errors, "{file}, {complaint}");
    }
    let untold = report.complaints_in_all - report.complaints.len() as u64;
    if untold > 0 {
        let _ = writeln!(errors, "and {untold} more bad lines");
    }
    summary::faults(&report.summary, &mut errors);
    drop(errors);
    let mut out = io::stdout();
    if args.json {
        summary::json(report, &mut out)?;
    } else {
        summary::text(args, report, &mut out)?;
    }
    Ok(())
}
