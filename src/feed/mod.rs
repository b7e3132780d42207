//! Live feeds: connections to venues.

pub mod delivery;
pub mod intake;
