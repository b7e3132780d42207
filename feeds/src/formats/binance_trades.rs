//! Binance Vision trades: `id,price,qty,quote_qty,time,is_buyer_maker[,is_best_match]`.
//!
//! With or without a header; times in ms, or in µs since 2025. The symbol is in the file's name.

use super::vision::Layout;
use super::{Decoder, Format, FormatError, Head};

const LAYOUT: Layout = Layout { kind: "trades", first: &["id", "trade_id"], time: 4, whole: &[] };

/// The format `binance-trades`.
pub struct BinanceTrades;

impl Format for BinanceTrades {
    fn name(&self) -> &'static str {
        "binance-trades"
    }

    fn describe(&self) -> &'static str {
        "Binance Vision trades: id,price,qty,quote_qty,time,is_buyer_maker[,is_best_match]"
    }

    fn matches(&self, head: &Head<'_>) -> bool {
        LAYOUT.matches(head)
    }

    fn open(&self, head: &Head<'_>) -> Result<Box<dyn Decoder>, FormatError> {
        LAYOUT.open(head).map(|table| Box::new(table) as Box<dyn Decoder>)
    }
}
