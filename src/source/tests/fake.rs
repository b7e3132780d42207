//! A small format, files of it, and what a source makes of them.

use std::io::Write;
use std::path::{Path, PathBuf};

use feeds::formats::{Decoded, Decoder, Format, FormatError, Head};
use feeds::frame::{FrameCounts, FrameError, FrameKind};
use feeds::number::Decimal;
use feeds::symbol::{SymbolId, SymbolTable};
use feeds::tick::{Event, Rejection, Side, Tick, Trade};
use feeds::time::{Nanos, SECOND};
use feeds::venue::{Gap, Venue};

use crate::source::error::SourceError;
use crate::source::open::{Setup, open_with};
use crate::source::{Batch, Complaint, FileGap, Source, SourceOptions};

/// The zero of the times in files.
pub(super) const ZERO: Nanos = 1_700_000_000 * SECOND;
pub(super) const MS: Nanos = 1_000_000;

/// Rows `SYMBOL,ms,id` whose blocks can be decoded apart. The first line is `table`.
struct Table;
/// Rows `SYMBOL,ms,id,received ms`, in order; the first line is `capture`. The id [`COUNTED`] stands for how many
/// ticks there were before.
struct Capture;

pub(super) const COUNTED: i64 = 1_000_000;

pub(super) static FORMATS: &[&dyn Format] = &[&Table, &Capture];

impl Format for Table {
    fn name(&self) -> &'static str {
        "table"
    }

    fn describe(&self) -> &'static str {
        "made up"
    }

    fn matches(&self, head: &Head<'_>) -> bool {
        head.bytes.starts_with(b"table")
    }

    fn open(&self, head: &Head<'_>) -> Result<Box<dyn Decoder>, FormatError> {
        if head.bytes.starts_with(b"table without price") {
            let found = "symbol, ms".to_owned();
            return Err(FormatError::Columns { missing: "price".to_owned(), found });
        }
        if head.bytes.starts_with(b"table without venue") && head.venue.is_none() {
            return Err(FormatError::Needs("it names no venue; name it with --venue".to_owned()));
        }
        if !self.matches(head) {
            return Err(FormatError::NotThis("its first line is not `table`".to_owned()));
        }
        Ok(Box::new(Rows::new(head, false)))
    }
}

impl Format for Capture {
    fn name(&self) -> &'static str {
        "capture"
    }

    fn describe(&self) -> &'static str {
        "made up"
    }

    fn matches(&self, head: &Head<'_>) -> bool {
        let first = head.bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        first == b"capture"
            || first.starts_with(b"S") && first.iter().filter(|byte| **byte == b',').count() == 3
    }

    fn open(&self, head: &Head<'_>) -> Result<Box<dyn Decoder>, FormatError> {
        // Rows tell what they are, but not of which venue.
        if head.bytes.starts_with(b"S") && head.venue.is_none() {
            return Err(FormatError::Needs("it names no venue; name it with --venue".to_owned()));
        }
        Ok(Box::new(Rows::new(head, true)))
    }
}

struct Rows {
    symbols: SymbolTable,
    venue: String,
    /// What rows without a symbol are of.
    symbol: String,
    is_capture: bool,
    /// Ticks since the connection was opened.
    count: i64,
}

impl Rows {
    fn new(head: &Head<'_>, is_capture: bool) -> Rows {
        let venue = head.venue.unwrap_or("file").to_owned();
        let told = head.symbol.unwrap_or("?");
        let symbol = told.rsplit_once(':').map_or(told, |(_, native)| native).to_owned();
        Rows { symbols: SymbolTable::new(&venue), venue, symbol, is_capture, count: 0 }
    }

    fn line(&mut self, line: &str, number: u64, out: &mut Decoded) -> FrameKind {
        let fields: Vec<&str> = line.split(',').collect();
        match fields.as_slice() {
            [name] if name.starts_with("table") || name.starts_with("capture") => {
                self.count = 0;
                FrameKind::Control
            }
            [""] => FrameKind::Blank,
            ["panic"] => panic!("as the line says"),
            ["offset", ms] => {
                out.output.offsets.push((out.output.ticks.len(), ms.parse().unwrap()));
                FrameKind::Control
            }
            ["gap", symbol, first_id, last_id] => {
                let symbol = self.symbols.intern(symbol.as_bytes());
                let (first_id, last_id) = (first_id.parse().unwrap(), last_id.parse().unwrap());
                out.output.gaps.push(Gap { symbol, first_id, last_id });
                FrameKind::Control
            }
            [symbol, rest @ ..] => {
                match rest.iter().map(|text| text.parse::<i64>().ok()).collect::<Option<Vec<_>>>() {
                    Some(numbers) if numbers.len() == 2 + usize::from(self.is_capture) => {
                        out.output.ticks.push(self.tick(symbol, &numbers));
                        FrameKind::Ticks
                    }
                    _ => {
                        let error = FrameError::new("not a row", line.as_bytes());
                        out.complain(number, error.clone());
                        FrameKind::Broken(error)
                    }
                }
            }
            [] => FrameKind::Blank,
        }
    }

    fn tick(&mut self, symbol: &str, numbers: &[i64]) -> Tick {
        let name = if symbol.is_empty() { self.symbol.clone() } else { symbol.to_owned() };
        let symbol = self.symbols.intern(name.as_bytes());
        let one = Decimal::parse(b"1").unwrap();
        let counted = self.is_capture && numbers[1] == COUNTED;
        let id = u64::try_from(if counted { self.count } else { numbers[1] }).ok();
        self.count += 1;
        // A negative id is a row whose number is bad.
        let event = match id {
            Some(_) => Event::Trade(Trade::new(id, one, one, Side::Buy)),
            None => Event::Rejected(Rejection::BadNumber),
        };
        let time = |ms: &i64| ZERO.saturating_add(ms.saturating_mul(MS));
        Tick::new(symbol, time(&numbers[0]), numbers.get(2).map(time), event)
    }
}

impl Decoder for Rows {
    fn decode(&mut self, block: &[u8], out: &mut Decoded) {
        let text = String::from_utf8_lossy(block);
        for (number, line) in text.lines().enumerate() {
            let kind = self.line(line, number as u64, out);
            out.frames.count(&kind);
            out.lines += 1;
        }
    }

    fn finish(&mut self, _out: &mut Decoded) {}

    fn fork(&self) -> Option<Box<dyn Decoder>> {
        (!self.is_capture).then(|| {
            let (venue, symbol) = (self.venue.clone(), self.symbol.clone());
            let symbols = SymbolTable::new(&venue);
            Box::new(Rows { symbols, venue, symbol, is_capture: false, count: 0 }) as Box<dyn Decoder>
        })
    }

    fn venue(&self) -> Option<&'static dyn Venue> {
        None
    }

    fn has_receive_times(&self) -> bool {
        self.is_capture
    }

    fn symbols(&self) -> &SymbolTable {
        &self.symbols
    }
}

/// Files that live as long as this.
pub(super) struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    pub(super) fn new() -> Files {
        Files { folder: tempfile::tempdir().unwrap() }
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// Small blocks, so that small files have many.
pub(super) fn setup(block_bytes: usize) -> Setup {
    Setup { formats: FORMATS, block_bytes, line_bytes: 1 << 10, frame_bytes: 1 << 10 }
}

pub(super) fn open(paths: &[PathBuf], options: &SourceOptions, block_bytes: usize) -> Source {
    open_with(paths, options, setup(block_bytes)).unwrap()
}

/// All that a source gave, with nothing of how it was cut into batches.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Told {
    /// File, symbol, the time in ms and the id (`None` if rejected).
    pub(super) ticks: Vec<(usize, String, i64, Option<u64>)>,
    /// The tick that it stands before, file and estimate.
    pub(super) offsets: Vec<(usize, usize, Nanos)>,
    pub(super) gaps: Vec<(usize, String, u64, u64)>,
    pub(super) frames: Vec<FrameCounts>,
    pub(super) complaints: Vec<Complaint>,
    pub(super) complaints_in_all: u64,
    pub(super) symbols: Vec<String>,
}

impl Told {
    pub(super) fn ids(&self) -> Vec<Option<u64>> {
        self.ticks.iter().map(|tick| tick.3).collect()
    }

    fn add(&mut self, batch: &Batch) {
        let before = self.ticks.len();
        self.symbols.extend(batch.new_symbols.iter().map(|new| new.symbol.to_string()));
        let mut begin = 0;
        for run in &batch.runs {
            assert!(run.end >= begin, "runs go on from each other");
            for tick in &batch.ticks[begin..run.end] {
                let SymbolId(number) = batch.symbols[tick.symbol.0 as usize];
                let id = match tick.event {
                    Event::Trade(trade) => trade.id(),
                    _ => None,
                };
                let ms = (tick.exchange_ts - ZERO) / MS;
                self.ticks.push((run.file, self.symbols[number as usize].clone(), ms, id));
            }
            begin = run.end;
        }
        assert_eq!(begin, batch.ticks.len(), "every tick is in a run");
        self.offsets
            .extend(batch.offsets.iter().map(|offset| (before + offset.at, offset.file, offset.offset)));
        for FileGap { file, gap } in &batch.gaps {
            let symbol = self.symbols[gap.symbol.0 as usize].clone();
            self.gaps.push((*file, symbol, gap.first_id, gap.last_id));
        }
        for (file, frames) in &batch.frames {
            if self.frames.len() <= *file {
                self.frames.resize(file + 1, FrameCounts::default());
            }
            self.frames[*file].merge(frames);
        }
        self.complaints.extend(batch.complaints.iter().cloned());
        self.complaints_in_all += batch.complaints_in_all;
    }
}

/// Everything up to the end, and the error that stands there.
pub(super) fn drain(source: &mut Source) -> (Told, Option<SourceError>) {
    let mut told = Told::default();
    let (mut told, error) = loop {
        match source.next() {
            Ok(Some(batch)) => {
                told.add(&batch);
                source.recycle(batch.ticks);
            }
            Ok(None) => break (told, None),
            Err(error) => {
                assert!(source.next().unwrap().is_none(), "nothing comes after an error");
                break (told, Some(error));
            }
        }
    };
    // Their order is nobody's business.
    told.symbols.sort();
    (told, error)
}

/// Everything of sources that end well.
pub(super) fn tell(paths: &[PathBuf], options: &SourceOptions, block_bytes: usize) -> Told {
    let (told, error) = drain(&mut open(paths, options, block_bytes));
    assert!(error.is_none(), "{error:?}");
    told
}
