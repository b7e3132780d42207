//! The exchange's side of three protocols, one value for each connection.

use feeds::time::{self, Nanos};
use feeds::venue::Venue;
use feeds::venues::by_id;
use serde_json::{Value, json};

/// How an exchange talks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Ids count up, nothing past is sent.
    Binance,
    /// Ids count up, the last trade is sent again behind each subscription.
    Coinbase,
    /// Ids are unique, streams are known by numbers that each connection gives anew.
    Bitfinex,
}

impl Dialect {
    pub(crate) fn venue(self) -> &'static dyn Venue {
        let id = match self {
            Dialect::Binance => "binance",
            Dialect::Coinbase => "coinbase",
            Dialect::Bitfinex => "bitfinex",
        };
        by_id(id).unwrap()
    }

    pub(crate) fn natives(self) -> [&'static str; 2] {
        match self {
            Dialect::Binance => ["FOOUSDT", "BARUSDT"],
            Dialect::Coinbase => ["FOO-USD", "BAR-USD"],
            Dialect::Bitfinex => ["tFOOUSD", "tBARUSD"],
        }
    }
}

/// A connection's side of the conversation.
pub(crate) struct Talk {
    dialect: Dialect,
    /// By symbol: subscribed, and for Bitfinex under which number.
    streams: [Option<u64>; 2],
    /// The symbols have each other's numbers.
    crossed: bool,
    messages: u64,
}

impl Talk {
    pub(crate) fn new(dialect: Dialect, number: u64) -> Talk {
        Talk { dialect, streams: [None; 2], crossed: number % 2 == 1, messages: 0 }
    }

    pub(crate) fn is_subscribed(&self, symbol: usize) -> bool {
        self.streams[symbol].is_some()
    }

    /// What is answered to a request, and the symbols whose last trade comes behind it.
    pub(crate) fn answer(&mut self, request: &str) -> (Vec<String>, Vec<usize>) {
        let request: Value = serde_json::from_str(request).unwrap();
        let is_start =
            request.to_string().contains("ubscribe") && !request.to_string().contains("nsubscribe");
        let is_start = is_start || request["method"] == "SUBSCRIBE";
        let natives = self.dialect.natives();
        let text = request.to_string().to_lowercase();
        let named: Vec<usize> = (0..2).filter(|n| text.contains(&natives[*n].to_lowercase())).collect();
        match self.dialect {
            Dialect::Binance => {
                for symbol in named {
                    self.streams[symbol] = is_start.then_some(0);
                }
                (vec![json!({ "result": null, "id": request["id"] }).to_string()], Vec::new())
            }
            Dialect::Coinbase => {
                for symbol in &named {
                    self.streams[*symbol] = is_start.then_some(0);
                }
                let on: Vec<&str> = (0..2).filter(|n| self.is_subscribed(*n)).map(|n| natives[n]).collect();
                let channels = json!([{ "name": "matches", "product_ids": on }]);
                let answer = json!({ "type": "subscriptions", "channels": channels }).to_string();
                (vec![answer], if is_start { named } else { Vec::new() })
            }
            Dialect::Bitfinex if request["event"] == "subscribe" => {
                let symbol = named[0];
                // On every other connection the symbols have each other's numbers.
                let number = if self.crossed { 21 - symbol as u64 } else { 20 + symbol as u64 };
                self.streams[symbol] = Some(number);
                let answer = json!({ "event": "subscribed", "channel": "trades", "symbol": natives[symbol],
                    "chanId": self.streams[symbol], "pair": &natives[symbol][1..] });
                (vec![answer.to_string()], Vec::new())
            }
            Dialect::Bitfinex => {
                (vec![json!({ "event": "conf", "status": "OK", "flags": 98_304 }).to_string()], Vec::new())
            }
        }
    }

    /// A trade, as the connection has it.
    pub(crate) fn trade(&mut self, symbol: usize, id: u64, at: Nanos) -> String {
        let native = self.dialect.natives()[symbol];
        let price = format!("{}.5", 100 + id % 7);
        match self.dialect {
            Dialect::Binance => binance(native, id, at, &price),
            Dialect::Coinbase => coinbase("match", native, id, at, &price),
            Dialect::Bitfinex => {
                self.messages += 1;
                let number = self.streams[symbol].unwrap_or(20 + symbol as u64);
                bitfinex(number, id, at, self.messages)
            }
        }
    }
}

/// A trade as Binance writes it.
pub(crate) fn binance(native: &str, id: u64, at: Nanos, price: &str) -> String {
    let (lower, time) = (native.to_lowercase(), at / 1_000_000);
    format!(
        r#"{{"stream":"{lower}@trade","data":{{"e":"trade","E":{time},"s":"{native}","t":{id},"p":"{price}","q":"0.25","T":{time},"m":false,"M":true}}}}"#
    )
}

/// A trade as Coinbase writes it.
pub(crate) fn coinbase(kind: &str, native: &str, id: u64, at: Nanos, price: &str) -> String {
    let time = time::format(at);
    json!({ "type": kind, "trade_id": id, "side": "sell", "size": "0.25", "price": price, "product_id": native,
        "sequence": id, "time": time })
    .to_string()
}

/// A trade as Bitfinex writes it.
pub(crate) fn bitfinex(number: u64, id: u64, at: Nanos, message: u64) -> String {
    let time = at / 1_000_000;
    format!(r#"[{number},"te",[{id},{time},0.25,101.5],{message},{time}]"#)
}
