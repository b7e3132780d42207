//! Logs: to stderr, warnings only unless `-v` or `TAPEDECK_LOG` asks for more.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use super::screen;

/// The variable that says what is logged, in the filter syntax of `tracing-subscriber`.
const VARIABLE: &str = "TAPEDECK_LOG";

/// Starts logging. `-v` beats the variable.
pub(super) fn start(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let said = if verbose == 0 { EnvFilter::try_from_env(VARIABLE).ok() } else { None };
    let filter = said.unwrap_or_else(|| EnvFilter::new(format!("warn,tapedeck={level},feeds={level}")));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| screen::Beside)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false);
    // Fails only if logging was started before, by whoever embeds this; theirs is kept.
    drop(subscriber.try_init());
}
