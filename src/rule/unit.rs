//! What an expression measures. Prices and sizes are powers of two bases, so that any product or quotient of them has
//! a meaning; the others combine where that says something.

use std::fmt;

use crate::stat::Unit;

/// What an expression measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    /// A number that takes the measure of what it is compared with or added to.
    Plain,
    /// Price to one power times size to another: a price is 1 and 0, a notional 1 and 1, a ratio 0 and 0.
    Powers { price: i16, size: i16 },
    /// How many. It counts as a ratio in products.
    Count,
    /// Nanoseconds.
    Duration,
    /// Nanoseconds since 1970.
    Time,
    /// A venue's id.
    Id,
    /// Yes or no.
    Truth,
    /// A side.
    Side,
}

use Measure::{Count, Duration, Id, Plain, Powers, Side, Time, Truth};

/// A plain number that was computed.
pub(super) const RATIO: Measure = Powers { price: 0, size: 0 };

impl From<Unit> for Measure {
    fn from(unit: Unit) -> Measure {
        match unit {
            Unit::Price => Powers { price: 1, size: 0 },
            Unit::Size => Powers { price: 0, size: 1 },
            Unit::Notional => Powers { price: 1, size: 1 },
            Unit::Count => Count,
            Unit::Ratio => RATIO,
            Unit::Duration => Duration,
            Unit::Time => Time,
            Unit::Id => Id,
            Unit::Truth => Truth,
            Unit::Side => Side,
        }
    }
}

impl Measure {
    /// What two things have in common that are compared; `None` if nothing.
    pub(super) fn with(self, other: Measure) -> Option<Measure> {
        match (self, other) {
            (a, b) if a == b => Some(a),
            (Plain, b @ (Powers { .. } | Count | Id)) => Some(b),
            (a @ (Powers { .. } | Count | Id), Plain) => Some(a),
            (Count, b) if b == RATIO => Some(RATIO),
            (a, Count) if a == RATIO => Some(RATIO),
            _ => None,
        }
    }

    /// What the sum measures.
    pub(super) fn plus(self, other: Measure) -> Option<Measure> {
        match (self, other) {
            (Time, Duration) | (Duration, Time) => Some(Time),
            (Id, Count | Plain) | (Count | Plain, Id) => Some(Id),
            (Time, Time) | (Id, Id) | (Truth | Side, _) => None,
            (a, b) => a.with(b),
        }
    }

    /// What the difference measures.
    pub(super) fn minus(self, other: Measure) -> Option<Measure> {
        match (self, other) {
            (Time, Time) => Some(Duration),
            (Id, Id) => Some(Count),
            (Duration, Time) | (Plain | Count, Id) => None,
            (a, b) => a.plus(b),
        }
    }

    /// What the product measures.
    pub(super) fn times(self, other: Measure) -> Option<Measure> {
        match (self.factor()?, other.factor()?) {
            (Plain, b) => Some(b),
            (a, Plain) => Some(a),
            (Duration, Duration) => None,
            (Duration, b) | (b, Duration) => (b == RATIO).then_some(Duration),
            (Powers { price: p, size: s }, Powers { price: q, size: t }) => {
                Some(Powers { price: p.checked_add(q)?, size: s.checked_add(t)? })
            }
            _ => None,
        }
    }

    /// What the quotient measures.
    pub(super) fn over(self, other: Measure) -> Option<Measure> {
        match (self.factor()?, other.factor()?) {
            (Duration, Duration) => Some(RATIO),
            (_, Duration) => None,
            (a, Powers { price, size }) => a.times(Powers { price: -price, size: -size }),
            (a, b) => a.times(b),
        }
    }

    /// What its square root measures.
    pub(super) fn root(self) -> Option<Measure> {
        match self.factor()? {
            Plain => Some(Plain),
            Powers { price, size } if price % 2 == 0 && size % 2 == 0 => {
                Some(Powers { price: price / 2, size: size / 2 })
            }
            _ => None,
        }
    }

    /// What the change from one value to another measures.
    pub(super) fn change(self) -> Option<Measure> {
        self.minus(self)
    }

    /// True for what can be averaged.
    pub(super) fn is_amount(self) -> bool {
        self.factor().is_some()
    }

    /// What it is as part of a product.
    fn factor(self) -> Option<Measure> {
        match self {
            Count => Some(RATIO),
            Plain | Powers { .. } | Duration => Some(self),
            Time | Id | Truth | Side => None,
        }
    }
}

/// With its article, as messages have it.
impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Plain => "number",
            Powers { price, size } => return write!(f, "a {}", powers(*price, *size)),
            Id => return write!(f, "an {}", Unit::Id.name()),
            Count => Unit::Count.name(),
            Duration => Unit::Duration.name(),
            Time => Unit::Time.name(),
            Truth => Unit::Truth.name(),
            Side => Unit::Side.name(),
        };
        write!(f, "a {name}")
    }
}

/// `price`, `notional`, `price^2 * size^-1`.
fn powers(price: i16, size: i16) -> String {
    let power = |unit: Unit, power: i16| match power {
        1 => unit.name().to_owned(),
        power => format!("{}^{power}", unit.name()),
    };
    match (price, size) {
        (0, 0) => Unit::Ratio.name().to_owned(),
        (1, 1) => Unit::Notional.name().to_owned(),
        (price, 0) => power(Unit::Price, price),
        (0, size) => power(Unit::Size, size),
        (price, size) => format!("{} * {}", power(Unit::Price, price), power(Unit::Size, size)),
    }
}
