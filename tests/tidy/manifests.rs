//! Rules about `Cargo.toml` files.

use crate::tree::{File, Offence, Tree};

/// Crates that would let decoding see a clock, a socket, a task or a database.
const NOT_IN_FEEDS: &[&str] =
    &["actix", "tokio", "rocksdb", "async-std", "crossbeam-channel", "mio", "rand", "socket2", "tapedeck"];

fn manifests(tree: &Tree) -> impl Iterator<Item = &File> {
    tree.files.iter().filter(|file| file.path == "Cargo.toml" || file.path.ends_with("/Cargo.toml"))
}

/// The numbered lines of `file` that declare a dependency: its name and what is asked of it.
fn dependencies(file: &File) -> impl Iterator<Item = (usize, &str, &str)> {
    let mut is_inside = false;
    (1..).zip(file.text.lines()).filter_map(move |(number, line)| {
        if line.starts_with('[') {
            is_inside = line.trim_end().ends_with("dependencies]");
            return None;
        }
        let (name, wanted) = line.split_once('=')?;
        (is_inside && !line.starts_with('#')).then_some((number, name.trim(), wanted.trim()))
    })
}

/// Versions are pinned to the minor at least, and come from the registry.
pub(crate) fn versions(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in manifests(tree) {
        for (number, name, wanted) in dependencies(file) {
            let inherits = name.ends_with(".workspace") || wanted.contains("workspace = true");
            let is_ours = wanted.contains("path = ");
            let version =
                wanted.split_once("version = \"").map_or(wanted.trim_matches('"'), |(_, rest)| rest);
            let version = version.split('"').next().unwrap_or_default();
            let is_pinned = version.matches('.').count() >= 1 && !version.contains('*');
            if wanted.contains("git = ") || !(inherits || is_ours || is_pinned) {
                let what =
                    format!("`{name}`: name a version of the registry down to the minor, such as \"1.2\"");
                offences.push(file.offence(number, what));
            }
        }
    }
    offences
}

/// Crates share version, edition, licence and lints.
pub(crate) fn inheritance(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in manifests(tree).filter(|file| file.text.contains("[package]")) {
        let keys = ["version", "edition", "rust-version", "license"];
        let mut missing: Vec<String> = keys.iter().map(|key| format!("{key}.workspace = true")).collect();
        missing.push("[lints]\nworkspace = true".to_owned());
        missing.retain(|line| !file.text.contains(line.as_str()));
        if !missing.is_empty() {
            offences.push(file.offence(1, format!("add {}", missing.join(", ").replace('\n', " "))));
        }
    }
    offences
}

/// Decoding cannot reach a clock or the outside: what would let it is not among its dependencies.
pub(crate) fn feeds_is_pure(tree: &Tree) -> Vec<Offence> {
    let Some(file) = tree.get("feeds/Cargo.toml") else { return Vec::new() };
    let mut offences = Vec::new();
    for (number, name, wanted) in dependencies(file) {
        let has_clock = name == "chrono" && (wanted.contains("clock") || wanted.contains("now"));
        if has_clock || NOT_IN_FEEDS.contains(&name) {
            offences.push(
                file.offence(number, format!("`{name}` with a clock or the outside world: not in feeds")),
            );
        }
    }
    offences
}

#[test]
fn dependencies_are_read_from_their_tables_only() {
    let text = "[package]\nname = \"x\"\n[dev-dependencies]\n# a = 1\nb = \"1\"\n[lints]\nc = 1\n";
    let file = File::new("Cargo.toml", text, false);
    let found: Vec<_> = dependencies(&file).collect();
    assert_eq!(found, [(5, "b", "\"1\"")]);
}
