//! Stretches of time in which a symbol's ticks may be missing though no id shows it: its connection ended, the venue's
//! counter jumped, a frame or a tick could not be read, a clock was set, or its stream was silent for too long. And those in
//! which they may mean something else: a field appeared in the frames that is not known.
//!
//! A stretch begins where it was noticed and ends with the next tick that comes in. Trades whose ids count up say
//! themselves whether any is missing: then that is what holds, and the stretch is taken back.

use feeds::live::Channel;
use feeds::outage::Sign;
use feeds::tick::Rejection;
use feeds::time::{Nanos, SECOND};

use crate::window::Flags;

/// How much earlier than the last frame what is missing may have happened: messages of one connection overtake each
/// other by less than this in time.
pub const SLACK: Nanos = SECOND;
/// Stretches that are over and still mark windows: when there are more, the two oldest of a kind become one.
const PAST: usize = 16;

/// Why ticks may be missing. The number is what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Cause {
    /// The run was not there.
    Start = 0,
    /// No connection carried the stream.
    Connection = 1,
    /// The venue's own counting has a gap, or began again.
    Counter = 2,
    /// A frame could not be read.
    Broken = 3,
    /// The stream brought nothing for too long.
    Silence = 4,
    /// Nothing is missing any more: what was came in afterwards.
    Backfill = 5,
    /// The venue's clock or ours leapt, or a tick came with a time that cannot be.
    Clock = 6,
    /// A tick came with a time in another unit.
    Units = 7,
    /// A tick came with a number that cannot be.
    Value = 8,
    /// Nothing is missing, but a field appeared in the frames that is not known.
    Fields = 9,
    /// The stream is not wanted any more: what was missing of it ends here, and nothing begins.
    Unwanted = 10,
}

impl Cause {
    /// All, by their number.
    pub const ALL: [Cause; 11] = [
        Cause::Start,
        Cause::Connection,
        Cause::Counter,
        Cause::Broken,
        Cause::Silence,
        Cause::Backfill,
        Cause::Clock,
        Cause::Units,
        Cause::Value,
        Cause::Fields,
        Cause::Unwanted,
    ];

    /// What a connection's frames show.
    #[must_use]
    pub fn of(sign: Sign) -> Cause {
        match sign {
            Sign::Counter => Cause::Counter,
            Sign::Broken => Cause::Broken,
            Sign::Connection => Cause::Connection,
            Sign::New => Cause::Start,
            Sign::Fields => Cause::Fields,
        }
    }

    /// What a tick shows that was rejected; `None` if it waited for too long, which says nothing of the venue.
    #[must_use]
    pub fn of_rejected(why: Rejection) -> Option<Cause> {
        match why {
            Rejection::BadTime => Some(Cause::Clock),
            Rejection::OtherUnit => Some(Cause::Units),
            Rejection::BadNumber | Rejection::BadSign => Some(Cause::Value),
            Rejection::Dropped => None,
        }
    }

    /// The name in outputs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Cause::Start => "start",
            Cause::Connection => "connection",
            Cause::Counter => "counter",
            Cause::Broken => "broken",
            Cause::Silence => "silence",
            Cause::Backfill => "backfill",
            Cause::Clock => "clock",
            Cause::Units => "units",
            Cause::Value => "value",
            Cause::Fields => "fields",
            Cause::Unwanted => "unwanted",
        }
    }

    /// How windows are marked.
    #[must_use]
    pub fn flag(self) -> Flags {
        match self {
            Cause::Silence => Flags::STALE,
            Cause::Backfill => Flags::BACKFILLED,
            Cause::Fields => Flags::UNKNOWN_FIELDS,
            _ => Flags::GAP,
        }
    }

    /// True if ticks may be missing.
    #[must_use]
    pub fn is_loss(self) -> bool {
        !matches!(self, Cause::Backfill | Cause::Fields | Cause::Unwanted)
    }
}

/// A set of channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Channels(u8);

impl Channels {
    /// Both.
    pub const ALL: Channels = Channels(3);
    /// None.
    pub const NONE: Channels = Channels(0);

    /// This one alone.
    #[must_use]
    pub const fn of(channel: Channel) -> Channels {
        match channel {
            Channel::Trades => Channels(1),
            Channel::Quotes => Channels(2),
        }
    }

    /// From what [`Channels::bits`] gave; what has no meaning is left out.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Channels {
        Channels(bits & 3)
    }

    /// As stored.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// These and those.
    #[must_use]
    pub const fn with(self, other: Channels) -> Channels {
        Channels(self.0 | other.0)
    }

    /// These without those.
    #[must_use]
    pub const fn without(self, other: Channels) -> Channels {
        Channels(self.0 & !other.0)
    }

    /// Those that are among these and among those.
    #[must_use]
    pub const fn both(self, other: Channels) -> Channels {
        Channels(self.0 & other.0)
    }

    /// True if `channel` is among them.
    #[must_use]
    pub const fn has(self, channel: Channel) -> bool {
        self.0 & Channels::of(channel).0 != 0
    }

    /// True if there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// The entry of the tape: from here on ticks of these channels may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// Nothing is missing before this time (of the venue); [`Nanos::MIN`] if only the symbol itself knows.
    pub since: Nanos,
    /// Which channels.
    pub channels: Channels,
    /// Why.
    pub cause: Cause,
}

/// A stretch of one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Which channel.
    pub channel: Channel,
    /// Why.
    pub cause: Cause,
    /// Where it begins.
    pub from: Nanos,
    /// Where it ends; [`Nanos::MAX`] if it has not.
    pub to: Nanos,
}

impl Stretch {
    fn is_like(&self, other: &Stretch) -> bool {
        (self.channel, self.cause.flag()) == (other.channel, other.cause.flag())
    }

    fn touches(&self, start: Nanos, end: Nanos) -> bool {
        self.from < end && self.to >= start
    }
}

/// What is known to be, or to have been, out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outages {
    /// Not over. One for each channel and flag.
    pub(crate) open: Vec<Stretch>,
    /// Over. At most [`PAST`].
    pub(crate) past: Vec<Stretch>,
}

impl Outages {
    /// True if nothing of the kind ever happened, which is the common case.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.past.is_empty()
    }

    /// True if a stretch of `channel` is not over.
    #[inline]
    #[must_use]
    pub fn is_open(&self, channel: Channel) -> bool {
        self.open.iter().any(|stretch| stretch.channel == channel)
    }

    /// A stretch of `channel` begins; `None` if it lies in one that is there.
    pub fn begin(&mut self, channel: Channel, cause: Cause, from: Nanos) -> Option<Stretch> {
        let new = Stretch { channel, cause, from, to: Nanos::MAX };
        if self.open.iter().any(|open| open.is_like(&new) && open.from <= from) {
            return None;
        }
        self.open.push(new);
        Some(new)
    }

    /// A tick of `channel` came in at `ts`. If it proves that nothing is missing that its ids do not show, what was
    /// open is forgotten; otherwise it ends there. `ended` hears of each, and whether it is forgotten.
    pub fn resume(
        &mut self,
        channel: Channel,
        ts: Nanos,
        proves: bool,
        mut ended: impl FnMut(Stretch, bool),
    ) {
        let mut over = Vec::new();
        self.open.retain(|stretch| {
            let is_over = stretch.channel == channel;
            if is_over {
                over.push(Stretch { to: ts.max(stretch.from), ..*stretch });
            }
            !is_over
        });
        for stretch in over {
            let is_forgotten = proves && stretch.cause.is_loss();
            ended(stretch, is_forgotten);
            if !is_forgotten {
                self.past.push(stretch);
                self.merge_past();
            }
        }
    }

    /// A trade of `ts` was missing, and came in afterwards.
    pub fn backfilled(&mut self, ts: Nanos) {
        let (channel, cause) = (Channel::Trades, Cause::Backfill);
        let known =
            self.past.iter_mut().find(|past| past.cause == cause && past.touches(ts - SLACK, ts + SLACK));
        match known {
            Some(stretch) => (stretch.from, stretch.to) = (stretch.from.min(ts), stretch.to.max(ts)),
            None => {
                self.past.push(Stretch { channel, cause, from: ts, to: ts });
                self.merge_past();
            }
        }
    }

    /// What a window over `[start, end)` is to be marked with, if it reads these channels.
    #[must_use]
    pub fn flags(&self, channels: Channels, start: Nanos, end: Nanos) -> Flags {
        let all = self.open.iter().chain(&self.past);
        all.filter(|stretch| channels.has(stretch.channel) && stretch.touches(start, end))
            .fold(Flags::NONE, |flags, stretch| flags.with(stretch.cause.flag()))
    }

    fn merge_past(&mut self) {
        if self.past.len() <= PAST {
            return;
        }
        let pairs =
            |at: usize| (at + 1..self.past.len()).find(|&other| self.past[at].is_like(&self.past[other]));
        // With more of them than kinds, two are of a kind.
        if let Some((one, other)) = (0..self.past.len()).find_map(|at| pairs(at).map(|other| (at, other))) {
            let oldest = self.past.remove(one);
            let next = &mut self.past[other - 1];
            (next.from, next.to) = (next.from.min(oldest.from), next.to.max(oldest.to));
        }
    }
}
