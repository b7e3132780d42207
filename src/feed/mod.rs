//! Live feeds: connections to venues, opened, subscribed, watched and replaced, for as long as the process runs.
//!
//! [`plan`] spreads streams over connections, one [`slot`] for each. A slot's actor keeps one connection open, and a
//! second one while the first is being replaced; what comes in goes to the sequencer as [`delivery::Delivery`].

pub mod actor;
pub mod address;
pub(crate) mod ask;
pub mod backfill;
pub mod backoff;
pub mod budget;
mod carried;
pub mod connection;
pub mod delivery;
pub mod dial;
pub mod feeds;
mod inbound;
pub mod intake;
pub mod keeper;
mod open;
mod overlap;
pub mod plan;
pub mod slot;
pub mod warden;
pub mod watch;

#[cfg(test)]
mod tests;

pub use delivery::{ConnectionId, Decoded, Delivery, RawFrame};
pub use feeds::{FeedError, FeedOptions, FeedSpec, Feeds};
pub use slot::ConnectionStatus;
