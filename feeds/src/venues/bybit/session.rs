//! One connection to Bybit: which of its frames are ticks, and when those happened.

use super::book::Top;
use super::frames::{Envelope, Levels, Topic, TradeRow, level};
use super::live;
use crate::frame::{Frame, FrameError, FrameKind};
use crate::json::{Cells, Sink, Token};
use crate::live::{Notice, Stream};
use crate::number::Decimal;
use crate::offset::VenueClock;
use crate::requests::Requests;
use crate::symbol::{SymbolId, SymbolTable};
use crate::tick::{Event, Rejection};
use crate::time::{Nanos, Unit};
use crate::venue::{Output, Session};

/// Longest name of an unknown kind that is kept, in characters.
const NAME_CHARS: usize = 40;

/// Topics that are known and not used, by what stands before the first dot, with the name of their kind.
const PASSED_OVER: &[(&str, &str)] = &[
    ("tickers", "ticker"),
    ("kline", "kline"),
    ("allLiquidation", "liquidation"),
    ("liquidation", "liquidation"),
    ("insurance", "insurance"),
    ("priceLimit", "price_limit"),
    ("adlAlert", "adl_alert"),
    ("tickers_lt", "ticker"),
    ("kline_lt", "kline"),
    ("lt", "leveraged_token"),
    ("instrument_info", "ticker"),
    ("klineV2", "kline"),
    ("candle", "kline"),
];

/// What a connection remembers.
#[derive(Default)]
pub(super) struct BybitSession {
    clock: VenueClock,
    /// By symbol.
    tops: Vec<Top>,
    requests: Requests,
}

impl Session for BybitSession {
    fn subscribe(&mut self, streams: &[Stream], _now: Nanos, out: &mut Output) {
        out.sends.push(live::request("subscribe", streams, &mut self.requests));
    }

    fn unsubscribe(&mut self, streams: &[Stream], _now: Nanos, out: &mut Output) {
        out.sends.push(live::request("unsubscribe", streams, &mut self.requests));
    }

    fn ping(&mut self, _now: Nanos, out: &mut Output) {
        out.sends.push(live::PING.to_owned());
    }

    fn on_frame(&mut self, frame: Frame<'_>, symbols: &mut SymbolTable, out: &mut Output) -> FrameKind {
        let payload = frame.payload.trim_ascii();
        if payload.is_empty() {
            return FrameKind::Blank;
        }
        let broken = |reason: String| FrameKind::Broken(FrameError::new(reason, payload));
        let envelope: Envelope<'_> = match serde_json::from_slice(payload) {
            Ok(envelope) => envelope,
            Err(error) => return broken(error.to_string()),
        };
        let mut sink = Sink { received_at: frame.received_at, symbols, out };
        match envelope.topic {
            Some(topic) => self.on_topic(topic, &envelope, &mut sink).unwrap_or_else(broken),
            None => self.on_answer(&envelope, out),
        }
    }

    fn finish(&mut self, out: &mut Output) {
        self.clock.finish(out);
    }
}

impl BybitSession {
    fn on_topic(
        &mut self,
        topic: Token<'_>,
        envelope: &Envelope<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<FrameKind, String> {
        let topic = topic.text().ok_or("the topic is no text")?;
        match Topic::of(&topic) {
            Topic::Trades => self.on_trades(&envelope.trades()?, envelope, sink),
            Topic::TradesOfV2 => self.on_trades(&envelope.trades_of_v2()?, envelope, sink),
            Topic::Quotes => self.on_quote(envelope, sink),
            Topic::Depth | Topic::DepthOfV2 => {
                self.observe(envelope, None, sink);
                let whole = is_snapshot(envelope);
                Ok(FrameKind::PassedOver(if whole { "depth_snapshot" } else { "depth" }))
            }
            Topic::Other => {
                self.observe(envelope, None, sink);
                let name = topic.split_once('.').map_or(&*topic, |(name, _)| name);
                Ok(match PASSED_OVER.iter().find(|(known, _)| *known == name) {
                    Some((_, kind)) => FrameKind::PassedOver(kind),
                    None => FrameKind::Unknown(name.chars().take(NAME_CHARS).collect()),
                })
            }
        }
    }

    fn on_trades(
        &mut self,
        rows: &[TradeRow<'_>],
        envelope: &Envelope<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<FrameKind, String> {
        let found = rows.iter().map(TradeRow::found).collect::<Result<Vec<_>, _>>()?;
        let Some(last) = found.last() else { return Ok(FrameKind::PassedOver("no_trades")) };
        self.observe(envelope, last.time.ok(), sink);
        for trade in found {
            let symbol = sink.symbols.intern(trade.symbol.as_bytes());
            sink.put(symbol, trade.time, trade.event);
        }
        Ok(FrameKind::Ticks)
    }

    fn on_quote(&mut self, envelope: &Envelope<'_>, sink: &mut Sink<'_>) -> Result<FrameKind, String> {
        let levels: Levels<'_> = envelope.read()?;
        let name = levels.symbol.text().ok_or("the quote's symbol is no text")?;
        let update = levels.update.whole().ok_or("the quote's update `u` is no number")?;
        let id = match levels.seq {
            Some(seq) => Some(seq.whole().ok_or("the quote's sequence `seq` is no number")?),
            None => None,
        };
        let time = envelope.cts.or(envelope.ts).ok_or("the quote has no time")?;
        let time = time.time(Unit::Millis).ok_or("the quote's time is no number")?;
        let (bids, asks) = (read_levels(&levels.bids)?, read_levels(&levels.asks)?);
        let is_snapshot = is_snapshot(envelope);
        if !is_snapshot && envelope.kind.is_none_or(|kind| kind.0 != br#""delta""#) {
            return Err("a quote that is neither a snapshot nor a delta".to_owned());
        }
        self.observe(envelope, None, sink);
        let symbol = sink.symbols.intern(name.as_bytes());
        let top = top_of(&mut self.tops, symbol);
        let quote = match (bids, asks) {
            (Ok(bids), Ok(asks)) => {
                if is_snapshot || update == 1 {
                    top.replace(update, &bids, &asks);
                } else {
                    top.change(update, &bids, &asks);
                }
                top.quote(id)
            }
            (Err(rejection), _) | (_, Err(rejection)) => {
                top.forget();
                Some(Err(rejection))
            }
        };
        if update == 1 {
            sink.out.notices.push(Notice::Restarted(Some(symbol)));
        }
        // One side of a book that is not known whole is no quote.
        let Some(quote) = quote else { return Ok(FrameKind::PassedOver("half_quote")) };
        if quote.is_err() {
            top.forget();
        }
        sink.put(symbol, time, quote.map(Event::Quote));
        Ok(FrameKind::Ticks)
    }

    /// When the venue sent the frame; `instead` if that is not in it.
    fn observe(&mut self, envelope: &Envelope<'_>, instead: Option<Nanos>, sink: &mut Sink<'_>) {
        let sent = match (envelope.ts, envelope.timestamp_e6) {
            (Some(ts), _) => ts.time(Unit::Millis),
            (None, Some(ts)) => ts.time(Unit::Micros),
            (None, None) => None,
        };
        if let Some(time) = sent.and_then(Result::ok).or(instead) {
            self.clock.observe(sink.received_at, time, sink.out);
        }
    }

    /// A frame without a topic: `{"success":true,"ret_msg":"","req_id":"1","op":"subscribe"}`.
    fn on_answer(&mut self, envelope: &Envelope<'_>, out: &mut Output) -> FrameKind {
        let text =
            |token: Option<Token<'_>>| token.and_then(|token| token.text().map(|text| text.into_owned()));
        let (op, why) = (text(envelope.op).unwrap_or_default(), text(envelope.ret_msg).unwrap_or_default());
        if op == "pong" || why == "pong" {
            return FrameKind::Heartbeat;
        }
        let Some(success) = envelope.success else {
            return if op.is_empty() { FrameKind::Unknown("?".to_owned()) } else { FrameKind::Control };
        };
        let streams = envelope.req_id.and_then(Token::whole).and_then(|id| self.requests.answered(id));
        match (streams, success) {
            (_, false) if op == "unsubscribe" => out.notices.push(Notice::Complaint(why)),
            (streams, false) => out.notices.push(Notice::Refused(streams.unwrap_or_default(), why)),
            (Some(streams), true) if op == "subscribe" => out.notices.push(Notice::Acknowledged(streams)),
            (_, true) => {}
        }
        FrameKind::Control
    }
}

fn is_snapshot(envelope: &Envelope<'_>) -> bool {
    envelope.kind.is_some_and(|kind| kind.0 == br#""snapshot""#)
}

type Levelled = Result<Vec<(Decimal, Decimal)>, Rejection>;

fn read_levels(rows: &[Cells<'_, 2>]) -> Result<Levelled, &'static str> {
    let mut levels = Vec::with_capacity(rows.len());
    for row in rows {
        match level(row)? {
            Ok(level) => levels.push(level),
            Err(rejection) => return Ok(Err(rejection)),
        }
    }
    Ok(Ok(levels))
}

fn top_of(tops: &mut Vec<Top>, symbol: SymbolId) -> &mut Top {
    let index = symbol.0 as usize;
    if index >= tops.len() {
        tops.resize(index + 1, Top::default());
    }
    &mut tops[index]
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::live::Channel;

    #[test]
    fn subscriptions_are_asked_for_and_answered_by_number() {
        let (mut symbols, mut out) = (SymbolTable::new("bybit-spot"), Output::default());
        let mut session = BybitSession::default();
        let streams = [Stream::new("FOOUSDT", Channel::Trades), Stream::new("BARUSDT", Channel::Quotes)];
        session.subscribe(&streams[..1], 0, &mut out);
        session.subscribe(&streams[1..], 0, &mut out);
        session.unsubscribe(&streams[..1], 0, &mut out);
        assert_eq!(out.sends[0], r#"{"args":["publicTrade.FOOUSDT"],"op":"subscribe","req_id":"1"}"#);
        assert_eq!(out.sends[1], r#"{"args":["orderbook.1.BARUSDT"],"op":"subscribe","req_id":"2"}"#);
        for payload in [
            r#"{"success":false,"ret_msg":"handler not found","conn_id":"c","req_id":"2","op":"subscribe"}"#,
            r#"{"success":true,"ret_msg":"","conn_id":"c","req_id":"1","op":"subscribe"}"#,
            r#"{"success":true,"ret_msg":"","conn_id":"c","req_id":"3","op":"unsubscribe"}"#,
            r#"{"success":true,"ret_msg":"","conn_id":"c","req_id":"","op":"subscribe"}"#,
        ] {
            let frame = Frame { received_at: None, payload: payload.as_bytes() };
            assert_eq!(session.on_frame(frame, &mut symbols, &mut out), FrameKind::Control);
        }
        let refused = Notice::Refused(vec![streams[1].clone()], "handler not found".to_owned());
        assert_eq!(out.notices, [refused, Notice::Acknowledged(vec![streams[0].clone()])]);
    }

    #[test]
    fn a_frame_without_a_field_that_it_needs_is_broken() {
        let trade = [
            "\"T\":1700000000000",
            "\"s\":\"X\"",
            "\"S\":\"Buy\"",
            "\"v\":\"1\"",
            "\"p\":\"1\"",
            "\"i\":\"1\"",
        ];
        let quote = ["\"s\":\"X\"", "\"b\":[[\"1\",\"1\"]]", "\"a\":[[\"2\",\"1\"]]", "\"u\":7"];
        let frame = |topic: &str, fields: &[&str], open: &str, close: &str| {
            format!(
                r#"{{"topic":"{topic}.X","type":"snapshot","ts":1700000000000,"data":{open}{}{close}}}"#,
                fields.join(",")
            )
        };
        for (topic, fields, open, close) in
            [("publicTrade", trade.as_slice(), "[{", "}]"), ("orderbook.1", quote.as_slice(), "{", "}")]
        {
            let kind = |fields: &[&str]| {
                let (mut symbols, mut out) = (SymbolTable::new("v"), Output::default());
                let payload = frame(topic, fields, open, close);
                let received =
                    Frame { received_at: Some(1_700_000_000_020_000_000), payload: payload.as_bytes() };
                let kind = BybitSession::default().on_frame(received, &mut symbols, &mut out);
                assert_eq!(out.ticks.is_empty(), kind != FrameKind::Ticks, "{payload}");
                assert_eq!(out.offsets.is_empty(), kind != FrameKind::Ticks, "{payload}");
                kind
            };
            assert_eq!(kind(fields), FrameKind::Ticks);
            for index in 0..fields.len() {
                let key = fields[index].split(':').next().unwrap();
                for value in [None, Some("null"), Some("{}"), Some("true")] {
                    let changed = value.map(|value| format!("{key}:{value}"));
                    let mut fields = fields.to_vec();
                    match &changed {
                        Some(changed) => fields[index] = changed,
                        None => drop(fields.remove(index)),
                    }
                    assert_ne!(kind(&fields), FrameKind::Ticks, "{fields:?}");
                }
            }
        }
    }
}
