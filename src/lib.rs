//! tapedeck: an actor-based engine for financial ticks. The modules stand in the order in which a tick meets them.

pub mod clock;

pub mod config;

pub mod market;

pub mod feed;

pub mod simulator;

pub mod source;

pub mod tape;

pub mod stat;

pub mod window;

pub mod rule;

pub mod symbol;

pub mod alert;

pub mod latency;

pub mod codec;

pub mod actors;

pub mod schema;

pub mod commit;

pub mod replay;

pub mod live;

pub mod store;

pub mod query;

pub mod output;

pub mod sink;

pub mod view;

pub mod serve;

pub mod follow;

pub mod cli;
