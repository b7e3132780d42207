//! Exact decimals: text as the venue wrote it to a mantissa and a scale, without rounding.
//!
//! The hot path of every decoder, which is why it is our own; the tests hold it against `rust_decimal`.

use std::cmp::Ordering;
use std::fmt;

/// The largest scale (digits behind the point) that a [`Decimal`] can have.
pub const SCALE_MAX: u8 = 18;

/// The most digits that can never overflow an `i64`.
const PLAIN_DIGITS: usize = 18;

/// Powers of ten that fit in an `i128`, by exponent.
pub const POW10: [i128; 39] = {
    let mut table = [1i128; 39];
    let mut exponent = 1;
    while exponent < 39 {
        table[exponent] = table[exponent - 1] * 10;
        exponent += 1;
    }
    table
};

/// An exact decimal: `mantissa / 10^scale`, in lowest form (no trailing zero behind the point).
///
/// Being in lowest form is an invariant: equal values have equal fields, so equality and hashing are by field.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Decimal {
    mantissa: i64,
    scale: u8,
}

/// Why a text is not a [`Decimal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// Not of the form `[-]digits[.digits][e[+-]digits]`. `NaN` and `inf` are among these.
    #[error("not a decimal number")]
    NotANumber,
    /// More digits than an `i64` mantissa or a scale of [`SCALE_MAX`] can hold.
    #[error("number out of range")]
    OutOfRange,
}

impl Decimal {
    /// Zero.
    pub const ZERO: Decimal = Decimal { mantissa: 0, scale: 0 };

    /// `mantissa / 10^scale`, brought to lowest form.
    ///
    /// # Panics
    /// Never for a `scale` of at most [`SCALE_MAX`], which is debug-asserted.
    #[must_use]
    pub const fn new(mut mantissa: i64, mut scale: u8) -> Decimal {
        debug_assert!(scale <= SCALE_MAX);
        while scale > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            scale -= 1;
        }
        Decimal { mantissa, scale }
    }

    /// `mantissa / 10^scale` from fields that already are in lowest form.
    #[inline]
    pub(crate) const fn new_canonical(mantissa: i64, scale: u8) -> Decimal {
        Decimal { mantissa, scale }
    }

    /// The integer that, divided by `10^scale`, is the value.
    #[must_use]
    #[inline]
    pub const fn mantissa(self) -> i64 {
        self.mantissa
    }

    /// Digits behind the point.
    #[must_use]
    #[inline]
    pub const fn scale(self) -> u8 {
        self.scale
    }

    /// Reads `[-+]digits[.digits][(e|E)[+-]digits]` without rounding. One side of the point may be empty (`1.`,
    /// `.5`), as some venues write it; both may not.
    ///
    /// # Errors
    /// [`NumberError::NotANumber`] for anything else, [`NumberError::OutOfRange`] for more than an `i64` mantissa
    /// at a scale of at most [`SCALE_MAX`].
    #[inline]
    pub fn parse(text: &[u8]) -> Result<Decimal, NumberError> {
        let (negative, digits) = match text {
            [b'-', digits @ ..] => (true, digits),
            [b'+', digits @ ..] => (false, digits),
            digits => (false, digits),
        };
        match Self::parse_plain(negative, digits) {
            Some(decimal) => Ok(decimal),
            None => Self::parse_any(negative, digits),
        }
    }

    /// The common case, which cannot overflow: up to [`PLAIN_DIGITS`] digits that count, a point or none, no
    /// exponent. `None` means "look closer".
    #[inline]
    fn parse_plain(negative: bool, digits: &[u8]) -> Option<Decimal> {
        let whole_length = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
        let (whole, fraction) = match digits.get(whole_length..) {
            Some([b'.', fraction @ ..]) => (&digits[..whole_length], without_zeros(fraction)),
            Some([]) => (digits, &digits[..0]),
            _ => return None,
        };
        if whole.is_empty() || whole.len() + fraction.len() > PLAIN_DIGITS {
            return None;
        }
        let mut mantissa: i64 = 0;
        for &byte in whole {
            mantissa = mantissa * 10 + i64::from(byte - b'0');
        }
        for &byte in fraction {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            mantissa = mantissa * 10 + i64::from(digit);
        }
        // At most PLAIN_DIGITS, which is a u8's worth; the last digit of the fraction is no zero.
        let scale = u8::try_from(fraction.len()).ok()?;
        Some(Decimal { mantissa: if negative { -mantissa } else { mantissa }, scale })
    }

    fn parse_any(negative: bool, digits: &[u8]) -> Result<Decimal, NumberError> {
        let mut mantissa: u64 = 0;
        let mut behind_point = false;
        let mut zeros: u32 = 0;
        let mut scale: u32 = 0;
        let mut seen = 0usize;
        for (index, &byte) in digits.iter().enumerate() {
            let digit = byte.wrapping_sub(b'0');
            if digit <= 9 {
                seen += 1;
                // Zeros behind the point wait in `zeros` until a digit follows that makes them count.
                if behind_point && digit == 0 {
                    zeros += 1;
                    continue;
                }
                for _ in 0..zeros {
                    mantissa = mantissa.checked_mul(10).ok_or(NumberError::OutOfRange)?;
                }
                mantissa = mantissa
                    .checked_mul(10)
                    .and_then(|m| m.checked_add(u64::from(digit)))
                    .ok_or(NumberError::OutOfRange)?;
                if behind_point {
                    scale += zeros + 1;
                }
                zeros = 0;
            } else if byte == b'.' && !behind_point {
                behind_point = true;
            } else if (byte == b'e' || byte == b'E') && seen > 0 {
                let exponent = parse_exponent(&digits[index + 1..])?;
                return Self::shifted(negative, mantissa, i64::from(scale) - exponent);
            } else {
                return Err(NumberError::NotANumber);
            }
        }
        if seen == 0 {
            return Err(NumberError::NotANumber);
        }
        Self::shifted(negative, mantissa, i64::from(scale))
    }

    fn shifted(negative: bool, mantissa: u64, scale: i64) -> Result<Decimal, NumberError> {
        let mut mantissa = i64::try_from(mantissa).map_err(|_| NumberError::OutOfRange)?;
        if mantissa == 0 {
            return Ok(Decimal::ZERO);
        }
        if negative {
            mantissa = -mantissa;
        }
        let mut scale = scale;
        while scale < 0 {
            mantissa = mantissa.checked_mul(10).ok_or(NumberError::OutOfRange)?;
            scale += 1;
        }
        while scale > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            scale -= 1;
        }
        match u8::try_from(scale) {
            Ok(scale) if scale <= SCALE_MAX => Ok(Decimal { mantissa, scale }),
            _ => Err(NumberError::OutOfRange),
        }
    }

    /// True for zero.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    /// True below zero.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.mantissa < 0
    }
}

/// The digits behind a point without the zeros at their end.
#[inline]
fn without_zeros(fraction: &[u8]) -> &[u8] {
    let mut length = fraction.len();
    while length > 0 && fraction[length - 1] == b'0' {
        length -= 1;
    }
    &fraction[..length]
}

fn parse_exponent(text: &[u8]) -> Result<i64, NumberError> {
    let text = std::str::from_utf8(text).map_err(|_| NumberError::NotANumber)?;
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NumberError::NotANumber);
    }
    text.parse::<i64>().ok().filter(|e| e.abs() <= 64).ok_or(NumberError::OutOfRange)
}

impl Ord for Decimal {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        if self.scale == other.scale {
            return self.mantissa.cmp(&other.mantissa);
        }
        // An i64 times 10^18 fits in an i128, so the comparison is exact.
        let left = i128::from(self.mantissa) * POW10[usize::from(other.scale)];
        let right = i128::from(other.mantissa) * POW10[usize::from(self.scale)];
        left.cmp(&right)
    }
}

impl PartialOrd for Decimal {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.mantissa.unsigned_abs();
        let unit = 10u64.pow(u32::from(self.scale));
        let sign = if self.mantissa < 0 { "-" } else { "" };
        write!(f, "{sign}{}", magnitude / unit)?;
        if self.scale > 0 {
            write!(f, ".{:0width$}", magnitude % unit, width = usize::from(self.scale))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use proptest::prelude::*;
    use rust_decimal::Decimal as Oracle;

    use super::*;

    fn parse(text: &str) -> Result<Decimal, NumberError> {
        Decimal::parse(text.as_bytes())
    }

    fn fields(text: &str) -> (i64, u8) {
        let decimal = parse(text).unwrap();
        (decimal.mantissa(), decimal.scale())
    }

    #[test]
    fn lowest_form_whatever_the_writing() {
        let cases = [
            ("61837.63000000", 6_183_763, 2),
            ("0.00000000", 0, 0),
            ("-0.0", 0, 0),
            ("+5", 5, 0),
            ("1.", 1, 0),
            (".5", 5, 1),
            ("-.50", -5, 1),
            ("0100.0010", 100_001, 3),
            ("100", 100, 0),
            ("46116860414.00", 46_116_860_414, 0),
            ("5.0E-4", 5, 4),
            ("1.5e3", 1_500, 0),
            ("12e-1", 12, 1),
            ("0e-60", 0, 0),
            ("0.000000000000000001", 1, 18),
            ("1e-18", 1, 18),
            ("9223372036854775807", i64::MAX, 0),
            ("-9.223372036854775807", -i64::MAX, 18),
            ("0.00000000000000000000000000000000000000000", 0, 0),
            ("1.500000000000000000000000000000000000000000", 15, 1),
            ("999999999999999999", 999_999_999_999_999_999, 0),
            ("1000000000000000000.0", 1_000_000_000_000_000_000, 0),
        ];
        for (text, mantissa, scale) in cases {
            assert_eq!(fields(text), (mantissa, scale), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_or_does_not_fit_is_told_apart() {
        let not = [
            "", "-", "+", ".", "-.", "NaN", "inf", "Infinity", "1,5", "0x10", "1.2.3", "1..2", "--1", " 1",
            "1 ",
        ];
        for text in not.into_iter().chain(["1e", "1e+", "e5", "1e5.0", "1_000", "٣", "1.5x", "\u{0}"]) {
            assert_eq!(parse(text), Err(NumberError::NotANumber), "{text:?}");
        }
        let out = [
            "9223372036854775808",
            "0.0000000000000000001",
            "1e-19",
            "1e19",
            "1e65",
            "1e-99999999999999999999",
        ];
        for text in out.into_iter().chain(["99999999999999999999999", "12345678901234567890.5"]) {
            assert_eq!(parse(text), Err(NumberError::OutOfRange), "{text:?}");
        }
    }

    /// Texts that are numbers, with zeros where they change nothing.
    fn number() -> impl Strategy<Value = String> {
        ("[+-]?", "0{0,3}", any::<u64>(), 0usize..20, 0usize..25, 0usize..12).prop_map(
            |(sign, zeros, mantissa, shift, scale, trailing)| {
                let mut digits =
                    format!("{:0>width$}", mantissa / 10u64.pow(shift as u32 % 20), width = scale + 1);
                let point = digits.len() - scale;
                if scale > 0 {
                    digits.insert(point, '.');
                    digits.push_str(&"0".repeat(trailing));
                }
                format!("{sign}{zeros}{digits}")
            },
        )
    }

    proptest! {
        #[test]
        fn parse_agrees_with_the_oracle(text in number()) {
            // The oracle holds 28 digits and rounds beyond; what it may have rounded is not compared.
            let oracle = Oracle::from_str_exact(text.trim_start_matches('+'));
            match (parse(&text), oracle) {
                (Ok(ours), Ok(oracle)) => {
                    let oracle = oracle.normalize();
                    let sign = if oracle.is_zero() { 0 } else { oracle.mantissa() };
                    prop_assert_eq!((i128::from(ours.mantissa()), u32::from(ours.scale())), (sign, oracle.scale()));
                }
                (Err(error), Ok(oracle)) => {
                    prop_assert_eq!(error, NumberError::OutOfRange);
                    let oracle = oracle.normalize();
                    prop_assert!(oracle.scale() > 18 || oracle.mantissa().abs() > i128::from(i64::MAX));
                }
                (Ok(ours), Err(_)) => prop_assert!(text.len() > 28, "{text} gave {ours}"),
                (Err(error), Err(_)) => prop_assert_eq!(error, NumberError::OutOfRange),
            }
        }

        #[test]
        fn the_common_case_is_the_general_one(text in "[-+]?[0-9]{0,20}(\\.[0-9]{0,20})?([eE.x][-+]?[0-9]{0,3})?") {
            let (negative, digits) = match text.as_bytes() {
                [b'-', digits @ ..] => (true, digits),
                [b'+', digits @ ..] => (false, digits),
                digits => (false, digits),
            };
            prop_assert_eq!(parse(&text), Decimal::parse_any(negative, digits));
        }

        #[test]
        fn bytes_never_panic(text in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(decimal) = Decimal::parse(&text) {
                prop_assert_eq!(parse(&decimal.to_string()), Ok(decimal));
            }
        }

        #[test]
        fn display_is_plain_and_reads_back(mantissa in -i64::MAX..=i64::MAX, scale in 0..=SCALE_MAX) {
            let decimal = Decimal::new(mantissa, scale);
            let text = decimal.to_string();
            prop_assert_eq!(parse(&text), Ok(decimal));
            let oracle = Oracle::from_i128_with_scale(i128::from(mantissa), u32::from(scale)).normalize();
            prop_assert_eq!(text, oracle.to_string());
        }

        #[test]
        fn an_exponent_moves_the_point(mantissa in -999_999_999i64..999_999_999, scale in 0u8..9, by in -9i32..9) {
            let decimal = Decimal::new(mantissa, scale);
            let moved = parse(&format!("{decimal}e{by}")).unwrap();
            let ten = Oracle::from(10i64.pow(by.unsigned_abs()));
            let oracle = Oracle::from_str(&decimal.to_string()).unwrap();
            let oracle = if by < 0 { oracle / ten } else { oracle * ten };
            prop_assert_eq!(moved.to_string(), oracle.normalize().to_string());
        }

        #[test]
        fn order_is_by_value(
            left in (any::<i64>(), 0..=SCALE_MAX), right in (any::<i64>(), 0..=SCALE_MAX), small in any::<bool>()
        ) {
            let cut = if small { 1_000 } else { i64::MAX };
            let (left, right) = ((left.0 % cut, left.1), (right.0 % cut, right.1));
            let ours = Decimal::new(left.0, left.1).cmp(&Decimal::new(right.0, right.1));
            let oracle = |(mantissa, scale): (i64, u8)| Oracle::from_i128_with_scale(mantissa.into(), scale.into());
            prop_assert_eq!(ours, oracle(left).cmp(&oracle(right)));
        }
    }
}
