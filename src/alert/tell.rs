//! What a judge tells: a step of an episode as an alert, with what the rule saw.

use super::episode::Step;
use super::judge::{Judge, Look, Sight, sort};
use super::rulebook::Rule;
use super::{Alert, SeenWindow};
use crate::rule::Number;

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
        let text = |value: Option<Number>| value.map_or_else(String::new, |value| value.to_string());
        let mut values: Vec<(String, String)> =
            rule.when.saw(&look, &kept.when).into_iter().map(|(name, value)| (name, text(value))).collect();
        if let (Some(until), Some(memory)) = (&rule.until, &kept.until) {
            for (name, value) in until.saw(&look, memory) {
                if values.iter().all(|(known, _)| *known != name) {
                    values.push((name, text(value)));
                }
            }
        }
        Alert {
            id: rule.id(&self.symbol, step),
            state: step.state,
            rule: rule.spec.name.clone(),
            symbol: self.symbol.clone(),
            severity: rule.severity(),
            event_time: step.at,
            fired_at: Some(sight.received_at.unwrap_or(step.at)),
            message: rule.message.render(&look, &self.symbol, &rule.spec.name, rule.severity().name()),
            labels: rule.labels(),
            values,
            windows: self.seen(rule, sight),
            number: sight.number,
            suppressed: None,
        }
    }

    /// The windows that the rule reads: those that are not over, and the newest final ones.
    fn seen(&self, rule: &Rule, sight: &Sight<'_>) -> Vec<SeenWindow> {
        let mut seen = Vec::new();
        let mut windows: Vec<usize> =
            rule.conditions().flat_map(|it| it.reads().windows.iter().copied()).collect();
        sort(&mut windows);
        for window in windows {
            seen.extend(self.history.named(window).next_back().map(|mark| SeenWindow {
                symbol: None,
                window: self.book.window_name(window).to_owned(),
                start: mark.start,
                revision: Some(mark.revision),
                flags: mark.flags,
            }));
        }
        let slots: Vec<usize> = rule.conditions().flat_map(|it| it.reads().slots.iter().copied()).collect();
        for kept in self.live.iter().filter(|kept| kept.slots.iter().any(|slot| slots.contains(slot))) {
            let (window, Some(standing)) = (kept.live.window(), kept.live.standing()) else { continue };
            let end = standing.start.saturating_add(self.book.size(window));
            seen.push(SeenWindow {
                symbol: None,
                window: self.book.window_name(window).to_owned(),
                start: standing.start,
                revision: None,
                flags: (sight.flags)(sight.plan.reads(window), standing.start, end),
            });
        }
        seen
    }
}
