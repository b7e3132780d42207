//! `query alerts` and `alerts follow`: which alerts are asked for on a command line, and following them.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::{Args as ClapArgs, Subcommand};
use tokio::sync::oneshot;

use super::args::{QueryCommon, TimeRange};
use super::parse::name;
use super::run::authorities;
use super::{Failure, help};
use crate::alert::{Cursor, Severity, State};
use crate::feed::address::Address;
use crate::follow::{Follow, Form, follow};
use crate::query::alerts::{AlertFilter, after};
use crate::replay::stop::Stop;

/// `alerts`.
#[derive(Clone, Debug, ClapArgs)]
pub struct AlertsArgs {
    /// What to do with them.
    #[command(subcommand)]
    pub what: AlertsCommand,
}

/// What there is to do with the alerts of a running tapedeck.
#[derive(Clone, Debug, Subcommand)]
pub enum AlertsCommand {
    /// Print them as they come, without a hole, for ever
    #[command(after_help = help::FOLLOW)]
    Follow(FollowArgs),
}

/// `alerts follow`.
#[derive(Clone, Debug, ClapArgs)]
pub struct FollowArgs {
    /// The server: http://HOST:PORT or https://HOST, or the same with ws
    #[arg(value_name = "URL", value_parser = address)]
    pub url: Address,
    /// Begin behind this cursor; 0 is before the oldest alert
    #[arg(long, value_name = "CURSOR", default_value = "0")]
    pub after: After,
    /// What is wanted.
    #[command(flatten)]
    pub wanted: WantedAlerts,
    /// How to print; lines for people on a terminal, else CSV
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Form>,
    /// A file with the token that the server wants
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Keep the cursor in this file, and go on from it; comes before --after
    #[arg(long, value_name = "FILE")]
    pub state_file: Option<PathBuf>,
    /// Certificates (PEM) of authorities to trust beside those that browsers trust
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

/// Longest token that is read.
const TOKEN_BYTES: usize = 4_096;
/// Between two looks at whether it is to stop.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// `alerts`.
pub(super) fn alerts(args: &AlertsArgs) -> Result<(), Failure> {
    let AlertsCommand::Follow(args) = &args.what;
    let options = options(args)?;
    let stop = Stop::on_signals().context("cannot listen for signals")?;
    let (tell, told) = oneshot::channel();
    // It ends with the process.
    let watching = std::thread::Builder::new().name("stop".to_owned()).spawn(move || {
        while stop.wait(LOOK_EVERY) {}
        // Nobody listens if following has ended by itself.
        let _ = tell.send(());
    });
    watching.context("cannot start a thread")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start following")?;
    let mut out = BufWriter::new(io::stdout());
    // With stderr gone, there is nobody to be told.
    let mut note = |text: &str| drop(writeln!(io::stderr().lock(), "tapedeck: {text}"));
    let stopped = async {
        let _ = told.await;
    };
    Ok(runtime.block_on(follow(&options, &mut out, &mut note, stopped))?)
}

fn options(args: &FollowArgs) -> Result<Follow, Failure> {
    let WantedAlerts { symbols, rules, severity } = args.wanted.clone();
    let usual = if io::stdout().is_terminal() { Form::Table } else { Form::Csv };
    Ok(Follow {
        address: args.url.clone(),
        ca: args.ca.as_deref().map(authorities).transpose()?.unwrap_or_default(),
        token: args.token_file.as_deref().map(token).transpose()?,
        filter: AlertFilter { symbols, rules, severity, ..AlertFilter::default() },
        after: args.after.0,
        state_file: args.state_file.clone(),
        form: args.format.unwrap_or(usual),
    })
}

/// The token in a file. It is never shown.
fn token(path: &Path) -> Result<String, Failure> {
    let refuse = |why: &str| Failure::usage(format!("--token-file {}: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| refuse(&error.to_string()))?;
    let token = text.trim();
    let is_plain = |byte: u8| byte.is_ascii_graphic();
    if token.is_empty() || token.len() > TOKEN_BYTES || !token.bytes().all(is_plain) {
        return Err(refuse("write one token, of letters, digits and signs, on one line"));
    }
    Ok(token.to_owned())
}

fn address(text: &str) -> Result<Address, String> {
    Address::parse(text).map_err(|error| error.to_string())
}

/// `query alerts`.
#[derive(Clone, Debug, ClapArgs)]
pub struct AlertsQuery {
    /// Database and output.
    #[command(flatten)]
    pub common: QueryCommon,
    /// What is wanted.
    #[command(flatten)]
    pub wanted: WantedAlerts,
    /// Only this state: pending, firing or resolved
    #[arg(long, value_name = "STATE", value_parser = state)]
    pub state: Option<State>,
    /// Only what is behind this cursor; 0 is before the oldest
    #[arg(long, value_name = "CURSOR", default_value = "0")]
    pub after: After,
    /// Event times.
    #[command(flatten)]
    pub range: TimeRange,
}

/// The filters that all who read alerts have.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct WantedAlerts {
    /// Only symbols that this pattern fits, such as 'venue:*' (again for more)
    #[arg(long = "symbol", value_name = "GLOB", value_parser = name)]
    pub symbols: Vec<String>,
    /// Only rules that this pattern fits, such as 'burst*' (again for more)
    #[arg(long = "rule", value_name = "GLOB", value_parser = name)]
    pub rules: Vec<String>,
    /// Only this severity and worse: info, warning or critical
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    pub severity: Option<Severity>,
}

/// Where to begin: behind a cursor, or from the oldest on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct After(pub Option<Cursor>);

impl std::str::FromStr for After {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<After, &'static str> {
        after(text).map(After)
    }
}

impl AlertsQuery {
    /// What is asked for.
    #[must_use]
    pub fn filter(&self) -> AlertFilter {
        let WantedAlerts { symbols, rules, severity } = self.wanted.clone();
        AlertFilter { symbols, rules, severity, state: self.state, from: self.range.from, to: self.range.to }
    }
}

fn state(text: &str) -> Result<State, String> {
    State::by_name(text).ok_or_else(|| "write pending, firing or resolved".to_owned())
}

fn severity(text: &str) -> Result<Severity, String> {
    Severity::by_name(text).ok_or_else(|| "write info, warning or critical".to_owned())
}
