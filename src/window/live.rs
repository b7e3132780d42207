//! Windows that are not over: what they say as things stand.

use feeds::time::Nanos;

use super::plan::Plan;
use super::state::Windows;
use crate::stat::{CarriedQuote, Pane, View};

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
}
