//! A fault in one symbol, seen from outside.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use feeds::symbol::Symbol;
use tapedeck::clock;
use tapedeck::commit::CommitError;
use tapedeck::commit::Summary;
use tapedeck::config::limits::{EPOCHS_IN_FLIGHT, FAULTS_MAX};
use tapedeck::live::pulse::Pulse;
use tapedeck::live::recorder::Recorder;
use tapedeck::live::{Deck, LiveError, LiveOptions};
use tapedeck::replay::ReplayOptions;
use tapedeck::tape::Cut;

use crate::live::{deliveries, deliveries_of, live_options, recording};
use crate::made::{Kind, config, made, made_of};
use crate::recovery;
use crate::support::{assert_same, dump_of, dumped, lines, memory, options, run};

const AT: u64 = 700;

/// This entry, which is one of this symbol's, fails.
fn sabotage(symbol: &Symbol, number: u64) {
    assert!(symbol.native() != "BTCUSDT" || number != AT, "made to fail");
}

fn sabotaged(workers: usize, cut: Cut) -> ReplayOptions {
    ReplayOptions { config: config(false), workers, cut, sabotage: Some(sabotage), ..options() }
}

#[test]
fn other_symbols_never_notice_and_the_faulty_one_stands_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let files = made(Kind::Capture, 1, 1_500).whole(folder.path());
    let healthy = dump_of(&files, &ReplayOptions { config: config(false), ..options() });
    let store = memory();
    let report = run(&store, &files, &sabotaged(2, Cut::Adaptive));
    assert!(report.summary.ledger.adds_up());
    assert_eq!(report.summary.faults.len(), 1, "{:?}", report.summary.faults);
    assert!(report.summary.faults[0].cause.contains("made to fail"), "{:?}", report.summary.faults);
    let faulty = dumped(&store);

    let of_others = |dump: &str| -> String {
        dump.lines().filter(|line| !line.contains(":BTCUSDT")).map(|line| format!("{line}\n")).collect()
    };
    assert_same(&of_others(&faulty), &of_others(&healthy), "the other symbols");

    let place = |line: &str| line.split(',').take(4).collect::<Vec<_>>().join(",");
    let healthy: BTreeMap<String, &str> =
        lines(&healthy, "window,").into_iter().map(|line| (place(line), line)).collect();
    let windows: Vec<&str> =
        lines(&faulty, "window,").into_iter().filter(|line| line.contains(":BTCUSDT")).collect();
    let (flagged, before): (Vec<&str>, Vec<&str>) =
        windows.into_iter().partition(|line| line.contains("quarantined"));
    assert!(!before.is_empty() && (3..=5).contains(&flagged.len()), "{} and {}", before.len(), flagged.len());
    for line in before {
        assert_eq!(line, healthy[&place(line)]);
    }
    let columns = lines(&faulty, "ledger,").into_iter().find(|line| line.contains(":BTCUSDT")).unwrap();
    assert!(!columns.contains("rejected=0"), "{columns}");

    for (workers, cut) in
        [(1, Cut::Every(1)), (8, Cut::Every(64)), (2, Cut::Random(9)), (8, Cut::Every(8_192))]
    {
        assert_same(
            &dump_of(&files, &sabotaged(workers, cut)),
            &faulty,
            &format!("{cut:?}, {workers} workers"),
        );
    }
}

/// From this entry on, one symbol fails.
const LIVE_AT: u64 = 900;
/// The symbol that does.
const LIVE: &str = "binance:BTCUSDT";

fn fails(symbol: &Symbol, number: u64) {
    assert!(symbol.as_str() != LIVE || number < LIVE_AT, "made to fail");
}

/// The live run that [`fails_with_epochs_behind_it`] looks at.
static LOOKED_AT: Mutex<Option<Arc<Pulse>>> = Mutex::new(None);

/// The same, once as many epochs are in flight behind it as can be.
fn fails_with_epochs_behind_it(symbol: &Symbol, number: u64) {
    let pulse = LOOKED_AT.lock().unwrap().clone();
    if let Some(pulse) = pulse.filter(|_| symbol.as_str() == LIVE && number >= LIVE_AT) {
        while pulse.in_flight().0 < EPOCHS_IN_FLIGHT {
            std::thread::yield_now();
        }
    }
    fails(symbol, number);
}

/// Both symbols of that name.
fn two_fail(symbol: &Symbol, number: u64) {
    assert!(symbol.native() != "BTCUSDT" || number < LIVE_AT, "made to fail");
}

/// A live run on a market; its dump, and what it says of itself.
fn live(folder: &Path, options: &LiveOptions, is_looked_at: bool) -> (String, Summary) {
    let store = memory();
    let recorder = Recorder::start(folder, clock::wall()).unwrap();
    let mut deck = Deck::start(&store, options, Some(recorder)).unwrap();
    let pulse = deck.pulse();
    *LOOKED_AT.lock().unwrap() = is_looked_at.then(|| Arc::clone(&pulse));
    for delivery in deliveries(11, 1_800) {
        deck.take(delivery, false).unwrap();
    }
    let summary = deck.stop().unwrap();
    assert!(summary.ledger.adds_up());
    assert_eq!(*pulse.committed().faults, summary.faults);
    (dumped(&store), summary)
}

#[test]
fn a_live_run_goes_on_without_the_symbol_and_its_replay_is_equal() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir(&path).unwrap();
        path
    };
    let (healthy, was) = live(&path("healthy"), &live_options(2, Cut::Adaptive), false);
    let of_others = |dump: &str| -> String {
        let others = dump.lines().filter(|line| !line.contains(LIVE) && !line.starts_with("total"));
        others.map(|line| format!("{line}\n")).collect()
    };
    for (workers, every) in [(1, i64::MAX), (4, i64::MAX), (4, 0), (2, 3_000_000)] {
        let what = format!("{workers} workers, checkpoints every {every} ns");
        let mut options = live_options(workers, Cut::Adaptive);
        options.sabotage = Some(fails_with_epochs_behind_it);
        options.config.engine.checkpoint_every = every;
        let recorded = path(&format!("{workers}-{every}"));
        let (dump, summary) = live(&recorded, &options, true);
        let [fault] = &summary.faults[..] else { panic!("{what}: {:?}", summary.faults) };
        assert!(fault.symbol.as_str() == LIVE && fault.number >= LIVE_AT, "{fault:?}");
        assert_eq!(fault.cause, "made to fail");
        assert_eq!(summary.ledger.received, was.ledger.received, "{what}");
        assert_same(&of_others(&dump), &of_others(&healthy), &what);
        let flagged = lines(&dump, "window,").into_iter().filter(|line| line.contains("quarantined"));
        assert!(flagged.inspect(|line| assert!(line.contains(LIVE))).count() >= 3, "{what}");
        let ledger = lines(&dump, "ledger,").into_iter().find(|line| line.contains(LIVE)).unwrap();
        assert!(!ledger.contains("rejected=0"), "{ledger}");
        let replay =
            ReplayOptions { config: config(true), sabotage: Some(fails), ..crate::support::options() };
        assert_same(&dump_of(&recording(&recorded), &replay), &dump, &what);
    }
}

#[test]
fn symbols_out_of_service_stay_so_when_the_run_dies() {
    let mut dumps = Vec::new();
    for every in [i64::MAX, 0] {
        let mut sabotaged = recovery::options(every, Cut::Adaptive);
        sabotaged.sabotage = Some(two_fail);
        let store = recovery::died(deliveries(11, 1_800), &sabotaged, false);
        // What it goes on with works, but what was published stands.
        let deck = Deck::start(&store, &recovery::options(every, Cut::Adaptive), None).unwrap();
        let faults = deck.pulse().committed().faults;
        let causes: Vec<&str> = faults.iter().map(|fault| fault.cause.as_str()).collect();
        assert_eq!(causes, ["made to fail"; 2]);
        assert!(deck.stop().unwrap().faults.is_empty(), "they are of the run before");
        dumps.push(dumped(&store));
    }
    assert!(dumps[0].contains("quarantined"));
    assert_same(&dumps[0], &dumps[1], "with checkpoints");
}

/// Every symbol fails, one after the other.
fn all_fail(symbol: &Symbol, number: u64) {
    let place: u64 = symbol.native().bytes().map(u64::from).sum();
    assert!(number < 300 + place % 64 * 30, "made to fail");
}

#[test]
fn a_run_ends_when_too_many_symbols_fail_and_those_before_stay_out_of_service() {
    let mut sabotaged = recovery::options(i64::MAX, Cut::Adaptive);
    sabotaged.sabotage = Some(all_fail);
    let store = memory();
    let mut deck = Deck::start(&store, &sabotaged, None).unwrap();
    let deliveries = deliveries_of(&made_of(40, Kind::Capture, 3, 3_000), 3);
    assert!(deliveries.into_iter().any(|delivery| deck.take(delivery, false).is_err()), "it took all");
    let Err(LiveError::Commit(CommitError::Fault(last))) = deck.stop() else { panic!("no fault") };
    assert!(last.number >= 300);
    // The epoch that was one too many was not committed. What was before is there, and goes on without those that failed in it.
    let deck = Deck::start(&store, &recovery::options(i64::MAX, Cut::Adaptive), None).unwrap();
    let faults = deck.pulse().committed().faults;
    assert!((FAULTS_MAX / 2..=FAULTS_MAX).contains(&faults.len()), "{faults:?}");
    assert!(faults.iter().all(|fault| fault.symbol != last.symbol), "{faults:?}");
    deck.stop().unwrap();
}
