//! One connection to Deribit: which of its frames are ticks, and when those happened.

use super::frames::{Envelope, Params, QuoteRow, Stream, TradeRow};
use super::live;
use crate::frame::{Frame, FrameError, FrameKind};
use crate::json::{Sink, Token};
use crate::live::Stream as Subscribed;
use crate::offset::VenueClock;
use crate::requests::Requests;
use crate::symbol::{SymbolId, SymbolTable};
use crate::tick::Event;
use crate::time::{Nanos, Unit};
use crate::venue::{Output, Session};

/// Longest name of an unknown kind that is kept, in characters.
const NAME_CHARS: usize = 40;

/// Channels that are known and not used, by what stands before the first dot, with the name of their kind.
const PASSED_OVER: &[(&str, &str)] = &[
    ("incremental_ticker", "ticker"),
    ("chart", "kline"),
    ("perpetual", "funding"),
    ("markprice", "mark_price"),
    ("estimated_expiration_price", "estimated_price"),
    ("deribit_price_index", "index_price"),
    ("deribit_price_ranking", "index_price"),
    ("deribit_price_statistics", "index_price"),
    ("deribit_volatility_index", "volatility_index"),
    ("instrument", "instruments"),
    ("block_rfq", "block_rfq"),
    ("block_trade_confirmations", "block_trades"),
    ("platform_state", "status"),
];

/// What a connection remembers.
#[derive(Default)]
pub(super) struct DeribitSession {
    clock: VenueClock,
    /// By symbol: it has quotes of its own; those of tickers are passed over.
    has_quotes: Vec<bool>,
    requests: Requests,
}

impl Session for DeribitSession {
    fn greet(&mut self, _now: Nanos, out: &mut Output) {
        out.sends.push(live::greeting());
    }

    fn subscribe(&mut self, streams: &[Subscribed], _now: Nanos, out: &mut Output) {
        out.sends.push(live::subscribe(streams, &mut self.requests));
    }

    fn unsubscribe(&mut self, streams: &[Subscribed], _now: Nanos, out: &mut Output) {
        out.sends.push(live::unsubscribe(streams));
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
        match (envelope.method.and_then(Token::text).as_deref(), &envelope.params) {
            (Some("subscription"), Some(params)) => self.on_data(params, &mut sink).unwrap_or_else(broken),
            (Some("heartbeat"), params) => {
                let kind = params.as_ref().and_then(|params| params.kind);
                if kind.is_some_and(|kind| kind.0 == br#""test_request""#) {
                    out.sends.push(live::alive());
                }
                FrameKind::Heartbeat
            }
            (Some(method), _) => FrameKind::Unknown(method.chars().take(NAME_CHARS).collect()),
            (None, _) if envelope.id.is_some() || envelope.error.is_some() => {
                if let Some(Ok(time)) = envelope.us_out.and_then(|time| time.time(Unit::Micros)) {
                    self.clock.observe(sink.received_at, time, sink.out);
                }
                live::answer(&envelope, &mut self.requests, out);
                FrameKind::Control
            }
            (None, _) => FrameKind::Unknown("?".to_owned()),
        }
    }

    fn finish(&mut self, out: &mut Output) {
        self.clock.finish(out);
    }
}

impl DeribitSession {
    fn on_data(&mut self, params: &Params<'_>, sink: &mut Sink<'_>) -> Result<FrameKind, String> {
        let channel = params.channel.and_then(Token::text).ok_or("no channel")?;
        match Stream::of(&channel) {
            Stream::Trades => self.on_trades(&params.trades()?, sink),
            Stream::Quotes => self.on_quote(true, &params.quote()?, sink),
            Stream::Tickers => self.on_quote(false, &params.quote()?, sink),
            stream => {
                let row = params.other();
                if let Some(time) = row.time() {
                    self.clock.observe(sink.received_at, time, sink.out);
                }
                if stream == Stream::Other {
                    return Ok(kind_of_channel(&channel));
                }
                // A grouped book is whole each time and has no type.
                let changes = row.kind.is_some_and(|kind| kind.0 == br#""change""#);
                Ok(FrameKind::PassedOver(if changes { "depth" } else { "depth_snapshot" }))
            }
        }
    }

    fn on_trades(&mut self, rows: &[TradeRow<'_>], sink: &mut Sink<'_>) -> Result<FrameKind, String> {
        let found = rows.iter().map(TradeRow::found).collect::<Result<Vec<_>, _>>()?;
        let Some(last) = found.last() else { return Ok(FrameKind::PassedOver("no_trades")) };
        if let Ok(time) = last.time {
            self.clock.observe(sink.received_at, time, sink.out);
        }
        for trade in found {
            let symbol = sink.symbols.intern(trade.symbol.as_bytes());
            sink.put(symbol, trade.time, trade.event);
        }
        Ok(FrameKind::Ticks)
    }

    fn on_quote(
        &mut self,
        of_quotes: bool,
        row: &QuoteRow<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<FrameKind, String> {
        let found = row.found()?;
        if let Ok(time) = found.time {
            self.clock.observe(sink.received_at, time, sink.out);
        }
        let symbol = sink.symbols.intern(found.symbol.as_bytes());
        let has_quotes = self.has_quotes(symbol);
        *has_quotes |= of_quotes;
        if *has_quotes != of_quotes {
            return Ok(FrameKind::PassedOver("ticker"));
        }
        sink.put(symbol, found.time, found.quote.map(Event::Quote));
        Ok(FrameKind::Ticks)
    }

    fn has_quotes(&mut self, symbol: SymbolId) -> &mut bool {
        let index = symbol.0 as usize;
        if index >= self.has_quotes.len() {
            self.has_quotes.resize(index + 1, false);
        }
        &mut self.has_quotes[index]
    }
}

fn kind_of_channel(channel: &str) -> FrameKind {
    let name = channel.split_once('.').map_or(channel, |(name, _)| name);
    match PASSED_OVER.iter().find(|(known, _)| *known == name) {
        Some((_, kind)) => FrameKind::PassedOver(kind),
        None => FrameKind::Unknown(name.chars().take(NAME_CHARS).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::live::{Channel, Notice};

    #[test]
    fn subscriptions_are_asked_for_and_answered_by_number() {
        let (mut symbols, mut out) = (SymbolTable::new("deribit"), Output::default());
        let mut session = DeribitSession::default();
        let streams: Vec<Subscribed> =
            ["FOO", "BAR", "BAZ"].iter().map(|name| Subscribed::new(*name, Channel::Trades)).collect();
        session.greet(0, &mut out);
        session.subscribe(&streams[..2], 0, &mut out);
        session.subscribe(&streams[2..], 0, &mut out);
        assert_eq!(
            out.sends[0],
            r#"{"id":0,"jsonrpc":"2.0","method":"public/set_heartbeat","params":{"interval":30}}"#
        );
        assert_eq!(
            out.sends[1],
            r#"{"id":1,"jsonrpc":"2.0","method":"public/subscribe","params":{"channels":["trades.FOO.100ms","trades.BAR.100ms"]}}"#
        );
        for payload in [
            r#"{"jsonrpc":"2.0","id":0,"result":"ok","usIn":1,"usOut":2,"usDiff":1}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":["trades.FOO.100ms"],"usIn":1,"usOut":2,"usDiff":1}"#,
            r#"{"jsonrpc":"2.0","id":2,"error":{"code":-32602,"message":"Invalid params","data":{"reason":"odd"}}}"#,
            r#"{"jsonrpc":"2.0","id":0,"error":{"code":10028,"message":"too_many_requests"}}"#,
        ] {
            let frame = Frame { received_at: None, payload: payload.as_bytes() };
            assert_eq!(session.on_frame(frame, &mut symbols, &mut out), FrameKind::Control);
        }
        let expected = [
            Notice::Acknowledged(streams[..1].to_vec()),
            Notice::Refused(streams[1..2].to_vec(), "not among the channels of the answer".to_owned()),
            Notice::Refused(streams[2..].to_vec(), r#"Invalid params: {"reason":"odd"}"#.to_owned()),
            Notice::Complaint("too_many_requests".to_owned()),
        ];
        assert_eq!(out.notices, expected);
    }
}
