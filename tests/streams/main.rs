//! The alert log and the windows over HTTP: pages, WebSockets and server-sent events, as clients see them over real
//! sockets on loopback.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod client;
mod events;
mod follow;
mod load;
mod open;
mod pages;
mod sockets;
mod support;
mod windows;
