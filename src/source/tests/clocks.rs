//! The clock of files without receive times: jumps, confirmed or not, across blocks and files.

use proptest::prelude::*;

use super::fake::{Files, Told, drain, open, tell};
use crate::source::SourceOptions;

const MINUTE: i64 = 60_000;

fn table(times: &[i64]) -> Vec<u8> {
    let rows = times.iter().enumerate().map(|(id, ms)| format!("A,{ms},{id}\n"));
    format!("table\n{}", rows.collect::<String>()).into_bytes()
}

/// The rule as it is written, over the times of a whole file: which are accepted.
fn accepted(times: &[i64]) -> Vec<bool> {
    let mut clock: Option<i64> = None;
    let mut verdicts = Vec::new();
    for (index, &time) in times.iter().enumerate() {
        let jumps = clock.is_none_or(|clock| time > clock + 10 * MINUTE);
        let confirmed = times.get(index + 1).map_or(index == 0, |&next| next >= time - 10 * MINUTE);
        let taken = !jumps || confirmed;
        verdicts.push(taken);
        if taken {
            clock = clock.max(Some(time));
        }
    }
    verdicts
}

fn taken(told: &Told) -> Vec<bool> {
    told.ids().iter().map(Option::is_some).collect()
}

#[test]
fn a_jump_needs_the_next_tick() {
    let far = 1_000 * MINUTE;
    let cases: &[(&[i64], &[bool])] = &[
        (&[0], &[true]),
        (&[0, far, 1], &[true, false, true]),
        (&[0, far, far - 10 * MINUTE], &[true, true, true]),
        (&[0, far, far - 10 * MINUTE - 1], &[true, false, false]),
        (&[0, 10 * MINUTE], &[true, true]),
        (&[0, 10 * MINUTE + 1], &[true, false]),
        (&[far, 0, 1], &[false, true, true]),
        (&[far, 0], &[false, false]),
        (&[0, far, 2 * far, 1], &[true, true, false, true]),
    ];
    let files = Files::new();
    for (times, wanted) in cases {
        assert_eq!(accepted(times), *wanted, "the oracle itself: {times:?}");
        let path = files.write("table", &table(times));
        for block_bytes in [1, 1 << 10] {
            let told = tell(std::slice::from_ref(&path), &SourceOptions::default(), block_bytes);
            assert_eq!(taken(&told), *wanted, "{times:?}");
            assert_eq!(told.complaints_in_all, wanted.iter().filter(|taken| !**taken).count() as u64);
        }
    }
}

#[test]
fn a_rejected_jump_is_shown_with_its_line() {
    let files = Files::new();
    let text = b"table\nA,0,0\nnot a row\n\nB,90000000,1\ngap,A,1,2\nA,5,2\nA,1,-1\nA,6,3\n";
    let path = files.write("table", text);
    for block_bytes in [1, 20, 1 << 10] {
        let told = tell(std::slice::from_ref(&path), &SourceOptions::default(), block_bytes);
        assert_eq!(told.ids(), [Some(0), None, Some(2), None, Some(3)]);
        let shown: Vec<String> = told.complaints.iter().map(ToString::to_string).collect();
        let jump = "line 5: time 2023-11-15T23:13:20.000000000Z is more than 10 minutes ahead and the next tick \
                    does not confirm it: \"B,90000000,1\"";
        assert_eq!(shown, ["line 3: not a row: \"not a row\"", jump]);
    }
    let strict = SourceOptions { strict: true, ..SourceOptions::default() };
    let path = files.write("table", b"table\nA,0,0\nB,90000000,1\nA,5,2\n");
    let (_, error) = drain(&mut open(&[path], &strict, 1));
    assert!(error.unwrap().to_string().contains(", line 3: time "));
}

#[test]
fn a_filter_does_not_change_what_is_rejected() {
    let files = Files::new();
    // Rejected by a tick of another symbol, before the range.
    let path = files.write("table", b"table\nA,0,0\nA,90000000,1\nB,5,2\nA,6,3\nA,90000000,4\n");
    for block_bytes in [1, 30, 1 << 10] {
        let options = SourceOptions { symbols: vec!["A".to_owned()], ..SourceOptions::default() };
        let told = tell(std::slice::from_ref(&path), &options, block_bytes);
        assert_eq!(told.ids(), [Some(0), None, Some(3), None]);
        assert_eq!(told.complaints.iter().map(|c| c.line).collect::<Vec<_>>(), [3, 6]);
    }
}

#[test]
fn many_ticks_without_a_time_do_not_hold_a_jump_for_ever() {
    let files = Files::new();
    let text = format!("table\nA,0,0\nA,90000000,1\n{}A,90000001,2\n", "A,1,-1\n".repeat(100_000));
    let path = files.write("table", text.as_bytes());
    let told = tell(&[path], &SourceOptions { decoders: 2, ..SourceOptions::default() }, 4_096);
    assert_eq!((told.ticks.len(), told.ids()[0], told.ids()[1]), (100_003, Some(0), None));
}

/// Times with runs, jumps and steps back.
fn times() -> impl Strategy<Value = Vec<i64>> {
    let step = prop_oneof![
        6 => 0..MINUTE,
        2 => -20 * MINUTE..0,
        1 => 9 * MINUTE..11 * MINUTE,
        1 => 100 * MINUTE..200 * MINUTE,
    ];
    (proptest::collection::vec((step, proptest::bool::weighted(0.15)), 1..60)).prop_map(|steps| {
        let mut now = 0;
        steps
            .into_iter()
            .map(|(step, stays)| {
                let time = now + step;
                if !stays {
                    now = time;
                }
                time
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn blocks_give_what_the_rule_gives(times in times(), block_bytes in 1usize..200, decoders in 1usize..4) {
        let files = Files::new();
        let path = files.write("table", &table(&times));
        let options = SourceOptions { decoders, ..SourceOptions::default() };
        let told = tell(&[path], &options, block_bytes);
        prop_assert_eq!(taken(&told), accepted(&times));
    }
}
