//! Binance: spot, Binance.US, USD-M and COIN-M futures. One protocol; the four differ in what stands below as data.
//!
//! A frame is `{"stream":"btcusdt@trade","data":{…}}` from `/stream` and only the inner object from `/ws`:
//!
//! ```json
//! {"e":"trade","E":1700000000005,"s":"BTCUSDT","t":12,"p":"100.10","q":"0.5","T":1700000000004,"m":true,"M":true}
//! {"e":"aggTrade","E":…,"s":"BTCUSDT","a":7,"p":"100.10","q":"0.5","f":12,"l":13,"T":…,"m":true}
//! {"u":400,"s":"BTCUSDT","b":"100.1","B":"3","a":"100.2","A":"2"}                    spot quote: no kind, no time
//! {"e":"bookTicker","u":400,"s":"BTCUSDT","b":"100.1","B":"3","a":"100.2","A":"2","T":…,"E":…}
//! ```
//!
//! `m` is true if the buyer was the maker, so that the aggressor sold. Trade ids count up by one per symbol.
//! Documented at <https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams>.

mod fields;
mod live;
mod rows;
mod scan;
mod session;

use self::fields::{Fields, Message, text};
use self::session::BinanceSession;
use crate::live::{Live, PastTrades};
use crate::venue::{DuplicateKey, Endpoint, Session, Venue};

/// One of Binance's markets.
pub(super) struct Binance {
    id: &'static str,
    name: &'static str,
    endpoints: &'static [Endpoint],
    completeness: &'static str,
    market: Market,
    live: &'static Live,
}

/// What kind of market it is, as far as frames show it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Market {
    Spot,
    UsdMargined,
    CoinMargined,
}

const TRADE_IDS: &str =
    "trade ids count up by one, so a hole shows; quotes have rising ids with holes: nothing tells";

pub(super) static SPOT: Binance = Binance {
    id: "binance",
    name: "Binance",
    endpoints: &[
        Endpoint { host: "stream.binance.com", path: "" },
        Endpoint { host: "data-stream.binance.vision", path: "" },
    ],
    completeness: TRADE_IDS,
    market: Market::Spot,
    live: &live::SPOT,
};

pub(super) static US: Binance = Binance {
    id: "binance-us",
    name: "Binance.US",
    endpoints: &[Endpoint { host: "stream.binance.us", path: "" }],
    completeness: TRADE_IDS,
    market: Market::Spot,
    live: &live::US,
};

/// Since 2026 trades and quotes come from `/public` and the rest, aggregated trades among it, from `/market`. The
/// paths without either still accept and acknowledge subscriptions, but send nothing; captures name them.
pub(super) static USDM: Binance = Binance {
    id: "binance-usdm",
    name: "Binance USD-M futures",
    endpoints: &[
        Endpoint { host: "fstream.binance.com", path: "/public" },
        Endpoint { host: "fstream.binance.com", path: "/market" },
        Endpoint { host: "fstream.binance.com", path: "/stream" },
        Endpoint { host: "fstream.binance.com", path: "/ws" },
    ],
    completeness: TRADE_IDS,
    market: Market::UsdMargined,
    live: &live::USDM,
};

pub(super) static COINM: Binance = Binance {
    id: "binance-coinm",
    name: "Binance COIN-M futures",
    endpoints: &[Endpoint { host: "dstream.binance.com", path: "" }],
    completeness: TRADE_IDS,
    market: Market::CoinMargined,
    live: &live::COINM,
};

impl Venue for Binance {
    fn id(&self) -> &'static str {
        self.id
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn endpoints(&self) -> &'static [Endpoint] {
        self.endpoints
    }

    fn trade_key(&self) -> DuplicateKey {
        DuplicateKey::Contiguous
    }

    fn quote_key(&self) -> DuplicateKey {
        DuplicateKey::Unique
    }

    fn channels(&self) -> &'static [&'static str] {
        &["trades", "quotes"]
    }

    fn fields(&self) -> &'static str {
        "A B E M T X a b data e f l m nq p ps q s st stream t u"
    }

    fn completeness(&self) -> &'static str {
        self.completeness
    }

    fn recognises(&self, payload: &[u8]) -> bool {
        match Message::read(payload.trim_ascii()) {
            Ok(message) if !message.list => market_of(&message.fields) == Some(self.market),
            _ => false,
        }
    }

    fn native(&self, written: &str) -> String {
        written.to_ascii_uppercase()
    }

    fn open(&self) -> Box<dyn Session> {
        Box::new(BinanceSession::default())
    }

    fn live(&self) -> Option<&'static Live> {
        Some(self.live)
    }

    fn past_trades(&self) -> Option<&'static dyn PastTrades> {
        Some(live::past(self.market, self.id == US.id))
    }
}

/// The market that an event plainly comes from.
fn market_of(fields: &Fields<'_>) -> Option<Market> {
    if !fields.last_update.is_empty() {
        return market_of_snapshot(fields);
    }
    let symbol = text(fields.symbol)?;
    let timed = !fields.time.is_empty() && !fields.event_time.is_empty();
    let coin_margined = !fields.pair.is_empty() || is_coin_margined(&symbol);
    match text(fields.event).as_deref() {
        None => is_bare_quote(fields).then_some(Market::Spot),
        Some("trade" | "aggTrade") if !fields.best_match.is_empty() => Some(Market::Spot),
        Some("trade") if fields.execution.is_empty() => None,
        Some("bookTicker") if !timed => None,
        Some("depthUpdate") if fields.previous_update.is_empty() => None,
        Some("trade" | "aggTrade" | "bookTicker" | "depthUpdate" | "markPriceUpdate") if timed => {
            Some(if coin_margined { Market::CoinMargined } else { Market::UsdMargined })
        }
        Some(_) => None,
    }
}

/// A depth snapshot asked for by a recorder: futures have times in it, and COIN-M names the pair.
fn market_of_snapshot(fields: &Fields<'_>) -> Option<Market> {
    if !fields.event.is_empty() || fields.time.is_empty() != fields.event_time.is_empty() {
        return None;
    }
    Some(match (fields.pair.is_empty(), fields.time.is_empty()) {
        (false, _) => Market::CoinMargined,
        (true, false) => Market::UsdMargined,
        (true, true) => Market::Spot,
    })
}

/// A spot quote has its six fields and nothing that others who borrowed the form add to it.
fn is_bare_quote(fields: &Fields<'_>) -> bool {
    let has = [fields.update_id, fields.b, fields.bid_size, fields.a, fields.ask_size];
    has.iter().all(|token| !token.is_empty()) && fields.event_time.is_empty() && fields.trade_id.is_empty()
}

/// `BTCUSD_PERP`, `BTCUSD_210924`. USD-M's dated symbols have `USDT_`.
fn is_coin_margined(symbol: &str) -> bool {
    symbol.split_once("USD_").is_some_and(|(base, end)| {
        !base.is_empty() && (end == "PERP" || end.len() == 6 && end.bytes().all(|b| b.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn market(payload: &str) -> Option<&'static str> {
        let venues = [&SPOT, &USDM, &COINM];
        let mut found =
            venues.iter().filter(|venue| venue.recognises(payload.as_bytes())).map(|venue| venue.id);
        let first = found.next();
        assert_eq!(found.next(), None, "two venues recognise {payload}");
        first
    }

    #[test]
    fn a_frame_tells_its_market_where_it_is_plain() {
        let cases = [
            (r#"{"e":"trade","E":1,"s":"X","t":1,"p":"1","q":"1","T":1,"m":true,"M":true}"#, Some("binance")),
            (r#"{"u":1,"s":"X","b":"1","B":"1","a":"1","A":"1"}"#, Some("binance")),
            (r#"{"lastUpdateId":1,"bids":[],"asks":[]}"#, Some("binance")),
            (
                r#"{"e":"trade","E":1,"T":1,"s":"XUSDT","t":1,"p":"1","q":"1","X":"MARKET","m":true}"#,
                Some("binance-usdm"),
            ),
            (r#"{"e":"bookTicker","u":1,"s":"XUSDT","T":1,"E":1}"#, Some("binance-usdm")),
            (r#"{"e":"bookTicker","u":1,"s":"XUSDT_301227","T":1,"E":1}"#, Some("binance-usdm")),
            (
                r#"{"e":"depthUpdate","E":1,"T":1,"s":"XUSDT","U":1,"u":2,"pu":0,"b":[],"a":[]}"#,
                Some("binance-usdm"),
            ),
            (r#"{"lastUpdateId":1,"E":1,"T":1,"bids":[],"asks":[]}"#, Some("binance-usdm")),
            (
                r#"{"e":"aggTrade","E":1,"a":1,"s":"XUSD_PERP","p":"1","q":"1","T":1,"m":true}"#,
                Some("binance-coinm"),
            ),
            (
                r#"{"e":"aggTrade","E":1,"a":1,"s":"XUSD_301227","p":"1","q":"1","T":1,"m":true}"#,
                Some("binance-coinm"),
            ),
            (
                r#"{"e":"depthUpdate","E":1,"T":1,"s":"X","ps":"XUSD","U":1,"u":2,"pu":0}"#,
                Some("binance-coinm"),
            ),
            (
                r#"{"lastUpdateId":1,"E":1,"T":1,"symbol":"XUSD_PERP","pair":"XUSD","bids":[]}"#,
                Some("binance-coinm"),
            ),
            // Others write these too, or nobody can say.
            (r#"{"u":1,"E":1,"s":"x","b":"1","B":"1","a":"1","A":"1"}"#, None),
            (r#"{"t":1,"u":1,"s":"X_Y","b":"1","B":"1","a":"1","A":"1"}"#, None),
            (r#"{"e":"depthUpdate","E":1,"s":"X","U":1,"u":1,"b":[],"a":[]}"#, None),
            (r#"{"e":"kline","E":1,"s":"X"}"#, None),
            (r#"{"result":null,"id":1}"#, None),
            ("{}", None),
            ("", None),
        ];
        for (payload, expected) in cases {
            assert_eq!(market(payload), expected, "{payload}");
            let combined = format!(r#"{{"stream":"x@y","data":{payload}}}"#);
            assert_eq!(market(&combined), expected, "{combined}");
        }
    }
}
