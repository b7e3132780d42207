//! `kill -9` at any point, any number of times: `--resume` ends with the digest of the run that was never stopped.
//!
//! `TAPEDECK_KILLS` says how many kills there are to be at least, `TAPEDECK_SEED` where they fall.

use std::time::Duration;

use tapedeck::clock;
use tapedeck::schema::run::Progress;

use super::support::{Draws, Folder, number, pause, since};

/// Kills that are to land, unless the environment says otherwise.
const KILLS: u64 = 24;
/// Options that change no result, so that a replay may be resumed with others.
const WAYS: [&str; 6] = [
    "--workers 1",
    "--workers 2 --speed 40x",
    "--workers 8 --epoch 64",
    "--epoch random:7 --speed 60x",
    "--workers 2 --epoch 8192",
    "--workers 8 --epoch 1",
];

/// Replays `input` into fresh databases, killing, until `kills` have landed; every database comes to `wanted`.
fn kill_and_resume(folder: &Folder, input: &str, wanted: &str, kills: u64, draws: &mut Draws) {
    let start = clock::stamp();
    folder.run(&format!("replay {input} --db timed --config c.toml --workers 2 --speed 60x")).fine();
    let whole = since(start);
    let (mut landed, mut advanced) = (0, 0);
    for round in 0.. {
        let db = format!("killed{round}");
        let mut before = 0;
        loop {
            let way = WAYS[draws.below(WAYS.len() as u64) as usize];
            let line = format!("replay {input} --db {db} --config c.toml --resume --keep-ticks {way}");
            let mut running = folder.start(&line);
            pause(Duration::from_nanos(draws.below(whole.as_nanos() as u64)));
            if running.ended().is_none() {
                running.signal("KILL");
            }
            let status = running.wait();
            landed += u64::from(status.code().is_none());
            assert!(matches!(status.code(), None | Some(0)), "{line}: {status}, seen before: {before}");
            let Some(run) = folder.last_run(&db) else { continue };
            assert!(run.applied >= before, "what was committed is gone: {} after {before}", run.applied);
            advanced += u64::from(run.applied > before && run.progress == Progress::Unfinished);
            before = run.applied;
            if run.progress == Progress::Complete {
                break;
            }
        }
        assert_eq!(folder.digest(&db), wanted, "after {landed} kills in all, {db}");
        if landed >= kills {
            eprintln!(
                "{landed} kills landed in {} replays of {input}, {advanced} between checkpoints",
                round + 1
            );
            assert!(advanced > 0, "no kill came midway");
            return;
        }
        std::fs::remove_dir_all(folder.path().join(&db)).unwrap();
    }
}

#[test]
fn trades_without_receive_times() {
    let folder = Folder::new();
    folder.trades("a.csv");
    folder.config("c.toml");
    folder.run("replay a.csv --db whole --config c.toml").fine();
    let mut draws = Draws(number("TAPEDECK_SEED", 11));
    kill_and_resume(
        &folder,
        "a.csv",
        &folder.digest("whole"),
        number("TAPEDECK_KILLS", KILLS).div_ceil(2),
        &mut draws,
    );
}

#[test]
fn captures_with_clock_entries() {
    let folder = Folder::new();
    folder.capture("a.capture.zst");
    folder.config("c.toml");
    folder.run("replay a.capture.zst --db whole --config c.toml --keep-ticks").fine();
    let mut draws = Draws(number("TAPEDECK_SEED", 12));
    let kills = number("TAPEDECK_KILLS", KILLS).div_ceil(2);
    kill_and_resume(&folder, "a.capture.zst", &folder.digest("whole"), kills, &mut draws);
}

/// Ticks that are kept are kept once, whatever was killed between.
#[test]
fn kept_ticks_are_those_of_the_whole_run() {
    let folder = Folder::new();
    folder.trades("a.csv");
    folder.config("c.toml");
    folder.run("replay a.csv --db whole --config c.toml --keep-ticks").fine();
    let mut passed = 0;
    loop {
        let mut running = folder
            .start("replay a.csv --db killed --config c.toml --keep-ticks --resume --speed 20x --epoch 64");
        let midway = folder.wait_until_past("killed", passed, &mut running);
        running.signal("KILL");
        running.wait();
        if !midway {
            break;
        }
        passed = folder.last_run("killed").unwrap().applied + 6_000;
    }
    folder.run("replay a.csv --db killed --config c.toml --keep-ticks --resume").fine();
    let ticks = |db: &str| folder.run(&format!("query ticks --db {db} --format csv")).fine();
    assert!(ticks("killed") == ticks("whole"), "the ticks differ");
    assert_eq!(ticks("whole").lines().count(), 30_001);
    assert_eq!(folder.digest("killed"), folder.digest("whole"));
}
