//! The `tapedeck` program: reads the command line and leaves the rest to the library.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    tapedeck::cli::run(&tapedeck::cli::args::Args::parse())
}
