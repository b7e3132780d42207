//! Rows to people and programs: as a table, CSV, NDJSON or Parquet, to stdout or to a file.
//!
//! A format is one file here. CSV and NDJSON write each row as it comes; a table holds a thousand rows
//! at a time, Parquet one row group and a compressed spill file (its own doc says why). [`deliver`] is what
//! commands call: it chooses where to write, and puts a file in place only when it is whole.

mod csv;
mod destination;
mod ndjson;
mod parquet;
mod spool;
mod table;

#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use feeds::time::Nanos;

pub use destination::Destination;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Aligned columns for people; times and columns are cut to what fits the terminal.
    Table,
    /// A header line, then RFC 4180 lines; exact.
    Csv,
    /// One JSON object a line; decimals as strings; exact.
    Ndjson,
    /// Apache Parquet, zstd; decimals as DECIMAL(38, s), times as UTC nanoseconds; exact.
    Parquet,
}

impl Format {
    /// What people expect where they said nothing: a table on a terminal, CSV in a pipe or file.
    #[must_use]
    pub fn default_for(out: Option<&Path>) -> Format {
        if out.is_none() && io::stdout().is_terminal() { Format::Table } else { Format::Csv }
    }
}

/// What a column holds; every cell of it is of this kind or empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Text.
    Text,
    /// A time.
    Time,
    /// An exact decimal.
    Decimal,
    /// A count.
    Count,
    /// A signed integer.
    Int,
    /// A binary floating-point number.
    Float,
}

impl ColumnKind {
    /// True for what is set flush right.
    fn is_number(self) -> bool {
        matches!(self, ColumnKind::Decimal | ColumnKind::Count | ColumnKind::Int | ColumnKind::Float)
    }
}

/// One column of an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name: CSV header, JSON key, Parquet field. Names are unique.
    pub name: String,
    /// What it holds.
    pub kind: ColumnKind,
}

impl Column {
    /// The column `name` of `kind`.
    #[must_use]
    pub fn new(name: &str, kind: ColumnKind) -> Column {
        Column { name: name.to_owned(), kind }
    }
}

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Nothing to say.
    Empty,
    /// Text.
    Text(String),
    /// A time.
    Time(Nanos),
    /// An exact decimal in plain text (`-12.5`): digits and at most one point, no exponent.
    Decimal(String),
    /// A count.
    Count(u64),
    /// A signed integer.
    Int(i64),
    /// A binary floating-point number; one that is not finite is written as nothing.
    Float(f64),
}

/// Writes all `rows` under `columns` to `out` and says how many there were. A table is written in full width.
///
/// # Errors
/// An error of `rows`, a row that does not fit `columns`, or whatever `out` says ([`is_closed_pipe`] tells whether
/// its reader just went away). What was written until then stays written.
pub fn write(
    format: Format,
    columns: &[Column],
    rows: impl Iterator<Item = Result<Vec<Cell>>>,
    out: &mut (dyn Write + Send),
) -> Result<u64> {
    write_sized(format, columns, rows, out, None)
}

/// Writes to the file `path`, which is replaced when all is written and never half written, or to stdout.
///
/// # Errors
/// As [`write()`]; and if Parquet is asked for on a terminal, which cannot show it.
pub fn deliver(
    format: Format,
    columns: &[Column],
    rows: impl Iterator<Item = Result<Vec<Cell>>>,
    path: Option<&Path>,
) -> Result<u64> {
    let on_terminal = path.is_none() && io::stdout().is_terminal();
    if on_terminal && format == Format::Parquet {
        bail!("parquet is binary and cannot be shown on a terminal; add --out FILE or a pipe");
    }
    let width = if on_terminal { table::terminal_width() } else { None };
    let mut destination = Destination::open(path)?;
    let count = write_sized(format, columns, rows, &mut destination, width)?;
    destination.finish()?;
    Ok(count)
}

fn write_sized(
    format: Format,
    columns: &[Column],
    rows: impl Iterator<Item = Result<Vec<Cell>>>,
    out: &mut (dyn Write + Send),
    width: Option<u16>,
) -> Result<u64> {
    let rows = rows.map(|row| fitting(row?, columns.len()));
    let count = match format {
        Format::Table => table::write(columns, rows, out, width)?,
        Format::Csv => csv::write(columns, rows, out)?,
        Format::Ndjson => ndjson::write(columns, rows, out)?,
        Format::Parquet => parquet::write(columns, rows, out)?,
    };
    out.flush().context("cannot write the output")?;
    Ok(count)
}

fn fitting(row: Vec<Cell>, columns: usize) -> Result<Vec<Cell>> {
    if row.len() != columns {
        bail!("a row has {} cells for {columns} columns", row.len());
    }
    Ok(row)
}

/// True if `error` says that the reader of our output closed it (`… | head`), which is no failure of ours.
#[must_use]
pub fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
    })
}
