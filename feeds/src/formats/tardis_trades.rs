//! Tardis trades: `exchange,symbol,timestamp,local_timestamp,id,side,price,amount`.
//!
//! By header; times in µs, one by the exchange's clock and one by the recorder's.

use super::{Decoder, Format, FormatError, Head, tardis};

const COLUMNS: [&str; 4] = ["id", "side", "price", "amount"];

/// The format `tardis-trades`.
pub struct TardisTrades;

impl Format for TardisTrades {
    fn name(&self) -> &'static str {
        "tardis-trades"
    }

    fn describe(&self) -> &'static str {
        "Tardis trades: exchange,symbol,timestamp,local_timestamp,id,side,price,amount"
    }

    fn matches(&self, head: &Head<'_>) -> bool {
        tardis::matches(head, &COLUMNS)
    }

    fn open(&self, head: &Head<'_>) -> Result<Box<dyn Decoder>, FormatError> {
        tardis::open(head, &COLUMNS).map(|table| Box::new(table) as Box<dyn Decoder>)
    }
}
