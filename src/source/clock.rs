//! The clock of a file without receive times: the highest `exchange_ts` that it has shown and that was confirmed.
//!
//! A tick more than [`JUMP`] ahead of the clock is a jump; so is the file's first tick. A jump is taken, and moves
//! the clock, if the file's next tick is not more than [`JUMP`] behind it; if not, the tick is turned into a
//! rejected one. At the end of the file a jump that is still open is rejected, unless it is the file's first tick.
//!
//! A block whose jumps are all confirmed inside it is accepted whatever the clock was before it, because a tick
//! that is no jump at all is accepted, too. [`survey`] finds that out in the decode thread; only the other blocks
//! are gone through again, in order. What waits for its confirmation is held back, and what is behind it.

use std::collections::VecDeque;

use feeds::tick::{Event, Rejection, Tick};
use feeds::time::{Nanos, SECOND};

use super::decode::Block;

/// How far ahead of the clock a tick may be without anything to confirm it.
pub(super) const JUMP: Nanos = 600 * SECOND;

/// Most ticks without a time of their own that are held behind a jump; with more, nothing confirms it.
const HELD_TICKS_MAX: usize = 1 << 16;

/// The times of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) first: Nanos,
    pub(super) lowest: Nanos,
    pub(super) highest: Nanos,
    /// How far a tick is behind the highest one before it, at most.
    pub(super) behind: Nanos,
}

/// What a block's ticks say of the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Survey {
    /// The times that there are; `None` if no tick has one.
    pub(super) times: Option<Times>,
    /// True if some jump is not confirmed inside the block.
    pub(super) open: bool,
}

/// The time of a tick that may move and confirm the clock.
#[inline]
pub(super) fn time_of(tick: &Tick) -> Option<Nanos> {
    (tick.timed && !matches!(tick.event, Event::Rejected(_))).then_some(tick.exchange_ts)
}

/// Looks at the ticks of a block without knowing the clock before it.
pub(super) fn survey(ticks: &[Tick]) -> Survey {
    let mut times: Option<Times> = None;
    // What the next tick must reach.
    let mut wanted = Nanos::MIN;
    let mut open = false;
    for time in ticks.iter().filter_map(time_of) {
        open |= time < wanted;
        wanted = Nanos::MIN;
        match &mut times {
            Some(Times { lowest, highest, behind, .. }) => {
                if time > *highest {
                    if time > highest.saturating_add(JUMP) {
                        wanted = time - JUMP;
                    }
                    *highest = time;
                } else {
                    *lowest = time.min(*lowest);
                    *behind = (*highest - time).max(*behind);
                }
            }
            None => {
                wanted = time - JUMP;
                times = Some(Times { first: time, lowest: time, highest: time, behind: 0 });
            }
        }
    }
    Survey { times, open: open || wanted != Nanos::MIN }
}

/// A jump that waits for the next tick.
#[derive(Clone, Copy, Debug)]
struct Pending {
    /// Its block among those held.
    block: usize,
    index: usize,
    time: Nanos,
    first: bool,
}

/// The clock of one file, and the blocks that wait for it.
#[derive(Debug, Default)]
pub(super) struct FileClock {
    now: Option<Nanos>,
    /// True once the file has had a tick with a time.
    begun: bool,
    /// How far an accepted tick was behind the clock, at most.
    behind: Nanos,
    pending: Option<Pending>,
    held: VecDeque<Block>,
    held_ticks: usize,
}

impl FileClock {
    /// A clock that goes on from that of the file before, in which nothing waits any more.
    pub(super) fn carried(&self) -> FileClock {
        FileClock { now: self.now, begun: self.begun, ..FileClock::default() }
    }

    /// The highest time that was accepted.
    pub(super) fn now(&self) -> Option<Nanos> {
        self.now
    }

    /// How far the file is out of order: how far an accepted tick was behind the clock, at most.
    pub(super) fn behind(&self) -> Nanos {
        self.behind
    }

    /// Takes the next block; what is settled goes to `ready`, with the indices of its rejected ticks noted.
    pub(super) fn admit(&mut self, block: Block, ready: &mut VecDeque<Block>) {
        let Survey { times, open } = block.survey;
        self.held_ticks += block.ticks.len();
        self.held.push_back(block);
        match times {
            None if self.held_ticks > HELD_TICKS_MAX => self.settle(false),
            None => {}
            Some(times) if !open => {
                self.confirm(times.first);
                self.begun = true;
                let now = self.now.unwrap_or(times.lowest);
                self.behind = self.behind.max(times.behind).max(now.saturating_sub(times.lowest));
                self.now = Some(now.max(times.highest));
            }
            Some(_) => self.walk(),
        }
        self.release(ready);
    }

    /// The end of the file. `next` is the first time of the file that goes on where this one ends, if there is
    /// such a file.
    pub(super) fn end(&mut self, next: Option<Nanos>, ready: &mut VecDeque<Block>) {
        if let Some(pending) = self.pending {
            self.settle(next.map_or(pending.first, |next| next >= pending.time - JUMP));
        }
        self.release(ready);
    }

    /// Goes through the ticks of the newest block one by one.
    fn walk(&mut self) {
        let Some(newest) = self.held.len().checked_sub(1) else { return };
        for index in 0..self.held[newest].ticks.len() {
            let Some(time) = time_of(&self.held[newest].ticks[index]) else { continue };
            self.confirm(time);
            let first = !self.begun;
            self.begun = true;
            if self.now.is_none_or(|now| time > now.saturating_add(JUMP)) {
                self.pending = Some(Pending { block: newest, index, time, first });
            } else {
                let now = self.now.unwrap_or(time);
                self.behind = self.behind.max(now.saturating_sub(time));
                self.now = Some(now.max(time));
            }
        }
    }

    /// The next tick after a jump, if one waits, has this time.
    fn confirm(&mut self, time: Nanos) {
        if let Some(pending) = self.pending {
            self.settle(time >= pending.time - JUMP);
        }
    }

    fn settle(&mut self, confirmed: bool) {
        let Some(pending) = self.pending.take() else { return };
        if confirmed {
            self.now = self.now.max(Some(pending.time));
        } else if let Some(block) = self.held.get_mut(pending.block) {
            block.ticks[pending.index].event = Event::Rejected(Rejection::BadTime);
            block.unconfirmed.push(pending.index);
        }
    }

    /// Hands out the blocks in front of the one with a pending jump.
    fn release(&mut self, ready: &mut VecDeque<Block>) {
        let settled = self.pending.map_or(self.held.len(), |pending| pending.block);
        ready.extend(self.held.drain(..settled));
        if let Some(pending) = &mut self.pending {
            pending.block = 0;
        }
        self.held_ticks = self.held.iter().map(|block| block.ticks.len()).sum();
    }
}
