//! A live run over HTTP: health, metrics, what is committed, and one page to look at.
//!
//! It has a thread and a runtime of its own and only reads: pictures of the run ([`crate::view`]) and the store. Every
//! answer is made whole before it is sent, streams excepted, and nothing that a client does can hold the run up.
//!
//! `accept` has the connections and `places` counts them, over TLS where `tls` says who we are; `guard` decides who is
//! answered at all, by what `tokens` finds; `routes` has the paths, `rows` reads windows, `alerts` the alert log, `metrics`
//! writes OpenMetrics, `page` holds the page, and `control` is what changes something; `stream` tells those who follow,
//! over the sockets of `wire`.

mod accept;
mod alerts;
mod control;
mod guard;
mod metrics;
mod page;
mod places;
mod routes;
mod rows;
mod stream;
mod tls;
mod tokens;
mod wire;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::config::limits::HTTP_READERS;
use crate::config::{Access, Listen};
use crate::view::Viewer;
use accept::{Door, accept, told};
use places::Places;
use stream::Streams;
pub use stream::Terms;

/// The usual place, if nobody else is there.
pub const USUAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7311);

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {0}; name another address, or off")]
    Listen(String, #[source] io::Error),
    /// Others could ask, and nobody would be known.
    #[error(
        "{0} can be reached by others and there are no tokens: add [[http.tokens]] or tokens_file to the \
         configuration, or listen on 127.0.0.1"
    )]
    Open(String),
    /// A certificate or a key is of no use.
    #[error("no TLS with {}: {why}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The runtime or its thread could not be had.
    #[error("the HTTP server cannot be started")]
    Start(#[source] io::Error),
}

/// A place to listen, before there is anything to show.
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    hosts: Vec<String>,
    is_elsewhere: bool,
    access: Access,
    tls: Option<TlsAcceptor>,
}

/// A server that runs until it is stopped or dropped.
pub struct Server {
    address: SocketAddr,
    is_elsewhere: bool,
    is_tls: bool,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

/// Takes the place that `listen` says, for everybody on this machine; `None` if that is nowhere.
///
/// # Errors
/// As [`bind_for`].
pub fn bind(listen: &Listen) -> Result<Option<Bound>, ServeError> {
    bind_for(listen, &Access::default())
}

/// Takes the place that `listen` says, for those whom `access` lets in; `None` if that is nowhere.
///
/// # Errors
/// [`ServeError::Listen`]; [`ServeError::Open`] if others could ask and there are no tokens; [`ServeError::Tls`].
pub fn bind_for(listen: &Listen, access: &Access) -> Result<Option<Bound>, ServeError> {
    guarded(listen, access)?;
    let (bound, named, hosts) = match listen {
        Listen::Off => return Ok(None),
        Listen::Usual => {
            let free = SocketAddr::new(USUAL.ip(), 0);
            (TcpListener::bind(USUAL).or_else(|_| TcpListener::bind(free)), USUAL.to_string(), Vec::new())
        }
        Listen::At(address) => {
            let host = address.rsplit_once(':').map(|(host, _)| host.to_owned());
            (TcpListener::bind(address), address.clone(), host.into_iter().collect())
        }
    };
    let failed = |error| ServeError::Listen(named.clone(), error);
    let listener = bound.map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let is_elsewhere = *listen == Listen::Usual && address != USUAL;
    let can_be_reached = can_be_reached(address);
    if can_be_reached && access.tokens.is_empty() {
        return Err(ServeError::Open(named));
    }
    let tls = access.tls.as_ref().map(tls::acceptor).transpose()?;
    if can_be_reached && tls.is_none() {
        tracing::warn!(%address, "tokens are sent in the clear: add [http] tls, or a proxy that has it");
    }
    let hosts: Vec<String> = [hosts, access.hosts.clone()].concat();
    Ok(Some(Bound { listener, address, hosts, is_elsewhere, access: access.clone(), tls }))
}

/// Looks whether those who could ask at `listen` would be known, as far as that can be said of a configuration: names of
/// hosts are not looked up, and a file of tokens is taken to have some.
///
/// # Errors
/// [`ServeError::Open`].
pub fn guarded(listen: &Listen, access: &Access) -> Result<(), ServeError> {
    let Listen::At(named) = listen else { return Ok(()) };
    let has_tokens = !access.tokens.is_empty() || access.tokens_file.is_some();
    match named.parse() {
        Ok(address) if can_be_reached(address) && !has_tokens => Err(ServeError::Open(named.clone())),
        _ => Ok(()),
    }
}

/// True if others than this machine can.
fn can_be_reached(address: SocketAddr) -> bool {
    !address.ip().to_canonical().is_loopback()
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
        let Bound { listener, address, hosts, is_elsewhere, access, tls } = self;
        let is_tls = tls.is_some();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(HTTP_READERS)
            .build()
            .map_err(ServeError::Start)?;
        let (stop, stopped) = watch::channel(false);
        let streams = Arc::new(Streams::new(Arc::clone(&viewer), terms, stopped.clone()));
        let places = Arc::new(Places::new(access.bounds, access.tokens.len()));
        let router = routes::router(viewer, Arc::clone(&streams), Arc::clone(&places));
        let followers = Arc::clone(&streams.places);
        let door =
            Door { router, access: Arc::new(access), hosts: hosts.into(), tls, places, terms, followers };
        let run = move || {
            runtime.block_on(async move {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                tokio::spawn(Arc::clone(&streams.alerts).fill());
                accept(listener, door, stopped).await;
            });
            // A reader that is still at work may finish for nobody.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("http".to_owned()).spawn(run);
        let thread = Some(thread.map_err(ServeError::Start)?);
        Ok(Server { address, is_elsewhere, is_tls, stop, thread })
    }
}

impl Server {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.is_tls { "https" } else { "http" }
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
