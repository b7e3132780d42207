//! A follower over WebSocket: one message for each thing told, pings with heartbeats, and a close that says where to go on.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures_util::{SinkExt, StreamExt};
use hyper::StatusCode;
use hyper::header::{HeaderValue, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION};
use hyper_util::rt::TokioIo;
use tokio::sync::watch;
use tokio::time::{Instant, interval, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error};

use super::probe::Probe;
use super::{Ended, Follower, Lost, Seat, Told, heartbeat, says};
use crate::alert::Cursor;
use crate::config::limits::{
    HTTP_END_WITHIN, STREAM_BATCH_BYTES, STREAM_INBOUND_BYTES, STREAM_MESSAGE_BYTES, STREAM_MESSAGES_INBOUND,
};
use crate::serve::routes::problem;
use crate::serve::told;
use crate::serve::wire::Wire;

/// Bytes read at once from a client, which has next to nothing to say; taken for each follower.
const READ_BYTES: usize = 1 << 10;
/// How long a close may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);
/// How long it may take for one that is cut for not reading. When it does at last, it answers the ping that it finds; were nobody
/// there to hear it, its kernel would throw away what comes behind.
const CUT_WITHIN: Duration = Duration::from_secs(30);

/// Answers a request for a WebSocket, and tells `follower` over it once it is there.
pub(super) fn begin(mut request: Request, follower: impl Follower, seat: Seat) -> Response {
    let mut response = match accepted(&request) {
        Ok(response) => response,
        Err(refusal) => return *refusal,
    };
    // A browser sends a token as a protocol of this name, and wants to hear that one.
    if says(request.headers(), SEC_WEBSOCKET_PROTOCOL.as_str(), BEARER) {
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(BEARER));
    }
    let coming = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = coming.await else { return };
        let Ok(parts) = upgraded.downcast::<TokioIo<Wire>>() else { return };
        let mut wire = parts.io.into_inner();
        wire.bound();
        wire.lease().place().follow();
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(STREAM_BATCH_BYTES)
            .max_write_buffer_size(STREAM_BATCH_BYTES + STREAM_MESSAGE_BYTES)
            .max_message_size(Some(STREAM_INBOUND_BYTES))
            .max_frame_size(Some(STREAM_INBOUND_BYTES));
        let begun = parts.read_buf.to_vec();
        let socket = WebSocketStream::from_partially_read(wire, begun, Role::Server, Some(config)).await;
        let figures = Arc::clone(&seat.figures);
        let seat = seat.taken();
        let mut talk =
            Talk { sent: follower.cursor(), socket, follower, probe: Probe::default(), inbound: 0 };
        let ended = talk.run(&seat.0).await;
        figures.end(ended);
        talk.close(ended, seat.0.stopped.clone()).await;
    });
    response
}

/// The protocol under which browsers send a token.
const BEARER: &str = "bearer";

/// The answer that changes to WebSocket, or why not.
fn accepted(request: &Request) -> Result<Response, Box<Response>> {
    let mut bare = hyper::Request::new(());
    *bare.method_mut() = request.method().clone();
    *bare.version_mut() = request.version();
    *bare.headers_mut() = request.headers().clone();
    match create_response_with_body(&bare, Body::empty) {
        Ok(response) => Ok(response),
        Err(Error::Protocol(ProtocolError::MissingSecWebSocketVersionHeader)) => {
            let why = "only version 13 of WebSocket is spoken";
            let mut response = problem(StatusCode::UPGRADE_REQUIRED, why).into_response();
            response.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            Err(Box::new(response))
        }
        Err(error) => Err(Box::new(problem(StatusCode::BAD_REQUEST, &format!("no handshake: {error}")))),
    }
}

/// The conversation.
struct Talk<F> {
    socket: WebSocketStream<Wire>,
    follower: F,
    /// Behind the last message that the client finds if it reads on.
    sent: Cursor,
    probe: Probe,
    /// Messages that came in since the last heartbeat, besides answers.
    inbound: usize,
}

impl<F: Follower> Talk<F> {
    async fn run(&mut self, seat: &Seat) -> Ended {
        let (within, mut stopped) = (seat.terms.write_within, seat.stopped.clone());
        let mut beat = interval(seat.terms.heartbeat_every);
        beat.reset();
        loop {
            let is_held = self.probe.is_held(Instant::now());
            let cut_at = self.probe.owed_since().map(|since| since + within);
            let step = tokio::select! {
                // What it says comes before what follows from its silence; it may not say much.
                biased;
                inbound = self.socket.next() => self.hear(inbound),
                () = seat.expired() => Err(Ended::Expired),
                _ = beat.tick() => self.beat(seat).await,
                () = told(&mut stopped) => {
                    let most = Duration::from_nanos(HTTP_END_WITHIN.unsigned_abs()) / 2;
                    // What is committed is told before the end, if there is time.
                    let _ = timeout(most.min(within), self.tell_rest(seat)).await;
                    Err(Ended::Stopped)
                }
                () = self.follower.ready(), if !is_held => self.tell(seat).await,
                () = until(cut_at), if cut_at.is_some() => Err(Ended::Slow),
            };
            if let Err(ended) = step {
                return ended;
            }
        }
    }

    /// Tells some of what there is.
    async fn tell(&mut self, seat: &Seat) -> Result<(), Ended> {
        let told = self.follower.take().await.map_err(|lost| match lost {
            Lost::Gone(oldest) => Ended::Gone(oldest),
            Lost::Failed => Ended::Failed,
        })?;
        let now = Instant::now();
        let asks = self.probe.is_due(now) && !told.is_empty();
        let sending = async {
            for Told { cursor, text } in told.iter().cloned() {
                self.probe.told(text.len());
                self.socket.feed(Message::Text(text)).await?;
                self.sent = cursor;
            }
            if asks {
                self.socket.feed(Message::Ping(Bytes::new())).await?;
                self.probe.asked(now);
            }
            self.socket.flush().await
        };
        in_time(seat, sending).await?;
        self.sent = self.follower.cursor();
        seat.figures.tell(told.len());
        Ok(())
    }

    /// Tells all that there is.
    async fn tell_rest(&mut self, seat: &Seat) -> Result<(), Ended> {
        while self.follower.is_behind() {
            self.follower.ready().await;
            self.tell(seat).await?;
        }
        Ok(())
    }

    /// Tells where it is, and asks whether anybody is there.
    async fn beat(&mut self, seat: &Seat) -> Result<(), Ended> {
        self.inbound = 0;
        if self.probe.owed_since().is_some() {
            return Ok(());
        }
        let text = heartbeat(self.sent);
        let sending = async {
            self.socket.feed(Message::Ping(Bytes::new())).await?;
            self.socket.send(Message::Text(text.into())).await
        };
        self.probe.asked(Instant::now());
        in_time(seat, sending).await
    }

    /// Takes what the client says, which is little: that it is there, and that it goes.
    fn hear(&mut self, inbound: Option<Result<Message, Error>>) -> Result<(), Ended> {
        let is_asked = matches!(inbound, Some(Ok(Message::Pong(_)))) && self.probe.owed_since().is_some();
        self.inbound += usize::from(!is_asked);
        self.probe.answered(Instant::now());
        if self.inbound > STREAM_MESSAGES_INBOUND {
            return Err(Ended::Misbehaved(1008, "too many messages"));
        }
        match inbound {
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(()),
            Some(Ok(Message::Text(_) | Message::Binary(_))) => {
                Err(Ended::Misbehaved(1003, "this stream takes no messages"))
            }
            Some(Err(Error::Capacity(CapacityError::MessageTooLong { .. }))) => {
                Err(Ended::Misbehaved(1009, "the message is too long"))
            }
            Some(Err(Error::Utf8(_))) => Err(Ended::Misbehaved(1007, "the text is no UTF-8")),
            Some(Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))) => Err(Ended::Left),
            Some(Err(Error::Protocol(_))) => Err(Ended::Misbehaved(1002, "this is no WebSocket")),
            Some(Ok(Message::Close(_)) | Err(_)) | None => Err(Ended::Left),
        }
    }

    /// Says why it ends and where to go on. A client that does not read finds that behind what it was sent, which is mostly
    /// in its own buffers by then; if they are full, the kernel here keeps it for a while.
    async fn close(mut self, ended: Ended, mut stopped: watch::Receiver<bool>) {
        let Some((code, reason)) = ended.close(self.sent) else {
            // Its own close is answered.
            let _ = timeout(CLOSE_WITHIN, self.socket.flush()).await;
            return;
        };
        self.socket.get_ref().make_room();
        let closing = async {
            let frame = CloseFrame { code: code.into(), reason: reason.into() };
            self.socket.close(Some(frame)).await?;
            while self.socket.next().await.transpose()?.is_some() {}
            Ok::<(), Error>(())
        };
        // Whoever does not answer is left.
        if ended != Ended::Slow {
            let _ = timeout(CLOSE_WITHIN, closing).await;
            return;
        }
        tokio::select! {
            _ = timeout(CUT_WITHIN, closing) => {}
            () = told(&mut stopped) => {}
        }
    }
}

/// Waits until then.
async fn until(at: Option<Instant>) {
    if let Some(at) = at {
        sleep_until(at).await;
    }
}

/// Sends, if the client reads in time.
async fn in_time(seat: &Seat, sending: impl Future<Output = Result<(), Error>>) -> Result<(), Ended> {
    match timeout(seat.terms.write_within, sending).await {
        Ok(sent) => sent.map_err(|_| Ended::Left),
        Err(_) => Err(Ended::Slow),
    }
}
