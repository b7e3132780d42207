//! Which ticks were seen before, and which ids are missing: by the key that the venue declares.

use std::collections::VecDeque;

use feeds::tick::{Quote, Trade};
use feeds::time::Nanos;
use feeds::venue::DuplicateKey;

use crate::config::limits::{OPEN_HOLES, UNIQUE_RING};

/// Ids that were jumped over. The trades just before and after say where in time they are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// First id missing.
    pub first: u64,
    /// Last id missing.
    pub last: u64,
    /// Time of the trade before the jump.
    pub after: Nanos,
    /// Time of the trade behind the jump.
    pub before: Nanos,
    /// It has been reported: the watermark passed it while it was open.
    pub declared: bool,
}

impl Hole {
    fn between(first: u64, last: u64, one: Nanos, other: Nanos) -> Hole {
        Hole { first, last, after: one.min(other), before: one.max(other), declared: false }
    }

    /// True if something may be missing in `[start, end)`.
    #[must_use]
    pub fn touches(&self, start: Nanos, end: Nanos) -> bool {
        self.after < end && self.before >= start
    }
}

/// What is remembered to tell a repeat.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// See [`DuplicateKey::Contiguous`].
    Contiguous(Box<Contiguous>),
    /// See [`DuplicateKey::Unique`].
    Unique(Ring),
    /// See [`DuplicateKey::Row`].
    Row(VecDeque<(Nanos, Trade)>),
    /// See [`DuplicateKey::None`].
    Nothing,
}

/// Ids that count up by one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contiguous {
    pub(crate) range: Option<Range>,
    /// Ordered by id, apart from each other, all within the range. At most [`OPEN_HOLES`].
    pub(crate) holes: Vec<Hole>,
}

/// From the lowest to the highest id seen, holes included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) lowest: u64,
    pub(crate) highest: u64,
    /// Time of the lowest.
    pub(crate) lowest_ts: Nanos,
    /// Time of the highest.
    pub(crate) highest_ts: Nanos,
    /// The latest time of all.
    pub(crate) latest: Nanos,
}

/// The last [`UNIQUE_RING`] keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ring {
    pub(crate) keys: VecDeque<u64>,
    pub(crate) highest: u64,
}

/// What a tick turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not seen before.
    New,
    /// Not seen before, and it was missing: the hole as it was.
    Fills(Hole),
    /// Seen before.
    Repeat,
}

impl Seen {
    /// Nothing seen yet, of ticks with this kind of key.
    #[must_use]
    pub fn new(key: DuplicateKey) -> Seen {
        match key {
            DuplicateKey::Contiguous => Seen::Contiguous(Box::default()),
            DuplicateKey::Unique => Seen::Unique(Ring::default()),
            DuplicateKey::Row => Seen::Row(VecDeque::new()),
            DuplicateKey::None => Seen::Nothing,
        }
    }

    /// Notes a trade.
    #[inline]
    pub fn trade(&mut self, ts: Nanos, trade: &Trade) -> Verdict {
        match (self, trade.id()) {
            (Seen::Contiguous(ids), Some(id)) => ids.see(id, ts),
            (Seen::Unique(ids), Some(id)) => ids.see(id),
            (Seen::Row(rows), _) => see_row(rows, (ts, *trade)),
            _ => Verdict::New,
        }
    }

    /// Notes a quote.
    #[inline]
    pub fn quote(&mut self, quote: &Quote) -> Verdict {
        match (self, quote.id()) {
            (Seen::Unique(ids), Some(id)) => ids.see(id),
            _ => Verdict::New,
        }
    }

    /// The holes, if the ids are contiguous.
    #[must_use]
    pub fn holes(&self) -> &[Hole] {
        match self {
            Seen::Contiguous(ids) => &ids.holes,
            _ => &[],
        }
    }

    /// The holes, to mark them as reported.
    pub(crate) fn holes_mut(&mut self) -> &mut [Hole] {
        match self {
            Seen::Contiguous(ids) => &mut ids.holes,
            _ => &mut [],
        }
    }
}

impl Contiguous {
    #[inline]
    fn see(&mut self, id: u64, ts: Nanos) -> Verdict {
        let Some(range) = &mut self.range else {
            self.range = Some(Range::at(id, ts));
            return Verdict::New;
        };
        if id.wrapping_sub(range.highest) == 1 {
            range.highest = id;
            range.highest_ts = ts;
            range.latest = range.latest.max(ts);
            return Verdict::New;
        }
        let range = *range;
        self.see_elsewhere(range, id, ts)
    }

    fn see_elsewhere(&mut self, mut range: Range, id: u64, ts: Nanos) -> Verdict {
        let latest = range.latest;
        range.latest = latest.max(ts);
        if id > range.highest {
            self.open(Hole::between(range.highest + 1, id - 1, range.highest_ts, ts));
            (range.highest, range.highest_ts) = (id, ts);
        } else if let Ok(index) = self.hole_with(id) {
            self.range = Some(range);
            return Verdict::Fills(self.fill(index, id));
        } else if ts > latest {
            // Later than all that was seen, and yet with an old id: the venue has begun to count anew.
            self.holes.clear();
            range = Range::at(id, ts);
        } else if id < range.lowest {
            // The stream began out of order.
            if id + 1 < range.lowest {
                self.open(Hole::between(id + 1, range.lowest - 1, ts, range.lowest_ts));
            }
            (range.lowest, range.lowest_ts) = (id, ts);
        } else {
            return Verdict::Repeat;
        }
        self.range = Some(range);
        Verdict::New
    }

    fn hole_with(&self, id: u64) -> Result<usize, usize> {
        let index = self.holes.partition_point(|hole| hole.last < id);
        match self.holes.get(index) {
            Some(hole) if hole.first <= id => Ok(index),
            _ => Err(index),
        }
    }

    fn open(&mut self, hole: Hole) {
        if self.holes.len() >= OPEN_HOLES {
            // The oldest can no longer be told from a repeat: what fills it now counts as one.
            self.holes.remove(0);
        }
        let index = self.holes.partition_point(|other| other.last < hole.first);
        self.holes.insert(index, hole);
    }

    fn fill(&mut self, index: usize, id: u64) -> Hole {
        let hole = self.holes[index];
        let below = (hole.first < id).then(|| Hole { last: id - 1, ..hole });
        let above = (id < hole.last).then(|| Hole { first: id + 1, ..hole });
        self.holes.splice(index..=index, below.into_iter().chain(above));
        hole
    }
}

impl Range {
    fn at(id: u64, ts: Nanos) -> Range {
        Range { lowest: id, highest: id, lowest_ts: ts, highest_ts: ts, latest: ts }
    }
}

impl Ring {
    #[inline]
    fn see(&mut self, key: u64) -> Verdict {
        if key > self.highest || self.keys.is_empty() {
            self.highest = self.highest.max(key);
        } else {
            let (a, b) = self.keys.as_slices();
            if a.contains(&key) || b.contains(&key) {
                return Verdict::Repeat;
            }
        }
        if self.keys.len() == UNIQUE_RING {
            self.keys.pop_front();
        }
        self.keys.push_back(key);
        Verdict::New
    }
}

fn see_row(rows: &mut VecDeque<(Nanos, Trade)>, row: (Nanos, Trade)) -> Verdict {
    if rows.contains(&row) {
        return Verdict::Repeat;
    }
    if rows.len() == UNIQUE_RING {
        rows.pop_front();
    }
    rows.push_back(row);
    Verdict::New
}
