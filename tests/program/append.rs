//! One file after another with `--append`, against one replay of both.

use super::support::{Folder, rows};

/// The lines of `text` up to the one whose field is not before `cut`, and the rest, each under the head.
fn halves(text: &str, cut: &str) -> (String, String) {
    let (head, body) = text.split_once('\n').unwrap();
    let is_first = |line: &&str| line.split(',').next().unwrap() < cut;
    let first: Vec<&str> = body.lines().take_while(is_first).collect();
    let second: Vec<&str> = body.lines().skip(first.len()).collect();
    assert!(!first.is_empty() && !second.is_empty());
    (format!("{head}\n{}\n", first.join("\n")), format!("{head}\n{}\n", second.join("\n")))
}

#[test]
fn the_statistics_are_those_of_one_replay() {
    let folder = Folder::new();
    folder.trades("both.csv");
    let (first, second) = halves(&folder.read("both.csv"), "1736121607300");
    folder.write("first.csv", first);
    folder.write("second.csv", second);
    folder.run("replay both.csv --db whole --keep-ticks").fine();
    folder.run("replay first.csv second.csv --db merged").fine();
    assert_eq!(folder.digest("merged"), folder.digest("whole"), "files cut anywhere are one tape");

    folder.run("replay first.csv --db parts --keep-ticks").fine();
    let summary = folder.run("replay second.csv --db parts --append --json --keep-ticks").fine();
    let json: serde_json::Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(json["ledger"]["received"], 30_000, "the ledger is the database's");

    // Windows that were open at the end of the first file were emitted as they stood, so revisions and flags may
    // differ; what the windows say may not.
    let statistics = |db: &str| {
        let mut rows = rows(&folder.run(&format!("query windows --db {db} --format csv")).fine());
        rows.iter_mut().for_each(|row| {
            row.remove("revision");
            row.remove("flags");
        });
        rows
    };
    assert_eq!(statistics("parts"), statistics("whole"));
    let of = |what: &str, db: &str| folder.run(&format!("query {what} --db {db} --format csv")).fine();
    assert_eq!(of("symbols", "parts"), of("symbols", "whole"));
    assert_eq!(of("ticks", "parts"), of("ticks", "whole"));
    assert_eq!(of("gaps", "parts"), of("gaps", "whole"));
    assert_eq!(of("feeds", "parts").lines().count(), 3, "both files are told");
    folder.run("replay second.csv --db parts --resume").fine();
}

#[test]
fn an_append_that_was_killed_is_resumed() {
    let folder = Folder::new();
    folder.trades("both.csv");
    folder.config("c.toml");
    let (first, second) = halves(&folder.read("both.csv"), "1736121603000");
    folder.write("first.csv", first);
    folder.write("second.csv", second);
    for db in ["whole", "killed"] {
        folder.run(&format!("replay first.csv --db {db} --config c.toml")).fine();
    }
    folder.run("replay second.csv --db whole --config c.toml --append").fine();

    let applied = folder.last_run("killed").unwrap().applied;
    let mut running = folder.start("replay second.csv --db killed --config c.toml --append --speed 10x");
    assert!(folder.wait_until_past("killed", applied, &mut running), "it was too fast");
    running.signal("KILL");
    running.wait();
    let midway = folder.digest("killed");
    folder
        .run("replay second.csv --db killed --config c.toml --append")
        .failed(2, &["interrupted", "--resume"]);
    folder
        .run("replay first.csv --db killed --config c.toml --resume")
        .failed(2, &["first.csv", "second.csv"]);
    assert_eq!(folder.digest("killed"), midway, "refusals change nothing");
    folder.run("replay second.csv --db killed --config c.toml --resume").fine();
    assert_eq!(folder.digest("killed"), folder.digest("whole"));
}
