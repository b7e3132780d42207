//! A frame: raw bytes with the time they came in, and what became of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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
/// Most distinct names of unknown kinds that are counted apart, and of unknown fields; the rest are counted as `"?"`.
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
    /// Of the frames that gave ticks and were looked at ([`crate::fields`]): fields that were not known, by name.
    pub unknown_fields: BTreeMap<String, FieldCount>,
}

/// In which frames a field was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldCount {
    /// How many of those that were looked at.
    pub frames: u64,
    /// When the first of them came in.
    pub since: Option<Nanos>,
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
        for (name, count) in &other.unknown_fields {
            self.add_field(name, *count);
        }
    }

    /// True if any of it is counted by name.
    #[must_use]
    pub fn has_names(&self) -> bool {
        !(self.passed_over.is_empty() && self.unknown.is_empty() && self.unknown_fields.is_empty())
    }

    /// Counts a field that is not known of a frame that came in at `received_at`.
    pub(crate) fn count_field(&mut self, name: &str, received_at: Option<Nanos>) {
        self.add_field(name, FieldCount { frames: 1, since: received_at });
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

    fn add_field(&mut self, name: &str, more: FieldCount) {
        let full = self.unknown_fields.len() >= UNKNOWN_KINDS && !self.unknown_fields.contains_key(name);
        let count = self.unknown_fields.entry(if full { "?" } else { name }.to_owned()).or_default();
        count.frames += more.frames;
        count.since = [count.since, more.since].into_iter().flatten().min();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn every_kind() -> Vec<FrameKind> {
        let broken = FrameKind::Broken(FrameError::new("not JSON", b"{"));
        let (passed, unknown) = (FrameKind::PassedOver("depth"), FrameKind::Unknown("new".to_owned()));
        vec![
            FrameKind::Ticks,
            FrameKind::Control,
            FrameKind::Heartbeat,
            passed,
            unknown,
            broken,
            FrameKind::Blank,
        ]
    }

    #[test]
    fn each_kind_is_counted_once_and_they_add_up() {
        let mut counts = FrameCounts::default();
        for kind in every_kind() {
            counts.count(&kind);
            assert!(counts.adds_up(), "{kind:?}");
        }
        assert_eq!(counts.frames, 7);
        assert_eq!((counts.passed_over["depth"], counts.unknown["new"], counts.broken), (1, 1, 1));
        let mut twice = counts.clone();
        twice.merge(&counts);
        twice.count_ticks(5);
        assert_eq!((twice.frames, twice.ticks, twice.passed_over["depth"]), (19, 7, 2));
        assert!(twice.adds_up());
        twice.frames += 1;
        assert!(!twice.adds_up());
    }

    #[test]
    fn names_of_unknown_kinds_are_bounded() {
        let mut counts = FrameCounts::default();
        for name in 0..UNKNOWN_KINDS + 10 {
            counts.count(&FrameKind::Unknown(name.to_string()));
        }
        counts.count(&FrameKind::Unknown("0".to_owned()));
        assert_eq!(counts.unknown.len(), UNKNOWN_KINDS + 1);
        assert_eq!((counts.unknown["?"], counts.unknown["0"]), (10, 2));
        assert!(counts.adds_up());
    }

    #[test]
    fn fields_that_are_not_known_keep_the_earliest_time_and_are_bounded() {
        let mut counts = FrameCounts::default();
        counts.count_field("new", None);
        let mut later = FrameCounts::default();
        later.count_field("new", Some(9));
        counts.merge(&later);
        counts.count_field("new", Some(7));
        counts.merge(&later);
        assert_eq!(counts.unknown_fields["new"], FieldCount { frames: 4, since: Some(7) });
        for name in 0..2 * UNKNOWN_KINDS {
            counts.count_field(&name.to_string(), Some(1));
        }
        assert_eq!(counts.unknown_fields.len(), UNKNOWN_KINDS + 1);
        assert_eq!(counts.unknown_fields["?"].frames, UNKNOWN_KINDS as u64 + 1);
        assert!(counts.adds_up(), "fields are beside the sum");
    }

    #[test]
    fn excerpts_are_cut_and_always_text() {
        let error = FrameError::new("not JSON", &[0xff; 1_000]);
        assert_eq!(error.excerpt.chars().count(), EXCERPT_BYTES);
        let error = FrameError::new("no price", b"{\"p\"}");
        assert_eq!(error.to_string(), r#"no price: "{\"p\"}""#);
    }
}
