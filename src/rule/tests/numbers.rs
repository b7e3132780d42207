//! Numbers: exact as long as they fit, then the nearest float, and their bytes.

use std::cmp::Ordering;

use num_bigint::{BigInt, Sign};
use proptest::prelude::*;

use super::stage::number;
use crate::codec::{CodecError, Reader};
use crate::rule::Number;
use crate::stat::{Sum, Value};

fn exact(mantissa: i128, scale: u8) -> Number {
    Number::Exact { mantissa, scale }
}

const MOST: i128 = 10i128.pow(38) - 1;

#[test]
fn numbers_are_exact_up_to_38_digits() {
    assert_eq!(exact(MOST - 1, 0).plus(Number::ONE), Some(exact(MOST, 0)));
    assert_eq!(exact(MOST, 0).plus(Number::ONE), Some(Number::Float(1e38)));
    // Twice as much is no `i128` any more.
    assert_eq!(exact(MOST, 0).plus(exact(MOST, 0)), Some(Number::Float(2e38)));
    assert_eq!(exact(MOST, 1).plus(exact(MOST / 10, 0)), Some(Number::Float(2e37)));
    assert_eq!(exact(-MOST, 2).minus(exact(MOST, 2)), Some(Number::Float(-2e36)));
    assert_eq!(exact(MOST, 0).plus(exact(-1, 1)), Some(Number::Float(1e38)));
    assert_eq!(exact(10i128.pow(19), 0).times(exact(10i128.pow(18), 0)), Some(exact(10i128.pow(37), 0)));
    assert_eq!(exact(10i128.pow(19), 0).times(exact(10i128.pow(19), 0)), Some(Number::Float(1e38)));
    assert_eq!(exact(1, 19).times(exact(1, 19)), Some(exact(1, 38)));
    assert_eq!(exact(1, 20).times(exact(1, 19)), Some(Number::Float(1e-39)));
    // How a number is written changes nothing.
    assert_eq!(exact(10, 20).times(exact(10, 20)), Some(exact(1, 38)));
    assert_eq!(exact(MOST / 10 * 10, 1).plus(exact(5, 0)), Some(exact(MOST / 10 + 5, 0)));
    assert_eq!(Number::exact(10i128.pow(38), 1), Some(exact(10i128.pow(37), 0)));
    assert_eq!(Number::exact(i128::MAX, 0), Some(Number::Float(i128::MAX as f64)));
}

#[test]
fn what_is_no_number_is_nothing() {
    assert_eq!(Number::ONE.over(Number::ZERO), None);
    assert_eq!(Number::ZERO.over(Number::ZERO), None);
    assert_eq!(Number::Float(1e300).times(Number::Float(1e300)), None);
    assert_eq!(Number::whole(-1).square_root(), None);
    assert_eq!((Number::ZERO.logarithm(), Number::whole(-1).logarithm()), (None, None));
    assert_eq!((Number::float(f64::NAN), Number::float(f64::INFINITY)), (None, None));
}

#[test]
fn there_is_one_zero() {
    for zero in [
        Number::float(-0.0),
        Some(Number::Float(0.0).negated()),
        Number::Float(-1e-200).times(Number::Float(1e-200)),
    ] {
        let Some(Number::Float(zero)) = zero else { panic!("{zero:?}") };
        assert_eq!(zero.to_bits(), 0);
    }
}

#[test]
fn statistics_are_numbers() {
    let mut sum = Sum::default();
    sum.add(feeds::number::Decimal::new(15, 1));
    assert_eq!(Number::from_value(&Value::Sum(sum.clone())), number("1.5"));
    let mut doubled = 1.5;
    for _ in 0..140 {
        let twice = sum.clone();
        sum.merge(&twice);
        doubled *= 2.0;
    }
    assert_eq!(Number::from_value(&Value::Sum(sum)), Some(Number::Float(doubled)));
    assert_eq!(Number::from_value(&Value::Count(u64::MAX)), Some(exact(u64::MAX.into(), 0)));
    assert_eq!(Number::from_value(&Value::Time(-5)), Some(Number::whole(-5)));
    assert_eq!(Number::from_value(&Value::Text("x".to_owned())), None);
}

#[test]
fn numbers_are_shown_plain() {
    for (shown, short, number) in [
        ("0", "0", Number::ZERO),
        ("-0.05", "-0.05", exact(-500, 4)),
        ("12345678901234567890.1", "12345678901234567890.1", exact(123_456_789_012_345_678_901, 1)),
        ("0.3333333333333333", "0.333333", Number::Float(1.0 / 3.0)),
        ("100000000000000000000000", "99999999999999991611392", Number::Float(1e23)),
        ("-0.0000001", "0", Number::Float(-1e-7)),
        ("2", "2", Number::Float(2.0)),
    ] {
        assert_eq!((number.to_string().as_str(), number.short(6).as_str()), (shown, short));
    }
    assert_eq!(format!("{:>6}|", exact(15, 1)), "   1.5|");
    let least = exact(-MOST, 38).to_string();
    assert_eq!(least, format!("-0.{}", "9".repeat(38)));
}

#[test]
fn bytes_that_are_no_number_are_refused() {
    for bytes in [&[39u8, 2][..], &[255, 0xff], &[254]] {
        assert!(Number::decode(&mut Reader::new(bytes)).is_err(), "{bytes:?}");
    }
    let mut bytes = Vec::new();
    exact(1, 0).encode(&mut bytes);
    assert_eq!(Number::decode(&mut Reader::new(&bytes[..1])), Err(CodecError::Short));
    let infinite = [&[255u8][..], &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0xf8, 0x7f]].concat();
    assert_eq!(Number::decode(&mut Reader::new(&infinite)), Err(CodecError::Invalid));
}

fn numbers() -> impl Strategy<Value = Number> {
    prop_oneof![
        3 => (-1000i128..1000, 0u8..6).prop_map(|(mantissa, scale)| exact(mantissa, scale)),
        2 => (-MOST..=MOST, 0u8..=38).prop_map(|(mantissa, scale)| exact(mantissa, scale)),
        1 => any::<f64>().prop_filter_map("finite", Number::float),
    ]
}

/// Mantissa and scale in lowest form.
fn parts(number: Number) -> Option<(BigInt, u32)> {
    let Number::Exact { mantissa, scale } = number else { return None };
    let (mut mantissa, mut scale) = (BigInt::from(mantissa), u32::from(scale));
    while scale > 0 && &mantissa % 10 == BigInt::ZERO {
        mantissa /= 10;
        scale -= 1;
    }
    Some((mantissa, scale))
}

/// The plain text of a number of at most 38 digits.
fn plain(mantissa: &BigInt, scale: u32) -> Option<String> {
    if mantissa.magnitude() >= BigInt::from(10).pow(38).magnitude() || scale > 38 {
        return None;
    }
    let (sign, width) = (if mantissa.sign() == Sign::Minus { "-" } else { "" }, scale as usize);
    let digits = format!("{:0>1$}", mantissa.magnitude(), width + 1);
    let (whole, fraction) = digits.split_at(digits.len() - width);
    let fraction = fraction.trim_end_matches('0');
    Some(format!("{sign}{whole}{}{fraction}", if fraction.is_empty() { "" } else { "." }))
}

fn big_sum(a: Number, b: Number) -> Option<String> {
    let ((a, s), (b, t)) = (parts(a)?, parts(b)?);
    let scale = s.max(t);
    let (a, b) = (a * BigInt::from(10).pow(scale - s), b * BigInt::from(10).pow(scale - t));
    plain(&a, scale)?;
    plain(&b, scale)?;
    plain(&(a + b), scale)
}

fn big_product(a: Number, b: Number) -> Option<String> {
    let ((a, s), (b, t)) = (parts(a)?, parts(b)?);
    plain(&(a * b), s + t)
}

proptest! {
    #[test]
    fn numbers_come_back_from_bytes_and_text(number in numbers(), zeros in 0u32..4) {
        let mut bytes = Vec::new();
        number.encode(&mut bytes);
        let mut reader = Reader::new(&bytes);
        prop_assert_eq!(Number::decode(&mut reader), Ok(number));
        prop_assert!(reader.is_empty());
        if let Number::Exact { mantissa, scale } = number {
            let text = number.to_string();
            prop_assert_eq!(self::number(&text), Some(number));
            prop_assert_eq!(number.to_f64().to_bits(), text.parse::<f64>().unwrap().to_bits());
            // The same value otherwise written has the same bytes.
            let factor = 10i128.pow(zeros);
            if let (Some(mantissa), true) = (mantissa.checked_mul(factor), scale + zeros as u8 <= 38) {
                let mut others = Vec::new();
                exact(mantissa, scale + zeros as u8).encode(&mut others);
                prop_assert_eq!(others, bytes);
            }
        }
    }

    #[test]
    fn sums_and_products_are_exact_or_the_nearest_float(a in numbers(), b in numbers()) {
        for (found, float, exact) in [
            (a.plus(b), a.to_f64() + b.to_f64(), big_sum(a, b)),
            (a.minus(b), a.to_f64() - b.to_f64(), big_sum(a, b.negated())),
            (a.times(b), a.to_f64() * b.to_f64(), big_product(a, b)),
        ] {
            match (found, exact) {
                (Some(number @ Number::Exact { .. }), Some(text)) => prop_assert_eq!(number.to_string(), text),
                (Some(Number::Float(found)), None) => prop_assert_eq!(found.to_bits(), (float + 0.0).to_bits()),
                (None, None) => prop_assert!(!float.is_finite()),
                other => prop_assert!(false, "{a:?} {b:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn the_order_is_one(a in numbers(), b in numbers(), c in numbers()) {
        prop_assert_eq!(a.compare(b), b.compare(a).reverse());
        prop_assert_eq!(a.compare(a), Ordering::Equal);
        let all_exact = [a, b, c].iter().all(|number| matches!(number, Number::Exact { .. }));
        // Beside floats exact numbers may be nearer to each other than floats are.
        if all_exact && a.compare(b).is_le() && b.compare(c).is_le() {
            prop_assert!(a.compare(c).is_le());
        }
        prop_assert_eq!(a.compare(b), a.negated().compare(b.negated()).reverse());
    }
}
