//! An epoch of one tick: from the source's batch through sequencer and actor to where the committer takes it.

use std::sync::Arc;

use crossbeam_channel::bounded;
use tapedeck::actors::credit::Credit;
use tapedeck::actors::looks::Lookers;
use tapedeck::actors::{Engine, EngineOptions};
use tapedeck::clock;
use tapedeck::config::limits::{CHECKPOINT_ENTRIES, EPOCHS_IN_FLIGHT};
use tapedeck::tape::{Cut, Sequencer};

use super::flow::{self, Flow};
use super::table::Table;

/// Turns that are timed, behind a tenth as many that are not.
const TURNS: usize = 50_000;

/// Measures turns one at a time.
pub(crate) fn measure(table: &mut Table) -> Result<(), String> {
    let plan = Arc::new(flow::plan(&[1, 60]));
    let flow = Flow { symbols: 200, ticks: TURNS + TURNS / 10, stamped: false };
    let mut sequencer = Sequencer::new(Arc::clone(&plan), Cut::Adaptive, CHECKPOINT_ENTRIES, 1, 0);
    let credit = Credit::default();
    let (done, finished) = bounded(EPOCHS_IN_FLIGHT + 1);
    let mut engine = Engine::start(
        plan,
        &EngineOptions { workers: 1, faults: Vec::new(), sabotage: None, lookers: Lookers::default() },
        credit.clone(),
        done,
    );
    let ids = flow::ids(flow.symbols);
    let mut new_symbols = flow.new_symbols();
    let mut nanos: Vec<f64> = Vec::with_capacity(flow.ticks);
    let now = || clock::stamp().instant();
    for tick in flow.batches().into_iter().flatten() {
        let begun = clock::stamp();
        let batch = flow::batch(vec![tick], &ids, std::mem::take(&mut new_symbols));
        sequencer.push(batch, now, None, |epoch| engine.submit(epoch)).map_err(|error| error.to_string())?;
        engine.submit(sequencer.cut(now())).map_err(|error| error.to_string())?;
        let work = finished.recv().map_err(|error| error.to_string())?;
        drop(work.take_results());
        credit.give_back(work.bytes);
        nanos.push(begun.elapsed_nanos() as f64);
    }
    engine.stop();
    let mut timed = nanos.split_off(flow.ticks - TURNS);
    timed.sort_by(f64::total_cmp);
    let micros = |part: usize| timed.get(TURNS * part / 1_000).copied().unwrap_or(f64::NAN) / 1e3;
    table.row(
        "an epoch of one tick there and back".to_owned(),
        format!("{:.1} us p50", micros(500)),
        format!("{:.1} us p99", micros(990)),
        format!("{:.1}", micros(990) / micros(500)),
    );
    Ok(())
}
