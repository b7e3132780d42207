//! The real program, run as its users run it: one binary, one module per question.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should panic")]

/// Files after files: `--append` against one replay of all.
mod append;

/// Inputs that are not what they should be.
mod bad_input;

/// Databases and options that are refused, and what they hold after that.
mod refused;

/// A full disk.
mod disk;

/// Forms of output, against each other.
mod formats;

/// Late ticks, gaps, kept ticks.
mod keeping;

/// Killed at any point and resumed.
mod kills;

/// A live run, killed at any point and started again.
mod crashes;

/// Recordings, replayed.
mod recorded;

/// A live run, killed while its alerts are followed.
mod followers;

/// Who follows them.
mod following;

/// An exchange that sends again what was lost.
mod resending;

/// Real captures.
mod captures;

/// One answer, whatever the threads, epochs and speed.
mod same;

/// Queries beside a replay that is at work.
mod beside;

/// Signals.
mod signals;

/// Times that cannot be.
mod times;

/// What the others share.
mod support;
