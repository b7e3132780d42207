//! Rules about documents and scripts.

use crate::tree::{File, Offence, Tree};

/// Documents whose paths must exist, from the root or from the document's folder.
const DOCUMENTS: &[&str] =
    &["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/rules.md", "feeds/README.md"];

/// How a path of the checkout begins.
const ROOTS: &[&str] = &["src/", "feeds/", "tests/", "benches/", "scripts/", ".ci/", ".config/", ".cargo/"];

/// How a path on one particular machine begins.
const MACHINE: &[&str] = &["/work", "/root", "/home", "/tmp/bash"];

/// Every path that a document names exists.
pub(crate) fn paths(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in tree.files.iter().filter(|file| DOCUMENTS.contains(&file.path.as_str())) {
        let mut in_fence = false;
        for (number, line) in (1..).zip(file.text.lines()) {
            if line.trim_start().starts_with("```") {
                in_fence = !in_fence;
                continue;
            }
            let mut named = if in_fence { words(line) } else { quoted(line) };
            named.extend(targets(line));
            let is_there = |path: &&String| tree.has(path) || tree.has(&format!("{}/{path}", file.folder()));
            for path in named.iter().filter(|path| !is_there(path)) {
                offences.push(file.offence(number, format!("there is no {path}: correct the path")));
            }
        }
    }
    offences
}

/// The words of `text` that are paths of the checkout.
fn words(text: &str) -> Vec<String> {
    let bare =
        |word: &str| word.trim_matches(|c: char| "\"'`,;:()".contains(c)).trim_end_matches('.').to_owned();
    let names_one = |word: &String| !word.contains(['<', '>', '*', '{', '$', '…', '[']);
    let words = text.split_whitespace().map(|word| bare(word).trim_start_matches("./").to_owned());
    words.filter(|word| ROOTS.iter().any(|root| word.starts_with(root))).filter(names_one).collect()
}

/// Paths in `text` between backticks.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).flat_map(words).collect()
}

/// Targets of links that are not addresses.
fn targets(text: &str) -> Vec<String> {
    let after = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let paths = after.map(|(target, _)| target.split('#').next().unwrap_or_default().to_owned());
    paths.filter(|path| !path.is_empty() && !path.contains("://")).collect()
}

/// Scripts can be run, say what they are for, stop at the first failure, and are known to the reader. A script
/// that ends in `.sh` is a part of others.
pub(crate) fn scripts(tree: &Tree) -> Vec<Offence> {
    let known: Vec<&File> =
        tree.files.iter().filter(|file| DOCUMENTS.contains(&file.path.as_str())).collect();
    let mut offences = Vec::new();
    for file in tree.files.iter().filter(|file| file.is_in("scripts") || file.path == ".ci/run") {
        let is_part = file.path.ends_with(".sh");
        let is_bash = file.text.starts_with("#!/usr/bin/env bash\n");
        let lacks = [
            (!file.executable && !is_part, "make it executable"),
            (
                file.text.lines().nth(usize::from(!is_part)).is_none_or(|line| !line.starts_with("# ")),
                "say in a comment at its head what it is for",
            ),
            (is_bash && !is_part && !file.text.contains("\nset -euo pipefail\n"), "set -euo pipefail"),
            (
                !is_part && !known.iter().any(|document| document.text.contains(&file.path)),
                "name it in CONTRIBUTING.md",
            ),
        ];
        let lacking = lacks.into_iter().filter(|(lacks, _)| *lacks);
        offences.extend(lacking.map(|(_, what)| file.offence(1, what)));
    }
    offences
}

/// Nothing of ours depends on where a machine keeps things.
pub(crate) fn machine_paths(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in tree.files.iter().filter(|file| !file.is_in("tests/tidy")) {
        for (number, line) in (1..).zip(file.text.lines()) {
            if let Some(path) = MACHINE.iter().find(|path| names_absolute(line, path)) {
                offences
                    .push(file.offence(number, format!("`{path}` is a path of one machine: take it out")));
            }
        }
    }
    offences
}

/// True if `line` holds the absolute path `path`, whole or as the beginning of a longer one.
fn names_absolute(line: &str, path: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || "_-".contains(c);
    line.match_indices(path).any(|(at, _)| {
        let is_inside = line[..at].ends_with(|c: char| is_name(c) || ".}>/*".contains(c));
        let is_longer = path != "/tmp/bash" && line[at + path.len()..].starts_with(is_name);
        !(is_inside || is_longer)
    })
}

#[test]
fn paths_are_found_in_prose_and_commands() {
    assert_eq!(quoted("run `scripts/test` or `cargo test src`, not src/a.rs"), ["scripts/test"]);
    assert_eq!(words("./scripts/test --fast # see feeds/src/venues/<name>.rs"), ["scripts/test"]);
    assert_eq!(targets("[a](README.md#b) [c](https://d/e) [f](#g)"), ["README.md"]);
}

#[test]
fn only_whole_absolute_paths_are_of_a_machine() {
    assert!(names_absolute("cd /work", "/work"));
    assert!(!names_absolute("src/work", "/work"));
    assert!(!names_absolute("a /workers b", "/work"));
}
