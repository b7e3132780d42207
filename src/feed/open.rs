//! Opening a WebSocket: the budget, the address, the wire, the handshake, and what a refusal says.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use feeds::live::Ticket;
use feeds::time::Nanos;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::address::Address;
use super::connection::Phase;
use super::delivery::ConnectionId;
use super::dial::{Metered, Wire};
use super::slot::{Slot, SlotState};

/// Largest message and frame that is taken; the largest that a venue sends is a book of some 2 MiB.
const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Bytes of one read of a socket. Frames point into them, so each read has fresh ones: few enough for the allocator to
/// have them at hand, and some hundred frames.
const READ_BYTES: usize = 64 << 10;
/// Bytes of our own messages that may wait for the venue: requests, some KiB at most.
const WRITE_BYTES_MAX: usize = 1 << 20;
/// How long TCP, TLS and the handshake may take together, and asking for a ticket.
const OPEN_WITHIN: Duration = Duration::from_secs(15);
/// Largest answer with a ticket.
const TICKET_BYTES_MAX: usize = 1 << 20;
/// How long to stay away after a refusal that says "too often" and no time (429, 418, 403).
const TOO_OFTEN: Duration = Duration::from_secs(30);

/// An open connection.
pub(super) struct Opening {
    pub(super) id: ConnectionId,
    pub(super) socket: WebSocketStream<Metered>,
    /// Bytes that came in.
    pub(super) bytes: Arc<AtomicU64>,
    /// How often the venue wants the session's sign of life on this one, if it said so.
    pub(super) ping_seconds: Option<u32>,
}

/// Why there is none.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) why: String,
    /// How long the venue wants to be left alone.
    pub(super) asked: Option<Duration>,
}

impl From<String> for Refusal {
    fn from(why: String) -> Refusal {
        Refusal { why, asked: None }
    }
}

/// Waits for the budget, then opens a connection to the slot's address.
pub(super) async fn open(slot: &Slot, phase: &Phase) -> Result<Opening, Refusal> {
    slot.shared.budgets.connect(&slot.host, slot.live.connects).await;
    if !phase.is_successor.load(Ordering::Relaxed) {
        slot.enter(SlotState::Connecting);
    }
    let id = slot.shared.number();
    let opening = async {
        let (address, ping_seconds) = match slot.venue.ticket() {
            Some(ticket) => admission(slot, ticket, id).await?,
            None => (slot.address.clone(), None),
        };
        let opening = handshake(slot, &address, id).await?;
        Ok(Opening { ping_seconds, ..opening })
    };
    match timeout(OPEN_WITHIN, opening).await {
        Ok(result) => result,
        Err(_) => Err(format!("not open within {} s", OPEN_WITHIN.as_secs()).into()),
    }
}

async fn handshake(slot: &Slot, address: &Address, id: ConnectionId) -> Result<Opening, Refusal> {
    let wire = dial(slot, address).await?;
    let bytes = Arc::new(AtomicU64::new(0));
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX))
        .max_write_buffer_size(WRITE_BYTES_MAX);
    let wire = Metered::new(wire, bytes.clone());
    match tokio_tungstenite::client_async_with_config(address.request(), wire, Some(config)).await {
        Ok((socket, _)) => Ok(Opening { id, socket, bytes, ping_seconds: None }),
        Err(WsError::Http(answer)) => {
            let status = answer.status().as_u16();
            let header = answer.headers().get("retry-after").and_then(|value| value.to_str().ok());
            Err(refused(status, header, slot.shared.now()))
        }
        Err(error) => Err(format!("no handshake: {error}").into()),
    }
}

async fn dial(slot: &Slot, address: &Address) -> Result<Wire, Refusal> {
    let dialled = slot.shared.dial.dial(address).await;
    dialled.map_err(|error| format!("cannot reach {}: {error}", address.shown()).into())
}

fn refused(status: u16, retry_after: Option<&str>, wall: Nanos) -> Refusal {
    let asked = retry_after.and_then(|text| waiting_time(text, wall));
    let asked = asked.or_else(|| [403, 418, 429].contains(&status).then_some(TOO_OFTEN));
    Refusal { why: format!("refused with status {status}"), asked }
}

/// Retry-After in seconds, or a date as in HTTP.
fn waiting_time(text: &str, wall: Nanos) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = chrono::DateTime::parse_from_rfc2822(text.trim()).ok()?.timestamp_nanos_opt()?;
    Some(Duration::from_nanos(u64::try_from(date.saturating_sub(wall)).unwrap_or(0)))
}

/// Asks the venue for the address of a connection, and how often it wants a sign of life there.
async fn admission(
    slot: &Slot,
    ticket: &dyn Ticket,
    id: ConnectionId,
) -> Result<(Address, Option<u32>), Refusal> {
    let moved = |text: &str| {
        let address = Address::parse(text).map_err(|error| error.to_string())?;
        Ok::<Address, String>(slot.base.as_ref().map_or(address.clone(), |base| address.moved_to(base)))
    };
    let wire = dial(slot, &moved(ticket.url())?).await?;
    let address = moved(ticket.url())?;
    let request = hyper::Request::post(format!("{}{}", address.path, address.query))
        .header("host", address.host.as_str())
        .header("content-length", "0")
        .body(Empty::<bytes::Bytes>::new())
        .map_err(|error| error.to_string())?;
    let (mut sender, driver) =
        hyper::client::conn::http1::handshake(TokioIo::new(wire)).await.map_err(|error| error.to_string())?;
    let asking = async {
        let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
        if !answer.status().is_success() {
            let header = answer.headers().get("retry-after").and_then(|value| value.to_str().ok());
            return Err(refused(answer.status().as_u16(), header, slot.shared.now()));
        }
        let body = Limited::new(answer.into_body(), TICKET_BYTES_MAX).collect().await;
        Ok(body.map_err(|error| Refusal::from(error.to_string()))?.to_bytes())
    };
    let body = beside(asking, driver).await?;
    let admission = ticket.admission(&body, u64::from(id.0)).map_err(|error| error.to_string())?;
    Ok((moved(&admission.address)?, admission.ping_seconds))
}

/// Waits for `asking` while `driver` moves its bytes.
async fn beside<T>(asking: impl Future<Output = T>, driver: impl Future) -> T {
    let (mut asking, mut driver) = (std::pin::pin!(asking), std::pin::pin!(driver));
    tokio::select! {
        done = &mut asking => done,
        _ = &mut driver => asking.await,
    }
}

/// How we say goodbye.
pub(super) fn close_frame() -> CloseFrame {
    CloseFrame { code: CloseCode::Normal, reason: "".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let wall = 1_445_412_480 * 1_000_000_000;
        assert_eq!(waiting_time(" 90 ", wall), Some(Duration::from_secs(90)));
        assert_eq!(waiting_time("Wed, 21 Oct 2015 07:29:00 GMT", wall), Some(Duration::from_secs(60)));
        assert_eq!(waiting_time("Wed, 21 Oct 2015 07:27:00 GMT", wall), Some(Duration::ZERO));
        assert_eq!(waiting_time("soon", wall), None);
        assert_eq!(refused(429, None, wall).asked, Some(TOO_OFTEN));
        assert_eq!(refused(503, None, wall).asked, None);
        assert_eq!(refused(503, Some("7"), wall).asked, Some(Duration::from_secs(7)));
    }
}
