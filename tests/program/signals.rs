//! SIGINT and SIGTERM: the run stops at once, in good order, and can be resumed.

use std::os::unix::process::ExitStatusExt;

use super::support::{Folder, Running};

const SLOW: &str = "replay a.csv --db stopped --config c.toml --resume --speed 5x";

fn whole(folder: &Folder) -> String {
    folder.config("c.toml");
    folder.run("replay a.csv --db whole --config c.toml").fine();
    folder.digest("whole")
}

/// Starts a slow replay and waits until it has come past entry `number`.
#[track_caller]
fn midway(folder: &Folder, number: u64) -> Running {
    let mut running = folder.start(SLOW);
    assert!(folder.wait_until_past("stopped", number, &mut running), "it was too fast");
    running
}

#[test]
fn stopped_and_resumed() {
    let folder = Folder::new();
    folder.trades("a.csv");
    let wanted = whole(&folder);
    let mut past = 0;
    for signal in ["INT", "TERM", "INT"] {
        let mut running = midway(&folder, past);
        running.signal(signal);
        assert_eq!(running.wait().code(), Some(0), "SIG{signal}");
        past = folder.last_run("stopped").unwrap().applied;
    }
    assert!(past < 30_000, "it was over before the last signal");
    folder
        .run("replay a.csv --db stopped --config c.toml")
        .failed(2, &["interrupted", "--resume", "--append"]);
    folder.run("replay a.csv --db stopped --config c.toml --resume").fine();
    assert_eq!(folder.digest("stopped"), wanted);
    let again = folder.run("replay a.csv --db stopped --config c.toml --resume").fine();
    assert!(again.contains("nothing left"), "{again}");
}

/// A symbol is announced with its block, long before a slow replay comes to its first tick.
#[test]
fn stopped_before_a_symbol_has_its_first_tick() {
    let folder = Folder::new();
    let mut text = "time,symbol,price,size\n".to_owned();
    for row in 0..3_000_u64 {
        let symbol = if row < 2_999 { "EARLY" } else { "LAST" };
        text += &format!("{},{symbol},100.5,{}\n", 1_736_121_600_000 + row * 10, 1 + row % 5);
    }
    folder.write("a.csv", text);
    let wanted = whole(&folder);
    let mut running = midway(&folder, 0);
    running.signal("INT");
    assert_eq!(running.wait().code(), Some(0));
    folder.run("query symbols --db stopped").fine();
    folder.digest("stopped");
    folder.run("replay a.csv --db stopped --config c.toml --resume").fine();
    assert_eq!(folder.digest("stopped"), wanted);
}

/// Before anything was committed there is nothing to go on from, and `--resume` begins.
#[test]
fn stopped_before_the_first_checkpoint() {
    let folder = Folder::new();
    folder.trades("a.csv");
    let wanted = whole(&folder);
    let mut running = folder.start("replay a.csv --db stopped --config c.toml --speed 0.001x");
    super::support::wait_for(|| folder.path().join("stopped/CURRENT").exists().then_some(()));
    // Signals are taken from before the first line is read; whatever comes earlier ends the process.
    running.signal("TERM");
    let status = running.wait();
    assert!(status.code() == Some(0) || status.signal() == Some(15), "{status}");
    folder.run("replay a.csv --db stopped --config c.toml --resume").fine();
    assert_eq!(folder.digest("stopped"), wanted);
}

/// The second signal does not wait for anything. The process is held while both are sent; if it still ends in good
/// order between them, which a busy machine allows, that is no answer, and it is asked again.
#[test]
fn a_second_signal_ends_it_at_once() {
    for _ in 0..10 {
        let folder = Folder::new();
        folder.trades("a.csv");
        let wanted = whole(&folder);
        let mut running = midway(&folder, 0);
        for signal in ["STOP", "INT", "TERM", "CONT"] {
            running.signal(signal);
        }
        let code = running.wait().code();
        folder.run("replay a.csv --db stopped --config c.toml --resume").fine();
        assert_eq!(folder.digest("stopped"), wanted);
        if code == Some(130) {
            return;
        }
        assert_eq!(code, Some(0));
    }
    panic!("ten times it ended in good order in spite of a second signal");
}

/// A slow replay has checkpoints by time, too: what it has done shows, though its block is not at its end.
#[test]
fn a_slow_replay_makes_checkpoints_by_time() {
    let folder = Folder::new();
    folder.trades("a.csv");
    folder.write("c.toml", "[engine]\ncheckpoint_every = \"100ms\"\n[[windows]]\nname = \"1s\"\n");
    let mut running = midway(&folder, 0);
    let first = folder.last_run("stopped").unwrap().applied;
    assert!(folder.wait_until_past("stopped", first, &mut running));
    running.signal("KILL");
    running.wait();
    folder.run("replay a.csv --db stopped --config c.toml --resume").fine();
    folder.run("replay a.csv --db whole --config c.toml").fine();
    assert_eq!(folder.digest("stopped"), folder.digest("whole"));
}

/// A resumed replay does not wait once more through what is in the database.
#[test]
fn a_resumed_replay_paces_only_what_is_left() {
    let folder = Folder::new();
    let mut text = "time,symbol,price,size\n".to_owned();
    for row in 0..1_500_u64 {
        // 75 minutes, then nothing for ten days, then one second.
        let millis = if row < 1_000 { row * 4_500 } else { 864_000_000 + row };
        text += &format!("{},SLOW,100.5,1\n", 1_736_121_600_000 + millis);
    }
    folder.write("a.csv", text);
    let wanted = whole(&folder);
    let mut running = folder.start("replay a.csv --db stopped --config c.toml --speed 10000x");
    assert!(folder.wait_until_past("stopped", 999, &mut running));
    running.signal("INT");
    assert_eq!(running.wait().code(), Some(0));
    assert_eq!(folder.last_run("stopped").unwrap().applied, 1_000);
    folder.run("replay a.csv --db stopped --config c.toml --resume --speed 1x").fine();
    assert_eq!(folder.digest("stopped"), wanted);
}
