//! The start of a file: what it says of the file's identity, and which format it is of.

use std::path::Path;

use feeds::formats::{Decoded, Decoder, Format, Head};
use sha2::{Digest, Sha256};

use super::SourceOptions;
use super::error::SourceError;
use super::input::{HEAD_BYTES, Origin};

/// Formats to choose from.
pub(super) type Formats = &'static [&'static dyn Format];

/// Longest excerpt of a file of unknown format, in bytes.
const BEGINS_BYTES: usize = 60;

/// What a file needs of the one before it if it is a piece without the header of its kind.
#[derive(Clone)]
pub(super) struct Header {
    file_name: String,
    line: Vec<u8>,
    pub(super) format: &'static dyn Format,
}

/// The inflated start of a file, with what was said of it on the command line.
pub(super) struct Start<'a> {
    path: &'a Path,
    file_name: String,
    /// Whole lines, where there is a whole one.
    bytes: Vec<u8>,
    options: &'a SourceOptions,
}

impl<'a> Start<'a> {
    /// Inflates the start of `origin`.
    pub(super) fn of(origin: &'a Origin, options: &'a SourceOptions) -> Result<Start<'a>, SourceError> {
        let path = origin.path.as_path();
        let (mut bytes, failure) = origin.inflated_head();
        if bytes.is_empty() {
            return Err(match failure {
                Some(failure) => failure.of(path.to_owned()),
                None => SourceError::Empty(path.to_owned()),
            });
        }
        let is_whole = bytes.len() < HEAD_BYTES && origin.raw_head.len() < HEAD_BYTES && failure.is_none();
        if !is_whole && let Some(last) = memchr::memrchr(b'\n', &bytes) {
            bytes.truncate(last + 1);
        }
        Ok(Start { path, file_name: bare_name(path), bytes, options })
    }

    /// The whole lines.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What a format gets to see. A single `--symbol` names the symbol of a file that names none.
    fn head(&self) -> Head<'_> {
        let symbol = match self.options.symbols.as_slice() {
            [only] => Some(only.as_str()),
            _ => None,
        };
        Head { file_name: &self.file_name, bytes: &self.bytes, venue: self.options.venue.as_deref(), symbol }
    }

    /// The header, for pieces behind this file.
    pub(super) fn header(&self, format: &'static dyn Format) -> Header {
        let line = self.bytes.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default().to_vec();
        Header { file_name: self.file_name.clone(), line, format }
    }

    /// A decoder for this file as a piece behind the file with this header, if it can be one: with the header, and
    /// only with it, every line here can be read.
    pub(super) fn decoder_behind(&self, header: &Header) -> Option<Box<dyn Decoder>> {
        let mut bytes = header.line.clone();
        bytes.extend_from_slice(&self.bytes);
        let head = Head { file_name: &header.file_name, bytes: &bytes, ..self.head() };
        let mut out = Decoded::default();
        header.format.open(&head).ok()?.decode(&self.bytes, &mut out);
        let is_read = out.frames.ticks > 0 && out.frames.broken == 0 && out.complaints_in_all == 0;
        if is_read { header.format.open(&head).ok() } else { None }
    }

    /// The format that is asked for, or the one that the file is of.
    pub(super) fn format(&self, formats: Formats) -> Result<&'static dyn Format, SourceError> {
        let known = || formats.iter().map(|format| format.name()).collect::<Vec<_>>().join(", ");
        if let Some(name) = self.options.format.as_deref().filter(|name| *name != "auto") {
            let found = formats.iter().copied().find(|format| format.name() == name);
            return found.ok_or_else(|| SourceError::NoSuchFormat {
                name: name.to_owned(),
                nearest: nearest(name, formats),
                known: known(),
            });
        }
        let head = self.head();
        if let Some(found) = formats.iter().copied().find(|format| format.matches(&head)) {
            return Ok(found);
        }
        let path = self.path.to_owned();
        if self.bytes.contains(&0) || std::str::from_utf8(&self.bytes[..self.bytes.len().min(8)]).is_err() {
            return Err(SourceError::Binary { path, known: known() });
        }
        let line = self.bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let begins = String::from_utf8_lossy(&line[..line.len().min(BEGINS_BYTES)]).trim_end().to_owned();
        Err(SourceError::UnknownFormat { path, begins, known: known() })
    }

    /// A decoder for the file as `format`.
    pub(super) fn decoder(&self, format: &'static dyn Format) -> Result<Box<dyn Decoder>, SourceError> {
        format.open(&self.head()).map_err(|error| SourceError::Format {
            path: self.path.to_owned(),
            format: format.name(),
            error,
        })
    }
}

/// The file's name without folders and without the ending that says how it is compressed.
fn bare_name(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let bare = [".gz", ".zst"].iter().find_map(|ending| name.strip_suffix(ending));
    bare.unwrap_or(&name).to_owned()
}

/// The most similar name, if one is similar at all.
fn nearest(name: &str, formats: Formats) -> Option<&'static str> {
    let scored =
        formats.iter().map(|format| (strsim::damerau_levenshtein(name, format.name()), format.name()));
    scored.min().filter(|(distance, _)| *distance <= 2.max(name.len() / 3)).map(|(_, name)| name)
}

/// SHA-256 of the first 64 KiB on disk and the size.
pub(super) fn first_block(origin: &Origin) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(&origin.raw_head);
    hash.update(origin.size.to_le_bytes());
    hash.finalize().into()
}
