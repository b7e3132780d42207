//! Windows over event time: slices of a symbol's stream, merged along chains of windows.
//!
//! A tick updates the one slice that it falls into, whatever the number of windows. Slices lie between the edges of
//! all windows; longer windows are merges of shorter ones where one divides the other ([`plan`]). What each symbol
//! keeps of them is in [`state`]: the slices that may still change, and behind the watermark one settled part per
//! window. Pure: no clock, no task, no store.

pub mod flags;
pub mod live;
mod past;
pub mod plan;
pub(crate) mod slice;
pub mod state;

#[cfg(test)]
pub(crate) mod tests;

pub use flags::Flags;
pub use live::Live;
pub use plan::{Plan, Window};
pub use state::{Emission, Moment, Placed, Windows};
