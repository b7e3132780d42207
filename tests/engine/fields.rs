//! A field that was never there before is on record, and marks the windows in which it appeared.

use std::collections::BTreeMap;
use std::sync::Arc;

use feeds::frame::FieldCount;
use feeds::time::SECOND;
use tapedeck::query::tables;
use tapedeck::replay::ReplayOptions;
use tapedeck::replay::plan::Mode;
use tapedeck::schema::feeds::{self as ledgers, Feed};
use tapedeck::schema::gaps::{self, Missing};
use tapedeck::store::{Family, Store};
use tapedeck::symbol::outages::{Cause, Stretch};
use tapedeck::tape::Cut;

use crate::live::{deliveries_of, live_options, recording, run_live};
use crate::made::{Kind, Made, config, file, made};
use crate::resume::run_until;
use crate::support::{assert_same, dump_of, dumped, lines, memory, options, run};

/// A market whose exchange writes one more field behind the time of a trade, from half of its lines on.
fn changed(lines: usize) -> (Made, Made) {
    let plain = made(Kind::Capture, 11, lines);
    let mut changed = made(Kind::Capture, 11, lines);
    for line in &mut changed.lines[lines / 2..] {
        let text = String::from_utf8(std::mem::take(line)).unwrap();
        *line = text.replace(r#","T":"#, r#","multiplier":"10","T":"#).into_bytes();
    }
    assert!(plain.lines[..lines / 2] == changed.lines[..lines / 2] && plain.lines != changed.lines);
    (plain, changed)
}

fn received_at(line: &[u8]) -> i64 {
    std::str::from_utf8(line).unwrap().split(' ').next().unwrap().parse().unwrap()
}

/// Unknown fields by input: inputs without any are left out.
fn unknown(store: &Arc<dyn Store>) -> BTreeMap<String, BTreeMap<String, FieldCount>> {
    let prefix = ledgers::prefix();
    let pairs = store.scan(Family::Meta, &prefix.clone().bytes(), prefix.next().as_deref());
    let feeds = pairs.map(|pair| Feed::decode(&pair.unwrap().1).unwrap());
    let found = feeds.filter(|feed| !feed.unknown_fields.is_empty());
    found.map(|feed| (feed.name, feed.unknown_fields)).collect()
}

/// The stretches in which a field appeared.
fn appeared(store: &Arc<dyn Store>) -> Vec<Stretch> {
    let pairs = store.scan(Family::Gaps, &[], None).map(|pair| pair.unwrap());
    let missing = pairs.map(|(key, value)| gaps::decode(&key, &value).unwrap().1);
    let stretches = missing.filter_map(|missing| match missing {
        Missing::Stretch(stretch) => Some(stretch),
        Missing::Ids(_) => None,
    });
    stretches.filter(|stretch| stretch.cause == Cause::Fields).collect()
}

/// A dump without that mark, and without the revisions that it takes.
fn unmarked(dump: &str) -> String {
    let lines = dump.lines().map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        let [kind @ "window", name, symbol, start, _, flags, rest @ ..] = &fields[..] else {
            return line.to_owned();
        };
        let flags = flags.trim_end_matches("unknown_fields").trim_end_matches('|');
        [&[*kind, name, symbol, start, flags], rest].concat().join(",")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The starts of the windows of one second with that mark.
fn marked(dump: &str) -> Vec<String> {
    let windows = lines(dump, "window,1s,").into_iter().map(|line| line.split(',').collect::<Vec<_>>());
    let marked = windows.filter(|fields| fields[5].ends_with("unknown_fields"));
    marked.map(|fields| fields[3].to_owned()).collect()
}

#[test]
fn a_new_field_is_counted_with_its_time_and_marks_the_windows_in_which_it_appeared() {
    let folder = tempfile::tempdir().unwrap();
    let (plain, changed) = changed(9_000);
    let made_options = |cut| ReplayOptions { config: config(true), cut, ..options() };
    let options = made_options(Cut::Adaptive);
    let without = dump_of(&[file(folder.path(), "plain.txt", &plain.head, &plain.lines)], &options);
    let path = file(folder.path(), "changed.txt", &changed.head, &changed.lines);
    let store = memory();
    let report = run(&store, std::slice::from_ref(&path), &options);
    let dump = dumped(&store);
    assert_same(&unmarked(&dump), &unmarked(&without), "all but the mark");
    // Somewhere between the two frames that were looked at. What was final then is in the list of gaps only.
    let stretches = appeared(&store);
    assert!(stretches.len() > 2, "one for each symbol of the connection: {stretches:?}");
    let half = made(Kind::Capture, 11, 9_000).times[4_500];
    assert!(stretches.iter().all(|stretch| stretch.from < half && stretch.to > half), "{stretches:?}");
    let earliest = stretches.iter().map(|stretch| stretch.from).min().unwrap();
    assert!(half - earliest < 3 * SECOND, "what was not looked at is short: {stretches:?}");
    let latest = stretches.iter().map(|stretch| stretch.to).max().unwrap();
    let marked = marked(&dump);
    assert!(!marked.is_empty() && marked.len() < lines(&dump, "window,1s,").len() / 20, "{marked:?}");
    let around =
        feeds::time::format(earliest - earliest % SECOND)..=feeds::time::format(latest - latest % SECOND);
    assert!(marked.iter().all(|start| around.contains(start)), "{marked:?} in {around:?}");
    assert!(!without.contains("unknown_fields"));

    let [count] = report.summary.feeds[0].unknown_fields.values().collect::<Vec<_>>()[..] else {
        panic!("{:?}", report.summary.feeds)
    };
    let since = count.since.unwrap();
    assert!(count.frames > 0 && since >= received_at(&changed.lines[4_500]), "{count:?}");
    let found = unknown(&store);
    assert_eq!(found.len(), 1);
    let (_, mut rows) = tables::feeds(&*store).unwrap();
    let row = format!("{:?}", rows.pop().unwrap().unwrap());
    let told = format!("multiplier:{}@{}", count.frames, feeds::time::format(since));
    assert!(row.contains(&told), "{told} in {row}");

    for (cut, decoders) in [(Cut::Every(1), 1), (Cut::Random(5), 3)] {
        let mut options = made_options(cut);
        options.source.decoders = decoders;
        let again = memory();
        run(&again, std::slice::from_ref(&path), &options);
        assert_eq!(unknown(&again), found, "nothing depends on the cut");
        assert_same(&dumped(&again), &dump, "the windows by another cut");
    }
    for ticks in [2_000, 4_600, 7_000] {
        let again = memory();
        let mut options = made_options(Cut::Adaptive);
        run_until(&again, std::slice::from_ref(&path), &options, ticks);
        options.mode = Mode::Resume;
        run(&again, std::slice::from_ref(&path), &options);
        assert_same(&dumped(&again), &dump, "stopped and resumed");
    }
}

#[test]
fn a_live_run_has_it_by_connection_and_so_has_its_replay() {
    let folder = tempfile::tempdir().unwrap();
    let (plain, changed) = changed(3_000);
    let live = run_live(folder.path(), deliveries_of(&changed, 11), &live_options(2, Cut::Adaptive));
    let found = unknown(&live);
    // The frames that a connection begins with are looked at.
    assert!(found.len() > 3, "{found:?}");
    assert!(found.values().all(|fields| fields.keys().eq(["multiplier"])), "{found:?}");
    let replayed = memory();
    run(&replayed, &recording(folder.path()), &ReplayOptions { config: config(true), ..options() });
    assert_eq!(unknown(&replayed), found);
    assert_same(&dumped(&replayed), &dumped(&live), "the replay");

    let other = tempfile::tempdir().unwrap();
    let without = run_live(other.path(), deliveries_of(&plain, 11), &live_options(2, Cut::Adaptive));
    assert_same(&unmarked(&dumped(&live)), &unmarked(&dumped(&without)), "all but the mark");
    assert!(!marked(&dumped(&live)).is_empty() && appeared(&live).len() > found.len());
    assert!(unknown(&without).is_empty());
}
