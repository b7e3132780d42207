//! What is refused, with which exit code and words; what the database holds stays.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tapedeck::store::{Batch, Family, SCHEMA, SCHEMA_KEY, open_writer};

use super::support::Folder;

/// A folder with a complete database.
fn complete() -> (Folder, String) {
    let folder = Folder::new();
    folder.trades("a.csv");
    folder.config("c.toml");
    folder.run("replay a.csv --db db --config c.toml").fine();
    let digest = folder.digest("db");
    (folder, digest)
}

#[test]
fn replays_into_a_database_that_holds_another() {
    let (folder, digest) = complete();
    folder.run("simulate --csv other.csv --symbols 20 --trades 30000 --seed 2").fine();
    folder.write("other.toml", "[[windows]]\nname = \"1s\"\n");
    let refused: [(&str, &[&str]); 9] = [
        ("a.csv --config c.toml", &["--resume", "--append"]),
        ("other.csv --config c.toml", &["--resume", "--append"]),
        ("other.csv --config c.toml --resume", &["other.csv", "a.csv", "same files"]),
        ("a.csv other.csv --config c.toml --resume", &["1 files, not 2"]),
        ("a.csv --resume", &["configuration", "`5s` is gone"]),
        ("a.csv --config other.toml --resume", &["configuration", "is gone"]),
        ("other.csv --config other.toml --append", &["configuration", "is gone"]),
        ("a.csv --config c.toml --resume --venue kraken", &["venue = none", "venue = kraken"]),
        ("a.csv --config c.toml --resume --from 2025-01-06", &["from = none", "from = 2025-01-06"]),
    ];
    for (line, words) in refused {
        folder.run(&format!("replay --db db {line}")).failed(2, words);
        assert_eq!(folder.digest("db"), digest, "{line}");
    }
    folder.run("replay a.csv --db db --config c.toml --resume --append").failed(2, &["--resume", "--append"]);
    let again = folder.run("replay a.csv --db db --config c.toml --resume --json").fine();
    let summary: serde_json::Value = serde_json::from_str(&again).unwrap();
    assert_eq!(summary["ending"], "nothing_left");
    assert_eq!(summary["ledger"]["received"], 30_000, "the ledger is the database's");
    assert_eq!(folder.digest("db"), digest);
}

#[test]
fn wrong_configurations() {
    let (folder, digest) = complete();
    let wrong: [(&str, &[&str]); 5] = [
        ("[engine]\nlatenes = \"2s\"\n", &["wrong.toml:2:1", "`latenes`", "`lateness`"]),
        ("[[windows]]\nname = \"1s\"\nstats = [\"vwop\"]\n", &["wrong.toml:3:", "`vwop`", "`vwap`"]),
        ("[engine]\nlateness = \"2 parsecs\"\n", &["wrong.toml:2:", "2 parsecs"]),
        ("[window]\nname = \"1s\"\n", &["wrong.toml:1:", "`windows`"]),
        ("[engine\n", &["wrong.toml:1:"]),
    ];
    for (text, words) in wrong {
        folder.write("wrong.toml", text);
        folder.run("replay a.csv --db fresh --config wrong.toml").failed(2, words);
        assert!(!folder.path().join("fresh").exists(), "{text}");
        folder.run("replay a.csv --db db --append --config wrong.toml").failed(2, words);
        folder.run("check wrong.toml").failed(2, words);
    }
    folder.run("replay a.csv --db db --append --config absent.toml").failed(2, &["absent.toml"]);
    assert_eq!(folder.digest("db"), digest);
}

#[test]
fn queries_for_what_is_not_there() {
    let (folder, _) = complete();
    let wrong: [(&str, &[&str]); 11] = [
        ("query windows --db absent", &["no database", "absent"]),
        ("query symbols --db absent", &["no database", "absent"]),
        ("dump --db absent --digest", &["no database", "absent"]),
        ("latency --db absent", &["no database", "absent"]),
        ("query windows --db db --window 1z", &["`1z`", "`1s`"]),
        ("query windows --db db --symbol BTCUSD", &["`BTCUSD`", "`file:BTCUSDT`"]),
        ("query late --db db --symbol file:ETHUSD", &["`file:ETHUSD`", "`file:ETHUSDT`"]),
        ("query ticks --db db", &["--keep-ticks"]),
        (
            "query windows --db db --from 2025-01-07 --to 2025-01-06",
            &["2025-01-07", "not before", "2025-01-06"],
        ),
        ("query windows --db db --from 2025-01-06 --to 2025-01-06", &["not before"]),
        ("query windows --db db --format xml", &["xml", "ndjson"]),
    ];
    for (line, words) in wrong {
        let done = folder.run(line);
        done.failed(2, words);
        assert_eq!(done.out, "", "{line}");
    }
    assert!(!folder.path().join("absent").exists(), "asking makes no database");
}

#[test]
fn a_database_that_another_process_writes_to() {
    let folder = Folder::new();
    folder.trades("a.csv");
    folder.config("c.toml");
    let mut running = folder.start("replay a.csv --db db --config c.toml --speed 1x");
    assert!(folder.wait_until_past("db", 0, &mut running));
    let pid = running.child.id().to_string();
    for mode in ["", "--resume", "--append"] {
        folder.run(&format!("replay a.csv --db db --config c.toml {mode}")).failed(4, &["db", &pid]);
    }
    folder.run("query windows --db db").fine();
    running.signal("KILL");
    running.wait();
    folder.run("replay a.csv --db db --config c.toml --resume").fine();
    folder.run("replay a.csv --db whole --config c.toml").fine();
    assert_eq!(folder.digest("db"), folder.digest("whole"));
}

#[test]
fn a_database_of_a_newer_program() {
    let (folder, _) = complete();
    let store = open_writer(&folder.path().join("db")).unwrap();
    let mut batch = Batch::default();
    batch.put(Family::Meta, SCHEMA_KEY.to_vec(), (SCHEMA + 6).to_be_bytes().to_vec());
    store.commit(&batch, true).unwrap();
    drop(store);
    let words = ["newer", &(SCHEMA + 6).to_string(), "upgrade"];
    for line in
        ["replay a.csv --db db --append", "query windows --db db", "dump --db db --digest", "latency --db db"]
    {
        folder.run(line).failed(1, &words);
    }
}

#[test]
fn a_directory_that_is_no_database() {
    let (folder, _) = complete();
    std::fs::create_dir(folder.path().join("mine")).unwrap();
    folder.write("mine/thesis.txt", "the only copy");
    for line in ["replay a.csv --db mine", "query windows --db mine"] {
        folder.run(line).failed(1, &["mine", "thesis.txt"]);
    }
    assert_eq!(std::fs::read_dir(folder.path().join("mine")).unwrap().count(), 1, "nothing was put there");
    folder.run("replay a.csv --db c.toml").failed(1, &["c.toml"]);
}

/// The largest table file of a database.
fn table(db: &Path) -> PathBuf {
    let files = std::fs::read_dir(db).unwrap().map(|entry| entry.unwrap().path());
    let tables = files.filter(|file| file.extension().is_some_and(|it| it == "sst"));
    tables.max_by_key(|file| std::fs::metadata(file).unwrap().len()).unwrap()
}

#[test]
fn a_damaged_table_is_said_and_named() {
    let (folder, _) = complete();
    let db = folder.path().join("db");
    // Opening again writes what the log holds into tables.
    drop(open_writer(&db).unwrap());
    let table = table(&db);
    let good = std::fs::read(&table).unwrap();
    let name = table.file_name().unwrap().to_string_lossy().into_owned();
    let mut bad = good.clone();
    bad[good.len() / 4] ^= 1;
    std::fs::write(&table, &bad).unwrap();
    for line in ["dump --db db --digest", "dump --db db"] {
        folder.run(line).failed(3, &["damaged", &name]);
    }
    std::fs::write(&table, &good[..good.len() / 2]).unwrap();
    for line in
        ["dump --db db --digest", "query symbols --db db", "replay a.csv --db db --config c.toml --resume"]
    {
        folder.run(line).failed(3, &["damaged", &name]);
    }
    std::fs::write(&table, &good).unwrap();
    folder.digest("db");
}

/// Whoever reads our output may stop: no error, nothing on stderr.
#[test]
fn a_closed_pipe_ends_it_quietly() {
    let (folder, _) = complete();
    folder.run("simulate --csv large.csv --symbols 50 --trades 50000 --ticks-per-second 50").fine();
    folder.run("replay large.csv --db large --keep-ticks").fine();
    for line in [
        "query windows --db large --format csv",
        "query windows --db large --format table",
        "query windows --db large --format ndjson",
        "query ticks --db large --format csv",
        "dump --db large",
    ] {
        let mut child = folder.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        // The reader goes with the first line.
        BufReader::with_capacity(16, child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        assert!(!first.is_empty(), "{line}");
        let done = child.wait_with_output().unwrap();
        assert_eq!(
            (done.status.code(), String::from_utf8(done.stderr).unwrap().as_str()),
            (Some(0), ""),
            "{line}"
        );
    }
}
