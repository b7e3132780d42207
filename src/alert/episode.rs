//! The episode of one rule at one symbol: pending, firing, resolved. One piece of code for all rules.
//!
//! All times are event times. `for`, `cooldown` and "once per window" are one thing: a time before which the rule does
//! not fire, however long its condition has held by then. It is a deadline: whoever keeps the episode calls
//! [`Episode::pass`] before anything later than it is applied.
//!
//! # Bytes
//! Phase (0 idle, 1 held back, 2 pending, 3 firing); since i64 and due i64, of what has them; option of the time at which
//! it fired last; option of (time of the last beginning i64, how many began there u64).

use feeds::time::Nanos;

use super::State;
use crate::codec::{CodecError, Put, Reader};

/// What a rule says about firing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// The condition must have held for so long.
    pub hold: Nanos,
    /// From one firing to the next at least so long.
    pub cooldown: Nanos,
    /// At most once in each span of this length, which begin at multiples of it; 0 for no such limit.
    pub once_in: Nanos,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Idle,
    /// The condition holds; it has fired too lately to fire again before `due`.
    Held {
        due: Nanos,
    },
    /// The condition holds, and was told to be pending.
    Pending {
        due: Nanos,
    },
    Firing,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Episode {
    phase: Phase,
    fired: Option<Nanos>,
    /// When the last episode began, and how many began at that time before it.
    begun: Option<(Nanos, u64)>,
}

/// A step that an episode took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// To what.
    pub state: State,
    /// When.
    pub at: Nanos,
    /// When its episode began.
    pub began: Nanos,
    /// How many episodes of the rule began at the symbol at that time before this one.
    pub nth: u64,
}

impl Episode {
    /// The step by which it fires, while it does.
    #[must_use]
    pub fn firing(&self) -> Option<Step> {
        let fired = self.fired.filter(|_| self.phase == Phase::Firing)?;
        Some(self.step(State::Firing, fired))
    }

    /// The condition was judged at `at`: whether it holds, and whether the rule's own end of it has come (`None` if it
    /// has none: then it ends when it does not hold).
    #[inline]
    pub fn judge(&mut self, terms: &Terms, at: Nanos, holds: bool, until: Option<bool>) -> Option<Step> {
        match self.phase {
            Phase::Idle if !holds => None,
            Phase::Idle => self.begin(terms, at),
            Phase::Held { .. } | Phase::Pending { .. } if holds => None,
            Phase::Held { .. } => {
                self.phase = Phase::Idle;
                None
            }
            Phase::Pending { .. } => self.resolve(at),
            Phase::Firing if until.unwrap_or(!holds) => self.resolve(at),
            Phase::Firing => None,
        }
    }

    /// When it fires if nothing is judged before.
    #[inline]
    #[must_use]
    pub fn deadline(&self) -> Option<Nanos> {
        match self.phase {
            Phase::Held { due } | Phase::Pending { due } => Some(due),
            Phase::Idle | Phase::Firing => None,
        }
    }

    /// The deadline has come.
    pub fn pass(&mut self) -> Option<Step> {
        match self.phase {
            Phase::Held { due } => {
                self.note_beginning(due);
                Some(self.fire(due))
            }
            Phase::Pending { due } => Some(self.fire(due)),
            Phase::Idle | Phase::Firing => None,
        }
    }

    /// The rule is no more: what was told of it ends at `at`.
    pub fn end(&mut self, at: Nanos) -> Option<Step> {
        match std::mem::take(&mut self.phase) {
            Phase::Pending { .. } | Phase::Firing => self.resolve(at),
            Phase::Idle | Phase::Held { .. } => None,
        }
    }

    fn begin(&mut self, terms: &Terms, at: Nanos) -> Option<Step> {
        let held = at.saturating_add(terms.hold);
        let due = held.max(self.free_at(terms));
        if due <= at {
            self.note_beginning(at);
            return Some(self.fire(at));
        }
        if terms.hold == 0 {
            self.phase = Phase::Held { due };
            return None;
        }
        self.note_beginning(at);
        self.phase = Phase::Pending { due };
        Some(self.step(State::Pending, at))
    }

    /// Before this it has fired too lately.
    fn free_at(&self, terms: &Terms) -> Nanos {
        let Some(fired) = self.fired else { return Nanos::MIN };
        let cooled = fired.saturating_add(terms.cooldown);
        match terms.once_in {
            0 => cooled,
            span => cooled.max((fired.div_euclid(span) + 1).saturating_mul(span)),
        }
    }

    fn note_beginning(&mut self, at: Nanos) {
        let nth = self.begun.filter(|(time, _)| *time == at).map_or(0, |(_, nth)| nth + 1);
        self.begun = Some((at, nth));
    }

    fn fire(&mut self, at: Nanos) -> Step {
        self.phase = Phase::Firing;
        self.fired = Some(at);
        self.step(State::Firing, at)
    }

    fn resolve(&mut self, at: Nanos) -> Option<Step> {
        self.phase = Phase::Idle;
        Some(self.step(State::Resolved, at))
    }

    fn step(&self, state: State, at: Nanos) -> Step {
        let (began, nth) = self.begun.unwrap_or((at, 0));
        Step { state, at, began, nth }
    }

    /// Appends its bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self.phase {
            Phase::Idle => out.put_u8(0),
            Phase::Held { due } => {
                out.put_u8(1);
                out.put_i64(due);
            }
            Phase::Pending { due } => {
                out.put_u8(2);
                out.put_i64(due);
            }
            Phase::Firing => out.put_u8(3),
        }
        out.put_u8(u8::from(self.fired.is_some()));
        if let Some(fired) = self.fired {
            out.put_i64(fired);
        }
        out.put_u8(u8::from(self.begun.is_some()));
        if let Some((at, nth)) = self.begun {
            out.put_i64(at);
            out.put_u64(nth);
        }
    }

    /// Reads what [`Episode::encode`] wrote.
    ///
    /// # Errors
    /// [`CodecError`] if the bytes are no episode.
    pub fn decode(from: &mut Reader<'_>) -> Result<Episode, CodecError> {
        let phase = match from.u8()? {
            0 => Phase::Idle,
            1 => Phase::Held { due: from.i64()? },
            2 => Phase::Pending { due: from.i64()? },
            3 => Phase::Firing,
            _ => return Err(CodecError::Invalid),
        };
        let mut is_some = || match from.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(CodecError::Invalid),
        };
        let fired = if is_some()? { Some(from.i64()?) } else { None };
        let begun = match from.u8()? {
            0 => None,
            1 => Some((from.i64()?, from.u64()?)),
            _ => return Err(CodecError::Invalid),
        };
        Ok(Episode { phase, fired, begun })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Runs judgements, deadlines in between, over a codec round trip each; what was told, as `state@time`.
    fn told(terms: Terms, judged: &[(Nanos, bool)]) -> Vec<String> {
        let mut episode = Episode::default();
        let mut told = Vec::new();
        for &(at, holds) in judged {
            while let Some(due) = episode.deadline().filter(|due| *due <= at) {
                let step = episode.pass().expect("a deadline fires");
                assert_eq!(step.at, due);
                told.push(format!("{}@{}", step.state.name(), step.at));
            }
            let step = episode.judge(&terms, at, holds, None);
            told.extend(step.map(|step| format!("{}@{}", step.state.name(), step.at)));
            let mut bytes = Vec::new();
            episode.encode(&mut bytes);
            assert_eq!(Episode::decode(&mut Reader::new(&bytes)), Ok(episode.clone()));
        }
        told
    }

    #[test]
    fn without_terms_it_follows_the_condition() {
        let judged = [(1, false), (2, true), (3, true), (4, false), (4, true), (9, false)];
        let expected = ["firing@2", "resolved@4", "firing@4", "resolved@9"];
        assert_eq!(told(Terms::default(), &judged), expected);
    }

    #[test]
    fn it_fires_at_the_deadline_and_not_when_the_next_tick_comes() {
        let terms = Terms { hold: 5, ..Terms::default() };
        assert_eq!(told(terms, &[(1, true), (20, false)]), ["pending@1", "firing@6", "resolved@20"]);
        assert_eq!(told(terms, &[(1, true), (5, false), (20, false)]), ["pending@1", "resolved@5"]);
    }

    #[test]
    fn a_condition_that_holds_when_the_cooldown_ends_fires_then() {
        let terms = Terms { cooldown: 10, ..Terms::default() };
        let judged = [(1, true), (2, false), (3, true), (4, false), (5, true), (30, true), (31, false)];
        assert_eq!(told(terms, &judged), ["firing@1", "resolved@2", "firing@11", "resolved@31"]);
        let once = Terms { once_in: 10, ..Terms::default() };
        assert_eq!(told(once, &judged), ["firing@1", "resolved@2", "firing@10", "resolved@31"]);
    }

    #[test]
    fn an_end_of_its_own_is_what_counts() {
        let mut episode = Episode::default();
        let terms = Terms::default();
        assert!(episode.judge(&terms, 1, true, Some(false)).is_some());
        assert_eq!(episode.judge(&terms, 2, false, Some(false)), None);
        let step = episode.judge(&terms, 3, true, Some(true)).map(|step| (step.state, step.began));
        assert_eq!(step, Some((State::Resolved, 1)));
    }

    #[test]
    fn episodes_that_begin_at_one_time_are_counted() {
        let mut episode = Episode::default();
        let mut nth = |holds| episode.judge(&Terms::default(), 7, holds, None).map(|step| step.nth);
        assert_eq!([nth(true), nth(false), nth(true), nth(false)], [Some(0), Some(0), Some(1), Some(1)]);
    }

    proptest! {
        /// However it flaps: firings are as far apart as the terms say, every firing is resolved before the next, and
        /// none comes earlier than the condition had held for.
        #[test]
        fn terms_are_kept(
            hold in 0i64..6, cooldown in 0i64..20, once_in in 0i64..9,
            judged in prop::collection::vec((0i64..4, any::<bool>()), 1..60),
        ) {
            let terms = Terms { hold, cooldown, once_in };
            let mut at = 0;
            let judged: Vec<(Nanos, bool)> =
                judged.into_iter().map(|(step, holds)| { at += step; (at, holds) }).collect();
            let rows = told(terms, &judged);
            let mut firing = false;
            let mut last: Option<Nanos> = None;
            for row in &rows {
                let (state, time) = row.split_once('@').unwrap();
                let time: Nanos = time.parse().unwrap();
                match state {
                    "firing" => {
                        prop_assert!(!firing);
                        firing = true;
                        if let Some(last) = last {
                            prop_assert!(time - last >= cooldown);
                            prop_assert!(once_in == 0 || last.div_euclid(once_in) != time.div_euclid(once_in));
                        }
                        last = Some(time);
                        let held_since = judged.iter().rposition(|(at, holds)| *at < time && !holds);
                        let begins = judged.iter().skip(held_since.map_or(0, |place| place + 1));
                        let since = begins.clone().find(|(_, holds)| *holds).map(|(at, _)| *at);
                        prop_assert!(since.is_some_and(|since| time - since >= hold));
                    }
                    "resolved" => firing = false,
                    _ => prop_assert!(!firing),
                }
            }
        }
    }
}
