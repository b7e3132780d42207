//! Feeds against a scripted server, over pipes in memory, in virtual time: nothing here waits for a clock.

mod lifetimes;
mod outages;
mod overlap;
mod refusals;
mod server;
mod session;
mod silence;
mod symbols;
mod tickets;
mod venue;
