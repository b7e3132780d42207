//! The sinks of a run: begun, looked at, stopped. Each has a thread of its own, so that one that waits keeps nobody else
//! waiting.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use tokio::sync::watch;

use super::task::Task;
use super::{Means, SINKS, Sink, SinkError};
use crate::clock;
use crate::commit::alerts::AlertBoard;
use crate::config::SinkSpec;
use crate::config::limits::SINK_END_WITHIN;
use crate::feed::backoff::Backoff;
use crate::store::Store;

/// How one sink does, for whoever looks.
#[derive(Debug, Default)]
pub struct SinkPulse {
    name: String,
    delivered: AtomicU64,
    failures: AtomicU64,
    place: AtomicU64,
}

impl SinkPulse {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Alerts that it told.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Attempts that failed.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// The number of the alert up to which it is done.
    #[must_use]
    pub fn place(&self) -> u64 {
        self.place.load(Ordering::Relaxed)
    }

    /// Notes that so many more were told.
    pub(super) fn told(&self, alerts: usize) {
        self.delivered.fetch_add(alerts as u64, Ordering::Relaxed);
    }

    /// Notes one more attempt that failed.
    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes how far it is done.
    pub(super) fn reached(&self, place: u64) {
        self.place.store(place, Ordering::Relaxed);
    }
}

/// Sinks at work.
pub struct Sinks {
    stop: watch::Sender<bool>,
    /// Each ends without a word when its thread does.
    threads: Vec<Receiver<()>>,
    pulses: Vec<Arc<SinkPulse>>,
}

impl Sinks {
    /// Begins to tell what is in the log of `store`, as far as `board` says that it is committed. A sink that was not there
    /// before begins behind the log's end.
    ///
    /// # Errors
    /// [`SinkError`] if one could never tell anything; none is at work then.
    pub fn start(
        specs: &[SinkSpec],
        means: &Means,
        store: &Arc<dyn Store>,
        board: &AlertBoard,
    ) -> Result<Sinks, SinkError> {
        let opened: Result<Vec<_>, SinkError> = specs
            .iter()
            .filter_map(|spec| Some((spec, SINKS.iter().find(|kind| kind.name() == spec.kind)?)))
            .map(|(spec, kind)| {
                let unopened = |why| SinkError::Unopened { name: spec.name.clone(), why: Box::new(why) };
                Ok((spec, kind.open(spec, means).map_err(unopened)?))
            })
            .collect();
        let mut sinks = Sinks { stop: watch::Sender::new(false), threads: Vec::new(), pulses: Vec::new() };
        for (spec, sink) in opened? {
            sinks.begin(spec, sink, store, board)?;
        }
        Ok(sinks)
    }

    fn begin(
        &mut self,
        spec: &SinkSpec,
        sink: Box<dyn Sink>,
        store: &Arc<dyn Store>,
        board: &AlertBoard,
    ) -> Result<(), SinkError> {
        let pulse = Arc::new(SinkPulse { name: spec.name.clone(), ..SinkPulse::default() });
        let mut seed = DefaultHasher::new();
        (&spec.name, clock::wall()).hash(&mut seed);
        let backoff = Backoff::new(seed.finish());
        let ends = (board.follow(), self.stop.subscribe());
        let task = Task::new(spec, sink, Arc::clone(store), ends, (backoff, Arc::clone(&pulse)));
        let task = task.map_err(SinkError::failed)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(SinkError::Thread)?;
        let (ending, ended) = bounded(0);
        let run = move || {
            let _ending: crossbeam_channel::Sender<()> = ending;
            runtime.block_on(task.run());
            // A name that is being looked up may be so for nobody.
            runtime.shutdown_background();
        };
        std::thread::Builder::new()
            .name(format!("sink {}", spec.name))
            .spawn(run)
            .map_err(SinkError::Thread)?;
        self.threads.push(ended);
        self.pulses.push(pulse);
        Ok(())
    }

    /// How each does.
    #[must_use]
    pub fn pulses(&self) -> Vec<Arc<SinkPulse>> {
        self.pulses.clone()
    }

    /// Tells what is committed, for [`SINK_END_WITHIN`] at most. What is not told by then is told by the next run.
    pub fn stop(self) {
        let begun = clock::stamp();
        self.stop.send_replace(true);
        for (ended, pulse) in self.threads.iter().zip(&self.pulses) {
            // A little longer than they have themselves.
            let left = (SINK_END_WITHIN + SINK_END_WITHIN / 4).saturating_sub(begun.elapsed_nanos());
            let left = Duration::from_nanos(u64::try_from(left).unwrap_or(0));
            if ended.recv_timeout(left).is_err_and(|error| error.is_timeout()) {
                tracing::warn!(sink = pulse.name(), "a sink does not end and is left behind");
            }
        }
    }
}
