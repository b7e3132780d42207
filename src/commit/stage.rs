//! The ordered stage: what each epoch came to, in tape order, numbered, entered in the journal and gathered to checkpoints.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};
use feeds::frame::FrameCounts;
use feeds::symbol::Symbol;

use super::alerts::{AlertBoard, Numbered};
use super::audit::audit;
use super::checkpoint::Checkpoint;
use super::committer::{CommitError, Setup, Summary};
use super::figures::{FigureBoard, Figures, by_venue, venue};
use super::journal::{Journal, keep_ticks};
use super::missing::want;
use super::outages::{self, OutageCounts};
use super::quarantine::OutOfService;
use super::repairs::repair;
use super::writer::{Order, Written};
use crate::actors::credit::Credit;
use crate::actors::work::{ShareResult, Work};
use crate::alert::dispatch::{Dispatch, take};
use crate::clock::{self, Stamp};
use crate::feed::backfill::Wants;
use crate::latency::{Latencies, Stage};
use crate::schema::Key;
use crate::schema::feeds::Feed;
use crate::schema::run::{Progress, Run};
use crate::schema::ticks::Chunk;
use crate::source::NewInput;
use crate::store::{Batch, Family, Store};
use crate::symbol::ledger::Ledger;
use crate::tape::Epoch;
use crate::window::Plan;

/// What becomes known when a checkpoint is written.
struct InWriting {
    arrivals: Vec<(usize, u64, Stamp)>,
    figures: Figures,
    interval: Latencies,
}

/// The state behind the thread of [`super::committer`].
pub(super) struct OrderedStage {
    store: Arc<dyn Store>,
    run: Run,
    next: u64,
    /// Epochs that are done before one that was submitted earlier, by their place.
    waiting: BTreeMap<u64, Arc<Work>>,
    checkpoint: Checkpoint,
    chunk: Option<Chunk>,
    journal: Option<Journal>,
    out_of_service: OutOfService,
    outages: OutageCounts,
    plan: Arc<Plan>,
    symbols: Vec<Symbol>,
    wanted: Option<Wants>,
    feeds: Vec<Feed>,
    counts: Vec<FrameCounts>,
    ledgers: Vec<Ledger>,
    interval: Latencies,
    /// Arrivals whose ticks are in no checkpoint yet, and those of the checkpoints being written.
    arrivals: Vec<(usize, u64, Stamp)>,
    in_writing: VecDeque<InWriting>,
    board: FigureBoard,
    alerts: AlertBoard,
    alerts_kept: u64,
    dispatch: Dispatch,
    summary: Summary,
}

impl OrderedStage {
    pub(super) fn new(setup: Setup) -> OrderedStage {
        OrderedStage {
            store: setup.store,
            next: 0,
            waiting: BTreeMap::new(),
            checkpoint: Checkpoint::default(),
            chunk: setup.keep_ticks.then(Chunk::default),
            journal: setup.journal,
            out_of_service: OutOfService::default(),
            outages: OutageCounts::default(),
            plan: setup.plan,
            symbols: setup.symbols,
            wanted: setup.wanted,
            counts: vec![FrameCounts::default(); setup.feeds.len()],
            feeds: setup.feeds,
            ledgers: setup.ledgers,
            interval: Latencies::new(),
            arrivals: Vec::new(),
            in_writing: VecDeque::new(),
            board: setup.board,
            alerts: setup.alerts,
            alerts_kept: setup.alerts_kept,
            dispatch: setup.dispatch,
            summary: Summary { applied: setup.run.applied, ..Summary::default() },
            run: setup.run,
        }
    }

    /// Takes an epoch; handles it and those that waited for it.
    pub(super) fn finished(
        &mut self,
        work: Arc<Work>,
        credit: &Credit,
        orders: &Sender<Order>,
        news: &Receiver<Written>,
    ) -> Result<(), CommitError> {
        self.waiting.insert(work.place, work);
        while let Some(work) = self.waiting.remove(&self.next) {
            self.next += 1;
            self.gather(&work, news)?;
            credit.give_back(work.bytes);
            self.hear(news);
            if work.epoch.snapshot {
                let order = self.order(&work.epoch)?;
                // A writer that is gone has its own reason, which `run` reports.
                orders.send(order).map_err(|_| CommitError::Panicked("writer"))?;
            }
        }
        Ok(())
    }

    fn gather(&mut self, work: &Work, news: &Receiver<Written>) -> Result<(), CommitError> {
        let applied = clock::stamp();
        let mut results = work.take_results();
        self.quarantine(work, &mut results)?;
        for result in &results {
            if let Some((_, ledger)) = &result.snapshot {
                let symbol = result.symbol as usize;
                if self.ledgers.len() <= symbol {
                    self.ledgers.resize(symbol + 1, Ledger::default());
                }
                self.ledgers[symbol] = *ledger;
            }
        }
        self.symbols.extend(work.epoch.joined.iter().map(|joined| joined.symbol.clone()));
        if results.iter().any(|result| !result.repairs.is_empty()) {
            self.wait_for_writer(news)?;
        }
        for result in results.iter_mut().filter(|result| !result.repairs.is_empty()) {
            let of_symbol = |earlier: &&ShareResult| earlier.symbol == result.symbol;
            let earlier: Vec<&ShareResult> = self.checkpoint.results.iter().filter(of_symbol).collect();
            repair(result, &earlier, &*self.store, &self.plan)?;
        }
        outages::count(&mut self.outages, &results, &self.symbols, self.journal.is_some());
        if let Some(wanted) = &self.wanted {
            want(wanted, &self.symbols, &results);
        }
        for input in &work.epoch.inputs {
            self.open(input);
        }
        for (file, counts) in &work.epoch.frames {
            if let Some((total, feed)) = self.counts.get_mut(*file).zip(self.feeds.get(*file)) {
                outages::tell_unknown(total, counts, feed);
                total.merge(counts);
            }
        }
        let alerts = self.number(&work.epoch, &mut results);
        self.enter(work, (&results, alerts))?;
        self.checkpoint.results.extend(results);
        self.checkpoint.joined.extend(work.epoch.joined.iter().cloned());
        self.time(&work.epoch, applied);
        if let Some(chunk) = &mut self.chunk {
            keep_ticks(&work.epoch, chunk, &mut self.checkpoint.chunks);
        }
        Ok(())
    }

    /// A replay comes by again without the symbol at fault. What is live goes on.
    fn quarantine(&mut self, work: &Work, results: &mut Vec<ShareResult>) -> Result<(), CommitError> {
        let Some(journal) = &mut self.journal else {
            let fault = results.iter_mut().find_map(|result| result.fault.take());
            return fault.map_or(Ok(()), |fault| Err(CommitError::Fault(fault)));
        };
        let found = self.out_of_service.stand_in(work, results, (&*self.store, &self.run), &self.plan)?;
        for (symbol, fault) in found {
            tracing::error!(symbol = %fault.symbol, entry = fault.number, cause = fault.cause, "out of service");
            journal.fault(symbol, &fault);
            self.board.fault(fault.clone());
            self.summary.faults.push(fault);
        }
        Ok(())
    }

    /// Has the ordered stage look at what the symbols' rules said, and gives the alerts their places in the log.
    fn number(&mut self, epoch: &Epoch, results: &mut [ShareResult]) -> Numbered {
        let said = results.iter_mut().filter(|result| !result.judged.is_empty());
        let said = said.filter_map(|result| {
            let symbol = self.symbols.get(result.symbol as usize)?;
            Some((symbol.as_str(), std::mem::take(&mut result.judged)))
        });
        let books = &self.plan.books;
        let alerts = take(&mut self.dispatch, said.collect(), &epoch.books, books);
        let numbered = Numbered::new(alerts, self.run.alerts, self.alerts_kept);
        self.run.alerts += numbered.alerts.len() as u64;
        numbered
    }

    /// A connection opened.
    fn open(&mut self, input: &NewInput) {
        let venue = Some(input.venue.to_owned());
        let feed = Feed { name: input.name.clone(), format: "live".to_owned(), venue, ..Feed::default() };
        if self.feeds.len() <= input.number {
            self.feeds.resize(input.number + 1, Feed::default());
            self.counts.resize(input.number + 1, FrameCounts::default());
        }
        self.feeds[input.number] = feed;
    }

    /// Enters an epoch in the journal, if there is one.
    fn enter(
        &mut self,
        work: &Work,
        (results, alerts): (&[ShareResult], Numbered),
    ) -> Result<(), CommitError> {
        let epoch = &work.epoch;
        self.summary.alerts += alerts.alerts.len() as u64;
        let Some(journal) = &mut self.journal else {
            self.checkpoint.alerts.append(alerts);
            self.checkpoint.books.extend(epoch.books.iter().cloned());
            return Ok(());
        };
        let (feeds, counts) = (&self.feeds, &self.counts);
        journal.commit(epoch, (results, &alerts), |input| {
            Some(feeds.get(input)?.clone().with(counts.get(input)?))
        })?;
        let committed = clock::stamp();
        self.alerts.publish(self.run.alerts);
        self.summary.applied = self.summary.applied.max(epoch.end.saturating_sub(1));
        self.board.commit(self.summary.applied);
        self.board.windows().publish(results, &self.symbols);
        self.board.open().publish(work.take_shown(), results, &self.symbols);
        let published = clock::stamp();
        for arrival in &epoch.arrivals {
            let (venue, entered) = (venue(&self.feeds, arrival.file), Stamp::of(arrival.entered));
            for (stage, at) in [(Stage::Committed, committed), (Stage::Published, published)] {
                self.interval.record_n(stage, venue, at.since(entered), arrival.ticks);
            }
        }
        Ok(())
    }

    fn time(&mut self, epoch: &Epoch, applied: Stamp) {
        for arrival in &epoch.arrivals {
            let venue = venue(&self.feeds, arrival.file);
            let entered = Stamp::of(arrival.entered);
            let mut record = |stage, at: Stamp| {
                self.interval.record_n(stage, venue, at.since(entered), arrival.ticks);
            };
            record(Stage::Decoded, Stamp::of(arrival.decoded));
            record(Stage::Sequenced, epoch.sequenced.map_or(applied, Stamp::of));
            record(Stage::Applied, applied);
            if self.journal.is_none() {
                self.arrivals.push((arrival.file, arrival.ticks, entered));
            }
        }
        for (file, sample, ticks) in &epoch.crossings {
            let venue = venue(&self.feeds, *file);
            self.interval.record_n(Stage::ExchangeToReceived, venue, *sample, *ticks);
        }
    }

    /// Hears from the writer what is committed.
    pub(super) fn hear(&mut self, news: &Receiver<Written>) {
        news.try_iter().for_each(|written| self.heard(written));
    }

    /// What a repair amends may be in a checkpoint that is being written, and is looked for in the store.
    fn wait_for_writer(&mut self, news: &Receiver<Written>) -> Result<(), CommitError> {
        while self.journal.is_none() && !self.in_writing.is_empty() {
            // A writer that is gone has its own reason, which `run` reports.
            let written = news.recv().map_err(|_| CommitError::Panicked("writer"))?;
            self.heard(written);
        }
        Ok(())
    }

    /// A checkpoint is written.
    pub(super) fn heard(&mut self, written: Written) {
        self.summary.applied = self.summary.applied.max(written.applied);
        let Some(InWriting { arrivals, figures, interval }) = self.in_writing.pop_front() else { return };
        self.board.publish(Figures { committed_at: Some(written.at), ..figures }, &interval);
        for (file, ticks, entered) in arrivals {
            let venue = venue(&self.feeds, file);
            self.interval.record_n(Stage::Committed, venue, written.at.since(entered), ticks);
        }
    }

    /// The checkpoint as of the end of `epoch`.
    fn order(&mut self, epoch: &Epoch) -> Result<Order, CommitError> {
        self.run.applied = self.run.applied.max(epoch.end - 1);
        self.run.ticks = self.run.ticks_before + epoch.ticks_so_far;
        self.run.progress = if epoch.ended { Progress::Complete } else { Progress::Unfinished };
        let ledger = audit(&self.ledgers, &self.counts, &self.run)?;
        if let Some((key, value)) = self.chunk.as_mut().and_then(Chunk::take) {
            self.checkpoint.chunks.push((key, value));
        }
        if let Some(journal) = &mut self.journal {
            journal.retire(self.run.applied, &mut self.checkpoint);
        }
        // The journal has written them, and may have written newer ones by the time that this checkpoint is.
        if self.journal.is_none() {
            let feeds = self.feeds.iter().zip(&self.counts);
            self.checkpoint.feeds = feeds.map(|(feed, counts)| feed.clone().with(counts)).collect();
        }
        self.dispatch.encode(&mut self.checkpoint.dispatch);
        let interval = self.interval.take_interval();
        self.summary.latencies.merge(&interval);
        if !interval.is_empty() {
            let mut bytes = Vec::new();
            interval.encode(&mut bytes);
            self.checkpoint.latency = Some(bytes);
        }
        self.summary.emissions += self.checkpoint.emissions();
        let figures = Figures {
            applied: self.run.applied,
            ledger,
            symbols: self.ledgers.len(),
            emissions: self.summary.emissions,
            venues: Arc::new(by_venue(&self.feeds, &self.counts)),
            outages: Arc::new(self.outages.clone()),
            ..Figures::default()
        };
        let arrivals = std::mem::take(&mut self.arrivals);
        self.in_writing.push_back(InWriting { arrivals, figures, interval });
        Ok(Order { checkpoint: std::mem::take(&mut self.checkpoint), run: self.run.clone() })
    }

    /// Writes what was heard of after the last checkpoint: how long its own commit took.
    pub(super) fn write_last_interval(&mut self) -> Result<(), CommitError> {
        let interval = self.interval.take_interval();
        self.summary.latencies.merge(&interval);
        if interval.is_empty() {
            return Ok(());
        }
        self.board.add(&interval);
        let mut bytes = Vec::new();
        interval.encode(&mut bytes);
        let mut batch = Batch::default();
        batch.put(Family::Latency, Key::default().time(clock::wall()).bytes(), bytes);
        Ok(self.store.commit(&batch, true)?)
    }

    pub(super) fn summary(mut self) -> Summary {
        for ledger in &self.ledgers {
            self.summary.ledger.merge(ledger);
        }
        self.summary.symbols = self.ledgers.len();
        self.summary.outages = self.outages;
        self.summary.latencies.merge(&self.interval);
        let feeds = self.feeds.into_iter().zip(&self.counts);
        self.summary.feeds = feeds.map(|(feed, counts)| feed.with(counts)).collect();
        self.summary
    }
}
