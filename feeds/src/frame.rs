//! A frame: raw bytes with the time they came in, and what became of them.

use std::collections::BTreeMap;

use crate::time::Nanos;

/// Raw bytes as received, or one record of a file.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// When the bytes came in by our clock; `None` in files that do not say.
    pub received_at: Option<Nanos>,
    /// The bytes.
    pub payload: &'a [u8],
}

/// What a frame turned out to be. Every frame is exactly one of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// It gave ticks, be they taken, past or rejected. A frame with several counts once.
    Ticks,
    /// The venue's answers and notices (subscribed, error, status), a recorder's own lines, a file's header.
    Control,
    /// A sign of life.
    Heartbeat,
    /// Known, and not used (depth, candles): the kind's name.
    PassedOver(&'static str),
    /// Not known: what the venue calls it, or `"?"`.
    Unknown(String),
    /// Not readable: why, with an excerpt.
    Broken(FrameError),
    /// Nothing but white space.
    Blank,
}

/// Why a frame, or one value in it, could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {excerpt:?}")]
pub struct FrameError {
    /// What is wrong.
    pub reason: String,
    /// The first bytes of the frame, as text.
    pub excerpt: String,
}

/// Longest excerpt of a broken frame that is kept, in bytes.
pub const EXCERPT_BYTES: usize = 120;
/// Most distinct names of unknown kinds that are counted apart; the rest are counted as `"?"`.
pub const UNKNOWN_KINDS: usize = 64;

impl FrameError {
    /// `reason` about `payload`.
    #[must_use]
    pub fn new(reason: impl Into<String>, payload: &[u8]) -> FrameError {
        let cut = &payload[..payload.len().min(EXCERPT_BYTES)];
        FrameError { reason: reason.into(), excerpt: String::from_utf8_lossy(cut).into_owned() }
    }
}

/// The ledger of frames of one feed or file: `frames = ticks + control + heartbeat + passed over + unknown +
/// broken + blank`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrameCounts {
    /// All frames.
    pub frames: u64,
    /// Frames that gave ticks.
    pub ticks: u64,
    /// See [`FrameKind::Control`].
    pub control: u64,
    /// See [`FrameKind::Heartbeat`].
    pub heartbeat: u64,
    /// See [`FrameKind::PassedOver`], by kind.
    pub passed_over: BTreeMap<String, u64>,
    /// See [`FrameKind::Unknown`], by kind.
    pub unknown: BTreeMap<String, u64>,
    /// See [`FrameKind::Broken`].
    pub broken: u64,
    /// See [`FrameKind::Blank`].
    pub blank: u64,
}

impl FrameCounts {
    /// Counts one frame.
    pub fn count(&mut self, kind: &FrameKind) {
        self.frames += 1;
        match kind {
            FrameKind::Ticks => self.ticks += 1,
            FrameKind::Control => self.control += 1,
            FrameKind::Heartbeat => self.heartbeat += 1,
            FrameKind::PassedOver(name) => bump(&mut self.passed_over, name, 1),
            FrameKind::Unknown(name) => self.count_unknown(name, 1),
            FrameKind::Broken(_) => self.broken += 1,
            FrameKind::Blank => self.blank += 1,
        }
    }

    /// Counts `n` frames that gave ticks, for decoders that count by the block.
    #[inline]
    pub fn count_ticks(&mut self, n: u64) {
        self.frames += n;
        self.ticks += n;
    }

    /// Adds the counts of another part of the same feed or file.
    pub fn merge(&mut self, other: &FrameCounts) {
        self.frames += other.frames;
        self.ticks += other.ticks;
        self.control += other.control;
        self.heartbeat += other.heartbeat;
        self.broken += other.broken;
        self.blank += other.blank;
        for (name, n) in &other.passed_over {
            bump(&mut self.passed_over, name, *n);
        }
        for (name, n) in &other.unknown {
            self.count_unknown(name, *n);
        }
    }

    /// True if the parts add up to the whole.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        let kinds: u64 = self.passed_over.values().chain(self.unknown.values()).sum();
        self.frames == self.ticks + self.control + self.heartbeat + kinds + self.broken + self.blank
    }

    fn count_unknown(&mut self, name: &str, n: u64) {
        let full = self.unknown.len() >= UNKNOWN_KINDS && !self.unknown.contains_key(name);
        bump(&mut self.unknown, if full { "?" } else { name }, n);
    }
}

fn bump(counts: &mut BTreeMap<String, u64>, name: &str, n: u64) {
    match counts.get_mut(name) {
        Some(count) => *count += n,
        None => {
            counts.insert(name.to_owned(), n);
        }
    }
}
