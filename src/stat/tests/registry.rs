//! The lists of statistics and sets.

use std::collections::BTreeSet;

use super::*;
use crate::stat::{Reads, SETS, STATISTICS};

#[test]
fn names_are_unique_and_found() {
    let names: BTreeSet<_> = STATISTICS.iter().map(|statistic| statistic.name).collect();
    assert_eq!(names.len(), STATISTICS.len());
    for name in names {
        assert_eq!(by_name(name).unwrap().name, name);
    }
    assert!(by_name("opne").is_none());
}

#[test]
fn sets_name_statistics() {
    for (set, names) in SETS {
        for name in *names {
            assert!(by_name(name).is_some(), "{set} names {name}");
        }
    }
}

#[test]
fn values_are_of_their_declared_type() {
    let mut pane = Pane::default();
    let (one, two) = (Decimal::new(1, 0), Decimal::new(2, 0));
    pane.add_trade(Key { ts: 1, number: 1 }, &Trade::new(Some(1), one, one, Side::Buy));
    pane.add_quote(Key { ts: 1, number: 2 }, &Quote::new(None, one, one, two, one));
    for statistic in STATISTICS {
        let value = read(statistic.name, &pane, None, 0, 10).unwrap();
        assert_eq!(value.value_type(), statistic.value_type, "{}", statistic.name);
    }
}

#[test]
fn a_window_without_the_ticks_that_it_reads_says_nothing_of_prices() {
    let quotes_only = STATISTICS.iter().filter(|statistic| statistic.reads == Reads::Quotes);
    assert_eq!(
        quotes_only.map(|statistic| statistic.name).collect::<Vec<_>>(),
        ["quotes", "mid_close", "spread_tw"]
    );
}

#[test]
fn what_is_no_number_is_no_value() {
    assert_eq!(Value::float(f64::NAN), None);
    assert_eq!(Value::float(f64::INFINITY), None);
    assert_eq!(Value::float(1e21).unwrap().to_string(), "1000000000000000000000");
    assert_eq!(Value::float(0.1).unwrap().to_string(), "0.1");
}
