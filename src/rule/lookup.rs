//! Statistics of windows, looked up; and what to say of names that there are not.

use std::ops::Range;

use super::Problem;
use super::catalogue::{FUNCTIONS, NAMES};
use super::layout::Layout;
use super::syntax::Reference;
use crate::config::nearest::{advice, nearest};
use crate::stat::{self, STATISTICS, Statistic, ValueType};

/// A statistic of a window.
pub(super) struct Found {
    /// The window's place in the configuration.
    pub(super) window: usize,
    pub(super) stat: &'static Statistic,
}

impl Layout<'_, '_> {
    /// Looks `reference` up and notes whose it is.
    pub(super) fn find(&mut self, reference: &Reference, span: &Range<usize>) -> Option<Found> {
        let windows = self.compiler.names.windows;
        let stat = self.statistic(reference);
        let window = windows.iter().position(|window| window.name == reference.window);
        if window.is_none() {
            let advice = advice(&reference.window, windows.iter().map(|window| window.name.as_str()));
            let message = format!("unknown window `{}`; {advice}", reference.window);
            self.wrong(reference.window_span.clone(), message);
        }
        let (stat, window) = (stat?, window?);
        if windows[window].stats.iter().all(|kept| kept.name != stat.name) {
            let message = format!(
                "window `{}` does not keep `{1}`; add \"{1}\" to its `stats`",
                reference.window, stat.name
            );
            self.wrong(reference.stat_span.clone(), message);
            return None;
        }
        match stat.reads {
            stat::Reads::Trades => self.reads.trades = true,
            stat::Reads::Quotes => self.reads.quotes = true,
        }
        match &reference.symbol {
            Some(symbol) => self.reads.symbols_with(symbol),
            None => {
                self.own.get_or_insert_with(|| span.clone());
            }
        }
        Some(Found { window, stat })
    }

    fn statistic(&mut self, reference: &Reference) -> Option<&'static Statistic> {
        let name = reference.stat.as_str();
        match stat::by_name(name) {
            Some(stat) if stat.value_type == ValueType::Text => {
                self.wrong(reference.stat_span.clone(), format!("`{name}` is words; a rule reads numbers"));
                None
            }
            Some(stat) => Some(stat),
            None => {
                let message = if NAMES.iter().any(|known| known.name == name) {
                    format!("`{name}` is of now and of no window: write `{name}`")
                } else {
                    let advice = advice(name, STATISTICS.iter().map(|stat| stat.name));
                    format!("unknown statistic `{name}`; {advice}")
                };
                self.wrong(reference.stat_span.clone(), message);
                None
            }
        }
    }
}

/// What to say of a name that there is not.
pub(super) fn unknown_name(name: &str) -> String {
    if stat::by_name(name).is_some() {
        return format!("`{name}` is a statistic of a window: write `{name}[1s]`");
    }
    if let Some(function) = FUNCTIONS.iter().find(|function| function.name == name) {
        return format!("`{name}` is a function: write `{}`", function.signature);
    }
    let known = NAMES.iter().map(|known| known.name);
    let meant = nearest(name, known.clone());
    match (meant, nearest(name, STATISTICS.iter().map(|stat| stat.name))) {
        (Some(meant), _) => format!("unknown name `{name}`; the nearest is `{meant}`"),
        (None, Some(stat)) => format!("unknown name `{name}`; the nearest is the statistic `{stat}[1s]`"),
        (None, None) => format!("unknown name `{name}`; {}", advice(name, known)),
    }
}

/// What is wrong with what stands between braces, if it seems to be meant for a name of the alert itself.
pub(super) fn unknown_in_message(inside: &str) -> Option<Problem> {
    const OF_ALERT: [&str; 4] = ["symbol", "rule", "severity", "state"];
    let name = inside.trim();
    let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let known = OF_ALERT.into_iter().chain(NAMES.iter().map(|known| known.name));
    let meant = nearest(name, known).filter(|meant| is_name && OF_ALERT.contains(meant))?;
    let message = match name == meant {
        true => format!("write `{{{meant}}}`, without spaces"),
        false => format!("unknown name `{name}`; the nearest is `{meant}`"),
    };
    let at = inside.len() - inside.trim_start().len();
    Some(Problem { span: at..at + name.len(), message })
}

/// What to say of a function that there is not.
pub(super) fn unknown_function(name: &str) -> String {
    format!("unknown function `{name}`; {}", advice(name, FUNCTIONS.iter().map(|function| function.name)))
}
