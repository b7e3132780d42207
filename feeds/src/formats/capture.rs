//! Captured frames, handed to a venue's session in the order of the file.

use crate::frame::{Frame, FrameError, FrameKind};
use crate::outage::Attention;
use crate::symbol::SymbolTable;
use crate::tick::{Event, Rejection};
use crate::time::Nanos;
use crate::venue::{Session, Venue};

use super::{Decoded, FormatError, Head, MAX_FRAME_BYTES, name};

/// The venues that a capture may be of.
pub(super) type Venues = &'static [&'static dyn Venue];

/// A connection of a venue, played from a file.
pub(super) struct Capture {
    pub(super) venue: &'static dyn Venue,
    pub(super) symbols: SymbolTable,
    session: Box<dyn Session>,
    attention: Attention,
}

impl Capture {
    pub(super) fn new(venue: &'static dyn Venue) -> Capture {
        Capture {
            venue,
            symbols: SymbolTable::new(venue.id()),
            session: venue.open(),
            attention: Attention::new(venue),
        }
    }

    /// Plays one frame, which was line `line` of its block.
    pub(super) fn frame(&mut self, received_at: Nanos, payload: &[u8], line: u64, out: &mut Decoded) {
        let before = out.output.ticks.len();
        let frame = Frame { received_at: Some(received_at), payload };
        let Decoded { output, frames, .. } = out;
        let kind = self.attention.on_frame(&mut *self.session, frame, &mut self.symbols, output, frames);
        // There is nobody to send to.
        out.output.sends.clear();
        let rejected: Vec<Rejection> = out
            .output
            .ticks
            .get(before..)
            .unwrap_or_default()
            .iter()
            .filter_map(|t| fault(&t.event))
            .collect();
        for rejection in rejected {
            out.complain(line, FrameError::new(reason(rejection), payload));
        }
        if let FrameKind::Broken(error) = kind {
            out.complain(line, error);
        }
    }

    /// The connection ended, and another one begins.
    pub(super) fn reopen(&mut self, out: &mut Decoded) {
        self.session.finish(&mut out.output);
        self.attention.reopen(&self.symbols, &mut out.output);
        self.session = self.venue.open();
    }

    /// The connection ended.
    pub(super) fn finish(&mut self, out: &mut Decoded) {
        self.session.finish(&mut out.output);
    }
}

fn fault(event: &Event) -> Option<Rejection> {
    match event {
        Event::Rejected(Rejection::Dropped) | Event::Trade(_) | Event::Quote(_) => None,
        Event::Rejected(rejection) => Some(*rejection),
    }
}

fn reason(rejection: Rejection) -> &'static str {
    match rejection {
        Rejection::BadNumber => "a price or size is not a decimal number, or out of range",
        Rejection::BadSign => "a price or size is below zero, or a trade's size is zero",
        Rejection::BadTime => "a time lies outside 1990-2200",
        Rejection::OtherUnit => "a time is in another unit than the venue's",
        Rejection::Dropped => "a quote waited too long for its time",
    }
}

/// Counts a line of a capture, and complains if it is broken.
pub(super) fn count(kind: FrameKind, line: u64, out: &mut Decoded) {
    out.frames.count(&kind);
    if let FrameKind::Broken(error) = kind {
        out.complain(line, error);
    }
}

/// A line that cannot be read.
pub(super) fn broken(why: &str, text: &[u8]) -> FrameKind {
    FrameKind::Broken(FrameError::new(why, text))
}

/// Why a line is too long to be read, if it is.
pub(super) fn too_long(text: &[u8]) -> Option<FrameKind> {
    (text.len() > MAX_FRAME_BYTES).then(|| broken("the line is longer than 16 MiB", text))
}

/// `--venue`, which must be one of `venues`.
pub(super) fn told(venues: Venues, head: &Head<'_>) -> Result<Option<&'static dyn Venue>, FormatError> {
    let Some(id) = head.venue else { return Ok(None) };
    let known = || venues.iter().map(|venue| venue.id()).collect::<Vec<_>>().join(" ");
    let wrong = || FormatError::Needs(format!("no venue {id:?}; give --venue with one of {}", known()));
    venues.iter().copied().find(|venue| venue.id() == id).ok_or_else(wrong).map(Some)
}

/// The venue that one of `payloads` plainly is of.
pub(super) fn recognised<'p>(
    venues: Venues,
    mut payloads: impl Iterator<Item = &'p [u8]>,
) -> Option<&'static dyn Venue> {
    payloads.find_map(|payload| venues.iter().copied().find(|venue| venue.recognises(payload)))
}

/// The error for a capture whose venue nothing tells.
pub(super) fn venue_unsaid(head: &Head<'_>) -> FormatError {
    FormatError::Needs(format!("{} does not tell which venue it is of; give --venue", name::file(head)))
}
