//! Runs: what was replayed into a database, and how far. Version 1, then JSON as the types here say.

use serde::{Deserialize, Serialize};

use super::Key;
use crate::codec::CodecError;

const VERSION: u8 = 1;
const PREFIX: &str = "run/";

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Progress {
    /// Interrupted, or at work: `--resume` goes on from the checkpoint.
    Unfinished,
    /// All inputs are exhausted.
    Complete,
}

/// One input of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Where it was.
    pub path: String,
    /// Its format.
    pub format: String,
    /// Bytes on disk.
    pub size: u64,
    /// SHA-256 of its first block, in hexadecimal.
    pub first_block: String,
}

/// One run, as of its last checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its number, from 0.
    pub number: u32,
    /// How far it is.
    pub progress: Progress,
    /// The tape number of its first entry.
    pub first: u64,
    /// The tape number of the last entry that is in the database.
    pub applied: u64,
    /// Ticks of earlier runs, for the ledger.
    pub ticks_before: u64,
    /// Ticks up to `applied`, earlier runs included.
    pub ticks: u64,
    /// Its inputs in order.
    pub inputs: Vec<Input>,
    /// What else was asked for and changes results, as text.
    pub options: String,
    /// The configuration's canonical text.
    pub config: String,
    /// The number of the rulebook that was in force before its first entry; 0 for none.
    #[serde(default)]
    pub rules_before: u32,
    /// The rules that it was begun with, as text; empty for none.
    #[serde(default)]
    pub rules: String,
    /// Alerts in the log, up to `applied`.
    #[serde(default)]
    pub alerts: u64,
    /// When the checkpoint was committed, nanoseconds since 1970.
    pub committed_at: i64,
}

impl Run {
    /// Its key.
    #[must_use]
    pub fn key(&self) -> Vec<u8> {
        prefix().u32(self.number).bytes()
    }

    /// Its value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a run back.
    ///
    /// # Errors
    /// [`CodecError`] if the bytes are no run.
    pub fn decode(value: &[u8]) -> Result<Run, CodecError> {
        decode(value)
    }
}

/// What the keys of all runs begin with.
#[must_use]
pub fn prefix() -> Key {
    Key::text(PREFIX)
}

pub(super) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut out = vec![VERSION];
    // These types have no maps with keys that are no text, the one thing that this can fail at.
    out.extend(serde_json::to_vec(value).unwrap_or_default());
    out
}

pub(super) fn decode<T: for<'a> Deserialize<'a>>(value: &[u8]) -> Result<T, CodecError> {
    match value.split_first() {
        Some((&VERSION, json)) => serde_json::from_slice(json).map_err(|_| CodecError::Invalid),
        _ => Err(CodecError::Invalid),
    }
}
