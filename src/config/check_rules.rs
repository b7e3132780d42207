//! From what the user wrote about rules to what the engine uses.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use feeds::time::{self, Nanos};
use toml::Spanned;

use super::glob::Glob;
use super::grouping::GroupBy;
use super::nearest::{advice, nearest};
use super::raw::Text;
use super::raw_rules::{RawInhibition, RawRule, RawRules, RawSelector, RawSilence};
use super::rules::{InhibitionSpec, RuleSpec, RulesSpec, Selector, SilenceSpec};
use super::validate::Checker;
use super::{WindowSpec, limits};
use crate::alert::Severity;
use crate::rule::{Compiler, Names, Problem, Reads};
use crate::window::plan::Window;

impl Checker<'_> {
    /// The rules; only as good as there are no problems.
    pub(super) fn rules(&self, raw: &RawRules, windows: &[WindowSpec]) -> RulesSpec {
        let planned: Vec<Window> = windows.iter().map(WindowSpec::planned).collect();
        self.unique("rule", raw.rules.iter().filter_map(|rule| rule.name.as_ref()));
        self.unique("silence", raw.silences.iter().filter_map(|silence| silence.name.as_ref()));
        self.at_most("rules", raw.rules.iter().map(|rule| &rule.span), limits::RULES_MAX);
        self.at_most("silences", raw.silences.iter().map(|silence| &silence.span), limits::SILENCES_MAX);
        let inhibitions = raw.inhibitions.iter().map(|inhibition| &inhibition.span);
        self.at_most("inhibitions", inhibitions, limits::SILENCES_MAX);
        let names: Vec<&str> =
            raw.rules.iter().filter_map(|r| Some(r.name.as_ref()?.get_ref().as_str())).collect();
        // What rules read is gathered when they are used; here it is only seen that they are right.
        let mut compiler = Compiler::new(Names { windows: &planned });
        RulesSpec {
            rules: raw.rules.iter().filter_map(|rule| self.rule(rule, &planned, &mut compiler)).collect(),
            silences: raw.silences.iter().filter_map(|it| self.silence(it, &names, &raw.rules)).collect(),
            inhibitions: raw
                .inhibitions
                .iter()
                .filter_map(|it| self.inhibition(it, &names, &raw.rules))
                .collect(),
        }
    }

    fn at_most<'t>(
        &self,
        what: &str,
        mut spans: impl ExactSizeIterator<Item = &'t Range<usize>>,
        most: usize,
    ) {
        let count = spans.len();
        if let Some(first) = spans.nth(most) {
            self.problems.add(first.clone(), format!("{count} {what}; at most {most} are kept"));
        }
    }

    fn rule(&self, raw: &RawRule, windows: &[Window], compiler: &mut Compiler<'_>) -> Option<RuleSpec> {
        let name = self.name(&raw.name, &raw.span);
        let when = self.required(&raw.when, "when", &raw.span);
        let reads = when.and_then(|when| self.condition(when, compiler));
        let until = raw.until.as_ref().and_then(|until| Some((until, self.condition(until, compiler)?)));
        let message = raw.message.as_ref().and_then(|text| Some((text, self.message(text, compiler)?)));
        let is_cross = reads.as_ref().is_some_and(Reads::is_cross);
        for (text, others) in [&until, &message].into_iter().flatten() {
            self.agree(is_cross, reads.is_some(), text, others);
        }
        let symbols = match &raw.symbols {
            Some(symbols) if is_cross => {
                let message = "this rule names its symbols itself; take `symbols` out";
                self.problems.add(symbols.span(), message);
                Vec::new()
            }
            None if is_cross => Vec::new(),
            symbols => self.symbol_globs(symbols.as_ref()),
        };
        let window = |field: &Option<Text>| self.window_name(field.as_ref(), windows);
        let (per_window, per_close) = (window(&raw.once_per_window), window(&raw.once_per_close));
        if let (Some(text), Some(reads)) = (&raw.once_per_close, &reads)
            && reads.is_closed()
        {
            let message = "this rule reads final windows only, and is judged at their ends in any case";
            self.problems.add(text.span(), message);
        }
        let time = |field: &Option<Text>| {
            field.as_ref().and_then(|text| self.duration(text, (0, limits::RULE_DURATION_MAX))).unwrap_or(0)
        };
        let text = |field: &Option<Text>| field.as_ref().map(|text| text.get_ref().clone());
        Some(RuleSpec {
            name: name?.into_inner(),
            symbols,
            when: when?.get_ref().clone(),
            until: text(&raw.until),
            hold: time(&raw.hold),
            cooldown: time(&raw.cooldown),
            once_per_window: per_window,
            once_per_close: per_close,
            severity: raw.severity.as_ref().map(|text| self.severity(text)).unwrap_or_default(),
            labels: self.labels(&raw.labels),
            message: text(&raw.message),
        })
    }

    /// What the condition reads, if it is one.
    fn condition(&self, text: &Text, compiler: &mut Compiler<'_>) -> Option<Reads> {
        match compiler.compile(text.get_ref()) {
            Ok(condition) => Some(self.known(text, condition.reads())),
            Err(problems) => self.inside(text, problems),
        }
    }

    /// What the message reads, if it is one.
    fn message(&self, text: &Text, compiler: &mut Compiler<'_>) -> Option<Reads> {
        match compiler.template(text.get_ref()) {
            Ok(template) => Some(self.known(text, template.reads())),
            Err(problems) => self.inside(text, problems),
        }
    }

    /// What `text` reads, whose symbols are of venues that are not misspelt.
    fn known(&self, text: &Text, reads: &Reads) -> Reads {
        for symbol in &reads.symbols {
            let quoted = format!("\"{symbol}\"");
            for (at, _) in text.get_ref().match_indices(&quoted) {
                let place = self.problems.inside(text.span(), text.get_ref(), &(at..at + quoted.len()));
                self.venue_of_symbol(symbol.venue(), place);
            }
        }
        reads.clone()
    }

    /// Notes problems of a text in its own place.
    fn inside(&self, text: &Text, problems: Vec<Problem>) -> Option<Reads> {
        for problem in problems {
            let place = self.problems.inside(text.span(), text.get_ref(), &problem.span);
            self.problems.add(place, problem.message);
        }
        None
    }

    /// `until` and `message` read of the same world as `when`.
    fn agree(&self, is_cross: bool, is_known: bool, text: &Text, others: &Reads) {
        let reads_own = others.symbols.is_empty() && !(others.slots.is_empty() && others.series.is_empty());
        if is_known && is_cross && reads_own {
            self.problems
                .add(text.span(), "`when` names symbols, so this has to name one with everything, too");
        } else if is_known && !is_cross && others.is_cross() {
            self.problems.add(text.span(), "`when` names no symbol, so this cannot name one either");
        }
    }

    fn window_name(&self, raw: Option<&Text>, windows: &[Window]) -> Option<String> {
        let name = raw?.get_ref();
        if windows.iter().all(|window| window.name != *name) {
            let advice = advice(name, windows.iter().map(|window| window.name.as_str()));
            self.problems.add(raw?.span(), format!("unknown window `{name}`; {advice}"));
        }
        Some(name.clone())
    }

    pub(super) fn severity(&self, text: &Text) -> Severity {
        Severity::by_name(text.get_ref()).unwrap_or_else(|| {
            let advice = advice(text.get_ref(), Severity::ALL.map(Severity::name));
            self.problems.add(text.span(), format!("unknown severity `{}`; {advice}", text.get_ref()));
            Severity::default()
        })
    }

    fn labels(&self, raw: &[(Text, Text)]) -> BTreeMap<String, String> {
        if let Some((name, _)) = raw.get(limits::RULE_LABELS_MAX) {
            let message = format!("{} labels; at most {} are kept", raw.len(), limits::RULE_LABELS_MAX);
            self.problems.add(name.span(), message);
        }
        for (name, value) in raw {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let text = name.get_ref();
            let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            if !begins || !text.chars().all(is_plain) || text.len() > limits::NAME_BYTES_MAX {
                let most = limits::NAME_BYTES_MAX;
                let message = format!("a label's name has letters, digits and `_`, at most {most} of them");
                self.problems.add(name.span(), message);
            }
            if value.get_ref().len() > limits::RULE_BYTES_MAX {
                let message = format!("a label has at most {} bytes", limits::RULE_BYTES_MAX);
                self.problems.add(value.span(), message);
            }
        }
        raw.iter().map(|(name, value)| (name.get_ref().clone(), value.get_ref().clone())).collect()
    }

    /// Globs of symbols; all if there are none.
    pub(super) fn symbol_globs(&self, raw: Option<&Spanned<Vec<Text>>>) -> Vec<Glob> {
        let globs = self.globs("symbols", raw);
        for text in raw.into_iter().flat_map(|raw| raw.get_ref()) {
            let pattern = text.get_ref().as_str();
            let Some((venue, _)) = pattern.split_once(':') else {
                if !pattern.contains('*') {
                    let message = format!("`{pattern}` is no symbol; write venue:NATIVE, or venue:*");
                    self.problems.add(text.span(), message);
                }
                continue;
            };
            if Glob::new(venue).is_plain() {
                self.venue_of_symbol(venue, text.span());
            }
        }
        globs
    }

    /// A file may be of any venue, so only a name that looks misspelt is.
    fn venue_of_symbol(&self, venue: &str, place: Range<usize>) {
        let is_known = self.names.channels(venue).is_some();
        if let Some(meant) = nearest(venue, self.names.venue_ids()).filter(|_| !is_known) {
            self.problems.add(place, format!("unknown venue `{venue}`; the nearest is `{meant}`"));
        }
    }

    /// Globs of rules that are among `names`; all if there are none.
    pub(super) fn rule_globs(&self, raw: Option<&Spanned<Vec<Text>>>, names: &[&str]) -> Vec<Glob> {
        for text in raw.into_iter().flat_map(|rules| rules.get_ref()) {
            let glob = Glob::new(text.get_ref());
            if names.iter().any(|name| glob.matches(name)) {
                continue;
            }
            let message = if glob.is_plain() {
                format!("unknown rule `{glob}`; {}", advice(glob.as_str(), names.iter().copied()))
            } else {
                format!("no rule's name is like `{glob}`")
            };
            self.problems.add(text.span(), message);
        }
        self.globs("rules", raw)
    }

    pub(super) fn globs(&self, key: &str, raw: Option<&Spanned<Vec<Text>>>) -> Vec<Glob> {
        let Some(raw) = raw else { return vec![Glob::new("*")] };
        if raw.get_ref().is_empty() {
            self.problems.add(raw.span(), format!("`{key}` is empty; without it all are meant"));
        }
        for text in raw.get_ref().iter().filter(|text| text.get_ref().len() > limits::RULE_BYTES_MAX) {
            let message = format!("a pattern has at most {} bytes", limits::RULE_BYTES_MAX);
            self.problems.add(text.span(), message);
        }
        raw.get_ref().iter().map(|text| Glob::new(text.get_ref())).collect()
    }

    fn selector(&self, raw: &RawSelector, names: &[&str], rules: &[RawRule]) -> Selector {
        if let Some(list) = raw.severity.as_ref().filter(|list| list.get_ref().is_empty()) {
            self.problems.add(list.span(), "`severity` is empty; without it all are meant");
        }
        for (name, _) in &raw.labels {
            let known = rules.iter().flat_map(|rule| &rule.labels).map(|(name, _)| name.get_ref().as_str());
            if !rules.is_empty() && known.clone().all(|known| known != name.get_ref()) {
                let known: BTreeSet<&str> = known.collect();
                let advice = match known.is_empty() {
                    true => "no rule has labels".to_owned(),
                    false => advice(name.get_ref(), known.iter().copied()),
                };
                let message = format!("no rule has the label `{}`; {advice}", name.get_ref());
                self.problems.add(name.span(), message);
            }
        }
        let labels = self.labels(&raw.labels).into_iter();
        Selector {
            rules: self.rule_globs(raw.rules.as_ref(), names),
            symbols: self.symbol_globs(raw.symbols.as_ref()),
            severities: raw
                .severity
                .iter()
                .flat_map(|raw| raw.get_ref())
                .map(|it| self.severity(it))
                .collect(),
            labels: labels.map(|(name, value)| (name, Glob::new(&value))).collect(),
        }
    }

    fn silence(&self, raw: &RawSilence, names: &[&str], rules: &[RawRule]) -> Option<SilenceSpec> {
        let name = self.name(&raw.name, &raw.span);
        let of = self.selector(&raw.of, names, rules);
        let from = raw.from.as_ref().and_then(|from| self.time(from));
        let until = self.required(&raw.until, "until", &raw.span);
        let end = until.and_then(|until| self.time(until));
        if let (Some(from), Some(end), Some(until)) = (from, end, until)
            && from >= end
        {
            self.problems.add(until.span(), "it ends before it begins");
        }
        let asked = raw.asked.unwrap_or(false);
        Some(SilenceSpec { name: name?.into_inner(), of, from, until: end?, asked })
    }

    fn time(&self, text: &Text) -> Option<Nanos> {
        let parsed = time::parse_words(text.get_ref());
        let example = "write it as `2026-01-31T08:00:00Z`";
        let message = |error| format!("`{}`: {error}; {example}", text.get_ref());
        parsed.map_err(|error| self.problems.add(text.span(), message(error))).ok()
    }

    fn inhibition(&self, raw: &RawInhibition, names: &[&str], rules: &[RawRule]) -> Option<InhibitionSpec> {
        let part = |part: &Option<RawSelector>, key: &str| {
            part.as_ref().map(|part| {
                if part.is_empty() {
                    let message = format!("`{key}` names nothing; write {{ rules = [\"…\"] }}");
                    self.problems.add(part.span.clone(), message);
                }
                self.selector(part, names, rules)
            })
        };
        let (source, target) = (part(&raw.source, "source"), part(&raw.target, "target"));
        let unknown = |name: &str| format!("alerts have no `{name}` in common");
        let equal = raw.equal.as_ref().map(|equal| self.group_by(equal, rules, unknown));
        let equal = equal.unwrap_or_else(|| vec![GroupBy::Symbol]);
        Some(InhibitionSpec { source: source?, target: target?, equal })
    }
}
