//! The commands: from the command line to an exit code.

pub mod alerts;
pub mod args;
mod demo;
mod failure;
mod files;
mod help;
mod lists;
mod log;
pub mod parse;
mod query;
mod replay;
mod run;
mod screen;
mod summary;
mod table;
#[cfg(test)]
mod table_tests;
pub mod test;
#[cfg(test)]
mod tests;

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use args::{Args, Command, TimeRange};

pub use failure::{Code, Failure};

use crate::output::is_closed_pipe;

/// Does what `args` say: results to stdout, the failure if any to stderr, and the exit code that goes with it.
#[must_use]
pub fn run(args: &Args) -> ExitCode {
    log::start(args.verbose);
    match dispatch(&args.command) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has seen enough.
        Err(failure) if is_closed_pipe(&failure.error) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn dispatch(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Replay(args) => replay::replay(args),
        Command::Demo(args) => demo::demo(args),
        Command::Run(args) => run::run(args),
        Command::Record(args) => run::record(args),
        Command::Query(args) => query::query(args),
        Command::Dump(args) => query::dump(args),
        Command::Explain(args) => query::explain(args),
        Command::Latency(args) => query::latency(args),
        Command::Alerts(args) => alerts::alerts(args),
        Command::Simulate(args) => match args.serving.serve {
            Some(address) => Ok(crate::simulator::cli::serve(args, address)?),
            None => Ok(crate::market::cli::run(args)?),
        },
        Command::Test(args) => {
            let mut out = BufWriter::new(io::stdout().lock());
            let tested = test::test(args, &mut out);
            out.flush().map_err(anyhow::Error::from)?;
            tested
        }
        Command::Check(args) => listed(|out| lists::check(args, out)),
        Command::Venues => listed(lists::venues),
        Command::Stats(args) => listed(|out| lists::stats(args, out)),
        Command::Functions => listed(lists::functions),
        Command::Windows => listed(lists::windows),
        Command::Formats => listed(lists::formats),
    }
}

/// Runs a command that only prints.
fn listed(command: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    command(&mut out)?;
    out.flush().map_err(anyhow::Error::from)?;
    Ok(())
}

/// A range that can hold something.
fn checked(range: TimeRange) -> Result<(), Failure> {
    match (range.from, range.to) {
        (Some(from), Some(to)) if from >= to => Err(Failure::usage(format!(
            "--from {} is not before --to {}; exchange them",
            feeds::time::format(from),
            feeds::time::format(to)
        ))),
        _ => Ok(()),
    }
}
