//! KuCoin, spot.
//!
//! ```json
//! {"type":"message","topic":"/market/match:BTC-USDT","subject":"trade.l3match","data":{"symbol":"BTC-USDT",
//!  "sequence":"12","side":"buy","size":"0.5","price":"100.1","time":"1700000000004000000","tradeId":"…",…}}
//! {"type":"message","topic":"/spotMarket/level1:BTC-USDT","subject":"level1","data":{"asks":["100.2","2"],
//!  "bids":["100.1","3"],"timestamp":1700000000004}}
//! {"type":"message","topic":"/market/ticker:BTC-USDT","subject":"trade.ticker","data":{"sequence":"13","bestBid":"100.1",
//!  "bestBidSize":"3","bestAsk":"100.2","bestAskSize":"2","price":"100.1","size":"0.5","time":1700000000004}}
//! {"id":"1","type":"ack"}
//! ```
//!
//! Where to connect is asked for first, and the answer has a token that belongs in the address. `side` is the
//! aggressor's. Match times are in nanoseconds, the others in milliseconds. A trade's id here is its `sequence`, since
//! `tradeId` used to be text. Of the two streams of quotes, the first that is seen of a symbol counts. Documented at
//! <https://www.kucoin.com/docs-new/websocket-api/base-info/introduction>.

mod frames;
mod session;

use std::borrow::Cow;

use serde::Deserialize;

use self::frames::Message;
use self::session::KucoinSession;
use crate::frame::FrameError;
use crate::json::Token;
use crate::live::{Admission, Live, Rate, Route, Ticket};
use crate::venue::{DuplicateKey, Endpoint, Session, Venue};

/// Longest time between signs of life that is taken from an answer, in seconds: far above any that were seen.
const PING_SECONDS_MAX: u32 = 120;

/// A token is good for a day. The address and how often to show a sign of life are those that answers mostly give; the
/// answer decides.
static LIVE: Live = Live {
    routes: &[Route::all("wss://ws-api-spot.kucoin.com/")],
    streams_per_connection: 300,
    streams_per_request: 100,
    requests: Rate::new(50, 10),
    connects: Rate::new(30, 60),
    ping_seconds: Some(18),
    dead_seconds: 50,
    lifetime_seconds: Some(24 * 3_600),
};

pub(super) struct Kucoin;

impl Venue for Kucoin {
    fn id(&self) -> &'static str {
        "kucoin"
    }

    fn name(&self) -> &'static str {
        "KuCoin"
    }

    fn endpoints(&self) -> &'static [Endpoint] {
        &[
            Endpoint { host: "ws-api-spot.kucoin.com", path: "" },
            Endpoint { host: "ws-api.kucoin.com", path: "" },
            Endpoint { host: "push1-v2.kucoin.com", path: "" },
            Endpoint { host: "push-private.kucoin.com", path: "" },
        ]
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
        "asks bestAsk bestAskSize bestBid bestBidSize bids data id makerOrderId price sequence side size \
         subject symbol takerOrderId time timestamp topic tradeId type"
    }

    fn completeness(&self) -> &'static str {
        "nothing tells: the numbers of trades and tickers rise with holes, those of `level1` are not sent"
    }

    fn recognises(&self, payload: &[u8]) -> bool {
        let Ok(message) = serde_json::from_slice::<Message<'_>>(payload) else { return false };
        let is_topic = |topic: Cow<'_, str>| {
            ["/market/", "/spotMarket/", "/indicator/"].iter().any(|start| topic.starts_with(start))
        };
        message.kind.0 == br#""message""#
            && message.data.is_some()
            && message.subject.is_some()
            && message.topic.and_then(Token::text).is_some_and(is_topic)
    }

    fn open(&self) -> Box<dyn Session> {
        Box::new(KucoinSession::default())
    }

    fn live(&self) -> Option<&'static Live> {
        Some(&LIVE)
    }

    fn ticket(&self) -> Option<&'static dyn Ticket> {
        Some(&Bullet)
    }
}

/// `{"code":"200000","data":{"token":"…","instanceServers":[{"endpoint":"wss://…/","pingInterval":18000,…}]}}`, the interval
/// in milliseconds.
struct Bullet;

#[derive(Deserialize)]
struct Granted {
    data: Grant,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Grant {
    token: String,
    instance_servers: Vec<Server>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Server {
    endpoint: String,
    ping_interval: Option<u64>,
}

impl Server {
    fn ping_seconds(&self) -> Option<u32> {
        let seconds = u32::try_from(self.ping_interval? / 1_000).ok()?;
        (1..=PING_SECONDS_MAX).contains(&seconds).then_some(seconds)
    }
}

impl Ticket for Bullet {
    fn url(&self) -> &'static str {
        "https://api.kucoin.com/api/v1/bullet-public"
    }

    fn admission(&self, answer: &[u8], number: u64) -> Result<Admission, FrameError> {
        let granted: Granted =
            serde_json::from_slice(answer).map_err(|error| FrameError::new(error.to_string(), answer))?;
        let Grant { token, instance_servers } = granted.data;
        let is_safe = |server: &&Server| server.endpoint.starts_with("wss://");
        match instance_servers.iter().find(is_safe) {
            Some(server) => Ok(Admission {
                address: format!("{}?token={token}&connectId={number}", server.endpoint),
                ping_seconds: server.ping_seconds(),
            }),
            None => Err(FrameError::new("no server with a wss:// address in the answer", answer)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_in_the_answer() {
        let answer = br#"{"code":"200000","data":{"token":"abc==.d","instanceServers":[
            {"endpoint":"ws://a.example/","protocol":"websocket","pingInterval":18000,"pingTimeout":10000},
            {"endpoint":"wss://b.example/x","protocol":"websocket","pingInterval":25500}]}}"#;
        let admission = Bullet.admission(answer, 7).unwrap();
        assert_eq!(admission.address, "wss://b.example/x?token=abc==.d&connectId=7");
        assert_eq!(admission.ping_seconds, Some(25));
        for (interval, seconds) in [("null", None), ("999", None), ("1000", Some(1)), ("121000", None)] {
            let text = String::from_utf8_lossy(answer).replace("25500", interval);
            let admission = Bullet.admission(text.as_bytes(), 7).unwrap();
            assert_eq!(admission.ping_seconds, seconds, "{interval}");
        }
        for wrong in ["", "{}", r#"{"data":{"token":"a","instanceServers":[]}}"#, r#"{"code":"400100"}"#] {
            assert!(Bullet.admission(wrong.as_bytes(), 7).is_err(), "{wrong}");
        }
    }
}
