//! One answer in four forms; options of queries; summaries for programs.

use std::collections::BTreeMap;
use std::fs::File;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;

use super::crashes::{line_of, simulator};
use super::support::{Folder, rows};

/// Column to value, everything as CSV has it.
type Row = BTreeMap<String, String>;

fn folder() -> Folder {
    let folder = Folder::new();
    folder.capture("a.capture.gz");
    folder.run("replay a.capture.gz --db db").fine();
    folder
}

fn from_ndjson(text: &str) -> Vec<Row> {
    let cell = |value: serde_json::Value| match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    let object = |line| -> serde_json::Map<String, serde_json::Value> { serde_json::from_str(line).unwrap() };
    text.lines()
        .map(|line| object(line).into_iter().map(|(name, value)| (name, cell(value))).collect())
        .collect()
}

/// A decimal of `mantissa` without trailing zeros.
fn plain(mantissa: i128, scale: i32) -> String {
    let (mut mantissa, mut scale) = (mantissa, scale as usize);
    while scale > 0 && mantissa % 10 == 0 {
        mantissa /= 10;
        scale -= 1;
    }
    let digits = format!("{:0>width$}", mantissa.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if mantissa < 0 { "-" } else { "" };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

fn from_parquet(folder: &Folder, name: &str) -> Vec<Row> {
    let file = SerializedFileReader::new(File::open(folder.path().join(name)).unwrap()).unwrap();
    let is_time = |name: &str| ["start", "end", "first_time", "last_time"].contains(&name);
    let cell = |name: &str, field: &Field| match field {
        Field::Null => String::new(),
        Field::Str(text) => text.clone(),
        Field::ULong(value) => value.to_string(),
        Field::Long(nanos) if is_time(name) => feeds::time::format(*nanos),
        Field::Decimal(decimal) => {
            let mantissa = i128::from_be_bytes(decimal.data().try_into().unwrap());
            plain(mantissa, decimal.scale())
        }
        other => panic!("{name} is {other:?}"),
    };
    let rows = file.get_row_iter(None).unwrap().map(|row| {
        let row = row.unwrap();
        row.get_column_iter().map(|(name, field)| (name.clone(), cell(name, field))).collect()
    });
    rows.collect()
}

/// A table's cells. Columns are apart by two blanks or more on every line.
fn from_table(text: &str) -> Vec<Row> {
    let lines: Vec<Vec<char>> = text.lines().map(|line| line.chars().collect()).collect();
    let width = lines.iter().map(Vec::len).max().unwrap();
    let is_blank = |at: usize| lines.iter().all(|line| line.get(at).is_none_or(|c| *c == ' '));
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for at in (0..width).filter(|at| !is_blank(*at)) {
        match spans.last_mut() {
            Some((_, end)) if at <= *end + 1 => *end = at + 1,
            _ => spans.push((at, at + 1)),
        }
    }
    let cells = |line: &Vec<char>| -> Vec<String> {
        let cell = |(from, to): &(usize, usize)| -> String {
            line.iter().skip(*from).take(to - from).collect::<String>().trim().to_owned()
        };
        spans.iter().map(cell).collect()
    };
    let names = cells(&lines[0]);
    lines[1..].iter().map(|line| names.iter().cloned().zip(cells(line)).collect()).collect()
}

/// Times as a table has them.
fn shortened(row: &Row) -> Row {
    let short = |text: &String| match text.strip_suffix('Z') {
        Some(time) if time.contains('T') => {
            time.replace('T', " ").trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => text.clone(),
    };
    row.iter().map(|(name, value)| (name.clone(), short(value))).collect()
}

#[test]
fn all_forms_have_the_same_values() {
    let folder = folder();
    let query = |format: &str| folder.run(&format!("query windows --db db --window 1s --format {format}"));
    let csv_text = query("csv").fine();
    let head =
        "symbol,window,start,end,revision,flags,open,high,low,close,volume,notional,vwap,trades,buy_volume,";
    assert!(csv_text.starts_with(head), "{}", csv_text.lines().next().unwrap());
    let csv = rows(&csv_text);
    assert!(csv.len() > 100, "{} rows", csv.len());
    assert_eq!(from_ndjson(&query("ndjson").fine()), csv);
    folder.run("query windows --db db --window 1s --format parquet --out w.parquet").fine();
    assert_eq!(from_parquet(&folder, "w.parquet"), csv);
    let table: Vec<Row> = from_table(&query("table").fine())
        .iter()
        .map(|row| {
            // Times of a column have as many digits as the longest of them needs.
            let trim =
                |value: &String| match value.contains(':') && value.contains('-') && value.contains('.') {
                    true => value.trim_end_matches('0').trim_end_matches('.').to_owned(),
                    false => value.clone(),
                };
            row.iter().map(|(name, value)| (name.clone(), trim(value))).collect()
        })
        .collect();
    let short: Vec<Row> = csv.iter().map(shortened).map(|row| shorter_seconds(&row)).collect();
    assert_eq!(table.iter().map(shorter_seconds).collect::<Vec<_>>(), short);
}

/// `00:00:10` has lost nothing, `00:00:1` has: what was trimmed from a time is put back.
fn shorter_seconds(row: &Row) -> Row {
    let whole = |value: &String| {
        let is_time = value.len() >= 16 && value.as_bytes()[4] == b'-' && value.contains(':');
        if is_time && value.len() < 19 { format!("{value:0<19}") } else { value.clone() }
    };
    row.iter().map(|(name, value)| (name.clone(), whole(value))).collect()
}

#[test]
fn files_hold_what_is_printed() {
    let folder = folder();
    for what in ["windows", "symbols", "feeds", "late", "gaps"] {
        for format in ["csv", "ndjson", "table"] {
            let printed = folder.run(&format!("query {what} --db db --format {format}")).fine();
            let out =
                folder.run(&format!("query {what} --db db --format {format} --out out.{format}")).fine();
            assert_eq!(out, "", "{what} {format}");
            assert_eq!(folder.read(&format!("out.{format}")), printed, "{what} {format}");
        }
    }
    let before = folder.read("out.csv");
    folder.run("query windows --db db --format csv --symbol NONE --out out.csv").failed(2, &["NONE"]);
    assert_eq!(folder.read("out.csv"), before, "a failure leaves the file as it was");
    folder.run("query windows --db db --out absent/out.csv").failed(1, &["absent/out.csv"]);
}

#[test]
fn selections_are_parts_of_the_whole() {
    let folder = folder();
    let query = |more: &str| rows(&folder.run(&format!("query windows --db db --format csv {more}")).fine());
    let all = query("");
    let kept = |test: &dyn Fn(&Row) -> bool| all.iter().filter(|row| test(row)).cloned().collect::<Vec<_>>();
    assert_eq!(query("--window 1m"), kept(&|row| row["window"] == "1m"));
    assert_eq!(query("--symbol BTCUSDT"), kept(&|row| row["symbol"] == "binance:BTCUSDT"));
    let two = query("--symbol BTCUSDT --symbol binance:ETHUSDT");
    assert_eq!(two, kept(&|row| ["binance:BTCUSDT", "binance:ETHUSDT"].contains(&&*row["symbol"])));
    let (from, to) = ("2025-01-06T00:00:02.000000000Z", "2025-01-06T00:00:04.000000000Z");
    let between = query(&format!("--from {from} --to {to}"));
    assert!(!between.is_empty());
    assert_eq!(between, kept(&|row| &*row["start"] >= from && &*row["start"] < to));
    assert_eq!(query("--from 1736121602 --to 1736121604"), between, "seconds since 1970 do as well");
    assert_eq!(query("--from 2030-01-01"), []);
}

#[test]
fn every_revision_can_be_seen() {
    let folder = Folder::new();
    // The second 00:00:00 is emitted by the tick at 1.5 s, amended by two late ones, and final.
    folder.write(
        "a.csv",
        "time,symbol,id,price,size\n1736121600100,A,1,1,1\n1736121601500,A,2,2,1\n1736121600200,A,3,3,1\n\
         1736121600300,A,4,4,1\n1736121609000,A,5,5,1\n",
    );
    folder.run("replay a.csv --db db").fine();
    let of_first = |more: &str| -> Vec<(String, String)> {
        let csv = folder.run(&format!("query windows --db db --window 1s --format csv {more}")).fine();
        let first = rows(&csv).into_iter().filter(|row| row["start"].contains("T00:00:00"));
        first.map(|row| (row["revision"].clone(), row["trades"].clone())).collect()
    };
    let pairs = |list: &[(&str, &str)]| -> Vec<(String, String)> {
        list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    };
    assert_eq!(of_first(""), pairs(&[("2", "3")]));
    assert_eq!(of_first("--revisions"), pairs(&[("0", "1"), ("1", "2"), ("2", "3")]));
}

#[test]
fn latencies_of_every_stage_and_a_standard_log() {
    let folder = folder();
    let table = folder.run("latency --db db --hlog l.hlog").fine();
    let stages = [
        "exchange→received",
        "received→decoded",
        "received→sequenced",
        "received→applied",
        "received→committed",
    ];
    let counted: BTreeMap<String, u64> = table
        .lines()
        .skip(1)
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            (words[0].to_owned(), words[2].parse().unwrap())
        })
        .collect();
    assert_eq!(counted.keys().map(String::as_str).collect::<std::collections::BTreeSet<_>>(), stages.into());
    let received: u64 = rows(&folder.run("query symbols --db db --format csv").fine())
        .iter()
        .map(|row| row["received"].parse::<u64>().unwrap())
        .sum();
    for stage in &stages[1..] {
        assert_eq!(counted[*stage], received, "{stage}");
    }

    let log = std::fs::read(folder.path().join("l.hlog")).unwrap();
    let mut logged: BTreeMap<String, u64> = BTreeMap::new();
    for entry in IntervalLogIterator::new(&log) {
        let LogEntry::Interval(interval) = entry.unwrap() else { continue };
        let (venue, stage) = interval.tag().unwrap().as_str().split_once('/').unwrap();
        assert_eq!(venue, "binance");
        let bytes = base64(interval.encoded_histogram());
        let histogram: Histogram<u64> = Deserializer::new().deserialize(&mut &bytes[..]).unwrap();
        assert!((histogram.max() as f64 / 1e6 - interval.max()).abs() < 0.01, "{stage}");
        *logged.entry(stage.to_owned()).or_default() += histogram.len();
    }
    assert_eq!(logged, counted);
}

/// What RFC 4648 says of base64.
fn base64(text: &str) -> Vec<u8> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => panic!("{c} is no base64"),
    };
    let digits: Vec<u8> = text.bytes().filter(|c| *c != b'=').map(value).collect();
    let bytes = digits.chunks(4).flat_map(|four| {
        let bits = four
            .iter()
            .enumerate()
            .fold(0_u32, |bits, (at, digit)| bits | u32::from(*digit) << (18 - 6 * at));
        bits.to_be_bytes()[1..four.len()].to_vec()
    });
    bytes.collect()
}

#[test]
fn the_summary_is_one_line_of_json_that_adds_up() {
    let folder = Folder::new();
    folder.capture("a.capture.gz");
    let out = folder.run("replay a.capture.gz --db db --json").fine();
    assert_eq!(out.lines().count(), 1, "{out}");
    let summary: serde_json::Value = serde_json::from_str(&out).unwrap();
    let count = |name: &str| summary["ledger"][name].as_u64().unwrap();
    let parts = ["aggregated", "late", "duplicate", "rejected", "dropped", "history"].map(count);
    assert_eq!(count("received"), parts.iter().sum::<u64>());
    assert_eq!(
        count("aggregated") + count("late"),
        summary["trades"].as_u64().unwrap() + summary["quotes"].as_u64().unwrap()
    );
    assert_eq!((&summary["trades"], &summary["ending"]), (&4_000.into(), &"complete".into()));
    let feed = &summary["feeds"][0];
    let frames =
        ["ticks", "control", "heartbeat", "broken", "blank"].map(|name| feed[name].as_u64().unwrap());
    let passed: u64 =
        feed["passed_over"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(feed["frames"].as_u64().unwrap(), frames.iter().sum::<u64>() + passed);
    assert!(passed > 0);
}

/// Whoever reads alerts on standard output reads alerts and nothing else.
#[test]
fn a_run_that_tells_alerts_on_standard_output_tells_all_else_elsewhere() {
    let (folder, simulator) = (Folder::new(), simulator());
    let rule = "[[rules]]\nname = 'any'\nwhen = 'trades[1s, -1] > 0'\n";
    folder.write("c.toml", format!("[[windows]]\nname = '1s'\n[[sinks]]\nkind = 'stdout'\n{rule}"));
    let done = folder.run(&format!("{} --for 5s", line_of(&simulator)));
    assert!(done.err.contains("received") && done.err.contains("any        fired"), "{}", done.err);
    let out = done.fine();
    assert!(!out.is_empty(), "no alert");
    for line in out.lines() {
        let said: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(said["rule"], "any");
    }
}
