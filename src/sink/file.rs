//! Alerts at the end of a file, one line of JSON each, or one for a group.
//!
//! The file is opened for each batch, so that it may be moved away meanwhile. Lines are whole: what a crash, or a full disk,
//! left of one is taken out before the next is written, and that alert is told again.

use std::fs::{File as Opened, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::{Delivering, Means, Sink, SinkError, SinkKind, Told};
use crate::config::SinkSpec;
use crate::config::limits::SINK_BATCH;

/// What a line of ours begins with: that of an alert, that of a group.
const BEGINNINGS: [&[u8]; 2] = [b"{\"cursor\":\"", b"{\"group\":{"];
/// Bytes of the longest of these.
const BEGINNING_BYTES: u64 = 11;
/// Bytes that are read at a time when the end of the last line is looked for.
const PIECE: u64 = 4_096;

/// The kind.
pub(super) static FILE: File = File { path: None };

/// See the module.
pub(super) struct File {
    path: Option<PathBuf>,
}

impl SinkKind for File {
    fn name(&self) -> &'static str {
        "file"
    }

    fn about(&self) -> &'static str {
        "a line of JSON for each alert, or group, at the end of a file"
    }

    fn keys(&self) -> &'static [(&'static str, bool)] {
        &[("path", true)]
    }

    fn open(&self, spec: &SinkSpec, _: &Means) -> Result<Box<dyn Sink>, SinkError> {
        let path = spec.path.clone().unwrap_or_default();
        // Told at once, and not when the first alert comes.
        opened(&path).map_err(|error| SinkError::File { path: path.clone(), why: error.to_string() })?;
        Ok(Box::new(File { path: Some(path) }))
    }
}

impl Sink for File {
    fn at_once(&self) -> usize {
        SINK_BATCH
    }

    fn deliver<'a>(&'a mut self, told: &'a [Told]) -> Delivering<'a> {
        Box::pin(async move {
            let Some(path) = &self.path else { return Ok(()) };
            let lines: String = told.iter().map(|told| format!("{}\n", told.text)).collect();
            let written = opened(path).and_then(|mut file| {
                file.write_all(lines.as_bytes())?;
                file.flush()
            });
            written.map_err(|error| SinkError::failed(format!("{}: {error}", path.display())))
        })
    }
}

/// The file at `path`, at the end of its last whole line.
fn opened(path: &Path) -> io::Result<Opened> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    let length = file.seek(SeekFrom::End(0))?;
    let whole = whole_lines(&mut file, length)?;
    if whole < length {
        let mut begun = Vec::new();
        file.seek(SeekFrom::Start(whole))?;
        Read::by_ref(&mut file).take(BEGINNING_BYTES).read_to_end(&mut begun)?;
        let is_ours = |ours: &[u8]| ours.starts_with(&begun) || begun.starts_with(ours);
        if !BEGINNINGS.into_iter().any(is_ours) {
            return Err(io::Error::other("it does not end with a whole line, and the rest is none of ours"));
        }
        file.set_len(whole)?;
    }
    file.seek(SeekFrom::End(0))?;
    Ok(file)
}

/// Bytes up to the end of the last whole line.
fn whole_lines(file: &mut Opened, length: u64) -> io::Result<u64> {
    let mut end = length;
    while end > 0 {
        let begin = end.saturating_sub(PIECE);
        let mut piece = vec![0; usize::try_from(end - begin).unwrap_or(0)];
        file.seek(SeekFrom::Start(begin))?;
        file.read_exact(&mut piece)?;
        if let Some(at) = piece.iter().rposition(|byte| *byte == b'\n') {
            return Ok(begin + at as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_line_goes_and_what_is_not_ours_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts.ndjson");
        let long = "x".repeat(3 * PIECE as usize);
        for (before, after) in [
            (String::new(), ""),
            ("a\nb\n".to_owned(), "a\nb\n"),
            ("a\n{\"cursor\":\"1-2\",\"mess".to_owned(), "a\n"),
            ("a\n{\"cur".to_owned(), "a\n"),
            ("a\n{\"group\":{\"rule\":".to_owned(), "a\n"),
            ("a\n{\"group".to_owned(), "a\n"),
            (format!("a\n{{\"cursor\":\"1-2{long}"), "a\n"),
            ("{\"cursor\":\"1-1".to_owned(), ""),
        ] {
            std::fs::write(&path, &before).unwrap();
            opened(&path).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), after);
        }
        for theirs in ["somebody's\nnotes", "a\n{\"cursors\":1}", "a\n{\"groups\":1}", "a\n{\"group\": {}}"] {
            std::fs::write(&path, theirs).unwrap();
            assert!(opened(&path).is_err());
            assert_eq!(std::fs::read_to_string(&path).unwrap(), theirs);
        }
    }
}
