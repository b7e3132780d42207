//! The configuration: what the user wrote (`raw.rs`), checked (`validate.rs`), becomes what the engine uses
//! ([`Config`]).
//!
//! Everything that is wrong is reported at once, with line, column and the nearest right name. The names of
//! statistics and venues come from the lists in the code ([`catalogue`]), every bound from [`limits`].

mod access;
pub mod cases;
pub mod catalogue;
mod check_rules;
pub mod digest;
pub mod duration;
pub mod glob;
mod grouping;
pub mod limits;
mod listen;
pub mod nearest;
mod problem;
mod quoted;
mod raw;
mod raw_rules;
pub mod rules;
#[cfg(test)]
mod rules_tests;
mod sinks;
#[cfg(test)]
mod tests;
mod token_file;
mod validate;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use feeds::number::Decimal;
use feeds::symbol::Symbol;
use feeds::time::{Nanos, SECOND};

pub use access::{Access, AccessBounds, Scope, Tls, Token};
pub use catalogue::{Catalogue, WINDOW_KINDS, WindowKind};
pub use glob::Glob;
pub use grouping::{GroupBy, Grouping};
pub use listen::Listen;
pub use problem::ConfigError;
pub use rules::RulesSpec;
pub use sinks::SinkSpec;

use crate::stat;
use crate::window::plan::Window;

/// A configuration that holds together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The engine's settings.
    pub engine: Engine,
    /// Where a live run shows itself.
    pub listen: Listen,
    /// Who may ask it there, and how much.
    pub access: Access,
    /// The windows, in the order of the file, which is part of the results' order. Never empty; names are unique.
    pub windows: Vec<WindowSpec>,
    /// What to connect to.
    pub feeds: Vec<FeedSpec>,
    /// What is known of instruments beside their ticks.
    pub instruments: Vec<Instrument>,
    /// What belongs together.
    pub groups: Vec<Group>,
    /// What is watched for. No part of [`Config::canonical`]: rules change no window.
    pub rules: RulesSpec,
    /// Where alerts are told.
    pub sinks: Vec<SinkSpec>,
}

/// `[engine]`. Durations are nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    /// The database's directory.
    pub db: Option<PathBuf>,
    /// A file of certificates (PEM): authorities that feeds trust beside those that browsers trust.
    pub ca: Option<PathBuf>,
    /// How far behind its symbol's newest tick a tick may be and still count.
    pub lateness: Nanos,
    /// How far ahead of its receive time a tick's time may be.
    pub max_ahead: Nanos,
    /// How long a symbol is quiet before the clock moves its frontier.
    pub idle: Nanos,
    /// Threads that apply ticks; `None` for one per core.
    pub workers: Option<usize>,
    /// Time between checkpoints.
    pub checkpoint_every: Nanos,
    /// Entries between checkpoints.
    pub checkpoint_entries: u64,
    /// How many alerts the log keeps; somewhat more are there.
    pub alerts_kept: u64,
    /// What a commit survives.
    pub sync: Durability,
}

/// What a commit survives when it is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The end of the process; a power loss takes at most [`limits::SYNC_EVERY`].
    Default,
    /// A power loss.
    Always,
}

/// How a window cuts its symbol's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Adjoining spans of one size, aligned to the epoch.
    Tumbling,
}

impl Cut {
    /// The name in configurations.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Cut::Tumbling => "tumbling",
        }
    }
}

/// One window to be kept for every symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowSpec {
    /// Its name in outputs: letters, digits, `_`, `-` and `.`.
    pub name: String,
    /// How it cuts.
    pub kind: Cut,
    /// Its span.
    pub size: Nanos,
    /// Its statistics in the order of their columns, sets expanded, each once.
    pub stats: Vec<&'static str>,
}

impl WindowSpec {
    /// The window as the engine plans it.
    #[must_use]
    pub fn planned(&self) -> Window {
        let stats = self.stats.iter().filter_map(|name| stat::by_name(name)).collect();
        Window { name: self.name.clone(), size: self.size, stats }
    }
}

/// One venue's symbols to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedSpec {
    /// The venue's id.
    pub venue: String,
    /// Native names.
    pub symbols: Vec<String>,
    /// Channels, all that the venue has unless some are named.
    pub channels: Vec<String>,
    /// Scheme, host, port and the beginning of the path, instead of the venue's own.
    pub url: Option<String>,
    /// How long a stream may bring nothing before it is alarming, in nanoseconds.
    pub silence: Nanos,
}

/// What is known of an instrument beside its ticks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// Whose.
    pub symbol: Symbol,
    /// Base units in one contract.
    pub multiplier: Option<Decimal>,
    /// True if a contract is worth an amount of the quote currency.
    pub inverse: bool,
    /// The smallest step of the price.
    pub tick: Option<Decimal>,
    /// The smallest step of the size.
    pub lot: Option<Decimal>,
    /// Digits behind the point in prices that the venue sends as scaled integers.
    pub scale: Option<u8>,
}

/// Symbols that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its symbols.
    pub symbols: Vec<Symbol>,
}

impl Default for Engine {
    fn default() -> Engine {
        Engine {
            db: None,
            ca: None,
            lateness: limits::LATENESS,
            max_ahead: limits::MAX_AHEAD,
            idle: limits::IDLE,
            workers: None,
            checkpoint_every: limits::CHECKPOINT_EVERY,
            checkpoint_entries: limits::CHECKPOINT_ENTRIES,
            alerts_kept: limits::ALERTS_KEPT,
            sync: Durability::Default,
        }
    }
}

impl Config {
    /// The configuration without a file: windows `1s` and `1m` with the set `bar`.
    #[must_use]
    pub fn standard(names: &Catalogue) -> Config {
        Config {
            engine: Engine::default(),
            listen: Listen::default(),
            access: Access::default(),
            windows: standard_windows(names),
            feeds: Vec::new(),
            instruments: Vec::new(),
            groups: Vec::new(),
            rules: RulesSpec::default(),
            sinks: Vec::new(),
        }
    }

    /// Reads and checks the file `path`.
    ///
    /// # Errors
    /// [`ConfigError`], with everything that is wrong.
    pub fn load(path: &Path, names: &Catalogue) -> Result<Config, ConfigError> {
        Config::parse(&path.display().to_string(), &read(path)?, names)
    }

    /// Checks the configuration `text` from a file called `name`.
    ///
    /// # Errors
    /// [`ConfigError::Wrong`], with everything that is wrong.
    pub fn parse(name: &str, text: &str, names: &Catalogue) -> Result<Config, ConfigError> {
        let problems = problem::Problems::new(name, text);
        let raw = raw::read(text, &problems);
        let config = validate::Checker { problems: &problems, names }.config(&raw);
        problems.into_result()?;
        Ok(config)
    }

    /// The sections that are there, are checked, and have no effect in this version.
    #[must_use]
    pub fn unused(&self) -> Vec<&'static str> {
        [("[[instruments]]", self.instruments.is_empty()), ("[[groups]]", self.groups.is_empty())]
            .into_iter()
            .filter_map(|(section, is_empty)| (!is_empty).then_some(section))
            .collect()
    }
}

/// The text of a file that is not longer than a configuration.
fn read(path: &Path) -> Result<String, ConfigError> {
    let file =
        File::open(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    read_from(file, path)
}

/// As [`read`], of an open file.
fn read_from(file: File, path: &Path) -> Result<String, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let mut text = String::new();
    file.take(limits::CONFIG_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > limits::CONFIG_BYTES_MAX {
        let message = format!("more than {} bytes are no configuration", limits::CONFIG_BYTES_MAX);
        return Err(unreadable(io::Error::new(io::ErrorKind::InvalidData, message)));
    }
    Ok(text)
}

fn standard_windows(names: &Catalogue) -> Vec<WindowSpec> {
    let window = |name: &str, size| WindowSpec {
        name: name.to_owned(),
        kind: Cut::Tumbling,
        size,
        stats: names.expand(DEFAULT_SET).unwrap_or_default(),
    };
    vec![window("1s", SECOND), window("1m", 60 * SECOND)]
}

/// The statistics of a window that names none.
const DEFAULT_SET: &str = "bar";
