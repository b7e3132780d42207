//! What all files of a source have in common: one numbering of symbols, and one list of complaints.

use std::sync::Arc;

use feeds::symbol::{Symbol, SymbolId};
use rustc_hash::FxHashMap;

use super::error::Complaint;
use super::{COMPLAINTS_KEPT, NewSymbol};

/// The source-wide table of symbols, by full name, and the complaints that are kept.
#[derive(Debug, Default)]
pub(super) struct Register {
    numbers: FxHashMap<Symbol, SymbolId>,
    new_symbols: Vec<NewSymbol>,
    /// Every number at its own place.
    identity: Option<Arc<[SymbolId]>>,
    complaints_kept: usize,
    complaints_in_all: u64,
    /// `--strict`: the first complaint is kept apart.
    strict: bool,
    offence: Option<Complaint>,
}

impl Register {
    /// An empty one; if `strict`, the first complaint is an offence.
    pub(super) fn new(strict: bool) -> Register {
        Register { strict, ..Register::default() }
    }

    /// The number of `new.symbol`; it is announced if it has none yet.
    pub(super) fn intern(&mut self, new: NewSymbol) -> SymbolId {
        if let Some(number) = self.numbers.get(&new.symbol) {
            return *number;
        }
        let number = SymbolId(u32::try_from(self.numbers.len()).unwrap_or(u32::MAX));
        self.numbers.insert(new.symbol.clone(), number);
        self.new_symbols.push(new);
        self.identity = None;
        number
    }

    /// The symbols met since this was asked before.
    pub(super) fn take_new_symbols(&mut self) -> Vec<NewSymbol> {
        std::mem::take(&mut self.new_symbols)
    }

    /// The map for ticks that have source-wide numbers already.
    pub(super) fn identity(&mut self) -> Arc<[SymbolId]> {
        let count = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        self.identity.get_or_insert_with(|| (0..count).map(SymbolId).collect()).clone()
    }

    /// Counts `in_all` complaints and returns those of `complaints` that are kept.
    pub(super) fn complain(&mut self, mut complaints: Vec<Complaint>, in_all: u64) -> Vec<Complaint> {
        if self.strict && self.offence.is_none() {
            self.offence = complaints.first().cloned();
        }
        complaints.truncate(COMPLAINTS_KEPT - self.complaints_kept);
        self.complaints_kept += complaints.len();
        self.complaints_in_all += in_all;
        complaints
    }

    /// The complaint that `--strict` does not let pass.
    pub(super) fn take_offence(&mut self) -> Option<Complaint> {
        self.offence.take()
    }

    /// Complaints so far, kept or not.
    pub(super) fn complaints_in_all(&self) -> u64 {
        self.complaints_in_all
    }
}
