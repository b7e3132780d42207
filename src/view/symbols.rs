//! Symbols as people watch them: what goes by, how fast, and the last closed window.

use std::collections::BTreeMap;

use feeds::number::{Decimal, POW10};
use feeds::tick::Side;
use feeds::time::{Nanos, SECOND};
use serde::Serialize;

use super::seconds;
use crate::clock::Stamp;
use crate::commit::figures::Figures;
use crate::feed::ConnectionStatus;
use crate::feed::slot::SlotState;
use crate::live::last::LastTick;
use crate::output::Cell;
use crate::query::windows::{cell, emissions};
use crate::query::{Catalogue, Filter, QueryError, tables};
use crate::store::Store;

/// Over how long rates are measured, at least.
const RATE_OVER: Nanos = SECOND;
/// How far back the last closed window is looked for, in windows.
const WINDOWS_BACK: Nanos = 120;

/// One symbol.
#[derive(Clone, Debug, Serialize)]
pub struct SymbolView {
    /// `venue:NATIVE`.
    pub symbol: String,
    /// Price of the last trade.
    pub last: Option<String>,
    /// Its side: `buy` or `sell`, where known.
    pub side: Option<&'static str>,
    /// Best bid of the last quote.
    pub bid: Option<String>,
    /// Best ask of the last quote.
    pub ask: Option<String>,
    /// Ask less bid.
    pub spread: Option<String>,
    /// The same in ten-thousandths of the middle.
    pub spread_bps: Option<f64>,
    /// Trades that came in.
    pub trades: u64,
    /// Quotes that came in.
    pub quotes: u64,
    /// Ticks that came in a second, since it was last looked at or longer.
    pub ticks_per_s: f64,
    /// How old the last of them is, in seconds.
    pub age_s: Option<f64>,
    /// The state of the venue's connections: the worst of them.
    pub state: Option<SlotState>,
    /// True if one of its streams has brought nothing for too long.
    pub silent: bool,
    /// The last closed window of the smallest size.
    pub window: Option<WindowView>,
}

/// A closed window.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WindowView {
    /// Its name.
    pub window: String,
    /// When it began, in UTC.
    pub start: String,
    /// Trades in it.
    pub trades: Option<u64>,
    /// Their size together.
    pub volume: Option<String>,
    /// What touched it.
    pub flags: String,
}

/// How fast ticks come, by place.
#[derive(Default)]
pub(super) struct Rates {
    from: Option<(Stamp, Vec<u64>)>,
    rates: Vec<f64>,
}

impl Rates {
    /// Looks again, if long enough has passed; at first since `begun`.
    pub(super) fn measure(&mut self, last: &[LastTick], begun: Stamp, now: Stamp) {
        let (from, before) = self.from.get_or_insert_with(|| (begun, Vec::new()));
        let time = now.since(*from);
        if time < RATE_OVER {
            return;
        }
        let counts: Vec<u64> = last.iter().map(|tick| tick.trades + tick.quotes).collect();
        let more =
            |(place, count): (usize, &u64)| count - before.get(place).copied().unwrap_or(0).min(*count);
        self.rates = counts.iter().enumerate().map(more).map(|more| more as f64 / seconds(time)).collect();
        self.from = Some((now, counts));
    }

    pub(super) fn total(&self) -> f64 {
        self.rates.iter().fold(0.0, |sum, rate| sum + rate)
    }
}

/// What was read from the store as of one checkpoint.
#[derive(Default)]
pub(super) struct Stored {
    checkpoint: Option<u64>,
    windows: BTreeMap<String, WindowView>,
    gaps: BTreeMap<String, (u64, u64)>,
}

impl Stored {
    /// Reads again if there is a newer checkpoint. What cannot be read stays as it was: the run itself will say so.
    pub(super) fn refresh(&mut self, store: &dyn Store, committed: &Figures, wall: Nanos) {
        if committed.checkpoints == 0 || self.checkpoint == Some(committed.checkpoints) {
            return;
        }
        self.checkpoint = Some(committed.checkpoints);
        let read = || -> Result<_, QueryError> {
            let catalogue = Catalogue::read(store)?;
            Ok((last_windows(store, &catalogue, wall)?, missing(store, &catalogue)?))
        };
        match read() {
            Ok((windows, gaps)) => (self.windows, self.gaps) = (windows, gaps),
            Err(error) => tracing::debug!(%error, "the picture of the run is not complete"),
        }
    }

    /// Ranges and ids that are missing, by venue.
    pub(super) fn gaps(&self) -> &BTreeMap<String, (u64, u64)> {
        &self.gaps
    }
}

/// The last closed window of every symbol, of the smallest size that is kept.
fn last_windows(
    store: &dyn Store,
    catalogue: &Catalogue,
    wall: Nanos,
) -> Result<BTreeMap<String, WindowView>, QueryError> {
    let windows = catalogue.plan.windows();
    let Some((number, window)) = windows.iter().enumerate().min_by_key(|(_, window)| window.size) else {
        return Ok(BTreeMap::new());
    };
    let from = wall.saturating_sub(window.size.saturating_mul(WINDOWS_BACK));
    let filter = Filter { from: Some(from), ..Filter::default() };
    let mut found = BTreeMap::new();
    for joined in &catalogue.symbols {
        let rows = emissions(store, number, joined.number, &filter, false)?;
        let Some(row) = rows.last() else { continue };
        let view = row.view(window.size);
        let value = |name: &str| {
            let stat = window.stats.iter().find(|stat| stat.name == name)?;
            Some(cell((stat.value)(&view)))
        };
        let shown = WindowView {
            window: window.name.clone(),
            start: feeds::time::format(row.start),
            trades: match value("trades") {
                Some(Cell::Count(count)) => Some(count),
                _ => None,
            },
            volume: match value("volume") {
                Some(Cell::Decimal(volume)) => Some(volume),
                _ => None,
            },
            flags: row.flags.to_string(),
        };
        found.insert(joined.symbol.to_string(), shown);
    }
    Ok(found)
}

fn missing(store: &dyn Store, catalogue: &Catalogue) -> Result<BTreeMap<String, (u64, u64)>, QueryError> {
    let (columns, rows) = tables::gaps(store, catalogue, &Filter::default())?;
    let missing = columns.iter().position(|column| column.name == "missing");
    let mut gaps: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for row in rows.into_iter().flatten() {
        let (Some(Cell::Text(symbol)), Some(Cell::Count(ids))) =
            (row.first(), missing.and_then(|at| row.get(at)))
        else {
            continue;
        };
        let venue = symbol.split(':').next().unwrap_or_default();
        let (ranges, total) = gaps.entry(venue.to_owned()).or_default();
        (*ranges, *total) = (*ranges + 1, *total + ids);
    }
    Ok(gaps)
}

/// All symbols of `last`, the busiest first.
pub(super) fn symbols(
    last: &[LastTick],
    connections: &[ConnectionStatus],
    rates: &Rates,
    stored: &Stored,
    wall: Nanos,
) -> Vec<SymbolView> {
    let mut states: BTreeMap<&str, SlotState> = BTreeMap::new();
    let mut silent: Vec<(&str, &str)> = Vec::new();
    for connection in connections {
        let worst = states.entry(connection.venue).or_insert(connection.state);
        if rank(connection.state) < rank(*worst) {
            *worst = connection.state;
        }
        let natives = connection.silent.iter().filter_map(|stream| Some(stream.rsplit_once(' ')?.0));
        silent.extend(natives.map(|native| (connection.venue, native)));
    }
    let view = |(place, tick): (usize, &LastTick)| {
        let (venue, native) = (tick.symbol.venue(), tick.symbol.native());
        let symbol = tick.symbol.to_string();
        SymbolView {
            last: tick.trade.map(|(price, _)| price.to_string()),
            side: tick.trade.and_then(|(_, side)| name(side)),
            bid: tick.quote.map(|(bid, _)| bid.to_string()),
            ask: tick.quote.map(|(_, ask)| ask.to_string()),
            spread: tick.quote.and_then(|(bid, ask)| difference(ask, bid)).map(|spread| spread.to_string()),
            spread_bps: tick.quote.and_then(|(bid, ask)| basis_points(bid, ask)),
            trades: tick.trades,
            quotes: tick.quotes,
            ticks_per_s: rates.rates.get(place).copied().unwrap_or(0.0),
            age_s: (tick.received_at != 0).then(|| seconds(wall.saturating_sub(tick.received_at).max(0))),
            state: states.get(venue).copied(),
            silent: silent.contains(&(venue, native)),
            window: stored.windows.get(&symbol).cloned(),
            symbol,
        }
    };
    let mut symbols: Vec<SymbolView> = last.iter().enumerate().map(view).collect();
    symbols.sort_by_key(|symbol| std::cmp::Reverse(symbol.trades + symbol.quotes));
    symbols
}

/// From bad to good.
fn rank(state: SlotState) -> u8 {
    match state {
        SlotState::Stopped => 0,
        SlotState::Waiting => 1,
        SlotState::Connecting => 2,
        SlotState::Subscribing => 3,
        SlotState::Live => 4,
    }
}

fn name(side: Side) -> Option<&'static str> {
    match side {
        Side::Buy => Some("buy"),
        Side::Sell => Some("sell"),
        Side::Unknown => None,
    }
}

/// `a - b`, exact; `None` where it does not fit.
pub(super) fn difference(a: Decimal, b: Decimal) -> Option<Decimal> {
    let scale = a.scale().max(b.scale());
    let at_scale = |number: Decimal| {
        i128::from(number.mantissa()).checked_mul(POW10[usize::from(scale - number.scale())])
    };
    let mantissa = i64::try_from(at_scale(a)?.checked_sub(at_scale(b)?)?).ok()?;
    Some(Decimal::new(mantissa, scale))
}

/// The spread in ten-thousandths of the middle.
pub(super) fn basis_points(bid: Decimal, ask: Decimal) -> Option<f64> {
    let float = |number: Decimal| number.mantissa() as f64 / POW10[usize::from(number.scale())] as f64;
    let (bid, ask) = (float(bid), float(ask));
    let middle = (bid + ask) / 2.0;
    (middle > 0.0).then(|| (ask - bid) / middle * 10_000.0)
}
