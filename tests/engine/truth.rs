//! Every 1 s and 1 m bar of the real Binance captures equals the one computed by another program, to the last digit.

use std::collections::BTreeMap;
use std::path::Path;

use tapedeck::output::{Format, write};
use tapedeck::query::windows::{Selection, rows};
use tapedeck::query::{Catalogue, tables};
use tapedeck::store::Store;

use crate::support::{data, memory, options, run};

/// Capture, truth.
const CAPTURES: [(&str, &str); 4] = [
    ("hftbacktest/spot_btcusdt_20240808.gz", "spot_btcusdt_20240808"),
    ("hftbacktest/spot_ethusdt_20240808.gz", "spot_ethusdt_20240808"),
    ("hftbacktest/usdm_btcusdt_20230404.dat.gz", "usdm_btcusdt_20230404"),
    ("hftbacktest/usdm_btcusdt_20240808.gz", "usdm_btcusdt_20240808"),
];

/// Truth's column, ours.
const COLUMNS: [(&str, &str); 12] = [
    ("open", "open"),
    ("high", "high"),
    ("low", "low"),
    ("close", "close"),
    ("volume", "volume"),
    ("quote_volume", "notional"),
    ("vwap", "vwap"),
    ("trades", "trades"),
    ("buy_volume", "buy_volume"),
    ("buy_quote_volume", "buy_notional"),
    ("buy_trades", "buy_trades"),
    ("first_id", "first_id"),
];

type Bars = BTreeMap<(String, i64), BTreeMap<String, String>>;

#[test]
fn every_bar_of_every_capture_is_exact() {
    let Some(data) = data() else { return };
    for (capture, truth) in CAPTURES {
        let store = memory();
        run(&store, &[data.join(capture)], &options());
        for window in ["1s", "1m"] {
            let expected = truth_bars(&data.join(format!("truth/{truth}.bars_{window}.csv")));
            let bars = our_bars(&*store, window);
            assert!(!expected.is_empty(), "{truth} has bars");
            assert_eq!(bars.len(), expected.len(), "bars of {capture} at {window}");
            for (place, expected) in &expected {
                let bar =
                    bars.get(place).unwrap_or_else(|| panic!("{capture} {window} {place:?} is missing"));
                for (theirs, ours) in COLUMNS {
                    assert_eq!(bar[ours], expected[theirs], "{capture} {window} {place:?} {ours}");
                }
                assert_eq!(bar["last_id"], expected["last_id"], "{capture} {window} {place:?}");
            }
        }
    }
}

#[test]
fn the_ledger_accounts_for_every_frame_and_tick() {
    let Some(data) = data() else { return };
    let mut captures: Vec<String> = CAPTURES.iter().map(|(capture, _)| (*capture).to_owned()).collect();
    for name in ["spot", "us", "usdm", "coinm"] {
        captures.push(format!("cryptofeed/cf_binance_{name}.raw.gz"));
    }
    for capture in captures {
        let store = memory();
        let report = run(&store, &[data.join(&capture)], &options());
        let name = Path::new(&capture).file_name().unwrap().to_str().unwrap();
        let name = name.split('.').next().unwrap();
        let truth = std::fs::read_to_string(data.join(format!("truth/{name}.json"))).unwrap();
        let truth: serde_json::Value = serde_json::from_str(&truth).unwrap();
        let total = |key: &str| truth["totals"][key].as_u64().unwrap();

        let ledger = report.summary.ledger;
        assert!(ledger.adds_up(), "{capture}: {ledger:?}");
        assert_eq!(ledger.trades, total("trades"), "{capture}");
        assert_eq!(ledger.quotes, total("l1_updates"), "{capture}");
        assert_eq!((ledger.rejected, ledger.duplicate, ledger.dropped), (0, 0, 0), "{capture}");

        let feed = &report.summary.feeds[0];
        assert_eq!(feed.frames, truth["lines"].as_u64().unwrap(), "{capture}");
        assert_eq!((feed.broken, feed.unknown.len()), (0, 0), "{capture}");
        assert!(feed.unknown_fields.is_empty(), "{capture}: {:?}", feed.unknown_fields);
        assert_eq!(feed.ticks, total("trade_frames") + total("l1_frames"), "{capture}");
        assert_eq!(feed.blank, truth["blank_lines"].as_u64().unwrap(), "{capture}");
        let depth = feed.passed_over.get("depth").copied().unwrap_or(0);
        assert_eq!(depth, total("l2_update_msgs"), "{capture}");

        let catalogue = Catalogue::read(&*store).unwrap();
        for joined in &catalogue.symbols {
            let standing = tables::standing(&*store, &catalogue, joined).unwrap();
            let expected = &truth["symbols"][joined.symbol.native()];
            if let Some(size) = expected["size_sum"].as_str() {
                assert_eq!(standing.totals.trades.volume().to_string(), size, "{capture} {}", joined.symbol);
                let notional = expected["notional_sum"].as_str().unwrap();
                assert_eq!(standing.totals.trades.notional().to_string(), notional, "{capture}");
            }
        }
    }
}

fn truth_bars(path: &Path) -> Bars {
    let text = std::fs::read_to_string(path).unwrap();
    parse(&text, |row| row["start_ms"].parse::<i64>().unwrap() * 1_000_000)
}

fn our_bars(store: &dyn Store, window: &str) -> Bars {
    let catalogue = Catalogue::read(store).unwrap();
    let selection = Selection { window: Some(window.to_owned()), ..Selection::default() };
    let (columns, rows) = rows(store, &catalogue, &selection).unwrap();
    let mut out = Vec::new();
    write(Format::Csv, &columns, rows, &mut out).unwrap();
    parse(&String::from_utf8(out).unwrap(), |row| feeds::time::parse_words(&row["start"]).unwrap())
}

/// CSV without quoted fields, by native symbol and start.
fn parse(text: &str, start: impl Fn(&BTreeMap<String, String>) -> i64) -> Bars {
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let rows = lines.map(|line| {
        let row: BTreeMap<String, String> = header
            .iter()
            .zip(line.split(','))
            .map(|(name, value)| ((*name).to_owned(), value.to_owned()))
            .collect();
        let native = row["symbol"].rsplit(':').next().unwrap().to_owned();
        ((native, start(&row)), row)
    });
    rows.collect()
}
