//! Symbols with rules: when they fire, in whose time, and that nothing depends on where the work is cut.

use feeds::number::Decimal;
use feeds::symbol::{Symbol, SymbolId};
use feeds::tick::{Event, Quote, Side, Tick, Trade};
use feeds::time::{Nanos, SECOND};
use feeds::venue::DuplicateKey;
use proptest::prelude::*;

use super::rulebook::Books;
use super::{Alert, State};
use crate::config::{Cut, WindowSpec};
use crate::stat::{View, by_name};
use crate::symbol::tests::clock;
use crate::symbol::tests::snapshot::apply;
use crate::symbol::{Entry, Outcomes, SymbolState};
use crate::window::tests::made::steps;
use crate::window::{Plan, Window};

fn specs() -> Vec<WindowSpec> {
    let window = |name: &str, size, stats: &[&'static str]| WindowSpec {
        name: name.to_owned(),
        kind: Cut::Tumbling,
        size: size * SECOND,
        stats: stats.to_vec(),
    };
    vec![
        window("1s", 1, &["close", "volume", "trades", "vwap"]),
        window("5s", 5, &["volume", "trades"]),
        window("q", 2, &["quotes", "mid_close"]),
    ]
}

/// A rule, with further lines of its table.
fn rule(name: &str, when: &str, more: &str) -> String {
    format!("[[rules]]\nname = '{name}'\nwhen = '{when}'\n{more}\n")
}

/// A plan with a book of these rules, and a symbol that they rule.
fn ruled(rules: &[String], lateness: Nanos) -> (Plan, SymbolState) {
    let windows: Vec<Window> = specs().iter().map(WindowSpec::planned).collect();
    let mut plan = Plan::new(windows.clone());
    plan.lateness = lateness;
    plan.books = Books::new(specs(), windows);
    plan.books.put(1, &rules.concat()).unwrap();
    let state = SymbolState::new(&plan, DuplicateKey::None, DuplicateKey::None);
    let state = state.ruled(&Symbol::parse("here:ABC").unwrap(), plan.books.get(1));
    (plan, state)
}

struct Run {
    plan: Plan,
    state: SymbolState,
    number: u64,
    out: Outcomes,
}

impl Run {
    fn new(rules: &[String]) -> Run {
        let (plan, state) = ruled(rules, 2 * SECOND);
        Run { plan, state, number: 0, out: Outcomes::default() }
    }

    fn apply(&mut self, entry: Entry) {
        self.number += 1;
        self.state.apply(&self.plan, self.number, &entry, &mut self.out);
    }

    /// A trade of `size` at so many milliseconds.
    fn trade(&mut self, ms: Nanos, size: i64) {
        self.trade_at(ms, 100, size);
    }

    fn trade_at(&mut self, ms: Nanos, price: i64, size: i64) {
        let trade = Trade::new(None, Decimal::new(price, 0), Decimal::new(size, 0), Side::Buy);
        let ts = ms * 1_000_000;
        self.apply(Entry::Tick(Tick::new(SymbolId(0), ts, Some(ts + 7), Event::Trade(trade))));
    }

    fn quote(&mut self, ms: Nanos, bid: i64, ask: i64) {
        let of = |value| Decimal::new(value, 0);
        let quote = Quote::new(None, of(bid), of(1), of(ask), of(1));
        let ts = ms * 1_000_000;
        self.apply(Entry::Tick(Tick::new(SymbolId(0), ts, Some(ts + 7), Event::Quote(quote))));
    }

    /// What was told since the last time: rule, state, milliseconds.
    fn told(&mut self) -> Vec<(String, &'static str, Nanos)> {
        let alerts = std::mem::take(&mut self.out.judged.alerts);
        alerts.iter().map(|it| (it.rule.clone(), it.state.name(), it.event_time / 1_000_000)).collect()
    }
}

fn row(rule: &str, state: &'static str, ms: Nanos) -> (String, &'static str, Nanos) {
    (rule.to_owned(), state, ms)
}

#[test]
fn final_windows_are_judged_once_each_when_the_watermark_passes_them() {
    let mut run = Run::new(&[rule("big", "volume[1s, -1] > 10", "")]);
    run.trade(500, 20);
    run.trade(1_500, 1);
    // Emitted, but not final: a late tick may still change it.
    run.trade(2_900, 1);
    assert_eq!(run.told(), []);
    run.trade(3_000, 1);
    assert_eq!(run.told(), [row("big", "firing", 1_000)]);
    run.trade(4_100, 50);
    assert_eq!(run.told(), [row("big", "resolved", 2_000)]);
    run.apply(Entry::End);
    assert_eq!(run.told(), [row("big", "firing", 5_000)]);
}

#[test]
fn live_values_are_judged_at_each_tick() {
    let mut run = Run::new(&[rule("now", "volume[1s] > 10", "")]);
    run.trade(500, 6);
    run.trade(600, 6);
    assert_eq!(run.told(), [row("now", "firing", 600)]);
    run.trade(1_200, 1);
    assert_eq!(run.told(), [row("now", "resolved", 1_200)]);
    // A quote changes nothing of it, and is not asked.
    run.quote(1_300, 99, 101);
    assert_eq!(run.told(), []);
}

#[test]
fn a_deadline_fires_before_what_comes_behind_it() {
    let mut run = Run::new(&[rule("held", "price > 50", "for = '2s'")]);
    run.trade(1_000, 1);
    assert_eq!(run.told(), [row("held", "pending", 1_000)]);
    run.apply(clock(2_500 * 1_000_000));
    assert_eq!(run.told(), []);
    run.apply(clock(9_000 * 1_000_000));
    assert_eq!(run.told(), [row("held", "firing", 3_000)]);
}

#[test]
fn absence_fires_at_its_deadline() {
    let mut run = Run::new(&[rule("quiet", "size > 10 then not size < 2 for 3s", "")]);
    run.trade(1_000, 20);
    run.trade(2_000, 5);
    assert_eq!(run.told(), []);
    run.trade(8_000, 5);
    assert_eq!(run.told(), [row("quiet", "firing", 4_000)]);
    run.trade(8_500, 1);
    assert_eq!(run.told(), [row("quiet", "resolved", 8_500)]);
}

#[test]
fn crossed_quotes_fire_and_resolve() {
    let mut run = Run::new(&[rule("crossed", "crossed()", "")]);
    run.quote(100, 99, 101);
    run.quote(200, 102, 101);
    run.quote(300, 99, 101);
    assert_eq!(run.told(), [row("crossed", "firing", 200), row("crossed", "resolved", 300)]);
}

/// The windows that an alert names: name, seconds of the first and the last, how many.
fn windows_of(alert: &Alert) -> Vec<String> {
    let seconds = |at: Nanos| at / SECOND;
    let told = alert.windows.iter().map(|it| {
        let revision = if it.revision.is_some() { "" } else { " open" };
        format!("{} {}..{} x{}{revision}", it.window, seconds(it.start), seconds(it.last), it.count)
    });
    told.collect()
}

fn values_of(alert: &Alert) -> Vec<(&str, &str)> {
    alert.values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[test]
fn an_alert_names_all_windows_that_were_read() {
    let when = "abs(change(close[1s, -1])) > 2 and close[1s, -3] > 0";
    let mut run = Run::new(&[rule("moved", when, "until = \"max(close[1s, -1], 2) < 90\"")]);
    // No trade in the second from 3 s on: that window is not there.
    for (ms, price) in [(500, 100), (1_500, 101), (2_500, 101), (4_500, 105), (8_000, 105)] {
        run.trade_at(ms, price, 1);
    }
    let alert = run.out.judged.alerts.first().cloned().unwrap();
    assert_eq!((alert.state, alert.event_time), (State::Firing, 5 * SECOND));
    assert_eq!(
        values_of(&alert),
        [
            ("close[1s, -1]", "105"),
            ("change(close[1s, -1])", "4"),
            ("abs(change(close[1s, -1]))", "4"),
            ("close[1s, -3]", "101"),
            ("max(close[1s, -1], 2)", "101"),
        ]
    );
    assert_eq!(windows_of(&alert), ["1s 4..4 x1", "1s 2..2 x1", "1s 1..2 x2", "1s 1..1 x1"]);
}

/// A live rule compares final windows as they were when it was judged last, and open ones as well.
#[test]
fn a_live_alert_names_the_windows_of_the_judgement_before() {
    let mut run = Run::new(&[rule("grew", "change(volume[1s, -1]) > 5 or change(volume[1s]) > 50", "")]);
    for (ms, size) in [(500, 1), (1_500, 10), (2_500, 1), (3_100, 1), (4_500, 1), (4_800, 1), (5_200, 90)] {
        run.trade(ms, size);
    }
    let alerts = std::mem::take(&mut run.out.judged.alerts);
    let fired: Vec<&Alert> = alerts.iter().filter(|alert| alert.state == State::Firing).collect();
    // What ends at 2 s is final from 4 s on; before that the first second was the newest.
    assert_eq!(values_of(fired[0])[..2], [("volume[1s, -1]", "10"), ("change(volume[1s, -1])", "9")]);
    assert_eq!(windows_of(fired[0]), ["1s 1..1 x1", "1s 0..0 x1", "1s 4..4 x1 open", "1s 3..3 x1 open"]);
    assert_eq!(values_of(fired[1])[3], ("change(volume[1s])", "88"));
    assert_eq!(windows_of(fired[1]), ["1s 2..2 x1", "1s 1..1 x1", "1s 5..5 x1 open", "1s 4..4 x1 open"]);
}

#[test]
fn an_alert_says_what_it_saw() {
    let more = "message = '{symbol} had {volume[1s, -1]}'\nlabels = { desk = 'one' }";
    let mut run = Run::new(&[rule("big", "volume[1s, -1] > 2 * mean(volume[1s, -1], 2)", more)]);
    for (ms, size) in [(500, 1), (1_500, 2), (2_500, 9), (6_500, 1)] {
        run.trade(ms, size);
    }
    let alert = run.out.judged.alerts.first().cloned().unwrap();
    assert_eq!((alert.state, alert.event_time), (State::Firing, 3 * SECOND));
    assert_eq!(alert.message, "here:ABC had 9");
    assert_eq!(values_of(&alert), [("volume[1s, -1]", "9"), ("mean(volume[1s, -1], 2)", "1.5")]);
    assert_eq!(windows_of(&alert), ["1s 2..2 x1", "1s 0..1 x2"]);
    assert_eq!((alert.fired_at, alert.number), (Some(6_500 * 1_000_000 + 7), 4));
    assert_eq!(alert.labels, [("desk".to_owned(), "one".to_owned())]);
}

/// Rules of every kind.
fn many() -> Vec<String> {
    let rules = [
        ("volume[1s] > 20", "for = '1s'"),
        ("volume[1s, -1] > 2 * mean(volume[1s, -1], 3)", "cooldown = '5s'"),
        ("zscore(trades[5s], 4) > 1", "until = 'trades[5s] < 2'"),
        ("price > 20 and size > 2 or bid > 30", "once_per_window = '5s'"),
        ("crossed() or locked()", ""),
        ("change(close[1s, -1]) > 0 then change(close[1s, -1]) < 0 within 10s", ""),
        ("not size > 30 for 3s", ""),
        ("2 of size > 20 within 4s", ""),
        ("age(quotes) > 2s", ""),
        ("gap(trades) or stale(quotes)", ""),
        ("crosses_above(price, vwap[1s, -1])", ""),
        ("cusum(close[1s, -1], 3, 0.5) > 2", ""),
        ("since(price > 30) > 2s", ""),
        ("delay > 1s", ""),
        ("mid_close[q, -1] > mid_close[q, -2]", ""),
        ("change(mean(volume[1s, -1], 3)) > 0 or change(trades[5s, -2]) > 0", ""),
        ("change(volume[1s]) > 0 and crosses_above(mean(volume[1s], 4), volume[5s, -1])", ""),
        ("price > 20", "once_per_close = '5s'"),
        ("quotes[q, -1] > 1 and price > 10", "once_per_close = 'q'"),
        (
            "change(close[1s, -1]) > 0",
            "for = '1s'\nmessage = '{close[1s, -1]} and now {price}, {volume[1s]}'",
        ),
    ];
    let named = rules.iter().enumerate().map(|(at, (when, more))| rule(&format!("r{at}"), when, more));
    named.collect()
}

fn bytes_of(state: &SymbolState) -> Vec<u8> {
    let mut bytes = Vec::new();
    state.encode(&mut bytes);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_symbol_read_back_is_judged_alike(
        steps in steps(120),
        lateness in prop_oneof![Just(0), Just(2 * SECOND), Just(20 * SECOND)],
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 1..6),
    ) {
        let (plan, mut whole) = ruled(&many(), lateness);
        let mut cut = whole.clone();
        let (mut one, mut other) = (Outcomes::default(), Outcomes::default());
        for (number, step) in (1..).zip(&steps) {
            apply(&mut whole, &plan, number, step, &mut one);
            apply(&mut cut, &plan, number, step, &mut other);
            if cuts.iter().any(|at| at.index(steps.len()) as u64 + 1 == number) {
                cut = SymbolState::decode(&plan, &bytes_of(&cut)).unwrap();
                cut = cut.named(&Symbol::parse("here:ABC").unwrap());
                prop_assert_eq!(&cut, &whole);
            }
        }
        prop_assert_eq!(one, other);
    }

    /// What a rule says, sees and shows is its own: it does not depend on which others are judged beside it.
    #[test]
    fn a_rule_alone_says_what_it_says_among_others(
        steps in steps(120),
        lateness in prop_oneof![Just(0), Just(2 * SECOND), Just(20 * SECOND)],
    ) {
        let told = |rules: &[String]| {
            let (plan, mut state) = ruled(rules, lateness);
            let mut out = Outcomes::default();
            for (number, step) in (1..).zip(&steps) {
                apply(&mut state, &plan, number, step, &mut out);
            }
            out.judged.alerts
        };
        let all = told(&many());
        for (place, rule) in many().into_iter().enumerate() {
            let name = format!("r{place}");
            let among: Vec<Alert> = all.iter().filter(|alert| alert.rule == name).cloned().collect();
            prop_assert_eq!(told(&[rule]), among);
        }
    }

    /// Rules over final windows against a model that sees all windows at the end, each as it was emitted last.
    #[test]
    fn final_windows_are_judged_as_they_are_stored(
        steps in steps(150),
        lateness in prop_oneof![Just(0), Just(2 * SECOND), Just(20 * SECOND)],
    ) {
        let (plan, mut state) = ruled(&[rule("up", "volume[1s, -1] > volume[1s, -2]", "")], lateness);
        // Ends before the last would judge windows that go on.
        let last = steps.len() as u64;
        let mut out = Outcomes::default();
        for (number, step) in (1..=last).zip(&steps) {
            if number == last || !matches!(step, crate::window::tests::made::Step::End) {
                apply(&mut state, &plan, number, step, &mut out);
            }
        }
        let mut kept = std::collections::BTreeMap::new();
        for emission in out.windows.iter().filter(|emission| emission.window == 0) {
            let view = View { pane: &emission.pane, carried: None, start: emission.start, end: emission.until };
            let volume = (by_name("volume").unwrap().value)(&view).map(|value| value.to_string());
            kept.insert(emission.start, volume.map_or(0.0, |text| text.parse::<f64>().unwrap()));
        }
        let kept: Vec<(Nanos, f64)> = kept.into_iter().collect();
        let mut expected = Vec::new();
        let mut firing = false;
        for pair in kept.windows(2) {
            let holds = pair[1].1 > pair[0].1;
            if holds != firing {
                let state = if holds { State::Firing } else { State::Resolved };
                expected.push((state, pair[1].0 + SECOND));
                firing = holds;
            }
        }
        let told: Vec<(State, Nanos)> =
            out.judged.alerts.iter().map(|alert: &Alert| (alert.state, alert.event_time)).collect();
        prop_assert_eq!(told, expected);
    }
}

#[test]
fn time_goes_on_with_the_ticks_of_another_channel() {
    let mut run = Run::new(&[rule("old", "age(trades) > 1s", "")]);
    run.trade(1_000, 1);
    for ms in [1_500, 2_000, 2_500] {
        run.quote(ms, 99, 101);
    }
    assert_eq!(run.told(), [row("old", "firing", 2_500)]);
}

/// What a rule has computed of its windows is not taken for that of others when the book changes.
#[test]
fn an_average_is_that_of_now_whatever_the_book_was() {
    let rule_of = |name: &str| rule(name, "volume[1s, -1] > 3 * mean(volume[1s, -1], 2)", "");
    let mut run = Run::new(&[rule("other", "volume[5s, -1] > 1_000_000", ""), rule_of("stays")]);
    for second in 0..6 {
        run.trade(second * 1_000 + 500, 10);
    }
    run.plan.books.put(2, &rule_of("stays")).unwrap();
    run.apply(Entry::Rules(2));
    for second in 6..20 {
        run.trade(second * 1_000 + 500, 1);
    }
    assert_eq!(run.told(), []);
    run.trade(20_500, 4);
    run.trade(23_500, 1);
    assert_eq!(run.told(), [row("stays", "firing", 21_000)]);
}

#[test]
fn rules_that_stay_go_on_and_those_that_go_are_resolved() {
    let stays = rule("stays", "price > 50", "");
    let mut run = Run::new(&[stays.clone(), rule("goes", "size > 1", "")]);
    run.trade(1_000, 2);
    assert_eq!(run.told(), [row("stays", "firing", 1_000), row("goes", "firing", 1_000)]);
    run.plan.books.put(2, &(rule("new", "volume[1s] > 3", "") + &stays)).unwrap();
    run.apply(Entry::Rules(2));
    assert_eq!(run.told(), [row("goes", "resolved", 1_000)]);
    run.trade(1_100, 2);
    assert_eq!(run.told(), [row("new", "firing", 1_100)]);
}

/// Rules over several symbols hear of ends only, so that it does not matter who is told an end again because it went on
/// from a snapshot: a deadline between two ends is passed with the later one.
#[test]
fn rules_over_several_symbols_are_told_ends_and_after_a_snapshot_no_more_than_before() {
    let pair = rule("pair", "\"here:ABC\".trades[1s, -1] > 0 and \"here:XYZ\".trades[1s, -1] > 0", "");
    let mut run = Run::new(&[pair]);
    let ends = |run: &mut Run| -> Vec<Nanos> {
        let told = std::mem::take(&mut run.out.judged.watermarks);
        told.into_iter().map(|(_, _, end)| end / 1_000_000).collect()
    };
    for ms in [100, 900, 3_200, 3_600] {
        run.trade(ms, 1);
    }
    assert_eq!(ends(&mut run).last(), Some(&1_000), "the watermark is at 1,600");
    let state = SymbolState::decode(&run.plan, &bytes_of(&run.state)).unwrap();
    run.state = state.named(&Symbol::parse("here:ABC").unwrap());
    run.trade(3_700, 1);
    assert!(ends(&mut run).iter().all(|end| *end == 1_000));
    run.trade(4_100, 1);
    assert_eq!(ends(&mut run).last(), Some(&2_000));
}
