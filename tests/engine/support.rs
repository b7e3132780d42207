//! Replays into memory, and what comes out as text.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapedeck::config::{Catalogue as Names, Config};
use tapedeck::query::{Catalogue, dump};
use tapedeck::replay::plan::Mode;
use tapedeck::replay::stop::Stop;
use tapedeck::replay::{Ending, ReplayOptions, Report, replay};
use tapedeck::source::{self, SourceOptions};
use tapedeck::store::Store;
use tapedeck::store::memory::MemoryStore;
use tapedeck::tape::Cut;

/// The folder of captures and truth, if it is there.
pub(crate) fn data() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: no captures at {}", path.display());
    None
}

/// The standard configuration, as fast as it goes.
pub(crate) fn options() -> ReplayOptions {
    ReplayOptions {
        config: Config::standard(&Names::built_in()),
        source: SourceOptions { decoders: 2, ..SourceOptions::default() },
        rules_given: false,
        mode: Mode::Fresh,
        workers: 2,
        speed: None,
        cut: Cut::Adaptive,
        keep_ticks: false,
        sabotage: None,
    }
}

/// A store that ends with the test.
pub(crate) fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

/// Replays `files` into `store`.
pub(crate) fn run(store: &Arc<dyn Store>, files: &[PathBuf], options: &ReplayOptions) -> Report {
    let source = source::open(files, &options.source).unwrap();
    replay(store, source, options, &Stop::default(), &mut |_, _| {}).unwrap()
}

/// The dump of `store`.
pub(crate) fn dumped(store: &Arc<dyn Store>) -> String {
    let catalogue = Catalogue::read(&**store).unwrap();
    let mut out = Vec::new();
    dump::write(&**store, &catalogue, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// What `options` make of `files` in an empty store.
pub(crate) fn dump_of(files: &[PathBuf], options: &ReplayOptions) -> String {
    let store = memory();
    let report = run(&store, files, options);
    assert!(matches!(report.ending, Ending::Complete), "{:?}", report.ending);
    assert!(report.summary.ledger.adds_up());
    dumped(&store)
}

/// Asserts equality of two dumps, naming the first line that differs.
pub(crate) fn assert_same(ours: &str, theirs: &str, what: &str) {
    let differs = ours.lines().zip(theirs.lines()).position(|(a, b)| a != b);
    if let Some(line) = differs {
        panic!(
            "{what}: line {line} is\n  {}\nand not\n  {}",
            ours.lines().nth(line).unwrap(),
            theirs.lines().nth(line).unwrap()
        );
    }
    assert_eq!(ours.lines().count(), theirs.lines().count(), "lines of {what}");
}

/// The lines of a dump that begin with `start`.
pub(crate) fn lines<'a>(dump: &'a str, start: &str) -> Vec<&'a str> {
    dump.lines().filter(|line| line.starts_with(start)).collect()
}

/// The lines of windows that begin with `start`, without their revisions and flags.
pub(crate) fn statistics(dump: &str, start: &str) -> Vec<String> {
    let windows = lines(dump, start).into_iter().map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        [&fields[..4], &fields[6..]].concat().join(",")
    });
    windows.collect()
}
