//! The real program, run as its users run it: one binary, one module per question.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should panic")]

/// Files after files: `--append` against one replay of all.
mod append;

/// Killed at any point and resumed.
mod kills;

/// One answer, whatever the threads, epochs and speed.
mod same;

/// Queries beside a replay that is at work.
mod beside;

/// Signals.
mod signals;

/// What the others share.
mod support;
