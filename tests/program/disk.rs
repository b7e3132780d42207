//! A full disk: the replay says what it needs, and goes on where there is room; a live run waits for room.

use std::io::Read;
use std::process::{Command, Stdio};

use tapedeck::market::MarketSpec;

use super::crashes::{line_of, simulator_of, started_by};
use super::support::{Folder, wait_for};

/// Runs `script` where it may mount; `None` if that is not possible here.
fn mounted(folder: &Folder, script: &str) -> Option<(i32, String, String)> {
    let can = Command::new("unshare").args(["-m", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
    if !can.is_ok_and(|done| done.status.success()) {
        eprintln!("skipped: mounting a small file system needs root and unshare");
        return None;
    }
    let done = Command::new("unshare")
        .args(["-m", "sh", "-c", script, env!("CARGO_BIN_EXE_tapedeck")])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Some((done.status.code().unwrap(), text(done.stdout), text(done.stderr)))
}

#[test]
fn a_replay_on_a_full_disk_ends_and_goes_on_with_room() {
    let folder = Folder::new();
    folder.run("simulate --csv a.csv --symbols 20 --trades 300000 --seed 5").fine();
    folder.config("c.toml");
    folder.run("replay a.csv --db whole --config c.toml --keep-ticks").fine();
    std::fs::create_dir(folder.path().join("small")).unwrap();
    let script = r#"
        set -e
        mount -t tmpfs -o size=4m none small
        replay='replay a.csv --db small/db --config c.toml --keep-ticks'
        "$0" $replay && echo 0 || echo $?
        # What is committed can be read on the full disk, by those who write nothing there.
        "$0" query symbols --db small/db --format csv | wc -l
        "$0" $replay --resume && echo 0 || echo $?
        mount -o remount,size=400m small
        "$0" $replay --resume >/dev/null
        "$0" dump --db small/db --digest
        "$0" query ticks --db small/db --format csv | sha256sum
        "$0" query ticks --db whole --format csv | sha256sum
    "#;
    let Some((code, out, err)) = mounted(&folder, script) else { return };
    assert_eq!(code, 0, "{out}{err}");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(&lines[..3], ["1", "21", "1"], "{out}{err}");
    // The first one waits for room for a while, and says so.
    let ends = |line: &&str| line.starts_with("tapedeck: ") && line.contains("no space left");
    let complaints: Vec<&str> = err.lines().filter(ends).collect();
    assert_eq!(complaints.len(), 2, "{err}");
    for line in complaints {
        let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
        assert!(
            line.contains("small/db") && line.contains("bytes needed") && line.contains("free"),
            "{line}"
        );
        assert!(numbers[0] > 0, "needed: {line}");
    }
    assert_eq!(lines[3].split_whitespace().next(), Some(&*folder.digest("whole")), "{out}{err}");
    assert_eq!(lines[4], lines[5], "every tick is kept, once");
}

/// The script in which a live run has a small disk. It ends when a file says so.
const LIVE: &str = r#"
    mount -t tmpfs -o size=10m none small || exit 9
    "$0" "$@" &
    run=$!
    while [ ! -e stop ]; do sleep 0.05; done
    kill -INT $run
    wait $run || exit 8
    "$0" dump --db small/db --digest
"#;

#[test]
fn a_live_run_on_a_full_disk_says_so_takes_no_more_and_goes_on_with_room() {
    let folder = Folder::new();
    if mounted(&folder, "command -v nsenter").is_none_or(|(code, ..)| code != 0) {
        return eprintln!("skipped: changing a mounted file system needs root and nsenter");
    }
    std::fs::create_dir(folder.path().join("small")).unwrap();
    folder.config("c.toml");
    let market = MarketSpec { symbols: 20, ticks_per_second: 20_000, ..MarketSpec::DEFAULT };
    let simulator = simulator_of(&["binance"], market);
    let line = format!("{} --record recording", line_of(&simulator).replace("--db db", "--db small/db"));
    let mut inside = Command::new("unshare");
    inside.args(["-m", "sh", "-c", LIVE, env!("CARGO_BIN_EXE_tapedeck")]).args(line.split(' '));
    inside.current_dir(folder.path()).stdout(Stdio::piped());
    let mut live = started_by(inside);

    let not_ready = wait_for(|| live.get("/readyz").filter(|said| said.contains("no space left")));
    assert!(not_ready.contains("bytes needed") && not_ready.contains("free"), "{not_ready}");
    let stands_at = live.committed().unwrap();
    let process = live.running.child.id().to_string();
    let more = ["-t", &process, "-m", "mount", "-o", "remount,size=2g"];
    let small = folder.path().join("small");
    assert!(Command::new("nsenter").args(more).arg(small).status().unwrap().success());
    wait_for(|| live.committed().filter(|committed| *committed > stands_at + 100_000));
    assert!(live.get("/readyz").unwrap().contains("\"ready\":true"));

    folder.write("stop", "");
    let mut said = String::new();
    live.running.child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(live.running.wait().code(), Some(0), "{said}");
    drop(simulator);
    let mut files: Vec<_> = std::fs::read_dir(folder.path().join("recording")).unwrap().collect();
    let mut names: Vec<String> =
        files.drain(..).map(|file| format!("recording/{}", file.unwrap().file_name().display())).collect();
    names.sort();
    folder.run(&format!("replay {} --db again --config c.toml", names.join(" "))).fine();
    let digest = said.lines().last().unwrap().split_whitespace().next().unwrap().to_owned();
    assert_eq!(digest, folder.digest("again"));
}
