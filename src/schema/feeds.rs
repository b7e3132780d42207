//! The ledgers of frames, one for each input of each run. Version 1, then JSON as the type here says.

use std::collections::BTreeMap;

use ::feeds::frame::{FieldCount, FrameCounts};
use serde::{Deserialize, Serialize};

use super::Key;
use crate::codec::CodecError;

const PREFIX: &str = "feed/";

/// What came of one input's frames.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feed {
    /// The input.
    pub name: String,
    /// Its format.
    pub format: String,
    /// Its venue, where one holds for the whole.
    pub venue: Option<String>,
    /// All frames.
    pub frames: u64,
    /// Frames that gave ticks.
    pub ticks: u64,
    /// Answers, notices, headers.
    pub control: u64,
    /// Signs of life.
    pub heartbeat: u64,
    /// Known kinds that are not used.
    pub passed_over: BTreeMap<String, u64>,
    /// Unknown kinds.
    pub unknown: BTreeMap<String, u64>,
    /// Not readable.
    pub broken: u64,
    /// Empty.
    pub blank: u64,
    /// Fields that were not known, of the frames that gave ticks and were looked at.
    #[serde(default)]
    pub unknown_fields: BTreeMap<String, FieldCount>,
}

impl Feed {
    /// The feed with the counts of `counts`.
    #[must_use]
    pub fn with(mut self, counts: &FrameCounts) -> Feed {
        self.frames = counts.frames;
        self.ticks = counts.ticks;
        self.control = counts.control;
        self.heartbeat = counts.heartbeat;
        self.passed_over.clone_from(&counts.passed_over);
        self.unknown.clone_from(&counts.unknown);
        self.broken = counts.broken;
        self.blank = counts.blank;
        self.unknown_fields.clone_from(&counts.unknown_fields);
        self
    }

    /// Adds counts without those by name.
    pub fn add(&mut self, more: &FrameCounts) {
        self.frames += more.frames;
        self.ticks += more.ticks;
        self.control += more.control;
        self.heartbeat += more.heartbeat;
        self.broken += more.broken;
        self.blank += more.blank;
    }

    /// Its value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        super::run::encode(self)
    }

    /// Reads a feed back.
    ///
    /// # Errors
    /// [`CodecError`] if the bytes are no feed.
    pub fn decode(value: &[u8]) -> Result<Feed, CodecError> {
        super::run::decode(value)
    }
}

/// What the keys of all feeds begin with.
#[must_use]
pub fn prefix() -> Key {
    Key::text(PREFIX)
}

/// The key of input `input` of run `run`.
#[must_use]
pub fn key(run: u32, input: u32) -> Vec<u8> {
    prefix().u32(run).u32(input).bytes()
}
