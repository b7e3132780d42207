//! Exact sums of decimals: added, merged, subtracted and divided without rounding anything that is kept.
//!
//! A [`Sum`] is `mantissa / 10^scale`. The scale grows to the largest that was met and never shrinks; the mantissa is
//! an `i128` for as long as it fits, which is as good as always, and an integer of any length once it does not.
//! Fixed 256 bits would not do: one product of two 63-bit mantissas at scale 0 beside one at scale 36 is
//! 2^126 · 10^36 < 2^246, so 2^10 such trades could overflow them, and a venue (or whoever speaks in its place) may
//! write such numbers. With any length no input can. Nothing grows without bound either: a window holds fewer than
//! 2^64 ticks, so a sum stays below 2^126 · 10^36 · 2^64 < 2^310, which is 39 bytes.
//!
//! Equality and order are by value (`1.50` equals `1.5`), and so is the text: plain, in lowest form.
//!
//! # Bytes
//! | bytes | what |
//! |---|---|
//! | 1 | scale, 0 to 36; bit 7 is set if the mantissa does not fit in an `i128` |
//! | varies | the mantissa: a varint ([`Put::put_i128`]); with bit 7 length-prefixed, two's complement, big-endian |

use std::cmp::Ordering;
use std::fmt;

use feeds::number::{Decimal, POW10, SCALE_MAX};
use num_bigint::{BigInt, BigUint, Sign};

use crate::codec::{CodecError, Put, Reader};

/// The largest scale that a [`Sum`] can have: that of a product of two decimals.
pub const SUM_SCALE_MAX: u8 = 2 * SCALE_MAX;

/// More bytes than the largest possible mantissa has (39, see above).
const WIDE_BYTES_MAX: usize = 48;

/// Set in the scale's byte when the mantissa is written as bytes.
const WIDE: u8 = 0x80;

/// Powers of ten that fit in an `i64`: a factor of this size costs one multiplication instead of three.
const POW10_NARROW: [i64; 19] = {
    let mut table = [1i64; 19];
    let mut exponent = 1;
    while exponent < 19 {
        table[exponent] = table[exponent - 1] * 10;
        exponent += 1;
    }
    table
};

/// An exact signed sum of decimals or of products of two decimals.
#[derive(Clone)]
pub struct Sum(Repr);

#[derive(Clone)]
enum Repr {
    Small {
        mantissa: i128,
        scale: u8,
    },
    /// Only what does not fit in an `i128`; what comes to fit again is made small again.
    Wide(Box<Wide>),
}

#[derive(Clone)]
struct Wide {
    mantissa: BigInt,
    scale: u8,
}

impl Sum {
    /// Zero.
    pub const ZERO: Sum = Sum(Repr::Small { mantissa: 0, scale: 0 });

    /// Adds a decimal.
    #[inline]
    pub fn add(&mut self, value: Decimal) {
        self.add_scaled(i128::from(value.mantissa()), value.scale());
    }

    /// Adds `price` × `size`.
    #[inline]
    pub fn add_product(&mut self, price: Decimal, size: Decimal) {
        let product = i128::from(price.mantissa()) * i128::from(size.mantissa());
        self.add_scaled(product, price.scale() + size.scale());
    }

    /// Takes off `price` × `size`.
    #[inline]
    pub fn sub_product(&mut self, price: Decimal, size: Decimal) {
        // The product is at most 2^126, so it can be negated.
        let product = i128::from(price.mantissa()) * i128::from(size.mantissa());
        self.add_scaled(-product, price.scale() + size.scale());
    }

    /// Adds another sum.
    #[inline]
    pub fn merge(&mut self, other: &Sum) {
        match &other.0 {
            Repr::Small { mantissa, scale } => self.add_scaled(*mantissa, *scale),
            Repr::Wide(wide) => self.add_wide(&wide.mantissa, wide.scale),
        }
    }

    /// Takes off another sum.
    #[inline]
    pub fn sub(&mut self, other: &Sum) {
        match &other.0 {
            Repr::Small { mantissa, scale } if *mantissa != i128::MIN => self.add_scaled(-mantissa, *scale),
            _ => self.add_wide(&-other.mantissa(), other.scale()),
        }
    }

    /// Mantissa and scale, if the mantissa fits in an `i128`.
    #[must_use]
    pub fn small(&self) -> Option<(i128, u8)> {
        match &self.0 {
            Repr::Small { mantissa, scale } => Some((*mantissa, *scale)),
            Repr::Wide(_) => None,
        }
    }

    /// True for zero.
    #[must_use]
    #[inline]
    pub fn is_zero(&self) -> bool {
        matches!(self.0, Repr::Small { mantissa: 0, .. })
    }

    /// `self / by`, rounded half to even at `decimals` digits behind the point (at most [`SUM_SCALE_MAX`], which
    /// more is cut to). `None` if `by` is zero.
    #[must_use]
    pub fn div_half_even(&self, by: &Sum, decimals: u8) -> Option<Sum> {
        if by.is_zero() {
            return None;
        }
        let decimals = decimals.min(SUM_SCALE_MAX);
        let shift = i16::from(decimals) + i16::from(by.scale()) - i16::from(self.scale());
        let narrow = self.div_narrow(by, shift).map(|mantissa| Repr::Small { mantissa, scale: decimals });
        Some(Sum(narrow.unwrap_or_else(|| {
            let ten = BigInt::from(10);
            let (mut over, mut under) = (self.mantissa(), by.mantissa());
            if shift >= 0 {
                over *= ten.pow(u32::from(shift.unsigned_abs()));
            } else {
                under *= ten.pow(u32::from(shift.unsigned_abs()));
            }
            settle(divide_half_even(&over, &under), decimals)
        })))
    }

    /// The mantissa of the quotient shifted by `10^shift`, if everything on the way there fits in 128 bits.
    fn div_narrow(&self, by: &Sum, shift: i16) -> Option<i128> {
        let (Repr::Small { mantissa: over, .. }, Repr::Small { mantissa: under, .. }) = (&self.0, &by.0)
        else {
            return None;
        };
        let factor = *POW10.get(usize::from(shift.unsigned_abs()))?;
        let (over, under) = if shift >= 0 {
            (over.checked_mul(factor)?, *under)
        } else {
            (*over, under.checked_mul(factor)?)
        };
        let (above, below) = (over.unsigned_abs(), under.unsigned_abs());
        let (mut quotient, rest) = (above / below, above % below);
        // `rest` against `below − rest` is twice the rest against the divisor, without the overflow.
        let up = match rest.cmp(&(below - rest)) {
            Ordering::Less => false,
            Ordering::Equal => quotient % 2 == 1,
            Ordering::Greater => true,
        };
        quotient += u128::from(up);
        let quotient = i128::try_from(quotient).ok()?;
        Some(if (over < 0) == (under < 0) { quotient } else { -quotient })
    }

    /// The nearest or next to nearest `f64`.
    #[must_use]
    pub fn to_f64(&self) -> f64 {
        let mantissa = match &self.0 {
            Repr::Small { mantissa, .. } => *mantissa as f64,
            Repr::Wide(wide) => {
                let limb = 18_446_744_073_709_551_616.0;
                let size =
                    wide.mantissa.iter_u64_digits().rev().fold(0.0, |sum, digit| sum * limb + digit as f64);
                if wide.mantissa.sign() == Sign::Minus { -size } else { size }
            }
        };
        mantissa / POW10[usize::from(self.scale())] as f64
    }

    /// Appends the bytes that [`Sum::decode`] reads.
    #[inline]
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        match &self.0 {
            Repr::Small { mantissa, scale } => {
                bytes.put_u8(*scale);
                bytes.put_i128(*mantissa);
            }
            Repr::Wide(wide) => {
                bytes.put_u8(WIDE | wide.scale);
                bytes.put_bytes(&wide.mantissa.to_signed_bytes_be());
            }
        }
    }

    /// Reads what [`Sum::encode`] wrote.
    ///
    /// # Errors
    /// [`CodecError`] if the bytes hold no sum.
    #[inline]
    pub fn decode(reader: &mut Reader<'_>) -> Result<Sum, CodecError> {
        let head = reader.u8()?;
        let scale = head & !WIDE;
        if scale > SUM_SCALE_MAX {
            return Err(CodecError::Invalid);
        }
        if head & WIDE == 0 {
            return Ok(Sum(Repr::Small { mantissa: reader.i128()?, scale }));
        }
        let mantissa = reader.bytes()?;
        if mantissa.len() > WIDE_BYTES_MAX {
            return Err(CodecError::Invalid);
        }
        Ok(Sum(settle(BigInt::from_signed_bytes_be(mantissa), scale)))
    }

    /// Adds `mantissa / 10^scale`.
    #[inline]
    fn add_scaled(&mut self, mantissa: i128, scale: u8) {
        if let Repr::Small { mantissa: sum, scale: own } = &mut self.0
            && scale <= *own
            && let Some(total) = shifted(mantissa, *own - scale).and_then(|m| sum.checked_add(m))
        {
            *sum = total;
            return;
        }
        self.add_growing(mantissa, scale);
    }

    /// The rest of [`Sum::add_scaled`]: the scale or the width has to grow.
    #[cold]
    #[inline(never)]
    fn add_growing(&mut self, mantissa: i128, scale: u8) {
        if let Repr::Small { mantissa: sum, scale: own } = &mut self.0
            && scale > *own
            && let Some(total) = shifted(*sum, scale - *own).and_then(|s| s.checked_add(mantissa))
        {
            (*sum, *own) = (total, scale);
            return;
        }
        self.add_wide(&BigInt::from(mantissa), scale);
    }

    #[cold]
    fn add_wide(&mut self, mantissa: &BigInt, scale: u8) {
        let own = self.scale();
        let common = own.max(scale);
        let ten = BigInt::from(10);
        let total = self.mantissa() * ten.pow(u32::from(common - own))
            + mantissa * ten.pow(u32::from(common - scale));
        self.0 = settle(total, common);
    }

    fn mantissa(&self) -> BigInt {
        match &self.0 {
            Repr::Small { mantissa, .. } => BigInt::from(*mantissa),
            Repr::Wide(wide) => wide.mantissa.clone(),
        }
    }

    fn scale(&self) -> u8 {
        match &self.0 {
            Repr::Small { scale, .. } => *scale,
            Repr::Wide(wide) => wide.scale,
        }
    }
}

/// `mantissa × 10^digits`, if it fits.
#[inline]
fn shifted(mantissa: i128, digits: u8) -> Option<i128> {
    if digits == 0 {
        return Some(mantissa);
    }
    match (i64::try_from(mantissa), POW10_NARROW.get(usize::from(digits))) {
        (Ok(mantissa), Some(&factor)) => Some(i128::from(mantissa) * i128::from(factor)),
        _ => mantissa.checked_mul(*POW10.get(usize::from(digits))?),
    }
}

/// Small if it fits, else wide.
fn settle(mantissa: BigInt, scale: u8) -> Repr {
    match i128::try_from(&mantissa) {
        Ok(mantissa) => Repr::Small { mantissa, scale },
        Err(_) => Repr::Wide(Box::new(Wide { mantissa, scale })),
    }
}

/// `over / under`, rounded half to even.
fn divide_half_even(over: &BigInt, under: &BigInt) -> BigInt {
    let (above, below) = (over.magnitude(), under.magnitude());
    let mut quotient = above / below;
    let rest = above - &quotient * below;
    let up = match (&rest + &rest).cmp(below) {
        Ordering::Less => false,
        Ordering::Equal => quotient.bit(0),
        Ordering::Greater => true,
    };
    if up {
        quotient += BigUint::from(1u8);
    }
    let sign = if over.sign() == under.sign() { Sign::Plus } else { Sign::Minus };
    BigInt::from_biguint(sign, quotient)
}

impl Default for Sum {
    fn default() -> Sum {
        Sum::ZERO
    }
}

impl From<Decimal> for Sum {
    fn from(value: Decimal) -> Sum {
        Sum(Repr::Small { mantissa: i128::from(value.mantissa()), scale: value.scale() })
    }
}

impl From<u64> for Sum {
    fn from(value: u64) -> Sum {
        Sum(Repr::Small { mantissa: i128::from(value), scale: 0 })
    }
}

impl Ord for Sum {
    fn cmp(&self, other: &Sum) -> Ordering {
        let common = self.scale().max(other.scale());
        if let (Repr::Small { mantissa: a, scale: s }, Repr::Small { mantissa: b, scale: t }) =
            (&self.0, &other.0)
            && let (Some(a), Some(b)) = (shifted(*a, common - s), shifted(*b, common - t))
        {
            return a.cmp(&b);
        }
        let at_common = |sum: &Sum| sum.mantissa() * BigInt::from(10).pow(u32::from(common - sum.scale()));
        at_common(self).cmp(&at_common(other))
    }
}

impl PartialOrd for Sum {
    fn partial_cmp(&self, other: &Sum) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Sum {
    fn eq(&self, other: &Sum) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Sum {}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Small { mantissa, scale } => match i64::try_from(*mantissa) {
                Ok(mantissa) if *scale <= SCALE_MAX => fmt::Display::fmt(&Decimal::new(mantissa, *scale), f),
                _ => write_plain(f, *mantissa < 0, &mantissa.unsigned_abs().to_string(), usize::from(*scale)),
            },
            Repr::Wide(wide) => {
                let digits = wide.mantissa.magnitude().to_string();
                write_plain(f, wide.mantissa.sign() == Sign::Minus, &digits, usize::from(wide.scale))
            }
        }
    }
}

impl fmt::Debug for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Writes `digits / 10^scale` without an exponent and without trailing zeros behind the point.
fn write_plain(f: &mut fmt::Formatter<'_>, negative: bool, digits: &str, scale: usize) -> fmt::Result {
    let sign = if negative { "-" } else { "" };
    let (whole, fraction) = match digits.len().checked_sub(scale) {
        Some(point) if point > 0 => digits.split_at(point),
        _ => ("0", digits),
    };
    let zeros = scale - fraction.len();
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() {
        return write!(f, "{sign}{whole}");
    }
    write!(f, "{sign}{whole}.{:0>zeros$}{fraction}", "")
}
