//! What the files of Binance Vision have in common: no symbol inside, and often no header.

use crate::number::Decimal;
use crate::symbol::{Symbol, SymbolTable};
use crate::time::{Unit, parse_digits};
use crate::venue::{DuplicateKey, Venue};

use super::csv::{column_of, names};
use super::line::written;
use super::stamp::Stamps;
use super::table::{Columns, EventColumns, Naming, SideColumn, Table, fields_of};
use super::value::maker_side;
use super::{FormatError, Head, name};

/// The venue of a file that is not told another.
const BINANCE: &str = "binance";

/// The layout of one kind of file.
pub(super) struct Layout {
    /// How its file names call it: `BTCUSDT-trades-2024-08-08`.
    pub(super) kind: &'static str,
    /// The first names of its header, any one of which will do.
    pub(super) first: &'static [&'static str],
    /// The column of the time; those of id, price and size are 0, 1 and 2, that of the side is behind this one.
    pub(super) time: usize,
    /// Further columns that are whole numbers.
    pub(super) whole: &'static [usize],
}

impl Layout {
    /// True if `head` is of this layout, with or without a header.
    pub(super) fn matches(&self, head: &Head<'_>) -> bool {
        let Some(first) = written(head.bytes).next() else { return false };
        self.is_header(first) || self.is_row(first)
    }

    fn width_is_right(&self, width: usize) -> bool {
        width == self.time + 2 || width == self.time + 3
    }

    fn is_header(&self, line: &[u8]) -> bool {
        let Some(names) = names(line) else { return false };
        let side = ["is_buyer_maker", "isbuyermaker"];
        let time = ["time", "transact_time", "timestamp"];
        self.width_is_right(names.len())
            && self.first.contains(&names[0].as_str())
            && names[1] == "price"
            && time.contains(&names[self.time].as_str())
            && side.contains(&names[self.time + 1].as_str())
    }

    fn is_row(&self, line: &[u8]) -> bool {
        let fields = fields_of(line);
        let whole = |column: &usize| parse_digits(fields[*column]).is_some();
        self.width_is_right(fields.len())
            && whole(&0)
            && self.whole.iter().all(whole)
            && fields[1..3].iter().all(|text| Decimal::parse(text).is_ok())
            && parse_digits(fields[self.time]).and_then(Unit::by_magnitude).is_some()
            && fields[self.time + 1..].iter().all(|text| maker_side(text).is_some() && !text.is_empty())
    }

    /// A decoder for the file.
    pub(super) fn open(&self, head: &Head<'_>) -> Result<Table, FormatError> {
        let mut lines = written(head.bytes);
        let first = lines.next().unwrap_or_default();
        if !self.matches(head) {
            return Err(FormatError::NotThis(format!(
                "the first line is neither a header nor a row of Binance Vision {}",
                self.kind
            )));
        }
        let header = if self.is_header(first) { first } else { b"" };
        let rows: Vec<&[u8]> =
            if header.is_empty() { std::iter::once(first).chain(lines).collect() } else { lines.collect() };
        let symbol = self.symbol(head)?;
        let venue = name::venue_of(&symbol);
        let side = SideColumn::BuyerIsMaker(self.time + 1);
        Ok(Table {
            columns: Columns {
                width: fields_of(first).len(),
                time: self.time,
                received_at: None,
                event: EventColumns::Trade { id: Some(0), price: 1, size: 2, side },
            },
            stamps: Stamps::of(column_of(&rows, Some(self.time))),
            received: Stamps::Unsaid,
            header: header.to_vec(),
            venue,
            // Binance's ids count up by one, on each of its markets.
            key: venue.map_or(DuplicateKey::Contiguous, Venue::trade_key),
            row_bytes: first.len(),
            symbols: SymbolTable::new(symbol.venue()),
            naming: Naming::Fixed(symbol),
            joint: Vec::new(),
        })
    }

    /// The symbol from the file's name or `--symbol`.
    fn symbol(&self, head: &Head<'_>) -> Result<Symbol, FormatError> {
        let venue = name::venue_or(head, BINANCE)?;
        if let Some(native) = native_in(head.file_name, self.kind) {
            return Ok(Symbol::new(venue, &native));
        }
        let file = name::file(head);
        let needs = || {
            let kind = self.kind;
            FormatError::Needs(format!(
                "{file} does not name its symbol as BTCUSDT-{kind}-2024-08-08.csv does; give --symbol"
            ))
        };
        name::told(head, venue)?.ok_or_else(needs)
    }
}

/// The symbol in the name of a file of `kind`: `SYMBOL-kind-DATE…`, or `…_kind_SYMBOL_YYYYMMDD…`.
fn native_in(file_name: &str, kind: &str) -> Option<String> {
    let is_symbol = |text: &str| {
        let allowed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        !text.is_empty() && text.bytes().all(allowed) && text.bytes().any(|byte| byte.is_ascii_uppercase())
    };
    if let Some((before, _)) = file_name.split_once(&format!("-{kind}-"))
        && is_symbol(before)
    {
        return Some(before.to_owned());
    }
    let stem = file_name.split('.').next().unwrap_or_default();
    let mut parts = stem.split('_').skip_while(|part| *part != kind).skip(1);
    let is_date = |part: &str| part.len() == 8 && part.bytes().all(|byte| byte.is_ascii_digit());
    let native: Vec<&str> = parts.by_ref().take_while(|part| !is_date(part)).collect();
    Some(native.join("_")).filter(|native| is_symbol(native))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_in_file_names() {
        let of = |name, kind| native_in(name, kind);
        assert_eq!(of("ABCUSDT-trades-2024-08-08.csv", "trades").as_deref(), Some("ABCUSDT"));
        assert_eq!(of("ABCUSD_PERP-aggTrades-2024-08.csv", "aggTrades").as_deref(), Some("ABCUSD_PERP"));
        assert_eq!(of("MADE_UP_vision_trades_ABCETH_20240808.csv", "trades").as_deref(), Some("ABCETH"));
        assert_eq!(of("x_aggTrades_ABCETH_20191011_part1.csv", "aggTrades").as_deref(), Some("ABCETH"));
        assert_eq!(of("x_trades_ABCUSD_PERP_20191011.csv", "trades").as_deref(), Some("ABCUSD_PERP"));
        for none in ["trades.csv", "my-trades-2024.csv", "", "x_trades_", "-trades-", "1_trades_20240808"] {
            assert_eq!(of(none, "trades"), None, "{none}");
        }
    }
}
