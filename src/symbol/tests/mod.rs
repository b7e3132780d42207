//! A symbol's whole state against naive models: repeats and holes, flags, the ledger, snapshots.

mod holes;
mod looks;
mod outages;
mod past;
mod repeats;
mod service;
pub(crate) mod snapshot;

use feeds::number::Decimal;
use feeds::symbol::SymbolId;
use feeds::tick::{Event, Side, Tick, Trade};
use feeds::time::{Nanos, SECOND};

use super::{Entry, GapChange, Outcomes, Strike};
use crate::window::Plan;
use crate::window::tests::made::nested;

/// Windows of these sizes in seconds, under a lateness in seconds.
fn plan(sizes: &[Nanos], lateness: Nanos) -> Plan {
    let mut plan = Plan::new(nested(sizes));
    plan.lateness = lateness * SECOND;
    plan
}

/// An entry of the clock.
pub(crate) fn clock(frontier: Nanos) -> Entry {
    Entry::Clock(Strike { frontier, received_at: None })
}

fn trade(id: u64) -> Trade {
    Trade::new(Some(id), Decimal::new(1, 0), Decimal::new(1, 0), Side::Buy)
}

fn tick(id: u64, ts: Nanos) -> Tick {
    Tick::new(SymbolId(0), ts, None, Event::Trade(trade(id)))
}

/// Number, start in seconds, revision and flags of each window in `outcomes`.
fn windows(outcomes: &Outcomes) -> Vec<(u64, Nanos, u32, String)> {
    let windows = outcomes.windows.iter();
    windows.map(|it| (it.number, it.start / SECOND, it.revision, it.flags.to_string())).collect()
}

/// First and last ids of the gaps that `outcomes` leave, as the store would hold them.
fn gaps(outcomes: &Outcomes) -> Vec<(u64, u64)> {
    let mut gaps = std::collections::BTreeMap::new();
    for change in &outcomes.gaps {
        match change {
            GapChange::Opened(hole) => {
                assert_eq!(gaps.insert(hole.first, hole.last), None, "reported twice");
            }
            GapChange::Closed(first) => {
                assert!(gaps.remove(first).is_some(), "closed without being reported")
            }
            GapChange::Out(_) | GapChange::Back(_) => {}
        }
    }
    gaps.into_iter().collect()
}
