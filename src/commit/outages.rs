//! What may be missing: counted by cause, and told when it first happens and then ever more seldom. So are kinds of frames
//! and fields in them that nobody knows yet.

use std::collections::BTreeMap;

use feeds::frame::FrameCounts;
use feeds::symbol::Symbol;
use feeds::time::Nanos;

use crate::actors::work::ShareResult;
use crate::schema::feeds::Feed;
use crate::symbol::GapChange;
use crate::symbol::outages::Cause;

/// Stretches that began, by venue and cause.
pub type OutageCounts = BTreeMap<(String, &'static str), u64>;

/// Counts the stretches that begin in `results`. `symbols` are the names by number.
pub(super) fn count(counts: &mut OutageCounts, results: &[ShareResult], symbols: &[Symbol]) {
    for result in results {
        for change in &result.gaps {
            let GapChange::Out(stretch) = change else { continue };
            let is_told = !matches!(stretch.cause, Cause::Start | Cause::Backfill);
            let Some(symbol) = symbols.get(result.symbol as usize) else { continue };
            if stretch.to != Nanos::MAX {
                continue;
            }
            let count = counts.entry((symbol.venue().to_owned(), stretch.cause.name())).or_default();
            *count += 1;
            if is_told && count.is_power_of_two() {
                let (cause, from, times) = (stretch.cause.name(), feeds::time::format(stretch.from), *count);
                tracing::warn!(%symbol, cause, from, times, "ticks may be missing: windows say so");
            }
        }
    }
}

/// Tells of kinds of frames and of fields in `new` that `known`, the counts of the same input so far, has not.
pub(super) fn tell_unknown(known: &FrameCounts, new: &FrameCounts, feed: &Feed) {
    let (input, venue) = (&*feed.name, feed.venue.as_deref().unwrap_or_default());
    for kind in new.unknown.keys().filter(|kind| !known.unknown.contains_key(*kind)) {
        tracing::warn!(input, kind, "frames of a kind that is not known: they are counted, and not read");
    }
    for (field, count) in
        new.unknown_fields.iter().filter(|(field, _)| !known.unknown_fields.contains_key(*field))
    {
        let since = count.since.map(feeds::time::format);
        tracing::warn!(
            venue,
            input,
            field,
            since,
            "a field that is not known, in frames that are read without it"
        );
    }
}
