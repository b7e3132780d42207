//! CSV: a header line, times in RFC 3339 UTC with nanoseconds, exact decimals, an empty field for nothing.
//!
//! Quoting is RFC 4180's and only where needed. Lines end in a bare newline, as every Unix tool expects.

use std::io::Write;

use anyhow::Result;

use super::{Cell, Column};

/// Writes the header and then each row as it comes.
pub(super) fn write(
    columns: &[Column],
    rows: impl Iterator<Item = Result<Vec<Cell>>>,
    out: &mut dyn Write,
) -> Result<u64> {
    let mut line = Vec::with_capacity(256);
    for (index, column) in columns.iter().enumerate() {
        separate(&mut line, index);
        put_text(&mut line, &column.name);
    }
    line.push(b'\n');
    out.write_all(&line)?;
    let mut count = 0;
    for row in rows {
        line.clear();
        for (index, cell) in row?.iter().enumerate() {
            separate(&mut line, index);
            put_cell(&mut line, cell)?;
        }
        // A lone empty field would be an empty line, which readers pass over.
        if line.is_empty() {
            line.extend_from_slice(b"\"\"");
        }
        line.push(b'\n');
        out.write_all(&line)?;
        count += 1;
    }
    Ok(count)
}

fn separate(line: &mut Vec<u8>, index: usize) {
    if index > 0 {
        line.push(b',');
    }
}

fn put_cell(line: &mut Vec<u8>, cell: &Cell) -> Result<()> {
    match cell {
        Cell::Empty => {}
        Cell::Text(text) | Cell::Decimal(text) => put_text(line, text),
        Cell::Time(nanos) => line.extend_from_slice(feeds::time::format(*nanos).as_bytes()),
        Cell::Count(value) => write!(line, "{value}")?,
        Cell::Int(value) => write!(line, "{value}")?,
        Cell::Float(value) if value.is_finite() => write!(line, "{value}")?,
        Cell::Float(_) => {}
    }
    Ok(())
}

fn put_text(line: &mut Vec<u8>, text: &str) {
    if !text.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        line.extend_from_slice(text.as_bytes());
        return;
    }
    line.push(b'"');
    for byte in text.bytes() {
        if byte == b'"' {
            line.push(b'"');
        }
        line.push(byte);
    }
    line.push(b'"');
}
