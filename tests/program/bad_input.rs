//! Inputs that are not what they should be: the exit code, the words that matter, and nothing lost that was stored.

use std::io::Write;

use super::support::{Folder, rows};

/// A folder with a database whose digest must stay.
fn with_database() -> (Folder, String) {
    let folder = Folder::new();
    folder.trades("a.csv");
    folder.run("replay a.csv --db db").fine();
    let digest = folder.digest("db");
    (folder, digest)
}

/// A plain CSV of 1,000 trades 10 ms apart, with `bad` in place of its 500th row.
fn with_row(bad: &str) -> String {
    let mut text = "time,symbol,id,price,size\n".to_owned();
    for row in 0..1_000_u64 {
        if row == 500 {
            text += &format!("{bad}\n");
        } else {
            text += &format!("{},AAA,{},100.5,2\n", 1_736_121_600_000 + 10 * row, row + 1);
        }
    }
    text
}

#[test]
fn files_that_cannot_be_read_are_refused_before_anything_is_written() {
    let (folder, digest) = with_database();
    folder.write("empty.csv", "");
    folder.write(
        "binary.dat",
        (0..5_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect::<Vec<u8>>(),
    );
    folder.write("columns.csv", "time,symbol,price\n1736121600000,A,1\n");
    folder.write("words.txt", "this is no market data\nat all\n");
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    let refused: [(&str, &[&str]); 8] = [
        ("absent.csv", &["no such file", "absent.csv"]),
        ("sub", &["sub", "directory"]),
        ("empty.csv", &["empty.csv", "empty"]),
        ("binary.dat", &["binary.dat", "binary", "csv"]),
        ("columns.csv", &["columns.csv", "qty"]),
        ("columns.csv --format csv", &["columns.csv", "qty", "time,symbol,price"]),
        ("words.txt", &["words.txt", "no known format", "this is no market data"]),
        ("a.csv absent.csv", &["absent.csv"]),
    ];
    for (input, words) in refused {
        folder.run(&format!("replay {input} --db fresh")).failed(2, words);
        assert!(!folder.path().join("fresh").exists(), "{input}: a database was made");
        folder.run(&format!("replay {input} --db db --append")).failed(2, words);
        assert_eq!(folder.digest("db"), digest, "{input}");
    }
}

#[test]
fn of_a_cut_file_what_is_whole_is_used() {
    let folder = Folder::new();
    folder.run("simulate --csv a.csv --symbols 1 --trades 30000").fine();
    let plain = folder.read("a.csv");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(plain.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(plain.as_bytes(), 3).unwrap();
    for (name, whole) in [("cut.csv.gz", gzip), ("cut.csv.zst", zstd)] {
        folder.write(name, &whole[..whole.len() / 2]);
        let done = folder.run(&format!("replay {name} --db {name}.db --json"));
        done.failed(3, &[name, "cut off at byte"]);
        let summary: serde_json::Value = serde_json::from_str(&done.out).unwrap();
        let received = summary["ledger"]["received"].as_u64().unwrap() as usize;
        assert!((1_000..29_000).contains(&received), "{received} of {name}");
        // They are the first lines of the file.
        let first: Vec<&str> = plain.lines().take(received + 1).collect();
        folder.write("first.csv", first.join("\n") + "\n");
        folder.run(&format!("replay first.csv --db {name}.first")).fine();
        let windows = |db: &str| folder.run(&format!("query windows --db {db} --format csv")).fine();
        assert_eq!(windows(&format!("{name}.db")), windows(&format!("{name}.first")), "{name}");
    }
}

#[test]
fn bad_rows_are_shown_and_counted_and_the_rest_is_used() {
    let long = format!("1736121605000,AAA,501,100.5,{}", "1".repeat(1_000_000));
    let longer = format!("1736121605000,AAA,501,100.5,{}", "1".repeat(5_000_000));
    let bad: [(&str, &str, u64); 10] = [
        ("1736121605000,AAA,501,99999999999999999999999,2", "out of range", 1),
        ("1736121605000,AAA,501,100.5,1e400", "size", 1),
        ("1736121605000,AAA,501,NaN,2", "not a decimal", 1),
        ("1736121605000,AAA,501,-100.5,2", "below zero", 1),
        ("0,AAA,501,100.5,2", "1990", 1),
        ("9214646400000,AAA,501,100.5,2", "1990", 1),
        ("-5,AAA,501,100.5,2", "time", 1),
        ("1736121605000,AAA", "columns", 0),
        (&long, "size is out of range", 1),
        (&longer, "longer than", 0),
    ];
    for (row, word, rejected) in bad {
        let folder = Folder::new();
        folder.write("a.csv", with_row(row));
        let done = folder.run("replay a.csv --db db --json");
        assert!(done.err.contains("a.csv, line 502") && done.err.contains(word), "{row:.60}: {}", done.err);
        assert!(done.err.len() < 1_000, "the excerpt is short");
        let summary: serde_json::Value = serde_json::from_str(&done.fine()).unwrap();
        assert_eq!(summary["complaints"], 1, "{row:.60}");
        let symbol = &rows(&folder.run("query symbols --db db --format csv").fine())[0];
        assert_eq!(symbol["trades"], "999", "{row:.60}");
        assert_eq!(symbol["rejected"], rejected.to_string(), "{row:.60}");
        let seconds = rows(&folder.run("query windows --db db --window 1s --format csv").fine());
        let counts: Vec<&str> = seconds.iter().map(|row| row["trades"].as_str()).collect();
        assert_eq!(
            counts,
            ["100", "100", "100", "100", "100", "99", "100", "100", "100", "100"],
            "{row:.60}"
        );

        folder.run("replay a.csv --db strict --strict").failed(3, &["a.csv, line 502", "--strict"]);
        folder.run("replay a.csv --db strict --resume").fine();
        assert_eq!(folder.digest("strict"), folder.digest("db"), "without --strict it goes on");
    }
}

#[test]
fn ten_complaints_are_shown_and_the_others_counted() {
    let folder = Folder::new();
    let mut text = "time,symbol,price,size\n".to_owned();
    for row in 0..1_000_u64 {
        let price = if row % 20 == 0 { "none" } else { "1.5" };
        text += &format!("{},AAA,{price},1\n", 1_736_121_600_000 + row);
    }
    folder.write("a.csv", text);
    let done = folder.run("replay a.csv --db db");
    assert_eq!(done.err.lines().filter(|line| line.contains(", line ")).count(), 10, "{}", done.err);
    assert!(done.err.contains("and 40 more bad lines"), "{}", done.err);
    done.fine();
}
