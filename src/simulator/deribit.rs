//! Deribit: JSON-RPC over a socket, heartbeats that must be answered, and trades of the past by their numbers.

use std::collections::BTreeSet;

use feeds::live::Channel;
use serde_json::{Value, json};

use super::market::View;
use super::protocol::{Answer, Conversation, Listing, Protocol, Query, Reply, Streams, base};
use super::wire::{fixed, micros, millis};
use crate::market::{Change, Instrument, MarketEvent};

/// The shortest time between heartbeats that can be asked for, in seconds.
const HEARTBEAT_MIN: u64 = 10;
/// Trades of an answer about the past, unless asked for otherwise.
const PAST_DEFAULT: usize = 10;
/// Most trades of an answer about the past.
const PAST_MAX: usize = 1_000;
/// Trades of one frame.
const TRADES_MAX: usize = 64;
/// Requests that are taken at once; then it says so.
const REQUESTS: u32 = 20;
/// Bases whose contracts are in themselves; the others' are in dollars.
const IN_THEMSELVES: [&str; 2] = ["BTC", "ETH"];

#[derive(Debug)]
pub(super) struct Deribit;

pub(super) static PUBLIC: Deribit = Deribit;

impl Protocol for Deribit {
    fn venue(&self) -> &'static str {
        "deribit"
    }

    fn native(&self, instrument: &Instrument) -> String {
        let base = base(instrument);
        let margin = if IN_THEMSELVES.contains(&base) { "" } else { "_USDC" };
        format!("{base}{margin}-PERPETUAL")
    }

    fn messages_per_second(&self) -> u32 {
        REQUESTS
    }

    fn too_many(&self) -> Reply {
        let error = json!({ "code": 10_028, "message": "too_many_requests" });
        Reply::Text(json!({ "jsonrpc": "2.0", "error": error }).to_string())
    }

    fn trades_per_frame(&self) -> usize {
        TRADES_MAX
    }

    fn open(&self, path: &str, _query: &str) -> Option<Box<dyn Conversation>> {
        (path == "/ws/api/v2").then(|| Box::new(Connection::default()) as Box<dyn Conversation>)
    }

    fn answer(&self, path: &str, query: &Query<'_>, view: &View<'_>) -> Answer {
        let refuse = |status, code: i32, message: &str| {
            let error = json!({ "code": code, "message": message });
            Answer::new(status, json!({ "jsonrpc": "2.0", "error": error }).to_string())
        };
        if path != "/api/v2/public/get_last_trades_by_instrument" {
            return refuse(404, -32_601, "Method not found");
        }
        let symbol = query.get("instrument_name").and_then(|name| view.listing().number(name));
        let numbers = (query.number("start_seq"), query.number("end_seq"), query.number("count"));
        let (Some(symbol), (Ok(start), Ok(end), Ok(count))) = (symbol, numbers) else {
            return refuse(400, -32_602, "Invalid params");
        };
        let count = count.and_then(|count| usize::try_from(count).ok()).unwrap_or(PAST_DEFAULT);
        let count = count.clamp(1, PAST_MAX);
        let ascending = query.get("sorting") == Some("asc");
        // One more than asked for shows whether there are more.
        let mut trades = match (start, ascending) {
            (Some(start), true) => view.trades(symbol, Some(start), count + 1),
            _ => view.trades_below(symbol, end.map(|end| end.saturating_add(1)), count + 1),
        };
        trades.retain(|event| {
            let id = event.change.id();
            start.is_none_or(|start| id >= start) && end.is_none_or(|end| id <= end)
        });
        if !ascending {
            trades.reverse();
        }
        let more = trades.len() > count;
        trades.truncate(count);
        let rows: Vec<String> = trades.iter().filter_map(|event| trade(event, view.listing())).collect();
        let body = format!(
            r#"{{"jsonrpc":"2.0","result":{{"trades":[{}],"has_more":{more}}},"usIn":{now},"usOut":{now},"usDiff":0,"testnet":false}}"#,
            rows.join(","),
            now = micros(view.now())
        );
        Answer { trades, ..Answer::new(200, body) }
    }
}

/// How the client is asked for signs of life.
#[derive(Clone, Copy)]
struct Heartbeat {
    seconds: u64,
    /// Seconds since the last.
    since: u64,
    /// The last was not answered yet.
    unanswered: bool,
}

/// One client.
#[derive(Default)]
struct Connection {
    heartbeat: Option<Heartbeat>,
    /// Symbols whose trades were asked for as they come, and not each tenth of a second.
    raw: BTreeSet<u32>,
}

impl Conversation for Connection {
    fn on_text(&mut self, text: &str, view: &View<'_>, streams: &mut Streams, out: &mut Vec<Reply>) {
        let Ok(request) = serde_json::from_str::<Value>(text) else {
            return out.push(answer(view, &Value::Null, error(-32_700, "Parse error", Value::Null)));
        };
        let params = &request["params"];
        let id = &request["id"];
        let said = match request["method"].as_str() {
            Some("public/test") => {
                if let Some(heartbeat) = &mut self.heartbeat {
                    heartbeat.unanswered = false;
                }
                Ok(json!({ "version": "1.2.26" }))
            }
            Some("public/set_heartbeat") => match params["interval"].as_u64() {
                Some(seconds) if seconds >= HEARTBEAT_MIN => {
                    self.heartbeat = Some(Heartbeat { seconds, since: 0, unanswered: false });
                    Ok(json!("ok"))
                }
                _ => Err(json!({ "param": "interval", "reason": "must be an integer of at least 10" })),
            },
            Some("public/disable_heartbeat") => {
                self.heartbeat = None;
                Ok(json!("ok"))
            }
            Some("public/unsubscribe_all") => {
                streams.clear();
                Ok(json!("ok"))
            }
            Some("public/subscribe") => {
                let (names, first) = self.subscribe(params, view, streams);
                out.push(answer(view, id, json!({ "result": names })));
                out.extend(first);
                return;
            }
            Some("public/unsubscribe") => Ok(json!(self.unsubscribe(params, view, streams))),
            _ => return out.push(answer(view, id, error(-32_601, "Method not found", Value::Null))),
        };
        out.push(match said {
            Ok(result) => answer(view, id, json!({ "result": result })),
            Err(data) => answer(view, id, error(-32_602, "Invalid params", data)),
        });
    }

    fn on_second(&mut self, _view: &View<'_>, _streams: &Streams, out: &mut Vec<Reply>) {
        let Some(heartbeat) = &mut self.heartbeat else { return };
        heartbeat.since += 1;
        if heartbeat.since < heartbeat.seconds {
            return;
        }
        if heartbeat.unanswered {
            return out.push(Reply::Close(1000, "no answer to test_request"));
        }
        (heartbeat.since, heartbeat.unanswered) = (0, true);
        for kind in ["heartbeat", "test_request"] {
            let notice = json!({ "jsonrpc": "2.0", "method": "heartbeat", "params": { "type": kind } });
            out.push(Reply::Text(notice.to_string()));
        }
    }

    fn frame(&mut self, events: &[MarketEvent], listing: &Listing, out: &mut Vec<u8>) {
        let Some(first) = events.first() else { return };
        let native = listing.of(first.symbol).0;
        let rows: Vec<String> = events.iter().filter_map(|event| trade(event, listing)).collect();
        let (channel, data) = if rows.is_empty() {
            (format!("quote.{native}"), quote(first, listing))
        } else {
            let interval = if self.raw.contains(&first.symbol) { "raw" } else { "100ms" };
            (format!("trades.{native}.{interval}"), format!("[{}]", rows.join(",")))
        };
        out.extend_from_slice(notice(&channel, &data).as_bytes());
    }
}

impl Connection {
    /// The channels of them that there are, and what is sent first.
    fn subscribe(
        &mut self,
        params: &Value,
        view: &View<'_>,
        streams: &mut Streams,
    ) -> (Vec<String>, Vec<Reply>) {
        let (mut taken, mut first) = (Vec::new(), Vec::new());
        for (name, symbol, channel, raw) in named(params, view.listing()) {
            if raw {
                self.raw.insert(symbol);
            }
            // A quote that stands is told at once, trades are not.
            if streams.add(symbol, channel, view)
                && channel == Channel::Quotes
                && let Some(event) = view.quote(symbol)
            {
                let text = notice(&name, &quote(&event, view.listing()));
                first.push(Reply::Told { text, events: vec![event], past: false });
            }
            taken.push(name);
        }
        (taken, first)
    }

    fn unsubscribe(&mut self, params: &Value, view: &View<'_>, streams: &mut Streams) -> Vec<String> {
        let mut gone = Vec::new();
        for (name, symbol, channel, raw) in named(params, view.listing()) {
            streams.remove(symbol, channel);
            if raw {
                self.raw.remove(&symbol);
            }
            gone.push(name);
        }
        gone
    }
}

/// The channels of `params` that there are: name, symbol, kind, and whether as they come.
fn named(params: &Value, listing: &Listing) -> Vec<(String, u32, Channel, bool)> {
    let names = params["channels"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let known = names.filter_map(|name| {
        let (kind, rest) = name.split_once('.')?;
        let (native, channel, raw) = match kind {
            "quote" => (rest, Channel::Quotes, false),
            "trades" => {
                let (native, interval) = rest.rsplit_once('.')?;
                (["raw", "100ms"].contains(&interval)).then_some((
                    native,
                    Channel::Trades,
                    interval == "raw",
                ))?
            }
            _ => return None,
        };
        Some((name.to_owned(), listing.number(native)?, channel, raw))
    });
    known.collect()
}

fn answer(view: &View<'_>, id: &Value, mut members: Value) -> Reply {
    let now = micros(view.now());
    members["jsonrpc"] = json!("2.0");
    if !id.is_null() {
        members["id"] = id.clone();
    }
    (members["usIn"], members["usOut"]) = (json!(now), json!(now));
    (members["usDiff"], members["testnet"]) = (json!(0), json!(false));
    Reply::Text(members.to_string())
}

fn error(code: i32, message: &str, data: Value) -> Value {
    let mut error = json!({ "code": code, "message": message });
    if !data.is_null() {
        error["data"] = data;
    }
    json!({ "error": error })
}

fn notice(channel: &str, data: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"subscription","params":{{"channel":"{channel}","data":{data}}}}}"#)
}

fn trade(event: &MarketEvent, listing: &Listing) -> Option<String> {
    let Change::Trade { id, price, size, buyer_is_maker } = event.change else { return None };
    let (native, instrument) = listing.of(event.symbol);
    let price = fixed(price, instrument.price_scale);
    Some(format!(
        r#"{{"trade_seq":{id},"trade_id":"{id}","timestamp":{},"tick_direction":{},"price":{price},"mark_price":{price},"index_price":{price},"instrument_name":"{native}","direction":"{}","amount":{}}}"#,
        millis(event.exchange_ts),
        if buyer_is_maker { 2 } else { 0 },
        if buyer_is_maker { "sell" } else { "buy" },
        fixed(size, instrument.size_scale)
    ))
}

fn quote(event: &MarketEvent, listing: &Listing) -> String {
    let Change::Quote { bid, bid_size, ask, ask_size, .. } = event.change else { return "null".to_owned() };
    let (native, instrument) = listing.of(event.symbol);
    format!(
        r#"{{"timestamp":{},"instrument_name":"{native}","best_bid_price":{},"best_bid_amount":{},"best_ask_price":{},"best_ask_amount":{}}}"#,
        millis(event.exchange_ts),
        fixed(bid, instrument.price_scale),
        fixed(bid_size, instrument.size_scale),
        fixed(ask, instrument.price_scale),
        fixed(ask_size, instrument.size_scale)
    )
}
