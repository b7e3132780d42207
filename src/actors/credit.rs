//! The one bound in front of all mailboxes: epochs and bytes in flight.
//!
//! actix's own bound is none (each clone of an address has a place beyond it), so nothing is sent without credit.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::config::limits::{EPOCH_BYTES_IN_FLIGHT, EPOCHS_IN_FLIGHT};

/// Credit for epochs. Clones share it.
#[derive(Clone, Default)]
pub struct Credit {
    shared: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    epochs: usize,
    bytes: usize,
    closed: bool,
}

/// Nobody will return credit any more: what is behind has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl Credit {
    /// Waits until another epoch of `bytes` may be in flight. One alone may be of any size.
    ///
    /// # Errors
    /// [`Closed`] if what is behind has stopped.
    pub fn take(&self, bytes: usize) -> Result<(), Closed> {
        let mut state = self.state();
        loop {
            if state.closed {
                return Err(Closed);
            }
            let fits = state.bytes + bytes <= EPOCH_BYTES_IN_FLIGHT && state.epochs < EPOCHS_IN_FLIGHT;
            if state.epochs == 0 || fits {
                state.epochs += 1;
                state.bytes += bytes;
                return Ok(());
            }
            state = self.shared.1.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Returns the credit of one epoch.
    pub fn give_back(&self, bytes: usize) {
        let mut state = self.state();
        state.epochs = state.epochs.saturating_sub(1);
        state.bytes = state.bytes.saturating_sub(bytes);
        drop(state);
        self.shared.1.notify_all();
    }

    /// Waits until nothing is in flight.
    ///
    /// # Errors
    /// [`Closed`] if what is behind has stopped.
    pub fn drained(&self) -> Result<(), Closed> {
        let mut state = self.state();
        while state.epochs > 0 && !state.closed {
            state = self.shared.1.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed { Err(Closed) } else { Ok(()) }
    }

    /// Refuses from now on, and wakes whoever waits.
    pub fn close(&self) {
        self.state().closed = true;
        self.shared.1.notify_all();
    }

    /// Epochs and bytes in flight.
    #[must_use]
    pub fn in_flight(&self) -> (usize, usize) {
        let state = self.state();
        (state.epochs, state.bytes)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_up_to_the_bound_then_waits_for_what_is_given_back() {
        let credit = Credit::default();
        for _ in 0..EPOCHS_IN_FLIGHT {
            credit.take(1).unwrap();
        }
        let (sender, receiver) = crossbeam_channel::bounded(1);
        let waiting = credit.clone();
        let thread = std::thread::spawn(move || {
            sender.send(()).unwrap();
            waiting.take(1)
        });
        receiver.recv().unwrap();
        assert_eq!(credit.in_flight(), (EPOCHS_IN_FLIGHT, EPOCHS_IN_FLIGHT));
        credit.give_back(1);
        assert_eq!(thread.join().unwrap(), Ok(()));
        assert_eq!(credit.in_flight(), (EPOCHS_IN_FLIGHT, EPOCHS_IN_FLIGHT));
    }

    #[test]
    fn one_epoch_alone_may_be_of_any_size_and_a_second_waits_for_bytes() {
        let credit = Credit::default();
        credit.take(EPOCH_BYTES_IN_FLIGHT * 2).unwrap();
        let waiting = credit.clone();
        let thread = std::thread::spawn(move || waiting.take(1));
        credit.close();
        assert_eq!(thread.join().unwrap(), Err(Closed));
    }
}
