//! What all sinks do: follow the log, tell, try again, and note how far they came. Each has a thread of its own, so that one
//! that waits keeps nobody else waiting.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Means, SINKS, Sink, SinkError, Told};
use crate::alert::{Alert, Cursor};
use crate::clock;
use crate::commit::alerts::AlertBoard;
use crate::config::SinkSpec;
use crate::config::limits::{ALERTS_LOOKED_AT_ONCE, SINK_END_WITHIN};
use crate::feed::backoff::Backoff;
use crate::output::{Column, Format, write};
use crate::query::QueryError;
use crate::query::alerts::{AlertFilter, columns, page, row};
use crate::schema::alerts::{Generation, head};
use crate::schema::sinks;
use crate::store::{Batch, Family, Store, StoreError};

/// How long a sink rests when the log cannot be read.
const PAUSE: Duration = Duration::from_secs(1);

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
            .map(|(spec, kind)| Ok((spec, kind.open(spec, means)?)))
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
        let task = Task {
            sink,
            wanted: Wanted::of(spec),
            store: Arc::clone(store),
            heads: board.follow(),
            stopped: self.stop.subscribe(),
            deadline: None,
            backoff: Backoff::new(seed.finish()),
            columns: columns(),
            place: place_of(spec, &**store).map_err(SinkError::failed)?,
            pulse: Arc::clone(&pulse),
        };
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

/// Which alerts a sink tells.
struct Wanted {
    filter: AlertFilter,
    spec: SinkSpec,
}

impl Wanted {
    fn of(spec: &SinkSpec) -> Wanted {
        let filter = AlertFilter {
            symbols: spec.symbols.clone(),
            rules: spec.rules.clone(),
            severity: spec.severity,
            ..AlertFilter::default()
        };
        Wanted { filter, spec: spec.clone() }
    }

    /// What the filter leaves to be looked at.
    fn takes(&self, alert: &Alert) -> bool {
        self.spec.states.contains(&alert.state) && (self.spec.suppressed || alert.suppressed.is_none())
    }
}

/// Where a sink goes on. In a generation that rose since, that is before where the log may differ.
fn place_of(spec: &SinkSpec, store: &dyn Store) -> Result<Cursor, StoreError> {
    let generation = Generation::read(store)?;
    let kept = store.get(Family::Meta, &sinks::key(&spec.name))?.and_then(|value| sinks::decode(&value).ok());
    let last = head(store)?;
    let Some(kept) = kept else { return Ok(Cursor { generation: generation.number, number: last }) };
    let mut number = kept.number.min(last);
    if kept.generation != generation.number {
        number = number.min(generation.differs_since(store, kept.generation)?.saturating_sub(1));
        tracing::warn!(
            sink = spec.name,
            from = number + 1,
            "alerts may differ from what was told of them: told again"
        );
    }
    Ok(Cursor { generation: generation.number, number })
}

/// One sink at work.
struct Task {
    sink: Box<dyn Sink>,
    wanted: Wanted,
    store: Arc<dyn Store>,
    heads: watch::Receiver<u64>,
    stopped: watch::Receiver<bool>,
    /// Once it is to stop: until when it may go on.
    deadline: Option<Instant>,
    backoff: Backoff,
    columns: Vec<Column>,
    place: Cursor,
    pulse: Arc<SinkPulse>,
}

impl Task {
    async fn run(mut self) {
        self.keep();
        loop {
            let head = *self.heads.borrow_and_update();
            if self.place.number < head {
                match self.read(head) {
                    Ok((told, reached)) => {
                        if !self.tell(&told).await {
                            return;
                        }
                        self.place.number = reached;
                        self.keep();
                    }
                    Err(error) => {
                        tracing::error!(sink = self.pulse.name, %error, "the alert log cannot be read");
                        if !self.rest(PAUSE).await {
                            return;
                        }
                    }
                }
                continue;
            }
            if *self.stopped.borrow() {
                return;
            }
            let (heads, stopped) = (&mut self.heads, &mut self.stopped);
            tokio::select! {
                changed = heads.changed() => if changed.is_err() {
                    return;
                },
                // Once more around: the last may have been committed at the same time.
                _ = stopped.changed() => {}
            }
        }
    }

    /// Some of what lies behind its place and is wanted, and how far that reaches.
    fn read(&mut self, head: u64) -> Result<(Vec<Told>, u64), QueryError> {
        let bounds = (self.sink.at_once(), ALERTS_LOOKED_AT_ONCE);
        let page = page(&*self.store, (self.place.number, head), &self.wanted.filter, bounds)?;
        let next = self.place.number + 1;
        let oldest = page.first.unwrap_or(head + 1);
        if oldest > next {
            let lost = oldest - next;
            tracing::error!(sink = self.pulse.name, lost, "alerts were not told and are no longer kept");
        }
        let reached = page.reached.max(oldest - 1);
        let wanted = page.alerts.into_iter().filter(|(_, alert)| self.wanted.takes(alert));
        let told: Result<Vec<Told>, QueryError> = wanted
            .map(|(number, alert)| {
                let cursor = Cursor { number, ..self.place };
                Ok(Told { cursor, row: self.row(cursor, &alert)?, alert })
            })
            .collect();
        Ok((told?, reached))
    }

    fn row(&self, cursor: Cursor, alert: &Alert) -> Result<String, QueryError> {
        let mut line = Vec::with_capacity(512);
        let written =
            write(Format::Ndjson, &self.columns, std::iter::once(Ok(row(cursor, alert))), &mut line);
        let text = written.and_then(|_| Ok(String::from_utf8(line)?.trim_end().to_owned()));
        text.map_err(|error| QueryError::damaged(format!("alert {}", cursor.number), error))
    }

    /// Tells, until that succeeds; false if there is no more time.
    async fn tell(&mut self, told: &[Told]) -> bool {
        if told.is_empty() {
            return true;
        }
        loop {
            let error = match self.deliver(told).await {
                Some(Ok(())) => break,
                Some(Err(error)) => error,
                None => return false,
            };
            self.pulse.failures.fetch_add(1, Ordering::Relaxed);
            let asked = if let SinkError::Failed { asked, .. } = &error { *asked } else { None };
            let wait = self.backoff.next(asked);
            tracing::warn!(sink = self.pulse.name, %error, again_in_s = wait.as_secs_f64(), "an alert could not be told");
            if !self.rest(wait).await {
                return false;
            }
        }
        self.backoff.reset();
        self.pulse.delivered.fetch_add(told.len() as u64, Ordering::Relaxed);
        true
    }

    /// One attempt; nothing if there is no more time for it.
    async fn deliver(&mut self, told: &[Told]) -> Option<Result<(), SinkError>> {
        let over = over(&mut self.stopped, &mut self.deadline);
        tokio::select! {
            done = self.sink.deliver(told) => Some(done),
            () = over => None,
        }
    }

    /// Waits; false if it is to stop, because then nothing is tried again.
    async fn rest(&mut self, time: Duration) -> bool {
        tokio::select! {
            () = sleep(time) => true,
            _ = self.stopped.wait_for(|stopped| *stopped) => false,
        }
    }

    /// Notes how far it came.
    fn keep(&self) {
        let mut batch = Batch::default();
        batch.put(Family::Meta, sinks::key(&self.pulse.name), sinks::encode(self.place));
        // What is not noted is told again.
        if let Err(error) = self.store.commit(&batch, false) {
            tracing::warn!(sink = self.pulse.name, %error, "how far it came cannot be noted");
        }
        self.pulse.place.store(self.place.number, Ordering::Relaxed);
    }
}

/// Waits until it is to stop, and then for as long as what is left may take.
async fn over(stopped: &mut watch::Receiver<bool>, deadline: &mut Option<Instant>) {
    // An error means that nobody waits for the rest.
    let _ = stopped.wait_for(|stopped| *stopped).await;
    let within = Duration::from_nanos(SINK_END_WITHIN.unsigned_abs());
    let until = *deadline.get_or_insert_with(|| Instant::now() + within);
    sleep_until(until).await;
}
