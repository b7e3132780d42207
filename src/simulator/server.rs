//! The port: accepts, finds the venue by the path's first part, and answers over HTTP or changes to WebSocket.

use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::connection::Connection;
use super::faults::Kind;
use super::market::Exchange;
use super::protocol::{Conversation, Query};

/// Most sockets at a time; further ones wait to be accepted.
const SOCKETS_MAX: usize = 256;
/// The largest message of a client: far more than subscriptions to every stream of a connection take.
const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// What is gathered before it is written to a socket.
const WRITE_BYTES: usize = 64 << 10;
/// What the system keeps for a client that does not read. Left to itself it grows to megabytes.
const SEND_BUFFER_BYTES: usize = 256 << 10;
/// What `Retry-After` says.
const RETRY_AFTER_SECONDS: &str = "1";

type Body = Full<Bytes>;

/// Accepts connections without end.
pub(super) async fn serve(listener: TcpListener, exchanges: Arc<[Arc<Exchange>]>) {
    let sockets = Arc::new(Semaphore::new(SOCKETS_MAX));
    loop {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&sockets).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let exchanges = Arc::clone(&exchanges);
                tokio::spawn(async move {
                    converse(stream, exchanges).await;
                    drop(permit);
                });
            }
            Err(error) => tracing::warn!(%error, "cannot accept a connection"),
        }
    }
}

/// One socket: requests over HTTP, then perhaps WebSocket to its end.
async fn converse(stream: TcpStream, exchanges: Arc<[Arc<Exchange>]>) {
    // Frames are small and wanted at once; without it they only come later.
    let _ = stream.set_nodelay(true);
    // A system that has its own mind about buffers drops slow clients later.
    let _ = SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER_BYTES);
    let (upgrades, mut upgraded) = tokio::sync::mpsc::channel(1);
    let service = service_fn(move |request| {
        let response = respond(request, &exchanges, &upgrades);
        async move { Ok::<_, Infallible>(response) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "connection failed");
    }
    if let Some(upgrade) = upgraded.recv().await {
        talk(upgrade).await;
    }
}

/// A change to WebSocket that was promised.
struct Upgrade {
    coming: hyper::upgrade::OnUpgrade,
    exchange: Arc<Exchange>,
    conversation: Box<dyn Conversation>,
}

async fn talk(upgrade: Upgrade) {
    let Upgrade { coming, exchange, conversation } = upgrade;
    // From here on nothing of the market is missed; what came before a subscription is not sent to it.
    let items = exchange.items.subscribe();
    let Ok(stream) = coming.await else { return };
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX))
        .write_buffer_size(WRITE_BYTES);
    let socket = WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Server, Some(config)).await;
    Connection::new(&exchange, conversation, socket, items).talk().await;
}

fn respond(
    mut request: Request<Incoming>,
    exchanges: &[Arc<Exchange>],
    upgrades: &tokio::sync::mpsc::Sender<Upgrade>,
) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let (venue, path) = split(&path);
    let Some(exchange) = exchanges.iter().find(|exchange| exchange.protocol.venue() == venue) else {
        let known: Vec<&str> = exchanges.iter().map(|exchange| exchange.protocol.venue()).collect();
        return plain(
            StatusCode::NOT_FOUND,
            format!("no venue `{venue}` here; there is {}\n", known.join(", ")),
        );
    };
    let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY).filter(|_| asks_for_socket(&request)) else {
        return answer(exchange, path, &query);
    };
    let accept = derive_accept_key(key.as_bytes());
    let Some(conversation) = exchange.protocol.open(path, &query) else {
        return plain(StatusCode::NOT_FOUND, format!("no socket at {path}\n"));
    };
    if let Some(refusal) = refusal(exchange) {
        return refusal;
    }
    let Ok(accept) = HeaderValue::from_str(&accept) else {
        return plain(StatusCode::BAD_REQUEST, "no key\n".to_owned());
    };
    let coming = hyper::upgrade::on(&mut request);
    // A connection changes once: there is room.
    let _ = upgrades.try_send(Upgrade { coming, exchange: Arc::clone(exchange), conversation });
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    response
}

/// `/venue/the/rest` as `venue` and `/the/rest`.
fn split(path: &str) -> (&str, &str) {
    let path = path.trim_start_matches('/');
    path.split_at(path.find('/').unwrap_or(path.len()))
}

fn asks_for_socket(request: &Request<Incoming>) -> bool {
    let headers = request.headers();
    let says = |name, wanted: &str| {
        let value = headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
        value.split(',').any(|part| part.trim().eq_ignore_ascii_case(wanted))
    };
    request.method() == Method::GET
        && says(CONNECTION, "upgrade")
        && says(UPGRADE, "websocket")
        && says(SEC_WEBSOCKET_VERSION, "13")
}

fn answer(exchange: &Exchange, path: &str, query: &str) -> Response<Body> {
    let answer = exchange.protocol.answer(path, &Query(query), &exchange.view());
    {
        let mut totals = exchange.totals();
        totals.answers += 1;
        totals.answered += answer.trades.len() as u64;
    }
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// What the script has for this connection instead of a socket.
fn refusal(exchange: &Exchange) -> Option<Response<Body>> {
    let number = {
        let totals = exchange.totals();
        totals.connections + totals.refused + 1
    };
    let Some(kind) = exchange.script.refusal(number).or_else(|| exchange.refusal()) else {
        let mut totals = exchange.totals();
        totals.connections += 1;
        totals.reopened += u64::from(totals.over);
        return None;
    };
    exchange.totals().refused += 1;
    tracing::info!(number, ?kind, "refused a connection");
    let status = match kind {
        Kind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = plain(status, "try again later\n".to_owned());
    if kind == Kind::TooMany {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
    }
    Some(response)
}

fn plain(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}
