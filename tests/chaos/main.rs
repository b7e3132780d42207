//! Feeds, intake, sequencer and symbols against an exchange that does everything wrong, in virtual time: what came and
//! what is told as missing is what was sent, whatever happens, and it is told in time.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should panic")]

/// The exchange: a market, and connections that follow a script.
mod exchange;

/// What goes wrong, and what each of it must come to.
mod modes;

/// What exchanges say: three protocols.
mod protocol;

/// Snapshots, ghosts of earlier connections, counters that begin again.
mod state;

/// The engine around it, and the account.
mod stage;

/// Bytes of WebSocket, right and wrong.
mod wire;
