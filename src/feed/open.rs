//! Opening a WebSocket: the budget, the address, the wire, the handshake, and what a refusal says.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use feeds::live::Ticket;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::address::Address;
pub(super) use super::ask::Refusal;
use super::ask::{ask, dial, refused};
use super::connection::Phase;
use super::delivery::ConnectionId;
use super::dial::Metered;
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
/// An open connection.
pub(super) struct Opening {
    pub(super) id: ConnectionId,
    pub(super) socket: WebSocketStream<Metered>,
    /// Bytes that came in.
    pub(super) bytes: Arc<AtomicU64>,
    /// How often the venue wants the session's sign of life on this one, if it said so.
    pub(super) ping_seconds: Option<u32>,
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
    let wire = dial(&*slot.shared.dial, address).await?;
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
    let address = moved(ticket.url())?;
    let wire = dial(&*slot.shared.dial, &address).await?;
    let body = ask(wire, &address, hyper::Method::POST, TICKET_BYTES_MAX, slot.shared.now()).await?;
    let admission = ticket.admission(&body, u64::from(id.0)).map_err(|error| error.to_string())?;
    Ok((moved(&admission.address)?, admission.ping_seconds))
}

/// How we say goodbye.
pub(super) fn close_frame() -> CloseFrame {
    CloseFrame { code: CloseCode::Normal, reason: "".into() }
}
