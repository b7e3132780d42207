//! Where a symbol's rules are told what is applied to it.

use std::sync::Arc;

use feeds::live::Channel;
use feeds::symbol::Symbol;
use feeds::time::Nanos;

use super::outages::Channels;
use super::{GapChange, Outcomes, SymbolState};
use crate::alert::judge::{Heard, Judge, Sight};
use crate::alert::rulebook::RuleBook;
use crate::tape::epoch::Joined;
use crate::window::{Flags, Plan};

/// The entry in hand, and what had come out before it.
#[derive(Clone, Copy)]
pub(super) struct At {
    number: u64,
    received_at: Option<Nanos>,
    windows: usize,
    gaps: usize,
}

impl SymbolState {
    /// The entry `number`, which came in at `received_at`, is about to be applied, behind what is in `out`.
    #[inline]
    pub(super) fn at(number: u64, received_at: Option<Nanos>, out: &Outcomes) -> At {
        At { number, received_at, windows: out.windows.len(), gaps: out.gaps.len() }
    }

    /// Before anything of `time` is applied: rules that are due by then fire.
    #[inline]
    pub(super) fn judge_before(&mut self, plan: &Plan, at: At, time: Nanos, out: &mut Outcomes) {
        if self.judge.is_some() && time != Nanos::MIN {
            self.sight(plan, at, |judge, sight| judge.before(sight, time, &mut out.judged));
        }
    }

    /// The entry was applied: rules are judged on what it changed.
    #[inline]
    pub(super) fn judge_after(&mut self, plan: &Plan, at: At, heard: Heard<'_>, out: &mut Outcomes) {
        if self.judge.is_some() {
            let found = found(&out.gaps[at.gaps..], &heard);
            let Outcomes { windows, judged, .. } = out;
            self.sight(plan, at, |judge, sight| {
                judge.after(sight, heard, &windows[at.windows..], found, judged);
            });
        }
    }

    /// All inputs are exhausted: what windows say now is final.
    pub(super) fn judge_end(&mut self, plan: &Plan, at: At, out: &mut Outcomes) {
        let Outcomes { windows, judged, .. } = out;
        self.sight(plan, at, |judge, sight| judge.end(sight, &windows[at.windows..], judged));
    }

    /// These rules are in force from now on.
    pub(super) fn rule_by(&mut self, plan: &Plan, at: At, book: &Arc<RuleBook>, out: &mut Outcomes) {
        let Some(symbol) = self.symbol.clone() else { return };
        let old = self.judge.take().map(|judge| *judge);
        let (seen, outages, windows) = (&self.trades_seen, &self.outages, &self.windows);
        let flags = |reads: Channels, start, end| flags_of(seen, outages, reads, start, end);
        let At { number, received_at, .. } = at;
        let sight = Sight { plan, windows, outages, flags: &flags, number, received_at };
        let new = Judge::replaced(old, book, symbol.as_str(), &sight, &mut out.judged);
        self.judge = new.map(Box::new);
    }

    /// Gives it its name, and the rules of `book` that concern it.
    #[must_use]
    pub fn ruled(mut self, symbol: &Symbol, book: Option<Arc<RuleBook>>) -> SymbolState {
        self.symbol = Some(symbol.clone());
        self.judge = book.and_then(|book| Judge::new(book, symbol.as_str())).map(Box::new);
        self
    }

    /// A symbol that has seen nothing, with its rules.
    #[must_use]
    pub fn joined(plan: &Plan, joined: &Joined) -> SymbolState {
        let state = SymbolState::new(plan, joined.trade_key, joined.quote_key);
        state.ruled(&joined.symbol, plan.books.get(joined.book))
    }

    /// Gives it its name.
    #[must_use]
    pub fn named(mut self, symbol: &Symbol) -> SymbolState {
        self.symbol = Some(symbol.clone());
        self
    }

    fn sight(&mut self, plan: &Plan, at: At, work: impl FnOnce(&mut Judge, &Sight<'_>)) {
        let Some(judge) = self.judge.as_deref_mut() else { return };
        let (seen, outages, windows) = (&self.trades_seen, &self.outages, &self.windows);
        let flags = |reads: Channels, start, end| flags_of(seen, outages, reads, start, end);
        let At { number, received_at, .. } = at;
        work(judge, &Sight { plan, windows, outages, flags: &flags, number, received_at });
    }
}

/// How many gaps an entry showed, and whether ids are among them. What is left of one that was partly filled is none.
fn found(changes: &[GapChange], heard: &Heard<'_>) -> (u64, bool) {
    let is_filled = changes.iter().any(|change| matches!(change, GapChange::Closed(_)));
    let ids = changes.iter().filter(|change| matches!(change, GapChange::Opened(_)) && !is_filled).count();
    let is_loss = |change: &&GapChange| matches!(change, GapChange::Out(stretch) if stretch.cause.is_loss());
    let begins = matches!(heard, Heard::Outage);
    let stretches = changes.iter().filter(is_loss).filter(|_| begins).count();
    ((ids + stretches) as u64, ids > 0)
}

/// Flags of the window over `[start, end)` that reads these channels, as things stand.
#[inline]
pub(super) fn flags_of(
    seen: &super::duplicates::Seen,
    outages: &super::Outages,
    reads: Channels,
    start: Nanos,
    end: Nanos,
) -> Flags {
    let is_missing = reads.has(Channel::Trades) && seen.is_missing_in(start, end);
    outages.flags(reads, start, end).with(if is_missing { Flags::GAP } else { Flags::NONE })
}
