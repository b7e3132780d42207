//! How a command fails: the chain of causes, and the exit code that goes with it.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::commit::CommitError;
use crate::config::ConfigError;
use crate::follow::FollowError;
use crate::query::QueryError;
use crate::replay::ReplayError;
use crate::replay::plan::PlanError;
use crate::serve::ServeError;
use crate::simulator::SimulatorError;
use crate::source::SourceError;
use crate::store::StoreError;

/// What a failure means to a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Something did not work.
    Failed = 1,
    /// The command line or the configuration is wrong; nothing was written.
    Usage = 2,
    /// The data is damaged.
    Damaged = 3,
    /// Another process holds the database.
    Held = 4,
}

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub code: Code,
    /// The chain of causes.
    pub error: anyhow::Error,
}

impl Failure {
    /// A wrong command line or configuration, said in one message.
    #[must_use]
    pub fn usage(message: impl Into<String>) -> Failure {
        Failure { code: Code::Usage, error: anyhow::Error::msg(message.into()) }
    }

    /// Damaged data, said in one message.
    #[must_use]
    pub fn damaged(message: impl Into<String>) -> Failure {
        Failure { code: Code::Damaged, error: anyhow::Error::msg(message.into()) }
    }

    /// Says what went wrong on stderr and gives the exit code.
    pub(super) fn report(&self) -> ExitCode {
        // With stderr gone too, the exit code is all that is left to say.
        drop(writeln!(io::stderr().lock(), "tapedeck: {self}"));
        ExitCode::from(self.code as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

/// The code is that of the first cause that says one, whatever context was put around it.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        let code = error.chain().find_map(code_of).unwrap_or(Code::Failed);
        Failure { code, error }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        anyhow::Error::from(error).into()
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Failure {
        anyhow::Error::from(error).into()
    }
}

impl From<ReplayError> for Failure {
    fn from(error: ReplayError) -> Failure {
        anyhow::Error::from(error).into()
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Failure {
        anyhow::Error::from(error).into()
    }
}

impl From<FollowError> for Failure {
    fn from(error: FollowError) -> Failure {
        anyhow::Error::from(error).into()
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        anyhow::Error::from(error).into()
    }
}

fn code_of(cause: &(dyn std::error::Error + 'static)) -> Option<Code> {
    if cause.is::<ConfigError>() {
        return Some(Code::Usage);
    }
    if let Some(error) = cause.downcast_ref::<SourceError>() {
        return Some(code(error.exit_code()));
    }
    if let Some(error) = cause.downcast_ref::<ReplayError>() {
        return Some(match error {
            ReplayError::Plan(PlanError::Store(error)) | ReplayError::Commit(CommitError::Store(error)) => {
                code(error.exit_code())
            }
            ReplayError::Source(error) => code(error.exit_code()),
            ReplayError::Plan(PlanError::Damaged(_)) => Code::Damaged,
            ReplayError::Plan(_) | ReplayError::Rules(_) => Code::Usage,
            ReplayError::Commit(_) | ReplayError::Engine(_) | ReplayError::Threads(_) => Code::Failed,
        });
    }
    if let Some(error) = cause.downcast_ref::<QueryError>() {
        return Some(match error {
            QueryError::Store(error) => code(error.exit_code()),
            QueryError::Damaged { .. } => Code::Damaged,
            QueryError::Wrong(_) => Code::Usage,
        });
    }
    if let Some(SimulatorError::Venue(..) | SimulatorError::Absent(..) | SimulatorError::Symbol(..)) =
        cause.downcast_ref::<SimulatorError>()
    {
        return Some(Code::Usage);
    }
    if let Some(ServeError::Open(_) | ServeError::Tls { .. }) = cause.downcast_ref::<ServeError>() {
        return Some(Code::Usage);
    }
    cause.downcast_ref::<StoreError>().map(|error| code(error.exit_code()))
}

fn code(number: u8) -> Code {
    match number {
        2 => Code::Usage,
        3 => Code::Damaged,
        4 => Code::Held,
        _ => Code::Failed,
    }
}
