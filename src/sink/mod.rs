//! Sinks: alerts leave for where people and other programs look.
//!
//! A sink follows the alert log like any other follower, and how far it came is kept in the database. It goes on where it
//! was: each alert that it wants is told once at least, in the order of the log. What cannot be told is tried again for
//! ever, and nobody else waits meanwhile. [`SINKS`] lists the kinds, `task` has what all of them do. A sink that groups
//! alerts (`groups`) tells those of a group together, which the kinds do not notice.

mod file;
mod follow;
#[cfg(test)]
mod grouped_tests;
mod groups;
#[cfg(test)]
mod groups_tests;
pub mod hmac;
mod stdout;
mod task;
#[cfg(test)]
mod tests;
mod webhook;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

pub use follow::{SinkPulse, Sinks};

use crate::config::SinkSpec;

/// Why alerts could not be told.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// A file of the configuration is of no use.
    #[error("cannot use {}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A sink cannot be opened.
    #[error("sink `{name}`: {why}")]
    Unopened {
        /// Its name.
        name: String,
        /// Why not.
        why: Box<SinkError>,
    },
    /// Telling failed, and may not the next time.
    #[error("{why}")]
    Failed {
        /// What.
        why: String,
        /// How long whoever is told wants to be left alone.
        asked: Option<Duration>,
    },
    /// No thread can be had.
    #[error("no thread can be started for a sink")]
    Thread(#[source] std::io::Error),
}

impl SinkError {
    fn failed(why: impl std::fmt::Display) -> SinkError {
        SinkError::Failed { why: why.to_string(), asked: None }
    }
}

/// What is told at once: an alert, or a notification of a group.
#[derive(Clone, Debug)]
pub struct Told {
    /// A JSON object, without the line's end: the row of `query alerts`, or the group with such rows.
    pub text: String,
    /// The same whenever the same is told again.
    pub key: String,
    /// Alerts in it.
    pub alerts: usize,
}

/// Alerts on their way.
pub type Delivering<'a> = Pin<Box<dyn Future<Output = Result<(), SinkError>> + Send + 'a>>;

/// Where alerts are told.
pub trait Sink: Send {
    /// How many it is handed at a time.
    fn at_once(&self) -> usize;

    /// Tells them in their order: all, or else none that counts. What fails is tried again with the same ones.
    fn deliver<'a>(&'a mut self, told: &'a [Told]) -> Delivering<'a>;
}

/// What is given to a kind of sink beside its configuration.
#[derive(Clone, Debug, Default)]
pub struct Means {
    /// Certificates (PEM) of authorities that are trusted beside those that browsers trust.
    pub ca: Vec<u8>,
}

/// A kind of sink.
pub trait SinkKind: Sync {
    /// Its name in configurations.
    fn name(&self) -> &'static str;

    /// What it does, in one line.
    fn about(&self) -> &'static str;

    /// The keys of its own that it takes, and whether it must have them.
    fn keys(&self) -> &'static [(&'static str, bool)];

    /// Makes one.
    ///
    /// # Errors
    /// [`SinkError`] if it could never tell anything.
    fn open(&self, spec: &SinkSpec, means: &Means) -> Result<Box<dyn Sink>, SinkError>;
}

/// All kinds.
pub static SINKS: &[&dyn SinkKind] = &[&webhook::WEBHOOK, &file::FILE, &stdout::STDOUT];

/// True if one of these sinks writes alerts to standard output.
#[must_use]
pub fn are_on_stdout(specs: &[SinkSpec]) -> bool {
    specs.iter().any(|spec| spec.kind == stdout::STDOUT.name())
}
