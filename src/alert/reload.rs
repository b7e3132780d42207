//! Another rulebook takes the place of a judge's: what goes on, and what ends.

use std::sync::Arc;

use super::judge::Kept;
use super::judge::{Judge, Judged, Sight};
use super::rulebook::RuleBook;
use crate::rule::Series;

impl Judge {
    /// Another book takes the place of this one: rules that are in both go on, those that are gone are resolved.
    #[must_use]
    pub fn replaced(
        old: Option<Judge>,
        book: &Arc<RuleBook>,
        symbol: &str,
        sight: &Sight<'_>,
        out: &mut Judged,
    ) -> Option<Judge> {
        let mut new = Judge::new(Arc::clone(book), symbol);
        let Some(mut old) = old else { return new };
        let frontier = sight.windows.frontier();
        if let Some(new) = &mut new {
            new.facts.clone_from(&old.facts);
            let was = &old.book.inputs().series;
            let is = &book.inputs().series;
            new.history.inherit(&old.history, is, |place| {
                let same = |known: &Series| {
                    let (known, wanted) = (known, &is[place]);
                    known.symbol == wanted.symbol
                        && known.window == wanted.window
                        && known.stat.name == wanted.stat.name
                };
                was.iter().position(same)
            });
        }
        for place in 0..old.kept.len() {
            let text = &old.book.rules()[old.kept[place].rule].text;
            let same = new.as_mut().and_then(|new| {
                let book = &new.book;
                new.kept.iter_mut().find(|kept| book.rules()[kept.rule].text == *text)
            });
            match same {
                Some(kept) => {
                    let was = &old.kept[place];
                    *kept = Kept { rule: kept.rule, ..was.clone() };
                }
                None => {
                    old.look(sight, frontier);
                    if let Some(step) = old.kept[place].episode.end(frontier) {
                        let alert = old.alert(place, &step, sight);
                        out.alerts.push(alert);
                    }
                }
            }
        }
        if let Some(new) = &mut new {
            // Silences may be others now, and inhibitions.
            for place in 0..new.kept.len() {
                new.lift(place, sight, frontier, out);
            }
            new.look_for_silences();
            new.reckon();
        }
        new
    }
}
