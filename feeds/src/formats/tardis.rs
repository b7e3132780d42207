//! What the files of Tardis have in common: an exchange, a symbol, and two times in microseconds, by header.

use crate::symbol::{Symbol, SymbolTable};

use super::csv::{self, column_of, find, names};
use super::line::written;
use super::stamp::Stamps;
use super::table::{Naming, Table};
use super::{FormatError, Head, name};

/// Exchanges that Tardis calls otherwise than we do. A venue here is a market; Tardis splits some by product.
const EXCHANGES: &[(&str, &str)] = &[
    ("binance-futures", "binance-usdm"),
    ("binance-delivery", "binance-coinm"),
    ("bybit", "bybit-linear"),
    ("cryptofacilities", "kraken-futures"),
    ("okex", "okx"),
    ("okex-swap", "okx"),
    ("okex-futures", "okx"),
    ("okex-options", "okx"),
    ("gate-io", "gate"),
    ("gate-io-futures", "gate-futures"),
    ("huobi", "htx"),
    ("huobi-dm-swap", "htx-coin-swap"),
    ("huobi-dm-linear-swap", "htx-linear-swap"),
];

/// The columns that every file of Tardis begins with.
const FIRST: [&str; 4] = ["exchange", "symbol", "timestamp", "local_timestamp"];

/// The symbol `native` of what Tardis calls `exchange`.
pub(super) fn symbol(exchange: &[u8], native: &[u8]) -> Option<Symbol> {
    let exchange = std::str::from_utf8(super::value::plain(exchange)).ok()?;
    let renamed = EXCHANGES.iter().find(|(theirs, _)| *theirs == exchange).map(|(_, ours)| *ours);
    let venue = renamed.unwrap_or(exchange);
    if !name::is_venue(venue) {
        return None;
    }
    name::native(native).map(|native| Symbol::new(venue, native))
}

/// True if the header has the first columns of Tardis and all of `further`.
pub(super) fn matches(head: &Head<'_>, further: &[&str]) -> bool {
    let Some(names) = written(head.bytes).next().and_then(names) else { return false };
    let has = |column: &&str| names.iter().any(|name| name == column);
    FIRST.iter().all(has) && further.iter().all(has) && !names.iter().any(|name| name == "is_snapshot")
}

/// A decoder for a file that must have all of `further` columns.
pub(super) fn open(head: &Head<'_>, further: &[&str]) -> Result<Table, FormatError> {
    let mut lines = written(head.bytes);
    let header = lines.next().unwrap_or_default();
    let no_header =
        || FormatError::NotThis("no header line of column names at the start of the file".to_owned());
    let names = names(header).ok_or_else(no_header)?;
    for column in FIRST.iter().chain(further) {
        csv::need(&names, &[column])?;
    }
    let rows: Vec<&[u8]> = lines.collect();
    // The venue's own time is `timestamp`, whatever else there may be.
    let mut columns = csv::columns(&names)?;
    columns.time = csv::need(&names, &["timestamp"])?;
    columns.received_at = find(&names, &["local_timestamp"]);
    if !csv::ids_are_numbers(&columns, &rows) {
        csv::drop_ids(&mut columns);
    }
    let exchange = csv::need(&names, &["exchange"])?;
    let symbol_column = csv::need(&names, &["symbol"])?;
    let first = column_of(&rows, Some(exchange)).zip(column_of(&rows, Some(symbol_column)));
    let venue =
        first.filter_map(|(exchange, native)| symbol(exchange, native)).find_map(|s| name::venue_of(&s));
    Ok(Table {
        stamps: Stamps::of(column_of(&rows, Some(columns.time))),
        received: Stamps::of(column_of(&rows, columns.received_at)),
        key: csv::key(&columns, venue),
        columns,
        naming: Naming::Exchange { exchange, symbol: symbol_column },
        header: header.to_vec(),
        venue,
        row_bytes: rows.first().map_or(header.len(), |row| row.len()),
        symbols: SymbolTable::default(),
        joint: Vec::new(),
    })
}
