//! The engine as a whole, on the memory store: one binary, one module per question.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should panic")]

/// Real captures against their independently computed bars.
mod truth;

/// The rules of the guide against times that another program computed.
mod worked;

/// Rules tested on made-up ticks.
mod backfills;
mod cases;

/// The same answer however the work is divided: workers, epochs, speed, files, further windows.
mod determinism;

/// Stopped and resumed, as often as one likes, is uninterrupted.
mod resume;
mod runs;

/// One symbol's fault is that symbol's.
mod quarantine;

/// Every tick in one column: repeats, shuffles, bad times.
mod ledger;

/// A live run, and the replay of its recording.
mod live;

/// Fields that were never there before.
mod fields;

/// Streams that were granted and bring nothing.
mod granted;

/// Recordings that are cut, written by hand, or begin with a later part.
mod recordings;

/// A live run on every simulated exchange at once.
mod exchanges;

/// What has no flag is as without a fault.
mod silent;

/// Rules: what they say is one answer, too.
mod alerts;

/// A live run that died goes on.
mod recovery;

/// What was published and lost is told by the generation of cursors.
mod generation;

/// What rules say leaves by sinks.
mod sinks;

/// Receive time moves quiet symbols.
mod clock;

/// A live run on a full disk.
mod full;

/// Bounds hold when the store is slow, and nothing is lost when it fails.
mod store;

/// Made-up inputs.
mod made;

/// What the others share.
mod support;
