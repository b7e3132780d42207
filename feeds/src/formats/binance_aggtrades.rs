//! Binance Vision aggregate trades: `id,price,qty,first id,last id,time,is_buyer_maker[,is_best_match]`.
//!
//! With or without a header; times in ms, or in µs since 2025. The symbol is in the file's name.

use super::vision::Layout;
use super::{Decoder, Format, FormatError, Head};

const LAYOUT: Layout =
    Layout { kind: "aggTrades", first: &["agg_trade_id", "id", "a"], time: 5, whole: &[3, 4] };

/// The format `binance-aggtrades`.
pub struct BinanceAggTrades;

impl Format for BinanceAggTrades {
    fn name(&self) -> &'static str {
        "binance-aggtrades"
    }

    fn describe(&self) -> &'static str {
        "Binance Vision aggregate trades: id,price,qty,first id,last id,time,is_buyer_maker[,is_best_match]"
    }

    fn matches(&self, head: &Head<'_>) -> bool {
        LAYOUT.matches(head)
    }

    fn open(&self, head: &Head<'_>) -> Result<Box<dyn Decoder>, FormatError> {
        LAYOUT.open(head).map(|table| Box::new(table) as Box<dyn Decoder>)
    }
}
