//! `query alerts`: the alert log as rows, in the order of its cursor. HTTP and the streams show the same rows.
//!
//! Within a text that joins several (`values`, `labels`), the parts are `name=value` with `|` between them.

use anyhow::Result;
use feeds::time::Nanos;

use super::QueryError;
use crate::alert::{Alert, Cursor, Severity, State};
use crate::config::glob::fits;
use crate::output::{Cell, Column, ColumnKind};
use crate::schema::alerts::{AlertError, Generation, head as last, number_of, scan};
use crate::store::{Family, Store};

/// What stands above the rows.
#[must_use]
pub fn columns() -> Vec<Column> {
    let text = |name| Column::new(name, ColumnKind::Text);
    vec![
        text("cursor"),
        text("id"),
        text("state"),
        text("rule"),
        text("symbol"),
        text("severity"),
        Column::new("event_time", ColumnKind::Time),
        Column::new("fired_at", ColumnKind::Time),
        text("message"),
        text("values"),
        text("flags"),
        text("labels"),
        text("suppressed"),
        Column::new("entry", ColumnKind::Count),
    ]
}

/// One alert, whose place in the log is `cursor`, under [`columns`].
#[must_use]
pub fn row(cursor: Cursor, alert: &Alert) -> Vec<Cell> {
    let text = |text: &str| if text.is_empty() { Cell::Empty } else { Cell::Text(text.to_owned()) };
    vec![
        Cell::Text(cursor.to_string()),
        Cell::Text(alert.id.to_string()),
        Cell::Text(alert.state.name().to_owned()),
        Cell::Text(alert.rule.clone()),
        Cell::Text(alert.symbol.clone()),
        Cell::Text(alert.severity.name().to_owned()),
        Cell::Time(alert.event_time),
        alert.fired_at.map_or(Cell::Empty, Cell::Time),
        text(&alert.message),
        text(&joined(&alert.values)),
        text(&alert.flags().to_string()),
        text(&joined(&alert.labels)),
        alert.suppressed.as_deref().map_or(Cell::Empty, text),
        Cell::Count(alert.number),
    ]
}

fn joined(pairs: &[(String, String)]) -> String {
    let parts: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    parts.join("|")
}

/// Reads where to begin: a cursor, or `0` for the oldest alert.
///
/// # Errors
/// What to write instead.
pub fn after(text: &str) -> Result<Option<Cursor>, &'static str> {
    if text == "0" { Ok(None) } else { text.parse().map(Some) }
}

/// Which alerts are wanted; all by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertFilter {
    /// Patterns for symbols, one of which fits the whole name or its native part; none for all. Of an alert over several
    /// symbols, one is enough.
    pub symbols: Vec<String>,
    /// Patterns for rules, one of which fits; none for all.
    pub rules: Vec<String>,
    /// This severity and worse.
    pub severity: Option<Severity>,
    /// Only this state.
    pub state: Option<State>,
    /// Event time at or after this.
    pub from: Option<Nanos>,
    /// Event time before this.
    pub to: Option<Nanos>,
}

impl AlertFilter {
    /// True if the alert is wanted.
    #[must_use]
    pub fn takes(&self, alert: &Alert) -> bool {
        self.severity.is_none_or(|least| alert.severity >= least)
            && self.state.is_none_or(|state| alert.state == state)
            && self.from.is_none_or(|from| alert.event_time >= from)
            && self.to.is_none_or(|to| alert.event_time < to)
            && (self.rules.is_empty() || self.rules.iter().any(|rule| fits(rule, &alert.rule)))
            && (self.symbols.is_empty() || self.symbols.iter().any(|wanted| names(wanted, &alert.symbol)))
    }
}

/// True if the pattern `wanted` fits one of `symbols`, which are joined by `|`, or its native part.
#[must_use]
pub fn names(wanted: &str, symbols: &str) -> bool {
    symbols.split('|').any(|symbol| {
        fits(wanted, symbol) || symbol.split_once(':').is_some_and(|(_, native)| fits(wanted, native))
    })
}

/// How far the log reaches, and which cursors hold in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Of its cursors.
    pub generation: Generation,
    /// The number of the oldest alert that is kept, or the one that the next will have.
    pub oldest: u64,
    /// The number of the newest alert that is shown.
    pub head: u64,
}

/// Why reading cannot go on behind a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misplaced {
    /// It is of another generation.
    #[error(
        "the cursor is of another generation than {generation}: alerts from number {differs_from} on may differ; go on \
         behind {generation}-{}",
        .differs_from.saturating_sub(1)
    )]
    Generation {
        /// That of the log.
        generation: u64,
        /// Up to here the log is the same as in the cursor's generation.
        differs_from: u64,
    },
    /// What came behind it is not kept any more.
    #[error("alerts behind the cursor are no longer kept; the oldest is {oldest}")]
    Gone {
        /// The oldest alert that is.
        oldest: Cursor,
    },
    /// The log does not reach so far.
    #[error("the cursor is beyond the log's end, which is {head}")]
    Beyond {
        /// The newest alert.
        head: Cursor,
    },
}

impl Extent {
    /// That of the log in `store`, shown up to `head`, or to its end.
    ///
    /// # Errors
    /// [`QueryError`] if it cannot be read.
    pub fn read(store: &dyn Store, head: Option<u64>) -> Result<Extent, QueryError> {
        let generation = Generation::read(store)?;
        let oldest = store.scan(Family::Alerts, &[], None).next().transpose()?;
        let oldest = oldest.map(|(key, _)| number_of(&key)).transpose();
        let oldest = oldest.map_err(|error| QueryError::damaged("the alert log", error))?;
        let head = match head {
            Some(head) => head,
            None => last(store)?,
        };
        Ok(Extent { generation, oldest: oldest.unwrap_or(head.saturating_add(1)), head })
    }

    /// The same, told to whoever comes with the cursor `after`: the log may differ from where it did first since then.
    ///
    /// # Errors
    /// [`QueryError`] if that cannot be read.
    pub fn told_to(mut self, store: &dyn Store, after: Option<Cursor>) -> Result<Extent, QueryError> {
        if let Some(after) = after.filter(|after| after.generation < self.generation.number) {
            self.generation.differs_from = self.generation.differs_since(store, after.generation)?;
        }
        Ok(self)
    }

    /// The cursor of the alert with this number.
    #[must_use]
    pub fn cursor(&self, number: u64) -> Cursor {
        Cursor { generation: self.generation.number, number }
    }

    /// The number behind which to read; nothing means from the oldest on.
    ///
    /// # Errors
    /// [`Misplaced`], which says where the log is instead.
    pub fn place(&self, after: Option<Cursor>) -> Result<u64, Misplaced> {
        let Some(after) = after else { return Ok(self.oldest.saturating_sub(1)) };
        if after.generation != self.generation.number {
            let Generation { number: generation, differs_from } = self.generation;
            return Err(Misplaced::Generation { generation, differs_from });
        }
        if after.number > self.head {
            return Err(Misplaced::Beyond { head: self.cursor(self.head) });
        }
        if after.number.saturating_add(1) < self.oldest {
            return Err(Misplaced::Gone { oldest: self.cursor(self.oldest) });
        }
        Ok(after.number)
    }
}

/// The wanted alerts behind `after`, or all wanted ones.
///
/// # Errors
/// [`QueryError::Wrong`] if there is no such place in the log. Reading errors come as rows.
pub fn rows<'a>(
    store: &'a dyn Store,
    after: Option<Cursor>,
    filter: &'a AlertFilter,
) -> Result<(Vec<Column>, impl Iterator<Item = Result<Vec<Cell>>> + 'a), QueryError> {
    let extent = Extent::read(store, None)?.told_to(store, after)?;
    let after = extent.place(after).map_err(|misplaced| QueryError::Wrong(misplaced.to_string()))?;
    let rows = scan(store, after.saturating_add(1)).filter_map(move |read| match read {
        Ok((number, alert)) => filter.takes(&alert).then(|| Ok(row(extent.cursor(number), &alert))),
        Err(error) => Some(Err(QueryError::from(error).into())),
    });
    Ok((columns(), rows))
}

/// A part of the log.
#[derive(Debug, Default)]
pub struct Page {
    /// Numbers and alerts.
    pub alerts: Vec<(u64, Alert)>,
    /// The first number that was looked at, if there was any.
    pub first: Option<u64>,
    /// The last number that was looked at: where to go on.
    pub reached: u64,
}

/// The wanted alerts behind number `after` and up to number `head`: at most `most` of them, out of at most `looked_at`.
///
/// # Errors
/// [`QueryError`] if they cannot be read.
pub fn page(
    store: &dyn Store,
    (after, head): (u64, u64),
    filter: &AlertFilter,
    (most, looked_at): (usize, usize),
) -> Result<Page, QueryError> {
    let mut page = Page { alerts: Vec::new(), first: None, reached: after };
    for read in scan(store, after.saturating_add(1)).take(looked_at) {
        let (number, alert) = read?;
        if number > head {
            break;
        }
        page.first.get_or_insert(number);
        let is_wanted = filter.takes(&alert);
        if is_wanted && page.alerts.len() == most {
            break;
        }
        page.reached = number;
        if is_wanted {
            page.alerts.push((number, alert));
        }
    }
    Ok(page)
}

impl From<AlertError> for QueryError {
    fn from(error: AlertError) -> QueryError {
        match error {
            AlertError::Store(error) => QueryError::Store(error),
            AlertError::Damaged(number) => QueryError::damaged(format!("alert {number}"), "it is none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::{AlertId, SeenWindow};
    use crate::output::{Format, write};
    use crate::schema::alerts::{encode, key};
    use crate::store::Batch;
    use crate::store::memory::MemoryStore;
    use crate::window::Flags;

    fn made(number: u64) -> Alert {
        Alert {
            id: AlertId([7; 16]),
            state: State::ALL[number as usize % 3],
            rule: if number.is_multiple_of(2) { "burst" } else { "gap-up" }.to_owned(),
            symbol: if number == 5 { "here:ABC|there:X/Y" } else { "here:ABC" }.to_owned(),
            severity: Severity::ALL[number as usize % 3],
            event_time: number as Nanos * 1_000_000_000,
            fired_at: (number != 2).then_some(9),
            message: "much, much".to_owned(),
            labels: vec![("desk".to_owned(), "one".to_owned())],
            values: vec![
                ("volume[1s]".to_owned(), "1.50".to_owned()),
                ("vwap[1s]".to_owned(), String::new()),
            ],
            windows: vec![SeenWindow {
                symbol: None,
                window: "1s".to_owned(),
                start: 0,
                last: 0,
                count: 1,
                revision: None,
                flags: Flags::GAP.with(Flags::STALE),
            }],
            number: number + 100,
            suppressed: (number == 3).then(|| "silence:night".to_owned()),
        }
    }

    fn store(numbers: std::ops::RangeInclusive<u64>) -> MemoryStore {
        let (store, mut batch) = (MemoryStore::new(), Batch::default());
        for number in numbers {
            batch.put(Family::Alerts, key(number), encode(&made(number)));
        }
        store.commit(&batch, true).unwrap();
        store
    }

    fn cursor(generation: u64, number: u64) -> Option<Cursor> {
        Some(Cursor { generation, number })
    }

    #[test]
    fn the_columns_and_a_row_of_each_kind() {
        let store = store(1..=3);
        let (columns, rows) =
            rows(&store, None, &AlertFilter::default()).map(|(c, r)| (c, r.collect::<Vec<_>>())).unwrap();
        let mut out = Vec::new();
        write(Format::Csv, &columns, rows.into_iter().skip(1), &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "cursor,id,state,rule,symbol,severity,event_time,fired_at,message,values,flags,labels,suppressed,entry\n\
             1-2,07070707070707070707070707070707,resolved,burst,here:ABC,critical,1970-01-01T00:00:02.000000000Z,,\
             \"much, much\",volume[1s]=1.50|vwap[1s]=,gap|stale,desk=one,,102\n\
             1-3,07070707070707070707070707070707,pending,gap-up,here:ABC,info,1970-01-01T00:00:03.000000000Z,\
             1970-01-01T00:00:00.000000009Z,\"much, much\",volume[1s]=1.50|vwap[1s]=,gap|stale,desk=one,silence:night,103\n"
        );
    }

    #[test]
    fn filters_take_what_they_say() {
        let numbers = |filter: AlertFilter| -> Vec<u64> {
            (1..=6).filter(|&number| filter.takes(&made(number))).collect()
        };
        let text = |text: &str| vec![text.to_owned()];
        let all = AlertFilter::default();
        assert_eq!(numbers(all.clone()), [1, 2, 3, 4, 5, 6]);
        assert_eq!(numbers(AlertFilter { rules: text("gap*"), ..all.clone() }), [1, 3, 5]);
        assert_eq!(numbers(AlertFilter { symbols: text("there:*"), ..all.clone() }), [5]);
        assert_eq!(numbers(AlertFilter { symbols: text("X/Y"), ..all.clone() }), [5]);
        assert_eq!(numbers(AlertFilter { symbols: text("AB"), ..all.clone() }), [0; 0]);
        assert_eq!(numbers(AlertFilter { severity: Some(Severity::Warning), ..all.clone() }), [1, 2, 4, 5]);
        assert_eq!(numbers(AlertFilter { state: Some(State::Pending), ..all.clone() }), [3, 6]);
        let range = AlertFilter { from: Some(2_000_000_000), to: Some(4_000_000_000), ..all };
        assert_eq!(numbers(range), [2, 3]);
    }

    #[test]
    fn cursors_are_placed_or_told_where_the_log_is() {
        let kept = store(4..=9);
        let extent = Extent::read(&kept, None).unwrap();
        assert_eq!((extent.oldest, extent.head), (4, 9));
        assert_eq!(extent.place(None), Ok(3));
        for number in 3..=9 {
            assert_eq!(extent.place(cursor(1, number)), Ok(number));
        }
        assert_eq!(extent.place(cursor(1, 2)), Err(Misplaced::Gone { oldest: extent.cursor(4) }));
        assert_eq!(extent.place(cursor(1, 10)), Err(Misplaced::Beyond { head: extent.cursor(9) }));
        let other = Err(Misplaced::Generation { generation: 1, differs_from: 1 });
        assert_eq!((extent.place(cursor(2, 5)), extent.place(cursor(0, 99))), (other, other));
        let shown = Extent::read(&kept, Some(6)).unwrap();
        assert_eq!(shown.place(cursor(1, 7)), Err(Misplaced::Beyond { head: shown.cursor(6) }));
        let empty = Extent::read(&MemoryStore::new(), None).unwrap();
        assert_eq!((empty.oldest, empty.head, empty.place(None)), (1, 0, Ok(0)));
        for size in 1..40 {
            assert_eq!(Extent::read(&store(3..=2 + size), None).unwrap().head, 2 + size);
        }
    }

    #[test]
    fn pages_go_on_where_the_one_before_ended() {
        let store = store(1..=20);
        let filter = AlertFilter { rules: vec!["burst".to_owned()], ..AlertFilter::default() };
        let (mut seen, mut after, mut pages) = (Vec::new(), 0, 0);
        while after < 17 {
            let page = page(&store, (after, 17), &filter, (3, 5)).unwrap();
            assert!(page.alerts.len() <= 3 && page.reached > after && page.reached <= after + 5);
            seen.extend(page.alerts.iter().map(|(number, _)| *number));
            (after, pages) = (page.reached, pages + 1);
        }
        assert_eq!((seen, pages), (vec![2, 4, 6, 8, 10, 12, 14, 16], 4));
    }
}
