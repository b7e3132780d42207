//! Kraken's spot market, version 2 of its protocol: trades with a snapshot, tickers with each change of the best prices,
//! a heartbeat each second, and trades of the past by time.

use feeds::live::Channel;
use feeds::time::{Nanos, SECOND};
use serde_json::{Value, json};

use super::market::View;
use super::protocol::{Answer, Conversation, Listing, Protocol, Query, Reply, Streams, base};
use super::wire::{fixed, padded, words};
use crate::market::{Change, Instrument, MarketEvent};

/// Trades of a snapshot.
const SNAPSHOT_TRADES: usize = 50;
/// Digits behind the point of a quantity.
const QUANTITY_DIGITS: u8 = 8;
/// Trades of an answer about the past, and the most that can be asked for.
const PAST_MAX: usize = 1_000;
/// Trades of one frame.
const TRADES_MAX: usize = 64;

#[derive(Debug)]
pub(super) struct Kraken;

pub(super) static SPOT: Kraken = Kraken;

impl Protocol for Kraken {
    fn venue(&self) -> &'static str {
        "kraken"
    }

    fn native(&self, instrument: &Instrument) -> String {
        format!("{}/USD", base(instrument))
    }

    fn too_many(&self) -> Reply {
        Reply::Text(json!({ "Error": "Exceeded msg rate" }).to_string())
    }

    fn trades_per_frame(&self) -> usize {
        TRADES_MAX
    }

    fn open(&self, path: &str, _query: &str) -> Option<Box<dyn Conversation>> {
        (path == "/v2").then(|| Box::new(Connection { number: 0 }) as Box<dyn Conversation>)
    }

    /// Trades after a time, the oldest first, under the pair's old name.
    fn answer(&self, path: &str, query: &Query<'_>, view: &View<'_>) -> Answer {
        let refuse = |why: &str| Answer::new(200, json!({ "error": [why] }).to_string());
        if path != "/0/public/Trades" {
            return Answer::new(404, json!({ "error": ["EGeneral:Unknown method"] }).to_string());
        }
        let pair = query.get("pair").unwrap_or_default();
        let natives = view.listing().natives.iter().zip(0..);
        let Some((_, symbol)) = natives.into_iter().find(|(native, _)| old_name(native) == pair) else {
            return refuse("EQuery:Unknown asset pair");
        };
        let (Ok(since), Ok(count)) = (query.number("since"), query.number("count")) else {
            return refuse("EGeneral:Invalid arguments");
        };
        let since = since.map_or(0, |since| Nanos::try_from(since).unwrap_or(Nanos::MAX));
        let count = count.and_then(|count| usize::try_from(count).ok()).unwrap_or(PAST_MAX);
        let trades = view.trades_after(symbol, since, count.clamp(1, PAST_MAX));
        let instrument = view.listing().of(symbol).1;
        let rows: Vec<String> = trades.iter().filter_map(|event| past_trade(event, instrument)).collect();
        let last = trades.last().map_or(since, |event| event.exchange_ts);
        let body = format!(r#"{{"error":[],"result":{{"{pair}":[{}],"last":"{last}"}}}}"#, rows.join(","));
        Answer { trades, ..Answer::new(200, body) }
    }
}

/// The name of a pair where the past is asked for: `XBTUSD` of `BTC/USD`.
fn old_name(native: &str) -> String {
    let old = |name| match name {
        "BTC" => "XBT",
        "DOGE" => "XDG",
        name => name,
    };
    native.split('/').map(old).collect()
}

fn past_trade(event: &MarketEvent, instrument: &Instrument) -> Option<String> {
    let Change::Trade { id, price, size, buyer_is_maker } = event.change else { return None };
    let (whole, rest) = (event.exchange_ts / SECOND, event.exchange_ts % SECOND);
    Some(format!(
        r#"["{}","{}",{whole}.{rest:09},"{}","m","",{id}]"#,
        fixed(price, instrument.price_scale),
        padded(size, instrument.size_scale, QUANTITY_DIGITS),
        if buyer_is_maker { "s" } else { "b" }
    ))
}

/// One client.
struct Connection {
    number: Nanos,
}

impl Connection {
    fn status(&self, system: &str) -> String {
        let row = json!({ "version": "2.0.10", "system": system, "api_version": "v2", "connection_id": self.number });
        json!({ "channel": "status", "type": "update", "data": [row] }).to_string()
    }
}

impl Conversation for Connection {
    fn on_open(&mut self, view: &View<'_>, _streams: &mut Streams, out: &mut Vec<Reply>) {
        self.number = view.now();
        out.push(Reply::Text(self.status("online")));
    }

    fn on_text(&mut self, text: &str, view: &View<'_>, streams: &mut Streams, out: &mut Vec<Reply>) {
        let Ok(request) = serde_json::from_str::<Value>(text) else {
            out.push(Reply::Text(json!({ "error": "Malformed request", "success": false }).to_string()));
            return;
        };
        let asked = Asked { method: request["method"].as_str().unwrap_or_default(), request: &request, view };
        match asked.method {
            "ping" => out.push(asked.answer("pong", json!({}))),
            "subscribe" | "unsubscribe" => asked.streams(streams, out),
            _ => out.push(asked.refuse("Unsupported method", None)),
        }
    }

    fn on_second(&mut self, _view: &View<'_>, streams: &Streams, out: &mut Vec<Reply>) {
        if !streams.is_empty() {
            out.push(Reply::Text(r#"{"channel":"heartbeat"}"#.to_owned()));
        }
    }

    fn frame(&mut self, events: &[MarketEvent], listing: &Listing, out: &mut Vec<u8>) {
        out.extend_from_slice(frame(events, "update", listing).as_bytes());
    }

    fn shutdown(&mut self, _now: Nanos) -> Option<String> {
        Some(self.status("maintenance"))
    }
}

/// A request and what it needs to be answered.
struct Asked<'a> {
    method: &'a str,
    request: &'a Value,
    view: &'a View<'a>,
}

impl Asked<'_> {
    fn streams(&self, streams: &mut Streams, out: &mut Vec<Reply>) {
        let params = &self.request["params"];
        let channel = match params["channel"].as_str() {
            Some("trade") => Channel::Trades,
            Some("ticker") => Channel::Quotes,
            _ => return out.push(self.refuse("Channel not supported", None)),
        };
        let Some(names) = params["symbol"].as_array() else {
            return out.push(self.refuse("Symbol(s) not found", None));
        };
        for name in names {
            let name = name.as_str().unwrap_or_default();
            let Some(symbol) = self.view.listing().number(name) else {
                out.push(self.refuse(&format!("Currency pair not supported {name}"), Some(name)));
                continue;
            };
            let mut result = json!({ "channel": params["channel"], "symbol": name });
            if self.method == "unsubscribe" {
                streams.remove(symbol, channel);
                out.push(self.answer("unsubscribe", json!({ "success": true, "result": result })));
                continue;
            }
            let snapshot = params["snapshot"].as_bool().unwrap_or(true);
            result["snapshot"] = json!(snapshot);
            if channel == Channel::Quotes {
                result["event_trigger"] = json!("bbo");
            }
            out.push(self.answer("subscribe", json!({ "success": true, "result": result })));
            if streams.add(symbol, channel, self.view) && snapshot {
                out.extend(self.snapshot(symbol, channel));
            }
        }
    }

    /// What happened last; nothing if nothing did.
    fn snapshot(&self, symbol: u32, channel: Channel) -> Option<Reply> {
        let events = match channel {
            Channel::Trades => self.view.newest(symbol, SNAPSHOT_TRADES),
            Channel::Quotes => self.view.quote(symbol).into_iter().collect(),
        };
        let text = frame(&events, "snapshot", self.view.listing());
        (!events.is_empty()).then(|| Reply::Told { text, events, past: channel == Channel::Trades })
    }

    fn answer(&self, method: &str, mut members: Value) -> Reply {
        members["method"] = json!(method);
        if let Some(number) = self.request.get("req_id") {
            members["req_id"] = number.clone();
        }
        let now = json!(words(self.view.now()));
        (members["time_in"], members["time_out"]) = (now.clone(), now);
        Reply::Text(members.to_string())
    }

    fn refuse(&self, why: &str, symbol: Option<&str>) -> Reply {
        let mut members = json!({ "error": why, "success": false });
        if let Some(symbol) = symbol {
            members["symbol"] = json!(symbol);
        }
        self.answer(self.method, members)
    }
}

/// Numbers are JSON numbers.
fn frame(events: &[MarketEvent], kind: &str, listing: &Listing) -> String {
    let mut channel = "trade";
    let rows: Vec<String> = events
        .iter()
        .map(|event| {
            let (native, instrument) = listing.of(event.symbol);
            let price = |mantissa| fixed(mantissa, instrument.price_scale);
            let quantity = |mantissa| padded(mantissa, instrument.size_scale, QUANTITY_DIGITS);
            let time = words(event.exchange_ts);
            match event.change {
                Change::Trade { id, price: at, size, buyer_is_maker } => {
                    let side = if buyer_is_maker { "sell" } else { "buy" };
                    format!(
                        r#"{{"symbol":"{native}","side":"{side}","price":{},"qty":{},"ord_type":"market","trade_id":{id},"timestamp":"{time}"}}"#,
                        price(at),
                        quantity(size),
                    )
                }
                Change::Quote { bid, bid_size, ask, ask_size, .. } => {
                    channel = "ticker";
                    let (bid, ask) = (price(bid), price(ask));
                    format!(
                        r#"{{"symbol":"{native}","bid":{bid},"bid_qty":{},"ask":{ask},"ask_qty":{},"last":{bid},"low":{bid},"high":{ask},"timestamp":"{time}"}}"#,
                        quantity(bid_size),
                        quantity(ask_size),
                    )
                }
            }
        })
        .collect();
    format!(r#"{{"channel":"{channel}","type":"{kind}","data":[{}]}}"#, rows.join(","))
}
