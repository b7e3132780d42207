//! Windows as they are committed, for whoever follows them: a short tail that all share.
//!
//! Nothing is kept while nobody follows. What is kept is bounded, so whoever is too slow finds that something was left
//! out; the store has it all.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use feeds::symbol::Symbol;
use tokio::sync::watch;

use crate::actors::work::ShareResult;
use crate::config::limits::{WINDOW_TAIL, WINDOW_TAIL_BYTES};
use crate::schema::rows::Emissions;

/// What one symbol emitted in one epoch.
#[derive(Debug)]
pub struct Emitted {
    /// The symbol.
    pub symbol: Symbol,
    /// Its windows.
    pub emissions: Emissions,
    /// The number of the first of them; the others follow.
    pub first: u64,
}

impl Emitted {
    fn next(&self) -> u64 {
        self.first + self.emissions.heads.len() as u64
    }
}

#[derive(Debug, Default)]
struct Tail {
    entries: VecDeque<Arc<Emitted>>,
    emissions: usize,
    bytes: usize,
    /// The number of the last emission of this process, kept or not.
    head: u64,
}

#[derive(Debug, Default)]
struct Shared {
    followers: AtomicUsize,
    tail: Mutex<Tail>,
    head: watch::Sender<u64>,
}

/// Where emissions are found. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct WindowBoard(Arc<Shared>);

/// Emissions are kept for as long as one of these is.
#[derive(Debug)]
pub struct Following(WindowBoard);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.0.followers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl WindowBoard {
    /// Keeps emissions from now on.
    #[must_use]
    pub fn follow(&self) -> Following {
        self.0.followers.fetch_add(1, Ordering::Relaxed);
        Following(self.clone())
    }

    /// Hears when the last emission's number rises.
    #[must_use]
    pub fn heads(&self) -> watch::Receiver<u64> {
        self.0.head.subscribe()
    }

    /// The number of the oldest emission that is kept, or of the next one, and of the last.
    #[must_use]
    pub fn extent(&self) -> (u64, u64) {
        let tail = self.tail();
        (tail.entries.front().map_or(tail.head + 1, |entry| entry.first), tail.head)
    }

    /// What is kept behind emission `place`, up to some `most` emissions.
    #[must_use]
    pub fn behind(&self, place: u64, most: usize) -> Vec<Arc<Emitted>> {
        let tail = self.tail();
        let from = tail.entries.partition_point(|entry| entry.next() <= place + 1);
        let mut count = 0;
        let few = |entry: &&Arc<Emitted>| {
            let goes_on = count < most;
            count += entry.emissions.heads.len();
            goes_on
        };
        tail.entries.range(from..).take_while(few).cloned().collect()
    }

    /// These are committed. `symbols` are the names by number.
    pub(super) fn publish(&self, results: &[ShareResult], symbols: &[Symbol]) {
        let emitted = results.iter().filter(|result| !result.emissions.heads.is_empty());
        let is_followed = self.0.followers.load(Ordering::Relaxed) > 0;
        let mut tail = self.tail();
        let before = tail.head;
        if !is_followed && !tail.entries.is_empty() {
            *tail = Tail { head: before, ..Tail::default() };
        }
        for result in emitted {
            let first = tail.head + 1;
            tail.head += result.emissions.heads.len() as u64;
            let Some(symbol) = symbols.get(result.symbol as usize).filter(|_| is_followed) else { continue };
            let entry = Emitted { symbol: symbol.clone(), emissions: result.emissions.clone(), first };
            tail.emissions += entry.emissions.heads.len();
            tail.bytes += entry.emissions.size();
            tail.entries.push_back(Arc::new(entry));
        }
        while tail.emissions > WINDOW_TAIL || tail.bytes > WINDOW_TAIL_BYTES {
            let Some(oldest) = tail.entries.pop_front() else { break };
            tail.emissions -= oldest.emissions.heads.len();
            tail.bytes -= oldest.emissions.size();
        }
        let head = tail.head;
        drop(tail);
        if head > before {
            self.0.head.send_replace(head);
        }
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.0.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::tests::made::emission;

    fn result(symbol: u32, windows: std::ops::Range<i64>) -> ShareResult {
        let mut result = ShareResult { symbol, ..ShareResult::default() };
        for start in windows {
            result.emissions.push(&emission(0, start), 1);
        }
        result
    }

    fn starts(entries: &[Arc<Emitted>]) -> Vec<(u64, Vec<i64>)> {
        let of = |entry: &Arc<Emitted>| entry.emissions.heads.iter().map(|head| head.start).collect();
        entries.iter().map(|entry| (entry.first, of(entry))).collect()
    }

    #[test]
    fn what_nobody_follows_is_counted_and_not_kept() {
        let board = WindowBoard::default();
        let symbols = [Symbol::new("here", "A"), Symbol::new("here", "B")];
        board.publish(&[result(0, 0..3)], &symbols);
        assert_eq!(board.extent(), (4, 3));
        let (following, mut heads) = (board.follow(), board.heads());
        heads.mark_unchanged();
        board.publish(&[result(0, 0..0)], &symbols);
        assert!(!heads.has_changed().unwrap());
        board.publish(&[result(1, 3..5), result(0, 7..8)], &symbols);
        assert_eq!((*heads.borrow_and_update(), board.extent()), (6, (4, 6)));
        assert_eq!(starts(&board.behind(3, 9)), [(4, vec![3, 4]), (6, vec![7])]);
        assert_eq!(starts(&board.behind(4, 9)), [(4, vec![3, 4]), (6, vec![7])]);
        assert_eq!(starts(&board.behind(5, 9)), [(6, vec![7])]);
        assert_eq!(starts(&board.behind(3, 1)), [(4, vec![3, 4])]);
        assert!(board.behind(6, 9).is_empty());
        drop(following);
        board.publish(&[result(0, 8..9)], &symbols);
        assert_eq!(board.extent(), (8, 7));
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let board = WindowBoard::default();
        let _following = board.follow();
        let symbols = [Symbol::new("here", "A")];
        for at in 0..3 {
            let from = at * WINDOW_TAIL as i64 / 2;
            board.publish(&[result(0, from..from + WINDOW_TAIL as i64 / 2)], &symbols);
        }
        assert_eq!(board.extent(), (WINDOW_TAIL as u64 / 2 + 1, WINDOW_TAIL as u64 * 3 / 2));
    }
}
