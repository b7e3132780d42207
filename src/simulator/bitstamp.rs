//! Bitstamp: `live_trades`, the best prices as an `order_book` of one level a side, and its own wish to be left and met
//! again.

use feeds::live::Channel;
use feeds::time::Nanos;
use serde_json::{Value, json};

use super::market::View;
use super::protocol::{Answer, Conversation, Listing, Protocol, Query, Reply, Streams, base};
use super::wire::{fixed, micros, padded, seconds};
use crate::market::{Change, Instrument, MarketEvent};

/// Digits behind the point of an amount.
const AMOUNT_DIGITS: u8 = 8;

#[derive(Debug)]
pub(super) struct Bitstamp;

pub(super) static SPOT: Bitstamp = Bitstamp;

impl Protocol for Bitstamp {
    fn venue(&self) -> &'static str {
        "bitstamp"
    }

    fn native(&self, instrument: &Instrument) -> String {
        format!("{}usd", base(instrument).to_ascii_lowercase())
    }

    fn open(&self, path: &str, _query: &str) -> Option<Box<dyn Conversation>> {
        ["", "/"].contains(&path).then(|| Box::new(Connection) as Box<dyn Conversation>)
    }

    /// Its past goes by the day or the minute, not by id: there is nothing that closes a gap.
    fn answer(&self, _path: &str, _query: &Query<'_>, _view: &View<'_>) -> Answer {
        Answer::new(404, json!({ "status": "error", "reason": "Not found", "code": "API0404" }).to_string())
    }
}

/// One client.
struct Connection;

impl Conversation for Connection {
    fn on_text(&mut self, text: &str, view: &View<'_>, streams: &mut Streams, out: &mut Vec<Reply>) {
        let Ok(request) = serde_json::from_str::<Value>(text) else {
            return out.push(say("bts:error", "", error("Incorrect JSON format.")));
        };
        let name = request["data"]["channel"].as_str().unwrap_or_default();
        let (subscribes, said) = match request["event"].as_str() {
            Some("bts:heartbeat") => {
                return out.push(say("bts:heartbeat", "", json!({ "status": "success" })));
            }
            Some("bts:subscribe") => (true, "bts:subscription_succeeded"),
            Some("bts:unsubscribe") => (false, "bts:unsubscription_succeeded"),
            _ => return out.push(say("bts:error", name, error("Bad subscription string."))),
        };
        let Some((symbol, channel)) = stream(name, view.listing()) else {
            return out.push(say("bts:error", name, error("Bad subscription string.")));
        };
        if subscribes {
            streams.add(symbol, channel, view);
        } else {
            streams.remove(symbol, channel);
        }
        out.push(say(said, name, json!({})));
    }

    fn frame(&mut self, events: &[MarketEvent], listing: &Listing, out: &mut Vec<u8>) {
        for event in events {
            out.extend_from_slice(frame(event, listing).as_bytes());
        }
    }

    fn shutdown(&mut self, _now: Nanos) -> Option<String> {
        Some(json!({ "event": "bts:request_reconnect", "channel": "", "data": "" }).to_string())
    }
}

/// The stream of a channel's name.
fn stream(name: &str, listing: &Listing) -> Option<(u32, Channel)> {
    let (kind, native) = name.rsplit_once('_')?;
    let channel = match kind {
        "live_trades" => Channel::Trades,
        "order_book" => Channel::Quotes,
        _ => return None,
    };
    Some((listing.number(native)?, channel))
}

fn say(event: &str, channel: &str, data: Value) -> Reply {
    Reply::Text(json!({ "event": event, "channel": channel, "data": data }).to_string())
}

fn error(why: &str) -> Value {
    json!({ "code": null, "message": why })
}

fn frame(event: &MarketEvent, listing: &Listing) -> String {
    let (native, instrument) = listing.of(event.symbol);
    let price = |mantissa| fixed(mantissa, instrument.price_scale);
    let amount = |mantissa| padded(mantissa, instrument.size_scale, AMOUNT_DIGITS);
    let time = format!(
        r#""timestamp":"{}","microtimestamp":"{}""#,
        seconds(event.exchange_ts),
        micros(event.exchange_ts)
    );
    match event.change {
        Change::Trade { id, price: at, size, buyer_is_maker } => {
            let (at, size, side) = (price(at), amount(size), u8::from(buyer_is_maker));
            format!(
                r#"{{"data":{{"id":{id},{time},"amount":{size},"amount_str":"{size}","price":{at},"price_str":"{at}","type":{side},"buy_order_id":{id},"sell_order_id":{id}}},"channel":"live_trades_{native}","event":"trade"}}"#
            )
        }
        Change::Quote { bid, bid_size, ask, ask_size, .. } => format!(
            r#"{{"data":{{{time},"bids":[["{}","{}"]],"asks":[["{}","{}"]]}},"channel":"order_book_{native}","event":"data"}}"#,
            price(bid),
            amount(bid_size),
            price(ask),
            amount(ask_size)
        ),
    }
}
