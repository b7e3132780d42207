//! Entries that are kept: chunks of the tape, and late ticks.
//!
//! # Bytes
//! A tick: kind (0 trade, 1 quote, 2 rejected) with bit 4 if not timed and bit 5 if history, bit 6 if
//! excluded, bit 7 if repeated; exchange time; option of receive time; then the trade, the quote, or nothing. Other entries: kind (3 clock, 4 outage, 5 end, 6 past, 7 clock
//! with its second, 8 stop, 9 rules), then the frontier of the clock (and its second); the outage's time, channels and
//! cause; nothing; a tick; nothing; the number of the rulebook u64. A chunk: version 2 (version 1 has ticks
//! only), number of entries, then each: tape number − number of the one before (the first: 0 from the key), symbol,
//! entry. An entry that concerns several symbols stands there once for each. A late tick: version 1, tick.

use feeds::symbol::SymbolId;
use feeds::tick::{Event, Rejection, Tick};
use feeds::time::Nanos;

use super::Key;
use crate::codec::{CodecError, Put, Reader};
use crate::symbol::outages::{Cause, Channels, Outage};
use crate::symbol::snapshot::{decode_quote, decode_trade, encode_quote, encode_trade};
use crate::symbol::{Entry, Strike};

const CHUNK: u8 = 2;
const CHUNK_OF_TICKS: u8 = 1;
const VERSION: u8 = 1;
const CLOCK: u8 = 3;
const OUTAGE: u8 = 4;
const END: u8 = 5;
const PAST: u8 = 6;
const CLOCK_AT: u8 = 7;
const STOP: u8 = 8;
const RULES: u8 = 9;
const UNTIMED: u8 = 1 << 4;
const HISTORY: u8 = 1 << 5;
const EXCLUDED: u8 = 1 << 6;
const REPEATED: u8 = 1 << 7;

/// A chunk of the tape being built.
#[derive(Debug, Default)]
pub struct Chunk {
    first: Option<u64>,
    last: u64,
    entries: u64,
    bytes: Vec<u8>,
}

impl Chunk {
    /// Entries in it.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Appends an entry; numbers do not decrease.
    pub fn push(&mut self, number: u64, symbol: u32, entry: &Entry) {
        let first = *self.first.get_or_insert(number);
        self.bytes.put_u64(number - self.last.max(first));
        self.bytes.put_u64(u64::from(symbol));
        match entry {
            Entry::Tick(tick) => encode_tick(tick, &mut self.bytes),
            Entry::Clock(Strike { frontier, received_at }) => {
                self.bytes.put_u8(if received_at.is_some() { CLOCK_AT } else { CLOCK });
                self.bytes.put_i64(*frontier);
                if let Some(second) = received_at {
                    self.bytes.put_i64(*second);
                }
            }
            Entry::Outage(outage) => {
                self.bytes.put_u8(OUTAGE);
                self.bytes.put_i64(outage.since);
                self.bytes.put_u8(outage.channels.bits());
                self.bytes.put_u8(outage.cause as u8);
            }
            Entry::End => self.bytes.put_u8(END),
            Entry::Stop => self.bytes.put_u8(STOP),
            Entry::Rules(book) => {
                self.bytes.put_u8(RULES);
                self.bytes.put_u64(u64::from(*book));
            }
            Entry::Past(tick) => {
                self.bytes.put_u8(PAST);
                encode_tick(tick, &mut self.bytes);
            }
        }
        self.last = number;
        self.entries += 1;
    }

    /// Its key and value, if it has entries. What is left is empty.
    pub fn take(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        let first = self.first.take()?;
        let mut value = Vec::with_capacity(self.bytes.len() + 8);
        value.put_u8(CHUNK);
        value.put_u64(self.entries);
        value.append(&mut self.bytes);
        *self = Chunk::default();
        Some((Key::default().u64(first).bytes(), value))
    }
}

/// The ticks of a chunk with their numbers; each tick's symbol is its number in the database.
///
/// # Errors
/// [`CodecError`] if the bytes are no chunk.
pub fn decode_chunk(key: &[u8], value: &[u8]) -> Result<Vec<(u64, Tick)>, CodecError> {
    let entries = decode_entries(key, value)?.into_iter();
    let ticks = entries.filter_map(|(number, _, entry)| match entry {
        Entry::Tick(tick) | Entry::Past(tick) => Some((number, tick)),
        _ => None,
    });
    Ok(ticks.collect())
}

/// The entries of a chunk with their numbers and the symbols that they concern.
///
/// # Errors
/// [`CodecError`] if the bytes are no chunk.
pub fn decode_entries(key: &[u8], value: &[u8]) -> Result<Vec<(u64, u32, Entry)>, CodecError> {
    let mut number = super::u64_at(key, 0)?;
    let mut from = Reader::new(value);
    let version = from.u8()?;
    if version != CHUNK && version != CHUNK_OF_TICKS {
        return Err(CodecError::Invalid);
    }
    let count = from.u64()?;
    let mut entries = Vec::new();
    for _ in 0..count {
        number = from.u64()?.checked_add(number).ok_or(CodecError::Invalid)?;
        let symbol = u32::try_from(from.u64()?).map_err(|_| CodecError::Invalid)?;
        entries.push((number, symbol, decode_entry(SymbolId(symbol), &mut from)?));
    }
    if from.is_empty() { Ok(entries) } else { Err(CodecError::Invalid) }
}

fn decode_entry(symbol: SymbolId, from: &mut Reader<'_>) -> Result<Entry, CodecError> {
    let kind = from.u8()?;
    Ok(match kind {
        CLOCK => Entry::Clock(Strike { frontier: from.i64()?, received_at: None }),
        CLOCK_AT => Entry::Clock(Strike { frontier: from.i64()?, received_at: Some(from.i64()?) }),
        STOP => Entry::Stop,
        RULES => Entry::Rules(u32::try_from(from.u64()?).map_err(|_| CodecError::Invalid)?),
        OUTAGE => Entry::Outage(Outage {
            since: from.i64()?,
            channels: Channels::from_bits(from.u8()?),
            cause: Cause::ALL.get(usize::from(from.u8()?)).copied().ok_or(CodecError::Invalid)?,
        }),
        END => Entry::End,
        PAST => Entry::Past(decode_tick(from.u8()?, symbol, from)?),
        _ => Entry::Tick(decode_tick(kind, symbol, from)?),
    })
}

/// The key of a late tick.
#[must_use]
pub fn late_key(symbol: u32, exchange_ts: Nanos, number: u64) -> Vec<u8> {
    Key::default().u32(symbol).time(exchange_ts).u64(number).bytes()
}

/// The value of a late tick.
#[must_use]
pub fn encode_late(tick: &Tick) -> Vec<u8> {
    let mut out = vec![VERSION];
    encode_tick(tick, &mut out);
    out
}

/// A late tick and its tape number.
///
/// # Errors
/// [`CodecError`] if the bytes are no late tick.
pub fn decode_late(key: &[u8], value: &[u8]) -> Result<(u64, Tick), CodecError> {
    let mut from = Reader::new(value);
    if from.u8()? != VERSION {
        return Err(CodecError::Invalid);
    }
    let tick = decode_tick(from.u8()?, SymbolId(super::u32_at(key, 0)?), &mut from)?;
    if from.is_empty() { Ok((super::u64_at(key, 12)?, tick)) } else { Err(CodecError::Invalid) }
}

fn encode_tick(tick: &Tick, out: &mut Vec<u8>) {
    let kind = match tick.event {
        Event::Trade(_) => 0,
        Event::Quote(_) => 1,
        Event::Rejected(_) => 2,
    };
    let mark = |set: bool, bit: u8| if set { bit } else { 0 };
    let origin = mark(tick.history, HISTORY) | mark(tick.excluded, EXCLUDED) | mark(tick.repeated, REPEATED);
    out.put_u8(kind | mark(!tick.timed, UNTIMED) | origin);
    out.put_i64(tick.exchange_ts);
    out.put_u8(u8::from(tick.received_at().is_some()));
    if let Some(received_at) = tick.received_at() {
        out.put_i64(received_at);
    }
    match &tick.event {
        Event::Trade(trade) => encode_trade(trade, out),
        Event::Quote(quote) => encode_quote(quote, out),
        Event::Rejected(why) => out.put_u8(*why as u8),
    }
}

fn decode_tick(kind: u8, symbol: SymbolId, from: &mut Reader<'_>) -> Result<Tick, CodecError> {
    let exchange_ts = from.i64()?;
    let received_at = match from.u8()? {
        0 => None,
        1 => Some(from.i64()?),
        _ => return Err(CodecError::Invalid),
    };
    let event = match kind & 0xf {
        0 => Event::Trade(decode_trade(from)?),
        1 => Event::Quote(decode_quote(from)?),
        2 => Event::Rejected(decode_rejection(from.u8()?)?),
        _ => return Err(CodecError::Invalid),
    };
    let mut tick = Tick::new(symbol, exchange_ts, received_at, event);
    tick.timed = kind & UNTIMED == 0;
    tick.history = kind & HISTORY != 0;
    tick.excluded = kind & EXCLUDED != 0;
    tick.repeated = kind & REPEATED != 0;
    Ok(tick)
}

fn decode_rejection(byte: u8) -> Result<Rejection, CodecError> {
    use Rejection::{BadNumber, BadSign, BadTime, Dropped, OtherUnit};
    let all = [BadNumber, BadSign, BadTime, Dropped, OtherUnit];
    all.into_iter().find(|why| *why as u8 == byte).ok_or(CodecError::Invalid)
}
