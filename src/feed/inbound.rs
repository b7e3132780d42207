//! Frames that came in together: decoded by the connection's session, gathered for one delivery.

use bytes::Bytes;
use feeds::frame::{Frame, FrameCounts, FrameKind};
use feeds::outage::Attention;
use feeds::symbol::{Symbol, SymbolTable};
use feeds::time::Nanos;
use feeds::venue::{Output, Session, Venue};

use super::delivery::{ConnectionId, Decoded, RawFrame};
use crate::clock::{self, Stamp};
use crate::config::limits::COMPLAINTS_SHOWN;

/// Most frames of one delivery: what comes in within a millisecond at the busiest. Their ticks are some 30 KiB, which
/// stays in the cache on its way; lists of four times as many made the allocator ask the system for each.
const FRAMES_AT_ONCE: usize = 256;
/// Bytes of frames after which a delivery goes out; the message limit bounds what the last frame adds.
const BYTES_AT_ONCE: usize = 1 << 20;

/// The decoding side of one connection.
pub(super) struct Inbound {
    pub(super) session: Box<dyn Session>,
    attention: Attention,
    symbols: SymbolTable,
    connection: ConnectionId,
    wall: fn() -> Nanos,
    /// Symbols that were named in a delivery.
    named: usize,
    broken_shown: usize,
    /// How many bytes had come in when the clocks were last read, and what they said.
    came: Option<(u64, Nanos, Stamp)>,
    frames: Vec<RawFrame>,
    bytes: usize,
    output: Output,
    counts: FrameCounts,
}

impl Inbound {
    pub(super) fn new(venue: &dyn Venue, connection: ConnectionId, wall: fn() -> Nanos) -> Inbound {
        Inbound {
            session: venue.open(),
            attention: Attention::new(venue),
            symbols: SymbolTable::new(venue.id()),
            connection,
            wall,
            named: 0,
            broken_shown: 0,
            came: None,
            frames: Vec::new(),
            bytes: 0,
            output: Output::default(),
            counts: FrameCounts::default(),
        }
    }

    /// Decodes one frame. `bytes` is how many have come in on the connection: frames that came in with one read came at
    /// one moment.
    pub(super) fn take(&mut self, payload: Bytes, bytes: u64) {
        let (received_at, entered) = match self.came {
            Some((known, received_at, entered)) if known == bytes => (received_at, entered),
            _ => ((self.wall)(), clock::stamp()),
        };
        self.came = Some((bytes, received_at, entered));
        let before = self.output.ticks.len();
        let frame = Frame { received_at: Some(received_at), payload: &payload };
        let Inbound { session, attention, symbols, output, counts, .. } = self;
        let kind = attention.on_frame(&mut **session, frame, symbols, output, counts);
        if let FrameKind::Broken(error) = &kind
            && self.broken_shown < COMPLAINTS_SHOWN
        {
            self.broken_shown += 1;
            tracing::warn!(venue = self.symbols.venue(), %error, "a frame could not be read");
        }
        self.bytes += payload.len();
        let ticks = self.output.ticks.len() - before;
        self.frames.push(RawFrame { received_at, entered, payload, ticks });
    }

    /// No more should be gathered.
    pub(super) fn is_full(&self) -> bool {
        self.frames.len() >= FRAMES_AT_ONCE || self.bytes >= BYTES_AT_ONCE
    }

    /// What was gathered, or nothing. Messages to send stay out of it: the caller has taken them.
    pub(super) fn gathered(&mut self) -> Option<Decoded> {
        if self.frames.is_empty() {
            return None;
        }
        self.bytes = 0;
        let frames = self.frames.len();
        let next = Output { ticks: Vec::with_capacity(self.output.ticks.len()), ..Output::default() };
        let new_symbols = self.symbols.symbols()[self.named..].to_vec();
        self.named = self.symbols.symbols().len();
        Some(Decoded {
            connection: self.connection,
            // The next delivery is likely to be as large.
            frames: std::mem::replace(&mut self.frames, Vec::with_capacity(frames)),
            output: std::mem::replace(&mut self.output, next),
            counts: std::mem::take(&mut self.counts),
            new_symbols,
            decoded: clock::stamp(),
        })
    }

    /// The symbols met so far.
    pub(super) fn symbols(&self) -> &[Symbol] {
        self.symbols.symbols()
    }
}
