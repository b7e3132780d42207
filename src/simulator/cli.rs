//! `tapedeck simulate --serve`: the simulator until its time is over or someone stops it.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;
use feeds::time::Nanos;

use super::faults::Script;
use super::protocol::by_venue;
use super::replayed::Replayed;
use super::{Simulator, SimulatorSpec};
use crate::clock;
use crate::config::duration;
use crate::market::cli::SimulateArgs;
use crate::replay::stop::Stop;

/// How often it is looked whether there is anything left to serve.
const WAIT: Duration = Duration::from_secs(1);

/// How a made-up market is served.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// Serve the market as a real exchange would, at this address (port 0 for any), until stopped
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = "127.0.0.1:9100",
          conflicts_with_all = ["csv", "capture"])]
    pub serve: Option<SocketAddr>,
    /// The venue that is played (again for more), reached under /VENUE; binance, or all of the capture
    #[arg(long = "venue", value_name = "VENUE", conflicts_with_all = ["csv", "capture"])]
    pub venues: Vec<String>,
    /// Serve this capture, of any format that can be replayed, instead of a made-up market (several are merged)
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "serve")]
    pub replay: Vec<PathBuf>,
    /// How fast the capture goes, such as 1x or 10x
    #[arg(long, value_name = "SPEED", requires = "replay", default_value = "1x", value_parser = parse_speed)]
    pub speed: f64,
    /// What goes wrong and when: KIND@EVENT, KIND@EVENT*COUNT, with :SYMBOL for one symbol, commas between
    #[arg(long, value_name = "SCRIPT", conflicts_with_all = ["csv", "capture"], value_parser = Script::parse)]
    pub faults: Option<Script>,
    /// Serve for so long, such as 30s
    #[arg(long = "for", value_name = "DURATION", conflicts_with_all = ["csv", "capture"], value_parser = parse_duration)]
    pub time: Option<Nanos>,
}

/// The venue that is played unless told otherwise.
const VENUE: &str = "binance";

fn parse_speed(text: &str) -> Result<f64, String> {
    let times = text.strip_suffix('x').and_then(|times| times.parse::<f64>().ok());
    times
        .filter(|times| times.is_finite() && *times > 0.0)
        .ok_or_else(|| "write a number and x, such as `1x`, `10x` or `0.5x`".to_owned())
}

fn parse_duration(text: &str) -> Result<Nanos, String> {
    duration::parse(text).map_err(|error| error.to_string())
}

/// Serves until `--for` or the capture is over, SIGINT or SIGTERM, and prints what was sent.
///
/// # Errors
/// If a venue is unknown, the capture cannot be read, the address cannot be had, or stdout is gone.
pub fn serve(args: &SimulateArgs, address: SocketAddr) -> Result<()> {
    let stop = Stop::on_signals()?;
    let serving = &args.serving;
    let replayed = match serving.replay.as_slice() {
        [] => None,
        paths => Some(Replayed::open(paths, serving.speed)?),
    };
    let venues = match &replayed {
        _ if !serving.venues.is_empty() => serving.venues.clone(),
        Some(replayed) => playable(replayed)?,
        None => vec![VENUE.to_owned()],
    };
    let spec = SimulatorSpec {
        address,
        venues,
        market: args.spec(),
        faults: serving.faults.clone().unwrap_or_default(),
        // A capture is not over before anybody looks.
        opens_with: usize::from(replayed.is_some()),
        events: None,
    };
    let simulator = match replayed {
        Some(replayed) => Simulator::replay(spec, replayed)?,
        None => Simulator::start(spec)?,
    };
    let mut out = io::stdout();
    writeln!(out, "listening on {}", simulator.address())?;
    out.flush()?;
    wait(&stop, serving.time, &simulator);
    for totals in simulator.stop() {
        write!(out, "{totals}")?;
    }
    out.flush()?;
    Ok(())
}

/// The venues of a capture, as far as they can be played.
fn playable(replayed: &Replayed) -> Result<Vec<String>> {
    let all = replayed.venues();
    let venues: Vec<String> = all.iter().filter(|venue| by_venue(venue).is_some()).cloned().collect();
    ensure!(
        !venues.is_empty(),
        "the capture is of {}: name a venue that plays it with --venue",
        all.join(", ")
    );
    Ok(venues)
}

/// Until someone stops it, the time is over, or every venue's market is.
fn wait(stop: &Stop, time: Option<Nanos>, simulator: &Simulator) {
    let opened = clock::stamp();
    loop {
        let left = time.map_or(WAIT, |time| {
            let left = time.saturating_sub(opened.elapsed_nanos());
            Duration::from_nanos(u64::try_from(left).unwrap_or(0)).min(WAIT)
        });
        let over = left.is_zero() || simulator.totals().iter().all(|totals| totals.over);
        if over || !stop.wait(left) {
            return;
        }
    }
}
