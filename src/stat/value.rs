//! What a statistic says: an exact number, a count, an id, a time, a float or a text. Nothing to say is no value.

use std::fmt;

use feeds::number::Decimal;
use feeds::time::{self, Nanos};

use super::Sum;

/// The value of a statistic. Its text is exact and plain: no exponent, no trailing zeros, times as RFC 3339 in UTC.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number as a venue wrote it.
    Decimal(Decimal),
    /// An exact sum, or a quotient at [`super::QUOTIENT_DECIMALS`].
    Sum(Sum),
    /// How many.
    Count(u64),
    /// A venue's id.
    Id(u64),
    /// An exchange time.
    Time(Nanos),
    /// A float; never a NaN and never infinite (see [`Value::float`]).
    Float(f64),
    /// Words.
    Text(String),
}

/// The type of a statistic's values, for the schemas of outputs. The variants are those of [`Value`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// [`Value::Decimal`].
    Decimal,
    /// [`Value::Sum`].
    Sum,
    /// [`Value::Count`].
    Count,
    /// [`Value::Id`].
    Id,
    /// [`Value::Time`].
    Time,
    /// [`Value::Float`].
    Float,
    /// [`Value::Text`].
    Text,
}

impl Value {
    /// A float, if it is one that says something: a NaN or an infinity is no value.
    #[must_use]
    pub fn float(value: f64) -> Option<Value> {
        value.is_finite().then_some(Value::Float(value))
    }

    /// Its type.
    #[must_use]
    pub fn value_type(&self) -> ValueType {
        match self {
            Value::Decimal(_) => ValueType::Decimal,
            Value::Sum(_) => ValueType::Sum,
            Value::Count(_) => ValueType::Count,
            Value::Id(_) => ValueType::Id,
            Value::Time(_) => ValueType::Time,
            Value::Float(_) => ValueType::Float,
            Value::Text(_) => ValueType::Text,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Decimal(value) => fmt::Display::fmt(value, f),
            Value::Sum(value) => fmt::Display::fmt(value, f),
            Value::Count(value) | Value::Id(value) => fmt::Display::fmt(value, f),
            Value::Time(value) => f.write_str(&time::format(*value)),
            Value::Float(value) => fmt::Display::fmt(value, f),
            Value::Text(value) => f.write_str(value),
        }
    }
}
