//! A client's socket, and what the connection on it is: one that asks and is answered, or one that follows.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};
use tokio_rustls::server::TlsStream;

use super::places::Place;
use crate::config::limits::STREAM_SEND_BYTES;

/// How long sent bytes may stay unacknowledged, or a full receiver closed, before the kernel gives a connection up.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);
/// What the kernel may keep for a follower that is cut: the rest of what was begun, and why.
const LAST_BYTES: usize = 128 << 10;

/// How long the rest of what was begun may take then, and why: there is room for both.
const REST_WITHIN: Duration = Duration::from_secs(1);

/// How long it may take to come and read that.
const LAST_WITHIN: Duration = Duration::from_secs(120);

/// What a connection takes up, and whether it became a stream of events.
pub(super) struct Lease {
    place: Place,
    follows: AtomicBool,
    /// It followed and did not read in time.
    is_slow: AtomicBool,
    /// How long what was begun to be written to a stream may take.
    within: Duration,
}

impl Lease {
    /// Of a connection at `place`.
    pub(super) fn new(place: Place, within: Duration) -> Lease {
        Lease { place, follows: AtomicBool::new(false), is_slow: AtomicBool::new(false), within }
    }

    /// Its place.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// From now on it follows: it gives its place back, lasts for as long as it likes, and must read in time.
    pub(super) fn follow(&self) {
        self.follows.store(true, Ordering::Relaxed);
        self.place.follow();
    }

    /// True if it follows.
    pub(super) fn follows(&self) -> bool {
        self.follows.load(Ordering::Relaxed)
    }

    /// True if it was cut off because it did not read.
    pub(super) fn is_slow(&self) -> bool {
        self.is_slow.load(Ordering::Relaxed)
    }
}

/// What comes and goes on a socket.
pub(super) enum Bytes {
    /// As it is.
    Plain(TcpStream),
    /// Within TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Bytes {
    fn socket(&self) -> SockRef<'_> {
        match self {
            Bytes::Plain(stream) => SockRef::from(stream),
            Bytes::Tls(stream) => SockRef::from(stream.get_ref().0),
        }
    }
}

/// `$call` on whichever of the two it is.
macro_rules! on_bytes {
    ($bytes:expr, $stream:ident => $call:expr) => {
        match $bytes {
            Bytes::Plain($stream) => $call,
            Bytes::Tls($stream) => $call,
        }
    };
}

/// The socket.
pub(super) struct Wire {
    bytes: Bytes,
    lease: Arc<Lease>,
    is_bounded: bool,
    /// Since it follows and could not write: until when it has to have written all.
    blocked: Option<Pin<Box<Sleep>>>,
}

/// Sets up a client's socket, before anything is said on it.
pub(super) fn set_up(stream: &TcpStream) {
    // Answers are written whole; without it they only come later.
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = SockRef::from(stream).set_tcp_user_timeout(Some(TCP_USER_TIMEOUT));
}

impl Wire {
    pub(super) fn new(bytes: Bytes, lease: Arc<Lease>) -> Wire {
        Wire { bytes, lease, is_bounded: false, blocked: None }
    }

    /// What its connection takes up.
    pub(super) fn lease(&self) -> &Arc<Lease> {
        &self.lease
    }

    /// Lets the kernel keep only little that the client has not read: left to itself, it keeps megabytes.
    pub(super) fn bound(&mut self) {
        self.is_bounded = true;
        // A system that has its own mind about buffers only cuts slow clients later.
        let _ = self.bytes.socket().set_send_buffer_size(STREAM_SEND_BYTES);
    }

    /// Makes room for the last that is said to a client that does not read.
    pub(super) fn make_room(&self) {
        let socket = self.bytes.socket();
        let _ = socket.set_send_buffer_size(LAST_BYTES);
        #[cfg(target_os = "linux")]
        let _ = socket.set_tcp_user_timeout(Some(LAST_WITHIN));
    }

    /// What came of a write; an error if a stream's client has not taken what was begun for too long. Before that, room is
    /// made once: what was begun is a chunk of the answer, and only behind its end can be said why nothing follows.
    fn written(
        &mut self,
        context: &mut Context<'_>,
        result: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if result.is_ready() || !self.lease.follows() {
            return result;
        }
        let within = if self.lease.is_slow() { REST_WITHIN } else { self.lease.within };
        let blocked = self.blocked.get_or_insert_with(|| Box::pin(sleep(within)));
        if blocked.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        if self.lease.is_slow.swap(true, Ordering::Relaxed) {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")));
        }
        self.make_room();
        self.blocked = None;
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn prepare(&mut self) {
        if !self.is_bounded && self.lease.follows() {
            self.bound();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on_bytes!(&mut self.bytes, stream => Pin::new(stream).poll_read(context, buffer))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.prepare();
        let result = on_bytes!(&mut self.bytes, stream => Pin::new(stream).poll_write(context, bytes));
        self.written(context, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.prepare();
        let result =
            on_bytes!(&mut self.bytes, stream => Pin::new(stream).poll_write_vectored(context, parts));
        self.written(context, result)
    }

    fn is_write_vectored(&self) -> bool {
        on_bytes!(&self.bytes, stream => stream.is_write_vectored())
    }

    /// Called when all that was begun is written.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.blocked = None;
        on_bytes!(&mut self.bytes, stream => Pin::new(stream).poll_flush(context))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_bytes!(&mut self.bytes, stream => Pin::new(stream).poll_shutdown(context))
    }
}
