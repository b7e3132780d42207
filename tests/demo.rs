//! The demonstration as a newcomer starts it: a program with its output in a pipe.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// No step may take longer.
const DEADLINE: Duration = Duration::from_secs(60);

/// A demonstration under way, up to the line that says where to look.
struct Demo {
    child: Child,
    stdout: BufReader<ChildStdout>,
    said: String,
    exchange: String,
    page: String,
}

impl Demo {
    fn start(folder: &std::path::Path, options: &[&str]) -> Demo {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tapedeck"))
            .args([
                "demo",
                "--symbols",
                "5",
                "--ticks-per-second",
                "1000",
                "--faults",
                "duplicate@300*7,gap@900*30",
            ])
            .args(options)
            .arg("--record")
            .arg(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let (mut said, mut exchange, mut page) = (String::new(), None, None);
        while page.is_none() {
            let mut line = String::new();
            assert!(stdout.read_line(&mut line).unwrap() > 0, "it ended after {said}");
            let word = |start: &str| {
                line.split_whitespace().find_map(|word| word.strip_prefix(start)).map(str::to_owned)
            };
            exchange = exchange.or_else(|| word("ws://"));
            page = word("http://");
            said.push_str(&line);
        }
        let trimmed = |place: Option<String>| place.unwrap().split('/').next().unwrap().to_owned();
        Demo { child, stdout, said, exchange: trimmed(exchange), page: trimmed(page) }
    }

    /// Waits for its end: exit code, stdout, stderr.
    fn finish(mut self) -> (Option<i32>, String, String) {
        self.stdout.read_to_string(&mut self.said).unwrap();
        let mut errors = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        (self.child.wait().unwrap().code(), self.said, errors)
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Two at once: the second finds the usual places taken, if not the first did already.
#[test]
fn it_ends_by_itself_says_where_to_look_and_that_its_recording_gives_the_same_answer() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let demos = [Demo::start(one.path(), &["--for", "4s"]), Demo::start(two.path(), &["--for", "4s"])];
    assert_ne!(demos[0].exchange, demos[1].exchange);
    assert_ne!(demos[0].page, demos[1].page);
    for demo in &demos {
        assert!(get(&demo.page, "/healthz").starts_with("HTTP/1.1 200"));
        assert!(get(&demo.page, "/").contains("<title>tapedeck</title>"));
        assert!(get(&demo.page, "/v1/status").contains("\"recording\":"));
    }
    let pages = demos.each_ref().map(|demo| demo.page.clone());
    for demo in demos {
        let (code, said, errors) = demo.finish();
        assert_eq!(code, Some(0), "{said}{errors}");
        assert!(!said.contains('\x1b') && !errors.contains('\x1b'), "it draws in a pipe: {errors}");
        assert!(said.contains("ticks      received ") && said.contains(" = aggregated "), "{said}");
        assert!(said.contains(" + duplicate 7"), "{said}");
        assert!(said.contains("tapedeck alerts follow http://127.0.0.1:"), "{said}");
        // A gap is made, and a rule watches for gaps.
        assert!(said.contains("\nalerts\n") && said.contains("  gap        fired "), "{said}");
        for stage in ["received→decoded", "received→sequenced", "received→applied", "received→committed"]
        {
            assert!(said.lines().any(|line| line.starts_with(stage)), "{stage}: {said}");
        }
        for column in ["p50_us", "p99_us", "p99.9_us", "max_us"] {
            assert!(said.contains(column), "{said}");
        }
        let digests: Vec<&str> =
            said.lines().rev().take(2).filter_map(|line| line.split(' ').next()).collect();
        assert!(digests[0].len() == 64 && digests[0] == digests[1], "{said}");
    }
    for page in pages {
        assert!(TcpStream::connect(&page).is_err(), "{page} still answers");
    }
}

#[test]
fn it_can_do_without_http_and_refuses_an_address_that_is_taken() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let demo = |options: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tapedeck"));
        command.args(["demo", "--for", "1s", "--record"]).arg(folder.path().join("tape")).args(options);
        command.output().unwrap()
    };
    let refused = demo(&["--listen", &address]);
    assert_eq!(refused.status.code(), Some(1));
    let errors = String::from_utf8(refused.stderr).unwrap();
    assert!(errors.contains(&format!("cannot listen on {address}")), "{errors}");
    assert!(!folder.path().join("tape").exists(), "nothing is written before it is known that it can be");
    let wrong = demo(&["--listen", "7311"]);
    assert_eq!(wrong.status.code(), Some(2));
    let quiet = demo(&["--listen", "off"]);
    assert_eq!(quiet.status.code(), Some(0));
    assert!(!String::from_utf8(quiet.stdout).unwrap().contains("look at"));
}
