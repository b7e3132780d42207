//! Real captures through the program: one digest however they are replayed, and after a stop midway.

use std::path::{Path, PathBuf};

use super::support::{Folder, rows};

/// Captures that are understood, if the folder of captures is there.
fn captures() -> Vec<PathBuf> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if !data.is_dir() {
        eprintln!("skipped: no captures at {}", data.display());
        return Vec::new();
    }
    let names = [
        "cryptofeed/cf_binance_spot.raw.gz",
        "cryptofeed/cf_binance_us.raw.gz",
        "cryptofeed/cf_binance_usdm.raw.gz",
        "cryptofeed/cf_binance_coinm.raw.gz",
        "hftbacktest/spot_btcusdt_20240808.gz",
        "hftbacktest/usdm_btcusdt_20230404.dat.gz",
        "files/DERIVED_binancevision_trades_BTCUSDT_20240808.csv.gz",
    ];
    names.iter().map(|name| data.join(name).canonicalize().unwrap()).collect()
}

#[test]
fn one_digest_however_they_are_replayed() {
    for capture in captures() {
        let folder = Folder::new();
        folder.config("c.toml");
        let replay = |db: &str, more: &str| {
            folder.run(&format!("replay {} --db {db} --config c.toml {more}", capture.display()))
        };
        let summary: serde_json::Value =
            serde_json::from_str(&replay("one", "--workers 1 --json").fine()).unwrap();
        assert!(summary["ledger"]["received"].as_u64().unwrap() > 0, "{}: {summary}", capture.display());
        let wanted = folder.digest("one");
        for (number, way) in
            ["--workers 8 --epoch 64", "--epoch random:3 --keep-ticks", "--speed 2000x"].iter().enumerate()
        {
            let db = format!("way{number}");
            replay(&db, way).fine();
            assert_eq!(folder.digest(&db), wanted, "{} with {way}", capture.display());
        }
        let ticks = folder.run("query ticks --db way1 --format csv").fine();
        assert_eq!(rows(&ticks).len() as u64, summary["ledger"]["received"].as_u64().unwrap());
    }
}

#[test]
fn stopped_midway_and_resumed() {
    for capture in captures().into_iter().filter(|path| path.to_string_lossy().contains("hftbacktest")) {
        let folder = Folder::new();
        folder.config("c.toml");
        let replay = format!("replay {} --config c.toml", capture.display());
        folder.run(&format!("{replay} --db whole")).fine();
        let mut past = 0;
        for signal in ["KILL", "INT", "KILL", "TERM", "KILL"] {
            let mut running = folder.start(&format!("{replay} --db stopped --resume --speed 300x"));
            folder.wait_until_past("stopped", past, &mut running);
            running.signal(signal);
            running.wait();
            past = folder.last_run("stopped").unwrap().applied;
        }
        folder.run(&format!("{replay} --db stopped --resume")).fine();
        assert_eq!(folder.digest("stopped"), folder.digest("whole"), "{}", capture.display());
    }
}
