//! What of a configuration can change results: as canonical text, as a digest, and what differs between two.
//!
//! The text is stored with the results, so that a later run can say which setting it is that differs. One setting is
//! one line: `lateness 2s`, `window 1m tumbling 1m open high low close`.

use sha2::{Digest, Sha256};

use super::{Config, duration};

/// First line of the text: its version.
const HEADING: &str = "tapedeck configuration 1";

impl Config {
    /// The canonical text of everything that can change a result: equal texts, equal results.
    #[must_use]
    pub fn canonical(&self) -> String {
        let engine = &self.engine;
        let mut text = format!("{HEADING}\n");
        for (key, value) in
            [("lateness", engine.lateness), ("max_ahead", engine.max_ahead), ("idle", engine.idle)]
        {
            text.push_str(&format!("{key} {}\n", duration::format(value)));
        }
        for window in &self.windows {
            let (size, stats) = (duration::format(window.size), window.stats.join(" "));
            text.push_str(&format!("window {} {} {size} {stats}\n", window.name, window.kind.name()));
        }
        text
    }

    /// SHA-256 of the canonical text, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> String {
        Sha256::digest(self.canonical().as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What differs between two canonical texts, in words (`lateness was 2s and is 5s; window `5m` is new`); `None` if
/// nothing does.
#[must_use]
pub fn describe_difference(old: &str, new: &str) -> Option<String> {
    if old == new {
        return None;
    }
    let (before, after) = (settings(old), settings(new));
    let mut differences = Vec::new();
    for (name, was) in &before {
        match after.iter().find(|(other, _)| other == name) {
            Some((_, is)) if was == is => {}
            Some((_, is)) => differences.push(changed(name, was, is)),
            None => differences.push(format!("{} is gone", shown(name))),
        }
    }
    for (name, _) in after.iter().filter(|(name, _)| before.iter().all(|(other, _)| other != name)) {
        differences.push(format!("{} is new", shown(name)));
    }
    if differences.is_empty() {
        differences.push("the order of the windows differs".to_owned());
    }
    Some(differences.join("; "))
}

/// The settings of a text: name (`lateness`, `window 1m`) and value.
fn settings(text: &str) -> Vec<(String, &str)> {
    let named = |line| {
        let (key, value) = str::split_once(line, ' ').unwrap_or((line, ""));
        if key != "window" {
            return (key.to_owned(), value);
        }
        let (name, value) = value.split_once(' ').unwrap_or((value, ""));
        (format!("window {name}"), value)
    };
    text.lines().map(named).collect()
}

fn shown(name: &str) -> String {
    match name.split_once(' ') {
        Some((_, window)) => format!("window `{window}`"),
        None => name.to_owned(),
    }
}

fn changed(name: &str, was: &str, is: &str) -> String {
    let parts = |value| -> Vec<String> { str::split(value, ' ').map(str::to_owned).collect() };
    let (old, new) = (parts(was), parts(is));
    // Kind and size stand before the statistics.
    if !name.starts_with("window ") || old.get(..2) != new.get(..2) {
        return format!("{} was {was} and is {is}", shown(name));
    }
    let without = |a: &[String], b: &[String]| {
        let only: Vec<&str> = a.iter().filter(|x| !b.contains(x)).map(String::as_str).collect();
        only.join(", ")
    };
    let (gone, added) = (without(&old, &new), without(&new, &old));
    match (gone.is_empty(), added.is_empty()) {
        (true, true) => format!("{} has its statistics in another order", shown(name)),
        (true, false) => format!("{} has {added} in addition", shown(name)),
        (false, true) => format!("{} lacks {gone}", shown(name)),
        (false, false) => format!("{} lacks {gone} and has {added} in addition", shown(name)),
    }
}
