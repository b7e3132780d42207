//! Coinbase Exchange as a venue: matches with the last one first, tickers with each change of the best prices,
//! heartbeats that name the newest trade, and past trades.

use std::collections::BTreeSet;

use feeds::live::Channel;
use serde_json::{Value, json};

use super::market::View;
use super::protocol::{Answer, Conversation, Listing, Protocol, Query, Reply, Streams, base};
use super::wire::{fixed, padded, uuid, words};
use crate::market::{Change, Instrument, MarketEvent};

/// Trades of an answer about the past, and the most that can be asked for.
const PAST_MAX: usize = 1_000;
/// Most streams of one connection.
const STREAMS_MAX: usize = 10_000;
/// Digits behind the point of a size.
const SIZE_DIGITS: u8 = 8;
/// A connection that has not subscribed to anything by then is closed.
const SUBSCRIBE_SECONDS: u32 = 5;

#[derive(Debug)]
pub(super) struct Coinbase;

pub(super) static EXCHANGE: Coinbase = Coinbase;

impl Protocol for Coinbase {
    fn venue(&self) -> &'static str {
        "coinbase"
    }

    fn native(&self, instrument: &Instrument) -> String {
        format!("{}-USD", base(instrument))
    }

    fn open(&self, path: &str, _query: &str) -> Option<Box<dyn Conversation>> {
        ["", "/"].contains(&path).then(|| Box::new(Connection::default()) as Box<dyn Conversation>)
    }

    /// Newest first. `after` is the id below which they begin, `before` the one above which they end; the headers have
    /// what the next question to either side needs.
    fn answer(&self, path: &str, query: &Query<'_>, view: &View<'_>) -> Answer {
        let product = path.strip_prefix("/products/").and_then(|rest| rest.strip_suffix("/trades"));
        let Some(symbol) = product.and_then(|product| view.listing().number(product)) else {
            return Answer::new(404, json!({ "message": "NotFound" }).to_string());
        };
        let numbers = (query.number("limit"), query.number("after"), query.number("before"));
        let (Ok(limit), Ok(after), Ok(before)) = numbers else {
            return Answer::new(400, json!({ "message": "Invalid limit, after or before" }).to_string());
        };
        let limit = limit.map_or(PAST_MAX, |limit| usize::try_from(limit).unwrap_or(PAST_MAX));
        let mut trades = view.trades_below(symbol, after, limit.clamp(1, PAST_MAX));
        trades.retain(|event| before.is_none_or(|before| event.change.id() > before));
        trades.reverse();
        let rows: Vec<Value> = trades.iter().filter_map(|event| past_trade(event, view.listing())).collect();
        let cursor = |name, event: Option<&MarketEvent>| Some((name, event?.change.id().to_string()));
        let headers = [cursor("cb-before", trades.first()), cursor("cb-after", trades.last())];
        let headers = headers.into_iter().flatten().collect();
        Answer { status: 200, body: Value::Array(rows).to_string(), headers, trades }
    }
}

fn past_trade(event: &MarketEvent, listing: &Listing) -> Option<Value> {
    let Change::Trade { id, price, size, buyer_is_maker } = event.change else { return None };
    let instrument = listing.of(event.symbol).1;
    Some(json!({
        "trade_id": id,
        "side": maker_side(buyer_is_maker),
        "size": padded(size, instrument.size_scale, SIZE_DIGITS),
        "price": fixed(price, instrument.price_scale),
        "time": words(event.exchange_ts),
    }))
}

fn maker_side(buyer_is_maker: bool) -> &'static str {
    if buyer_is_maker { "buy" } else { "sell" }
}

fn taker_side(buyer_is_maker: bool) -> &'static str {
    if buyer_is_maker { "sell" } else { "buy" }
}

/// One client.
#[derive(Default)]
struct Connection {
    /// Products whose heartbeats are wanted.
    heartbeats: BTreeSet<u32>,
    /// How old it is in seconds, as long as it has not subscribed.
    idle: u32,
    subscribed: bool,
}

impl Conversation for Connection {
    fn on_text(&mut self, text: &str, view: &View<'_>, streams: &mut Streams, out: &mut Vec<Reply>) {
        let request: Value = serde_json::from_str(text).unwrap_or(Value::Null);
        let subscribes = match request["type"].as_str() {
            Some("subscribe") => true,
            Some("unsubscribe") => false,
            _ => return out.push(error("Malformed JSON", "Type has to be either subscribe or unsubscribe")),
        };
        let wanted = match wanted(&request, view.listing()) {
            Ok(wanted) => wanted,
            Err(reason) => return out.push(error("Failed to subscribe", &reason)),
        };
        self.subscribed |= subscribes;
        let mut first = Vec::new();
        for (name, symbol) in wanted {
            let channel = match name {
                Name::Heartbeat if subscribes => {
                    self.heartbeats.insert(symbol);
                    continue;
                }
                Name::Heartbeat => {
                    self.heartbeats.remove(&symbol);
                    continue;
                }
                Name::Matches => Channel::Trades,
                Name::Ticker => Channel::Quotes,
            };
            if !subscribes {
                streams.remove(symbol, channel);
            } else if streams.add(symbol, channel, view) {
                first.extend(newest(symbol, channel, view));
            }
        }
        if streams.len() > STREAMS_MAX {
            return out.push(Reply::Close(1008, "Too many subscriptions"));
        }
        out.push(self.subscriptions(streams, view.listing()));
        out.append(&mut first);
    }

    fn on_second(&mut self, view: &View<'_>, _streams: &Streams, out: &mut Vec<Reply>) {
        if !self.subscribed {
            self.idle += 1;
            if self.idle >= SUBSCRIBE_SECONDS {
                return out.push(Reply::Close(1008, "Nothing was subscribed within 5 seconds"));
            }
        }
        for symbol in &self.heartbeats {
            let Some(newest) = view.newest(*symbol, 1).pop() else { continue };
            let (product, id) = (view.listing().of(*symbol).0, newest.change.id());
            let heartbeat = json!({
                "type": "heartbeat", "sequence": id, "last_trade_id": id, "product_id": product,
                "time": words(view.now()),
            });
            out.push(Reply::Text(heartbeat.to_string()));
        }
    }

    fn frame(&mut self, events: &[MarketEvent], listing: &Listing, out: &mut Vec<u8>) {
        for event in events {
            out.extend_from_slice(frame(event, "match", listing).as_bytes());
        }
    }
}

impl Connection {
    /// All that is subscribed by now.
    fn subscriptions(&self, streams: &Streams, listing: &Listing) -> Reply {
        let native = |symbol: u32| listing.of(symbol).0;
        let of = |channel: Channel| -> Vec<&str> {
            streams.iter().filter(|(_, of)| *of == channel).map(|(symbol, _)| native(symbol)).collect()
        };
        let heartbeats = self.heartbeats.iter().map(|symbol| native(*symbol)).collect();
        let listed =
            [("matches", of(Channel::Trades)), ("ticker", of(Channel::Quotes)), ("heartbeat", heartbeats)];
        let listed = listed.into_iter().filter(|(_, products): &(&str, Vec<&str>)| !products.is_empty());
        let channels: Vec<Value> =
            listed.map(|(name, products)| json!({ "name": name, "product_ids": products })).collect();
        Reply::Text(json!({ "type": "subscriptions", "channels": channels }).to_string())
    }
}

/// A channel of the venue.
#[derive(Clone, Copy)]
enum Name {
    Matches,
    Ticker,
    Heartbeat,
}

/// What a request is about. Channels are objects with products of their own, or names, for which those of the request
/// hold.
fn wanted(request: &Value, listing: &Listing) -> Result<Vec<(Name, u32)>, String> {
    let mut wanted = Vec::new();
    for channel in request["channels"].as_array().into_iter().flatten() {
        let name = channel.as_str().or_else(|| channel["name"].as_str()).unwrap_or_default();
        let name = match name {
            "matches" => Name::Matches,
            "ticker" => Name::Ticker,
            "heartbeat" => Name::Heartbeat,
            _ => return Err(format!("{name} is not a valid channel")),
        };
        let products = channel.get("product_ids").unwrap_or(&request["product_ids"]);
        for product in products.as_array().into_iter().flatten() {
            let product = product.as_str().unwrap_or_default();
            let symbol =
                listing.number(product).ok_or_else(|| format!("{product} is not a valid product"))?;
            wanted.push((name, symbol));
        }
    }
    Ok(wanted)
}

/// What a subscription begins with: the last match, which is past, or the prices as they stand.
fn newest(symbol: u32, channel: Channel, view: &View<'_>) -> Option<Reply> {
    let event = match channel {
        Channel::Trades => view.newest(symbol, 1).pop(),
        Channel::Quotes => view.quote(symbol),
    }?;
    let text = frame(&event, "last_match", view.listing());
    Some(Reply::Told { text, events: vec![event], past: channel == Channel::Trades })
}

/// A trade of this kind, or a ticker.
fn frame(event: &MarketEvent, kind: &str, listing: &Listing) -> String {
    let (product, instrument) = listing.of(event.symbol);
    let price = |mantissa| fixed(mantissa, instrument.price_scale);
    let size = |mantissa| padded(mantissa, instrument.size_scale, SIZE_DIGITS);
    let frame = match event.change {
        Change::Trade { id, price: at, size: of, buyer_is_maker } => json!({
            "type": kind, "trade_id": id, "sequence": id, "product_id": product,
            "maker_order_id": uuid(id), "taker_order_id": uuid(!id),
            "side": maker_side(buyer_is_maker), "price": price(at), "size": size(of),
            "time": words(event.exchange_ts),
        }),
        Change::Quote { id, bid, bid_size, ask, ask_size } => json!({
            "type": "ticker", "sequence": id, "product_id": product, "price": price(bid), "open_24h": price(bid),
            "low_24h": price(bid), "high_24h": price(ask), "side": taker_side(true),
            "best_bid": price(bid), "best_bid_size": size(bid_size),
            "best_ask": price(ask), "best_ask_size": size(ask_size), "time": words(event.exchange_ts),
        }),
    };
    frame.to_string()
}

fn error(message: &str, reason: &str) -> Reply {
    Reply::Text(json!({ "type": "error", "message": message, "reason": reason }).to_string())
}
