//! Several files: heads only, stable, everything at its place.

use std::path::PathBuf;

use proptest::prelude::*;

use super::fake::{Files, MS, ZERO, drain, open, tell};
use crate::source::SourceOptions;

/// The merge as it is written: the least head, the first file on ties.
fn merged(files: &[Vec<i64>]) -> Vec<(usize, i64)> {
    let mut heads = vec![0; files.len()];
    let mut out = Vec::new();
    while let Some(file) = (0..files.len())
        .filter(|&file| heads[file] < files[file].len())
        .min_by_key(|&file| (files[file][heads[file]], file))
    {
        out.push((file, files[file][heads[file]]));
        heads[file] += 1;
    }
    out
}

fn write(files: &Files, kind: &str, times: &[Vec<i64>]) -> Vec<PathBuf> {
    let paths = times.iter().enumerate().map(|(file, times)| {
        let mut text = format!("{kind}\n");
        for (id, ms) in times.iter().enumerate() {
            // The exchange times of a capture say nothing of its order.
            let row = if kind == "capture" {
                format!("S{},{},{id},{ms}", id % 3, -ms)
            } else {
                format!("S{},{ms},{id}", id % 3)
            };
            text.push_str(&format!("{row}\noffset,{id}\n"));
        }
        files.write(&format!("{kind}{file}"), text.as_bytes())
    });
    paths.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn only_heads_are_compared(
        times in proptest::collection::vec(proptest::collection::vec(0i64..500, 1..80), 1..6),
        is_capture: bool,
        block_bytes in 1usize..300,
        decoders in 1usize..4,
    ) {
        // They all begin together; what begins late behind a file out of order may be a piece of it.
        let mut times = times;
        times.iter_mut().for_each(|times| times[0] = 0);
        let files = Files::new();
        let paths = write(&files, if is_capture { "capture" } else { "table" }, &times);
        let told = tell(&paths, &SourceOptions { decoders, ..SourceOptions::default() }, block_bytes);
        let wanted = merged(&times);
        let got: Vec<(usize, i64)> =
            told.ticks.iter().map(|tick| (tick.0, if is_capture { -tick.2 } else { tick.2 })).collect();
        prop_assert_eq!(got, wanted);
        // Each estimate stands between the tick before it and the one behind it of its own file.
        for (file, times) in times.iter().enumerate() {
            let offsets: Vec<_> = told.offsets.iter().filter(|offset| offset.1 == file).collect();
            prop_assert_eq!(offsets.len(), times.len());
            for (before, offset) in offsets.iter().enumerate() {
                let done = told.ticks[..offset.0].iter().filter(|tick| tick.0 == file).count();
                prop_assert_eq!(done, before + 1);
            }
            prop_assert_eq!(told.frames[file].ticks, times.len() as u64);
        }
        prop_assert_eq!(told.symbols.len(), times.iter().map(|times| times.len().min(3)).max().unwrap_or(0));
    }
}

#[test]
fn files_in_order_merge_wherever_they_begin() {
    let files = Files::new();
    for other in [0, 1, 50, 97, 99, 150] {
        let times: Vec<Vec<i64>> = vec![(0..100).collect(), (other..other + 100).collect()];
        let told = tell(&write(&files, "table", &times), &SourceOptions::default(), 64);
        let got: Vec<(usize, i64)> = told.ticks.iter().map(|tick| (tick.0, tick.2)).collect();
        assert_eq!(got, merged(&times), "{other}");
    }
}

#[test]
fn files_in_turn_run_one_after_the_other() {
    let files = Files::new();
    let times: Vec<Vec<i64>> =
        (0..5).map(|file| (0..1_000).map(|row| (file * 1_000 + row) * 10).collect()).collect();
    let paths = write(&files, "table", &times);
    let mut source = open(&paths, &SourceOptions { decoders: 2, ..SourceOptions::default() }, 512);
    let mut most = 0;
    while let Some(batch) = source.next().unwrap() {
        assert!(batch.runs.len() <= 1, "blocks go through whole");
        let crate::source::Source::Merge(merge) = &source else { panic!("these files are no recording") };
        most = most.max(merge.running());
    }
    assert_eq!(most, 1, "a file is started when the one before it has ended");
}

#[test]
fn a_rejected_tick_sorts_where_its_file_stands() {
    let files = Files::new();
    let first = files.write("first", b"table\nA,0,0\nA,90000000,1\nA,20,2\nA,30,3\n");
    let second = files.write("second", b"table\nB,5,10\nB,15,11\nB,25,12\n");
    let told = tell(&[first, second], &SourceOptions::default(), 1 << 10);
    let order: Vec<(usize, Option<u64>)> = told.ticks.iter().map(|tick| (tick.0, tick.3)).collect();
    let wanted =
        [(0, Some(0)), (0, None), (1, Some(10)), (1, Some(11)), (0, Some(2)), (1, Some(12)), (0, Some(3))];
    assert_eq!(order, wanted);
}

#[test]
fn a_complaint_names_its_file() {
    let files = Files::new();
    let first = files.write("first", b"table\nA,0,0\nwhat\n");
    let second = files.write("second", b"table\nB,5,10\n\nwhat\n");
    let told = tell(&[first.clone(), second.clone()], &SourceOptions::default(), 1 << 10);
    let places: Vec<(usize, u64)> = told.complaints.iter().map(|c| (c.file, c.line)).collect();
    assert_eq!(places, [(0, 3), (1, 4)]);
    let strict = SourceOptions { strict: true, ..SourceOptions::default() };
    let (_, error) = drain(&mut open(&[second, first], &strict, 1 << 10));
    assert!(error.unwrap().to_string().contains("first, line 3: "), "the first in tape order");
}

#[test]
fn a_range_of_many_files() {
    let files = Files::new();
    let times: Vec<Vec<i64>> = (0..4).map(|file| (0..100).map(|row| file * 100 + row).collect()).collect();
    let paths = write(&files, "table", &times);
    let options =
        SourceOptions { from: Some(ZERO + 150 * MS), to: Some(ZERO + 250 * MS), ..SourceOptions::default() };
    let told = tell(&paths, &options, 64);
    assert_eq!(told.ticks.iter().map(|tick| tick.2).collect::<Vec<_>>(), (150..250).collect::<Vec<_>>());
}
