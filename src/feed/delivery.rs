//! What a connection hands on: frames as they came, with what they were decoded to.
//!
//! The payloads go to the recorder, the ticks to the sequencer, in one message and one order, so that a recording has
//! exactly what the tape was made of.

use bytes::Bytes;
use feeds::frame::FrameCounts;
use feeds::recording::{Alarm, Answer, Past, Wish};
use feeds::symbol::Symbol;
use feeds::time::Nanos;
use feeds::venue::{Output, Venue};

use tokio::sync::oneshot;

use crate::clock::Stamp;

/// Tells the connections of a process apart; never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u32);

/// One message from a connection to the sequencer.
pub enum Delivery {
    /// The connection is open; its frames follow.
    Opened {
        /// Which.
        connection: ConnectionId,
        /// Whose.
        venue: &'static dyn Venue,
        /// Where, without secrets.
        address: String,
        /// When.
        received_at: Nanos,
    },
    /// Frames.
    Frames(Box<Decoded>),
    /// The connection has ended; nothing of it follows.
    Closed {
        /// Which.
        connection: ConnectionId,
        /// Why.
        why: String,
        /// When.
        received_at: Nanos,
        /// What its session still had (quotes that waited).
        rest: Box<Output>,
        /// Its session had been given frames that were never delivered, or is gone: nothing says what it still had, and
        /// `rest` is empty.
        broken_off: bool,
    },
    /// Time has come so far; sent once a second, so that quiet symbols go on.
    Time {
        /// The wall clock.
        received_at: Nanos,
    },
    /// These rules are in force from now on.
    Rules {
        /// Their text.
        text: String,
        /// When they were given.
        received_at: Nanos,
        /// Who wants to know from which entry on they hold, or what is wrong with them.
        answer: Option<oneshot::Sender<Result<u64, String>>>,
    },
    /// The run begins to stop: what connections that end behind this would have brought is for the next run to miss.
    Stopping {
        /// When.
        received_at: Nanos,
    },
    /// Past trades that were asked for, to close a gap.
    Past {
        /// What was asked for, and the answer.
        past: Past,
        /// When it came.
        received_at: Nanos,
    },
    /// A stream is not wanted of a connection any more, or is again.
    Wish {
        /// Which.
        connection: ConnectionId,
        /// The stream, and whether it is wanted.
        wish: Wish,
        /// When.
        received_at: Nanos,
    },
    /// The venue has granted streams that a connection asked for, or refused them.
    Answer {
        /// Which.
        connection: ConnectionId,
        /// The streams, and whether they are granted.
        answer: Answer,
        /// When the frame came that says so.
        received_at: Nanos,
    },
    /// A subscription or connection has been silent for too long, or the like: for the tape and the log.
    Alarm {
        /// Which.
        connection: ConnectionId,
        /// Which of its streams, when that was last heard, and what, in one line.
        alarm: Alarm,
        /// When.
        received_at: Nanos,
    },
}

/// Frames of one connection, in order, that came in together.
pub struct Decoded {
    /// Which.
    pub connection: ConnectionId,
    /// The frames.
    pub frames: Vec<RawFrame>,
    /// What they were decoded to; ticks have the connection's own numbering of symbols.
    pub output: Output,
    /// The ledger of these frames.
    pub counts: FrameCounts,
    /// Symbols that appear here first, in the order of the connection's numbering.
    pub new_symbols: Vec<Symbol>,
    /// When the last frame was decoded.
    pub decoded: Stamp,
}

/// A frame as it came.
pub struct RawFrame {
    /// By the wall clock, as the session was told.
    pub received_at: Nanos,
    /// When its bytes came in.
    pub entered: Stamp,
    /// The bytes.
    pub payload: Bytes,
    /// Number of `output.ticks` behind it.
    pub ticks: usize,
}
