//! The ordered stage between "the last symbol is done" and the store.
//!
//! [`committer`] takes finished epochs; `stage` brings them in tape order, gathers what came of them, and at every checkpoint hands it on;
//! [`writer`] makes one batch of it and commits it. A checkpoint holds everything up to one tape number: results,
//! snapshots, ledgers and the number itself, all or nothing.

pub mod alerts;
mod audit;
pub mod checkpoint;
pub mod committer;
pub mod figures;
pub mod journal;
mod missing;
pub mod open;
pub mod outages;
pub mod patience;
pub mod quarantine;
pub mod recovery;
mod repairs;
mod stage;
pub mod windows;
pub mod witnessed;
pub mod writer;

pub use checkpoint::Checkpoint;
pub use committer::{CommitError, Committer, Setup, Summary};
