//! The judge of one symbol: hears what is applied to it, and says what its rules make of that.
//!
//! A rule over final windows lives in the time of the watermark: it is judged once for each end of a window that it
//! reads, with that end as its time. Any other rule lives in the time of the frontier: it is judged at each tick of the
//! kinds that it reads (and at entries of the clock and of outages, if it reads those). A deadline comes before whatever
//! is applied at or behind it; a window that ends at a deadline is judged before it, because it tells of the time before.

use std::collections::VecDeque;
use std::sync::Arc;

use feeds::live::Channel;
use feeds::tick::{Quote, Trade};
use feeds::time::Nanos;

use super::Alert;
use super::episode::Episode;
use super::facts::{Facts, LiveWindow};
use super::history::{History, Mark};
use super::lifts::Lift;
use super::rulebook::{Rule, RuleBook};
use crate::rule::{Market, Memory, Number, Slot};
use crate::stat::Key;
use crate::symbol::outages::{Cause, Channels, Outages};
use crate::window::{Emission, Flags, Live, Plan, Windows};

/// What a judge sees of its symbol.
pub struct Sight<'a> {
    /// The windows' plan.
    pub plan: &'a Plan,
    /// The windows.
    pub windows: &'a Windows,
    /// What is out.
    pub outages: &'a Outages,
    /// Flags of the window over `[start, end)` that reads these channels, as things stand.
    pub flags: &'a dyn Fn(Channels, Nanos, Nanos) -> Flags,
    /// The entry being applied.
    pub number: u64,
    /// When it came in, if that is known.
    pub received_at: Option<Nanos>,
}

impl Sight<'_> {
    /// True if a stretch of `channel` is not over whose cause is one of these.
    pub(super) fn is_out(&self, channel: Channel, is_cause: impl Fn(Cause) -> bool) -> bool {
        self.outages.open.iter().any(|stretch| stretch.channel == channel && is_cause(stretch.cause))
    }
}

/// What was applied.
#[derive(Clone, Copy, Debug)]
pub enum Heard<'a> {
    /// A trade of this time.
    Trade(Nanos, &'a Trade),
    /// A quote of this time.
    Quote(Nanos, &'a Quote),
    /// An entry of the clock.
    Clock,
    /// Something is out from now on.
    Outage,
    /// Something that is judged by nobody: only its windows count.
    Other,
}

/// One rule at the symbol.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Kept {
    /// Its place in the book.
    pub(super) rule: usize,
    pub(super) when: Memory,
    pub(super) until: Option<Memory>,
    pub(super) episode: Episode,
}

impl Kept {
    pub(super) fn new(place: usize, rule: &Rule) -> Kept {
        Kept {
            rule: place,
            when: rule.when.memory(),
            until: rule.until.as_ref().map(crate::rule::Condition::memory),
            episode: Episode::default(),
        }
    }

    /// When time alone changes something.
    pub(super) fn deadline(&self, rule: &Rule) -> Nanos {
        let absence = rule.when.deadline(&self.when).unwrap_or(Nanos::MAX);
        absence.min(self.episode.deadline().unwrap_or(Nanos::MAX))
    }
}

/// Places in [`Judge::kept`] of the rules that are judged when something is heard.
#[derive(Clone, Debug, Default)]
struct Lists {
    trades: Vec<usize>,
    quotes: Vec<usize>,
    time: Vec<usize>,
    outages: Vec<usize>,
    /// Over final windows.
    closed: Vec<usize>,
    /// At the close of some window.
    at_close: Vec<usize>,
    reads_delay: bool,
}

/// A final window of a series that rules over several symbols read.
#[derive(Clone, Debug, PartialEq)]
pub struct Export {
    /// The entry at which it became final.
    pub number: u64,
    /// When that entry came in.
    pub received_at: Option<Nanos>,
    /// Its window's place in the configuration.
    pub window: usize,
    /// Where it begins.
    pub start: Nanos,
    /// Its revision.
    pub revision: u32,
    /// What was remarked on it.
    pub flags: Flags,
    /// Values, by the places of their series.
    pub values: Vec<(usize, Option<Number>)>,
}

/// What came of judging.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judged {
    /// Steps of episodes, in order.
    pub alerts: Vec<Alert>,
    /// Ends of silences, in order.
    pub lifts: Vec<Lift>,
    /// What rules over several symbols are to know.
    pub exports: Vec<Export>,
    /// Ends of theirs that the watermark has passed: by which entry, when that came in, the end; [`Nanos::MAX`] if that
    /// entry is the end of all inputs.
    pub watermarks: Vec<(u64, Option<Nanos>, Nanos)>,
}

impl Judged {
    /// True if nothing did.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.alerts.is_empty()
            && self.lifts.is_empty()
            && self.exports.is_empty()
            && self.watermarks.is_empty()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.alerts.clear();
        self.lifts.clear();
        self.exports.clear();
        self.watermarks.clear();
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Judge {
    pub(super) book: Arc<RuleBook>,
    pub(super) symbol: String,
    pub(super) kept: Vec<Kept>,
    pub(super) history: History,
    pub(super) facts: Facts,
    lists: Lists,
    pub(super) live: Vec<LiveWindow>,
    /// Slots that are no windows, and all slots' values.
    pub(super) slots: Vec<usize>,
    pub(super) values: Vec<Option<Number>>,
    exported: Vec<usize>,
    /// The end that was told last. (To tell it again changes nothing: it is not kept.)
    told: Nanos,
    /// For each of `kept` that fires, the next end of one of its silences. (To tell it again changes nothing, too.)
    pub(super) lifts: Vec<Nanos>,
    /// No deadline of a rule over final windows is before this; nor of any other.
    pub(super) closed_due: Nanos,
    pub(super) live_due: Nanos,
}

impl PartialEq for Judge {
    /// Two are equal if they judge alike from here on.
    fn eq(&self, other: &Judge) -> bool {
        self.book.number() == other.book.number()
            && (&self.symbol, &self.kept) == (&other.symbol, &other.kept)
            && (&self.history, &self.facts) == (&other.history, &other.facts)
    }
}

/// What conditions look at.
pub(super) struct Look<'a> {
    pub(super) values: &'a [Option<Number>],
    pub(super) history: &'a History,
    pub(super) now: Nanos,
}

impl Market for Look<'_> {
    fn slot(&self, place: usize) -> Option<Number> {
        self.values.get(place).copied().flatten()
    }

    fn series(&self, place: usize) -> &VecDeque<Option<Number>> {
        self.history.series(place)
    }

    fn series_revision(&self, place: usize) -> u64 {
        self.history.revision(place)
    }

    fn now(&self) -> Nanos {
        self.now
    }
}

impl Judge {
    /// The judge of `symbol`; `None` if no rule of the book concerns it.
    #[must_use]
    pub fn new(book: Arc<RuleBook>, symbol: &str) -> Option<Judge> {
        let (rules, exported) = (book.of(symbol), book.exported(symbol));
        if rules.is_empty() && exported.is_empty() {
            return None;
        }
        let mut series: Vec<usize> = exported.clone();
        let mut slots: Vec<usize> = Vec::new();
        for condition in rules.iter().flat_map(|&place| book.rules()[place].conditions()) {
            series.extend(&condition.reads().series);
            slots.extend(&condition.reads().slots);
        }
        for &place in &rules {
            series.extend(&book.rules()[place].message.reads().series);
            slots.extend(&book.rules()[place].message.reads().slots);
        }
        sort(&mut series);
        sort(&mut slots);
        let closing: Vec<usize> = rules.iter().filter_map(|&place| book.rules()[place].at_close_of).collect();
        let kept: Vec<Kept> = rules.iter().map(|&place| Kept::new(place, &book.rules()[place])).collect();
        let mut judge = Judge {
            symbol: symbol.to_owned(),
            history: History::new(&book.inputs().series, &series, &closing, |window| book.size(window)),
            facts: Facts::default(),
            lists: Lists::default(),
            live: Vec::new(),
            slots: Vec::new(),
            values: vec![None; book.inputs().slots.len()],
            closed_due: Nanos::MAX,
            live_due: Nanos::MAX,
            exported,
            told: Nanos::MIN,
            lifts: vec![Nanos::MAX; kept.len()],
            kept,
            book,
        };
        judge.arrange(&slots);
        judge.reckon();
        Some(judge)
    }

    fn arrange(&mut self, slots: &[usize]) {
        for (place, kept) in self.kept.iter().enumerate() {
            let rule = &self.book.rules()[kept.rule];
            if rule.at_close_of.is_some() {
                self.lists.at_close.push(place);
            } else if rule.is_closed() {
                self.lists.closed.push(place);
            } else {
                let reads =
                    |what: fn(&crate::rule::Reads) -> bool| rule.conditions().any(|it| what(it.reads()));
                let lists = [
                    // Time goes on with every tick.
                    (reads(|reads| reads.trades || reads.time), &mut self.lists.trades),
                    (reads(|reads| reads.quotes || reads.time), &mut self.lists.quotes),
                    (reads(|reads| reads.time), &mut self.lists.time),
                    (reads(|reads| reads.outages), &mut self.lists.outages),
                ];
                for (_, list) in lists.into_iter().filter(|(reads, _)| *reads) {
                    list.push(place);
                }
            }
        }
        for &place in slots {
            match &self.book.inputs().slots[place] {
                Slot::Live { window, .. } => {
                    match self.live.iter_mut().find(|kept| kept.live.window() == *window) {
                        Some(kept) => kept.slots.push(place),
                        None => self.live.push(LiveWindow { slots: vec![place], live: Live::new(*window) }),
                    }
                }
                slot => {
                    self.lists.reads_delay |= matches!(slot, Slot::Delay);
                    self.slots.push(place);
                }
            }
        }
    }

    /// The rules in force.
    #[must_use]
    pub fn book(&self) -> &Arc<RuleBook> {
        &self.book
    }

    /// Fires what is due at or before `time`, before anything of that time is applied.
    #[inline]
    pub fn before(&mut self, sight: &Sight<'_>, time: Nanos, out: &mut Judged) {
        if time >= self.live_due {
            self.pass_live(sight, time, out);
        }
    }

    /// Hears of an entry that was applied, with the windows that it emitted and the gaps that it opened.
    #[inline]
    pub fn after(
        &mut self,
        sight: &Sight<'_>,
        heard: Heard<'_>,
        emissions: &[Emission],
        (gaps, lost): (u64, bool),
        out: &mut Judged,
    ) {
        for emission in emissions {
            self.history.absorb(emission, &self.book.inputs().series);
        }
        self.facts.lost_now = lost;
        self.facts.hear_gaps(gaps);
        match heard {
            Heard::Trade(ts, trade) => {
                let key = Key { ts, number: sight.number };
                for kept in &mut self.live {
                    kept.live.add_trade(sight.windows, sight.plan, key, trade);
                }
                self.facts.hear_trade(ts, sight.received_at, trade, self.lists.reads_delay);
            }
            Heard::Quote(ts, quote) => {
                let key = Key { ts, number: sight.number };
                for kept in &mut self.live {
                    kept.live.add_quote(sight.windows, sight.plan, key, quote);
                }
                self.facts.hear_quote(ts, sight.received_at, quote, self.lists.reads_delay);
            }
            Heard::Clock | Heard::Outage | Heard::Other => {}
        }
        let frontier = sight.windows.frontier();
        if frontier == Nanos::MIN {
            return;
        }
        let watermark = sight.windows.watermark(sight.plan);
        let closed = self.close(sight, watermark, out);
        self.tell_watermark(sight, watermark, out);
        let gone = |place: usize| self.lists.at_close.get(place).copied();
        let rule_of = |place: usize| &self.book.rules()[self.kept[place].rule];
        let closes = |place: &usize| rule_of(*place).at_close_of.is_some_and(|it| closed.contains(&it));
        let mut at_close: Vec<usize> = Vec::new();
        if !closed.is_empty() {
            at_close.extend((0..).map_while(gone).filter(closes));
        }
        let hears_loss = gaps > 0 && !matches!(heard, Heard::Outage) && !self.lists.outages.is_empty();
        if at_close.is_empty() && !hears_loss {
            let count = self.list(&heard).len();
            if count > 0 {
                self.look(sight, frontier);
            }
            for at in 0..count {
                self.judge(self.list(&heard)[at], sight, frontier, out);
            }
            return;
        }
        at_close.extend(self.list(&heard));
        if hears_loss {
            at_close.extend(&self.lists.outages);
        }
        sort(&mut at_close);
        self.look(sight, frontier);
        for place in at_close {
            self.judge(place, sight, frontier, out);
        }
    }

    fn list(&self, heard: &Heard<'_>) -> &[usize] {
        match heard {
            Heard::Trade(..) => &self.lists.trades,
            Heard::Quote(..) => &self.lists.quotes,
            Heard::Clock => &self.lists.time,
            Heard::Outage => &self.lists.outages,
            Heard::Other => &[],
        }
    }

    /// Tells rules over several symbols that the watermark has passed an end of what they read: that end, and not where
    /// the watermark is, so that deadlines between two ends do not depend on who was told in between. The end of all
    /// inputs, [`Nanos::MAX`], is told as that.
    #[inline]
    pub(super) fn tell_watermark(&mut self, sight: &Sight<'_>, watermark: Nanos, out: &mut Judged) {
        if self.exported.is_empty() || watermark <= self.told {
            return;
        }
        let end_of = |place: &usize| {
            if watermark == Nanos::MAX {
                return watermark;
            }
            let size = self.book.size(self.book.inputs().series[*place].window).max(1);
            watermark.div_euclid(size).saturating_mul(size)
        };
        let end = self.book.crossed().iter().map(end_of).max();
        if let Some(end) = end.filter(|end| *end > self.told) {
            self.told = end;
            out.watermarks.push((sight.number, sight.received_at, end));
        }
    }

    /// Judges the windows that the watermark has passed, with the deadlines between them; which windows became final.
    #[inline]
    fn close(&mut self, sight: &Sight<'_>, watermark: Nanos, out: &mut Judged) -> Vec<usize> {
        let mut closed = Vec::new();
        while let Some(end) = self.history.next_end().filter(|end| *end <= watermark) {
            self.pass_closed(sight, end, false, out);
            closed.extend(self.finalise(sight, end, out));
        }
        self.pass_closed(sight, watermark, true, out);
        closed
    }

    /// Makes the windows that end at `end` final, and judges the rules that read them.
    pub(super) fn finalise(&mut self, sight: &Sight<'_>, end: Nanos, out: &mut Judged) -> Vec<usize> {
        let mut closed = Vec::new();
        let exported = &self.exported;
        self.history.finalise(end, &self.book.inputs().series, |window, mark, series, values| {
            closed.push(window);
            let values = series.iter().copied().zip(values.iter().copied());
            let values: Vec<_> = values.filter(|(place, _)| exported.contains(place)).collect();
            if !values.is_empty() {
                let Mark { start, revision, flags } = mark;
                let (number, received_at) = (sight.number, sight.received_at);
                out.exports.push(Export { number, received_at, window, start, revision, flags, values });
            }
        });
        for kept in &mut self.kept {
            let rule = &self.book.rules()[kept.rule];
            let look = Look { values: &self.values, history: &self.history, now: end };
            for &window in &closed {
                rule.when.fold(window, &look, &mut kept.when);
                if let (Some(until), Some(memory)) = (&rule.until, &mut kept.until) {
                    until.fold(window, &look, memory);
                }
            }
        }
        let reads = |place: &usize| {
            let rule = &self.book.rules()[self.kept[*place].rule];
            rule.conditions().any(|it| it.reads().windows.iter().any(|window| closed.contains(window)))
        };
        let due: Vec<usize> = self.lists.closed.iter().copied().filter(reads).collect();
        for place in due {
            self.judge(place, sight, end, out);
        }
        closed
    }

    #[inline]
    fn judge(&mut self, place: usize, sight: &Sight<'_>, at: Nanos, out: &mut Judged) {
        let kept = &mut self.kept[place];
        let rule = &self.book.rules()[kept.rule];
        let look = Look { values: &self.values, history: &self.history, now: at };
        let holds = rule.when.judge(&look, &mut kept.when) == Some(true);
        let until = match (&rule.until, &mut kept.until) {
            (Some(until), Some(memory)) => Some(until.judge(&look, memory) == Some(true)),
            _ => None,
        };
        let step = kept.episode.judge(&rule.terms, at, holds, until);
        if step.is_some() {
            self.look_for_silence(place, at);
        }
        let due = self.due(place);
        let rule = &self.book.rules()[self.kept[place].rule];
        if rule.is_judged_at_ends() {
            self.closed_due = self.closed_due.min(due);
        } else {
            self.live_due = self.live_due.min(due);
        }
        if let Some(step) = step {
            let alert = self.alert(place, &step, sight);
            out.alerts.push(alert);
        }
    }
}

pub(super) fn sort(places: &mut Vec<usize>) {
    places.sort_unstable();
    places.dedup();
}
