//! Recordings of several runs, and of parts of one: what is not one whole is refused, and run by run the answer is theirs.

use std::path::PathBuf;

use feeds::recording::Header;
use tapedeck::clock;
use tapedeck::live::Deck;
use tapedeck::live::recorder::Recorder;
use tapedeck::replay::ReplayOptions;
use tapedeck::replay::plan::Mode;
use tapedeck::source::{self, SourceError};
use tapedeck::tape::Cut;

use crate::live::{deliveries, live_options, recording};
use crate::made::config;
use crate::support::{assert_same, dumped, memory, options, run};

fn refused(files: &[PathBuf]) -> String {
    let Err(error) = source::open(files, &options().source) else { panic!("it is taken") };
    assert!(matches!(error, SourceError::SeveralRuns(_) | SourceError::NoRecording { .. }));
    assert_eq!(error.exit_code(), 2);
    error.to_string()
}

#[test]
fn runs_are_replayed_one_after_another_and_never_mixed() {
    let folder = tempfile::tempdir().unwrap();
    let (live, mut dumps) = (memory(), Vec::new());
    for seed in [3, 4] {
        let recorder = Recorder::start(folder.path(), clock::wall()).unwrap();
        let mut deck = Deck::start(&live, &live_options(2, Cut::Adaptive), Some(recorder)).unwrap();
        for delivery in deliveries(seed, 600) {
            deck.take(delivery, false).unwrap();
        }
        deck.stop().unwrap();
        dumps.push(dumped(&live));
    }
    let files = recording(folder.path());
    let why = refused(&files);
    assert!(why.contains("2 runs") && why.contains("--append"), "{why}");
    let replayed = memory();
    for ((file, mode), live) in files.iter().zip([Mode::Fresh, Mode::Append]).zip(dumps) {
        let options = ReplayOptions { config: config(true), mode, ..options() };
        run(&replayed, std::slice::from_ref(file), &options);
        assert_same(&dumped(&replayed), &live, "run by run");
    }
}

#[test]
fn a_part_that_is_missing_or_there_twice_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let part = |part: u64, name: &str| {
        let header = Header { tapedeck_recording: 2, part, connections: Vec::new(), run: 17, judged: true };
        let path = folder.path().join(name);
        std::fs::write(&path, header.line()).unwrap();
        path
    };
    let [second, third, fourth, again] =
        [(2, "b"), (3, "c"), (4, "d"), (3, "e")].map(|(at, name)| part(at, name));
    assert!(source::open(&[fourth.clone(), second.clone(), third.clone()], &options().source).is_ok());
    let why = refused(&[fourth.clone(), second.clone()]);
    assert!(why.contains("part 4 and the one before it is part 2"), "{why}");
    let why = refused(&[second, third, again, fourth]);
    assert!(why.contains("part 3 and the one before it is part 3"), "{why}");
}
