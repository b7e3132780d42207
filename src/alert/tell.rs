//! What a judge tells: a step of an episode as an alert, with what the rule saw.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use feeds::time::Nanos;

use super::episode::Step;
use super::facts::LiveWindow;
use super::judge::{Judge, Kept, Look, Sight};
use super::rulebook::Rule;
use super::seen::finals;
use super::{Alert, SeenWindow};
use crate::rule::{Condition, LooksAt, Market, Memory, Number, Slot};

impl Judge {
    /// The step as an alert.
    pub(super) fn alert(&mut self, place: usize, step: &Step, sight: &Sight<'_>) -> Alert {
        let rule = &self.book.rules()[self.kept[place].rule];
        // What is of now was read for conditions that read it; who reads it in its message alone has not looked yet.
        if rule.is_closed() && !rule.message.reads().slots.is_empty() {
            self.look(sight, step.at);
        }
        let kept = &self.kept[place];
        let rule = &self.book.rules()[kept.rule];
        let look = Look { values: &self.values, history: &self.history, now: step.at };
        Alert {
            id: rule.id(&self.symbol, step),
            state: step.state,
            rule: rule.spec.name.clone(),
            symbol: self.symbol.clone(),
            severity: rule.severity(),
            event_time: step.at,
            fired_at: Some(sight.received_at.unwrap_or(step.at)),
            message: rule.said(&look, &self.symbol, step.state),
            labels: rule.labels(),
            values: kept.values(rule, &look),
            windows: self.seen(kept, rule, sight),
            number: sight.number,
            suppressed: None,
        }
    }

    /// Reads what is of now.
    pub(super) fn look(&mut self, sight: &Sight<'_>, now: Nanos) {
        let slots = &self.book.inputs().slots;
        for LiveWindow { slots: read, live } in &mut self.live {
            let standing = live.read(sight.windows, sight.plan);
            for &place in &*read {
                let Slot::Live { stat, .. } = &slots[place] else { continue };
                let value = standing.and_then(|standing| (stat.value)(&standing.view()));
                self.values[place] = value.and_then(|value| Number::from_value(&value));
            }
        }
        for &place in &self.slots {
            self.values[place] = self.facts.slot(&slots[place], now, sight);
        }
    }

    /// The windows that the rule read: the final ones, then those that are not over.
    fn seen(&self, kept: &Kept, rule: &Rule, sight: &Sight<'_>) -> Vec<SeenWindow> {
        let looked = kept.looked(rule);
        let inputs = self.book.inputs();
        // What was final at a rule's time: for a live one the watermark was behind that.
        let behind = if rule.is_judged_at_ends() { 0 } else { sight.plan.lateness };
        let closed = looked.iter().map(|&(looks, at)| (looks, at.map(|at| at.saturating_sub(behind))));
        let of = |series: usize| {
            let window = inputs.series.get(series)?.window;
            Some((window, self.history.remembered(series, window)?))
        };
        let mut seen = finals(closed, of, |window| (None, self.book.window_name(window).to_owned()));
        let mut open: BTreeSet<(usize, Reverse<Nanos>)> = BTreeSet::new();
        for (looks, at) in looked {
            let LooksAt::Slot(place) = looks else { continue };
            let Some(Slot::Live { window, .. }) = inputs.slots.get(place) else { continue };
            let size = self.book.size(*window).max(1);
            let standing = || self.live.iter().find(|kept| kept.live.window() == *window)?.live.standing();
            let start = match at {
                Some(at) => Some(at.div_euclid(size).saturating_mul(size)),
                None => standing().map(|standing| standing.start),
            };
            open.extend(start.map(|start| (*window, Reverse(start))));
        }
        seen.extend(open.into_iter().map(|(window, Reverse(start))| {
            let end = start.saturating_add(self.book.size(window));
            let flags = (sight.flags)(sight.plan.reads(window), start, end);
            SeenWindow::open(self.book.window_name(window), start, flags)
        }));
        seen
    }
}

impl Kept {
    /// What its conditions saw, as it is written in them, with its value; nothing is an empty text.
    pub(super) fn values(&self, rule: &Rule, look: &impl Market) -> Vec<(String, String)> {
        let mut values: Vec<(String, String)> = Vec::new();
        for (condition, memory) in self.conditions(rule) {
            for (name, value) in condition.saw(look, memory) {
                if values.iter().all(|(known, _)| *known != name) {
                    values.push((name, value.map_or_else(String::new, |value| value.to_string())));
                }
            }
        }
        values
    }

    /// The windows that its conditions looked at, with the rule time as of which, if that is not now.
    pub(super) fn looked(&self, rule: &Rule) -> Vec<(LooksAt, Option<Nanos>)> {
        self.conditions(rule).flat_map(|(condition, memory)| condition.looked(memory)).collect()
    }

    fn conditions<'a>(&'a self, rule: &'a Rule) -> impl Iterator<Item = (&'a Condition, &'a Memory)> {
        let until = rule.until.as_ref().zip(self.until.as_ref());
        std::iter::once((&rule.when, &self.when)).chain(until)
    }
}
