//! Files of comma-separated rows, each of which says all that is needed: one engine for every such format.
//!
//! What the columns mean and how times are written is settled when the file is opened, from its head, so a block
//! decodes alike wherever it was cut. This is the hot path of every replay: rows of the commonest shapes are read by
//! [`shape`](super::shape); any other is cut into fields eight bytes at a time, nothing is allocated for it, and all
//! that is rare (quotes, blanks, headers, faults) is out of line.

use memchr::{memchr, memchr2};

use crate::frame::{FrameError, FrameKind};
use crate::symbol::{Symbol, SymbolId, SymbolTable};
use crate::tick::{Event, Quote, Side, Tick, Trade};
use crate::time::Nanos;
use crate::venue::{DuplicateKey, Venue};

use super::line::{bare, is_blank};
use super::shape::Shape;
use super::stamp::Stamps;
use super::value::{self, Bad, Fault};
use super::{Decoded, Decoder, MAX_LINE_BYTES, name, tardis};

/// Most columns that a row may have.
pub(super) const MAX_COLUMNS: usize = 64;

/// Rows that may be of another shape than the columns tell, besides one for every two that are of it, before the
/// rest of their block is read the long way without trying.
const PATIENCE: u64 = 64;

/// Which column is what, from 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Columns {
    /// How many there are.
    pub(super) width: usize,
    pub(super) time: usize,
    pub(super) received_at: Option<usize>,
    pub(super) event: EventColumns,
}

/// The columns of a tick's event.
#[derive(Clone, Copy, Debug)]
pub(super) enum EventColumns {
    Trade {
        id: Option<usize>,
        price: usize,
        size: usize,
        side: SideColumn,
    },
    /// Bid, its size, ask, its size.
    Quote {
        id: Option<usize>,
        sides: [usize; 4],
    },
}

/// Which column tells the aggressor's side, and how.
#[derive(Clone, Copy, Debug)]
pub(super) enum SideColumn {
    /// None does.
    Unsaid,
    /// True if the buyer was the maker.
    BuyerIsMaker(usize),
    /// In words.
    Taker(usize),
}

/// What names the symbol of a row.
#[derive(Clone, Debug)]
pub(super) enum Naming {
    /// The whole file is of one symbol.
    Fixed(Symbol),
    /// A column; names without a venue are this one's.
    Column { symbol: usize, venue: String },
    /// Two columns, the first by the names of Tardis.
    Exchange { exchange: usize, symbol: usize },
}

/// A decoder of rows.
#[derive(Clone)]
pub(super) struct Table {
    pub(super) columns: Columns,
    pub(super) naming: Naming,
    pub(super) stamps: Stamps,
    pub(super) received: Stamps,
    /// The file's header line, if it has one; the same line further down is one too.
    pub(super) header: Vec<u8>,
    pub(super) venue: Option<&'static dyn Venue>,
    pub(super) key: DuplicateKey,
    /// The length of a typical row, for setting room aside.
    pub(super) row_bytes: usize,
    pub(super) symbols: SymbolTable,
    /// The exchange and symbol of a row as one key.
    pub(super) joint: Vec<u8>,
}

/// Where the fields of a row end.
pub(super) struct Fields {
    ends: [u32; MAX_COLUMNS + 1],
    count: usize,
}

impl Fields {
    pub(super) fn new() -> Fields {
        Fields { ends: [0; MAX_COLUMNS + 1], count: 0 }
    }

    #[inline]
    fn end(&mut self, at: usize) {
        if let Some(end) = self.ends.get_mut(self.count) {
            // Rows are at most MAX_LINE_BYTES long.
            *end = at as u32;
        }
        self.count += 1;
    }

    /// Finds the fields of `row`, which has no quotes.
    #[inline]
    fn split(&mut self, row: &[u8]) {
        const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
        const COMMAS: u64 = 0x2c2c_2c2c_2c2c_2c2c;
        self.count = 0;
        let (words, tail) = row.as_chunks::<8>();
        for (index, word) in words.iter().enumerate() {
            let zeros = u64::from_le_bytes(*word) ^ COMMAS;
            // The high bit of each byte that is zero, exactly.
            let mut hits = !(((zeros & LOW) + LOW) | zeros | LOW);
            while hits != 0 {
                self.end(index * 8 + (hits.trailing_zeros() / 8) as usize);
                hits &= hits - 1;
            }
        }
        for (index, byte) in tail.iter().enumerate() {
            if *byte == b',' {
                self.end(words.len() * 8 + index);
            }
        }
        self.end(row.len());
    }

    /// Finds the fields of `row`; commas between quotes do not count.
    #[cold]
    fn split_quoted(&mut self, row: &[u8]) {
        self.count = 0;
        let mut inside = false;
        for (index, byte) in row.iter().enumerate() {
            match byte {
                b'"' => inside = !inside,
                b',' if !inside => self.end(index),
                _ => {}
            }
        }
        self.end(row.len());
    }

    /// Finds the fields of any `row`.
    pub(super) fn split_any(&mut self, row: &[u8]) {
        if memchr(b'"', row).is_some() { self.split_quoted(row) } else { self.split(row) }
    }

    /// Fields there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Field `index` of `row`; nothing if there is none.
    #[inline]
    pub(super) fn get<'r>(&self, row: &'r [u8], index: usize) -> &'r [u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize + 1 };
        row.get(start..self.ends[index] as usize).unwrap_or_default()
    }
}

/// The next row of `rest` (without its end), the rest behind it, and whether it has quotes.
#[inline]
fn next_row(rest: &[u8]) -> (&[u8], &[u8], bool) {
    let first = memchr2(b'\n', b'"', rest).unwrap_or(rest.len());
    let quoted = rest.get(first) == Some(&b'"');
    let end =
        if quoted { first + memchr(b'\n', &rest[first..]).unwrap_or(rest.len() - first) } else { first };
    (bare(&rest[..end]), rest.get(end + 1..).unwrap_or_default(), quoted)
}

impl Table {
    /// The symbol of a row, by what was met before.
    #[inline]
    fn symbol(&mut self, fields: &Fields, row: &[u8], fixed: Option<SymbolId>) -> Result<SymbolId, Fault> {
        let known = match &self.naming {
            Naming::Fixed(_) => fixed,
            Naming::Column { symbol, .. } => self.symbols.by_alias(fields.get(row, *symbol)),
            Naming::Exchange { exchange, symbol } => {
                self.joint.clear();
                self.joint.extend_from_slice(fields.get(row, *exchange));
                self.joint.push(b',');
                self.joint.extend_from_slice(fields.get(row, *symbol));
                self.symbols.by_alias(&self.joint)
            }
        };
        match known {
            Some(id) => Ok(id),
            None => self.new_symbol(fields, row),
        }
    }

    #[cold]
    fn new_symbol(&mut self, fields: &Fields, row: &[u8]) -> Result<SymbolId, Fault> {
        const NAMELESS: Fault = Fault::Broken("no readable symbol in the row");
        if row == self.header {
            return Err(NAMELESS);
        }
        match &self.naming {
            Naming::Fixed(symbol) => Ok(self.symbols.intern_full(symbol)),
            Naming::Column { symbol, venue } => {
                let text = fields.get(row, *symbol);
                let symbol = name::symbol(text, venue).ok_or(NAMELESS)?;
                Ok(self.symbols.alias(text, &symbol))
            }
            Naming::Exchange { exchange, symbol } => {
                let symbol = tardis::symbol(fields.get(row, *exchange), fields.get(row, *symbol));
                Ok(self.symbols.alias(&self.joint, &symbol.ok_or(NAMELESS)?))
            }
        }
    }

    /// Decodes one row onto `ticks`.
    #[inline]
    fn row(
        &mut self,
        fields: &Fields,
        row: &[u8],
        fixed: Option<SymbolId>,
        ticks: &mut Vec<Tick>,
    ) -> Result<(), Fault> {
        let columns = self.columns;
        if fields.count != columns.width {
            return Err(Fault::Broken("more or fewer columns than the file's first line"));
        }
        let symbol = self.symbol(fields, row, fixed)?;
        let bad = |bad: Bad| bad.of(symbol);
        let time = value::time(fields.get(row, columns.time), self.stamps, "time").map_err(bad)?;
        let received = self.received_at(fields, row).map_err(bad)?;
        let event = match columns.event {
            EventColumns::Trade { id, price, size, side } => {
                let side = side_of(fields, row, side)?;
                trade(fields, row, (id, price, size), side).map_err(bad)?
            }
            EventColumns::Quote { id, sides } => quote(fields, row, id, sides).map_err(bad)?,
        };
        ticks.push(Tick::new(symbol, time, received, event));
        Ok(())
    }

    #[inline]
    fn received_at(&self, fields: &Fields, row: &[u8]) -> Result<Option<Nanos>, Bad> {
        let Some(column) = self.columns.received_at else { return Ok(None) };
        value::time(fields.get(row, column), self.received, "receive time").map(Some)
    }

    /// What a row that gave no good tick is, and the tick for it if it was to be one.
    #[cold]
    fn odd(&self, fields: &Fields, row: &[u8], line: u64, fault: Fault, out: &mut Decoded) {
        if is_blank(row) {
            out.frames.count(&FrameKind::Blank);
            return;
        }
        if !self.header.is_empty() && row == self.header {
            out.frames.count(&FrameKind::Control);
            return;
        }
        let received_at = match fault {
            Fault::Rejected(..) => self.received_at(fields, row).ok().flatten(),
            Fault::Broken(_) => None,
        };
        reject_or_break(row, line, fault, received_at, out);
    }
}

/// Counts a faulty row and says so. A rejected tick stands at no time, so that nothing moves; when it came in is
/// kept if it can be read, because that is where it stands in a merge.
#[cold]
pub(super) fn reject_or_break(
    row: &[u8],
    line: u64,
    fault: Fault,
    received_at: Option<Nanos>,
    out: &mut Decoded,
) {
    match fault {
        Fault::Broken(why) => {
            let error = FrameError::new(why, row);
            out.frames.count(&FrameKind::Broken(error.clone()));
            out.complain(line, error);
        }
        Fault::Rejected(symbol, bad) => {
            out.frames.count(&FrameKind::Ticks);
            out.output.ticks.push(Tick::new(symbol, 0, received_at, Event::Rejected(bad.rejection)));
            out.complain(line, bad.about(row));
        }
    }
}

#[inline]
fn side_of(fields: &Fields, row: &[u8], column: SideColumn) -> Result<Side, Fault> {
    match column {
        SideColumn::Unsaid => Ok(Side::Unknown),
        SideColumn::BuyerIsMaker(column) => value::maker_side(fields.get(row, column))
            .ok_or(Fault::Broken("is_buyer_maker is neither true nor false")),
        SideColumn::Taker(column) => {
            value::taker_side(fields.get(row, column)).ok_or(Fault::Broken("side is neither buy nor sell"))
        }
    }
}

#[inline]
fn trade(
    fields: &Fields,
    row: &[u8],
    (id, price, size): (Option<usize>, usize, usize),
    side: Side,
) -> Result<Event, Bad> {
    let price = value::unsigned(fields.get(row, price), "price")?;
    let size = value::traded(fields.get(row, size))?;
    let id = id.map_or(Ok(None), |column| value::id(fields.get(row, column)))?;
    Ok(Event::Trade(Trade::new(id, price, size, side)))
}

#[inline]
fn quote(fields: &Fields, row: &[u8], id: Option<usize>, sides: [usize; 4]) -> Result<Event, Bad> {
    let side = |column: usize, what| value::quoted(fields.get(row, column), what);
    let (bid, bid_size) = (side(sides[0], "bid")?, side(sides[1], "bid size")?);
    let (ask, ask_size) = (side(sides[2], "ask")?, side(sides[3], "ask size")?);
    let id = id.map_or(Ok(None), |column| value::id(fields.get(row, column)))?;
    Ok(Event::Quote(Quote::new(id, bid, bid_size, ask, ask_size)))
}

impl Table {
    /// Decodes `block`, whose rows may be of `shape`.
    pub(super) fn decode_as(&mut self, shape: Shape, block: &[u8], out: &mut Decoded) {
        let fixed = match &self.naming {
            Naming::Fixed(symbol) => Some(self.symbols.intern_full(symbol)),
            _ => None,
        };
        out.output.ticks.reserve(block.len() / self.row_bytes.max(16) + 16);
        let mut fields = Fields::new();
        let mut rest = block;
        let (mut line, mut taken) = (0, 0);
        let (mut plain, mut misses) = (0, 0);
        while !rest.is_empty() {
            if shape != Shape::Other && misses < PATIENCE + plain / 2 {
                let (rows, behind) =
                    plain_rows(shape, block, rest, fixed, &mut self.symbols, &mut out.output.ticks);
                (line, plain, rest) = (line + rows, plain + rows, behind);
                misses += 1;
                if rest.is_empty() {
                    break;
                }
            }
            let (row, behind, quoted) = next_row(rest);
            rest = behind;
            match self.any_row(&mut fields, row, quoted, fixed, &mut out.output.ticks) {
                Ok(()) => taken += 1,
                Err(fault) => self.odd(&fields, row, line, fault, out),
            }
            line += 1;
        }
        out.lines += line;
        out.frames.count_ticks(plain + taken);
    }

    /// Decodes one row of whatever shape onto `ticks`.
    #[inline]
    fn any_row(
        &mut self,
        fields: &mut Fields,
        row: &[u8],
        quoted: bool,
        fixed: Option<SymbolId>,
        ticks: &mut Vec<Tick>,
    ) -> Result<(), Fault> {
        if row.len() > MAX_LINE_BYTES {
            return Err(Fault::Broken("the line is longer than 1 MiB"));
        }
        if quoted {
            fields.split_quoted(row);
        } else {
            fields.split(row);
        }
        self.row(fields, row, fixed, ticks)
    }
}

/// Decodes the first rows of `rest`, with which `block` ends, as long as they are of `shape`. Gives their number,
/// and the rest behind them.
#[inline(always)]
fn plain_rows<'b>(
    shape: Shape,
    block: &'b [u8],
    rest: &'b [u8],
    fixed: Option<SymbolId>,
    symbols: &mut SymbolTable,
    ticks: &mut Vec<Tick>,
) -> (u64, &'b [u8]) {
    let mut at = block.len() - rest.len();
    let mut rows = 0;
    while let Some((tick, next)) = shape.row(block, at, fixed, symbols) {
        ticks.push(tick);
        at = next;
        rows += 1;
    }
    (rows, block.get(at..).unwrap_or_default())
}

impl Decoder for Table {
    fn decode(&mut self, block: &[u8], out: &mut Decoded) {
        self.decode_as(Shape::of(&self.columns, &self.naming, self.stamps), block, out);
    }

    fn finish(&mut self, _out: &mut Decoded) {}

    fn fork(&self) -> Option<Box<dyn Decoder>> {
        let symbols = SymbolTable::new(self.symbols.venue());
        Some(Box::new(Table { symbols, ..self.clone() }))
    }

    fn venue(&self) -> Option<&'static dyn Venue> {
        self.venue
    }

    fn trade_key(&self) -> DuplicateKey {
        self.key
    }

    fn has_receive_times(&self) -> bool {
        self.columns.received_at.is_some()
    }

    fn symbols(&self) -> &SymbolTable {
        &self.symbols
    }
}

/// The fields of a line, for looking at heads.
pub(super) fn fields_of(line: &[u8]) -> Vec<&[u8]> {
    let mut fields = Fields::new();
    fields.split_any(line);
    (0..fields.count().min(MAX_COLUMNS)).map(|index| fields.get(line, index)).collect()
}
