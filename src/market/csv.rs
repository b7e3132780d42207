//! Trades as plain CSV: `time,symbol,id,price,qty,is_buyer_maker`, times in milliseconds.

use super::digits::{put_decimal, put_integer};
use super::{Change, Instrument, MarketEvent};

/// The first line.
pub const HEADER: &str = "time,symbol,id,price,qty,is_buyer_maker\n";

/// Appends the row of a trade. Quotes have no row; true if there was one.
#[inline]
pub fn put_row(out: &mut Vec<u8>, event: &MarketEvent, instrument: &Instrument) -> bool {
    let Change::Trade { id, price, size, buyer_is_maker } = event.change else {
        return false;
    };
    put_integer(out, (event.exchange_ts / 1_000_000).unsigned_abs());
    out.push(b',');
    out.extend_from_slice(instrument.native.as_bytes());
    out.push(b',');
    put_integer(out, id);
    out.push(b',');
    put_decimal(out, price, instrument.price_scale);
    out.push(b',');
    put_decimal(out, size, instrument.size_scale);
    out.extend_from_slice(if buyer_is_maker { b",true\n" } else { b",false\n" });
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{Market, MarketSpec};

    #[test]
    fn a_row_is_what_the_event_says() {
        let market = Market::new(MarketSpec::default());
        let change = Change::Trade { id: 42, price: 9_700_005, size: 1_500, buyer_is_maker: true };
        let event = MarketEvent { exchange_ts: 1_736_121_600_123_000_000, received_at: 0, symbol: 0, change };
        let mut out = Vec::new();
        assert!(put_row(&mut out, &event, &market.instruments()[0]));
        assert_eq!(out, b"1736121600123,BTCUSDT,42,97000.05,0.01500,true\n");

        let quote = Change::Quote { id: 1, bid: 1, bid_size: 1, ask: 2, ask_size: 1 };
        assert!(!put_row(&mut out, &MarketEvent { change: quote, ..event }, &market.instruments()[0]));
    }
}
