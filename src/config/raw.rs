//! What the user wrote: the sections and keys of the file, with the place of each in the text.
//!
//! Read from TOML's own tree rather than through serde, which stops at the first thing that is wrong; here every
//! unknown key and every value of the wrong type is noted, and reading goes on.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::access::RawHttp;
use super::nearest::nearest;
use super::problem::Problems;
use super::raw_rules::{self, RawRules};
use super::sinks::RawSink;

/// A text with its place.
pub(super) type Text = Spanned<String>;

/// A whole configuration.
#[derive(Debug, Default)]
pub(super) struct Raw {
    pub(super) engine: RawEngine,
    pub(super) http: RawHttp,
    pub(super) windows: Vec<RawWindow>,
    pub(super) feeds: Vec<RawFeed>,
    pub(super) instruments: Vec<RawInstrument>,
    pub(super) groups: Vec<RawGroup>,
    pub(super) rules: RawRules,
    pub(super) sinks: Vec<RawSink>,
}

/// `[engine]`.
#[derive(Debug, Default)]
pub(super) struct RawEngine {
    pub(super) db: Option<Text>,
    pub(super) ca: Option<Text>,
    pub(super) lateness: Option<Text>,
    pub(super) max_ahead: Option<Text>,
    pub(super) idle: Option<Text>,
    pub(super) workers: Option<Spanned<i64>>,
    pub(super) checkpoint_every: Option<Text>,
    pub(super) checkpoint_entries: Option<Spanned<i64>>,
    pub(super) alerts_kept: Option<Spanned<i64>>,
    pub(super) sync: Option<Text>,
}

/// `[[windows]]`.
#[derive(Debug)]
pub(super) struct RawWindow {
    pub(super) span: Range<usize>,
    pub(super) name: Option<Text>,
    pub(super) kind: Option<Text>,
    pub(super) size: Option<Text>,
    pub(super) stats: Option<Spanned<Vec<Text>>>,
}

/// `[[feeds]]`.
#[derive(Debug)]
pub(super) struct RawFeed {
    pub(super) span: Range<usize>,
    pub(super) venue: Option<Text>,
    pub(super) symbols: Option<Spanned<Vec<Text>>>,
    pub(super) channels: Option<Spanned<Vec<Text>>>,
    pub(super) url: Option<Text>,
    pub(super) silence: Option<Text>,
}

/// `[[instruments]]`.
#[derive(Debug)]
pub(super) struct RawInstrument {
    pub(super) span: Range<usize>,
    pub(super) symbol: Option<Text>,
    pub(super) multiplier: Option<Text>,
    pub(super) inverse: Option<bool>,
    pub(super) tick: Option<Text>,
    pub(super) lot: Option<Text>,
    pub(super) scale: Option<Spanned<i64>>,
}

/// `[[groups]]`.
#[derive(Debug)]
pub(super) struct RawGroup {
    pub(super) span: Range<usize>,
    pub(super) name: Option<Text>,
    pub(super) symbols: Option<Spanned<Vec<Text>>>,
}

/// Reads `text`. What is wrong goes to `problems`; the rest is returned.
pub(super) fn read(text: &str, problems: &Problems<'_>) -> Raw {
    let Some(document) = document(text, problems) else { return Raw::default() };
    let mut sections = vec!["engine", "http", "feeds", "windows", "instruments", "groups", "sinks"];
    sections.extend(raw_rules::SECTIONS);
    let file = Section::new("the file", document.get_ref(), document.span(), &sections, problems);
    Raw {
        engine: file.table("engine").map(|(table, span)| engine(table, span, problems)).unwrap_or_default(),
        http: file
            .table("http")
            .map(|(table, span)| RawHttp::read(table, span, problems))
            .unwrap_or_default(),
        windows: file.tables("windows").into_iter().map(|(t, span)| window(t, span, problems)).collect(),
        feeds: file.tables("feeds").into_iter().map(|(t, span)| feed(t, span, problems)).collect(),
        instruments: file
            .tables("instruments")
            .into_iter()
            .map(|(t, s)| instrument(t, s, problems))
            .collect(),
        groups: file.tables("groups").into_iter().map(|(t, span)| group(t, span, problems)).collect(),
        rules: raw_rules::rules(&file, problems),
        sinks: file.tables("sinks").into_iter().map(|(t, span)| RawSink::read(t, span, problems)).collect(),
    }
}

/// The tree of `text`, if it is TOML.
pub(super) fn document<'t>(text: &'t str, problems: &Problems<'_>) -> Option<Spanned<DeTable<'t>>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Some(document);
    }
    // What stands behind a broken line is not to be trusted, so nothing more is said about it.
    for error in errors {
        problems.add(error.span().unwrap_or(0..0), error.message());
    }
    None
}

fn engine(table: &DeTable<'_>, span: Range<usize>, problems: &Problems<'_>) -> RawEngine {
    let keys = [
        "db",
        "ca",
        "lateness",
        "max_ahead",
        "idle",
        "workers",
        "checkpoint_every",
        "checkpoint_entries",
        "alerts_kept",
        "sync",
    ];
    let section = Section::new("[engine]", table, span, &keys, problems);
    RawEngine {
        db: section.text("db", "a directory in quotes, such as \"data\""),
        ca: section.text("ca", "a file in quotes, such as \"ca.pem\""),
        lateness: section.text("lateness", DURATION),
        max_ahead: section.text("max_ahead", DURATION),
        idle: section.text("idle", DURATION),
        workers: section.integer("workers"),
        checkpoint_every: section.text("checkpoint_every", DURATION),
        checkpoint_entries: section.integer("checkpoint_entries"),
        alerts_kept: section.integer("alerts_kept"),
        sync: section.text("sync", "\"default\" or \"always\""),
    }
}

pub(super) fn window(table: &DeTable<'_>, span: Range<usize>, problems: &Problems<'_>) -> RawWindow {
    // `step` and `gap` belong to kinds that come later; the kind is what is refused then, not the key.
    let keys = ["name", "kind", "size", "stats", "step", "gap"];
    let section = Section::new("[[windows]]", table, span.clone(), &keys, problems);
    let kind = section.text("kind", "a kind in quotes, such as \"tumbling\"");
    if kind.as_ref().is_none_or(|kind| kind.get_ref() == "tumbling") {
        section.refuse("step", "a tumbling window has no step");
        section.refuse("gap", "a tumbling window has no gap");
    }
    RawWindow {
        span,
        name: section.text("name", "a name in quotes, such as \"1m\""),
        kind,
        size: section.text("size", DURATION),
        stats: section.texts("stats", "statistics and sets, such as [\"bar\", \"spread_tw\"]"),
    }
}

fn feed(table: &DeTable<'_>, span: Range<usize>, problems: &Problems<'_>) -> RawFeed {
    let keys = ["venue", "symbols", "channels", "url", "silence"];
    let section = Section::new("[[feeds]]", table, span.clone(), &keys, problems);
    RawFeed {
        span,
        venue: section.text("venue", "a venue's id in quotes, such as those that `tapedeck venues` lists"),
        symbols: section.texts("symbols", "native symbols, such as [\"BTCUSDT\"]"),
        channels: section.texts("channels", "channels, such as [\"trades\", \"quotes\"]"),
        url: section.text("url", "an address in quotes, such as \"ws://127.0.0.1:9100/VENUE\""),
        silence: section.text("silence", DURATION),
    }
}

fn instrument(table: &DeTable<'_>, span: Range<usize>, problems: &Problems<'_>) -> RawInstrument {
    let keys = ["symbol", "multiplier", "inverse", "tick", "lot", "scale"];
    let section = Section::new("[[instruments]]", table, span.clone(), &keys, problems);
    RawInstrument {
        span,
        symbol: section.text("symbol", "a symbol in quotes, venue:NATIVE"),
        multiplier: section.number("multiplier"),
        inverse: section.boolean("inverse"),
        tick: section.number("tick"),
        lot: section.number("lot"),
        scale: section.integer("scale"),
    }
}

fn group(table: &DeTable<'_>, span: Range<usize>, problems: &Problems<'_>) -> RawGroup {
    let section = Section::new("[[groups]]", table, span.clone(), &["name", "symbols"], problems);
    RawGroup {
        span,
        name: section.text("name", "a name in quotes, such as \"BTC\""),
        symbols: section.texts("symbols", "symbols in quotes, venue:NATIVE"),
    }
}

pub(super) const DURATION: &str = "a duration in quotes, such as \"2s\" or \"250ms\"";

/// One table of the file and how its keys are read.
pub(super) struct Section<'a> {
    table: &'a DeTable<'a>,
    span: Range<usize>,
    problems: &'a Problems<'a>,
}

impl<'a> Section<'a> {
    /// The section called `title`, with a problem for each key that is not in `known`.
    pub(super) fn new(
        title: &str,
        table: &'a DeTable<'a>,
        span: Range<usize>,
        known: &[&'static str],
        problems: &'a Problems<'a>,
    ) -> Section<'a> {
        for key in table.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
            let advice = match nearest(key.get_ref(), known.iter().copied()) {
                Some(name) => format!("the nearest is `{name}`"),
                None => format!("known here: {}", known.join(", ")),
            };
            problems.add(key.span(), format!("unknown key `{}` in {title}; {advice}", key.get_ref()));
        }
        Section { table, span, problems }
    }

    pub(super) fn wrong(&self, key: &str, expected: &str, found: &Spanned<DeValue<'_>>) {
        let kind = found.get_ref().type_str();
        self.problems.add(found.span(), format!("`{key}` is {expected}, not {} {kind}", article(kind)));
    }

    fn refuse(&self, key: &str, why: &str) {
        if let Some((name, _)) = self.table.get_key_value(key) {
            self.problems.add(name.span(), why);
        }
    }

    pub(super) fn table(&self, key: &str) -> Option<(&'a DeTable<'a>, Range<usize>)> {
        let value = self.table.get(key)?;
        let table = value.get_ref().as_table();
        if table.is_none() {
            let at = if value.get_ref().is_array() { self.key_span(key) } else { value.span() };
            self.problems.add(at, format!("`{key}` is one table: write [{key}] once"));
        }
        table.map(|table| (table, value.span()))
    }

    pub(super) fn tables(&self, key: &str) -> Vec<(&'a DeTable<'a>, Range<usize>)> {
        let Some(value) = self.table.get(key) else { return Vec::new() };
        let items = value.get_ref().as_array().map(|array| array.iter().collect::<Vec<_>>());
        let tables = items.and_then(|items| {
            items.into_iter().map(|item| item.get_ref().as_table().map(|t| (t, item.span()))).collect()
        });
        tables.unwrap_or_else(|| {
            self.problems.add(self.key_span(key), format!("`{key}` is a list of tables: write [[{key}]]"));
            Vec::new()
        })
    }

    fn key_span(&self, key: &str) -> Range<usize> {
        self.table.get_key_value(key).map_or(self.span.clone(), |(name, _)| name.span())
    }

    pub(super) fn text(&self, key: &str, expected: &str) -> Option<Text> {
        let value = self.table.get(key)?;
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.wrong(key, expected, value);
        }
        text.map(|text| Spanned::new(value.span(), text.to_owned()))
    }

    pub(super) fn texts(&self, key: &str, expected: &str) -> Option<Spanned<Vec<Text>>> {
        let value = self.table.get(key)?;
        let Some(array) = value.get_ref().as_array() else {
            self.wrong(key, &format!("a list of {expected}"), value);
            return None;
        };
        let mut texts = Vec::with_capacity(array.len());
        for item in array.iter() {
            match item.get_ref().as_str() {
                Some(text) => texts.push(Spanned::new(item.span(), text.to_owned())),
                None => self.wrong(key, &format!("a list of {expected}"), item),
            }
        }
        Some(Spanned::new(value.span(), texts))
    }

    /// A time, in quotes or as TOML has it.
    pub(super) fn time(&self, key: &str) -> Option<Text> {
        let value = self.value(key)?;
        let text = match value.get_ref() {
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Datetime(time) => Some(time.to_string()),
            _ => None,
        };
        if text.is_none() {
            self.wrong(key, "a time in quotes, such as \"2026-01-31T08:00:00Z\"", value);
        }
        text.map(|text| Spanned::new(value.span(), text))
    }

    /// Whatever stands there.
    pub(super) fn value(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.table.get(key)
    }

    pub(super) fn integer(&self, key: &str) -> Option<Spanned<i64>> {
        let value = self.table.get(key)?;
        let number = value.get_ref().as_integer();
        let number = number.and_then(|i| i64::from_str_radix(i.as_str(), i.radix()).ok());
        if number.is_none() {
            self.wrong(key, "a whole number", value);
        }
        number.map(|number| Spanned::new(value.span(), number))
    }

    pub(super) fn boolean(&self, key: &str) -> Option<bool> {
        let value = self.table.get(key)?;
        let truth = value.get_ref().as_bool();
        if truth.is_none() {
            self.wrong(key, "true or false", value);
        }
        truth
    }

    /// A number as it is written, in quotes or not: it is read as a decimal, never as a float.
    fn number(&self, key: &str) -> Option<Text> {
        let value = self.table.get(key)?;
        let text = match value.get_ref() {
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Float(float) => Some(float.as_str().to_owned()),
            DeValue::Integer(integer) if integer.radix() == 10 => Some(integer.as_str().to_owned()),
            _ => None,
        };
        if text.is_none() {
            self.wrong(key, "a decimal number, such as 0.01", value);
        }
        text.map(|text| Spanned::new(value.span(), text))
    }
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}
