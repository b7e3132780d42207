//! Exact decimals: text as the venue wrote it to a mantissa and a scale, without rounding.
//!
//! The hot path of every decoder, which is why it is our own; the tests hold it against `rust_decimal`.

use std::cmp::Ordering;
use std::fmt;

/// The largest scale (digits behind the point) that a [`Decimal`] can have.
pub const SCALE_MAX: u8 = 18;

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

    /// Reads `[-+]digits[.digits][(e|E)[+-]digits]` without rounding.
    ///
    /// # Errors
    /// [`NumberError::NotANumber`] for anything else, [`NumberError::OutOfRange`] for more than an `i64` mantissa
    /// at a scale of at most [`SCALE_MAX`].
    #[inline]
    pub fn parse(text: &[u8]) -> Result<Decimal, NumberError> {
        let (negative, digits) = match text.first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let mut mantissa: u64 = 0;
        let mut point = None;
        let mut zeros: u32 = 0;
        let mut scale: u32 = 0;
        let mut seen = 0usize;
        for (index, &byte) in digits.iter().enumerate() {
            let digit = byte.wrapping_sub(b'0');
            if digit <= 9 {
                seen += 1;
                // Trailing zeros behind the point wait in `zeros` until a digit follows that makes them count.
                if point.is_some() && digit == 0 {
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
                if point.is_some() {
                    scale += zeros + 1;
                }
                zeros = 0;
            } else if byte == b'.' && point.is_none() {
                point = Some(index);
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
