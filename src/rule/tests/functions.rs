//! Each function and operator, with values computed by hand.

use feeds::time::SECOND;

use super::stage::Trial;
use crate::codec::Reader;
use crate::rule::{FUNCTIONS, Memory, Number};

const YES: Option<bool> = Some(true);
const NO: Option<bool> = Some(false);

/// Judges `text` once with these values of now.
fn judged(text: &str, values: &[(&str, &str)]) -> Option<bool> {
    let mut trial = Trial::new(text);
    for (name, value) in values {
        trial.stage.set(name, value);
    }
    trial.judge()
}

/// Judges `text` once with these final windows of `volume[1s]`.
fn closed(text: &str, volumes: &[&str]) -> Option<bool> {
    let mut trial = Trial::new(text);
    trial.stage.close("volume[1s]", volumes);
    trial.judge()
}

#[test]
fn arithmetic_is_exact() {
    assert_eq!(judged("price * 3 == 0.3", &[("price", "0.1")]), YES);
    assert_eq!(judged("price + 0.2 == 0.3", &[("price", "0.1")]), YES);
    assert_eq!(judged("price - 1e-18 == 0.099999999999999999", &[("price", "0.1")]), YES);
    assert_eq!(judged("-price < -(2 - 3 - 4) * price", &[("price", "0.1")]), YES);
    assert_eq!(judged("price / 3 * 3 == price", &[("price", "1")]), YES);
    assert_eq!(judged("price > 1_000.5e3", &[("price", "1000500")]), NO);
    assert_eq!(judged("price >= 1_000.5e3", &[("price", "1000500.0")]), YES);
}

#[test]
fn nothing_spreads_and_logic_is_kleenes() {
    let nothing = &[("price", "-"), ("size", "1")];
    assert_eq!(judged("price > 1 and size > 0", nothing), None);
    assert_eq!(judged("price > 1 and size > 5", nothing), NO);
    assert_eq!(judged("size > 5 and price > 1", nothing), NO);
    assert_eq!(judged("price > 1 or size > 0", nothing), YES);
    assert_eq!(judged("price > 1 || size > 5", nothing), None);
    assert_eq!(judged("!(price > 1) && size > 0", nothing), None);
    assert_eq!(judged("not not (size > 0)", &[("size", "1")]), YES);
    assert_eq!(judged("size / (size - 1) > 0", &[("size", "1")]), None);
    assert_eq!(judged("sqrt(size / size - 2) == 0 or ln(size / size - 1) == 0", &[("size", "1")]), None);
}

#[test]
fn sides_and_truths_are_compared_for_equality() {
    assert_eq!(judged("side == buy", &[("side", "1")]), YES);
    assert_eq!(judged("side != sell", &[("side", "-1")]), NO);
    assert_eq!(judged("side == sell", &[("side", "-")]), None);
    assert_eq!(judged("(side == buy) == true", &[("side", "-1")]), NO);
}

#[test]
fn quotes_have_a_middle_and_a_distance() {
    let quote = &[("bid", "99.5"), ("ask", "100")];
    assert_eq!(judged("mid == 99.75 and spread == 0.5 and not crossed() and not locked()", quote), YES);
    let quote = &[("bid", "100"), ("ask", "100.0")];
    assert_eq!(judged("locked() and not crossed()", quote), YES);
    let quote = &[("bid", "100.1"), ("ask", "100")];
    assert_eq!(judged("crossed() and spread < 0", quote), YES);
    let quote = &[("bid", "-"), ("ask", "100")];
    assert_eq!(judged("crossed()", quote), None);
    let quote = &[("bid_size", "3"), ("ask_size", "1")];
    assert_eq!(judged("(bid_size - ask_size) / (bid_size + ask_size) == 0.5", quote), YES);
}

#[test]
fn functions_of_numbers() {
    assert_eq!(judged("abs(price - 5) == 3.5", &[("price", "1.5")]), YES);
    assert_eq!(judged("sqrt(price * price) == 1.5", &[("price", "1.5")]), YES);
    assert_eq!(judged("ln(price / bid) == 0", &[("price", "2"), ("bid", "2")]), YES);
    // To the last digit of an f64.
    assert_eq!(judged("ln(price / bid) == 0.6931471805599453", &[("price", "2"), ("bid", "1")]), YES);
    assert_eq!(judged("min(price, 2) == 1.5 and max(2, price) == 2", &[("price", "1.5")]), YES);
}

#[test]
fn windows_are_counted_back_from_the_newest() {
    assert_eq!(closed("volume[1s, -1] == 3 and volume[1s, -3] == 1", &["9", "1", "2", "3"]), YES);
    assert_eq!(closed("volume[1s, -3] == 1", &["2", "3"]), None);
    assert_eq!(closed("volume[1s, -1] == 1", &["2", "-"]), None);
}

#[test]
fn aggregates_read_the_windows_before_the_one_that_is_named() {
    let mut trial =
        Trial::new("volume[1s] > mean(volume[1s], 2) and volume[1s, -1] < mean(volume[1s, -1], 2)");
    trial.stage.close("volume[1s]", &["7", "5", "1"]);
    trial.stage.set("volume[1s]", "4");
    assert_eq!(trial.judge(), YES);
    assert_eq!(trial.saw("mean(volume[1s], 2)"), Some(Number::Float(3.0)));
    assert_eq!(trial.saw("mean(volume[1s, -1], 2)"), Some(Number::Float(6.0)));
    assert_eq!(trial.saw("volume[1s]"), Some(Number::whole(4)));
    assert_eq!(trial.saw("volume[1s, -1]"), Some(Number::ONE));
}

#[test]
fn aggregates_wait_for_as_many_windows_and_leave_out_those_that_say_nothing() {
    let text = "mean(volume[1s], 3) == 2";
    assert_eq!(closed(text, &["1", "3"]), None);
    assert_eq!(closed(text, &["1", "-", "3"]), YES);
    assert_eq!(closed(text, &["-", "-", "-"]), None);
    assert_eq!(closed("stdev(volume[1s], 2) >= 0", &["1", "-"]), None);
}

#[test]
fn aggregates_by_hand() {
    // 2 4 4 4 5 5 7 9: mean 5, squares about it 32, 32 / 7.
    let eight = ["2", "4", "4", "4", "5", "5", "7", "9"];
    assert_eq!(closed("mean(volume[1s], 8) == 5", &eight), YES);
    let mut trial = Trial::new("stdev(volume[1s], 8) > 2");
    trial.stage.close("volume[1s]", &eight);
    assert_eq!(trial.saw("stdev(volume[1s], 8)"), Some(Number::Float((32.0f64 / 7.0).sqrt())));
    assert_eq!(closed("min(volume[1s], 8) == 2 and max(volume[1s], 8) == 9", &eight), YES);
    assert_eq!(closed("quantile(volume[1s], 8) == 4.5", &eight), YES);
    // Rank 1 + 7 × 0.9 = 7.3: 7 + 0.3 × 2.
    let mut trial = Trial::new("quantile(volume[1s], 8, 0.9) > 2");
    trial.stage.close("volume[1s]", &eight);
    let found = trial.saw("quantile(volume[1s], 8, 0.9)").unwrap().to_f64();
    assert!((found - 7.6).abs() < 1e-12, "{found}");
    assert_eq!(closed("quantile(volume[1s], 8, 0) == 2 and quantile(volume[1s], 8, 1) == 9", &eight), YES);
    // Equal values deviate by exactly nothing, though 0.1 is no f64.
    assert_eq!(closed("stdev(volume[1s], 3) == 0", &["0.1", "0.1", "0.1"]), YES);
    assert_eq!(closed("zscore(volume[1s, -1], 3) > 0", &["0.1", "0.1", "0.1", "7"]), None);
}

#[test]
fn zscore_by_hand() {
    // Mean 2, deviation 1: (5 - 2) / 1.
    assert_eq!(closed("zscore(volume[1s, -1], 3) == 3", &["1", "2", "3", "5"]), YES);
    let mut trial = Trial::new("zscore(volume[1s], 3) == -1");
    trial.stage.close("volume[1s]", &["1", "2", "3"]);
    trial.stage.set("volume[1s]", "1");
    assert_eq!(trial.judge(), YES);
    assert_eq!(trial.saw("zscore(volume[1s], 3)"), Some(Number::Float(-1.0)));
}

#[test]
fn min_and_max_read_windows_only_of_a_statistic_and_a_whole_number() {
    assert_eq!(closed("max(volume[1s, -1], 2) == 8", &["8", "7", "1"]), YES);
    assert_eq!(closed("max(volume[1s, -1], 2.0) == 2", &["8", "7", "1"]), YES);
    assert_eq!(closed("max(2, volume[1s, -1]) == 2", &["8", "7", "1"]), YES);
}

#[test]
fn cusum_goes_one_step_with_each_final_window() {
    let mut trial = Trial::new("cusum(volume[1s, -1], 2, 0.5) > 1");
    assert_eq!(trial.condition.reads().folds, [0]);
    let mut step = |volume: &str| {
        trial.stage.close("volume[1s]", &[volume]);
        trial.condition.fold(0, &trial.stage, &mut trial.memory);
        // Judging it any number of times changes nothing.
        trial.judge();
        (trial.judge(), trial.saw("cusum(volume[1s, -1], 2, 0.5)"))
    };
    let root = 2.0f64.sqrt();
    assert_eq!(step("0"), (None, None));
    assert_eq!(step("2"), (None, None));
    // Of 0 and 2: mean 1, deviation √2. z = (1 + √2 - 1) / √2 = 1, so S+ = 0.5.
    let z = (2.5 - 1.0) / root;
    assert_eq!(step("2.5"), (NO, Some(Number::Float(z - 0.5))));
    // Of 2 and 2.5: mean 2.25, deviation √0.125.
    let down = (1.0 - 2.25) / 0.125f64.sqrt();
    assert_eq!(step("1"), (YES, Some(Number::Float(-down - 0.5))));
}

#[test]
fn change_looks_at_the_last_value_that_there_was() {
    let mut trial = Trial::new("change(price) == 2");
    assert_eq!(trial.at(0, "price", "1"), None);
    assert_eq!(trial.at(1, "price", "3"), YES);
    assert_eq!(trial.at(2, "price", "-"), None);
    assert_eq!(trial.at(3, "price", "5"), YES);
    assert_eq!(trial.at(4, "price", "5"), NO);
}

#[test]
fn crossing_is_from_at_most_to_above() {
    let mut trial = Trial::new("crosses_above(price, 10)");
    let prices = ["11", "12", "10", "10.1", "11", "-", "9", "-", "11"];
    let found: Vec<_> = prices.iter().map(|price| trial.at(0, "price", price)).collect();
    assert_eq!(found, [None, NO, NO, YES, NO, None, NO, None, YES]);
    let mut trial = Trial::new("crosses_below(price, 10)");
    let found: Vec<_> = ["9", "10", "9", "9"].iter().map(|price| trial.at(0, "price", price)).collect();
    assert_eq!(found, [None, NO, YES, NO]);
}

/// What was judged is what is told, and telling it changes nothing.
#[test]
fn every_call_is_told_as_it_was_judged() {
    let mut trial =
        Trial::new("abs(change(price)) > 1 and not crosses_above(bid, price) and min(spread, 3.0) > 0");
    trial.stage.set("ask", "9");
    trial.stage.set("bid", "8");
    assert_eq!(trial.at(0, "price", "7"), None);
    assert_eq!(trial.saw("change(price)"), None);
    assert_eq!(trial.at(1, "price", "9"), YES);
    trial.stage.set("ask", "16");
    assert_eq!(trial.at(2, "price", "4"), NO);
    for _ in 0..2 {
        assert_eq!(trial.saw("change(price)"), Some(Number::whole(-5)));
        assert_eq!(trial.saw("abs(change(price))"), Some(Number::whole(5)));
        assert_eq!(trial.saw("crosses_above(bid, price)"), Some(Number::ONE));
        assert_eq!(trial.saw("spread"), Some(Number::whole(8)));
        assert_eq!(trial.saw("min(spread, 3.0)"), Some(Number::whole(3)));
    }
    assert_eq!(trial.at(3, "price", "-"), None);
    assert_eq!(trial.saw("change(price)"), None);
    assert_eq!(trial.at(4, "price", "6"), YES);
    assert_eq!(trial.saw("change(price)"), Some(Number::whole(2)));
    let mut both = Trial::new("crossed() or locked()");
    both.stage.set("bid", "3");
    both.at(0, "ask", "3");
    assert_eq!((both.saw("crossed()"), both.saw("locked()")), (Some(Number::ZERO), Some(Number::ONE)));
}

/// Names of calls repeat what is inside them: what is told of a rule is bounded, and its parts come first.
#[test]
fn calls_are_told_up_to_a_bound() {
    let deep = format!("{}price{} > 0", "abs(".repeat(60), ")".repeat(60));
    assert_eq!(
        Trial::new(&deep).condition.saw(&Trial::new(&deep).stage, &Trial::new(&deep).memory).len(),
        61
    );
    let long = vec!["price"; 400].join(" + ");
    let deep = format!("{}{long}{} > 0", "abs(".repeat(60), ")".repeat(60));
    let trial = Trial::new(&deep);
    let told = trial.condition.saw(&trial.stage, &trial.memory);
    let bytes: usize = told.iter().map(|(text, _)| text.len()).sum();
    assert!((2..61).contains(&told.len()) && bytes <= 9 * crate::config::limits::RULE_BYTES_MAX, "{bytes}");
    assert_eq!(told[0].0, "price");
}

/// Memories of before times were kept with them judge on.
#[test]
fn a_memory_without_times_is_read() {
    let mut trial = Trial::new("change(price) > 0 or crosses_above(price, 5)");
    let mut bytes = vec![1];
    Number::whole(7).encode(&mut bytes);
    bytes.push(3);
    trial.memory = Memory::decode(&trial.condition, &mut Reader::new(&bytes)).unwrap();
    assert_eq!(trial.at(9, "price", "4"), NO);
    assert_eq!(trial.saw("change(price)"), Some(Number::whole(-3)));
    assert_eq!(trial.at(10, "price", "6"), YES);
    assert_eq!(trial.saw("crosses_above(price, 5)"), Some(Number::ONE));
    for wrong in [&[4, 1][..], &[1], &[2], &[0, 6], &[0, 4, 0, 0], &[0, 4, 1]] {
        assert!(Memory::decode(&trial.condition, &mut Reader::new(wrong)).is_err(), "{wrong:?}");
    }
}

#[test]
fn what_remembers_is_judged_each_time() {
    let mut trial = Trial::new("size > 5 and change(price) > 0");
    trial.stage.set("size", "1");
    assert_eq!(trial.at(0, "price", "1"), NO);
    trial.stage.set("size", "9");
    assert_eq!(trial.at(1, "price", "2"), YES);
}

#[test]
fn since_counts_from_when_it_was_last_true() {
    let mut trial = Trial::new("since(price > 10) >= 5s");
    assert_eq!(trial.at(0, "price", "1"), None);
    assert_eq!(trial.at(1, "price", "11"), NO);
    assert_eq!(trial.at(5, "price", "1"), NO);
    assert_eq!(trial.at(6, "price", "-"), YES);
    assert_eq!(trial.saw("since(price > 10)"), Some(Number::whole(5 * SECOND)));
    assert!(trial.condition.reads().time && trial.condition.reads().trades);
}

#[test]
fn outages_and_ages_are_read() {
    let text = "stale(trades) and not gap(quotes) and age(quotes) > 1500ms and gaps > 2 and delay < 1s";
    let values = [
        ("stale(trades)", "1"),
        ("gap(quotes)", "0"),
        ("age(quotes)", "1500000001"),
        ("gaps", "3"),
        ("delay", "999999999"),
    ];
    assert_eq!(judged(text, &values), YES);
    let reads = Trial::new(text).condition.reads().clone();
    assert!(reads.outages && reads.time && reads.trades && reads.quotes && !reads.is_closed());
}

#[test]
fn a_condition_on_final_windows_is_closed() {
    let closed = Trial::new("volume[1m, -1] > 3 * mean(volume[1m], 5) and close[1s, -1] > 0");
    let reads = closed.condition.reads();
    assert!(reads.is_closed() && !reads.is_cross());
    assert_eq!(reads.windows, [0, 1]);
    assert_eq!(closed.stage.inputs.series[0].keep, 5);
    let live = Trial::new("volume[1m] > 3");
    assert!(!live.condition.reads().is_closed() && live.condition.reads().trades);
    let quotes = Trial::new("quotes[1m] > 3").condition;
    assert!(quotes.reads().quotes && !quotes.reads().trades);
    let cross = Trial::new("\"a:X\".close[1s, -1] > mean(\"b:Y\".close[1s], 3)").condition;
    assert!(cross.reads().is_cross() && cross.reads().is_closed());
    assert_eq!(cross.reads().symbols.iter().map(|s| s.as_str()).collect::<Vec<_>>(), ["a:X", "b:Y"]);
}

#[test]
fn every_function_has_a_test_here() {
    let tests = include_str!("functions.rs");
    for function in FUNCTIONS {
        assert!(tests.contains(&format!("{}(", function.name)), "{}", function.name);
        assert!(function.signature.starts_with(function.name));
    }
}
