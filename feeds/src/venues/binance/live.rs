//! Reaching Binance: addresses and limits of its four markets, subscriptions, and trades of the past.

use serde::Deserialize;

use super::Market;
use crate::frame::FrameError;
use crate::json::{Token, trade};
use crate::live::{Channel, Live, PastRange, PastRequest, PastTrades, Rate, Route, Stream};
use crate::past::{self, PastTrade};
use crate::requests::Requests;
use crate::symbol::SymbolTable;
use crate::tick::{Side, Tick};
use crate::time::Unit;
use crate::venue::Output;
use crate::verdict::Fault;

/// A day: the venue then ends the connection.
const LIFETIME_SECONDS: u32 = 24 * 3_600;
/// Most trades of one answer.
const PAST_TRADES: u64 = 1_000;

/// The server pings every 20 s.
const fn spot(routes: &'static [Route]) -> Live {
    Live {
        routes,
        streams_per_connection: 1_024,
        streams_per_request: 200,
        requests: Rate::new(4, 1),
        connects: Rate::new(300, 300),
        ping_seconds: None,
        dead_seconds: 65,
        lifetime_seconds: Some(LIFETIME_SECONDS),
    }
}

/// The server pings every 3 minutes.
const fn futures(routes: &'static [Route]) -> Live {
    Live { streams_per_connection: 200, requests: Rate::new(8, 1), dead_seconds: 400, ..spot(routes) }
}

pub(super) static SPOT: Live = spot(&[Route::all("wss://stream.binance.com:9443/stream")]);

pub(super) static US: Live = spot(&[Route::all("wss://stream.binance.us:9443/stream")]);

pub(super) static USDM: Live = futures(&[Route::all("wss://fstream.binance.com/public/stream")]);

pub(super) static COINM: Live = futures(&[Route::all("wss://dstream.binance.com/stream")]);

/// A request to subscribe.
pub(super) fn subscribe(streams: &[Stream], requests: &mut Requests) -> String {
    let id = requests.number(streams);
    request("SUBSCRIBE", streams, id)
}

/// A request to end subscriptions.
pub(super) fn unsubscribe(streams: &[Stream], requests: &mut Requests) -> String {
    let id = requests.number_of_none();
    request("UNSUBSCRIBE", streams, id)
}

fn request(method: &str, streams: &[Stream], id: u64) -> String {
    let params: Vec<String> = streams.iter().map(name).collect();
    serde_json::json!({ "method": method, "params": params, "id": id }).to_string()
}

fn name(stream: &Stream) -> String {
    let channel = match stream.channel {
        Channel::Trades => "trade",
        Channel::Quotes => "bookTicker",
    };
    format!("{}@{channel}", stream.native.to_lowercase())
}

#[derive(Deserialize)]
struct Answer<'a> {
    id: Option<u64>,
    #[serde(borrow)]
    error: Option<Token<'a>>,
    #[serde(borrow)]
    code: Option<Token<'a>>,
    #[serde(borrow)]
    msg: Option<Token<'a>>,
}

#[derive(Deserialize)]
struct Complaint {
    msg: String,
}

/// What the answer to a request says.
pub(super) fn answer(payload: &[u8], requests: &mut Requests, out: &mut Output) {
    let Ok(answer) = serde_json::from_slice::<Answer<'_>>(payload) else { return };
    let complaint = match (answer.error, answer.code) {
        (Some(error), _) => serde_json::from_slice::<Complaint>(error.0).ok().map(|complaint| complaint.msg),
        (None, Some(_)) => answer.msg.and_then(Token::text).map(|text| text.into_owned()),
        (None, None) => None,
    };
    match complaint {
        None => out.notices.extend(requests.confirmed(answer.id)),
        Some(why) => out.notices.push(requests.refused(answer.id, why)),
    }
}

/// Trades of one market: `[{"id":1,"price":"1.0","qty":"2","time":1700000000000,"isBuyerMaker":true},…]`.
///
/// Spot has `historicalTrades` from any id on. Elsewhere that wants an account's key, so only the newest trades can be
/// had; those of futures leave out what is not the market's.
pub(super) struct Past {
    host: &'static str,
    path: &'static str,
    /// True if trades can be asked for by id.
    by_id: bool,
}

pub(super) fn past(market: Market, us: bool) -> &'static Past {
    static SPOT: Past =
        Past { host: "https://api.binance.com", path: "/api/v3/historicalTrades", by_id: true };
    static US: Past = Past { host: "https://api.binance.us", path: "/api/v3/trades", by_id: false };
    static USDM: Past = Past { host: "https://fapi.binance.com", path: "/fapi/v1/trades", by_id: false };
    static COINM: Past = Past { host: "https://dapi.binance.com", path: "/dapi/v1/trades", by_id: false };
    match market {
        Market::Spot if us => &US,
        Market::Spot => &SPOT,
        Market::UsdMargined => &USDM,
        Market::CoinMargined => &COINM,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PastRow<'a> {
    id: u64,
    #[serde(borrow)]
    price: Token<'a>,
    #[serde(borrow)]
    qty: Token<'a>,
    #[serde(borrow)]
    time: Token<'a>,
    is_buyer_maker: bool,
}

impl PastTrades for Past {
    fn reach(&self) -> &'static str {
        if self.by_id { "by id" } else { "the newest 1,000 trades only" }
    }

    fn host(&self) -> &'static str {
        self.host
    }

    fn per_request(&self) -> u64 {
        PAST_TRADES
    }

    fn requests(&self) -> Rate {
        // A request weighs up to 25 of the 2,400 that an address has a minute.
        Rate::new(60, 60)
    }

    fn path(&self, range: &PastRange<'_>) -> String {
        let (path, native) = (self.path, range.native);
        if !self.by_id {
            return format!("{path}?symbol={native}&limit={PAST_TRADES}");
        }
        let count = range.last.saturating_sub(range.first).saturating_add(1).min(PAST_TRADES);
        format!("{path}?symbol={native}&limit={count}&fromId={}", range.first)
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
    let answer: Vec<PastRow<'_>> = serde_json::from_slice(body)?;
    let mut rows = Vec::with_capacity(answer.len());
    for row in answer {
        let price = row.price.decimal().ok_or("no price in a trade")?;
        let size = row.qty.decimal().ok_or("no size in a trade")?;
        let time = row.time.time(Unit::Millis).ok_or("no time in a trade")?;
        let side = if row.is_buyer_maker { Side::Sell } else { Side::Buy };
        rows.push(PastTrade { id: row.id, time, event: trade(Some(row.id), price, size, side) });
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::past::tests::shown;

    #[test]
    fn past_trades_are_those_that_were_asked_for() {
        let body = r#"[{"id":6,"price":"1.5","qty":"2","quoteQty":"3","time":1700000000000,"isBuyerMaker":true},
            {"id":7,"price":"1.6","qty":"1","time":1700000000001,"isBuyerMaker":false,"isBestMatch":true},
            {"id":8,"price":"1.7","qty":"1","time":1700000000002,"isBuyerMaker":false}]"#;
        for past in [past(Market::Spot, false), past(Market::UsdMargined, false)] {
            assert_eq!(
                shown(past, "FOO", [6, 7], body).unwrap(),
                [
                    "1700000000000000000 Trade(trade Some(6) 2 @ 1.5 Sell)",
                    "1700000000001000000 Trade(trade Some(7) 1 @ 1.6 Buy)"
                ]
            );
            assert!(shown(past, "FOO", [6, 7], &body[..40]).is_err());
            assert!(shown(past, "FOO", [6, 7], r#"{"code":-2014,"msg":"API-key format invalid."}"#).is_err());
        }
    }

    #[test]
    fn without_a_key_only_spot_is_asked_by_id() {
        let range = PastRange { native: "FOO", first: 6, last: 7, after: 0, before: 0 };
        let path = |market, us| past(market, us).path(&range);
        assert_eq!(path(Market::Spot, false), "/api/v3/historicalTrades?symbol=FOO&limit=2&fromId=6");
        assert_eq!(path(Market::Spot, true), "/api/v3/trades?symbol=FOO&limit=1000");
        assert_eq!(path(Market::UsdMargined, false), "/fapi/v1/trades?symbol=FOO&limit=1000");
        assert_eq!(path(Market::CoinMargined, false), "/dapi/v1/trades?symbol=FOO&limit=1000");
        let all = PastRange { first: 0, last: u64::MAX, ..range };
        assert!(past(Market::Spot, false).path(&all).contains("limit=1000"));
    }
}
