//! Cuts the bytes of a file into blocks of whole lines.

use std::io::{self, Read};

use super::error::Failure;
use super::input::Input;

/// A part of a file's bytes.
#[derive(Debug)]
pub(super) enum Piece {
    /// Whole lines: the first `filled` bytes of the buffer. Only the file's last line may lack its newline.
    Lines { buffer: Vec<u8>, filled: usize },
    /// One line of the limit's length or more; the buffer has its first bytes, the rest was passed by.
    TooLong { buffer: Vec<u8>, limit: usize },
}

/// The blocks of one input, in order.
pub(super) struct Blocks {
    input: Input,
    block_bytes: usize,
    line_bytes: usize,
    /// Begins with the start of a line, unless `skipping`.
    current: Vec<u8>,
    filled: usize,
    /// Inside a line that is too long.
    skipping: bool,
    ended: Option<Result<(), Failure>>,
}

impl Blocks {
    /// Blocks of about `block_bytes`, lines shorter than `line_bytes`.
    pub(super) fn new(input: Input, block_bytes: usize, line_bytes: usize, buffer: Vec<u8>) -> Blocks {
        let block_bytes = block_bytes.min(line_bytes);
        Blocks { input, block_bytes, line_bytes, current: buffer, filled: 0, skipping: false, ended: None }
    }

    /// Bytes on disk that were used up.
    pub(super) fn offset(&self) -> u64 {
        self.input.offset()
    }

    /// How the input ended; `None` before its end.
    pub(super) fn ending(&mut self) -> Option<Result<(), Failure>> {
        self.ended.take()
    }

    /// The next piece, in the buffer that was at work; `spare` takes its place. `None`, and `spare` is kept, at
    /// the end.
    pub(super) fn next(&mut self, spare: Vec<u8>) -> Option<Piece> {
        loop {
            self.fill(self.block_bytes.max(self.filled + 1));
            if self.skipping {
                match memchr::memchr(b'\n', &self.current[..self.filled]) {
                    Some(end) => {
                        self.current.copy_within(end + 1..self.filled, 0);
                        self.filled -= end + 1;
                        self.skipping = false;
                    }
                    None => self.filled = 0,
                }
                if self.filled == 0 && self.ended.is_some() {
                    return None;
                }
                continue;
            }
            if let Some(last) = memchr::memrchr(b'\n', &self.current[..self.filled]) {
                return Some(self.cut(last + 1, spare));
            }
            if let Some(ended) = &self.ended {
                // A line that a cut file ends in is not whole.
                return (ended.is_ok() && self.filled > 0).then(|| self.cut(self.filled, spare));
            }
            if self.filled >= self.line_bytes {
                self.skipping = true;
                self.filled = 0;
                let buffer = std::mem::replace(&mut self.current, spare);
                return Some(Piece::TooLong { buffer, limit: self.line_bytes });
            }
        }
    }

    /// Hands out the first `filled` bytes and takes the others over into `spare`.
    fn cut(&mut self, filled: usize, mut spare: Vec<u8>) -> Piece {
        let rest = &self.current[filled..self.filled];
        if spare.len() < rest.len() {
            spare.resize(rest.len(), 0);
        }
        spare[..rest.len()].copy_from_slice(rest);
        self.filled = rest.len();
        Piece::Lines { buffer: std::mem::replace(&mut self.current, spare), filled }
    }

    /// Reads until at least `wanted` bytes are there, or the end.
    fn fill(&mut self, wanted: usize) {
        if self.current.len() < wanted {
            // Doubling, so that a long line is not read byte by byte; little past the longest line.
            let size = wanted.max((2 * self.current.len()).min(self.line_bytes)).max(self.block_bytes);
            self.current.resize(size, 0);
        }
        let limit = self.current.len().min(self.line_bytes);
        while self.filled < wanted && self.ended.is_none() {
            match self.input.read(&mut self.current[self.filled..limit]) {
                Ok(0) => self.ended = Some(Ok(())),
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.ended = Some(Err(self.input.failure(&error))),
            }
        }
    }
}
