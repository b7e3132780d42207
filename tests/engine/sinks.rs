//! What rules say in a live run arrives where sinks are, as it stands in the log.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use tapedeck::config::{Catalogue, Config, GroupBy, Grouping, SinkSpec};
use tapedeck::live::Deck;
use tapedeck::output::{Format, write};
use tapedeck::query::alerts::{AlertFilter, rows};
use tapedeck::sink::{Means, Sinks};
use tapedeck::store::Store;
use tapedeck::tape::Cut;

use crate::live::{deliveries, live_options};
use crate::support::memory;

/// To whom everything is told.
fn to_file(path: &Path) -> SinkSpec {
    let text = format!(
        "[[sinks]]\nkind = \"file\"\npath = {path:?}\n\
         states = [\"pending\", \"firing\", \"resolved\"]\nsuppressed = true\n"
    );
    let mut config = Config::parse("made", &text, &Catalogue::built_in()).unwrap();
    config.sinks.remove(0)
}

/// The alert log, line by line.
fn log(store: &Arc<dyn Store>) -> String {
    let all = AlertFilter::default();
    let (columns, rows) = rows(&**store, None, &all).unwrap();
    let mut log = Vec::new();
    write(Format::Ndjson, &columns, rows, &mut log).unwrap();
    let log = String::from_utf8(log).unwrap();
    assert!(log.lines().count() > 10, "too few to be told");
    log
}

#[test]
fn a_file_has_the_log_line_by_line_whatever_the_epochs() {
    for cut in [Cut::Adaptive, Cut::Every(7)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts.ndjson");
        let store = memory();
        let mut deck = Deck::start(&store, &live_options(2, cut), None).unwrap();
        let pulse = deck.pulse();
        let sinks = Sinks::start(&[to_file(&path)], &Means::default(), &store, pulse.alerts()).unwrap();
        for delivery in deliveries(5, 1_500) {
            deck.take(delivery, false).unwrap();
        }
        deck.stop().unwrap();
        sinks.stop();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), log(&store));
    }
}

#[test]
fn groups_have_the_log_among_them_whatever_they_wait_for() {
    let hour = 3_600_000_000_000;
    for (wait, interval) in [(0, 1_000_000), (hour, hour), (1_000_000, hour)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("groups.ndjson");
        let by = vec![GroupBy::Rule, GroupBy::Symbol];
        let specs = [SinkSpec { grouping: Some(Grouping { by, wait, interval }), ..to_file(&path) }];
        let store = memory();
        let mut deck = Deck::start(&store, &live_options(2, Cut::Every(50)), None).unwrap();
        let pulse = deck.pulse();
        let start = || Sinks::start(&specs, &Means::default(), &store, pulse.alerts()).unwrap();
        let mut sinks = start();
        let deliveries = deliveries(5, 1_500);
        let half = deliveries.len() / 2;
        for (at, delivery) in deliveries.into_iter().enumerate() {
            deck.take(delivery, false).unwrap();
            if at == half {
                sinks.stop();
                sinks = start();
            }
        }
        deck.stop().unwrap();
        sinks.stop();
        let text = std::fs::read_to_string(&path).unwrap();
        let mut told: Vec<(u64, Value)> = Vec::new();
        for line in text.lines() {
            let group: Value = serde_json::from_str(line).unwrap();
            let alerts = group["alerts"].as_array().unwrap();
            assert!(alerts.iter().all(|row| row["rule"] == group["group"]["rule"]), "{line}");
            assert!(alerts.iter().all(|row| row["symbol"] == group["group"]["symbol"]), "{line}");
            let numbered: Vec<(u64, Value)> = alerts.iter().map(|row| (number(row), row.clone())).collect();
            assert!(numbered.is_sorted_by(|a, b| a.0 < b.0), "{line}");
            let of_the_group = told.iter().filter(|(_, row)| {
                row["rule"] == group["group"]["rule"] && row["symbol"] == group["group"]["symbol"]
            });
            assert!(of_the_group.map(|(number, _)| *number).max() < numbered.first().map(|(n, _)| *n));
            told.extend(numbered);
        }
        told.sort_by_key(|(number, _)| *number);
        let log: Vec<Value> = log(&store).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(told.into_iter().map(|(_, row)| row).collect::<Vec<_>>(), log);
        assert!(text.lines().count() < log.len(), "none were told together");
    }
}

fn number(row: &Value) -> u64 {
    row["cursor"].as_str().unwrap().split_once('-').unwrap().1.parse().unwrap()
}
