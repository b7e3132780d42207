//! Binance as a venue: spot, Binance.US, USD-M and COIN-M futures, with combined and raw streams and past trades.

use std::fmt::Write;

use feeds::live::Channel;
use feeds::time::Nanos;
use serde_json::{Value, json};

use super::market::View;
use super::protocol::{Answer, Conversation, Listing, Protocol, Query, Reply, Streams, base, channel_of};
use super::wire::padded;
use crate::market::digits::{put_integer, put_padded};
use crate::market::{Change, Instrument, MarketEvent};

/// Digits behind the point in spot frames, whatever the tick size.
const SPOT_DIGITS: u8 = 8;
/// Most streams of one connection.
const STREAMS_MAX: usize = 1_024;
/// Trades of an answer about the past, unless asked for otherwise.
const PAST_DEFAULT: usize = 500;
/// Most trades of an answer about the past.
const PAST_MAX: usize = 1_000;

/// Which of the four markets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Spot,
    UsdMargined,
    CoinMargined,
}

/// One of the four markets.
#[derive(Debug)]
pub(super) struct Binance {
    venue: &'static str,
    kind: Kind,
    rest: &'static str,
}

pub(super) static SPOT: Binance =
    Binance { venue: "binance", kind: Kind::Spot, rest: "/api/v3/historicalTrades" };
pub(super) static US: Binance = Binance { venue: "binance-us", kind: Kind::Spot, rest: "/api/v3/trades" };
pub(super) static USDM: Binance =
    Binance { venue: "binance-usdm", kind: Kind::UsdMargined, rest: "/fapi/v1/trades" };
pub(super) static COINM: Binance =
    Binance { venue: "binance-coinm", kind: Kind::CoinMargined, rest: "/dapi/v1/trades" };

impl Protocol for Binance {
    fn venue(&self) -> &'static str {
        self.venue
    }

    fn native(&self, instrument: &Instrument) -> String {
        match self.kind {
            Kind::CoinMargined => format!("{}USD_PERP", base(instrument)),
            Kind::Spot | Kind::UsdMargined => instrument.native.clone(),
        }
    }

    fn ping_seconds(&self) -> Option<u64> {
        Some(if self.kind == Kind::Spot { 20 } else { 180 })
    }

    fn messages_per_second(&self) -> u32 {
        if self.kind == Kind::Spot { 5 } else { 10 }
    }

    fn open(&self, path: &str, query: &str) -> Option<Box<dyn Conversation>> {
        let routed = path.strip_prefix("/public");
        if routed.is_some() && self.kind != Kind::UsdMargined {
            return None;
        }
        let door = routed.unwrap_or(path).strip_prefix('/')?;
        let (door, rest) = door.split_once('/').unwrap_or((door, ""));
        let combined = match door {
            "stream" if rest.is_empty() => true,
            "ws" => false,
            _ => return None,
        };
        // Since 2026 the futures' paths without a route acknowledge everything and send nothing.
        let mute = self.kind == Kind::UsdMargined && routed.is_none();
        let named = if combined { Query(query).get("streams").unwrap_or_default() } else { rest };
        let names = named.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let kind = self.kind;
        Some(Box::new(Connection { kind, combined, mute, names }))
    }

    fn answer(&self, path: &str, query: &Query<'_>, view: &View<'_>) -> Answer {
        if path != self.rest {
            return refusal(404, -1000, "Not found.");
        }
        let Some(native) = query.get("symbol") else {
            return refusal(
                400,
                -1102,
                "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.",
            );
        };
        let Some(symbol) = view.listing().number(native) else {
            return refusal(400, -1121, "Invalid symbol.");
        };
        let (Ok(limit), Ok(first)) = (query.number("limit"), query.number("fromId")) else {
            return refusal(400, -1100, "Illegal characters found in a parameter.");
        };
        let limit = limit.map_or(PAST_DEFAULT, |limit| usize::try_from(limit).unwrap_or(PAST_MAX));
        let trades = view.trades(symbol, first, limit.clamp(1, PAST_MAX));
        let instrument = view.listing().of(symbol).1;
        let rows: Vec<Value> = trades.iter().filter_map(|event| self.past_trade(event, instrument)).collect();
        Answer { trades, ..Answer::new(200, Value::Array(rows).to_string()) }
    }
}

impl Binance {
    fn past_trade(&self, event: &MarketEvent, instrument: &Instrument) -> Option<Value> {
        let Change::Trade { id, price, size, buyer_is_maker } = event.change else { return None };
        let mut row = json!({
            "id": id,
            "price": decimal(self.kind, price, instrument.price_scale),
            "qty": decimal(self.kind, size, instrument.size_scale),
            "time": event.exchange_ts / 1_000_000,
            "isBuyerMaker": buyer_is_maker,
        });
        if self.kind == Kind::Spot {
            row["isBestMatch"] = json!(true);
        }
        Some(row)
    }
}

fn refusal(status: u16, code: i32, message: &str) -> Answer {
    Answer::new(status, json!({ "code": code, "msg": message }).to_string())
}

/// Digits behind the point on the wire.
fn digits(kind: Kind, scale: u8) -> u8 {
    if kind == Kind::Spot { SPOT_DIGITS.max(scale) } else { scale }
}

fn decimal(kind: Kind, mantissa: i64, scale: u8) -> String {
    padded(mantissa, scale, digits(kind, scale))
}

/// One client.
struct Connection {
    kind: Kind,
    combined: bool,
    mute: bool,
    /// Streams named in the address, subscribed before anything else is done.
    names: Vec<String>,
}

impl Conversation for Connection {
    fn on_open(&mut self, view: &View<'_>, streams: &mut Streams, _out: &mut Vec<Reply>) {
        streams.mute = self.mute;
        for name in std::mem::take(&mut self.names) {
            // The venue passes over names in an address that it does not know.
            if let Some((symbol, channel)) = stream(&name, view.listing()) {
                streams.add(symbol, channel, view);
            }
        }
    }

    fn on_text(&mut self, text: &str, view: &View<'_>, streams: &mut Streams, out: &mut Vec<Reply>) {
        let Ok(request) = serde_json::from_str::<Value>(text) else {
            out.push(error(Value::Null, "Invalid JSON: expected value"));
            return;
        };
        let id = request.get("id").cloned().unwrap_or(Value::Null);
        let params = request.get("params").and_then(Value::as_array).cloned().unwrap_or_default();
        let asked: Option<Vec<(u32, Channel)>> =
            params.iter().map(|name| stream(name.as_str()?, view.listing())).collect();
        match (request.get("method").and_then(Value::as_str), asked) {
            (Some("LIST_SUBSCRIPTIONS"), _) => {
                let names: Vec<String> = streams.iter().map(|stream| name(stream, view.listing())).collect();
                out.push(Reply::Text(json!({ "result": names, "id": id }).to_string()));
            }
            (Some("SUBSCRIBE" | "UNSUBSCRIBE"), None) => {
                out.push(error(id, "Invalid request: unknown stream"));
            }
            (Some("SUBSCRIBE"), Some(asked)) => {
                for (symbol, channel) in asked {
                    streams.add(symbol, channel, view);
                }
                if streams.len() > STREAMS_MAX {
                    out.push(Reply::Close(1008, "Too many streams"));
                    return;
                }
                out.push(Reply::Text(json!({ "result": null, "id": id }).to_string()));
            }
            (Some("UNSUBSCRIBE"), Some(asked)) => {
                for (symbol, channel) in asked {
                    streams.remove(symbol, channel);
                }
                out.push(Reply::Text(json!({ "result": null, "id": id }).to_string()));
            }
            (_, _) => out.push(error(id, "Invalid request: unknown method")),
        }
    }

    fn frame(&mut self, events: &[MarketEvent], listing: &Listing, out: &mut Vec<u8>) {
        for event in events {
            let channel = channel_of(event);
            if self.combined {
                out.extend_from_slice(b"{\"stream\":\"");
                out.extend_from_slice(name((event.symbol, channel), listing).as_bytes());
                out.extend_from_slice(b"\",\"data\":");
            }
            let (native, instrument) = listing.of(event.symbol);
            match channel {
                Channel::Trades => self.put_trade(out, event, native, instrument),
                Channel::Quotes => self.put_quote(out, event, native, instrument),
            }
            if self.combined {
                out.push(b'}');
            }
        }
    }

    fn shutdown(&mut self, now: Nanos) -> Option<String> {
        let event = json!({ "e": "serverShutdown", "E": now / 1_000_000 });
        let shown = if self.combined { json!({ "stream": "", "data": event }) } else { event };
        Some(shown.to_string())
    }
}

impl Connection {
    fn put_trade(&self, out: &mut Vec<u8>, event: &MarketEvent, native: &str, instrument: &Instrument) {
        let Change::Trade { id, price, size, buyer_is_maker } = event.change else { return };
        let millis = (event.exchange_ts / 1_000_000).unsigned_abs();
        out.extend_from_slice(b"{\"e\":\"trade\",\"E\":");
        // Sent in the millisecond of the trade or the next.
        put_integer(out, millis + (id & 1));
        if self.kind != Kind::Spot {
            put_number(out, "T", millis);
        }
        put_text(out, "s", native);
        put_number(out, "t", id);
        self.put_decimal(out, "p", price, instrument.price_scale);
        self.put_decimal(out, "q", size, instrument.size_scale);
        match self.kind {
            Kind::Spot => put_number(out, "T", millis),
            Kind::UsdMargined | Kind::CoinMargined => put_text(out, "X", "MARKET"),
        }
        let maker: &[u8] = if buyer_is_maker { b",\"m\":true" } else { b",\"m\":false" };
        out.extend_from_slice(maker);
        out.extend_from_slice(if self.kind == Kind::Spot { b",\"M\":true}" } else { b"}" });
    }

    fn put_quote(&self, out: &mut Vec<u8>, event: &MarketEvent, native: &str, instrument: &Instrument) {
        let Change::Quote { id, bid, bid_size, ask, ask_size } = event.change else { return };
        let timed = self.kind != Kind::Spot;
        out.extend_from_slice(if timed { b"{\"e\":\"bookTicker\",\"u\":" } else { b"{\"u\":" });
        put_integer(out, id);
        put_text(out, "s", native);
        if self.kind == Kind::CoinMargined {
            put_text(out, "ps", native.split('_').next().unwrap_or(native));
        }
        self.put_decimal(out, "b", bid, instrument.price_scale);
        self.put_decimal(out, "B", bid_size, instrument.size_scale);
        self.put_decimal(out, "a", ask, instrument.price_scale);
        self.put_decimal(out, "A", ask_size, instrument.size_scale);
        if timed {
            let millis = (event.exchange_ts / 1_000_000).unsigned_abs();
            put_number(out, "T", millis);
            put_number(out, "E", millis + (id & 1));
        }
        out.push(b'}');
    }

    fn put_decimal(&self, out: &mut Vec<u8>, key: &str, mantissa: i64, scale: u8) {
        put_key(out, key);
        out.push(b'"');
        put_padded(out, mantissa, scale, digits(self.kind, scale));
        out.push(b'"');
    }
}

/// The stream of this name; `None` if there is no such symbol or kind.
fn stream(name: &str, listing: &Listing) -> Option<(u32, Channel)> {
    let (symbol, kind) = name.split_once('@')?;
    let channel = match kind {
        "trade" => Channel::Trades,
        "bookTicker" => Channel::Quotes,
        _ => return None,
    };
    if symbol.contains(|c: char| c.is_ascii_uppercase()) {
        return None;
    }
    Some((listing.number(&symbol.to_ascii_uppercase())?, channel))
}

fn put_key(out: &mut Vec<u8>, key: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
}

fn put_number(out: &mut Vec<u8>, key: &str, value: u64) {
    put_key(out, key);
    put_integer(out, value);
}

fn put_text(out: &mut Vec<u8>, key: &str, value: &str) {
    put_key(out, key);
    out.push(b'"');
    out.extend_from_slice(value.as_bytes());
    out.push(b'"');
}

/// The name of a stream, such as `btcusdt@trade`.
fn name((symbol, channel): (u32, Channel), listing: &Listing) -> String {
    let mut name = listing.natives[symbol as usize].to_ascii_lowercase();
    let kind = match channel {
        Channel::Trades => "trade",
        Channel::Quotes => "bookTicker",
    };
    // Writing to a string does not fail.
    let _ = write!(name, "@{kind}");
    name
}

fn error(id: Value, message: &str) -> Reply {
    Reply::Text(json!({ "error": { "code": 2, "msg": message }, "id": id }).to_string())
}
