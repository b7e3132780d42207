//! Gate: spot, and futures settled in USDT or BTC. One protocol, in which trades differ.
//!
//! ```json
//! {"time":1700000000,"time_ms":1700000000005,"channel":"spot.trades","event":"update","result":{"id":12,
//!  "create_time_ms":"1700000000004.117","side":"sell","currency_pair":"BTC_USDT","amount":"0.5","price":"100.1"}}
//! {"time":…,"time_ms":…,"channel":"futures.trades","event":"update","result":[{"id":12,"size":-5,
//!  "create_time_ms":1700000000004,"price":"100.1","contract":"BTC_USDT","is_internal":true},…]}
//! {"time":…,"time_ms":…,"channel":"spot.book_ticker","event":"update","result":{"t":1700000000004,"u":13,
//!  "s":"BTC_USDT","b":"100.1","B":"3","a":"100.2","A":"2"}}
//! ```
//!
//! The side is the aggressor's; of futures it is the sign of the size, which counts contracts. What is `is_internal` was
//! taken over by the insurance fund or by others' positions, and is none of the market's. Captures of old lack `time_ms`;
//! they have tickers, without sizes. Documented at <https://www.gate.com/docs/developers/apiv4/ws/en/> and
//! <https://www.gate.com/docs/developers/futures/ws/en/>.

mod frames;
mod past;
mod session;

use self::frames::Envelope;
use self::session::GateSession;
use crate::json::Token;
use crate::live::{Live, PastTrades, Rate, Route};
use crate::venue::{DuplicateKey, Endpoint, Session, Venue};

/// One of Gate's markets.
pub(super) struct Gate {
    id: &'static str,
    name: &'static str,
    endpoints: &'static [Endpoint],
    market: Market,
    live: &'static Live,
}

/// What a frame of a market looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Market {
    Spot,
    Futures,
}

impl Market {
    /// What the names of its channels begin with.
    fn prefix(self) -> &'static str {
        match self {
            Market::Spot => "spot",
            Market::Futures => "futures",
        }
    }
}

/// The venue says nothing by itself while nothing happens, but answers each `ping`. It limits neither subscriptions nor
/// their pace by a number, and 300 connections of one address.
const fn live(routes: &'static [Route]) -> Live {
    Live {
        routes,
        streams_per_connection: 200,
        streams_per_request: 20,
        requests: Rate::new(10, 1),
        connects: Rate::new(20, 60),
        ping_seconds: Some(15),
        dead_seconds: 45,
        lifetime_seconds: None,
    }
}

pub(super) static SPOT: Gate = Gate {
    id: "gate",
    name: "Gate",
    endpoints: &[Endpoint { host: "api.gateio.ws", path: "/ws/v4" }],
    market: Market::Spot,
    live: &live(&[Route::all("wss://api.gateio.ws/ws/v4/")]),
};

/// What is settled in BTC has an address of its own; its contracts end with `_USD`, the others with `_USDT`.
pub(super) static FUTURES: Gate = Gate {
    id: "gate-futures",
    name: "Gate futures",
    endpoints: &[
        Endpoint { host: "fx-ws.gateio.ws", path: "/v4/ws/usdt" },
        Endpoint { host: "fx-ws.gateio.ws", path: "/v4/ws/btc" },
    ],
    market: Market::Futures,
    live: &live(&[
        Route { ending: "_USD", ..Route::all("wss://fx-ws.gateio.ws/v4/ws/btc") },
        Route::all("wss://fx-ws.gateio.ws/v4/ws/usdt"),
    ]),
};

impl Venue for Gate {
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
        "A B a amount b channel contract create_time create_time_ms currency_pair event id id_market \
         is_internal price range result s side size t time time_ms u"
    }

    fn completeness(&self) -> &'static str {
        "nothing tells: the ids of trades and quotes rise with holes, and messages are not numbered"
    }

    fn recognises(&self, payload: &[u8]) -> bool {
        let Ok(envelope) = serde_json::from_slice::<Envelope<'_>>(payload) else { return false };
        let channel = envelope.channel.and_then(Token::text);
        envelope.event.is_some()
            && envelope.result.is_some()
            && envelope.time.is_some_and(|time| time.whole().is_some())
            && channel.is_some_and(|name| {
                name.split_once('.').is_some_and(|(prefix, _)| prefix == self.market.prefix())
            })
    }

    fn open(&self) -> Box<dyn Session> {
        Box::new(GateSession::new(self.market))
    }

    fn live(&self) -> Option<&'static Live> {
        Some(self.live)
    }

    fn past_trades(&self) -> Option<&'static dyn PastTrades> {
        (self.market == Market::Spot).then_some(&past::Past)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::{Channel, Stream};

    #[test]
    fn contracts_have_the_address_of_what_settles_them() {
        let live = FUTURES.live().unwrap();
        for (native, end) in [("BTC_USD", "/btc"), ("BTC_USDT", "/usdt"), ("FOO_USDT", "/usdt")] {
            for channel in Channel::ALL {
                let route = live.route(&Stream::new(native, channel)).unwrap();
                assert!(live.routes[route].url.ends_with(end), "{native}");
            }
        }
    }
}
