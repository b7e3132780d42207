//! What rules say in a live run arrives where sinks are, as it stands in the log.

use tapedeck::alert::State;
use tapedeck::config::SinkSpec;
use tapedeck::live::Deck;
use tapedeck::output::{Format, write};
use tapedeck::query::alerts::{AlertFilter, rows};
use tapedeck::sink::{Means, Sinks};
use tapedeck::tape::Cut;

use crate::live::{deliveries, live_options};
use crate::support::memory;

#[test]
fn a_file_has_the_log_line_by_line_whatever_the_epochs() {
    for cut in [Cut::Adaptive, Cut::Every(7)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts.ndjson");
        let spec = SinkSpec {
            name: "file".to_owned(),
            kind: "file",
            url: None,
            path: Some(path.clone()),
            secret_file: None,
            rules: Vec::new(),
            symbols: Vec::new(),
            severity: None,
            states: State::ALL.to_vec(),
            suppressed: true,
        };
        let store = memory();
        let mut deck = Deck::start(&store, &live_options(2, cut), None).unwrap();
        let pulse = deck.pulse();
        let sinks = Sinks::start(&[spec], &Means::default(), &store, pulse.alerts()).unwrap();
        for delivery in deliveries(5, 1_500) {
            deck.take(delivery, false).unwrap();
        }
        deck.stop().unwrap();
        sinks.stop();
        let all = AlertFilter::default();
        let (columns, rows) = rows(&*store, None, &all).unwrap();
        let mut log = Vec::new();
        write(Format::Ndjson, &columns, rows, &mut log).unwrap();
        assert!(log.iter().filter(|byte| **byte == b'\n').count() > 10, "too few to be told");
        assert_eq!(std::fs::read(&path).unwrap(), log);
    }
}
