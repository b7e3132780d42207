//! Plain CSV: a header with names in any order, then one trade or quote a row.
//!
//! Trades have `time,price,qty` and perhaps `symbol,id,is_buyer_maker` (or `side`, the aggressor's); quotes have
//! `time,bid,bid_size,ask,ask_size`. Either may have `received_at`. Many other spellings are understood, further
//! columns are ignored. Times are numbers in s, ms, µs or ns, told by magnitude once per file, or RFC 3339.

use crate::symbol::SymbolTable;
use crate::time::parse_digits;
use crate::venue::DuplicateKey;
use crate::venues;

use super::line::written;
use super::stamp::Stamps;
use super::table::{Columns, EventColumns, MAX_COLUMNS, Naming, SideColumn, Table, fields_of};
use super::value::plain;
use super::{Decoder, Format, FormatError, Head, name};

/// Spellings of each column, the plainest first.
pub(super) const TIME: &[&str] = &[
    "time",
    "timestamp",
    "ts",
    "exchange_ts",
    "exchange_timestamp",
    "trade_time",
    "transact_time",
    "event_time",
    "time_s",
    "time_ms",
    "time_us",
    "time_ns",
    "timestamp_ms",
    "timestamp_us",
    "timestamp_ns",
    "ts_ms",
    "ts_us",
    "ts_ns",
    "datetime",
    "date_time",
    "date",
];
pub(super) const RECEIVED_AT: &[&str] =
    &["received_at", "local_timestamp", "receive_time", "received", "local_ts", "local_time"];
pub(super) const SYMBOL: &[&str] = &["symbol", "instrument", "pair", "ticker"];
pub(super) const ID: &[&str] = &["id", "trade_id", "tradeid", "agg_trade_id", "tid"];
pub(super) const PRICE: &[&str] = &["price", "px"];
pub(super) const SIZE: &[&str] = &["qty", "size", "quantity", "amount", "sz", "volume"];
pub(super) const BUYER_IS_MAKER: &[&str] =
    &["is_buyer_maker", "isbuyermaker", "buyer_maker", "buyer_is_maker"];
pub(super) const SIDE: &[&str] = &["side", "taker_side", "aggressor", "aggressor_side"];
pub(super) const BID: &[&str] = &["bid", "bid_price", "bid_px"];
pub(super) const BID_SIZE: &[&str] = &["bid_size", "bid_qty", "bid_amount", "bid_quantity", "bid_sz"];
pub(super) const ASK: &[&str] = &["ask", "ask_price", "ask_px"];
pub(super) const ASK_SIZE: &[&str] = &["ask_size", "ask_qty", "ask_amount", "ask_quantity", "ask_sz"];
/// Columns that show a file to be of something else: changes of an order book.
const BOOK: &[&str] = &["is_snapshot"];
/// Known names that must stand in a header for a file to be taken for one of ours.
const ENOUGH: usize = 2;

/// The format `csv`.
pub struct Csv;

impl Format for Csv {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn describe(&self) -> &'static str {
        "trades or quotes by column name: time,symbol,id,price,qty,is_buyer_maker in any order"
    }

    fn matches(&self, head: &Head<'_>) -> bool {
        let Some(header) = written(head.bytes).next() else { return false };
        let Some(names) = names(header) else { return false };
        let known = [TIME, SYMBOL, PRICE, SIZE, BID, ASK, ID, SIDE, BUYER_IS_MAKER];
        known.iter().filter(|spellings| find(&names, spellings).is_some()).count() >= ENOUGH
    }

    fn open(&self, head: &Head<'_>) -> Result<Box<dyn Decoder>, FormatError> {
        open(head).map(|table| Box::new(table) as Box<dyn Decoder>)
    }
}

pub(super) fn open(head: &Head<'_>) -> Result<Table, FormatError> {
    let mut lines = written(head.bytes);
    let no_header =
        || FormatError::NotThis("no header line of column names at the start of the file".to_owned());
    let header = lines.next().ok_or_else(no_header)?;
    let names = names(header).ok_or_else(no_header)?;
    if find(&names, BOOK).is_some() {
        return Err(FormatError::NotThis(
            "changes of an order book, which are not read from files".to_owned(),
        ));
    }
    let rows: Vec<&[u8]> = lines.collect();
    let mut columns = columns(&names)?;
    if !ids_are_numbers(&columns, &rows) {
        drop_ids(&mut columns);
    }
    let venue = name::venue_or(head, name::FILE)?;
    let naming = naming(head, &names, venue)?;
    let known = first_venue(&naming, &rows);
    Ok(Table {
        stamps: Stamps::of(column_of(&rows, Some(columns.time))),
        received: Stamps::of(column_of(&rows, columns.received_at)),
        key: key(&columns, known),
        columns,
        naming,
        header: header.to_vec(),
        venue: known,
        row_bytes: rows.first().map_or(header.len(), |row| row.len()),
        symbols: SymbolTable::new(venue),
        joint: Vec::new(),
    })
}

/// The names in a header, in lower case; `None` if the line cannot be one.
pub(super) fn names(header: &[u8]) -> Option<Vec<String>> {
    let text = std::str::from_utf8(header).ok()?;
    if text.chars().any(|c| c.is_control() && c != '\t') {
        return None;
    }
    let fields = fields_of(header);
    let names =
        fields.iter().map(|field| String::from_utf8_lossy(plain(field)).to_ascii_lowercase()).collect();
    (fields.len() > 1).then_some(names)
}

/// The column with one of these names, the earlier spelling before the later.
pub(super) fn find(names: &[String], spellings: &[&str]) -> Option<usize> {
    spellings.iter().find_map(|spelling| names.iter().position(|name| name == spelling))
}

/// The column with one of these names, or an error that names the first.
pub(super) fn need(names: &[String], spellings: &[&str]) -> Result<usize, FormatError> {
    let missing = spellings.first().copied().unwrap_or_default();
    find(names, spellings)
        .ok_or_else(|| FormatError::Columns { missing: missing.to_owned(), found: names.join(",") })
}

/// What the columns of a header with these names are.
pub(super) fn columns(names: &[String]) -> Result<Columns, FormatError> {
    if names.len() >= MAX_COLUMNS {
        return Err(FormatError::NotThis(format!("a table of {MAX_COLUMNS} columns or more; give it fewer")));
    }
    let quotes = find(names, PRICE).is_none() && (find(names, BID).is_some() || find(names, ASK).is_some());
    let event = if quotes {
        let sides = [need(names, BID)?, need(names, BID_SIZE)?, need(names, ASK)?, need(names, ASK_SIZE)?];
        EventColumns::Quote { id: None, sides }
    } else {
        let side = match (find(names, BUYER_IS_MAKER), find(names, SIDE)) {
            (Some(column), _) => SideColumn::BuyerIsMaker(column),
            (None, Some(column)) => SideColumn::Taker(column),
            (None, None) => SideColumn::Unsaid,
        };
        EventColumns::Trade {
            id: find(names, ID),
            price: need(names, PRICE)?,
            size: need(names, SIZE)?,
            side,
        }
    };
    Ok(Columns { width: names.len(), time: need(names, TIME)?, received_at: find(names, RECEIVED_AT), event })
}

/// True if the first id of the file is a number; others (UUIDs, say) tell nothing apart for us.
pub(super) fn ids_are_numbers(columns: &Columns, rows: &[&[u8]]) -> bool {
    let EventColumns::Trade { id: Some(column), .. } = columns.event else { return true };
    let first = column_of(rows, Some(column)).map(plain).find(|text| !text.is_empty());
    first.is_none_or(|text| parse_digits(text).is_some() || text.iter().all(u8::is_ascii_digit))
}

pub(super) fn drop_ids(columns: &mut Columns) {
    if let EventColumns::Trade { id, .. } = &mut columns.event {
        *id = None;
    }
}

/// How repeated trades of a table are known.
pub(super) fn key(columns: &Columns, venue: Option<&'static dyn crate::venue::Venue>) -> DuplicateKey {
    match columns.event {
        EventColumns::Trade { id: Some(_), .. } => {
            venue.map_or(DuplicateKey::Unique, |venue| venue.trade_key())
        }
        _ => DuplicateKey::None,
    }
}

fn naming(head: &Head<'_>, names: &[String], venue: &str) -> Result<Naming, FormatError> {
    if let Some(symbol) = find(names, SYMBOL) {
        return Ok(Naming::Column { symbol, venue: venue.to_owned() });
    }
    let told = name::told(head, venue)?;
    let file = name::file(head);
    let needs = || FormatError::Needs(format!("{file} has no column `symbol`; give --symbol"));
    told.map(Naming::Fixed).ok_or_else(needs)
}

fn first_venue(naming: &Naming, rows: &[&[u8]]) -> Option<&'static dyn crate::venue::Venue> {
    match naming {
        Naming::Fixed(symbol) => name::venue_of(symbol),
        Naming::Column { symbol, venue } => {
            let first = column_of(rows, Some(*symbol)).find_map(|text| name::symbol(text, venue));
            first.map_or_else(|| venues::by_id(venue), |symbol| name::venue_of(&symbol))
        }
        Naming::Exchange { .. } => None,
    }
}

/// The values of one column in the rows of a head.
pub(super) fn column_of<'r>(rows: &'r [&'r [u8]], column: Option<usize>) -> impl Iterator<Item = &'r [u8]> {
    rows.iter().filter_map(move |row| fields_of(row).get(column?).copied())
}
