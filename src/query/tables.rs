//! The smaller lists: symbols with their ledgers, inputs, ticks, late ticks, gaps, latencies.

use anyhow::Result;
use feeds::live::Channel;
use feeds::symbol::Symbol;
use feeds::tick::{Event, Rejection, Side, Tick};
use feeds::time;

use super::windows::{cell, state_key};
use super::{Catalogue, Filter, QueryError};
use crate::latency::Latencies;
use crate::output::{Cell, Column, ColumnKind};
use crate::replay::plan::scan;
use crate::schema::feeds::Feed;
use crate::schema::gaps::Missing;
use crate::schema::head::{self, Head};
use crate::schema::{self, Key, gaps, ticks};
use crate::stat::{Pane, View, by_name};
use crate::store::{Family, Store};
use crate::symbol::SymbolState;
use crate::symbol::ledger::Ledger;
use crate::tape::epoch::Joined;

/// Rows, and what stands above them.
pub type Table = (Vec<Column>, Vec<Result<Vec<Cell>>>);

/// The totals printed of every symbol: column, statistic.
const TOTALS: [(&str, &str, ColumnKind); 10] = [
    ("trades", "trades", ColumnKind::Count),
    ("volume", "volume", ColumnKind::Decimal),
    ("notional", "notional", ColumnKind::Decimal),
    ("buys", "buy_trades", ColumnKind::Count),
    ("sells", "sell_trades", ColumnKind::Count),
    ("first_price", "open", ColumnKind::Decimal),
    ("last_price", "close", ColumnKind::Decimal),
    ("min_price", "low", ColumnKind::Decimal),
    ("max_price", "high", ColumnKind::Decimal),
    ("first_time", "first_time", ColumnKind::Time),
];

/// A symbol as its snapshot has it.
pub struct Standing {
    /// Its ledger.
    pub ledger: Ledger,
    /// Everything that came in live.
    pub totals: Pane,
}

/// Reads a symbol's snapshot. One that joined a live run behind its last checkpoint has none yet.
///
/// # Errors
/// [`QueryError`] if it is not there or cannot be read.
pub fn standing(store: &dyn Store, catalogue: &Catalogue, joined: &Joined) -> Result<Standing, QueryError> {
    let what = || format!("the state of {}", joined.symbol);
    let bytes = store.get(Family::State, &state_key(joined.number))?;
    let bytes = match bytes {
        Some(bytes) => bytes,
        None if is_beyond_checkpoint(store, catalogue)? => {
            return Ok(Standing { ledger: Ledger::default(), totals: Pane::default() });
        }
        None => return Err(QueryError::damaged(what(), "it is missing")),
    };
    let state = SymbolState::decode_unruled(&catalogue.plan, &bytes);
    let state = state.map_err(|error| QueryError::damaged(what(), error))?;
    Ok(Standing { ledger: *state.ledger(), totals: state.totals() })
}

/// True if the tape of a live run goes on behind the last checkpoint.
fn is_beyond_checkpoint(store: &dyn Store, catalogue: &Catalogue) -> Result<bool, QueryError> {
    let Some(value) = store.get(Family::Meta, &head::key())? else { return Ok(false) };
    let head = Head::decode(&value).map_err(|error| QueryError::damaged("the end of the tape", error))?;
    let run = catalogue.runs.iter().find(|run| run.number == head.run);
    Ok(run.is_some_and(|run| run.applied < head.applied))
}

/// `query symbols`: ledger and totals.
///
/// # Errors
/// [`QueryError`] if a symbol asked for is not there or cannot be read.
pub fn symbols(store: &dyn Store, catalogue: &Catalogue, filter: &Filter) -> Result<Table, QueryError> {
    let mut columns = vec![Column::new("symbol", ColumnKind::Text)];
    columns.extend(Ledger::COLUMNS.iter().map(|name| Column::new(name, ColumnKind::Count)));
    columns.extend(TOTALS.iter().map(|(name, _, kind)| Column::new(name, *kind)));
    columns.push(Column::new("last_time", ColumnKind::Time));
    columns.push(Column::new("quotes", ColumnKind::Count));
    let mut rows = Vec::new();
    for joined in catalogue.symbols_in(filter)? {
        rows.push(Ok(symbol_row(&joined.symbol, &standing(store, catalogue, joined)?)));
    }
    Ok((columns, rows))
}

/// One symbol's ledger and totals.
#[must_use]
pub fn symbol_row(symbol: &Symbol, standing: &Standing) -> Vec<Cell> {
    let view = View { pane: &standing.totals, carried: None, start: 0, end: 0 };
    let total = |stat: &str| cell(by_name(stat).and_then(|stat| (stat.value)(&view)));
    let mut row = vec![Cell::Text(symbol.to_string())];
    row.extend(standing.ledger.columns().map(Cell::Count));
    row.extend(TOTALS.iter().map(|(_, stat, _)| total(stat)));
    row.push(total("last_time"));
    row.push(Cell::Count(standing.ledger.quotes));
    row
}

/// `query feeds`: the ledger of frames of every input. Kinds are `name:count`, joined by `|`; unknown fields are
/// `name:count@time`, with the time at which the first came in.
///
/// # Errors
/// [`QueryError`] if they cannot be read.
pub fn feeds(store: &dyn Store) -> Result<Table, QueryError> {
    let text = |name| Column::new(name, ColumnKind::Text);
    let count = |name| Column::new(name, ColumnKind::Count);
    let columns = vec![
        text("feed"),
        text("format"),
        text("venue"),
        count("frames"),
        count("ticks"),
        count("control"),
        count("heartbeat"),
        text("passed_over"),
        text("unknown"),
        count("broken"),
        count("blank"),
        text("unknown_fields"),
    ];
    let mut rows = Vec::new();
    for pair in scan(store, Family::Meta, &schema::feeds::prefix()) {
        let feed = Feed::decode(&pair?.1).map_err(|error| QueryError::damaged("a feed", error))?;
        let kinds = |kinds: &std::collections::BTreeMap<String, u64>| {
            let parts: Vec<String> = kinds.iter().map(|(kind, count)| format!("{kind}:{count}")).collect();
            Cell::Text(parts.join("|"))
        };
        let fields = unknown_fields(&feed);
        rows.push(Ok(vec![
            Cell::Text(feed.name),
            Cell::Text(feed.format),
            feed.venue.map_or(Cell::Empty, Cell::Text),
            Cell::Count(feed.frames),
            Cell::Count(feed.ticks),
            Cell::Count(feed.control),
            Cell::Count(feed.heartbeat),
            kinds(&feed.passed_over),
            kinds(&feed.unknown),
            Cell::Count(feed.broken),
            Cell::Count(feed.blank),
            fields,
        ]));
    }
    Ok((columns, rows))
}

fn unknown_fields(feed: &Feed) -> Cell {
    let parts = feed.unknown_fields.iter().map(|(field, count)| {
        let since = count.since.map(|since| format!("@{}", time::format(since)));
        format!("{field}:{}{}", count.frames, since.unwrap_or_default())
    });
    Cell::Text(parts.collect::<Vec<_>>().join("|"))
}

/// `query late`: ticks that came too late, by symbol and time.
///
/// # Errors
/// [`QueryError`] if a symbol asked for is not there or a tick cannot be read.
pub fn late(store: &dyn Store, catalogue: &Catalogue, filter: &Filter) -> Result<Table, QueryError> {
    let mut rows = Vec::new();
    for joined in catalogue.symbols_in(filter)? {
        for pair in scan(store, Family::Late, &Key::default().u32(joined.number)) {
            let (key, value) = pair?;
            let (_, tick) = ticks::decode_late(&key, &value)
                .map_err(|error| QueryError::damaged("a late tick", error))?;
            if filter.takes_time(tick.exchange_ts) {
                rows.push(Ok(tick_row(&joined.symbol, &tick)));
            }
        }
    }
    Ok((tick_columns(), rows))
}

/// `query ticks`: the tape, in its order.
///
/// # Errors
/// [`QueryError`] if a symbol asked for is not there, or if no ticks were kept.
pub fn ticks<'a>(
    store: &'a dyn Store,
    catalogue: &'a Catalogue,
    filter: &'a Filter,
) -> Result<(Vec<Column>, impl Iterator<Item = Result<Vec<Cell>>> + 'a), QueryError> {
    catalogue.symbols_in(filter)?;
    let mut chunks = store.scan(Family::Tape, &[], None).peekable();
    if chunks.peek().is_none() {
        let how = "the database keeps no ticks; replay with --keep-ticks to keep them";
        return Err(QueryError::Wrong(how.to_owned()));
    }
    let mut names: Vec<Option<&Symbol>> = Vec::new();
    for joined in &catalogue.symbols {
        let number = joined.number as usize;
        names.resize(names.len().max(number + 1), None);
        names[number] = Some(&joined.symbol);
    }
    let rows = chunks.flat_map(move |pair| {
        let chunk = pair.map_err(anyhow::Error::from).and_then(|(key, value)| {
            let chunk = ticks::decode_chunk(&key, &value);
            chunk.map_err(|error| QueryError::damaged("a chunk of the tape", error).into())
        });
        match chunk {
            Ok(chunk) => chunk
                .into_iter()
                .filter_map(|(_, tick)| {
                    let symbol = names.get(tick.symbol.0 as usize).copied().flatten()?;
                    let wanted = filter.takes_symbol(symbol) && filter.takes_time(tick.exchange_ts);
                    wanted.then(|| Ok(tick_row(symbol, &tick)))
                })
                .collect::<Vec<_>>(),
            Err(error) => vec![Err(error)],
        }
    });
    Ok((tick_columns(), rows))
}

/// `query gaps`: what is missing, by symbol: ids, and behind them stretches of time in which there is no saying. `after`
/// and `before` are the times around; a stretch without `before` is not over, and one
/// without `after` began before the symbol's first tick. `why` is `ids` or what showed the stretch.
///
/// # Errors
/// [`QueryError`] if a symbol asked for is not there or a gap cannot be read.
pub fn gaps(store: &dyn Store, catalogue: &Catalogue, filter: &Filter) -> Result<Table, QueryError> {
    let columns = vec![
        Column::new("symbol", ColumnKind::Text),
        Column::new("first_id", ColumnKind::Count),
        Column::new("last_id", ColumnKind::Count),
        Column::new("missing", ColumnKind::Count),
        Column::new("after", ColumnKind::Time),
        Column::new("before", ColumnKind::Time),
        Column::new("channel", ColumnKind::Text),
        Column::new("why", ColumnKind::Text),
    ];
    let mut rows = Vec::new();
    for joined in catalogue.symbols_in(filter)? {
        for pair in scan(store, Family::Gaps, &Key::default().u32(joined.number)) {
            let (key, value) = pair?;
            let (_, missing) =
                gaps::decode(&key, &value).map_err(|error| QueryError::damaged("a gap", error))?;
            let (after, before) = match &missing {
                Missing::Ids(hole) => (hole.after, hole.before),
                Missing::Stretch(stretch) => (stretch.from, stretch.to),
            };
            let inside =
                filter.from.is_none_or(|from| before >= from) && filter.to.is_none_or(|to| after < to);
            if inside {
                rows.push(Ok(gap_row(&joined.symbol, &missing)));
            }
        }
    }
    Ok((columns, rows))
}

fn gap_row(symbol: &Symbol, missing: &Missing) -> Vec<Cell> {
    let text = |text: &str| Cell::Text(text.to_owned());
    let mut row = vec![Cell::Text(symbol.to_string())];
    match missing {
        Missing::Ids(hole) => row.extend([
            Cell::Count(hole.first),
            Cell::Count(hole.last),
            Cell::Count(hole.last - hole.first + 1),
            Cell::Time(hole.after),
            Cell::Time(hole.before),
            text(Channel::Trades.name()),
            text("ids"),
        ]),
        Missing::Stretch(stretch) => row.extend([
            Cell::Empty,
            Cell::Empty,
            Cell::Empty,
            if stretch.from == i64::MIN { Cell::Empty } else { Cell::Time(stretch.from) },
            if stretch.to == i64::MAX { Cell::Empty } else { Cell::Time(stretch.to) },
            text(stretch.channel.name()),
            text(stretch.cause.name()),
        ]),
    }
    row
}

/// All intervals, with the times of their checkpoints.
///
/// # Errors
/// [`QueryError`] if one cannot be read.
pub fn latencies(store: &dyn Store) -> Result<Vec<(i64, Latencies)>, QueryError> {
    let mut intervals = Vec::new();
    for pair in store.scan(Family::Latency, &[], None) {
        let (key, value) = pair?;
        let damaged = |error| QueryError::damaged("an interval of latencies", error);
        let at = schema::time_at(&key, 0).map_err(damaged)?;
        let mut from = crate::codec::Reader::new(&value);
        intervals.push((at, Latencies::decode(&mut from).map_err(damaged)?));
    }
    Ok(intervals)
}

fn tick_columns() -> Vec<Column> {
    let text = |name| Column::new(name, ColumnKind::Text);
    let time = |name| Column::new(name, ColumnKind::Time);
    let decimal = |name| Column::new(name, ColumnKind::Decimal);
    vec![
        text("symbol"),
        text("kind"),
        time("exchange_ts"),
        time("received_at"),
        Column::new("id", ColumnKind::Count),
        text("side"),
        decimal("price"),
        decimal("size"),
        decimal("bid"),
        decimal("bid_size"),
        decimal("ask"),
        decimal("ask_size"),
        text("flags"),
    ]
}

fn tick_row(symbol: &Symbol, tick: &Tick) -> Vec<Cell> {
    let decimal = |value: feeds::number::Decimal| Cell::Decimal(value.to_string());
    let kind = match tick.event {
        Event::Trade(_) => "trade",
        Event::Quote(_) => "quote",
        Event::Rejected(_) => "rejected",
    };
    let mut row = vec![
        Cell::Text(symbol.to_string()),
        Cell::Text(kind.to_owned()),
        Cell::Time(tick.exchange_ts),
        tick.received_at().map_or(Cell::Empty, Cell::Time),
    ];
    row.resize(12, Cell::Empty);
    match &tick.event {
        Event::Trade(trade) => {
            row[4] = trade.id().map_or(Cell::Empty, Cell::Count);
            row[5] = Cell::Text(side(trade.side).to_owned());
            row[6] = decimal(trade.price());
            row[7] = decimal(trade.size());
        }
        Event::Quote(quote) => {
            row[4] = quote.id().map_or(Cell::Empty, Cell::Count);
            let values = [quote.bid(), quote.bid_size(), quote.ask(), quote.ask_size()];
            for (at, value) in values.into_iter().enumerate() {
                row[8 + at] = decimal(value);
            }
        }
        Event::Rejected(_) => {}
    }
    row.push(Cell::Text(tick_flags(tick)));
    row
}

fn side(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
        Side::Unknown => "",
    }
}

fn tick_flags(tick: &Tick) -> String {
    let why = match tick.event {
        Event::Rejected(Rejection::BadNumber) => Some("bad_number"),
        Event::Rejected(Rejection::BadSign) => Some("bad_sign"),
        Event::Rejected(Rejection::BadTime) => Some("bad_time"),
        Event::Rejected(Rejection::Dropped) => Some("dropped"),
        Event::Rejected(Rejection::OtherUnit) => Some("other_unit"),
        Event::Trade(_) | Event::Quote(_) => None,
    };
    let flags = [
        (!tick.timed).then_some("untimed"),
        tick.history.then_some("history"),
        tick.excluded.then_some("excluded"),
        tick.repeated.then_some("repeated"),
        why,
    ];
    flags.into_iter().flatten().collect::<Vec<_>>().join("|")
}
