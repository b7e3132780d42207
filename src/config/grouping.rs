//! `group_by`, `group_wait` and `group_interval` of a sink: which alerts are told together, and how often; and `equal` of
//! an inhibition, which says in the same words what two alerts have in common.

use std::collections::BTreeSet;
use std::fmt;

use feeds::time::Nanos;
use toml::Spanned;

use super::limits::{
    SINK_GROUP_BY_MAX, SINK_GROUP_INTERVAL, SINK_GROUP_INTERVAL_RANGE, SINK_GROUP_WAIT, SINK_GROUP_WAIT_RANGE,
};
use super::nearest::advice;
use super::raw::{DURATION, Section, Text};
use super::raw_rules::RawRule;
use super::validate::Checker;
use crate::alert::Subject;

/// How a sink groups alerts. Durations are nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouping {
    /// What alerts of one group have in common, each once; all are one group without.
    pub by: Vec<GroupBy>,
    /// How long the first alert of a new group waits for others.
    pub wait: Nanos,
    /// Least time between two notifications of one group.
    pub interval: Nanos,
}

/// What of an alert says which group it is of, or what another has to have in common with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// The rule.
    Rule,
    /// The symbol, or the symbols of a rule over several.
    Symbol,
    /// The symbol's venue; of a rule over several symbols the first one's.
    Venue,
    /// How bad it is.
    Severity,
    /// The rule's label of that name.
    Label(String),
}

impl GroupBy {
    /// What it is of this alert; nothing for a label that is not there.
    #[must_use]
    pub fn of<'a>(&self, alert: &Subject<'a>) -> Option<&'a str> {
        match self {
            GroupBy::Rule => Some(alert.rule),
            GroupBy::Symbol => Some(alert.symbol),
            GroupBy::Venue => alert.symbol.split(':').next(),
            GroupBy::Severity => Some(alert.severity.name()),
            GroupBy::Label(name) => alert.label(name),
        }
    }

    /// True if two alerts have it in common. A label that is not there is an empty one.
    #[must_use]
    pub fn is_common(&self, one: &Subject<'_>, other: &Subject<'_>) -> bool {
        self.of(one).unwrap_or_default() == self.of(other).unwrap_or_default()
    }
}

/// What stands before the name of a label.
const LABEL: &str = "label.";

impl fmt::Display for GroupBy {
    /// As it is written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GroupBy::Rule => f.write_str("rule"),
            GroupBy::Symbol => f.write_str("symbol"),
            GroupBy::Venue => f.write_str("venue"),
            GroupBy::Severity => f.write_str("severity"),
            GroupBy::Label(name) => write!(f, "{LABEL}{name}"),
        }
    }
}

/// The keys as they were written.
#[derive(Debug)]
pub(super) struct RawGrouping {
    by: Option<Spanned<Vec<Text>>>,
    wait: Option<Text>,
    interval: Option<Text>,
}

impl RawGrouping {
    pub(super) fn read(section: &Section<'_>) -> RawGrouping {
        RawGrouping {
            by: section.texts(
                "group_by",
                "what alerts have in common, such as [\"rule\", \"symbol\", \"label.desk\"]",
            ),
            wait: section.text("group_wait", DURATION),
            interval: section.text("group_interval", DURATION),
        }
    }
}

impl Checker<'_> {
    /// The grouping, if there is one. Labels are those of `rules`; without rules, which may come later, any.
    pub(super) fn grouping(&self, raw: &RawGrouping, rules: &[RawRule]) -> Option<Grouping> {
        let time = |name: &str, text: &Option<Text>, range, default| {
            let text = text.as_ref()?;
            if raw.by.is_none() {
                let message = format!("`{name}` is of no use without `group_by`, which says what is a group");
                self.problems.add(text.span(), message);
            }
            Some(self.duration(text, range).unwrap_or(default))
        };
        let wait = time("group_wait", &raw.wait, SINK_GROUP_WAIT_RANGE, SINK_GROUP_WAIT);
        let interval = time("group_interval", &raw.interval, SINK_GROUP_INTERVAL_RANGE, SINK_GROUP_INTERVAL);
        let unknown = |name: &str| format!("alerts cannot be grouped by `{name}`");
        Some(Grouping {
            by: self.group_by(raw.by.as_ref()?, rules, unknown),
            wait: wait.unwrap_or(SINK_GROUP_WAIT),
            interval: interval.unwrap_or(SINK_GROUP_INTERVAL),
        })
    }

    /// What alerts have in common; `unknown` says of a name that it is nothing of that kind.
    pub(super) fn group_by(
        &self,
        raw: &Spanned<Vec<Text>>,
        rules: &[RawRule],
        unknown: impl Fn(&str) -> String,
    ) -> Vec<GroupBy> {
        let texts = raw.get_ref();
        if texts.len() > SINK_GROUP_BY_MAX {
            let message = format!("{} of them; at most {SINK_GROUP_BY_MAX} are taken", texts.len());
            self.problems.add(raw.span(), message);
        }
        let labels = rules.iter().flat_map(|rule| &rule.labels);
        let labels: BTreeSet<String> = labels.map(|(name, _)| format!("{LABEL}{}", name.get_ref())).collect();
        let mut by = Vec::new();
        for text in texts {
            let is_known = rules.is_empty() || labels.contains(text.get_ref());
            let one = match text.get_ref().as_str() {
                "rule" => GroupBy::Rule,
                "symbol" => GroupBy::Symbol,
                "venue" => GroupBy::Venue,
                "severity" => GroupBy::Severity,
                name => match name.strip_prefix(LABEL).filter(|name| !name.is_empty() && is_known) {
                    Some(label) => GroupBy::Label(label.to_owned()),
                    None => {
                        self.no_group(text, &labels, &unknown);
                        continue;
                    }
                },
            };
            if by.contains(&one) {
                self.problems.add(text.span(), format!("`{one}` is there already"));
            }
            by.push(one);
        }
        by
    }

    fn no_group(&self, text: &Text, labels: &BTreeSet<String>, unknown: impl Fn(&str) -> String) {
        let known =
            ["rule", "symbol", "venue", "severity"].into_iter().chain(labels.iter().map(String::as_str));
        let (name, advice) = (text.get_ref(), advice(text.get_ref(), known));
        let message = match name.strip_prefix(LABEL) {
            Some(label) if !label.is_empty() => format!("no rule has the label `{label}`; {advice}"),
            _ => format!("{}; {advice}", unknown(name)),
        };
        self.problems.add(text.span(), message);
    }
}

#[cfg(test)]
mod tests {
    use feeds::time::SECOND;

    use super::*;
    use crate::config::{Catalogue, Config};

    const RULES: &str = "[[rules]]\nname = \"a\"\nwhen = \"size > 1\"\nlabels = { desk = \"one\" }\n";

    fn grouping(keys: &str, rules: &str) -> Result<Option<Grouping>, String> {
        let text = format!("[[sinks]]\nkind = \"stdout\"\n{keys}\n{rules}");
        let config = Config::parse("it.toml", &text, &Catalogue::built_in());
        config.map(|mut config| config.sinks.remove(0).grouping).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_written_is_how_they_are_grouped() {
        assert_eq!(grouping("", RULES), Ok(None));
        let all = Grouping { by: Vec::new(), wait: 30 * SECOND, interval: 300 * SECOND };
        assert_eq!(grouping("group_by = []", RULES), Ok(Some(all)));
        let keys = "group_by = ['severity', 'label.desk', 'rule', 'symbol', 'venue']\ngroup_wait = '0s'\n\
                    group_interval = '10ms'";
        let by = vec![
            GroupBy::Severity,
            GroupBy::Label("desk".to_owned()),
            GroupBy::Rule,
            GroupBy::Symbol,
            GroupBy::Venue,
        ];
        let written: Vec<String> = by.iter().map(GroupBy::to_string).collect();
        assert_eq!(written, ["severity", "label.desk", "rule", "symbol", "venue"]);
        assert_eq!(grouping(keys, RULES), Ok(Some(Grouping { by, wait: 0, interval: SECOND / 100 })));
        // Rules may come while it runs, with labels of their own.
        let later = grouping("group_by = ['label.desk']", "").unwrap().unwrap();
        assert_eq!(later.by, [GroupBy::Label("desk".to_owned())]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place_and_what_was_meant() {
        for (keys, said) in [
            (
                "group_bye = []",
                "it.toml:3:1: unknown key `group_bye` in [[sinks]]; the nearest is `group_by`",
            ),
            ("group_by = 'rule'", "it.toml:3:12: `group_by` is a list of"),
            (
                "group_by = ['rules']",
                "it.toml:3:13: alerts cannot be grouped by `rules`; the nearest is `rule`",
            ),
            (
                "group_by = ['label.dsk']",
                "it.toml:3:13: no rule has the label `dsk`; the nearest is `label.desk`",
            ),
            ("group_by = ['desk']", "cannot be grouped by `desk`; the nearest is `label.desk`"),
            ("group_by = ['label.']", "cannot be grouped by `label.`"),
            ("group_by = ['zzz']", "available: rule, symbol, venue, severity, label.desk"),
            ("group_by = ['rule', 'rule']", "it.toml:3:21: `rule` is there already"),
            ("group_by = []\ngroup_wait = '1 min'", "it.toml:4:14: `1 min` is not a duration; write `1m`"),
            ("group_by = []\ngroup_wait = '2h'", "`2h` is not between 0s and 1h"),
            ("group_by = []\ngroup_interval = '0s'", "`0s` is not between 1ms and 1d"),
            ("group_by = []\ngroup_interval = 5", "`group_interval` is a duration in quotes"),
            ("group_wait = '1s'", "it.toml:3:14: `group_wait` is of no use without `group_by`"),
            ("group_interval = '1s'", "`group_interval` is of no use without `group_by`"),
        ] {
            let why = grouping(keys, RULES).unwrap_err();
            assert!(why.contains(said), "{why}");
        }
        let many = (0..=SINK_GROUP_BY_MAX).map(|at| format!("'label.l{at}'")).collect::<Vec<_>>().join(", ");
        let why = grouping(&format!("group_by = [{many}]"), "").unwrap_err();
        assert!(why.contains("17 of them; at most 16 are taken"), "{why}");
    }
}
