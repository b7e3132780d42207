//! Windows as rows: stored state read back, statistics computed.

use std::collections::VecDeque;

use anyhow::Result;
use feeds::symbol::Symbol;

use super::{Catalogue, Filter, QueryError};
use crate::output::{Cell, Column, ColumnKind};
use crate::schema::Key;
use crate::schema::rows::{self, Row};
use crate::stat::{Statistic, Value, ValueType};
use crate::store::{Family, Store};
use crate::tape::epoch::Joined;

/// Which windows.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Only the window of this name.
    pub window: Option<String>,
    /// Symbols, and starts.
    pub filter: Filter,
    /// Every emission rather than the last of each window.
    pub revisions: bool,
}

/// Columns, and the rows under them: by symbol, start, window in the order of the configuration, revision.
///
/// # Errors
/// [`QueryError`] if what is asked for is not there. Reading errors come as rows.
pub fn rows<'a>(
    store: &'a dyn Store,
    catalogue: &'a Catalogue,
    selection: &'a Selection,
) -> Result<(Vec<Column>, impl Iterator<Item = Result<Vec<Cell>>> + 'a), QueryError> {
    let windows = catalogue.windows_in(selection.window.as_deref())?;
    let shape = shape(catalogue, &windows);
    let columns = shape.columns.clone();
    let symbols: VecDeque<&Joined> = catalogue.symbols_in(&selection.filter)?.into();
    let rows = symbols.into_iter().flat_map(move |joined| {
        match symbol_rows(store, catalogue, selection, &windows, &shape, joined) {
            Ok(rows) => rows.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(error) => vec![Err(error.into())],
        }
    });
    Ok((columns, rows))
}

/// The emissions of one window of one symbol, by start and revision; of each window only the last unless
/// `revisions`.
///
/// # Errors
/// [`QueryError`] if they cannot be read.
pub fn emissions(
    store: &dyn Store,
    window: usize,
    symbol: u32,
    filter: &Filter,
    revisions: bool,
) -> Result<Vec<Row>, QueryError> {
    let prefix = rows::prefix(u16::try_from(window).unwrap_or(u16::MAX), symbol);
    let first = match filter.from {
        // A block's key has its highest start, so those before this one hold nothing that is asked for.
        Some(from) => prefix.clone().time(from).bytes(),
        None => prefix.clone().bytes(),
    };
    let mut found: Vec<Row> = Vec::new();
    for pair in store.scan(Family::Windows, &first, prefix.next().as_deref()) {
        let (_, value) = pair?;
        let block = rows::decode(&value).map_err(|error| QueryError::damaged("a block of windows", error))?;
        found.extend(block.into_iter().filter(|row| filter.takes_time(row.start)));
    }
    found.sort_by_key(|row| (row.start, row.revision));
    let mut kept: Vec<Row> = Vec::with_capacity(found.len());
    for row in found {
        match kept.last_mut() {
            Some(last) if last.start == row.start && (!revisions || last.revision == row.revision) => {
                *last = row
            }
            _ => kept.push(row),
        }
    }
    Ok(kept)
}

/// The value of a statistic as a cell.
#[must_use]
pub fn cell(value: Option<Value>) -> Cell {
    match value {
        None => Cell::Empty,
        Some(Value::Count(count) | Value::Id(count)) => Cell::Count(count),
        Some(Value::Time(time)) => Cell::Time(time),
        Some(Value::Float(float)) => Cell::Float(float),
        Some(Value::Text(text)) => Cell::Text(text),
        Some(value @ (Value::Decimal(_) | Value::Sum(_))) => Cell::Decimal(value.to_string()),
    }
}

fn symbol_rows(
    store: &dyn Store,
    catalogue: &Catalogue,
    selection: &Selection,
    windows: &[usize],
    shape: &Shape,
    joined: &Joined,
) -> Result<Vec<Vec<Cell>>, QueryError> {
    let mut all = Vec::new();
    for &window in windows {
        let found = emissions(store, window, joined.number, &selection.filter, selection.revisions)?;
        all.extend(found.into_iter().map(|row| (window, row)));
    }
    if windows.len() > 1 {
        all.sort_by_key(|(window, row)| (row.start, *window, row.revision));
    }
    let rows = all.iter().filter_map(|(window, row)| shape.cells(catalogue, *window, &joined.symbol, row));
    Ok(rows.collect())
}

/// What rows of some windows look like.
pub struct Shape {
    /// What stands above them.
    pub columns: Vec<Column>,
    stats: Vec<&'static Statistic>,
}

/// The shape of rows of these windows.
#[must_use]
pub fn shape(catalogue: &Catalogue, windows: &[usize]) -> Shape {
    let stats = stats_of(catalogue, windows);
    Shape { columns: columns(&stats), stats }
}

impl Shape {
    /// The column of the revision.
    pub const REVISION: usize = 4;

    /// A row of `window`; `None` if there is no such window.
    #[must_use]
    pub fn cells(
        &self,
        catalogue: &Catalogue,
        window: usize,
        symbol: &Symbol,
        row: &Row,
    ) -> Option<Vec<Cell>> {
        let spec = catalogue.plan.windows().get(window)?;
        let view = row.view(spec.size);
        let mut cells = vec![
            Cell::Text(symbol.to_string()),
            Cell::Text(spec.name.clone()),
            Cell::Time(row.start),
            Cell::Time(row.start + spec.size),
            Cell::Count(u64::from(row.revision)),
            Cell::Text(row.flags.to_string()),
        ];
        cells.extend(self.stats.iter().map(|stat| {
            let has = spec.stats.iter().any(|own| own.name == stat.name);
            cell(if has { (stat.value)(&view) } else { None })
        }));
        Some(cells)
    }
}

/// The statistics of all these windows, each once, in the order of their first appearance.
fn stats_of(catalogue: &Catalogue, windows: &[usize]) -> Vec<&'static Statistic> {
    let mut stats: Vec<&'static Statistic> = Vec::new();
    for &window in windows {
        for stat in &catalogue.plan.windows()[window].stats {
            if !stats.iter().any(|known| known.name == stat.name) {
                stats.push(stat);
            }
        }
    }
    stats
}

fn columns(stats: &[&'static Statistic]) -> Vec<Column> {
    let mut columns = vec![
        Column::new("symbol", ColumnKind::Text),
        Column::new("window", ColumnKind::Text),
        Column::new("start", ColumnKind::Time),
        Column::new("end", ColumnKind::Time),
        Column::new("revision", ColumnKind::Count),
        Column::new("flags", ColumnKind::Text),
    ];
    columns.extend(stats.iter().map(|stat| Column::new(stat.name, kind(stat.value_type))));
    columns
}

fn kind(value_type: ValueType) -> ColumnKind {
    match value_type {
        ValueType::Decimal | ValueType::Sum => ColumnKind::Decimal,
        ValueType::Count | ValueType::Id => ColumnKind::Count,
        ValueType::Time => ColumnKind::Time,
        ValueType::Float => ColumnKind::Float,
        ValueType::Text => ColumnKind::Text,
    }
}

/// The key of a symbol's snapshot.
#[must_use]
pub(crate) fn state_key(symbol: u32) -> Vec<u8> {
    Key::default().u32(symbol).bytes()
}
