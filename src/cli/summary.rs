//! What a replay did, for people and for programs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use anyhow::Result;
use serde_json::{Value, json};

use super::args::ReplayArgs;
use crate::alert::{AlertId, State};
use crate::commit::Summary;
use crate::latency::Latencies;
use crate::output::{Column, Format, write};
use crate::query::percentiles;
use crate::replay::{Ending, Report};
use crate::schema;
use crate::schema::feeds::Feed;
use crate::source::SourceError;
use crate::store::Store;
use crate::symbol::ledger::Ledger;
use crate::symbol::outages::Cause;

/// The summary for people.
pub(super) fn text(args: &ReplayArgs, report: &Report, out: &mut (dyn Write + Send)) -> Result<()> {
    let (summary, db) = (&report.summary, args.db.display());
    match &report.ending {
        Ending::NothingLeft => {
            writeln!(out, "{db} holds all of it: nothing left to do")?;
            return Ok(());
        }
        Ending::Complete => writeln!(out, "replayed into {db}")?,
        Ending::Stopped => writeln!(out, "stopped; the same command with --resume goes on from here")?,
        Ending::Damaged(SourceError::Strict { .. }) => {
            writeln!(out, "stopped at a bad line; --resume without --strict counts it and goes on")?;
        }
        Ending::Damaged(_) => writeln!(out, "replayed into {db}, as far as the input is whole")?,
    }
    counts(summary, out)?;
    let seconds = report.took.as_secs_f64();
    let rate = if seconds > 0.0 { summary.ledger.received as f64 / seconds } else { 0.0 };
    writeln!(out, "  took       {seconds:.2} s, {:.2} M ticks/s, last sync included", rate / 1e6)?;
    Ok(())
}

/// What was counted, a line each.
pub(super) fn counts(summary: &Summary, out: &mut (dyn Write + Send)) -> Result<()> {
    let ledger = &summary.ledger;
    let columns = Ledger::COLUMNS.iter().zip(ledger.columns()).skip(1);
    let parts: Vec<String> =
        columns.filter(|(_, count)| *count > 0).map(|(name, count)| format!("{name} {count}")).collect();
    let parts = if parts.is_empty() { "nothing".to_owned() } else { parts.join(" + ") };
    writeln!(out, "  ticks      received {} = {parts}", ledger.received)?;
    writeln!(
        out,
        "  of these   {} trades, {} quotes, {} symbols",
        ledger.trades, ledger.quotes, summary.symbols
    )?;
    let frames: u64 = summary.feeds.iter().map(|feed| feed.frames).sum();
    let broken: u64 = summary.feeds.iter().map(|feed| feed.broken).sum();
    writeln!(out, "  frames     {frames}, broken {broken}")?;
    writeln!(out, "  windows    {} emitted or amended", summary.emissions)?;
    let told_elsewhere = [Cause::Start.name(), Cause::Fields.name()];
    let outages = summary.outages.iter().filter(|((_, cause), _)| !told_elsewhere.contains(cause));
    let outages: Vec<String> =
        outages.map(|((venue, cause), stretches)| format!("{venue} {cause} {stretches}")).collect();
    if !outages.is_empty() {
        writeln!(out, "  missing?   {}; flags of windows say where", outages.join(", "))?;
    }
    let fields = new_fields(&summary.feeds);
    if !fields.is_empty() {
        writeln!(out, "  new fields {}; query feeds says since when", fields.join(", "))?;
    }
    if summary.alerts > 0 {
        writeln!(out, "  alerts     {} steps of episodes", summary.alerts)?;
    }
    Ok(())
}

/// What stands in frames and is not known, by venue and name.
fn new_fields(feeds: &[Feed]) -> Vec<String> {
    let named = feeds.iter().flat_map(|feed| {
        let venue = feed.venue.as_deref().unwrap_or_default();
        feed.unknown_fields.keys().map(move |field| format!("{venue} {field}"))
    });
    named.collect::<BTreeSet<_>>().into_iter().collect()
}

/// The summary for programs: one line of JSON.
pub(super) fn json(report: &Report, out: &mut (dyn Write + Send)) -> Result<()> {
    let summary = &report.summary;
    let ledger: serde_json::Map<String, Value> = Ledger::COLUMNS
        .iter()
        .zip(summary.ledger.columns())
        .map(|(name, count)| ((*name).to_owned(), json!(count)))
        .collect();
    let ending = match report.ending {
        Ending::Complete => "complete",
        Ending::NothingLeft => "nothing_left",
        Ending::Stopped => "stopped",
        Ending::Damaged(_) => "damaged",
    };
    let value = json!({
        "ending": ending,
        "ledger": ledger,
        "trades": summary.ledger.trades,
        "quotes": summary.ledger.quotes,
        "symbols": summary.symbols,
        "emissions": summary.emissions,
        "applied": summary.applied,
        "complaints": report.complaints_in_all,
        "faults": summary.faults.len(),
        "feeds": summary.feeds,
        "seconds": report.took.as_secs_f64(),
    });
    writeln!(out, "{value}")?;
    Ok(())
}

/// The symbols that were taken out of service.
pub(super) fn faults(summary: &Summary, errors: &mut dyn Write) {
    for fault in &summary.faults {
        let (symbol, number, cause) = (&fault.symbol, fault.number, &fault.cause);
        // With stderr gone there is nobody to tell.
        let _ = writeln!(errors, "{symbol} was taken out of service at tape entry {number}: {cause}");
    }
}

/// What a live run did: the whole ledger, and the percentiles of its stages.
pub(super) fn live(summary: &Summary, out: &mut (dyn Write + Send)) -> Result<()> {
    counts(summary, out)?;
    let (columns, rows) = percentiles::table(&summary.latencies);
    let is_shown = |column: &Column| LIVE_COLUMNS.contains(&column.name.as_str());
    let shown: Vec<usize> = (0..columns.len()).filter(|&at| is_shown(&columns[at])).collect();
    let columns: Vec<Column> = shown.iter().map(|&at| columns[at].clone()).collect();
    let rows = rows.into_iter().map(|row| row.map(|row| shown.iter().map(|&at| row[at].clone()).collect()));
    writeln!(out)?;
    write(Format::Table, &columns, rows, out)?;
    Ok(())
}

/// What of the percentiles is shown at the end of a live run.
const LIVE_COLUMNS: [&str; 7] = ["stage", "venue", "count", "p50_us", "p99_us", "p99.9_us", "max_us"];

/// The table of percentiles.
pub(super) fn latencies(latencies: &Latencies, out: &mut (dyn Write + Send)) -> Result<()> {
    let (columns, rows) = percentiles::table(latencies);
    write(Format::Table, &columns, rows.into_iter(), out)?;
    Ok(())
}

/// How often each rule fired, and how many of its episodes are over.
pub(super) fn alerts(store: &dyn Store, out: &mut dyn Write) -> Result<()> {
    let mut rules: BTreeMap<String, [u64; 2]> = BTreeMap::new();
    // Whose end is not told yet. One that was pending and did not fire ends, too, and is not counted.
    let mut firing: BTreeSet<AlertId> = BTreeSet::new();
    for alert in schema::alerts::scan(store, 1) {
        let (_, alert) = alert?;
        let [fired, resolved] = rules.entry(alert.rule).or_default();
        match alert.state {
            State::Pending => {}
            // An episode that was kept quiet at first has a second such step.
            State::Firing => *fired += u64::from(firing.insert(alert.id)),
            State::Resolved => *resolved += u64::from(firing.remove(&alert.id)),
        }
    }
    if rules.is_empty() {
        writeln!(out, "\nalerts: none")?;
        return Ok(());
    }
    writeln!(out, "\nalerts")?;
    for (rule, [fired, resolved]) in rules {
        writeln!(out, "  {rule:10} fired {fired}, resolved {resolved}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use feeds::frame::FieldCount;

    use super::*;
    use crate::alert::{Alert, Severity};
    use crate::store::memory::MemoryStore;
    use crate::store::{Batch, Family};

    /// A second step `firing` of one episode tells what was kept quiet at first; a third is of another one.
    #[test]
    fn an_episode_fires_once_however_often_that_is_told() {
        let (store, mut batch) = (MemoryStore::new(), Batch::default());
        let steps = [
            (State::Pending, 1),
            (State::Firing, 1),
            (State::Firing, 1),
            (State::Resolved, 1),
            (State::Firing, 2),
        ];
        for (number, (state, id)) in (1..).zip(steps) {
            let alert = Alert {
                id: AlertId([id; 16]),
                state,
                rule: "hot".to_owned(),
                symbol: "a:B".to_owned(),
                severity: Severity::Warning,
                event_time: 0,
                fired_at: None,
                message: String::new(),
                labels: Vec::new(),
                values: Vec::new(),
                windows: Vec::new(),
                number,
                suppressed: None,
            };
            batch.put(Family::Alerts, schema::alerts::key(number), schema::alerts::encode(&alert));
        }
        store.commit(&batch, false).unwrap();
        let mut out = Vec::new();
        alerts(&store, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "\nalerts\n  hot        fired 2, resolved 1\n");
    }

    #[test]
    fn new_fields_are_told_once_for_all_connections_of_a_venue() {
        let feed = |venue: &str, fields: &[&str]| Feed {
            venue: Some(venue.to_owned()),
            unknown_fields: fields.iter().map(|name| ((*name).to_owned(), FieldCount::default())).collect(),
            ..Feed::default()
        };
        let told = |feeds| {
            let mut out = Vec::new();
            counts(&Summary { feeds, ..Summary::default() }, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let line = "  new fields b lot, made lot, made multiplier; query feeds says since when\n";
        let feeds =
            vec![feed("made", &["multiplier"]), feed("made", &["lot", "multiplier"]), feed("b", &["lot"])];
        assert!(told(feeds).contains(line));
        assert!(!told(vec![feed("made", &[])]).contains("new fields"));
    }
}
