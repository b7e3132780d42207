//! The book of one level: the best bid and ask, as snapshots and deltas leave them.

use crate::json::quote;
use crate::number::Decimal;
use crate::tick::{Quote, Rejection};

/// Price and size; the size is zero if there is no order.
type Level = (Decimal, Decimal);

/// The best bid and ask of a symbol; `None` where what is known of a side is nothing, or may be old.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Top {
    update: u64,
    bid: Option<Level>,
    ask: Option<Level>,
}

impl Top {
    /// All is sent anew.
    pub(super) fn replace(&mut self, update: u64, bids: &[Level], asks: &[Level]) {
        let empty = Some((Decimal::ZERO, Decimal::ZERO));
        *self = Top { update, bid: empty, ask: empty };
        self.take(bids, asks);
    }

    /// What changed. If an update is missing before this one, a side that it does not name may be old.
    pub(super) fn change(&mut self, update: u64, bids: &[Level], asks: &[Level]) {
        if self.update.checked_add(1) != Some(update) && self.update != update {
            self.forget();
        }
        self.update = update;
        self.take(bids, asks);
    }

    /// From here on neither side is known.
    pub(super) fn forget(&mut self) {
        (self.bid, self.ask) = (None, None);
    }

    fn take(&mut self, bids: &[Level], asks: &[Level]) {
        for (side, rows) in [(&mut self.bid, bids), (&mut self.ask, asks)] {
            for &(price, size) in rows {
                // A level that went stands beside the one that came, in any order.
                if !size.is_zero() {
                    *side = Some((price, size));
                } else if side.is_some_and(|(held, _)| held == price) {
                    *side = Some((Decimal::ZERO, Decimal::ZERO));
                }
            }
        }
    }

    /// Both sides, if both are known.
    pub(super) fn quote(&self, id: Option<u64>) -> Option<Result<Quote, Rejection>> {
        let ((bid, bid_size), (ask, ask_size)) = (self.bid?, self.ask?);
        Some(quote(id, [Ok(bid), Ok(bid_size), Ok(ask), Ok(ask_size)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(rows: &[(i64, i64)]) -> Vec<Level> {
        rows.iter().map(|(price, size)| (Decimal::new(*price, 0), Decimal::new(*size, 0))).collect()
    }

    fn shown(top: &Top) -> Option<String> {
        top.quote(None).map(|quote| format!("{:?}", quote.unwrap()))
    }

    #[test]
    fn a_level_that_went_is_taken_away_in_any_order() {
        for rows in [[(10, 0), (9, 5)], [(9, 5), (10, 0)]] {
            let mut top = Top::default();
            top.replace(1, &levels(&[(10, 1)]), &levels(&[(11, 2)]));
            top.change(2, &levels(&rows), &[]);
            assert_eq!(shown(&top).unwrap(), "quote None 5 @ 9 | 11 @ 2", "{rows:?}");
        }
        let mut top = Top::default();
        top.replace(1, &levels(&[(10, 1)]), &levels(&[(11, 2)]));
        top.change(2, &[], &levels(&[(11, 0)]));
        assert_eq!(shown(&top).unwrap(), "quote None 1 @ 10 | 0 @ 0");
        top.change(3, &[], &levels(&[(12, 4)]));
        assert_eq!(shown(&top).unwrap(), "quote None 1 @ 10 | 12 @ 4");
    }

    #[test]
    fn a_side_is_unknown_until_it_is_sent() {
        let mut top = Top::default();
        top.change(5, &levels(&[(10, 1)]), &levels(&[(11, 0)]));
        assert_eq!(shown(&top), None);
        top.change(6, &[], &levels(&[(12, 3)]));
        assert_eq!(shown(&top).unwrap(), "quote None 1 @ 10 | 12 @ 3");
        top.change(8, &levels(&[(10, 2)]), &[]);
        assert_eq!(shown(&top), None, "update 7 is missing, and may have changed the other side");
        top.change(9, &[], &levels(&[(12, 3)]));
        assert_eq!(shown(&top).unwrap(), "quote None 2 @ 10 | 12 @ 3");
    }
}
