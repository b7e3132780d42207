//! The sequencer: gives every entry its number and cuts epochs.
//!
//! It sees all ticks in tape order, and nothing of what becomes of them.

use std::sync::Arc;
use std::time::Instant;

use feeds::offset::STEP;
use feeds::symbol::{Symbol, SymbolId};
use feeds::tick::{Event, Tick};
use feeds::time::{Nanos, SECOND};
use rustc_hash::FxHashMap;

use super::clock::{Clock, Estimates, Pulse};
use super::cut::Cut;
use super::epoch::{Arrival, Epoch, Joined, Share};
use super::marks::Marks;
use super::pacer::Pacer;
use super::received::Received;
use super::staged::{Slot, Staged, Staging, What};
use crate::config::limits::JUMP_MAX;
use crate::source::{Batch, NewSymbol, Run};
use crate::symbol::SymbolState;
use crate::symbol::outages::{Cause, Channels, Outage};
use crate::window::Plan;

/// See the module.
pub struct Sequencer {
    pub(super) plan: Arc<Plan>,
    cut: Cut,
    pub(super) next: u64,
    /// Entries up to here were applied by the run that is being resumed.
    pub(super) applied: u64,
    received: Received,
    pub(super) ticks: u64,
    /// Ticks of symbols that nobody announced.
    pub(super) passed_over: u64,
    pub(super) numbers: FxHashMap<Symbol, u32>,
    pub(super) slots: Vec<Slot>,
    /// The number of the rulebook in force.
    pub(super) book: u32,
    /// The source's number of a symbol to ours.
    pub(super) of_source: Vec<u32>,
    pub(super) clock: Clock,
    strikes: u64,
    pub(super) awake: Vec<u32>,
    pub(super) estimates: Estimates,
    /// By file: the first of the files that its connection goes on from, which has its clock.
    connections: Vec<usize>,
    pub(super) epoch: Epoch,
    pub(super) staging: Staging,
    touched: Vec<u32>,
    limit: u64,
    checkpoint_entries: u64,
    since_snapshot: u64,
    pub(super) snapshot_wanted: bool,
}

impl Sequencer {
    /// A sequencer whose first number is `first`, and which has a snapshot taken every `checkpoint_entries`. Entries up to and including `applied` are numbered and not staged.
    #[must_use]
    pub fn new(plan: Arc<Plan>, cut: Cut, checkpoint_entries: u64, first: u64, applied: u64) -> Sequencer {
        let mut sequencer = Sequencer {
            plan,
            cut,
            next: first,
            applied,
            received: Received::default(),
            ticks: 0,
            passed_over: 0,
            numbers: FxHashMap::default(),
            slots: Vec::new(),
            book: 0,
            of_source: Vec::new(),
            clock: Clock::default(),
            strikes: 0,
            awake: Vec::new(),
            estimates: Estimates::default(),
            connections: Vec::new(),
            epoch: Epoch { first, ..Epoch::default() },
            staging: Staging::default(),
            touched: Vec::new(),
            limit: 0,
            checkpoint_entries,
            since_snapshot: 0,
            snapshot_wanted: false,
        };
        sequencer.limit = sequencer.cut.next_limit(0);
        sequencer
    }

    /// Makes a symbol known that the database already holds; call in the order of their numbers. Until it
    /// ticks, its clock is that of the input `first`: the first connection of a run, which in the replay of its recording
    /// comes behind the files.
    pub fn restore(&mut self, symbol: &Symbol, first: usize, state: &SymbolState) {
        let number = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let wants_clock = self.wants_clock(symbol);
        self.numbers.insert(symbol.clone(), number);
        let mut pulse = Pulse::new(first, state.frontier(), state.newest());
        pulse.awake = state.newest() != Nanos::MIN;
        if pulse.awake {
            self.awake.push(number);
        }
        self.slots.push(Slot { pulse, strikes: 0, staged: 0, changed: false, wants_clock });
    }

    /// Ticks numbered so far, by this sequencer.
    #[must_use]
    pub fn ticks(&self) -> u64 {
        self.ticks
    }

    /// True if nothing has gathered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.staging.is_empty()
    }

    /// Has the next epoch carry a snapshot.
    pub fn want_snapshot(&mut self) {
        self.snapshot_wanted = true;
    }

    /// Numbers the entries of a batch. Epochs that fill up are handed to `emit` as they are cut. Where `pacer` has a
    /// tick wait, what has gathered before it is cut and handed on first. False if the pacer stopped it; the rest of
    /// the batch is then not on the tape.
    ///
    /// # Errors
    /// What `emit` returns.
    pub fn push<E>(
        &mut self,
        batch: Batch,
        now: impl Fn() -> Instant,
        mut pacer: Option<&mut dyn Pacer>,
        mut emit: impl FnMut(Epoch) -> Result<(), E>,
    ) -> Result<bool, E> {
        for &(file, before) in &batch.continued {
            let known = self.connections.len();
            self.connections.extend(known..=file.max(before));
            self.connections[file] = self.connections[before];
        }
        for new in &batch.new_symbols {
            self.join(new);
        }
        self.epoch.inputs.extend(batch.inputs);
        if let Some(received_at) = batch.clock {
            self.pass(received_at);
        }
        self.past(batch.past, &batch.symbols);
        self.epoch.frames.extend(batch.frames);
        if self.staging.is_full() {
            emit(self.cut(now()))?;
        }
        let ticks = Arc::new(batch.ticks);
        let mut batch_number = self.staging.open_batch(&ticks);
        let mut marks = Marks::new(&batch.offsets, &batch.outages);
        let mut from = 0;
        for run in &batch.runs {
            let mut counted = from;
            for index in from..run.end {
                while let Some(mark) = marks.before(index) {
                    self.mark(mark);
                }
                let Some(tick) = ticks.get(index) else { break };
                // What is in the database already has had its time.
                if let Some(pacer) = &mut pacer
                    && self.next > self.applied
                    && !pacer.is_due(tick)
                {
                    self.arrived(run.file, index - counted, batch.entered, batch.decoded);
                    counted = index;
                    if !self.hold_back(*pacer, tick, &now, &mut emit)? {
                        return Ok(false);
                    }
                    batch_number = self.staging.open_batch(&ticks);
                }
                let Some(symbol) = self.symbol_of(&batch.symbols, tick.symbol) else {
                    self.pass_over();
                    continue;
                };
                self.number(symbol, run, tick, batch_number, index as u32);
                if self.next <= self.applied + 1 {
                    counted = index + 1;
                }
                if self.gathered() >= self.limit {
                    self.arrived(run.file, index + 1 - counted, batch.entered, batch.decoded);
                    counted = index + 1;
                    emit(self.cut(now()))?;
                    batch_number = self.staging.open_batch(&ticks);
                }
            }
            self.arrived(run.file, run.end - counted, batch.entered, batch.decoded);
            from = run.end;
        }
        while let Some(mark) = marks.before(usize::MAX) {
            self.mark(mark);
        }
        Ok(true)
    }

    /// Cuts what has gathered and waits until `tick` is due, with the checkpoints that come due meanwhile. False if
    /// the pacer stopped it.
    fn hold_back<E>(
        &mut self,
        pacer: &mut dyn Pacer,
        tick: &Tick,
        now: &impl Fn() -> Instant,
        emit: &mut impl FnMut(Epoch) -> Result<(), E>,
    ) -> Result<bool, E> {
        loop {
            self.snapshot_wanted |= pacer.wants_snapshot() && self.since_snapshot + self.gathered() > 0;
            if self.snapshot_wanted || !self.is_empty() {
                emit(self.cut(now()))?;
            }
            if !pacer.wait() {
                return Ok(false);
            }
            if pacer.is_due(tick) {
                return Ok(true);
            }
        }
    }

    /// Time has come to `received_at` though nothing came in.
    fn pass(&mut self, received_at: Nanos) {
        let stamp = self.received.stamp(received_at);
        if self.received.has_leapt() {
            self.clock.hold(stamp);
        }
        if self.clock.crosses(stamp) {
            self.strike();
        }
    }

    /// The number that the next entry gets.
    #[must_use]
    pub fn next_number(&self) -> u64 {
        self.next
    }

    /// Makes what has gathered an epoch.
    pub fn cut(&mut self, now: Instant) -> Epoch {
        // As long as a resumed run is behind its last checkpoint there is nothing to take a snapshot of. If it ends
        // there, its inputs are not what they were, which the ledgers will show.
        let wanted = self.snapshot_wanted || self.since_snapshot + self.gathered() >= self.checkpoint_entries;
        let snapshot = wanted && (self.next > self.applied || self.epoch.ended);
        self.since_snapshot = if snapshot { 0 } else { self.since_snapshot + self.gathered() };
        self.snapshot_wanted &= !snapshot;
        self.staging.group(&self.touched, &mut self.slots, &mut self.epoch);
        if snapshot {
            self.share_snapshot();
        }
        let mut epoch = std::mem::take(&mut self.epoch);
        epoch.end = self.next;
        epoch.ticks_so_far = self.ticks;
        epoch.snapshot = snapshot;
        epoch.sequenced = Some(now);
        self.epoch.first = self.next;
        self.limit = self.cut.next_limit(self.touched.len());
        self.touched.clear();
        epoch
    }

    fn gathered(&self) -> u64 {
        self.next - self.epoch.first
    }

    fn join(&mut self, new: &NewSymbol) {
        let number = match self.numbers.get(&new.symbol) {
            Some(&number) => {
                // Announced before a stop, and not heard yet: it follows who names it, as it did.
                if self.slots[number as usize].pulse.newest == Nanos::MIN {
                    self.slots[number as usize].pulse.connection = self.connection(new.file);
                }
                number
            }
            None => {
                let number = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
                self.numbers.insert(new.symbol.clone(), number);
                let wants_clock = self.wants_clock(&new.symbol);
                let pulse = Pulse::new(self.connection(new.file), Nanos::MIN, Nanos::MIN);
                // It has a snapshot from the first: a checkpoint may come before its first tick.
                self.slots.push(Slot { pulse, strikes: 0, staged: 0, changed: true, wants_clock });
                self.epoch.joined.push(Joined {
                    number,
                    symbol: new.symbol.clone(),
                    trade_key: new.trade_key,
                    quote_key: new.quote_key,
                    book: self.book,
                });
                number
            }
        };
        self.of_source.push(number);
    }

    /// The number of a symbol that a batch has its own number for; none if nobody announced it.
    #[inline]
    pub(super) fn symbol_of(&self, symbols: &[SymbolId], symbol: SymbolId) -> Option<u32> {
        let source = symbols.get(symbol.0 as usize)?;
        self.of_source.get(source.0 as usize).copied()
    }

    fn arrived(&mut self, file: usize, ticks: usize, entered: Instant, decoded: Instant) {
        if ticks > 0 && self.next > self.applied {
            self.epoch.arrivals.push(Arrival { file, ticks: ticks as u64, entered, decoded });
        }
    }

    pub(super) fn offset(&mut self, file: usize, offset: Nanos) {
        let connection = self.connection(file);
        self.estimates.of(connection).by_decoder = true;
        self.believe_offset(connection, offset);
    }

    /// A clock that is minutes behind its venue's is a bad time of the venue's, not an offset.
    fn believe_offset(&mut self, connection: usize, offset: Nanos) {
        if offset >= -JUMP_MAX && self.clock.set_offset(connection, offset) {
            self.step(connection, offset);
        }
    }

    /// A clock was set, the venue's or ours: an entry for the symbols of the connection.
    #[cold]
    fn step(&mut self, connection: usize, offset: Nanos) {
        let outage = Outage { since: Nanos::MIN, channels: Channels::ALL, cause: Cause::Clock };
        let is_its = |symbol: &u32| self.slots[*symbol as usize].pulse.connection == connection;
        for symbol in (0..self.slots.len() as u32).filter(is_its).collect::<Vec<u32>>() {
            self.stage_outage(symbol, outage);
        }
        tracing::warn!(connection, offset_s = offset / SECOND, "a clock was set, the venue's or ours");
        self.next += 1;
    }

    #[inline]
    pub(super) fn connection(&self, file: usize) -> usize {
        self.connections.get(file).copied().unwrap_or(file)
    }

    /// Numbers one tick, and the clock entry that its receive time brings before it.
    #[inline]
    fn number(&mut self, symbol: u32, run: &Run, tick: &Tick, batch_number: u16, index: u32) {
        let connection = self.connection(run.file);
        let mut what = What::Tick(batch_number, index);
        if let Some(received_at) = tick.received_at() {
            self.pass(received_at);
            if !self.on_time(connection, tick, received_at) {
                what = What::BadTime(batch_number, index);
            } else if tick.timed && self.next > self.applied {
                self.epoch.crossings.push((run.file, received_at.saturating_sub(tick.exchange_ts), 1));
            }
        }
        self.catch_up(symbol);
        self.slots[symbol as usize].pulse.connection = connection;
        self.ticks += 1;
        self.stage(symbol, what);
        self.next += 1;
        if matches!(what, What::Tick(..))
            && !tick.history
            && !tick.excluded
            && !matches!(tick.event, Event::Rejected(_))
        {
            let slot = &mut self.slots[symbol as usize];
            slot.pulse.newest = slot.pulse.newest.max(tick.exchange_ts);
            if tick.timed {
                slot.pulse.frontier = slot.pulse.frontier.max(tick.exchange_ts);
            }
            if !slot.pulse.awake && tick.received_at().is_some() {
                slot.pulse.awake = true;
                self.awake.push(symbol);
            }
        }
    }

    /// True if the tick's time is not ahead of its receive time by more than can be.
    fn on_time(&mut self, connection: usize, tick: &Tick, received_at: Nanos) -> bool {
        if !tick.timed || matches!(tick.event, Event::Rejected(_)) {
            return true;
        }
        let sample = received_at.saturating_sub(tick.exchange_ts);
        // Before the first estimate all that is known is that two clocks do not differ by minutes.
        let ahead = self.clock.offset(connection).map_or(0, |offset| offset.saturating_sub(sample));
        let on_time = ahead <= self.plan.max_ahead && (ahead != 0 || sample >= -JUMP_MAX);
        if let Some(offset) = self.estimates.of(connection).observe(tick, received_at, on_time, ahead > STEP)
        {
            self.believe_offset(connection, offset);
        }
        self.clock.see(connection, sample);
        on_time
    }

    /// The clock entry: an entry of the tape, sent to the symbols for which something comes due.
    fn strike(&mut self) {
        self.clock.strike(&self.plan);
        self.strikes += 1;
        self.wake();
        self.next += 1;
    }

    /// Sends the clock entry in hand to the symbols for which something comes due.
    fn wake(&mut self) {
        // What the database holds was sent then. What is known of its symbols now is younger than this entry, and
        // would have it sent to others.
        if self.next <= self.applied {
            return;
        }
        let mut awake = std::mem::take(&mut self.awake);
        awake.retain(|&symbol| {
            let pulse = self.slots[symbol as usize].pulse;
            let target = self.clock.frontier(pulse.connection);
            let due = match pulse.comes_due(&self.plan, target) {
                Some(false) | None if self.slots[symbol as usize].wants_clock => {
                    Some(target > pulse.frontier.max(pulse.clocked))
                }
                due => due,
            };
            match due {
                Some(true) => self.stage_clock(symbol, target),
                Some(false) => {}
                None => self.slots[symbol as usize].pulse.awake = false,
            }
            self.slots[symbol as usize].pulse.awake
        });
        self.awake = awake;
    }

    /// Brings a symbol up to date with the clock entries that were not sent to it.
    #[inline]
    pub(super) fn catch_up(&mut self, symbol: u32) {
        let slot = &mut self.slots[symbol as usize];
        if slot.strikes == self.strikes || self.next <= self.applied {
            return;
        }
        slot.strikes = self.strikes;
        let target = self.clock.frontier(slot.pulse.connection);
        if target > slot.pulse.clocked.max(slot.pulse.frontier) {
            self.stage_clock(symbol, target);
        }
    }

    fn stage_clock(&mut self, symbol: u32, target: Nanos) {
        self.slots[symbol as usize].pulse.clocked = target;
        self.stage(symbol, What::Clock(target, self.clock.second()));
    }

    #[inline]
    pub(super) fn stage(&mut self, symbol: u32, what: What) {
        if self.next <= self.applied {
            return;
        }
        let offset = (self.next - self.epoch.first) as u32;
        let slot = &mut self.slots[symbol as usize];
        if slot.staged == 0 {
            self.touched.push(symbol);
        }
        slot.staged += 1;
        slot.changed = true;
        self.staging.push(Staged { symbol, offset, what });
    }

    /// Adds an empty share for every changed symbol that has none, so that it writes its snapshot too.
    fn share_snapshot(&mut self) {
        for &symbol in &self.touched {
            self.slots[symbol as usize].changed = false;
        }
        for (symbol, slot) in self.slots.iter_mut().enumerate().filter(|(_, slot)| slot.changed) {
            slot.changed = false;
            self.epoch.shares.push(Share { symbol: symbol as u32, from: 0, to: 0 });
        }
    }
}
