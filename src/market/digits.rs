//! Numbers as text, straight into a buffer: what the writers of files spend their time on.

/// The pairs `00` to `99`.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut value = 0;
    while value < 100 {
        pairs[value] = [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8];
        value += 1;
    }
    pairs
};

/// Appends `value`.
#[inline]
pub(crate) fn put_integer(out: &mut Vec<u8>, value: u64) {
    let mut text = [0u8; 20];
    let start = fill(&mut text, value);
    out.extend_from_slice(&text[start..]);
}

/// Appends `mantissa / 10^scale` with all of its `scale` digits behind the point.
#[inline]
pub(crate) fn put_decimal(out: &mut Vec<u8>, mantissa: i64, scale: u8) {
    put_padded(out, mantissa, scale, scale);
}

/// Appends `mantissa / 10^scale` with `digits` digits behind the point, of which those past `scale` are zeros.
#[inline]
pub(crate) fn put_padded(out: &mut Vec<u8>, mantissa: i64, scale: u8, digits: u8) {
    if mantissa < 0 {
        out.push(b'-');
    }
    let scale = usize::from(scale);
    let mut text = [b'0'; 20];
    let first = fill(&mut text, mantissa.unsigned_abs());
    let point = text.len() - scale;
    out.extend_from_slice(&text[first.min(point - 1)..point]);
    if digits > 0 {
        out.push(b'.');
        out.extend_from_slice(&text[point..]);
        out.resize(out.len() + usize::from(digits).saturating_sub(scale), b'0');
    }
}

/// Writes `value` at the end of `text` and returns where it begins.
#[inline]
fn fill(text: &mut [u8; 20], mut value: u64) -> usize {
    let mut start = text.len();
    while value >= 100 {
        start -= 2;
        text[start..start + 2].copy_from_slice(&PAIRS[(value % 100) as usize]);
        value /= 100;
    }
    if value >= 10 {
        start -= 2;
        text[start..start + 2].copy_from_slice(&PAIRS[value as usize]);
    } else {
        start -= 1;
        text[start] = b'0' + value as u8;
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    fn decimal(mantissa: i64, scale: u8) -> String {
        let mut out = Vec::new();
        put_decimal(&mut out, mantissa, scale);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn edges() {
        assert_eq!(decimal(0, 0), "0");
        assert_eq!(decimal(0, 8), "0.00000000");
        assert_eq!(decimal(-5, 2), "-0.05");
        assert_eq!(decimal(i64::MIN, 18), "-9.223372036854775808");
        let mut out = Vec::new();
        put_padded(&mut out, 12_345, 2, 8);
        assert_eq!(out, b"123.45000000");
    }

    proptest! {
        #[test]
        fn integers_are_as_the_standard_library_writes_them(value: u64) {
            let mut out = Vec::new();
            put_integer(&mut out, value);
            prop_assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }

        #[test]
        fn decimals_are_as_rust_decimal_writes_them(mantissa: i64, scale in 0u8..=18) {
            prop_assert_eq!(decimal(mantissa, scale), Decimal::new(mantissa, u32::from(scale)).to_string());
        }
    }
}
