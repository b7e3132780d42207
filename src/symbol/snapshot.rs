//! A symbol's state as bytes, for checkpoints.
//!
//! # Bytes
//! Integers, panes and quotes as in [`crate::codec`] and [`crate::stat`]; a list is its length and its items; an
//! option is a byte 0, or 1 and the value.
//!
//! | part | what |
//! |---|---|
//! | u8 | version, 3; version 2 has no rules, version 1 no stretches either |
//! | u8 | 1 if in quarantine |
//! | ledger | nine unsigned integers ([`super::ledger::Ledger::encode`]) |
//! | seen, twice | of trades, then quotes: tag 0 none; 1 contiguous: option of (lowest, highest, their times, latest time), holes (first, last, after, before, declared), lost holes; 2 unique: highest, ids; 3 rows: (time, trade) |
//! | stretches, twice | open, then past: channel (0 trades, 1 quotes), cause, from, to |
//! | pane | late trades |
//! | i64 | frontier |
//! | option of quote | the last settled quote |
//! | pane | all that has settled |
//! | slices | start, end, pane, pane of folded quotes, quotes with their keys |
//! | levels | option of settled (start, option of quote, pane); open windows (start, emissions, complete, ticks, flags, until) |
//! | bytes | [`crate::alert::judge::Judge`], with their length; empty if no rule concerns the symbol |

use feeds::live::Channel;
use feeds::number::{Decimal, SCALE_MAX};
use feeds::tick::{Quote, Side, Trade};

use super::SymbolState;
use super::duplicates::{Contiguous, Hole, Range, Ring, Seen};
use super::ledger::Ledger;
use super::outages::{Cause, Outages, Stretch};
use crate::alert::judge::Judge;
use crate::codec::{CodecError, Put, Reader};
use crate::stat::{CarriedQuote, Key, Pane};
use crate::window::slice::Slice;
use crate::window::state::{LevelState, Open, Settled};
use crate::window::{Flags, Plan, Windows};

const VERSION: u8 = 3;
const WITHOUT_RULES: u8 = 2;
const WITHOUT_STRETCHES: u8 = 1;

impl SymbolState {
    /// Appends the state's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(VERSION);
        out.put_u8(u8::from(self.quarantined));
        self.ledger.encode(out);
        encode_seen(&self.trades_seen, out);
        encode_seen(&self.quotes_seen, out);
        encode_list(self.outages.open.iter(), out, encode_stretch);
        encode_list(self.outages.past.iter(), out, encode_stretch);
        self.late.encode(out);
        encode_windows(&self.windows, out);
        let mut judge = Vec::new();
        if let Some(kept) = &self.judge {
            kept.encode(&mut judge);
        }
        out.put_bytes(&judge);
    }

    /// Reads what [`SymbolState::encode`] wrote under the same plan and with the same rules.
    ///
    /// # Errors
    /// [`CodecError`] if the bytes are no state, or one of another plan.
    pub fn decode(plan: &Plan, bytes: &[u8]) -> Result<SymbolState, CodecError> {
        let (mut state, judge) = SymbolState::split(plan, bytes)?;
        if !judge.is_empty() {
            state.judge = Some(Box::new(Judge::decode(&plan.books, judge)?));
        }
        Ok(state)
    }

    /// The same without its rules, for those who only read.
    ///
    /// # Errors
    /// [`CodecError`] if the bytes are no state, or one of another plan.
    pub fn decode_unruled(plan: &Plan, bytes: &[u8]) -> Result<SymbolState, CodecError> {
        SymbolState::split(plan, bytes).map(|(state, _)| state)
    }

    fn split<'a>(plan: &Plan, bytes: &'a [u8]) -> Result<(SymbolState, &'a [u8]), CodecError> {
        let mut from = Reader::new(bytes);
        let version = from.u8()?;
        if ![VERSION, WITHOUT_RULES, WITHOUT_STRETCHES].contains(&version) {
            return Err(CodecError::Invalid);
        }
        let stretches = |from: &mut Reader<'_>| match version {
            WITHOUT_STRETCHES => Ok(Vec::new()),
            _ => decode_list(from, decode_stretch),
        };
        let state = SymbolState {
            quarantined: decode_bool(&mut from)?,
            ledger: Ledger::decode(&mut from)?,
            trades_seen: decode_seen(&mut from)?,
            quotes_seen: decode_seen(&mut from)?,
            outages: Outages { open: stretches(&mut from)?, past: stretches(&mut from)? },
            late: Pane::decode(&mut from)?,
            windows: decode_windows(plan, &mut from)?,
            symbol: None,
            judge: None,
        };
        let judge = if version == VERSION { from.bytes()? } else { &[] };
        if from.is_empty() { Ok((state, judge)) } else { Err(CodecError::Invalid) }
    }
}

fn encode_seen(seen: &Seen, out: &mut Vec<u8>) {
    match seen {
        Seen::Nothing => out.put_u8(0),
        Seen::Contiguous(ids) => {
            out.put_u8(1);
            encode_option(ids.range.as_ref(), out, |range, out| {
                out.put_u64(range.lowest);
                out.put_u64(range.highest);
                out.put_i64(range.lowest_ts);
                out.put_i64(range.highest_ts);
                out.put_i64(range.latest);
            });
            encode_list(ids.holes.iter(), out, encode_hole);
            encode_list(ids.lost.iter(), out, encode_hole);
        }
        Seen::Unique(ring) => {
            out.put_u8(2);
            out.put_u64(ring.highest);
            encode_list(ring.keys.iter(), out, |key, out| out.put_u64(*key));
        }
        Seen::Row(rows) => {
            out.put_u8(3);
            encode_list(rows.iter(), out, |(ts, trade), out| {
                out.put_i64(*ts);
                encode_trade(trade, out);
            });
        }
    }
}

fn decode_seen(from: &mut Reader<'_>) -> Result<Seen, CodecError> {
    match from.u8()? {
        0 => Ok(Seen::Nothing),
        1 => {
            let range = decode_option(from, |from| {
                Ok(Range {
                    lowest: from.u64()?,
                    highest: from.u64()?,
                    lowest_ts: from.i64()?,
                    highest_ts: from.i64()?,
                    latest: from.i64()?,
                })
            })?;
            let (holes, lost) = (decode_list(from, decode_hole)?, decode_list(from, decode_hole)?);
            Ok(Seen::Contiguous(Box::new(Contiguous::new(range, holes, lost))))
        }
        2 => {
            let highest = from.u64()?;
            Ok(Seen::Unique(Ring { keys: decode_list(from, Reader::u64)?.into(), highest }))
        }
        3 => Ok(Seen::Row(decode_list(from, |from| Ok((from.i64()?, decode_trade(from)?)))?.into())),
        _ => Err(CodecError::Invalid),
    }
}

fn encode_hole(hole: &Hole, out: &mut Vec<u8>) {
    out.put_u64(hole.first);
    out.put_u64(hole.last);
    out.put_i64(hole.after);
    out.put_i64(hole.before);
    out.put_u8(u8::from(hole.declared));
}

fn decode_hole(from: &mut Reader<'_>) -> Result<Hole, CodecError> {
    let (first, last) = (from.u64()?, from.u64()?);
    Ok(Hole { first, last, after: from.i64()?, before: from.i64()?, declared: decode_bool(from)? })
}

pub(crate) fn encode_stretch(stretch: &Stretch, out: &mut Vec<u8>) {
    out.put_u8(match stretch.channel {
        Channel::Trades => 0,
        Channel::Quotes => 1,
    });
    out.put_u8(stretch.cause as u8);
    out.put_i64(stretch.from);
    out.put_i64(stretch.to);
}

pub(crate) fn decode_stretch(from: &mut Reader<'_>) -> Result<Stretch, CodecError> {
    let channel = Channel::ALL.get(usize::from(from.u8()?)).copied().ok_or(CodecError::Invalid)?;
    let cause = Cause::ALL.get(usize::from(from.u8()?)).copied().ok_or(CodecError::Invalid)?;
    Ok(Stretch { channel, cause, from: from.i64()?, to: from.i64()? })
}

fn encode_windows(windows: &Windows, out: &mut Vec<u8>) {
    out.put_i64(windows.frontier);
    encode_option(windows.carried.as_ref(), out, CarriedQuote::encode);
    windows.total.encode(out);
    encode_list(windows.slices.iter(), out, |slice, out| {
        out.put_i64(slice.start);
        out.put_i64(slice.end);
        slice.pane.encode(out);
        Pane { quotes: slice.folded.clone(), ..Pane::default() }.encode(out);
        encode_list(slice.quotes.iter(), out, |(key, quote), out| {
            encode_key(*key, out);
            encode_quote(quote, out);
        });
    });
    encode_list(windows.levels.iter(), out, |level, out| {
        encode_option(level.settled.as_deref(), out, |settled, out| {
            out.put_i64(settled.start);
            encode_option(settled.carried.as_ref(), out, CarriedQuote::encode);
            settled.pane.encode(out);
        });
        encode_list(level.open.iter(), out, |open, out| {
            out.put_i64(open.start);
            out.put_u64(u64::from(open.emissions));
            out.put_u8(u8::from(open.complete));
            out.put_u64(open.ticks);
            out.put_u64(u64::from(open.flags.bits()));
            out.put_i64(open.until);
        });
    });
}

fn decode_windows(plan: &Plan, from: &mut Reader<'_>) -> Result<Windows, CodecError> {
    let mut windows = Windows::new(plan);
    windows.frontier = from.i64()?;
    windows.carried = decode_option(from, CarriedQuote::decode)?;
    windows.total = Pane::decode(from)?;
    windows.slices = decode_list(from, decode_slice)?.into();
    let levels = decode_list(from, decode_level)?;
    if levels.len() != windows.levels.len() {
        return Err(CodecError::Invalid);
    }
    windows.levels = levels;
    windows.due = windows.next_due(plan);
    Ok(windows)
}

fn decode_slice(from: &mut Reader<'_>) -> Result<Slice, CodecError> {
    Ok(Slice {
        start: from.i64()?,
        end: from.i64()?,
        pane: Pane::decode(from)?,
        folded: Pane::decode(from)?.quotes,
        quotes: decode_list(from, |from| Ok((decode_key(from)?, decode_quote(from)?)))?,
    })
}

fn decode_level(from: &mut Reader<'_>) -> Result<LevelState, CodecError> {
    let settled = decode_option(from, |from| {
        Ok(Box::new(Settled {
            start: from.i64()?,
            carried: decode_option(from, CarriedQuote::decode)?,
            pane: Pane::decode(from)?,
        }))
    })?;
    let open = decode_list(from, |from| {
        Ok(Open {
            start: from.i64()?,
            emissions: u32::try_from(from.u64()?).map_err(|_| CodecError::Invalid)?,
            complete: decode_bool(from)?,
            ticks: from.u64()?,
            flags: Flags::from_bits(from.u64()?).ok_or(CodecError::Invalid)?,
            until: from.i64()?,
        })
    })?;
    Ok(LevelState { settled, open: open.into() })
}

fn decode_bool(from: &mut Reader<'_>) -> Result<bool, CodecError> {
    match from.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(CodecError::Invalid),
    }
}

fn encode_key(key: Key, out: &mut Vec<u8>) {
    out.put_i64(key.ts);
    out.put_u64(key.number);
}

fn decode_key(from: &mut Reader<'_>) -> Result<Key, CodecError> {
    Ok(Key { ts: from.i64()?, number: from.u64()? })
}

/// Option of the id, scale and mantissa of price and size, side (0 buy, 1 sell, 2 unknown).
pub(crate) fn encode_trade(trade: &Trade, out: &mut Vec<u8>) {
    encode_option(trade.id().as_ref(), out, |id, out| out.put_u64(*id));
    encode_decimal(trade.price(), out);
    encode_decimal(trade.size(), out);
    out.put_u8(match trade.side {
        Side::Buy => 0,
        Side::Sell => 1,
        Side::Unknown => 2,
    });
}

/// Reads what [`encode_trade`] wrote.
pub(crate) fn decode_trade(from: &mut Reader<'_>) -> Result<Trade, CodecError> {
    let id = decode_option(from, Reader::u64)?;
    let (price, size) = (decode_decimal(from)?, decode_decimal(from)?);
    let side = match from.u8()? {
        0 => Side::Buy,
        1 => Side::Sell,
        2 => Side::Unknown,
        _ => return Err(CodecError::Invalid),
    };
    Ok(Trade::new(id, price, size, side))
}

/// Option of the id, then bid, its size, ask, its size as decimals.
pub(crate) fn encode_quote(quote: &Quote, out: &mut Vec<u8>) {
    encode_option(quote.id().as_ref(), out, |id, out| out.put_u64(*id));
    for value in [quote.bid(), quote.bid_size(), quote.ask(), quote.ask_size()] {
        encode_decimal(value, out);
    }
}

/// Reads what [`encode_quote`] wrote.
pub(crate) fn decode_quote(from: &mut Reader<'_>) -> Result<Quote, CodecError> {
    let id = decode_option(from, Reader::u64)?;
    let mut value = || decode_decimal(from);
    Ok(Quote::new(id, value()?, value()?, value()?, value()?))
}

fn encode_decimal(value: Decimal, out: &mut Vec<u8>) {
    out.put_u8(value.scale());
    out.put_i64(value.mantissa());
}

fn decode_decimal(from: &mut Reader<'_>) -> Result<Decimal, CodecError> {
    let scale = from.u8()?;
    if scale > SCALE_MAX {
        return Err(CodecError::Invalid);
    }
    Ok(Decimal::new(from.i64()?, scale))
}

fn encode_option<T>(value: Option<&T>, out: &mut Vec<u8>, encode: impl FnOnce(&T, &mut Vec<u8>)) {
    out.put_u8(u8::from(value.is_some()));
    if let Some(value) = value {
        encode(value, out);
    }
}

fn decode_option<'a, T>(
    from: &mut Reader<'a>,
    decode: impl FnOnce(&mut Reader<'a>) -> Result<T, CodecError>,
) -> Result<Option<T>, CodecError> {
    match from.u8()? {
        0 => Ok(None),
        1 => decode(from).map(Some),
        _ => Err(CodecError::Invalid),
    }
}

fn encode_list<'a, T: 'a>(
    items: impl ExactSizeIterator<Item = &'a T>,
    out: &mut Vec<u8>,
    encode: impl Fn(&T, &mut Vec<u8>),
) {
    out.put_u64(items.len() as u64);
    for item in items {
        encode(item, out);
    }
}

fn decode_list<'a, T>(
    from: &mut Reader<'a>,
    decode: impl Fn(&mut Reader<'a>) -> Result<T, CodecError>,
) -> Result<Vec<T>, CodecError> {
    // Each item takes a byte at least, so a length beyond the bytes left is refused before it is allocated.
    let length = from.u64()?;
    if length > from.rest().len() as u64 {
        return Err(CodecError::Short);
    }
    (0..length).map(|_| decode(from)).collect()
}
