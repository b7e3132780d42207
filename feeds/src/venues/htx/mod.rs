//! HTX (Huobi): spot, USDT-margined swaps and coin-margined swaps. One protocol at three addresses.
//!
//! Every frame is gzip in binary; inside is
//!
//! ```json
//! {"ch":"market.foousdt.trade.detail","ts":1700000000005,"tick":{"id":9,"ts":1700000000004,"data":[
//!   {"id":92557572,"ts":1700000000004,"tradeId":71,"amount":0.5,"price":100.1,"direction":"buy"}]}}
//! {"ch":"market.foousdt.bbo","ts":…,"tick":{"seqId":8,"ask":100.2,"askSize":2,"bid":100.1,"bidSize":3,"quoteTime":…}}
//! {"ch":"market.FOO-USDT.trade.detail","ts":…,"tick":{"id":9,"ts":…,"data":[
//!   {"amount":4,"quantity":40,"trade_turnover":16.8,"ts":…,"id":90000,"price":0.42,"direction":"sell"}]}}
//! {"ch":"market.FOO-USDT.bbo","ts":…,"tick":{"mrid":6,"id":…,"bid":[0.42,7],"ask":[0.43,9],"ts":…,"version":6}}
//! {"ping":1700000000000}                               wants {"pong":1700000000000}
//! ```
//!
//! `direction` is the aggressor's. A spot trade's `id` is longer than 64 bits, so its id is `tradeId`; a swap's `id`
//! fits. The size is `amount`: coins in spot; contracts in swaps, by the documentation those of both sides of a trade
//! together, and left as written. The first trade after subscribing is the last one
//! before it, however old, and not marked, so it counts as live.
//! Documented at <https://www.htx.com/en-us/opend/newApiPages/>.

mod inflate;
mod session;

use self::inflate::Inflater;
use self::session::{HtxSession, Message, native};
use crate::live::{Live, Rate, Route};
use crate::venue::{DuplicateKey, Endpoint, Session, Venue};

/// One of HTX's markets.
pub(super) struct Htx {
    id: &'static str,
    name: &'static str,
    endpoints: &'static [Endpoint],
    /// How the market's symbols look.
    owns: fn(&str) -> bool,
    live: &'static Live,
}

/// Addresses apart, the three allow the same. One topic a request; the server pings every 5 s and hangs up after two
/// that were not answered. The documentation is silent on what one connection carries, so that is the careful side.
const fn live(routes: &'static [Route]) -> Live {
    Live {
        routes,
        streams_per_connection: 100,
        streams_per_request: 1,
        requests: Rate::new(20, 1),
        connects: Rate::new(10, 10),
        ping_seconds: None,
        dead_seconds: 20,
        lifetime_seconds: None,
    }
}

pub(super) static SPOT: Htx = Htx {
    id: "htx",
    name: "HTX",
    endpoints: &[
        Endpoint { host: "api-aws.huobi.pro", path: "" },
        Endpoint { host: "api.huobi.pro", path: "" },
        Endpoint { host: "api.htx.com", path: "" },
    ],
    owns: is_spot,
    live: &live(&[Route::all("wss://api-aws.huobi.pro/ws")]),
};

pub(super) static LINEAR: Htx = Htx {
    id: "htx-linear-swap",
    name: "HTX USDT-margined swaps",
    endpoints: &[Endpoint { host: "api.hbdm.com", path: "/linear-swap-ws" }],
    owns: |symbol| symbol.contains("-USDT"),
    live: &live(&[Route::all("wss://api.hbdm.com/linear-swap-ws")]),
};

pub(super) static COIN: Htx = Htx {
    id: "htx-coin-swap",
    name: "HTX coin-margined swaps",
    endpoints: &[Endpoint { host: "api.hbdm.com", path: "/swap-ws" }],
    owns: |symbol| symbol.ends_with("-USD"),
    live: &live(&[Route::all("wss://api.hbdm.com/swap-ws")]),
};

fn is_spot(symbol: &str) -> bool {
    !symbol.is_empty() && symbol.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

impl Venue for Htx {
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
        "amount ask askSize bid bidSize ch data direction id mrid price quantity quoteTime seqId symbol \
         tick tradeId trade_turnover ts version"
    }

    fn completeness(&self) -> &'static str {
        "nothing proves it: trade ids are unique, and no document says that they count up by one; quotes have rising \
         numbers with holes"
    }

    fn recognises(&self, payload: &[u8]) -> bool {
        let mut inflater = Inflater::default();
        let Ok(text) = inflater.text(payload) else { return false };
        match serde_json::from_slice::<Message<'_>>(text) {
            Ok(message) => {
                message.tick.is_some() && message.ch.and_then(native).is_some_and(|name| (self.owns)(&name))
            }
            Err(_) => false,
        }
    }

    fn open(&self) -> Box<dyn Session> {
        Box::new(HtxSession::default())
    }

    fn live(&self) -> Option<&'static Live> {
        Some(self.live)
    }
}
