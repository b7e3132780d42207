//! The bar against a loop over sorted trades.

use super::*;

fn keyed_trades() -> impl Strategy<Value = Vec<(Key, Trade)>> {
    prop::collection::vec(trades(), 0..30).prop_flat_map(|trades| {
        keys(trades.len()).prop_map(move |keys| keys.into_iter().zip(trades.clone()).collect())
    })
}

fn pane_of(trades: &[(Key, Trade)]) -> Pane {
    let mut pane = Pane::default();
    for (key, trade) in trades {
        pane.add_trade(*key, trade);
    }
    pane
}

fn text(name: &str, pane: &Pane) -> Option<String> {
    read(name, pane, None, 0, 1).map(|value| value.to_string())
}

/// Each statistic of the bar by a pass over the trades in the order of their keys.
fn oracle(trades: &[(Key, Trade)], name: &str) -> Option<BigInt> {
    let mut sorted = trades.to_vec();
    sorted.sort_by_key(|(key, _)| *key);
    let of = |side: Option<Side>| sorted.iter().filter(move |(_, t)| side.is_none_or(|side| t.side == side));
    let volume = |side| Some(of(side).map(|(_, t)| units(t.size())).sum());
    let notional = |side| Some(of(side).map(|(_, t)| product_units(t.price(), t.size())).sum());
    let count = |side| Some(BigInt::from(of(side).count()) * power(FINEST));
    match name {
        "open" => sorted.first().map(|(_, t)| units(t.price())),
        "close" => sorted.last().map(|(_, t)| units(t.price())),
        "high" => sorted.iter().map(|(_, t)| units(t.price())).max(),
        "low" => sorted.iter().map(|(_, t)| units(t.price())).min(),
        "first_id" => sorted.first().and_then(|(_, t)| t.id()).map(|id| BigInt::from(id) * power(FINEST)),
        "last_id" => sorted.last().and_then(|(_, t)| t.id()).map(|id| BigInt::from(id) * power(FINEST)),
        "volume" => volume(None),
        "notional" => notional(None),
        "trades" => count(None),
        "buy_volume" => volume(Some(Side::Buy)),
        "buy_notional" => notional(Some(Side::Buy)),
        "buy_trades" => count(Some(Side::Buy)),
        "sell_volume" => volume(Some(Side::Sell)),
        "sell_notional" => notional(Some(Side::Sell)),
        "sell_trades" => count(Some(Side::Sell)),
        other => panic!("no oracle for {other}"),
    }
}

const NUMBERS: [&str; 15] = [
    "open",
    "high",
    "low",
    "close",
    "volume",
    "notional",
    "trades",
    "buy_volume",
    "buy_notional",
    "buy_trades",
    "sell_volume",
    "sell_notional",
    "sell_trades",
    "first_id",
    "last_id",
];

proptest! {
    #[test]
    fn every_statistic_is_the_loop(trades in keyed_trades()) {
        let pane = pane_of(&trades);
        for name in NUMBERS {
            prop_assert_eq!(text(name, &pane).map(|t| parsed(&t)), oracle(&trades, name), "{}", name);
        }
        let volume = oracle(&trades, "volume").unwrap();
        match read("vwap", &pane, None, 0, 1) {
            None => prop_assert_eq!(volume, BigInt::ZERO),
            vwap => prop_assert!(is_half_even(&sum_of(vwap), &oracle(&trades, "notional").unwrap(), &volume, 12)),
        }
        let times = (trades.iter().map(|(k, _)| k.ts).min(), trades.iter().map(|(k, _)| k.ts).max());
        prop_assert_eq!(read("first_time", &pane, None, 0, 1), times.0.map(Value::Time));
        prop_assert_eq!(read("last_time", &pane, None, 0, 1), times.1.map(Value::Time));
    }

    #[test]
    fn order_of_adding_does_not_matter(
        (trades, shuffled) in keyed_trades().prop_flat_map(|t| (Just(t.clone()), Just(t).prop_shuffle())),
    ) {
        prop_assert_eq!(pane_of(&trades), pane_of(&shuffled));
    }

    #[test]
    fn merging_is_associative_and_commutative(trades in keyed_trades(), cut in 0usize..30, second in 0usize..30) {
        let cut = cut.min(trades.len());
        let second = (cut + second).min(trades.len());
        let whole = pane_of(&trades);
        let [a, b, c] = [&trades[..cut], &trades[cut..second], &trades[second..]].map(pane_of);
        let merged = |one: &Pane, other: &Pane| { let mut pane = one.clone(); pane.merge(other); pane };
        prop_assert_eq!(&merged(&merged(&a, &b), &c), &whole);
        prop_assert_eq!(&merged(&a, &merged(&b, &c)), &whole);
        prop_assert_eq!(&merged(&c, &merged(&a, &b)), &whole);
    }
}

#[test]
fn no_trades_count_zero_and_have_no_price() {
    let pane = Pane::default();
    assert!(pane.is_empty() && !pane.has_trades());
    for name in ["volume", "notional", "trades", "buy_volume", "buy_notional", "buy_trades", "sell_volume"] {
        assert_eq!(text(name, &pane).as_deref(), Some("0"), "{name}");
    }
    for name in ["open", "high", "low", "close", "vwap", "first_id", "last_id", "first_time", "last_time"] {
        assert_eq!(text(name, &pane), None, "{name}");
    }
}

#[test]
fn a_day_in_the_life_of_a_bar() {
    let trade =
        |id, price, size, side| Trade::new(Some(id), Decimal::new(price, 2), Decimal::new(size, 3), side);
    let at = |ts, number| Key { ts, number };
    let pane = pane_of(&[
        (at(10, 1), trade(1, 10_000, 1_000, Side::Buy)),
        (at(30, 2), trade(4, 10_150, 500, Side::Sell)),
        (at(20, 3), trade(3, 9_900, 250, Side::Unknown)),
        (at(10, 4), trade(2, 10_025, 2_000, Side::Buy)),
    ]);
    let of = |name| text(name, &pane).unwrap();
    assert_eq!([of("open"), of("high"), of("low"), of("close")], ["100", "101.5", "99", "101.5"]);
    assert_eq!([of("volume"), of("notional"), of("trades")], ["3.75", "376", "4"]);
    assert_eq!(of("vwap"), "100.266666666667");
    assert_eq!([of("buy_volume"), of("buy_notional"), of("buy_trades")], ["3", "300.5", "2"]);
    assert_eq!([of("sell_volume"), of("first_id"), of("last_id")], ["0.5", "1", "4"]);
    assert_eq!(of("last_time"), "1970-01-01T00:00:00.000000030Z");
}

#[test]
fn of_two_trades_with_one_key_the_first_added_is_the_earlier() {
    let key = Key { ts: 5, number: 5 };
    let trade = |price| Trade::new(None, Decimal::new(price, 0), Decimal::new(1, 0), Side::Buy);
    let pane = pane_of(&[(key, trade(1)), (key, trade(2)), (key, trade(3))]);
    assert_eq!((text("open", &pane), text("close", &pane)), (Some("1".into()), Some("3".into())));
}
