//! The alert log as a stream: a tail of recent alerts, made once for all who follow, and behind it the store.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use hyper::StatusCode;
use hyper::header::HeaderMap;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::{Follower, Lost, Streams, Told, Way};
use crate::alert::{Alert, Cursor};
use crate::config::limits::{
    ALERT_TAIL, ALERT_TAIL_BYTES, ALERTS_AT_ONCE, ALERTS_LOOKED_AT_ONCE, STREAM_BATCH_BYTES,
};
use crate::output::{Column, Format, write};
use crate::query::QueryError;
use crate::query::alerts::{AlertFilter, Extent, Page, after, columns, page, row};
use crate::schema::alerts::Generation;
use crate::serve::alerts::{AskedAlerts, misplaced};
use crate::serve::routes::{problem, refused};
use crate::store::Store;
use crate::view::Viewer;

/// How long filling the tail rests after the store could not be read.
const PAUSE: Duration = Duration::from_secs(1);

/// One alert, as everybody is told of it.
struct Entry {
    number: u64,
    alert: Alert,
    text: Utf8Bytes,
}

/// The newest alerts, without a hole.
#[derive(Default)]
struct Recent {
    entries: VecDeque<Arc<Entry>>,
    bytes: usize,
    /// The number of the newest, or up to where nobody wanted them.
    reached: u64,
}

impl Recent {
    fn push(&mut self, entry: Entry) {
        if entry.number != self.reached.saturating_add(1) {
            self.skip(entry.number.saturating_sub(1));
        }
        self.reached = entry.number;
        self.bytes += entry.text.len();
        self.entries.push_back(Arc::new(entry));
        while self.entries.len() > ALERT_TAIL || self.bytes > ALERT_TAIL_BYTES && self.entries.len() > 1 {
            self.bytes -= self.entries.pop_front().map_or(0, |oldest| oldest.text.len());
        }
    }

    /// Goes on behind `number` with nothing.
    fn skip(&mut self, number: u64) {
        *self = Recent { reached: number, ..Recent::default() };
    }

    /// The wanted entries behind `place`, as many as go out at once, and up to where they reach; `None` if not all of
    /// them are here.
    fn behind(&self, place: u64, filter: &AlertFilter) -> Option<(Vec<Arc<Entry>>, u64)> {
        let oldest = self.entries.front().map_or(self.reached.saturating_add(1), |entry| entry.number);
        if place.saturating_add(1) < oldest {
            return None;
        }
        let (mut taken, mut bytes, mut reached) = (Vec::new(), 0, place);
        let from = usize::try_from(place.saturating_add(1) - oldest).unwrap_or(usize::MAX);
        for entry in self.entries.range(from.min(self.entries.len())..) {
            if bytes > STREAM_BATCH_BYTES {
                break;
            }
            reached = entry.number;
            if filter.takes(&entry.alert) {
                bytes += entry.text.len();
                taken.push(Arc::clone(entry));
            }
        }
        Some((taken, reached))
    }
}

/// The tail that all followers of the alert log share.
pub(in crate::serve) struct AlertTail {
    viewer: Arc<Viewer>,
    columns: Vec<Column>,
    recent: Mutex<Recent>,
    head: watch::Sender<u64>,
    followers: AtomicUsize,
}

impl AlertTail {
    pub(super) fn new(viewer: Arc<Viewer>) -> AlertTail {
        let head = viewer.pulse().alerts().head();
        let recent = Mutex::new(Recent { reached: head, ..Recent::default() });
        AlertTail {
            viewer,
            columns: columns(),
            recent,
            head: watch::Sender::new(head),
            followers: AtomicUsize::new(0),
        }
    }

    /// Keeps the tail up to what is committed, for ever.
    pub(in crate::serve) async fn fill(self: Arc<AlertTail>) {
        let mut heads = self.viewer.pulse().alerts().follow();
        loop {
            let head = *heads.borrow_and_update();
            self.catch_up(head).await;
            if heads.changed().await.is_err() {
                return;
            }
        }
    }

    async fn catch_up(self: &Arc<AlertTail>, head: u64) {
        loop {
            let reached = self.recent().reached;
            if reached >= head {
                return;
            }
            // What nobody follows is not read; who comes finds it in the store.
            if self.followers.load(Ordering::Relaxed) == 0 {
                self.recent().skip(head);
                self.head.send_replace(head);
                return;
            }
            let (between, all) = ((reached, head), AlertFilter::default());
            // What was committed just now is in the store's memory: going to another thread for it would take longer.
            let read = if head - reached <= ALERTS_AT_ONCE as u64 {
                self.look(between, &all)
            } else {
                self.read(between, all).await
            };
            match read {
                Ok((entries, _)) if entries.is_empty() => self.recent().skip(head),
                Ok((entries, _)) => {
                    let mut recent = self.recent();
                    entries.into_iter().for_each(|entry| recent.push(entry));
                }
                Err(error) => {
                    tracing::error!(%error, "the alert log cannot be read; its followers wait");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            }
            let reached = self.recent().reached;
            self.head.send_replace(reached);
        }
    }

    /// Reads wanted alerts behind one number up to another where waiting for a disk holds up nobody.
    async fn read(
        self: &Arc<AlertTail>,
        between: (u64, u64),
        filter: AlertFilter,
    ) -> Result<(Vec<Entry>, Page), QueryError> {
        let tail = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || tail.look(between, &filter));
        read.await.unwrap_or_else(|_| Err(QueryError::Wrong("reading ended by a panic".to_owned())))
    }

    /// The same at once.
    fn look(&self, between: (u64, u64), filter: &AlertFilter) -> Result<(Vec<Entry>, Page), QueryError> {
        let store = self.viewer.store();
        let generation = Generation::read(store)?.number;
        let mut page = page(store, between, filter, (ALERTS_AT_ONCE, ALERTS_LOOKED_AT_ONCE))?;
        let alerts = std::mem::take(&mut page.alerts).into_iter();
        let entries = alerts.map(|(number, alert)| self.entry(Cursor { generation, number }, alert));
        Ok((entries.collect::<Result<Vec<Entry>, QueryError>>()?, page))
    }

    fn entry(&self, cursor: Cursor, alert: Alert) -> Result<Entry, QueryError> {
        let mut line = Vec::with_capacity(512);
        let rows = std::iter::once(Ok(row(cursor, &alert)));
        let text = write(Format::Ndjson, &self.columns, rows, &mut line)
            .and_then(|_| Ok(String::from_utf8(line)?.trim_end().to_owned()));
        let text = text.map_err(|error| QueryError::damaged(format!("alert {}", cursor.number), error))?;
        Ok(Entry { number: cursor.number, alert, text: text.into() })
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One place in the alert log.
struct AlertFollower {
    tail: Arc<AlertTail>,
    heads: watch::Receiver<u64>,
    filter: AlertFilter,
    place: Cursor,
}

impl AlertFollower {
    fn new(tail: &Arc<AlertTail>, filter: AlertFilter, place: Cursor) -> AlertFollower {
        tail.followers.fetch_add(1, Ordering::Relaxed);
        AlertFollower { tail: Arc::clone(tail), heads: tail.head.subscribe(), filter, place }
    }

    /// What the tail has no more is read from the store.
    async fn read(&mut self) -> Result<Vec<Told>, Lost> {
        let head = *self.heads.borrow();
        let read = self.tail.read((self.place.number, head), self.filter.clone()).await;
        let (entries, page) = read.map_err(|error| {
            tracing::error!(%error, "the alert log cannot be read");
            Lost::Failed
        })?;
        let next = self.place.number.saturating_add(1);
        if page.first != Some(next) {
            let oldest = page.first.unwrap_or_else(|| head.saturating_add(1));
            return Err(Lost::Gone(Cursor { number: oldest, ..self.place }));
        }
        self.place.number = page.reached;
        Ok(entries.iter().map(|entry| self.told(entry)).collect())
    }

    fn told(&self, entry: &Entry) -> Told {
        Told { cursor: Cursor { number: entry.number, ..self.place }, text: entry.text.clone() }
    }
}

impl Drop for AlertFollower {
    fn drop(&mut self) {
        self.tail.followers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Follower for AlertFollower {
    async fn ready(&mut self) {
        let place = self.place.number;
        // An error means that the tail is gone, and the server with it.
        let _ = self.heads.wait_for(|head| *head > place).await;
    }

    async fn take(&mut self) -> Result<Vec<Told>, Lost> {
        let found = self.tail.recent().behind(self.place.number, &self.filter);
        let Some((entries, reached)) = found else { return self.read().await };
        self.place.number = reached;
        Ok(entries.iter().map(|entry| self.told(entry)).collect())
    }

    fn cursor(&self) -> Cursor {
        self.place
    }

    fn is_behind(&self) -> bool {
        self.place.number < self.tail.viewer.pulse().alerts().head()
    }
}

/// `/v1/alerts/stream`.
pub(in crate::serve) async fn stream(State(streams): State<Arc<Streams>>, request: Request) -> Response {
    let way = match Way::of(&request) {
        Ok(way) => way,
        Err(response) => return *response,
    };
    let asked = AskedAlerts::parse(request.uri().query(), &AskedAlerts::KNOWN);
    let asked =
        asked.and_then(|asked| Ok(AskedAlerts { after: resumed(request.headers(), asked.after)?, ..asked }));
    let asked = match asked {
        Ok(asked) => asked,
        Err(why) => return problem(StatusCode::BAD_REQUEST, &why),
    };
    let (viewer, behind) = (Arc::clone(&streams.viewer), asked.after);
    let extent = tokio::task::spawn_blocking(move || {
        let store: &dyn Store = viewer.store();
        Extent::read(store, Some(viewer.pulse().alerts().head()))?.told_to(store, behind)
    });
    let extent = match extent.await {
        Ok(Ok(extent)) => extent,
        Ok(Err(error)) => return refused(&error),
        Err(_) => return problem(StatusCode::INTERNAL_SERVER_ERROR, "reading ended by a panic"),
    };
    match extent.place(asked.after) {
        Ok(place) => {
            let follower = AlertFollower::new(&streams.alerts, asked.filter, extent.cursor(place));
            streams.begin(request, way, follower)
        }
        Err(elsewhere) => misplaced(&elsewhere),
    }
}

/// Where a client goes on that was here before: its browser repeats the address that it began with, and says in a header
/// how far it came.
pub(super) fn resumed(headers: &HeaderMap, asked: Option<Cursor>) -> Result<Option<Cursor>, String> {
    let Some(last) = headers.get("last-event-id").filter(|last| !last.is_empty()) else { return Ok(asked) };
    let last = last.to_str().map_err(|_| "`Last-Event-ID` is no text".to_owned())?;
    after(last).map_err(|why| format!("`Last-Event-ID`: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::{AlertId, Severity, State as Step};

    fn entry(number: u64, bytes: usize) -> Entry {
        let alert = Alert {
            id: AlertId([0; 16]),
            state: Step::Firing,
            rule: if number.is_multiple_of(2) { "even" } else { "odd" }.to_owned(),
            symbol: "here:ABC".to_owned(),
            severity: Severity::Info,
            event_time: 0,
            fired_at: None,
            message: String::new(),
            labels: Vec::new(),
            values: Vec::new(),
            windows: Vec::new(),
            number,
            suppressed: None,
        };
        Entry { number, alert, text: "x".repeat(bytes).into() }
    }

    fn behind(recent: &Recent, place: u64, filter: &AlertFilter) -> Option<(Vec<u64>, u64)> {
        let (taken, reached) = recent.behind(place, filter)?;
        Some((taken.iter().map(|entry| entry.number).collect(), reached))
    }

    #[test]
    fn the_tail_has_all_behind_a_place_or_says_that_it_has_not() {
        let (mut recent, all) = (Recent::default(), AlertFilter::default());
        recent.skip(10);
        assert_eq!((behind(&recent, 10, &all), behind(&recent, 9, &all)), (Some((vec![], 10)), None));
        (11..=14).for_each(|number| recent.push(entry(number, 8)));
        assert_eq!(behind(&recent, 9, &all), None);
        assert_eq!(behind(&recent, 10, &all), Some((vec![11, 12, 13, 14], 14)));
        assert_eq!(behind(&recent, 13, &all), Some((vec![14], 14)));
        assert_eq!(behind(&recent, 14, &all), Some((vec![], 14)));
        let odd = AlertFilter { rules: vec!["odd".to_owned()], ..AlertFilter::default() };
        assert_eq!(behind(&recent, 10, &odd), Some((vec![11, 13], 14)), "also what is not wanted is passed");
        // A hole in the log: what lies before it is not told as if nothing were missing.
        recent.push(entry(20, 8));
        assert_eq!((behind(&recent, 14, &all), behind(&recent, 19, &all)), (None, Some((vec![20], 20))));
    }

    #[test]
    fn the_tail_is_bounded_in_alerts_and_bytes_and_so_is_what_goes_out_at_once() {
        let (mut recent, all) = (Recent::default(), AlertFilter::default());
        let many = ALERT_TAIL as u64 + 5;
        (1..=many).for_each(|number| recent.push(entry(number, 100)));
        assert_eq!((recent.entries.len(), recent.bytes), (ALERT_TAIL, 100 * ALERT_TAIL));
        assert_eq!((behind(&recent, 4, &all), behind(&recent, 5, &all).is_some()), (None, true));
        let (taken, reached) = behind(&recent, 5, &all).unwrap_or_default();
        assert_eq!((taken.len(), reached), (STREAM_BATCH_BYTES / 100 + 1, 5 + taken.len() as u64));
        (1..=40).for_each(|more| recent.push(entry(many + more, 1 << 20)));
        assert_eq!((recent.entries.len(), recent.bytes), (16, ALERT_TAIL_BYTES));
        recent.push(entry(many + 41, 2 * ALERT_TAIL_BYTES));
        assert_eq!(recent.entries.len(), 1, "the newest stays, however long");
    }
}
