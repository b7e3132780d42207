//! `query`, `dump` and `latency`: what a database holds, to stdout or a file.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use anyhow::Context;

use super::args::{DumpArgs, ExplainArgs, LatencyArgs, Query, QueryArgs, QueryCommon, TimeRange};
use super::{Failure, checked, summary};
use crate::latency::{Interval, Latencies, write_log};
use crate::output::{Cell, Column, deliver};
use crate::query::windows::{Selection, rows};
use crate::query::{Catalogue, Filter, alerts, dump as dumped, explain as explained, tables};
use crate::store::open_reader;

/// `query`.
pub(super) fn query(args: &QueryArgs) -> Result<(), Failure> {
    checked(args.what.range())?;
    let common = args.what.common();
    let store = open_reader(&common.db)?;
    let catalogue = Catalogue::read(&*store)?;
    match &args.what {
        Query::Windows(wanted) => {
            let selection = Selection {
                window: wanted.window.clone(),
                filter: filter(&wanted.symbols, wanted.range),
                revisions: wanted.revisions,
            };
            let (columns, rows) = rows(&*store, &catalogue, &selection)?;
            print(common, &columns, rows)
        }
        Query::Alerts(wanted) => {
            let filter = wanted.filter();
            let (columns, rows) = alerts::rows(&*store, wanted.after.0, &filter)?;
            print(common, &columns, rows)
        }
        Query::Symbols(wanted) => {
            let filter = filter(&wanted.symbols, TimeRange::default());
            let (columns, rows) = tables::symbols(&*store, &catalogue, &filter)?;
            print(common, &columns, rows.into_iter())
        }
        Query::Feeds(_) => {
            let (columns, rows) = tables::feeds(&*store)?;
            print(common, &columns, rows.into_iter())
        }
        Query::Ticks(wanted) => {
            let filter = filter(&wanted.symbols, wanted.range);
            let (columns, rows) = tables::ticks(&*store, &catalogue, &filter)?;
            print(common, &columns, rows)
        }
        Query::Late(wanted) => {
            let filter = filter(&wanted.symbols, wanted.range);
            let (columns, rows) = tables::late(&*store, &catalogue, &filter)?;
            print(common, &columns, rows.into_iter())
        }
        Query::Gaps(wanted) => {
            let filter = filter(&wanted.symbols, wanted.range);
            let (columns, rows) = tables::gaps(&*store, &catalogue, &filter)?;
            print(common, &columns, rows.into_iter())
        }
    }
}

/// `dump`.
pub(super) fn dump(args: &DumpArgs) -> Result<(), Failure> {
    let store = open_reader(&args.db)?;
    let catalogue = Catalogue::read(&*store)?;
    let mut out = BufWriter::new(io::stdout().lock());
    if args.digest {
        let digest = dumped::digest(&*store, &catalogue)?;
        writeln!(out, "{digest}  {}", args.db.display()).map_err(anyhow::Error::from)?;
    } else {
        dumped::write(&*store, &catalogue, &mut out)?;
    }
    out.flush().map_err(anyhow::Error::from)?;
    Ok(())
}

/// `explain`.
pub(super) fn explain(args: &ExplainArgs) -> Result<(), Failure> {
    let store = open_reader(&args.db)?;
    let catalogue = Catalogue::read(&*store)?;
    let number = explained::find(&*store, &args.alert)?;
    let mut out = BufWriter::new(io::stdout().lock());
    explained::explain(&*store, &catalogue, number, &mut out)?;
    out.flush().map_err(anyhow::Error::from)?;
    Ok(())
}

/// `latency`.
pub(super) fn latency(args: &LatencyArgs) -> Result<(), Failure> {
    let store = open_reader(&args.db)?;
    let intervals = tables::latencies(&*store)?;
    if let Some(path) = &args.hlog {
        write_hlog(path, intervals.clone())?;
    }
    let mut all = Latencies::new();
    for (_, interval) in &intervals {
        all.merge(interval);
    }
    let mut out = io::stdout();
    summary::latencies(&all, &mut out)?;
    Ok(())
}

/// A standard log; each interval lasts from the checkpoint before to its own.
fn write_hlog(path: &std::path::Path, intervals: Vec<(i64, Latencies)>) -> anyhow::Result<()> {
    let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
    let mut out = BufWriter::new(file);
    let mut start = intervals.first().map_or(0, |(at, _)| *at);
    let intervals: Vec<Interval> = intervals
        .into_iter()
        .map(|(at, latencies)| {
            let interval = Interval { start, length: (at - start).max(0), latencies };
            start = at;
            interval
        })
        .collect();
    write_log(&mut out, intervals).with_context(|| format!("write {}", path.display()))?;
    out.flush().with_context(|| format!("write {}", path.display()))
}

fn filter(symbols: &[String], range: TimeRange) -> Filter {
    Filter { symbols: symbols.to_vec(), from: range.from, to: range.to }
}

fn print(
    common: &QueryCommon,
    columns: &[Column],
    rows: impl Iterator<Item = anyhow::Result<Vec<Cell>>>,
) -> Result<(), Failure> {
    deliver(common.format(), columns, rows, common.out.as_deref())?;
    Ok(())
}
