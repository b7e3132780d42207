//! The rules in force, as they are kept: what a start, a reload or a silence has left.

use super::QueryError;
use crate::replay::plan::scan;
use crate::schema::rules;
use crate::store::{Family, Store};

/// The tape entry from which on they hold, and their text, which is a file of rules; `None` if there never were any.
///
/// # Errors
/// [`QueryError`] if they cannot be read.
pub fn in_force(store: &dyn Store) -> Result<Option<(u64, String)>, QueryError> {
    let mut newest: Option<(u32, u64, String)> = None;
    for pair in scan(store, Family::Meta, &rules::prefix()) {
        let (key, value) = pair?;
        let (number, at, text) =
            rules::decode(&key, &value).map_err(|error| QueryError::damaged("a rulebook", error))?;
        if newest.as_ref().is_none_or(|(known, ..)| *known <= number) {
            newest = Some((number, at, text));
        }
    }
    Ok(newest.map(|(_, at, text)| (at, text)))
}
