//! What a venue's protocol is to the simulator: paths, messages, frames, and answers about the past.

use std::collections::{BTreeMap, HashMap};

use feeds::live::Channel;
use feeds::time::Nanos;

use super::binance;
use super::bitstamp;
use super::bybit;
use super::coinbase;
use super::deribit;
use super::kraken;
use super::market::View;
use super::okx;
use crate::market::{Change, Instrument, MarketEvent};

/// Every protocol that is spoken.
pub static PROTOCOLS: &[&dyn Protocol] = &[
    // One to a line, this comment sees to that.
    &binance::SPOT,
    &binance::US,
    &binance::USDM,
    &binance::COINM,
    &coinbase::EXCHANGE,
    &kraken::SPOT,
    &okx::PUBLIC,
    &bybit::SPOT,
    &bybit::LINEAR,
    &bybit::INVERSE,
    &deribit::PUBLIC,
    &bitstamp::SPOT,
];

/// The protocol of the venue with this id.
#[must_use]
pub fn by_venue(venue: &str) -> Option<&'static dyn Protocol> {
    PROTOCOLS.iter().copied().find(|protocol| protocol.venue() == venue)
}

/// What the quote currency adds to the name of a made-up instrument.
const QUOTE: &str = "USDT";

/// The base of a made-up instrument: `BTC` of `BTCUSDT`.
pub(super) fn base(instrument: &Instrument) -> &str {
    instrument.native.strip_suffix(QUOTE).unwrap_or(&instrument.native)
}

/// How a venue talks.
pub trait Protocol: Sync {
    /// The venue's id.
    fn venue(&self) -> &'static str;
    /// The name of a made-up instrument on this venue's wire.
    fn native(&self, instrument: &Instrument) -> String;
    /// Seconds between the pings that the venue sends; `None` if it sends none.
    fn ping_seconds(&self) -> Option<u64> {
        None
    }
    /// Most messages that a client may send within a second.
    fn messages_per_second(&self) -> u32 {
        100
    }
    /// What becomes of a message beyond that.
    fn too_many(&self) -> Reply {
        Reply::Close(1008, "Too many requests")
    }
    /// Most trades of one symbol and one millisecond that are put into one frame.
    fn trades_per_frame(&self) -> usize {
        1
    }
    /// A connection to `path`, with what stands behind its question mark; `None` if there is no socket.
    fn open(&self, path: &str, query: &str) -> Option<Box<dyn Conversation>>;
    /// The answer to a request for `path`.
    fn answer(&self, path: &str, query: &Query<'_>, view: &View<'_>) -> Answer;
}

/// One connection of a client. What it is subscribed to stands in [`Streams`].
pub trait Conversation: Send {
    /// The connection is open.
    fn on_open(&mut self, view: &View<'_>, streams: &mut Streams, out: &mut Vec<Reply>) {
        let _ = (view, streams, out);
    }
    /// What a client's message leads to.
    fn on_text(&mut self, text: &str, view: &View<'_>, streams: &mut Streams, out: &mut Vec<Reply>);
    /// A second has passed, and the client has all that happened in the market.
    fn on_second(&mut self, view: &View<'_>, streams: &Streams, out: &mut Vec<Reply>) {
        let _ = (view, streams, out);
    }
    /// Appends the frame of `events`: one quote, or trades of one symbol and one millisecond.
    fn frame(&mut self, events: &[MarketEvent], listing: &Listing, out: &mut Vec<u8>);
    /// What is sent when the connection is about to end, if the venue warns of that.
    fn shutdown(&mut self, now: Nanos) -> Option<String> {
        let _ = now;
        None
    }
}

/// What is done for a client, beside what the market brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// This is sent.
    Text(String),
    /// This is sent, and has in it what happened before: marked as past, or as if it were new.
    Told {
        /// The frame.
        text: String,
        /// What it has in it.
        events: Vec<MarketEvent>,
        /// Trades are marked as past.
        past: bool,
    },
    /// The connection ends, with this code and reason.
    Close(u16, &'static str),
}

/// An answer over HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// JSON.
    pub body: String,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// Trades in it.
    pub trades: Vec<MarketEvent>,
}

impl Answer {
    /// An answer without trades.
    #[must_use]
    pub fn new(status: u16, body: String) -> Answer {
        Answer { status, body, ..Answer::default() }
    }
}

/// What one client is subscribed to, and since which event of the market.
#[derive(Debug, Default)]
pub struct Streams {
    since: BTreeMap<(u32, Channel), u64>,
    /// Subscriptions are taken, and nothing comes.
    pub mute: bool,
}

impl Streams {
    /// Subscribes to what comes after what `view` has. True if that is new.
    pub fn add(&mut self, symbol: u32, channel: Channel, view: &View<'_>) -> bool {
        let new = !self.since.contains_key(&(symbol, channel));
        if new {
            self.since.insert((symbol, channel), view.position());
        }
        new
    }

    /// Ends a subscription. True if there was one.
    pub fn remove(&mut self, symbol: u32, channel: Channel) -> bool {
        self.since.remove(&(symbol, channel)).is_some()
    }

    /// Ends them all.
    pub fn clear(&mut self) {
        self.since.clear();
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.since.len()
    }

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.since.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (u32, Channel)> {
        self.since.keys().copied()
    }

    /// True if `event`, the market's event of this number, is to be sent.
    #[must_use]
    pub fn want(&self, number: u64, event: &MarketEvent) -> bool {
        let channel = channel_of(event);
        !self.mute && self.since.get(&(event.symbol, channel)).is_some_and(|since| number > *since)
    }
}

/// The channel that an event belongs to.
pub(super) fn channel_of(event: &MarketEvent) -> Channel {
    match event.change {
        Change::Trade { .. } => Channel::Trades,
        Change::Quote { .. } => Channel::Quotes,
    }
}

/// The symbols of one venue.
#[derive(Debug)]
pub struct Listing {
    /// What the market has.
    pub instruments: Vec<Instrument>,
    /// Their names on the wire.
    pub natives: Vec<String>,
    by_native: HashMap<String, u32>,
}

impl Listing {
    /// The instruments, under these names.
    #[must_use]
    pub fn new(natives: Vec<String>, instruments: Vec<Instrument>) -> Listing {
        let by_native = natives.iter().zip(0..).map(|(native, index)| (native.clone(), index)).collect();
        Listing { instruments, natives, by_native }
    }

    /// The number of the symbol of this name.
    #[must_use]
    pub fn number(&self, native: &str) -> Option<u32> {
        self.by_native.get(native).copied()
    }

    /// The symbol's name on the wire, and what is fixed about it.
    #[must_use]
    pub fn of(&self, symbol: u32) -> (&str, &Instrument) {
        (&self.natives[symbol as usize], &self.instruments[symbol as usize])
    }
}

/// What stands behind a question mark: `a=1&b=2`.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a>(pub &'a str);

impl<'a> Query<'a> {
    /// The value of `key`, as it stands.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.0
            .split('&')
            .find_map(|pair| pair.split_once('=').filter(|(name, _)| *name == key))
            .map(|it| it.1)
    }

    /// The number that `key` has, if it has any.
    ///
    /// # Errors
    /// If it has something else.
    pub fn number(&self, key: &str) -> Result<Option<u64>, std::num::ParseIntError> {
        self.get(key).map(str::parse).transpose()
    }
}
