//! Bitfinex's trades of the past, asked for by time: `[[12,1700000000004,-0.5,100.1],…]`, rows as the stream has them.
//!
//! After the documentation alone: no answer of the venue was at hand.

use super::fields::TradeRow;
use crate::frame::FrameError;
use crate::json::Cells;
use crate::live::{PastRange, PastRequest, PastTrades, Rate};
use crate::past::{self, PastTrade};
use crate::symbol::SymbolTable;
use crate::tick::Tick;
use crate::time::Unit;
use crate::verdict::Fault;

/// Most trades of one answer.
const ROWS: u64 = 10_000;

/// `trades/<symbol>/hist`.
pub(super) struct Past;

impl PastTrades for Past {
    fn reach(&self) -> &'static str {
        "by time, from the oldest on"
    }

    fn host(&self) -> &'static str {
        "https://api-pub.bitfinex.com"
    }

    fn per_request(&self) -> u64 {
        ROWS
    }

    fn requests(&self) -> Rate {
        // 15 a minute; others may share the address.
        Rate::new(10, 60)
    }

    /// Both times are inclusive, in milliseconds. `sort=1` has the oldest first.
    fn path(&self, range: &PastRange<'_>) -> String {
        let millis = Unit::Millis.nanos();
        let (start, end) = (range.after / millis, range.before.saturating_add(millis - 1) / millis);
        format!("/v2/trades/{}/hist?start={start}&end={end}&limit={ROWS}&sort=1", range.native)
    }

    fn decode(
        &self,
        request: &PastRequest<'_>,
        symbols: &mut SymbolTable,
        out: &mut Vec<Tick>,
    ) -> Result<(), FrameError> {
        past::read(request, symbols, out, rows)
    }
}

fn rows(body: &[u8]) -> Result<Vec<PastTrade>, Fault> {
    let rows: Vec<Cells<'_, 4>> = serde_json::from_slice(body)?;
    rows.iter().map(|row| Ok(TradeRow::read(row)?.past())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::past::tests::shown;

    #[test]
    fn past_trades_are_those_that_were_asked_for() {
        let body = "[[4,1700000000004,-0.5,1.5],[7,1700000000005,2,1.6],[9,1700000000006,1,1.7]]";
        assert_eq!(
            shown(&Past, "tFOO", [4, 8], body).unwrap(),
            [
                "1700000000004000000 Trade(trade Some(4) 0.5 @ 1.5 Sell)",
                "1700000000005000000 Trade(trade Some(7) 2 @ 1.6 Buy)"
            ]
        );
        for bad in [&body[..40], r#"["error",11010,"ratelimit: error"]"#, r#"{"error":"ERR_RATE_LIMIT"}"#] {
            assert!(shown(&Past, "tFOO", [4, 8], bad).is_err(), "{bad}");
        }
        let (after, before) = (1_700_000_000_004_000_001, 1_700_000_000_009_000_001);
        let range = PastRange { native: "tFOO", first: 4, last: 8, after, before };
        let path = "/v2/trades/tFOO/hist?start=1700000000004&end=1700000000010&limit=10000&sort=1";
        assert_eq!(Past.path(&range), path);
    }
}
