//! Looks at windows that are open: whether anybody wants them, and which symbol hands one in with which epoch.
//!
//! A look is no result. It is taken when the epoch's entries are applied, told when the epoch is committed, and kept
//! nowhere. While nobody looks, an epoch costs one read of a counter.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::config::limits::LOOK_EVERY;

/// How many look. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Lookers(Arc<AtomicUsize>);

/// One who looks, until this is dropped.
#[derive(Debug)]
pub struct Looker(Lookers);

impl Lookers {
    /// One more looks.
    #[must_use]
    pub fn join(&self) -> Looker {
        self.0.fetch_add(1, Ordering::Relaxed);
        Looker(self.clone())
    }

    /// True if somebody looks.
    #[must_use]
    pub fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Looker {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How long a symbol rests between two looks.
const REST: Duration = Duration::from_nanos(LOOK_EVERY.unsigned_abs());

/// A symbol, as far as looks go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looked {
    /// Its next entry is worth a look.
    Free,
    /// It was looked at a moment ago, and has changed since or not.
    Resting { is_changed: bool },
    /// It has changed since the last look, and has rested.
    Due,
}

/// Which symbols hand in a look with the epoch in hand.
#[derive(Debug, Default)]
pub(super) struct Looks {
    lookers: Lookers,
    /// By the symbol's number; none while nobody looks.
    symbols: Vec<Looked>,
    /// Who rests until when: in the order of time, because all rest for equally long.
    resting: VecDeque<(Instant, u32)>,
    /// Who has rested and has changed meanwhile.
    due: Vec<u32>,
    /// When those that are looked at now have rested; `None` if none is.
    until: Option<Instant>,
}

impl Looks {
    pub(super) fn new(lookers: Lookers) -> Looks {
        Looks { lookers, ..Looks::default() }
    }

    /// An epoch begins, cut at `now`, when there are `symbols` symbols.
    pub(super) fn begin(&mut self, now: Option<Instant>, symbols: usize) {
        let Some(now) = now.filter(|_| self.lookers.any()) else {
            if self.until.take().is_some() {
                *self = Looks::new(self.lookers.clone());
            }
            return;
        };
        let is_first = self.symbols.is_empty();
        self.until = Some(now + REST);
        self.symbols.resize(symbols, Looked::Free);
        if is_first {
            // Whoever comes sees every open window soon, and no epoch has all of them at once.
            self.symbols.fill(Looked::Resting { is_changed: true });
            let count = u32::try_from(symbols).unwrap_or(u32::MAX);
            self.resting.extend((0..count).map(|symbol| (now + REST * symbol / count, symbol)));
        }
        while let Some(&(until, symbol)) = self.resting.front()
            && until <= now
        {
            self.resting.pop_front();
            let Some(looked) = self.symbols.get_mut(symbol as usize) else { continue };
            if *looked == (Looked::Resting { is_changed: true }) {
                self.due.push(symbol);
                *looked = Looked::Due;
            } else {
                *looked = Looked::Free;
            }
        }
    }

    /// This symbol has a share of the epoch: true if it hands in a look with it.
    pub(super) fn takes(&mut self, symbol: u32) -> bool {
        let Some((until, looked)) = self.until.zip(self.symbols.get_mut(symbol as usize)) else {
            return false;
        };
        let is_looked_at = !matches!(looked, Looked::Resting { .. });
        *looked = Looked::Resting { is_changed: !is_looked_at };
        if is_looked_at {
            self.resting.push_back((until, symbol));
        }
        is_looked_at
    }

    /// Who has no share of the epoch, and hands in a look of what came before.
    pub(super) fn rest(&mut self) -> Vec<u32> {
        let mut rest = std::mem::take(&mut self.due);
        rest.retain(|&symbol| self.symbols.get(symbol as usize) == Some(&Looked::Due));
        rest.retain(|&symbol| self.takes(symbol));
        rest
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;

    /// Who hands in a look at `millis` behind `begun`, of four, when these have a share.
    fn looks(looks: &mut Looks, begun: Instant, millis: u64, shares: &[u32]) -> (Vec<u32>, Vec<u32>) {
        looks.begin(Some(begun + Duration::from_millis(millis)), 4);
        let with = shares.iter().copied().filter(|&symbol| looks.takes(symbol)).collect();
        (with, looks.rest())
    }

    #[test]
    fn each_symbol_is_looked_at_when_it_has_changed_and_has_rested() {
        let (lookers, begun) = (Lookers::default(), clock::stamp().instant());
        let mut all = Looks::new(lookers.clone());
        assert_eq!(looks(&mut all, begun, 0, &[0, 1]), (vec![], vec![]), "nobody looks");
        let looker = lookers.join();
        let other = lookers.join();
        assert_eq!(looks(&mut all, begun, 0, &[1]), (vec![], vec![0]), "all are, one after the other");
        assert_eq!(looks(&mut all, begun, 70, &[]), (vec![], vec![1]));
        assert_eq!(looks(&mut all, begun, 188, &[3]), (vec![3], vec![2]));
        assert_eq!(looks(&mut all, begun, 249, &[0]), (vec![], vec![]), "it rests");
        assert_eq!(
            looks(&mut all, begun, 250, &[]),
            (vec![], vec![0]),
            "what it said meanwhile is not left out"
        );
        assert_eq!(looks(&mut all, begun, 900, &[]), (vec![], vec![]), "nothing has changed");
        drop(other);
        assert_eq!(looks(&mut all, begun, 901, &[2, 2]), (vec![2], vec![]));
        assert_eq!(looks(&mut all, begun, 902, &[2]), (vec![], vec![]));
        assert_eq!(looks(&mut all, begun, 1_151, &[2]), (vec![2], vec![]), "with its share, if it has one");
        drop(looker);
        assert_eq!(looks(&mut all, begun, 9_000, &[2]), (vec![], vec![]));
        assert!(all.symbols.is_empty() && all.resting.is_empty());
    }
}
