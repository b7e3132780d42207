//! Running the program, waiting for it, and inputs for it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tapedeck::clock::{self, Stamp};
use tapedeck::replay::plan::runs;
use tapedeck::schema::run::Run;
use tapedeck::store::open_reader;
use tempfile::TempDir;

/// The longest that anything here may take.
const DEADLINE: Duration = Duration::from_secs(120);
/// Between two looks at what is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// What a command did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Done {
    /// Its output, if it did what was asked.
    #[track_caller]
    pub(crate) fn fine(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// It failed with this exit code, and said all of these words.
    #[track_caller]
    pub(crate) fn failed(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "no {word:?} in {self:?}");
        }
    }
}

/// The program with these arguments.
pub(crate) fn command<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tapedeck"));
    command.args(arguments).stdin(Stdio::null()).env_remove("RUST_LOG");
    command
}

/// A folder of inputs and databases, gone at the end.
pub(crate) struct Folder {
    dir: TempDir,
}

impl Folder {
    pub(crate) fn new() -> Folder {
        Folder { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Runs the program in the folder. `line` is split at spaces.
    pub(crate) fn run(&self, line: &str) -> Done {
        let output = self.command(line).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Done { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = command(line.split_whitespace());
        command.current_dir(self.path());
        command
    }

    /// Starts the program in the folder.
    pub(crate) fn start(&self, line: &str) -> Running {
        let child = self.command(line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Running { child }
    }

    /// The digest of a database.
    #[track_caller]
    pub(crate) fn digest(&self, db: &str) -> String {
        let out = self.run(&format!("dump --db {db} --digest")).fine();
        let digest = out.split_whitespace().next().unwrap().to_owned();
        assert_eq!(digest.len(), 64, "{out}");
        digest
    }

    /// A list of the database `db`, as CSV.
    #[track_caller]
    pub(crate) fn query(&self, what: &str) -> String {
        self.run(&format!("query {what} --db db --format csv")).fine()
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap()
    }

    /// A made-up market of trades as CSV, some 15 s long.
    pub(crate) fn trades(&self, name: &str) {
        self.run(&format!(
            "simulate --csv {name} --symbols 20 --trades 30000 --ticks-per-second 2000 --quotes-per-trade 0"
        ))
        .fine();
    }

    /// A made-up market of trades and quotes with receive times, some 10 s long.
    pub(crate) fn capture(&self, name: &str) {
        self.run(&format!("simulate --capture {name} --symbols 20 --trades 4000 --ticks-per-second 2000"))
            .fine();
    }

    /// A configuration with a checkpoint every 1,000 entries and three windows.
    pub(crate) fn config(&self, name: &str) {
        let text = "[engine]\ncheckpoint_entries = 1000\n[[windows]]\nname = \"1s\"\n\
                    [[windows]]\nname = \"5s\"\n[[windows]]\nname = \"1m\"\n";
        self.write(name, text);
    }

    /// The last run in a database, as far as it is committed.
    pub(crate) fn last_run(&self, db: &str) -> Option<Run> {
        let store = open_reader(&self.path().join(db)).ok()?;
        runs(&*store).ok()?.pop()
    }

    /// Waits until a database has applied an entry past `number`, or `running` has ended; false if it has.
    #[track_caller]
    pub(crate) fn wait_until_past(&self, db: &str, number: u64, running: &mut Running) -> bool {
        wait_for(|| {
            if running.ended().is_some() {
                return Some(false);
            }
            let run = self.last_run(db)?;
            (run.applied > number).then_some(true)
        })
    }
}

/// A program at work; killed if it is forgotten.
pub(crate) struct Running {
    pub(crate) child: Child,
}

impl Running {
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Sends a signal, by its name, unless it has ended.
    pub(crate) fn signal(&mut self, name: &str) {
        if self.ended().is_some() {
            return;
        }
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(status.unwrap().success(), "kill -{name}");
    }

    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait_for(|| self.ended())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks until there is an answer.
#[track_caller]
pub(crate) fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let start = clock::stamp();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(since(start) < DEADLINE, "waited for {DEADLINE:?}");
        pause(LOOK_EVERY);
    }
}

pub(crate) fn since(start: Stamp) -> Duration {
    Duration::from_nanos(u64::try_from(start.elapsed_nanos()).unwrap())
}

/// Lets another process work for a while. Nothing may rely on how far it comes.
pub(crate) fn pause(time: Duration) {
    clock::wait(i64::try_from(time.as_nanos()).unwrap());
}

/// A number from the environment.
pub(crate) fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// Draws of a seeded generator (xorshift64*, Vigna 2016).
pub(crate) struct Draws(pub(crate) u64);

impl Draws {
    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) % end
    }
}

/// Rows of a CSV output: column to value. None of our outputs quotes a field.
pub(crate) fn rows(csv: &str) -> Vec<BTreeMap<String, String>> {
    let mut lines = csv.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    lines
        .map(|line| {
            let values: Vec<&str> = line.split(',').collect();
            assert_eq!(values.len(), names.len(), "{line}");
            names.iter().zip(values).map(|(name, value)| ((*name).to_owned(), value.to_owned())).collect()
        })
        .collect()
}
