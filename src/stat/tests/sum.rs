//! [`Sum`] against integers of any length at one fixed scale.

use super::*;
use crate::codec::Reader;

fn total(terms: &[(Decimal, Decimal)]) -> Sum {
    let mut sum = Sum::default();
    for (price, size) in terms {
        sum.add_product(*price, *size);
    }
    sum
}

fn terms() -> impl Strategy<Value = Vec<(Decimal, Decimal)>> {
    prop::collection::vec((decimals(), decimals()), 0..40)
}

proptest! {
    #[test]
    fn adding_is_integer_arithmetic(terms in terms(), plain in prop::collection::vec(decimals(), 0..40)) {
        let mut sum = total(&terms);
        let mut oracle: BigInt = terms.iter().map(|(p, s)| product_units(*p, *s)).sum();
        for value in plain {
            sum.add(value);
            oracle += units(value);
        }
        for (price, size) in terms.iter().take(3) {
            sum.sub_product(*price, *size);
            oracle -= product_units(*price, *size);
        }
        prop_assert_eq!(sum_units(&sum), oracle.clone());
        prop_assert_eq!(sum.is_zero(), oracle == BigInt::ZERO);
    }

    #[test]
    fn merging_is_associative_and_commutative(a in terms(), b in terms(), c in terms()) {
        let [x, y, z] = [&a, &b, &c].map(|terms| total(terms));
        let merged = |one: &Sum, other: &Sum| { let mut sum = one.clone(); sum.merge(other); sum };
        let left = merged(&merged(&x, &y), &z);
        prop_assert_eq!(&left, &merged(&x, &merged(&y, &z)));
        prop_assert_eq!(&left, &merged(&z, &merged(&y, &x)));
        prop_assert_eq!(&left, &total(&[a, b, c].concat()));
        let mut back = left;
        back.sub(&z);
        back.sub(&y);
        prop_assert_eq!(sum_units(&back), sum_units(&x));
    }

    #[test]
    fn order_is_by_value(a in terms(), b in terms()) {
        let (x, y) = (total(&a), total(&b));
        prop_assert_eq!(x.cmp(&y), sum_units(&x).cmp(&sum_units(&y)));
        prop_assert_eq!(x == y, sum_units(&x) == sum_units(&y));
    }

    #[test]
    fn division_is_half_even(a in terms(), b in terms(), decimals in 0u8..=36) {
        let (x, y) = (total(&a), total(&b));
        match x.div_half_even(&y, decimals) {
            None => prop_assert!(y.is_zero()),
            Some(quotient) => {
                prop_assert!(is_half_even(&quotient, &sum_units(&x), &sum_units(&y), usize::from(decimals)));
            }
        }
    }

    #[test]
    fn halves_go_to_even(whole in -1_000_000i64..1_000_000, by in 1i64..1_000) {
        // (whole + 1/2) · by / by has a tie at no decimals.
        let mut over = Sum::default();
        over.add_product(Decimal::new(whole * 10 + 5, 1), Decimal::new(by, 0));
        let quotient = over.div_half_even(&Sum::from(Decimal::new(by, 0)), 0).unwrap();
        let even = if whole % 2 == 0 { whole } else { whole + 1 };
        prop_assert_eq!(quotient.to_string(), even.to_string());
    }

    #[test]
    fn bytes_come_back(terms in terms()) {
        let sum = total(&terms);
        let mut bytes = Vec::new();
        sum.encode(&mut bytes);
        let mut reader = Reader::new(&bytes);
        let back = Sum::decode(&mut reader).unwrap();
        prop_assert!(reader.is_empty());
        prop_assert_eq!(&back, &sum);
        let mut again = Vec::new();
        back.encode(&mut again);
        prop_assert_eq!(bytes, again);
    }

    #[test]
    fn text_agrees_with_rust_decimal(values in prop::collection::vec((-1_000_000_000i64..1_000_000_000, 0u8..=9), 0..50)) {
        let mut sum = Sum::default();
        let mut oracle = rust_decimal::Decimal::ZERO;
        for (mantissa, scale) in values {
            sum.add(Decimal::new(mantissa, scale));
            oracle += rust_decimal::Decimal::new(mantissa, u32::from(scale));
        }
        prop_assert_eq!(sum.to_string(), oracle.normalize().to_string());
    }

    #[test]
    fn floats_are_near(terms in terms()) {
        let sum = total(&terms);
        let nearest: f64 = sum.to_string().parse().unwrap();
        let float = sum.to_f64();
        prop_assert!((float - nearest).abs() <= nearest.abs() * 4.0 * f64::EPSILON, "{} {}", float, nearest);
    }
}

#[test]
fn texts_are_plain_and_lowest() {
    let of = |mantissa, scale| Sum::from(Decimal::new(mantissa, scale)).to_string();
    assert_eq!(of(0, 5), "0");
    assert_eq!(of(-1, 18), "-0.000000000000000001");
    assert_eq!(of(1_500, 2), "15");
    let mut sum = Sum::from(Decimal::new(125, 2));
    sum.add(Decimal::new(-25, 2));
    assert_eq!(sum.to_string(), "1");
    let smallest = Decimal::new(-3, 18);
    let mut product = Sum::default();
    product.add_product(smallest, Decimal::new(1, 18));
    assert_eq!(product.to_string(), "-0.000000000000000000000000000000000003");
}

#[test]
fn a_sum_widens_past_128_and_past_256_bits_and_comes_back() {
    let (most, finest) = (Decimal::new(i64::MAX, 0), Decimal::new(i64::MAX, 18));
    let mut sum = Sum::default();
    sum.add_product(finest, finest);
    let small = sum.clone();
    let mut oracle = product_units(finest, finest);
    for _ in 0..3_000 {
        sum.add_product(most, most);
        oracle += product_units(most, most);
    }
    assert!(oracle.bits() > 256, "the case must not fit in 256 bits: {}", oracle.bits());
    assert_eq!(sum_units(&sum), oracle);
    let mut large = Sum::default();
    for _ in 0..3_000 {
        large.add_product(most, most);
    }
    sum.sub(&large);
    assert_eq!(sum, small);
}

#[test]
fn the_extremes_of_128_bits_subtract() {
    let mut bytes = vec![0];
    crate::codec::Put::put_i128(&mut bytes, i128::MIN);
    let least = Sum::decode(&mut Reader::new(&bytes)).unwrap();
    let mut sum = Sum::default();
    sum.sub(&least);
    assert_eq!(sum.to_string(), "170141183460469231731687303715884105728");
    assert_eq!(least.to_string(), "-170141183460469231731687303715884105728");
    let minus_one = Sum::from(Decimal::new(-1, 0));
    assert_eq!(least.div_half_even(&minus_one, 0).unwrap(), sum);
    sum.merge(&least);
    assert!(sum.is_zero());
}

#[test]
fn a_sum_takes_32_bytes() {
    assert_eq!(size_of::<Sum>(), 32);
}
