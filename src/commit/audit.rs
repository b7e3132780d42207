//! The ledgers held against each other, at every checkpoint.

use feeds::frame::FrameCounts;

use super::committer::CommitError;
use crate::schema::run::Run;
use crate::symbol::ledger::Ledger;

/// Holds the ledgers against each other; the ledger of all symbols.
pub(super) fn audit(ledgers: &[Ledger], counts: &[FrameCounts], run: &Run) -> Result<Ledger, CommitError> {
    let fail = |what| Err(CommitError::Ledger { number: run.applied, what });
    let mut total = Ledger::default();
    for (symbol, ledger) in ledgers.iter().enumerate() {
        if !ledger.adds_up() {
            return fail(format!("symbol {symbol} has {ledger:?}"));
        }
        total.merge(ledger);
    }
    if total.received != run.ticks {
        return fail(format!("the tape has {} ticks, the symbols {}", run.ticks, total.received));
    }
    match counts.iter().position(|of_input| !of_input.adds_up()) {
        Some(input) => fail(format!("input {input} has {:?}", counts[input])),
        None => Ok(total),
    }
}
