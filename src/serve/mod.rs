//! A live run over HTTP: health, metrics, what is committed, and one page to look at.
//!
//! It has a thread and a runtime of its own and only reads: pictures of the run ([`crate::view`]) and the store. Every
//! answer is made whole before it is sent, streams excepted, and nothing that a client does can hold the run up.
//!
//! `guard` decides who is answered at all, `routes` has the paths, `rows` reads windows, `alerts` the alert log, `metrics`
//! writes OpenMetrics, `page` holds the page; `stream` tells those who follow, over the sockets of `wire`.

mod alerts;
mod guard;
mod metrics;
mod page;
mod routes;
mod rows;
mod stream;
mod wire;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::config::Listen;
use crate::config::limits::{
    HTTP_CONNECTION_WITHIN, HTTP_CONNECTIONS, HTTP_END_WITHIN, HTTP_HEADER_BYTES, HTTP_HEADER_WITHIN,
    HTTP_HEADERS, HTTP_READERS, STREAM_FOLLOWERS,
};
use crate::view::Viewer;
use guard::Guard;
use stream::Streams;
pub use stream::Terms;
use wire::{Lease, Wire};

/// The usual place, if nobody else is there.
pub const USUAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7311);

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {0}; name another address, or off")]
    Listen(String, #[source] io::Error),
    /// The runtime or its thread could not be had.
    #[error("the HTTP server cannot be started")]
    Start(#[source] io::Error),
}

/// A place to listen, before there is anything to show.
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    configured: Option<Arc<str>>,
    is_elsewhere: bool,
}

/// A server that runs until it is stopped or dropped.
pub struct Server {
    address: SocketAddr,
    is_elsewhere: bool,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

/// Takes the place that `listen` says; `None` if that is nowhere.
///
/// # Errors
/// [`ServeError::Listen`].
pub fn bind(listen: &Listen) -> Result<Option<Bound>, ServeError> {
    let (bound, named, configured) = match listen {
        Listen::Off => return Ok(None),
        Listen::Usual => {
            let free = SocketAddr::new(USUAL.ip(), 0);
            (TcpListener::bind(USUAL).or_else(|_| TcpListener::bind(free)), USUAL.to_string(), None)
        }
        Listen::At(address) => {
            let host = address.rsplit_once(':').map(|(host, _)| Arc::from(host));
            (TcpListener::bind(address), address.clone(), host)
        }
    };
    let failed = |error| ServeError::Listen(named.clone(), error);
    let listener = bound.map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let is_elsewhere = *listen == Listen::Usual && address != USUAL;
    Ok(Some(Bound { listener, address, configured, is_elsewhere }))
}

impl Bound {
    /// Shows what `viewer` sees. Requests are answered when this returns.
    ///
    /// # Errors
    /// [`ServeError::Start`].
    pub fn serve(self, viewer: Arc<Viewer>) -> Result<Server, ServeError> {
        self.serve_on(viewer, Terms::default())
    }

    /// The same, with these terms for those who follow.
    ///
    /// # Errors
    /// [`ServeError::Start`].
    pub fn serve_on(self, viewer: Arc<Viewer>, terms: Terms) -> Result<Server, ServeError> {
        let Bound { listener, address, configured, is_elsewhere } = self;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(HTTP_READERS)
            .build()
            .map_err(ServeError::Start)?;
        let (stop, stopped) = watch::channel(false);
        let streams = Arc::new(Streams::new(Arc::clone(&viewer), terms, stopped.clone()));
        let router = routes::router(viewer, Arc::clone(&streams));
        let run = move || {
            runtime.block_on(async move {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                tokio::spawn(Arc::clone(&streams.alerts).fill());
                accept(listener, router, configured, stopped, (streams, terms)).await;
            });
            // A reader that is still at work may finish for nobody.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("http".to_owned()).spawn(run);
        let thread = Some(thread.map_err(ServeError::Start)?);
        Ok(Server { address, is_elsewhere, stop, thread })
    }
}

impl Server {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// True if the usual place was taken.
    #[must_use]
    pub fn is_elsewhere(&self) -> bool {
        self.is_elsewhere
    }

    /// Answers what was asked already, for a second at most, and ends.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the HTTP server ended by a panic");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// Accepts connections until it is to stop, then waits for those that are being answered.
async fn accept(
    listener: tokio::net::TcpListener,
    router: Router,
    configured: Option<Arc<str>>,
    mut stopped: watch::Receiver<bool>,
    (streams, terms): (Arc<Streams>, Terms),
) {
    let connections = Arc::new(Semaphore::new(HTTP_CONNECTIONS));
    let service = TowerToHyperService::new(router);
    let asked = stopped.clone();
    let accepting = async {
        loop {
            // The semaphore is never closed.
            let Ok(permit) = Arc::clone(&connections).acquire_owned().await else { return };
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Mostly too many open files: without a pause this would be all that it does.
                    tracing::warn!(%error, "cannot accept an HTTP connection");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let (service, configured, asked) = (service.clone(), configured.clone(), asked.clone());
            let lease = Arc::new(Lease::new(permit, terms.write_within));
            tokio::spawn(async move {
                let most = Duration::from_nanos(HTTP_CONNECTION_WITHIN.unsigned_abs());
                let mut conversation = pin!(converse(stream, service, configured, asked, &lease));
                if timeout(most, conversation.as_mut()).await.is_ok() {
                    return;
                }
                if lease.follows() {
                    conversation.await;
                } else {
                    tracing::debug!("an HTTP connection lasted too long");
                }
            });
        }
    };
    tokio::select! {
        () = accepting => {}
        () = told(&mut stopped) => {}
    }
    let within = Duration::from_nanos(HTTP_END_WITHIN.unsigned_abs());
    let all = |most: usize| u32::try_from(most).unwrap_or(u32::MAX);
    let ending = async {
        let answered = connections.acquire_many(all(HTTP_CONNECTIONS)).await;
        let told = streams.places.acquire_many(all(STREAM_FOLLOWERS)).await;
        drop((answered, told));
    };
    // Those who are not done by then are cut off.
    let _ = timeout(within, ending).await;
}

/// Waits until it is to stop.
async fn told(stopped: &mut watch::Receiver<bool>) {
    // An error means that nobody can say so any more.
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// How long accepting rests after it failed.
const PAUSE: Duration = Duration::from_millis(100);

/// One connection to its end.
async fn converse(
    stream: TcpStream,
    service: TowerToHyperService<Router>,
    configured: Option<Arc<str>>,
    mut stopped: watch::Receiver<bool>,
    lease: &Arc<Lease>,
) {
    let guard = Arc::new(Guard::new(configured, stream.local_addr().ok().map(|address| address.ip())));
    let guarded = service_fn(|mut request: hyper::Request<Incoming>| {
        let (guard, service) = (Arc::clone(&guard), service.clone());
        request.extensions_mut().insert(Arc::clone(lease));
        async move {
            match guard.refusal(request.method(), request.uri(), request.headers()) {
                Some(refusal) => Ok(guard::secured(refusal)),
                None => service.call(Request::from(request)).await.map(guard::secured),
            }
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_nanos(HTTP_HEADER_WITHIN.unsigned_abs()))
        .max_headers(HTTP_HEADERS)
        .max_buf_size(HTTP_HEADER_BYTES)
        .serve_connection(TokioIo::new(Wire::new(stream, Arc::clone(lease))), guarded)
        .with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = told(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an HTTP connection failed");
    }
}
