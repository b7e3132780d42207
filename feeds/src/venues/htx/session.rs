//! One connection to HTX: which of its frames are ticks, and what it is answered.

use std::borrow::Cow;

use serde::Deserialize;

use super::inflate::Inflater;
use crate::frame::{Frame, FrameKind};
use crate::json::{Sink, Token, quote, trade};
use crate::live::{Channel, Notice, Stream};
use crate::number::Decimal;
use crate::offset::VenueClock;
use crate::requests::Requests;
use crate::symbol::SymbolTable;
use crate::tick::{Event, Rejection, Side};
use crate::time::{Nanos, Unit};
use crate::venue::{Output, Session};
use crate::verdict::{Fault, kind_of, ticks_or, unknown};

/// Kinds of topics that are known and not used, by how they begin, with the name of their kind.
const PASSED_OVER: &[(&str, &str)] = &[
    ("depth.size_", "depth"),
    ("depth.", "depth_snapshot"),
    ("mbp.refresh.", "depth_snapshot"),
    ("mbp.", "depth"),
    ("kline.", "kline"),
    ("detail", "ticker"),
    ("ticker", "ticker"),
];

/// A frame. Subscriptions and signs of life have the same form with other fields.
#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub(super) ch: Option<Token<'a>>,
    #[serde(borrow)]
    ts: Option<Token<'a>>,
    #[serde(borrow)]
    pub(super) tick: Option<Token<'a>>,
    #[serde(borrow)]
    ping: Option<Token<'a>>,
    #[serde(borrow)]
    op: Option<Token<'a>>,
    #[serde(borrow)]
    id: Option<Token<'a>>,
    #[serde(borrow)]
    status: Option<Token<'a>>,
    #[serde(borrow)]
    subbed: Option<Token<'a>>,
    #[serde(borrow, rename = "err-msg")]
    error: Option<Token<'a>>,
}

#[derive(Deserialize)]
struct Trades<'a> {
    #[serde(borrow)]
    data: Vec<TradeRow<'a>>,
}

#[derive(Deserialize)]
struct TradeRow<'a> {
    #[serde(borrow)]
    id: Token<'a>,
    #[serde(borrow, rename = "tradeId")]
    trade_id: Option<Token<'a>>,
    #[serde(borrow)]
    ts: Token<'a>,
    #[serde(borrow)]
    amount: Token<'a>,
    #[serde(borrow)]
    price: Token<'a>,
    #[serde(borrow)]
    direction: Token<'a>,
}

/// Spot has prices and sizes in fields of their own, swaps in pairs.
#[derive(Deserialize)]
struct Best<'a> {
    #[serde(borrow)]
    bid: Option<Token<'a>>,
    #[serde(borrow)]
    ask: Option<Token<'a>>,
    #[serde(borrow, rename = "bidSize")]
    bid_size: Option<Token<'a>>,
    #[serde(borrow, rename = "askSize")]
    ask_size: Option<Token<'a>>,
    #[serde(borrow, rename = "seqId")]
    seq_id: Option<Token<'a>>,
    #[serde(borrow)]
    version: Option<Token<'a>>,
    #[serde(borrow, rename = "quoteTime")]
    quote_time: Option<Token<'a>>,
    #[serde(borrow)]
    ts: Option<Token<'a>>,
}

/// What a connection remembers.
#[derive(Default)]
pub(super) struct HtxSession {
    clock: VenueClock,
    inflater: Inflater,
    requests: Requests,
}

impl Session for HtxSession {
    fn subscribe(&mut self, streams: &[Stream], _now: Nanos, out: &mut Output) {
        self.ask("sub", streams, out);
    }

    fn unsubscribe(&mut self, streams: &[Stream], _now: Nanos, out: &mut Output) {
        self.ask("unsub", streams, out);
    }

    fn on_frame(&mut self, frame: Frame<'_>, symbols: &mut SymbolTable, out: &mut Output) -> FrameKind {
        let HtxSession { clock, inflater, requests } = self;
        let mut sink = Sink { received_at: frame.received_at, symbols, out };
        // Trimming would cut a gzip that ends in what reads as white space.
        match inflater.text(frame.payload) {
            Ok(text) => kind_of(text, |text| on_text(text, clock, requests, &mut sink)),
            Err(fault) => kind_of(frame.payload, |_| Err(fault)),
        }
    }

    fn text<'s>(&'s self, payload: &'s [u8]) -> &'s [u8] {
        self.inflater.last(payload)
    }

    fn finish(&mut self, out: &mut Output) {
        self.clock.finish(out);
    }
}

impl HtxSession {
    fn ask(&mut self, verb: &str, streams: &[Stream], out: &mut Output) {
        for stream in streams {
            let id = match verb {
                "sub" => self.requests.number(std::slice::from_ref(stream)),
                _ => self.requests.number_of_none(),
            };
            out.sends.push(serde_json::json!({ verb: topic(stream), "id": id.to_string() }).to_string());
        }
    }
}

fn on_text(
    text: &[u8],
    clock: &mut VenueClock,
    requests: &mut Requests,
    sink: &mut Sink<'_>,
) -> Result<FrameKind, Fault> {
    let message: Message<'_> = serde_json::from_slice(text)?;
    let (Some(ch), Some(tick)) = (message.ch, message.tick) else {
        return Ok(on_other(&message, requests, sink.out));
    };
    let topic = ch.text().ok_or("the channel is no text")?;
    let (symbol, kind) = parts(&topic).ok_or("a channel of another form")?;
    let sent = message.ts.and_then(|ts| ts.time(Unit::Millis));
    match kind {
        "trade.detail" => on_trades(symbol, tick, sent, clock, sink),
        "bbo" => on_quote(symbol, tick, sent, clock, sink),
        _ => {
            observe(sent, clock, sink);
            let known = PASSED_OVER.iter().find(|(start, _)| kind.starts_with(start));
            Ok(known.map_or_else(|| unknown(kind), |(_, name)| FrameKind::PassedOver(name)))
        }
    }
}

type Sent = Option<Result<Nanos, crate::time::TimeError>>;

fn observe(sent: Sent, clock: &mut VenueClock, sink: &mut Sink<'_>) {
    if let Some(Ok(sent)) = sent {
        clock.observe(sink.received_at, sent, sink.out);
    }
}

fn on_trades(
    symbol: &str,
    tick: Token<'_>,
    sent: Sent,
    clock: &mut VenueClock,
    sink: &mut Sink<'_>,
) -> Result<FrameKind, Fault> {
    let rows: Trades<'_> = serde_json::from_slice(tick.0)?;
    let mut trades = Vec::with_capacity(rows.data.len());
    for row in &rows.data {
        let price = row.price.decimal().ok_or("a price that is no number")?;
        let size = row.amount.decimal().ok_or("an amount that is no number")?;
        let time = row.ts.time(Unit::Millis).ok_or("a trade's time that is no number")?;
        let side = match row.direction.0 {
            br#""buy""# => Side::Buy,
            br#""sell""# => Side::Sell,
            _ => return Err("a direction that is neither buy nor sell".into()),
        };
        let id = row.trade_id.unwrap_or(row.id);
        id.number().ok_or("an id that is no number")?;
        trades.push((time, trade(id.whole(), price, size, side)));
    }
    observe(sent, clock, sink);
    let symbol = sink.symbols.intern(symbol.as_bytes());
    let any = !trades.is_empty();
    for (time, event) in trades {
        sink.put(symbol, time, event);
    }
    Ok(ticks_or(any, "trade"))
}

fn on_quote(
    symbol: &str,
    tick: Token<'_>,
    sent: Sent,
    clock: &mut VenueClock,
    sink: &mut Sink<'_>,
) -> Result<FrameKind, Fault> {
    let best: Best<'_> = serde_json::from_slice(tick.0)?;
    let (bid, bid_size) = side(best.bid, best.bid_size)?;
    let (ask, ask_size) = side(best.ask, best.ask_size)?;
    let time = best.quote_time.or(best.ts).ok_or("a quote without a time")?;
    let time = time.time(Unit::Millis).ok_or("a quote's time that is no number")?;
    let id = match best.seq_id.or(best.version) {
        Some(id) => Some(id.whole().ok_or("a quote's number that is none")?),
        None => None,
    };
    observe(sent, clock, sink);
    let symbol = sink.symbols.intern(symbol.as_bytes());
    sink.put(symbol, time, quote(id, [bid, bid_size, ask, ask_size]).map(Event::Quote));
    Ok(FrameKind::Ticks)
}

type Number = Result<Decimal, Rejection>;

/// Price and size of one side; both are zero where there is no order.
fn side(price: Option<Token<'_>>, size: Option<Token<'_>>) -> Result<(Number, Number), Fault> {
    let none = (Ok(Decimal::new(0, 0)), Ok(Decimal::new(0, 0)));
    let (price, size) = match (price, size) {
        (None, None) => return Ok(none),
        (Some(pair), None) => {
            let pair: Vec<Token<'_>> = serde_json::from_slice(pair.0)?;
            match pair[..] {
                [] => return Ok(none),
                [price, size] => (price, size),
                _ => return Err("a side that is no pair".into()),
            }
        }
        (Some(price), Some(size)) => (price, size),
        (None, Some(_)) => return Err("a size without a price".into()),
    };
    let number = |token: Token<'_>| token.decimal().ok_or("a side that is no number");
    Ok((number(price)?, number(size)?))
}

/// A frame without a tick: a question, or an answer.
fn on_other(message: &Message<'_>, requests: &mut Requests, out: &mut Output) -> FrameKind {
    if let Some(digits) = message.ping.and_then(Token::whole) {
        out.sends.push(format!(r#"{{"pong":{digits}}}"#));
        return FrameKind::Heartbeat;
    }
    let Some(status) = message.status.and_then(Token::text) else {
        return on_operation(message, out);
    };
    let id = message.id.and_then(Token::whole);
    if status == "ok" {
        let asked = id.and_then(|id| requests.answered(id)).filter(|streams| !streams.is_empty());
        let told =
            || message.subbed.and_then(Token::text).and_then(|topic| stream(&topic)).map(|one| vec![one]);
        // An answer to `unsub` confirms nothing that is wanted.
        if message.subbed.is_some()
            && let Some(streams) = asked.or_else(told)
        {
            out.notices.push(Notice::Acknowledged(streams));
        }
    } else {
        let why = message.error.and_then(Token::text).unwrap_or(status);
        out.notices.push(requests.refused(id, why.into_owned()));
    }
    FrameKind::Control
}

/// A frame that names its operation, as those of the notifications do.
fn on_operation(message: &Message<'_>, out: &mut Output) -> FrameKind {
    let name = message.op.or(message.ch).and_then(Token::text);
    match name.as_deref() {
        Some("ping") => {
            let time = message.ts.and_then(Token::whole).unwrap_or_default();
            out.sends.push(format!(r#"{{"op":"pong","ts":{time}}}"#));
            FrameKind::Heartbeat
        }
        Some("close") => {
            out.notices.push(Notice::Ending("close".to_owned()));
            FrameKind::Control
        }
        name => unknown(name.unwrap_or_default()),
    }
}

/// Symbol and kind of `market.<symbol>.<kind>`.
fn parts(topic: &str) -> Option<(&str, &str)> {
    topic.strip_prefix("market.")?.split_once('.').filter(|(symbol, _)| !symbol.is_empty())
}

/// The symbol in a channel's name.
pub(super) fn native(ch: Token<'_>) -> Option<Cow<'_, str>> {
    match ch.text()? {
        Cow::Borrowed(topic) => Some(Cow::Borrowed(parts(topic)?.0)),
        Cow::Owned(topic) => Some(Cow::Owned(parts(&topic)?.0.to_owned())),
    }
}

fn topic(stream: &Stream) -> String {
    let kind = match stream.channel {
        Channel::Trades => "trade.detail",
        Channel::Quotes => "bbo",
    };
    format!("market.{}.{kind}", stream.native)
}

fn stream(topic: &str) -> Option<Stream> {
    let (native, kind) = parts(topic)?;
    match kind {
        "trade.detail" => Some(Stream::new(native, Channel::Trades)),
        "bbo" => Some(Stream::new(native, Channel::Quotes)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::tick::Tick;
    use crate::venue::Venue;

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn decode(payload: &[u8]) -> (FrameKind, Vec<Tick>, Output) {
        let (mut symbols, mut out) = (SymbolTable::new("htx"), Output::default());
        let frame = Frame { received_at: Some(1_700_000_000_020_000_000), payload };
        let kind = HtxSession::default().on_frame(frame, &mut symbols, &mut out);
        (kind, std::mem::take(&mut out.ticks), out)
    }

    const TRADE: &str = r#"{"ch":"market.foousdt.trade.detail","ts":1700000000005,"tick":{"id":9,"ts":1700000000004,
        "data":[{"id":100182534526255757567432481,"ts":1700000000004,"tradeId":71,"amount":5.0E-1,"price":1E2,
        "direction":"buy"}]}}"#;

    #[test]
    fn frames_in_gzip_are_those_without() {
        let (plain, packed) = (decode(TRADE.as_bytes()), decode(&gzip(TRADE)));
        assert_eq!(plain.0, FrameKind::Ticks);
        assert_eq!(format!("{:?}", plain.1[0].event), "Trade(trade Some(71) 0.5 @ 100 Buy)");
        assert_eq!((plain.0, plain.1), (packed.0, packed.1));
        assert!(super::super::SPOT.recognises(&gzip(TRADE)));
    }

    #[test]
    fn a_damaged_frame_is_broken() {
        let whole = gzip(TRADE);
        for cut in 2..whole.len() {
            assert!(matches!(decode(&whole[..cut]).0, FrameKind::Broken(_)), "cut at {cut}");
        }
        assert_eq!(decode(&gzip(" ")).0, FrameKind::Blank);
    }

    #[test]
    fn an_id_beyond_64_bits_is_no_id() {
        let (kind, ticks, _) = decode(TRADE.replace(r#""tradeId":71,"#, "").as_bytes());
        assert_eq!(kind, FrameKind::Ticks);
        assert_eq!(format!("{:?}", ticks[0].event), "Trade(trade None 0.5 @ 100 Buy)");
    }

    #[test]
    fn a_ping_is_answered() {
        let (kind, _, out) = decode(&gzip(r#"{"ping":1700000000000}"#));
        assert_eq!((kind, out.sends), (FrameKind::Heartbeat, vec![r#"{"pong":1700000000000}"#.to_owned()]));
    }

    #[test]
    fn subscriptions_are_asked_for_and_answered() {
        let (mut symbols, mut out) = (SymbolTable::new("htx"), Output::default());
        let mut session = HtxSession::default();
        let (trades, quotes) =
            (Stream::new("foousdt", Channel::Trades), Stream::new("BAR-USDT", Channel::Quotes));
        session.subscribe(std::slice::from_ref(&trades), 0, &mut out);
        session.subscribe(std::slice::from_ref(&quotes), 0, &mut out);
        session.unsubscribe(std::slice::from_ref(&trades), 0, &mut out);
        assert_eq!(out.sends[0], r#"{"id":"1","sub":"market.foousdt.trade.detail"}"#);
        assert_eq!(out.sends[1], r#"{"id":"2","sub":"market.BAR-USDT.bbo"}"#);
        session.unsubscribe(std::slice::from_ref(&quotes), 0, &mut out);
        assert_eq!(out.sends[2], r#"{"id":"3","unsub":"market.foousdt.trade.detail"}"#);
        for answer in [
            r#"{"id":"1","status":"ok","subbed":"market.foousdt.trade.detail","ts":1}"#,
            r#"{"status":"error","ts":1,"id":"2","err-code":"bad-request","err-msg":"invalid topic"}"#,
            r#"{"id":"3","status":"ok","unsubbed":"market.foousdt.trade.detail","ts":1}"#,
            r#"{"status":"error","ts":1,"id":"4","err-code":"bad-request","err-msg":"not subscribed"}"#,
            r#"{"id":77,"status":"ok","subbed":"market.BAR-USDT.bbo","ts":1}"#,
        ] {
            let frame = Frame { received_at: None, payload: &gzip(answer) };
            assert_eq!(session.on_frame(frame, &mut symbols, &mut out), FrameKind::Control);
        }
        let refused = Notice::Refused(vec![quotes.clone()], "invalid topic".to_owned());
        let confirmed = |stream| Notice::Acknowledged(vec![stream]);
        assert_eq!(
            out.notices,
            [confirmed(trades), refused, Notice::Complaint("not subscribed".to_owned()), confirmed(quotes)]
        );
    }
}
