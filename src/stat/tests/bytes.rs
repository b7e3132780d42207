//! Panes as bytes: back as they were, small, and never a panic on other bytes.

use super::*;
use crate::codec::Reader;

fn panes() -> impl Strategy<Value = Pane> {
    let trades = prop::collection::vec(trades(), 0..8).prop_flat_map(|t| (keys(t.len()), Just(t)));
    let quotes = prop::collection::vec(quotes(), 0..8).prop_flat_map(|q| (keys(q.len()), Just(q)));
    (trades, quotes).prop_map(|((trade_keys, trades), (mut quote_keys, quotes))| {
        let mut pane = Pane::default();
        trade_keys.iter().zip(&trades).for_each(|(key, trade)| pane.add_trade(*key, trade));
        quote_keys.sort();
        quote_keys.iter().zip(&quotes).for_each(|(key, quote)| pane.add_quote(*key, quote));
        pane
    })
}

fn encoded(pane: &Pane) -> Vec<u8> {
    let mut bytes = Vec::new();
    pane.encode(&mut bytes);
    bytes
}

proptest! {
    #[test]
    fn panes_come_back(pane in panes()) {
        let bytes = encoded(&pane);
        let mut reader = Reader::new(&bytes);
        let back = Pane::decode(&mut reader).unwrap();
        prop_assert!(reader.is_empty());
        prop_assert_eq!(&back, &pane);
        prop_assert_eq!(encoded(&back), bytes);
    }

    #[test]
    fn a_cut_pane_is_an_error(pane in panes(), cut in any::<prop::sample::Index>()) {
        let bytes = encoded(&pane);
        let cut = cut.index(bytes.len());
        prop_assert!(Pane::decode(&mut Reader::new(&bytes[..cut])).is_err());
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Pane::decode(&mut Reader::new(&bytes));
        let _ = Sum::decode(&mut Reader::new(&bytes));
        let _ = CarriedQuote::decode(&mut Reader::new(&bytes));
    }

    #[test]
    fn a_damaged_pane_can_be_read_and_merged(
        pane in panes(), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = encoded(&pane);
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(damaged) = Pane::decode(&mut Reader::new(&bytes)) {
            for statistic in crate::stat::STATISTICS {
                let _ = read(statistic.name, &damaged, None, i64::MIN, i64::MAX).map(|value| value.to_string());
            }
        }
    }

    #[test]
    fn carried_quotes_come_back(quote in quotes(), ts in any::<i64>(), number in any::<u64>()) {
        let carried = CarriedQuote::new(Key { ts, number }, &quote);
        let mut bytes = Vec::new();
        carried.encode(&mut bytes);
        prop_assert_eq!(CarriedQuote::decode(&mut Reader::new(&bytes)), Ok(carried));
    }
}

/// A second of a busy market: 14 trades around 61 thousand with sizes of five decimals.
fn busy_second() -> Pane {
    let mut pane = Pane::default();
    for n in 0..14i64 {
        let price = Decimal::new(6_134_250 + n * 7 % 11, 2);
        let size = Decimal::new(137 + n * 991, 5);
        let side = if n % 3 == 0 { Side::Sell } else { Side::Buy };
        let key = Key {
            ts: 1_723_161_255_342_000_000 + n * 61_000_000,
            number: 5_000_000 + n.unsigned_abs() * 200,
        };
        pane.add_trade(key, &Trade::new(Some(3_712_345_678 + n.unsigned_abs()), price, size, side));
    }
    pane
}

#[test]
fn a_typical_bar_is_small() {
    let size = encoded(&busy_second()).len();
    assert!(size <= 70, "{size} bytes");
    assert_eq!(encoded(&Pane::default()).len(), 2);
}

#[test]
fn bytes_are_as_documented() {
    let mut pane = Pane::default();
    let trade = Trade::new(Some(9), Decimal::new(1_005, 1), Decimal::new(2, 0), Side::Buy);
    pane.add_trade(Key { ts: 3, number: 7 }, &trade);
    let bar = [1 | 8 | 16, 6, 7, 0, 0, 9, 0, 1, 0xda, 0x0f, 0, 0, 0];
    let bought = [1, 0, 4, 1, 0xb4, 0x1f];
    assert_eq!(encoded(&pane), [&bar[..], &bought[..], &[0]].concat());

    let mut quoted = Pane::default();
    let quote = |bid| {
        Quote::new(None, Decimal::new(bid, 0), Decimal::new(1, 0), Decimal::new(55, 1), Decimal::new(1, 0))
    };
    quoted.add_quote(Key { ts: 1, number: 2 }, &quote(4));
    quoted.add_quote(Key { ts: 3, number: 4 }, &quote(5));
    // Two nanoseconds at a spread of 1.5 are an area of 3.0, kept at the scale that was met.
    assert_eq!(encoded(&quoted), [0, 2, 2, 2, 2, 4, 0, 10, 1, 110, 2, 1, 60]);
}
