//! Tests of the source as a whole, over a format of their own.

mod clocks;

mod fake;

mod merging;

mod pieces;

mod opening;

mod reading;

mod shared_data;
