//! Sequencer, actors and committer against a plain loop over the same ticks with the same arithmetic.

use std::sync::Arc;

use feeds::symbol::SymbolId;
use feeds::tick::Tick;
use feeds::venue::DuplicateKey;
use tapedeck::actors::credit::Credit;
use tapedeck::actors::looks::Lookers;
use tapedeck::actors::{Engine, EngineOptions};
use tapedeck::alert::dispatch::Dispatch;
use tapedeck::clock;
use tapedeck::commit::alerts::AlertBoard;
use tapedeck::commit::figures::FigureBoard;
use tapedeck::commit::{Committer, Setup};
use tapedeck::config::limits::CHECKPOINT_ENTRIES;
use tapedeck::schema::feeds::Feed;
use tapedeck::schema::run::{Progress, Run};
use tapedeck::store::{Batch, Family, Pair, Scan, Store, StoreError};
use tapedeck::symbol::{Entry, Outcomes, SymbolState};
use tapedeck::tape::{Cut, Sequencer};
use tapedeck::window::Plan;

use super::flow::{self, Flow};
use super::table::{Table, median};

/// Runs of each side.
const ROUNDS: usize = 5;
/// Threads that apply ticks.
const WORKERS: usize = 2;

/// Measures both sides, turn about.
pub(crate) fn measure(flow: &Flow, table: &mut Table) -> Result<(), String> {
    let plan = Arc::new(flow::plan(&[1, 60]));
    let batches = flow.batches();
    let (mut plain, mut actors) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        plain.push(plain_loop(&plan, flow, &batches));
        actors.push(Path::start(&plan, flow)?.run(batches.clone())?);
    }
    let rate = |seconds: f64| flow.ticks as f64 / seconds / 1e6;
    let (plain, actors) = (rate(median(plain)), rate(median(actors)));
    let stamped = if flow.stamped { ", with receive times" } else { "" };
    table.row(
        format!("{} symbols, {} M trades{stamped}", flow.symbols, flow.ticks / 1_000_000),
        format!("{actors:.2} M/s through {WORKERS} workers"),
        format!("{plain:.2} M/s in a plain loop"),
        format!("{:.2}", actors / plain),
    );
    Ok(())
}

/// The engine's side alone, once.
pub(crate) fn engine_once(flow: &Flow) -> Result<(), String> {
    let plan = Arc::new(flow::plan(&[1, 60]));
    let seconds = Path::start(&plan, flow)?.run(flow.batches())?;
    println!("{} symbols: {:.2} M/s", flow.symbols, flow.ticks as f64 / seconds / 1e6);
    Ok(())
}

/// Seconds for all ticks in one thread, outcomes thrown away.
fn plain_loop(plan: &Plan, flow: &Flow, batches: &[Vec<Tick>]) -> f64 {
    let new = || SymbolState::new(plan, DuplicateKey::Contiguous, DuplicateKey::Unique);
    let mut states: Vec<SymbolState> = (0..flow.symbols).map(|_| new()).collect();
    let mut out = Outcomes::default();
    let mut number = 0;
    let begun = clock::stamp();
    for tick in batches.iter().flatten() {
        number += 1;
        states[tick.symbol.0 as usize].apply(plan, number, &Entry::Tick(*tick), &mut out);
        out.clear();
    }
    for state in &mut states {
        state.apply(plan, number + 1, &Entry::End, &mut out);
        out.clear();
    }
    begun.elapsed_nanos() as f64 / 1e9
}

/// An engine that knows its symbols and waits for ticks.
pub(crate) struct Path {
    sequencer: Sequencer,
    engine: Engine,
    committer: Committer,
    ids: Arc<[SymbolId]>,
}

impl Path {
    /// Starts it and has every symbol's actor made, so that a run times ticks only.
    pub(crate) fn start(plan: &Arc<Plan>, flow: &Flow) -> Result<Path, String> {
        let mut sequencer = Sequencer::new(Arc::clone(plan), Cut::Adaptive, CHECKPOINT_ENTRIES, 1, 0);
        let credit = Credit::default();
        let committer = Committer::start(setup(plan), credit.clone()).map_err(|error| error.to_string())?;
        let options = EngineOptions {
            workers: WORKERS,
            faults: Vec::new(),
            sabotage: None,
            lookers: Lookers::default(),
        };
        let mut engine = Engine::start(Arc::clone(plan), &options, credit, committer.done());
        let ids = flow::ids(flow.symbols);
        let batch = flow::batch(Vec::new(), &ids, flow.new_symbols());
        let now = || clock::stamp().instant();
        sequencer.push(batch, now, None, |epoch| engine.submit(epoch)).map_err(|error| error.to_string())?;
        engine.submit(sequencer.cut(now())).map_err(|error| error.to_string())?;
        Ok(Path { sequencer, engine, committer, ids })
    }

    /// Puts ticks on the tape.
    pub(crate) fn push(&mut self, ticks: Vec<Tick>) -> Result<(), String> {
        let Path { sequencer, engine, ids, .. } = self;
        let now = || clock::stamp().instant();
        let batch = flow::batch(ticks, ids, Vec::new());
        sequencer.push(batch, now, None, |epoch| engine.submit(epoch)).map_err(|error| error.to_string())?;
        if !sequencer.is_empty() && engine.in_flight().0 == 0 {
            engine.submit(sequencer.cut(now())).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Has all symbols write their state, and hands what has gathered on.
    pub(crate) fn checkpoint(&mut self) -> Result<(), String> {
        self.sequencer.want_snapshot();
        let epoch = self.sequencer.cut(clock::stamp().instant());
        self.engine.submit(epoch).map_err(|error| error.to_string())
    }

    /// Seconds for all ticks, from the first batch to the last checkpoint.
    fn run(mut self, batches: Vec<Vec<Tick>>) -> Result<f64, String> {
        let begun = clock::stamp();
        for ticks in batches {
            self.push(ticks)?;
        }
        self.end()?;
        Ok(begun.elapsed_nanos() as f64 / 1e9)
    }

    /// Ends the tape and waits for its last checkpoint.
    pub(crate) fn end(mut self) -> Result<(), String> {
        self.sequencer.end();
        let epoch = self.sequencer.cut(clock::stamp().instant());
        self.engine.submit(epoch).map_err(|error| error.to_string())?;
        self.engine.stop();
        let summary = self.committer.finish().map_err(|error| error.to_string())?;
        let ticks = self.sequencer.ticks();
        if summary.ledger.received == ticks {
            Ok(())
        } else {
            Err(format!("{ticks} ticks went in, {} came out", summary.ledger.received))
        }
    }
}

fn setup(plan: &Arc<Plan>) -> Setup {
    let run = Run {
        number: 0,
        progress: Progress::Unfinished,
        first: 1,
        applied: 0,
        ticks_before: 0,
        ticks: 0,
        inputs: Vec::new(),
        options: String::new(),
        config: String::new(),
        rules_before: 0,
        rules: String::new(),
        alerts: 0,
        committed_at: 0,
    };
    let feed = Feed { name: "market".to_owned(), format: "none".to_owned(), ..Feed::default() };
    Setup {
        store: Arc::new(Nowhere),
        run,
        feeds: vec![feed],
        ledgers: Vec::new(),
        keep_ticks: false,
        plan: Arc::clone(plan),
        symbols: Vec::new(),
        wanted: None,
        journal: None,
        board: FigureBoard::default(),
        dispatch: Dispatch::default(),
        alerts: AlertBoard::default(),
        alerts_kept: u64::MAX,
    }
}

/// A store that keeps nothing: what is measured is everything before it.
struct Nowhere;

impl Store for Nowhere {
    fn get(&self, _family: Family, _key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }

    fn scan<'a>(&'a self, _family: Family, _from: &[u8], _to: Option<&[u8]>) -> Scan<'a> {
        Box::new(std::iter::empty::<Result<Pair, StoreError>>())
    }

    fn commit(&self, _batch: &Batch, _sync: bool) -> Result<(), StoreError> {
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
