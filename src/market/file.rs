//! A file to write, compressed as its name says: `.gz`, `.zst`, or plain.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

/// An open file. Only [`OutputFile::finish`] makes it whole.
pub(super) enum OutputFile {
    Plain(File),
    Gzip(GzEncoder<File>),
    Zstd(zstd::Encoder<'static, File>),
}

impl OutputFile {
    /// Creates the file, over one that was there.
    pub(super) fn create(path: &Path) -> io::Result<OutputFile> {
        let file = File::create(path)?;
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("gz") => Ok(OutputFile::Gzip(GzEncoder::new(file, Compression::fast()))),
            Some("zst") => Ok(OutputFile::Zstd(zstd::Encoder::new(file, 3)?)),
            _ => Ok(OutputFile::Plain(file)),
        }
    }

    /// Writes `buffer` if it is at least `least` bytes long, and empties it.
    pub(super) fn drain(&mut self, buffer: &mut Vec<u8>, least: usize) -> io::Result<()> {
        if buffer.len() < least {
            return Ok(());
        }
        match self {
            OutputFile::Plain(file) => file.write_all(buffer)?,
            OutputFile::Gzip(file) => file.write_all(buffer)?,
            OutputFile::Zstd(file) => file.write_all(buffer)?,
        }
        buffer.clear();
        Ok(())
    }

    /// Writes what the compression still holds.
    pub(super) fn finish(self) -> io::Result<()> {
        match self {
            OutputFile::Plain(_) => Ok(()),
            OutputFile::Gzip(file) => file.finish().map(drop),
            OutputFile::Zstd(file) => file.finish().map(drop),
        }
    }
}
