//! Silences and inhibitions: who keeps whom quiet, whatever the order of rules and symbols.

use std::collections::BTreeMap;

use feeds::number::Decimal;
use feeds::symbol::{Symbol, SymbolId};
use feeds::tick::{Event, Side, Tick, Trade};
use feeds::time::Nanos;
use feeds::venue::DuplicateKey;

use super::Alert;
use super::dispatch::{Dispatch, take};
use super::judge::Judged;
use super::rulebook::Books;
use crate::config::{Cut, WindowSpec};
use crate::symbol::{Entry, Outcomes, Strike, SymbolState};
use crate::window::{Plan, Window};

const MS: Nanos = 1_000_000;

/// Symbols under rules, and what is decided about their alerts.
struct Deck {
    plan: Plan,
    states: BTreeMap<Symbol, SymbolState>,
    dispatch: Dispatch,
    number: u64,
    log: Vec<Alert>,
}

impl Deck {
    /// Under these rules, with symbols of these names.
    fn new(rules: &str, symbols: &[&str]) -> Deck {
        let name = "1s".to_owned();
        let spec = WindowSpec { name, kind: Cut::Tumbling, size: 1_000 * MS, stats: vec!["close", "volume"] };
        let windows: Vec<Window> = vec![spec.planned()];
        let mut plan = Plan::new(windows.clone());
        (plan.lateness, plan.idle) = (0, 10_000 * MS);
        plan.books = Books::new(vec![spec], windows);
        plan.books.put(1, rules).unwrap();
        let state = |name: &&str| {
            let symbol = Symbol::parse(name).unwrap();
            let state = SymbolState::new(&plan, DuplicateKey::None, DuplicateKey::None);
            (symbol.clone(), state.ruled(&symbol, plan.books.get(1)))
        };
        let states = symbols.iter().map(state).collect();
        let dispatch = Dispatch::new(plan.books.get(1), plan.idle);
        Deck { plan, states, dispatch, number: 0, log: Vec::new() }
    }

    /// An entry of these symbols.
    fn apply(&mut self, symbols: &[Symbol], entry: &Entry) {
        self.number += 1;
        let judged: Vec<Judged> = symbols.iter().map(|symbol| self.judged(symbol, entry)).collect();
        let said = symbols.iter().map(Symbol::as_str).zip(judged).collect();
        self.log.extend(take(&mut self.dispatch, said, &[], &self.plan.books));
    }

    fn judged(&mut self, symbol: &Symbol, entry: &Entry) -> Judged {
        let mut out = Outcomes::default();
        self.states.get_mut(symbol).unwrap().apply(&self.plan, self.number, entry, &mut out);
        out.judged
    }

    /// A trade of `size` at so many milliseconds, which came in 7 ns later.
    fn trade(&mut self, symbol: &str, ms: Nanos, size: i64) {
        let trade = Trade::new(None, Decimal::new(100, 0), Decimal::new(size, 0), Side::Buy);
        let tick = Tick::new(SymbolId(0), ms * MS, Some(ms * MS + 7), Event::Trade(trade));
        self.apply(&[Symbol::parse(symbol).unwrap()], &Entry::Tick(tick));
    }

    fn clock(&mut self, ms: Nanos) {
        let symbols: Vec<Symbol> = self.states.keys().cloned().collect();
        let strike = Strike { frontier: ms * MS, received_at: Some(ms * MS + 7) };
        self.apply(&symbols, &Entry::Clock(strike));
    }

    /// What was told since the last time, in the order of the log: rule, symbol, state, milliseconds, why not.
    fn told(&mut self) -> Vec<String> {
        let row = |it: Alert| {
            let why = it.suppressed.map(|why| format!(" {why}")).unwrap_or_default();
            format!("{} {} {} {}{why}", it.rule, it.symbol, it.state.name(), it.event_time / MS)
        };
        self.log.drain(..).map(row).collect()
    }
}

/// A rule, with further lines of its table.
fn rule(name: &str, when: &str, more: &str) -> String {
    format!("[[rules]]\nname = '{name}'\nwhen = '''{when}'''\n{more}\n")
}

fn inhibition(source: &str, target: &str, equal: &str) -> String {
    format!("[[inhibitions]]\nsource = {{ {source} }}\ntarget = {{ {target} }}\nequal = [{equal}]\n")
}

#[test]
fn a_source_keeps_targets_of_its_entry_quiet_whatever_the_order_of_the_rules() {
    let (source, target) = (rule("source", "size > 5", ""), rule("target", "size > 5", ""));
    let by = inhibition("rules = ['source']", "rules = ['target']", "'symbol'");
    for (rules, is_source_first) in [([&source, &target], true), ([&target, &source], false)] {
        let mut deck = Deck::new(&format!("{}{}{by}", rules[0], rules[1]), &["a:B"]);
        for beginning in [0, 1_000] {
            deck.trade("a:B", beginning, 9);
            deck.trade("a:B", beginning + 1, 1);
            let mut expected = Vec::new();
            for (state, at) in [("firing", beginning), ("resolved", beginning + 1)] {
                expected.push(format!("source a:B {state} {at}"));
                expected.push(format!("target a:B {state} {at} inhibited:source"));
                let rows = expected.len();
                if !is_source_first {
                    expected.swap(rows - 2, rows - 1);
                }
            }
            assert_eq!(deck.told(), expected);
        }
    }
}

#[test]
fn a_source_of_another_symbol_or_of_several_keeps_targets_of_its_entry_quiet() {
    // The clock makes all of it final at once; symbols are judged in the order of their names.
    for (source, target) in [("a:B", "b:B"), ("b:B", "a:B")] {
        let rules = rule("down", "volume[1s, -1] > 5", "") + &rule("up", "volume[1s, -1] > 5", "");
        let by = inhibition(
            &format!("rules = ['down'], symbols = ['{source}']"),
            &format!("rules = ['up'], symbols = ['{target}']"),
            "",
        );
        let mut deck = Deck::new(&(rules + &by), &["a:B", "b:B"]);
        deck.trade(source, 100, 9);
        deck.trade(target, 100, 9);
        deck.clock(1_000);
        let told = deck.told();
        assert_eq!(told.len(), 4, "{told:?}");
        for row in told {
            let expected = row.starts_with(&format!("up {target}"));
            assert_eq!(row.ends_with(" inhibited:down"), expected, "{row}");
        }
    }
    let both = rule("both", r#""a:B".volume[1s, -1] > 5 and "b:B".volume[1s, -1] > 5"#, "");
    let rules = rule("one", "volume[1s, -1] > 5", "") + &both;
    let mut deck =
        Deck::new(&(rules + &inhibition("rules = ['both']", "rules = ['one']", "")), &["a:B", "b:B"]);
    deck.trade("a:B", 100, 9);
    deck.trade("b:B", 100, 9);
    deck.clock(1_000);
    let expected = [
        "one a:B firing 1000 inhibited:both",
        "one b:B firing 1000 inhibited:both",
        "both a:B|b:B firing 1000",
    ];
    assert_eq!(deck.told(), expected);
}

#[test]
fn who_fires_before_its_source_is_told() {
    let rules = rule("source", "size > 5", "") + &rule("target", "size > 3", "");
    let by = inhibition("rules = ['source']", "rules = ['target']", "'symbol'");
    let mut deck = Deck::new(&(rules + &by), &["a:B"]);
    deck.trade("a:B", 0, 4);
    deck.trade("a:B", 1, 9);
    deck.trade("a:B", 2, 1);
    let expected =
        ["target a:B firing 0", "source a:B firing 1", "source a:B resolved 2", "target a:B resolved 2"];
    assert_eq!(deck.told(), expected);
}

/// As Alertmanager has it: otherwise nobody were told of either.
#[test]
fn those_that_are_source_and_target_do_not_keep_each_other_quiet() {
    let rules = rule("one", "size > 5", "") + &rule("other", "size > 5", "") + &rule("third", "size > 7", "");
    let by = inhibition("rules = ['o*']", "rules = ['*']", "'symbol'");
    let mut deck = Deck::new(&(rules + &by), &["a:B"]);
    deck.trade("a:B", 0, 9);
    let told = deck.told();
    assert_eq!(told[..2], ["one a:B firing 0", "other a:B firing 0"]);
    assert!(told[2].starts_with("third a:B firing 0 inhibited:o"), "{told:?}");
}

#[test]
fn what_is_critical_keeps_warnings_of_its_symbol_and_desk_quiet() {
    let at = |name: &str, more: &str| rule(name, "size > 5", more);
    let rules = at("grave", "severity = 'critical'\nlabels = { desk = 'one' }")
        + &at("same", "labels = { desk = 'one' }")
        + &at("other", "labels = { desk = 'two' }")
        + &at("small", "severity = 'info'\nlabels = { desk = 'one' }");
    let (source, target) = ("severity = 'critical'", "severity = ['warning']");
    let mut deck =
        Deck::new(&(rules + &inhibition(source, target, "'symbol', 'label.desk'")), &["a:B", "a:C"]);
    deck.trade("a:B", 0, 9);
    let expected = [
        "grave a:B firing 0",
        "same a:B firing 0 inhibited:grave",
        "other a:B firing 0",
        "small a:B firing 0",
    ];
    assert_eq!(deck.told(), expected);
}

/// What was kept before severities and labels were: they are the rule's.
#[test]
fn older_bytes_are_read() {
    let rules = rule("grave", "size > 5", "severity = 'critical'\nlabels = { desk = 'one' }");
    let mut deck = Deck::new(&rules, &["a:B"]);
    deck.trade("a:B", 0, 9);
    let mut bytes = Vec::new();
    deck.dispatch.encode(&mut bytes);
    let labels = b"\x01\x04desk\x03one";
    let at = bytes.windows(labels.len()).position(|window| window == labels).unwrap();
    assert_eq!((bytes[0], bytes[at - 1]), (3, 2));
    for version in [1, 2] {
        let old = [&[version], &bytes[1..at - 1], &bytes[at + labels.len()..]].concat();
        let read = Dispatch::decode(&deck.plan.books, deck.plan.idle, &old).unwrap();
        let mut again = Vec::new();
        read.encode(&mut again);
        assert_eq!(again, bytes, "version {version}");
    }
    assert!(Dispatch::decode(&deck.plan.books, deck.plan.idle, &[&[9], &bytes[1..]].concat()).is_err());
}
