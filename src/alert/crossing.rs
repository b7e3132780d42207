//! A rule over several symbols: it consumes their final windows in one order, up to the least watermark of its members.
//!
//! A member that lags behind the first of them by more than the idle time is passed over, and named by what the rule
//! tells. When it comes back, what it brings of before counts from then on, and is not judged for itself. Where all inputs
//! end, they end at one entry: nobody lags behind that.
//!
//! # Bytes
//! The episode; what `when` and `until` remember; the time reached i64; for each member its watermark i64; the windows
//! that wait (end i64, window u64, member u64, window as [`Waiting`]); for each series of the rule its values; the final
//! windows that an alert can name (window u64, member u64, start i64, revision u64, flags u64, from when on it was read
//! i64), of one name the oldest first; in version 1 of the dispatch the newest of each, without that time. A list is its
//! length and its items.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use feeds::time::Nanos;

use super::Alert;
use super::episode::{Episode, Step};
use super::history::{Mark, put_value, value};
use super::judge::{Export, Kept, sort};
use super::lifts::Lift;
use super::rulebook::{Rule, RuleBook};
use super::seen::{EARLIER_MAX, Remembered, finals};
use crate::codec::{CodecError, Put, Reader};
use crate::rule::{Condition, Market, Memory, Number, Series};
use crate::window::Flags;

/// What a rule over several symbols hears of one of them.
#[derive(Clone, Debug)]
pub(super) enum News<'a> {
    /// A window became final.
    Final(&'a Export),
    /// Its watermark is here.
    Watermark(Nanos),
}

/// A window that waits for the others.
#[derive(Clone, Debug, PartialEq)]
struct Waiting {
    start: Nanos,
    revision: u32,
    flags: Flags,
    values: Vec<(usize, Option<Number>)>,
}

/// The final windows of one name and member that are remembered, the oldest first, and from which rule time on each of
/// them was read: its end, or later if it came late.
#[derive(Clone, Debug, Default)]
struct Named {
    marks: VecDeque<Mark>,
    since: VecDeque<Nanos>,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Crossing {
    pub(super) book: Arc<RuleBook>,
    pub(super) kept: Kept,
    /// The members' names, in order, and their watermarks.
    members: Vec<(String, Nanos)>,
    /// By end, window and member.
    waiting: BTreeMap<(Nanos, usize, usize), Waiting>,
    series: Vec<VecDeque<Option<Number>>>,
    own: Vec<usize>,
    revision: u64,
    pub(super) reached: Nanos,
    /// By window and member.
    named: BTreeMap<(usize, usize), Named>,
    /// The entry in hand, and when it came in.
    pub(super) at: (u64, Option<Nanos>),
    /// When a silence of it ends next, while it fires. (To tell it again changes nothing: it is not kept.)
    pub(super) lift: Nanos,
    /// Ends of silences that were not taken yet.
    pub(super) lifts: Vec<Lift>,
}

struct Look<'a>(&'a Crossing, Nanos);

impl Market for Look<'_> {
    fn slot(&self, _place: usize) -> Option<Number> {
        None
    }

    fn series(&self, place: usize) -> &VecDeque<Option<Number>> {
        &self.0.series[place]
    }

    fn series_revision(&self, _place: usize) -> u64 {
        self.0.revision
    }

    fn now(&self) -> Nanos {
        self.1
    }
}

impl Crossing {
    /// The rule at this place of the book, which is over several symbols.
    pub(super) fn new(book: &Arc<RuleBook>, place: usize) -> Crossing {
        let rule = &book.rules()[place];
        let mut own: Vec<usize> =
            rule.conditions().flat_map(|it| it.reads().series.iter().copied()).collect();
        own.extend(&rule.message.reads().series);
        sort(&mut own);
        let mut members: Vec<String> = own
            .iter()
            .filter_map(|&place| book.inputs().series[place].symbol.as_ref().map(ToString::to_string))
            .collect();
        members.sort();
        members.dedup();
        Crossing {
            kept: Kept::new(place, rule),
            members: members.into_iter().map(|name| (name, Nanos::MIN)).collect(),
            waiting: BTreeMap::new(),
            series: vec![VecDeque::new(); book.inputs().series.len()],
            own,
            revision: 0,
            reached: Nanos::MIN,
            named: BTreeMap::new(),
            at: (0, None),
            lift: Nanos::MAX,
            lifts: Vec::new(),
            book: Arc::clone(book),
        }
    }

    pub(super) fn rule(&self) -> &Rule {
        &self.book.rules()[self.kept.rule]
    }

    /// The rule's text.
    pub(super) fn text(&self) -> &str {
        &self.rule().text
    }

    /// Hears of `symbol`, at entry `at`, which came in then. `idle` is how far a member may lag.
    pub(super) fn hear(
        &mut self,
        symbol: &str,
        news: &News<'_>,
        at: (u64, Option<Nanos>),
        idle: Nanos,
        out: &mut Vec<Alert>,
    ) {
        let Some(member) = self.members.iter().position(|(name, _)| name == symbol) else { return };
        self.at = at;
        match news {
            News::Final(export) => self.take(member, export),
            News::Watermark(watermark) => {
                self.members[member].1 = *watermark;
                self.advance(idle, out);
            }
        }
    }

    fn take(&mut self, member: usize, export: &Export) {
        let own = |(place, _): &&(usize, Option<Number>)| self.own.contains(place);
        let values: Vec<(usize, Option<Number>)> = export.values.iter().filter(own).copied().collect();
        if values.is_empty() {
            return;
        }
        let end = export.start.saturating_add(self.book.size(export.window));
        let Export { window, start, revision, flags, .. } = *export;
        let waiting = Waiting { start, revision, flags, values };
        if end <= self.reached {
            // Judgements up to there are over.
            self.enter(window, member, waiting, self.reached.saturating_add(1));
        } else {
            self.waiting.insert((end, window, member), waiting);
        }
    }

    /// How many windows of this name and member are remembered.
    fn keep(&self, window: usize, member: usize) -> usize {
        let all = self.own.iter().map(|&place| &self.book.inputs().series[place]);
        let of_these = all.filter(|series| series.window == window && self.member_of(series) == Some(member));
        of_these.map(|series| series.keep).max().unwrap_or(0) + EARLIER_MAX
    }

    /// The place of the member whose series this is.
    fn member_of(&self, series: &Series) -> Option<usize> {
        let symbol = series.symbol.as_ref()?;
        self.members.iter().position(|(name, _)| name == symbol.as_str())
    }

    /// Puts a window behind those of its series, to be read from the time `since` on.
    fn enter(&mut self, window: usize, member: usize, entering: Waiting, since: Nanos) {
        for &(place, value) in &entering.values {
            self.series[place].push_back(value);
            while self.series[place].len() > self.book.inputs().series[place].keep {
                self.series[place].pop_front();
            }
        }
        let Waiting { start, revision, flags, .. } = entering;
        let keep = self.keep(window, member);
        let named = self.named.entry((window, member)).or_default();
        named.marks.push_back(Mark { start, revision, flags });
        named.since.push_back(since);
        while named.marks.len() > keep {
            named.marks.pop_front();
            named.since.pop_front();
        }
        self.revision += 1;
    }

    /// For each member whether it is waited for.
    fn waited_for(&self, idle: Nanos) -> impl Iterator<Item = (&(String, Nanos), bool)> {
        let first = self.members.iter().map(|(_, watermark)| *watermark).max().unwrap_or(Nanos::MIN);
        self.members.iter().map(move |member| (member, member.1.saturating_add(idle) >= first))
    }

    fn advance(&mut self, idle: Nanos, out: &mut Vec<Alert>) {
        let least = self.waited_for(idle).filter(|(_, is_waited_for)| *is_waited_for);
        let least = least.map(|((_, watermark), _)| *watermark).min();
        let Some(limit) = least.filter(|limit| *limit > self.reached) else { return };
        let passed_over = self.waited_for(idle).filter(|(_, is_waited_for)| !is_waited_for);
        let missing: Vec<String> = passed_over.map(|((name, _), _)| name.clone()).collect();
        self.judge_up_to(limit, &missing, out);
        self.reached = limit;
        self.pass(limit, true, &missing, out);
    }

    /// The inputs of these symbols are exhausted, at entry `at`: all that waits is judged. Time goes on to the last end
    /// of it, and deadlines there or behind are not passed: as in a rule over one symbol.
    pub(super) fn exhaust(&mut self, ended: &[&str], at: (u64, Option<Nanos>), out: &mut Vec<Alert>) {
        let has_ended = |name: &String| ended.contains(&name.as_str());
        let missing = self.members.iter().map(|(name, _)| name).filter(|name| !has_ended(name));
        let missing: Vec<String> = missing.cloned().collect();
        if missing.len() < self.members.len() {
            self.at = at;
            self.judge_up_to(Nanos::MAX, &missing, out);
        }
    }

    /// Judges the windows that wait and end by `limit`, with the deadlines before each.
    fn judge_up_to(&mut self, limit: Nanos, missing: &[String], out: &mut Vec<Alert>) {
        while let Some((&(end, ..), _)) =
            self.waiting.first_key_value().filter(|((end, ..), _)| *end <= limit)
        {
            self.pass(end, false, missing, out);
            self.judge(end, missing, out);
        }
    }

    /// Judges the windows that end at `end`.
    fn judge(&mut self, end: Nanos, missing: &[String], out: &mut Vec<Alert>) {
        let mut entered = Vec::new();
        while let Some(first) = self.waiting.first_entry().filter(|first| first.key().0 == end) {
            let ((_, window, member), waiting) = first.remove_entry();
            entered.push(window);
            self.enter(window, member, waiting, end);
        }
        sort(&mut entered);
        self.reached = end;
        let mut kept = self.kept.clone();
        let rule = self.rule();
        let look = Look(self, end);
        for &window in &entered {
            rule.when.fold(window, &look, &mut kept.when);
            if let (Some(until), Some(memory)) = (&rule.until, &mut kept.until) {
                until.fold(window, &look, memory);
            }
        }
        let holds = rule.when.judge(&look, &mut kept.when) == Some(true);
        let until = match (&rule.until, &mut kept.until) {
            (Some(until), Some(memory)) => Some(until.judge(&look, memory) == Some(true)),
            _ => None,
        };
        let step = kept.episode.judge(&rule.terms, end, holds, until);
        self.kept = kept;
        if step.is_some() {
            self.look_for_silence(end);
        }
        out.extend(step.map(|step| self.alert(&step, missing)));
    }

    /// Passes the deadlines before `time`, or up to it.
    fn pass(&mut self, time: Nanos, inclusive: bool, missing: &[String], out: &mut Vec<Alert>) {
        loop {
            let rule = &self.book.rules()[self.kept.rule];
            let absence = rule.when.deadline(&self.kept.when);
            let lift = Some(self.lift).filter(|at| *at != Nanos::MAX);
            let due = [absence, self.kept.episode.deadline(), lift].into_iter().flatten().min();
            let Some(due) = due.filter(|due| if inclusive { *due <= time } else { *due < time }) else {
                return;
            };
            let mut steps = [None, None];
            if absence == Some(due) {
                let holds = rule.when.pass(due, &mut self.kept.when) == Some(true);
                let until = rule.until.as_ref().map(|_| false);
                steps[0] = self.kept.episode.judge(&rule.terms, due, holds, until);
            }
            if self.kept.episode.deadline().is_some_and(|at| at <= due) {
                steps[1] = self.kept.episode.pass();
            }
            let alerts: Vec<Alert> =
                steps.into_iter().flatten().map(|step| self.alert(&step, missing)).collect();
            out.extend(alerts);
            if self.lift <= due {
                self.may_be_told(due, out.len());
            }
            self.look_for_silence(due);
        }
    }

    /// Its members' names.
    pub(super) fn symbol(&self) -> String {
        let names: Vec<&str> = self.members.iter().map(|(name, _)| name.as_str()).collect();
        names.join("|")
    }

    /// Takes over what `was` knows, which is the same rule in another book.
    pub(super) fn go_on_from(&mut self, was: &Crossing) {
        let (old, new) = (&was.book.inputs().series, &self.book.inputs().series);
        let same = |place: usize| {
            let wanted = &new[place];
            let is = |known: &crate::rule::Series| {
                (&known.symbol, known.window, known.stat.name)
                    == (&wanted.symbol, wanted.window, wanted.stat.name)
            };
            old.iter().position(is)
        };
        for &place in &self.own {
            if let Some(at) = same(place) {
                self.series[place].clone_from(&was.series[at]);
            }
        }
        let renamed = |place: usize| self.own.iter().copied().find(|own| same(*own) == Some(place));
        let waiting = was.waiting.iter().map(|(key, waiting)| {
            let values = waiting.values.iter();
            let values = values.filter_map(|(place, value)| Some((renamed(*place)?, *value))).collect();
            (*key, Waiting { values, ..waiting.clone() })
        });
        self.waiting = waiting.collect();
        self.members.clone_from(&was.members);
        self.named.clone_from(&was.named);
        self.reached = was.reached;
        // The rule has kept what it computed as of this.
        self.revision = was.revision;
        self.kept = Kept { rule: self.kept.rule, ..was.kept.clone() };
        self.look_for_silences();
    }

    /// The rule is no more.
    pub(super) fn end(&mut self, at: (u64, Option<Nanos>), out: &mut Vec<Alert>) {
        self.at = at;
        if let Some(step) = self.kept.episode.end(self.reached) {
            out.push(self.alert(&step, &[]));
        }
    }

    fn alert(&self, step: &Step, missing: &[String]) -> Alert {
        let rule = self.rule();
        let look = Look(self, step.at);
        let names: Vec<&str> = self.members.iter().map(|(name, _)| name.as_str()).collect();
        let symbol = self.symbol();
        let mut values = self.kept.values(rule, &look);
        if !missing.is_empty() {
            values.push(("passed_over".to_owned(), missing.join("|")));
        }
        let of = |place: usize| {
            let series = self.book.inputs().series.get(place)?;
            let key = (series.window, self.member_of(series)?);
            let Named { marks, since } = self.named.get(&key)?;
            let (size, values) = (self.book.size(series.window), self.series[place].len());
            Some((key, Remembered { marks, size, since: Some(since), values }))
        };
        let named = |(window, member): (usize, usize)| {
            (Some(names[member].to_owned()), self.book.window_name(window).to_owned())
        };
        let windows = finals(self.kept.looked(rule), of, named);
        Alert {
            id: rule.id(&symbol, step),
            state: step.state,
            rule: rule.spec.name.clone(),
            severity: rule.severity(),
            event_time: step.at,
            fired_at: Some(self.at.1.unwrap_or(step.at)),
            message: rule.said(&look, &symbol, step.state),
            labels: rule.labels(),
            values,
            windows,
            number: self.at.0,
            suppressed: None,
            symbol,
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        self.kept.episode.encode(out);
        self.kept.when.encode(out);
        if let Some(until) = &self.kept.until {
            until.encode(out);
        }
        out.put_i64(self.reached);
        self.members.iter().for_each(|(_, watermark)| out.put_i64(*watermark));
        out.put_u64(self.waiting.len() as u64);
        for ((end, window, member), waiting) in &self.waiting {
            out.put_i64(*end);
            out.put_u64(*window as u64);
            out.put_u64(*member as u64);
            out.put_i64(waiting.start);
            out.put_u64(u64::from(waiting.revision));
            out.put_u64(u64::from(waiting.flags.bits()));
            out.put_u64(waiting.values.len() as u64);
            for (place, number) in &waiting.values {
                out.put_u64(*place as u64);
                put_value(*number, out);
            }
        }
        for &place in &self.own {
            out.put_u64(self.series[place].len() as u64);
            self.series[place].iter().for_each(|number| put_value(*number, out));
        }
        out.put_u64(self.named.values().map(|named| named.marks.len() as u64).sum());
        for ((window, member), named) in &self.named {
            for (mark, since) in named.marks.iter().zip(&named.since) {
                out.put_u64(*window as u64);
                out.put_u64(*member as u64);
                out.put_i64(mark.start);
                out.put_u64(u64::from(mark.revision));
                out.put_u64(u64::from(mark.flags.bits()));
                out.put_i64(*since);
            }
        }
    }

    /// Reads what [`Crossing::encode`] wrote, in this version of the dispatch, into one that is new.
    pub(super) fn decode(&mut self, version: u8, from: &mut Reader<'_>) -> Result<(), CodecError> {
        self.kept.episode = Episode::decode(from)?;
        let rule = &self.book.rules()[self.kept.rule];
        let memory = |condition: &Condition, from: &mut Reader<'_>| Memory::decode(condition, from);
        self.kept.when = memory(&rule.when, from)?;
        self.kept.until = match &rule.until {
            Some(until) => Some(memory(until, from)?),
            None => None,
        };
        self.reached = from.i64()?;
        for (_, watermark) in &mut self.members {
            *watermark = from.i64()?;
        }
        let members = self.members.len();
        for _ in 0..from.u64()? {
            let (end, window, member) = (from.i64()?, place(from, usize::MAX)?, place(from, members)?);
            let (start, revision, flags) = mark(from)?;
            let mut values = Vec::new();
            for _ in 0..from.u64()? {
                values.push((place(from, self.series.len())?, value(from)?));
            }
            self.waiting.insert((end, window, member), Waiting { start, revision, flags, values });
        }
        for &at in &self.own {
            for _ in 0..from.u64()? {
                self.series[at].push_back(value(from)?);
            }
        }
        for _ in 0..from.u64()? {
            let key = (place(from, usize::MAX)?, place(from, members)?);
            let (start, revision, flags) = mark(from)?;
            let since = match version {
                1 => start.saturating_add(self.book.size(key.0)),
                _ => from.i64()?,
            };
            let named = self.named.entry(key).or_default();
            named.marks.push_back(Mark { start, revision, flags });
            named.since.push_back(since);
        }
        self.look_for_silences();
        Ok(())
    }
}

fn mark(from: &mut Reader<'_>) -> Result<(Nanos, u32, Flags), CodecError> {
    let start = from.i64()?;
    let revision = u32::try_from(from.u64()?).map_err(|_| CodecError::Invalid)?;
    Ok((start, revision, Flags::from_bits(from.u64()?).ok_or(CodecError::Invalid)?))
}

/// A place below `end`.
fn place(from: &mut Reader<'_>, end: usize) -> Result<usize, CodecError> {
    usize::try_from(from.u64()?).ok().filter(|place| *place < end).ok_or(CodecError::Invalid)
}
