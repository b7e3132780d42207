//! `tapedeck simulate --serve`: the simulator until its time is over or someone stops it.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use feeds::time::Nanos;

use super::faults::Script;
use super::{Simulator, SimulatorSpec};
use crate::config::duration;
use crate::market::cli::SimulateArgs;
use crate::replay::stop::Stop;

/// How long one wait is, where no end was asked for.
const WAIT: Duration = Duration::from_secs(3_600);

/// How a made-up market is served.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// Serve the market as a real exchange would, at this address (port 0 for any), until stopped
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = "127.0.0.1:9100",
          conflicts_with_all = ["csv", "capture"])]
    pub serve: Option<SocketAddr>,
    /// The venue that is played (again for more); it is reached under /VENUE
    #[arg(long = "venue", value_name = "VENUE", conflicts_with_all = ["csv", "capture"], default_value = "binance")]
    pub venues: Vec<String>,
    /// What goes wrong and when: KIND@EVENT, KIND@EVENT*COUNT, with :SYMBOL for one symbol, commas between
    #[arg(long, value_name = "SCRIPT", conflicts_with_all = ["csv", "capture"], value_parser = Script::parse)]
    pub faults: Option<Script>,
    /// Serve for so long, such as 30s
    #[arg(long = "for", value_name = "DURATION", conflicts_with_all = ["csv", "capture"], value_parser = parse_duration)]
    pub time: Option<Nanos>,
}

fn parse_duration(text: &str) -> Result<Nanos, String> {
    duration::parse(text).map_err(|error| error.to_string())
}

/// Serves until `--for` is over, SIGINT or SIGTERM, and prints what was sent.
///
/// # Errors
/// If a venue is unknown, the address cannot be had, or stdout is gone.
pub fn serve(args: &SimulateArgs, address: SocketAddr) -> Result<()> {
    let stop = Stop::on_signals()?;
    let simulator = Simulator::start(SimulatorSpec {
        address,
        venues: args.serving.venues.clone(),
        market: args.spec(),
        faults: args.serving.faults.clone().unwrap_or_default(),
        opens_with: 0,
        events: None,
    })?;
    let mut out = io::stdout();
    writeln!(out, "listening on {}", simulator.address())?;
    out.flush()?;
    let time = args.serving.time.map(|time| Duration::from_nanos(time.unsigned_abs()));
    while stop.wait(time.unwrap_or(WAIT)) && time.is_none() {}
    for totals in simulator.stop() {
        write!(out, "{totals}")?;
    }
    out.flush()?;
    Ok(())
}
