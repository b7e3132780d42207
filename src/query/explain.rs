//! Why an alert is what it is: its episode, the rule as it was in force then, what it saw, the windows behind that as
//! they are stored, and the part of the tape that they are made of.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use anyhow::Result;
use feeds::time::{self, Nanos};

use super::windows::emissions;
use super::{Catalogue, Filter, QueryError};
use crate::alert::{Alert, Cursor, SeenWindow};
use crate::replay::plan::scan;
use crate::schema::alerts::Generation;
use crate::schema::rows::Row;
use crate::schema::{alerts, rules};
use crate::stat::Pane;
use crate::store::{Family, Store};

/// Which alert: a cursor such as `1-42`, a number, or an id or the beginning of one.
///
/// # Errors
/// [`QueryError::Wrong`] if there is none, or several episodes begin so.
pub fn find(store: &dyn Store, wanted: &str) -> Result<u64, QueryError> {
    let generation = Generation::read(store)?.number;
    let number = match wanted.parse::<Cursor>() {
        Ok(cursor) if cursor.generation == generation => Some(cursor.number),
        Ok(cursor) => {
            let what = format!("{cursor} is of another generation; the log is of generation {generation}");
            return Err(QueryError::Wrong(what));
        }
        Err(_) => wanted.parse::<u64>().ok().filter(|_| wanted.len() < 12),
    };
    if let Some(number) = number {
        let is_there = store.get(Family::Alerts, &alerts::key(number))?.is_some();
        return if is_there { Ok(number) } else { Err(QueryError::Wrong(absent(wanted))) };
    }
    let mut found: Option<(u64, Alert)> = None;
    for alert in alerts::scan(store, 1) {
        let (number, alert) = alert.map_err(|error| QueryError::damaged("the alert log", error))?;
        if !alert.id.to_string().starts_with(wanted) {
            continue;
        }
        match &found {
            Some((_, known)) if known.id != alert.id => {
                return Err(QueryError::Wrong(format!("several ids begin with {wanted}; write more of it")));
            }
            // The step at which it fired says most; else the first.
            Some((_, known)) if known.state != crate::alert::State::Pending => {}
            _ => found = Some((number, alert)),
        }
    }
    found.map(|(number, _)| number).ok_or_else(|| QueryError::Wrong(absent(wanted)))
}

fn absent(wanted: &str) -> String {
    format!("the log has no alert {wanted}; `tapedeck query alerts` lists those that are there")
}

/// Tells it to `out`.
///
/// # Errors
/// If the database cannot be read, or `out` cannot be written.
pub fn explain(store: &dyn Store, catalogue: &Catalogue, number: u64, out: &mut dyn Write) -> Result<()> {
    let value = store.get(Family::Alerts, &alerts::key(number))?.unwrap_or_default();
    let alert =
        alerts::decode(&value).map_err(|error| QueryError::damaged(format!("alert {number}"), error))?;
    let cursor = Cursor { generation: Generation::read(store)?.number, number };
    writeln!(out, "alert      {cursor}, {} of {}", alert.state.name(), alert.id)?;
    writeln!(out, "says       {}", alert.message)?;
    writeln!(out, "rule       {}, {}", alert.rule, alert.severity.name())?;
    writeln!(out, "symbol     {}", alert.symbol)?;
    writeln!(out, "event time {}", time::format(alert.event_time))?;
    writeln!(out, "caused by  entry {} of the tape{}", alert.number, came_in(&alert))?;
    if let Some(why) = &alert.suppressed {
        writeln!(out, "suppressed {why}")?;
    }
    episode(store, &alert, cursor.generation, out)?;
    rule(store, &alert, out)?;
    writeln!(out, "\nit saw")?;
    for (name, value) in &alert.values {
        writeln!(out, "  {name} = {}", if value.is_empty() { "nothing" } else { value })?;
    }
    if !alert.windows.is_empty() {
        writeln!(out, "\nin the windows")?;
    }
    for seen in &alert.windows {
        window(store, catalogue, &alert, seen, out)?;
    }
    Ok(())
}

fn came_in(alert: &Alert) -> String {
    let told = alert.fired_at.filter(|told| *told != alert.event_time);
    told.map_or_else(String::new, |told| format!(", which came in at {}", time::format(told)))
}

/// The steps of its episode.
fn episode(store: &dyn Store, alert: &Alert, generation: u64, out: &mut dyn Write) -> Result<()> {
    writeln!(out, "\nepisode")?;
    for step in alerts::scan(store, 1) {
        let (number, step) = step?;
        if step.id == alert.id {
            let at = time::format(step.event_time);
            writeln!(out, "  {} {:8} {at}", Cursor { generation, number }, step.state.name())?;
        }
    }
    Ok(())
}

/// The rule as it was in force at the alert's entry.
fn rule(store: &dyn Store, alert: &Alert, out: &mut dyn Write) -> Result<()> {
    let mut book = None;
    for pair in scan(store, Family::Meta, &rules::prefix()) {
        let (key, value) = pair?;
        let (_, at, text) =
            rules::decode(&key, &value).map_err(|error| QueryError::damaged("a rulebook", error))?;
        // What ends an episode may be that its rule is gone: then the book before has it.
        let has_it = text.contains(&format!("name = \"{}\"", alert.rule));
        if at <= alert.number && has_it {
            book = Some((at, text));
        }
    }
    let Some((at, text)) = book else { return Ok(()) };
    writeln!(out, "\nrule, in force from entry {at} on")?;
    let named = format!("name = \"{}\"", alert.rule);
    let table = text.split("[[rules]]").find(|table| table.lines().any(|line| line == named));
    // What follows the last rule are other sections.
    let lines = table.unwrap_or_default().lines().take_while(|line| !line.starts_with("[["));
    for line in lines.filter(|line| !line.is_empty()) {
        writeln!(out, "  {line}")?;
    }
    Ok(())
}

/// A window that it saw, or a span of them, as it is stored: in the revision that was seen, and in the newest.
fn window(
    store: &dyn Store,
    catalogue: &Catalogue,
    alert: &Alert,
    seen: &SeenWindow,
    out: &mut dyn Write,
) -> Result<()> {
    let symbol = seen.symbol.as_deref().unwrap_or(&alert.symbol);
    let mut which = format!("  {} of {symbol} from {}", seen.window, time::format(seen.start));
    if seen.count > 1 {
        which.push_str(&format!(" to {}, {} windows", time::format(seen.last), seen.count));
    }
    let mut flags = seen.flags.to_string();
    if !flags.is_empty() {
        flags = format!(", flagged {flags}");
    }
    let Some(revision) = seen.revision else {
        return Ok(writeln!(out, "{which}, not over when it was read{flags}")?);
    };
    let highest = if seen.count > 1 && revision > 0 { " at most" } else { "" };
    writeln!(out, "{which}, revision {revision}{highest}{flags}")?;
    let joined = catalogue.symbols.iter().find(|joined| joined.symbol.as_str() == symbol);
    let place = catalogue.plan.windows().iter().position(|window| window.name == seen.window);
    let (Some(joined), Some(place)) = (joined, place) else { return Ok(()) };
    let to = seen.last.saturating_add(1);
    let filter = Filter { from: Some(seen.start), to: Some(to), ..Filter::default() };
    let rows = emissions(store, place, joined.number, &filter, true)?;
    let spec = &catalogue.plan.windows()[place];
    if seen.count == 1 {
        let Some(row) = rows.iter().find(|row| row.revision == revision) else { return Ok(()) };
        let view = row.view(spec.size);
        for stat in &spec.stats {
            if let Some(value) = (stat.value)(&view) {
                writeln!(out, "    {} = {value}", stat.name)?;
            }
        }
    }
    made_of(&rows, revision, seen, out)
}

/// The part of the tape behind `rows`, as far as they were there when they were seen, and what came later.
fn made_of(rows: &[Row], revision: u32, seen: &SeenWindow, out: &mut dyn Write) -> Result<()> {
    let were_there = rows.iter().filter(|row| row.revision <= revision);
    let newest: BTreeMap<Nanos, &Row> = were_there.map(|row| (row.start, row)).collect();
    let tape: Vec<(u64, u64)> = newest.values().filter_map(|row| tape_of(&row.pane)).collect();
    let (first, last) = (tape.iter().map(|it| it.0).min(), tape.iter().map(|it| it.1).max());
    if let (Some(first), Some(last)) = (first, last) {
        writeln!(out, "    from entries {first} to {last} of the tape")?;
    }
    let later: BTreeSet<Nanos> =
        rows.iter().filter(|row| row.revision > revision).map(|row| row.start).collect();
    let highest = rows.iter().map(|row| row.revision).max().unwrap_or(revision);
    match later.len() {
        0 => {}
        _ if seen.count == 1 => writeln!(out, "    revised since: revision {highest} is the newest")?,
        many => writeln!(out, "    revised since: {many} of them")?,
    }
    Ok(())
}

/// The first and the last entry that a window is made of.
fn tape_of(pane: &Pane) -> Option<(u64, u64)> {
    let trades = pane.has_trades().then(|| pane.trades.entries());
    let quotes = pane.quotes.as_deref().map(|quotes| {
        let (first, last) = (quotes.first().number, quotes.last().key.number);
        (first.min(last), first.max(last))
    });
    let both = [trades, quotes].into_iter().flatten();
    both.reduce(|(first, last), (from, to)| (first.min(from), last.max(to)))
}
