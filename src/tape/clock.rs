//! When time alone changes a symbol: clock entries at whole seconds of the receive time.
//!
//! Every clock entry holds for every symbol. It is *sent* only to those for which something comes due; the others
//! are brought up to date with their next tick. Both give the same state.

use feeds::time::{Nanos, SECOND};

use crate::window::Plan;

/// What is known of a symbol without asking it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pulse {
    /// The input that its last tick came from.
    pub(crate) file: usize,
    /// The frontier that its ticks have set.
    pub(crate) frontier: Nanos,
    /// No tick of it is newer.
    pub(crate) newest: Nanos,
    /// The last clock frontier sent to it.
    pub(crate) clocked: Nanos,
    /// It is in the list of those that may come due.
    pub(crate) awake: bool,
}

/// The clocks of all inputs.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    /// The whole second at which the next entry is due.
    next: Option<Nanos>,
    files: Vec<FileClock>,
}

#[derive(Clone, Debug)]
struct FileClock {
    offset: Option<Nanos>,
    /// The highest frontier that a clock entry has set.
    frontier: Nanos,
}

impl Pulse {
    pub(crate) fn new(file: usize, frontier: Nanos, newest: Nanos) -> Pulse {
        Pulse { file, frontier, newest, clocked: Nanos::MIN, awake: false }
    }

    /// True if a frontier of `target` would emit or settle something; `None` if nothing ever will.
    pub(crate) fn comes_due(&self, plan: &Plan, target: Nanos) -> Option<bool> {
        let frontier = self.frontier.max(self.clocked);
        if target <= frontier {
            return Some(false);
        }
        plan.next_due(self.newest, frontier).map(|due| due <= target)
    }
}

impl Clock {
    /// Takes a receive time; true if it crosses a whole second, which is an entry before it.
    #[inline]
    pub(crate) fn crosses(&mut self, received_at: Nanos) -> bool {
        match self.next {
            Some(next) if received_at < next => false,
            known => {
                let second = received_at.div_euclid(SECOND) * SECOND;
                self.next = Some(second + SECOND);
                known.is_some()
            }
        }
    }

    /// Makes the clock entry for the second that was just crossed.
    pub(crate) fn strike(&mut self, plan: &Plan) {
        let Some(second) = self.next.map(|next| next - SECOND) else { return };
        for file in &mut self.files {
            // Without an offset nothing is known of the venue's time.
            let Some(offset) = file.offset else { continue };
            file.frontier = file.frontier.max(second - offset - plan.idle);
        }
    }

    /// A new estimate of the offset of `file`.
    pub(crate) fn set_offset(&mut self, file: usize, offset: Nanos) {
        self.file(file).offset = Some(offset);
    }

    /// The estimate of the offset of `file`.
    #[inline]
    pub(crate) fn offset(&self, file: usize) -> Option<Nanos> {
        self.files.get(file).and_then(|file| file.offset)
    }

    /// The frontier that the clock gives symbols of `file`.
    #[inline]
    pub(crate) fn frontier(&self, file: usize) -> Nanos {
        self.files.get(file).map_or(Nanos::MIN, |file| file.frontier)
    }

    fn file(&mut self, file: usize) -> &mut FileClock {
        if self.files.len() <= file {
            self.files.resize(file + 1, FileClock { offset: None, frontier: Nanos::MIN });
        }
        &mut self.files[file]
    }
}
