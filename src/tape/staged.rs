//! Entries of the epoch that is being gathered, until they are copied into their groups.

use std::sync::Arc;

use feeds::tick::{Event, Rejection, Tick};
use feeds::time::Nanos;

use super::clock::Pulse;
use super::epoch::{Epoch, Sequenced, Share};
use crate::symbol::outages::Outage;
use crate::symbol::{Entry, Strike};

/// An entry that is not in its group yet.
#[derive(Clone, Copy)]
pub(super) struct Staged {
    pub(super) symbol: u32,
    /// Tape number, less the epoch's first.
    pub(super) offset: u32,
    pub(super) what: What,
}

/// What a staged entry is.
#[derive(Clone, Copy)]
pub(super) enum What {
    /// The tick at this index of this batch.
    Tick(u16, u32),
    /// The same, asked for afterwards.
    Past(u16, u32),
    /// The same, with a time that cannot be: it is rejected.
    BadTime(u16, u32),
    /// The clock sets this frontier, at that second.
    Clock(Nanos, Nanos),
    /// The outage at this index of those staged.
    Outage(u32),
    /// All inputs are exhausted.
    End,
    /// A stop on purpose.
    Stop,
    /// The rulebook of this number.
    Rules(u32),
}

impl Staged {
    pub(super) fn entry(&self, batches: &[Arc<Vec<Tick>>], outages: &[Outage]) -> Entry {
        match self.what {
            What::Tick(batch, index) => Entry::Tick(batches[usize::from(batch)][index as usize]),
            What::BadTime(batch, index) => {
                let mut tick = batches[usize::from(batch)][index as usize];
                tick.event = Event::Rejected(Rejection::BadTime);
                Entry::Tick(tick)
            }
            What::Past(batch, index) => Entry::Past(batches[usize::from(batch)][index as usize]),
            What::Clock(frontier, second) => Entry::Clock(Strike { frontier, received_at: Some(second) }),
            What::Outage(index) => Entry::Outage(outages[index as usize]),
            What::End => Entry::End,
            What::Stop => Entry::Stop,
            What::Rules(book) => Entry::Rules(book),
        }
    }
}

/// A symbol as the sequencer knows it.
pub(super) struct Slot {
    pub(super) pulse: Pulse,
    /// Clock entries it knows of.
    pub(super) strikes: u64,
    /// Items staged for the epoch that is being gathered.
    pub(super) staged: u32,
    /// It changed since the last snapshot.
    pub(super) changed: bool,
    /// It hears every entry of the clock: its rules have deadlines.
    pub(super) wants_clock: bool,
}

/// What is staged for the epoch that is being gathered.
#[derive(Default)]
pub(super) struct Staging {
    /// The batches that the staged ticks are in.
    batches: Vec<Arc<Vec<Tick>>>,
    items: Vec<Staged>,
    outages: Vec<Outage>,
    order: Vec<u32>,
}

impl Staging {
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// No further batch can be opened.
    pub(super) fn is_full(&self) -> bool {
        self.batches.len() >= usize::from(u16::MAX)
    }

    /// The number by which ticks of this batch are staged.
    pub(super) fn open_batch(&mut self, ticks: &Arc<Vec<Tick>>) -> u16 {
        let number = u16::try_from(self.batches.len()).unwrap_or(u16::MAX);
        self.batches.push(Arc::clone(ticks));
        number
    }

    /// An outage as it is staged.
    pub(super) fn outage(&mut self, outage: Outage) -> What {
        if self.outages.last() != Some(&outage) {
            self.outages.push(outage);
        }
        What::Outage(self.outages.len() as u32 - 1)
    }

    #[inline]
    pub(super) fn push(&mut self, item: Staged) {
        self.items.push(item);
    }

    /// Groups the items by symbol: counting sort, so that each group stays in tape order. `touched` are the symbols
    /// that have any.
    pub(super) fn group(&mut self, touched: &[u32], slots: &mut [Slot], epoch: &mut Epoch) {
        let mut from = 0;
        epoch.shares.reserve(touched.len());
        for &symbol in touched {
            let slot = &mut slots[symbol as usize];
            let to = from + slot.staged;
            epoch.shares.push(Share { symbol, from, to });
            // From here on `staged` is where the symbol's next item goes.
            slot.staged = from;
            from = to;
        }
        self.order.clear();
        self.order.resize(self.items.len(), 0);
        for (index, item) in self.items.iter().enumerate() {
            let slot = &mut slots[item.symbol as usize];
            self.order[slot.staged as usize] = index as u32;
            slot.staged += 1;
        }
        let (first, batches, outages, items) = (epoch.first, &self.batches, &self.outages, &self.items);
        let entries = self.order.iter().map(|&index| {
            let item = &items[index as usize];
            Sequenced { number: first + u64::from(item.offset), entry: item.entry(batches, outages) }
        });
        epoch.entries.extend(entries);
        self.items.clear();
        self.batches.clear();
        self.outages.clear();
        for &symbol in touched {
            slots[symbol as usize].staged = 0;
        }
    }
}
