//! The wish to stop: a signal, or a caller.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Shared by whoever asks and whoever obeys.
#[derive(Clone)]
pub struct Stop {
    asked: Arc<AtomicBool>,
    ask: Sender<()>,
    wake: Receiver<()>,
}

impl Default for Stop {
    fn default() -> Stop {
        let (ask, wake) = bounded(1);
        Stop { asked: Arc::default(), ask, wake }
    }
}

impl Stop {
    /// One that SIGINT and SIGTERM ask for. A second signal ends the process at once.
    ///
    /// # Errors
    /// If the signals cannot be had.
    pub fn on_signals() -> std::io::Result<Stop> {
        let stop = Stop::default();
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop.asked))?;
            // Set in the handler itself: a second signal must find it set, whatever the threads are doing.
            signal_hook::flag::register(signal, Arc::clone(&stop.asked))?;
        }
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let asking = stop.clone();
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let mut seen = 0;
            loop {
                // Two at once may each find the flag unset, on two threads: here they are counted.
                seen += signals.wait().count();
                if seen > 1 {
                    std::process::exit(130);
                }
                if seen > 0 {
                    asking.ask();
                }
            }
        })?;
        Ok(stop)
    }

    /// Asks to stop.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::Release);
        // One is enough to wake whoever waits.
        let _ = self.ask.try_send(());
    }

    /// True once it was asked for.
    #[must_use]
    pub fn asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    /// Waits for `time`; false if it is to stop.
    #[must_use]
    pub fn wait(&self, time: Duration) -> bool {
        match self.wake.recv_timeout(time) {
            Err(RecvTimeoutError::Timeout) => !self.asked(),
            Ok(()) | Err(RecvTimeoutError::Disconnected) => false,
        }
    }
}
