//! Stopped and resumed is uninterrupted; appended ends alike.

use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;
use tapedeck::replay::plan::Mode;
use tapedeck::replay::stop::Stop;
use tapedeck::replay::{Ending, ReplayOptions, Report, replay};
use tapedeck::source;
use tapedeck::store::Store;
use tapedeck::tape::Cut;

use crate::made::{Kind, config, file, kinds, made};
use crate::support::{assert_same, dump_of, dumped, lines, memory, options, run, statistics};

fn made_options(mode: Mode) -> ReplayOptions {
    let mut options = ReplayOptions { config: config(false), mode, ..options() };
    options.source.decoders = 1;
    options
}

/// Replays until at least `ticks` are on the tape, then asks to stop.
pub(crate) fn run_until(
    store: &Arc<dyn Store>,
    files: &[PathBuf],
    options: &ReplayOptions,
    ticks: u64,
) -> Report {
    let source = source::open(files, &options.source).unwrap();
    let stop = Stop::default();
    let asking = stop.clone();
    let mut watch = |_, so_far| {
        if so_far >= ticks {
            asking.ask();
        }
    };
    replay(store, source, options, &stop, &mut watch).unwrap()
}

/// Enough files that there are as many places to stop at: each is a batch of its own.
fn many_files(folder: &std::path::Path, made: &crate::made::Made, each: usize) -> Vec<PathBuf> {
    let parts = made.lines.chunks(each).enumerate().map(|(part, lines)| {
        let csv = made.head.starts_with(b"time");
        let head: &[u8] = if part == 0 || csv { &made.head } else { b"" };
        file(folder, &format!("part{part:03}.{}", if csv { "csv" } else { "txt" }), head, lines)
    });
    parts.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn stopped_and_resumed_is_uninterrupted(
        kind in kinds(),
        seed in any::<u64>(),
        stops in prop::collection::vec(0u64..1_500, 1..5),
        checkpoint in prop_oneof![Just(50u64), Just(300), Just(100_000)],
    ) {
        let folder = tempfile::tempdir().unwrap();
        let files = many_files(folder.path(), &made(kind, seed, 1_500), 40);
        let mut fresh = made_options(Mode::Fresh);
        let whole = dump_of(&files, &fresh);
        fresh.config.engine.checkpoint_entries = checkpoint;
        let store = memory();
        run_until(&store, &files, &fresh, stops[0]);
        let mut resume = made_options(Mode::Resume);
        resume.config.engine.checkpoint_entries = checkpoint;
        for (number, ticks) in stops[1..].iter().enumerate() {
            resume.workers = 1 + number % 3;
            resume.cut = if number % 2 == 0 { Cut::Random(*ticks) } else { Cut::Every(7) };
            run_until(&store, &files, &resume, *ticks);
        }
        let report = run(&store, &files, &resume);
        prop_assert!(matches!(report.ending, Ending::Complete | Ending::NothingLeft));
        assert_same(&dumped(&store), &whole, "after resuming");
        let again = run(&store, &files, &resume);
        prop_assert!(matches!(again.ending, Ending::NothingLeft));
        assert_same(&dumped(&store), &whole, "after resuming once more");
    }

    #[test]
    fn the_second_half_appended_ends_alike(kind in kinds(), seed in any::<u64>(), at in 1usize..1_200) {
        let folder = tempfile::tempdir().unwrap();
        let made = made(kind, seed, 1_200);
        let whole = dump_of(&made.whole(folder.path()), &made_options(Mode::Fresh));
        let first = file(folder.path(), made.name("whole"), &made.head, &made.lines[..at]);
        let second = file(folder.path(), made.name("other"), &made.head, &made.lines[at..]);
        let store = memory();
        run(&store, std::slice::from_ref(&first), &made_options(Mode::Fresh));
        let report = run(&store, &[second], &made_options(Mode::Append));
        prop_assert!(matches!(report.ending, Ending::Complete));
        let dump = dumped(&store);
        let start = match kind {
            Kind::Csv => "window,",
            // Each capture is a connection of its own, which places untimed quotes by its own estimate.
            Kind::Capture => "window,1s,",
        };
        prop_assert_eq!(statistics(&dump, start), statistics(&whole, start));
        // And it gives up the quotes that wait for an estimate when it ends.
        if matches!(kind, Kind::Csv) {
            prop_assert_eq!(lines(&dump, "ledger,"), lines(&whole, "ledger,"));
        }
    }
}

#[test]
fn a_stop_before_the_checkpoint_is_reached_again_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let files = many_files(folder.path(), &made(Kind::Capture, 5, 1_500), 40);
    let whole = dump_of(&files, &made_options(Mode::Fresh));
    let store = memory();
    let first = run_until(&store, &files, &made_options(Mode::Fresh), 1_000);
    assert!(matches!(first.ending, Ending::Stopped));
    let second = run_until(&store, &files, &made_options(Mode::Resume), 10);
    assert!(matches!(second.ending, Ending::Stopped));
    assert_eq!(second.summary.applied, first.summary.applied);
    run(&store, &files, &made_options(Mode::Resume));
    assert_same(&dumped(&store), &whole, "after resuming");
}

/// What a resumed run knows of its symbols is younger than the entries that it comes by again, and must not let those
/// be taken for sent.
#[test]
fn clock_entries_behind_the_checkpoint_are_nobodys_news() {
    let folder = tempfile::tempdir().unwrap();
    let files = many_files(folder.path(), &made(Kind::Capture, 2_186_083_664_073_452_261, 1_500), 40);
    let mut fresh = made_options(Mode::Fresh);
    fresh.config.engine.checkpoint_entries = 100_000;
    let whole = dump_of(&files, &fresh);
    let mut resume = ReplayOptions { mode: Mode::Resume, ..fresh };
    let store = memory();
    run_until(&store, &files, &ReplayOptions { mode: Mode::Fresh, ..made_options(Mode::Fresh) }, 1_026);
    for ticks in [289, 1_491] {
        resume.cut = Cut::Random(ticks);
        run_until(&store, &files, &resume, ticks);
    }
    run(&store, &files, &resume);
    assert_same(&dumped(&store), &whole, "after resuming");
}
