//! What all sinks do: follow the log, tell, try again, and note how far they came.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use feeds::time::Nanos;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::follow::SinkPulse;
use super::groups::{Groups, Member, Notification};
use super::{Sink, SinkError, Told};
use crate::alert::{Alert, Cursor};
use crate::clock::{self, Stamp};
use crate::config::SinkSpec;
use crate::config::limits::{ALERTS_LOOKED_AT_ONCE, SINK_BATCH, SINK_END_WITHIN};
use crate::feed::backoff::Backoff;
use crate::output::{Column, Format, write};
use crate::query::QueryError;
use crate::query::alerts::{AlertFilter, columns, page, row};
use crate::schema::alerts::{self, Generation, head};
use crate::schema::sinks::{self, Progress};
use crate::store::{Batch, Family, Store, StoreError};

/// How long a sink rests when the log cannot be read.
const PAUSE: Duration = Duration::from_secs(1);

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

/// How far the sink came. In a generation that rose since, that is before where the log may differ.
fn progress_of(spec: &SinkSpec, store: &dyn Store) -> Result<Progress, StoreError> {
    let generation = Generation::read(store)?;
    let kept = store.get(Family::Meta, &sinks::key(&spec.name))?.and_then(|value| sinks::decode(&value).ok());
    let last = head(store)?;
    let Some(mut kept) = kept else {
        return Ok(Progress { generation: generation.number, reached: last, ..Progress::default() });
    };
    let mut most = last;
    if kept.generation != generation.number {
        most = most.min(generation.differs_since(store, kept.generation)?.saturating_sub(1));
        kept.generation = generation.number;
        tracing::warn!(
            sink = spec.name,
            from = kept.reached.min(most) + 1,
            "alerts may differ from what was told of them: told again"
        );
    }
    kept.reached = kept.reached.min(most);
    kept.telling.retain(|number| *number <= most);
    kept.waiting.retain(|number| *number <= most);
    Ok(kept)
}

/// One sink at work.
pub(super) struct Task {
    sink: Box<dyn Sink>,
    wanted: Wanted,
    store: Arc<dyn Store>,
    heads: watch::Receiver<u64>,
    stopped: watch::Receiver<bool>,
    /// Once it is to stop: until when it may go on.
    deadline: Option<Instant>,
    backoff: Backoff,
    columns: Vec<Column>,
    /// Where it is in the log: what lies before is taken, being told, or with its group.
    place: Cursor,
    groups: Option<Groups>,
    /// The alerts of the notification that is being told.
    telling: Vec<u64>,
    /// What a run before looked at up to here is taken, but for what it left.
    before: u64,
    left: BTreeSet<u64>,
    /// Where its times begin.
    begun: Stamp,
    pulse: Arc<SinkPulse>,
}

impl Task {
    /// A sink that goes on where it was, or else begins behind the log's end. `ends` are the end of the log and of the run.
    ///
    /// # Errors
    /// [`StoreError`] if where it was cannot be read.
    pub(super) fn new(
        spec: &SinkSpec,
        sink: Box<dyn Sink>,
        store: Arc<dyn Store>,
        (heads, stopped): (watch::Receiver<u64>, watch::Receiver<bool>),
        (backoff, pulse): (Backoff, Arc<SinkPulse>),
    ) -> Result<Task, StoreError> {
        let progress = progress_of(spec, &*store)?;
        let groups = spec.grouping.clone().map(Groups::new);
        Ok(Task {
            sink,
            wanted: Wanted::of(spec),
            store,
            heads,
            stopped,
            deadline: None,
            backoff,
            columns: columns(),
            place: progress.place(),
            before: progress.reached,
            left: progress.telling.iter().chain(&progress.waiting).copied().collect(),
            telling: if groups.is_some() { progress.telling } else { Vec::new() },
            groups,
            begun: clock::stamp(),
            pulse,
        })
    }

    /// Tells until it is to stop.
    pub(super) async fn run(mut self) {
        self.keep();
        if !self.tell_again().await {
            return;
        }
        let mut has_ended = false;
        loop {
            // Looked at before the log, whose last alert may be committed at the same time.
            let is_last = has_ended || *self.stopped.borrow();
            let head = *self.heads.borrow_and_update();
            let is_behind = self.place.number < head;
            if is_behind {
                match self.read(head) {
                    Ok((alerts, reached)) => {
                        if !self.take(alerts, reached).await {
                            return;
                        }
                    }
                    Err(error) => {
                        tracing::error!(sink = self.pulse.name(), %error, "the alert log cannot be read");
                        if !self.rest(PAUSE).await {
                            return;
                        }
                    }
                }
            }
            if !self.tell_groups(is_last && !is_behind).await {
                return;
            }
            if is_behind {
                continue;
            }
            if is_last {
                return;
            }
            has_ended = !self.wait().await;
        }
    }

    /// Waits for something to do; false if there will be no more alerts.
    async fn wait(&mut self) -> bool {
        let due = self.groups.as_ref().and_then(Groups::due);
        let left = due.map_or(0, |due| (due - self.now()).max(0));
        let (heads, stopped) = (&mut self.heads, &mut self.stopped);
        tokio::select! {
            changed = heads.changed() => changed.is_ok(),
            // An error means that nobody is there to stop it.
            changed = stopped.changed() => changed.is_ok(),
            () = sleep(Duration::from_nanos(left.unsigned_abs())), if due.is_some() => true,
        }
    }

    /// The time that groups go by.
    fn now(&self) -> Nanos {
        self.begun.elapsed_nanos()
    }

    /// Some of what lies behind its place, is wanted and was not taken, and how far that reaches.
    fn read(&mut self, head: u64) -> Result<(Vec<(u64, Alert)>, u64), QueryError> {
        let at_once = if self.groups.is_some() { SINK_BATCH } else { self.sink.at_once() };
        let bounds = (at_once, ALERTS_LOOKED_AT_ONCE);
        let page = page(&*self.store, (self.place.number, head), &self.wanted.filter, bounds)?;
        let next = self.place.number + 1;
        let oldest = page.first.unwrap_or(head + 1);
        let lost = self.left.range(next..oldest.max(next)).count() as u64
            + oldest.saturating_sub(next.max(self.before + 1));
        if lost > 0 {
            tracing::error!(sink = self.pulse.name(), lost, "alerts were not told and are no longer kept");
        }
        let reached = page.reached.max(oldest - 1);
        let is_new = |number| number > self.before || self.left.contains(&number);
        let wanted = page.alerts.into_iter().filter(|(n, alert)| is_new(*n) && self.wanted.takes(alert));
        Ok((wanted.collect(), reached))
    }

    /// Tells these alerts, or puts them to their groups; false if there is no more time.
    async fn take(&mut self, alerts: Vec<(u64, Alert)>, reached: u64) -> bool {
        if self.groups.is_none() {
            let told: Result<Vec<Told>, QueryError> =
                alerts.iter().map(|(number, alert)| self.alone(*number, alert)).collect();
            match told {
                Ok(told) if self.tell(&told).await => {}
                Ok(_) => return false,
                Err(error) => return self.unwritten(&error).await,
            }
        } else {
            for (number, alert) in alerts {
                let member = match self.member(number, &alert) {
                    Ok(member) => member,
                    Err(error) => return self.unwritten(&error).await,
                };
                let now = self.now();
                let early = self.groups.as_mut().and_then(|groups| groups.take(&alert, member, now));
                self.place.number = number;
                if let Some(early) = early
                    && !self.notify(&early).await
                {
                    return false;
                }
            }
        }
        self.place.number = reached;
        self.keep();
        true
    }

    /// Rests after an alert that cannot be written, before it is tried again from there; false if it is to stop.
    async fn unwritten(&mut self, error: &QueryError) -> bool {
        tracing::error!(sink = self.pulse.name(), %error, "an alert cannot be written");
        self.rest(PAUSE).await
    }

    /// Tells the groups that are due, or all; false if there is no more time.
    async fn tell_groups(&mut self, all: bool) -> bool {
        loop {
            let now = self.now();
            let next = |groups: &mut Groups| if all { groups.oldest(now) } else { groups.next(now) };
            let Some(notification) = self.groups.as_mut().and_then(next) else { return true };
            if !self.notify(&notification).await {
                return false;
            }
        }
    }

    /// Tells again what was being told when a run before ended, as it was; false if there is no more time.
    async fn tell_again(&mut self) -> bool {
        let numbers = self.telling.clone();
        let again = match self.being_told(&numbers) {
            Ok(again) => again,
            Err(error) => {
                // They are still left, and come with the log.
                tracing::error!(sink = self.pulse.name(), %error, "what was being told cannot be read");
                Vec::new()
            }
        };
        for notification in again {
            if !self.notify(&notification).await {
                return false;
            }
        }
        self.telling.clear();
        self.keep();
        true
    }

    /// The notifications that `numbers` were.
    fn being_told(&self, numbers: &[u64]) -> Result<Vec<Notification>, QueryError> {
        let Some(groups) = &self.groups else { return Ok(Vec::new()) };
        let mut members = Vec::new();
        for number in numbers {
            let value = self.store.get(Family::Alerts, &alerts::key(*number))?;
            let Some(value) = value else { continue };
            let alert = alerts::decode(&value)
                .map_err(|error| QueryError::damaged(format!("alert {number}"), error))?;
            if self.wanted.filter.takes(&alert) && self.wanted.takes(&alert) {
                let member = self.member(*number, &alert)?;
                members.push((alert, member));
            }
        }
        Ok(groups.again(members))
    }

    /// Tells a notification, which is noted before and after; false if there is no more time.
    async fn notify(&mut self, notification: &Notification) -> bool {
        let Some(groups) = &self.groups else { return true };
        let told = match notification.told(groups.by()) {
            Ok(told) => told,
            Err(error) => {
                tracing::error!(sink = self.pulse.name(), %error, "a notification cannot be written");
                return false;
            }
        };
        self.telling = notification.numbers();
        self.keep();
        if !self.tell(&[told]).await {
            return false;
        }
        for number in std::mem::take(&mut self.telling) {
            self.left.remove(&number);
        }
        let now = self.now();
        if let Some(groups) = &mut self.groups {
            groups.taken(&notification.values, now);
        }
        self.keep();
        true
    }

    fn alone(&self, number: u64, alert: &Alert) -> Result<Told, QueryError> {
        // It may fire again for people, when nothing keeps it quiet any more.
        let quiet = if alert.suppressed.is_some() { "-suppressed" } else { "" };
        let key = format!("{}-{}{quiet}", alert.id, alert.state.name());
        Ok(Told { text: self.row(number, alert)?, key, alerts: 1 })
    }

    fn member(&self, number: u64, alert: &Alert) -> Result<Member, QueryError> {
        let member = Member::new(number, alert, self.row(number, alert)?);
        member.map_err(|error| QueryError::damaged(format!("alert {number}"), error))
    }

    fn row(&self, number: u64, alert: &Alert) -> Result<String, QueryError> {
        let mut line = Vec::with_capacity(512);
        let cells = row(Cursor { number, ..self.place }, alert);
        let written = write(Format::Ndjson, &self.columns, std::iter::once(Ok(cells)), &mut line);
        let text = written.and_then(|_| Ok(String::from_utf8(line)?.trim_end().to_owned()));
        text.map_err(|error| QueryError::damaged(format!("alert {number}"), error))
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
            self.pulse.failed();
            let asked = if let SinkError::Failed { asked, .. } = &error { *asked } else { None };
            let wait = self.backoff.next(asked);
            let again_in_s = wait.as_secs_f64();
            tracing::warn!(sink = self.pulse.name(), %error, again_in_s, "an alert could not be told");
            if !self.rest(wait).await {
                return false;
            }
        }
        self.backoff.reset();
        self.pulse.told(told.iter().map(|told| told.alerts).sum());
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
        let Cursor { generation, number } = self.place;
        let mut waiting = self.groups.as_ref().map(Groups::waiting).unwrap_or_default();
        // What a run before left and this one has not come to yet.
        waiting
            .extend(self.left.range(number + 1..).filter(|left| self.telling.binary_search(left).is_err()));
        let reached = number.max(self.before);
        let progress = Progress { generation, reached, telling: self.telling.clone(), waiting };
        let mut batch = Batch::default();
        batch.put(Family::Meta, sinks::key(self.pulse.name()), sinks::encode(&progress));
        // What is not noted is told again.
        if let Err(error) = self.store.commit(&batch, false) {
            tracing::warn!(sink = self.pulse.name(), %error, "how far it came cannot be noted");
        }
        self.pulse.reached(progress.place().number);
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
