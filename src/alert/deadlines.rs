//! A judge's deadlines: what time alone makes rules say, and the end of all time.

use feeds::time::Nanos;

use super::episode::Step;
use super::judge::{Judge, Judged, Kept, Sight};
use crate::window::Emission;

impl Judge {
    /// All inputs are exhausted: every window that was emitted is judged as final.
    pub fn end(&mut self, sight: &Sight<'_>, emissions: &[Emission], out: &mut Judged) {
        for emission in emissions {
            self.history.absorb(emission, &self.book.inputs().series);
        }
        if sight.windows.frontier() != Nanos::MIN {
            let last_ends: Vec<Nanos> = self.kept.iter().map(|kept| self.last_end(kept)).collect();
            while let Some(end) = self.history.next_end() {
                self.pass_ending(sight, end, &last_ends, out);
                self.finalise(sight, end, out);
            }
            self.tell_watermark(sight, Nanos::MAX, out);
        }
    }

    /// The last end of what a rule reads: for it, time goes on until then, and not until what other rules read ends.
    fn last_end(&self, kept: &Kept) -> Nanos {
        let rule = &self.book.rules()[kept.rule];
        let ends = rule.conditions().filter_map(|it| self.history.last_end(&it.reads().windows));
        ends.max().unwrap_or(Nanos::MIN)
    }

    /// Passes the deadlines of rules over final windows before `time`, or up to it.
    pub(super) fn pass_closed(&mut self, sight: &Sight<'_>, time: Nanos, inclusive: bool, out: &mut Judged) {
        let is_past = |due: Nanos| if inclusive { due <= time } else { due < time };
        while is_past(self.closed_due) {
            let first = self.first_due(true);
            match first {
                Some((due, place)) if is_past(due) => self.pass(place, sight, due, out),
                _ => break,
            }
        }
    }

    /// The same of those before `time` that are also before their rule's own of `last_ends`, by its place.
    pub(super) fn pass_ending(
        &mut self,
        sight: &Sight<'_>,
        time: Nanos,
        last_ends: &[Nanos],
        out: &mut Judged,
    ) {
        let is_past = |&(due, place): &(Nanos, usize)| due < time && due < last_ends[place];
        while let Some((due, place)) = self.dues(true).filter(is_past).min() {
            self.pass(place, sight, due, out);
        }
    }

    pub(super) fn pass_live(&mut self, sight: &Sight<'_>, time: Nanos, out: &mut Judged) {
        while time >= self.live_due {
            match self.first_due(false) {
                Some((due, place)) if due <= time => {
                    self.look(sight, due);
                    self.pass(place, sight, due, out);
                }
                _ => break,
            }
        }
    }

    /// The first deadline of the rules over final windows, or of the others; sets from when on to look again.
    fn first_due(&mut self, is_closed: bool) -> Option<(Nanos, usize)> {
        let first = self.dues(is_closed).min();
        let due = first.map_or(Nanos::MAX, |(due, _)| due);
        if is_closed {
            self.closed_due = due
        } else {
            self.live_due = due
        }
        first
    }

    /// The deadlines of the rules over final windows, or of the others, with the rules' places.
    fn dues(&self, is_closed: bool) -> impl Iterator<Item = (Nanos, usize)> + '_ {
        let dues = self.kept.iter().enumerate().filter_map(move |(place, kept)| {
            let rule = &self.book.rules()[kept.rule];
            let is_one = is_closed == rule.is_judged_at_ends();
            is_one.then(|| (self.due(place), place))
        });
        dues.filter(|(due, _)| *due != Nanos::MAX)
    }

    /// When time alone changes something for the rule at this place, or for who hears of it.
    #[inline]
    pub(super) fn due(&self, place: usize) -> Nanos {
        let kept = &self.kept[place];
        kept.deadline(&self.book.rules()[kept.rule]).min(self.lifts[place])
    }

    pub(super) fn reckon(&mut self) {
        self.first_due(true);
        self.first_due(false);
    }

    /// The deadline `due` of a rule has come.
    fn pass(&mut self, place: usize, sight: &Sight<'_>, due: Nanos, out: &mut Judged) {
        let kept = &mut self.kept[place];
        let rule = &self.book.rules()[kept.rule];
        let mut steps: [Option<Step>; 2] = [None, None];
        if rule.when.deadline(&kept.when) == Some(due) {
            let holds = rule.when.pass(due, &mut kept.when) == Some(true);
            steps[0] = kept.episode.judge(&rule.terms, due, holds, rule.until.as_ref().map(|_| false));
        }
        if kept.episode.deadline().is_some_and(|at| at <= due) {
            steps[1] = kept.episode.pass();
        }
        for step in steps.into_iter().flatten() {
            let alert = self.alert(place, &step, sight);
            out.alerts.push(alert);
        }
        if self.lifts[place] <= due {
            self.lift(place, sight, due, out);
        }
        self.look_for_silence(place, due);
        self.reckon();
    }
}
