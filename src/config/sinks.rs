//! `[[sinks]]`: where alerts are told beside the log, which of them, and how they are grouped.

use std::ops::Range;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::DeTable;

use super::glob::Glob;
use super::grouping::{Grouping, RawGrouping};
use super::limits::SINKS_MAX;
use super::nearest::advice;
use super::problem::Problems;
use super::raw::{Section, Text};
use super::raw_rules::RawRule;
use super::validate::Checker;
use crate::alert::{Severity, State};
use crate::feed::address::Address;
use crate::sink::SINKS;

/// One place where alerts are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkSpec {
    /// Its name, unique; how far it came is kept under it.
    pub name: String,
    /// One of [`SINKS`].
    pub kind: &'static str,
    /// Where it posts to.
    pub url: Option<String>,
    /// The file that it writes.
    pub path: Option<PathBuf>,
    /// A file with the secret that it signs with.
    pub secret_file: Option<PathBuf>,
    /// Patterns for rules; none for all.
    pub rules: Vec<String>,
    /// Patterns for symbols; none for all.
    pub symbols: Vec<String>,
    /// This severity and worse.
    pub severity: Option<Severity>,
    /// These states.
    pub states: Vec<State>,
    /// Those that are suppressed, too.
    pub suppressed: bool,
    /// How they are grouped; each is told by itself without.
    pub grouping: Option<Grouping>,
}

/// The states that a sink tells unless it says otherwise: what somebody may have to do something about, and its end.
const STATES: [State; 2] = [State::Firing, State::Resolved];

/// `[[sinks]]` as it was written.
#[derive(Debug)]
pub(super) struct RawSink {
    span: Range<usize>,
    name: Option<Text>,
    kind: Option<Text>,
    url: Option<Text>,
    path: Option<Text>,
    secret_file: Option<Text>,
    rules: Option<Spanned<Vec<Text>>>,
    symbols: Option<Spanned<Vec<Text>>>,
    severity: Option<Text>,
    states: Option<Spanned<Vec<Text>>>,
    suppressed: Option<bool>,
    grouping: RawGrouping,
}

impl RawSink {
    pub(super) fn read(table: &DeTable<'_>, span: Range<usize>, problems: &Problems<'_>) -> RawSink {
        let keys = [
            "name",
            "kind",
            "url",
            "path",
            "secret_file",
            "rules",
            "symbols",
            "severity",
            "states",
            "suppressed",
            "group_by",
            "group_wait",
            "group_interval",
        ];
        let section = Section::new("[[sinks]]", table, span.clone(), &keys, problems);
        RawSink {
            span,
            name: section.text("name", "a name in quotes, such as \"pager\""),
            kind: section.text("kind", "a kind in quotes, such as \"webhook\""),
            url: section.text("url", "an address in quotes, such as \"https://desk.example/alerts\""),
            path: section.text("path", "a file in quotes, such as \"alerts.ndjson\""),
            secret_file: section.text("secret_file", "a file in quotes, such as \"secret\""),
            rules: section.texts("rules", "patterns for rules, such as [\"burst*\"]"),
            symbols: section.texts("symbols", "patterns for symbols, such as [\"*:BTC*\"]"),
            severity: section.text("severity", "a severity in quotes, such as \"warning\""),
            states: section.texts("states", "states, such as [\"firing\", \"resolved\"]"),
            suppressed: section.boolean("suppressed"),
            grouping: RawGrouping::read(&section),
        }
    }
}

impl Checker<'_> {
    /// The sinks, whose groups may go by the labels of `rules`.
    pub(super) fn sinks(&self, raw: &[RawSink], rules: &[RawRule]) -> Vec<SinkSpec> {
        if let Some(first) = raw.get(SINKS_MAX) {
            let message = format!("{} sinks; at most {SINKS_MAX} are told", raw.len());
            self.problems.add(first.span.clone(), message);
        }
        let sinks: Vec<SinkSpec> = raw.iter().filter_map(|sink| self.sink(sink, rules)).collect();
        for (at, sink) in sinks.iter().enumerate() {
            if sinks[..at].iter().any(|other| other.name == sink.name) {
                let span = raw.get(at).map_or(0..0, |raw| raw.span.clone());
                self.problems.add(span, format!("sink `{}` is there already: give each a `name`", sink.name));
            }
        }
        sinks
    }

    fn sink(&self, raw: &RawSink, rules: &[RawRule]) -> Option<SinkSpec> {
        let kind = self.required(&raw.kind, "kind", &raw.span)?;
        let known = SINKS.iter().find(|sink| sink.name() == kind.get_ref());
        let Some(known) = known else {
            let advice = advice(kind.get_ref(), SINKS.iter().map(|sink| sink.name()));
            self.problems.add(kind.span(), format!("unknown kind `{}`; {advice}", kind.get_ref()));
            return None;
        };
        for (key, value) in [("url", &raw.url), ("path", &raw.path), ("secret_file", &raw.secret_file)] {
            let takes = known.keys().iter().find(|(name, _)| *name == key);
            match (takes, value) {
                (None, Some(value)) => {
                    self.problems.add(value.span(), format!("a {} has no `{key}`", known.name()));
                }
                (Some((_, true)), None) => {
                    self.problems
                        .add(raw.span.clone(), format!("a {} has a `{key}`, which is missing", known.name()));
                }
                (_, Some(value)) if value.get_ref().is_empty() => {
                    self.problems.add(value.span(), format!("`{key}` is empty"));
                }
                _ => {}
            }
        }
        let name = match &raw.name {
            Some(_) => self.name(&raw.name, &raw.span)?.into_inner(),
            None => known.name().to_owned(),
        };
        let path = |text: &Option<Text>| text.as_ref().map(|text| PathBuf::from(text.get_ref()));
        Some(SinkSpec {
            name,
            kind: known.name(),
            url: raw.url.as_ref().and_then(|url| self.post(url)),
            path: path(&raw.path),
            secret_file: path(&raw.secret_file),
            rules: self.rules_told(raw.rules.as_ref(), rules),
            symbols: raw
                .symbols
                .as_ref()
                .map(|raw| patterns(self.symbol_globs(Some(raw))))
                .unwrap_or_default(),
            severity: raw.severity.as_ref().and_then(|text| self.least_severity(text)),
            states: raw.states.as_ref().map_or(STATES.to_vec(), |states| self.states(states)),
            suppressed: raw.suppressed.unwrap_or(false),
            grouping: self.grouping(&raw.grouping, rules),
        })
    }

    /// Patterns for those of `rules`; without rules, which may come later, any.
    fn rules_told(&self, raw: Option<&Spanned<Vec<Text>>>, rules: &[RawRule]) -> Vec<String> {
        let Some(raw) = raw else { return Vec::new() };
        let names: Vec<&str> =
            rules.iter().filter_map(|r| Some(r.name.as_ref()?.get_ref().as_str())).collect();
        patterns(match names.is_empty() {
            true => self.globs("rules", Some(raw)),
            false => self.rule_globs(Some(raw), &names),
        })
    }

    fn post(&self, text: &Text) -> Option<String> {
        let url = text.get_ref();
        let is_http = url.starts_with("http://") || url.starts_with("https://");
        if !is_http || Address::parse(url).is_err() {
            // What stands behind the host may be a secret.
            let message = "this is no address to post to; write https://HOST/PATH";
            self.problems.add(text.span(), message);
            return None;
        }
        Some(url.clone())
    }

    fn least_severity(&self, text: &Text) -> Option<Severity> {
        let severity = Severity::by_name(text.get_ref());
        if severity.is_none() {
            let advice = advice(text.get_ref(), Severity::ALL.map(Severity::name));
            self.problems.add(text.span(), format!("unknown severity `{}`; {advice}", text.get_ref()));
        }
        severity
    }

    fn states(&self, raw: &Spanned<Vec<Text>>) -> Vec<State> {
        if raw.get_ref().is_empty() {
            self.problems
                .add(raw.span(), "`states` is empty; without it a sink tells what fires and is resolved");
        }
        let known = raw.get_ref().iter().filter_map(|text| {
            let state = State::by_name(text.get_ref());
            if state.is_none() {
                let advice = advice(text.get_ref(), State::ALL.map(State::name));
                self.problems.add(text.span(), format!("unknown state `{}`; {advice}", text.get_ref()));
            }
            state
        });
        known.collect()
    }
}

fn patterns(globs: Vec<Glob>) -> Vec<String> {
    globs.iter().map(|glob| glob.as_str().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Catalogue, Config};

    fn sinks(text: &str) -> Result<Vec<SinkSpec>, String> {
        let config = Config::parse("it.toml", text, &Catalogue::built_in());
        config.map(|config| config.sinks).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_written_is_what_is_told() {
        let all = sinks(
            "[[sinks]]\nkind = \"stdout\"\n[[sinks]]\nname = \"pager\"\nkind = \"webhook\"\nurl = \"https://a.example/x\"\n\
             rules = [\"b*\"]\nsymbols = [\"*:BTC*\"]\nseverity = \"critical\"\nstates = [\"firing\"]\nsuppressed = true\n\
             secret_file = \"s\"\n",
        );
        let all = all.unwrap();
        assert_eq!((all[0].name.as_str(), all[0].kind, all[0].suppressed), ("stdout", "stdout", false));
        assert_eq!(all[0].states, [State::Firing, State::Resolved]);
        assert_eq!((all[1].name.as_str(), all[1].severity), ("pager", Some(Severity::Critical)));
        assert_eq!((all[1].states.as_slice(), all[1].suppressed), (&[State::Firing][..], true));
        assert_eq!(all[1].secret_file, Some("s".into()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, said) in [
            ("name = \"a\"", "`kind` is missing"),
            ("kind = \"webhok\"", "`webhook`"),
            ("kind = \"webhook\"", "has a `url`, which is missing"),
            ("kind = \"file\"\npath = \"\"", "`path` is empty"),
            ("kind = \"file\"\npath = \"a\"\nurl = \"https://a/\"", "a file has no `url`"),
            ("kind = \"webhook\"\nurl = \"ftp://a/?key=s3cret\"", "no address to post to"),
            ("kind = \"stdout\"\nseverity = \"bad\"", "unknown severity"),
            ("kind = \"stdout\"\nstates = [\"fired\"]", "unknown state `fired`"),
            ("kind = \"stdout\"\n[[sinks]]\nkind = \"stdout\"", "is there already"),
        ] {
            let why = sinks(&format!("[[sinks]]\n{text}\n")).unwrap_err();
            assert!(why.contains(said), "{why}");
        }
    }

    #[test]
    fn what_a_sink_is_to_tell_exists() {
        let rules = "[[rules]]\nname = \"burst\"\nwhen = \"price > 1\"\n";
        for (keys, said) in [
            ("rules = [\"burts\"]", "it.toml:6:10: unknown rule `burts`; the nearest is `burst`"),
            ("rules = [\"zz\"]", "unknown rule `zz`; available: burst"),
            ("rules = [\"burst\", \"z*\"]", "it.toml:6:19: no rule's name is like `z*`"),
            ("rules = []", "`rules` is empty; without it all are meant"),
            ("symbols = [\"binace:*\"]", "it.toml:6:12: unknown venue `binace`; the nearest is `binance`"),
            ("symbols = [\"BTC\"]", "`BTC` is no symbol; write venue:NATIVE, or venue:*"),
        ] {
            let why = sinks(&format!("{rules}[[sinks]]\nkind = \"stdout\"\n{keys}\n")).unwrap_err();
            assert!(why.contains(said), "{why}");
        }
        let right = "rules = [\"b*\", \"burst\"]\nsymbols = [\"*:BTC*\", \"binance:*\", \"file:A\", \"*\"]\n";
        let told = sinks(&format!("{rules}[[sinks]]\nkind = \"stdout\"\n{right}")).unwrap().remove(0);
        assert_eq!((told.rules.len(), told.symbols.len()), (2, 4));
        // The rules may come while it runs.
        let told = sinks("[[sinks]]\nkind = \"stdout\"\nrules = [\"zz\"]\n").unwrap().remove(0);
        assert_eq!(told.rules, ["zz"]);
    }
}
