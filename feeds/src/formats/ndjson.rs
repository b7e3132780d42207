//! Newline-delimited JSON: one object a line, a trade or a quote, with the names of the `csv` format.
//!
//! Numbers may be JSON numbers or strings; their text is taken as it stands and never passes through a float.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::frame::FrameKind;
use crate::symbol::{Symbol, SymbolId, SymbolTable};
use crate::tick::{Event, Quote, Side, Tick, Trade};
use crate::time::Nanos;
use crate::venue::{DuplicateKey, Venue};
use crate::venues;

use super::line::{Lines, is_blank, written};
use super::stamp::Stamps;
use super::table::reject_or_break;
use super::value::{self, Bad, Fault, plain};
use super::{Decoded, Decoder, Format, FormatError, Head, MAX_LINE_BYTES, name};

/// The members of a line, as they stand in it.
#[derive(Deserialize)]
struct Row<'l> {
    #[serde(
        borrow,
        default,
        deserialize_with = "as_written",
        alias = "timestamp",
        alias = "ts",
        alias = "exchange_ts",
        alias = "trade_time",
        alias = "time_ms"
    )]
    time: Option<&'l RawValue>,
    #[serde(
        borrow,
        default,
        deserialize_with = "as_written",
        alias = "local_timestamp",
        alias = "receive_time"
    )]
    received_at: Option<&'l RawValue>,
    #[serde(
        borrow,
        default,
        deserialize_with = "as_written",
        alias = "instrument",
        alias = "pair",
        alias = "ticker"
    )]
    symbol: Option<&'l RawValue>,
    #[serde(borrow, default, deserialize_with = "as_written", alias = "trade_id", alias = "agg_trade_id")]
    id: Option<&'l RawValue>,
    #[serde(borrow, default, deserialize_with = "as_written", alias = "px")]
    price: Option<&'l RawValue>,
    #[serde(
        borrow,
        default,
        deserialize_with = "as_written",
        alias = "size",
        alias = "quantity",
        alias = "amount",
        alias = "sz"
    )]
    qty: Option<&'l RawValue>,
    #[serde(borrow, default, deserialize_with = "as_written", alias = "isBuyerMaker", alias = "buyer_maker")]
    is_buyer_maker: Option<&'l RawValue>,
    #[serde(borrow, default, deserialize_with = "as_written", alias = "taker_side", alias = "aggressor")]
    side: Option<&'l RawValue>,
    #[serde(borrow, default, deserialize_with = "as_written", alias = "bid_price")]
    bid: Option<&'l RawValue>,
    #[serde(borrow, default, deserialize_with = "as_written", alias = "bid_qty", alias = "bid_amount")]
    bid_size: Option<&'l RawValue>,
    #[serde(borrow, default, deserialize_with = "as_written", alias = "ask_price")]
    ask: Option<&'l RawValue>,
    #[serde(borrow, default, deserialize_with = "as_written", alias = "ask_qty", alias = "ask_amount")]
    ask_size: Option<&'l RawValue>,
}

/// A value as it stands, `null` too, which is not the same as no member.
fn as_written<'l, D: Deserializer<'l>>(value: D) -> Result<Option<&'l RawValue>, D::Error> {
    <&RawValue>::deserialize(value).map(Some)
}

impl<'l> Row<'l> {
    fn read(line: &'l [u8]) -> Option<Row<'l>> {
        serde_json::from_slice(line).ok()
    }

    /// The first member that must be there and is not.
    fn missing(&self) -> Option<&'static str> {
        let quote = self.price.is_none() && (self.bid.is_some() || self.ask.is_some());
        let needed = if quote {
            vec![
                ("time", self.time),
                ("bid", self.bid),
                ("bid_size", self.bid_size),
                ("ask", self.ask),
                ("ask_size", self.ask_size),
            ]
        } else {
            vec![("time", self.time), ("price", self.price), ("qty", self.qty)]
        };
        needed.into_iter().find(|(_, value)| value.is_none()).map(|(name, _)| name)
    }
}

/// The text of a value: what stands between a string's quotes, nothing for `null` or no value.
fn text(value: Option<&RawValue>) -> &[u8] {
    match value.map(|raw| plain(raw.get().as_bytes())) {
        Some(b"null") | None => b"",
        Some(text) => text,
    }
}

/// The format `ndjson`.
pub struct Ndjson;

impl Format for Ndjson {
    fn name(&self) -> &'static str {
        "ndjson"
    }

    fn describe(&self) -> &'static str {
        "one JSON object a line: a trade (time, symbol, id, price, qty, is_buyer_maker) or a quote"
    }

    fn matches(&self, head: &Head<'_>) -> bool {
        let first = written(head.bytes).next().filter(|line| line.starts_with(b"{"));
        first
            .and_then(Row::read)
            .is_some_and(|row| row.time.is_some() || row.price.is_some() || row.bid.is_some())
    }

    fn open(&self, head: &Head<'_>) -> Result<Box<dyn Decoder>, FormatError> {
        let first = written(head.bytes).next().unwrap_or_default();
        let not_this = || FormatError::NotThis("the first line is not a JSON object".to_owned());
        let row = Row::read(first).ok_or_else(not_this)?;
        if let Some(missing) = row.missing() {
            return Err(FormatError::Columns { missing: missing.to_owned(), found: members(first) });
        }
        let venue = name::venue_or(head, name::FILE)?;
        let told = name::told(head, venue)?;
        if row.symbol.is_none() && told.is_none() {
            let file = name::file(head);
            return Err(FormatError::Needs(format!("{file} has no member `symbol`; give --symbol")));
        }
        let symbol =
            symbol_text(row.symbol).and_then(|text| name::symbol(text.as_bytes(), venue)).or(told.clone());
        let known = symbol.map_or_else(|| venues::by_id(venue), |symbol| name::venue_of(&symbol));
        let key = if row.id.is_some() {
            known.map_or(DuplicateKey::Unique, Venue::trade_key)
        } else {
            DuplicateKey::None
        };
        let rows = || written(head.bytes).filter_map(Row::read);
        Ok(Box::new(NdjsonDecoder {
            stamps: Stamps::of(rows().map(|row| text(row.time))),
            received: Stamps::of(rows().map(|row| text(row.received_at))),
            has_receive_times: row.received_at.is_some(),
            numbered: value::id(text(row.id)).is_ok(),
            venue: venue.to_owned(),
            told,
            known,
            key,
            symbols: SymbolTable::new(venue),
        }))
    }
}

/// The names of an object's members.
fn members(line: &[u8]) -> String {
    let members: BTreeMap<Cow<'_, str>, IgnoredAny> = serde_json::from_slice(line).unwrap_or_default();
    members.keys().map(AsRef::as_ref).collect::<Vec<_>>().join(",")
}

/// A symbol's text, escapes resolved.
fn symbol_text(value: Option<&RawValue>) -> Option<Cow<'_, str>> {
    let raw = value?.get();
    match raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(plain) if !plain.contains('\\') => Some(Cow::Borrowed(plain)),
        Some(_) => serde_json::from_str(raw).ok().map(Cow::Owned),
        None => None,
    }
}

#[derive(Clone)]
struct NdjsonDecoder {
    stamps: Stamps,
    received: Stamps,
    has_receive_times: bool,
    /// True if the first id is a number; others tell nothing apart for us.
    numbered: bool,
    venue: String,
    /// `--symbol`.
    told: Option<Symbol>,
    known: Option<&'static dyn Venue>,
    key: DuplicateKey,
    symbols: SymbolTable,
}

impl NdjsonDecoder {
    fn symbol(&mut self, value: Option<&RawValue>) -> Result<SymbolId, Fault> {
        const NAMELESS: Fault = Fault::Broken("no readable symbol in the line");
        if value.is_none() {
            return self.told.as_ref().map(|symbol| self.symbols.intern_full(symbol)).ok_or(NAMELESS);
        }
        let text = symbol_text(value).ok_or(NAMELESS)?;
        if let Some(id) = self.symbols.by_alias(text.as_bytes()) {
            return Ok(id);
        }
        let symbol = name::symbol(text.as_bytes(), &self.venue).ok_or(NAMELESS)?;
        Ok(self.symbols.alias(text.as_bytes(), &symbol))
    }

    fn received_at(&self, row: &Row<'_>) -> Result<Option<Nanos>, Bad> {
        if !self.has_receive_times {
            return Ok(None);
        }
        value::time(text(row.received_at), self.received, "receive time").map(Some)
    }

    fn tick(&mut self, line: &[u8]) -> Result<Tick, Fault> {
        if line.len() > MAX_LINE_BYTES {
            return Err(Fault::Broken("the line is longer than 1 MiB"));
        }
        let row = Row::read(line).ok_or(Fault::Broken("not a JSON object, or one with a member twice"))?;
        if row.missing().is_some() {
            return Err(Fault::Broken(
                "neither time, price and qty nor time, bid, bid_size, ask and ask_size",
            ));
        }
        let symbol = self.symbol(row.symbol)?;
        let bad = |bad: Bad| bad.of(symbol);
        let time = value::time(text(row.time), self.stamps, "time").map_err(bad)?;
        let received = self.received_at(&row).map_err(bad)?;
        let id = if self.numbered { value::id(text(row.id)).map_err(bad)? } else { None };
        let event = if row.price.is_some() {
            trade(&row, id, side(&row)?).map_err(bad)?
        } else {
            quote(&row, id).map_err(bad)?
        };
        Ok(Tick::new(symbol, time, received, event))
    }
}

fn side(row: &Row<'_>) -> Result<Side, Fault> {
    match (row.is_buyer_maker, row.side) {
        (Some(_), _) => value::maker_side(text(row.is_buyer_maker))
            .ok_or(Fault::Broken("is_buyer_maker is neither true nor false")),
        (None, Some(_)) => {
            value::taker_side(text(row.side)).ok_or(Fault::Broken("side is neither buy nor sell"))
        }
        (None, None) => Ok(Side::Unknown),
    }
}

fn trade(row: &Row<'_>, id: Option<u64>, side: Side) -> Result<Event, Bad> {
    let price = value::unsigned(text(row.price), "price")?;
    let size = value::traded(text(row.qty))?;
    Ok(Event::Trade(Trade::new(id, price, size, side)))
}

fn quote(row: &Row<'_>, id: Option<u64>) -> Result<Event, Bad> {
    let side = |value, what| value::quoted(text(value), what);
    let (bid, bid_size) = (side(row.bid, "bid")?, side(row.bid_size, "bid size")?);
    let (ask, ask_size) = (side(row.ask, "ask")?, side(row.ask_size, "ask size")?);
    Ok(Event::Quote(Quote::new(id, bid, bid_size, ask, ask_size)))
}

impl Decoder for NdjsonDecoder {
    fn decode(&mut self, block: &[u8], out: &mut Decoded) {
        let mut number = 0;
        let mut taken = 0;
        for line in Lines::new(block) {
            match self.tick(line) {
                Ok(tick) => {
                    out.output.ticks.push(tick);
                    taken += 1;
                }
                Err(_) if is_blank(line) => out.frames.count(&FrameKind::Blank),
                Err(fault) => {
                    let row = if matches!(fault, Fault::Rejected(..)) { Row::read(line) } else { None };
                    let received_at = row.and_then(|row| self.received_at(&row).ok().flatten());
                    reject_or_break(line, number, fault, received_at, out);
                }
            }
            number += 1;
        }
        out.lines += number;
        out.frames.count_ticks(taken);
    }

    fn finish(&mut self, _out: &mut Decoded) {}

    fn fork(&self) -> Option<Box<dyn Decoder>> {
        Some(Box::new(NdjsonDecoder { symbols: SymbolTable::new(&self.venue), ..self.clone() }))
    }

    fn venue(&self) -> Option<&'static dyn Venue> {
        self.known
    }

    fn trade_key(&self) -> DuplicateKey {
        self.key
    }

    fn has_receive_times(&self) -> bool {
        self.has_receive_times
    }

    fn symbols(&self) -> &SymbolTable {
        &self.symbols
    }
}
