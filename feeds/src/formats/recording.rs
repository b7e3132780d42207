//! Recordings of a live run, as a file among others: they are told by their first line, and refused.
//!
//! A recording has the order in which the frames of many connections came to the tape, so it is replayed by itself and
//! not merged with other files. That is done by whoever opens files, with [`crate::recording`]; what gets here is one
//! that stands beside other files, or one of another version.

use serde::Deserialize;

use super::line::written;
use super::{Decoder, Format, FormatError, Head};
use crate::recording::VERSION;

/// What the first line of a recording of any version begins with.
const BEGINS: &[u8] = b"{\"tapedeck_recording\":";

/// The format `recording`.
pub struct Recording;

#[derive(Deserialize)]
struct FirstLine {
    tapedeck_recording: u64,
}

impl Format for Recording {
    fn name(&self) -> &'static str {
        "recording"
    }

    fn describe(&self) -> &'static str {
        "tapedeck's own recordings of live frames; all parts of one together, and nothing else"
    }

    fn matches(&self, head: &Head<'_>) -> bool {
        written(head.bytes).next().is_some_and(|line| line.starts_with(BEGINS))
    }

    fn open(&self, head: &Head<'_>) -> Result<Box<dyn Decoder>, FormatError> {
        let line = written(head.bytes).next().unwrap_or_default();
        let first: Result<FirstLine, _> = serde_json::from_slice(line);
        Err(FormatError::NotThis(match first {
            Err(error) => format!("the first line is not that of a recording: {error}"),
            Ok(FirstLine { tapedeck_recording: version }) if version != u64::from(VERSION) => {
                format!("a recording of version {version}; this program reads version {VERSION}")
            }
            Ok(_) => {
                "a recording is replayed by itself: its parts together, no other file, and no pipe".to_owned()
            }
        }))
    }
}
