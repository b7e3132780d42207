//! A made-up venue whose frames are words: `trade A 7`, `ack A:trades`, `refuse A:trades`, `newest A 7`, `ending`.

use feeds::frame::{Frame, FrameError, FrameKind};
use feeds::live::{Channel, Live, Notice, Rate, Route, Stream, Ticket};
use feeds::number::Decimal;
use feeds::symbol::SymbolTable;
use feeds::tick::{Event, Side, Tick, Trade};
use feeds::time::Nanos;
use feeds::venue::{DuplicateKey, Endpoint, Output, Session, Venue};

/// The limits of the made-up venue; tests change what they are about.
pub(super) const LIVE: Live = Live {
    routes: &[Route::all("wss://foo.example/stream")],
    streams_per_connection: 10,
    streams_per_request: 5,
    requests: Rate::new(5, 1),
    connects: Rate::new(300, 300),
    ping_seconds: None,
    dead_seconds: 60,
    lifetime_seconds: None,
};

/// A venue of these limits, for as long as the test process lives.
pub(super) fn venue(live: Live) -> &'static Foo {
    Box::leak(Box::new(Foo { id: "foo", live, ticket: None }))
}

/// One of another name, at another address.
pub(super) fn named(id: &'static str, url: &'static str, live: Live) -> &'static Foo {
    let routes = Box::leak(Box::new([Route::all(url)]));
    Box::leak(Box::new(Foo { id, live: Live { routes, ..live }, ticket: None }))
}

/// One whose address has to be asked for.
pub(super) fn with_ticket(live: Live, ticket: &'static dyn Ticket) -> &'static Foo {
    Box::leak(Box::new(Foo { id: "foo", live, ticket: Some(ticket) }))
}

pub(super) struct Foo {
    id: &'static str,
    live: Live,
    ticket: Option<&'static dyn Ticket>,
}

impl Venue for Foo {
    fn id(&self) -> &'static str {
        self.id
    }

    fn name(&self) -> &'static str {
        "Foo"
    }

    fn endpoints(&self) -> &'static [Endpoint] {
        &[]
    }

    fn trade_key(&self) -> DuplicateKey {
        DuplicateKey::Contiguous
    }

    fn quote_key(&self) -> DuplicateKey {
        DuplicateKey::None
    }

    fn channels(&self) -> &'static [&'static str] {
        &["trades"]
    }

    fn fields(&self) -> &'static str {
        ""
    }

    fn completeness(&self) -> &'static str {
        "ids"
    }

    fn recognises(&self, _: &[u8]) -> bool {
        false
    }

    fn open(&self) -> Box<dyn Session> {
        Box::new(FooSession)
    }

    fn live(&self) -> Option<&'static Live> {
        Some(Box::leak(Box::new(self.live)))
    }

    fn native(&self, written: &str) -> String {
        written.to_ascii_uppercase()
    }

    fn ticket(&self) -> Option<&'static dyn Ticket> {
        self.ticket
    }
}

struct FooSession;

fn words(verb: &str, streams: &[Stream]) -> String {
    let names = streams.iter().map(|stream| format!(" {}:{}", stream.native, stream.channel.name()));
    format!("{verb}{}", names.collect::<String>())
}

fn stream(word: &str) -> Option<Stream> {
    let (native, channel) = word.split_once(':')?;
    Some(Stream::new(native, Channel::by_name(channel)?))
}

impl Session for FooSession {
    fn subscribe(&mut self, streams: &[Stream], _: Nanos, out: &mut Output) {
        out.sends.push(words("subscribe", streams));
    }

    fn unsubscribe(&mut self, streams: &[Stream], _: Nanos, out: &mut Output) {
        out.sends.push(words("unsubscribe", streams));
    }

    fn ping(&mut self, _: Nanos, out: &mut Output) {
        out.sends.push("alive".to_owned());
    }

    fn on_frame(&mut self, frame: Frame<'_>, symbols: &mut SymbolTable, out: &mut Output) -> FrameKind {
        let text = String::from_utf8_lossy(frame.payload).into_owned();
        let words: Vec<&str> = text.split(' ').collect();
        match words.as_slice() {
            ["trade", native, id] => {
                let (symbol, id) = (symbols.intern(native.as_bytes()), id.parse().ok());
                let one = Decimal::parse(b"1").unwrap();
                let event = Event::Trade(Trade::new(id, one, one, Side::Buy));
                out.ticks.push(Tick::new(symbol, 1_800_000_000_000_000_000, frame.received_at, event));
                FrameKind::Ticks
            }
            ["newest", native, id] => {
                let symbol = symbols.intern(native.as_bytes());
                out.notices.push(Notice::Newest { symbol, id: id.parse().unwrap_or(0) });
                FrameKind::Heartbeat
            }
            ["ack", names @ ..] => {
                let streams = names.iter().filter_map(|name| stream(name)).collect();
                out.notices.push(Notice::Acknowledged(streams));
                FrameKind::Control
            }
            ["refuse", names @ ..] => {
                let streams = names.iter().filter_map(|name| stream(name)).collect();
                out.notices.push(Notice::Refused(streams, "no such symbol".to_owned()));
                FrameKind::Control
            }
            ["skipped", first, last] => {
                let (first, last) = (first.parse().unwrap_or(0), last.parse().unwrap_or(0));
                out.notices.push(Notice::Skipped { first, last });
                FrameKind::Control
            }
            ["ask"] => {
                out.sends.push("answer".to_owned());
                FrameKind::Heartbeat
            }
            ["ending"] => {
                out.notices.push(Notice::Ending("maintenance".to_owned()));
                FrameKind::Control
            }
            ["heartbeat"] => FrameKind::Heartbeat,
            _ => FrameKind::Broken(FrameError::new("no word of ours", frame.payload)),
        }
    }

    fn finish(&mut self, _: &mut Output) {}
}
