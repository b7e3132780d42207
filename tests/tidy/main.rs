//! The house rules that no compiler or lint checks. Links nothing of ours, reads the tree, and reports every
//! offence at once with its place and the way out.
//!
//! A check is one function in [`code`], [`docs`] or [`manifests`] and one line in [`CHECKS`], with an offence that
//! it must find and a text that it must let pass.

mod code;

mod docs;

mod manifests;

mod tree;

use tree::{File, Offence, Tree};

/// A rule: what looks for offences, and the proof that it does.
struct Check {
    name: &'static str,
    run: fn(&Tree) -> Vec<Offence>,
    /// Path and text of a file that breaks the rule.
    bad: (&'static str, &'static str),
    /// Path and text of a file that looks alike and does not.
    good: (&'static str, &'static str),
}

const CHECKS: &[Check] = &[
    Check {
        name: "module doc",
        run: code::module_doc,
        bad: ("src/a.rs", "use x;\n"),
        good: ("src/a.rs", "//! What it is for.\n"),
    },
    Check {
        name: "module name",
        run: code::module_name,
        bad: ("src/feed_utils.rs", "//! A.\n"),
        good: ("src/feed.rs", "//! A.\n"),
    },
    Check {
        name: "declared",
        run: code::declared,
        bad: ("src/stat/lost.rs", "//! Nobody's module.\n"),
        good: ("src/stat/mod.rs", "//! A.\n\nmod found;\n"),
    },
    Check {
        name: "registries",
        run: code::registries,
        bad: ("src/stat/bar.rs", "//! A.\npub static LOST: Statistic = statistic();\n"),
        good: (
            "src/stat/bar.rs",
            "//! A.\npub static OPEN: Statistic = statistic();\nfn a() -> Statistic {}\n",
        ),
    },
    Check {
        name: "pure folders",
        run: code::pure,
        bad: ("src/window/pane.rs", "//! A.\nuse std::{fmt, thread};\n"),
        good: (
            "src/window/pane.rs",
            "//! No tokio.\nuse std::fmt;\n#[cfg(test)]\nmod tests { use std::fs; }\n",
        ),
    },
    Check {
        name: "hash order",
        run: code::hash_order,
        bad: ("src/symbol/mod.rs", "//! A.\nuse std::collections::HashMap;\n"),
        good: ("src/symbol/mod.rs", "//! No HashMap.\nuse std::collections::BTreeMap;\n"),
    },
    Check {
        name: "venue names",
        run: code::venue_names,
        bad: ("src/engine/mod.rs", "//! A.\nif id == \"binance\" {}\n"),
        good: ("src/engine/mod.rs", "//! A.\n/// Such as `binance:BTCUSDT`.\n"),
    },
    Check {
        name: "leftovers",
        run: code::leftovers,
        bad: ("tests/a.rs", "//! A.\n// LATER: the rest\n"),
        good: ("tests/a.rs", "//! A.\n// TCP pushes back: see below.\n"),
    },
    Check {
        name: "lint exceptions",
        run: code::lint_exceptions,
        bad: ("src/a.rs", "//! A.\n#[allow(dead_code, reason = \"no\")]\nfn a() {}\n"),
        good: ("src/a.rs", "//! A.\n#[expect(dead_code, reason = \"yes\")]\nfn a() {}\n"),
    },
    Check {
        name: "messages",
        run: code::messages,
        bad: ("src/a.rs", "//! A.\n#[error(\n    \"Cannot open\"\n)]\n"),
        good: (
            "src/a.rs",
            "//! A.\n#[error(\"cannot open {0}\")]\nwarn!(venue = \"A.\", \"RocksDB is slow\");\n",
        ),
    },
    Check {
        name: "machine paths",
        run: docs::machine_paths,
        bad: ("scripts/x", "cd /home/someone/x\n"),
        good: ("scripts/x", "cd net/home/x\n"),
    },
    Check {
        name: "paths in documents",
        run: docs::paths,
        bad: ("README.md", "See [it](src/lost.rs).\n"),
        good: ("README.md", "See `scripts/<name>`, [us](README.md) and [you](https://example.org/a.md).\n"),
    },
    Check {
        name: "scripts",
        run: docs::scripts,
        bad: ("scripts/lost", "#!/usr/bin/env bash\n# Lost.\nset -euo pipefail\n"),
        good: ("README.md", "`scripts/found`\n"),
    },
    Check {
        name: "dependency versions",
        run: manifests::versions,
        bad: ("Cargo.toml", "[dependencies]\nserde = { version = \"1\" }\n"),
        good: (
            "Cargo.toml",
            "[dependencies]\nserde = { workspace = true }\nrocksdb = \"=0.25.0\"\nx = { path = \"x\" }\n",
        ),
    },
    Check {
        name: "inheritance",
        run: manifests::inheritance,
        bad: ("feeds/Cargo.toml", "[package]\nversion = \"0.1.0\"\n"),
        good: ("Cargo.toml", "[workspace]\n"),
    },
    Check {
        name: "no engine in feeds",
        run: manifests::feeds_is_pure,
        bad: ("feeds/Cargo.toml", "[dependencies]\ntokio = \"1.0\"\n"),
        good: ("feeds/Cargo.toml", "[dependencies]\nmemchr = \"2.8\"\n"),
    },
    Check {
        name: "length",
        run: code::length,
        bad: ("src/a.rs", concat!("//! A.\n", include_str!("../../Cargo.lock"))),
        good: ("src/a.rs", "//! A.\n"),
    },
];

#[test]
fn the_tree_is_tidy() {
    let tree = Tree::read().expect("read the checkout");
    assert!(tree.files.len() > 20, "only {} files found: is the walk broken?", tree.files.len());
    let offences: Vec<String> = CHECKS
        .iter()
        .flat_map(|check| (check.run)(&tree).into_iter().map(|offence| format!("{offence} [{}]", check.name)))
        .collect();
    assert!(offences.is_empty(), "{} offences:\n{}\n", offences.len(), offences.join("\n"));
}

#[test]
fn every_check_finds_its_planted_offence() {
    for check in CHECKS {
        let found = (check.run)(&plant(check.bad));
        assert_eq!(found.len(), 1, "{}: {:?}", check.name, listing(&found));
        assert_eq!(found[0].path, check.bad.0, "{}", check.name);
    }
}

#[test]
fn every_check_lets_good_text_pass() {
    for check in CHECKS {
        let found = (check.run)(&plant(check.good));
        assert!(found.is_empty(), "{}: {:?}", check.name, listing(&found));
    }
}

/// A tree of one file, and the list that statistics are in.
fn plant((path, text): (&str, &str)) -> Tree {
    let list = File::new(
        "src/stat/mod.rs",
        "//! A.\nmod bar;\nmod found;\nstatic ALL: [_] = [&bar::OPEN];\n",
        false,
    );
    let file = File::new(path, text, true);
    Tree { files: if path == list.path { vec![file] } else { vec![list, file] } }
}

fn listing(offences: &[Offence]) -> Vec<String> {
    offences.iter().map(ToString::to_string).collect()
}
