//! Kraken spot: version 2 of its protocol, and version 1, which only captures have.
//!
//! ```json
//! {"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"buy","price":100.10,"qty":0.5,
//!  "ord_type":"limit","trade_id":10,"timestamp":"2025-06-15T15:06:40.123456Z"}]}
//! {"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD","bid":100.0,"bid_qty":3.5,"ask":100.1,"ask_qty":2,…,
//!  "timestamp":"…"}]}                                               `timestamp` is new; without it the quote has no time
//! {"method":"subscribe","result":{"channel":"trade","symbol":"BTC/USD","snapshot":true},"success":true,"req_id":1,
//!  "time_in":"…","time_out":"…"}
//! [1921,[["100.10000","0.50000000","1700000000.123456","b","l",""]],"trade","XBT/USD"]                    version 1
//! [1924,{"a":["100.1",2,"2.0"],"b":["100.0",3,"3.5"],…},"ticker","XBT/USD"]                      version 1, no time
//! [1930,["100.0","100.1","1700000000.123456","3.5","2.0"],"spread","XBT/USD"]                             version 1
//! ```
//!
//! Numbers are JSON numbers in version 2 and strings in version 1. `side` is the aggressor's. Trades of type `snapshot`
//! are history; version 1 has none, nor ids. The two call bitcoin differently, `BTC` and `XBT`: names are as written.
//! Documented at <https://docs.kraken.com/api/docs/websocket-v2/trade>.

mod arrays;
mod live;
mod past;
mod session;

use serde::Deserialize;
use serde::de::IgnoredAny;

use self::session::KrakenSession;
use crate::json::Token;
use crate::live::{Live, PastTrades};
use crate::venue::{DuplicateKey, Endpoint, Session, Venue};

/// Kraken's spot market.
pub(super) struct Kraken;

pub(super) static SPOT: Kraken = Kraken;

impl Venue for Kraken {
    fn id(&self) -> &'static str {
        "kraken"
    }

    fn name(&self) -> &'static str {
        "Kraken"
    }

    /// Without a path is version 1.
    fn endpoints(&self) -> &'static [Endpoint] {
        &[
            Endpoint { host: "ws.kraken.com", path: "/v2" },
            Endpoint { host: "ws.kraken.com", path: "" },
            Endpoint { host: "beta-ws.kraken.com", path: "" },
        ]
    }

    fn trade_key(&self) -> DuplicateKey {
        DuplicateKey::Contiguous
    }

    fn quote_key(&self) -> DuplicateKey {
        DuplicateKey::None
    }

    fn channels(&self) -> &'static [&'static str] {
        &["trades", "quotes"]
    }

    fn fields(&self) -> &'static str {
        "a ask ask_qty b bid bid_qty c change change_pct channel data h high l last low o ord_type p price \
         qty side symbol t timestamp trade_id type v volume vwap"
    }

    fn completeness(&self) -> &'static str {
        "trade ids count up by one, so a hole shows; of quotes nothing tells"
    }

    fn recognises(&self, payload: &[u8]) -> bool {
        let payload = payload.trim_ascii();
        match payload.first() {
            Some(b'[') => arrays::recognises(payload),
            Some(b'{') => serde_json::from_slice(payload).is_ok_and(|shape| is_plain(&shape)),
            _ => false,
        }
    }

    fn open(&self) -> Box<dyn Session> {
        Box::new(KrakenSession::default())
    }

    fn live(&self) -> Option<&'static Live> {
        Some(&live::LIVE)
    }

    fn past_trades(&self) -> Option<&'static dyn PastTrades> {
        Some(&past::Past)
    }
}

/// What of a frame shows whose it is.
#[derive(Deserialize)]
struct Shape<'a> {
    #[serde(borrow)]
    channel: Option<Token<'a>>,
    #[serde(borrow, rename = "type")]
    kind: Option<Token<'a>>,
    #[serde(borrow)]
    data: Option<Token<'a>>,
    #[serde(borrow)]
    event: Option<Token<'a>>,
    #[serde(rename = "connectionID")]
    connection: Option<IgnoredAny>,
    #[serde(rename = "channelID")]
    channel_number: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct RowShape {
    #[serde(rename = "symbol")]
    _symbol: IgnoredAny,
    trade_id: Option<IgnoredAny>,
    ord_type: Option<IgnoredAny>,
    bid_qty: Option<IgnoredAny>,
    ask_qty: Option<IgnoredAny>,
    checksum: Option<IgnoredAny>,
}

fn is_plain(shape: &Shape<'_>) -> bool {
    if let Some(event) = shape.event {
        return event.0 == br#""systemStatus""# && shape.connection.is_some()
            || event.0 == br#""subscriptionStatus""# && shape.channel_number.is_some();
    }
    let (Some(channel), Some(kind), Some(data)) = (shape.channel, shape.kind, shape.data) else {
        return false;
    };
    if ![&br#""snapshot""#[..], br#""update""#].contains(&kind.0) {
        return false;
    }
    let Ok(rows) = serde_json::from_slice::<Vec<RowShape>>(data.0) else { return false };
    let Some(row) = rows.first() else { return false };
    match channel.0 {
        br#""trade""# => row.trade_id.is_some() && row.ord_type.is_some(),
        br#""ticker""# => row.bid_qty.is_some() && row.ask_qty.is_some(),
        br#""book""# => row.checksum.is_some(),
        _ => false,
    }
}
