//! One connection to Binance: which of its frames are ticks, and when those happened.

use super::fields::{Fields, Message, text};
use super::live;
use super::rows::{QuoteRow, TradeRow, time};
use crate::frame::{Frame, FrameError, FrameKind};
use crate::json::{Reason, Sink};
use crate::live::{Notice, Stream};
use crate::offset::VenueClock;
use crate::requests::Requests;
use crate::symbol::{SymbolId, SymbolTable};
use crate::tick::Event;
use crate::time::Nanos;
use crate::venue::{Output, Session};

/// Longest name of an unknown kind that is kept, in characters.
const NAME_CHARS: usize = 40;

/// Events that are known and not used, with the name of their kind.
const PASSED_OVER: &[(&str, &str)] = &[
    ("depthUpdate", "depth"),
    ("kline", "kline"),
    ("continuous_kline", "kline"),
    ("indexPrice_kline", "kline"),
    ("markPrice_kline", "kline"),
    ("markPriceUpdate", "mark_price"),
    ("indexPriceUpdate", "index_price"),
    ("24hrTicker", "ticker"),
    ("1hTicker", "ticker"),
    ("4hTicker", "ticker"),
    ("1dTicker", "ticker"),
    ("24hrMiniTicker", "mini_ticker"),
    ("forceOrder", "liquidation"),
    ("avgPrice", "avg_price"),
    ("compositeIndex", "composite_index"),
    ("assetIndexUpdate", "asset_index"),
    ("contractInfo", "contract_info"),
];

/// The two streams that tell of the same trades.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TradeStream {
    Single,
    Aggregated,
}

impl TradeStream {
    fn kind(self) -> &'static str {
        match self {
            TradeStream::Single => "trade",
            TradeStream::Aggregated => "agg_trade",
        }
    }
}

/// What a connection remembers.
#[derive(Default)]
pub(super) struct BinanceSession {
    clock: VenueClock,
    /// By symbol: the stream whose trades count, which is the first one seen.
    counted: Vec<Option<TradeStream>>,
    requests: Requests,
}

impl Session for BinanceSession {
    fn subscribe(&mut self, streams: &[Stream], _now: Nanos, out: &mut Output) {
        out.sends.push(live::subscribe(streams, &mut self.requests));
    }

    fn unsubscribe(&mut self, streams: &[Stream], _now: Nanos, out: &mut Output) {
        out.sends.push(live::unsubscribe(streams, &mut self.requests));
    }

    fn on_frame(&mut self, frame: Frame<'_>, symbols: &mut SymbolTable, out: &mut Output) -> FrameKind {
        let payload = frame.payload.trim_ascii();
        if payload.is_empty() {
            return FrameKind::Blank;
        }
        let message = match Message::read(payload) {
            Ok(message) => message,
            Err(error) => return FrameKind::Broken(FrameError::new(error.to_string(), payload)),
        };
        let mut sink = Sink { received_at: frame.received_at, symbols, out };
        match self.on_message(&message, &mut sink) {
            Ok(FrameKind::Control) => {
                self.on_control(&message, payload, out);
                FrameKind::Control
            }
            Ok(kind) => kind,
            Err(reason) => FrameKind::Broken(FrameError::new(reason, payload)),
        }
    }

    fn finish(&mut self, out: &mut Output) {
        self.clock.finish(out);
    }
}

impl BinanceSession {
    #[inline]
    fn on_message(&mut self, message: &Message<'_>, sink: &mut Sink<'_>) -> Result<FrameKind, Reason> {
        let fields = &message.fields;
        if message.list {
            return Ok(self.on_other(message, sink));
        }
        match fields.event {
            br#""trade""# => self.on_trade(TradeStream::Single, fields, sink),
            br#""aggTrade""# => self.on_trade(TradeStream::Aggregated, fields, sink),
            br#""bookTicker""# => self.on_quote(fields, sink),
            b"" if is_spot_quote(message) => self.on_quote(fields, sink),
            _ => Ok(self.on_other(message, sink)),
        }
    }

    fn on_trade(
        &mut self,
        stream: TradeStream,
        fields: &Fields<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<FrameKind, Reason> {
        let id = match stream {
            TradeStream::Single => fields.trade_id,
            TradeStream::Aggregated => fields.a,
        };
        let row = TradeRow::read(fields, id)?;
        self.observe(fields, sink)?;
        let symbol = sink.symbols.intern(row.symbol.as_bytes());
        if self.counted_stream(symbol, stream) != stream {
            return Ok(FrameKind::PassedOver(stream.kind()));
        }
        sink.put(symbol, row.time, row.trade().map(Event::Trade)).excluded = row.off_market;
        Ok(FrameKind::Ticks)
    }

    fn on_quote(&mut self, fields: &Fields<'_>, sink: &mut Sink<'_>) -> Result<FrameKind, Reason> {
        let row = QuoteRow::read(fields)?;
        self.observe(fields, sink)?;
        let symbol = sink.symbols.intern(row.symbol.as_bytes());
        match (row.time, row.quote()) {
            (Some(time), quote) => {
                sink.put(symbol, time, quote.map(Event::Quote));
            }
            (None, Ok(quote)) => self.clock.place(symbol, sink.received_at, quote, sink.out),
            (None, Err(rejection)) => sink.put_untimed_rejection(symbol, rejection),
        }
        Ok(FrameKind::Ticks)
    }

    /// A frame that gives no tick; its time still tells of the venue's clock.
    fn on_other(&mut self, message: &Message<'_>, sink: &mut Sink<'_>) -> FrameKind {
        // Of what is not used, nothing can be wrong.
        let _ = self.observe(&message.fields, sink);
        match text(message.fields.event) {
            Some(event) => kind_of_event(&event),
            None => kind_without_event(message),
        }
    }

    fn on_control(&mut self, message: &Message<'_>, payload: &[u8], out: &mut Output) {
        if text(message.fields.event).is_some() {
            out.notices.push(Notice::Ending("serverShutdown".to_owned()));
        } else {
            live::answer(payload, &mut self.requests, out);
        }
    }

    #[inline]
    fn observe(&mut self, fields: &Fields<'_>, sink: &mut Sink<'_>) -> Result<(), Reason> {
        match time(fields.event_time) {
            Some(Ok(event_time)) => self.clock.observe(sink.received_at, event_time, sink.out),
            None if !fields.event_time.is_empty() => return Err("the time of sending `E` is no number"),
            Some(Err(_)) | None => {}
        }
        Ok(())
    }

    #[inline]
    fn counted_stream(&mut self, symbol: SymbolId, stream: TradeStream) -> TradeStream {
        let index = symbol.0 as usize;
        if index >= self.counted.len() {
            self.counted.resize(index + 1, None);
        }
        *self.counted[index].get_or_insert(stream)
    }
}

/// A spot quote has no kind; its stream or its fields tell.
fn is_spot_quote(message: &Message<'_>) -> bool {
    let fields = &message.fields;
    message.stream.ends_with(br#"@bookTicker""#)
        || message.stream == br#""!bookTicker""#
        || !(fields.update_id.is_empty() || fields.bid_size.is_empty() || fields.ask_size.is_empty())
}

fn kind_of_event(event: &str) -> FrameKind {
    if event == "serverShutdown" {
        return FrameKind::Control;
    }
    match PASSED_OVER.iter().find(|(name, _)| *name == event) {
        Some((_, kind)) => FrameKind::PassedOver(kind),
        None => FrameKind::Unknown(event.chars().take(NAME_CHARS).collect()),
    }
}

fn kind_without_event(message: &Message<'_>) -> FrameKind {
    let fields = &message.fields;
    let stream = text(message.stream);
    if !fields.last_update.is_empty() {
        return FrameKind::PassedOver(if stream.is_some() { "depth" } else { "depth_snapshot" });
    }
    if !fields.answer.is_empty() {
        return FrameKind::Control;
    }
    // The symbol is not part of a kind's name.
    let name =
        stream.as_deref().map_or("?", |stream| stream.split_once('@').map_or(stream, |(_, kind)| kind));
    FrameKind::Unknown(name.chars().take(NAME_CHARS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::live::Channel;
    use crate::tick::Tick;

    const RECEIVED: Nanos = 1_700_000_000_020_000_000;

    fn decode(payload: &str) -> (FrameKind, Vec<Tick>) {
        let (mut symbols, mut out) = (SymbolTable::new("binance"), Output::default());
        let mut session = BinanceSession::default();
        let frame = Frame { received_at: Some(RECEIVED), payload: payload.as_bytes() };
        let kind = session.on_frame(frame, &mut symbols, &mut out);
        session.finish(&mut out);
        (kind, out.ticks)
    }

    /// Each frame with one field at a time taken out, made `null`, or of another type.
    #[test]
    fn a_frame_without_a_field_that_it_needs_is_broken() {
        let trade = [
            ("e", r#""trade""#),
            ("s", r#""X""#),
            ("t", "1"),
            ("p", r#""1""#),
            ("q", r#""1""#),
            ("T", "1700000000000"),
            ("m", "true"),
        ];
        let quote = [
            ("e", r#""bookTicker""#),
            ("s", r#""X""#),
            ("u", "1"),
            ("b", r#""1""#),
            ("B", r#""1""#),
            ("a", r#""1""#),
            ("A", r#""1""#),
        ];
        for fields in [trade, quote] {
            let written = |changed: usize, value: Option<&str>| {
                let tokens = fields.iter().enumerate().filter_map(|(index, (key, token))| {
                    let token = if index == changed { value? } else { token };
                    Some(format!(r#""{key}":{token}"#))
                });
                format!("{{{}}}", tokens.collect::<Vec<_>>().join(","))
            };
            assert_eq!(decode(&written(0, Some(fields[0].1))).0, FrameKind::Ticks);
            for changed in 1..fields.len() {
                for value in [None, Some("null"), Some("{}"), Some("[]"), Some("")] {
                    let frame = written(changed, value);
                    let (kind, ticks) = decode(&frame);
                    assert!(matches!(kind, FrameKind::Broken(_)), "{frame} gave {kind:?}");
                    assert!(ticks.is_empty(), "{frame}");
                }
            }
        }
    }

    #[test]
    fn subscriptions_are_asked_for_and_answered_by_number() {
        let (mut symbols, mut out) = (SymbolTable::new("binance"), Output::default());
        let mut session = BinanceSession::default();
        let streams = [Stream::new("FOOUSDT", Channel::Trades), Stream::new("BARETH", Channel::Quotes)];
        session.subscribe(&streams[..1], 0, &mut out);
        session.subscribe(&streams[1..], 0, &mut out);
        session.unsubscribe(&streams[..1], 0, &mut out);
        session.unsubscribe(&streams[1..], 0, &mut out);
        assert_eq!(out.sends[0], r#"{"id":1,"method":"SUBSCRIBE","params":["foousdt@trade"]}"#);
        assert_eq!(out.sends[1], r#"{"id":2,"method":"SUBSCRIBE","params":["bareth@bookTicker"]}"#);
        for payload in [
            r#"{"error":{"code":2,"msg":"Invalid request: unknown stream"},"id":2}"#,
            r#"{"result":null,"id":1}"#,
            r#"{"result":null,"id":1}"#,
            r#"{"result":null,"id":3}"#,
            r#"{"error":{"code":2,"msg":"Invalid request: no such stream"},"id":4}"#,
        ] {
            let frame = Frame { received_at: Some(RECEIVED), payload: payload.as_bytes() };
            assert_eq!(session.on_frame(frame, &mut symbols, &mut out), FrameKind::Control);
        }
        let refused = Notice::Refused(vec![streams[1].clone()], "Invalid request: unknown stream".to_owned());
        let complaint = Notice::Complaint("Invalid request: no such stream".to_owned());
        assert_eq!(out.notices, [refused, Notice::Acknowledged(vec![streams[0].clone()]), complaint]);
    }

    #[test]
    fn a_broken_frame_teaches_no_offset() {
        let (mut symbols, mut out) = (SymbolTable::new("binance"), Output::default());
        let payload = br#"{"e":"trade","E":1700000000000,"s":"X","t":1}"#;
        let frame = Frame { received_at: Some(RECEIVED), payload };
        let kind = BinanceSession::default().on_frame(frame, &mut symbols, &mut out);
        assert!(matches!(kind, FrameKind::Broken(_)));
        assert!(out.offsets.is_empty() && symbols.symbols().is_empty());
    }

    #[test]
    fn names_of_unknown_kinds_are_short_and_without_symbols() {
        let long = format!(r#"{{"e":"{}"}}"#, "x".repeat(1_000));
        assert_eq!(decode(&long).0, FrameKind::Unknown("x".repeat(NAME_CHARS)));
        let streamed = r#"{"stream":"btcusdt@new@1s","data":{"s":"BTCUSDT"}}"#;
        assert_eq!(decode(streamed).0, FrameKind::Unknown("new@1s".to_owned()));
        assert_eq!(decode("{}").0, FrameKind::Unknown("?".to_owned()));
    }
}
