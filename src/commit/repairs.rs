//! Final windows that a backfill revises: read back from where they are, given what they lacked, and written as a further
//! revision.

use feeds::time::Nanos;

use super::committer::CommitError;
use crate::actors::work::ShareResult;
use crate::query::Filter;
use crate::query::windows::emissions;
use crate::schema::rows::Row;
use crate::store::{Store, StoreError};
use crate::symbol::Repair;
use crate::window::{Emission, Flags, Plan};

/// Turns the repairs of `result` into emissions. `earlier` are the results that are in no batch yet.
///
/// # Errors
/// [`CommitError`] if a window cannot be read back.
pub(super) fn repair(
    result: &mut ShareResult,
    earlier: &[&ShareResult],
    store: &dyn Store,
    plan: &Plan,
) -> Result<(), CommitError> {
    for repair in std::mem::take(&mut result.repairs) {
        let found = [newest(&[&*result], &repair)?, newest(earlier, &repair)?];
        let found = match found.into_iter().flatten().max_by_key(|row| row.revision) {
            Some(row) => Some(row),
            None => stored(store, result.symbol, &repair)?,
        };
        let size = plan.windows()[repair.window].size;
        result.emissions.push(&revised(found, repair, size), size);
    }
    Ok(())
}

/// The window with what it lacked.
fn revised(found: Option<Row>, repair: Repair, size: Nanos) -> Emission {
    let Repair { number, window, start, flags, trades } = repair;
    let revision = found.as_ref().map_or(0, |row| row.revision + 1);
    let row = found.unwrap_or_else(|| Row {
        start,
        revision: 0,
        flags: Flags::NONE,
        until: None,
        carried: None,
        pane: Default::default(),
    });
    let mut pane = row.pane;
    for (key, trade) in &trades {
        pane.add_trade(*key, trade);
    }
    // What is missing now is known; what else was remarked still holds.
    let flags = row.flags.without(Flags::GAP).with(flags).with(Flags::BACKFILLED);
    let until = row.until.unwrap_or(start + size);
    Emission { window, start, revision, flags, number, until, pane, carried: row.carried }
}

/// The window's newest emission among these results.
fn newest(results: &[&ShareResult], repair: &Repair) -> Result<Option<Row>, CommitError> {
    let mut newest: Option<Row> = None;
    for result in results {
        for head in &result.emissions.heads {
            let is_it = usize::from(head.window) == repair.window && head.start == repair.start;
            if is_it && newest.as_ref().is_none_or(|row| head.revision > row.revision) {
                let row = result.emissions.row(head);
                newest = Some(row.map_err(|_| CommitError::Panicked("encoding of a window"))?);
            }
        }
    }
    Ok(newest)
}

/// The window's newest emission in the database.
fn stored(store: &dyn Store, symbol: u32, repair: &Repair) -> Result<Option<Row>, CommitError> {
    let filter = Filter { from: Some(repair.start), to: Some(repair.start + 1), ..Filter::default() };
    let rows = emissions(store, repair.window, symbol, &filter, false);
    let damaged = |error: crate::query::QueryError| match error {
        crate::query::QueryError::Store(error) => CommitError::Store(error),
        other => {
            CommitError::Store(StoreError::Damaged { path: Default::default(), what: other.to_string() })
        }
    };
    Ok(rows.map_err(damaged)?.pop())
}
