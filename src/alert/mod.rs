//! Alerts: what a rule says of a symbol, and when it begins and ceases to say it.
//!
//! An *episode* goes from pending to firing to resolved; each step is an [`Alert`], one row of the alert log. Steps of one
//! episode share their [`AlertId`]. A [`Cursor`] is a place in the log.

mod crossing;
#[cfg(test)]
mod crossing_tests;
mod deadlines;
pub mod dispatch;
#[cfg(test)]
mod dispatch_tests;
pub mod episode;
mod facts;
mod history;
pub mod judge;
#[cfg(test)]
mod judging_tests;
mod kept;
pub mod lifts;
mod reload;
pub mod rulebook;
mod seen;
mod tell;

use std::fmt;
use std::str::FromStr;

use feeds::time::Nanos;

use crate::window::Flags;

/// What an episode has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// The condition holds, but not yet for long enough.
    Pending,
    /// It fires.
    Firing,
    /// The condition has ceased to hold.
    Resolved,
}

impl State {
    /// All of them, in the order of an episode; the place is what is stored.
    pub const ALL: [State; 3] = [State::Pending, State::Firing, State::Resolved];

    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Firing => "firing",
            State::Resolved => "resolved",
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody should look.
    #[default]
    Warning,
    /// Somebody must act.
    Critical,
}

impl Severity {
    /// All of them, the least first; the place is what is stored.
    pub const ALL: [Severity; 3] = [Severity::Info, Severity::Warning, Severity::Critical];

    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Severity> {
        Severity::ALL.into_iter().find(|severity| severity.name() == name)
    }
}

/// Names an episode, in every run over the same tape: see [`rulebook::Rule::id`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertId(pub [u8; 16]);

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A place in the alert log: behind the alert of that number. Numbers count from 1 and have no holes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor {
    /// Rises when what was published may have been lost, and numbers may be given again.
    pub generation: u64,
    /// The alert's number; 0 is before the first.
    pub number: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.generation, self.number)
    }
}

impl FromStr for Cursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Cursor, &'static str> {
        let digits = |part: &str| {
            let plain = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse().ok().filter(|_| plain)
        };
        let cursor = text
            .split_once('-')
            .and_then(|(generation, number)| Some((digits(generation)?, digits(number)?)))
            .ok_or("a cursor is GENERATION-NUMBER, as alerts have it, such as 1-42")?;
        Ok(Cursor { generation: cursor.0, number: cursor.1 })
    }
}

/// A window that an alert is about, as it was seen; or several of one name that were read together, one behind the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenWindow {
    /// The symbol, where it is not the alert's.
    pub symbol: Option<String>,
    /// The window's name.
    pub window: String,
    /// Where it begins, or the first of them.
    pub start: Nanos,
    /// Where the last of them begins: that is `start` if it is one.
    pub last: Nanos,
    /// How many they are.
    pub count: u64,
    /// Its revision, or the highest of them; none while it was not over.
    pub revision: Option<u32>,
    /// What was remarked on it, or on any of them.
    pub flags: Flags,
}

/// One step of an episode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The episode.
    pub id: AlertId,
    /// What it has come to.
    pub state: State,
    /// The rule's name.
    pub rule: String,
    /// The symbol, `venue:NATIVE`; several, joined by `|`, of a rule over several.
    pub symbol: String,
    /// The rule's severity.
    pub severity: Severity,
    /// When, by the symbol's own time.
    pub event_time: Nanos,
    /// When what caused it came in; none where that is not known.
    pub fired_at: Option<Nanos>,
    /// What it says.
    pub message: String,
    /// The rule's labels, by name.
    pub labels: Vec<(String, String)>,
    /// What the rule saw: as it is written in the rule, and its value; nothing is an empty text.
    pub values: Vec<(String, String)>,
    /// The windows that these values are from: at most some 64 spans of them.
    pub windows: Vec<SeenWindow>,
    /// The tape entry that caused it.
    pub number: u64,
    /// The silence (`silence:NAME`) or inhibition (`inhibited:RULE`) that keeps it from being told to people.
    pub suppressed: Option<String>,
}

/// What silences, inhibitions and groups look at in an alert.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The rule's name.
    pub rule: &'a str,
    /// The symbol, or several, joined by `|`.
    pub symbol: &'a str,
    /// The rule's severity.
    pub severity: Severity,
    /// The rule's labels, by name.
    pub labels: &'a [(String, String)],
}

impl<'a> Subject<'a> {
    /// The value of the label of that name.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&'a str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
    }
}

impl Alert {
    /// What silences, inhibitions and groups look at.
    #[must_use]
    pub fn subject(&self) -> Subject<'_> {
        Subject { rule: &self.rule, symbol: &self.symbol, severity: self.severity, labels: &self.labels }
    }

    /// What was remarked on the windows that it saw.
    #[must_use]
    pub fn flags(&self) -> Flags {
        self.windows.iter().fold(Flags::NONE, |flags, window| flags.with(window.flags))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_written_as_they_are_read() {
        let cursor = Cursor { generation: 3, number: 42 };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for wrong in ["", "42", "-", "1-", "-1", "1--1", "a-1", "1-1-1", "+1-2", "1-99999999999999999999"] {
            assert!(wrong.parse::<Cursor>().is_err(), "{wrong}");
        }
        assert!(Cursor { generation: 1, number: 9 } < Cursor { generation: 2, number: 1 });
    }
}
