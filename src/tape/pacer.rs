//! The pace at which ticks go on the tape, where that is not at once.

use feeds::tick::Tick;

/// Says when ticks may go on the tape, where that is not at once.
pub trait Pacer {
    /// True if the tick's time has come.
    fn is_due(&mut self, tick: &Tick) -> bool;
    /// Waits for the last tick asked about, or for the next checkpoint; false if the run is to stop.
    fn wait(&mut self) -> bool;
    /// True if a checkpoint is due.
    fn wants_snapshot(&self) -> bool;
}
