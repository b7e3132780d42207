//! What the engine costs around the arithmetic: the same ticks through the actors and through a plain loop, memory
//! per symbol, what more windows and rules add to a tick, and one tick there and back. No file, network or durable store.
//!
//! `cargo bench --no-default-features --bench engine [-- SECTION…]`
//!
//! Sections: `path-200`, `path-200-stamped`, `path-10000`, `path-100000`, `memory`, `windows`, `rules`, `turn`; all of them
//! unless told otherwise. `engine-N` is the engine's side of `path-N` alone, once, for a profiler. Figures in one
//! row are measured alternating in one process, median of five; memory in a fresh process each.

use std::process::ExitCode;

mod engine {
    pub(crate) mod flow;
    pub(crate) mod memory;
    pub(crate) mod path;
    pub(crate) mod rules;
    pub(crate) mod table;
    pub(crate) mod turn;
    pub(crate) mod windows;
}

use engine::flow::Flow;
use engine::table::Table;
use engine::{memory, path, rules, turn, windows};

/// What is measured without being asked for.
const SECTIONS: [&str; 8] =
    ["path-200", "path-200-stamped", "path-10000", "path-100000", "memory", "windows", "rules", "turn"];

fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let Some(kind) = asked.first().and_then(|first| first.strip_prefix(memory::CHILD)) {
        return done(memory::child(kind));
    }
    let sections: Vec<&str> =
        if asked.is_empty() { SECTIONS.to_vec() } else { asked.iter().map(String::as_str).collect() };
    let mut table = Table::default();
    for section in sections {
        if let Err(error) = measure(section, &mut table) {
            eprintln!("{section}: {error}");
            return ExitCode::FAILURE;
        }
    }
    table.print();
    ExitCode::SUCCESS
}

fn measure(section: &str, table: &mut Table) -> Result<(), String> {
    match section {
        "memory" => memory::measure(table),
        "windows" => {
            windows::measure(table);
            Ok(())
        }
        "rules" => rules::measure(table),
        "turn" => turn::measure(table),
        _ => {
            let (side, flow) = flow_of(section).ok_or("there is no such section")?;
            if side == "engine" { path::engine_once(&flow) } else { path::measure(&flow, table) }
        }
    }
}

/// `path-200`, `path-200-stamped` and so on: which side, and which ticks.
fn flow_of(section: &str) -> Option<(&str, Flow)> {
    let mut words = section.split('-');
    let side = words.next().filter(|side| ["path", "engine"].contains(side))?;
    let symbols = words.next()?.parse().ok()?;
    let stamped = match words.next() {
        None => false,
        Some("stamped") => true,
        Some(_) => return None,
    };
    Some((side, Flow::of(symbols, stamped)))
}

fn done(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
