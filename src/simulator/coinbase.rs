//! Coinbase Exchange as a venue: matches, tickers with each change of the best prices, and past trades. Heartbeats are
//! not played.

use std::collections::BTreeSet;

use feeds::live::Channel;
use feeds::number::Decimal;
use feeds::time::Nanos;
use serde_json::{Value, json};

use super::market::Past;
use super::protocol::{Answer, Conversation, Listing, Protocol, Query, Reply};
use crate::market::{Change, Instrument, MarketEvent};

/// Trades of an answer about the past, and the most that can be asked for.
const PAST_MAX: usize = 1_000;
/// Most streams of one connection.
const STREAMS_MAX: usize = 10_000;
/// What the quote currency adds to the name of a made-up instrument.
const QUOTE: &str = "USDT";
/// Letters of a time up to its microseconds.
const MICROS_LETTERS: usize = 26;

#[derive(Debug)]
pub(super) struct Coinbase;

pub(super) static EXCHANGE: Coinbase = Coinbase;

impl Protocol for Coinbase {
    fn venue(&self) -> &'static str {
        "coinbase"
    }

    fn native(&self, instrument: &Instrument) -> String {
        let base = instrument.native.strip_suffix(QUOTE).unwrap_or(&instrument.native);
        format!("{base}-USD")
    }

    fn ping_seconds(&self) -> Option<u64> {
        None
    }

    fn messages_per_second(&self) -> u32 {
        100
    }

    fn open(&self, path: &str, _query: &str) -> Option<Box<dyn Conversation>> {
        ["", "/"].contains(&path).then(|| Box::new(Connection::default()) as Box<dyn Conversation>)
    }

    fn answer(&self, path: &str, query: &Query<'_>, past: &Past<'_>) -> Answer {
        let product = path.strip_prefix("/products/").and_then(|rest| rest.strip_suffix("/trades"));
        let Some(symbol) = product.and_then(|product| past.listing().number(product)) else {
            return Answer { status: 404, body: json!({ "message": "NotFound" }).to_string() };
        };
        let number = |key| query.get(key).map(str::parse::<u64>).transpose();
        let (Ok(limit), Ok(after)) = (number("limit"), number("after")) else {
            return Answer { status: 400, body: json!({ "message": "Invalid limit or after" }).to_string() };
        };
        let limit = limit.map_or(PAST_MAX, |limit| usize::try_from(limit).unwrap_or(PAST_MAX));
        let limit = limit.clamp(1, PAST_MAX);
        let first = after.map(|after| after.saturating_sub(limit as u64));
        let instrument = &past.listing().instruments[symbol as usize];
        let trades = past.trades(symbol, first, limit);
        let rows = trades.iter().rev().filter_map(|event| past_trade(event, instrument, after));
        Answer { status: 200, body: Value::Array(rows.collect()).to_string() }
    }
}

/// A trade below `after`.
fn past_trade(event: &MarketEvent, instrument: &Instrument, after: Option<u64>) -> Option<Value> {
    let Change::Trade { id, price, size, buyer_is_maker } = event.change else { return None };
    let row = || {
        json!({
            "trade_id": id,
            "side": maker_side(buyer_is_maker),
            "size": Decimal::new(size, instrument.size_scale).to_string(),
            "price": Decimal::new(price, instrument.price_scale).to_string(),
            "time": time(event.exchange_ts),
        })
    };
    after.is_none_or(|after| id < after).then(row)
}

fn maker_side(buyer_is_maker: bool) -> &'static str {
    if buyer_is_maker { "buy" } else { "sell" }
}

/// With microseconds, as the venue writes it.
fn time(at: Nanos) -> String {
    let mut text = feeds::time::format(at);
    text.truncate(MICROS_LETTERS);
    text.push('Z');
    text
}

/// One client.
#[derive(Default)]
struct Connection {
    streams: BTreeSet<(Channel, u32)>,
}

impl Conversation for Connection {
    fn on_open(&mut self, _listing: &Listing) {}

    fn on_text(&mut self, text: &str, listing: &Listing, _now: Nanos, out: &mut Vec<Reply>) {
        let request: Value = serde_json::from_str(text).unwrap_or(Value::Null);
        let kind = request["type"].as_str().unwrap_or_default();
        if !["subscribe", "unsubscribe"].contains(&kind) {
            out.push(error("Type has to be either subscribe or unsubscribe"));
            return;
        }
        for channel in request["channels"].as_array().map_or(&[][..], Vec::as_slice) {
            let channel_kind = match channel["name"].as_str() {
                Some("matches") => Channel::Trades,
                Some("ticker") => Channel::Quotes,
                // Taken, and listed nowhere.
                _ => continue,
            };
            for product in channel["product_ids"].as_array().map_or(&[][..], Vec::as_slice) {
                let product = product.as_str().unwrap_or_default();
                let Some(symbol) = listing.number(product) else {
                    out.push(error(&format!("{product} is not a valid product")));
                    return;
                };
                if kind == "subscribe" {
                    self.streams.insert((channel_kind, symbol));
                } else {
                    self.streams.remove(&(channel_kind, symbol));
                }
            }
        }
        if self.streams.len() > STREAMS_MAX {
            out.push(Reply::Close(1008, "Too many subscriptions"));
            return;
        }
        let channel = |name: &str, channel: Channel| {
            let symbols = self.streams.iter().filter(|(of, _)| *of == channel);
            let products: Vec<&str> =
                symbols.map(|(_, symbol)| listing.natives[*symbol as usize].as_str()).collect();
            json!({ "name": name, "product_ids": products })
        };
        let channels = [channel("matches", Channel::Trades), channel("ticker", Channel::Quotes)];
        out.push(Reply::Text(json!({ "type": "subscriptions", "channels": channels }).to_string()));
    }

    fn wants(&self, symbol: u32, channel: Channel) -> bool {
        self.streams.contains(&(channel, symbol))
    }

    fn streams(&self) -> usize {
        self.streams.len()
    }

    fn frame(&mut self, event: &MarketEvent, listing: &Listing, out: &mut Vec<u8>) {
        let instrument = &listing.instruments[event.symbol as usize];
        let product = &listing.natives[event.symbol as usize];
        let price = |mantissa| Decimal::new(mantissa, instrument.price_scale).to_string();
        let size = |mantissa| Decimal::new(mantissa, instrument.size_scale).to_string();
        let frame = match event.change {
            Change::Trade { id, price: at, size: of, buyer_is_maker } => json!({
                "type": "match", "trade_id": id, "sequence": id, "product_id": product,
                "side": maker_side(buyer_is_maker), "price": price(at), "size": size(of),
                "time": time(event.exchange_ts),
            }),
            Change::Quote { id, bid, bid_size, ask, ask_size } => json!({
                "type": "ticker", "sequence": id, "product_id": product, "price": price(bid),
                "best_bid": price(bid), "best_bid_size": size(bid_size),
                "best_ask": price(ask), "best_ask_size": size(ask_size), "time": time(event.exchange_ts),
            }),
        };
        out.extend_from_slice(frame.to_string().as_bytes());
    }

    fn shutdown(&mut self, _now: Nanos) -> Option<String> {
        None
    }
}

fn error(reason: &str) -> Reply {
    Reply::Text(json!({ "type": "error", "message": "Failed to subscribe", "reason": reason }).to_string())
}
