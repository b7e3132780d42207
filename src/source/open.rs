//! Opens files: everything that can be refused is refused here, before anything is read for good or written.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use feeds::formats::{Decoded, Decoder, FORMATS, MAX_FRAME_BYTES, MAX_LINE_BYTES};
use feeds::tick::Tick;
use feeds::time::Nanos;
use feeds::venue::{DuplicateKey, Venue};

use super::clock;
use super::error::SourceError;
use super::filter::Filter;
use super::head::{Formats, Header, Start, first_block};
use super::input::Origin;
use super::lane::{Lane, Opened};
use super::merge::Merge;
use super::recorded::{self, Recorded};
use super::{BLOCK_BYTES, FileInfo, Source, SourceOptions};

/// Bytes in blocks of all files of a merge, one block a file, if that leaves at least [`SMALL_BLOCK_BYTES`] for
/// each. A file has three blocks at least, and ticks take 1.6 times the bytes of their lines: a merge of 1,000 files
/// that all overlap takes 0.5 GiB.
const MERGE_BYTES: usize = 32 << 20;
/// The smallest block of a merge.
const SMALL_BLOCK_BYTES: usize = 64 << 10;

/// Inflated bytes that are searched for a file's first tick, if [`super::input::HEAD_BYTES`] have none.
const PROBE_BYTES: usize = 1 << 20;
/// `\r\n`.
const LINE_END_BYTES: usize = 2;

/// What tests turn: formats to choose from and sizes.
#[derive(Clone, Copy)]
pub(super) struct Setup {
    pub(super) formats: Formats,
    pub(super) block_bytes: usize,
    /// Longest line of a file whose lines stand for themselves, its end included; a longer one is one broken frame
    /// and is not kept in memory.
    pub(super) line_bytes: usize,
    /// The same for captures.
    pub(super) frame_bytes: usize,
}

/// Opens `paths` as one stream. Nothing has been started or written when this returns; reading begins with the
/// first [`Source::next`].
///
/// # Errors
/// A [`SourceError`] if a file is missing, a directory, empty, binary or of no format that fits, needs to be told
/// its venue or symbol, or if files with and without receive times are mixed.
pub fn open(paths: &[PathBuf], options: &SourceOptions) -> Result<Source, SourceError> {
    let block_bytes = (MERGE_BYTES / paths.len().max(1)).clamp(SMALL_BLOCK_BYTES, BLOCK_BYTES);
    let setup = Setup {
        formats: FORMATS,
        block_bytes,
        line_bytes: MAX_LINE_BYTES + LINE_END_BYTES,
        frame_bytes: MAX_FRAME_BYTES + LINE_END_BYTES,
    };
    open_with(paths, options, setup)
}

/// [`open`] with another setup.
pub(super) fn open_with(
    paths: &[PathBuf],
    options: &SourceOptions,
    setup: Setup,
) -> Result<Source, SourceError> {
    if !paths.is_empty() && paths.iter().all(|path| begins_as_recording(path)) {
        return Recorded::open(paths, options).map(Box::new).map(Source::Recorded);
    }
    let mut lanes = Vec::new();
    let mut files: Vec<FileInfo> = Vec::new();
    let mut header = None;
    // A file with and one without receive times.
    let mut timed: [Option<PathBuf>; 2] = [None, None];
    for path in paths {
        let (info, opened) = open_one(path, options, setup.formats, paths.len() > 1, &mut header)?;
        let has_receive_times = opened.decoder.has_receive_times();
        timed[usize::from(has_receive_times)].get_or_insert_with(|| path.clone());
        if let [Some(without), Some(with)] = &timed {
            return Err(SourceError::Mixture { with: with.clone(), without: without.clone() });
        }
        let quote_key = opened.decoder.venue().map_or(DuplicateKey::None, Venue::quote_key);
        let keys = (opened.decoder.trade_key(), quote_key);
        let filter = Filter::new(options.symbols.clone(), options.from, options.to);
        lanes.push(Lane::new(files.len(), opened, keys, filter));
        files.push(info);
    }
    if files.is_empty() {
        return Err(SourceError::NoFiles);
    }
    Ok(Source::Merge(Box::new(Merge::new(files, lanes, timed[1].is_some(), options, setup))))
}

fn begins_as_recording(path: &Path) -> bool {
    // Whatever is wrong with the file is told where it is opened to be read. A pipe must not even be looked into: it
    // can be opened only once, and what was read from it would be lost.
    std::fs::metadata(path).is_ok_and(|file| file.is_file())
        && Origin::open(path).is_ok_and(|origin| recorded::is_recording(&origin.inflated_head().0))
}

/// What a file is known by.
pub(super) fn identity(origin: &Origin, format: &'static str, venue: Option<&'static str>) -> FileInfo {
    FileInfo { path: origin.path.clone(), format, venue, size: origin.size, first_block: first_block(origin) }
}

/// Opens one file. `header` is that of the file before, if there is one, and becomes that of this file.
fn open_one(
    path: &Path,
    options: &SourceOptions,
    formats: Formats,
    merges: bool,
    header: &mut Option<Header>,
) -> Result<(FileInfo, Opened), SourceError> {
    let origin = Origin::open(path)?;
    let start = Start::of(&origin, options)?;
    let own = start.format(formats).and_then(|format| Ok((format, start.decoder(format)?)));
    let behind = |header: &Header| Some((header.format, start.decoder_behind(header)?));
    let (is_piece, (format, decoder)) = match own {
        Ok(own) => (false, own),
        Err(error) => (true, header.as_ref().and_then(behind).ok_or(error)?),
    };
    if is_piece {
        tracing::info!(file = %path.display(), format = format.name(), "no header: read as a piece of the file before");
    } else {
        *header = Some(start.header(format));
    }
    let info = identity(&origin, format.name(), decoder.venue().map(Venue::id));
    let mut first = (None, None);
    if merges {
        let again = || match &*header {
            Some(header) if is_piece => start.decoder_behind(header),
            _ => start.decoder(format).ok(),
        };
        first = again().map_or(first, |decoder| first_of(decoder, start.bytes()));
        if first.0.is_none() {
            let bytes = origin.long_head(PROBE_BYTES);
            let whole = memchr::memrchr(b'\n', &bytes).map_or(0, |last| last + 1);
            first = again().map_or(first, |decoder| first_of(decoder, &bytes[..whole]));
        }
    }
    let (first_key, first_time) = first;
    Ok((info, Opened { origin, decoder, first_key, first_time, is_piece }))
}

/// Where the first tick of a file that begins with `bytes` sorts, and the first time of any tick, which may be one
/// that will be rejected.
///
/// Files of a merge are started only when the merge has come to their first tick, so that a year of daily files
/// takes the threads and the memory of one. A file whose head does not tell is started at once.
fn first_of(mut decoder: Box<dyn Decoder>, bytes: &[u8]) -> (Option<Nanos>, Option<Nanos>) {
    let mut out = Decoded::default();
    let decode = || {
        decoder.decode(bytes, &mut out);
        // What waits for something may have come in first.
        decoder.finish(&mut out);
    };
    if catch_unwind(AssertUnwindSafe(decode)).is_err() {
        // It will panic again where that is told.
        return (None, None);
    }
    let ticks = out.output.ticks;
    if decoder.has_receive_times() {
        return (ticks.iter().filter_map(Tick::received_at).min(), None);
    }
    let times: Vec<Nanos> = ticks.iter().filter_map(clock::time_of).collect();
    // Without a clock every tick is a jump, until the next one confirms it.
    let taken = times.windows(2).find(|pair| pair[1] >= pair[0].saturating_sub(clock::JUMP));
    let only = times.first().copied().filter(|_| times.len() == 1);
    (taken.map(|pair| pair[0]).or(only), times.first().copied())
}
