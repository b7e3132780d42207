//! Kraken's trades of the past, asked for by time.
//!
//! ```json
//! {"error":[],"result":{"XXBTZUSD":[["100.10000","0.50000000",1700000000.1234567,"b","l","",10],…],"last":"…"}}
//! ```
//!
//! A row is price, size, seconds, side, kind of order, more, id. The oldest behind the time that is asked for come first.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::arrays::seconds;
use crate::frame::FrameError;
use crate::json::{Cells, Token, trade};
use crate::live::{PastRange, PastRequest, PastTrades, Rate};
use crate::past::{self, PastTrade};
use crate::symbol::SymbolTable;
use crate::tick::{Side, Tick};
use crate::verdict::Fault;

/// Most trades of one answer.
const ROWS: u64 = 1_000;
/// Trades of an answer that may lie before those that were asked for: in the microsecond of the one before the gap.
const BEFORE: u64 = 50;
/// Times of frames are in microseconds, those of answers are finer.
const MICROSECOND: i64 = 1_000;

/// `Trades` of the interface over HTTP.
pub(super) struct Past;

#[derive(Deserialize)]
struct Answer<'a> {
    error: Vec<String>,
    #[serde(borrow, default)]
    result: BTreeMap<String, Token<'a>>,
}

impl PastTrades for Past {
    fn reach(&self) -> &'static str {
        "by time, from the oldest on"
    }

    fn host(&self) -> &'static str {
        "https://api.kraken.com"
    }

    fn per_request(&self) -> u64 {
        ROWS - BEFORE
    }

    fn requests(&self) -> Rate {
        // An address has one or so a second for each pair.
        Rate::new(1, 1)
    }

    fn path(&self, range: &PastRange<'_>) -> String {
        let since = range.after.saturating_sub(MICROSECOND).max(0);
        format!("/0/public/Trades?pair={}&since={since}&count={ROWS}", pair(range.native))
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

/// The name of a pair there: that of version 1 of the sockets, without the stroke.
fn pair(native: &str) -> String {
    let old = |name: &str| match name {
        "BTC" => "XBT".to_owned(),
        "DOGE" => "XDG".to_owned(),
        name => name.to_owned(),
    };
    native.split('/').map(old).collect()
}

fn rows(body: &[u8]) -> Result<Vec<PastTrade>, Fault> {
    let answer: Answer<'_> = serde_json::from_slice(body)?;
    if !answer.error.is_empty() {
        return Err("an error in place of trades".into());
    }
    let (_, list) = answer.result.iter().find(|(key, _)| *key != "last").ok_or("no trades in the answer")?;
    let list: Vec<Cells<'_, 7>> = serde_json::from_slice(list.0)?;
    let mut rows = Vec::with_capacity(list.len());
    for row in &list {
        let [price, size, time, side, _, _, id] = row.all().ok_or("a trade of fewer than seven values")?;
        let id = id.whole().ok_or("no id in a trade")?;
        let price = price.decimal().ok_or("no price in a trade")?;
        let size = size.decimal().ok_or("no size in a trade")?;
        let time = seconds(time).ok_or("no time in a trade")?;
        let side = match side.0 {
            br#""b""# => Side::Buy,
            br#""s""# => Side::Sell,
            _ => return Err("the side of a trade is neither b nor s".into()),
        };
        rows.push(PastTrade { id, time, event: trade(Some(id), price, size, side) });
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::past::tests::shown;

    #[test]
    fn past_trades_are_those_that_were_asked_for() {
        let body = r#"{"error":[],"result":{"XFOOZUSD":[["1.5","2.0",1700000000.1234567,"b","m","",6],
            ["1.6","0.5",1700000000.5,"s","l","",7],["1.7","1",1700000001,"b","l","",8]],"last":"1700000001000000000"}}"#;
        assert_eq!(
            shown(&Past, "FOO/USD", [6, 7], body).unwrap(),
            [
                "1700000000123456700 Trade(trade Some(6) 2 @ 1.5 Buy)",
                "1700000000500000000 Trade(trade Some(7) 0.5 @ 1.6 Sell)"
            ]
        );
        for bad in [
            &body[..60],
            r#"{"error":["EQuery:Unknown asset pair"]}"#,
            r#"{"error":[],"result":{"last":"1"}}"#,
            r#"{"error":[],"result":{"X":[["1.5","2.0",1700000000.1,"b","m",""]],"last":"1"}}"#,
        ] {
            assert!(shown(&Past, "FOO/USD", [6, 7], bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn they_are_asked_for_by_the_time_of_the_trade_before_them() {
        let range =
            PastRange { native: "BTC/USD", first: 6, last: 7, after: 1_700_000_000_123_456_000, before: 0 };
        assert_eq!(Past.path(&range), "/0/public/Trades?pair=XBTUSD&since=1700000000123455000&count=1000");
        assert!(
            Past.path(&PastRange { native: "ETH/DOGE", after: 0, ..range }).contains("pair=ETHXDG&since=0&")
        );
    }
}
