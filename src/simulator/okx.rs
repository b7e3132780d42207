//! OKX's public socket: `trades` and `bbo-tbt`, pings as text, an end to whatever is silent, and trades of the past.

use feeds::live::Channel;
use feeds::time::Nanos;
use serde_json::{Value, json};

use super::market::View;
use super::protocol::{Answer, Conversation, Listing, Protocol, Query, Reply, Streams, base};
use super::wire::{fixed, millis, seconds};
use crate::market::{Change, Instrument, MarketEvent};

/// Trades of an answer about the past, and the most that can be asked for.
const PAST_MAX: usize = 100;
/// A connection over which nothing goes for so long is ended.
const SILENT_SECONDS: u32 = 30;
/// Requests that one connection may make in an hour.
const REQUESTS_AN_HOUR: u32 = 480;
const HOUR_SECONDS: Nanos = 3_600;

#[derive(Debug)]
pub(super) struct Okx;

pub(super) static PUBLIC: Okx = Okx;

impl Protocol for Okx {
    fn venue(&self) -> &'static str {
        "okx"
    }

    fn native(&self, instrument: &Instrument) -> String {
        format!("{}-USDT", base(instrument))
    }

    fn open(&self, path: &str, _query: &str) -> Option<Box<dyn Conversation>> {
        (path == "/ws/v5/public").then(|| Box::new(Connection::default()) as Box<dyn Conversation>)
    }

    /// Trades by id, newest first: `after` is the id below which they begin, `before` the one above which they end.
    fn answer(&self, path: &str, query: &Query<'_>, view: &View<'_>) -> Answer {
        if path != "/api/v5/market/history-trades" {
            return Answer::new(404, json!({ "code": "404", "msg": "Not Found", "data": [] }).to_string());
        }
        let refuse = |code: &str, why: &str| {
            Answer::new(200, json!({ "code": code, "msg": why, "data": [] }).to_string())
        };
        let Some(symbol) = query.get("instId").and_then(|name| view.listing().number(name)) else {
            return refuse("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.");
        };
        let numbers = (query.number("after"), query.number("before"), query.number("limit"));
        let (Ok(after), Ok(before), Ok(limit)) = numbers else {
            return refuse("51000", "Parameter after, before or limit error");
        };
        if query.get("type").is_some_and(|kind| kind != "1") {
            return refuse("51000", "Parameter type error");
        }
        let limit =
            limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(PAST_MAX).clamp(1, PAST_MAX);
        let mut trades = view.trades_below(symbol, after, limit);
        trades.retain(|event| before.is_none_or(|before| event.change.id() > before));
        trades.reverse();
        let rows: Vec<String> = trades.iter().map(|event| row(event, view.listing(), false)).collect();
        let body = format!(r#"{{"code":"0","msg":"","data":[{}]}}"#, rows.join(","));
        Answer { trades, ..Answer::new(200, body) }
    }
}

/// One client.
#[derive(Default)]
struct Connection {
    /// Its name.
    id: String,
    /// For how many seconds nothing went over it.
    silent: u32,
    /// The hour that is counted, and the requests in it.
    asked: (Nanos, u32),
}

impl Conversation for Connection {
    fn on_open(&mut self, view: &View<'_>, _streams: &mut Streams, _out: &mut Vec<Reply>) {
        self.id = format!("{:08x}", millis(view.now()) & 0xffff_ffff);
    }

    fn on_text(&mut self, text: &str, view: &View<'_>, streams: &mut Streams, out: &mut Vec<Reply>) {
        self.silent = 0;
        if text == "ping" {
            out.push(Reply::Text("pong".to_owned()));
            return;
        }
        let Ok(request) = serde_json::from_str::<Value>(text) else {
            return out.push(self.error(&Value::Null, "60012", format!("Invalid request: {text}")));
        };
        let hour = seconds(view.now()) / HOUR_SECONDS;
        self.asked = (hour, if self.asked.0 == hour { self.asked.1 + 1 } else { 1 });
        if self.asked.1 > REQUESTS_AN_HOUR {
            return out.push(self.error(&request["id"], "60014", "Requests too frequent".to_owned()));
        }
        let op = request["op"].as_str().unwrap_or_default();
        let args = request["args"].as_array().map_or(&[][..], Vec::as_slice);
        if !["subscribe", "unsubscribe"].contains(&op) || args.is_empty() {
            return out.push(self.error(&request["id"], "60012", format!("Invalid request: {text}")));
        }
        for arg in args {
            self.on_stream(op, arg, &request["id"], (view, streams), out);
        }
    }

    fn on_second(&mut self, _view: &View<'_>, _streams: &Streams, out: &mut Vec<Reply>) {
        self.silent += 1;
        if self.silent >= SILENT_SECONDS {
            out.push(Reply::Close(4004, "No data received in 30s."));
        }
    }

    fn frame(&mut self, events: &[MarketEvent], listing: &Listing, out: &mut Vec<u8>) {
        self.silent = 0;
        for event in events {
            out.extend_from_slice(push(event, listing).as_bytes());
        }
    }

    fn shutdown(&mut self, _now: Nanos) -> Option<String> {
        let why = "The connection will soon be closed for a service upgrade. Please reconnect.";
        Some(json!({ "event": "notice", "code": "64008", "msg": why, "connId": self.id }).to_string())
    }
}

impl Connection {
    fn on_stream(
        &self,
        op: &str,
        arg: &Value,
        id: &Value,
        (view, streams): (&View<'_>, &mut Streams),
        out: &mut Vec<Reply>,
    ) {
        let (channel, native) = (arg["channel"].as_str(), arg["instId"].as_str().unwrap_or_default());
        let known = match channel {
            Some("trades") => Some(Channel::Trades),
            Some("bbo-tbt") => Some(Channel::Quotes),
            _ => None,
        };
        let Some((channel, symbol)) = known.zip(view.listing().number(native)) else {
            let why = format!(
                "Wrong URL or channel:{},instId:{native} doesn't exist. Please use the correct URL, channel and \
                 parameters referring to API document.",
                channel.unwrap_or_default()
            );
            return out.push(self.error(id, "60018", why));
        };
        let mut answer = json!({ "event": op, "arg": arg, "connId": self.id });
        if !id.is_null() {
            answer["id"] = id.clone();
        }
        out.push(Reply::Text(answer.to_string()));
        if op == "unsubscribe" {
            streams.remove(symbol, channel);
        } else if streams.add(symbol, channel, view) {
            // The first push is what there is, however old, and nothing marks it.
            let newest = match channel {
                Channel::Trades => view.newest(symbol, 1).pop(),
                Channel::Quotes => view.quote(symbol),
            };
            out.extend(newest.map(|event| Reply::Told {
                text: push(&event, view.listing()),
                events: vec![event],
                past: false,
            }));
        }
    }

    fn error(&self, id: &Value, code: &str, why: String) -> Reply {
        let mut answer = json!({ "event": "error", "code": code, "msg": why, "connId": self.id });
        if !id.is_null() {
            answer["id"] = id.clone();
        }
        Reply::Text(answer.to_string())
    }
}

fn push(event: &MarketEvent, listing: &Listing) -> String {
    let native = listing.of(event.symbol).0;
    let channel = if matches!(event.change, Change::Trade { .. }) { "trades" } else { "bbo-tbt" };
    format!(
        r#"{{"arg":{{"channel":"{channel}","instId":"{native}"}},"data":[{}]}}"#,
        row(event, listing, true)
    )
}

/// `counted` trades say how many fills they are.
fn row(event: &MarketEvent, listing: &Listing, counted: bool) -> String {
    let (native, instrument) = listing.of(event.symbol);
    let price = |mantissa| fixed(mantissa, instrument.price_scale);
    let size = |mantissa| fixed(mantissa, instrument.size_scale);
    let time = millis(event.exchange_ts);
    match event.change {
        Change::Trade { id, price: at, size: of, buyer_is_maker } => {
            let side = if buyer_is_maker { "sell" } else { "buy" };
            let count = if counted { r#","count":"1""# } else { "" };
            format!(
                r#"{{"instId":"{native}","tradeId":"{id}","px":"{}","sz":"{}","side":"{side}","ts":"{time}"{count}}}"#,
                price(at),
                size(of)
            )
        }
        Change::Quote { id, bid, bid_size, ask, ask_size } => format!(
            r#"{{"asks":[["{}","{}","0","1"]],"bids":[["{}","{}","0","1"]],"ts":"{time}","seqId":{id}}}"#,
            price(ask),
            size(ask_size),
            price(bid),
            size(bid_size)
        ),
    }
}
