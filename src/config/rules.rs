//! The rules of a configuration: what is watched, what is silenced, and what keeps what quiet.
//!
//! They are kept apart from the windows, whose results they do not change: a file with just these sections can be put
//! to a recording, and their text is stored with what they found.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use feeds::time::{self, Nanos};

use super::catalogue::Catalogue;
use super::duration;
use super::glob::Glob;
use super::grouping::GroupBy;
use super::quoted::quote;
use super::validate::Checker;
use super::{ConfigError, WindowSpec, problem, raw_rules};
use crate::alert::{Severity, Subject};

/// Everything about rules in a configuration, in its order.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct RulesSpec {
    /// `[[rules]]`; names are unique.
    pub rules: Vec<RuleSpec>,
    /// `[[silences]]`; names are unique.
    pub silences: Vec<SilenceSpec>,
    /// `[[inhibitions]]`.
    pub inhibitions: Vec<InhibitionSpec>,
}

/// One rule. Its texts are right: they compile with the windows of the configuration. Durations are nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSpec {
    /// Its name: letters, digits, `_`, `-` and `.`.
    pub name: String,
    /// Whose ticks and windows it is judged on; empty if it names symbols itself.
    pub symbols: Vec<Glob>,
    /// What is watched for ([`crate::rule`]).
    pub when: String,
    /// What ends it; without it, that `when` is not true.
    pub until: Option<String>,
    /// `for`: how long it has to be true before it fires.
    pub hold: Nanos,
    /// How long it stays quiet after it was resolved.
    pub cooldown: Nanos,
    /// A window of which each fires at most once.
    pub once_per_window: Option<String>,
    /// A window at whose end only it is judged.
    pub once_per_close: Option<String>,
    /// How grave it is.
    pub severity: Severity,
    /// What else is said of its alerts, by name.
    pub labels: BTreeMap<String, String>,
    /// What its alerts say ([`crate::rule::Template`]).
    pub message: Option<String>,
}

/// A time in which alerts of some rules and symbols are kept quiet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SilenceSpec {
    /// Its name.
    pub name: String,
    /// Whose alerts.
    pub of: Selector,
    /// From when, in nanoseconds since 1970; always if there is none.
    pub from: Option<Nanos>,
    /// Until when, in nanoseconds since 1970.
    pub until: Nanos,
    /// It was asked for while a run went on: other rules and further starts carry it on until it ends.
    pub asked: bool,
}

/// Alerts that keep others quiet while they fire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InhibitionSpec {
    /// Which keep quiet.
    pub source: Selector,
    /// Which are kept quiet.
    pub target: Selector,
    /// What the two have to have in common.
    pub equal: Vec<GroupBy>,
}

/// Alerts by rule, symbol, severity and labels. The default has all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// Names of rules.
    pub rules: Vec<Glob>,
    /// Symbols.
    pub symbols: Vec<Glob>,
    /// Severities; all if there are none.
    pub severities: Vec<Severity>,
    /// What labels have to be, by name. One that is not there is an empty one.
    pub labels: BTreeMap<String, Glob>,
}

impl Default for Selector {
    fn default() -> Selector {
        let all = || vec![Glob::new("*")];
        Selector { rules: all(), symbols: all(), severities: Vec::new(), labels: BTreeMap::new() }
    }
}

impl Selector {
    /// True if that alert is among them.
    #[must_use]
    pub fn matches(&self, alert: &Subject<'_>) -> bool {
        let is = |(name, glob): (&String, &Glob)| glob.matches(alert.label(name).unwrap_or_default());
        (self.severities.is_empty() || self.severities.contains(&alert.severity))
            && any(&self.rules, alert.rule)
            && any(&self.symbols, alert.symbol)
            && self.labels.iter().all(is)
    }
}

impl RuleSpec {
    /// True if it is judged on that symbol.
    #[must_use]
    pub fn watches(&self, symbol: &str) -> bool {
        any(&self.symbols, symbol)
    }
}

fn any(globs: &[Glob], text: &str) -> bool {
    globs.iter().any(|glob| glob.matches(text))
}

impl RulesSpec {
    /// True if there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == RulesSpec::default()
    }

    /// Reads and checks `text`, from a file called `name` that has these sections and no other.
    ///
    /// # Errors
    /// [`ConfigError::Wrong`], with everything that is wrong.
    pub fn parse(name: &str, text: &str, windows: &[WindowSpec]) -> Result<RulesSpec, ConfigError> {
        let problems = problem::Problems::new(name, text);
        let raw = raw_rules::read(text, &problems);
        let names = Catalogue::built_in();
        let rules = Checker { problems: &problems, names: &names }.rules(&raw, windows);
        problems.into_result()?;
        Ok(rules)
    }

    /// The sections as TOML, one spelling for equal rules. [`RulesSpec::parse`] reads it back.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for rule in &self.rules {
            rule.write(&mut text);
        }
        for silence in &self.silences {
            let from = silence.from.map(|from| quote(&time::format(from)));
            text.push_str("[[silences]]\n");
            line(&mut text, "name", Some(quote(&silence.name)));
            line(&mut text, "rules", Some(list(&silence.of.rules)));
            line(&mut text, "symbols", Some(list(&silence.of.symbols)));
            line(&mut text, "severity", silence.of.severity_text());
            line(&mut text, "labels", silence.of.labels_text());
            line(&mut text, "from", from);
            line(&mut text, "until", Some(quote(&time::format(silence.until))));
            line(&mut text, "asked", silence.asked.then(|| "true".to_owned()));
            text.push('\n');
        }
        for inhibition in &self.inhibitions {
            let equal: Vec<String> = inhibition.equal.iter().map(|by| quote(&by.to_string())).collect();
            text.push_str("[[inhibitions]]\n");
            line(&mut text, "source", Some(inhibition.source.text()));
            line(&mut text, "target", Some(inhibition.target.text()));
            line(&mut text, "equal", Some(format!("[{}]", equal.join(", "))));
            text.push('\n');
        }
        text
    }
}

impl RuleSpec {
    fn write(&self, text: &mut String) {
        let some = |text: &Option<String>| text.as_deref().map(quote);
        let time = |nanos: Nanos| (nanos != 0).then(|| quote(&duration::format(nanos)));
        text.push_str("[[rules]]\n");
        line(text, "name", Some(quote(&self.name)));
        line(text, "symbols", (!self.symbols.is_empty()).then(|| list(&self.symbols)));
        line(text, "when", Some(quote(&self.when)));
        line(text, "until", some(&self.until));
        line(text, "for", time(self.hold));
        line(text, "cooldown", time(self.cooldown));
        line(text, "once_per_window", some(&self.once_per_window));
        line(text, "once_per_close", some(&self.once_per_close));
        line(text, "severity", Some(quote(self.severity.name())));
        line(text, "labels", table(self.labels.iter().map(|(name, value)| (name, value.as_str()))));
        line(text, "message", some(&self.message));
        text.push('\n');
    }
}

impl Selector {
    fn text(&self) -> String {
        let mut text = format!("{{ rules = {}, symbols = {}", list(&self.rules), list(&self.symbols));
        for (key, value) in [("severity", self.severity_text()), ("labels", self.labels_text())] {
            text.extend(value.map(|value| format!(", {key} = {value}")));
        }
        text + " }"
    }

    fn severity_text(&self) -> Option<String> {
        let names: Vec<String> = self.severities.iter().map(|severity| quote(severity.name())).collect();
        (!names.is_empty()).then(|| format!("[{}]", names.join(", ")))
    }

    fn labels_text(&self) -> Option<String> {
        table(self.labels.iter().map(|(name, glob)| (name, glob.as_str())))
    }
}

/// A table of texts; none if there is nothing in it.
fn table<'a>(pairs: impl Iterator<Item = (&'a String, &'a str)>) -> Option<String> {
    let pairs: Vec<String> =
        pairs.map(|(name, value)| format!("{} = {}", quote(name), quote(value))).collect();
    (!pairs.is_empty()).then(|| format!("{{ {} }}", pairs.join(", ")))
}

fn line(text: &mut String, key: &str, value: Option<String>) {
    if let Some(value) = value {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{key} = {value}");
    }
}

fn list(globs: &[Glob]) -> String {
    let quoted: Vec<String> = globs.iter().map(|glob| quote(glob.as_str())).collect();
    format!("[{}]", quoted.join(", "))
}
