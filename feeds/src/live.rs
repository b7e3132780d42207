//! What it takes to reach a venue and to keep its streams: limits and addresses as data, and what a session says back.
//!
//! Nothing here is done; whoever holds the socket does it.

use serde::{Deserialize, Serialize};

use crate::frame::FrameError;
use crate::symbol::{SymbolId, SymbolTable};
use crate::tick::Tick;
use crate::time::Nanos;

/// A kind of stream that a symbol has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// Trades.
    Trades,
    /// Best bid and ask.
    Quotes,
}

impl Channel {
    /// All of them, in the order of configurations and listings.
    pub const ALL: [Channel; 2] = [Channel::Trades, Channel::Quotes];

    /// The name in configurations.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Channel::Trades => "trades",
            Channel::Quotes => "quotes",
        }
    }

    /// The channel of this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Channel> {
        Channel::ALL.into_iter().find(|channel| channel.name() == name)
    }
}

/// What is subscribed, acknowledged and watched: one channel of one symbol.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stream {
    /// The symbol as on the wire.
    pub native: String,
    /// Which of its channels.
    pub channel: Channel,
}

impl Stream {
    /// `channel` of `native`.
    #[must_use]
    pub fn new(native: impl Into<String>, channel: Channel) -> Stream {
        Stream { native: native.into(), channel }
    }
}

/// At most `count` within any `seconds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In how long.
    pub seconds: u32,
}

impl Rate {
    /// At most `count` within any `seconds`.
    #[must_use]
    pub const fn new(count: u32, seconds: u32) -> Rate {
        Rate { count, seconds }
    }
}

/// A kind of connection: most venues have one, some serve channels or symbols from different addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The whole address, `wss://…`.
    pub url: &'static str,
    /// The channels that it carries.
    pub channels: &'static [Channel],
    /// What the symbols that it carries end with; empty for any.
    pub ending: &'static str,
}

impl Route {
    /// A route that carries everything.
    #[must_use]
    pub const fn all(url: &'static str) -> Route {
        Route { url, channels: &Channel::ALL, ending: "" }
    }

    /// True if `stream` can be had there.
    #[must_use]
    pub fn carries(&self, stream: &Stream) -> bool {
        self.channels.contains(&stream.channel) && stream.native.ends_with(self.ending)
    }
}

/// A venue's limits and habits, as its documentation has them. Where the documentation is silent, the careful side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Live {
    /// Where to connect: the first one that carries a stream has it.
    pub routes: &'static [Route],
    /// Most streams of one connection.
    pub streams_per_connection: usize,
    /// Most streams in one subscribing message; [`crate::venue::Session::subscribe`] gets no more at a time.
    pub streams_per_request: usize,
    /// Messages that one connection may send.
    pub requests: Rate,
    /// Connections that one address may open.
    pub connects: Rate,
    /// How often [`crate::venue::Session::ping`] is due; `None` if WebSocket's own pings are enough.
    pub ping_seconds: Option<u32>,
    /// A connection on which nothing at all came in for so long is dead. Longer than the venue's own sign of life.
    pub dead_seconds: u32,
    /// When the venue ends a connection by itself.
    pub lifetime_seconds: Option<u32>,
}

impl Live {
    /// The place in [`Live::routes`] of the route that carries `stream`.
    #[must_use]
    pub fn route(&self, stream: &Stream) -> Option<usize> {
        self.routes.iter().position(|route| route.carries(stream))
    }
}

/// What a session has to say beside ticks. None of it changes a tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The venue confirms these subscriptions.
    Acknowledged(Vec<Stream>),
    /// The venue refuses these (all that are known of; perhaps none), and says why.
    Refused(Vec<Stream>, String),
    /// The venue will end the connection, or asks for another one.
    Ending(String),
    /// The venue complains of something else.
    Complaint(String),
    /// Its counter of the connection's messages jumped: these numbers are missing, whosever they were.
    Skipped {
        /// The first number missing.
        first: u64,
        /// The last number missing.
        last: u64,
    },
    /// A counter began again: of this symbol, or of the connection.
    Restarted(Option<SymbolId>),
    /// A sign of life by the venue itself which names the newest trade of a symbol: a later one than was seen means a
    /// gap.
    Newest {
        /// Whose.
        symbol: SymbolId,
        /// The newest trade's id.
        id: u64,
    },
}

/// Asking for the address of a connection, where it is not constant.
pub trait Ticket: Sync {
    /// The address to post an empty body to.
    fn url(&self) -> &'static str;
    /// What the answer grants. `number` tells this process's connections apart.
    ///
    /// # Errors
    /// If the answer is none.
    fn admission(&self, answer: &[u8], number: u64) -> Result<Admission, FrameError>;
}

/// What a ticket grants: one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The whole address, `wss://…`.
    pub address: String,
    /// How often [`crate::venue::Session::ping`] is due there, in place of [`Live::ping_seconds`].
    pub ping_seconds: Option<u32>,
}

/// Asking for trades of the past by their ids, to close a gap.
///
/// Where ids count up with holes, or trades are asked for by time, an answer may end before the last one wanted. Whoever
/// asks goes on behind the last trade that came.
pub trait PastTrades: Sync {
    /// How trades are asked for and how far back that reaches, in a few words.
    fn reach(&self) -> &'static str;
    /// Scheme and host: `https://api.binance.com`.
    fn host(&self) -> &'static str;
    /// Most trades of one answer.
    fn per_request(&self) -> u64;
    /// Requests that one address may make.
    fn requests(&self) -> Rate;
    /// Path and query of the request for these trades; no more than [`PastTrades::per_request`] of them.
    fn path(&self, range: &PastRange<'_>) -> String;
    /// The trades of an answer, in the order of their ids, none outside `first` to `last`.
    ///
    /// # Errors
    /// If the answer is none. Nothing is appended then.
    fn decode(
        &self,
        request: &PastRequest<'_>,
        symbols: &mut SymbolTable,
        out: &mut Vec<Tick>,
    ) -> Result<(), FrameError>;
}

/// Which trades of the past are wanted.
#[derive(Clone, Copy, Debug)]
pub struct PastRange<'a> {
    /// The symbol as on the wire.
    pub native: &'a str,
    /// The first id.
    pub first: u64,
    /// The last id.
    pub last: u64,
    /// When the trade before the first one happened, for venues that are asked by time.
    pub after: Nanos,
    /// When the trade behind the last one happened.
    pub before: Nanos,
}

/// What was asked for, and what was answered.
#[derive(Clone, Copy, Debug)]
pub struct PastRequest<'a> {
    /// The symbol as on the wire.
    pub native: &'a str,
    /// The first id asked for.
    pub first: u64,
    /// The last id asked for.
    pub last: u64,
    /// When the answer came in.
    pub received_at: Nanos,
    /// The answer.
    pub body: &'a [u8],
}
