//! The list of latencies: percentiles by stage and venue, in microseconds.

use super::tables::Table;
use crate::latency::{Latencies, Row};
use crate::output::{Cell, Column, ColumnKind};

/// `tapedeck latency`: by stage and then venue.
#[must_use]
pub fn table(latencies: &Latencies) -> Table {
    let text = |name| Column::new(name, ColumnKind::Text);
    let count = |name| Column::new(name, ColumnKind::Count);
    let number = |name| Column::new(name, ColumnKind::Decimal);
    let columns = vec![
        text("stage"),
        text("venue"),
        count("count"),
        number("p50_us"),
        number("p90_us"),
        number("p99_us"),
        number("p99.9_us"),
        number("p99.99_us"),
        number("max_us"),
        count("negative"),
        count("above_1h"),
        number("offset_us"),
    ];
    (columns, latencies.rows().iter().map(|row| Ok(cells(row))).collect())
}

fn cells(row: &Row) -> Vec<Cell> {
    let micros = |nanos: u64| Cell::Decimal(format!("{}.{:03}", nanos / 1_000, nanos % 1_000));
    let mut cells =
        vec![Cell::Text(row.stage.name().to_owned()), Cell::Text(row.venue.clone()), Cell::Count(row.count)];
    cells.extend([row.p50, row.p90, row.p99, row.p999, row.p9999, row.max].map(micros));
    cells.extend([Cell::Count(row.negative), Cell::Count(row.above)]);
    cells.push(row.offset.map_or(Cell::Empty, |offset| {
        let sign = if offset < 0 { "-" } else { "" };
        let size = offset.unsigned_abs();
        Cell::Decimal(format!("{sign}{}.{:03}", size / 1_000, size % 1_000))
    }));
    cells
}
