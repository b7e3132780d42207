//! The same answer however the work is divided.

use std::path::PathBuf;

use proptest::prelude::*;
use tapedeck::replay::ReplayOptions;
use tapedeck::tape::Cut;

use crate::made::{Kind, config, file, kinds, made};
use crate::support::{assert_same, data, dump_of, lines, options};

fn made_options() -> ReplayOptions {
    ReplayOptions { config: config(false), ..options() }
}

fn cuts() -> impl Strategy<Value = Cut> {
    prop_oneof![
        Just(Cut::Adaptive),
        Just(Cut::Every(1)),
        Just(Cut::Every(64)),
        Just(Cut::Every(8_192)),
        any::<u64>().prop_map(Cut::Random),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn workers_epochs_speed_and_checkpoints_change_nothing(
        kind in kinds(),
        seed in any::<u64>(),
        cut in cuts(),
        workers in prop_oneof![Just(1usize), Just(2), Just(8)],
        paced in any::<bool>(),
        checkpoint in 1u64..2_000,
        keep_ticks in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let files = made(kind, seed, 1_500).whole(folder.path());
        let plain = dump_of(&files, &made_options());
        let mut other = ReplayOptions { cut, workers, keep_ticks, ..made_options() };
        other.speed = paced.then_some(100_000.0);
        other.config.engine.checkpoint_entries = checkpoint;
        // Where checkpoints are taken is part of the configuration and of no result.
        assert_same(&dump_of(&files, &other), &plain, &format!("{cut:?}, {workers} workers"));
    }

    #[test]
    fn a_file_cut_anywhere_is_the_same_tape(
        kind in kinds(),
        seed in any::<u64>(),
        cuts in prop::collection::vec(1usize..1_200, 1..5),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let made = made(kind, seed, 1_200);
        let whole = dump_of(&made.whole(folder.path()), &made_options());
        let mut cuts = [cuts, vec![0, made.lines.len()]].concat();
        cuts.sort_unstable();
        cuts.dedup();
        let parts: Vec<PathBuf> = cuts.windows(2).enumerate().map(|(part, cut)| {
            // A capture has its opening once, a table its header in every part.
            let head: &[u8] = if part == 0 || matches!(kind, Kind::Csv) { &made.head } else { b"" };
            let name = format!("part{part}.{}", if matches!(kind, Kind::Csv) { "csv" } else { "txt" });
            file(folder.path(), &name, head, &made.lines[cut[0]..cut[1]])
        }).collect();
        assert_same(&dump_of(&parts, &made_options()), &whole, &format!("{} parts", parts.len()));
    }

    #[test]
    fn a_frame_that_cannot_be_read_marks_windows_wherever_the_file_is_cut(
        seed in any::<u64>(),
        broken in prop::collection::vec(100usize..1_100, 1..6),
        cut in 1usize..1_200,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut made = made(Kind::Capture, seed, 1_200);
        for at in &broken {
            let space = made.lines[*at].iter().position(|byte| *byte == b' ').unwrap();
            let mut line = made.lines[*at][..=space].to_vec();
            line.extend_from_slice(b"{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\n");
            made.lines[*at] = line;
        }
        let whole = dump_of(&made.whole(folder.path()), &ReplayOptions { config: config(true), ..options() });
        prop_assert!(whole.lines().any(|line| line.starts_with("window,") && line.contains("gap")));
        let parts = [&made.lines[..cut], &made.lines[cut..]].into_iter().enumerate().map(|(part, lines)| {
            let head: &[u8] = if part == 0 { &made.head } else { b"" };
            file(folder.path(), &format!("broken{part}.txt"), head, lines)
        });
        let parts: Vec<PathBuf> = parts.collect();
        let other = ReplayOptions { config: config(true), workers: 3, cut: Cut::Every(64), ..options() };
        assert_same(&dump_of(&parts, &other), &whole, "two parts");
    }

    #[test]
    fn further_windows_leave_the_first_ones_as_they_are(kind in kinds(), seed in any::<u64>()) {
        let folder = tempfile::tempdir().unwrap();
        let files = made(kind, seed, 1_500).whole(folder.path());
        let few = dump_of(&files, &made_options());
        let more = dump_of(&files, &ReplayOptions { config: config(true), ..options() });
        prop_assert!(!lines(&more, "window,z").is_empty());
        let kept: String = more.lines().filter(|line| !line.starts_with("window,z")).map(|line| format!("{line}\n")).collect();
        assert_same(&kept, &few, "the first windows");
    }
}

#[test]
fn a_real_capture_gives_one_answer() {
    let Some(data) = data() else { return };
    let files = [data.join("hftbacktest/usdm_btcusdt_20230404.dat.gz")];
    let mut plain = made_options();
    plain.config.engine.checkpoint_entries = 1_000_000;
    let expected = dump_of(&files, &plain);
    for (workers, cut) in [(1, Cut::Every(64)), (8, Cut::Random(3)), (2, Cut::Every(8_192))] {
        let other = ReplayOptions { workers, cut, ..made_options() };
        assert_same(&dump_of(&files, &other), &expected, &format!("{cut:?}, {workers} workers"));
    }
}
