//! One connection to Gate: what was asked for, and what comes of its frames.

use super::Market;
use super::frames::{Complaint, Envelope, Found, Timed, book_ticker, trades};
use crate::frame::{Frame, FrameKind};
use crate::json::{Sink, Token};
use crate::live::{Channel, Notice, Stream};
use crate::offset::VenueClock;
use crate::requests::Requests;
use crate::symbol::SymbolTable;
use crate::time::{Nanos, SECOND, Unit};
use crate::venue::{Output, Session};
use crate::verdict::{Fault, kind_of, ticks_or, unknown};

/// Channels that are known and not used, with the name of their kind.
const PASSED_OVER: &[(&str, &str)] = &[
    ("order_book_update", "depth"),
    ("order_book", "depth"),
    ("obu", "depth"),
    ("candlesticks", "kline"),
    ("tickers", "ticker"),
    ("public_liquidates", "liquidation"),
    ("contract_stats", "contract_stats"),
];

/// What a connection remembers.
pub(super) struct GateSession {
    market: Market,
    clock: VenueClock,
    requests: Requests,
}

impl GateSession {
    pub(super) fn new(market: Market) -> GateSession {
        GateSession { market, clock: VenueClock::default(), requests: Requests::default() }
    }
}

impl Session for GateSession {
    fn subscribe(&mut self, streams: &[Stream], now: Nanos, out: &mut Output) {
        self.request("subscribe", streams, now, out);
    }

    fn unsubscribe(&mut self, streams: &[Stream], now: Nanos, out: &mut Output) {
        self.request("unsubscribe", streams, now, out);
    }

    fn ping(&mut self, now: Nanos, out: &mut Output) {
        let channel = format!("{}.ping", self.market.prefix());
        out.sends.push(serde_json::json!({ "time": now / SECOND, "channel": channel }).to_string());
    }

    fn on_frame(&mut self, frame: Frame<'_>, symbols: &mut SymbolTable, out: &mut Output) -> FrameKind {
        let mut sink = Sink { received_at: frame.received_at, symbols, out };
        kind_of(frame.payload, |payload| self.on_envelope(&serde_json::from_slice(payload)?, &mut sink))
    }

    fn finish(&mut self, out: &mut Output) {
        self.clock.finish(out);
    }
}

impl GateSession {
    /// One message for each channel. The answer repeats the number.
    fn request(&mut self, event: &str, streams: &[Stream], now: Nanos, out: &mut Output) {
        for channel in Channel::ALL {
            let of_channel: Vec<Stream> =
                streams.iter().filter(|stream| stream.channel == channel).cloned().collect();
            if of_channel.is_empty() {
                continue;
            }
            let names: Vec<&str> = of_channel.iter().map(|stream| stream.native.as_str()).collect();
            let name = match channel {
                Channel::Trades => "trades",
                Channel::Quotes => "book_ticker",
            };
            // That something was ended is no acknowledgement.
            let id = self.requests.number(if event == "subscribe" { &of_channel } else { &[] });
            let channel = format!("{}.{name}", self.market.prefix());
            let request = serde_json::json!(
                { "time": now / SECOND, "id": id, "channel": channel, "event": event, "payload": names }
            );
            out.sends.push(request.to_string());
        }
    }

    fn on_envelope(&mut self, envelope: &Envelope<'_>, sink: &mut Sink<'_>) -> Result<FrameKind, Fault> {
        if let Some(kind) = envelope.kind.and_then(Token::text)
            && kind.contains("upgrade")
        {
            let why = envelope.msg.and_then(Token::text).map_or(kind, |msg| msg);
            sink.out.notices.push(Notice::Ending(why.into_owned()));
            return Ok(FrameKind::Control);
        }
        let Some(channel) = envelope.channel else { return Ok(self.on_answer(envelope, sink.out)) };
        let channel = channel.text().ok_or("the channel is no text")?;
        let name = match channel.split_once('.') {
            Some((prefix, name)) if prefix == self.market.prefix() => name,
            _ => return Ok(unknown(&channel)),
        };
        if name == "pong" {
            return Ok(FrameKind::Heartbeat);
        }
        match envelope.event.map(|event| event.0) {
            Some(br#""update""# | br#""all""#) => self.on_update(name, envelope, sink),
            Some(br#""subscribe""# | br#""unsubscribe""#) => Ok(self.on_answer(envelope, sink.out)),
            _ if envelope.error.is_some() => Ok(self.on_answer(envelope, sink.out)),
            _ => Ok(unknown(&channel)),
        }
    }

    fn on_update(
        &mut self,
        name: &str,
        envelope: &Envelope<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<FrameKind, Fault> {
        let result = envelope.result.ok_or("no result in the update")?.0;
        match name {
            "trades" => {
                let found = trades(self.market, result)?;
                self.observe(envelope, found.iter().filter_map(|row| row.time.ok()).max(), sink);
                for row in &found {
                    put(row, sink);
                }
                Ok(ticks_or(!found.is_empty(), "no_trades"))
            }
            "book_ticker" => {
                let found = book_ticker(result)?;
                self.observe(envelope, found.time.ok(), sink);
                put(&found, sink);
                Ok(FrameKind::Ticks)
            }
            name => {
                let Some((_, kind)) = PASSED_OVER.iter().find(|(known, _)| *known == name) else {
                    return Ok(unknown(name));
                };
                // What is behind the time is of no use here, so that it may be anything.
                let timed = serde_json::from_slice::<Timed<'_>>(result).ok();
                let time = timed.and_then(|timed| timed.t?.time(Unit::Millis)?.ok());
                self.observe(envelope, time.filter(|_| *kind == "depth"), sink);
                Ok(FrameKind::PassedOver(kind))
            }
        }
    }

    /// Takes in when the frame was sent; of old captures, when what it tells of happened.
    fn observe(&mut self, envelope: &Envelope<'_>, happened: Option<Nanos>, sink: &mut Sink<'_>) {
        let sent = envelope.time_ms.and_then(|time| time.time(Unit::Millis)?.ok());
        if let Some(time) = sent.or(happened) {
            self.clock.observe(sink.received_at, time, sink.out);
        }
    }

    fn on_answer(&mut self, envelope: &Envelope<'_>, out: &mut Output) -> FrameKind {
        let streams = envelope.id.and_then(Token::whole).and_then(|id| self.requests.answered(id));
        let streams = streams.filter(|streams| !streams.is_empty());
        let complaint = envelope.error.map(|error| {
            let complaint = serde_json::from_slice::<Complaint>(error.0);
            complaint.map_or_else(|_| "an error that says nothing".to_owned(), |complaint| complaint.message)
        });
        match (streams, complaint) {
            (Some(streams), Some(why)) => out.notices.push(Notice::Refused(streams, why)),
            (None, Some(why)) => out.notices.push(Notice::Complaint(why)),
            (Some(streams), None) => out.notices.push(Notice::Acknowledged(streams)),
            (None, None) if envelope.channel.is_none() => return unknown(""),
            (None, None) => {}
        }
        FrameKind::Control
    }
}

fn put(row: &Found<'_>, sink: &mut Sink<'_>) {
    let symbol = sink.symbols.intern(row.symbol.as_bytes());
    sink.put(symbol, row.time, row.event).excluded = row.excluded;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_answered_by_number() {
        let (mut symbols, mut out) = (SymbolTable::new("gate"), Output::default());
        let mut session = GateSession::new(Market::Spot);
        let streams = [
            Stream::new("FOO_USDT", Channel::Trades),
            Stream::new("FOO_USDT", Channel::Quotes),
            Stream::new("BAR_USDT", Channel::Trades),
        ];
        let now = 1_750_000_000_900_000_000;
        session.subscribe(&streams, now, &mut out);
        session.unsubscribe(&streams[..1], now, &mut out);
        session.ping(now, &mut out);
        let request = |id: u32, event: &str, channel: &str, names: &str| {
            format!(
                r#"{{"channel":"spot.{channel}","event":"{event}","id":{id},"payload":[{names}],"time":1750000000}}"#
            )
        };
        assert_eq!(
            out.sends,
            [
                request(1, "subscribe", "trades", r#""FOO_USDT","BAR_USDT""#),
                request(2, "subscribe", "book_ticker", r#""FOO_USDT""#),
                request(3, "unsubscribe", "trades", r#""FOO_USDT""#),
                r#"{"channel":"spot.ping","time":1750000000}"#.to_owned(),
            ]
        );
        for payload in [
            r#"{"time":1,"id":2,"channel":"spot.book_ticker","event":"subscribe",
                "error":{"code":2,"message":"unknown currency pair"},"result":{"status":"fail"}}"#,
            r#"{"time":1,"id":1,"channel":"spot.trades","event":"subscribe","error":null,"result":{"status":"success"}}"#,
            r#"{"time":1,"id":3,"channel":"spot.trades","event":"unsubscribe","result":{"status":"success"}}"#,
            r#"{"time":1,"channel":"spot.news","event":"","error":{"code":1,"message":"unknown channel"}}"#,
            r#"{"type":"service_upgrade","msg":"The connection will soon be closed"}"#,
        ] {
            let frame = Frame { received_at: None, payload: payload.as_bytes() };
            assert_eq!(session.on_frame(frame, &mut symbols, &mut out), FrameKind::Control, "{payload}");
        }
        let [trades, quotes, more] = streams;
        assert_eq!(
            out.notices,
            [
                Notice::Refused(vec![quotes], "unknown currency pair".to_owned()),
                Notice::Acknowledged(vec![trades, more]),
                Notice::Complaint("unknown channel".to_owned()),
                Notice::Ending("The connection will soon be closed".to_owned()),
            ]
        );
    }

    #[test]
    fn another_markets_channels_are_unknown() {
        let (mut symbols, mut out) = (SymbolTable::new("gate"), Output::default());
        let payload = br#"{"time":1750000000,"channel":"futures.trades","event":"update","result":[]}"#;
        let frame = Frame { received_at: None, payload };
        let kind = GateSession::new(Market::Spot).on_frame(frame, &mut symbols, &mut out);
        assert_eq!(kind, unknown("futures.trades"));
    }
}
