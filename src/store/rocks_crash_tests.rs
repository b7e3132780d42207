//! Ends that nobody planned: `kill -9`, and a disk that is full.
//!
//! The test program starts itself again for what must be killed: [`child`] does then what its environment says.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use super::rocks::RocksStore;
use super::rocks_tests::{count, numbered};
use super::*;

/// What the child is to do, and where.
const ROLE: &str = "TAPEDECK_STORE_CHILD";
const PLACE: &str = "TAPEDECK_STORE_PLACE";

/// Bytes of a value that fills a disk.
const FILL: usize = 1 << 16;

/// The small disk, in MiB, and what lies on it beside the database until it is freed.
const DISK: usize = 288;
const FILLER: usize = 128;

/// `program` with the arguments that make this test program run [`child`] with this role.
fn with_role(mut program: Command, role: &str, place: &Path) -> Command {
    program
        .args(["--exact", "store::rocks_crash_tests::child", "--nocapture"])
        .env(ROLE, role)
        .env(PLACE, place);
    program
}

/// Starts [`child`]; the lines that it prints can be read.
fn start(role: &str, place: &Path) -> (Child, impl Iterator<Item = String>) {
    let program = Command::new(std::env::current_exe().unwrap());
    let mut child = with_role(program, role, place).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    (child, lines)
}

/// The number in a line such as `acked 7`.
fn number(line: &str, word: &str) -> Option<u64> {
    line.strip_prefix(word)?.trim().parse().ok()
}

/// Says something to the parent. Not by `println!`, which the test harness may hold back.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").unwrap();
    out.flush().unwrap();
}

/// Not a test of its own: the other process of those below.
#[test]
fn child() {
    let (Ok(role), Some(place)) = (std::env::var(ROLE), std::env::var_os(PLACE).map(PathBuf::from)) else {
        return;
    };
    match role.as_str() {
        "commit" => commit_for_ever(&place),
        "hold" => hold(&place),
        "fill" => fill_and_wait(&place),
        "full disk" => {
            writes_work_again_when_space_is_freed(&place);
            a_kill_while_full_loses_nothing(&place);
            say("passed");
        }
        role => panic!("no role {role}"),
    }
}

/// Commits without syncing, says so each time, and is killed.
fn commit_for_ever(place: &Path) {
    let store = RocksStore::create_or_open(place).unwrap();
    for number in count(&store, Family::Tape).. {
        store.commit(&numbered(number), false).unwrap();
        say(&format!("acked {number}"));
    }
}

/// Holds the database until it is killed.
fn hold(place: &Path) {
    let _store = RocksStore::create_or_open(place).unwrap();
    say("open");
    std::io::stdin().lines().for_each(drop);
}

#[test]
fn kill_9_loses_nothing_that_was_committed() {
    let folder = tempfile::tempdir().unwrap();
    let mut least = 0;
    for _ in 0..5 {
        let (mut child, lines) = start("commit", folder.path());
        let acked =
            lines.filter_map(|line| number(&line, "acked")).find(|number| *number >= least + 150).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let store = RocksStore::create_or_open(folder.path()).unwrap();
        let tape = count(&store, Family::Tape);
        assert!(tape > acked, "{acked} was acknowledged and {tape} are there");
        assert_eq!(count(&store, Family::Windows), tape, "batches are whole");
        least = tape;
    }
}

#[test]
fn another_process_that_writes_is_named_and_its_lock_goes_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let program = Command::new(std::env::current_exe().unwrap());
    let mut command = with_role(program, "hold", folder.path());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.ends_with("open")));

    let refused = open_writer(folder.path()).err().unwrap();
    assert!(matches!(refused, StoreError::Locked { pid: Some(pid), .. } if pid == child.id()), "{refused}");
    assert!(refused.to_string().contains(&format!("pid {}", child.id())), "{refused}");
    open_reader(folder.path()).unwrap();

    child.kill().unwrap();
    child.wait().unwrap();
    open_writer(folder.path()).unwrap();
}

/// The bytes of batch `number` that fills a disk: no compression makes them fewer.
fn filling_value(number: u64) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..FILL / 8).flat_map(|_| next()).collect()
}

/// A batch of [`FILL`] bytes that span two families.
fn filling(number: u64) -> Batch {
    let mut batch = Batch::default();
    batch.put(Family::Tape, number.to_be_bytes().to_vec(), filling_value(number));
    batch.put(Family::Windows, number.to_be_bytes().to_vec(), number.to_le_bytes().to_vec());
    batch
}

/// Commits until the disk is full. Returns how many were acknowledged.
fn fill(store: &dyn Store) -> u64 {
    for number in 0.. {
        match store.commit(&filling(number), false) {
            Ok(()) => {}
            Err(StoreError::Full { needed, .. }) => {
                assert_eq!(needed, filling(number).bytes());
                return number;
            }
            Err(error) => panic!("after {number}: {error}"),
        }
    }
    0
}

/// Asserts that exactly the first `count` batches are there.
fn holds(store: &dyn Store, count: u64) {
    let mut next = 0_u64;
    for pair in store.scan(Family::Tape, b"", None) {
        let (key, value) = pair.unwrap();
        assert_eq!(*key, next.to_be_bytes());
        assert!(*value == *filling_value(next), "value {next}");
        next += 1;
    }
    assert_eq!(next, count);
    assert_eq!(self::count(store, Family::Windows), count, "batches are whole");
}

/// Puts something on the disk that can be taken away again.
fn put_filler(place: &Path) -> PathBuf {
    let filler = place.join("filler");
    std::fs::write(&filler, vec![1; FILLER << 20]).unwrap();
    filler
}

/// On a small disk: what fails leaves nothing, and works when there is room.
fn writes_work_again_when_space_is_freed(place: &Path) {
    let (filler, path) = (put_filler(place), place.join("db"));
    let store = open_writer(&path).unwrap();
    let acked = fill(&*store);
    assert!(acked > 500, "{acked}");
    holds(&*store, acked);
    let impatient = store.commit_within(&filling(acked), true, Duration::from_millis(300)).unwrap_err();
    assert!(matches!(impatient, StoreError::Full { .. }), "{impatient}");
    holds(&*store, acked);

    std::fs::remove_file(filler).unwrap();
    store.commit_within(&filling(acked), false, Duration::from_secs(60)).unwrap();
    store.commit_within(&filling(acked + 1), true, Duration::from_secs(60)).unwrap();
    holds(&*store, acked + 2);
    drop(store);
    holds(&*open_writer(&path).unwrap(), acked + 2);
    std::fs::remove_dir_all(path).unwrap();
}

/// Fills the disk and waits for its end.
fn fill_and_wait(place: &Path) {
    let store = open_writer(place).unwrap();
    say(&format!("acked {}", fill(&*store)));
    std::io::stdin().lines().for_each(drop);
}

/// On a small disk: a process that is killed while it is full.
fn a_kill_while_full_loses_nothing(place: &Path) {
    let (filler, path) = (put_filler(place), place.join("killed"));
    let program = Command::new(std::env::current_exe().unwrap());
    let mut command = with_role(program, "fill", &path);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let acked = lines.find_map(|line| number(&line, "acked")).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();

    // It opens only if opening needs no space; if not, it says why.
    match open_writer(&path) {
        Ok(store) => holds(&*store, acked),
        Err(error) => assert!(matches!(error, StoreError::Full { .. }), "{error}"),
    }
    std::fs::remove_file(filler).unwrap();
    let store = open_writer(&path).unwrap();
    holds(&*store, acked);
    store.commit_within(&filling(acked), true, Duration::from_secs(60)).unwrap();
    holds(&*store, acked + 1);
}

#[test]
fn a_full_disk_loses_nothing_and_works_again() {
    let folder = tempfile::tempdir().unwrap();
    // In a mount namespace of its own, so that nothing is left mounted whatever happens.
    let namespaces = ["-m", "-rm"];
    let can_mount = |flag: &&&str| {
        let probe = ["sh", "-c", "mount -t tmpfs -o size=1m tmpfs \"$0\""];
        let done =
            Command::new("unshare").arg(flag).args(probe).arg(folder.path()).stderr(Stdio::null()).status();
        done.is_ok_and(|status| status.success())
    };
    let Some(flag) = namespaces.iter().find(can_mount) else {
        eprintln!(
            "skipped: no small disk can be mounted here (needs unshare and mount, as root or with user namespaces)"
        );
        return;
    };
    let script = format!("mount -t tmpfs -o size={DISK}m tmpfs \"$0\" && exec \"$@\"");
    let mut command = Command::new("unshare");
    command.arg(flag).args(["sh", "-c", &script]).arg(folder.path()).arg(std::env::current_exe().unwrap());
    let output = with_role(command, "full disk", folder.path()).output().unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("passed"), "{text}");
    print!("{text}");
}
