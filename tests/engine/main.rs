//! The engine as a whole, on the memory store: one binary, one module per question.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should panic")]

/// Real captures against their independently computed bars.
mod truth;

/// What the others share.
mod support;
