//! A client's socket, and what the connection on it is: one that asks and is answered, or one that follows.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, sleep};

use crate::config::limits::STREAM_SEND_BYTES;

/// How long sent bytes may stay unacknowledged, or a full receiver closed, before the kernel gives a connection up.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);
/// What the kernel may keep for a follower that is cut: the rest of what was begun, and why.
const LAST_BYTES: usize = 128 << 10;

/// What a connection takes up, and whether it became a stream of events.
pub(super) struct Lease {
    permit: Mutex<Option<OwnedSemaphorePermit>>,
    follows: AtomicBool,
    /// It followed and did not read in time.
    is_slow: AtomicBool,
    /// How long what was begun to be written to a stream may take.
    within: Duration,
}

impl Lease {
    /// Of a connection that takes one place among those that ask.
    pub(super) fn new(permit: OwnedSemaphorePermit, within: Duration) -> Lease {
        Lease {
            permit: Mutex::new(Some(permit)),
            follows: AtomicBool::new(false),
            is_slow: AtomicBool::new(false),
            within,
        }
    }

    /// From now on it follows: it gives its place back, lasts for as long as it likes, and must read in time.
    pub(super) fn follow(&self) {
        self.follows.store(true, Ordering::Relaxed);
        self.permit.lock().unwrap_or_else(PoisonError::into_inner).take();
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

/// The socket.
pub(super) struct Wire {
    stream: TcpStream,
    lease: Arc<Lease>,
    is_bounded: bool,
    /// Since it follows and could not write: until when it has to have written all.
    blocked: Option<Pin<Box<Sleep>>>,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, lease: Arc<Lease>) -> Wire {
        // Answers are written whole; without it they only come later.
        let _ = stream.set_nodelay(true);
        #[cfg(target_os = "linux")]
        let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(TCP_USER_TIMEOUT));
        Wire { stream, lease, is_bounded: false, blocked: None }
    }

    /// Lets the kernel keep only little that the client has not read: left to itself, it keeps megabytes.
    pub(super) fn bound(&mut self) {
        self.is_bounded = true;
        // A system that has its own mind about buffers only cuts slow clients later.
        let _ = SockRef::from(&self.stream).set_send_buffer_size(STREAM_SEND_BYTES);
    }

    /// Makes room for the last that is said to a client that does not read.
    pub(super) fn make_room(&self) {
        let _ = SockRef::from(&self.stream).set_send_buffer_size(LAST_BYTES);
    }

    /// What came of a write; an error if a stream's client has not taken what was begun for too long.
    fn written(
        &mut self,
        context: &mut Context<'_>,
        result: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if result.is_ready() || !self.lease.follows() {
            return result;
        }
        let within = self.lease.within;
        let blocked = self.blocked.get_or_insert_with(|| Box::pin(sleep(within)));
        if blocked.as_mut().poll(context).is_ready() {
            self.lease.is_slow.store(true, Ordering::Relaxed);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")));
        }
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
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.prepare();
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(context, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.prepare();
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.written(context, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Called when all that was begun is written.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.blocked = None;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
