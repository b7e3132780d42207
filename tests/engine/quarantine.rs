//! A fault in one symbol, seen from outside.

use std::collections::BTreeMap;

use feeds::symbol::Symbol;
use tapedeck::replay::ReplayOptions;
use tapedeck::tape::Cut;

use crate::made::{Kind, config, made};
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
