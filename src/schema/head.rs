//! How far the tape of a live run is in the database: a key that every epoch's batch sets.
//!
//! # Bytes
//! Version 1; number of the run; tape number of the last entry; ticks up to there, earlier runs included; number of
//! inputs whose frames were counted since their ledgers were written ([`super::feeds`]), and for each its number and
//! how many frames there were more: all, with ticks, control, heartbeats, broken, blank. All are unsigned integers as in
//! [`crate::codec`].

use ::feeds::frame::FrameCounts;

use crate::codec::{CodecError, Put, Reader};

const VERSION: u8 = 1;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The run.
    pub run: u32,
    /// The last entry of its tape that is in the database.
    pub applied: u64,
    /// Ticks up to there.
    pub ticks: u64,
    /// What is to be added to the ledgers of these inputs' frames. What is counted by name is not in it.
    pub frames: Vec<(u32, FrameCounts)>,
}

/// Its key.
#[must_use]
pub fn key() -> Vec<u8> {
    b"head".to_vec()
}

impl Head {
    /// Its value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        for value in [u64::from(self.run), self.applied, self.ticks] {
            out.put_u64(value);
        }
        out.put_u64(self.frames.len() as u64);
        for (input, more) in &self.frames {
            out.put_u64(u64::from(*input));
            for count in [more.frames, more.ticks, more.control, more.heartbeat, more.broken, more.blank] {
                out.put_u64(count);
            }
        }
        out
    }

    /// Reads a head back.
    ///
    /// # Errors
    /// [`CodecError`] if the bytes are none.
    pub fn decode(value: &[u8]) -> Result<Head, CodecError> {
        let mut from = Reader::new(value);
        if from.u8()? != VERSION {
            return Err(CodecError::Invalid);
        }
        let run = u32::try_from(from.u64()?).map_err(|_| CodecError::Invalid)?;
        let (applied, ticks) = (from.u64()?, from.u64()?);
        let mut frames = Vec::new();
        for _ in 0..from.u64()? {
            let input = u32::try_from(from.u64()?).map_err(|_| CodecError::Invalid)?;
            let more = FrameCounts {
                frames: from.u64()?,
                ticks: from.u64()?,
                control: from.u64()?,
                heartbeat: from.u64()?,
                broken: from.u64()?,
                blank: from.u64()?,
                ..FrameCounts::default()
            };
            frames.push((input, more));
        }
        let head = Head { run, applied, ticks, frames };
        if from.is_empty() { Ok(head) } else { Err(CodecError::Invalid) }
    }
}
