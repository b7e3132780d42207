//! The symbol actor: a thin shell over [`SymbolState`].
//!
//! A fault in one symbol's work stops that symbol only: its state goes back to just before the entry at fault, its
//! open windows come out flagged `quarantined`, and what follows is rejected.

use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use actix::{Actor, Context, Handler, Message};
use feeds::symbol::Symbol;

use super::work::{Permit, ShareResult};
use crate::config::limits::MAILBOX_MESSAGES;
use crate::symbol::{Outcomes, SymbolState};
use crate::tape::epoch::Share;
use crate::window::Plan;

/// A share of an epoch to apply.
pub struct Apply {
    /// Which items.
    pub share: Share,
    /// The epoch, and the duty to hand in.
    pub permit: Permit,
}

impl Message for Apply {
    type Result = ();
}

/// For tests of quarantine: panics at the given symbol and tape number.
pub type Sabotage = fn(&Symbol, u64);

/// One symbol.
pub struct SymbolActor {
    symbol: Symbol,
    plan: Arc<Plan>,
    state: SymbolState,
    sabotage: Option<Sabotage>,
}

impl SymbolActor {
    /// The actor of `symbol` with `state`.
    #[must_use]
    pub fn new(
        symbol: Symbol,
        plan: Arc<Plan>,
        state: SymbolState,
        sabotage: Option<Sabotage>,
    ) -> SymbolActor {
        SymbolActor { symbol, plan, state, sabotage }
    }

    fn apply(&mut self, apply: &Apply, result: &mut ShareResult) {
        if apply.share.from == apply.share.to {
            return;
        }
        let before = self.state.clone();
        let mut outcomes = Outcomes::default();
        let mut at = 0;
        let all = catch_unwind(AssertUnwindSafe(|| self.run(apply, 0..u64::MAX, &mut at, &mut outcomes)));
        if let Err(cause) = all {
            // The same entries again, up to the one at fault: everything before it went well and does so again.
            self.state = before;
            outcomes.clear();
            let fault = at;
            self.run(apply, 0..fault, &mut at, &mut outcomes);
            self.state.quarantine(&self.plan, fault, &mut outcomes);
            result.fault = Some(format!("tape entry {fault}: {}", text_of(&*cause)));
            self.sabotage = None;
            self.run(apply, fault..u64::MAX, &mut at, &mut outcomes);
        }
        for emission in &outcomes.windows {
            result.emissions.push(emission, self.plan.windows()[emission.window].size);
        }
        result.late = outcomes.late;
        result.gaps = outcomes.gaps;
    }

    /// Applies the share's entries whose numbers are in `numbers`, keeping the one in hand in `at`.
    fn run(&mut self, apply: &Apply, numbers: Range<u64>, at: &mut u64, out: &mut Outcomes) {
        let epoch = apply.permit.epoch();
        let items = &epoch.items[apply.share.from as usize..apply.share.to as usize];
        let mut entries = Vec::with_capacity(GATHERED);
        for items in items.chunks(GATHERED) {
            entries.clear();
            entries.extend(items.iter().filter_map(|item| epoch.entry(item)));
            for (number, entry) in entries.iter().filter(|(number, _)| numbers.contains(number)) {
                *at = *number;
                if let Some(sabotage) = self.sabotage {
                    sabotage(&self.symbol, *number);
                }
                self.state.apply(&self.plan, *number, entry, out);
            }
        }
    }
}

/// Entries that are fetched before they are applied. A symbol's ticks lie apart in a batch that another core has
/// written; fetched one after the other they come at once, and not one by one between the work on each. 64 of them
/// stay in the first-level cache.
const GATHERED: usize = 64;

impl Actor for SymbolActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX_MESSAGES);
    }
}

impl Handler<Apply> for SymbolActor {
    type Result = ();

    fn handle(&mut self, apply: Apply, _context: &mut Self::Context) {
        let mut result = ShareResult { symbol: apply.share.symbol, ..ShareResult::default() };
        self.apply(&apply, &mut result);
        if apply.permit.epoch().snapshot {
            let mut bytes = Vec::new();
            self.state.encode(&mut bytes);
            result.snapshot = Some((bytes, *self.state.ledger()));
        }
        apply.permit.hand_in(result);
    }
}

fn text_of(cause: &(dyn Any + Send)) -> &str {
    cause
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| cause.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("panic")
}
