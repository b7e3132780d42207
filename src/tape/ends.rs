//! Where a run begins again and where it ends, on the tape.

use feeds::time::Nanos;

use super::sequencer::Sequencer;
use super::staged::What;
use crate::symbol::outages::{Cause, Channels, Outage};

impl Sequencer {
    /// The run was not there for a while: whatever is known of, ticks of it may be missing.
    pub fn was_away(&mut self) {
        let all = Outage { since: Nanos::MIN, channels: Channels::ALL, cause: Cause::Start };
        for symbol in 0..self.slots.len() as u32 {
            self.stage_outage(symbol, all);
        }
        self.next += 1;
    }

    /// The end of all inputs, as an entry for every symbol.
    pub fn end(&mut self) {
        self.finish(What::End);
    }

    /// A stop on purpose, as an entry for every symbol: unlike at the end nothing is judged.
    pub fn stop(&mut self) {
        self.finish(What::Stop);
    }

    fn finish(&mut self, what: What) {
        for symbol in 0..self.slots.len() as u32 {
            // How far a window that is not over is read depends on the frontier, so on every clock entry.
            self.catch_up(symbol);
            self.stage(symbol, what);
        }
        self.epoch.ended = true;
        self.snapshot_wanted = true;
        self.next += 1;
    }
}
