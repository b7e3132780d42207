//! Reaching Bybit: addresses, limits, and what is sent.

use crate::live::{Channel, Live, Rate, Route, Stream};
use crate::requests::Requests;

/// The application's own sign of life is due every 20 s.
const PING_SECONDS: u32 = 20;

/// The arguments of one connection's subscriptions may have 21,000 characters, the longest of some 40 each.
const fn market(routes: &'static [Route], streams_per_request: usize) -> Live {
    Live {
        routes,
        streams_per_connection: 400,
        streams_per_request,
        requests: Rate::new(5, 1),
        connects: Rate::new(500, 300),
        ping_seconds: Some(PING_SECONDS),
        dead_seconds: 60,
        lifetime_seconds: None,
    }
}

/// A request may name 10 streams.
pub(super) static SPOT: Live = market(&[Route::all("wss://stream.bybit.com/v5/public/spot")], 10);

pub(super) static LINEAR: Live = market(&[Route::all("wss://stream.bybit.com/v5/public/linear")], 100);

pub(super) static INVERSE: Live = market(&[Route::all("wss://stream.bybit.com/v5/public/inverse")], 100);

/// What is sent every [`PING_SECONDS`].
pub(super) const PING: &str = r#"{"op":"ping"}"#;

/// A request to subscribe or unsubscribe.
pub(super) fn request(op: &str, streams: &[Stream], requests: &mut Requests) -> String {
    let args: Vec<String> = streams.iter().map(topic).collect();
    let id = requests.number(streams).to_string();
    serde_json::json!({ "op": op, "args": args, "req_id": id }).to_string()
}

fn topic(stream: &Stream) -> String {
    match stream.channel {
        Channel::Trades => format!("publicTrade.{}", stream.native),
        Channel::Quotes => format!("orderbook.1.{}", stream.native),
    }
}
