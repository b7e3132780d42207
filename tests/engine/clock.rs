//! Receive time moves quiet symbols.

use feeds::time::SECOND;
use tapedeck::market::START;
use tapedeck::replay::ReplayOptions;
use tapedeck::tape::Cut;

use crate::made::{Kind, capture_trade, config, file, made};
use crate::support::{assert_same, dump_of, lines, options};

fn made_options(cut: Cut) -> ReplayOptions {
    ReplayOptions { config: config(false), cut, ..options() }
}

#[test]
fn a_quiet_symbol_is_emitted_by_the_clock_and_nothing_depends_on_the_cut() {
    let folder = tempfile::tempdir().unwrap();
    // Symbol 1 trades once; symbol 0 goes on for two minutes.
    let mut trades = vec![capture_trade(1, 1, START + 300_000_000, START + 310_000_000)];
    trades.extend((1..240i64).map(|half| {
        let ts = START + half * SECOND / 2;
        capture_trade(0, half.unsigned_abs(), ts, ts + 10_000_000)
    }));
    let path = [file(folder.path(), "quiet.txt", &made(Kind::Capture, 1, 1).head, &trades)];
    let expected = dump_of(&path, &made_options(Cut::Adaptive));
    let native = String::from_utf8(trades[0].clone()).unwrap().to_uppercase();
    let quiet: Vec<&str> = lines(&expected, "window,")
        .into_iter()
        .filter(|line| native.contains(line.split(',').nth(2).unwrap().split(':').nth(1).unwrap()))
        .collect();
    assert_eq!(quiet.len(), 2, "{quiet:?}");
    for line in quiet {
        assert_eq!(line.split(',').nth(5), Some(""), "emitted as over: {line}");
    }
    for cut in [Cut::Every(1), Cut::Every(2), Cut::Every(64), Cut::Random(1), Cut::Random(2)] {
        assert_same(&dump_of(&path, &made_options(cut)), &expected, &format!("{cut:?}"));
    }
}
