//! A venue of our own, so that captures can be tested apart from any real one.

use feeds::frame::{Frame, FrameError, FrameKind};
use feeds::number::Decimal;
use feeds::symbol::SymbolTable;
use feeds::tick::{Event, Rejection, Side, Tick, Trade};
use feeds::venue::{DuplicateKey, Endpoint, Output, Session, Venue};

/// Frames are `{"SYMBOL":"PRICE"}`, `{}` (a sign of life), or broken. The trade's id counts the session's frames.
pub(crate) struct Made {
    pub(crate) id: &'static str,
    pub(crate) mark: u8,
    pub(crate) endpoints: &'static [Endpoint],
}

pub(crate) static VENUES: &[&dyn Venue] = &[
    &Made { id: "short", mark: b'S', endpoints: &[Endpoint { host: "made.example", path: "" }] },
    &Made { id: "long", mark: b'L', endpoints: &[Endpoint { host: "made.example", path: "/long" }] },
];

struct MadeSession {
    frames: u64,
}

impl Venue for Made {
    fn live(&self) -> Option<&'static feeds::live::Live> {
        None
    }

    fn id(&self) -> &'static str {
        self.id
    }
    fn name(&self) -> &'static str {
        "Made up"
    }
    fn endpoints(&self) -> &'static [Endpoint] {
        self.endpoints
    }
    fn trade_key(&self) -> DuplicateKey {
        DuplicateKey::Row
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
        "nothing shows"
    }
    fn recognises(&self, payload: &[u8]) -> bool {
        payload.get(2) == Some(&self.mark)
    }
    fn open(&self) -> Box<dyn Session> {
        Box::new(MadeSession { frames: 0 })
    }
}

impl Session for MadeSession {
    fn on_frame(&mut self, frame: Frame<'_>, symbols: &mut SymbolTable, out: &mut Output) -> FrameKind {
        self.frames += 1;
        if frame.payload == b"{}" {
            out.sends.push("pong".to_owned());
            return FrameKind::Heartbeat;
        }
        let mut parts = frame.payload.split(|byte| *byte == b'"');
        let (Some(symbol), Some(price)) = (parts.nth(1), parts.nth(1)) else {
            return FrameKind::Broken(FrameError::new("not a made-up frame", frame.payload));
        };
        let symbol = symbols.intern(symbol);
        let event = match Decimal::parse(price) {
            Ok(price) => Event::Trade(Trade::new(Some(self.frames), price, Decimal::new(1, 0), Side::Buy)),
            Err(_) => Event::Rejected(Rejection::BadNumber),
        };
        let time = frame.received_at.unwrap_or(0) - 1_000;
        out.ticks.push(Tick::new(symbol, time, frame.received_at, event));
        FrameKind::Ticks
    }

    fn finish(&mut self, _out: &mut Output) {}
}
