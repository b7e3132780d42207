//! Market-data frames and files to ticks.
//!
//! Bytes and a receive time in, values out: no clock, socket, task or lock in here, so that a replay and a live
//! connection go through the same code. The path of a frame:
//!
//! [`frame`] bytes with their receive time → [`venue`] a session decodes them ([`venues`] has one file per
//! exchange) → [`tick`] what came out, in exact [`number`]s and nanosecond [`time`]s, of a [`symbol`]. [`formats`]
//! reads the lines of files into the same.

pub mod frame;

pub mod fields;

pub mod venue;

pub mod live;

pub mod outage;

pub mod venues;

pub mod offset;

pub mod tick;

pub mod number;

pub mod time;

pub mod symbol;

mod json;

mod requests;

mod past;

mod verdict;

mod word;

pub mod formats;

pub mod recording;
