//! tapedeck: an actor-based engine for financial ticks. The modules stand in the order in which a tick meets them.

pub mod config;

pub mod market;

pub mod source;

pub mod stat;

pub mod latency;

pub mod codec;

pub mod store;

pub mod output;

pub mod cli;
