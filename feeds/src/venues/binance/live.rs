//! Reaching Binance: addresses and limits of its four markets, subscriptions, and trades of the past.

use serde::Deserialize;

use super::Market;
use crate::frame::FrameError;
use crate::json::{Sink, Token, trade};
use crate::live::{Channel, Live, Notice, PastRequest, PastTrades, Rate, Route, Stream};
use crate::requests::Requests;
use crate::symbol::SymbolTable;
use crate::tick::{Side, Tick};
use crate::time::{Nanos, TimeError, Unit};
use crate::venue::Output;

/// A day: the venue then ends the connection.
const LIFETIME_SECONDS: u32 = 24 * 3_600;
/// Most trades of one answer.
const PAST_TRADES: u64 = 500;

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

pub(super) static SPOT: Live =
    spot(&[Route { url: "wss://stream.binance.com:9443/stream", channels: &Channel::ALL }]);

pub(super) static US: Live =
    spot(&[Route { url: "wss://stream.binance.us:9443/stream", channels: &Channel::ALL }]);

pub(super) static USDM: Live =
    futures(&[Route { url: "wss://fstream.binance.com/public/stream", channels: &Channel::ALL }]);

pub(super) static COINM: Live =
    futures(&[Route { url: "wss://dstream.binance.com/stream", channels: &Channel::ALL }]);

/// A request to subscribe or unsubscribe.
pub(super) fn request(method: &str, streams: &[Stream], requests: &mut Requests) -> String {
    let params: Vec<String> = streams.iter().map(name).collect();
    let id = requests.number(streams);
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
    let streams = answer.id.and_then(|id| requests.answered(id));
    let complaint = match (answer.error, answer.code) {
        (Some(error), _) => serde_json::from_slice::<Complaint>(error.0).ok().map(|complaint| complaint.msg),
        (None, Some(_)) => answer.msg.and_then(Token::text).map(|text| text.into_owned()),
        (None, None) => None,
    };
    match (streams, complaint) {
        (Some(streams), None) => out.notices.push(Notice::Acknowledged(streams)),
        (streams, Some(why)) => out.notices.push(Notice::Refused(streams.unwrap_or_default(), why)),
        (None, None) => {}
    }
}

/// `historicalTrades` of one market: `[{"id":1,"price":"1.0","qty":"2","time":1700000000000,"isBuyerMaker":true},…]`.
pub(super) struct Past {
    host: &'static str,
    path: &'static str,
}

pub(super) fn past(market: Market, us: bool) -> &'static Past {
    static SPOT: Past = Past { host: "https://api.binance.com", path: "/api/v3" };
    static US: Past = Past { host: "https://api.binance.us", path: "/api/v3" };
    static USDM: Past = Past { host: "https://fapi.binance.com", path: "/fapi/v1" };
    static COINM: Past = Past { host: "https://dapi.binance.com", path: "/dapi/v1" };
    match market {
        Market::Spot if us => &US,
        Market::Spot => &SPOT,
        Market::UsdMargined => &USDM,
        Market::CoinMargined => &COINM,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PastTrade<'a> {
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

    fn path(&self, native: &str, first: u64, last: u64) -> String {
        let count = (last.saturating_sub(first) + 1).min(PAST_TRADES);
        format!("{}/historicalTrades?symbol={native}&limit={count}&fromId={first}", self.path)
    }

    fn decode(
        &self,
        request: &PastRequest<'_>,
        symbols: &mut SymbolTable,
        out: &mut Vec<Tick>,
    ) -> Result<(), FrameError> {
        let broken = |why: String| FrameError::new(why, request.body);
        let rows: Vec<PastTrade<'_>> =
            serde_json::from_slice(request.body).map_err(|error| broken(error.to_string()))?;
        let mut output = Output::default();
        let symbol = symbols.intern(request.native.as_bytes());
        let mut sink = Sink { received_at: Some(request.received_at), symbols, out: &mut output };
        for row in rows.iter().filter(|row| (request.first..=request.last).contains(&row.id)) {
            let (price, size) = (row.price.decimal(), row.qty.decimal());
            let (Some(price), Some(size)) = (price, size) else {
                return Err(broken(format!("no price or size in trade {}", row.id)));
            };
            let time: Result<Nanos, TimeError> =
                row.time.time(Unit::Millis).ok_or_else(|| broken(format!("no time in trade {}", row.id)))?;
            let side = if row.is_buyer_maker { Side::Sell } else { Side::Buy };
            sink.put(symbol, time, trade(Some(row.id), price, size, side));
        }
        out.append(&mut output.ticks);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_trades_are_those_that_were_asked_for() {
        let body =
            br#"[{"id":6,"price":"1.5","qty":"2","quoteQty":"3","time":1700000000000,"isBuyerMaker":true},
            {"id":7,"price":"1.6","qty":"1","time":1700000000001,"isBuyerMaker":false,"isBestMatch":true},
            {"id":8,"price":"1.7","qty":"1","time":1700000000002,"isBuyerMaker":false}]"#;
        let request =
            PastRequest { native: "FOO", first: 6, last: 7, received_at: 1_800_000_000_000_000_000, body };
        let (mut symbols, mut ticks) = (SymbolTable::new("binance"), Vec::new());
        past(Market::Spot, false).decode(&request, &mut symbols, &mut ticks).unwrap();
        let shown: Vec<String> =
            ticks.iter().map(|tick| format!("{} {:?}", tick.exchange_ts, tick.event)).collect();
        assert_eq!(
            shown,
            [
                "1700000000000000000 Trade(trade Some(6) 2 @ 1.5 Sell)",
                "1700000000001000000 Trade(trade Some(7) 1 @ 1.6 Buy)"
            ]
        );
        let cut = PastRequest { body: &body[..40], ..request };
        assert!(past(Market::Spot, false).decode(&cut, &mut symbols, &mut ticks).is_err());
        assert_eq!(ticks.len(), 2);
    }
}
