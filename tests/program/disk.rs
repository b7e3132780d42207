//! A full disk: the replay says what it needs, and goes on where there is room.

use std::process::Command;

use super::support::Folder;

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
