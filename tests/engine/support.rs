//! Replays into memory, and what comes out as text.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapedeck::config::{Catalogue as Names, Config};
use tapedeck::query::{Catalogue, dump};
use tapedeck::replay::plan::Mode;
use tapedeck::replay::stop::Stop;
use tapedeck::replay::{ReplayOptions, Report, replay};
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
        mode: Mode::Fresh,
        workers: 2,
        speed: None,
        cut: Cut::Adaptive,
        keep_ticks: false,
        sabotage: None,
    }
}

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
