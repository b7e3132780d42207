//! One connection to Coinbase Exchange: which of its frames are ticks.

use serde::Deserialize;

use super::live::{self, Answers};
use super::taker_side;
use crate::frame::{Frame, FrameKind};
use crate::json::{Reason, Sink, Token, quote, trade};
use crate::live::{Notice, Stream};
use crate::offset::VenueClock;
use crate::symbol::SymbolTable;
use crate::tick::Event;
use crate::time::{Nanos, TimeError};
use crate::venue::{Output, Session};
use crate::verdict::{kind_of, unknown};

/// Messages that are known and not used, with the name of their kind.
const PASSED_OVER: &[(&[u8], &str)] = &[
    (br#""l2update""#, "depth"),
    (br#""snapshot""#, "depth_snapshot"),
    (br#""received""#, "order"),
    (br#""open""#, "order"),
    (br#""done""#, "order"),
    (br#""change""#, "order"),
    (br#""activate""#, "order"),
    (br#""status""#, "status"),
    (br#""auction""#, "auction"),
    (br#""rfq_match""#, "rfq_match"),
];

/// A frame, as far as it is read.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Token<'a>>,
    #[serde(borrow)]
    product_id: Option<Token<'a>>,
    #[serde(borrow)]
    sequence: Option<Token<'a>>,
    #[serde(borrow)]
    trade_id: Option<Token<'a>>,
    #[serde(borrow)]
    last_trade_id: Option<Token<'a>>,
    #[serde(borrow)]
    time: Option<Token<'a>>,
    #[serde(borrow)]
    side: Option<Token<'a>>,
    #[serde(borrow)]
    price: Option<Token<'a>>,
    #[serde(borrow)]
    size: Option<Token<'a>>,
    #[serde(borrow)]
    best_bid: Option<Token<'a>>,
    #[serde(borrow)]
    best_bid_size: Option<Token<'a>>,
    #[serde(borrow)]
    best_ask: Option<Token<'a>>,
    #[serde(borrow)]
    best_ask_size: Option<Token<'a>>,
}

/// What a connection remembers.
#[derive(Default)]
pub(super) struct CoinbaseSession {
    clock: VenueClock,
    answers: Answers,
}

impl Session for CoinbaseSession {
    fn subscribe(&mut self, streams: &[Stream], _now: Nanos, out: &mut Output) {
        self.answers.expect(streams);
        out.sends.push(live::request("subscribe", streams));
    }

    fn unsubscribe(&mut self, streams: &[Stream], _now: Nanos, out: &mut Output) {
        out.sends.push(live::request("unsubscribe", streams));
    }

    fn on_frame(&mut self, frame: Frame<'_>, symbols: &mut SymbolTable, out: &mut Output) -> FrameKind {
        kind_of(frame.payload, |payload| {
            if !payload.starts_with(b"{") {
                return Err("no JSON object".into());
            }
            let message = serde_json::from_slice::<Message<'_>>(payload)?;
            let mut sink = Sink { received_at: frame.received_at, symbols, out };
            Ok(self.on_message(&message, payload, &mut sink)?)
        })
    }

    fn finish(&mut self, out: &mut Output) {
        self.clock.finish(out);
    }
}

impl CoinbaseSession {
    fn on_message(
        &mut self,
        message: &Message<'_>,
        payload: &[u8],
        sink: &mut Sink<'_>,
    ) -> Result<FrameKind, Reason> {
        let kind = message.kind.ok_or("no `type`")?;
        match kind.0 {
            br#""match""# => self.on_trade(message, false, sink),
            br#""last_match""# => self.on_trade(message, true, sink),
            br#""ticker""# => self.on_ticker(message, sink),
            br#""heartbeat""# => self.on_heartbeat(message, sink),
            br#""subscriptions""# | br#""error""# => {
                self.answers.read(payload, sink.out)?;
                Ok(FrameKind::Control)
            }
            other => {
                if let Some((_, name)) = PASSED_OVER.iter().find(|(known, _)| *known == other) {
                    self.observe(message.time.and_then(Token::time_in_words), sink);
                    return Ok(FrameKind::PassedOver(name));
                }
                Ok(unknown(&kind.text().ok_or("`type` is no string")?))
            }
        }
    }

    fn on_trade(
        &mut self,
        message: &Message<'_>,
        history: bool,
        sink: &mut Sink<'_>,
    ) -> Result<FrameKind, Reason> {
        let product = message.product_id.and_then(Token::text).ok_or("no `product_id` in the trade")?;
        let id = message.trade_id.and_then(Token::whole).ok_or("no `trade_id` in the trade")?;
        let price = message.price.and_then(Token::decimal).ok_or("no `price` in the trade")?;
        let size = message.size.and_then(Token::decimal).ok_or("no `size` in the trade")?;
        let time = message.time.and_then(Token::time_in_words).ok_or("no `time` in the trade")?;
        let side = message.side.and_then(taker_side).ok_or("no `side` in the trade")?;
        if !history {
            self.observe(Some(time), sink);
        }
        let symbol = sink.symbols.intern(product.as_bytes());
        sink.put(symbol, time, trade(Some(id), price, size, side)).history = history;
        Ok(FrameKind::Ticks)
    }

    fn on_ticker(&mut self, message: &Message<'_>, sink: &mut Sink<'_>) -> Result<FrameKind, Reason> {
        let product = message.product_id.and_then(Token::text).ok_or("no `product_id` in the ticker")?;
        let (Some(bid_size), Some(ask_size)) = (message.best_bid_size, message.best_ask_size) else {
            self.observe(message.time.and_then(Token::time_in_words), sink);
            return Ok(FrameKind::PassedOver("ticker"));
        };
        let id = message.sequence.and_then(Token::whole).ok_or("no `sequence` in the ticker")?;
        let bid = message.best_bid.and_then(Token::decimal).ok_or("no `best_bid` in the ticker")?;
        let bid_size = bid_size.decimal().ok_or("no `best_bid_size` in the ticker")?;
        let ask = message.best_ask.and_then(Token::decimal).ok_or("no `best_ask` in the ticker")?;
        let ask_size = ask_size.decimal().ok_or("no `best_ask_size` in the ticker")?;
        let time = match message.time {
            Some(token) => Some(token.time_in_words().ok_or("`time` of the ticker is no string")?),
            // A product that never traded has none.
            None => None,
        };
        self.observe(time, sink);
        let symbol = sink.symbols.intern(product.as_bytes());
        match (time, quote(Some(id), [bid, bid_size, ask, ask_size])) {
            (Some(time), quote) => {
                sink.put(symbol, time, quote.map(Event::Quote));
            }
            (None, Ok(quote)) => self.clock.place(symbol, sink.received_at, quote, sink.out),
            (None, Err(rejection)) => sink.put_untimed_rejection(symbol, rejection),
        }
        Ok(FrameKind::Ticks)
    }

    fn on_heartbeat(&mut self, message: &Message<'_>, sink: &mut Sink<'_>) -> Result<FrameKind, Reason> {
        let product = message.product_id.and_then(Token::text).ok_or("no `product_id` in the heartbeat")?;
        let id = message.last_trade_id.and_then(Token::whole).ok_or("no `last_trade_id` in the heartbeat")?;
        self.observe(message.time.and_then(Token::time_in_words), sink);
        let symbol = sink.symbols.intern(product.as_bytes());
        sink.out.notices.push(Notice::Newest { symbol, id });
        Ok(FrameKind::Heartbeat)
    }

    fn observe(&mut self, time: Option<Result<Nanos, TimeError>>, sink: &mut Sink<'_>) {
        if let Some(Ok(time)) = time {
            self.clock.observe(sink.received_at, time, sink.out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(payload: &str) -> (FrameKind, Output) {
        let (mut symbols, mut out) = (SymbolTable::new("coinbase"), Output::default());
        let frame = Frame { received_at: Some(1_750_000_000_000_000_000), payload: payload.as_bytes() };
        let kind = CoinbaseSession::default().on_frame(frame, &mut symbols, &mut out);
        (kind, out)
    }

    /// Each frame with one field at a time taken out, made `null`, or of another type.
    #[test]
    fn a_frame_without_a_field_that_it_needs_is_broken() {
        let trade = [
            ("type", r#""match""#),
            ("trade_id", "7"),
            ("product_id", r#""FOO-USD""#),
            ("price", r#""1.5""#),
            ("size", r#""2""#),
            ("side", r#""buy""#),
            ("time", r#""2025-06-15T15:06:40Z""#),
        ];
        let ticker = [
            ("type", r#""ticker""#),
            ("sequence", "9"),
            ("product_id", r#""FOO-USD""#),
            ("best_bid", r#""1.5""#),
            ("best_ask", r#""1.6""#),
        ];
        let sizes = r#","best_bid_size":"1","best_ask_size":"2""#;
        for (fields, end) in [(&trade[..], ""), (&ticker[..], sizes)] {
            let written = |changed: usize, value: Option<&str>| {
                let tokens = fields.iter().enumerate().filter_map(|(index, (key, token))| {
                    let token = if index == changed { value? } else { token };
                    Some(format!(r#""{key}":{token}"#))
                });
                format!("{{{}{end}}}", tokens.collect::<Vec<_>>().join(","))
            };
            assert_eq!(decode(&written(0, Some(fields[0].1))).0, FrameKind::Ticks);
            for changed in 1..fields.len() {
                for value in [None, Some("null"), Some("{}"), Some("[]"), Some("true"), Some("")] {
                    let frame = written(changed, value);
                    let (kind, out) = decode(&frame);
                    assert!(matches!(kind, FrameKind::Broken(_)), "{frame} gave {kind:?}");
                    assert!(out.ticks.is_empty() && out.offsets.is_empty(), "{frame}");
                }
            }
        }
    }
}
