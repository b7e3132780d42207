//! Bitfinex.
//!
//! ```json
//! {"event":"subscribed","channel":"trades","chanId":7,"symbol":"tBTCUSD","pair":"BTCUSD"}
//! [7,"te",[12,1700000000004,-0.5,100.1],31,1700000000005]
//! [7,[[12,1700000000004,-0.5,100.1],…],30,1700000000005]                          sent on subscribing: the past
//! [8,[100.1,3,100.2,2,…],32,1700000000006]                                        ticker: bid, size, ask, size
//! [8,"hb",33,1700000000006]
//! ```
//!
//! Frames name a channel by the number that `subscribed` gave it on this connection. A trade is told twice, as `te` and
//! some time later as `tu`; only the former counts. A negative amount was sold by the aggressor. Behind the body stand
//! what `conf` asked for: the number of the message and when it was sent; that is the only time of a ticker. Older
//! captures have no such time. Documented at <https://docs.bitfinex.com/docs/ws-general>.

mod fields;
mod past;
mod session;

use self::fields::Said;
use self::session::BitfinexSession;
use crate::live::{Live, PastTrades, Rate, Route};
use crate::venue::{DuplicateKey, Endpoint, Session, Venue};

/// Each channel has a sign of life every 15 s. Each subscription is a message of its own.
static LIVE: Live = Live {
    routes: &[Route::all("wss://api-pub.bitfinex.com/ws/2")],
    streams_per_connection: 25,
    streams_per_request: 1,
    requests: Rate::new(10, 1),
    connects: Rate::new(20, 60),
    ping_seconds: None,
    dead_seconds: 45,
    lifetime_seconds: None,
};

pub(super) struct Bitfinex;

impl Venue for Bitfinex {
    fn id(&self) -> &'static str {
        "bitfinex"
    }

    fn name(&self) -> &'static str {
        "Bitfinex"
    }

    fn endpoints(&self) -> &'static [Endpoint] {
        &[
            Endpoint { host: "api-pub.bitfinex.com", path: "" },
            Endpoint { host: "api.bitfinex.com", path: "" },
        ]
    }

    fn trade_key(&self) -> DuplicateKey {
        DuplicateKey::Unique
    }

    fn quote_key(&self) -> DuplicateKey {
        DuplicateKey::None
    }

    fn channels(&self) -> &'static [&'static str] {
        &["trades", "quotes"]
    }

    fn fields(&self) -> &'static str {
        ""
    }

    fn completeness(&self) -> &'static str {
        "messages of a connection count up by one, so a loss shows, but not whose; trade ids rise with holes"
    }

    fn recognises(&self, payload: &[u8]) -> bool {
        let Ok(said) = serde_json::from_slice::<Said<'_>>(payload) else { return false };
        match said.event.text().as_deref() {
            Some("subscribed") => said.channel_number().is_some() && said.channel.is_some(),
            Some("info") => said.server.is_some(),
            _ => false,
        }
    }

    fn open(&self) -> Box<dyn Session> {
        Box::new(BitfinexSession::default())
    }

    fn live(&self) -> Option<&'static Live> {
        Some(&LIVE)
    }

    fn past_trades(&self) -> Option<&'static dyn PastTrades> {
        Some(&past::Past)
    }
}
