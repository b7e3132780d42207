//! Where an output goes: stdout, or a file that appears under its name only when it is whole.

use std::fs::{self, File};
use std::io::{self, BufWriter, Stdout, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

/// Bytes gathered before they are written.
const BUFFER_BYTES: usize = 1 << 16;

/// An open output. Without [`finish`](Destination::finish) its file never appears.
#[derive(Debug)]
pub struct Destination {
    out: Out,
}

#[derive(Debug)]
enum Out {
    Stdout(BufWriter<Stdout>),
    /// A pipe or device that is there already: replacing it by a file is not what was meant.
    Direct(BufWriter<File>),
    Replace {
        out: BufWriter<File>,
        unfinished: Unfinished,
        path: PathBuf,
    },
}

/// The temporary name of a file; removed with the value.
#[derive(Debug)]
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Renamed away when all went well; otherwise there is nothing better to do than to try.
        drop(fs::remove_file(&self.0));
    }
}

impl Destination {
    /// The file `path`, or stdout without one. `-` is stdout too.
    ///
    /// # Errors
    /// If no file can be made there.
    pub fn open(path: Option<&Path>) -> Result<Destination> {
        let out = match path {
            None => Out::Stdout(BufWriter::with_capacity(BUFFER_BYTES, io::stdout())),
            Some(path) if path == Path::new("-") => {
                Out::Stdout(BufWriter::with_capacity(BUFFER_BYTES, io::stdout()))
            }
            Some(path) => open_file(path).with_context(|| format!("cannot write {}", path.display()))?,
        };
        Ok(Destination { out })
    }

    /// Writes what is gathered and, for a file, puts it in place.
    ///
    /// # Errors
    /// If it cannot; then a file that was there before is unchanged.
    pub fn finish(self) -> Result<()> {
        match self.out {
            Out::Stdout(mut out) => out.flush().context("cannot write to stdout"),
            Out::Direct(mut out) => out.flush().context("cannot write the output"),
            Out::Replace { out, unfinished, path } => put_in_place(out, &unfinished, &path)
                .with_context(|| format!("cannot write {}", path.display())),
        }
    }
}

fn open_file(path: &Path) -> Result<Out> {
    match fs::metadata(path) {
        Ok(there) if there.is_dir() => bail!("it is a directory; name a file in it"),
        Ok(there) if !there.is_file() => {
            let file = File::options().write(true).open(path)?;
            return Ok(Out::Direct(BufWriter::with_capacity(BUFFER_BYTES, file)));
        }
        // Behind a symbolic link the file is replaced, not the link.
        Ok(_) => return replace(fs::canonicalize(path)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    replace(path.to_owned())
}

fn replace(path: PathBuf) -> Result<Out> {
    let name = path.file_name().ok_or_else(|| anyhow!("it names no file"))?;
    let mut unfinished = std::ffi::OsString::from(".");
    unfinished.push(name);
    unfinished.push(format!(".{}.unfinished", std::process::id()));
    let unfinished = Unfinished(path.with_file_name(unfinished));
    let out = BufWriter::with_capacity(BUFFER_BYTES, File::create(&unfinished.0)?);
    Ok(Out::Replace { out, unfinished, path })
}

fn put_in_place(out: BufWriter<File>, unfinished: &Unfinished, path: &Path) -> Result<()> {
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    // Synced before the rename: after a power loss the name holds the old file or the new one, whole.
    file.sync_all()?;
    fs::rename(&unfinished.0, path)?;
    Ok(())
}

impl Write for Destination {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.out {
            Out::Stdout(out) => out.write(bytes),
            Out::Direct(out) | Out::Replace { out, .. } => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.out {
            Out::Stdout(out) => out.flush(),
            Out::Direct(out) | Out::Replace { out, .. } => out.flush(),
        }
    }
}
