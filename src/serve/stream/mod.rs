//! Streams: what is committed, as it is committed, over WebSocket or as server-sent events.
//!
//! A follower is a place in an ordered log and a wake-up. It takes what lies behind its place, out of a tail that all
//! share or, where it is further behind, out of the store, and waits when there is nothing: catching up and
//! being up to date are one path, and there is no queue for it. Whoever does not read in time is cut off, with the cursor
//! behind which it goes on; the kernel keeps little for it ([`super::wire`]), and nobody else waits meanwhile.
//!
//! `alerts` is the alert log, `windows` the windows, `open` those of them that are not over; `socket` speaks WebSocket (and
//! `probe` knows who does not read), `events` server-sent events.

pub(super) mod alerts;
mod events;
mod open;
mod probe;
mod socket;
pub(super) mod windows;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use hyper::header::{ACCEPT, HeaderMap, HeaderValue, RETRY_AFTER, UPGRADE};
use hyper::{Method, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::routes::problem;
use super::wire::Lease;
use crate::alert::Cursor;
use crate::config::limits::{LOOKERS, STREAM_FOLLOWERS, STREAM_HEARTBEAT, STREAM_WRITE_WITHIN};
use crate::view::Viewer;
use alerts::AlertTail;

/// What is promised to followers, and asked of them.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// How long a follower may take to read what was begun to be written to it.
    pub write_within: Duration,
    /// How often it is told where it is, also when there is nothing for it.
    pub heartbeat_every: Duration,
    /// How many follow at a time.
    pub followers: usize,
    /// How many of them look at open windows.
    pub lookers: usize,
}

impl Default for Terms {
    fn default() -> Terms {
        Terms {
            write_within: Duration::from_nanos(STREAM_WRITE_WITHIN.unsigned_abs()),
            heartbeat_every: Duration::from_nanos(STREAM_HEARTBEAT.unsigned_abs()),
            followers: STREAM_FOLLOWERS,
            lookers: LOOKERS,
        }
    }
}

/// One message, and the place behind it.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) cursor: Cursor,
    pub(super) text: Utf8Bytes,
}

/// Why a follower cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// What comes next for it is no longer kept; the oldest that is.
    Gone(Cursor),
    /// It cannot be read.
    Failed,
}

/// A place in an ordered log.
pub(super) trait Follower: Send + 'static {
    /// Waits until there is something behind its place. May be given up at any moment.
    fn ready(&mut self) -> impl Future<Output = ()> + Send;

    /// Takes some of what lies behind its place, and steps behind it. Nothing if none of it is wanted.
    fn take(&mut self) -> impl Future<Output = Result<Vec<Told>, Lost>> + Send;

    /// Its place.
    fn cursor(&self) -> Cursor;

    /// True if there is more than what it took.
    fn is_behind(&self) -> bool;
}

/// What a heartbeat says.
pub(super) fn heartbeat(cursor: Cursor) -> String {
    format!("{{\"cursor\":\"{cursor}\",\"heartbeat\":true}}")
}

/// How the conversation with a follower ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It did not read in time.
    Slow,
    /// What came next for it is no longer kept.
    Gone(Cursor),
    /// The server stops.
    Stopped,
    /// Reading failed here.
    Failed,
    /// It sent what it may not, with the code that says so.
    Misbehaved(u16, &'static str),
    /// Its token has ended.
    Expired,
    /// It went.
    Left,
}

impl Ended {
    /// Names for the counters, in their order.
    pub(super) const NAMES: [&str; 7] =
        ["slow", "gone", "stopped", "failed", "misbehaved", "expired", "left"];

    fn place(self) -> usize {
        match self {
            Ended::Slow => 0,
            Ended::Gone(_) => 1,
            Ended::Stopped => 2,
            Ended::Failed => 3,
            Ended::Misbehaved(..) => 4,
            Ended::Expired => 5,
            Ended::Left => 6,
        }
    }

    /// The code of a WebSocket's close, and what goes with it: the cursor behind which to go on, or what is wrong.
    fn close(self, cursor: Cursor) -> Option<(u16, String)> {
        match self {
            Ended::Slow => Some((4008, cursor.to_string())),
            Ended::Gone(oldest) => Some((4010, oldest.to_string())),
            Ended::Stopped => Some((1001, cursor.to_string())),
            Ended::Failed => Some((1011, cursor.to_string())),
            Ended::Misbehaved(code, why) => Some((code, why.to_owned())),
            Ended::Expired => Some((4001, cursor.to_string())),
            Ended::Left => None,
        }
    }
}

/// Counts over all streams, for the metrics.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// Followers now, over WebSocket and as events.
    pub(super) sockets: AtomicU64,
    pub(super) events: AtomicU64,
    /// Messages that were handed to the kernel.
    pub(super) told: AtomicU64,
    /// Those for whom there was no place.
    pub(super) refused: AtomicU64,
    /// By [`Ended::NAMES`].
    pub(super) ended: [AtomicU64; Ended::NAMES.len()],
}

impl Figures {
    fn tell(&self, messages: usize) {
        self.told.fetch_add(messages as u64, Ordering::Relaxed);
    }

    fn end(&self, ended: Ended) {
        self.ended[ended.place()].fetch_add(1, Ordering::Relaxed);
    }
}

/// What all streams share.
pub(super) struct Streams {
    pub(super) viewer: Arc<Viewer>,
    pub(super) alerts: Arc<AlertTail>,
    pub(super) figures: Arc<Figures>,
    pub(super) places: Arc<Semaphore>,
    /// Of those who follow, who look at open windows.
    lookers: Arc<Semaphore>,
    terms: Terms,
    stopped: watch::Receiver<bool>,
}

impl Streams {
    pub(super) fn new(viewer: Arc<Viewer>, terms: Terms, stopped: watch::Receiver<bool>) -> Streams {
        Streams {
            alerts: Arc::new(AlertTail::new(Arc::clone(&viewer))),
            viewer,
            figures: Arc::default(),
            places: Arc::new(Semaphore::new(terms.followers)),
            lookers: Arc::new(Semaphore::new(terms.lookers)),
            terms,
            stopped,
        }
    }

    /// The answer to one who finds no place.
    fn no_place(&self, why: &str) -> Response {
        self.figures.refused.fetch_add(1, Ordering::Relaxed);
        let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, &format!("{why}; try again later"));
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
        response
    }

    /// Begins to tell `follower`, in the way that the request asks for.
    fn begin(&self, request: Request, way: Way, follower: impl Follower) -> Response {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return self.no_place(&format!("{} follow already", self.terms.followers));
        };
        let seat = Seat {
            figures: Arc::clone(&self.figures),
            terms: self.terms,
            stopped: self.stopped.clone(),
            way,
            lease: request.extensions().get::<Arc<Lease>>().cloned(),
            _place: place,
        };
        match way {
            Way::Socket => socket::begin(request, follower, seat),
            Way::Events => events::begin(&request, follower, seat),
        }
    }
}

/// How a stream is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Socket,
    Events,
}

impl Way {
    /// What a request asks for, or the answer to one that asks for neither.
    fn of(request: &Request) -> Result<Way, Box<Response>> {
        let headers = request.headers();
        if says(headers, UPGRADE.as_str(), "websocket") && request.method() == Method::GET {
            return Ok(Way::Socket);
        }
        let takes =
            |part: &str| part.split(';').next().is_some_and(|kind| kind.trim() == "text/event-stream");
        let mut accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        if accepted.any(|value| value.split(',').any(takes)) {
            return Ok(Way::Events);
        }
        let why = "this is a stream: ask for a WebSocket, or with `Accept: text/event-stream`";
        let mut response = problem(StatusCode::UPGRADE_REQUIRED, why).into_response();
        response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
        Err(Box::new(response))
    }
}

/// True if a list in the header `name` has the word `wanted`.
fn says(headers: &HeaderMap, name: &str, wanted: &str) -> bool {
    let mut values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.any(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(wanted)))
}

/// One follower's place, counted for as long as it is kept.
struct Seat {
    figures: Arc<Figures>,
    terms: Terms,
    stopped: watch::Receiver<bool>,
    way: Way,
    lease: Option<Arc<Lease>>,
    _place: OwnedSemaphorePermit,
}

impl Seat {
    /// Waits until who follows may not any more.
    async fn expired(&self) {
        match &self.lease {
            Some(lease) => lease.place().ended().await,
            None => std::future::pending().await,
        }
    }

    fn gauge(&self) -> &AtomicU64 {
        match self.way {
            Way::Socket => &self.figures.sockets,
            Way::Events => &self.figures.events,
        }
    }

    /// Counts it.
    fn taken(self) -> Seated {
        self.gauge().fetch_add(1, Ordering::Relaxed);
        Seated(self)
    }
}

/// A seat that is counted.
struct Seated(Seat);

impl Drop for Seated {
    fn drop(&mut self) {
        self.0.gauge().fetch_sub(1, Ordering::Relaxed);
    }
}
