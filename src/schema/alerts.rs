//! The alert log.
//!
//! # Bytes
//! The key is the alert's number, u64. Its value:
//!
//! | bytes | what |
//! |---|---|
//! | u8 | version, 2 |
//! | 16 bytes | id |
//! | u8, u8 | state, severity: places in [`State::ALL`], [`Severity::ALL`] |
//! | text, three times | rule, symbol, message |
//! | i64 | event time |
//! | option of i64 | receive time |
//! | u64 | tape number |
//! | pairs of texts, twice | labels, values |
//! | windows | option of symbol, name, start i64, option of revision, flags, start of the last i64, how many u64 |
//! | option of text | what suppresses it |
//!
//! Version 1, which is read, has no last and no number of windows: each was one.
//!
//! A text is its length and its bytes; a list its length and its items; an option a byte 0, or 1 and the value.
//!
//! `generation` in the family `meta` is that of the cursors: version 1, the generation, the number from which on alerts
//! may differ from those of the generation before. A database without it is of generation 1. `generation/` and a
//! generation's number, u64, has the same value for each that ever rose.
//!
//! `dispatch` there is what is decided about alerts behind all symbols ([`crate::alert::dispatch`]), as of the last
//! checkpoint.

use feeds::time::Nanos;

use super::Key;
use crate::alert::dispatch::Dispatch;
use crate::alert::{Alert, AlertId, SeenWindow, Severity, State};
use crate::codec::{CodecError, Put, Reader};
use crate::store::{Batch, Family, Store, StoreError};
use crate::window::{Flags, Plan};

/// That of an alert's bytes.
const VERSION: u8 = 2;
/// That of a generation's.
const GENERATION_VERSION: u8 = 1;

/// The key of alert `number`.
#[must_use]
pub fn key(number: u64) -> Vec<u8> {
    Key::default().u64(number).bytes()
}

/// The key of the dispatch.
#[must_use]
pub fn dispatch_key() -> Vec<u8> {
    b"dispatch".to_vec()
}

/// The dispatch of `store`, or one under the rules of `book` if it has none.
///
/// # Errors
/// [`StoreError`] if it cannot be read.
pub fn dispatch(store: &dyn Store, plan: &Plan, book: u32) -> Result<Dispatch, StoreError> {
    match store.get(Family::Meta, &dispatch_key())? {
        None => Ok(Dispatch::new(plan.books.get(book), plan.idle)),
        Some(bytes) => Dispatch::decode(&plan.books, plan.idle, &bytes).map_err(|_| StoreError::Damaged {
            path: Default::default(),
            what: "the state of the rules over several symbols cannot be read".to_owned(),
        }),
    }
}

/// The number of the alert with this key.
///
/// # Errors
/// [`CodecError`] if it is no such key.
pub fn number_of(key: &[u8]) -> Result<u64, CodecError> {
    super::u64_at(key, 0)
}

/// The value of an alert.
#[must_use]
pub fn encode(alert: &Alert) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.extend(alert.id.0);
    out.put_u8(alert.state as u8);
    out.put_u8(alert.severity as u8);
    for text in [&alert.rule, &alert.symbol, &alert.message] {
        out.put_bytes(text.as_bytes());
    }
    out.put_i64(alert.event_time);
    put_option(alert.fired_at, &mut out, |time, out| out.put_i64(time));
    out.put_u64(alert.number);
    for pairs in [&alert.labels, &alert.values] {
        out.put_u64(pairs.len() as u64);
        for (name, value) in pairs {
            out.put_bytes(name.as_bytes());
            out.put_bytes(value.as_bytes());
        }
    }
    out.put_u64(alert.windows.len() as u64);
    for seen in &alert.windows {
        put_option(seen.symbol.as_ref(), &mut out, |symbol, out| out.put_bytes(symbol.as_bytes()));
        out.put_bytes(seen.window.as_bytes());
        out.put_i64(seen.start);
        put_option(seen.revision, &mut out, |revision, out| out.put_u64(u64::from(revision)));
        out.put_u64(u64::from(seen.flags.bits()));
        out.put_i64(seen.last);
        out.put_u64(seen.count);
    }
    put_option(alert.suppressed.as_ref(), &mut out, |why, out| out.put_bytes(why.as_bytes()));
    out
}

/// Reads an alert back.
///
/// # Errors
/// [`CodecError`] if the bytes are none.
pub fn decode(value: &[u8]) -> Result<Alert, CodecError> {
    let (&version, rest) = value.split_first().ok_or(CodecError::Short)?;
    if !(1..=VERSION).contains(&version) {
        return Err(CodecError::Invalid);
    }
    let (id, rest) = rest.split_first_chunk::<16>().ok_or(CodecError::Short)?;
    let mut from = Reader::new(rest);
    let (state, severity) = (usize::from(from.u8()?), usize::from(from.u8()?));
    let alert = Alert {
        id: AlertId(*id),
        state: State::ALL.get(state).copied().ok_or(CodecError::Invalid)?,
        severity: Severity::ALL.get(severity).copied().ok_or(CodecError::Invalid)?,
        rule: text(&mut from)?,
        symbol: text(&mut from)?,
        message: text(&mut from)?,
        event_time: from.i64()?,
        fired_at: option(&mut from, Reader::i64)?,
        number: from.u64()?,
        labels: list(&mut from, |from| Ok((text(from)?, text(from)?)))?,
        values: list(&mut from, |from| Ok((text(from)?, text(from)?)))?,
        windows: list(&mut from, |from| seen_window(from, version))?,
        suppressed: option(&mut from, text)?,
    };
    if from.is_empty() { Ok(alert) } else { Err(CodecError::Invalid) }
}

fn seen_window(from: &mut Reader<'_>, version: u8) -> Result<SeenWindow, CodecError> {
    let (symbol, window) = (option(from, text)?, text(from)?);
    let start = from.i64()?;
    let revision = option(from, |from| u32::try_from(from.u64()?).map_err(|_| CodecError::Invalid))?;
    let flags = Flags::from_bits(from.u64()?).ok_or(CodecError::Invalid)?;
    let (last, count) = if version == 1 { (start, 1) } else { (from.i64()?, from.u64()?) };
    Ok(SeenWindow { symbol, window, start, last, count, revision, flags })
}

fn put_option<T>(value: Option<T>, out: &mut Vec<u8>, put: impl FnOnce(T, &mut Vec<u8>)) {
    out.put_u8(u8::from(value.is_some()));
    if let Some(value) = value {
        put(value, out);
    }
}

fn option<'a, T>(
    from: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, CodecError>,
) -> Result<Option<T>, CodecError> {
    match from.u8()? {
        0 => Ok(None),
        1 => read(from).map(Some),
        _ => Err(CodecError::Invalid),
    }
}

fn list<'a, T>(
    from: &mut Reader<'a>,
    read: impl Fn(&mut Reader<'a>) -> Result<T, CodecError>,
) -> Result<Vec<T>, CodecError> {
    // Each item takes a byte at least, so a length beyond the bytes left is refused before it is allocated.
    let length = from.u64()?;
    if length > from.rest().len() as u64 {
        return Err(CodecError::Short);
    }
    (0..length).map(|_| read(from)).collect()
}

fn text(from: &mut Reader<'_>) -> Result<String, CodecError> {
    std::str::from_utf8(from.bytes()?).map(str::to_owned).map_err(|_| CodecError::Invalid)
}

/// Which cursors hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation {
    /// The generation.
    pub number: u64,
    /// Alerts with this number and above may differ from those of the generation before.
    pub differs_from: u64,
}

impl Default for Generation {
    fn default() -> Generation {
        Generation { number: 1, differs_from: 1 }
    }
}

impl Generation {
    /// Its key.
    #[must_use]
    pub fn key() -> Vec<u8> {
        b"generation".to_vec()
    }

    /// Its value.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        let mut out = vec![GENERATION_VERSION];
        out.put_u64(self.number);
        out.put_u64(self.differs_from);
        out
    }

    /// The generation of a database.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn read(store: &dyn Store) -> Result<Generation, StoreError> {
        let Some(value) = store.get(Family::Meta, &Generation::key())? else {
            return Ok(Generation::default());
        };
        Generation::decode(&value).map_err(|_| damaged("the generation of its cursors"))
    }

    /// Makes it the generation of the database that `batch` is committed to.
    pub fn put(self, batch: &mut Batch) {
        batch.put(Family::Meta, Generation::key(), self.encode());
        batch.put(Family::Meta, Generation::past(self.number), self.encode());
    }

    /// From which number on alerts may differ from those that a follower of generation `older` was told: the least of
    /// all generations since. One that is not known may differ in all of them.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn differs_since(self, store: &dyn Store, older: u64) -> Result<u64, StoreError> {
        let mut expected = older.saturating_add(1);
        let mut least = self.differs_from;
        let (from, to) = (Generation::past(expected), Generation::past(self.number.saturating_add(1)));
        for pair in store.scan(Family::Meta, &from, Some(&to)) {
            let generation = Generation::decode(&pair?.1).map_err(|_| damaged("a past generation"))?;
            if generation.number != expected {
                return Ok(1);
            }
            least = least.min(generation.differs_from);
            expected += 1;
        }
        Ok(if expected > self.number { least } else { 1 })
    }

    /// The key of a generation that rose.
    fn past(number: u64) -> Vec<u8> {
        Key::text("generation/").u64(number).bytes()
    }

    fn decode(value: &[u8]) -> Result<Generation, CodecError> {
        let mut from = Reader::new(value);
        if from.u8()? != GENERATION_VERSION {
            return Err(CodecError::Invalid);
        }
        let generation = Generation { number: from.u64()?, differs_from: from.u64()? };
        if from.is_empty() { Ok(generation) } else { Err(CodecError::Invalid) }
    }
}

fn damaged(what: &str) -> StoreError {
    StoreError::Damaged { path: Default::default(), what: format!("{what} cannot be read") }
}

/// The number of the last alert in the log; 0 if there is none. It looks at a few keys only, because numbers have no
/// holes.
///
/// # Errors
/// [`StoreError`] if it cannot be read.
pub fn head(store: &dyn Store) -> Result<u64, StoreError> {
    let Some(first) = store.scan(Family::Alerts, &key(0), None).next().transpose()? else { return Ok(0) };
    let mut there = number_of(&first.0).map_err(|_| damaged("the first alert's number"))?;
    let is_there = |number: u64| Ok::<bool, StoreError>(store.get(Family::Alerts, &key(number))?.is_some());
    let mut step = 1;
    while is_there(there.saturating_add(step))? {
        there += step;
        step = step.saturating_mul(2);
    }
    while step > 1 {
        step /= 2;
        if is_there(there.saturating_add(step))? {
            there += step;
        }
    }
    Ok(there)
}

/// The alerts of `numbers` in the log, with their numbers. An error is the last item.
pub fn scan(store: &dyn Store, first: u64) -> impl Iterator<Item = Result<(u64, Alert), AlertError>> + '_ {
    store.scan(Family::Alerts, &key(first), None).map(|pair| {
        let (key, value) = pair?;
        let number = number_of(&key).map_err(|_| AlertError::Damaged(0))?;
        Ok((number, decode(&value).map_err(|_| AlertError::Damaged(number))?))
    })
}

/// The number of the last alert in the log, of which `known` is one, or 0.
///
/// # Errors
/// [`StoreError`] if the log cannot be read.
pub fn last(store: &dyn Store, known: u64) -> Result<u64, StoreError> {
    let mut last = known;
    for pair in store.scan(Family::Alerts, &key(known + 1), None) {
        last = number_of(&pair?.0).unwrap_or(last);
    }
    Ok(last)
}

/// Why the log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum AlertError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What it holds is no alert.
    #[error("the database is damaged: alert {0} cannot be read")]
    Damaged(u64),
}

/// The time that tells how old an alert is, for lists.
#[must_use]
pub fn told_at(alert: &Alert) -> Nanos {
    alert.fired_at.unwrap_or(alert.event_time)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::store::memory::MemoryStore;

    pub(crate) fn made(number: u64) -> Alert {
        Alert {
            id: AlertId([number as u8; 16]),
            state: State::Firing,
            rule: "burst".to_owned(),
            symbol: "here:ABC".to_owned(),
            severity: Severity::Critical,
            event_time: 5,
            fired_at: Some(7),
            message: "much".to_owned(),
            labels: vec![("desk".to_owned(), "one".to_owned())],
            values: vec![("volume[1s]".to_owned(), "1.5".to_owned()), ("vwap[1s]".to_owned(), String::new())],
            windows: vec![SeenWindow {
                symbol: None,
                window: "1s".to_owned(),
                start: -3,
                last: 2,
                count: 5,
                revision: Some(2),
                flags: Flags::GAP,
            }],
            number,
            suppressed: Some("silence:night".to_owned()),
        }
    }

    #[test]
    fn the_bytes_of_both_versions() {
        let mut alert = made(9);
        let bytes = encode(&alert);
        assert_eq!(decode(&bytes), Ok(alert.clone()));
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "02090909090909090909090909090909090102056275727374086865\
             72653a414243046d7563680a010e090104\
             6465736b036f6e65020a766f6c756d655b31735d03312e3508767761705b31735d0001000231\
             73050102020405\
             01"
            .to_owned()
                + "0d73696c656e63653a6e69676874"
        );
        for cut in 0..bytes.len() {
            assert!(decode(&bytes[..cut]).is_err(), "{cut}");
        }
        // A log that was written before is read.
        let at = bytes.len() - 1 - "silence:night".len() - 1 - 2;
        let old = [&[1], &bytes[1..at], &bytes[at + 2..]].concat();
        (alert.windows[0].last, alert.windows[0].count) = (-3, 1);
        assert_eq!(decode(&old), Ok(alert));
    }

    #[test]
    fn generations_come_back() {
        let generation = Generation { number: 4, differs_from: 17 };
        assert_eq!(Generation::decode(&generation.encode()), Ok(generation));
    }

    #[test]
    fn the_head_is_found_wherever_the_log_begins_and_ends() {
        for first in [1, 2, 1_000] {
            for count in [0, 1, 2, 3, 7, 8, 9, 100, 511, 512] {
                let store = MemoryStore::new();
                let mut batch = Batch::default();
                for number in first..first + count {
                    batch.put(Family::Alerts, key(number), vec![0]);
                }
                store.commit(&batch, false).unwrap();
                let last = if count == 0 { 0 } else { first + count - 1 };
                assert_eq!(head(&store).unwrap(), last, "{first} {count}");
            }
        }
    }

    #[test]
    fn an_old_follower_is_told_the_least_of_all_that_rose_since() {
        let store = MemoryStore::new();
        let mut batch = Batch::default();
        for (number, differs_from) in [(2, 40), (3, 101), (4, 70)] {
            Generation { number, differs_from }.put(&mut batch);
        }
        store.commit(&batch, false).unwrap();
        let now = Generation::read(&store).unwrap();
        assert_eq!(now, Generation { number: 4, differs_from: 70 });
        for (older, differs_from) in [(1, 40), (2, 70), (3, 70), (0, 1)] {
            assert_eq!(now.differs_since(&store, older).unwrap(), differs_from, "{older}");
        }
        let mut batch = Batch::default();
        batch.delete(Family::Meta, Generation::past(3));
        store.commit(&batch, false).unwrap();
        assert_eq!(now.differs_since(&store, 1).unwrap(), 1, "one is not known");
    }
}
