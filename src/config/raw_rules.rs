//! What the user wrote about rules, with the place of each word.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Problems;
use super::raw::{DURATION, Section, Text, document};

/// The sections about rules.
#[derive(Debug, Default)]
pub(super) struct RawRules {
    pub(super) rules: Vec<RawRule>,
    pub(super) silences: Vec<RawSilence>,
    pub(super) inhibitions: Vec<RawInhibition>,
}

/// `[[rules]]`.
#[derive(Debug)]
pub(super) struct RawRule {
    pub(super) span: Range<usize>,
    pub(super) name: Option<Text>,
    pub(super) symbols: Option<Spanned<Vec<Text>>>,
    pub(super) when: Option<Text>,
    pub(super) until: Option<Text>,
    pub(super) hold: Option<Text>,
    pub(super) cooldown: Option<Text>,
    pub(super) once_per_window: Option<Text>,
    pub(super) once_per_close: Option<Text>,
    pub(super) severity: Option<Text>,
    pub(super) labels: Vec<(Text, Text)>,
    pub(super) message: Option<Text>,
}

/// `[[silences]]`.
#[derive(Debug)]
pub(super) struct RawSilence {
    pub(super) span: Range<usize>,
    pub(super) name: Option<Text>,
    pub(super) of: RawSelector,
    pub(super) from: Option<Text>,
    pub(super) until: Option<Text>,
    pub(super) asked: Option<bool>,
}

/// `[[inhibitions]]`.
#[derive(Debug)]
pub(super) struct RawInhibition {
    pub(super) span: Range<usize>,
    pub(super) source: Option<RawSelector>,
    pub(super) target: Option<RawSelector>,
    pub(super) equal: Option<Spanned<Vec<Text>>>,
}

/// Alerts by rule, symbol, severity and labels.
#[derive(Debug)]
pub(super) struct RawSelector {
    pub(super) span: Range<usize>,
    pub(super) rules: Option<Spanned<Vec<Text>>>,
    pub(super) symbols: Option<Spanned<Vec<Text>>>,
    pub(super) severity: Option<Spanned<Vec<Text>>>,
    pub(super) labels: Vec<(Text, Text)>,
}

impl RawSelector {
    /// True if it says nothing of what is meant.
    pub(super) fn is_empty(&self) -> bool {
        let lists = [&self.rules, &self.symbols, &self.severity];
        lists.into_iter().all(Option::is_none) && self.labels.is_empty()
    }
}

/// The names of the sections.
pub(super) const SECTIONS: [&str; 3] = ["rules", "silences", "inhibitions"];

/// Reads a file that has these sections only.
pub(super) fn read(text: &str, problems: &Problems<'_>) -> RawRules {
    let Some(document) = document(text, problems) else { return RawRules::default() };
    let file = Section::new("a file of rules", document.get_ref(), document.span(), &SECTIONS, problems);
    rules(&file, problems)
}

/// Reads these sections of a file.
pub(super) fn rules(file: &Section<'_>, problems: &Problems<'_>) -> RawRules {
    RawRules {
        rules: file.tables("rules").into_iter().map(|(table, span)| rule(table, span, problems)).collect(),
        silences: file.tables("silences").into_iter().map(|(t, span)| silence(t, span, problems)).collect(),
        inhibitions: file
            .tables("inhibitions")
            .into_iter()
            .map(|(t, span)| inhibition(t, span, problems))
            .collect(),
    }
}

fn rule(table: &DeTable<'_>, span: Range<usize>, problems: &Problems<'_>) -> RawRule {
    let keys = [
        "name",
        "symbols",
        "when",
        "until",
        "for",
        "cooldown",
        "once_per_window",
        "once_per_close",
        "severity",
        "labels",
        "message",
    ];
    let section = Section::new("[[rules]]", table, span.clone(), &keys, problems);
    let condition = "a condition in quotes, such as \"volume[1s] > 5 * mean(volume[1s], 60)\"";
    RawRule {
        span,
        name: section.text("name", "a name in quotes, such as \"burst\""),
        symbols: section.texts("symbols", SYMBOLS),
        when: section.text("when", condition),
        until: section.text("until", condition),
        hold: section.text("for", DURATION),
        cooldown: section.text("cooldown", DURATION),
        once_per_window: section.text("once_per_window", WINDOW),
        once_per_close: section.text("once_per_close", WINDOW),
        severity: section.text("severity", SEVERITY),
        labels: labels(&section),
        message: section.text("message", "a text in quotes, such as \"{symbol}: {price}\""),
    }
}

fn labels(section: &Section<'_>) -> Vec<(Text, Text)> {
    let expected = "a table of texts, such as { desk = \"crypto\" }";
    let Some(value) = section.value("labels") else { return Vec::new() };
    let Some(table) = value.get_ref().as_table() else {
        section.wrong("labels", expected, value);
        return Vec::new();
    };
    let mut labels = Vec::new();
    for (name, value) in table.iter() {
        match value.get_ref() {
            DeValue::String(text) => {
                let name = Spanned::new(name.span(), name.get_ref().to_string());
                labels.push((name, Spanned::new(value.span(), text.to_string())));
            }
            _ => section.wrong("labels", expected, value),
        }
    }
    labels
}

fn silence(table: &DeTable<'_>, span: Range<usize>, problems: &Problems<'_>) -> RawSilence {
    let keys = ["name", "rules", "symbols", "severity", "labels", "from", "until", "asked"];
    let section = Section::new("[[silences]]", table, span.clone(), &keys, problems);
    let of = selector(&section, span.clone());
    let name = section.text("name", "a name in quotes, such as \"maintenance\"");
    let (from, until) = (section.time("from"), section.time("until"));
    RawSilence { span, name, of, from, until, asked: section.boolean("asked") }
}

fn inhibition(table: &DeTable<'_>, span: Range<usize>, problems: &Problems<'_>) -> RawInhibition {
    let keys = ["source", "target", "equal"];
    let section = Section::new("[[inhibitions]]", table, span.clone(), &keys, problems);
    let part = |key: &str| {
        let Some(value) = section.value(key) else {
            problems.add(span.clone(), format!("`{key}` is missing here"));
            return None;
        };
        let Some(table) = value.get_ref().as_table() else {
            section.wrong(key, "a table, such as { rules = [\"feed-*\"] }", value);
            return None;
        };
        let keys = ["rules", "symbols", "severity", "labels"];
        let inner = Section::new(key, table, value.span(), &keys, problems);
        Some(selector(&inner, value.span()))
    };
    let equal = section.texts("equal", "what alerts have in common, such as [\"symbol\", \"label.desk\"]");
    RawInhibition { span: span.clone(), source: part("source"), target: part("target"), equal }
}

fn selector(section: &Section<'_>, span: Range<usize>) -> RawSelector {
    RawSelector {
        span,
        rules: section.texts("rules", "names of rules, such as [\"burst\", \"feed-*\"]"),
        symbols: section.texts("symbols", SYMBOLS),
        severity: severities(section),
        labels: labels(section),
    }
}

/// One, or a list of them.
fn severities(section: &Section<'_>) -> Option<Spanned<Vec<Text>>> {
    let value = section.value("severity")?;
    match value.get_ref() {
        DeValue::String(text) => {
            Some(Spanned::new(value.span(), vec![Spanned::new(value.span(), text.to_string())]))
        }
        DeValue::Array(_) => section.texts("severity", SEVERITY),
        _ => {
            section.wrong("severity", &format!("{SEVERITY}, or a list of them"), value);
            None
        }
    }
}

pub(super) const SEVERITY: &str = "\"info\", \"warning\" or \"critical\"";
const SYMBOLS: &str = "symbols, such as [\"VENUE:*\"]";
const WINDOW: &str = "a window's name in quotes, such as \"1m\"";
