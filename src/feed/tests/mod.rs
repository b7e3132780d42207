//! Feeds against a scripted server, over pipes in memory, in virtual time: nothing here waits for a clock.

mod server;
mod session;
mod venue;
