//! What is wrong with an input: as an error that ends the replay, or as a complaint that is shown and counted.

use std::fmt;
use std::path::PathBuf;

use feeds::formats::FormatError;
use feeds::frame::FrameError;

/// A line that is broken, or a tick that was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The file's number.
    pub file: usize,
    /// The line in the (inflated) file, from 1.
    pub line: u64,
    /// Why, with an excerpt.
    pub error: FrameError,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.error)
    }
}

/// Why the files cannot be replayed, or not to their end.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// No file was named.
    #[error("no file to read; name at least one")]
    NoFiles,
    /// No such file.
    #[error("no such file: {}; check the path", .0.display())]
    Missing(PathBuf),
    /// A directory.
    #[error("{} is a directory; name the files in it", .0.display())]
    Directory(PathBuf),
    /// Nothing in it.
    #[error("{} is empty; give a file with at least one row", .0.display())]
    Empty(PathBuf),
    /// Cannot be opened, or a read failed.
    #[error("{} cannot be read at byte {offset}: {what}; check the disk and the file's permissions", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Bytes on disk that could be read.
        offset: u64,
        /// What the system says.
        what: String,
    },
    /// No text.
    #[error(
        "{} is a binary file, and no known format is binary; convert it to one of {known} (gzip and zstd are \
         read as they are)", .path.display()
    )]
    Binary {
        /// The file.
        path: PathBuf,
        /// The formats there are.
        known: String,
    },
    /// Text of no known format.
    #[error(
        "{} is of no known format: it begins with {begins:?}; name its format with --format ({known})",
        .path.display()
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// Its first line, cut.
        begins: String,
        /// The formats there are.
        known: String,
    },
    /// `--format` names none that there is.
    #[error("no format `{name}`{}; there are {known}", .nearest.map(|n| format!(", did you mean `{n}`?")).unwrap_or_default())]
    NoSuchFormat {
        /// What was asked for.
        name: String,
        /// The most similar name.
        nearest: Option<&'static str>,
        /// The formats there are.
        known: String,
    },
    /// The format does not take the file: wrong columns, or it needs to be told its venue or symbol.
    #[error("{} cannot be read as {format}: {error}{}", .path.display(), advice(.error))]
    Format {
        /// The file.
        path: PathBuf,
        /// The format.
        format: &'static str,
        /// Why.
        error: FormatError,
    },
    /// The first line of a recording is damaged.
    #[error("{} is no recording that can be read: {why}", .path.display())]
    NoRecording {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Recordings of several runs, between which nobody was there.
    #[error(
        "these are recordings of {} runs; replay the parts of one ({}…) by themselves, and then those of the next ({}…) \
         with --append",
        .0.len(), shown(.0.first()), shown(.0.get(1))
    )]
    SeveralRuns(
        /// The first part of each run.
        Vec<PathBuf>,
    ),
    /// Files with and without receive times have no common order.
    #[error(
        "{} has receive times and {} has none, so there is no order to merge them in; replay them one by one",
        .with.display(), .without.display()
    )]
    Mixture {
        /// A file with receive times.
        with: PathBuf,
        /// A file without.
        without: PathBuf,
    },
    /// A compressed file ends in the middle.
    #[error("{} is cut off at byte {offset}: what is whole was used; get the file again", .path.display())]
    Cut {
        /// The file.
        path: PathBuf,
        /// Bytes on disk up to the cut.
        offset: u64,
    },
    /// A compressed file cannot be inflated further.
    #[error("{} is damaged at byte {offset}: {what}; what is before that was used; get the file again", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The byte on disk at or shortly before which the damage is.
        offset: u64,
        /// What the decompressor says.
        what: String,
    },
    /// A broken line or a rejected tick, under `--strict`.
    #[error("{}, line {line}: {error}; repair the line, or replay without --strict to count it and go on", .path.display())]
    Strict {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// Why.
        error: FrameError,
    },
    /// A thread of ours ended in a way that it must not.
    #[error("decoding {} failed: {what}; this is a fault of tapedeck, please report it with the file", .path.display())]
    Panicked {
        /// The file.
        path: PathBuf,
        /// What the panic says.
        what: String,
    },
    /// The system gives no thread.
    #[error("no thread to read {}: {what}; raise the limit on threads, or name fewer files", .path.display())]
    Thread {
        /// The file.
        path: PathBuf,
        /// What the system says.
        what: String,
    },
}

impl SourceError {
    /// The exit code of a process that ends with this: 1 failed, 2 wrong usage, 3 damaged data.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            SourceError::Read { .. } | SourceError::Panicked { .. } | SourceError::Thread { .. } => 1,
            SourceError::Cut { .. } | SourceError::Damaged { .. } | SourceError::Strict { .. } => 3,
            SourceError::NoFiles
            | SourceError::Missing(_)
            | SourceError::Directory(_)
            | SourceError::Empty(_)
            | SourceError::Binary { .. }
            | SourceError::UnknownFormat { .. }
            | SourceError::NoSuchFormat { .. }
            | SourceError::Format { .. }
            | SourceError::NoRecording { .. }
            | SourceError::SeveralRuns(_)
            | SourceError::Mixture { .. } => 2,
        }
    }
}

fn shown(path: Option<&PathBuf>) -> String {
    path.map(|path| path.display().to_string()).unwrap_or_default()
}

fn advice(error: &FormatError) -> &'static str {
    match error {
        FormatError::Columns { .. } => "; name the columns so, or another format with --format",
        FormatError::NotThis(_) => "; name another format with --format, or leave it out to find out",
        FormatError::Needs(_) => "",
    }
}

/// Why a file's stream of blocks ended early; becomes a [`SourceError`] with the file's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Cut { offset: u64 },
    Damaged { offset: u64, what: String },
    Read { offset: u64, what: String },
    Panicked(String),
    Thread(String),
}

impl Failure {
    pub(super) fn of(self, path: PathBuf) -> SourceError {
        match self {
            Failure::Cut { offset } => SourceError::Cut { path, offset },
            Failure::Damaged { offset, what } => SourceError::Damaged { path, offset, what },
            Failure::Read { offset, what } => SourceError::Read { path, offset, what },
            Failure::Panicked(what) => SourceError::Panicked { path, what },
            Failure::Thread(what) => SourceError::Thread { path, what },
        }
    }
}
