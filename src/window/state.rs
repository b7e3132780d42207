//! One symbol's windows: slices above the watermark, settled parts below it, and what was emitted of each window.
//!
//! Time goes through a slice like this. While its end is above the watermark it may change: ticks update it in
//! place, and every emitted window over it is amended. When the watermark passes its end it is merged into the
//! settled part of the shortest windows; when one of those is complete, it is final and is merged into the next
//! longer one, and so on along the chain. A window's content is therefore its own settled part, then those of the
//! shorter windows of its chain, then the slices: a few merges, however long it is.

use std::collections::VecDeque;

use feeds::tick::{Quote, Trade};
use feeds::time::Nanos;

use super::Flags;
use super::live::Changes;
use super::plan::Plan;
use super::slice::Slice;
use crate::stat::{CarriedQuote, Key, Pane};
use crate::symbol::outages::Channels;

/// A window's statistics as of one tape entry. Revision 0 is the first emission; each later one replaces it.
#[derive(Clone, Debug, PartialEq)]
pub struct Emission {
    /// Index of the window in the configuration.
    pub window: usize,
    /// Where it begins.
    pub start: Nanos,
    /// How many emissions there were before.
    pub revision: u32,
    /// What a reader must know.
    pub flags: Flags,
    /// The tape entry that caused it.
    pub number: u64,
    /// Up to where it is read: the window's end, or the frontier if that is before.
    pub until: Nanos,
    /// Its content, without the kinds of ticks that none of its statistics reads.
    pub pane: Pane,
    /// The quote in force when it began, if it reads quotes.
    pub carried: Option<CarriedQuote>,
}

/// Where a tick went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// Into its windows.
    InTime,
    /// Below the watermark: into no window of any size.
    Late,
}

/// What a step of the windows needs to know besides the tick.
pub struct Moment<'a> {
    /// The windows.
    pub plan: &'a Plan,
    /// The tape entry being applied.
    pub number: u64,
    /// Flags of the window over `[start, end)` that reads these channels, as things stand.
    pub flags: &'a dyn Fn(Channels, Nanos, Nanos) -> Flags,
}

/// The part of a level's current window that no longer changes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settled {
    pub(crate) start: Nanos,
    pub(crate) carried: Option<CarriedQuote>,
    pub(crate) pane: Pane,
}

/// A window with ticks that is not final.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Open {
    pub(crate) start: Nanos,
    pub(crate) emissions: u32,
    /// The frontier has reached its end, and it was emitted then.
    pub(crate) complete: bool,
    /// Ticks in it at the last emission; 0 if it says something else by now all the same.
    pub(crate) ticks: u64,
    pub(crate) flags: Flags,
    /// Up to where it was read at the last emission.
    pub(crate) until: Nanos,
}

/// What a window says: its content without the kinds of ticks that none of its statistics reads.
pub(super) struct Reading {
    pub(super) pane: Pane,
    pub(super) carried: Option<CarriedQuote>,
    pub(super) until: Nanos,
}

/// One level's share of the state.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct LevelState {
    pub(crate) settled: Option<Box<Settled>>,
    pub(crate) open: VecDeque<Open>,
}

/// All windows of one symbol.
#[derive(Clone, Debug, PartialEq)]
pub struct Windows {
    pub(crate) frontier: Nanos,
    pub(crate) slices: VecDeque<Slice>,
    pub(crate) levels: Vec<LevelState>,
    /// The last quote of all settled slices.
    pub(crate) carried: Option<CarriedQuote>,
    /// Everything that has settled, for the symbol's totals.
    pub(crate) total: Pane,
    /// The least frontier at which a window is emitted or becomes final. Derived.
    pub(crate) due: Nanos,
    pub(crate) changes: Changes,
}

impl Windows {
    /// No tick yet.
    #[must_use]
    pub fn new(plan: &Plan) -> Windows {
        Windows {
            frontier: Nanos::MIN,
            slices: VecDeque::new(),
            levels: vec![LevelState::default(); plan.levels().len()],
            carried: None,
            total: Pane::default(),
            due: Nanos::MAX,
            changes: Changes::default(),
        }
    }

    /// The highest time accepted; `Nanos::MIN` before the first.
    #[must_use]
    #[inline]
    pub fn frontier(&self) -> Nanos {
        self.frontier
    }

    /// The time below which a tick is late.
    #[must_use]
    #[inline]
    pub fn watermark(&self, plan: &Plan) -> Nanos {
        self.frontier.saturating_sub(plan.lateness)
    }

    /// The end of the newest slice, or the frontier: nothing accepted lies beyond.
    #[must_use]
    pub fn newest(&self) -> Nanos {
        self.slices.back().map_or(self.frontier, |slice| self.frontier.max(slice.end - 1))
    }

    /// Every tick accepted so far, as one pane.
    #[must_use]
    pub fn everything(&self) -> Pane {
        let mut pane = self.total.clone();
        for slice in &self.slices {
            pane.merge(&slice.pane);
        }
        pane
    }

    /// Takes a trade at `ts`.
    #[inline]
    pub fn add_trade(
        &mut self,
        moment: &Moment<'_>,
        ts: Nanos,
        trade: &Trade,
        out: &mut Vec<Emission>,
    ) -> Placed {
        let key = Key { ts, number: moment.number };
        if let Some(slice) = self.newest_slice(moment.plan, ts, true)
            && slice.pane.has_trades()
        {
            slice.pane.add_trade(key, trade);
            self.frontier = self.frontier.max(ts);
            self.changes.ticks += 1;
            return Placed::InTime;
        }
        if ts < self.watermark(moment.plan) {
            return Placed::Late;
        }
        self.advance(moment, ts, out);
        self.place(moment, key, true, out, |slice| slice.pane.add_trade(key, trade));
        Placed::InTime
    }

    /// The common case: the newest slice, if a tick at `ts` belongs there and nothing comes due through it. (While
    /// the slice's end is above the frontier, no window over it has been emitted.)
    #[inline]
    fn newest_slice(&mut self, plan: &Plan, ts: Nanos, timed: bool) -> Option<&mut Slice> {
        let due = timed && ts > self.frontier && ts >= self.due;
        if due || ts < self.watermark(plan) {
            return None;
        }
        let frontier = self.frontier;
        self.slices.back_mut().filter(|slice| ts >= slice.start && ts < slice.end && slice.end > frontier)
    }

    /// Takes a quote at `ts`. One that is not `timed` leaves the frontier where it is.
    pub fn add_quote(
        &mut self,
        moment: &Moment<'_>,
        ts: Nanos,
        timed: bool,
        quote: &Quote,
        out: &mut Vec<Emission>,
    ) -> Placed {
        let key = Key { ts, number: moment.number };
        let watermark = self.watermark(moment.plan);
        if let Some(slice) = self.newest_slice(moment.plan, ts, timed)
            && slice.pane.has_quotes()
        {
            slice.insert_quote(key, quote, watermark);
            if timed {
                self.frontier = self.frontier.max(ts);
            }
            self.changes.ticks += 1;
            return Placed::InTime;
        }
        if ts < watermark {
            return Placed::Late;
        }
        if timed {
            self.advance(moment, ts, out);
        }
        if moment.plan.reads_quotes() {
            self.place(moment, key, false, out, |slice| slice.insert_quote(key, quote, watermark));
        } else {
            self.changes.ticks += 1;
        }
        Placed::InTime
    }

    /// Moves the frontier to `ts` if it is ahead, emitting the windows whose end it reaches.
    pub fn advance(&mut self, moment: &Moment<'_>, ts: Nanos, out: &mut Vec<Emission>) {
        if ts <= self.frontier {
            return;
        }
        self.frontier = ts;
        self.changes.others += 1;
        if ts < self.due {
            return;
        }
        for level in 0..self.levels.len() {
            let size = moment.plan.levels()[level].size;
            for index in 0..self.levels[level].open.len() {
                let open = self.levels[level].open[index];
                if !open.complete && open.start + size <= ts {
                    self.levels[level].open[index].complete = true;
                    self.emit(moment, level, index, Flags::NONE, out);
                }
            }
        }
        self.settle(moment.plan);
        self.due = self.next_due(moment.plan);
    }

    /// Emits every window that its end has not come for, as it stands, flagged `partial` and with `extra`. They stay
    /// open: what follows amends them.
    pub fn close(&mut self, moment: &Moment<'_>, extra: Flags, out: &mut Vec<Emission>) {
        for level in 0..self.levels.len() {
            for index in 0..self.levels[level].open.len() {
                let open = self.levels[level].open[index];
                let extra = extra.with(if open.complete { Flags::NONE } else { Flags::PARTIAL });
                if extra == Flags::NONE {
                    continue;
                }
                let shape = &moment.plan.levels()[level];
                let flags = (moment.flags)(shape.reads(), open.start, open.start + shape.size).with(extra);
                let reading = self.read(moment.plan, level, open.start);
                // Where the reading ends matters to the last quote, which is in force until there.
                let same =
                    open.ticks == reading.pane.ticks() && !(shape.quotes && open.until != reading.until);
                if open.emissions == 0 || open.flags != flags || !same {
                    self.emit(moment, level, index, extra, out);
                }
            }
        }
    }

    /// Amends the complete windows whose flags have changed since they were emitted.
    pub fn reflag(&mut self, moment: &Moment<'_>, out: &mut Vec<Emission>) {
        for level in 0..self.levels.len() {
            let (size, reads) = (moment.plan.levels()[level].size, moment.plan.levels()[level].reads());
            for index in 0..self.levels[level].open.len() {
                let open = self.levels[level].open[index];
                if open.complete && (moment.flags)(reads, open.start, open.start + size) != open.flags {
                    self.emit(moment, level, index, Flags::NONE, out);
                }
            }
        }
    }

    /// Puts a tick at or above the watermark into its slice and amends what was emitted over it.
    fn place(
        &mut self,
        moment: &Moment<'_>,
        key: Key,
        trades: bool,
        out: &mut Vec<Emission>,
        update: impl FnOnce(&mut Slice),
    ) {
        self.changes.others += 1;
        let index = self.slice_at(moment.plan, key.ts);
        update(&mut self.slices[index]);
        for level in 0..self.levels.len() {
            let shape = &moment.plan.levels()[level];
            if !(if trades { shape.trades } else { shape.quotes }) {
                continue;
            }
            let start = shape.start_of(key.ts);
            let behind = start + shape.size <= self.frontier;
            let index = self.open_at(level, start);
            if behind {
                self.levels[level].open[index].complete = true;
                self.emit(moment, level, index, Flags::NONE, out);
            }
            if !trades {
                self.amend_carried(moment, level, key, out);
            }
        }
        self.due = self.next_due(moment.plan);
    }

    /// Amends the emitted windows behind `key` that the quote at `key` is now carried into: those before the next
    /// quote. One that is not over is emitted again when it is, or at the end.
    fn amend_carried(&mut self, moment: &Moment<'_>, level: usize, key: Key, out: &mut Vec<Emission>) {
        for index in 0..self.levels[level].open.len() {
            let open = self.levels[level].open[index];
            if open.start <= key.ts || self.carried_into(open.start).map(|carried| carried.key) != Some(key) {
                continue;
            }
            if open.complete {
                self.emit(moment, level, index, Flags::NONE, out);
            } else {
                self.levels[level].open[index].ticks = 0;
            }
        }
    }

    /// The last quote before `start`, which is above the watermark.
    pub(super) fn carried_into(&self, start: Nanos) -> Option<CarriedQuote> {
        let before = self.slices.iter().rev().filter(|slice| slice.start < start);
        before.filter_map(|slice| slice.pane.last_quote()).next().or(self.carried)
    }

    fn slice_at(&mut self, plan: &Plan, ts: Nanos) -> usize {
        let behind = self.slices.iter().rev().take_while(|slice| slice.start > ts).count();
        let index = self.slices.len() - behind;
        if index > 0 && ts < self.slices[index - 1].end {
            return index - 1;
        }
        let (start, end) = plan.slice_of(ts);
        self.slices.insert(index, Slice { start, end, ..Slice::default() });
        index
    }

    pub(super) fn open_at(&mut self, level: usize, start: Nanos) -> usize {
        let open = &mut self.levels[level].open;
        let index = open.len() - open.iter().rev().take_while(|open| open.start > start).count();
        if index > 0 && open[index - 1].start == start {
            return index - 1;
        }
        let new = Open { start, emissions: 0, complete: false, ticks: 0, flags: Flags::NONE, until: start };
        open.insert(index, new);
        index
    }

    pub(super) fn emit(
        &mut self,
        moment: &Moment<'_>,
        level: usize,
        index: usize,
        extra: Flags,
        out: &mut Vec<Emission>,
    ) {
        let shape = &moment.plan.levels()[level];
        let start = self.levels[level].open[index].start;
        let flags = (moment.flags)(shape.reads(), start, start + shape.size).with(extra);
        let Reading { pane, carried, until } = self.read(moment.plan, level, start);
        let open = &mut self.levels[level].open[index];
        let revision = open.emissions;
        open.emissions += 1;
        (open.ticks, open.flags, open.until) = (pane.ticks(), flags, until);
        let (window, number) = (shape.window, moment.number);
        out.push(Emission { window, start, revision, flags, number, until, pane, carried });
    }

    /// What the window of `level` that begins at `start` says as things stand.
    pub(super) fn read(&self, plan: &Plan, level: usize, start: Nanos) -> Reading {
        let shape = &plan.levels()[level];
        let (mut pane, mut carried) = self.content(plan, level, start);
        if !shape.quotes {
            pane.quotes = None;
            carried = None;
        }
        if !shape.trades {
            pane.trades = Default::default();
        }
        let newest = pane.last_quote().map_or(start, |quote| quote.key.ts);
        let until = (start + shape.size).min(self.frontier.max(newest));
        Reading { pane, carried, until }
    }

    /// What has come in of the window of `level` that begins at `start`, and the quote carried into it.
    fn content(&self, plan: &Plan, level: usize, start: Nanos) -> (Pane, Option<CarriedQuote>) {
        let end = start + plan.levels()[level].size;
        let mut pane = Pane::default();
        let mut carried = None;
        let mut found = false;
        let mut next = Some(level);
        while let Some(at) = next {
            if let Some(settled) = &self.levels[at].settled
                && (start..end).contains(&settled.start)
            {
                carried = if found { carried } else { settled.carried };
                found = true;
                pane.merge(&settled.pane);
            }
            next = plan.levels()[at].finer;
        }
        if !found {
            carried = self.carried_into(start);
        }
        for slice in self.slices.iter().filter(|slice| slice.start >= start && slice.start < end) {
            pane.merge(&slice.pane);
        }
        (pane, carried)
    }

    /// Merges the slices below the watermark into the settled parts, and final windows into longer ones.
    fn settle(&mut self, plan: &Plan) {
        let watermark = self.watermark(plan);
        loop {
            let ready = self.slices.front().is_some_and(|slice| slice.end <= watermark);
            let slice = if ready { self.slices.pop_front() } else { None };
            self.finalise(plan, slice.as_ref().map_or(watermark, |slice| slice.start));
            let Some(slice) = slice else { break };
            self.total.merge(&slice.pane);
            for &root in plan.roots() {
                let start = plan.levels()[root].start_of(slice.start);
                self.levels[root].settle(start, self.carried, &slice.pane);
            }
            self.carried = slice.pane.last_quote().or(self.carried);
        }
        for (state, level) in self.levels.iter_mut().zip(plan.levels()) {
            while state.open.front().is_some_and(|open| open.start + level.size <= watermark) {
                state.open.pop_front();
            }
        }
    }

    /// Passes on the windows that end at or before `time`, the shortest first.
    fn finalise(&mut self, plan: &Plan, time: Nanos) {
        for (at, level) in plan.levels().iter().enumerate() {
            let ends = |settled: &Settled| settled.start + level.size <= time;
            if !self.levels[at].settled.as_deref().is_some_and(ends) {
                continue;
            }
            let Some(settled) = self.levels[at].settled.take() else { continue };
            for (to, longer) in plan.levels().iter().enumerate().skip(at + 1) {
                if longer.finer == Some(at) {
                    let start = longer.start_of(settled.start);
                    self.levels[to].settle(start, settled.carried, &settled.pane);
                }
            }
        }
    }

    pub(crate) fn next_due(&self, plan: &Plan) -> Nanos {
        let mut due = self.slices.front().map_or(Nanos::MAX, |slice| slice.end.saturating_add(plan.lateness));
        for (state, level) in self.levels.iter().zip(plan.levels()) {
            if let Some(settled) = &state.settled {
                due = due.min(settled.start.saturating_add(level.size).saturating_add(plan.lateness));
            }
            if let Some(open) = state.open.iter().find(|open| !open.complete) {
                due = due.min(open.start.saturating_add(level.size));
            }
        }
        due
    }
}

impl LevelState {
    pub(super) fn settle(&mut self, start: Nanos, carried: Option<CarriedQuote>, pane: &Pane) {
        match &mut self.settled {
            Some(settled) => settled.pane.merge(pane),
            None => self.settled = Some(Box::new(Settled { start, carried, pane: pane.clone() })),
        }
    }
}
