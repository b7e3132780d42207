//! A follower by server-sent events: the cursor is the event's id, so that a browser goes on where it was.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use hyper::Method;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde_json::json;
use tokio::time::{Interval, interval};

use super::{Ended, Follower, Lost, Seat, Seated, heartbeat};
use crate::serve::told;
use crate::serve::wire::Lease;

/// What comes first: after how many milliseconds a browser comes again.
const RETRY: &str = "retry: 2000\n\n";

/// Answers with a body that ends when the stream does.
pub(super) fn begin(request: &Request, follower: impl Follower, seat: Seat) -> Response {
    let content = (CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    if request.method() == Method::HEAD {
        return ([content], Body::empty()).into_response();
    }
    let lease = request.extensions().get::<Arc<Lease>>().cloned();
    if let Some(lease) = &lease {
        lease.follow();
    }
    let mut beat = interval(seat.terms.heartbeat_every);
    beat.reset();
    let events = Events { follower, lease, seat: seat.taken(), beat, is_begun: false, ended: None };
    let chunks = unfold(events, |mut events| async move {
        let chunk = events.next().await?;
        Some((Ok::<Bytes, Infallible>(chunk.into()), events))
    });
    ([content], Body::from_stream(chunks)).into_response()
}

/// The body. It is asked for more only when what it gave is on its way, so nothing gathers.
struct Events<F> {
    follower: F,
    lease: Option<Arc<Lease>>,
    seat: Seated,
    beat: Interval,
    is_begun: bool,
    ended: Option<Ended>,
}

impl<F: Follower> Events<F> {
    /// The next events; nothing at the end.
    async fn next(&mut self) -> Option<String> {
        if !std::mem::replace(&mut self.is_begun, true) {
            return Some(RETRY.to_owned());
        }
        let mut stopped = self.seat.0.stopped.clone();
        let lease = self.lease.clone();
        while self.ended.is_none() {
            tokio::select! {
                // One who does not read is told no more but that, behind what it finds when it comes to read.
                biased;
                () = slow(lease.as_deref()) => return Some(self.end(Ended::Slow)),
                () = self.seat.0.expired() => return Some(self.end(Ended::Expired)),
                _ = self.beat.tick() => {
                    let cursor = self.follower.cursor();
                    let text = heartbeat(cursor);
                    return Some(format!("event: heartbeat\nid: {cursor}\ndata: {text}\n\n"));
                }
                // What is committed is told before the end.
                () = told(&mut stopped), if !self.follower.is_behind() => {
                    return Some(self.end(Ended::Stopped));
                }
                () = self.follower.ready() => {
                    let events = self.take().await;
                    if !events.is_empty() {
                        return Some(events);
                    }
                }
            }
        }
        None
    }

    async fn take(&mut self) -> String {
        match self.follower.take().await {
            Ok(told) => {
                self.seat.0.figures.tell(told.len());
                told.iter().map(|told| format!("id: {}\ndata: {}\n\n", told.cursor, told.text)).collect()
            }
            Err(Lost::Gone(oldest)) => self.end(Ended::Gone(oldest)),
            Err(Lost::Failed) => self.end(Ended::Failed),
        }
    }

    /// The last event: the codes are those of a WebSocket's close.
    fn end(&mut self, ended: Ended) -> String {
        self.ended = Some(ended);
        let (code, cursor) = ended.close(self.follower.cursor()).unwrap_or_default();
        format!("event: cut\ndata: {}\n\n", json!({ "code": code, "cursor": cursor }))
    }
}

/// Waits until its client has not read in time. The connection's task, which this is part of, is woken by that.
async fn slow(lease: Option<&Lease>) {
    let is_slow = |_: &mut Context<'_>| match lease {
        Some(lease) if lease.is_slow() => Poll::Ready(()),
        _ => Poll::Pending,
    };
    poll_fn(is_slow).await;
}

impl<F> Drop for Events<F> {
    fn drop(&mut self) {
        let is_slow = self.lease.as_ref().is_some_and(|lease| lease.is_slow());
        let gone = if is_slow { Ended::Slow } else { Ended::Left };
        self.seat.0.figures.end(self.ended.unwrap_or(gone));
    }
}
