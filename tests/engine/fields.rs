//! A field that was never there before is on record, and changes no window.

use std::collections::BTreeMap;
use std::sync::Arc;

use feeds::frame::FieldCount;
use tapedeck::query::tables;
use tapedeck::replay::ReplayOptions;
use tapedeck::schema::feeds::{self as ledgers, Feed};
use tapedeck::store::{Family, Store};
use tapedeck::tape::Cut;

use crate::live::{deliveries_of, live_options, recording, run_live};
use crate::made::{Kind, Made, config, file, made};
use crate::support::{assert_same, dump_of, dumped, memory, options, run};

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

#[test]
fn a_new_field_is_counted_with_its_time_and_marks_no_window() {
    let folder = tempfile::tempdir().unwrap();
    // A third are trades, of which one in 1,024 is looked at.
    let (plain, changed) = changed(9_000);
    let made_options = |cut| ReplayOptions { config: config(true), cut, ..options() };
    let options = made_options(Cut::Adaptive);
    let without = dump_of(&[file(folder.path(), "plain.txt", &plain.head, &plain.lines)], &options);
    let path = file(folder.path(), "changed.txt", &changed.head, &changed.lines);
    let store = memory();
    let report = run(&store, std::slice::from_ref(&path), &options);
    assert_same(&dumped(&store), &without, "the windows");

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
    assert_same(&dumped(&live), &dumped(&without), "the windows");
    assert!(unknown(&without).is_empty());
}
