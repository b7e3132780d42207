//! Times that cannot be: none of them may stop a symbol's later ticks.

use super::support::{Folder, rows};

/// The start of the tapes here, 2025-01-06T00:00:00Z.
const START: i64 = 1_736_121_600_000_000_000;
const HOUR: i64 = 3_600_000_000_000;
const MILLI: i64 = 1_000_000;
/// Rows of each symbol.
const ROWS: i64 = 500;

/// Rows of symbols AAA and BBB in turn, each symbol every 20 ms, one more of AAA with `bad` as its time behind the
/// `at`-th.
fn tape(bad: i64, at: i64, receive_times: bool) -> String {
    let mut text =
        if receive_times { "time,symbol,id,price,size,received_at\n" } else { "time,symbol,id,price,size\n" }
            .to_owned();
    let mut put = |time: i64, symbol: &str, id: i64, received: i64| {
        text += &format!("{time},{symbol},{id},100.5,1");
        text += &if receive_times { format!(",{}\n", received + MILLI) } else { "\n".to_owned() };
    };
    for row in 0..ROWS {
        let time = START + row * 20 * MILLI;
        put(time, "AAA", row, time);
        put(time + 10 * MILLI, "BBB", row, time + 10 * MILLI);
        if row == at {
            put(bad, "AAA", ROWS + 1, time + 11 * MILLI);
        }
    }
    text
}

/// Trades by second of a symbol.
fn seconds(folder: &Folder, symbol: &str) -> Vec<(String, String)> {
    let csv = folder.run(&format!("query windows --db db --window 1s --symbol {symbol} --format csv")).fine();
    rows(&csv).into_iter().map(|row| (row["start"][..19].to_owned(), row["trades"].clone())).collect()
}

#[test]
fn a_time_that_cannot_be_stops_nothing() {
    let whole: Vec<(String, String)> =
        (0..10).map(|second| (format!("2025-01-06T00:00:{second:02}"), "50".to_owned())).collect();
    // Nothing, 2262, the end of what is accepted, an hour ahead, an hour behind.
    let bad = [0, 9_214_646_400_000_000_000, 7_258_118_300_000_000_000, START + HOUR, START - HOUR];
    for receive_times in [false, true] {
        for at in [250, 3, ROWS - 1] {
            for time in bad {
                let case = format!("time {time} behind row {at}, with receive times: {receive_times}");
                let folder = Folder::new();
                folder.write("a.csv", tape(time, at, receive_times));
                folder.run("replay a.csv --db db").fine();
                assert_eq!(seconds(&folder, "BBB"), whole, "{case}");
                let windows = seconds(&folder, "AAA");
                assert_eq!(windows, whole, "{case}");
                let symbols = rows(&folder.run("query symbols --db db --format csv").fine());
                let number = |name: &str| symbols[0][name].parse::<i64>().unwrap();
                assert_eq!((number("received"), number("aggregated")), (ROWS + 1, ROWS), "{case}");
                assert_eq!(number("late") + number("rejected"), 1, "{case}: {:?}", symbols[0]);
                let late = i64::from(time == START - HOUR);
                assert_eq!(number("late"), late, "{case}: behind is late, ahead is rejected");
            }
        }
    }
}

/// The first tick of a file is an hour ahead of all others.
#[test]
fn a_first_time_that_cannot_be_stops_nothing() {
    for receive_times in [false, true] {
        let folder = Folder::new();
        let text = tape(START + HOUR, 0, receive_times);
        let mut lines: Vec<&str> = text.lines().collect();
        let bad = lines.remove(3);
        lines.insert(1, bad);
        folder.write("a.csv", lines.join("\n") + "\n");
        folder.run("replay a.csv --db db").fine();
        for symbol in ["AAA", "BBB"] {
            let counts = seconds(&folder, symbol);
            let trades = counts.iter().map(|(_, trades)| trades.parse::<u64>().unwrap()).sum::<u64>();
            assert_eq!(trades, 500, "{symbol}, with receive times: {receive_times}: {counts:?}");
        }
    }
}
