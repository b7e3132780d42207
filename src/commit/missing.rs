//! Which trades are missing, for those who ask for them.

use feeds::symbol::Symbol;

use crate::actors::work::ShareResult;
use crate::feed::backfill::{Wanted, Wants};
use crate::symbol::GapChange;
use crate::symbol::duplicates::Hole;

/// Tells which trades are missing. Where that finds no room they stay missing, as the gaps say.
pub(super) fn want(wanted: &Wants, symbols: &[Symbol], results: &[ShareResult]) {
    for result in results.iter().filter(|result| !result.gaps.is_empty()) {
        let Some(symbol) = symbols.get(result.symbol as usize) else { continue };
        for Hole { first, last, after, before, .. } in left_open(&result.gaps) {
            if !wanted.tell(Wanted { symbol: symbol.clone(), first, last, after, before }) {
                tracing::warn!(%symbol, first, last, "too many gaps wait: it is not asked for and stays missing");
            }
        }
    }
}

/// The holes that these changes open and do not close again. (Each trade that fills one closes it and opens what is left.)
fn left_open(changes: &[GapChange]) -> Vec<Hole> {
    let mut open: Vec<Hole> = Vec::new();
    for change in changes {
        match change {
            GapChange::Opened(hole) => open.push(*hole),
            GapChange::Closed(first) => open.retain(|hole| hole.first != *first),
            GapChange::Out(_) | GapChange::Back(_) => {}
        }
    }
    open
}
