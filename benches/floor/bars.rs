//! Bars with exact sums: the statistics of the set `bar`, kept in memory.

use std::fmt;

use super::row::Row;

/// One bar of one symbol, in two cache lines. Prices have the symbol's price scale, volumes its size scale,
/// notionals the sum of both.
#[derive(Clone)]
pub(crate) struct Bar {
    pub notional: i128,
    pub buy_notional: i128,
    pub volume: i64,
    pub buy_volume: i64,
    pub open: i64,
    pub high: i64,
    pub low: i64,
    pub close: i64,
    pub first_id: u64,
    pub last_id: u64,
    /// The second since 1970 at which it begins.
    pub start: i64,
    /// Milliseconds from the start.
    pub first_time: u16,
    pub last_time: u16,
    pub trades: u32,
    pub buy_trades: u32,
    pub symbol: u32,
    pub price_scale: u8,
    pub size_scale: u8,
}

/// The open bars of all symbols and the closed ones.
#[derive(Default)]
pub(crate) struct Bars<const MINUTES: bool> {
    open: Vec<Bar>,
    open_minutes: Vec<Option<Bar>>,
    pub seconds: Vec<Bar>,
    pub minutes: Vec<Bar>,
}

impl<const MINUTES: bool> Bars<MINUTES> {
    /// Takes a trade in. `None` if it is before the symbol's open bar or too large.
    #[inline(always)]
    pub(crate) fn add(&mut self, row: &Row) -> Option<()> {
        let Some(bar) = self.open.get_mut(row.symbol) else {
            self.open.push(Bar::new(row));
            self.open_minutes.push(None);
            return Some(());
        };
        if row.price.scale != bar.price_scale || row.size.scale != bar.size_scale {
            return self.add_at_other_scale(row);
        }
        if row.second == bar.start {
            return bar.add(row);
        }
        if row.second < bar.start {
            return None;
        }
        let closed = std::mem::replace(bar, Bar::new(row));
        self.close(closed)
    }

    /// Brings the trade, or the symbol's bars, to the other's scale first.
    #[cold]
    fn add_at_other_scale(&mut self, row: &Row) -> Option<()> {
        let bar = &mut self.open[row.symbol];
        let (price_scale, size_scale) =
            (bar.price_scale.max(row.price.scale), bar.size_scale.max(row.size.scale));
        bar.rescale(price_scale, size_scale)?;
        if let Some(minute) = &mut self.open_minutes[row.symbol] {
            minute.rescale(price_scale, size_scale)?;
        }
        let mut row = Row { ..*row };
        row.price.mantissa = shift(row.price.mantissa, price_scale - row.price.scale)?;
        row.size.mantissa = shift(row.size.mantissa, size_scale - row.size.scale)?;
        (row.price.scale, row.size.scale) = (price_scale, size_scale);
        self.add(&row)
    }

    #[inline(always)]
    fn close(&mut self, closed: Bar) -> Option<()> {
        if MINUTES {
            let open = &mut self.open_minutes[closed.symbol as usize];
            match open {
                Some(minute) if closed.start - minute.start < 60 => minute.merge(&closed)?,
                _ => self.minutes.extend(open.replace(closed.of_minute())),
            }
        }
        self.seconds.push(closed);
        Some(())
    }

    /// Closes what is open.
    pub(crate) fn finish(&mut self) -> Option<()> {
        for bar in std::mem::take(&mut self.open) {
            self.close(bar)?;
        }
        self.minutes.extend(std::mem::take(&mut self.open_minutes).into_iter().flatten());
        Some(())
    }
}

impl Bar {
    #[inline(always)]
    fn new(row: &Row) -> Bar {
        let (price, size) = (row.price.mantissa, row.size.mantissa);
        let notional = i128::from(price) * i128::from(size);
        Bar {
            notional,
            buy_notional: if row.bought { notional } else { 0 },
            volume: size,
            buy_volume: if row.bought { size } else { 0 },
            open: price,
            high: price,
            low: price,
            close: price,
            first_id: row.id,
            last_id: row.id,
            start: row.second,
            first_time: row.milli,
            last_time: row.milli,
            trades: 1,
            buy_trades: u32::from(row.bought),
            symbol: row.symbol as u32,
            price_scale: row.price.scale,
            size_scale: row.size.scale,
        }
    }

    #[inline(always)]
    fn add(&mut self, row: &Row) -> Option<()> {
        let (price, size) = (row.price.mantissa, row.size.mantissa);
        let notional = i128::from(price) * i128::from(size);
        // The taker's side is as good as random, so a branch on it would be mispredicted every other time.
        let bought = -i64::from(row.bought);
        self.trades += 1;
        self.buy_trades += u32::from(row.bought);
        self.high = self.high.max(price);
        self.low = self.low.min(price);
        self.close = price;
        self.volume = self.volume.checked_add(size)?;
        self.notional += notional;
        self.buy_volume += size & bought;
        self.buy_notional += notional & i128::from(bought);
        self.last_id = row.id;
        self.last_time = row.milli;
        Some(())
    }

    /// The minute that begins with this second.
    fn of_minute(&self) -> Bar {
        let into_minute = self.start % 60;
        let millis = into_minute as u16 * 1_000;
        Bar {
            start: self.start - into_minute,
            first_time: self.first_time + millis,
            last_time: self.last_time + millis,
            ..self.clone()
        }
    }

    /// Adds the second that follows in the same minute.
    fn merge(&mut self, later: &Bar) -> Option<()> {
        self.trades += later.trades;
        self.buy_trades += later.buy_trades;
        self.high = self.high.max(later.high);
        self.low = self.low.min(later.low);
        self.close = later.close;
        self.volume = self.volume.checked_add(later.volume)?;
        self.notional += later.notional;
        self.buy_volume += later.buy_volume;
        self.buy_notional += later.buy_notional;
        self.last_id = later.last_id;
        self.last_time = (later.start - self.start) as u16 * 1_000 + later.last_time;
        Some(())
    }

    fn rescale(&mut self, price_scale: u8, size_scale: u8) -> Option<()> {
        let (price, size) = (price_scale - self.price_scale, size_scale - self.size_scale);
        for field in [&mut self.open, &mut self.high, &mut self.low, &mut self.close] {
            *field = shift(*field, price)?;
        }
        for field in [&mut self.volume, &mut self.buy_volume] {
            *field = shift(*field, size)?;
        }
        for field in [&mut self.notional, &mut self.buy_notional] {
            *field = field.checked_mul(10i128.checked_pow(u32::from(price + size))?)?;
        }
        (self.price_scale, self.size_scale) = (price_scale, size_scale);
        Some(())
    }
}

fn shift(mantissa: i64, digits: u8) -> Option<i64> {
    mantissa.checked_mul(10i64.checked_pow(u32::from(digits))?)
}

/// Sums over all bars, by which two programs can see that they computed the same.
#[derive(Default)]
pub(crate) struct Totals {
    trades: u64,
    buy_trades: u64,
    open: Sum,
    high: Sum,
    low: Sum,
    close: Sum,
    volume: Sum,
    notional: Sum,
    buy_volume: Sum,
    buy_notional: Sum,
    ids: u128,
    times: i128,
}

impl Totals {
    pub(crate) fn of(bars: &[Bar]) -> Totals {
        let mut totals = Totals::default();
        for bar in bars {
            totals.trades += u64::from(bar.trades);
            totals.buy_trades += u64::from(bar.buy_trades);
            totals.open.add(i128::from(bar.open), bar.price_scale);
            totals.high.add(i128::from(bar.high), bar.price_scale);
            totals.low.add(i128::from(bar.low), bar.price_scale);
            totals.close.add(i128::from(bar.close), bar.price_scale);
            totals.volume.add(i128::from(bar.volume), bar.size_scale);
            totals.buy_volume.add(i128::from(bar.buy_volume), bar.size_scale);
            totals.notional.add(bar.notional, bar.price_scale + bar.size_scale);
            totals.buy_notional.add(bar.buy_notional, bar.price_scale + bar.size_scale);
            totals.ids += u128::from(bar.first_id) + u128::from(bar.last_id);
            totals.times +=
                i128::from(bar.start * 2_000) + i128::from(bar.first_time) + i128::from(bar.last_time);
        }
        totals
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Totals { trades, buy_trades, open, high, low, close, volume, notional, .. } = self;
        let Totals { buy_volume, buy_notional, ids, times, .. } = self;
        write!(
            f,
            "trades={trades} buy_trades={buy_trades} open={open} high={high} low={low} close={close} "
        )?;
        write!(
            f,
            "volume={volume} notional={notional} buy_volume={buy_volume} buy_notional={buy_notional} "
        )?;
        write!(f, "ids={ids} times={times}")
    }
}

/// An exact sum of decimals of any scale up to 26.
#[derive(Default)]
struct Sum {
    mantissa: i128,
    scale: u32,
}

impl Sum {
    fn add(&mut self, mantissa: i128, scale: u8) {
        let scale = u32::from(scale);
        if scale > self.scale {
            self.mantissa *= 10i128.pow(scale - self.scale);
            self.scale = scale;
        }
        self.mantissa += mantissa * 10i128.pow(self.scale - scale);
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = 10i128.pow(self.scale);
        let width = self.scale as usize;
        write!(f, "{}.{:0width$}", self.mantissa / unit, self.mantissa % unit)
    }
}
