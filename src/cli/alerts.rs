//! `query alerts`: which alerts are asked for on a command line.

use clap::Args as ClapArgs;

use super::args::{QueryCommon, TimeRange};
use super::parse::name;
use crate::alert::{Cursor, Severity, State};
use crate::query::alerts::{AlertFilter, after};

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
