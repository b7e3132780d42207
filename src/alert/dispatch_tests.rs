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
use crate::codec::Put;
use crate::config::{Cut, WindowSpec};
use crate::symbol::{Entry, Outcomes, Strike, SymbolState};
use crate::window::{Plan, Window};

const MS: Nanos = 1_000_000;
/// 2026-01-01, from which times are told.
const START: Nanos = 1_767_225_600_000 * MS;

/// Symbols under rules, and what is decided about their alerts.
struct Deck {
    plan: Plan,
    states: BTreeMap<Symbol, SymbolState>,
    dispatch: Dispatch,
    number: u64,
    log: Vec<Alert>,
    /// It is read back from its bytes before each entry.
    is_restored: bool,
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
        Deck { plan, states, dispatch, number: 0, log: Vec::new(), is_restored: false }
    }

    /// An entry of these symbols.
    fn apply(&mut self, symbols: &[Symbol], entry: &Entry) {
        if self.is_restored {
            self.restore();
        }
        self.number += 1;
        let judged: Vec<Judged> = symbols.iter().map(|symbol| self.judged(symbol, entry)).collect();
        let said = symbols.iter().map(Symbol::as_str).zip(judged).collect();
        let changes = match entry {
            Entry::Rules(number) => vec![(self.number, *number, String::new())],
            _ => Vec::new(),
        };
        self.log.extend(take(&mut self.dispatch, said, &changes, &self.plan.books));
    }

    /// Reads it back from its bytes.
    fn restore(&mut self) {
        for (symbol, state) in &mut self.states {
            let mut bytes = Vec::new();
            state.encode(&mut bytes);
            *state = SymbolState::decode(&self.plan, &bytes).unwrap().named(symbol);
        }
        let mut bytes = Vec::new();
        self.dispatch.encode(&mut bytes);
        self.dispatch = Dispatch::decode(&self.plan.books, self.plan.idle, &bytes).unwrap();
    }

    /// Other rules are in force.
    fn rules(&mut self, rules: &str) {
        self.plan.books.put(2, rules).unwrap();
        let symbols: Vec<Symbol> = self.states.keys().cloned().collect();
        self.apply(&symbols, &Entry::Rules(2));
    }

    fn judged(&mut self, symbol: &Symbol, entry: &Entry) -> Judged {
        let mut out = Outcomes::default();
        self.states.get_mut(symbol).unwrap().apply(&self.plan, self.number, entry, &mut out);
        out.judged
    }

    /// A trade of `size` at so many milliseconds, which came in 7 ns later.
    fn trade(&mut self, symbol: &str, ms: Nanos, size: i64) {
        let trade = Trade::new(None, Decimal::new(100, 0), Decimal::new(size, 0), Side::Buy);
        let at = START + ms * MS;
        let tick = Tick::new(SymbolId(0), at, Some(at + 7), Event::Trade(trade));
        self.apply(&[Symbol::parse(symbol).unwrap()], &Entry::Tick(tick));
    }

    fn clock(&mut self, ms: Nanos) {
        let symbols: Vec<Symbol> = self.states.keys().cloned().collect();
        let strike = Strike { frontier: START + ms * MS, received_at: Some(START + ms * MS + 7) };
        self.apply(&symbols, &Entry::Clock(strike));
    }

    /// What was told since the last time, in the order of the log: rule, symbol, state, milliseconds, why not.
    fn told(&mut self) -> Vec<String> {
        let row = |it: Alert| {
            let why = it.suppressed.map(|why| format!(" {why}")).unwrap_or_default();
            format!("{} {} {} {}{why}", it.rule, it.symbol, it.state.name(), (it.event_time - START) / MS)
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

/// Plays the same to a deck and to one that is read back before each entry.
fn play(rules: &str, symbols: &[&str], play: impl Fn(&mut Deck)) -> (Vec<String>, Vec<Alert>) {
    let mut told = Vec::new();
    for is_restored in [false, true] {
        let mut deck = Deck { is_restored, ..Deck::new(rules, symbols) };
        play(&mut deck);
        told.push((deck.log.clone(), deck.told()));
    }
    let (restored, whole) = (told.pop().unwrap(), told.pop().unwrap());
    assert_eq!(restored.1, whole.1);
    assert!(restored.0 == whole.0);
    (whole.1, whole.0)
}

fn silence(name: &str, rules: &str, from: &str, until: &str) -> String {
    let at = |time: &str| format!("2026-01-01T00:00:{time}Z");
    let (from, until) = (at(from), at(until));
    format!("[[silences]]\nname = '{name}'\nrules = [{rules}]\nfrom = '{from}'\nuntil = '{until}'\n")
}

#[test]
fn what_still_fires_when_its_silence_ends_is_told_then() {
    let rules = rule("hot", "size > 5", "message = '{symbol} {size}'") + &silence("s", "'hot'", "00", "01");
    let (told, log) = play(&rules, &["a:B"], |deck| {
        for (ms, size) in [(0, 9), (999, 8), (1_500, 7), (1_600, 6), (1_700, 1)] {
            deck.trade("a:B", ms, size);
        }
    });
    let expected = ["hot a:B firing 0 silence:s", "hot a:B firing 1000", "hot a:B resolved 1700"];
    assert_eq!(told, expected);
    // As it was when it fired, at the first entry behind the end.
    assert_eq!((log[1].id, &log[1].message, &log[1].values), (log[0].id, &log[0].message, &log[0].values));
    assert_eq!((log[1].number, log[1].fired_at), (3, Some(START + 1_500 * MS + 7)));
    // The entry that resolves it is behind the end, too.
    let (told, _) = play(&rules, &["a:B"], |deck| {
        deck.trade("a:B", 0, 9);
        deck.trade("a:B", 1_000, 1);
    });
    assert_eq!(told, ["hot a:B firing 0 silence:s", "hot a:B firing 1000", "hot a:B resolved 1000"]);
    // Who was told already is not told again.
    let late = rule("hot", "size > 5", "") + &silence("s", "'hot'", "01", "02");
    let (told, _) = play(&late, &["a:B"], |deck| {
        deck.trade("a:B", 0, 9);
        deck.trade("a:B", 3_000, 9);
    });
    assert_eq!(told, ["hot a:B firing 0"]);
}

#[test]
fn what_something_else_keeps_quiet_is_not_told_when_a_silence_ends() {
    let rules = rule("hot", "size > 5", "")
        + &rule("hotter", "size > 7", "")
        + &silence("one", "'hot'", "00", "01")
        + &silence("two", "'hot'", "00", "02")
        + &inhibition("rules = ['hotter']", "rules = ['hot']", "'symbol'");
    let (told, _) = play(&rules, &["a:B"], |deck| {
        for (ms, size) in [(0, 9), (1_500, 9), (2_500, 9), (2_700, 7), (2_900, 1)] {
            deck.trade("a:B", ms, size);
        }
    });
    let expected = [
        "hot a:B firing 0 silence:one",
        "hotter a:B firing 0",
        "hotter a:B resolved 2700",
        "hot a:B firing 2700",
        "hot a:B resolved 2900",
    ];
    assert_eq!(told, expected);
}

#[test]
fn what_still_fires_when_its_last_source_ends_is_told_then() {
    let rules = rule("other", "size > 8", "")
        + &rule("source", "size > 7", "")
        + &rule("target", "size > 5", "")
        + &inhibition("rules = ['source', 'other']", "rules = ['target']", "'venue'");
    let (told, log) = play(&rules, &["a:B", "a:C"], |deck| {
        deck.trade("a:C", 0, 9);
        deck.trade("a:B", 5, 6);
        deck.trade("a:C", 10, 8);
        deck.trade("a:C", 20, 1);
        deck.trade("a:B", 30, 1);
    });
    let expected = [
        "other a:C firing 0",
        "source a:C firing 0",
        "target a:C firing 0 inhibited:source",
        "target a:B firing 5 inhibited:source",
        "other a:C resolved 10",
        "source a:C resolved 20",
        "target a:C resolved 20 inhibited:source",
        "target a:B firing 20",
        "target a:B resolved 30",
    ];
    let named: Vec<String> =
        told.iter().map(|row| row.replace("inhibited:other", "inhibited:source")).collect();
    assert_eq!(named, expected);
    assert_eq!((log[7].number, log[7].fired_at), (4, Some(START + 20 * MS + 7)));
}

/// In the time of the final windows, and in the one order of several symbols.
#[test]
fn the_end_of_a_silence_is_told_of_final_windows_and_of_several_symbols() {
    let when = r#""a:B".volume[1s, -1] > 5 and "b:B".volume[1s, -1] > 5"#;
    let rules = rule("both", when, "")
        + &rule("one", "volume[1s, -1] > 5", "")
        + &silence("s", "'both', 'one'", "00", "03");
    let (told, _) = play(&rules, &["a:B", "b:B"], |deck| {
        for second in 0..5 {
            deck.trade("a:B", second * 1_000 + 100, 9);
            deck.trade("b:B", second * 1_000 + 100, 9);
        }
        deck.clock(5_000);
    });
    let expected = [
        "one a:B firing 1000 silence:s",
        "one b:B firing 1000 silence:s",
        "both a:B|b:B firing 1000 silence:s",
        "one a:B firing 3000",
        "one b:B firing 3000",
        "both a:B|b:B firing 3000",
    ];
    assert_eq!(told, expected);
}

#[test]
fn what_still_fires_when_its_silence_is_taken_away_is_told_then() {
    let when = r#""a:B".volume[1s, -1] > 5 and "b:B".volume[1s, -1] > 5"#;
    let rules = rule("hot", "size > 5", "") + &rule("both", when, "") + &rule("cold", "size > 5", "");
    let silenced =
        rules.clone() + &silence("s", "'hot', 'both'", "00", "50") + &silence("t", "'cold'", "00", "50");
    let (told, _) = play(&silenced, &["a:B", "b:B"], |deck| {
        deck.trade("a:B", 100, 9);
        deck.trade("b:B", 100, 9);
        deck.clock(1_200);
        deck.told();
        deck.rules(&(rules.clone() + &silence("t", "'cold'", "00", "03")));
        deck.trade("a:B", 3_500, 9);
    });
    let expected =
        ["both a:B|b:B firing 1000", "hot a:B firing 1200", "hot b:B firing 1200", "cold a:B firing 3000"];
    assert_eq!(told, expected);
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
    // What comes last is when it was looked at, and nothing that was not told.
    let mut looked = Vec::new();
    looked.put_i64(START);
    looked.put_u8(0);
    let last = bytes.len() - looked.len();
    assert_eq!((bytes[0], bytes[at - 1], &bytes[last..]), (4, 2, &looked[..]));
    let never = [&bytes[..last], b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00"].concat();
    for version in [1, 2, 3] {
        let labels = if version == 3 { at - 1..at - 1 } else { at - 1..at + labels.len() };
        let old = [&[version], &bytes[1..labels.start], &bytes[labels.end..last]].concat();
        let read = Dispatch::decode(&deck.plan.books, deck.plan.idle, &old).unwrap();
        let mut again = Vec::new();
        read.encode(&mut again);
        assert_eq!(again, never, "version {version}");
    }
    assert!(Dispatch::decode(&deck.plan.books, deck.plan.idle, &[&[9], &bytes[1..]].concat()).is_err());
}
