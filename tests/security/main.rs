//! Who is answered over HTTP and who is not: each with its exact status or close code, while others are served.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

/// Bounds: too many connections, too many requests, too slow.
mod bounds;

/// What changes something, and what comes of it.
mod control;

/// WebSockets: upgrades that are none, frames that may not be.
mod frames;

/// What is logged, which no token is.
mod logs;

/// One request each: tokens, origins, sizes, methods.
mod requests;

/// A served run, clients of it, and one that is well behaved.
mod stage;

/// TLS, and who does not speak it.
mod tls;
