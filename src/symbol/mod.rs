//! One symbol's whole state: the engine without actors.
//!
//! [`SymbolState::apply`] is a pure function of what came before: the same entries in the same order give the same
//! outputs, whoever calls it and however they were cut into epochs.

pub mod duplicates;
mod judging;
pub mod ledger;
pub mod outages;
pub mod snapshot;
#[cfg(test)]
pub(crate) mod tests;

use feeds::live::Channel;
use feeds::symbol::Symbol;
use feeds::tick::{Event, Quote, Rejection, Tick, Trade};
use feeds::time::Nanos;
use feeds::venue::DuplicateKey;

use crate::alert::judge::{Heard, Judge, Judged};
use crate::stat::{Key, Pane};
use crate::window::{Emission, Flags, Moment, Placed, Plan, Windows};
use duplicates::{Hole, Seen, Verdict};
use judging::flags_of;
use ledger::Ledger;
use outages::{Cause, Channels, Outage, Outages, SLACK, Stretch};

/// What can happen to a symbol.
#[derive(Clone, Copy, Debug)]
pub enum Entry {
    /// A tick of this symbol.
    Tick(Tick),
    /// The clock: a quiet symbol's frontier is at least this.
    Clock(Strike),
    /// A tick that was missing, and was asked for afterwards.
    Past(Tick),
    /// From here on ticks may be missing.
    Outage(Outage),
    /// All inputs are exhausted: every window is emitted as it stands, and judged as final.
    End,
    /// A stop on purpose: every window is emitted as it stands, and nothing is judged.
    Stop,
    /// The rules of the book of this number are in force from now on.
    Rules(u32),
}

/// What an entry of the clock means for a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strike {
    /// Its frontier is at least this.
    pub frontier: Nanos,
    /// The second that was crossed, by our clock.
    pub received_at: Option<Nanos>,
}

/// What comes out of applying entries.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcomes {
    /// Windows emitted or amended, in order.
    pub windows: Vec<Emission>,
    /// Ticks that came too late for any window, with their numbers.
    pub late: Vec<(u64, Tick)>,
    /// Changes to what is missing, in order.
    pub gaps: Vec<GapChange>,
    /// Trades for windows that are final already: whoever stores those revises them, each once for each entry.
    pub repairs: Vec<Repair>,
    /// What the rules say.
    pub judged: Judged,
}

/// What a final window lacked.
#[derive(Clone, Debug, PartialEq)]
pub struct Repair {
    /// The entry that brought it.
    pub number: u64,
    /// Index of the window in the configuration.
    pub window: usize,
    /// Where it begins.
    pub start: Nanos,
    /// How it is marked now, behind all of the entry.
    pub flags: Flags,
    /// The trades, with their keys.
    pub trades: Vec<(Key, Trade)>,
}

/// A change to the list of what is missing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum GapChange {
    /// These ids are missing and can no longer come in time.
    Opened(Hole),
    /// A gap that was declared, by its first id, is not (or not as a whole) missing any more.
    Closed(u64),
    /// In this stretch ticks may be missing; it replaces one that began alike.
    Out(Stretch),
    /// Nothing is missing that was said to be out since then.
    Back(Stretch),
}

impl Outcomes {
    /// Forgets all.
    pub fn clear(&mut self) {
        self.windows.clear();
        self.late.clear();
        self.gaps.clear();
        self.repairs.clear();
        self.judged.clear();
    }
}

/// Everything kept of a symbol.
#[derive(Clone, Debug, PartialEq)]
pub struct SymbolState {
    windows: Windows,
    trades_seen: Seen,
    quotes_seen: Seen,
    outages: Outages,
    ledger: Ledger,
    /// Late trades: in no window, but in the totals.
    late: Pane,
    quarantined: bool,
    symbol: Option<Symbol>,
    judge: Option<Box<Judge>>,
}

impl SymbolState {
    /// A symbol that has seen nothing.
    #[must_use]
    pub fn new(plan: &Plan, trade_key: DuplicateKey, quote_key: DuplicateKey) -> SymbolState {
        SymbolState {
            windows: Windows::new(plan),
            trades_seen: Seen::new(trade_key),
            quotes_seen: Seen::new(quote_key),
            outages: Outages::default(),
            ledger: Ledger::default(),
            late: Pane::default(),
            quarantined: false,
            symbol: None,
            judge: None,
        }
    }

    /// Applies the entry with tape number `number`; numbers increase.
    #[inline]
    pub fn apply(&mut self, plan: &Plan, number: u64, entry: &Entry, out: &mut Outcomes) {
        match entry {
            Entry::Tick(tick) => self.apply_tick(plan, number, tick, out),
            Entry::Past(tick) => self.apply_past(plan, number, tick, out),
            // What was said of its windows when it was taken out of service stands.
            Entry::Clock(_) | Entry::Outage(_) | Entry::End | Entry::Stop | Entry::Rules(_)
                if self.quarantined => {}
            Entry::Outage(outage) => self.begin_outage(plan, number, outage, out),
            Entry::Clock(strike) => self.strike(plan, number, strike, out),
            Entry::Rules(book) => {
                if let Some(book) = plan.books.get(*book) {
                    self.rule_by(plan, SymbolState::at(number, None, out), &book, out);
                }
            }
            Entry::Stop => self.close(plan, number, out),
            Entry::End => self.end(plan, number, out),
        }
    }

    fn strike(&mut self, plan: &Plan, number: u64, strike: &Strike, out: &mut Outcomes) {
        let at = SymbolState::at(number, strike.received_at, out);
        self.judge_before(plan, at, strike.frontier, out);
        self.step(plan, number, out, |windows, moment, emitted| {
            windows.advance(moment, strike.frontier, emitted);
        });
        self.declare_gaps(plan, out);
        self.judge_after(plan, at, Heard::Clock, out);
    }

    /// Takes the symbol out of service: open windows come out flagged, later ticks are rejected.
    pub fn quarantine(&mut self, plan: &Plan, number: u64, out: &mut Outcomes) {
        if !self.quarantined {
            self.quarantined = true;
            self.step(plan, number, out, |windows, moment, emitted| {
                windows.close(moment, Flags::QUARANTINED, emitted);
            });
        }
    }

    /// How its open windows stand, each once, under the flags and the revision that it would be emitted with now.
    #[must_use]
    pub fn look(&self, plan: &Plan) -> Vec<Emission> {
        if self.quarantined {
            return Vec::new();
        }
        let (seen, outages) = (&self.trades_seen, &self.outages);
        let flags = |reads: Channels, start, end| flags_of(seen, outages, reads, start, end);
        self.windows.open(&Moment { plan, number: 0, flags: &flags })
    }

    /// Its ledger.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Everything that came in live, late ticks included.
    #[must_use]
    pub fn totals(&self) -> Pane {
        let mut pane = self.windows.everything();
        pane.trades.merge(&self.late.trades);
        pane
    }

    /// The highest time it has accepted.
    #[must_use]
    pub fn frontier(&self) -> Nanos {
        self.windows.frontier()
    }

    /// No tick that it holds is newer than this.
    #[must_use]
    pub fn newest(&self) -> Nanos {
        self.windows.newest()
    }

    #[inline]
    fn apply_tick(&mut self, plan: &Plan, number: u64, tick: &Tick, out: &mut Outcomes) {
        self.ledger.received += 1;
        if self.quarantined {
            self.ledger.rejected += 1;
            return;
        }
        match &tick.event {
            Event::Trade(_) | Event::Quote(_) if tick.repeated => self.ledger.duplicate += 1,
            Event::Trade(trade) => self.apply_trade(plan, number, tick, trade, out),
            Event::Quote(quote) => self.apply_quote(plan, number, tick, quote, out),
            Event::Rejected(why) => self.reject(plan, number, tick, *why, out),
        }
    }

    /// A tick that cannot be used is missing from its windows, whatever it was and wherever it belonged.
    #[cold]
    fn reject(&mut self, plan: &Plan, number: u64, tick: &Tick, why: Rejection, out: &mut Outcomes) {
        self.ledger.reject(why);
        if let Some(cause) = Cause::of_rejected(why).filter(|_| !tick.history && !tick.excluded) {
            let outage = Outage { since: Nanos::MIN, channels: Channels::ALL, cause };
            self.begin_outage(plan, number, &outage, out);
        }
    }

    #[inline]
    fn apply_trade(&mut self, plan: &Plan, number: u64, tick: &Tick, trade: &Trade, out: &mut Outcomes) {
        if tick.excluded {
            self.trades_seen.pass_over(tick.exchange_ts, trade);
            self.ledger.history += 1;
            return;
        }
        if tick.history {
            // It is in no window, so its id is still missing there.
            self.ledger.history += 1;
            return;
        }
        let ts = tick.exchange_ts;
        let was_out = self.outages.is_open(Channel::Trades);
        let is_next = was_out && self.trades_seen.is_beyond(trade);
        let verdict = self.trades_seen.trade(ts, trade);
        if verdict == Verdict::Repeat {
            self.ledger.duplicate += 1;
            return;
        }
        self.ledger.trades += 1;
        let at = SymbolState::at(number, tick.received_at(), out);
        self.judge_before(plan, at, ts, out);
        let placed = self.step(plan, number, out, |windows, moment, emitted| {
            windows.add_trade(moment, ts, trade, emitted)
        });
        if placed == Placed::Late {
            self.late.add_trade(crate::stat::Key { ts, number }, trade);
            self.trades_seen.lose(verdict);
        }
        self.count(placed, number, tick, out);
        if was_out && !matches!(verdict, Verdict::Fills(_)) {
            self.end_outage(plan, number, (Channel::Trades, ts), is_next, out);
        }
        if verdict != Verdict::New {
            self.step(plan, number, out, |windows, moment, emitted| windows.reflag(moment, emitted));
            self.close_gap(verdict, out);
        }
        self.declare_gaps(plan, out);
        let heard = if placed == Placed::Late { Heard::Other } else { Heard::Trade(ts, trade) };
        self.judge_after(plan, at, heard, out);
    }

    /// Takes a trade that was asked for because it was missing; any other is one too many.
    fn apply_past(&mut self, plan: &Plan, number: u64, tick: &Tick, out: &mut Outcomes) {
        self.ledger.received += 1;
        let trade = match &tick.event {
            Event::Trade(trade) if !self.quarantined => trade,
            _ => {
                self.ledger.rejected += 1;
                return;
            }
        };
        if !self.trades_seen.misses(trade) {
            self.ledger.duplicate += 1;
            return;
        }
        let (ts, verdict) = (tick.exchange_ts, self.trades_seen.trade(tick.exchange_ts, trade));
        self.ledger.trades += 1;
        self.ledger.aggregated += 1;
        self.outages.backfilled(ts);
        let at = SymbolState::at(number, tick.received_at(), out);
        let mut finals = Vec::new();
        self.step(plan, number, out, |windows, moment, emitted| {
            if windows.add_trade(moment, ts, trade, emitted) == Placed::Late {
                finals = windows.add_past(moment, ts, trade, emitted);
            }
            windows.reflag(moment, emitted);
        });
        for (window, start) in finals {
            self.repair(number, (window, start), (Key { ts, number }, *trade), out);
        }
        for repair in out.repairs.iter_mut().filter(|repair| repair.number == number) {
            let end = repair.start.saturating_add(plan.windows()[repair.window].size);
            let is_missing = self.trades_seen.is_missing_in(repair.start, end);
            repair.flags = self.outages.flags(Channels::of(Channel::Trades), repair.start, end);
            repair.flags = repair.flags.with(if is_missing { Flags::GAP } else { Flags::NONE });
        }
        self.close_gap(verdict, out);
        self.judge_after(plan, at, Heard::Other, out);
    }

    fn repair(&self, number: u64, (window, start): (usize, Nanos), trade: (Key, Trade), out: &mut Outcomes) {
        let known = out.repairs.iter_mut().rev().take_while(|repair| repair.number == number);
        match known.into_iter().find(|repair| (repair.window, repair.start) == (window, start)) {
            Some(repair) => repair.trades.push(trade),
            None => {
                out.repairs.push(Repair { number, window, start, flags: Flags::NONE, trades: vec![trade] })
            }
        }
    }

    fn apply_quote(&mut self, plan: &Plan, number: u64, tick: &Tick, quote: &Quote, out: &mut Outcomes) {
        if tick.history {
            self.ledger.history += 1;
            return;
        }
        if self.quotes_seen.quote(quote) == Verdict::Repeat {
            self.ledger.duplicate += 1;
            return;
        }
        self.ledger.quotes += 1;
        let at = SymbolState::at(number, tick.received_at(), out);
        if tick.timed {
            self.judge_before(plan, at, tick.exchange_ts, out);
        }
        let placed = self.step(plan, number, out, |windows, moment, emitted| {
            windows.add_quote(moment, tick.exchange_ts, tick.timed, quote, emitted)
        });
        self.count(placed, number, tick, out);
        if self.outages.is_open(Channel::Quotes) {
            self.end_outage(plan, number, (Channel::Quotes, tick.exchange_ts), false, out);
        }
        self.declare_gaps(plan, out);
        let heard = if placed == Placed::Late { Heard::Other } else { Heard::Quote(tick.exchange_ts, quote) };
        self.judge_after(plan, at, heard, out);
    }

    /// From here on ticks may be missing. Of a symbol that has seen nothing that is so from the beginning of time, if
    /// the run only begins to hear of it; otherwise it misses nothing.
    fn begin_outage(&mut self, plan: &Plan, number: u64, outage: &Outage, out: &mut Outcomes) {
        let frontier = self.windows.frontier();
        let from = match (frontier, outage.since) {
            (Nanos::MIN, _) if outage.cause == Cause::Start => Nanos::MIN,
            (Nanos::MIN, _) => return,
            // The symbol's own time may be another channel's, which was ahead of what is missing.
            (frontier, Nanos::MIN) => frontier.saturating_sub(SLACK),
            (_, since) => since.saturating_sub(SLACK),
        };
        let at = SymbolState::at(number, None, out);
        for channel in Channel::ALL.into_iter().filter(|channel| outage.channels.has(*channel)) {
            if outage.cause == Cause::Unwanted {
                self.end_outage(plan, number, (channel, frontier), false, out);
            } else {
                out.gaps.extend(self.outages.begin(channel, outage.cause, from).map(GapChange::Out));
            }
        }
        self.step(plan, number, out, |windows, moment, emitted| windows.reflag(moment, emitted));
        // Rules read what may be missing, and nothing of fields.
        let heard = if outage.cause == Cause::Fields { Heard::Other } else { Heard::Outage };
        self.judge_after(plan, at, heard, out);
    }

    /// A tick of the channel came in again, at that time.
    fn end_outage(
        &mut self,
        plan: &Plan,
        number: u64,
        (channel, ts): (Channel, Nanos),
        proves: bool,
        out: &mut Outcomes,
    ) {
        self.outages.resume(channel, ts, proves, |stretch, is_forgotten| {
            out.gaps.push(if is_forgotten { GapChange::Back(stretch) } else { GapChange::Out(stretch) });
        });
        self.step(plan, number, out, |windows, moment, emitted| windows.reflag(moment, emitted));
    }

    fn end(&mut self, plan: &Plan, number: u64, out: &mut Outcomes) {
        let at = SymbolState::at(number, None, out);
        self.close(plan, number, out);
        self.judge_end(plan, at, out);
    }

    fn close(&mut self, plan: &Plan, number: u64, out: &mut Outcomes) {
        self.step(plan, number, out, |windows, moment, emitted| {
            windows.close(moment, Flags::NONE, emitted);
        });
        self.trades_seen.declare(Nanos::MAX, |hole| out.gaps.push(GapChange::Opened(hole)));
    }

    #[inline]
    fn count(&mut self, placed: Placed, number: u64, tick: &Tick, out: &mut Outcomes) {
        match placed {
            Placed::InTime => self.ledger.aggregated += 1,
            Placed::Late => {
                self.ledger.late += 1;
                out.late.push((number, *tick));
            }
        }
    }

    /// Takes back a gap that was declared, in favour of what is left of it.
    fn close_gap(&self, verdict: Verdict, out: &mut Outcomes) {
        if let Verdict::Fills(was) = verdict
            && was.declared
        {
            out.gaps.push(GapChange::Closed(was.first));
            let left = self.trades_seen.holes().iter();
            out.gaps.extend(
                left.filter(|hole| hole.first >= was.first && hole.last <= was.last)
                    .copied()
                    .map(GapChange::Opened),
            );
        }
    }

    /// Reports the holes that the watermark has passed.
    #[inline]
    fn declare_gaps(&mut self, plan: &Plan, out: &mut Outcomes) {
        let watermark = self.windows.watermark(plan);
        self.trades_seen.declare(watermark, |hole| out.gaps.push(GapChange::Opened(hole)));
    }

    /// Runs `work` on the windows with the flags as the holes now are.
    #[inline]
    fn step<T>(
        &mut self,
        plan: &Plan,
        number: u64,
        out: &mut Outcomes,
        work: impl FnOnce(&mut Windows, &Moment<'_>, &mut Vec<Emission>) -> T,
    ) -> T {
        let (seen, outages) = (&self.trades_seen, &self.outages);
        let flags = |reads: Channels, start, end| flags_of(seen, outages, reads, start, end);
        work(&mut self.windows, &Moment { plan, number, flags: &flags }, &mut out.windows)
    }
}
