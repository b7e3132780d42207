//! Tests of rules, as people write them: ticks with their times, and what the rules are to say of them.
//!
//! ```toml
//! rule_file = "rules.toml"       # or config = "tapedeck.toml", or the rules themselves as [[rules]]
//!
//! [[windows]]
//! name = "1s"
//!
//! [[test]]
//! name = "a crossed market"
//! lateness = "0s"
//! input = [
//!     { at = "0s", trade = "VENUE:ABC 100 1 buy", every = "1s", times = 60 },
//!     { at = "1m", quote = "VENUE:ABC 99 1 101 1", delay = "5ms" },
//!     { at = "2m", clock = true },
//! ]
//! expect = [{ at = "1m", rule = "burst", symbol = "VENUE:ABC", state = "firing" }]
//! ```

use std::ops::Range;
use std::path::Path;

use feeds::number::Decimal;
use feeds::symbol::Symbol;
use feeds::tick::{Quote, Side, Trade};
use feeds::time::{self, Nanos, SECOND};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::nearest::advice;
use super::problem::Problems;
use super::raw::{self, DURATION, Section, Text};
use super::validate::Checker;
use super::{Catalogue, Config, ConfigError, Engine, Glob, RulesSpec, WindowSpec, limits, raw_rules};
use crate::alert::{Severity, State};

/// When tests begin that do not say: a whole day, so that every window begins there.
const START: Nanos = 1_767_225_600 * SECOND;

/// A file of tests.
#[derive(Clone, Debug)]
pub struct CaseFile {
    /// The windows.
    pub windows: Vec<WindowSpec>,
    /// The rules that are tested.
    pub rules: RulesSpec,
    /// The tests, in their order.
    pub cases: Vec<Case>,
}

/// One test. Times of input and of what is expected are nanoseconds from its start.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// Its start, in nanoseconds since 1970.
    pub start: Nanos,
    /// How late a tick may be, in nanoseconds.
    pub lateness: Nanos,
    /// How long a symbol may be quiet before others do not wait for it, in nanoseconds.
    pub idle: Nanos,
    /// The rules of which all alerts are expected; others are not looked at.
    pub only: Vec<Glob>,
    /// What comes in, in the order in which it does.
    pub input: Vec<Input>,
    /// What is to be told.
    pub expected: Vec<Expected>,
}

/// Something that comes in.
#[derive(Clone, Debug)]
pub struct Input {
    /// Its event time.
    pub at: Nanos,
    /// How much later it comes in.
    pub delay: Nanos,
    /// What.
    pub what: What,
}

/// What comes in.
#[derive(Clone, Debug)]
pub enum What {
    /// A trade.
    Trade(Symbol, Trade),
    /// A quote.
    Quote(Symbol, Quote),
    /// The clock: the time of every symbol so far is at least this.
    Clock,
    /// From here on ticks of the symbol may be missing, until the next one of the kind comes.
    Gap(Symbol),
    /// The streams of the symbol are silent for too long, until something comes.
    Silence(Symbol),
}

/// An alert that is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The line of the file that says so.
    pub line: usize,
    /// Its event time.
    pub at: Nanos,
    /// The rule.
    pub rule: String,
    /// The symbol, or several, joined by `|`.
    pub symbol: String,
    /// What the episode comes to.
    pub state: State,
    /// Values that it has to name, as texts; others are not looked at.
    pub values: Vec<(String, String)>,
    /// What it has to say.
    pub message: Option<String>,
    /// How grave it has to be.
    pub severity: Option<Severity>,
    /// Labels that it has to have; others are not looked at.
    pub labels: Vec<(String, String)>,
    /// What has to keep it quiet, such as `silence:night`; an empty text for nothing.
    pub suppressed: Option<String>,
}

impl CaseFile {
    /// Reads and checks the file `path`.
    ///
    /// # Errors
    /// [`ConfigError`], with everything that is wrong.
    pub fn load(path: &Path) -> Result<CaseFile, ConfigError> {
        let text = super::read(path)?;
        CaseFile::parse(&path.display().to_string(), &text, path.parent().unwrap_or(Path::new("")))
    }

    /// Checks the tests `text` from a file called `name`, which names other files from `folder`.
    ///
    /// # Errors
    /// [`ConfigError`], with everything that is wrong.
    pub fn parse(name: &str, text: &str, folder: &Path) -> Result<CaseFile, ConfigError> {
        let problems = Problems::new(name, text);
        let names = Catalogue::built_in();
        let file = Reader { checker: Checker { problems: &problems, names: &names }, folder }.file(text)?;
        problems.into_result()?;
        Ok(file.unwrap_or(CaseFile { windows: Vec::new(), rules: RulesSpec::default(), cases: Vec::new() }))
    }
}

/// What is read, and where other files are.
struct Reader<'a> {
    checker: Checker<'a>,
    folder: &'a Path,
}

const SYMBOL: &str = "a symbol in quotes, such as \"VENUE:BTCUSDT\"";

impl Reader<'_> {
    /// The file, if it is TOML; only as good as there are no problems.
    fn file(&self, text: &str) -> Result<Option<CaseFile>, ConfigError> {
        let problems = self.checker.problems;
        let Some(document) = raw::document(text, problems) else { return Ok(None) };
        let mut keys = vec!["test", "config", "rule_file", "windows"];
        keys.extend(raw_rules::SECTIONS);
        let file = Section::new("a file of tests", document.get_ref(), document.span(), &keys, problems);
        let (engine, windows, rules) = self.subject(&file, document.get_ref())?;
        let tests = file.tables("test");
        if tests.is_empty() {
            problems.add(0..0, "no test: write [[test]]");
        }
        let read = |(table, span)| self.case(table, span, &engine, &rules);
        let cases = tests.into_iter().filter_map(read).collect();
        Ok(Some(CaseFile { windows, rules, cases }))
    }

    /// What is tested: of a configuration, a file of rules, or this file.
    fn subject(
        &self,
        file: &Section<'_>,
        table: &DeTable<'_>,
    ) -> Result<(Engine, Vec<WindowSpec>, RulesSpec), ConfigError> {
        let problems = self.checker.problems;
        let config = file.text("config", "a file in quotes, such as \"tapedeck.toml\"");
        let rule_file = file.text("rule_file", "a file in quotes, such as \"rules.toml\"");
        let clashes = |keys: &[&str], why: &str| {
            for (key, _) in table.iter().filter(|(key, _)| keys.contains(&key.get_ref().as_ref())) {
                problems.add(key.span(), format!("`{}`: {why}", key.get_ref()));
            }
        };
        if let Some(config) = config {
            let others = ["rule_file", "windows", "rules", "silences", "inhibitions"];
            clashes(&others, "the configuration has windows and rules already");
            let config = Config::load(&self.folder.join(config.get_ref()), self.checker.names)?;
            return Ok((config.engine, config.windows, config.rules));
        }
        let windows: Vec<_> = file.tables("windows");
        let windows: Vec<_> = windows.into_iter().map(|(t, span)| raw::window(t, span, problems)).collect();
        let windows = self.checker.windows(&windows);
        let rules = match rule_file {
            Some(path) => {
                clashes(&raw_rules::SECTIONS, "the rules are in a file of their own already");
                let path = self.folder.join(path.get_ref());
                RulesSpec::parse(&path.display().to_string(), &super::read(&path)?, &windows)?
            }
            None => self.checker.rules(&raw_rules::rules(file, problems), &windows),
        };
        Ok((Engine::default(), windows, rules))
    }

    fn case(
        &self,
        table: &DeTable<'_>,
        span: Range<usize>,
        engine: &Engine,
        rules: &RulesSpec,
    ) -> Option<Case> {
        let problems = self.checker.problems;
        let keys = ["name", "start", "lateness", "rules", "input", "expect"];
        let section = Section::new("[[test]]", table, span.clone(), &keys, problems);
        let name = section.text("name", "what is tested, in quotes");
        let name = self.checker.required(&name, "name", &span).cloned();
        let start = section.time("start").and_then(|start| {
            let parsed = time::parse_words(start.get_ref());
            parsed.map_err(|error| problems.add(start.span(), error.to_string())).ok()
        });
        let lateness = section.text("lateness", DURATION);
        let lateness = lateness.and_then(|text| self.checker.duration(&text, (0, limits::LATENESS_MAX)));
        let only = self.only(&section, rules);
        let mut input: Vec<Input> = Vec::new();
        for (table, span) in section.tables("input") {
            self.input(table, &span, &mut input);
        }
        // Stable: what comes in at one time does so as it is written.
        input.sort_by_key(|input| input.at + input.delay);
        let expected = section.tables("expect");
        let expected = expected.into_iter().filter_map(|(t, span)| self.expected(t, &span, rules)).collect();
        Some(Case {
            name: name?.into_inner(),
            start: start.unwrap_or(START),
            lateness: lateness.unwrap_or(engine.lateness),
            idle: engine.idle,
            only,
            input,
            expected,
        })
    }

    fn only(&self, section: &Section<'_>, rules: &RulesSpec) -> Vec<Glob> {
        let Some(texts) = section.texts("rules", "names of rules, such as [\"burst\"]") else {
            return vec![Glob::new("*")];
        };
        for text in texts.get_ref() {
            let glob = Glob::new(text.get_ref());
            if !rules.rules.iter().any(|rule| glob.matches(&rule.name)) {
                self.unknown_rule(text, rules);
            }
        }
        texts.get_ref().iter().map(|text| Glob::new(text.get_ref())).collect()
    }

    fn unknown_rule(&self, text: &Text, rules: &RulesSpec) {
        let advice = advice(text.get_ref(), rules.rules.iter().map(|rule| rule.name.as_str()));
        self.checker.problems.add(text.span(), format!("unknown rule `{}`; {advice}", text.get_ref()));
    }

    fn span_of(&self, section: &Section<'_>, key: &str, span: &Range<usize>) -> Option<Nanos> {
        let text = section.text(key, DURATION);
        let text = self.checker.required(&text, key, span)?;
        self.checker.duration(text, (0, limits::RULE_DURATION_MAX))
    }

    /// Reads a row of `input`, which may be many.
    fn input(&self, table: &DeTable<'_>, span: &Range<usize>, out: &mut Vec<Input>) {
        let problems = self.checker.problems;
        let kinds = ["trade", "quote", "clock", "gap", "silence"];
        let mut keys = vec!["at", "delay", "every", "times"];
        keys.extend(kinds);
        let section = Section::new("a row of `input`", table, span.clone(), &keys, problems);
        let at = self.span_of(&section, "at", span);
        let delay = section.value("delay").and_then(|_| self.span_of(&section, "delay", span)).unwrap_or(0);
        let named: Vec<&str> = kinds.into_iter().filter(|kind| section.value(kind).is_some()).collect();
        let [kind] = named[..] else {
            problems.add(span.clone(), format!("a row has one of {}", kinds.join(", ")));
            return;
        };
        let what = self.what(&section, kind);
        let repeated = (section.value("every").is_some(), section.value("times").is_some());
        let (every, times) = match repeated {
            (false, false) => (0, 1),
            (true, true) => {
                let most = (1, limits::TEST_ROWS_MAX as u64);
                let times = section.integer("times").and_then(|times| self.checker.integer(&times, most));
                (self.span_of(&section, "every", span).unwrap_or(0), times.unwrap_or(1))
            }
            _ => {
                problems.add(span.clone(), "`every` and `times` go together");
                return;
            }
        };
        let (Some(at), Some(what)) = (at, what) else { return };
        if out.len() as u64 + times > limits::TEST_ROWS_MAX as u64 {
            problems.add(span.clone(), format!("a test has at most {} rows", limits::TEST_ROWS_MAX));
            return;
        }
        let mut at = at;
        for _ in 0..times {
            out.push(Input { at, delay, what: what.clone() });
            at = at.saturating_add(every).min(limits::RULE_DURATION_MAX);
        }
    }

    fn what(&self, section: &Section<'_>, kind: &str) -> Option<What> {
        let problems = self.checker.problems;
        let is_clock = kind == "clock";
        if is_clock {
            return match section.boolean("clock")? {
                true => Some(What::Clock),
                false => {
                    let value = section.value("clock")?;
                    problems.add(value.span(), "write `clock = true`, or leave the row out");
                    None
                }
            };
        }
        let expected = match kind {
            "trade" => "symbol, price, size and side in quotes, such as \"VENUE:BTCUSDT 100.1 2 buy\"",
            "quote" => {
                "symbol, bid, its size, ask, its size in quotes, such as \"VENUE:BTCUSDT 100 1 100.1 2\""
            }
            _ => SYMBOL,
        };
        let text = section.text(kind, expected)?;
        let read = match kind {
            "trade" => trade(text.get_ref()),
            "quote" => quote(text.get_ref()),
            "gap" => symbol(text.get_ref()).map(What::Gap),
            _ => symbol(text.get_ref()).map(What::Silence),
        };
        read.map_err(|why| problems.add(text.span(), format!("`{kind}` is {expected}; {why}"))).ok()
    }

    fn expected(&self, table: &DeTable<'_>, span: &Range<usize>, rules: &RulesSpec) -> Option<Expected> {
        let problems = self.checker.problems;
        let keys = ["at", "rule", "symbol", "state", "values", "message", "severity", "labels", "suppressed"];
        let section = Section::new("a row of `expect`", table, span.clone(), &keys, problems);
        let at = self.span_of(&section, "at", span);
        let rule = section.text("rule", "a rule's name in quotes");
        let rule = self.checker.required(&rule, "rule", span).cloned();
        if let Some(text) =
            rule.as_ref().filter(|text| rules.rules.iter().all(|it| it.name != *text.get_ref()))
        {
            self.unknown_rule(text, rules);
        }
        let symbol = section.text("symbol", SYMBOL);
        let symbol = self.checker.required(&symbol, "symbol", span).cloned();
        let state = section.text("state", "\"pending\", \"firing\" or \"resolved\"");
        let state = self.checker.required(&state, "state", span).and_then(|text| {
            let found = State::by_name(text.get_ref());
            if found.is_none() {
                let advice = advice(text.get_ref(), State::ALL.map(State::name));
                problems.add(text.span(), format!("unknown state `{}`; {advice}", text.get_ref()));
            }
            found
        });
        Some(Expected {
            line: problems.line_of(span.start),
            values: pairs(&section, "values", "a table of texts, such as { \"volume[1s, -1]\" = \"5\" }"),
            labels: pairs(&section, "labels", "a table of texts, such as { desk = \"crypto\" }"),
            severity: section.text("severity", raw_rules::SEVERITY).map(|text| self.checker.severity(&text)),
            suppressed: self.suppressed(&section, rules),
            message: section.text("message", "a text in quotes").map(Spanned::into_inner),
            at: at?,
            rule: rule?.into_inner(),
            symbol: symbol?.into_inner(),
            state: state?,
        })
    }

    /// By what an alert is to be kept quiet: a silence or a rule that there is, or nothing.
    fn suppressed(&self, section: &Section<'_>, rules: &RulesSpec) -> Option<String> {
        let expected = "what keeps the alert quiet, such as \"silence:night\" or \"inhibited:burst\", or \"\" for nothing";
        let text = section.text("suppressed", expected)?;
        let silences = rules.silences.iter().map(|silence| format!("silence:{}", silence.name));
        let sources = rules.rules.iter().map(|rule| format!("inhibited:{}", rule.name));
        let known: Vec<String> = silences.chain(sources).collect();
        if !text.get_ref().is_empty() && !known.contains(text.get_ref()) {
            let advice = advice(text.get_ref(), known.iter().map(String::as_str));
            let message = format!("nothing is suppressed by `{}`; {advice}", text.get_ref());
            self.checker.problems.add(text.span(), message);
        }
        Some(text.into_inner())
    }
}

/// Texts by name, as `key` has them.
fn pairs(section: &Section<'_>, key: &str, expected: &str) -> Vec<(String, String)> {
    let Some(value) = section.value(key) else { return Vec::new() };
    let Some(table) = value.get_ref().as_table() else {
        section.wrong(key, expected, value);
        return Vec::new();
    };
    let mut pairs = Vec::new();
    for (name, value) in table.iter() {
        match value.get_ref() {
            DeValue::String(text) => pairs.push((name.get_ref().to_string(), text.to_string())),
            _ => section.wrong(key, expected, value),
        }
    }
    pairs
}

fn symbol(text: &str) -> Result<Symbol, String> {
    Symbol::parse(text).ok_or_else(|| format!("`{text}` is no symbol: write VENUE:NATIVE"))
}

/// A number that a venue could send.
fn number(text: &str) -> Result<Decimal, String> {
    let number = Decimal::parse(text.as_bytes()).map_err(|error| format!("`{text}`: {error}"))?;
    if number.mantissa() < 0 { Err(format!("`{text}` is below zero")) } else { Ok(number) }
}

fn trade(text: &str) -> Result<What, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [name, price, size, side] = words[..] else { return Err(format!("`{text}` has not four words")) };
    let side = match side {
        "buy" => Side::Buy,
        "sell" => Side::Sell,
        "unknown" => Side::Unknown,
        other => return Err(format!("`{other}` is no side: write buy, sell or unknown")),
    };
    let (price, size) = (number(price)?, number(size)?);
    if size.mantissa() == 0 {
        return Err("a trade of nothing is none".to_owned());
    }
    Ok(What::Trade(symbol(name)?, Trade::new(None, price, size, side)))
}

fn quote(text: &str) -> Result<What, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [name, bid, bid_size, ask, ask_size] = words[..] else {
        return Err(format!("`{text}` has not five words"));
    };
    let (bid, bid_size, ask, ask_size) = (number(bid)?, number(bid_size)?, number(ask)?, number(ask_size)?);
    Ok(What::Quote(symbol(name)?, Quote::new(None, bid, bid_size, ask, ask_size)))
}
