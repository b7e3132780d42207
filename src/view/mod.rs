//! A picture of a live run, twice a second at most, for whoever looks: the terminal, the page, the metrics.
//!
//! It is made of what the run has handed over ([`crate::live::pulse`]) and of what is committed, on the thread of
//! whoever asks. The run itself is never asked.

mod ready;
mod status;
mod symbols;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use feeds::time::{self, Nanos};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::clock::{self, Stamp};
use crate::config::limits::VIEW_EVERY;
use crate::feed::ConnectionStatus;
use crate::latency::Row;
use crate::live::control::Command;
use crate::live::pulse::Pulse;
use crate::sink::SinkPulse;
use crate::store::Store;

pub use ready::unready;
pub use status::{Columns, FaultView, Queue, Status, VenueView};
use symbols::{Rates, Stored};
pub use symbols::{SymbolView, WindowView};

/// What does not change while it runs.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The database's directory; `None` in memory.
    pub db: Option<PathBuf>,
    /// The recording's directory, if there is one.
    pub recording: Option<PathBuf>,
    /// Time between checkpoints.
    pub checkpoint_every: Nanos,
}

/// One picture.
#[derive(Clone, Debug, Serialize)]
pub struct View {
    /// When it was made, in UTC.
    pub at: String,
    /// The run as a whole.
    pub status: Status,
    /// Its connections.
    pub connections: Vec<ConnectionView>,
    /// Its venues, by id.
    pub venues: Vec<VenueView>,
    /// Its symbols, the busiest first.
    pub symbols: Vec<SymbolView>,
    /// Its latencies, by stage and then venue.
    pub latency: Vec<LatencyView>,
    /// Its sinks, in the order of the configuration.
    pub sinks: Vec<SinkView>,
}

/// How one sink does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SinkView {
    /// Its name.
    pub name: String,
    /// Alerts that it told, in this process.
    pub delivered: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// Committed alerts behind the one up to which it is done.
    pub behind: u64,
}

/// How one connection does.
#[derive(Clone, Debug, Serialize)]
pub struct ConnectionView {
    /// As the feeds say.
    #[serde(flatten)]
    pub status: ConnectionStatus,
    /// For how long it has been in its state, in seconds.
    pub state_s: Option<f64>,
    /// How old its last frame is, in seconds.
    pub last_frame_age_s: Option<f64>,
}

/// Percentiles of one stage at one venue, in microseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LatencyView {
    /// The stage's name.
    pub stage: &'static str,
    /// The venue's id.
    pub venue: String,
    /// How many ticks.
    pub count: u64,
    /// Median.
    pub p50_us: f64,
    /// 99th percentile.
    pub p99_us: f64,
    /// 99.9th percentile.
    pub p999_us: f64,
    /// Greatest.
    pub max_us: f64,
}

/// Makes pictures, and keeps the last one for as long as it is new enough.
pub struct Viewer {
    pulse: Arc<Pulse>,
    store: Arc<dyn Store>,
    facts: Facts,
    control: Option<mpsc::Sender<Command>>,
    sinks: Vec<Arc<SinkPulse>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: Option<(Stamp, Arc<View>)>,
    rates: Rates,
    stored: Stored,
}

impl Viewer {
    /// Of the run behind `pulse`, which commits to `store`.
    #[must_use]
    pub fn new(pulse: Arc<Pulse>, store: Arc<dyn Store>, facts: Facts) -> Viewer {
        Viewer { pulse, store, facts, control: None, sinks: Vec::new(), state: Mutex::default() }
    }

    /// The same, of a run that takes commands at the other end of `control`.
    #[must_use]
    pub fn controlled(self, control: mpsc::Sender<Command>) -> Viewer {
        Viewer { control: Some(control), ..self }
    }

    /// The same, of a run whose alerts these sinks tell.
    #[must_use]
    pub fn telling(self, sinks: Vec<Arc<SinkPulse>>) -> Viewer {
        Viewer { sinks, ..self }
    }

    /// Where the run takes commands, if it does.
    #[must_use]
    pub fn control(&self) -> Option<&mpsc::Sender<Command>> {
        self.control.as_ref()
    }

    /// The store that is committed to.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// The run.
    #[must_use]
    pub fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// What keeps the run from being ready; nothing if it is.
    #[must_use]
    pub fn unready(&self) -> Vec<String> {
        unready(&self.pulse, self.facts.checkpoint_every, clock::stamp())
    }

    /// A picture that is new enough, made now if need be. Who asks at the same time waits for the same one.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        let mut state = self.state();
        let now = clock::stamp();
        let is_new = |at: &Stamp| now.since(*at) < VIEW_EVERY && !self.pulse.ended();
        if let Some((_, view)) = state.last.as_ref().filter(|(at, _)| is_new(at)) {
            return Arc::clone(view);
        }
        let view = Arc::new(self.make(&mut state, now));
        state.last = Some((now, Arc::clone(&view)));
        view
    }

    fn make(&self, state: &mut State, now: Stamp) -> View {
        let (asked, committed, last) = (self.pulse.asked(), self.pulse.committed(), self.pulse.last());
        let wall = clock::wall();
        state.stored.refresh(&*self.store, &committed, wall);
        state.rates.measure(&last, self.pulse.begun(), now);
        let age = |time: Option<Nanos>| time.map(|time| seconds(wall.saturating_sub(time).max(0)));
        let connections = asked.connections.iter().map(|status| ConnectionView {
            state_s: age(status.since),
            last_frame_age_s: age(status.last_frame_at),
            status: status.clone(),
        });
        View {
            at: time::format(wall),
            status: status::status(self, &asked, &committed, now, state.rates.total()),
            connections: connections.collect(),
            venues: status::venues(&asked.connections, &committed, state.stored.gaps()),
            symbols: symbols::symbols(&last, &asked.connections, &state.rates, &state.stored, wall),
            latency: committed.latencies.rows().into_iter().map(latency).collect(),
            sinks: self.sinks.iter().map(|sink| self.sink(sink)).collect(),
        }
    }

    fn sink(&self, sink: &SinkPulse) -> SinkView {
        SinkView {
            name: sink.name().to_owned(),
            delivered: sink.delivered(),
            failures: sink.failures(),
            behind: self.pulse.alerts().head().saturating_sub(sink.place()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn latency(row: Row) -> LatencyView {
    let micros = |nanos: u64| nanos as f64 / 1_000.0;
    LatencyView {
        stage: row.stage.name(),
        venue: row.venue,
        count: row.count,
        p50_us: micros(row.p50),
        p99_us: micros(row.p99),
        p999_us: micros(row.p999),
        max_us: micros(row.max),
    }
}

fn seconds(nanos: Nanos) -> f64 {
    nanos as f64 / 1e9
}
