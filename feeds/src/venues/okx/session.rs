//! One connection to OKX: which of its frames are ticks, and when those happened.

use super::frames::{Arg, Envelope, FoundQuote, Grain, Stream, TimedRow, TradeRow};
use super::live;
use crate::frame::{Frame, FrameError, FrameKind};
use crate::json::{Sink, Token};
use crate::live::{Notice, Stream as Subscribed};
use crate::offset::VenueClock;
use crate::requests::Requests;
use crate::symbol::{SymbolId, SymbolTable};
use crate::tick::Event;
use crate::time::{Nanos, Unit};
use crate::venue::{Gap, Output, Session};

/// Longest name of an unknown kind that is kept, in characters.
const NAME_CHARS: usize = 40;
/// The notice that the connection will be ended for a change of the service.
const ENDING: u64 = 64_008;

/// Channels that are known and not used, with the name of their kind. Those of candles have an interval behind them.
const PASSED_OVER: &[(&str, &str)] = &[
    ("index-tickers", "index_price"),
    ("mark-price", "mark_price"),
    ("funding-rate", "funding"),
    ("open-interest", "open_interest"),
    ("price-limit", "price_limit"),
    ("opt-summary", "option_summary"),
    ("option-trades", "option_trades"),
    ("instruments", "instruments"),
    ("estimated-price", "estimated_price"),
    ("liquidation-orders", "liquidation"),
    ("adl-warning", "adl_warning"),
    ("status", "status"),
];

/// What a connection remembers of a symbol.
#[derive(Clone, Copy, Default)]
struct Known {
    /// The stream whose trades count, which is the first one seen.
    counted: Option<Grain>,
    /// The newest trade's id.
    newest: Option<u64>,
    /// It has quotes of its own; those of tickers are passed over.
    has_best: bool,
}

/// What a connection remembers.
#[derive(Default)]
pub(super) struct OkxSession {
    clock: VenueClock,
    /// By symbol.
    known: Vec<Known>,
    requests: Requests,
}

impl Session for OkxSession {
    fn subscribe(&mut self, streams: &[Subscribed], _now: Nanos, out: &mut Output) {
        out.sends.push(live::subscribe(streams, &mut self.requests));
    }

    fn unsubscribe(&mut self, streams: &[Subscribed], _now: Nanos, out: &mut Output) {
        out.sends.push(live::unsubscribe(streams, &mut self.requests));
    }

    fn ping(&mut self, _now: Nanos, out: &mut Output) {
        out.sends.push(live::PING.to_owned());
    }

    fn on_frame(&mut self, frame: Frame<'_>, symbols: &mut SymbolTable, out: &mut Output) -> FrameKind {
        let payload = frame.payload.trim_ascii();
        match payload {
            b"" => return FrameKind::Blank,
            live::PONG => return FrameKind::Heartbeat,
            _ => {}
        }
        let broken = |reason: String| FrameKind::Broken(FrameError::new(reason, payload));
        let envelope: Envelope<'_> = match serde_json::from_slice(payload) {
            Ok(envelope) => envelope,
            Err(error) => return broken(error.to_string()),
        };
        let mut sink = Sink { received_at: frame.received_at, symbols, out };
        match (&envelope.arg, envelope.event) {
            (_, Some(event)) => self.on_event(event, &envelope, out),
            (Some(arg), None) => self.on_data(arg, &envelope, &mut sink).unwrap_or_else(broken),
            (None, None) => FrameKind::Unknown("?".to_owned()),
        }
    }

    fn finish(&mut self, out: &mut Output) {
        self.clock.finish(out);
    }
}

impl OkxSession {
    fn on_data(
        &mut self,
        arg: &Arg<'_>,
        envelope: &Envelope<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<FrameKind, String> {
        let channel = arg.channel.text().ok_or("the channel is no text")?;
        match Stream::of(&channel) {
            Stream::Trades(grain) => self.on_trades(grain, &envelope.trades()?, sink),
            Stream::Best => {
                let rows = envelope.books()?;
                let found = rows.iter().map(|row| row.found()).collect::<Result<Vec<_>, _>>()?;
                self.on_quotes(true, arg, found, sink)
            }
            Stream::Tickers => {
                let rows = envelope.tickers()?;
                let found = rows.iter().map(|row| row.found()).collect::<Result<Vec<_>, _>>()?;
                self.on_quotes(false, arg, found, sink)
            }
            Stream::Depth => {
                self.observe_rows(envelope, sink);
                // Those of five levels are whole each time and have no `action`.
                let changes = envelope.action.is_some_and(|action| action.0 == br#""update""#);
                Ok(FrameKind::PassedOver(if changes { "depth" } else { "depth_snapshot" }))
            }
            Stream::Other => {
                self.observe_rows(envelope, sink);
                Ok(kind_of_channel(&channel))
            }
        }
    }

    fn on_trades(
        &mut self,
        grain: Grain,
        rows: &[TradeRow<'_>],
        sink: &mut Sink<'_>,
    ) -> Result<FrameKind, String> {
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            let symbol = row.inst_id.text().ok_or("the trade's symbol is no text")?;
            found.push((symbol, row.found()?));
        }
        let Some((_, last)) = found.last() else { return Ok(FrameKind::PassedOver("no_trades")) };
        if let Ok(time) = last.time {
            self.clock.observe(sink.received_at, time, sink.out);
        }
        let mut taken = false;
        for (symbol, trade) in found {
            let symbol = sink.symbols.intern(symbol.as_bytes());
            let known = known_of(&mut self.known, symbol);
            if *known.counted.get_or_insert(grain) != grain {
                continue;
            }
            taken = true;
            if let Some(gap) = known.see(symbol, trade.id, trade.fills) {
                sink.out.gaps.push(gap);
            }
            sink.put(symbol, trade.time, trade.event);
        }
        Ok(if taken { FrameKind::Ticks } else { FrameKind::PassedOver("trades_of_other_grain") })
    }

    fn on_quotes(
        &mut self,
        best: bool,
        arg: &Arg<'_>,
        found: Vec<FoundQuote>,
        sink: &mut Sink<'_>,
    ) -> Result<FrameKind, String> {
        let name = arg.inst_id.and_then(Token::text).ok_or("the quote's symbol is no text")?;
        let Some(last) = found.last() else { return Ok(FrameKind::PassedOver("no_quotes")) };
        if let Ok(time) = last.time {
            self.clock.observe(sink.received_at, time, sink.out);
        }
        let symbol = sink.symbols.intern(name.as_bytes());
        let known = known_of(&mut self.known, symbol);
        known.has_best |= best;
        if known.has_best != best {
            return Ok(FrameKind::PassedOver("ticker"));
        }
        for FoundQuote { time, quote } in found {
            sink.put(symbol, time, quote.map(Event::Quote));
        }
        Ok(FrameKind::Ticks)
    }

    /// The newest time of a frame that gives no tick still tells of the venue's clock.
    fn observe_rows(&mut self, envelope: &Envelope<'_>, sink: &mut Sink<'_>) {
        let rows: Vec<TimedRow<'_>> = envelope.read().unwrap_or_default();
        let time = rows.last().and_then(|row| row.ts?.time(Unit::Millis)?.ok());
        if let Some(time) = time {
            self.clock.observe(sink.received_at, time, sink.out);
        }
    }

    /// `{"event":"subscribe","arg":{…}}`, `{"event":"error","code":"60018","msg":"…"}`, `{"event":"notice",…}`
    fn on_event(&mut self, event: Token<'_>, envelope: &Envelope<'_>, out: &mut Output) -> FrameKind {
        let why = || envelope.msg.and_then(Token::text).unwrap_or_default().into_owned();
        let notice = match event.0 {
            br#""subscribe""# => {
                let named = envelope
                    .arg
                    .as_ref()
                    .and_then(|arg| live::stream(&arg.channel.text()?, &arg.inst_id?.text()?));
                named.map(|stream| Notice::Acknowledged(vec![stream]))
            }
            br#""error""# => {
                let id = envelope.id.and_then(Token::whole);
                Some(live::refused(why(), id, &mut self.requests))
            }
            br#""notice""# if envelope.code.and_then(Token::whole) == Some(ENDING) => {
                Some(Notice::Ending(why()))
            }
            br#""notice""# => Some(Notice::Complaint(why())),
            br#""channel-conn-count-error""# => Some(Notice::Complaint("too many connections".to_owned())),
            _ => None,
        };
        out.notices.extend(notice);
        FrameKind::Control
    }
}

impl Known {
    /// Notes a trade whose last fill is `id`; gives the fills missing before it, if its number of fills shows that.
    fn see(&mut self, symbol: SymbolId, id: u64, fills: Option<u64>) -> Option<Gap> {
        let before = self.newest;
        self.newest = before.max(Some(id));
        let (newest, fills) = (before?, fills?);
        let (first_id, last_id) = (newest.checked_add(1)?, id.checked_sub(fills.max(1))?);
        (first_id <= last_id).then_some(Gap { symbol, first_id, last_id })
    }
}

fn kind_of_channel(channel: &str) -> FrameKind {
    let is_candle =
        ["candle", "mark-price-candle", "index-candle"].iter().any(|name| channel.starts_with(name));
    if is_candle {
        return FrameKind::PassedOver("kline");
    }
    match PASSED_OVER.iter().find(|(name, _)| *name == channel) {
        Some((_, kind)) => FrameKind::PassedOver(kind),
        None => FrameKind::Unknown(channel.chars().take(NAME_CHARS).collect()),
    }
}

fn known_of(known: &mut Vec<Known>, symbol: SymbolId) -> &mut Known {
    let index = symbol.0 as usize;
    if index >= known.len() {
        known.resize(index + 1, Known::default());
    }
    &mut known[index]
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::live::Channel;

    #[test]
    fn subscriptions_are_answered_by_name() {
        let (mut symbols, mut out) = (SymbolTable::new("okx"), Output::default());
        let mut session = OkxSession::default();
        let trades = Subscribed::new("FOO-USDT", Channel::Trades);
        let quotes = Subscribed::new("BAR-USDT", Channel::Quotes);
        session.subscribe(&[trades.clone(), quotes.clone()], 0, &mut out);
        session.unsubscribe(std::slice::from_ref(&trades), 0, &mut out);
        assert_eq!(
            out.sends.pop().unwrap(),
            r#"{"args":[{"channel":"trades","instId":"FOO-USDT"}],"id":"2","op":"unsubscribe"}"#
        );
        assert_eq!(
            out.sends,
            [
                r#"{"args":[{"channel":"trades","instId":"FOO-USDT"},{"channel":"bbo-tbt","instId":"BAR-USDT"}],"id":"1","op":"subscribe"}"#
            ]
        );
        let gone = "Wrong URL or channel:bbo-tbt,instId:BAR-USDT doesn't exist.";
        for payload in [
            r#"{"id":"1","event":"subscribe","arg":{"channel":"trades","instId":"FOO-USDT"},"connId":"c"}"#
                .to_owned(),
            format!(r#"{{"id":"1","event":"error","code":"60018","msg":"{gone}","connId":"c"}}"#),
            r#"{"id":"1","event":"error","code":"60012","msg":"Invalid request","connId":"c"}"#.to_owned(),
            r#"{"id":"2","event":"error","code":"60018","msg":"channel:trades,instId:FOO-USDT doesn't exist"}"#
                .to_owned(),
            r#"{"event":"notice","code":"64008","msg":"soon","connId":"c"}"#.to_owned(),
            r#"{"event":"unsubscribe","arg":{"channel":"trades","instId":"FOO-USDT"},"connId":"c"}"#
                .to_owned(),
        ] {
            let frame = Frame { received_at: None, payload: payload.as_bytes() };
            assert_eq!(session.on_frame(frame, &mut symbols, &mut out), FrameKind::Control);
        }
        let expected = [
            Notice::Acknowledged(vec![trades.clone()]),
            Notice::Refused(vec![quotes.clone()], gone.to_owned()),
            Notice::Refused(vec![trades, quotes], "Invalid request".to_owned()),
            Notice::Complaint("channel:trades,instId:FOO-USDT doesn't exist".to_owned()),
            Notice::Ending("soon".to_owned()),
        ];
        assert_eq!(out.notices, expected);
    }

    #[test]
    fn a_number_of_fills_that_does_not_reach_back_shows_a_gap() {
        let symbol = SymbolId(0);
        let mut known = Known::default();
        let gaps: Vec<Option<(u64, u64)>> = [
            (10, Some(4)),
            (12, Some(2)),
            (16, Some(3)),
            (15, Some(1)),
            (20, None),
            (22, Some(0)),
            (u64::MAX, Some(1)),
            (3, Some(9)),
        ]
        .into_iter()
        .map(|(id, fills)| known.see(symbol, id, fills).map(|gap| (gap.first_id, gap.last_id)))
        .collect();
        let expected =
            [None, None, Some((13, 13)), None, None, Some((21, 21)), Some((23, u64::MAX - 1)), None];
        assert_eq!(gaps, expected);
    }
}
