//! The symbol actor: a thin shell over [`SymbolState`].
//!
//! A fault in one symbol's work stops that symbol only: its state goes back to just before the entry at fault, its
//! open windows come out flagged `quarantined`, and what follows is rejected (SPEC §4.4).

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use actix::{Actor, Context, Handler, Message};
use feeds::symbol::Symbol;

use super::work::{GapChange, Permit, ShareResult};
use crate::config::limits::MAILBOX_MESSAGES;
use crate::symbol::{Outcome, SymbolState};
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
        let mut outcomes = Vec::new();
        let mut at = 0;
        let all = catch_unwind(AssertUnwindSafe(|| {
            self.run(apply, u64::MAX, &mut at, &mut outcomes);
        }));
        if let Err(cause) = all {
            // The same entries again, up to the one at fault: everything before it went well and does so again.
            self.state = before;
            outcomes.clear();
            let fault = at;
            self.run(apply, fault, &mut at, &mut outcomes);
            self.state.quarantine(&self.plan, fault, &mut outcomes);
            result.fault = Some(format!("tape entry {fault}: {}", text_of(&*cause)));
            self.run_from(apply, fault, &mut outcomes);
        }
        self.collect(outcomes, result);
    }

    /// Applies the share's entries with numbers below `end`, keeping the number of the one in hand in `at`.
    fn run(&mut self, apply: &Apply, end: u64, at: &mut u64, out: &mut Vec<Outcome>) {
        let epoch = apply.permit.epoch();
        let items = &epoch.items[apply.share.from as usize..apply.share.to as usize];
        for item in items {
            let mut rejected = None;
            let Some((number, entry)) = epoch.entry(item, &mut rejected) else { continue };
            *at = number;
            if number >= end {
                return;
            }
            if let Some(sabotage) = self.sabotage {
                sabotage(&self.symbol, number);
            }
            self.state.apply(&self.plan, number, entry, out);
        }
    }

    /// Applies the share's entries from `start` on to a symbol in quarantine.
    fn run_from(&mut self, apply: &Apply, start: u64, out: &mut Vec<Outcome>) {
        let epoch = apply.permit.epoch();
        let items = &epoch.items[apply.share.from as usize..apply.share.to as usize];
        for item in items {
            let mut rejected = None;
            if let Some((number, entry)) = epoch.entry(item, &mut rejected)
                && number >= start
            {
                self.state.apply(&self.plan, number, entry, out);
            }
        }
    }

    fn collect(&self, outcomes: Vec<Outcome>, result: &mut ShareResult) {
        for outcome in outcomes {
            match outcome {
                Outcome::Window(emission) => {
                    let size = self.plan.windows()[emission.window].size;
                    result.emissions.push(&emission, size);
                }
                Outcome::Late(number, tick) => result.late.push((number, tick)),
                Outcome::Gap(hole) => result.gaps.push(GapChange::Opened(hole)),
                Outcome::GapClosed(first) => result.gaps.push(GapChange::Closed(first)),
            }
        }
    }
}

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
