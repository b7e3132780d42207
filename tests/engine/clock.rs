//! Receive time moves quiet symbols.

use feeds::time::SECOND;
use tapedeck::market::START;
use tapedeck::replay::ReplayOptions;
use tapedeck::schema::gaps::{self, Missing};
use tapedeck::store::Family;
use tapedeck::symbol::outages::Cause;
use tapedeck::tape::Cut;

use crate::made::{Kind, capture_trade, config, file, made};
use crate::support::{assert_same, dump_of, dumped, lines, memory, options, run, statistics};

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

/// Somebody sets our clock an hour ahead, or back by five minutes: the venue's times are what they were.
#[test]
fn a_clock_that_is_set_is_told_and_does_not_carry_the_market_away() {
    let folder = tempfile::tempdir().unwrap();
    let made = made(Kind::Capture, 5, 3_000);
    let right = file(folder.path(), "right.txt", &made.head, &made.lines);
    let right = dump_of(&[right], &made_options(Cut::Adaptive));
    for (name, set) in [("ahead.txt", 3_600 * SECOND), ("back.txt", -300 * SECOND)] {
        let (before, behind) = made.lines.split_at(1_500);
        // An event may have several lines.
        let behind = String::from_utf8(behind.concat()).unwrap();
        let moved = behind.lines().map(|line| {
            let (received_at, frame) = line.split_once(' ').unwrap();
            format!("{} {frame}\n", received_at.parse::<i64>().unwrap() + set).into_bytes()
        });
        let all: Vec<Vec<u8>> = before.iter().cloned().chain(moved).collect();
        let path = file(folder.path(), name, &made.head, &all);
        let store = memory();
        let report = run(&store, std::slice::from_ref(&path), &made_options(Cut::Adaptive));
        let ledger = report.summary.ledger;
        // Back by less than a leap, quotes without a time are taken for late, and the first trade for one of the
        // future, until a second one shows what it is.
        let most = if name == "ahead.txt" { (0, 0) } else { (10, 1) };
        assert!((ledger.late, ledger.rejected) <= most && ledger.rejected <= most.1, "{name}: {ledger:?}");
        let set = dumped(&store);
        if name == "ahead.txt" {
            assert_eq!(statistics(&set, "window,1s,"), statistics(&right, "window,1s,"));
        }
        assert!(lines(&set, "window,").iter().any(|line| line.contains(",gap,")), "{name} is marked");
        let told = store.scan(Family::Gaps, &[], None).filter(|pair| {
            let (key, value) = pair.as_ref().unwrap();
            matches!(gaps::decode(key, value).unwrap().1, Missing::Stretch(stretch) if stretch.cause == Cause::Clock)
        });
        assert!(told.count() > 0, "{name} is told");
        for cut in [Cut::Every(1), Cut::Every(64), Cut::Random(3)] {
            let again = dump_of(std::slice::from_ref(&path), &made_options(cut));
            assert_same(&again, &set, &format!("{name}, {cut:?}"));
        }
    }
    assert!(!lines(&right, "window,").iter().any(|line| line.contains(",gap,")));
}
