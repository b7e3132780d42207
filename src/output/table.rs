//! A table for people: flush-right numbers, times with no more digits than they need, columns that fit.
//!
//! Rows come in blocks, each with its header, so that a long answer needs the memory of one block. Where the
//! terminal is too narrow, the columns at the end are left out and named below: half a number helps nobody.

use std::io::Write;

use anyhow::Result;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use feeds::time::Nanos;

use super::{Cell, Column};

/// Rows laid out at a time.
pub(super) const BLOCK_ROWS: usize = 1_000;
/// Most characters of a text that are shown on a terminal.
const TEXT_WIDTH: usize = 48;
/// Spaces between columns.
const GUTTER: u16 = 2;

/// The terminal's width in characters, if stdout is one.
pub(super) fn terminal_width() -> Option<u16> {
    Table::new().width().filter(|width| *width > 0)
}

/// Writes the rows block by block; columns are left out and texts cut only if there is a `width`.
pub(super) fn write(
    columns: &[Column],
    rows: impl Iterator<Item = Result<Vec<Cell>>>,
    out: &mut dyn Write,
    width: Option<u16>,
) -> Result<u64> {
    let mut block = Vec::new();
    let mut count = 0;
    let mut hidden = 0;
    for row in rows {
        block.push(row?);
        count += 1;
        if block.len() == BLOCK_ROWS {
            hidden = hidden.max(write_block(columns, &block, out, width)?);
            writeln!(out)?;
            block.clear();
        }
    }
    if !block.is_empty() || count == 0 {
        hidden = hidden.max(write_block(columns, &block, out, width)?);
    }
    if hidden > 0 {
        let names: Vec<&str> = columns[columns.len() - hidden..].iter().map(|c| c.name.as_str()).collect();
        writeln!(out, "\nnot shown: {}; widen the terminal, or use --format csv", names.join(", "))?;
    }
    Ok(count)
}

/// Writes one block and returns how many columns at the end were left out.
fn write_block(
    columns: &[Column],
    rows: &[Vec<Cell>],
    out: &mut dyn Write,
    width: Option<u16>,
) -> Result<usize> {
    let mut shown = columns.len();
    loop {
        let table = lay_out(&columns[..shown], rows, width.is_some());
        let wide: u32 = table.column_max_content_widths().iter().map(|w| u32::from(*w + GUTTER)).sum();
        // The gutter behind the last column is cut off.
        let fits = width.is_none_or(|width| wide <= u32::from(width + GUTTER));
        if fits || shown <= 1 {
            writeln!(out, "{}", table.trim_fmt())?;
            return Ok(columns.len() - shown);
        }
        shown = fitting_columns(&table, width).min(shown - 1).max(1);
    }
}

/// How many of the leading columns fit.
fn fitting_columns(table: &Table, width: Option<u16>) -> usize {
    let mut room = i64::from(width.unwrap_or(u16::MAX)) + i64::from(GUTTER);
    let widths = table.column_max_content_widths();
    widths
        .iter()
        .take_while(|wide| {
            room -= i64::from(**wide) + i64::from(GUTTER);
            room >= 0
        })
        .count()
}

fn lay_out(columns: &[Column], rows: &[Vec<Cell>], cut: bool) -> Table {
    let digits: Vec<u32> = (0..columns.len()).map(|index| time_digits(rows, index)).collect();
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|column| column.name.as_str()));
    for row in rows {
        table.add_row(row.iter().zip(&digits).map(|(cell, digits)| show(cell, *digits, cut)));
    }
    for (shown, column) in table.column_iter_mut().zip(columns) {
        shown.set_padding((0, GUTTER));
        if column.kind.is_number() {
            shown.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Digits of the second (0, 3, 6 or 9) that the times of a column need.
fn time_digits(rows: &[Vec<Cell>], index: usize) -> u32 {
    let times = rows.iter().filter_map(|row| match row.get(index) {
        Some(Cell::Time(nanos)) => Some(digits_of(*nanos)),
        _ => None,
    });
    times.max().unwrap_or(0)
}

fn digits_of(nanos: Nanos) -> u32 {
    [(0, 1_000_000_000), (3, 1_000_000), (6, 1_000)]
        .into_iter()
        .find(|(_, unit)| nanos % unit == 0)
        .map_or(9, |(digits, _)| digits)
}

fn show(cell: &Cell, digits: u32, cut: bool) -> String {
    match cell {
        Cell::Empty => String::new(),
        Cell::Text(text) if cut && text.chars().count() > TEXT_WIDTH => {
            text.chars().take(TEXT_WIDTH - 1).map(printable).chain(['…']).collect()
        }
        Cell::Text(text) => text.chars().map(printable).collect(),
        Cell::Time(nanos) => show_time(*nanos, digits),
        Cell::Decimal(text) => text.clone(),
        Cell::Count(value) => value.to_string(),
        Cell::Int(value) => value.to_string(),
        Cell::Float(value) if value.is_finite() => show_float(*value),
        Cell::Float(_) => String::new(),
    }
}

/// Text comes from venues; a control character must not reach the terminal.
fn printable(c: char) -> char {
    if c.is_control() { '\u{fffd}' } else { c }
}

/// `2024-08-08 23:54:15` with `digits` digits behind; UTC like all times.
fn show_time(nanos: Nanos, digits: u32) -> String {
    let text = feeds::time::format(nanos).replacen('T', " ", 1);
    let point = if digits == 0 { 0 } else { digits as usize + 1 };
    let whole = text.len().saturating_sub("000000000Z".len() + 1);
    text.get(..whole + point).unwrap_or(&text).to_owned()
}

/// Six significant digits: enough to look at.
fn show_float(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-4..1e15).contains(&magnitude) {
        return format!("{value:.5e}");
    }
    let whole_digits = if magnitude < 1.0 { 0 } else { format!("{:.0}", magnitude.trunc()).len() };
    format!("{value:.*}", 6usize.saturating_sub(whole_digits).max(2))
}
