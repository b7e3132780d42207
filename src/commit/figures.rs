//! What is committed so far, for whoever watches a run: handed over at each checkpoint, in place of what was there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use feeds::frame::FrameCounts;

use super::open::OpenBoard;
use super::outages::OutageCounts;
use super::windows::WindowBoard;
use crate::actors::work::Fault;
use crate::clock::Stamp;
use crate::latency::Latencies;
use crate::schema::feeds::Feed;
use crate::symbol::ledger::Ledger;

/// As of the last checkpoint that is in the database.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// The last entry that is in the database.
    pub applied: u64,
    /// Checkpoints of this process.
    pub checkpoints: u64,
    /// When the last one was written; `None` before the first.
    pub committed_at: Option<Stamp>,
    /// The ledger of all symbols, earlier runs included.
    pub ledger: Ledger,
    /// Symbols.
    pub symbols: usize,
    /// Windows emitted or amended by this process.
    pub emissions: u64,
    /// The ledgers of frames of this process, by venue.
    pub venues: Arc<BTreeMap<String, FrameCounts>>,
    /// Symbols that are out of service, and why.
    pub faults: Arc<Vec<Fault>>,
    /// Who waits for room on a full disk, and what for.
    pub waits: Arc<BTreeMap<&'static str, String>>,
    /// Stretches of this process in which ticks may be missing.
    pub outages: Arc<OutageCounts>,
    /// Latencies of this process.
    pub latencies: Arc<Latencies>,
}

/// Where the newest [`Figures`] are. Clones share it.
///
/// Readers take copies of pointers. So the committer waits for nobody: it adds to the histograms in place, or to a copy
/// where somebody still reads the ones before.
#[derive(Clone, Debug, Default)]
pub struct FigureBoard {
    figures: Arc<Mutex<Figures>>,
    windows: WindowBoard,
    open: OpenBoard,
}

impl FigureBoard {
    /// The newest.
    #[must_use]
    pub fn read(&self) -> Figures {
        self.figures().clone()
    }

    /// A checkpoint is written: `figures` hold but for their latencies and number, which are added to.
    pub(super) fn publish(&self, figures: Figures, interval: &Latencies) {
        let mut shown = self.figures();
        let (latencies, faults) = (std::mem::take(&mut shown.latencies), Arc::clone(&shown.faults));
        let waits = Arc::clone(&shown.waits);
        // Epochs behind it may be in the database already.
        let applied = figures.applied.max(shown.applied);
        *shown = Figures { latencies, applied, checkpoints: shown.checkpoints + 1, faults, waits, ..figures };
        add(&mut shown, interval);
    }

    /// Entries up to this one are in the database.
    pub(super) fn commit(&self, applied: u64) {
        self.figures().applied = applied;
    }

    /// Where the windows are, as they are committed.
    #[must_use]
    pub fn windows(&self) -> &WindowBoard {
        &self.windows
    }

    /// Where the windows are that are open.
    #[must_use]
    pub fn open(&self) -> &OpenBoard {
        &self.open
    }

    /// `who` waits for room on the disk, or no longer does.
    pub(super) fn wait(&self, who: &'static str, why: Option<String>) {
        let mut shown = self.figures();
        let waits = Arc::make_mut(&mut shown.waits);
        match why {
            Some(why) => waits.insert(who, why),
            None => waits.remove(who),
        };
    }

    /// A symbol is out of service, from now on or since an earlier run.
    pub(crate) fn fault(&self, fault: Fault) {
        Arc::make_mut(&mut self.figures().faults).push(fault);
    }

    /// Latencies that were known only after their checkpoint.
    pub(super) fn add(&self, interval: &Latencies) {
        add(&mut self.figures(), interval);
    }

    /// Before the first checkpoint: what earlier runs left.
    pub(super) fn begin(&self, applied: u64, ledgers: &[Ledger]) {
        let mut shown = self.figures();
        (shown.applied, shown.symbols) = (applied, ledgers.len());
        for ledger in ledgers {
            shown.ledger.merge(ledger);
        }
    }

    fn figures(&self) -> MutexGuard<'_, Figures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The ledgers of frames by venue.
pub(super) fn by_venue(feeds: &[Feed], counts: &[FrameCounts]) -> BTreeMap<String, FrameCounts> {
    let mut venues: BTreeMap<String, FrameCounts> = BTreeMap::new();
    for (feed, counts) in feeds.iter().zip(counts) {
        venues.entry(feed.venue.clone().unwrap_or_default()).or_default().merge(counts);
    }
    venues
}

/// Whose ticks come by this feed, for the histograms.
pub(super) fn venue(feeds: &[Feed], feed: usize) -> &str {
    feeds.get(feed).and_then(|feed| feed.venue.as_deref()).unwrap_or("file")
}

fn add(figures: &mut Figures, interval: &Latencies) {
    Arc::make_mut(&mut figures.latencies).merge(interval);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::Stage;

    #[test]
    fn latencies_add_up_and_a_reader_keeps_what_it_read() {
        let board = FigureBoard::default();
        board.begin(7, &[Ledger { received: 2, aggregated: 2, ..Ledger::default() }]);
        assert_eq!((board.read().applied, board.read().ledger.received), (7, 2));
        let mut interval = Latencies::new();
        interval.record_n(Stage::Applied, "file", 1_000, 3);
        board.publish(Figures { applied: 9, ..Figures::default() }, &interval);
        let read = board.read();
        board.publish(Figures { applied: 12, ..Figures::default() }, &interval);
        board.add(&interval);
        let count = |figures: &Figures| figures.latencies.rows().iter().map(|row| row.count).sum::<u64>();
        assert_eq!((read.applied, read.checkpoints, count(&read)), (9, 1, 3));
        let read = board.read();
        assert_eq!((read.applied, read.checkpoints, count(&read)), (12, 2, 9));
    }
}
