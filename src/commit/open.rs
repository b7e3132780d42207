//! Windows that are open, for whoever looks at them: of each symbol the last look, in place of the one before.
//!
//! Nothing is kept while nobody looks. A look is told behind the commit of its epoch, and of a window that was emitted
//! since then not at all: whoever has heard of a window's result never hears of an older look at it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use feeds::symbol::Symbol;
use feeds::time::Nanos;
use tokio::sync::watch;

use crate::actors::looks::{Looker, Lookers};
use crate::actors::work::{ShareResult, Shown};
use crate::schema::rows::Head;

/// What is kept of one symbol.
#[derive(Debug)]
struct Standing {
    symbol: Symbol,
    last: Option<Arc<Shown>>,
    /// By window: how many rows were handed in, and the newest start of an emitted one.
    windows: Vec<(u64, Nanos)>,
}

impl Standing {
    /// Rows of these windows that were handed in so far.
    fn rows(&self, windows: &[usize]) -> u64 {
        windows.iter().filter_map(|&window| self.windows.get(window)).map(|(rows, _)| rows).sum()
    }

    /// The rows of these windows that still hold.
    fn open(&self, windows: &[usize]) -> Vec<Head> {
        let heads = self.last.iter().flat_map(|last| &last.rows.heads);
        let is_open = |head: &&Head| {
            let emitted = self.windows.get(usize::from(head.window)).map_or(Nanos::MIN, |(_, start)| *start);
            windows.contains(&usize::from(head.window)) && head.start > emitted
        };
        heads.filter(is_open).copied().collect()
    }

    fn window(&mut self, window: u16) -> &mut (u64, Nanos) {
        let window = usize::from(window);
        if self.windows.len() <= window {
            self.windows.resize(window + 1, (0, Nanos::MIN));
        }
        &mut self.windows[window]
    }
}

#[derive(Debug, Default)]
struct Shared {
    lookers: Lookers,
    /// By the symbol's number; none while nobody looks.
    standings: Mutex<Vec<Standing>>,
    /// Looks of this process.
    head: watch::Sender<u64>,
}

/// Where looks are found. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct OpenBoard(Arc<Shared>);

/// Up to where somebody has seen a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The symbol's number.
    pub symbol: u32,
    /// Rows of the windows that are wanted, of those that were handed in, and were told or left out.
    pub rows: u64,
}

/// What is new of a symbol.
#[derive(Debug)]
pub struct New {
    /// Its name.
    pub symbol: Symbol,
    /// The last look at it.
    pub shown: Arc<Shown>,
    /// The rows of it that are wanted and still hold.
    pub open: Vec<Head>,
    /// Rows that were left out since it was seen.
    pub left_out: u64,
}

impl OpenBoard {
    /// Looks from now on.
    #[must_use]
    pub fn look(&self) -> Looker {
        // Under the lock, so that nothing is forgotten between this and what is seen next.
        let _standings = self.standings();
        self.0.lookers.join()
    }

    /// Who looks.
    #[must_use]
    pub fn lookers(&self) -> &Lookers {
        &self.0.lookers
    }

    /// Hears when there is a new look.
    #[must_use]
    pub fn heads(&self) -> watch::Receiver<u64> {
        self.0.head.subscribe()
    }

    /// The symbols from number `from` on, and where to begin so that what is open is told, of these windows.
    #[must_use]
    pub fn symbols(&self, from: usize, windows: &[usize]) -> Vec<(Symbol, Seen)> {
        let standings = self.standings();
        let numbered = (0..).zip(standings.iter()).skip(from);
        let begin = |(symbol, standing): (u32, &Standing)| {
            let rows = standing.rows(windows) - standing.open(windows).len() as u64;
            (standing.symbol.clone(), Seen { symbol, rows })
        };
        numbered.map(begin).collect()
    }

    /// What is new of these symbols, of some windows, up to some `most` rows; how many of `seen` were looked at. They
    /// are seen then.
    #[must_use]
    pub fn new_of(&self, seen: &mut [Seen], windows: &[usize], most: usize) -> (usize, Vec<New>) {
        let standings = self.standings();
        let (mut found, mut rows) = (Vec::new(), 0);
        for (at, seen) in seen.iter_mut().enumerate() {
            if rows >= most {
                return (at, found);
            }
            let Some(standing) = standings.get(seen.symbol as usize) else { continue };
            let handed_in = standing.rows(windows);
            let Some(shown) = standing.last.as_ref().filter(|_| handed_in > seen.rows) else { continue };
            let open = standing.open(windows);
            let left_out = (handed_in - seen.rows).saturating_sub(open.len() as u64);
            rows += open.len();
            seen.rows = handed_in;
            found.push(New { symbol: standing.symbol.clone(), shown: Arc::clone(shown), open, left_out });
        }
        (seen.len(), found)
    }

    /// An epoch is committed with these looks and results. `symbols` are the names by number.
    pub(super) fn publish(&self, shown: Vec<Shown>, results: &[ShareResult], symbols: &[Symbol]) {
        let mut standings = self.standings();
        if !self.0.lookers.any() {
            if !standings.is_empty() {
                *standings = Vec::new();
            }
            return;
        }
        for symbol in symbols.iter().skip(standings.len()) {
            standings.push(Standing { symbol: symbol.clone(), last: None, windows: Vec::new() });
        }
        for result in results {
            let Some(standing) = standings.get_mut(result.symbol as usize) else { continue };
            for head in &result.emissions.heads {
                let (_, emitted) = standing.window(head.window);
                *emitted = head.start.max(*emitted);
            }
        }
        let looks = shown.len() as u64;
        for shown in shown {
            let Some(standing) = standings.get_mut(shown.symbol as usize) else { continue };
            for head in &shown.rows.heads {
                standing.window(head.window).0 += 1;
            }
            standing.last = Some(Arc::new(shown));
        }
        drop(standings);
        if looks > 0 {
            self.0.head.send_modify(|head| *head += looks);
        }
    }

    fn standings(&self) -> MutexGuard<'_, Vec<Standing>> {
        self.0.standings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::tests::made::emission;

    fn shown(symbol: u32, open: &[(usize, Nanos)]) -> Shown {
        let mut shown = Shown { symbol, rows: Default::default() };
        open.iter().for_each(|&(window, start)| shown.rows.push(&emission(window, start), 1));
        shown
    }

    fn result(symbol: u32, window: usize, start: Nanos) -> ShareResult {
        let mut result = ShareResult { symbol, ..ShareResult::default() };
        result.emissions.push(&emission(window, start), 1);
        result
    }

    /// Symbol, windows with their starts, and how many rows were left out.
    type Told = (String, Vec<(u16, Nanos)>, u64);

    fn told(board: &OpenBoard, seen: &mut [Seen], windows: &[usize]) -> Vec<Told> {
        let new = board.new_of(seen, windows, 99).1.into_iter();
        let rows = |new: &New| new.open.iter().map(|head| (head.window, head.start)).collect();
        new.map(|new| (new.symbol.to_string(), rows(&new), new.left_out)).collect()
    }

    #[test]
    fn the_last_look_takes_the_place_of_those_before_and_they_are_counted() {
        let board = OpenBoard::default();
        let symbols = [Symbol::new("here", "A"), Symbol::new("here", "B")];
        board.publish(vec![shown(0, &[(0, 10)])], &[], &symbols);
        assert!(board.symbols(0, &[0]).is_empty(), "nobody looks");
        let looker = board.look();
        board.publish(vec![shown(0, &[(0, 10), (1, 0)]), shown(1, &[(0, 10)])], &[], &symbols);
        let begin = |windows: &[usize]| -> Vec<Seen> {
            board.symbols(0, windows).into_iter().map(|(_, seen)| seen).collect()
        };
        let (mut both, mut short) = (begin(&[0, 1]), begin(&[0]));
        let name = |native: &str| format!("here:{native}");
        let first = [(name("A"), vec![(0, 10), (1, 0)], 0), (name("B"), vec![(0, 10)], 0)];
        assert_eq!(told(&board, &mut both, &[0, 1]), first, "what is open is told first");
        assert!(told(&board, &mut both, &[0, 1]).is_empty());
        for _ in 0..3 {
            board.publish(vec![shown(0, &[(0, 10), (1, 0)])], &[], &symbols);
        }
        assert_eq!(told(&board, &mut both, &[0, 1]), [(name("A"), vec![(0, 10), (1, 0)], 4)]);
        assert_eq!(
            told(&board, &mut short, &[0]),
            [(name("A"), vec![(0, 10)], 3), (name("B"), vec![(0, 10)], 0)]
        );
        // A window that was emitted is told no more; what was looked at is left out then.
        board.publish(vec![shown(0, &[(0, 10), (1, 0)])], &[], &symbols);
        board.publish(vec![], &[result(0, 0, 10)], &symbols);
        assert_eq!(told(&board, &mut both, &[0, 1]), [(name("A"), vec![(1, 0)], 1)]);
        assert_eq!(told(&board, &mut short, &[0]), [(name("A"), vec![], 1)]);
        board.publish(vec![shown(0, &[(1, 0)])], &[], &symbols);
        assert!(told(&board, &mut short, &[0]).is_empty(), "none of its windows");
        drop(looker);
        board.publish(vec![], &[], &symbols);
        assert!(board.symbols(0, &[0]).is_empty(), "nothing is kept");
    }

    #[test]
    fn no_more_is_taken_at_once_than_is_asked_for() {
        let board = OpenBoard::default();
        let _looker = board.look();
        let symbols = [Symbol::new("here", "A"), Symbol::new("here", "B")];
        board.publish(vec![shown(0, &[(0, 0), (1, 0)]), shown(1, &[(0, 0)])], &[], &symbols);
        let mut seen: Vec<Seen> = board.symbols(0, &[0, 1]).into_iter().map(|(_, seen)| seen).collect();
        let (looked_at, new) = board.new_of(&mut seen, &[0, 1], 1);
        assert_eq!((looked_at, new.len()), (1, 1));
        let (looked_at, new) = board.new_of(&mut seen[1..], &[0, 1], 1);
        assert_eq!((looked_at, new.len()), (1, 1));
    }
}
