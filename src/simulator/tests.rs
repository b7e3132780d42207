//! What venues do by the clock or by count, told to their conversations without a socket or a clock.

use std::collections::BTreeMap;

use feeds::live::Channel;
use serde_json::{Value, json};

use super::faults::Script;
use super::market::{Exchange, Origin};
use super::protocol::{Conversation, PROTOCOLS, Reply, Streams, by_venue};
use super::spoiling::Faults;
use super::wire::fixed;
use crate::market::{Change, Market, MarketSpec};

/// One client of one venue, and the venue.
struct Client {
    exchange: Exchange,
    conversation: Box<dyn Conversation>,
    streams: Streams,
    market: Market,
    faults: Faults,
}

fn client(venue: &str, path: &str) -> Client {
    let spec = MarketSpec { symbols: 3, ..MarketSpec::default() };
    let protocol = by_venue(venue).unwrap();
    let exchange = Exchange::new(protocol, Origin::Made(spec), Script::default());
    let conversation = protocol.open(path, "").unwrap();
    let faults = Faults::new(&Script::default(), |_| None);
    let mut client =
        Client { exchange, conversation, streams: Streams::default(), market: Market::new(spec), faults };
    let mut opened = Vec::new();
    client.conversation.on_open(&client.exchange.view(), &mut client.streams, &mut opened);
    client
}

impl Client {
    /// What is answered to `text`.
    fn say(&mut self, text: &str) -> Vec<Reply> {
        let mut out = Vec::new();
        self.conversation.on_text(text, &self.exchange.view(), &mut self.streams, &mut out);
        out
    }

    /// What is said in each of so many seconds.
    fn wait(&mut self, seconds: u32) -> Vec<Vec<Reply>> {
        let second = |_| {
            let mut out = Vec::new();
            self.conversation.on_second(&self.exchange.view(), &self.streams, &mut out);
            out
        };
        (0..seconds).map(second).collect()
    }

    /// So many events happen; those that are subscribed are encoded.
    fn happen(&mut self, events: usize) -> usize {
        let mut frames = 0;
        for event in self.market.by_ref().take(events) {
            self.exchange.happen(event, &mut self.faults);
            if self.streams.want(self.faults.number(), &event) {
                self.conversation.frame(&[event], &self.exchange.listing, &mut Vec::new());
                frames += 1;
            }
        }
        frames
    }
}

fn closed(replies: &[Reply]) -> bool {
    matches!(replies, [Reply::Close(..)])
}

fn parsed(reply: &Reply) -> Value {
    match reply {
        Reply::Text(text) | Reply::Told { text, .. } => serde_json::from_str(text).unwrap(),
        Reply::Close(code, why) => panic!("{code} {why}"),
    }
}

#[test]
fn a_test_request_must_be_answered() {
    let mut client = client("deribit", "/ws/api/v2");
    let call = |method: &str, params: Value| {
        json!({ "jsonrpc": "2.0", "id": 5, "method": method, "params": params }).to_string()
    };
    assert_eq!(client.wait(100).concat(), []);
    let refused = client.say(&call("public/set_heartbeat", json!({ "interval": 9 })));
    assert_eq!(parsed(&refused[0])["error"]["code"], -32_602);
    let taken = client.say(&call("public/set_heartbeat", json!({ "interval": 10 })));
    assert_eq!((&parsed(&taken[0])["result"], &parsed(&taken[0])["id"]), (&json!("ok"), &json!(5)));
    for _ in 0..3 {
        let said = client.wait(10);
        assert_eq!(said[..9].concat(), []);
        assert_eq!(parsed(&said[9][1])["params"]["type"], "test_request");
        client.say(&call("public/test", json!({})));
    }
    // One is not answered.
    let said = client.wait(20);
    assert_eq!(said[9].len(), 2);
    assert!(closed(&said[19]), "{said:?}");
    client.say(&call("public/disable_heartbeat", json!({})));
    assert_eq!(client.wait(40).concat(), []);
    assert_eq!(parsed(&client.say("no JSON")[0])["error"]["code"], -32_700);
    assert_eq!(parsed(&client.say(&call("public/nothing", json!({})))[0])["error"]["code"], -32_601);
}

#[test]
fn channels_of_an_answer_are_those_that_there_are() {
    let mut client = client("deribit", "/ws/api/v2");
    let call = |method: &str| {
        let channels =
            ["trades.BTC-PERPETUAL.raw", "trades.ETH-PERPETUAL.100ms", "quote.NO", "book.BTC-PERPETUAL.raw"];
        json!({ "id": 1, "method": method, "params": { "channels": channels } }).to_string()
    };
    let taken = json!(["trades.BTC-PERPETUAL.raw", "trades.ETH-PERPETUAL.100ms"]);
    assert_eq!(parsed(&client.say(&call("public/subscribe"))[0])["result"], taken);
    assert_eq!(client.streams.len(), 2);
    let market = client.market.clone();
    let mut seen = std::collections::BTreeSet::new();
    for event in market.take(500).filter(|event| client.streams.want(1, event)) {
        let mut out = Vec::new();
        client.conversation.frame(&[event], &client.exchange.listing, &mut out);
        let frame: Value = serde_json::from_slice(&out).unwrap();
        seen.insert(frame["params"]["channel"].as_str().unwrap().to_owned());
    }
    assert_eq!(json!(seen), taken);
    assert_eq!(parsed(&client.say(&call("public/unsubscribe"))[0])["result"], taken);
    client.say(&call("public/subscribe"));
    client.say(r#"{"id":3,"method":"public/unsubscribe_all","params":{}}"#);
    assert!(client.streams.is_empty());
}

#[test]
fn who_says_and_hears_nothing_for_half_a_minute_is_ended() {
    let mut client = client("okx", "/ws/v5/public");
    let subscribe = r#"{"op":"subscribe","args":[{"channel":"trades","instId":"BTC-USDT"}]}"#;
    assert_eq!(client.wait(29).concat(), []);
    assert_eq!(client.say("ping"), [Reply::Text("pong".to_owned())]);
    assert_eq!(client.wait(29).concat(), []);
    assert_eq!(parsed(&client.say(subscribe)[0])["event"], "subscribe");
    assert_eq!(client.wait(29).concat(), []);
    // What is sent counts as well.
    assert!(client.happen(200) > 5);
    assert_eq!(client.wait(29).concat(), []);
    assert!(closed(&client.wait(1)[0]));
    // The newest trade is told again and again, but only to who was not subscribed.
    assert_eq!(client.say(subscribe).len(), 1);
    client.say(&subscribe.replace("subscribe", "unsubscribe"));
    let told = client.say(subscribe);
    assert!(matches!(&told[1], Reply::Told { events, past: false, .. } if events.len() == 1), "{told:?}");
}

#[test]
fn requests_of_an_hour_are_counted() {
    let mut client = client("okx", "/ws/v5/public");
    let subscribe = r#"{"id":"7","op":"subscribe","args":[{"channel":"trades","instId":"BTC-USDT"}]}"#;
    let refused = (0..500).filter(|_| parsed(&client.say(subscribe)[0])["code"] == "60014").count();
    // An hour may begin in between.
    assert!(refused == 20 || refused == 0, "{refused}");
    for text in ["no JSON", "{}", r#"{"op":"subscribe","args":[]}"#] {
        assert_eq!(parsed(&client.say(text)[0])["event"], "error", "{text}");
    }
}

#[test]
fn who_subscribes_to_nothing_in_five_seconds_is_ended() {
    let subscribe = r#"{"type":"subscribe","product_ids":["BTC-USD"],"channels":["matches","heartbeat"]}"#;
    let mut idle = client("coinbase", "");
    let said = idle.wait(5);
    assert!(said[..4].concat().is_empty() && closed(&said[4]), "{said:?}");
    let mut quick = client("coinbase", "");
    quick.wait(4);
    let answer = parsed(&quick.say(subscribe)[0]);
    let expected = json!([
        { "name": "matches", "product_ids": ["BTC-USD"] },
        { "name": "heartbeat", "product_ids": ["BTC-USD"] },
    ]);
    assert_eq!((&answer["type"], &answer["channels"]), (&json!("subscriptions"), &expected));
    // Before the first trade there is none to name.
    assert_eq!(quick.wait(10).concat(), []);
    quick.happen(200);
    let newest = quick.exchange.view().newest(0, 1)[0].change.id();
    for said in quick.wait(3) {
        let heartbeat = parsed(&said[0]);
        assert_eq!((said.len(), &heartbeat["last_trade_id"]), (1, &json!(newest)));
    }
    quick.say(&subscribe.replacen("subscribe", "unsubscribe", 1));
    assert_eq!(quick.wait(10).concat(), []);
    for (text, why) in [
        ("{}", "Type has to be"),
        (r#"{"type":"subscribe","channels":[{"name":"nothing"}]}"#, "not a valid channel"),
        (r#"{"type":"subscribe","product_ids":["NO-SUCH"],"channels":["ticker"]}"#, "not a valid product"),
    ] {
        assert!(parsed(&quick.say(text)[0])["reason"].as_str().unwrap().contains(why), "{text}");
    }
}

#[test]
fn arguments_of_a_request_are_counted() {
    let topic = "orderbook.1.BTCUSDT";
    let request = |names: &[&str]| json!({ "op": "subscribe", "args": names, "req_id": "9" }).to_string();
    let mut spot = client("bybit-spot", "/v5/public/spot");
    assert_eq!(parsed(&spot.say(&request(&[topic; 11]))[0])["ret_msg"], "args size >10");
    assert_eq!(parsed(&spot.say(&request(&[topic; 10]))[0])["success"], true);
    let mut linear = client("bybit-linear", "/v5/public/linear");
    assert_eq!(parsed(&linear.say(&request(&[topic; 1_200]))[0])["success"], false);
    assert_eq!(parsed(&linear.say(&request(&["publicTrade.NO"]))[0])["success"], false);
    assert_eq!(parsed(&linear.say(r#"{"op":"ping","req_id":"1"}"#)[0])["ret_msg"], "pong");
    assert_eq!(parsed(&linear.say("no JSON")[0])["success"], false);
    assert!(linear.streams.is_empty());
}

/// The levels of one side, changed by the rows of a frame.
fn change(side: &mut BTreeMap<String, String>, rows: &Value) {
    for row in rows.as_array().unwrap() {
        let [price, size] = [&row[0], &row[1]].map(|text| text.as_str().unwrap().to_owned());
        if size == "0" {
            assert!(side.remove(&price).is_some(), "{price} was not there");
        } else {
            side.insert(price, size);
        }
    }
}

/// One book is whole, the next ones have what changed: a client that adds them up has one level a side, the quote's.
#[test]
fn a_book_is_what_its_changes_add_up_to() {
    for (venue, path, changes) in
        [("bybit-linear", "/v5/public/linear", "delta"), ("bybit-spot", "/v5/public/spot", "snapshot")]
    {
        let mut client = client(venue, path);
        client.say(r#"{"op":"subscribe","args":["orderbook.1.BTCUSDT"]}"#);
        let (mut bids, mut asks, mut updates) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let instrument = client.market.instruments()[0].clone();
        for event in client.market.clone().take(2_000).filter(|event| client.streams.want(1, event)) {
            let mut out = Vec::new();
            client.conversation.frame(&[event], &client.exchange.listing, &mut out);
            let frame: Value = serde_json::from_slice(&out).unwrap();
            let expected = if updates.is_empty() { "snapshot" } else { changes };
            assert_eq!(frame["type"], expected, "{venue}");
            if frame["type"] == "snapshot" {
                bids.clear();
                asks.clear();
            }
            let data = &frame["data"];
            change(&mut bids, &data["b"]);
            change(&mut asks, &data["a"]);
            updates.push(data["u"].as_u64().unwrap());
            let Change::Quote { bid, bid_size, ask, ask_size, .. } = event.change else { panic!("a trade") };
            let level =
                |price, size| (fixed(price, instrument.price_scale), fixed(size, instrument.size_scale));
            assert_eq!(bids, BTreeMap::from([level(bid, bid_size)]), "{venue}");
            assert_eq!(asks, BTreeMap::from([level(ask, ask_size)]), "{venue}");
        }
        assert!(updates.len() > 500 && updates.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{venue}");
    }
}

#[test]
fn a_snapshot_is_of_what_came_before_the_subscription() {
    let mut client = client("kraken", "/v2");
    let request = |more: &str| {
        format!(
            r#"{{"method":"subscribe","req_id":4,"params":{{"channel":"trade","symbol":["BTC/USD","NO/USD"]{more}}}}}"#
        )
    };
    client.happen(400);
    let said = client.say(&request(""));
    assert_eq!(said.len(), 3);
    assert_eq!((&parsed(&said[0])["success"], &parsed(&said[0])["req_id"]), (&json!(true), &json!(4)));
    let Reply::Told { events, past: true, .. } = &said[1] else { panic!("{said:?}") };
    assert_eq!((events.len(), parsed(&said[1])["type"].clone()), (50, json!("snapshot")));
    assert_eq!(events[49], client.exchange.view().newest(0, 1)[0]);
    assert_eq!(parsed(&said[2])["symbol"], "NO/USD");
    // What is subscribed begins behind it.
    let position = client.exchange.view().position();
    assert_eq!(position, 400);
    assert!(!client.streams.want(400, &events[49]) && client.streams.want(401, &events[49]));
    client.streams.remove(0, Channel::Trades);
    assert_eq!(client.say(&request(r#","snapshot":false"#)).len(), 2);
    for text in
        ["no JSON", "{}", r#"{"method":"subscribe","params":{"channel":"book","symbol":["BTC/USD"]}}"#]
    {
        assert!(parsed(&client.say(text)[0])["error"].is_string(), "{text}");
    }
    assert_eq!(parsed(&client.say(r#"{"method":"ping","req_id":8}"#)[0])["method"], "pong");
    assert_eq!(client.wait(2).concat().len(), 2);
}

#[test]
fn too_many_messages_have_an_answer_at_every_venue() {
    for protocol in PROTOCOLS {
        assert!(protocol.messages_per_second() > 0, "{}", protocol.venue());
        if let reply @ Reply::Text(_) = protocol.too_many() {
            let said = parsed(&reply);
            assert!(said.get("error").or(said.get("Error")).is_some(), "{}", protocol.venue());
        }
    }
}
