//! One connection to KuCoin: topics asked for and answered by number, and what comes of them.

use std::borrow::Cow;

use super::frames::{FoundQuote, Match, Message, decimals};
use crate::frame::{Frame, FrameKind};
use crate::json::{Sink, Token, quote, trade};
use crate::live::{Channel, Notice, Stream};
use crate::offset::VenueClock;
use crate::requests::Requests;
use crate::symbol::{SymbolId, SymbolTable};
use crate::tick::{Event, Side};
use crate::time::{Nanos, TimeError, Unit};
use crate::venue::{Output, Session};
use crate::verdict::{Fault, kind_of, unknown};

/// Topics that are known and not used, with the name of their kind.
const PASSED_OVER: &[(&str, &str)] = &[
    ("/market/level2", "depth"),
    ("/market/level3", "order"),
    ("/spotMarket/level2Depth5", "depth"),
    ("/spotMarket/level2Depth50", "depth"),
    ("/market/candles", "kline"),
    ("/market/snapshot", "snapshot"),
    ("/indicator/index", "index"),
    ("/indicator/markPrice", "mark_price"),
];

const MATCHES: &str = "/market/match";
const LEVEL1: &str = "/spotMarket/level1";
const TICKER: &str = "/market/ticker";

/// The two streams that tell of the best bid and ask.
#[derive(Clone, Copy, PartialEq, Eq)]
enum QuoteStream {
    Level1,
    Ticker,
}

impl QuoteStream {
    fn kind(self) -> &'static str {
        match self {
            QuoteStream::Level1 => "level1",
            QuoteStream::Ticker => "ticker",
        }
    }
}

/// What a connection remembers.
#[derive(Default)]
pub(super) struct KucoinSession {
    clock: VenueClock,
    /// By symbol: the stream whose quotes count, which is the first one seen.
    counted: Vec<Option<QuoteStream>>,
    requests: Requests,
    pings: u64,
}

impl Session for KucoinSession {
    fn subscribe(&mut self, streams: &[Stream], _now: Nanos, out: &mut Output) {
        self.request("subscribe", streams, out);
    }

    fn unsubscribe(&mut self, streams: &[Stream], _now: Nanos, out: &mut Output) {
        self.request("unsubscribe", streams, out);
    }

    fn ping(&mut self, _now: Nanos, out: &mut Output) {
        self.pings += 1;
        out.sends.push(format!(r#"{{"id":"ping{}","type":"ping"}}"#, self.pings));
    }

    fn on_frame(&mut self, frame: Frame<'_>, symbols: &mut SymbolTable, out: &mut Output) -> FrameKind {
        let mut sink = Sink { received_at: frame.received_at, symbols, out };
        kind_of(frame.payload, |payload| {
            let message: Message<'_> = serde_json::from_slice(payload)?;
            match message.kind.text().ok_or("the type is no text")?.as_ref() {
                "message" => self.on_message(&message, &mut sink),
                "pong" => Ok(FrameKind::Heartbeat),
                "ack" => {
                    let streams = message.id.and_then(Token::whole).and_then(|id| self.requests.answered(id));
                    let streams = streams.filter(|streams| !streams.is_empty());
                    sink.out.notices.extend(streams.map(Notice::Acknowledged));
                    Ok(FrameKind::Control)
                }
                "error" => {
                    sink.out.notices.push(self.refused(&message));
                    Ok(FrameKind::Control)
                }
                "welcome" => Ok(FrameKind::Control),
                kind => Ok(unknown(kind)),
            }
        })
    }

    fn finish(&mut self, out: &mut Output) {
        self.clock.finish(out);
    }
}

impl KucoinSession {
    /// One message for each channel, because each is a topic of its own.
    fn request(&mut self, kind: &str, streams: &[Stream], out: &mut Output) {
        for channel in Channel::ALL {
            let of_channel: Vec<Stream> =
                streams.iter().filter(|stream| stream.channel == channel).cloned().collect();
            if of_channel.is_empty() {
                continue;
            }
            let names: Vec<&str> = of_channel.iter().map(|stream| stream.native.as_str()).collect();
            let start = match channel {
                Channel::Trades => MATCHES,
                Channel::Quotes => LEVEL1,
            };
            // That something was ended is no acknowledgement.
            let id = self.requests.number(if kind == "subscribe" { &of_channel } else { &[] });
            let topic = format!("{start}:{}", names.join(","));
            let request = serde_json::json!(
                { "id": id.to_string(), "type": kind, "topic": topic, "privateChannel": false, "response": true }
            );
            out.sends.push(request.to_string());
        }
    }

    fn refused(&mut self, message: &Message<'_>) -> Notice {
        let why = message.data.and_then(Token::text).map(Cow::into_owned).unwrap_or_default();
        let streams = message.id.and_then(Token::whole).and_then(|id| self.requests.answered(id));
        match streams.filter(|streams| !streams.is_empty()) {
            Some(streams) => Notice::Refused(streams, why),
            None => Notice::Complaint(why),
        }
    }

    fn on_message(&mut self, message: &Message<'_>, sink: &mut Sink<'_>) -> Result<FrameKind, Fault> {
        let topic = message.topic.and_then(Token::text).ok_or("no topic")?;
        let data = message.data.ok_or("no data")?.0;
        let (start, native) = topic.split_once(':').unwrap_or((&topic, ""));
        match start {
            MATCHES => self.on_match(data, sink),
            LEVEL1 => self.on_quote(native, QuoteStream::Level1, &FoundQuote::of_level1(data)?, sink),
            TICKER => {
                let found = FoundQuote::of_ticker(data)?;
                // The topic of all tickers has the symbol in the subject.
                let subject = message.subject.and_then(Token::text).ok_or("no subject")?;
                let native = if native == "all" { subject.as_ref() } else { native };
                self.on_quote(native, QuoteStream::Ticker, &found, sink)
            }
            start => Ok(match PASSED_OVER.iter().find(|(topic, _)| *topic == start) {
                Some((_, kind)) => FrameKind::PassedOver(kind),
                None => unknown(start),
            }),
        }
    }

    fn on_match(&mut self, data: &[u8], sink: &mut Sink<'_>) -> Result<FrameKind, Fault> {
        let row: Match<'_> = serde_json::from_slice(data)?;
        let symbol = row.symbol.text().ok_or("the trade's symbol is no text")?;
        let id = row.sequence.whole().ok_or("no sequence in the trade")?;
        let time = row.time.time(Unit::Nanos).ok_or("no time in the trade")?;
        let [price, size] = decimals([row.price, row.size])?;
        let side = match row.side.0 {
            br#""buy""# => Side::Buy,
            br#""sell""# => Side::Sell,
            _ => return Err("the trade's side is neither buy nor sell".into()),
        };
        self.observe(time, sink);
        let symbol = sink.symbols.intern(symbol.as_bytes());
        sink.put(symbol, time, trade(Some(id), price, size, side));
        Ok(FrameKind::Ticks)
    }

    fn on_quote(
        &mut self,
        native: &str,
        stream: QuoteStream,
        found: &FoundQuote,
        sink: &mut Sink<'_>,
    ) -> Result<FrameKind, Fault> {
        if native.is_empty() {
            return Err("no symbol behind the topic".into());
        }
        self.observe(found.time, sink);
        let symbol = sink.symbols.intern(native.as_bytes());
        if self.counted_stream(symbol, stream) != stream {
            return Ok(FrameKind::PassedOver(stream.kind()));
        }
        sink.put(symbol, found.time, quote(found.id, found.sides).map(Event::Quote));
        Ok(FrameKind::Ticks)
    }

    fn observe(&mut self, time: Result<Nanos, TimeError>, sink: &mut Sink<'_>) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_answered_by_number() {
        let (mut symbols, mut out) = (SymbolTable::new("kucoin"), Output::default());
        let mut session = KucoinSession::default();
        let streams = [
            Stream::new("FOO-USD", Channel::Trades),
            Stream::new("FOO-USD", Channel::Quotes),
            Stream::new("BAR-USD", Channel::Trades),
        ];
        session.subscribe(&streams, 0, &mut out);
        session.unsubscribe(&streams[..1], 0, &mut out);
        session.ping(0, &mut out);
        let request = |id: u32, kind: &str, topic: &str| {
            format!(
                r#"{{"id":"{id}","privateChannel":false,"response":true,"topic":"{topic}","type":"{kind}"}}"#
            )
        };
        assert_eq!(
            out.sends,
            [
                request(1, "subscribe", "/market/match:FOO-USD,BAR-USD"),
                request(2, "subscribe", "/spotMarket/level1:FOO-USD"),
                request(3, "unsubscribe", "/market/match:FOO-USD"),
                r#"{"id":"ping1","type":"ping"}"#.to_owned(),
            ]
        );
        for payload in [
            r#"{"id":"2","type":"error","code":404,"data":"topic is not found"}"#,
            r#"{"id":"1","type":"ack"}"#,
            r#"{"id":"3","type":"ack"}"#,
            r#"{"id":"9","type":"error","code":401,"data":"token is invalid"}"#,
        ] {
            let frame = Frame { received_at: None, payload: payload.as_bytes() };
            assert_eq!(session.on_frame(frame, &mut symbols, &mut out), FrameKind::Control);
        }
        let [trades, quotes, more] = streams;
        assert_eq!(
            out.notices,
            [
                Notice::Refused(vec![quotes], "topic is not found".to_owned()),
                Notice::Acknowledged(vec![trades, more]),
                Notice::Complaint("token is invalid".to_owned()),
            ]
        );
    }
}
