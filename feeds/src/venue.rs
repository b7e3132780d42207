//! What an exchange is to the engine: constants, and a way to open a decoding session.
//!
//! A session gets bytes and a receive time and returns what it wants done. It does nothing itself.

use crate::frame::{Frame, FrameKind};
use crate::live::{Live, Notice, PastTrades, Stream, Ticket};
use crate::outage::Outage;
use crate::symbol::{SymbolId, SymbolTable};
use crate::tick::Tick;
use crate::time::Nanos;

/// How a repeated tick of a venue is known (kept per symbol, in the symbol's own state).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DuplicateKey {
    /// Ids count up by one: a repeat is an id seen, and a jump is a gap.
    Contiguous,
    /// Ids are unique, not contiguous: a repeat is one of the last ids.
    Unique,
    /// One id for several fills: a repeat has the id, price, size, side and time of one of the last rows.
    Row,
    /// Nothing tells.
    None,
}

/// A host and path that a venue answers to.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    /// The host's name.
    pub host: &'static str,
    /// What the path begins with; empty for any.
    pub path: &'static str,
}

/// An exchange's market: one namespace of symbols.
pub trait Venue: Sync {
    /// The id in symbols (`binance`), lower case.
    fn id(&self) -> &'static str;
    /// Its name for people.
    fn name(&self) -> &'static str;
    /// Hosts and paths that it answers or answered to, the current one first.
    fn endpoints(&self) -> &'static [Endpoint];
    /// How repeated trades are known.
    fn trade_key(&self) -> DuplicateKey;
    /// How repeated quotes are known.
    fn quote_key(&self) -> DuplicateKey;
    /// The channels that are decoded, by the names used in configurations (`trades`, `quotes`).
    fn channels(&self) -> &'static [&'static str];
    /// The names of the fields in its frames that give ticks, whatever their depth, with spaces between them: those that
    /// are read and those that are not, and what its documentation has beside what was seen. Any other is noticed.
    /// Empty where frames are arrays throughout.
    fn fields(&self) -> &'static str;
    /// One line: what shows that nothing is missing, and where nothing can.
    fn completeness(&self) -> &'static str;
    /// True if this frame is plainly this venue's; how captures that name no endpoint are told apart.
    fn recognises(&self, payload: &[u8]) -> bool;
    /// A fresh session for one connection.
    fn open(&self) -> Box<dyn Session>;
    /// The name that frames have for what a person wrote, where the venue takes several spellings of it. Streams are
    /// asked for, watched and reported by this one.
    fn native(&self, written: &str) -> String {
        written.to_owned()
    }
    /// How to reach it and what it allows; `None` for a protocol of the past that only files have.
    fn live(&self) -> Option<&'static Live>;
    /// Where to ask for the address of a connection, if that is not constant.
    fn ticket(&self) -> Option<&'static dyn Ticket> {
        None
    }
    /// Where to ask for trades of the past by id, if that can be.
    fn past_trades(&self) -> Option<&'static dyn PastTrades> {
        None
    }
}

/// The decoding state of one connection.
///
/// Ticks follow from the frames alone: what [`Session::greet`], [`Session::subscribe`], [`Session::unsubscribe`] and
/// [`Session::ping`] do to a session never shows in one, because a recording has frames and no calls. `now` is for
/// venues that want the time in a message.
pub trait Session: Send {
    /// The connection is open: puts what comes before any subscription into `out.sends`.
    fn greet(&mut self, now: Nanos, out: &mut Output) {
        let _ = (now, out);
    }
    /// Puts messages that subscribe to `streams` into `out.sends`.
    fn subscribe(&mut self, streams: &[Stream], now: Nanos, out: &mut Output) {
        let _ = (streams, now, out);
    }
    /// Puts messages that end the subscriptions of `streams` into `out.sends`.
    fn unsubscribe(&mut self, streams: &[Stream], now: Nanos, out: &mut Output) {
        let _ = (streams, now, out);
    }
    /// Puts the application's own sign of life into `out.sends`.
    fn ping(&mut self, now: Nanos, out: &mut Output) {
        let _ = (now, out);
    }
    /// Decodes one frame, appending what it means to `out`, and says what it was.
    fn on_frame(&mut self, frame: Frame<'_>, symbols: &mut SymbolTable, out: &mut Output) -> FrameKind;
    /// The text of `payload`, which is what was decoded last: what came of it where frames are compressed.
    fn text<'s>(&'s self, payload: &'s [u8]) -> &'s [u8] {
        payload
    }
    /// The end of the connection or capture: whatever still waits comes out, as rejected if need be.
    fn finish(&mut self, out: &mut Output);
}

/// What a session wants done, in order of each list.
#[derive(Debug, Default)]
pub struct Output {
    /// Decoded ticks.
    pub ticks: Vec<Tick>,
    /// Ranges that the venue itself shows to be missing.
    pub gaps: Vec<Gap>,
    /// Messages to send, such as the answer to a question for a sign of life.
    pub sends: Vec<String>,
    /// What is to be said beside ticks.
    pub notices: Vec<Notice>,
    /// Where ticks may be missing, as [`crate::outage::Attention`] noted.
    pub outages: Vec<Outage>,
    /// The newest estimate of `received_at − exchange time` at rest, whenever it changes, with the number of
    /// `ticks` that were out before it changed.
    pub offsets: Vec<(usize, Nanos)>,
}

/// A range of a symbol's stream that is known to be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Whose.
    pub symbol: SymbolId,
    /// The first id missing.
    pub first_id: u64,
    /// The last id missing.
    pub last_id: u64,
}
