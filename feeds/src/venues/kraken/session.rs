//! One connection to Kraken: which of its frames are ticks, and when those happened.

use std::borrow::Cow;

use serde::Deserialize;

use super::live;
use crate::frame::{Frame, FrameKind};
use crate::json::{Reason, Sink, Token, best_of, quote, trade};
use crate::live::Stream;
use crate::offset::VenueClock;
use crate::symbol::{SymbolId, SymbolTable};
use crate::tick::{Event, Quote, Rejection, Side};
use crate::time::{Nanos, TimeError};
use crate::venue::{Output, Session};
use crate::verdict::{Fault, kind_of, ticks_or, unknown};

/// Channels that are known and not used, with the name of their kind.
const PASSED_OVER: &[(&str, &str)] =
    &[("book", "depth"), ("level3", "order_depth"), ("ohlc", "kline"), ("instrument", "instruments")];

/// Streams that tell of the same quotes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum QuoteStream {
    Ticker,
    Spread,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    channel: Option<Token<'a>>,
    #[serde(borrow, rename = "type")]
    kind: Option<Token<'a>>,
    #[serde(borrow)]
    data: Option<Token<'a>>,
    #[serde(borrow)]
    method: Option<Token<'a>>,
    /// With a capital letter where messages came too fast.
    #[serde(borrow, alias = "Error")]
    error: Option<Token<'a>>,
    #[serde(borrow)]
    time_out: Option<Token<'a>>,
    /// Version 1.
    #[serde(borrow)]
    event: Option<Token<'a>>,
}

#[derive(Deserialize)]
struct TradeRow<'a> {
    #[serde(borrow)]
    symbol: Token<'a>,
    #[serde(borrow)]
    side: Token<'a>,
    #[serde(borrow)]
    price: Token<'a>,
    #[serde(borrow)]
    qty: Token<'a>,
    #[serde(borrow)]
    trade_id: Token<'a>,
    #[serde(borrow)]
    timestamp: Token<'a>,
}

#[derive(Deserialize)]
struct TickerRow<'a> {
    #[serde(borrow)]
    symbol: Token<'a>,
    #[serde(borrow)]
    bid: Option<Token<'a>>,
    #[serde(borrow)]
    bid_qty: Option<Token<'a>>,
    #[serde(borrow)]
    ask: Option<Token<'a>>,
    #[serde(borrow)]
    ask_qty: Option<Token<'a>>,
    #[serde(borrow)]
    timestamp: Option<Token<'a>>,
}

type Time = Result<Nanos, TimeError>;

/// Symbol, time and what happened, as written: time and values may still be unusable.
type Row<'a, T, V> = Result<(Cow<'a, str>, T, Result<V, Rejection>), Reason>;

/// What a connection remembers.
#[derive(Default)]
pub(super) struct KrakenSession {
    clock: VenueClock,
    /// By symbol: the stream whose quotes count, which is the first one seen.
    counted: Vec<Option<QuoteStream>>,
}

impl Session for KrakenSession {
    fn subscribe(&mut self, streams: &[Stream], _now: Nanos, out: &mut Output) {
        live::request("subscribe", streams, out);
    }

    fn unsubscribe(&mut self, streams: &[Stream], _now: Nanos, out: &mut Output) {
        live::request("unsubscribe", streams, out);
    }

    fn ping(&mut self, _now: Nanos, out: &mut Output) {
        out.sends.push(r#"{"method":"ping"}"#.to_owned());
    }

    fn on_frame(&mut self, frame: Frame<'_>, symbols: &mut SymbolTable, out: &mut Output) -> FrameKind {
        kind_of(frame.payload, |payload| {
            let mut sink = Sink { received_at: frame.received_at, symbols, out };
            match payload.first() {
                Some(b'{') => self.on_object(payload, &mut sink),
                Some(b'[') => self.on_array(payload, &mut sink),
                _ => Err("neither an object nor an array of JSON".into()),
            }
        })
    }

    fn finish(&mut self, out: &mut Output) {
        self.clock.finish(out);
    }
}

impl KrakenSession {
    fn on_object(&mut self, payload: &[u8], sink: &mut Sink<'_>) -> Result<FrameKind, Fault> {
        let message = serde_json::from_slice::<Message<'_>>(payload)?;
        if let Some(channel) = message.channel {
            let channel = channel.text().ok_or("`channel` is no string")?;
            return self.on_channel(&channel, &message, sink);
        }
        if let Some(event) = message.event {
            return Ok(event_of_version_1(&event.text().ok_or("`event` is no string")?));
        }
        if message.method.is_none() && message.error.is_none() {
            return Err("no `channel`, `method`, `error` or `event`".into());
        }
        let is_pong = message.method == Some(Token(br#""pong""#));
        if !is_pong {
            live::answer(payload, sink.out)?;
        }
        if let Some(time) = message.time_out.and_then(Token::time_in_words) {
            self.observe(time, sink);
        }
        Ok(if is_pong { FrameKind::Heartbeat } else { FrameKind::Control })
    }

    fn on_channel(
        &mut self,
        channel: &str,
        message: &Message<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<FrameKind, Fault> {
        let data = || message.data.ok_or("no `data`");
        let is_snapshot = message.kind == Some(Token(br#""snapshot""#));
        match channel {
            "trade" => {
                if !is_snapshot && message.kind != Some(Token(br#""update""#)) {
                    return Err("trades that are neither a snapshot nor an update".into());
                }
                self.on_trades(&serde_json::from_slice::<Vec<TradeRow<'_>>>(data()?.0)?, is_snapshot, sink)
            }
            "ticker" => self.on_tickers(&serde_json::from_slice::<Vec<TickerRow<'_>>>(data()?.0)?, sink),
            "heartbeat" => Ok(FrameKind::Heartbeat),
            "status" => {
                live::status(data()?.0, sink.out)?;
                Ok(FrameKind::Control)
            }
            "book" if is_snapshot => Ok(FrameKind::PassedOver("depth_snapshot")),
            other => Ok(match PASSED_OVER.iter().find(|(known, _)| *known == other) {
                Some((_, name)) => FrameKind::PassedOver(name),
                None => unknown(other),
            }),
        }
    }

    fn on_trades(
        &mut self,
        rows: &[TradeRow<'_>],
        history: bool,
        sink: &mut Sink<'_>,
    ) -> Result<FrameKind, Fault> {
        let mut trades = Vec::with_capacity(rows.len());
        for row in rows {
            trades.push(row.read()?);
        }
        for (symbol, time, trade) in &trades {
            if !history {
                self.observe(*time, sink);
            }
            let symbol = sink.symbols.intern(symbol.as_bytes());
            sink.put(symbol, *time, *trade).history = history;
        }
        Ok(ticks_or(!trades.is_empty(), "no_trades"))
    }

    fn on_tickers(&mut self, rows: &[TickerRow<'_>], sink: &mut Sink<'_>) -> Result<FrameKind, Fault> {
        let mut quotes = Vec::with_capacity(rows.len());
        for row in rows {
            quotes.push(row.read()?);
        }
        for (symbol, time, quote) in &quotes {
            if let Some(time) = time {
                self.observe(*time, sink);
            }
            self.put_quote(QuoteStream::Ticker, symbol, *time, *quote, sink);
        }
        Ok(ticks_or(!quotes.is_empty(), "no_quotes"))
    }

    pub(super) fn put_quote(
        &mut self,
        stream: QuoteStream,
        symbol: &str,
        time: Option<Time>,
        quote: Result<Quote, Rejection>,
        sink: &mut Sink<'_>,
    ) -> FrameKind {
        let symbol = sink.symbols.intern(symbol.as_bytes());
        if self.counted_stream(symbol, stream) != stream {
            return FrameKind::PassedOver(match stream {
                QuoteStream::Ticker => "ticker",
                QuoteStream::Spread => "spread",
            });
        }
        match (time, quote) {
            (Some(time), quote) => {
                sink.put(symbol, time, quote.map(Event::Quote));
            }
            (None, Ok(quote)) => self.clock.place(symbol, sink.received_at, quote, sink.out),
            (None, Err(rejection)) => sink.put_untimed_rejection(symbol, rejection),
        }
        FrameKind::Ticks
    }

    pub(super) fn observe(&mut self, time: Time, sink: &mut Sink<'_>) {
        if let Ok(time) = time {
            self.clock.observe(sink.received_at, time, sink.out);
        }
    }

    fn counted_stream(&mut self, symbol: SymbolId, stream: QuoteStream) -> QuoteStream {
        let index = symbol.0 as usize;
        if index >= self.counted.len() {
            self.counted.resize(index + 1, None);
        }
        *self.counted[index].get_or_insert(stream)
    }
}

impl<'a> TradeRow<'a> {
    fn read(&self) -> Row<'a, Time, Event> {
        let symbol = self.symbol.text().ok_or("`symbol` of a trade is no string")?;
        let id = self.trade_id.whole().ok_or("`trade_id` is no whole number")?;
        let price = self.price.decimal().ok_or("`price` of a trade is no number")?;
        let size = self.qty.decimal().ok_or("`qty` of a trade is no number")?;
        let time = self.timestamp.time_in_words().ok_or("`timestamp` of a trade is no string")?;
        let side = match self.side.0 {
            br#""buy""# => Side::Buy,
            br#""sell""# => Side::Sell,
            _ => return Err("`side` of a trade is neither buy nor sell"),
        };
        Ok((symbol, time, trade(Some(id), price, size, side)))
    }
}

impl<'a> TickerRow<'a> {
    fn read(&self) -> Row<'a, Option<Time>, Quote> {
        let symbol = self.symbol.text().ok_or("`symbol` of a ticker is no string")?;
        let [bid, bid_size, ask, ask_size] = best_of([self.bid, self.bid_qty, self.ask, self.ask_qty])
            .ok_or("a best price or size of a ticker is missing, or no number")?;
        let time = match self.timestamp {
            Some(token) => Some(token.time_in_words().ok_or("`timestamp` of a ticker is no string")?),
            None => None,
        };
        Ok((symbol, time, quote(None, [bid, bid_size, ask, ask_size])))
    }
}

fn event_of_version_1(event: &str) -> FrameKind {
    match event {
        "heartbeat" | "pong" => FrameKind::Heartbeat,
        "systemStatus" | "subscriptionStatus" | "error" => FrameKind::Control,
        other => unknown(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(payload: &str) -> (FrameKind, Output) {
        let (mut symbols, mut out) = (SymbolTable::new("kraken"), Output::default());
        let frame = Frame { received_at: Some(1_750_000_000_000_000_000), payload: payload.as_bytes() };
        let mut session = KrakenSession::default();
        let kind = session.on_frame(frame, &mut symbols, &mut out);
        session.finish(&mut out);
        (kind, out)
    }

    /// Each row with one field at a time taken out, made `null`, or of another type.
    #[test]
    fn a_row_without_a_field_that_it_needs_breaks_the_frame() {
        let trade = [
            ("symbol", r#""FOO/USD""#),
            ("side", r#""buy""#),
            ("price", "1.5"),
            ("qty", "2"),
            ("trade_id", "7"),
            ("timestamp", r#""2025-06-15T15:06:40Z""#),
        ];
        let ticker =
            [("symbol", r#""FOO/USD""#), ("bid", "1.5"), ("bid_qty", "2"), ("ask", "1.6"), ("ask_qty", "3")];
        for (channel, fields) in [("trade", &trade[..]), ("ticker", &ticker[..])] {
            let written = |changed: usize, value: Option<&str>| {
                let tokens = fields.iter().enumerate().filter_map(|(index, (key, token))| {
                    let token = if index == changed { value? } else { token };
                    Some(format!(r#""{key}":{token}"#))
                });
                let row = tokens.collect::<Vec<_>>().join(",");
                format!(r#"{{"channel":"{channel}","type":"update","data":[{{{row}}}]}}"#)
            };
            assert_eq!(decode(&written(0, Some(fields[0].1))).0, FrameKind::Ticks);
            for changed in 0..fields.len() {
                for value in [None, Some("null"), Some("{}"), Some("true"), Some("")] {
                    let frame = written(changed, value);
                    let (kind, out) = decode(&frame);
                    assert!(matches!(kind, FrameKind::Broken(_)), "{frame} gave {kind:?}");
                    assert!(out.ticks.is_empty() && out.offsets.is_empty(), "{frame}");
                }
            }
        }
    }

    /// The same for the arrays of version 1, whose parts have places instead of names.
    #[test]
    fn an_array_without_a_part_that_it_needs_is_broken() {
        let trade = [r#""1.5""#, r#""2""#, r#""1750000000.5""#, r#""b""#, r#""l""#, r#""""#];
        let spread = [r#""1.5""#, r#""1.6""#, r#""1750000000.5""#, r#""2""#, r#""3""#];
        let cases = [("trade", &trade[..], ["[[", "]]"]), ("spread", &spread[..], ["[", "]"])];
        for (channel, parts, [open, close]) in cases {
            let written = |changed: usize, value: Option<&str>| {
                let parts = parts.iter().enumerate();
                let parts =
                    parts.filter_map(|(index, part)| if index == changed { value } else { Some(*part) });
                let parts = parts.collect::<Vec<_>>().join(",");
                format!(r#"[7,{open}{parts}{close},"{channel}","FOO/USD"]"#)
            };
            assert_eq!(decode(&written(0, Some(parts[0]))).0, FrameKind::Ticks);
            for changed in 0..5.min(parts.len()) {
                let values = [None, Some("null"), Some("{}"), Some("true"), Some("")];
                // The kind of the order is not read.
                for value in values.into_iter().take(if changed == 4 && channel == "trade" { 1 } else { 5 }) {
                    let frame = written(changed, value);
                    let (kind, out) = decode(&frame);
                    assert!(matches!(kind, FrameKind::Broken(_)), "{frame} gave {kind:?}");
                    assert!(out.ticks.is_empty() && out.offsets.is_empty(), "{frame}");
                }
            }
        }
        for frame in
            ["[]", "[7]", r#"["x",[],"trade","FOO/USD"]"#, r#"[7,[],5,"FOO/USD"]"#, r#"[7,{},"trade",5]"#]
        {
            assert!(matches!(decode(frame).0, FrameKind::Broken(_)), "{frame}");
        }
    }
}
