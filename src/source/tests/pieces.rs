//! A file that is cut at any line into consecutive ones gives what the whole gives.

use proptest::prelude::*;

use super::fake::{COUNTED, Files, MS, Told, ZERO, drain, open, tell};
use crate::source::SourceOptions;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;

/// A header and rows that are cut in front of each of `cuts`; the header is repeated if `repeats`.
fn pieces(header: &str, rows: &[String], cuts: &[usize], repeats: bool) -> Vec<String> {
    let mut edges = vec![0, rows.len()];
    edges.extend(cuts.iter().copied().filter(|cut| (1..rows.len()).contains(cut)));
    edges.sort_unstable();
    edges.dedup();
    let piece = |pair: &[usize]| {
        let head = if pair[0] == 0 || repeats { header } else { "" };
        format!("{head}{}", rows[pair[0]..pair[1]].concat())
    };
    edges.windows(2).map(piece).collect()
}

fn told(texts: &[String], options: &SourceOptions, block_bytes: usize) -> Told {
    let files = Files::new();
    let paths: Vec<_> =
        texts.iter().enumerate().map(|(at, text)| files.write(&format!("{at}"), text.as_bytes())).collect();
    tell(&paths, options, block_bytes)
}

/// Ticks, estimates and the number of complaints.
type OfOneFile = (Vec<(String, i64, Option<u64>)>, Vec<(usize, i64)>, u64);

/// What is left when nobody asks which piece something came from.
fn of_one_file(told: Told) -> OfOneFile {
    let ticks = told.ticks.into_iter().map(|(_, symbol, ms, id)| (symbol, ms, id)).collect();
    let offsets = told.offsets.into_iter().map(|(at, _, offset)| (at, offset)).collect();
    (ticks, offsets, told.complaints_in_all)
}

/// Steps of a clock, and how far each tick is off it.
fn steps(off: i64) -> impl Strategy<Value = Vec<(i64, i64)>> {
    let step =
        prop_oneof![20 => 0..5 * SECOND, 1 => 9 * MINUTE..11 * MINUTE, 1 => 100 * MINUTE..101 * MINUTE];
    let off = prop_oneof![8 => Just(0), 4 => -off..=0, 1 => 500 * MINUTE..600 * MINUTE];
    proptest::collection::vec((step, off), 2..80)
}

fn times(steps: &[(i64, i64)]) -> Vec<i64> {
    let mut now = 0;
    let time = |(step, off): &(i64, i64)| {
        now += step;
        now + off
    };
    steps.iter().map(time).collect()
}

fn rows(times: &[i64]) -> Vec<String> {
    times.iter().enumerate().map(|(id, ms)| format!("S{},{ms},{id}\n", id % 3)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn without_headers(
        steps in steps(MINUTE),
        cuts in proptest::collection::vec(1usize..80, 1..4),
        block_bytes in 1usize..200,
        decoders in 1usize..4,
    ) {
        let rows = rows(&times(&steps));
        let options = SourceOptions { decoders, ..SourceOptions::default() };
        let whole = of_one_file(told(&pieces("table\n", &rows, &[], false), &options, block_bytes));
        let parts = pieces("table\n", &rows, &cuts, false);
        prop_assert_eq!(of_one_file(told(&parts, &options, block_bytes)), whole);
    }

    #[test]
    fn with_headers_and_ticks_out_of_order(
        steps in proptest::collection::vec((0..5 * SECOND, -20 * SECOND..=0), 60..120),
        cut in 40usize..80,
        block_bytes in 1usize..200,
    ) {
        // Before the cut it is long enough, and as much out of order as anywhere, to tell it from two files that
        // overlap.
        let mut times = times(&steps);
        times[0] = -5 * MINUTE;
        times[1] = times[0] - 20 * SECOND;
        let rows = rows(&times);
        let options = SourceOptions::default();
        let whole = of_one_file(told(&pieces("table\n", &rows, &[], true), &options, block_bytes));
        let parts = pieces("table\n", &rows, &[cut.min(rows.len() - 1)], true);
        prop_assert_eq!(of_one_file(told(&parts, &options, block_bytes)), whole);
    }

    #[test]
    fn captures(
        steps in proptest::collection::vec(0..5 * SECOND, 2..80),
        cuts in proptest::collection::vec(1usize..80, 1..4),
        block_bytes in 1usize..200,
    ) {
        let mut now = 0;
        let row = |step: &i64| {
            now += step;
            // Every tick is numbered by how many there were before it on the connection.
            let offset = if step % 4 == 0 { format!("offset,{step}\n") } else { String::new() };
            format!("{offset}S{},{},{COUNTED},{now}\n", step % 3, -now)
        };
        let rows: Vec<String> = steps.iter().map(row).collect();
        let options = SourceOptions { decoders: 2, ..SourceOptions::default() };
        let whole = of_one_file(told(&pieces("capture\n", &rows, &[], false), &options, block_bytes));
        let counts: Vec<_> = whole.0.iter().map(|tick| tick.2).collect();
        prop_assert_eq!(counts, (0..rows.len() as u64).map(Some).collect::<Vec<_>>());
        let parts = pieces("capture\n", &rows, &cuts, false);
        prop_assert_eq!(of_one_file(told(&parts, &options, block_bytes)), whole.clone());
        // Told its venue, a piece needs nothing of the one before but its connection.
        let options = SourceOptions { venue: Some("file".to_owned()), ..options };
        prop_assert_eq!(of_one_file(told(&parts, &options, block_bytes)), whole);
    }
}

/// Only the first tick of all needs nothing to confirm it at the end, also if nothing was accepted before the cut.
#[test]
fn a_first_tick_that_nothing_confirms() {
    let rows = rows(&[500 * MINUTE, 1]);
    let options = SourceOptions::default();
    let whole = of_one_file(told(&pieces("table\n", &rows, &[], false), &options, 1));
    assert_eq!(whole.2, 2, "the one is not confirmed, and the other is the last");
    assert_eq!(of_one_file(told(&pieces("table\n", &rows, &[1], false), &options, 1)), whole);
}

#[test]
fn another_connection_begins_anew() {
    let row = |ms: i64| format!("S1,0,{COUNTED},{ms}\n");
    let venue = SourceOptions { venue: Some("file".to_owned()), ..SourceOptions::default() };
    let counts = |texts: &[String]| told(texts, &venue, 16).ids().into_iter().flatten().collect::<Vec<_>>();
    let first = format!("capture\n{}{}", row(0), row(1));
    assert_eq!(counts(&[first.clone(), row(2)]), [0, 1, 2]);
    assert_eq!(counts(&[first.clone(), format!("capture\n{}", row(2))]), [0, 1, 0], "it says so");
    assert_eq!(counts(&[first.clone(), row(11 * MINUTE)]), [0, 1, 0], "too long after");
    assert_eq!(counts(&[row(5), first]), [0, 1, 0], "before it");
}

#[test]
fn files_that_overlap_are_no_pieces() {
    // Even and odd ticks of one symbol, and a short file inside a long one.
    let text = |times: &mut dyn Iterator<Item = i64>| {
        format!("table\n{}", rows(&times.collect::<Vec<_>>()).concat())
    };
    for other in [text(&mut (0..100).map(|at| at * 2 + 1)), text(&mut (50..60).map(|at| at * 2 + 1))] {
        let told = told(&[text(&mut (0..100).map(|at| at * 2)), other], &SourceOptions::default(), 64);
        assert!(told.ticks.is_sorted_by_key(|tick| tick.2));
    }
}

#[test]
fn a_piece_must_be_readable_with_the_header_before_it() {
    let files = Files::new();
    let first = files.write("first", b"table\nA,1,1\n");
    for (name, text) in
        [("words", &b"once upon a time\n"[..]), ("fields", b"A,1\n"), ("mixed", b"A,2,2\nwhat\n")]
    {
        let second = files.write(name, text);
        let paths = [first.clone(), second];
        let setup = super::fake::setup(64);
        let error = crate::source::open::open_with(&paths, &SourceOptions::default(), setup).err().unwrap();
        assert!(error.to_string().contains(&format!("{name} is of no known format")), "{error}");
    }
}

#[test]
fn a_range_and_a_cut_give_what_the_range_of_the_whole_gives() {
    let rows = rows(&(0..200).map(|at| at * SECOND).collect::<Vec<_>>());
    let options = SourceOptions {
        from: Some(ZERO + 50 * SECOND * MS),
        to: Some(ZERO + 150 * SECOND * MS),
        ..SourceOptions::default()
    };
    let whole = of_one_file(told(&pieces("table\n", &rows, &[], false), &options, 64));
    assert_eq!(whole.0.len(), 100);
    for cut in [1, 49, 50, 51, 100, 150, 199] {
        for repeats in [false, true] {
            let parts = pieces("table\n", &rows, &[cut], repeats);
            assert_eq!(of_one_file(told(&parts, &options, 64)), whole, "{cut} {repeats}");
        }
    }
}

#[test]
fn a_cut_compressed_piece_ends_the_connection() {
    let files = Files::new();
    let rows: String = (0..500).map(|at| format!("S1,0,{COUNTED},{at}\n")).collect();
    let bytes = super::fake::gzip(format!("capture\n{rows}").as_bytes());
    let first = files.write("first.gz", &bytes[..bytes.len() - 12]);
    let second = files.write("second", format!("S1,0,{COUNTED},1000\n").as_bytes());
    let (told, error) = drain(&mut open(&[first, second], &SourceOptions::default(), 64));
    assert!(error.unwrap().to_string().contains("first.gz is cut off"));
    assert_eq!(told.ids().last(), Some(&Some(0)));
}
