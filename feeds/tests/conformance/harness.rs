//! A venue's fixture, and a session that is fed with it.

use std::fs;
use std::path::PathBuf;

use feeds::frame::{Frame, FrameCounts, FrameKind};
use feeds::symbol::SymbolTable;
use feeds::time::Nanos;
use feeds::venue::{Output, Session, Venue};

/// A receive time and a frame.
pub(crate) type Line = (Nanos, Vec<u8>);

pub(crate) fn fixture_path(venue: &dyn Venue, extension: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(format!("{}.{extension}", venue.id()))
}

pub(crate) fn fixture(venue: &dyn Venue) -> Vec<Line> {
    let path = fixture_path(venue, "frames");
    let bytes =
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; every venue needs one", path.display()));
    let lines: Vec<Line> = bytes
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| {
            let space = line.iter().position(|&byte| byte == b' ').expect("a space behind the receive time");
            let received_at = std::str::from_utf8(&line[..space]).unwrap().parse().expect("nanoseconds");
            (received_at, line[space + 1..].to_vec())
        })
        .collect();
    assert!(!lines.is_empty(), "{} is empty", path.display());
    lines
}

/// A session with everything that came out of it.
pub(crate) struct Run {
    pub(crate) session: Box<dyn Session>,
    pub(crate) symbols: SymbolTable,
    pub(crate) out: Output,
    pub(crate) counts: FrameCounts,
}

impl Run {
    pub(crate) fn new(venue: &dyn Venue) -> Run {
        let (symbols, out) = (SymbolTable::new(venue.id()), Output::default());
        Run { session: venue.open(), symbols, out, counts: FrameCounts::default() }
    }

    /// Decodes one frame and holds what came of it against the rules that always hold.
    pub(crate) fn feed(&mut self, received_at: Option<Nanos>, payload: &[u8]) -> FrameKind {
        let before = self.out.ticks.len();
        let kind = self.session.on_frame(Frame { received_at, payload }, &mut self.symbols, &mut self.out);
        self.counts.count(&kind);
        assert!(self.counts.adds_up());
        for tick in &self.out.ticks[before..] {
            assert!((tick.symbol.0 as usize) < self.symbols.symbols().len(), "a tick of no symbol");
        }
        kind
    }

    /// A run that may go on.
    pub(crate) fn unfinished(venue: &dyn Venue, lines: &[Line]) -> Run {
        let mut run = Run::new(venue);
        for (received_at, payload) in lines {
            run.feed(Some(*received_at), payload);
        }
        run
    }

    pub(crate) fn feed_all<'a>(venue: &dyn Venue, lines: impl IntoIterator<Item = &'a Line>) -> Run {
        let mut run = Run::new(venue);
        for (received_at, payload) in lines {
            run.feed(Some(*received_at), payload);
        }
        run.session.finish(&mut run.out);
        run
    }
}

/// The names of the fixture's symbols as on the wire.
pub(crate) fn natives(venue: &dyn Venue) -> Vec<String> {
    let run = Run::feed_all(venue, &fixture(venue));
    let names: Vec<String> = run.symbols.symbols().iter().map(|symbol| symbol.native().to_owned()).collect();
    assert!(!names.is_empty(), "{}: no symbol in the fixture", venue.id());
    names
}
