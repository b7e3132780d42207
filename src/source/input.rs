//! The bytes of one file, inflated where its first bytes say so.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::error::{Failure, SourceError};

/// Bytes at the start of a file that tell what it is: as many raw ones for its identity, as many inflated ones for
/// its format.
pub(super) const HEAD_BYTES: usize = 64 << 10;

/// Raw bytes asked for at a time when inflating.
const RAW_BYTES: usize = 64 << 10;

/// A file that can be read from its start, once or again.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) path: PathBuf,
    /// The first [`HEAD_BYTES`] on disk.
    pub(super) raw_head: Vec<u8>,
    /// Bytes on disk; 0 for what is no regular file.
    pub(super) size: u64,
    /// What cannot be opened again (a pipe), behind `raw_head`.
    once: Option<File>,
}

impl Origin {
    /// Opens `path` and reads its head.
    pub(super) fn open(path: &Path) -> Result<Origin, SourceError> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => SourceError::Missing(path.to_owned()),
            _ => SourceError::Read { path: path.to_owned(), offset: 0, what: error.to_string() },
        };
        let mut file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(SourceError::Directory(path.to_owned()));
        }
        let mut raw_head = Vec::new();
        file.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut raw_head).map_err(failed)?;
        if raw_head.is_empty() {
            return Err(SourceError::Empty(path.to_owned()));
        }
        let regular = metadata.is_file();
        let size = if regular { metadata.len() } else { 0 };
        Ok(Origin { path: path.to_owned(), raw_head, size, once: (!regular).then_some(file) })
    }

    /// True if a read of it ends soon, so that its thread can be waited for.
    pub(super) fn is_regular(&self) -> bool {
        self.once.is_none()
    }

    /// The whole file from its start. What is no regular file gives this once.
    pub(super) fn input(&mut self) -> io::Result<Input> {
        let raw: Box<dyn Read + Send> = match self.once.take() {
            Some(rest) => Box::new(io::Cursor::new(self.raw_head.clone()).chain(rest)),
            None => Box::new(File::open(&self.path)?),
        };
        Input::new(&self.raw_head, raw)
    }

    /// The first inflated bytes, and why there are no more, if not for the limit.
    pub(super) fn inflated_head(&self) -> (Vec<u8>, Option<Failure>) {
        let (bytes, failure) = inflated(&self.raw_head, io::Cursor::new(self.raw_head.clone()), HEAD_BYTES);
        // The raw head itself may end in the middle of a compressed block.
        let is_short = self.raw_head.len() == HEAD_BYTES && matches!(failure, Some(Failure::Cut { .. }));
        (bytes, failure.filter(|_| !is_short))
    }

    /// Up to `limit` of the first inflated bytes of a file that can be opened again.
    pub(super) fn long_head(&self, limit: usize) -> Vec<u8> {
        let file = File::open(&self.path).ok().filter(|_| self.is_regular());
        file.map(|file| inflated(&self.raw_head, file, limit).0).unwrap_or_default()
    }
}

fn inflated(head: &[u8], raw: impl Read + Send + 'static, limit: usize) -> (Vec<u8>, Option<Failure>) {
    let mut input = match Input::new(head, Box::new(raw)) {
        Ok(input) => input,
        Err(error) => return (Vec::new(), Some(Failure::Damaged { offset: 0, what: error.to_string() })),
    };
    let mut bytes = Vec::new();
    let result = input.by_ref().take(limit as u64).read_to_end(&mut bytes);
    (bytes, result.err().map(|error| input.failure(&error)))
}

/// The inflated bytes of a file.
pub(super) struct Input {
    kind: Kind,
}

enum Kind {
    Plain(Counted),
    Gzip(Box<MultiGzDecoder<Counted>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, Counted>>),
}

impl Input {
    fn new(head: &[u8], raw: Box<dyn Read + Send>) -> io::Result<Input> {
        let raw = Counted { inner: BufReader::with_capacity(RAW_BYTES, raw), consumed: 0, failed: false };
        let kind = match head {
            [0x1f, 0x8b, ..] => Kind::Gzip(Box::new(MultiGzDecoder::new(raw))),
            // A frame, or a skippable one in front of it.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                Kind::Zstd(Box::new(zstd::stream::read::Decoder::with_buffer(raw)?))
            }
            _ => Kind::Plain(raw),
        };
        Ok(Input { kind })
    }

    fn raw(&self) -> &Counted {
        match &self.kind {
            Kind::Plain(raw) => raw,
            Kind::Gzip(gzip) => gzip.get_ref(),
            Kind::Zstd(zstd) => zstd.get_ref(),
        }
    }

    /// Bytes on disk that were used up.
    pub(super) fn offset(&self) -> u64 {
        self.raw().consumed
    }

    /// What a failed read means.
    pub(super) fn failure(&self, error: &io::Error) -> Failure {
        let (offset, what) = (self.offset(), error.to_string());
        if self.raw().failed || matches!(self.kind, Kind::Plain(_)) {
            Failure::Read { offset, what }
        } else if error.kind() == io::ErrorKind::UnexpectedEof {
            Failure::Cut { offset }
        } else {
            Failure::Damaged { offset, what }
        }
    }
}

impl Read for Input {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match &mut self.kind {
            Kind::Plain(raw) => raw.read(bytes),
            Kind::Gzip(gzip) => gzip.read(bytes),
            Kind::Zstd(zstd) => zstd.read(bytes),
        }
    }
}

/// Raw bytes that are counted as they are used, and that remember whether the disk failed.
struct Counted {
    inner: BufReader<Box<dyn Read + Send>>,
    consumed: u64,
    failed: bool,
}

impl Read for Counted {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        // A large read passes by the buffer.
        let result = self.inner.read(bytes);
        match &result {
            Ok(read) => self.consumed += *read as u64,
            Err(error) => self.failed |= error.kind() != io::ErrorKind::Interrupted,
        }
        result
    }
}

impl BufRead for Counted {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self.inner.fill_buf() {
            Ok(bytes) => Ok(bytes),
            Err(error) => {
                self.failed |= error.kind() != io::ErrorKind::Interrupted;
                Err(error)
            }
        }
    }

    fn consume(&mut self, amount: usize) {
        self.consumed += amount as u64;
        self.inner.consume(amount);
    }
}
