//! Count, mid and time-weighted spread against a walk over the quotes in force.

use super::*;

const START: i64 = 0;
const END: i64 = 60_000_000_000;

/// Quotes in the order of their keys, inside the window.
fn ordered_quotes() -> impl Strategy<Value = Vec<(Key, Quote)>> {
    prop::collection::vec(quotes(), 0..20).prop_flat_map(|quotes| {
        keys(quotes.len()).prop_map(move |mut keys| {
            keys.sort();
            keys.into_iter().zip(quotes.clone()).collect()
        })
    })
}

fn carried() -> impl Strategy<Value = Option<CarriedQuote>> {
    prop::option::of(quotes().prop_map(|quote| CarriedQuote::new(Key { ts: -7, number: 0 }, &quote)))
}

fn pane_of(quotes: &[(Key, Quote)]) -> Pane {
    let mut pane = Pane::default();
    for (key, quote) in quotes {
        pane.add_quote(*key, quote);
    }
    pane
}

fn both(quote: &Quote) -> Option<(BigInt, BigInt)> {
    let empty = [quote.bid(), quote.bid_size(), quote.ask(), quote.ask_size()].iter().any(|d| d.is_zero());
    (!empty).then(|| (units(quote.bid()), units(quote.ask())))
}

/// (area, covered) by walking from quote to quote.
fn walk(quotes: &[(Key, Quote)], carried: Option<&CarriedQuote>, end: i64) -> (BigInt, BigInt) {
    let before = carried.filter(|c| !c.bid.is_zero() && !c.ask.is_zero());
    let mut force = before.map(|c| (units(c.bid), units(c.ask)));
    let (mut from, mut area, mut covered) = (START, BigInt::ZERO, BigInt::ZERO);
    let mut until = |force: &Option<(BigInt, BigInt)>, now: i64| {
        if let Some((bid, ask)) = force {
            area += (ask - bid) * (now - from);
            covered += now - from;
        }
        from = now;
    };
    for (key, quote) in quotes {
        until(&force, key.ts);
        force = both(quote);
    }
    until(&force, end);
    (area, covered)
}

proptest! {
    #[test]
    fn spread_is_the_walk(quotes in ordered_quotes(), carried in carried(), cut in any::<prop::sample::Index>()) {
        let cut = cut.index(quotes.len() + 1);
        let mut pane = pane_of(&quotes[..cut]);
        pane.merge(&pane_of(&quotes[cut..]));
        let (area, covered) = walk(&quotes, carried.as_ref(), END);
        match read("spread_tw", &pane, carried.as_ref(), START, END) {
            None => prop_assert_eq!(covered, BigInt::ZERO),
            spread => prop_assert!(is_half_even(&sum_of(spread), &area, &(covered * power(FINEST)), 12)),
        }
    }

    #[test]
    fn splitting_anywhere_is_one_pass(quotes in ordered_quotes(), cut in 0usize..20, second in 0usize..20) {
        let cut = cut.min(quotes.len());
        let second = (cut + second).min(quotes.len());
        let [a, b, c] = [&quotes[..cut], &quotes[cut..second], &quotes[second..]].map(pane_of);
        let merged = |one: &Pane, other: &Pane| { let mut pane = one.clone(); pane.merge(other); pane };
        prop_assert_eq!(&merged(&merged(&a, &b), &c), &pane_of(&quotes));
        prop_assert_eq!(&merged(&a, &merged(&b, &c)), &pane_of(&quotes));
    }

    #[test]
    fn count_and_mid_do_not_depend_on_the_order(
        (quotes, shuffled) in ordered_quotes().prop_flat_map(|q| (Just(q.clone()), Just(q).prop_shuffle())),
        carried in carried(),
    ) {
        let pane = pane_of(&shuffled);
        prop_assert_eq!(read("quotes", &pane, None, START, END), Some(Value::Count(quotes.len() as u64)));
        let last = match (quotes.last(), &carried) {
            (Some((_, quote)), _) => both(quote),
            (None, Some(c)) => (!c.bid.is_zero() && !c.ask.is_zero()).then(|| (units(c.bid), units(c.ask))),
            (None, None) => None,
        };
        let mid = read("mid_close", &pane, carried.as_ref(), START, END);
        let twice = mid.map(|mid| sum_units(&sum_of(Some(mid))) * 2);
        prop_assert_eq!(twice, last.map(|(bid, ask)| bid + ask));
    }
}

fn quote(bid: i64, ask: i64) -> Quote {
    let one = Decimal::new(1, 0);
    Quote::new(None, Decimal::new(bid, 2), one, Decimal::new(ask, 2), one)
}

#[test]
fn the_carried_quote_is_in_force_from_the_start() {
    let carried = CarriedQuote::new(Key { ts: -100, number: 1 }, &quote(9_990, 10_010));
    let mut pane = Pane::default();
    // Alone it is the whole window.
    let spread = sum_of(read("spread_tw", &pane, Some(&carried), 0, 100));
    assert_eq!(spread.to_string(), "0.2");
    assert_eq!(read("mid_close", &pane, Some(&carried), 0, 100).unwrap().to_string(), "100");
    // A quarter at 0.2, three quarters at 0.1.
    pane.add_quote(Key { ts: 25, number: 2 }, &quote(9_995, 10_005));
    assert_eq!(sum_of(read("spread_tw", &pane, Some(&carried), 0, 100)).to_string(), "0.125");
    // Read early, at the frontier: half and half.
    assert_eq!(sum_of(read("spread_tw", &pane, Some(&carried), 0, 50)).to_string(), "0.15");
    // Without it the first quarter is not covered.
    assert_eq!(sum_of(read("spread_tw", &pane, None, 0, 100)).to_string(), "0.1");
}

#[test]
fn an_empty_side_is_not_covered_and_has_no_mid() {
    let mut pane = Pane::default();
    assert_eq!(read("spread_tw", &pane, None, 0, 100), None);
    pane.add_quote(Key { ts: 0, number: 1 }, &quote(9_995, 10_005));
    pane.add_quote(Key { ts: 10, number: 2 }, &quote(0, 10_005));
    assert_eq!(sum_of(read("spread_tw", &pane, None, 0, 100)).to_string(), "0.1");
    assert_eq!(read("mid_close", &pane, None, 0, 100), None);
}
