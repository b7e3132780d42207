//! Bybit's spot, linear and inverse markets (v5): `publicTrade`, and `orderbook.1` as a book of one level.
//!
//! Spot sends each best price whole, as the venue does by now. The contracts send what changed, as it did before 2024 and
//! as its documentation still has it.

use std::collections::BTreeMap;

use feeds::live::Channel;
use serde_json::{Value, json};

use super::market::View;
use super::protocol::{Answer, Conversation, Listing, Protocol, Query, Reply, Streams, base};
use super::wire::{fixed, millis, uuid};
use crate::market::{Change, Instrument, MarketEvent};

/// Letters that the arguments of one request may have.
const ARGS_LETTERS: usize = 21_000;
/// Streams that a request to the spot market may name.
const SPOT_ARGS: usize = 10;
/// Trades of one frame.
const TRADES_MAX: usize = 64;
/// Requests that are taken in a second: more than any client needs.
const REQUESTS: u32 = 500;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Spot,
    Linear,
    Inverse,
}

/// One of the three markets.
#[derive(Debug)]
pub(super) struct Bybit {
    venue: &'static str,
    path: &'static str,
    kind: Kind,
}

pub(super) static SPOT: Bybit = Bybit { venue: "bybit-spot", path: "/v5/public/spot", kind: Kind::Spot };
pub(super) static LINEAR: Bybit =
    Bybit { venue: "bybit-linear", path: "/v5/public/linear", kind: Kind::Linear };
pub(super) static INVERSE: Bybit =
    Bybit { venue: "bybit-inverse", path: "/v5/public/inverse", kind: Kind::Inverse };

impl Protocol for Bybit {
    fn venue(&self) -> &'static str {
        self.venue
    }

    fn native(&self, instrument: &Instrument) -> String {
        match self.kind {
            Kind::Spot | Kind::Linear => instrument.native.clone(),
            Kind::Inverse => format!("{}USD", base(instrument)),
        }
    }

    fn messages_per_second(&self) -> u32 {
        REQUESTS
    }

    fn trades_per_frame(&self) -> usize {
        TRADES_MAX
    }

    fn open(&self, path: &str, _query: &str) -> Option<Box<dyn Conversation>> {
        let connection = Connection { kind: self.kind, id: String::new(), books: BTreeMap::new() };
        (path == self.path).then(|| Box::new(connection) as Box<dyn Conversation>)
    }

    /// Only the newest trades can be asked for, not by id: there is nothing that closes a gap.
    fn answer(&self, _path: &str, _query: &Query<'_>, _view: &View<'_>) -> Answer {
        Answer::new(404, json!({ "retCode": 404, "retMsg": "not found" }).to_string())
    }
}

/// Price and size as written.
type Level = (String, String);

/// What a client has of one book.
#[derive(Clone, Default)]
struct Book {
    update: u64,
    bid: Level,
    ask: Level,
}

/// One client.
struct Connection {
    kind: Kind,
    id: String,
    books: BTreeMap<u32, Book>,
}

impl Conversation for Connection {
    fn on_open(&mut self, view: &View<'_>, _streams: &mut Streams, _out: &mut Vec<Reply>) {
        self.id = uuid(view.now().unsigned_abs());
    }

    fn on_text(&mut self, text: &str, view: &View<'_>, streams: &mut Streams, out: &mut Vec<Reply>) {
        let request: Value = serde_json::from_str(text).unwrap_or(Value::Null);
        let op = request["op"].as_str().unwrap_or_default();
        let answer = |success: bool, why: &str| {
            let mut answer = json!({ "success": success, "ret_msg": why, "conn_id": self.id, "op": op });
            if let Some(id) = request.get("req_id") {
                answer["req_id"] = id.clone();
            }
            Reply::Text(answer.to_string())
        };
        if op == "ping" {
            return out.push(answer(true, "pong"));
        }
        let names: Vec<&str> =
            request["args"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if !["subscribe", "unsubscribe"].contains(&op) {
            return out.push(answer(false, &format!("unknown op {op}")));
        }
        if self.kind == Kind::Spot && names.len() > SPOT_ARGS {
            return out.push(answer(false, "args size >10"));
        }
        if names.iter().map(|name| name.len()).sum::<usize>() > ARGS_LETTERS {
            return out.push(answer(false, "args too long"));
        }
        let known = names.iter().map(|name| stream(name, view.listing()).ok_or(*name));
        let known: Vec<(u32, Channel)> = match known.collect::<Result<_, &str>>() {
            Ok(known) => known,
            Err(name) => return out.push(answer(false, &format!("error:handler not found,topic:{name}"))),
        };
        out.push(answer(true, if op == "subscribe" { "subscribe" } else { "" }));
        for (symbol, channel) in known {
            if op == "unsubscribe" {
                streams.remove(symbol, channel);
            } else if streams.add(symbol, channel, view) && channel == Channel::Quotes {
                self.books.remove(&symbol);
                let told = view.quote(symbol).map(|event| Reply::Told {
                    text: self.quote(&event, view.listing()),
                    events: vec![event],
                    past: false,
                });
                out.extend(told);
            }
        }
    }

    fn frame(&mut self, events: &[MarketEvent], listing: &Listing, out: &mut Vec<u8>) {
        let Some(first) = events.first() else { return };
        let text = match first.change {
            Change::Trade { .. } => self.trades(events, first, listing),
            Change::Quote { .. } => self.quote(first, listing),
        };
        out.extend_from_slice(text.as_bytes());
    }
}

/// The stream of a topic's name.
fn stream(topic: &str, listing: &Listing) -> Option<(u32, Channel)> {
    let named = |prefix: &str, channel| Some((listing.number(topic.strip_prefix(prefix)?)?, channel));
    named("publicTrade.", Channel::Trades).or_else(|| named("orderbook.1.", Channel::Quotes))
}

impl Connection {
    fn trades(&self, events: &[MarketEvent], first: &MarketEvent, listing: &Listing) -> String {
        let (native, instrument) = listing.of(first.symbol);
        let rows = events.iter().filter_map(|event| {
            let Change::Trade { id, price, size, buyer_is_maker } = event.change else { return None };
            let side = if buyer_is_maker { "Sell" } else { "Buy" };
            let tick = if buyer_is_maker { "MinusTick" } else { "PlusTick" };
            let (tick, id) = match self.kind {
                Kind::Spot => (String::new(), id.to_string()),
                Kind::Linear | Kind::Inverse => (format!(r#""L":"{tick}","#), uuid(id)),
            };
            Some(format!(
                r#"{{"T":{},"s":"{native}","S":"{side}","v":"{}","p":"{}",{tick}"i":"{id}","BT":false}}"#,
                millis(event.exchange_ts),
                fixed(size, instrument.size_scale),
                fixed(price, instrument.price_scale),
            ))
        });
        let rows: Vec<String> = rows.collect();
        format!(
            r#"{{"topic":"publicTrade.{native}","type":"snapshot","ts":{},"data":[{}]}}"#,
            millis(first.exchange_ts) + 1,
            rows.join(",")
        )
    }

    fn quote(&mut self, event: &MarketEvent, listing: &Listing) -> String {
        let Change::Quote { id, bid, bid_size, ask, ask_size } = event.change else { return String::new() };
        let (native, instrument) = listing.of(event.symbol);
        let level = |price, size| -> Level {
            (fixed(price, instrument.price_scale), fixed(size, instrument.size_scale))
        };
        let before = self.books.get(&event.symbol);
        let update = before.map_or(event.change.id(), |book| book.update + 1);
        let book = Book { update, bid: level(bid, bid_size), ask: level(ask, ask_size) };
        let before = before.filter(|_| self.kind != Kind::Spot);
        let rows = |side: fn(&Book) -> &Level| rows(before.map(side), side(&book));
        let (bids, asks) = (rows(|book| &book.bid), rows(|book| &book.ask));
        let time = millis(event.exchange_ts);
        let text = format!(
            r#"{{"topic":"orderbook.1.{native}","type":"{}","ts":{},"data":{{"s":"{native}","b":[{bids}],"a":[{asks}],"u":{update},"seq":{id}}},"cts":{time}}}"#,
            if before.is_some() { "delta" } else { "snapshot" },
            time + 1,
        );
        self.books.insert(event.symbol, book);
        text
    }
}

/// The rows of one side: all of it, or what changed since `before`, with a level that went as a row of size zero.
fn rows(before: Option<&Level>, now: &Level) -> String {
    let row = |price: &str, size: &str| format!(r#"["{price}","{size}"]"#);
    match before {
        Some(before) if before == now => String::new(),
        Some((price, _)) if *price != now.0 => format!("{},{}", row(price, "0"), row(&now.0, &now.1)),
        _ => row(&now.0, &now.1),
    }
}
