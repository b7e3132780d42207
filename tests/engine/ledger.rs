//! Every tick in one column, whatever is done to the input.

use feeds::time::SECOND;
use proptest::prelude::*;
use tapedeck::market::faults::{repeat, shuffle};
use tapedeck::replay::ReplayOptions;

use crate::made::{Kind, capture_trade, config, file, made};
use crate::support::{dump_of, lines, options, statistics};

fn made_options() -> ReplayOptions {
    let mut options = ReplayOptions { config: config(false), ..options() };
    // Whose ids count up by one, so that repeats and gaps show.
    options.source.venue = Some("binance".to_owned());
    options
}

/// The sum of a column over all symbols.
fn column(dump: &str, name: &str) -> u64 {
    let of = |line: &str| {
        let field = line.split(',').find_map(|field| field.strip_prefix(&format!("{name}=")));
        field.unwrap().parse::<u64>().unwrap()
    };
    lines(dump, "ledger,").into_iter().map(of).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn shuffled_within_the_lateness_and_repeated_is_the_same_market(seed in any::<u64>(), distance in 0usize..50) {
        let folder = tempfile::tempdir().unwrap();
        let made = made(Kind::Csv, seed, 1_500);
        let plain = dump_of(&made.whole(folder.path()), &made_options());
        let timed: Vec<(i64, Vec<u8>)> = made.times.iter().copied().zip(made.lines.iter().cloned()).collect();
        // Lines of one time would change places otherwise, and ties keep the order of the tape.
        let bound = config(false).engine.lateness;
        let shuffled = shuffle(&timed, |(time, _)| *time, bound, seed);
        let spoiled = repeat(&shuffled, 100, 0, seed);
        let repeats = (spoiled.len() - timed.len()) as u64;
        let spread = repeat(&timed, 100, distance, seed);
        for (lines_of, repeats, what) in
            [(spoiled, repeats, "shuffled"), (spread.clone(), (spread.len() - timed.len()) as u64, "repeated")]
        {
            let of: Vec<Vec<u8>> = lines_of.into_iter().map(|(_, line)| line).collect();
            let path = file(folder.path(), made.name("other"), &made.head, &of);
            let dump = dump_of(&[path], &made_options());
            let has_ties = what == "shuffled" && timed.windows(2).any(|two| two[0].0 == two[1].0);
            if !has_ties {
                prop_assert_eq!(statistics(&dump, "window,"), statistics(&plain, "window,"), "{}", what);
            }
            prop_assert_eq!(column(&dump, "duplicate"), repeats, "{}", what);
            for name in ["late", "rejected", "dropped", "history"] {
                prop_assert_eq!(column(&dump, name), 0, "{} {}", what, name);
            }
            prop_assert_eq!(column(&dump, "trades"), column(&plain, "trades"), "{}", what);
        }
    }
}

#[test]
fn with_receive_times_a_time_an_hour_ahead_is_rejected_and_moves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let made = made(Kind::Capture, 3, 1_000);
    let plain = dump_of(&made.whole(folder.path()), &made_options());
    for at in [2, 40, 500, 999] {
        let received_at: i64 =
            std::str::from_utf8(&made.lines[at]).unwrap().split(' ').next().unwrap().parse().unwrap();
        let mut spoiled = made.lines.clone();
        spoiled.insert(at, capture_trade(0, 9_999_999, made.times[at] + 3_600 * SECOND, received_at));
        let path = file(folder.path(), made.name("other"), &made.head, &spoiled);
        let dump = dump_of(&[path], &made_options());
        assert_eq!(column(&dump, "rejected"), 1, "at line {at}");
        // But that a window lacks it, wherever it belongs, is remarked.
        assert_eq!(statistics(&dump, "window,"), statistics(&plain, "window,"), "at line {at}");
    }
}

#[test]
fn without_receive_times_a_jump_that_nothing_confirms_is_rejected_and_moves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let made = made(Kind::Csv, 3, 1_000);
    let plain = dump_of(&made.whole(folder.path()), &made_options());
    let ahead = (made.times[500] + 3_600 * SECOND) / 1_000_000;
    let mut spoiled = made.lines.clone();
    spoiled.insert(500, format!("{ahead},BTCUSDT,9999999,1,1,true\n").into_bytes());
    let path = file(folder.path(), made.name("other"), &made.head, &spoiled);
    let dump = dump_of(&[path], &made_options());
    assert_eq!(column(&dump, "rejected"), 1);
    assert_eq!(statistics(&dump, "window,"), statistics(&plain, "window,"));
}
