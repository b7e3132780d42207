//! Late ticks, gaps, kept ticks: what is stored beside the windows.

use super::support::{Folder, rows};

/// Trailing zeros say nothing.
fn without_zeros(decimal: &str) -> &str {
    if decimal.contains('.') { decimal.trim_end_matches('0').trim_end_matches('.') } else { decimal }
}

#[test]
fn kept_ticks_come_back_each_once_and_in_order() {
    let folder = Folder::new();
    folder.trades("a.csv");
    folder.run("replay a.csv --db db --keep-ticks").fine();
    let ticks = rows(&folder.run("query ticks --db db --format csv").fine());
    let given = rows(&folder.read("a.csv"));
    assert_eq!(ticks.len(), given.len());
    for (tick, row) in ticks.iter().zip(&given) {
        assert_eq!(tick["symbol"], format!("file:{}", row["symbol"]));
        assert_eq!(tick["id"], row["id"]);
        assert_eq!(tick["price"], without_zeros(&row["price"]), "{}", row["id"]);
        assert_eq!(tick["size"], without_zeros(&row["qty"]), "{}", row["id"]);
        assert_eq!(tick["side"], if row["is_buyer_maker"] == "true" { "sell" } else { "buy" });
        let millis = feeds::time::parse_words(&tick["exchange_ts"]).unwrap() / 1_000_000;
        assert_eq!(millis.to_string(), row["time"]);
    }
    let one = rows(&folder.run("query ticks --db db --symbol ETHUSDT --format csv").fine());
    assert_eq!(
        one,
        ticks.iter().filter(|tick| tick["symbol"] == "file:ETHUSDT").cloned().collect::<Vec<_>>()
    );
    let (from, to) = ("2025-01-06T00:00:03.000000000Z", "2025-01-06T00:00:05.500000000Z");
    let some = rows(&folder.run(&format!("query ticks --db db --from {from} --to {to} --format csv")).fine());
    let inside = |time: &str| time >= from && time < to;
    assert_eq!(some, ticks.iter().filter(|tick| inside(&tick["exchange_ts"])).cloned().collect::<Vec<_>>());
    assert!(!some.is_empty() && some.len() < ticks.len());
}

#[test]
fn every_kept_tick_of_a_capture_is_received() {
    let folder = Folder::new();
    folder.capture("a.capture");
    folder.run("replay a.capture --db db --keep-ticks").fine();
    let symbols = rows(&folder.run("query symbols --db db --format csv").fine());
    let received: usize = symbols.iter().map(|row| row["received"].parse::<usize>().unwrap()).sum();
    let ticks = rows(&folder.run("query ticks --db db --format csv").fine());
    assert_eq!(ticks.len(), received);
    let times: Vec<&String> = ticks.iter().map(|tick| &tick["received_at"]).collect();
    assert!(times.is_sorted(), "in the order of the tape");
    assert!(
        ticks.iter().any(|tick| tick["kind"] == "quote") && ticks.iter().any(|tick| tick["kind"] == "trade")
    );
}

#[test]
fn late_ticks_are_kept_aside() {
    let folder = Folder::new();
    let mut text = "time,symbol,id,price,size\n".to_owned();
    for row in 0..1_000_i64 {
        // Every hundredth comes 5 s too late, for a lateness of 2 s; every fiftieth 1 s, which is in time.
        let behind = if row > 600 && row % 100 == 0 { 5_000 } else { i64::from(row % 50 == 1) * 1_000 };
        text += &format!("{},A,{row},1.5,1\n", 1_736_121_600_000 + row * 10 - behind);
    }
    folder.write("a.csv", text);
    folder.run("replay a.csv --db db").fine();
    let late = rows(&folder.run("query late --db db --format csv").fine());
    let ids: Vec<&str> = late.iter().map(|tick| tick["id"].as_str()).collect();
    assert_eq!(ids, ["700", "800", "900"]);
    assert_eq!(late[0]["exchange_ts"], "2025-01-06T00:00:02.000000000Z");
    let symbol = &rows(&folder.run("query symbols --db db --format csv").fine())[0];
    assert_eq!((symbol["late"].as_str(), symbol["trades"].as_str()), ("3", "1000"));
    let windows = rows(&folder.run("query windows --db db --window 1s --format csv").fine());
    let trades: u64 = windows.iter().map(|row| row["trades"].parse::<u64>().unwrap()).sum();
    assert_eq!(trades, 997, "they are in no window");
    let some = folder.run("query late --db db --from 2025-01-06T00:00:02.5Z --format csv").fine();
    assert_eq!(rows(&some).len(), 2);
}

/// A Binance capture with trades cut out of it: the ids name what is missing.
#[test]
fn gaps_are_named_by_id_and_flag_their_windows() {
    let folder = Folder::new();
    folder.run("simulate --capture whole.capture --symbols 2 --trades 4000 --ticks-per-second 400").fine();
    folder.run("replay whole.capture --db whole").fine();
    assert_eq!(rows(&folder.run("query gaps --db whole --format csv").fine()), []);

    let whole = folder.read("whole.capture");
    let id_of = |line: &str| -> u64 {
        line.split("\"t\":").nth(1).and_then(|rest| rest.split(',').next()).unwrap().parse().unwrap()
    };
    let is_trade = |line: &&str| line.contains("btcusdt@trade");
    let ids: Vec<u64> = whole.lines().filter(is_trade).map(id_of).collect();
    // One trade, and ten in a row.
    let missing = [(ids[300], ids[300]), (ids[900], ids[909])];
    let is_missing = |line: &&str| {
        is_trade(line) && missing.iter().any(|(first, last)| (*first..=*last).contains(&id_of(line)))
    };
    let left: Vec<&str> = whole.lines().filter(|line| !is_missing(line)).collect();
    folder.write("cut.capture", left.join("\n") + "\n");
    folder.run("replay cut.capture --db cut").fine();

    let gaps = rows(&folder.run("query gaps --db cut --format csv").fine());
    let named: Vec<(String, u64, u64, u64)> = gaps
        .iter()
        .map(|row| {
            let number = |name: &str| row[name].parse::<u64>().unwrap();
            (row["symbol"].clone(), number("first_id"), number("last_id"), number("missing"))
        })
        .collect();
    let wanted = missing.map(|(first, last)| ("binance:BTCUSDT".to_owned(), first, last, last - first + 1));
    assert_eq!(named, wanted);

    // A window is flagged just where a gap touches it.
    for window in rows(&folder.run("query windows --db cut --window 1s --format csv").fine()) {
        let touched = window["symbol"] == "binance:BTCUSDT"
            && gaps.iter().any(|gap| gap["after"] < window["end"] && gap["before"] >= window["start"]);
        assert_eq!(window["flags"].split('|').any(|flag| flag == "gap"), touched, "{window:?}");
    }
    let only = folder.run("query gaps --db cut --symbol ETHUSDT --format csv").fine();
    assert_eq!(rows(&only), []);
}
