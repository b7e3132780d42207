//! One connection to Bitfinex: the channels by number, what they carry, and the messages counted.

use std::collections::BTreeMap;

use super::fields::{Said, TradeRow, channel_name, info};
use crate::frame::{Frame, FrameKind};
use crate::json::{Cells, Reason, Sink, Token, quote};
use crate::live::{Channel, Notice, Stream};
use crate::number::Decimal;
use crate::offset::VenueClock;
use crate::symbol::{SymbolId, SymbolTable};
use crate::tick::{Event, Rejection};
use crate::time::{Nanos, Unit};
use crate::venue::{Output, Session};
use crate::verdict::{kind_of, ticks_or, unknown};

/// Most channels of a connection that are remembered. The venue allows far fewer.
const CHANNELS_MAX: usize = 1_024;

/// What `conf` asks for: the time (32768) and the number (65536) of each message.
const FLAGS: u32 = 32_768 + 65_536;

/// What a numbered channel carries.
#[derive(Clone, Debug)]
enum Carried {
    Trades(SymbolId),
    Quotes(SymbolId),
    Book,
    /// Of a kind that gives no ticks, and its name.
    Other(&'static str),
}

/// What a connection remembers.
#[derive(Default)]
pub(super) struct BitfinexSession {
    clock: VenueClock,
    channels: BTreeMap<u64, (Carried, Option<Stream>)>,
    /// Streams to be ended as soon as their channel's number is known.
    unwanted: Vec<Stream>,
    /// The number of the last message.
    last: Option<u64>,
}

impl Session for BitfinexSession {
    fn greet(&mut self, _now: Nanos, out: &mut Output) {
        out.sends.push(serde_json::json!({ "event": "conf", "flags": FLAGS }).to_string());
    }

    fn subscribe(&mut self, streams: &[Stream], _now: Nanos, out: &mut Output) {
        self.unwanted.retain(|unwanted| !streams.contains(unwanted));
        for Stream { native, channel } in streams {
            let channel = channel_name(*channel);
            let request = serde_json::json!({ "event": "subscribe", "channel": channel, "symbol": native });
            out.sends.push(request.to_string());
        }
    }

    fn unsubscribe(&mut self, streams: &[Stream], _now: Nanos, out: &mut Output) {
        for stream in streams {
            let known = self.channels.iter().find(|(_, (_, known))| known.as_ref() == Some(stream));
            match known {
                Some((number, _)) => out.sends.push(unsubscribe(*number)),
                None if self.unwanted.len() < CHANNELS_MAX => self.unwanted.push(stream.clone()),
                None => {}
            }
        }
    }

    fn on_frame(&mut self, frame: Frame<'_>, symbols: &mut SymbolTable, out: &mut Output) -> FrameKind {
        let mut sink = Sink { received_at: frame.received_at, symbols, out };
        kind_of(frame.payload, |payload| {
            if payload.starts_with(b"{") {
                return Ok(self.on_event(&serde_json::from_slice(payload)?, &mut sink));
            }
            let cells: Cells<'_, 5> = serde_json::from_slice(payload)?;
            let kind = self.on_message(&cells, &mut sink);
            if kind.is_err() {
                // It came in all the same: its number is not missing.
                self.count(tail(cells.some().get(2..).unwrap_or_default()).0, sink.out);
            }
            Ok(kind?)
        })
    }

    fn finish(&mut self, out: &mut Output) {
        self.clock.finish(out);
    }
}

impl BitfinexSession {
    fn on_message(&mut self, cells: &Cells<'_, 5>, sink: &mut Sink<'_>) -> Result<FrameKind, Reason> {
        let [number, body, rest @ ..] = cells.some() else { return Err("no channel and body") };
        let number = number.whole().ok_or("the channel is no number")?;
        match body.text().as_deref() {
            Some("hb") => {
                self.note(rest, sink);
                Ok(FrameKind::Heartbeat)
            }
            Some("te") => {
                let [row, rest @ ..] = rest else { return Err("no trade behind `te`") };
                let row = serde_json::from_slice(row.0).map_err(|_| "the trade is no array")?;
                let row = TradeRow::read(&row)?;
                self.on_trade(number, &row, rest, sink)
            }
            Some(kind) => {
                self.note(rest, sink);
                Ok(kind_of_update(kind))
            }
            None => self.on_values(number, *body, rest, sink),
        }
    }

    fn on_trade(
        &mut self,
        number: u64,
        row: &TradeRow,
        rest: &[Token<'_>],
        sink: &mut Sink<'_>,
    ) -> Result<FrameKind, Reason> {
        let sent = self.note(numbers(rest)?, sink);
        if let (None, Ok(time)) = (sent, row.time) {
            self.clock.observe(sink.received_at, time, sink.out);
        }
        let Some((Carried::Trades(symbol), _)) = self.channels.get(&number) else { return Ok(unnamed()) };
        row.put(*symbol, sink);
        Ok(FrameKind::Ticks)
    }

    /// An array behind the channel's number: what it is, the channel tells.
    fn on_values(
        &mut self,
        number: u64,
        body: Token<'_>,
        rest: &[Token<'_>],
        sink: &mut Sink<'_>,
    ) -> Result<FrameKind, Reason> {
        let carried = self.channels.get(&number).map(|(carried, _)| carried.clone());
        match carried {
            Some(Carried::Trades(symbol)) => {
                let rows: Vec<Cells<'_, 4>> =
                    serde_json::from_slice(body.0).map_err(|_| "the past trades are no arrays")?;
                let rows = rows.iter().map(TradeRow::read).collect::<Result<Vec<_>, _>>()?;
                self.note(numbers(rest)?, sink);
                for row in &rows {
                    row.put(symbol, sink).history = true;
                }
                Ok(ticks_or(!rows.is_empty(), "no_trades"))
            }
            Some(Carried::Quotes(symbol)) => {
                let row: Cells<'_, 4> =
                    serde_json::from_slice(body.0).map_err(|_| "the ticker is no array")?;
                let [bid, bid_size, ask, ask_size] =
                    row.all().ok_or("not all of bid and ask in the ticker")?;
                let side = |token: Token<'_>| token.decimal().ok_or("bid or ask of the ticker is no number");
                let sides = [side(bid)?, side(bid_size)?, side(ask)?, side(ask_size)?];
                let sent = self.note(numbers(rest)?, sink);
                self.put_quote(symbol, sent, sides, sink);
                Ok(FrameKind::Ticks)
            }
            Some(Carried::Book) => {
                self.note(rest, sink);
                let is_snapshot = body.0.starts_with(b"[[") || body.0 == b"[]";
                Ok(FrameKind::PassedOver(if is_snapshot { "depth_snapshot" } else { "depth" }))
            }
            Some(Carried::Other(name)) => {
                self.note(rest, sink);
                Ok(FrameKind::PassedOver(name))
            }
            None => {
                self.note(rest, sink);
                Ok(unnamed())
            }
        }
    }

    fn put_quote(
        &mut self,
        symbol: SymbolId,
        sent: Option<Nanos>,
        sides: [Result<Decimal, Rejection>; 4],
        sink: &mut Sink<'_>,
    ) {
        match (sent, quote(None, sides)) {
            (Some(sent), quote) => {
                sink.put(symbol, Ok(sent), quote.map(Event::Quote));
            }
            (None, Ok(quote)) => self.clock.place(symbol, sink.received_at, quote, sink.out),
            (None, Err(rejection)) => sink.put_untimed_rejection(symbol, rejection),
        }
    }

    /// Takes in what stands behind a body, and returns when it was sent.
    fn note(&mut self, rest: &[Token<'_>], sink: &mut Sink<'_>) -> Option<Nanos> {
        let (number, sent) = tail(rest);
        self.count(number, sink.out);
        if let Some(sent) = sent {
            self.clock.observe(sink.received_at, sent, sink.out);
        }
        sent
    }

    fn count(&mut self, number: Option<u64>, out: &mut Output) {
        let Some(number) = number else { return };
        if let Some(last) = self.last.replace(number) {
            if number < last {
                out.notices.push(Notice::Restarted(None));
            } else if number > last + 1 {
                out.notices.push(Notice::Skipped { first: last + 1, last: number - 1 });
            }
        }
    }

    fn on_event(&mut self, said: &Said<'_>, sink: &mut Sink<'_>) -> FrameKind {
        let Some(event) = said.event.text() else {
            return unknown("?");
        };
        match event.as_ref() {
            "subscribed" => self.on_subscribed(said, sink),
            "unsubscribed" => {
                if let Some(number) = said.channel_number() {
                    self.channels.remove(&number);
                }
            }
            "info" => sink.out.notices.extend(info(said)),
            "conf" if said.status.is_some_and(|status| status.0 != br#""OK""#) => {
                sink.out.notices.push(Notice::Complaint("it does not number its messages".to_owned()));
            }
            "conf" | "auth" => {}
            "error" => sink.out.notices.push(match said.stream() {
                Some(stream) => Notice::Refused(vec![stream], said.why()),
                None => Notice::Complaint(said.why()),
            }),
            "pong" => return FrameKind::Heartbeat,
            event => return unknown(event),
        }
        FrameKind::Control
    }

    fn on_subscribed(&mut self, said: &Said<'_>, sink: &mut Sink<'_>) {
        let Some(number) = said.channel_number() else { return };
        let stream = said.stream();
        if self.channels.len() >= CHANNELS_MAX && !self.channels.contains_key(&number) {
            self.channels.pop_first();
        }
        let carried = match (&stream, said.channel.and_then(Token::text).as_deref()) {
            // Funding's channels have other rows.
            (Some(stream), _) if stream.native.starts_with('f') => Carried::Other("funding"),
            (Some(Stream { native, channel }), _) => {
                let symbol = sink.symbols.intern(native.as_bytes());
                match channel {
                    Channel::Trades => Carried::Trades(symbol),
                    Channel::Quotes => Carried::Quotes(symbol),
                }
            }
            (None, Some("book")) => Carried::Book,
            (None, Some("candles")) => Carried::Other("kline"),
            (None, Some("status")) => Carried::Other("status"),
            (None, _) => Carried::Other("other_channel"),
        };
        self.channels.insert(number, (carried, stream.clone()));
        let Some(stream) = stream else { return };
        if let Some(at) = self.unwanted.iter().position(|unwanted| *unwanted == stream) {
            self.unwanted.swap_remove(at);
            sink.out.sends.push(unsubscribe(number));
        }
        sink.out.notices.push(Notice::Acknowledged(vec![stream]));
    }
}

/// The number of a message and when it was sent, which stand behind the body. Either may be missing; no number of a
/// message is as large as a time.
fn tail(rest: &[Token<'_>]) -> (Option<u64>, Option<Nanos>) {
    let (mut number, mut sent) = (None, None);
    for value in rest.iter().skip_while(|value| value.whole().is_none()) {
        match value.time(Unit::Millis) {
            Some(Ok(time)) => sent = Some(time),
            _ => number = value.whole().or(number),
        }
    }
    (number, sent)
}

/// What stands behind a body that is used: whole numbers, or it is another form than the one that is read.
fn numbers<'r, 'a>(rest: &'r [Token<'a>]) -> Result<&'r [Token<'a>], Reason> {
    let are_whole = rest.iter().all(|value| value.whole().is_some());
    if are_whole { Ok(rest) } else { Err("what stands behind the body is no number") }
}

fn kind_of_update(kind: &str) -> FrameKind {
    match kind {
        "tu" => FrameKind::PassedOver("trade_update"),
        "fte" | "ftu" => FrameKind::PassedOver("funding"),
        "cs" => FrameKind::PassedOver("checksum"),
        kind => unknown(kind),
    }
}

/// A frame of a channel whose beginning is not in the capture.
fn unnamed() -> FrameKind {
    unknown("channel without a name")
}

fn unsubscribe(number: u64) -> String {
    serde_json::json!({ "event": "unsubscribe", "chanId": number }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of the frames, one by one, and all that was put out.
    fn run(session: &mut BitfinexSession, frames: &[&str]) -> (Vec<FrameKind>, Output) {
        let (mut symbols, mut out) = (SymbolTable::new("bitfinex"), Output::default());
        let frame = |payload: &&str| {
            let frame = Frame { received_at: Some(1_750_000_000_010_000_000), payload: payload.as_bytes() };
            session.on_frame(frame, &mut symbols, &mut out)
        };
        let kinds = frames.iter().map(frame).collect();
        (kinds, out)
    }

    const TRADES: &str = r#"{"event":"subscribed","channel":"trades","chanId":7,"symbol":"tFOO"}"#;
    const TICKER: &str = r#"{"event":"subscribed","channel":"ticker","chanId":8,"symbol":"tFOO"}"#;

    #[test]
    fn what_a_channel_carries_must_be_whole() {
        let frames = [
            TRADES,
            TICKER,
            "[7,[[1,1750000000000,1]],1]",
            "[7,[1,1750000000000,1,1],2]",
            "[7,{},3]",
            "[8,[1,2,3],4]",
            "[8,[1,2,3,null],5]",
            "[8,7,6]",
            r#"[7,"te",[1,1750000000000,null,5],7]"#,
            r#"[7,"te"]"#,
            "[7]",
            r#"["x",[1]]"#,
        ];
        let (kinds, out) = run(&mut BitfinexSession::default(), &frames);
        assert!(kinds[2..].iter().all(|kind| matches!(kind, FrameKind::Broken(_))), "{kinds:?}");
        assert!(out.ticks.is_empty() && out.offsets.is_empty());
    }

    #[test]
    fn numbers_that_were_jumped_over_are_told() {
        let frames = [r#"[7,"hb",5,1750000000000]"#, r#"[7,"hb",6]"#, r#"[7,"hb",9]"#, r#"[7,"hb",1]"#];
        let (kinds, out) = run(&mut BitfinexSession::default(), &frames);
        assert!(kinds.iter().all(|kind| *kind == FrameKind::Heartbeat));
        assert_eq!(out.notices, [Notice::Skipped { first: 7, last: 8 }, Notice::Restarted(None)]);
    }

    #[test]
    fn a_subscription_is_ended_by_its_number_as_soon_as_that_is_known() {
        let mut session = BitfinexSession::default();
        let streams = [Stream::new("tFOO", Channel::Trades), Stream::new("tFOO", Channel::Quotes)];
        let mut out = Output::default();
        session.subscribe(&streams, 0, &mut out);
        assert_eq!(out.sends[1], r#"{"channel":"ticker","event":"subscribe","symbol":"tFOO"}"#);
        session.unsubscribe(&streams[..1], 0, &mut out);
        assert_eq!(out.sends.len(), 2, "its number is not known yet");
        let (_, answered) = run(&mut session, &[TRADES, TICKER]);
        assert_eq!(answered.sends, [r#"{"chanId":7,"event":"unsubscribe"}"#]);
        session.unsubscribe(&streams[1..], 0, &mut out);
        assert_eq!(out.sends[2], r#"{"chanId":8,"event":"unsubscribe"}"#);
    }

    #[test]
    fn channels_are_remembered_within_bounds() {
        let mut session = BitfinexSession::default();
        for number in 0..2 * CHANNELS_MAX {
            let frame = format!(r#"{{"event":"subscribed","channel":"book","chanId":{number}}}"#);
            run(&mut session, &[&frame]);
        }
        assert_eq!(session.channels.len(), CHANNELS_MAX);
    }
}
