//! Bybit: spot, linear and inverse contracts. One protocol (v5) at three addresses, which its frames do not name:
//!
//! ```json
//! {"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1700000000005,"data":[
//!   {"T":1700000000004,"s":"BTCUSDT","S":"Buy","v":"0.5","p":"100.10","L":"PlusTick","i":"2290000000000000001","BT":false}]}
//! {"topic":"orderbook.1.BTCUSDT","type":"snapshot","ts":…,"cts":1700000000003,
//!   "data":{"s":"BTCUSDT","b":[["100.1","3"]],"a":[["100.2","2"]],"u":400,"seq":7000}}
//! {"topic":"orderbook.1.BTCUSDT","type":"delta","ts":…,"data":{"s":"BTCUSDT","b":[],"a":[["100.2","0"],["100.3","1"]],"u":401,"seq":7001}}
//! ```
//!
//! `S` is the aggressor's side. `i` is a number in spot and a UUID elsewhere: the id is then the exclusive or of the
//! UUID's halves. It repeats only if the trade does, but for a chance of one in some 2^50 among the last ids that are
//! compared. Block trades (`BT`) count as any other.
//!
//! The best prices come as a book of one level. Since 2024 each frame of it is a whole one; before, deltas changed
//! one side and took a level away with a row of size zero. `u` counts up by one per symbol and repeats with what is
//! sent again unchanged; 1 means that the service was restarted. `seq` is the matching engine's: it is a quote's id,
//! because it never begins again. A quote happened at `cts`, before there was one at `ts`.
//!
//! Files also have the protocol before it (v2, to 2023): `trade.` and `orderBookL2_25.`, of which trades are read.
//!
//! ```json
//! {"topic":"trade.BTCUSDT","data":[{"symbol":"BTCUSDT","price":"100.10","size":0.5,"trade_time_ms":"1700000000004",
//!   "side":"Buy","trade_id":"00000000-0000-5000-8000-000000000001"}]}
//! ```
//!
//! Documented at <https://bybit-exchange.github.io/docs/v5/ws/connect>.

mod book;
mod frames;
mod live;
mod session;

use self::frames::{Envelope, Topic, TradeId};
use self::session::BybitSession;
use crate::live::Live;
use crate::venue::{DuplicateKey, Endpoint, Session, Venue};

/// One of Bybit's markets.
pub(super) struct Bybit {
    id: &'static str,
    name: &'static str,
    endpoints: &'static [Endpoint],
    market: Market,
    live: &'static Live,
}

/// What kind of market it is, as far as frames show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Market {
    Spot,
    Linear,
    Inverse,
}

const HOST: &str = "stream.bybit.com";

pub(super) static SPOT: Bybit = Bybit {
    id: "bybit-spot",
    name: "Bybit spot",
    endpoints: &[Endpoint { host: HOST, path: "/v5/public/spot" }],
    market: Market::Spot,
    live: &live::SPOT,
};

pub(super) static LINEAR: Bybit = Bybit {
    id: "bybit-linear",
    name: "Bybit linear contracts",
    endpoints: &[
        Endpoint { host: HOST, path: "/v5/public/linear" },
        Endpoint { host: HOST, path: "/realtime_public" },
    ],
    market: Market::Linear,
    live: &live::LINEAR,
};

pub(super) static INVERSE: Bybit = Bybit {
    id: "bybit-inverse",
    name: "Bybit inverse contracts",
    endpoints: &[
        Endpoint { host: HOST, path: "/v5/public/inverse" },
        Endpoint { host: HOST, path: "/realtime" },
    ],
    market: Market::Inverse,
    live: &live::INVERSE,
};

impl Venue for Bybit {
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
        DuplicateKey::Unique
    }

    fn quote_key(&self) -> DuplicateKey {
        DuplicateKey::Unique
    }

    fn channels(&self) -> &'static [&'static str] {
        &["trades", "quotes"]
    }

    fn fields(&self) -> &'static str {
        "BT L RPI S T a b cross_seq cts data i iP id is_block_trade iv mIv mP p price s seq side size \
         symbol tick_direction timestamp topic trade_id trade_time_ms ts type u v"
    }

    fn completeness(&self) -> &'static str {
        "trade ids do not count up: nothing tells; quotes do, and after a jump a side is used only once it is sent anew"
    }

    fn recognises(&self, payload: &[u8]) -> bool {
        serde_json::from_slice(payload.trim_ascii())
            .is_ok_and(|envelope| market_of(&envelope) == Some(self.market))
    }

    fn open(&self) -> Box<dyn Session> {
        Box::new(BybitSession::default())
    }

    fn live(&self) -> Option<&'static Live> {
        Some(self.live)
    }
}

/// The market that a frame plainly comes from. A quote of `BTCUSDT` may be spot's as well as the contract's.
fn market_of(envelope: &Envelope<'_>) -> Option<Market> {
    let topic = envelope.topic?.text()?;
    let derivative = market_of_contract(topic.rsplit('.').next()?);
    match Topic::of(&topic) {
        Topic::Trades => match envelope.trades().ok()?.first()?.id()? {
            TradeId::Number(_) => Some(Market::Spot),
            TradeId::Uuid(_) => derivative.or(Some(Market::Linear)).filter(|_| !is_option(&topic)),
        },
        Topic::TradesOfV2 => {
            envelope.trades_of_v2().ok()?.first()?;
            derivative.or(Some(Market::Linear))
        }
        Topic::DepthOfV2 => derivative.or(Some(Market::Linear)).filter(|_| envelope.data.is_some()),
        Topic::Quotes | Topic::Depth => derivative.filter(|_| envelope.data.is_some()),
        Topic::Other => None,
    }
}

/// `BTCUSD` and `BTCUSDH30` are inverse, `BTCPERP` and `BTC-27DEC30` linear.
fn market_of_contract(symbol: &str) -> Option<Market> {
    let is_inverse = symbol.strip_suffix("USD").is_some_and(|base| !base.is_empty())
        || symbol.rsplit_once("USD").is_some_and(|(base, date)| {
            let date = date.as_bytes();
            !base.is_empty() && date.len() == 3 && b"FGHJKMNQUVXZ".contains(&date[0]) && is_number(&date[1..])
        });
    if is_inverse {
        return Some(Market::Inverse);
    }
    let is_linear = symbol.ends_with("PERP") || symbol.contains('-') && !is_option(symbol);
    is_linear.then_some(Market::Linear)
}

/// `BTC-27DEC30-100000-C`
fn is_option(symbol: &str) -> bool {
    symbol.matches('-').count() > 1
}

fn is_number(bytes: &[u8]) -> bool {
    bytes.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_tells_its_market_where_it_is_plain() {
        let trade = |symbol: &str, id: &str| {
            format!(
                r#"{{"topic":"publicTrade.{symbol}","ts":1,"data":[{{"T":1,"s":"{symbol}","S":"Buy","v":"1","p":"1","i":"{id}"}}]}}"#
            )
        };
        let quote = |symbol: &str| {
            let data = format!(r#"{{"s":"{symbol}","b":[],"a":[],"u":1,"seq":1}}"#);
            format!(r#"{{"topic":"orderbook.1.{symbol}","type":"snapshot","ts":1,"data":{data}}}"#)
        };
        let old =
            |symbol: &str| format!(r#"{{"topic":"orderBookL2_25.{symbol}","type":"delta","data":{{}}}}"#);
        let uuid = "00000000-0000-5000-8000-000000000001";
        let cases = [
            (trade("FOOUSDT", "7"), Some(Market::Spot)),
            (trade("FOOUSDT", uuid), Some(Market::Linear)),
            (trade("FOOUSDH30", uuid), Some(Market::Inverse)),
            (trade("FOOUSD", uuid), Some(Market::Inverse)),
            (trade("FOO-27DEC30-100-C", uuid), None),
            (trade("FOOUSDT", "what"), None),
            (quote("FOOUSDT"), None),
            (quote("FOOUSD"), Some(Market::Inverse)),
            (quote("FOOPERP"), Some(Market::Linear)),
            (quote("FOO-27DEC30"), Some(Market::Linear)),
            (old("FOOUSDT"), Some(Market::Linear)),
            (old("FOOUSD"), Some(Market::Inverse)),
            (r#"{"topic":"publicTrade.FOOUSDT"}"#.to_owned(), None),
            (r#"{"success":true,"op":"subscribe"}"#.to_owned(), None),
            ("{}".to_owned(), None),
        ];
        for (payload, expected) in cases {
            let recognise = |venue: &&&Bybit| venue.recognises(payload.as_bytes());
            let found: Vec<Market> =
                [&SPOT, &LINEAR, &INVERSE].iter().filter(recognise).map(|venue| venue.market).collect();
            assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{payload}");
        }
    }
}
