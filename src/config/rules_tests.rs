//! Rules right and wrong, with the very words that people get to see.

use proptest::prelude::*;

use super::rules::{InhibitionSpec, RuleSpec, RulesSpec, Selector, SilenceSpec};
use super::*;
use crate::alert::{Severity, Subject};

fn windows() -> Vec<WindowSpec> {
    standard_windows(&Catalogue::built_in())
}

fn read(text: &str) -> Result<RulesSpec, ConfigError> {
    RulesSpec::parse("rules.toml", text, &windows())
}

fn wrong(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

/// The message of the only problem, and what is marked.
fn message(text: &str) -> (String, String) {
    let shown = wrong(text);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 3, "more than one problem:\n{shown}");
    let message = lines[0].splitn(4, ':').nth(3).unwrap().trim().to_owned();
    let carets = lines[2].char_indices().filter(|(_, c)| *c == '^').map(|(at, _)| at);
    let line: Vec<char> = lines[1].chars().collect();
    (message, carets.map(|at| line[at]).collect())
}

/// The same of a rule with this line in addition.
fn rule(line: &str) -> (String, String) {
    message(&format!("[[rules]]\nname = \"a\"\nwhen = \"price > 1\"\n{line}\n"))
}

fn globs(patterns: &[&str]) -> Vec<Glob> {
    patterns.iter().map(|pattern| Glob::new(pattern)).collect()
}

fn plain(name: &str, when: &str) -> RuleSpec {
    RuleSpec {
        name: name.to_owned(),
        symbols: globs(&["*"]),
        when: when.to_owned(),
        until: None,
        hold: 0,
        cooldown: 0,
        once_per_window: None,
        once_per_close: None,
        severity: Severity::Warning,
        labels: Default::default(),
        message: None,
    }
}

/// Every key of every section.
const EVERYTHING: &str = r#"
[[rules]]
name = "burst"
symbols = ["binance:*", "okx:BTC-???T"]
when = "volume[1s] > 5 * mean(volume[1s], 60)"
until = "volume[1s] < 2 * mean(volume[1s], 60)"
for = "2s"
cooldown = "30s"
once_per_window = "1m"
once_per_close = "1s"
severity = "critical"
labels = { desk = "crypto", page = "yes" }
message = "{symbol}: {volume[1s]} in a second"

[[rules]]
name = "apart"
when = '"binance:BTCUSDT".close[1m, -1] > 1.01 * "coinbase:BTC-USD".close[1m, -1]'
message = 'apart by {"binance:BTCUSDT".close[1m, -1] - "coinbase:BTC-USD".close[1m, -1]}'

[[silences]]
name = "maintenance"
rules = ["b*"]
symbols = ["okx:*"]
labels = { desk = "cry*" }
from = "2026-01-01T00:00:00Z"
until = 2026-01-02T00:00:00Z

[[inhibitions]]
source = { rules = ["burst"] }
target = { rules = ["*"], symbols = ["okx:*"] }
equal = ["venue", "label.desk"]

[[inhibitions]]
source = { severity = "critical" }
target = { severity = ["info", "warning"], labels = { desk = "crypto" } }
"#;

/// What that says.
fn everything() -> RulesSpec {
    let burst = RuleSpec {
        symbols: globs(&["binance:*", "okx:BTC-???T"]),
        until: Some("volume[1s] < 2 * mean(volume[1s], 60)".to_owned()),
        hold: 2 * SECOND,
        cooldown: 30 * SECOND,
        once_per_window: Some("1m".to_owned()),
        once_per_close: Some("1s".to_owned()),
        severity: Severity::Critical,
        labels: [("desk", "crypto"), ("page", "yes")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        message: Some("{symbol}: {volume[1s]} in a second".to_owned()),
        ..plain("burst", "volume[1s] > 5 * mean(volume[1s], 60)")
    };
    let (first, second) = ("\"binance:BTCUSDT\".close[1m, -1]", "\"coinbase:BTC-USD\".close[1m, -1]");
    let apart = RuleSpec {
        symbols: Vec::new(),
        message: Some(format!("apart by {{{first} - {second}}}")),
        ..plain("apart", &format!("{first} > 1.01 * {second}"))
    };
    let day = 86_400 * SECOND;
    let start = feeds::time::parse_words("2026-01-01T00:00:00Z").unwrap();
    let silence = SilenceSpec {
        name: "maintenance".to_owned(),
        of: Selector { rules: globs(&["b*"]), symbols: globs(&["okx:*"]), ..labelled("cry*", &[]) },
        from: Some(start),
        until: start + day,
        asked: false,
    };
    let inhibition = InhibitionSpec {
        source: Selector { rules: globs(&["burst"]), ..Selector::default() },
        target: Selector { symbols: globs(&["okx:*"]), ..Selector::default() },
        equal: vec![GroupBy::Venue, GroupBy::Label("desk".to_owned())],
    };
    let graver = InhibitionSpec {
        source: Selector { severities: vec![Severity::Critical], ..Selector::default() },
        target: labelled("crypto", &[Severity::Info, Severity::Warning]),
        equal: vec![GroupBy::Symbol],
    };
    RulesSpec { rules: vec![burst, apart], silences: vec![silence], inhibitions: vec![inhibition, graver] }
}

/// Alerts with this label `desk`, and of these severities.
fn labelled(desk: &str, severities: &[Severity]) -> Selector {
    let labels = [("desk".to_owned(), Glob::new(desk))].into();
    Selector { labels, severities: severities.to_vec(), ..Selector::default() }
}

#[test]
fn selectors_look_at_all_that_they_name() {
    let labels = [("desk".to_owned(), "crypto".to_owned())];
    let alert = |rule, symbol, severity, labels| Subject { rule, symbol, severity, labels };
    let spec = everything();
    let silenced = |alert: &Subject<'_>| spec.silences[0].of.matches(alert);
    assert!(silenced(&alert("burst", "okx:A", Severity::Info, &labels)));
    assert!(!silenced(&alert("apart", "okx:A", Severity::Info, &labels)));
    assert!(!silenced(&alert("burst", "binance:A", Severity::Info, &labels)));
    assert!(!silenced(&alert("burst", "okx:A", Severity::Info, &[])));
    let target = |alert: &Subject<'_>| spec.inhibitions[1].target.matches(alert);
    assert!(target(&alert("any", "okx:A", Severity::Warning, &labels)));
    assert!(!target(&alert("any", "okx:A", Severity::Critical, &labels)));
    // A label that is not there is an empty one.
    assert!(labelled("", &[]).matches(&alert("any", "okx:A", Severity::Info, &[])));
}

#[test]
fn everything_that_can_be_said_is_understood() {
    let (text, expected) = (EVERYTHING, everything());
    let rules = read(text).unwrap();
    assert_eq!(rules, expected);
    assert_eq!(read(&rules.text()).unwrap(), expected);
    assert!(rules.rules[0].watches("okx:BTC-USDT") && !rules.rules[0].watches("okx:BTC-USD"));

    // The same sections in a whole configuration, which has nothing of them in its canonical text.
    let config = Config::parse("tapedeck.toml", text, &Catalogue::built_in()).unwrap();
    assert_eq!(config.rules, expected);
    assert_eq!(config.canonical(), Config::standard(&Catalogue::built_in()).canonical());
}

#[test]
fn little_has_to_be_said() {
    let rules = read("[[rules]]\nname = \"a\"\nwhen = \"price > 1\"\n").unwrap();
    assert_eq!(rules.rules, [plain("a", "price > 1")]);
    assert!(!rules.is_empty() && read("").unwrap().is_empty());
    let silence = read("[[silences]]\nname = \"a\"\nuntil = \"2026-01-01T00:00:00Z\"\n").unwrap();
    assert_eq!(silence.silences[0].of, Selector::default());
    let text = "[[inhibitions]]\nsource = { symbols = [\"a:*\"] }\ntarget = { symbols = [\"b:*\"] }\n";
    assert_eq!(read(text).unwrap().inhibitions[0].equal, [GroupBy::Symbol]);
    assert_eq!(read(&format!("{text}equal = []\n")).unwrap().inhibitions[0].equal, []);
}

#[test]
fn a_rule_may_read_what_its_windows_keep() {
    let text =
        "[[windows]]\nname = \"5s\"\nstats = [\"vwap\"]\n[[rules]]\nname = \"a\"\nwhen = \"close[5s] > 1\"\n";
    let shown = Config::parse("c.toml", text, &Catalogue::built_in()).unwrap_err().to_string();
    assert_eq!(
        shown,
        "\
c.toml:6:9: window `5s` does not keep `close`; add \"close\" to its `stats`
  6 | when = \"close[5s] > 1\"
    |         ^^^^^"
    );
}

#[test]
fn problems_are_marked_inside_strings_of_every_kind() {
    let text = r#"[[rules]]
name = "one"
when = "\"binance:BTCUSDT\".close[1s, -1] > \"okx:BTC\".volme[1s, -1]"

[[rules]]
name = "two"
when = '"binance:BTCUSDT".close[2s, -1] > 5'

[[rules]]
name = "three"
when = """
  price > 5 and \
  prise > 3 and
  size > price"""

[[rules]]
name = "four"
when = "price >"
message = "{price} {volume}"
"#;
    assert_eq!(
        wrong(text),
        r#"6 problems in rules.toml
rules.toml:3:57: unknown statistic `volme`; the nearest is `volume`
  3 | when = "\"binance:BTCUSDT\".close[1s, -1] > \"okx:BTC\".volme[1s, -1]"
    |                                                         ^^^^^
rules.toml:7:33: unknown window `2s`; the nearest is `1s`
  7 | when = '"binance:BTCUSDT".close[2s, -1] > 5'
    |                                 ^^
rules.toml:13:3: unknown name `prise`; the nearest is `price`
  13 |   prise > 3 and
     |   ^^^^^
rules.toml:14:10: a size compared with a price says nothing
  14 |   size > price"""
     |          ^^^^^
rules.toml:18:16: the rule ends where a value is expected
  18 | when = "price >"
     |                ^
rules.toml:19:21: `volume` is a statistic of a window: write `volume[1s]`
  19 | message = "{price} {volume}"
     |                     ^^^^^^"#
    );
}

#[test]
fn what_is_wrong_with_a_rule() {
    let cross = "[[rules]]\nname = \"a\"\nwhen = '\"okx:A\".close[1s, -1] > 1'\n";
    let marked = |found: (String, String), message: &str, marked: &str| {
        assert_eq!(found, (message.to_owned(), marked.to_owned()));
    };
    marked(message("[[rules]]\nname = \"a\"\n"), "`when` is missing here", "[[rules]]");
    marked(message("[[rules]]\nname = \"a\"\nwhen = \"\"\n"), "`when` is empty", "\"\"");
    marked(
        rule("until = 3"),
        "`until` is a condition in quotes, such as \"volume[1s] > 5 * mean(volume[1s], 60)\", not an integer",
        "3",
    );
    marked(message("[rules]\nname = \"a\"\n"), "`rules` is a list of tables: write [[rules]]", "rules");
    marked(
        rule("until_ = \"price < 1\""),
        "unknown key `until_` in [[rules]]; the nearest is `until`",
        "until_",
    );
    marked(rule("for = \"2 s\""), "`2 s` is not a duration; write `2s`", "\"2 s\"");
    marked(rule("cooldown = \"999d\""), "`999d` is not between 0s and 366d", "\"999d\"");
    marked(rule("severity = \"warn\""), "unknown severity `warn`; the nearest is `warning`", "\"warn\"");
    marked(rule("once_per_window = \"2m\""), "unknown window `2m`; the nearest is `1m`", "\"2m\"");
    marked(rule("symbols = []"), "`symbols` is empty; without it all are meant", "[]");
    marked(
        rule("symbols = [\"binanse:*\"]"),
        "unknown venue `binanse`; the nearest is `binance`",
        "\"binanse:*\"",
    );
    marked(rule("symbols = [\"BTC\"]"), "`BTC` is no symbol; write venue:NATIVE, or venue:*", "\"BTC\"");
    marked(
        rule("labels = { \"a b\" = \"c\" }"),
        "a label's name has letters, digits and `_`, at most 64 of them",
        "\"a b\"",
    );
    marked(
        rule("labels = { a = 1 }"),
        "`labels` is a table of texts, such as { desk = \"crypto\" }, not an integer",
        "1",
    );
    marked(
        rule("until = '\"okx:A\".close[1s, -1] > 1'"),
        "`when` names no symbol, so this cannot name one either",
        "'\"okx:A\".close[1s, -1] > 1'",
    );
    marked(
        message(&format!("{cross}message = \"{{close[1s, -1]}}\"\n")),
        "`when` names symbols, so this has to name one with everything, too",
        "\"{close[1s, -1]}\"",
    );
    marked(
        message(&format!("{cross}symbols = [\"*\"]\n")),
        "this rule names its symbols itself; take `symbols` out",
        "[\"*\"]",
    );
    marked(
        message(&format!("{cross}once_per_close = \"1s\"\n")),
        "this rule reads final windows only, and is judged at their ends in any case",
        "\"1s\"",
    );
    let twice = "[[rules]]\nname = \"a\"\nwhen = \"price > 1\"\n".repeat(2);
    marked(message(&twice), "rule `a` is there already, in line 2", "\"a\"");
    marked(
        message("[[windows]]\nname = \"5s\"\n"),
        "unknown key `windows` in a file of rules; known here: rules, silences, inhibitions",
        "windows",
    );
}

#[test]
fn what_is_wrong_with_silences_and_inhibitions() {
    let marked = marked_behind_a_rule;
    let silence = |more: &str| format!("[[silences]]\nname = \"a\"\n{more}");
    marked(&silence(""), "`until` is missing here", "[[silences]]");
    marked(
        &silence("until = \"tomorrow\""),
        "`tomorrow`: not a time; write it as `2026-01-31T08:00:00Z`",
        "\"tomorrow\"",
    );
    marked(
        &silence("until = \"2026-01-01T00:00:00Z\"\nfrom = 5"),
        "`from` is a time in quotes, such as \"2026-01-31T08:00:00Z\", not an integer",
        "5",
    );
    let backwards = "from = \"2026-01-02T00:00:00Z\"\nuntil = \"2026-01-01T00:00:00Z\"";
    marked(&silence(backwards), "it ends before it begins", "\"2026-01-01T00:00:00Z\"");
    let until = "until = \"2026-01-01T00:00:00Z\"\n";
    let unknown = silence(&format!("{until}rules = [\"brust\"]"));
    marked(&unknown, "unknown rule `brust`; the nearest is `burst`", "\"brust\"");
    marked(&silence(&format!("{until}rules = [\"x*\"]")), "no rule's name is like `x*`", "\"x*\"");
    let inhibition = |more: &str| format!("[[inhibitions]]\ntarget = {{ rules = [\"*\"] }}\n{more}");
    marked(&inhibition(""), "`source` is missing here", "[[inhibitions]]");
    marked(
        &inhibition("source = [\"burst\"]"),
        "`source` is a table, such as { rules = [\"feed-*\"] }, not an array",
        "[\"burst\"]",
    );
    marked(&inhibition("source = {}"), "`source` names nothing; write { rules = [\"…\"] }", "{}");
    let source = "source = { rules = [\"burst\"] }\n";
    marked(
        &inhibition(&format!("{source}equal = [\"symbl\"]")),
        "alerts have no `symbl` in common; the nearest is `symbol`",
        "\"symbl\"",
    );
    marked(
        &inhibition(&format!("{source}equal = [\"rule\", \"rule\"]")),
        "`rule` is there already",
        "\"rule\"",
    );
    marked(
        &inhibition(&format!("{source}equal = [\"label.dsk\"]")),
        "no rule has the label `dsk`; the nearest is `label.desk`",
        "\"label.dsk\"",
    );
    marked(
        &inhibition("source = { severity = [\"info\", \"critcal\"] }"),
        "unknown severity `critcal`; the nearest is `critical`",
        "\"critcal\"",
    );
}

/// What is marked, and why, in this text behind a rule with a label.
fn marked_behind_a_rule(text: &str, message: &str, marked: &str) {
    let rules = "[[rules]]\nname = \"burst\"\nwhen = \"price > 1\"\nlabels = { desk = \"one\" }\n";
    assert_eq!(self::message(&format!("{rules}{text}\n")), (message.to_owned(), marked.to_owned()));
}

#[test]
fn what_is_wrong_with_what_selectors_name() {
    let marked = marked_behind_a_rule;
    let until = "until = \"2026-01-01T00:00:00Z\"\n";
    let silence = |more: &str| format!("[[silences]]\nname = \"a\"\n{more}");
    let inhibition = |more: &str| format!("[[inhibitions]]\ntarget = {{ rules = [\"*\"] }}\n{more}");
    marked(
        &silence(&format!("{until}severity = 3")),
        "`severity` is \"info\", \"warning\" or \"critical\", or a list of them, not an integer",
        "3",
    );
    marked(&inhibition("source = { severity = [] }"), "`severity` is empty; without it all are meant", "[]");
    marked(
        &inhibition("source = { label = { desk = \"a\" } }\n")
            .replace("{ label =", "{ rules = [\"*\"], label ="),
        "unknown key `label` in source; the nearest is `labels`",
        "label",
    );
    marked(
        &silence(&format!("{until}labels = {{ dsk = \"one\" }}")),
        "no rule has the label `dsk`; the nearest is `desk`",
        "dsk",
    );
    marked(
        &silence(&format!("{until}labels = {{ desk = 1 }}")),
        "`labels` is a table of texts, such as { desk = \"crypto\" }, not an integer",
        "1",
    );
}

#[test]
fn a_symbol_inside_an_expression_is_looked_at_as_one_of_the_list() {
    let said = "unknown venue `binace`; the nearest is `binance`".to_owned();
    let marked =
        |text: &str| assert_eq!(message(text), (said.clone(), "\"binace:BTCUSDT\"".to_owned()), "{text}");
    let cross = "[[rules]]\nname = 'a'\nwhen = '\"okx:BTC-USDT\".close[1s, -1] > ";
    marked(&format!("{cross}\"binace:BTCUSDT\".close[1s, -1]'"));
    marked(&format!("{cross}1'\nmessage = 'at {{\"binace:BTCUSDT\".close[1s, -1]}}'"));
    let twice = wrong(&format!("{cross}\"binace:A\".close[1s, -1] + \"binace:A\".open[1s, -1]'"));
    assert_eq!(twice.matches(&said).count(), 2, "{twice}");
    // A file may be of any venue.
    read(&format!("{cross}\"file:A\".close[1s, -1]'")).unwrap();
    let (said, marked) = message(&format!("{cross}\"binance:*\".close[1s, -1]'"));
    assert_eq!(
        (said.contains("`binance:*` is a pattern"), marked.as_str()),
        (true, "\"binance:*\""),
        "{said}"
    );
}

#[test]
fn at_most_so_many_rules() {
    let silence = "[[silences]]\nname = \"sN\"\nuntil = \"2026-01-01T00:00:00Z\"\n";
    let text = |count: usize| (0..count).map(|n| silence.replace('N', &n.to_string())).collect::<String>();
    assert_eq!(read(&text(limits::SILENCES_MAX)).unwrap().silences.len(), limits::SILENCES_MAX);
    assert_eq!(message(&text(limits::SILENCES_MAX + 1)).0, "1001 silences; at most 1000 are kept");
}

fn any_rule() -> impl Strategy<Value = RuleSpec> {
    let text = || prop_oneof![Just("price > 1"), Just("not crossed() for 5s"), Just("\tsize > 0.5\n")];
    let symbols = prop::collection::vec(prop_oneof![Just("*"), Just("a?:\"\\é*"), Just("okx:B")], 1..3);
    let labels = prop::collection::btree_map("[a-z_]{1,5}", "\\PC{0,5}[\"\n\\\\]{0,2}", 0..3);
    let message = prop::option::of("[a-z\"\\\\\n]{0,9}\\{price\\}");
    let nanos = || prop_oneof![Just(0), 1..limits::RULE_DURATION_MAX];
    let window = || prop::option::of(Just("1m".to_owned()));
    let when = (text(), prop::option::of(text()), nanos(), nanos(), window(), window());
    (when, symbols, 0..3usize, labels, message).prop_map(|(when, symbols, severity, labels, message)| {
        RuleSpec {
            until: when.1.map(str::to_owned),
            hold: when.2,
            cooldown: when.3,
            once_per_window: when.4,
            once_per_close: when.5,
            severity: Severity::ALL[severity],
            symbols: globs(&symbols),
            labels,
            message,
            ..plain("", when.0)
        }
    })
}

proptest! {
    #[test]
    fn the_text_of_rules_reads_back(
        rules in prop::collection::vec(any_rule(), 0..4), grave in prop::collection::vec(0..3usize, 0..3), until in 1_000_000_000_000_000_000i64..2_000_000_000_000_000_000,
    ) {
        let named = rules.into_iter().enumerate();
        let rules: Vec<RuleSpec> = named.map(|(n, rule)| RuleSpec { name: format!("r{n}"), ..rule }).collect();
        let labels = rules.iter().flat_map(|rule: &RuleSpec| &rule.labels);
        let labels = labels.map(|(name, value)| (name.clone(), Glob::new(value))).collect();
        let by = rules.iter().flat_map(|rule| rule.labels.keys()).map(|name| GroupBy::Label(name.clone()));
        let equal = by.take(1).chain([GroupBy::Severity]).collect();
        let severities = grave.iter().map(|place| Severity::ALL[*place]).collect();
        let of = Selector { symbols: globs(&["a:*", "*?"]), severities, labels, ..Selector::default() };
        let silence = SilenceSpec { name: "s".to_owned(), of: of.clone(), from: None, until, asked: until % 2 == 0 };
        let inhibition = InhibitionSpec { source: of.clone(), target: of, equal };
        let has_rules = |rules: &Vec<RuleSpec>| !rules.is_empty();
        let spec = RulesSpec {
            silences: if has_rules(&rules) { vec![silence] } else { Vec::new() },
            inhibitions: if has_rules(&rules) { vec![inhibition] } else { Vec::new() },
            rules,
        };
        let text = spec.text();
        let read = read(&text);
        prop_assert!(read.is_ok(), "{}\n{text}", read.unwrap_err());
        prop_assert_eq!(read.unwrap(), spec);
    }
}
