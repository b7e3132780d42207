//! Windows that are not over: what they say as things stand.

use feeds::live::Channel;
use feeds::tick::{Quote, Trade};
use feeds::time::Nanos;

use super::plan::Plan;
use super::state::{Emission, Moment, Windows};
use crate::stat::{CarriedQuote, Key, Pane, View};
use crate::symbol::outages::Channels;

/// A window as things stand.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Where it begins.
    pub start: Nanos,
    /// Up to where it is read.
    pub until: Nanos,
    /// Its content, without the kinds of ticks that none of its statistics reads.
    pub pane: Pane,
    /// The quote in force when it began, if it reads quotes.
    pub carried: Option<CarriedQuote>,
}

impl Standing {
    /// As statistics read it.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        View { pane: &self.pane, carried: self.carried.as_ref(), start: self.start, end: self.until }
    }
}

impl Windows {
    /// The window that contains the frontier, of this place in the configuration; `None` if no tick that it reads has
    /// fallen into it.
    #[must_use]
    pub fn standing(&self, plan: &Plan, window: usize) -> Option<Standing> {
        let level = plan.levels().iter().position(|level| level.window == window)?;
        if self.frontier == Nanos::MIN {
            return None;
        }
        let start = plan.levels()[level].start_of(self.frontier);
        let reading = self.read(plan, level, start);
        let exists = !reading.pane.is_empty();
        exists.then_some(Standing {
            start,
            until: reading.until,
            pane: reading.pane,
            carried: reading.carried,
        })
    }

    /// Every window with ticks whose end has not come, as it stands.
    #[must_use]
    pub fn open(&self, moment: &Moment<'_>) -> Vec<Emission> {
        let mut found = Vec::new();
        for (level, shape) in moment.plan.levels().iter().enumerate() {
            for open in self.levels[level].open.iter().filter(|open| !open.complete) {
                let reading = self.read(moment.plan, level, open.start);
                found.push(Emission {
                    window: shape.window,
                    start: open.start,
                    revision: open.emissions,
                    flags: (moment.flags)(shape.reads(), open.start, open.start + shape.size),
                    number: moment.number,
                    until: reading.until,
                    pane: reading.pane,
                    carried: reading.carried,
                });
            }
        }
        found
    }
}

/// How often the windows have changed, for those who keep something that they read from them. It says nothing of what
/// they are: restored ones begin at zero.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Changes {
    /// Ticks that only went into the newest slice, or nowhere.
    pub(super) ticks: u64,
    /// All else.
    pub(super) others: u64,
}

impl PartialEq for Changes {
    fn eq(&self, _: &Changes) -> bool {
        true
    }
}

/// The window that contains the frontier, kept up to date with the ticks that it hears: reading it anew at each would merge
/// all of its parts.
#[derive(Clone, Debug)]
pub struct Live {
    window: usize,
    standing: Option<Standing>,
    /// Of the windows, when it was up to date.
    changes: Changes,
}

impl Live {
    /// That of this place in the configuration.
    #[must_use]
    pub fn new(window: usize) -> Live {
        Live { window, standing: None, changes: Changes::default() }
    }

    /// Its place in the configuration.
    #[must_use]
    pub fn window(&self) -> usize {
        self.window
    }

    /// What was read last.
    #[must_use]
    pub fn standing(&self) -> Option<&Standing> {
        self.standing.as_ref()
    }

    /// The windows have taken this trade. Whatever else they took without its being told here is found out.
    #[inline]
    pub fn add_trade(&mut self, windows: &Windows, plan: &Plan, key: Key, trade: &Trade) {
        self.add(windows, plan, key, |pane, reads| {
            if reads.has(Channel::Trades) {
                pane.add_trade(key, trade);
            }
            true
        });
    }

    /// The windows have taken this quote.
    #[inline]
    pub fn add_quote(&mut self, windows: &Windows, plan: &Plan, key: Key, quote: &Quote) {
        self.add(windows, plan, key, |pane, reads| {
            if reads.has(Channel::Quotes) {
                // What is put between others changes what was read of those.
                if pane.last_quote().is_some_and(|last| last.key > key) {
                    return false;
                }
                pane.add_quote(key, quote);
            }
            true
        });
    }

    fn add(
        &mut self,
        windows: &Windows,
        plan: &Plan,
        key: Key,
        add: impl FnOnce(&mut Pane, Channels) -> bool,
    ) {
        let Changes { ticks, others } = windows.changes;
        let Some(standing) = &mut self.standing else { return };
        let size = plan.windows()[self.window].size;
        let is_next = (ticks, others) == (self.changes.ticks + 1, self.changes.others);
        let is_inside = (standing.start..standing.start.saturating_add(size)).contains(&key.ts);
        if is_next && (!is_inside || add(&mut standing.pane, plan.reads(self.window))) {
            self.changes.ticks = ticks;
        } else {
            self.standing = None;
        }
    }

    /// As [`Windows::standing`] says.
    pub fn read(&mut self, windows: &Windows, plan: &Plan) -> Option<&Standing> {
        let Changes { ticks, others } = windows.changes;
        let size = plan.windows()[self.window].size;
        let frontier = windows.frontier();
        let is_fresh = |standing: &&mut Standing| {
            (ticks, others) == (self.changes.ticks, self.changes.others)
                && (standing.start..standing.start.saturating_add(size)).contains(&frontier)
        };
        match self.standing.as_mut().filter(is_fresh) {
            Some(standing) => {
                let newest = standing.pane.last_quote().map_or(standing.start, |quote| quote.key.ts);
                standing.until = (standing.start + size).min(frontier.max(newest));
            }
            None => {
                self.standing = windows.standing(plan, self.window);
                self.changes = windows.changes;
            }
        }
        self.standing.as_ref()
    }
}
