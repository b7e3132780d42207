//! Gate's spot trades of the past, by id: rows as the stream has them, in an array, the newest first.
//!
//! Futures are only asked for by whole seconds, of which the newest trades come: an answer that is full cannot be gone on
//! from, so they are not offered.
//!
//! After the documentation alone: no answer of the venue was at hand.

use super::frames::past_trades;
use crate::frame::FrameError;
use crate::live::{PastRange, PastRequest, PastTrades, Rate};
use crate::past;
use crate::symbol::SymbolTable;
use crate::tick::Tick;

/// Most trades of one answer.
const PAST_TRADES: u64 = 1_000;

/// `spot/trades`.
pub(super) struct Past;

impl PastTrades for Past {
    fn reach(&self) -> &'static str {
        "by id"
    }

    fn host(&self) -> &'static str {
        "https://api.gateio.ws"
    }

    fn per_request(&self) -> u64 {
        PAST_TRADES
    }

    fn requests(&self) -> Rate {
        // An address has 200 in 10 seconds; others may share it.
        Rate::new(100, 10)
    }

    /// Reversed, ids are those below `last_id`.
    fn path(&self, range: &PastRange<'_>) -> String {
        let (native, behind) = (range.native, range.last.saturating_add(1));
        format!(
            "/api/v4/spot/trades?currency_pair={native}&limit={PAST_TRADES}&last_id={behind}&reverse=true"
        )
    }

    fn decode(
        &self,
        request: &PastRequest<'_>,
        symbols: &mut SymbolTable,
        out: &mut Vec<Tick>,
    ) -> Result<(), FrameError> {
        past::read(request, symbols, out, past_trades)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::past::tests::shown;

    #[test]
    fn past_trades_are_those_that_were_asked_for() {
        let row = |id: u32, side: &str| {
            format!(
                r#"{{"id":"{id}","create_time":"1700000000","create_time_ms":"1700000000004.117","currency_pair":"FOO_USDT","#
            ) + &format!(r#""side":"{side}","role":"taker","amount":"2","price":"1.5","sequence_id":"9"}}"#)
        };
        let body = format!("[{},{},{}]", row(9, "buy"), row(7, "sell"), row(4, "buy"));
        assert_eq!(
            shown(&Past, "FOO_USDT", [4, 8], &body).unwrap(),
            [
                "1700000000004117000 Trade(trade Some(4) 2 @ 1.5 Buy)",
                "1700000000004117000 Trade(trade Some(7) 2 @ 1.5 Sell)"
            ]
        );
        for bad in [&body[..90], r#"{"label":"INVALID_CURRENCY_PAIR","message":"x"}"#] {
            assert!(shown(&Past, "FOO_USDT", [4, 8], bad).is_err(), "{bad}");
        }
        let range = PastRange { native: "FOO_USDT", first: 4, last: 8, after: 0, before: 0 };
        assert_eq!(
            Past.path(&range),
            "/api/v4/spot/trades?currency_pair=FOO_USDT&limit=1000&last_id=9&reverse=true"
        );
    }
}
