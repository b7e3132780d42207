//! Where silences end: whoever judges says so in its symbol's time, and the dispatch decides whether that is told.
//!
//! It is a deadline of an episode that fires, as `for` is of one that is pending. To say it again changes nothing, so that it
//! is not kept in snapshots.

use feeds::time::Nanos;

use super::crossing::Crossing;
use super::judge::{Judge, Judged, Sight};
use super::{Alert, AlertId};

/// A silence of an episode that fires may have ended: whoever decides about silences looks again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lift {
    /// So many alerts came before it.
    pub behind: usize,
    /// The entry that says so.
    pub number: u64,
    /// When that came in.
    pub received_at: Option<Nanos>,
    /// The episode.
    pub id: AlertId,
    /// The event time of it.
    pub at: Nanos,
}

/// A step of an episode, or what may have one told that was not.
pub(super) enum Step {
    Row(Box<Alert>),
    Lift(Lift),
}

/// Puts alerts and ends of silences into one order.
pub(super) fn merged(alerts: Vec<Alert>, lifts: Vec<Lift>) -> Vec<Step> {
    let mut steps = Vec::with_capacity(alerts.len() + lifts.len());
    let mut lifts = lifts.into_iter().peekable();
    for (place, alert) in alerts.into_iter().enumerate() {
        while let Some(lift) = lifts.next_if(|lift| lift.behind <= place) {
            steps.push(Step::Lift(lift));
        }
        steps.push(Step::Row(Box::new(alert)));
    }
    steps.extend(lifts.map(Step::Lift));
    steps
}

impl Judge {
    /// Sets when a silence of the rule at this place ends next, behind `after`.
    pub(super) fn look_for_silence(&mut self, place: usize, after: Nanos) {
        let kept = &self.kept[place];
        let end = kept.episode.firing().and_then(|_| self.book.silence_end(kept.rule, &self.symbol, after));
        self.lifts[place] = end.unwrap_or(Nanos::MAX);
    }

    /// Sets when silences end next, of a judge whose episodes are not its own.
    pub(super) fn look_for_silences(&mut self) {
        for place in 0..self.kept.len() {
            if let Some(fired) = self.kept[place].episode.firing() {
                self.look_for_silence(place, fired.at);
            }
        }
    }

    /// Says that a silence of the rule at this place may have ended, if it fires.
    pub(super) fn lift(&self, place: usize, sight: &Sight<'_>, at: Nanos, out: &mut Judged) {
        let kept = &self.kept[place];
        if let Some(step) = kept.episode.firing() {
            let id = self.book.rules()[kept.rule].id(&self.symbol, &step);
            let (behind, number, received_at) = (out.alerts.len(), sight.number, sight.received_at);
            out.lifts.push(Lift { behind, number, received_at, id, at });
        }
    }
}

impl Crossing {
    /// Sets when a silence of it ends next, behind `after`.
    pub(super) fn look_for_silence(&mut self, after: Nanos) {
        let fires = self.kept.episode.firing();
        let end = fires.and_then(|_| self.book.silence_end(self.kept.rule, &self.symbol(), after));
        self.lift = end.unwrap_or(Nanos::MAX);
    }

    /// The same for an episode that is not its own.
    pub(super) fn look_for_silences(&mut self) {
        if let Some(fired) = self.kept.episode.firing() {
            self.look_for_silence(fired.at);
        }
    }

    /// Says that a silence of it may have ended, behind so many alerts, if it fires.
    pub(super) fn may_be_told(&mut self, at: Nanos, behind: usize) {
        if let Some(step) = self.kept.episode.firing() {
            let id = self.rule().id(&self.symbol(), &step);
            self.lifts.push(Lift { behind, number: self.at.0, received_at: self.at.1, id, at });
        }
    }

    /// Other silences and inhibitions are in force.
    pub(super) fn reconsider(&mut self, at: (u64, Option<Nanos>)) {
        self.at = at;
        self.may_be_told(self.reached, 0);
    }
}
