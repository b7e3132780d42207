//! The engine: symbol actors spread over arbiters, fed by epochs.

use std::sync::Arc;

use actix::{Actor, Addr, Arbiter, System};
use crossbeam_channel::Sender;

use super::credit::Credit;
use super::looks::{Lookers, Looks};
use super::symbol::{Apply, Look, Sabotage, SymbolActor};
use super::work::{Fault, Work};
use crate::symbol::SymbolState;
use crate::tape::Epoch;
use crate::tape::epoch::Joined;
use crate::window::Plan;

/// How the engine is laid out.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Threads that apply ticks.
    pub workers: usize,
    /// Symbols to take out of service, and the entry at which.
    pub faults: Vec<Fault>,
    /// For tests of quarantine.
    pub sabotage: Option<Sabotage>,
    /// Who looks at windows that are open.
    pub lookers: Lookers,
}

/// Why the engine takes no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The commit has stopped; it has the reason.
    #[error("the commit has stopped")]
    Stopped,
    /// A symbol's actor is gone, which nothing but a fault in the engine itself can cause.
    #[error("the actor of symbol {0} takes no messages")]
    Actor(u32),
}

/// A symbol to begin with.
#[derive(Debug)]
pub struct Member {
    /// Its name and keys.
    pub joined: Joined,
    /// What it has seen.
    pub state: SymbolState,
}

/// See the module.
pub struct Engine {
    plan: Arc<Plan>,
    credit: Credit,
    done: Sender<Arc<Work>>,
    faults: Vec<Fault>,
    sabotage: Option<Sabotage>,
    looks: Looks,
    arbiters: Vec<Arbiter>,
    symbols: Vec<Addr<SymbolActor>>,
    /// Epochs so far.
    submitted: u64,
    /// Arbiters register with it; it has no work of its own.
    _system: actix::SystemRunner,
}

impl Engine {
    /// An engine without symbols, whose finished epochs go to `done`.
    #[must_use]
    pub fn start(
        plan: Arc<Plan>,
        options: &EngineOptions,
        credit: Credit,
        done: Sender<Arc<Work>>,
    ) -> Engine {
        let system = System::new();
        let arbiters = (0..options.workers.max(1)).map(|_| Arbiter::new()).collect();
        Engine {
            plan,
            credit,
            done,
            faults: options.faults.clone(),
            sabotage: options.sabotage,
            looks: Looks::new(options.lookers.clone()),
            arbiters,
            symbols: Vec::new(),
            submitted: 0,
            _system: system,
        }
    }

    /// Adds the next symbol.
    pub fn join(&mut self, member: Member) {
        let arbiter = &self.arbiters[self.symbols.len() % self.arbiters.len()];
        let (plan, sabotage) = (Arc::clone(&self.plan), self.sabotage);
        let mut faults = self.faults.iter().filter(|fault| fault.symbol == member.joined.symbol);
        let quarantine_at = faults.next().map(|fault| fault.number);
        let address = SymbolActor::start_in_arbiter(&arbiter.handle(), move |_| {
            SymbolActor::new(member.joined.symbol, plan, member.state, quarantine_at, sabotage)
        });
        self.symbols.push(address);
    }

    /// Sends an epoch to its symbols, waiting for credit.
    ///
    /// # Errors
    /// [`EngineError`] if it cannot be applied or committed any more.
    pub fn submit(&mut self, epoch: Epoch) -> Result<(), EngineError> {
        self.credit.take(epoch.bytes()).map_err(|_| EngineError::Stopped)?;
        for joined in epoch.joined.clone() {
            let state = SymbolState::joined(&self.plan, &joined);
            self.join(Member { joined, state });
        }
        self.looks.begin(epoch.sequenced, self.symbols.len());
        let (_work, permits, own) = Work::new(epoch, self.submitted, self.done.clone());
        self.submitted += 1;
        // Credit bounds what is in flight below the mailbox's capacity, so a refusal means that the actor is gone.
        for (share, permit) in permits {
            let address = self.symbols.get(share.symbol as usize).ok_or(EngineError::Actor(share.symbol))?;
            let look = self.looks.takes(share.symbol);
            address.try_send(Apply { share, permit, look }).map_err(|_| EngineError::Actor(share.symbol))?;
        }
        for symbol in self.looks.rest() {
            let address = self.symbols.get(symbol as usize).ok_or(EngineError::Actor(symbol))?;
            let look = Look { symbol, permit: own.another() };
            address.try_send(look).map_err(|_| EngineError::Actor(symbol))?;
        }
        drop(own);
        Ok(())
    }

    /// Epochs and bytes in flight.
    #[must_use]
    pub fn in_flight(&self) -> (usize, usize) {
        self.credit.in_flight()
    }

    /// Waits until everything in flight is applied, then ends all actors and waits for their threads.
    pub fn stop(self) {
        // An arbiter that stops drops what is in its mailboxes. If the commit has stopped, nothing is lost by that.
        let _ = self.credit.drained();
        drop(self.symbols);
        for arbiter in self.arbiters {
            arbiter.stop();
            // A thread that panicked has said so; its symbols' epochs never come back, which the commit notices.
            let _ = arbiter.join();
        }
    }
}
