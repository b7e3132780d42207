//! Tardis quotes: `exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount`.
//!
//! By header; times in µs, one by the exchange's clock and one by the recorder's.

use super::{Decoder, Format, FormatError, Head, tardis};

const COLUMNS: [&str; 4] = ["ask_amount", "ask_price", "bid_price", "bid_amount"];

/// The format `tardis-quotes`.
pub struct TardisQuotes;

impl Format for TardisQuotes {
    fn name(&self) -> &'static str {
        "tardis-quotes"
    }

    fn describe(&self) -> &'static str {
        "Tardis quotes: exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount"
    }

    fn matches(&self, head: &Head<'_>) -> bool {
        tardis::matches(head, &COLUMNS)
    }

    fn open(&self, head: &Head<'_>) -> Result<Box<dyn Decoder>, FormatError> {
        tardis::open(head, &COLUMNS).map(|table| Box::new(table) as Box<dyn Decoder>)
    }
}
