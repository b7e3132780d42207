//! Places in a connection's frames where ticks may be missing though no id shows it, or may mean something else.
//!
//! A session says what it noticed; where that was among the ticks is known only to whoever hands it frames, one at a
//! time. Live connections and recordings both do it through here, so that they agree to the tick.

use crate::fields::Fields;
use crate::frame::{Frame, FrameCounts, FrameKind};
use crate::live::{Channel, Notice};
use crate::symbol::{SymbolId, SymbolTable};
use crate::tick::{Event, Rejection, Tick};
use crate::time::Nanos;
use crate::venue::{Output, Session, Venue};

/// Whose ticks may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Those of one symbol.
    Symbol(SymbolId),
    /// Those of every symbol with a number below this one: all that the connection had named so far.
    Below(u32),
    /// Those of the symbols with numbers from the first to below the second.
    Between(u32, u32),
}

/// What shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// The venue's own counting has a gap, or began again.
    Counter,
    /// A frame could not be read.
    Broken,
    /// The connection ended, and another one began.
    Connection,
    /// It is the first that is heard of them.
    New,
    /// Nothing is missing: a frame has a field that is not known and was not there when one was looked at before.
    Fields,
}

/// One such place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// The number of `ticks` that were out before it.
    pub at: usize,
    /// The number of `offsets` that were out before it: among those at the same tick, they come before it and the others
    /// behind it.
    pub offsets: usize,
    /// Whose ticks.
    pub whose: Whose,
    /// Which of them; `None` for all.
    pub channel: Option<Channel>,
    /// What shows it.
    pub sign: Sign,
    /// The receive time of the frame before, if there was one: what is missing came after it.
    pub after: Option<Nanos>,
}

/// Hands frames to a session, counts them, and notes where it says that something is missing.
#[derive(Debug)]
pub struct Attention {
    last: Option<Nanos>,
    fields: Fields,
}

impl Attention {
    /// For one connection to `venue`.
    #[must_use]
    pub fn new(venue: &dyn Venue) -> Attention {
        Attention { last: None, fields: Fields::new(venue.fields()) }
    }

    /// The receive time of the last frame.
    #[must_use]
    pub fn last(&self) -> Option<Nanos> {
        self.last
    }

    /// [`Session::on_frame`], with the outages that it shows put into `out`, and what it was into `counts`.
    pub fn on_frame(
        &mut self,
        session: &mut dyn Session,
        frame: Frame<'_>,
        symbols: &mut SymbolTable,
        out: &mut Output,
        counts: &mut FrameCounts,
    ) -> FrameKind {
        let (at, gaps, notices) = (out.ticks.len(), out.gaps.len(), out.notices.len());
        let before = known(symbols);
        let below = Whose::Below(before);
        let kind = session.on_frame(frame, symbols, out);
        counts.count(&kind);
        drop_beyond(symbols, &mut out.ticks[at..]);
        let after = self.last;
        let mut found = Vec::new();
        let now = known(symbols);
        if now > before {
            found.push((Whose::Between(before, now), Sign::New));
        }
        if matches!(kind, FrameKind::Broken(_)) {
            found.push((below, Sign::Broken));
        }
        found.extend(out.gaps[gaps..].iter().map(|gap| (Whose::Symbol(gap.symbol), Sign::Counter)));
        found.extend(out.notices[notices..].iter().filter_map(|notice| match notice {
            Notice::Skipped { .. } | Notice::Restarted(None) => Some((below, Sign::Counter)),
            Notice::Restarted(Some(symbol)) => Some((Whose::Symbol(*symbol), Sign::Counter)),
            _ => None,
        }));
        // A frame's own offset is what it says of the frames before it, too.
        let offsets = out.offsets.len();
        let outage = |(whose, sign)| Outage { at, offsets, whose, channel: None, sign, after };
        out.outages.extend(found.into_iter().map(outage));
        if kind == FrameKind::Ticks {
            self.look(session, frame, at, symbols, out, counts);
        }
        self.last = frame.received_at.or(self.last);
        kind
    }
}

/// How many symbols there are.
fn known(symbols: &SymbolTable) -> u32 {
    u32::try_from(symbols.symbols().len()).unwrap_or(u32::MAX)
}

/// The channel of a frame with these ticks: the last is its own, where a quote that had waited came out with it. A frame
/// without any is a quote that waits.
#[inline]
fn channel_of(ticks: &[Tick]) -> Channel {
    match ticks.last() {
        Some(Tick { event: Event::Trade(_), .. }) => Channel::Trades,
        _ => Channel::Quotes,
    }
}

/// Drops the ticks of symbols for which the table has no room.
#[inline]
pub fn drop_beyond(symbols: &SymbolTable, ticks: &mut [Tick]) {
    let Some(beyond) = symbols.beyond() else { return };
    for tick in ticks.iter_mut().filter(|tick| tick.symbol == beyond) {
        tick.event = Event::Rejected(Rejection::Dropped);
    }
}

impl Attention {
    /// Looks at the fields of a frame with the ticks from `at` on, if it is one to look at. A name that is new may have
    /// been in all frames since the last look, up to this one with its ticks.
    #[inline]
    fn look(
        &mut self,
        session: &mut dyn Session,
        frame: Frame<'_>,
        at: usize,
        symbols: &SymbolTable,
        out: &mut Output,
        counts: &mut FrameCounts,
    ) {
        let channel = channel_of(&out.ticks[at..]);
        if !self.fields.is_due(channel, frame.received_at) {
            return;
        }
        let after = self.fields.looked(channel);
        if self.fields.look(channel, session.text(frame.payload), frame.received_at, counts) {
            let whose = Whose::Below(known(symbols));
            let (at, offsets, channel) = (out.ticks.len(), out.offsets.len(), Some(channel));
            out.outages.push(Outage { at, offsets, whose, channel, sign: Sign::Fields, after });
        }
    }

    /// The connection has ended and the next frame is another one's: what came between is missing, of all symbols of
    /// `symbols`.
    pub fn reopen(&mut self, symbols: &SymbolTable, out: &mut Output) {
        let (at, whose, after) = (out.ticks.len(), Whose::Below(known(symbols)), self.last);
        let offsets = out.offsets.len();
        out.outages.push(Outage { at, offsets, whose, channel: None, sign: Sign::Connection, after });
        self.fields.begin();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames are what they say: `skip`, `restart`, `broken`, or the name of a symbol that gets a number.
    struct Saying;

    impl Session for Saying {
        fn on_frame(&mut self, frame: Frame<'_>, symbols: &mut SymbolTable, out: &mut Output) -> FrameKind {
            match frame.payload {
                b"skip" => out.notices.push(Notice::Skipped { first: 1, last: 2 }),
                b"restart" => out.notices.push(Notice::Restarted(Some(symbols.intern(b"A")))),
                b"broken" => return FrameKind::Broken(crate::frame::FrameError::new("made so", b"")),
                name => {
                    symbols.intern(name);
                }
            }
            FrameKind::Control
        }

        fn finish(&mut self, _: &mut Output) {}
    }

    #[test]
    fn what_is_missing_lies_behind_the_frame_before_and_concerns_whom_was_named_before() {
        let (mut attention, mut session) = (Attention::new(crate::venues::VENUES[0]), Saying);
        let (mut symbols, mut out) = (SymbolTable::new("made"), Output::default());
        let mut counts = FrameCounts::default();
        for (time, payload) in [(1, "skip"), (2, "A"), (3, "broken"), (4, "B"), (5, "skip"), (6, "restart")] {
            let frame = Frame { received_at: Some(time), payload: payload.as_bytes() };
            attention.on_frame(&mut session, frame, &mut symbols, &mut out, &mut counts);
        }
        let outage = |whose, sign, after| Outage { at: 0, offsets: 0, whose, channel: None, sign, after };
        let expected = [
            outage(Whose::Below(0), Sign::Counter, None),
            outage(Whose::Between(0, 1), Sign::New, Some(1)),
            outage(Whose::Below(1), Sign::Broken, Some(2)),
            outage(Whose::Between(1, 2), Sign::New, Some(3)),
            outage(Whose::Below(2), Sign::Counter, Some(4)),
            outage(Whose::Symbol(SymbolId(0)), Sign::Counter, Some(5)),
        ];
        assert_eq!(out.outages, expected);
        assert_eq!((attention.last(), counts.frames, counts.broken), (Some(6), 6, 1));
    }
}
