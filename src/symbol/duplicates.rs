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
#[derive(Clone, Debug, PartialEq)]
pub struct Contiguous {
    pub(crate) range: Option<Range>,
    /// Ordered by id, apart from each other, all within the range. At most [`OPEN_HOLES`].
    pub(crate) holes: Vec<Hole>,
    /// Holes that nothing can fill any more, in the order of being given up. They still mark windows.
    pub(crate) lost: Vec<Hole>,
    /// The least watermark at which a hole is to be reported, less one. Derived.
    due: Nanos,
}

/// Lost holes that are kept apart: when there are more, the two given up first become one stretch of time.
const LOST_HOLES: usize = 16;

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
    /// Not seen before, and ids between it and the others are missing.
    Opens,
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
            DuplicateKey::Contiguous => {
                Seen::Contiguous(Box::new(Contiguous::new(None, Vec::new(), Vec::new())))
            }
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

    /// Notes that a trade that was missing has come too late for its windows: they are as they were.
    pub fn lose(&mut self, verdict: Verdict) {
        if let (Seen::Contiguous(ids), Verdict::Fills(hole)) = (self, verdict) {
            // Reported already, or about to be among the late ticks: it only keeps marking windows.
            ids.lost.push(Hole { declared: true, ..hole });
            ids.merge_lost();
        }
    }

    /// Notes a trade that is none of the market's: if it is the next by id, none is missing.
    pub fn pass_over(&mut self, ts: Nanos, trade: &Trade) {
        if let (Seen::Contiguous(ids), Some(id)) = (self, trade.id())
            && ids.range.is_some_and(|range| range.highest.checked_add(1) == Some(id))
        {
            ids.see(id, ts);
        }
    }

    /// True if the trade's id is beyond all that were seen, so that the ids say what is missing before it.
    #[must_use]
    #[inline]
    pub fn is_beyond(&self, trade: &Trade) -> bool {
        match (self, trade.id()) {
            (Seen::Contiguous(ids), Some(id)) => ids.range.is_some_and(|range| id > range.highest),
            _ => false,
        }
    }

    /// True if the trade is known to be missing and could still fill its place.
    #[must_use]
    pub fn misses(&self, trade: &Trade) -> bool {
        match (self, trade.id()) {
            (Seen::Contiguous(ids), Some(id)) => ids.hole_with(id).is_ok(),
            _ => false,
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

    /// The holes that may still be filled, if the ids are contiguous.
    #[must_use]
    pub fn holes(&self) -> &[Hole] {
        match self {
            Seen::Contiguous(ids) => &ids.holes,
            _ => &[],
        }
    }

    /// True if trades may be missing in `[start, end)`.
    #[must_use]
    pub fn is_missing_in(&self, start: Nanos, end: Nanos) -> bool {
        match self {
            Seen::Contiguous(ids) => ids.holes.iter().chain(&ids.lost).any(|hole| hole.touches(start, end)),
            _ => false,
        }
    }

    /// Hands the holes that are not yet reported, and that ticks at or above `watermark` cannot fill, to `report`.
    #[inline]
    pub fn declare(&mut self, watermark: Nanos, report: impl FnMut(Hole)) {
        if let Seen::Contiguous(ids) = self
            && ids.due < watermark
        {
            ids.declare(watermark, report);
        }
    }
}

impl Contiguous {
    /// What was seen so far.
    pub(crate) fn new(range: Option<Range>, holes: Vec<Hole>, lost: Vec<Hole>) -> Contiguous {
        let mut ids = Contiguous { range, holes, lost, due: Nanos::MAX };
        ids.set_due();
        ids
    }

    fn set_due(&mut self) {
        let lost = self.lost.iter().filter(|hole| !hole.declared).map(|_| Nanos::MIN);
        let open = self.holes.iter().filter(|hole| !hole.declared).map(|hole| hole.before);
        self.due = lost.chain(open).min().unwrap_or(Nanos::MAX);
    }

    #[inline]
    fn see(&mut self, id: u64, ts: Nanos) -> Verdict {
        let Some(range) = &mut self.range else {
            self.range = Some(Range::at(id, ts));
            return Verdict::New;
        };
        if range.highest.checked_add(1) == Some(id) {
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
        let mut verdict = Verdict::New;
        if id > range.highest {
            self.open(Hole::between(range.highest + 1, id - 1, range.highest_ts, ts));
            (range.highest, range.highest_ts) = (id, ts);
            verdict = Verdict::Opens;
        } else if let Ok(index) = self.hole_with(id) {
            self.range = Some(range);
            let hole = self.fill(index, id);
            self.set_due();
            return Verdict::Fills(hole);
        } else if ts > latest {
            // Later than all that was seen, and yet with an old id: the venue has begun to count anew.
            self.lost.append(&mut self.holes);
            range = Range::at(id, ts);
        } else if id < range.lowest {
            // The stream began out of order.
            if id + 1 < range.lowest {
                self.open(Hole::between(id + 1, range.lowest - 1, ts, range.lowest_ts));
                verdict = Verdict::Opens;
            }
            (range.lowest, range.lowest_ts) = (id, ts);
        } else {
            return Verdict::Repeat;
        }
        self.range = Some(range);
        self.set_due();
        verdict
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
            self.lost.push(self.holes.remove(0));
        }
        let index = self.holes.partition_point(|other| other.last < hole.first);
        self.holes.insert(index, hole);
    }

    fn declare(&mut self, watermark: Nanos, mut report: impl FnMut(Hole)) {
        let reached = self.holes.iter_mut().filter(|hole| hole.before < watermark);
        for hole in self.lost.iter_mut().chain(reached).filter(|hole| !hole.declared) {
            hole.declared = true;
            report(*hole);
        }
        self.merge_lost();
        self.set_due();
    }

    fn merge_lost(&mut self) {
        while self.lost.len() > LOST_HOLES {
            let oldest = self.lost.remove(0);
            let next = &mut self.lost[0];
            (next.after, next.before) = (next.after.min(oldest.after), next.before.max(oldest.before));
        }
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
