//! What is decided about alerts in one order, behind all symbols: rules over several of them, silences, inhibition.
//!
//! It hears of what the symbols' judges exported by entry and symbol, so what it says depends on no thread and no epoch.
//! Whether an alert is inhibited is decided when all that its entry made fire is known: the order of rules and symbols
//! says nothing about it. What ends in that entry inhibits what came before its end.
//!
//! An alert that still fires when nothing keeps it quiet any more is told then: as it was when it fired, with the time at
//! which its silence or the last that inhibited it ended. The judges say when silences end, because they know their
//! symbols' time; whether that makes a difference is decided here.
//!
//! # Bytes
//! Version 4 (1 to 3 are read); the number of the book u64; each rule over several symbols ([`super::crossing`]); the
//! episodes that are not over: a list of (id 16 bytes, rule, symbol, severity u8, list of labels and their values, 1 if it
//! fires, option of what suppresses it, event time as of which that is i64, option of the alert that was not told
//! ([`crate::schema::alerts`])). Without severity and labels before version 3: they are the rule's. Without what comes last
//! before version 4: what was suppressed then is not told later.

use std::collections::BTreeMap;
use std::sync::Arc;

use feeds::time::Nanos;

use super::crossing::{Crossing, News};
use super::judge::{Export, Judged};
use super::lifts::{Lift, Step, merged};
use super::rulebook::{Books, RuleBook};
use super::{Alert, AlertId, Severity, State, Subject};
use crate::codec::{CodecError, Put, Reader};
use crate::schema::alerts;

const VERSION: u8 = 4;

/// An episode that is not over.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Standing {
    rule: String,
    symbol: String,
    severity: Severity,
    labels: Vec<(String, String)>,
    is_firing: bool,
    suppressed: Option<String>,
    /// The event time at which that was looked at last.
    looked: Nanos,
    /// What was not told, while it fires.
    untold: Option<Box<Alert>>,
}

impl Standing {
    /// The episode of this alert, which is not known to be kept quiet.
    fn of(alert: &Alert) -> Standing {
        Standing {
            rule: alert.rule.clone(),
            symbol: alert.symbol.clone(),
            severity: alert.severity,
            labels: alert.labels.clone(),
            is_firing: alert.state == State::Firing,
            suppressed: None,
            looked: Nanos::MIN,
            untold: None,
        }
    }

    fn subject(&self) -> Subject<'_> {
        Subject { rule: &self.rule, symbol: &self.symbol, severity: self.severity, labels: &self.labels }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_bytes(self.rule.as_bytes());
        out.put_bytes(self.symbol.as_bytes());
        out.put_u8(self.severity as u8);
        out.put_u64(self.labels.len() as u64);
        for (name, value) in &self.labels {
            out.put_bytes(name.as_bytes());
            out.put_bytes(value.as_bytes());
        }
        out.put_u8(u8::from(self.is_firing));
        out.put_u8(u8::from(self.suppressed.is_some()));
        if let Some(why) = &self.suppressed {
            out.put_bytes(why.as_bytes());
        }
        out.put_i64(self.looked);
        out.put_u8(u8::from(self.untold.is_some()));
        if let Some(alert) = &self.untold {
            out.put_bytes(&alerts::encode(alert));
        }
    }

    /// Reads one of this version, whose rule may be in `book`.
    fn decode(version: u8, book: Option<&RuleBook>, from: &mut Reader<'_>) -> Result<Standing, CodecError> {
        let (rule, symbol) = (text(from)?, text(from)?);
        let (severity, labels) = if version < 3 {
            let known = book.and_then(|book| book.rules().iter().find(|known| known.spec.name == rule));
            known.map(|known| (known.severity(), known.labels())).unwrap_or_default()
        } else {
            let severity = Severity::ALL.get(usize::from(from.u8()?)).ok_or(CodecError::Invalid)?;
            let mut labels = Vec::new();
            for _ in 0..from.u64()? {
                labels.push((text(from)?, text(from)?));
            }
            (*severity, labels)
        };
        let is_firing = from.u8()? == 1;
        let suppressed = if from.u8()? == 1 { Some(text(from)?) } else { None };
        let looked = if version < 4 { Nanos::MIN } else { from.i64()? };
        let untold = match version >= 4 && from.u8()? == 1 {
            true => Some(Box::new(alerts::decode(from.bytes()?)?)),
            false => None,
        };
        Ok(Standing { rule, symbol, severity, labels, is_firing, suppressed, looked, untold })
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Dispatch {
    book: Option<Arc<RuleBook>>,
    crossings: Vec<Crossing>,
    standing: BTreeMap<AlertId, Standing>,
    idle: Nanos,
}

/// Has `dispatch` take what symbols said, under the books that came into force: the entry, the number and the text of each.
pub fn take(
    dispatch: &mut Dispatch,
    said: Vec<(&str, Judged)>,
    changes: &[(u64, u32, String)],
    books: &Books,
) -> Vec<Alert> {
    if said.is_empty() && changes.is_empty() {
        return Vec::new();
    }
    let changes = changes.iter().filter_map(|(at, number, _)| Some((*at, books.get(*number)?)));
    let changes: Vec<(u64, Arc<RuleBook>)> = changes.collect();
    dispatch.take(said, &changes)
}

/// Something that happened at an entry.
enum Event<'a> {
    Rules(&'a Arc<RuleBook>),
    Final(&'a Export),
    Watermark(Nanos),
    Told(Step),
}

/// When an episode that fired ended: the event time, the entry, and when that came in.
struct End {
    was: Standing,
    at: Nanos,
    number: u64,
    fired_at: Option<Nanos>,
}

impl Dispatch {
    /// Under the rules of `book`. A member that lags by more than `idle` is passed over.
    #[must_use]
    pub fn new(book: Option<Arc<RuleBook>>, idle: Nanos) -> Dispatch {
        let crossings = book.as_ref().map(crossings).unwrap_or_default();
        Dispatch { book, crossings, standing: BTreeMap::new(), idle }
    }

    /// Takes what the symbols of an epoch said, and the books that came into force in it, with their entries. All
    /// alerts, in their order in the log.
    pub fn take(&mut self, mut said: Vec<(&str, Judged)>, books: &[(u64, Arc<RuleBook>)]) -> Vec<Alert> {
        let taken = |(symbol, judged): &mut (_, Judged)| {
            (*symbol, std::mem::take(&mut judged.alerts), std::mem::take(&mut judged.lifts))
        };
        let told: Vec<(&str, Vec<Alert>, Vec<Lift>)> = said.iter_mut().map(taken).collect();
        let mut events: Vec<(u64, &str, u8, Option<Nanos>, Event<'_>)> = Vec::new();
        for (at, book) in books {
            events.push((*at, "", 0, None, Event::Rules(book)));
        }
        for (symbol, judged) in &said {
            for export in &judged.exports {
                events.push((export.number, symbol, 2, export.received_at, Event::Final(export)));
            }
            for &(number, received_at, watermark) in &judged.watermarks {
                events.push((number, symbol, 3, received_at, Event::Watermark(watermark)));
            }
        }
        for (symbol, alerts, lifts) in told {
            for step in merged(alerts, lifts) {
                let (number, received_at) = match &step {
                    Step::Row(alert) => (alert.number, alert.fired_at),
                    Step::Lift(lift) => (lift.number, lift.received_at),
                };
                events.push((number, symbol, 1, received_at, Event::Told(step)));
            }
        }
        // What one symbol said of one entry is in order already: stable.
        events.sort_by(|a, b| (a.0, a.2 == 3, a.1, a.2).cmp(&(b.0, b.2 == 3, b.1, b.2)));
        let (mut alerts, mut new, mut in_hand) = (Vec::new(), Vec::new(), None);
        let (mut ended, mut end) = (Vec::new(), (0, None));
        for (number, symbol, _, received_at, event) in events {
            if in_hand.is_some_and(|in_hand| in_hand != number) {
                self.settle(&mut new, &mut alerts);
            }
            in_hand = Some(number);
            match event {
                Event::Rules(book) => self.replace(book, number, &mut new),
                Event::Told(step) => new.push(step),
                Event::Final(export) => {
                    self.hear(symbol, &News::Final(export), (number, received_at), &mut new)
                }
                // The last entry of its tape, and for all of them the same.
                Event::Watermark(Nanos::MAX) => {
                    ended.push(symbol);
                    end = (number, received_at);
                }
                Event::Watermark(at) => {
                    self.hear(symbol, &News::Watermark(at), (number, received_at), &mut new)
                }
            }
        }
        for crossing in &mut self.crossings {
            let mut alerts = Vec::new();
            crossing.exhaust(&ended, end, &mut alerts);
            new.extend(merged(alerts, std::mem::take(&mut crossing.lifts)));
        }
        self.settle(&mut new, &mut alerts);
        alerts
    }

    /// Decides about the alerts of one entry, in their order, when all of them are known.
    fn settle(&mut self, new: &mut Vec<Step>, out: &mut Vec<Alert>) {
        let mut ends = BTreeMap::new();
        for step in &*new {
            let Step::Row(alert) = step else { continue };
            match alert.state {
                State::Pending => {}
                // It keeps others quiet that are before it in the log, too.
                State::Firing => {
                    self.standing.entry(alert.id).or_insert_with(|| Standing::of(alert)).is_firing = true
                }
                State::Resolved => {
                    ends.insert(alert.id, alert.event_time);
                }
            }
        }
        let mut ended: Vec<End> = Vec::new();
        for step in new.drain(..) {
            match step {
                Step::Row(mut alert) => {
                    self.suppress(&mut alert, &ends);
                    let was = self.standing.get(&alert.id).filter(|was| was.is_firing);
                    if let Some(was) = was.filter(|_| alert.state == State::Resolved) {
                        let Alert { event_time: at, number, fired_at, .. } = *alert;
                        ended.push(End { was: was.clone(), at, number, fired_at });
                    }
                    out.push(*alert);
                }
                Step::Lift(Lift { number, received_at, id, at, .. }) => {
                    out.extend(self.tell(id, at, (number, Some(received_at.unwrap_or(at))), &ends));
                }
            }
        }
        for id in ends.keys() {
            self.standing.remove(id);
        }
        self.release(&ended, out);
    }

    /// Tells what nothing inhibits any more, now that these have ended: by symbol and rule.
    fn release(&mut self, ended: &[End], out: &mut Vec<Alert>) {
        let Some(book) = self.book.clone().filter(|_| !ended.is_empty()) else { return };
        let mut quiet: Vec<(&str, &str, AlertId, &End)> = Vec::new();
        for (id, standing) in self.standing.iter().filter(|(_, standing)| standing.untold.is_some()) {
            let target = standing.subject();
            let inhibited = |end: &&End| {
                let source = end.was.subject();
                book.spec().inhibitions.iter().any(|inhibition| {
                    inhibition.target.matches(&target)
                        && inhibition.source.matches(&source)
                        && inhibition.equal.iter().all(|by| by.is_common(&source, &target))
                })
            };
            let last = ended.iter().filter(inhibited).max_by_key(|end| end.at);
            quiet.extend(last.map(|end| (target.symbol, target.rule, *id, end)));
        }
        quiet.sort_by_key(|(symbol, rule, id, _)| (*symbol, *rule, *id));
        let quiet: Vec<(AlertId, &End)> = quiet.into_iter().map(|(.., id, end)| (id, end)).collect();
        for (id, end) in quiet {
            out.extend(self.tell(id, end.at, (end.number, end.fired_at), &BTreeMap::new()));
        }
    }

    /// The alert of an episode that fires and was not told, if as of `at` nothing keeps it quiet any more.
    fn tell(
        &mut self,
        id: AlertId,
        at: Nanos,
        (number, fired_at): (u64, Option<Nanos>),
        ends: &BTreeMap<AlertId, Nanos>,
    ) -> Option<Alert> {
        let standing = self.standing.get(&id)?;
        // What another symbol says may be of a time before that.
        let event_time = at.max(standing.looked);
        let untold = standing.untold.as_deref()?;
        let told = Alert { event_time, fired_at, number, suppressed: None, ..untold.clone() };
        let why = self.reason(&told, ends);
        let standing = self.standing.get_mut(&id)?;
        standing.looked = event_time;
        standing.suppressed.clone_from(&why);
        if why.is_some() {
            return None;
        }
        standing.untold = None;
        Some(told)
    }

    fn hear(&mut self, symbol: &str, news: &News<'_>, at: (u64, Option<Nanos>), out: &mut Vec<Step>) {
        for crossing in &mut self.crossings {
            let mut alerts = Vec::new();
            crossing.hear(symbol, news, at, self.idle, &mut alerts);
            out.extend(merged(alerts, std::mem::take(&mut crossing.lifts)));
        }
    }

    /// Another book: rules that are in both go on, the others end.
    fn replace(&mut self, book: &Arc<RuleBook>, number: u64, out: &mut Vec<Step>) {
        let mut old = std::mem::take(&mut self.crossings);
        for mut crossing in old.extract_if(.., |it| book.rules().iter().all(|rule| rule.text != it.text())) {
            let mut alerts = Vec::new();
            crossing.end((number, None), &mut alerts);
            out.extend(merged(alerts, Vec::new()));
        }
        self.crossings = crossings(book);
        for crossing in &mut self.crossings {
            if let Some(was) = old.iter().find(|was| was.text() == crossing.text()) {
                crossing.go_on_from(was);
                crossing.reconsider((number, None));
                out.extend(crossing.lifts.drain(..).map(Step::Lift));
            }
        }
        self.book = Some(Arc::clone(book));
    }

    /// Notes what the episode has come to, and whether people are to be told. `ends` are those of the same entry.
    fn suppress(&mut self, alert: &mut Alert, ends: &BTreeMap<AlertId, Nanos>) {
        if alert.state == State::Resolved {
            // Who was not told that it fires is not told that it ends.
            alert.suppressed = match self.standing.get(&alert.id) {
                Some(standing) => standing.suppressed.clone(),
                None => self.reason(alert, ends),
            };
            return;
        }
        alert.suppressed = self.reason(alert, ends);
        let is_untold = alert.state == State::Firing && alert.suppressed.is_some();
        let standing = self.standing.entry(alert.id).or_insert_with(|| Standing::of(alert));
        standing.suppressed.clone_from(&alert.suppressed);
        standing.looked = alert.event_time;
        standing.untold = is_untold.then(|| Box::new(alert.clone()));
    }

    fn reason(&self, alert: &Alert, ends: &BTreeMap<AlertId, Nanos>) -> Option<String> {
        let spec = self.book.as_ref()?.spec();
        let (subject, at) = (alert.subject(), alert.event_time);
        let silence = spec
            .silences
            .iter()
            .find(|it| it.of.matches(&subject) && it.from.is_none_or(|from| from <= at) && at < it.until);
        if let Some(silence) = silence {
            return Some(format!("silence:{}", silence.name));
        }
        for inhibition in spec.inhibitions.iter().filter(|it| it.target.matches(&subject)) {
            // Two that are both would keep each other quiet, and nobody were told.
            let is_source = inhibition.source.matches(&subject);
            let inhibits = |(id, standing): &(&AlertId, &Standing)| {
                let other = standing.subject();
                standing.is_firing
                    && **id != alert.id
                    && ends.get(id).is_none_or(|end| at < *end)
                    && inhibition.source.matches(&other)
                    && !(is_source && inhibition.target.matches(&other))
                    && inhibition.equal.iter().all(|by| by.is_common(&other, &subject))
            };
            if let Some((_, source)) = self.standing.iter().find(inhibits) {
                return Some(format!("inhibited:{}", source.rule));
            }
        }
        None
    }

    /// Appends its bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(VERSION);
        out.put_u64(self.book.as_ref().map_or(0, |book| u64::from(book.number())));
        self.crossings.iter().for_each(|crossing| crossing.encode(out));
        out.put_u64(self.standing.len() as u64);
        for (id, standing) in &self.standing {
            out.extend(id.0);
            standing.encode(out);
        }
    }

    /// Reads what [`Dispatch::encode`] wrote.
    ///
    /// # Errors
    /// [`CodecError`] if the bytes are no dispatch, or one of a book that is not there.
    pub fn decode(books: &Books, idle: Nanos, bytes: &[u8]) -> Result<Dispatch, CodecError> {
        let mut from = Reader::new(bytes);
        let version = from.u8()?;
        if !(1..=VERSION).contains(&version) {
            return Err(CodecError::Invalid);
        }
        let book = match u32::try_from(from.u64()?).map_err(|_| CodecError::Invalid)? {
            0 => None,
            number => Some(books.get(number).ok_or(CodecError::Invalid)?),
        };
        let mut dispatch = Dispatch::new(book, idle);
        for crossing in &mut dispatch.crossings {
            crossing.decode(version, &mut from)?;
        }
        for _ in 0..from.u64()? {
            let mut id = [0; 16];
            for byte in &mut id {
                *byte = from.u8()?;
            }
            let standing = Standing::decode(version, dispatch.book.as_deref(), &mut from)?;
            dispatch.standing.insert(AlertId(id), standing);
        }
        if from.is_empty() { Ok(dispatch) } else { Err(CodecError::Invalid) }
    }
}

fn crossings(book: &Arc<RuleBook>) -> Vec<Crossing> {
    let places = (0..book.rules().len()).filter(|&place| book.rules()[place].is_cross());
    places.map(|place| Crossing::new(book, place)).collect()
}

fn text(from: &mut Reader<'_>) -> Result<String, CodecError> {
    std::str::from_utf8(from.bytes()?).map(str::to_owned).map_err(|_| CodecError::Invalid)
}
