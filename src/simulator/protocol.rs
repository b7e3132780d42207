//! What a venue's protocol is to the simulator: paths, messages, frames, and answers about the past.

use std::collections::HashMap;

use feeds::live::Channel;
use feeds::time::Nanos;

use super::binance;
use super::coinbase;
use super::market::Past;
use crate::market::{Instrument, MarketEvent};

/// Every protocol that is spoken.
pub static PROTOCOLS: &[&dyn Protocol] = &[
    // One to a line, this comment sees to that.
    &binance::SPOT,
    &binance::US,
    &binance::USDM,
    &binance::COINM,
    &coinbase::EXCHANGE,
];

/// The protocol of the venue with this id.
#[must_use]
pub fn by_venue(venue: &str) -> Option<&'static dyn Protocol> {
    PROTOCOLS.iter().copied().find(|protocol| protocol.venue() == venue)
}

/// How a venue talks.
pub trait Protocol: Sync {
    /// The venue's id.
    fn venue(&self) -> &'static str;
    /// The instrument's name on this venue's wire.
    fn native(&self, instrument: &Instrument) -> String;
    /// Seconds between the pings that the venue sends; `None` if it sends none.
    fn ping_seconds(&self) -> Option<u64>;
    /// Most messages that a client may send within a second; more end the connection.
    fn messages_per_second(&self) -> u32;
    /// A connection to `path`, with what stands behind its question mark; `None` if there is no socket.
    fn open(&self, path: &str, query: &str) -> Option<Box<dyn Conversation>>;
    /// The answer to a request for `path`.
    fn answer(&self, path: &str, query: &Query<'_>, past: &Past<'_>) -> Answer;
}

/// One connection of a client.
pub trait Conversation: Send {
    /// Subscribes to what the address named.
    fn on_open(&mut self, listing: &Listing);
    /// What a client's message leads to. `now` is the venue's time.
    fn on_text(&mut self, text: &str, listing: &Listing, now: Nanos, out: &mut Vec<Reply>);
    /// True if the client is subscribed to this.
    fn wants(&self, symbol: u32, channel: Channel) -> bool;
    /// How many streams the client is subscribed to.
    fn streams(&self) -> usize;
    /// Appends the frame of `event`.
    fn frame(&mut self, event: &MarketEvent, listing: &Listing, out: &mut Vec<u8>);
    /// What is sent when the connection is about to end, if the venue warns of that.
    fn shutdown(&mut self, now: Nanos) -> Option<String>;
}

/// What is done about a client's message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// This is sent.
    Text(String),
    /// The connection ends, with this code and reason.
    Close(u16, &'static str),
}

/// An answer over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// JSON.
    pub body: String,
}

/// The symbols of one venue.
#[derive(Debug)]
pub struct Listing {
    /// What the market has, the most active first.
    pub instruments: Vec<Instrument>,
    /// Their names on the wire.
    pub natives: Vec<String>,
    by_native: HashMap<String, u32>,
}

impl Listing {
    /// The instruments under the names that `protocol` gives them.
    #[must_use]
    pub fn new(protocol: &dyn Protocol, instruments: Vec<Instrument>) -> Listing {
        let natives: Vec<String> = instruments.iter().map(|it| protocol.native(it)).collect();
        let by_native = natives.iter().zip(0..).map(|(native, index)| (native.clone(), index)).collect();
        Listing { instruments, natives, by_native }
    }

    /// The number of the symbol of this name.
    #[must_use]
    pub fn number(&self, native: &str) -> Option<u32> {
        self.by_native.get(native).copied()
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
}
