//! A checkpoint as one batch.

use ::feeds::tick::Tick;

use super::alerts::Numbered;
use super::journal::tape_key;
use crate::actors::work::ShareResult;
use crate::config::limits::BLOCK_WINDOWS;
use crate::schema::feeds::Feed;
use crate::schema::rows::{Block, Head, RECOVERED_PARTS};
use crate::schema::run::Run;
use crate::schema::{Key, alerts, feeds, gaps, rules, symbols, ticks};
use crate::store::{Batch, Family};
use crate::symbol::GapChange;
use crate::tape::epoch::Joined;

/// Everything that came of the epochs since the checkpoint before.
#[derive(Debug, Default)]
pub struct Checkpoint {
    /// What the symbols handed in, in tape order of epochs.
    pub results: Vec<ShareResult>,
    /// Alerts, where no journal writes them.
    pub alerts: Numbered,
    /// Rulebooks that came into force, where no journal writes them: entry, number, text.
    pub books: Vec<(u64, u32, String)>,
    /// What is decided about alerts behind all symbols.
    pub dispatch: Vec<u8>,
    /// Symbols that appeared.
    pub joined: Vec<Joined>,
    /// The ledgers of frames as of now, by input, where no journal writes them.
    pub feeds: Vec<Feed>,
    /// Encoded histograms of the interval, if it has any.
    pub latency: Option<Vec<u8>>,
    /// Chunks of the tape, if ticks are kept.
    pub chunks: Vec<(Vec<u8>, Vec<u8>)>,
    /// Blocks of windows whose rows are in here, too.
    pub superseded: Vec<Vec<u8>>,
    /// Made by a recovery: its blocks stand beside those of the journal.
    pub is_recovered: bool,
    /// Entries of the tape that nothing needs any more: the first, and the one behind the last.
    pub past: Option<(u64, u64)>,
}

/// Where one emission lies.
struct Place<'a> {
    head: Head,
    symbol: u32,
    bytes: &'a [u8],
}

impl Checkpoint {
    /// Windows emitted or amended.
    #[must_use]
    pub fn emissions(&self) -> u64 {
        self.results.iter().map(|result| result.emissions.heads.len() as u64).sum()
    }

    /// The batch that makes it durable, with `run` as its last word.
    #[must_use]
    pub fn batch(&self, run: &Run) -> Batch {
        let mut batch = Batch::default();
        if let Some((from, to)) = self.past {
            batch.delete_range(Family::Tape, tape_key(from), tape_key(to));
        }
        // A block of this checkpoint may have the key of one that goes: it comes behind.
        for key in &self.superseded {
            batch.delete(Family::Windows, key.clone());
        }
        let first_part = if self.is_recovered { RECOVERED_PARTS } else { 0 };
        put_windows(&self.results, (run.applied, first_part), &mut batch);
        for result in &self.results {
            if let Some((snapshot, _)) = &result.snapshot {
                batch.put(Family::State, Key::default().u32(result.symbol).bytes(), snapshot.clone());
            }
            put_findings(result, &mut batch);
        }
        put_alerts(&self.alerts, &mut batch);
        put_books(&self.books, &mut batch);
        if !self.dispatch.is_empty() {
            batch.put(Family::Meta, alerts::dispatch_key(), self.dispatch.clone());
        }
        for joined in &self.joined {
            batch.put(Family::Meta, symbols::key(joined.number), symbols::encode(joined));
        }
        for (input, feed) in self.feeds.iter().enumerate() {
            batch.put(Family::Meta, feeds::key(run.number, input as u32), feed.encode());
        }
        for (key, value) in &self.chunks {
            batch.put(Family::Tape, key.clone(), value.clone());
        }
        if let Some(histograms) = &self.latency {
            let key = Key::default().time(run.committed_at).bytes();
            batch.put(Family::Latency, key, histograms.clone());
        }
        batch.put(Family::Meta, run.key(), run.encode());
        batch
    }
}

/// Puts the windows of `results` into blocks, as of entry `number`, numbered from `first_part` on; the blocks' keys.
pub(super) fn put_windows(
    results: &[ShareResult],
    (number, first_part): (u64, u16),
    batch: &mut Batch,
) -> Vec<Vec<u8>> {
    let mut places: Vec<Place<'_>> = Vec::new();
    for result in results {
        let symbol = result.symbol;
        places.extend(result.emissions.heads.iter().map(|head| Place {
            head: *head,
            symbol,
            bytes: result.emissions.bytes(head),
        }));
    }
    places.sort_unstable_by_key(|place| {
        (place.head.window, place.symbol, place.head.start, place.head.revision)
    });
    let mut keys = Vec::new();
    for group in places.chunk_by(|a, b| (a.head.window, a.symbol) == (b.head.window, b.symbol)) {
        for (part, places) in group.chunks(BLOCK_WINDOWS).enumerate() {
            let mut block = Block::default();
            for place in places {
                block.push(place.head.start, place.bytes);
            }
            let (window, symbol) = (places[0].head.window, places[0].symbol);
            let part = u16::try_from(part).unwrap_or(u16::MAX).saturating_add(first_part);
            let (key, value) = block.take(window, symbol, number, part);
            keys.push(key.clone());
            batch.put(Family::Windows, key, value);
        }
    }
    keys
}

/// Puts alerts into the log, and takes out those that it keeps no longer.
pub(super) fn put_alerts(numbered: &Numbered, batch: &mut Batch) {
    if numbered.gone > 0 {
        batch.delete_range(Family::Alerts, alerts::key(0), alerts::key(numbered.gone + 1));
    }
    for (number, alert) in numbered.alerts.iter().filter(|(number, _)| *number > numbered.gone) {
        batch.put(Family::Alerts, alerts::key(*number), alerts::encode(alert));
    }
}

/// Puts rulebooks.
pub(super) fn put_books(books: &[(u64, u32, String)], batch: &mut Batch) {
    for (at, number, text) in books {
        batch.put(Family::Meta, rules::key(*number), rules::encode(*at, text));
    }
}

/// Puts late ticks and gaps.
pub(super) fn put_findings(result: &ShareResult, batch: &mut Batch) {
    for (number, tick) in &result.late {
        put_late(result.symbol, *number, tick, batch);
    }
    for change in &result.gaps {
        match change {
            GapChange::Opened(hole) => {
                batch.put(Family::Gaps, gaps::key(result.symbol, hole.first), gaps::encode(hole));
            }
            GapChange::Closed(first) => batch.delete(Family::Gaps, gaps::key(result.symbol, *first)),
            GapChange::Out(stretch) => {
                let key = gaps::stretch_key(result.symbol, stretch);
                batch.put(Family::Gaps, key, gaps::encode_missing(stretch));
            }
            GapChange::Back(stretch) => {
                batch.delete(Family::Gaps, gaps::stretch_key(result.symbol, stretch));
            }
        }
    }
}

fn put_late(symbol: u32, number: u64, tick: &Tick, batch: &mut Batch) {
    let key = ticks::late_key(symbol, tick.exchange_ts, number);
    batch.put(Family::Late, key, ticks::encode_late(tick));
}
