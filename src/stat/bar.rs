//! The bar: what a window's trades say together. Everything is of kind `Sum`: any order, commutative merge.
//!
//! For the trades i = 1 … n of a window in the order of their keys, with price pᵢ, size sᵢ, both as the venue wrote
//! them (contracts stay contracts), and the aggressor's side:
//!
//! - `open` = p₁, `close` = pₙ, `high` = max pᵢ, `low` = min pᵢ (quote currency per unit)
//! - `volume` = Σ sᵢ (the venue's unit), `notional` = Σ pᵢ sᵢ (price × that unit), `trades` = n
//! - `buy_…`, `sell_…`: the same over the trades of that side; a trade of unknown side is in neither
//! - `vwap` = notional / volume, half-even at 12 decimals (Berkowitz, Logue, Noser 1988)
//! - `first_id`, `last_id`, `first_time`, `last_time`: of the trades 1 and n
//!
//! Without trades the sums and counts are zero and the others have no value.
//!
//! # Bytes
//! | bytes | what |
//! |---|---|
//! | 1 | flags: 1 bought, 2 sold, 4 unknown side, 8 first has an id, 16 last has one. 0: no trades, and the end |
//! | varint | first time, signed |
//! | varint | first tape number |
//! | varint | last time − first time |
//! | varint | last tape number − first, signed |
//! | varint | first id, if flag 8 |
//! | varint | last id − first id (0 if it has none), signed, if flag 16 |
//! | 1 | scale of the following four, the largest of theirs |
//! | varint | first price, signed, up to 128 bits |
//! | 3 varints | last price, high, low, each minus the first price, signed |
//! | per flag 1, 2, 4 | trades (varint), volume ([`Sum`]), notional ([`Sum`]) of that side |

use feeds::number::{Decimal, POW10, SCALE_MAX};
use feeds::tick::{Side, Trade};

use super::{Key, Kind, QUOTIENT_DECIMALS, Reads, Statistic, Sum, Unit, Value, ValueType, View};
use crate::codec::{CodecError, Put, Reader};

const BOUGHT: u8 = 1;
const SOLD: u8 = 2;
const UNKNOWN: u8 = 4;
const FIRST_HAS_ID: u8 = 8;
const LAST_HAS_ID: u8 = 16;

/// The accumulator of the bar.
#[derive(Clone, Default, Debug, PartialEq)]
pub struct TradePane {
    trades: u64,
    first: Mark,
    last: Mark,
    high: Decimal,
    low: Decimal,
    bought: Totals,
    sold: Totals,
    /// Few venues have such trades, so panes without any spend a pointer on them.
    unknown: Option<Box<Totals>>,
}

/// The first or last trade.
#[derive(Clone, Copy, Default, Debug, PartialEq)]
struct Mark {
    key: Key,
    price: Decimal,
    id: Option<u64>,
}

/// The trades of one side.
#[derive(Clone, Default, Debug, PartialEq)]
struct Totals {
    trades: u64,
    volume: Sum,
    notional: Sum,
}

impl Totals {
    #[inline]
    fn add(&mut self, price: Decimal, size: Decimal) {
        self.trades += 1;
        self.volume.add(size);
        self.notional.add_product(price, size);
    }

    fn merge(&mut self, other: &Totals) {
        self.trades += other.trades;
        self.volume.merge(&other.volume);
        self.notional.merge(&other.notional);
    }

    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.put_u64(self.trades);
        self.volume.encode(bytes);
        self.notional.encode(bytes);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Totals, CodecError> {
        let trades = reader.u64()?;
        if trades == 0 {
            return Err(CodecError::Invalid);
        }
        Ok(Totals { trades, volume: Sum::decode(reader)?, notional: Sum::decode(reader)? })
    }
}

impl TradePane {
    /// Adds a trade, in any order of keys.
    #[inline]
    pub fn add(&mut self, key: Key, trade: &Trade) {
        let (price, size) = (trade.price(), trade.size());
        let mark = Mark { key, price, id: trade.id() };
        if self.trades == 0 {
            (self.first, self.last, self.high, self.low) = (mark, mark, price, price);
        } else {
            if key >= self.last.key {
                self.last = mark;
            } else if key < self.first.key {
                self.first = mark;
            }
            if price > self.high {
                self.high = price;
            } else if price < self.low {
                self.low = price;
            }
        }
        self.trades += 1;
        // One place that adds, to a chosen side: sides alternate at random, so a branch would be guessed wrong.
        let totals = match trade.side {
            Side::Buy => &mut self.bought,
            Side::Sell => &mut self.sold,
            Side::Unknown => self.unknown.get_or_insert_default(),
        };
        totals.add(price, size);
    }

    /// Adds the trades of another pane; which of the two is the later does not matter.
    pub fn merge(&mut self, other: &TradePane) {
        if other.trades == 0 {
            return;
        }
        if self.trades == 0 {
            self.clone_from(other);
            return;
        }
        if other.first.key < self.first.key {
            self.first = other.first;
        }
        if other.last.key >= self.last.key {
            self.last = other.last;
        }
        self.high = self.high.max(other.high);
        self.low = self.low.min(other.low);
        self.trades += other.trades;
        self.bought.merge(&other.bought);
        self.sold.merge(&other.sold);
        if let Some(unknown) = &other.unknown {
            self.unknown.get_or_insert_default().merge(unknown);
        }
    }

    /// How many trades there were.
    #[must_use]
    #[inline]
    pub fn trades(&self) -> u64 {
        self.trades
    }

    /// The tape numbers of its first and last trade.
    #[must_use]
    pub fn entries(&self) -> (u64, u64) {
        let (first, last) = (self.first.key.number, self.last.key.number);
        (first.min(last), first.max(last))
    }

    /// Σ size.
    #[must_use]
    pub fn volume(&self) -> Sum {
        self.total(|totals| &totals.volume)
    }

    /// Σ price × size.
    #[must_use]
    pub fn notional(&self) -> Sum {
        self.total(|totals| &totals.notional)
    }

    /// `notional / volume`; `None` if the volume is zero.
    #[must_use]
    pub fn vwap(&self) -> Option<Sum> {
        self.notional().div_half_even(&self.volume(), QUOTIENT_DECIMALS)
    }

    fn total(&self, part: fn(&Totals) -> &Sum) -> Sum {
        let mut sum = part(&self.bought).clone();
        sum.merge(part(&self.sold));
        if let Some(unknown) = &self.unknown {
            sum.merge(part(unknown));
        }
        sum
    }

    /// `value` of the pane, if it has trades.
    fn some<T>(&self, value: T) -> Option<T> {
        (self.trades > 0).then_some(value)
    }

    /// Appends the bytes that [`TradePane::decode`] reads.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.put_u8(self.flags());
        if self.trades == 0 {
            return;
        }
        let (first, last) = (&self.first, &self.last);
        bytes.put_i64(first.key.ts);
        bytes.put_u64(first.key.number);
        bytes.put_u64(last.key.ts.abs_diff(first.key.ts));
        bytes.put_i64(last.key.number.wrapping_sub(first.key.number) as i64);
        if let Some(id) = first.id {
            bytes.put_u64(id);
        }
        if let Some(id) = last.id {
            bytes.put_i64(id.wrapping_sub(first.id.unwrap_or(0)) as i64);
        }
        self.encode_prices(bytes);
        if self.bought.trades > 0 {
            self.bought.encode(bytes);
        }
        if self.sold.trades > 0 {
            self.sold.encode(bytes);
        }
        if let Some(unknown) = &self.unknown {
            unknown.encode(bytes);
        }
    }

    fn flags(&self) -> u8 {
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        flag(self.bought.trades > 0, BOUGHT)
            | flag(self.sold.trades > 0, SOLD)
            | flag(self.unknown.is_some(), UNKNOWN)
            | flag(self.first.id.is_some(), FIRST_HAS_ID)
            | flag(self.last.id.is_some(), LAST_HAS_ID)
    }

    fn encode_prices(&self, bytes: &mut Vec<u8>) {
        let prices = [self.first.price, self.last.price, self.high, self.low];
        let scale = prices.iter().fold(0, |scale, price| price.scale().max(scale));
        // An i64 times 10^18 fits in an i128, and so does the difference of two.
        let [first, rest @ ..] =
            prices.map(|price| i128::from(price.mantissa()) * POW10[usize::from(scale - price.scale())]);
        bytes.put_u8(scale);
        bytes.put_i128(first);
        for price in rest {
            bytes.put_i128(price - first);
        }
    }

    /// Reads what [`TradePane::encode`] wrote.
    ///
    /// # Errors
    /// [`CodecError`] if the bytes hold no bar.
    pub fn decode(reader: &mut Reader<'_>) -> Result<TradePane, CodecError> {
        let flags = reader.u8()?;
        if flags == 0 {
            return Ok(TradePane::default());
        }
        if flags & (BOUGHT | SOLD | UNKNOWN) == 0 || flags >= LAST_HAS_ID << 1 {
            return Err(CodecError::Invalid);
        }
        let first = Key { ts: reader.i64()?, number: reader.u64()? };
        let last = Key {
            ts: first.ts.checked_add_unsigned(reader.u64()?).ok_or(CodecError::Invalid)?,
            number: first.number.wrapping_add(reader.i64()? as u64),
        };
        let first_id = if flags & FIRST_HAS_ID != 0 { Some(reader.u64()?) } else { None };
        let last_id = if flags & LAST_HAS_ID != 0 {
            Some(first_id.unwrap_or(0).wrapping_add(reader.i64()? as u64))
        } else {
            None
        };
        let [open, close, high, low] = decode_prices(reader)?;
        let mut totals = |flag: u8| (flags & flag != 0).then(|| Totals::decode(reader)).transpose();
        let bought = totals(BOUGHT)?.unwrap_or_default();
        let sold = totals(SOLD)?.unwrap_or_default();
        let unknown = totals(UNKNOWN)?.map(Box::new);
        let counts = [bought.trades, sold.trades, unknown.as_ref().map_or(0, |totals| totals.trades)];
        let trades = counts.into_iter().try_fold(0u64, u64::checked_add).ok_or(CodecError::Invalid)?;
        let first = Mark { key: first, price: open, id: first_id };
        let last = Mark { key: last, price: close, id: last_id };
        Ok(TradePane { trades, first, last, high, low, bought, sold, unknown })
    }
}

fn decode_prices(reader: &mut Reader<'_>) -> Result<[Decimal; 4], CodecError> {
    let scale = reader.u8()?;
    if scale > SCALE_MAX {
        return Err(CodecError::Invalid);
    }
    let first = reader.i128()?;
    let mut prices = [lowest(first, scale)?; 4];
    for price in &mut prices[1..] {
        let mantissa = first.checked_add(reader.i128()?).ok_or(CodecError::Invalid)?;
        *price = lowest(mantissa, scale)?;
    }
    Ok(prices)
}

/// `mantissa / 10^scale` as a decimal; `scale` is at most [`SCALE_MAX`].
fn lowest(mut mantissa: i128, mut scale: u8) -> Result<Decimal, CodecError> {
    loop {
        if let Ok(mantissa) = i64::try_from(mantissa) {
            return Ok(Decimal::new(mantissa, scale));
        }
        if scale == 0 || mantissa % 10 != 0 {
            return Err(CodecError::Invalid);
        }
        mantissa /= 10;
        scale -= 1;
    }
}

const fn statistic(
    name: &'static str,
    value_type: ValueType,
    unit: Unit,
    doc: &'static str,
    value: fn(&View<'_>) -> Option<Value>,
) -> Statistic {
    Statistic { name, kind: Kind::Sum, reads: Reads::Trades, value_type, unit, doc, value }
}

/// Price of the first trade.
pub static OPEN: Statistic = statistic(
    "open",
    ValueType::Decimal,
    Unit::Price,
    "price of the first trade by exchange time, then tape order",
    |view| {
        let pane = &view.pane.trades;
        pane.some(Value::Decimal(pane.first.price))
    },
);

/// Highest price.
pub static HIGH: Statistic =
    statistic("high", ValueType::Decimal, Unit::Price, "highest price of a trade", |view| {
        let pane = &view.pane.trades;
        pane.some(Value::Decimal(pane.high))
    });

/// Lowest price.
pub static LOW: Statistic =
    statistic("low", ValueType::Decimal, Unit::Price, "lowest price of a trade", |view| {
        let pane = &view.pane.trades;
        pane.some(Value::Decimal(pane.low))
    });

/// Price of the last trade.
pub static CLOSE: Statistic = statistic(
    "close",
    ValueType::Decimal,
    Unit::Price,
    "price of the last trade by exchange time, then tape order",
    |view| {
        let pane = &view.pane.trades;
        pane.some(Value::Decimal(pane.last.price))
    },
);

/// Sum of sizes.
pub static VOLUME: Statistic =
    statistic("volume", ValueType::Sum, Unit::Size, "sum of size, in the venue's unit, exact", |view| {
        Some(Value::Sum(view.pane.trades.volume()))
    });

/// Sum of price × size.
pub static NOTIONAL: Statistic = statistic(
    "notional",
    ValueType::Sum,
    Unit::Notional,
    "sum of price * size, as the venue wrote them, exact",
    |view| Some(Value::Sum(view.pane.trades.notional())),
);

/// Volume-weighted average price.
pub static VWAP: Statistic = statistic(
    "vwap",
    ValueType::Sum,
    Unit::Price,
    "notional / volume, half-even at 12 decimals (Berkowitz, Logue, Noser 1988)",
    |view| view.pane.trades.vwap().map(Value::Sum),
);

/// Number of trades.
pub static TRADES: Statistic =
    statistic("trades", ValueType::Count, Unit::Count, "number of trades", |view| {
        Some(Value::Count(view.pane.trades.trades))
    });

/// Sum of sizes of trades in which the taker bought.
pub static BUY_VOLUME: Statistic = statistic(
    "buy_volume",
    ValueType::Sum,
    Unit::Size,
    "sum of size where the taker bought, exact",
    |view| Some(Value::Sum(view.pane.trades.bought.volume.clone())),
);

/// Sum of price × size of trades in which the taker bought.
pub static BUY_NOTIONAL: Statistic = statistic(
    "buy_notional",
    ValueType::Sum,
    Unit::Notional,
    "sum of price * size where the taker bought, exact",
    |view| Some(Value::Sum(view.pane.trades.bought.notional.clone())),
);

/// Number of trades in which the taker bought.
pub static BUY_TRADES: Statistic = statistic(
    "buy_trades",
    ValueType::Count,
    Unit::Count,
    "number of trades where the taker bought",
    |view| Some(Value::Count(view.pane.trades.bought.trades)),
);

/// Sum of sizes of trades in which the taker sold.
pub static SELL_VOLUME: Statistic =
    statistic("sell_volume", ValueType::Sum, Unit::Size, "sum of size where the taker sold, exact", |view| {
        Some(Value::Sum(view.pane.trades.sold.volume.clone()))
    });

/// Sum of price × size of trades in which the taker sold.
pub static SELL_NOTIONAL: Statistic = statistic(
    "sell_notional",
    ValueType::Sum,
    Unit::Notional,
    "sum of price * size where the taker sold, exact",
    |view| Some(Value::Sum(view.pane.trades.sold.notional.clone())),
);

/// Number of trades in which the taker sold.
pub static SELL_TRADES: Statistic = statistic(
    "sell_trades",
    ValueType::Count,
    Unit::Count,
    "number of trades where the taker sold",
    |view| Some(Value::Count(view.pane.trades.sold.trades)),
);

/// Id of the first trade.
pub static FIRST_ID: Statistic =
    statistic("first_id", ValueType::Id, Unit::Id, "the venue's id of the first trade", |view| {
        view.pane.trades.first.id.map(Value::Id)
    });

/// Id of the last trade.
pub static LAST_ID: Statistic =
    statistic("last_id", ValueType::Id, Unit::Id, "the venue's id of the last trade", |view| {
        view.pane.trades.last.id.map(Value::Id)
    });

/// Time of the first trade.
pub static FIRST_TIME: Statistic =
    statistic("first_time", ValueType::Time, Unit::Time, "exchange time of the first trade", |view| {
        let pane = &view.pane.trades;
        pane.some(Value::Time(pane.first.key.ts))
    });

/// Time of the last trade.
pub static LAST_TIME: Statistic =
    statistic("last_time", ValueType::Time, Unit::Time, "exchange time of the last trade", |view| {
        let pane = &view.pane.trades;
        pane.some(Value::Time(pane.last.key.ts))
    });
