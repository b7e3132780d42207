//! Coinbase Exchange, formerly Coinbase Pro and GDAX. Coinbase's other interface, Advanced Trade, is in `advanced`.
//!
//! ```json
//! {"type":"match","trade_id":10,"maker_order_id":"…","taker_order_id":"…","side":"sell","size":"0.5","price":"100.10",
//!  "product_id":"BTC-USD","sequence":50,"time":"2025-06-15T15:06:40.123456Z"}
//! {"type":"last_match",…}                                 the newest trade before the subscription: history
//! {"type":"ticker","sequence":50,"product_id":"BTC-USD","price":"100.10","best_bid":"100.09","best_bid_size":"3",
//!  "best_ask":"100.10","best_ask_size":"2","side":"buy","time":"…","trade_id":10,"last_size":"0.5"}
//! {"type":"heartbeat","sequence":51,"last_trade_id":10,"product_id":"BTC-USD","time":"…"}
//! ```
//!
//! `side` of a match is the maker's, so that the aggressor is the other one; a ticker, which repeats each match and is
//! read for its quote only, has the taker's. Tickers of captures from before 2022 have no sizes, and are no quotes.
//! A connection that subscribes to nothing within five seconds is closed.
//! Documented at <https://docs.cdp.coinbase.com/exchange/websocket-feed/channels>.

mod advanced;
mod live;
mod session;

use serde::Deserialize;
use serde::de::IgnoredAny;

pub(super) use self::advanced::ADVANCED;
use self::session::CoinbaseSession;
use crate::json::Token;
use crate::live::{Live, PastTrades};
use crate::tick::Side;
use crate::venue::{DuplicateKey, Endpoint, Session, Venue};

/// Coinbase Exchange.
pub(super) struct Coinbase;

pub(super) static EXCHANGE: Coinbase = Coinbase;

impl Venue for Coinbase {
    fn id(&self) -> &'static str {
        "coinbase"
    }

    fn name(&self) -> &'static str {
        "Coinbase Exchange"
    }

    fn endpoints(&self) -> &'static [Endpoint] {
        &[
            Endpoint { host: "ws-feed.exchange.coinbase.com", path: "" },
            Endpoint { host: "ws-direct.exchange.coinbase.com", path: "" },
            Endpoint { host: "ws-feed.pro.coinbase.com", path: "" },
            Endpoint { host: "ws-feed.gdax.com", path: "" },
        ]
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
        "best_ask best_ask_size best_bid best_bid_size high_24h last_size low_24h maker_order_id open_24h \
         price product_id sequence side size taker_order_id time trade_id type volume_24h volume_30d"
    }

    fn completeness(&self) -> &'static str {
        "trade ids count up by one and heartbeats name the newest, so a hole shows within a second; a quote comes with \
         each trade only: nothing tells"
    }

    fn recognises(&self, payload: &[u8]) -> bool {
        recognises(payload.trim_ascii())
    }

    fn open(&self) -> Box<dyn Session> {
        Box::new(CoinbaseSession::default())
    }

    fn live(&self) -> Option<&'static Live> {
        Some(&live::LIVE)
    }

    fn past_trades(&self) -> Option<&'static dyn PastTrades> {
        Some(&live::Past)
    }
}

/// What of a frame shows whose it is.
#[derive(Deserialize)]
struct Shape<'a> {
    #[serde(borrow, rename = "type")]
    kind: Token<'a>,
    product_id: IgnoredAny,
    maker_order_id: Option<IgnoredAny>,
    taker_order_id: Option<IgnoredAny>,
    trade_id: Option<IgnoredAny>,
    last_trade_id: Option<IgnoredAny>,
    open_24h: Option<IgnoredAny>,
    best_bid: Option<IgnoredAny>,
    changes: Option<IgnoredAny>,
    bids: Option<IgnoredAny>,
    asks: Option<IgnoredAny>,
}

fn recognises(payload: &[u8]) -> bool {
    if !payload.starts_with(b"{") {
        return false;
    }
    let Ok(shape) = serde_json::from_slice::<Shape<'_>>(payload) else { return false };
    let IgnoredAny = shape.product_id;
    let has = |members: &[&Option<IgnoredAny>]| members.iter().all(|member| member.is_some());
    match shape.kind.0 {
        br#""match""# | br#""last_match""# => {
            has(&[&shape.maker_order_id, &shape.taker_order_id, &shape.trade_id])
        }
        br#""ticker""# => has(&[&shape.open_24h, &shape.best_bid]),
        br#""l2update""# => has(&[&shape.changes]),
        br#""snapshot""# => has(&[&shape.bids, &shape.asks]),
        br#""heartbeat""# => has(&[&shape.last_trade_id]),
        _ => false,
    }
}

/// The aggressor's side, which is not the maker's that is written.
fn taker_side(maker: Token<'_>) -> Option<Side> {
    match maker.0 {
        br#""buy""# | br#""BUY""# => Some(Side::Sell),
        br#""sell""# | br#""SELL""# => Some(Side::Buy),
        _ => None,
    }
}
