//! Reaching Coinbase Exchange: address and limits, subscriptions, and trades of the past.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::taker_side;
use crate::frame::FrameError;
use crate::json::{Reason, Token, trade};
use crate::live::{Channel, Live, Notice, PastRange, PastRequest, PastTrades, Rate, Route, Stream};
use crate::past::{self, PastTrade};
use crate::symbol::SymbolTable;
use crate::tick::Tick;
use crate::venue::Output;
use crate::verdict::Fault;

/// Most trades of one answer.
const PAST_TRADES: u64 = 1_000;

/// 100 messages a second and 8 connections a second; a heartbeat each second for every product with trades. How many
/// streams one connection carries is not said.
pub(super) static LIVE: Live = Live {
    routes: &[Route::all("wss://ws-feed.exchange.coinbase.com")],
    streams_per_connection: 200,
    streams_per_request: 50,
    requests: Rate::new(100, 1),
    connects: Rate::new(8, 1),
    ping_seconds: None,
    dead_seconds: 30,
    lifetime_seconds: None,
};

/// An answer to a request.
#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    channels: Vec<AnswerChannel>,
    #[serde(default)]
    message: String,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
struct AnswerChannel {
    name: String,
    #[serde(default)]
    product_ids: Vec<String>,
}

/// Streams that were asked for and not yet answered.
#[derive(Default)]
pub(super) struct Answers {
    asked: BTreeSet<Stream>,
}

impl Answers {
    /// `streams` are being asked for.
    pub(super) fn expect(&mut self, streams: &[Stream]) {
        self.asked.extend(streams.iter().cloned());
    }

    /// What an answer says: all that is subscribed by now, or an error.
    ///
    /// # Errors
    /// If it is none.
    pub(super) fn read(&mut self, payload: &[u8], out: &mut Output) -> Result<(), Reason> {
        let answer: Answer = serde_json::from_slice(payload)
            .map_err(|_| "an answer without the members that it should have")?;
        if answer.kind == "error" {
            self.complain(&[&answer.message, &answer.reason], out);
            return Ok(());
        }
        let listed = answer.channels.iter();
        self.acknowledge(listed.map(|channel| (channel.name.as_str(), channel.product_ids.as_slice())), out);
        Ok(())
    }

    /// The venue lists what is subscribed: products by the name of a channel.
    pub(super) fn acknowledge<'a>(
        &mut self,
        listed: impl Iterator<Item = (&'a str, &'a [String])>,
        out: &mut Output,
    ) {
        let streams: Vec<Stream> = listed
            .filter_map(|(name, products)| Some((channel_of(name)?, products)))
            .flat_map(|(channel, products)| products.iter().map(move |name| Stream::new(name, channel)))
            .collect();
        for stream in &streams {
            self.asked.remove(stream);
        }
        if !streams.is_empty() {
            out.notices.push(Notice::Acknowledged(streams));
        }
    }

    /// The venue complains in these words. What names a product that was asked for, or subscribing, is a refusal.
    pub(super) fn complain(&mut self, words: &[&str], out: &mut Output) {
        let words: Vec<&str> = words.iter().copied().filter(|part| !part.is_empty()).collect();
        let text = words.join(": ");
        let is_end = |c: char| !c.is_alphanumeric() && c != '-';
        let is_named = |stream: &&Stream| text.split(is_end).any(|word| word == stream.native);
        let refused: Vec<Stream> = self.asked.iter().filter(is_named).cloned().collect();
        for stream in &refused {
            self.asked.remove(stream);
        }
        let is_refusal = !refused.is_empty() || text.to_lowercase().contains("subscri");
        out.notices.push(if is_refusal { Notice::Refused(refused, text) } else { Notice::Complaint(text) });
    }
}

fn channel_of(name: &str) -> Option<Channel> {
    match name {
        "matches" | "market_trades" => Some(Channel::Trades),
        "ticker" => Some(Channel::Quotes),
        _ => None,
    }
}

/// Heartbeats go with trades, whose newest id they name.
pub(super) fn request(kind: &str, streams: &[Stream]) -> String {
    let of = |channel: Channel| -> Vec<&str> {
        let streams = streams.iter().filter(|stream| stream.channel == channel);
        streams.map(|stream| stream.native.as_str()).collect()
    };
    let (trades, quotes) = (of(Channel::Trades), of(Channel::Quotes));
    let listed = [("matches", &trades), ("heartbeat", &trades), ("ticker", &quotes)];
    let channels: Vec<serde_json::Value> = listed
        .iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(name, names)| serde_json::json!({ "name": name, "product_ids": names }))
        .collect();
    serde_json::json!({ "type": kind, "channels": channels }).to_string()
}

/// `GET /products/<id>/trades`: the newest first, `after` names the id below which to begin.
pub(super) struct Past;

#[derive(Deserialize)]
struct PastRow<'a> {
    trade_id: u64,
    #[serde(borrow)]
    side: Token<'a>,
    #[serde(borrow)]
    size: Token<'a>,
    #[serde(borrow)]
    price: Token<'a>,
    #[serde(borrow)]
    time: Token<'a>,
}

impl PastTrades for Past {
    fn host(&self) -> &'static str {
        "https://api.exchange.coinbase.com"
    }

    fn per_request(&self) -> u64 {
        PAST_TRADES
    }

    fn requests(&self) -> Rate {
        // Three a second were allowed once, by now it may be more.
        Rate::new(3, 1)
    }

    fn reach(&self) -> &'static str {
        "by id"
    }

    fn path(&self, range: &PastRange<'_>) -> String {
        let PastRange { native, first, last, .. } = *range;
        let last = last.min(first.saturating_add(PAST_TRADES - 1));
        let (count, after) = (last.saturating_sub(first) + 1, last.saturating_add(1));
        format!("/products/{native}/trades?limit={count}&after={after}")
    }

    fn decode(
        &self,
        request: &PastRequest<'_>,
        symbols: &mut SymbolTable,
        out: &mut Vec<Tick>,
    ) -> Result<(), FrameError> {
        past::read(request, symbols, out, rows)
    }
}

fn rows(body: &[u8]) -> Result<Vec<PastTrade>, Fault> {
    let answer: Vec<PastRow<'_>> = serde_json::from_slice(body)?;
    let mut rows = Vec::with_capacity(answer.len());
    for row in answer {
        let price = row.price.decimal().ok_or("no price in a trade")?;
        let size = row.size.decimal().ok_or("no size in a trade")?;
        let time = row.time.time_in_words().ok_or("no time in a trade")?;
        let side = taker_side(row.side).ok_or("no side in a trade")?;
        rows.push(PastTrade { id: row.trade_id, time, event: trade(Some(row.trade_id), price, size, side) });
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeats_are_asked_for_with_trades_only() {
        let streams = [Stream::new("FOO-USD", Channel::Trades), Stream::new("BAR-EUR", Channel::Quotes)];
        assert_eq!(
            request("subscribe", &streams),
            r#"{"channels":[{"name":"matches","product_ids":["FOO-USD"]},"#.to_owned()
                + r#"{"name":"heartbeat","product_ids":["FOO-USD"]},"#
                + r#"{"name":"ticker","product_ids":["BAR-EUR"]}],"type":"subscribe"}"#
        );
    }

    #[test]
    fn a_refusal_names_what_was_asked_for_and_what_is_listed_is_acknowledged() {
        let streams = [Stream::new("FOO-USD", Channel::Trades), Stream::new("BAR-EUR", Channel::Quotes)];
        let (mut answers, mut out) = (Answers::default(), Output::default());
        answers.expect(&streams);
        for payload in [
            r#"{"type":"error","message":"Failed to subscribe","reason":"BAR-EUR is not a valid product"}"#,
            r#"{"type":"subscriptions","channels":[{"name":"matches","product_ids":["FOO-USD"]},
                {"name":"level2","product_ids":["FOO-USD"]}]}"#,
            r#"{"type":"subscriptions","channels":[]}"#,
            r#"{"type":"error","message":"Failed to subscribe","reason":"BAR-EUR is not a valid product"}"#,
            r#"{"type":"error","message":"Rate limit exceeded"}"#,
        ] {
            answers.read(payload.as_bytes(), &mut out).unwrap();
        }
        let why = "Failed to subscribe: BAR-EUR is not a valid product".to_owned();
        let expected = [
            Notice::Refused(vec![streams[1].clone()], why.clone()),
            Notice::Acknowledged(vec![streams[0].clone()]),
            Notice::Refused(Vec::new(), why),
            Notice::Complaint("Rate limit exceeded".to_owned()),
        ];
        assert_eq!(out.notices, expected);
    }

    #[test]
    fn past_trades_are_those_that_were_asked_for_in_order() {
        let path =
            |first, last| Past.path(&PastRange { native: "FOO-USD", first, last, after: 0, before: 0 });
        assert_eq!(path(6, 7), "/products/FOO-USD/trades?limit=2&after=8");
        assert_eq!(path(1, 5_000), "/products/FOO-USD/trades?limit=1000&after=1001");
        let row = |id: u32, side: &str| {
            format!(
                r#"{{"trade_id":{id},"side":"{side}","size":"2.50","price":"1.5","time":"2025-06-15T15:06:40.5Z"}}"#
            )
        };
        let body = format!("[{},{},{}]", row(7, "buy"), row(6, "sell"), row(5, "buy"));
        let (received_at, body) = (1_800_000_000_000_000_000, body.as_bytes());
        let request = PastRequest { native: "FOO-USD", first: 6, last: 8, received_at, body };
        let (mut symbols, mut ticks) = (SymbolTable::new("coinbase"), Vec::new());
        Past.decode(&request, &mut symbols, &mut ticks).unwrap();
        let shown: Vec<String> =
            ticks.iter().map(|tick| format!("{} {:?}", tick.exchange_ts, tick.event)).collect();
        assert_eq!(
            shown,
            [
                "1750000000500000000 Trade(trade Some(6) 2.5 @ 1.5 Buy)",
                "1750000000500000000 Trade(trade Some(7) 2.5 @ 1.5 Sell)"
            ]
        );
        for bad in [&body[..40], br#"{"message":"NotFound"}"#, br#"[{"trade_id":6,"side":"buy"}]"#] {
            let request = PastRequest { body: bad, ..request };
            assert!(Past.decode(&request, &mut symbols, &mut ticks).is_err());
        }
        assert_eq!(ticks.len(), 2);
    }
}
