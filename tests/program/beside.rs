//! Queries beside a replay that is at work: they never fail, and show nothing that the end contradicts.

use std::collections::{BTreeMap, HashSet};

use super::support::{Folder, rows};

/// One emission, as its row.
fn emissions(csv: &str) -> HashSet<String> {
    csv.lines().skip(1).map(str::to_owned).collect()
}

fn received(csv: &str) -> BTreeMap<String, u64> {
    rows(csv).into_iter().map(|row| (row["symbol"].clone(), row["received"].parse().unwrap())).collect()
}

fn watched(input: &str, folder: &Folder) {
    folder.config("c.toml");
    folder.run(&format!("replay {input} --db whole --config c.toml --keep-ticks")).fine();
    let windows = |db: &str| folder.run(&format!("query windows --db {db} --revisions --format csv")).fine();
    let latest = |db: &str| folder.run(&format!("query windows --db {db} --format csv")).fine();
    let symbols = |db: &str| folder.run(&format!("query symbols --db {db} --format csv")).fine();
    let ticks = |db: &str| folder.run(&format!("query ticks --db {db} --format csv"));
    let (every, all_ticks) = (emissions(&windows("whole")), ticks("whole").fine());
    let totals = received(&symbols("whole"));

    let mut running =
        folder.start(&format!("replay {input} --db db --config c.toml --keep-ticks --speed 8x"));
    assert!(folder.wait_until_past("db", 0, &mut running), "it was too fast");
    let (mut looks, mut seen, mut known) = (0, HashSet::new(), BTreeMap::new());
    while running.ended().is_none() {
        let now = emissions(&windows("db"));
        assert!(now.is_subset(&every), "contradicted: {:?}", now.difference(&every).next());
        assert!(now.is_superset(&seen), "gone: {:?}", seen.difference(&now).next());
        assert!(emissions(&latest("db")).is_subset(&every));
        seen = now;
        let now = received(&symbols("db"));
        for (symbol, count) in &now {
            assert!(count <= &totals[symbol], "{symbol} has {count} of {}", totals[symbol]);
            assert!(known.get(symbol).is_none_or(|before| before <= count), "{symbol} goes back");
        }
        known = now;
        let out = ticks("db").fine();
        assert!(all_ticks.starts_with(&out), "the ticks are not the first of all");
        folder.digest("db");
        folder.run("query feeds --db db").fine();
        folder.run("latency --db db").fine();
        looks += 1;
    }
    assert_eq!(running.wait().code(), Some(0));
    // How often there is time to look is the machine's business; that there was something to see is not.
    assert!(looks > 0, "no look while it was at work");
    assert_eq!(emissions(&windows("db")), every);
    assert_eq!(folder.digest("db"), folder.digest("whole"));
}

#[test]
fn trades() {
    let folder = Folder::new();
    folder.trades("a.csv");
    watched("a.csv", &folder);
}

#[test]
fn trades_and_quotes_with_receive_times() {
    let folder = Folder::new();
    folder.capture("a.capture");
    watched("a.capture", &folder);
}
