//! The tape: everything that can change a result, in one numbered order, cut into epochs.
//!
//! [`sequencer`] alone gives numbers. An [`epoch`] is a run of entries that is processed and committed as one;
//! nothing depends on where it is cut. [`clock`] says when time alone changes a symbol.

pub mod clock;
pub mod cut;
mod ends;
pub mod epoch;
pub mod marks;
mod missing;
mod pacer;
mod received;
mod ruling;
pub mod sequencer;
mod staged;
#[cfg(test)]
mod tests;

pub use cut::Cut;
pub use epoch::{Arrival, Epoch, Sequenced, Share};
pub use pacer::Pacer;
pub use sequencer::Sequencer;
