//! A judge as bytes, for checkpoints.
//!
//! # Bytes
//! The book's number u64; the symbol's name; for each rule of the book that concerns the symbol, in order: what `when`
//! remembers, what `until` does, if there is one ([`crate::rule::Memory`]), the episode ([`super::episode`]); then the
//! facts ([`super::facts`]) and the history ([`super::history`]). What else a judge has follows from these.

use super::episode::Episode;
use super::facts::Facts;
use super::judge::Judge;
use super::rulebook::Books;
use crate::codec::{CodecError, Put, Reader};
use crate::rule::Memory;

impl Judge {
    /// Appends its bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64(u64::from(self.book.number()));
        out.put_bytes(self.symbol.as_bytes());
        for kept in &self.kept {
            kept.when.encode(out);
            if let Some(until) = &kept.until {
                until.encode(out);
            }
            kept.episode.encode(out);
        }
        self.facts.encode(out);
        self.history.encode(out);
    }

    /// Reads what [`Judge::encode`] wrote.
    ///
    /// # Errors
    /// [`CodecError`] if the bytes are no judge, or one of a book that is not there.
    pub fn decode(books: &Books, bytes: &[u8]) -> Result<Judge, CodecError> {
        let mut from = Reader::new(bytes);
        let number = u32::try_from(from.u64()?).map_err(|_| CodecError::Invalid)?;
        let book = books.get(number).ok_or(CodecError::Invalid)?;
        let symbol = std::str::from_utf8(from.bytes()?).map_err(|_| CodecError::Invalid)?;
        let mut judge = Judge::new(book, symbol).ok_or(CodecError::Invalid)?;
        for kept in &mut judge.kept {
            let rule = &judge.book.rules()[kept.rule];
            kept.when = Memory::decode(&rule.when, &mut from)?;
            kept.until = match &rule.until {
                Some(until) => Some(Memory::decode(until, &mut from)?),
                None => None,
            };
            kept.episode = Episode::decode(&mut from)?;
        }
        judge.facts = Facts::decode(&mut from)?;
        judge.history.decode(&mut from)?;
        judge.look_for_silences();
        judge.reckon();
        if from.is_empty() { Ok(judge) } else { Err(CodecError::Invalid) }
    }
}
