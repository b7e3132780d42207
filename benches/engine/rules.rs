//! What rules cost a tick: none, 1, 100 and 1,000 of them, over the same windows, no two alike.

use std::hint::black_box;

use feeds::symbol::Symbol;
use feeds::tick::Tick;
use feeds::time::SECOND;
use feeds::venue::DuplicateKey;
use tapedeck::alert::rulebook::Books;
use tapedeck::clock;
use tapedeck::config::{Catalogue, Config};
use tapedeck::symbol::{Entry, Outcomes, SymbolState};
use tapedeck::window::Plan;

use super::table::{Table, median};
use super::windows::ticks_at;

const ROUNDS: usize = 5;
const TICKS: i64 = 200_000;
const PER_SECOND: i64 = 100;

/// The three kinds of rules that people write most, by their place among others.
fn rule(kind: Kind, at: usize) -> String {
    let when = match kind {
        // Two statistics as they stand, and two computed over final windows.
        Kind::Live => format!(
            "abs(close[10s] - open[10s]) > {} * stdev(close[1m], 20) and trades[10s] > {}",
            4 + at,
            20 + at
        ),
        Kind::Tick => format!("price > {} and size > {}", 97_320 + at, at),
        Kind::Closed => format!("volume[1s, -1] > {} * mean(volume[1s, -1], 60)", 5 + at),
    };
    format!("[[rules]]\nname = \"r{at}\"\nwhen = \"{when}\"\n")
}

#[derive(Clone, Copy)]
enum Kind {
    Live,
    Tick,
    Closed,
}

/// Measures each kind at 1, 100 and 1,000 rules, against no rule.
pub(crate) fn measure(table: &mut Table) -> Result<(), String> {
    let ticks = ticks_at(PER_SECOND, TICKS);
    for (kind, name) in
        [(Kind::Live, "live statistics"), (Kind::Tick, "the last trade"), (Kind::Closed, "final windows")]
    {
        for count in [1, 100, 1_000] {
            let (bare, ruled) = (plan("")?, plan(&(0..count).map(|at| rule(kind, at)).collect::<String>())?);
            let ticks = if count == 1_000 { &ticks[..TICKS as usize / 10] } else { &ticks };
            let (mut without, mut with) = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                without.push(cost(&bare, ticks));
                with.push(cost(&ruled, ticks));
            }
            let (without, with) = (median(without), median(with));
            table.row(
                format!("{count} rules on {name}"),
                format!("{with:.0} ns a tick"),
                format!("{without:.0} ns without rules"),
                format!("{:.1} ns a rule and tick", (with - without) / count as f64),
            );
        }
    }
    Ok(())
}

fn plan(rules: &str) -> Result<Plan, String> {
    let windows = "[[windows]]\nname = \"1s\"\n[[windows]]\nname = \"10s\"\n[[windows]]\nname = \"1m\"\n";
    let config =
        Config::parse("bench", windows, &Catalogue::built_in()).map_err(|error| error.to_string())?;
    let planned: Vec<_> = config.windows.iter().map(tapedeck::config::WindowSpec::planned).collect();
    let mut plan = Plan::new(planned.clone());
    plan.lateness = 2 * SECOND;
    plan.books = Books::new(config.windows, planned);
    plan.books.put(1, rules)?;
    Ok(plan)
}

/// Nanoseconds a tick, outcomes thrown away.
fn cost(plan: &Plan, ticks: &[Tick]) -> f64 {
    let state = SymbolState::new(plan, DuplicateKey::Contiguous, DuplicateKey::None);
    let mut state = state.ruled(&Symbol::new("here", "ABC"), plan.books.get(1));
    let mut out = Outcomes::default();
    let begun = clock::stamp();
    for (number, tick) in ticks.iter().enumerate() {
        state.apply(plan, number as u64 + 1, &Entry::Tick(*tick), &mut out);
        out.clear();
    }
    let nanos = begun.elapsed_nanos() as f64;
    black_box(state.ledger().aggregated);
    nanos / ticks.len() as f64
}
