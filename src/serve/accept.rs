//! Connections: accepted while there are places, each given its place, its time and its guard.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use feeds::time::Nanos;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::guard::{Guard, secured};
use super::places::{Full, Place, Places};
use super::stream::Terms;
use super::tls::HANDSHAKE;
use super::wire::{Bytes, Lease, Wire, set_up};
use crate::config::Access;
use crate::config::limits::{
    HTTP_CONNECTION_WITHIN, HTTP_END_WITHIN, HTTP_HEADER_BYTES, HTTP_HEADER_WITHIN, HTTP_HEADERS,
    HTTP_REFUSALS, HTTP_TLS_WITHIN,
};

/// How long accepting rests after it failed.
const PAUSE: Duration = Duration::from_millis(100);
/// How long somebody who finds no room may take to hear it.
const REFUSAL_WITHIN: Duration = Duration::from_secs(1);
/// Bytes of a request that is not answered which are read, so that the refusal is not lost with them.
const REFUSED_BYTES: u64 = 64 << 10;

/// What every connection is handed.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) router: Router,
    pub(super) access: Arc<Access>,
    /// Names of ours that were configured.
    pub(super) hosts: Arc<[String]>,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) places: Arc<Places>,
    pub(super) terms: Terms,
    /// Places of those who follow.
    pub(super) followers: Arc<Semaphore>,
}

/// Accepts connections until it is to stop, then waits for those that are being answered.
pub(super) async fn accept(listener: TcpListener, door: Door, mut stopped: watch::Receiver<bool>) {
    let places = Arc::clone(&door.places);
    let refusals = Arc::new(Semaphore::new(HTTP_REFUSALS));
    let asked = stopped.clone();
    let accepting = async {
        loop {
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Mostly too many open files: without a pause this would be all that it does.
                    tracing::warn!(%error, "cannot accept an HTTP connection");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            match places.enter(peer.ip()) {
                Ok(place) => drop(tokio::spawn(converse(stream, door.clone(), place, asked.clone()))),
                Err(full) => {
                    tracing::debug!(?full, %peer, "an HTTP connection found no place");
                    // Over TLS nothing can be said that costs no handshake.
                    if let (Ok(permit), None) = (Arc::clone(&refusals).try_acquire_owned(), &door.tls) {
                        tokio::spawn(async move {
                            let _ = timeout(REFUSAL_WITHIN, refuse(stream, no_room(full))).await;
                            drop(permit);
                        });
                    }
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = told(&mut stopped) => {}
    }
    let ending = async {
        places.emptied().await;
        let all = u32::try_from(door.terms.followers).unwrap_or(u32::MAX);
        drop(door.followers.acquire_many(all).await);
    };
    // Those who are not done by then are cut off.
    let _ = timeout(duration(HTTP_END_WITHIN), ending).await;
}

/// Waits until it is to stop.
pub(super) async fn told(stopped: &mut watch::Receiver<bool>) {
    // An error means that nobody can say so any more.
    let _ = stopped.wait_for(|stop| *stop).await;
}

fn duration(nanos: Nanos) -> Duration {
    Duration::from_nanos(nanos.unsigned_abs())
}

/// Status and reason where there is no place.
fn no_room(full: Full) -> (&'static str, &'static str) {
    match full {
        Full::All => ("503 Service Unavailable", "there are too many connections; come again later"),
        Full::Address => ("429 Too Many Requests", "there are too many connections from this address"),
    }
}

/// Says `why` to whom nothing else is said, and ends the connection so that it can be read.
async fn refuse(mut stream: TcpStream, (status, why): (&str, &str)) -> io::Result<()> {
    let body = format!("{{\"error\":\"{why}\"}}\n");
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: {}\r\n\
         cache-control: no-store\r\nretry-after: 1\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.shutdown().await?;
    // What was asked is read until the end: closed with bytes unread, the answer would be thrown away.
    tokio::io::copy(&mut stream.take(REFUSED_BYTES), &mut tokio::io::sink()).await?;
    Ok(())
}

/// One connection to its end. One that follows has its place, but not its time.
async fn converse(stream: TcpStream, door: Door, place: Place, stopped: watch::Receiver<bool>) {
    let local = stream.local_addr().ok();
    set_up(&stream);
    let bytes = match &door.tls {
        None => Bytes::Plain(stream),
        Some(tls) => match timeout(duration(HTTP_TLS_WITHIN), handshake(tls, stream)).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(error)) => return tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => return tracing::debug!("a TLS handshake took too long"),
        },
    };
    let lease = Arc::new(Lease::new(place, door.terms.write_within));
    let mut conversation = pin!(answer(bytes, local, door, Arc::clone(&lease), stopped));
    if timeout(duration(HTTP_CONNECTION_WITHIN), conversation.as_mut()).await.is_ok() {
        return;
    }
    if lease.follows() {
        conversation.await;
    } else {
        tracing::debug!("an HTTP connection lasted too long");
    }
}

/// The handshake; who speaks plain HTTP is told so.
async fn handshake(tls: &TlsAcceptor, stream: TcpStream) -> io::Result<Bytes> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 1 && first[0] != HANDSHAKE {
        refuse(stream, ("400 Bad Request", "this is a port for TLS; use https")).await?;
        return Err(io::Error::new(io::ErrorKind::InvalidData, "plain HTTP"));
    }
    Ok(Bytes::Tls(Box::new(tls.accept(stream).await?)))
}

async fn answer(
    bytes: Bytes,
    local: Option<SocketAddr>,
    door: Door,
    lease: Arc<Lease>,
    mut stopped: watch::Receiver<bool>,
) {
    let service = TowerToHyperService::new(door.router);
    let guard = Guard::new(door.access, door.hosts, local.map(|address| address.ip()));
    let wire = Wire::new(bytes, Arc::clone(&lease));
    let guarded = service_fn(move |mut request: hyper::Request<Incoming>| {
        let (admitted, service) = (guard.admit(&mut request, lease.place()), service.clone());
        request.extensions_mut().insert(Arc::clone(&lease));
        async move {
            match admitted {
                Err(refusal) => Ok(secured(*refusal)),
                Ok(pass) => {
                    service.call(Request::from(request)).await.map(|response| secured(pass.mark(response)))
                }
            }
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(duration(HTTP_HEADER_WITHIN))
        .max_headers(HTTP_HEADERS)
        .max_buf_size(HTTP_HEADER_BYTES)
        .serve_connection(TokioIo::new(wire), guarded)
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
