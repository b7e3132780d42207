//! The statistics against oracles that share no code with them.

mod bar;
mod bytes;
mod quotes;
mod registry;
mod sum;

use feeds::number::Decimal;
use feeds::tick::{Quote, Side, Trade};
use num_bigint::BigInt;
use proptest::prelude::*;

use super::{CarriedQuote, Key, Pane, Sum, Value, View, by_name};

/// Every oracle counts in units of 10^-36, the finest there is.
const FINEST: usize = 36;

fn power(exponent: usize) -> BigInt {
    BigInt::from(10).pow(u32::try_from(exponent).unwrap())
}

fn units(value: Decimal) -> BigInt {
    BigInt::from(value.mantissa()) * power(FINEST - usize::from(value.scale()))
}

fn product_units(price: Decimal, size: Decimal) -> BigInt {
    let scale = usize::from(price.scale()) + usize::from(size.scale());
    BigInt::from(price.mantissa()) * BigInt::from(size.mantissa()) * power(FINEST - scale)
}

/// Reads a plain text back: the only way in which these tests look into a sum.
fn parsed(text: &str) -> BigInt {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    assert!(!fraction.ends_with('0') && fraction.is_empty() != text.contains('.'), "not lowest: {text}");
    let digits = format!("{whole}{fraction:0<FINEST$}");
    digits.parse().unwrap()
}

fn sum_units(sum: &Sum) -> BigInt {
    parsed(&sum.to_string())
}

/// Holds if `quotient` is `over / under` rounded half to even at `decimals` digits, by the definition of that.
fn is_half_even(quotient: &Sum, over: &BigInt, under: &BigInt, decimals: usize) -> bool {
    let (mantissa, rest) = {
        let unit = power(FINEST - decimals);
        let quotient = sum_units(quotient);
        (&quotient / &unit, &quotient % &unit)
    };
    let error: BigInt = (&mantissa * under - over * power(decimals)) * 2;
    let (error, bound) = (error.magnitude(), under.magnitude());
    rest == BigInt::ZERO && (error < bound || (error == bound && !mantissa.bit(0)))
}

/// Any decimal: small ones as feeds write them, and the widest that there are.
fn decimals() -> impl Strategy<Value = Decimal> {
    prop_oneof![
        4 => (-1_000_000i64..1_000_000, 0u8..=8).prop_map(|(m, s)| Decimal::new(m, s)),
        1 => (any::<i64>(), 0u8..=18).prop_map(|(m, s)| Decimal::new(m, s)),
        1 => prop_oneof![Just(i64::MAX), Just(i64::MIN + 1), Just(0)].prop_map(|m| Decimal::new(m, 0)),
    ]
}

/// A price or size of at least zero.
fn amounts() -> impl Strategy<Value = Decimal> {
    decimals().prop_map(|d| Decimal::new(d.mantissa().saturating_abs(), d.scale()))
}

fn trades() -> impl Strategy<Value = Trade> {
    let sides = prop_oneof![3 => Just(Side::Buy), 3 => Just(Side::Sell), 1 => Just(Side::Unknown)];
    (any::<Option<u64>>(), amounts(), amounts(), sides)
        .prop_map(|(id, p, s, side)| Trade::new(id, p, s, side))
}

fn quotes() -> impl Strategy<Value = Quote> {
    let sizes = || prop_oneof![1 => Just(Decimal::ZERO), 4 => Just(Decimal::new(15, 1))];
    (any::<Option<u64>>(), amounts(), sizes(), amounts(), sizes())
        .prop_map(|(id, bid, bid_size, ask, ask_size)| Quote::new(id, bid, bid_size, ask, ask_size))
}

/// Keys at which ties of the time are frequent and the tape number tells them apart.
fn keys(count: usize) -> impl Strategy<Value = Vec<Key>> {
    prop::collection::vec(0i64..50, count).prop_map(|times| {
        let keyed = times.into_iter().zip(1u64..);
        keyed.map(|(ts, number)| Key { ts: ts * 1_000_000_007, number }).collect()
    })
}

/// The value of statistic `name` over `pane`.
fn read(name: &str, pane: &Pane, carried: Option<&CarriedQuote>, start: i64, end: i64) -> Option<Value> {
    (by_name(name).unwrap().value)(&View { pane, carried, start, end })
}

fn sum_of(value: Option<Value>) -> Sum {
    match value {
        Some(Value::Sum(sum)) => sum,
        other => panic!("not a sum: {other:?}"),
    }
}
