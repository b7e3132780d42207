//! NDJSON: one object a line, keys in column order.
//!
//! Decimals are strings, so that no reader rounds them; so are integers beyond 2^53, which most readers keep in a
//! double. Times are RFC 3339 UTC with nanoseconds. Nothing is `null`.

use std::io::Write;

use anyhow::Result;

use super::{Cell, Column};

/// The largest magnitude below which every integer is exact in a double.
const EXACT_MAX: u64 = 1 << 53;

/// Writes each row as it comes.
pub(super) fn write(
    columns: &[Column],
    rows: impl Iterator<Item = Result<Vec<Cell>>>,
    out: &mut dyn Write,
) -> Result<u64> {
    let keys = columns.iter().enumerate().map(|(index, column)| key(index, column));
    let keys: Vec<String> = keys.collect::<Result<_>>()?;
    let mut line = Vec::with_capacity(512);
    let mut count = 0;
    for row in rows {
        line.clear();
        line.push(b'{');
        for (key, cell) in keys.iter().zip(&row?) {
            line.extend_from_slice(key.as_bytes());
            put_cell(&mut line, cell)?;
        }
        line.extend_from_slice(b"}\n");
        out.write_all(&line)?;
        count += 1;
    }
    Ok(count)
}

fn key(index: usize, column: &Column) -> Result<String> {
    let comma = if index == 0 { "" } else { "," };
    Ok(format!("{comma}{}:", serde_json::to_string(&column.name)?))
}

fn put_cell(line: &mut Vec<u8>, cell: &Cell) -> Result<()> {
    match cell {
        Cell::Empty => line.extend_from_slice(b"null"),
        Cell::Text(text) | Cell::Decimal(text) => serde_json::to_writer(line, text)?,
        Cell::Time(nanos) => write!(line, "\"{}\"", feeds::time::format(*nanos))?,
        Cell::Count(value) if *value <= EXACT_MAX => write!(line, "{value}")?,
        Cell::Count(value) => write!(line, "\"{value}\"")?,
        Cell::Int(value) if value.unsigned_abs() <= EXACT_MAX => write!(line, "{value}")?,
        Cell::Int(value) => write!(line, "\"{value}\"")?,
        // A number that is not finite becomes `null`.
        Cell::Float(value) => serde_json::to_writer(line, value)?,
    }
    Ok(())
}
