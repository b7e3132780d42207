//! Small pure parts of the picture; the whole is tested over its sockets in `tests/serve.rs`.

use feeds::number::Decimal;

use super::symbols::{basis_points, difference};

fn number(text: &str) -> Decimal {
    Decimal::parse(text.as_bytes()).unwrap()
}

#[test]
fn spreads_are_exact_whatever_the_scales() {
    for (ask, bid, spread) in [
        ("100.5", "100.25", "0.25"),
        ("0.00000012", "0.0000001", "0.00000002"),
        ("3", "3", "0"),
        ("1", "2.5", "-1.5"),
        ("9000000000", "0.000000001", "8999999999.999999999"),
    ] {
        let difference = difference(number(ask), number(bid));
        assert_eq!(difference.map(|spread| spread.to_string()).as_deref(), Some(spread));
    }
    assert_eq!(difference(number("9000000000000"), number("0.000000000001")), None);
}

#[test]
fn basis_points_are_of_the_middle() {
    let bps = basis_points(number("99.5"), number("100.5")).unwrap();
    assert!((bps - 100.0).abs() < 1e-9, "{bps}");
    assert_eq!(basis_points(number("0"), number("0")), None);
}
