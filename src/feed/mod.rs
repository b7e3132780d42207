//! Live feeds: connections to venues.

pub mod delivery;
