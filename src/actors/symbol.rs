//! The symbol actor: a thin shell over [`SymbolState`].
//!
//! A fault in one symbol's work stops that symbol only. What the state is after a panic nobody knows, so it is made again
//! up to just before the entry at fault: its open windows come out flagged `quarantined`, and what follows is rejected.
//! A replay goes back to its last checkpoint for that and comes by again; in a live run the committer does it, from
//! snapshot and tape ([`crate::commit::quarantine`]), and for what follows, too. Keeping a copy of the state to go back
//! to would cost every tick what hardly ever happens.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use actix::{Actor, Context, Handler, Message};
use feeds::symbol::Symbol;

use super::work::{Fault, Permit, ShareResult, Shown};
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
    /// Hand in a look, too.
    pub look: bool,
}

impl Message for Apply {
    type Result = ();
}

/// Asks a symbol that has no share of an epoch for a look.
pub struct Look {
    /// The symbol's number.
    pub symbol: u32,
    /// The epoch.
    pub permit: Permit,
}

impl Message for Look {
    type Result = ();
}

/// For tests of quarantine: panics at the given symbol and tape number.
pub type Sabotage = fn(&Symbol, u64);

/// One symbol.
pub struct SymbolActor {
    symbol: Symbol,
    plan: Arc<Plan>,
    state: SymbolState,
    /// The entry at which it is to be taken out of service.
    quarantine_at: Option<u64>,
    /// It has panicked: its state means nothing, and whoever takes finished epochs does what it did.
    broken: bool,
    sabotage: Option<Sabotage>,
}

impl SymbolActor {
    /// The actor of `symbol` with `state`.
    #[must_use]
    pub fn new(
        symbol: Symbol,
        plan: Arc<Plan>,
        state: SymbolState,
        quarantine_at: Option<u64>,
        sabotage: Option<Sabotage>,
    ) -> SymbolActor {
        SymbolActor { symbol, plan, state, quarantine_at, broken: false, sabotage }
    }

    fn apply(&mut self, apply: &Apply, result: &mut ShareResult) {
        let mut outcomes = Outcomes::default();
        let mut at = 0;
        let done = catch_unwind(AssertUnwindSafe(|| self.run(apply, &mut at, &mut outcomes)));
        if let Err(cause) = done {
            self.broken = true;
            let (symbol, cause) = (self.symbol.clone(), text_of(&*cause).to_owned());
            result.fault = Some(Fault { symbol, number: at, cause });
            return;
        }
        *result = ShareResult::of(result.symbol, outcomes, &self.plan);
        if apply.permit.epoch().snapshot {
            result.take_snapshot(&self.state);
        }
    }

    /// Hands in how the open windows stand. A look changes nothing, so one that fails is left out, and that is all.
    fn show(&self, symbol: u32, permit: &Permit) {
        let look = || Shown::of(symbol, &self.state.look(&self.plan), &self.plan);
        match catch_unwind(AssertUnwindSafe(look)) {
            Ok(shown) => permit.show(shown),
            Err(cause) => {
                tracing::error!(symbol = %self.symbol, cause = text_of(&*cause), "open windows cannot be shown");
            }
        }
    }

    /// Applies the share's entries, keeping the number of the one in hand in `at`.
    fn run(&mut self, apply: &Apply, at: &mut u64, out: &mut Outcomes) {
        for sequenced in apply.permit.epoch().of(&apply.share) {
            let number = sequenced.number;
            *at = number;
            if self.quarantine_at.is_some_and(|fault| number >= fault) {
                self.state.quarantine(&self.plan, number, out);
            } else if let Some(sabotage) = self.sabotage {
                sabotage(&self.symbol, number);
            }
            self.state.apply(&self.plan, number, &sequenced.entry, out);
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
        if self.broken {
            return;
        }
        let mut result = ShareResult { symbol: apply.share.symbol, ..ShareResult::default() };
        self.apply(&apply, &mut result);
        apply.permit.hand_in(result);
        if apply.look && !self.broken {
            self.show(apply.share.symbol, &apply.permit);
        }
    }
}

impl Handler<Look> for SymbolActor {
    type Result = ();

    fn handle(&mut self, look: Look, _context: &mut Self::Context) {
        if !self.broken {
            self.show(look.symbol, &look.permit);
        }
    }
}

/// What a panic says.
pub(crate) fn text_of(cause: &(dyn Any + Send)) -> &str {
    cause
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| cause.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("panic")
}
