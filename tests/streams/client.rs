//! A client that follows over WebSocket, and one that follows server-sent events.

use std::net::SocketAddr;

use futures_util::StreamExt;
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Message;

use crate::support::DEADLINE;

/// What is said to a follower.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Said {
    Row(Value),
    Heartbeat(String),
    /// Code and reason; 0 if the connection just ended.
    Cut(u16, String),
}

/// A socket whose kernel keeps next to nothing that was not read.
pub(crate) async fn dial(address: SocketAddr, receive_bytes: Option<usize>) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    if let Some(bytes) = receive_bytes {
        socket.set_recv_buffer_size(bytes).unwrap();
    }
    socket.connect(&address.into()).unwrap();
    socket.set_nonblocking(true).unwrap();
    TcpStream::from_std(socket.into()).unwrap()
}

/// A follower over WebSocket.
pub(crate) struct Follower {
    pub(crate) socket: WebSocketStream<TcpStream>,
}

impl Follower {
    pub(crate) async fn connect(address: SocketAddr, path: &str) -> Follower {
        Follower::over(dial(address, None).await, address, path).await
    }

    /// One of which the kernel keeps little, so that it soon blocks if it does not read.
    pub(crate) async fn narrow(address: SocketAddr, path: &str) -> Follower {
        Follower::over(dial(address, Some(4_096)).await, address, path).await
    }

    async fn over(stream: TcpStream, address: SocketAddr, path: &str) -> Follower {
        let opening = tokio_tungstenite::client_async(format!("ws://{address}{path}"), stream);
        let (socket, _) = timeout(DEADLINE, opening).await.unwrap().unwrap();
        Follower { socket }
    }

    pub(crate) async fn next(&mut self) -> Said {
        loop {
            return match timeout(DEADLINE, self.socket.next()).await.unwrap() {
                Some(Ok(Message::Text(text))) => said(&text),
                Some(Ok(Message::Close(frame))) => {
                    let (code, reason) = frame
                        .map_or((0, String::new()), |frame| (frame.code.into(), frame.reason.to_string()));
                    Said::Cut(code, reason)
                }
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => Said::Cut(0, String::new()),
            };
        }
    }

    /// The numbers of the next alerts, up to the one with the number `last`.
    pub(crate) async fn numbers_to(&mut self, last: u64) -> Vec<u64> {
        let mut numbers = Vec::new();
        while numbers.last() != Some(&last) {
            match self.next().await {
                Said::Row(row) => numbers.push(number(&row)),
                Said::Heartbeat(_) => {}
                cut => panic!("{cut:?} behind {:?}", numbers.last()),
            }
        }
        numbers
    }

    /// The numbers of the next alerts and how it is cut off.
    pub(crate) async fn numbers_to_end(&mut self) -> (Vec<u64>, u16, String) {
        let mut numbers = Vec::new();
        loop {
            match self.next().await {
                Said::Row(row) => numbers.push(number(&row)),
                Said::Heartbeat(_) => {}
                Said::Cut(code, reason) => return (numbers, code, reason),
            }
        }
    }
}

fn said(text: &str) -> Said {
    let value: Value = serde_json::from_str(text).unwrap();
    if value["heartbeat"] == true {
        return Said::Heartbeat(value["cursor"].as_str().unwrap().to_owned());
    }
    Said::Row(value)
}

/// The number in an alert's cursor.
pub(crate) fn number(row: &Value) -> u64 {
    row["cursor"].as_str().unwrap().split_once('-').unwrap().1.parse().unwrap()
}

/// One server-sent event.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) data: String,
}

/// A follower of server-sent events.
pub(crate) struct Listener {
    stream: TcpStream,
    pub(crate) head: String,
    text: String,
}

impl Listener {
    pub(crate) async fn connect(address: SocketAddr, path: &str, headers: &str) -> Listener {
        Listener::over(dial(address, None).await, path, headers).await
    }

    pub(crate) async fn over(mut stream: TcpStream, path: &str, headers: &str) -> Listener {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut listener = Listener { stream, head: String::new(), text: String::new() };
        while !listener.text.contains("\r\n\r\n") {
            assert!(listener.read().await, "no answer");
        }
        let (head, rest) = listener.text.split_once("\r\n\r\n").unwrap();
        (listener.head, listener.text) = (head.to_lowercase(), rest.to_owned());
        listener
    }

    /// Reads a piece; false at the end.
    async fn read(&mut self) -> bool {
        let mut bytes = [0; 4_096];
        match timeout(DEADLINE, self.stream.read(&mut bytes)).await.unwrap() {
            Ok(length) if length > 0 => {
                self.text.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
                true
            }
            _ => false,
        }
    }

    /// The next event; `None` at the end. The sizes of chunks stand on lines of their own, which no field has.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            while !self.text.contains("\n\n") {
                if !self.read().await {
                    return None;
                }
            }
            let (block, rest) = self.text.split_once("\n\n").unwrap();
            let mut event = Event::default();
            for line in block.lines() {
                match line.split_once(": ") {
                    Some(("id", value)) => event.id = value.to_owned(),
                    Some(("event", value)) => event.name = value.to_owned(),
                    Some(("data", value)) => event.data = value.to_owned(),
                    _ => {}
                }
            }
            self.text = rest.to_owned();
            if !event.data.is_empty() {
                return Some(event);
            }
        }
    }
}
