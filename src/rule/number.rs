//! The numbers of rules: exact for as long as they fit 38 digits, the nearest `f64` where they do not.
//!
//! Sums, differences and products of exact numbers are exact if, both operands in lowest form, neither the result nor
//! an operand brought to the result's scale has more than [`DIGITS_MAX`] digits, and at most as many stand behind the
//! point. Otherwise, and for quotients, roots and logarithms, the operands are taken as their nearest `f64` and the
//! result is what IEEE 754 says. What would be a NaN or infinite is nothing. Whether a result is exact depends on the
//! operands' values alone, not on how they are written (`1.50` or `1.5`).
//!
//! # Bytes
//! | bytes | what |
//! |---|---|
//! | 1 | scale of an exact number in lowest form, 0 to 38; 255 for a float |
//! | varies | the mantissa (signed varint); for a float its IEEE 754 bits (varint) |

use std::cmp::Ordering;
use std::fmt;
use std::io::Write as _;

use feeds::number::{Decimal, POW10};

use crate::codec::{CodecError, Put, Reader};
use crate::stat::Value;

/// Digits that an exact number can have, before and behind the point together, and behind it alone. An `i128` holds
/// any number of so many.
pub const DIGITS_MAX: u8 = 38;

/// The first mantissa that has too many digits.
const MANTISSA_END: i128 = POW10[DIGITS_MAX as usize];

/// Marks a float in the bytes.
const FLOAT: u8 = 0xff;

/// Up to here every whole number is an `f64`.
const F64_WHOLE: u64 = 1 << 53;

/// The powers of ten that are `f64`s.
const F64_TENS: [f64; 23] = {
    let mut table = [1.0; 23];
    let mut exponent = 1;
    while exponent < 23 {
        table[exponent] = table[exponent - 1] * 10.0;
        exponent += 1;
    }
    table
};

/// The powers of ten that are `i64`s: a product of two of those is one multiplication instead of three.
const NARROW_TENS: [i64; 19] = {
    let mut table = [1i64; 19];
    let mut exponent = 1;
    while exponent < 19 {
        table[exponent] = table[exponent - 1] * 10;
        exponent += 1;
    }
    table
};

/// A number that a rule reads or makes. Truths are 1 and 0, durations and times nanoseconds, sides 1 (buy) and -1.
///
/// Two are equal if both are exact or both are floats, and the values are equal.
#[derive(Clone, Copy, Debug)]
pub enum Number {
    /// `mantissa / 10^scale`.
    Exact {
        /// Fewer than 39 digits.
        mantissa: i128,
        /// At most [`DIGITS_MAX`].
        scale: u8,
    },
    /// A float; never a NaN, never infinite, never −0.
    Float(f64),
}

impl Number {
    /// Zero, and false.
    pub const ZERO: Number = Number::whole(0);
    /// One, and true.
    pub const ONE: Number = Number::whole(1);

    /// A whole number.
    #[must_use]
    #[inline]
    pub const fn whole(value: i64) -> Number {
        Number::Exact { mantissa: value as i128, scale: 0 }
    }

    /// 1 for true, 0 for false.
    #[must_use]
    #[inline]
    pub const fn truth(value: bool) -> Number {
        if value { Number::ONE } else { Number::ZERO }
    }

    /// A float, if it says something: a NaN or an infinity is no number.
    #[must_use]
    #[inline]
    pub fn float(value: f64) -> Option<Number> {
        // Adding zero makes −0 to 0, so that equal values have equal bytes.
        value.is_finite().then_some(Number::Float(value + 0.0))
    }

    /// `mantissa / 10^scale`: exact if it fits, else the nearest float.
    #[must_use]
    pub fn exact(mantissa: i128, scale: u8) -> Option<Number> {
        match fits(mantissa, scale) {
            Some(number) => Some(number),
            None => {
                let (mantissa, scale) = lowest(mantissa, scale);
                fits(mantissa, scale).or_else(|| Number::float(to_f64(mantissa, scale)))
            }
        }
    }

    /// Reads digits with at most one point, without rounding; `None` for anything else, and for more digits than fit.
    #[must_use]
    pub fn parse(text: &str, exponent: i32) -> Option<Number> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let mut mantissa = 0i128;
        for byte in whole.bytes().chain(fraction.bytes()) {
            let digit = byte.is_ascii_digit().then(|| i128::from(byte - b'0'))?;
            mantissa = mantissa.checked_mul(10)?.checked_add(digit)?;
        }
        if mantissa == 0 {
            return Some(Number::ZERO);
        }
        let mut scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        while scale < 0 {
            mantissa = mantissa.checked_mul(10)?;
            scale += 1;
        }
        while scale > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            scale -= 1;
        }
        fits(mantissa, u8::try_from(scale).ok()?)
    }

    /// The number that a statistic says; `None` for words.
    #[must_use]
    pub fn from_value(value: &Value) -> Option<Number> {
        match value {
            Value::Decimal(decimal) => Some(Number::from(*decimal)),
            Value::Sum(sum) => match sum.small() {
                Some((mantissa, scale)) => Number::exact(mantissa, scale),
                None => Number::float(sum.to_f64()),
            },
            Value::Count(value) | Value::Id(value) => {
                Some(Number::Exact { mantissa: i128::from(*value), scale: 0 })
            }
            Value::Time(nanos) => Some(Number::whole(*nanos)),
            Value::Float(value) => Number::float(*value),
            Value::Text(_) => None,
        }
    }

    /// The nearest float.
    #[must_use]
    #[inline]
    pub fn to_f64(self) -> f64 {
        match self {
            Number::Exact { mantissa, scale } => to_f64(mantissa, scale),
            Number::Float(value) => value,
        }
    }

    /// True for anything but zero.
    #[must_use]
    #[inline]
    pub fn is_true(self) -> bool {
        match self {
            Number::Exact { mantissa, .. } => mantissa != 0,
            Number::Float(value) => value.abs() > 0.0,
        }
    }

    /// The order of the values: exact if both are, else that of the nearest floats.
    #[must_use]
    #[inline]
    pub fn compare(self, other: Number) -> Ordering {
        match (self, other) {
            (Number::Exact { mantissa: a, scale: s }, Number::Exact { mantissa: b, scale: t }) => {
                if s == t {
                    a.cmp(&b)
                } else {
                    compare_scaled(a, s, b, t)
                }
            }
            // Neither is a NaN or −0, so the total order is that of the values.
            _ => self.to_f64().total_cmp(&other.to_f64()),
        }
    }

    /// The sum.
    #[must_use]
    #[inline]
    pub fn plus(self, other: Number) -> Option<Number> {
        if let (Number::Exact { mantissa: a, scale: s }, Number::Exact { mantissa: b, scale: t }) =
            (self, other)
            && let Some(sum) = sum(a, s, b, t).or_else(|| {
                let ((a, s), (b, t)) = (lowest(a, s), lowest(b, t));
                sum(a, s, b, t)
            })
        {
            return Some(sum);
        }
        Number::float(self.to_f64() + other.to_f64())
    }

    /// The difference.
    #[must_use]
    #[inline]
    pub fn minus(self, other: Number) -> Option<Number> {
        self.plus(other.negated())
    }

    /// The product.
    #[must_use]
    #[inline]
    pub fn times(self, other: Number) -> Option<Number> {
        if let (Number::Exact { mantissa: a, scale: s }, Number::Exact { mantissa: b, scale: t }) =
            (self, other)
            && let Some(product) = product(a, s, b, t).or_else(|| {
                let ((a, s), (b, t)) = (lowest(a, s), lowest(b, t));
                product(a, s, b, t)
            })
        {
            return Some(product);
        }
        Number::float(self.to_f64() * other.to_f64())
    }

    /// The quotient; nothing if `other` is zero.
    #[must_use]
    pub fn over(self, other: Number) -> Option<Number> {
        // A zero divisor gives a NaN or an infinity, which is no number.
        Number::float(self.to_f64() / other.to_f64())
    }

    /// The number with the other sign.
    #[must_use]
    #[inline]
    pub fn negated(self) -> Number {
        match self {
            Number::Exact { mantissa, scale } => Number::Exact { mantissa: -mantissa, scale },
            Number::Float(value) => Number::Float(0.0 - value),
        }
    }

    /// Its distance from zero.
    #[must_use]
    #[inline]
    pub fn distance(self) -> Number {
        match self {
            Number::Exact { mantissa, scale } => Number::Exact { mantissa: mantissa.abs(), scale },
            Number::Float(value) => Number::Float(value.abs()),
        }
    }

    /// The square root; nothing below zero.
    #[must_use]
    pub fn square_root(self) -> Option<Number> {
        Number::float(self.to_f64().sqrt())
    }

    /// The natural logarithm, from `libm`; nothing for zero and below.
    #[must_use]
    pub fn logarithm(self) -> Option<Number> {
        Number::float(libm::log(self.to_f64()))
    }

    /// The number as people read it: plain, a float with at most `decimals` digits behind the point.
    #[must_use]
    pub fn short(self, decimals: usize) -> String {
        let Number::Float(value) = self else { return self.to_string() };
        let text = format!("{value:.decimals$}");
        let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
        if text == "-0" { "0".to_owned() } else { text.to_owned() }
    }

    /// Appends the bytes that [`Number::decode`] reads. Equal numbers have equal bytes.
    pub fn encode(self, bytes: &mut Vec<u8>) {
        match self {
            Number::Exact { mantissa, scale } => {
                let (mantissa, scale) = lowest(mantissa, scale);
                bytes.put_u8(scale);
                bytes.put_i128(mantissa);
            }
            Number::Float(value) => {
                bytes.put_u8(FLOAT);
                bytes.put_u64(value.to_bits());
            }
        }
    }

    /// Reads what [`Number::encode`] wrote.
    ///
    /// # Errors
    /// [`CodecError`] if the bytes hold no number.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Number, CodecError> {
        match reader.u8()? {
            FLOAT => Number::float(f64::from_bits(reader.u64()?)).ok_or(CodecError::Invalid),
            scale => fits(reader.i128()?, scale).ok_or(CodecError::Invalid),
        }
    }
}

impl From<Decimal> for Number {
    #[inline]
    fn from(value: Decimal) -> Number {
        Number::Exact { mantissa: i128::from(value.mantissa()), scale: value.scale() }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Number) -> bool {
        let is_float = |number: &Number| matches!(number, Number::Float(_));
        is_float(self) == is_float(other) && self.compare(*other).is_eq()
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Exact { mantissa, scale } => {
                let (mantissa, scale) = lowest(*mantissa, *scale);
                let mut digits = [0; 64];
                f.pad(plain(mantissa, scale, &mut digits))
            }
            Number::Float(value) => fmt::Display::fmt(value, f),
        }
    }
}

/// The number, if it fits as it is.
#[inline]
fn fits(mantissa: i128, scale: u8) -> Option<Number> {
    let few = mantissa < MANTISSA_END && mantissa > -MANTISSA_END && scale <= DIGITS_MAX;
    few.then_some(Number::Exact { mantissa, scale })
}

/// The same value without zeros at the end of its digits behind the point.
fn lowest(mut mantissa: i128, mut scale: u8) -> (i128, u8) {
    while scale > 0 && mantissa % 10 == 0 {
        mantissa /= 10;
        scale -= 1;
    }
    (mantissa, scale)
}

/// `mantissa` brought from scale `from` to the scale `to`, which is not below it.
#[inline]
fn at_scale(mantissa: i128, from: u8, to: u8) -> Option<i128> {
    raised(mantissa, to - from).filter(|raised| raised.abs() < MANTISSA_END)
}

/// `mantissa` × 10^`by`; `None` if that is no `i128`.
#[inline]
fn raised(mantissa: i128, by: u8) -> Option<i128> {
    match (i64::try_from(mantissa), NARROW_TENS.get(usize::from(by))) {
        (Ok(mantissa), Some(&factor)) => Some(i128::from(mantissa) * i128::from(factor)),
        _ if mantissa == 0 => Some(0),
        _ => mantissa.checked_mul(*POW10.get(usize::from(by))?),
    }
}

#[inline]
fn sum(a: i128, s: u8, b: i128, t: u8) -> Option<Number> {
    if s == t {
        return fits(a.checked_add(b)?, s);
    }
    let scale = s.max(t);
    fits(at_scale(a, s, scale)?.checked_add(at_scale(b, t, scale)?)?, scale)
}

#[inline]
fn product(a: i128, s: u8, b: i128, t: u8) -> Option<Number> {
    let narrow = |value: i128| i64::try_from(value).ok();
    let mantissa = match (narrow(a), narrow(b)) {
        (Some(a), Some(b)) => i128::from(a) * i128::from(b),
        _ => a.checked_mul(b)?,
    };
    fits(mantissa, s.checked_add(t)?)
}

/// The order of `a / 10^s` and `b / 10^t`, exactly.
#[inline]
fn compare_scaled(a: i128, s: u8, b: i128, t: u8) -> Ordering {
    if s > t {
        return compare_scaled(b, t, a, s).reverse();
    }
    match raised(a, t - s) {
        Some(raised) => raised.cmp(&b),
        // What overflows is farther from zero than anything that fits.
        None => a.cmp(&0),
    }
}

/// The nearest float.
#[inline]
fn to_f64(mantissa: i128, scale: u8) -> f64 {
    if let (Ok(narrow), Some(ten)) = (i64::try_from(mantissa), F64_TENS.get(usize::from(scale)))
        && narrow.unsigned_abs() <= F64_WHOLE
    {
        // Both are floats, so that the quotient is rounded once.
        return narrow as f64 / ten;
    }
    if scale == 0 {
        return mantissa as f64;
    }
    let mut digits = [0; 64];
    // Reading a decimal text rounds once. Digits and a point always are such a text.
    plain(mantissa, scale, &mut digits).parse().unwrap_or(0.0)
}

/// `mantissa / 10^scale` in digits: 39 of a mantissa, or 39 behind the point, a sign and a point fit in 64.
fn plain(mantissa: i128, scale: u8, digits: &mut [u8; 64]) -> &str {
    let mut rest = &mut digits[..];
    let sign = if mantissa < 0 { "-" } else { "" };
    let (unsigned, unit) =
        (mantissa.unsigned_abs(), POW10[usize::from(scale.min(DIGITS_MAX))].unsigned_abs());
    let written = if scale == 0 {
        write!(rest, "{sign}{unsigned}")
    } else {
        let width = usize::from(scale);
        write!(rest, "{sign}{}.{:0width$}", unsigned / unit, unsigned % unit)
    };
    let left = rest.len();
    let used = if written.is_ok() { 64 - left } else { 0 };
    std::str::from_utf8(&digits[..used]).unwrap_or("")
}
