//! What many followers of the alert stream cost, over loopback: how long an alert takes to those who read, with and without
//! as many beside them that do not; and what memory that takes, the kernel's included.
//!
//! `cargo bench --no-default-features --bench subscribers [-- --subscribers N --seconds S --rate R]`
//!
//! Of N subscribers (2,000; 10,000 is the long one) two fifths read, a tenth keeps going and coming again, and half read
//! the first 50 alerts and then nothing more; R alerts a second (100) for S seconds (20). What it is compared with is the
//! same readers and the same that come and go, without those that stall. They are in a process of their own, so that each
//! process needs little more than N files: `ulimit -n` says how many there may be. Load is open loop: an alert counts from when it is
//! due. Every follower is held to have every alert, in order and once; those that do not read must be cut with their cursor,
//! and some of them go on from it to the end.

use std::process::ExitCode;

mod subscribers {
    pub(crate) mod client;
    pub(crate) mod server;
}

use subscribers::{client, server};

/// Anything that keeps a figure from being measured.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How much of what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Followers that read.
    pub(crate) healthy: usize,
    /// Followers that go and come again.
    pub(crate) flapping: usize,
    /// Followers that do not read.
    pub(crate) stalled: usize,
    /// The alert behind which they begin.
    pub(crate) after: u64,
    /// The last alert.
    pub(crate) last: u64,
}

fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let done = match asked.first().map(String::as_str) {
        Some(client::ARGUMENT) => client::run(&asked[1..]),
        _ => measure(&asked),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(asked: &[String]) -> Result<(), Failure> {
    let number = |name: &str, usual: u64| -> Result<u64, Failure> {
        let place = asked.iter().position(|argument| argument == name);
        let value = place.map(|place| asked.get(place + 1).ok_or(format!("{name} needs a number")));
        Ok(value.transpose()?.map_or(Ok(usual), |value| value.parse())?)
    };
    let subscribers = usize::try_from(number("--subscribers", 2_000)?)?;
    server::measure(subscribers, number("--seconds", 20)?, number("--rate", 100)?)
}
