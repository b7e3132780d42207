//! Frames of WebSocket by hand: a server that can send what no library would.

use tokio::io::{AsyncRead, AsyncReadExt};

/// Opcodes.
pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;
/// The bit that ends a message.
const FINAL: u8 = 0x80;

/// The head of a frame of `length` bytes.
pub(crate) fn head(first: u8, length: usize) -> Vec<u8> {
    let mut head = vec![first];
    match length {
        0..=125 => head.push(length as u8),
        126..=0xffff => {
            head.push(126);
            head.extend((length as u16).to_be_bytes());
        }
        _ => {
            head.push(127);
            head.extend((length as u64).to_be_bytes());
        }
    }
    head
}

/// A whole message in one frame.
pub(crate) fn message(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(FINAL | opcode, payload.len());
    frame.extend(payload);
    frame
}

/// A frame behind which the message goes on.
pub(crate) fn part(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(opcode, payload.len());
    frame.extend(payload);
    frame
}

/// A message with its mask, which only clients may have.
pub(crate) fn masked(payload: &[u8]) -> Vec<u8> {
    let mut frame = message(TEXT, payload);
    frame[1] |= 0x80;
    let at = frame.len() - payload.len();
    frame.splice(at..at, [0, 0, 0, 0]);
    frame
}

/// A closing frame.
pub(crate) fn close(code: u16) -> Vec<u8> {
    message(CLOSE, &[&code.to_be_bytes()[..], b"so it is"].concat())
}

/// What a client says; `None` when it has gone.
pub(crate) async fn read(wire: &mut (impl AsyncRead + Unpin)) -> Option<(u8, Vec<u8>)> {
    let first = wire.read_u8().await.ok()?;
    let second = wire.read_u8().await.ok()?;
    assert_eq!(second & 0x80, 0x80, "clients mask");
    let length = match second & 0x7f {
        126 => u64::from(wire.read_u16().await.ok()?),
        127 => wire.read_u64().await.ok()?,
        short => u64::from(short),
    };
    let mask = wire.read_u32().await.ok()?.to_be_bytes();
    let mut payload = vec![0; usize::try_from(length).ok()?];
    wire.read_exact(&mut payload).await.ok()?;
    for (byte, key) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
    Some((first & 0x0f, payload))
}
