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

/// Stretches of one venue and cause that began in one epoch.
struct Begun<'a> {
    /// One of the symbols.
    symbol: &'a Symbol,
    from: Nanos,
    stretches: u64,
}

/// Counts the stretches that begin in `results`, and tells of them if this is live. `symbols` are the names by number.
pub(super) fn count(counts: &mut OutageCounts, results: &[ShareResult], symbols: &[Symbol], is_live: bool) {
    let mut begun: BTreeMap<(&str, Cause), Begun<'_>> = BTreeMap::new();
    for result in results.iter().filter(|result| !result.gaps.is_empty()) {
        let Some(symbol) = symbols.get(result.symbol as usize) else { continue };
        for change in &result.gaps {
            let GapChange::Out(stretch) = change else { continue };
            if stretch.to == Nanos::MAX {
                let new = Begun { symbol, from: stretch.from, stretches: 0 };
                begun.entry((symbol.venue(), stretch.cause)).or_insert(new).stretches += 1;
            }
        }
    }
    for ((venue, cause), Begun { symbol, from, stretches }) in begun {
        let in_all = counts.entry((venue.to_owned(), cause.name())).or_default();
        let before = std::mem::replace(in_all, *in_all + stretches);
        let is_told = is_live && cause.is_loss() && cause != Cause::Start;
        // Ever more seldom: when there are twice as many as when it was told last.
        if is_told && before.checked_ilog2() != in_all.checked_ilog2() {
            let (cause, from) = (cause.name(), feeds::time::format(from));
            tracing::warn!(venue, cause, from, stretches, in_all, such_as = %symbol, "ticks may be missing: windows say so");
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
