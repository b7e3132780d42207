//! One client's connection over WebSocket: what it says, what it gets, and how it ends.

use std::time::Duration;

use feeds::live::Channel;
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::{Interval, interval, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::faults::{Item, garbage};
use super::market::Exchange;
use super::protocol::{Conversation, Reply};
use crate::clock;
use crate::market::{Change, MarketEvent};

/// Most items that are written before the socket is flushed and the client is listened to again.
const ITEMS_AT_ONCE: usize = 256;
/// A client that takes nothing for so long is too slow.
const WRITE_WAIT: Duration = Duration::from_secs(3);
/// How long a client that was told of the end may take to say goodbye.
const GOODBYE_WAIT: Duration = Duration::from_secs(2);
/// The wait before each frame that is sent slowly.
const SLOW_FRAME: Duration = Duration::from_millis(20);
/// Pings without an answer after which a client is gone.
const PINGS_UNANSWERED: u32 = 3;
/// How often a venue that sends no pings looks after its connections, in seconds.
const NO_PING_SECONDS: u64 = 3_600;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Why the loop is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Close it with this code and reason.
    Close(u16, &'static str),
    /// Without a word.
    Disconnect,
    /// Neither send nor read, and stay.
    HalfOpen,
    /// Too slow.
    Slow,
    /// The client is gone.
    Gone,
}

/// One connection.
pub(super) struct Connection<'a> {
    exchange: &'a Exchange,
    conversation: Box<dyn Conversation>,
    socket: Socket,
    items: Receiver<Item>,
    /// What was written and not flushed: counted as sent once it is.
    events: Vec<MarketEvent>,
    frames: u64,
    spoilt: u64,
    slow: u64,
    unanswered: u32,
    /// The second of the last message and how many came in it.
    messages: (i64, u32),
    streams: usize,
    encoded: Vec<u8>,
}

impl<'a> Connection<'a> {
    pub(super) fn new(
        exchange: &'a Exchange,
        mut conversation: Box<dyn Conversation>,
        socket: Socket,
        items: Receiver<Item>,
    ) -> Connection<'a> {
        conversation.on_open(&exchange.listing);
        Connection {
            exchange,
            conversation,
            socket,
            items,
            events: Vec::new(),
            frames: 0,
            spoilt: 0,
            slow: 0,
            unanswered: 0,
            messages: (0, 0),
            streams: 0,
            encoded: Vec::new(),
        }
    }

    /// Talks until one of the two ends it.
    pub(super) async fn talk(mut self) {
        self.count_streams();
        let venue = self.exchange.protocol.venue();
        let ending = loop {
            match self.turns().await {
                Ok(()) => {}
                Err(ending) => break ending,
            }
        };
        tracing::debug!(venue, ?ending, "connection ends");
        match ending {
            Ending::Close(code, reason) => self.close(code, reason).await,
            Ending::Disconnect => self.cut().await,
            Ending::HalfOpen => std::future::pending().await,
            Ending::Slow => {
                tracing::warn!(venue, "dropped a client that is too slow");
                self.exchange.totals().dropped += 1;
            }
            Ending::Gone => {}
        }
    }

    /// Turns of client, market and pings until the connection ends.
    async fn turns(&mut self) -> Result<(), Ending> {
        let seconds = self.exchange.protocol.ping_seconds();
        let mut pings: Interval = interval(Duration::from_secs(seconds.unwrap_or(NO_PING_SECONDS)));
        // The first tick is at once.
        pings.tick().await;
        loop {
            tokio::select! {
                biased;
                message = self.socket.next() => match message {
                    Some(Ok(message)) => self.on_message(message).await?,
                    Some(Err(_)) | None => return Err(Ending::Gone),
                },
                item = self.items.recv() => match item {
                    Ok(item) => self.on_items(item).await?,
                    Err(RecvError::Lagged(_)) => return Err(Ending::Slow),
                    Err(RecvError::Closed) => return Err(Ending::Gone),
                },
                _ = pings.tick() => if seconds.is_some() {
                    if self.unanswered >= PINGS_UNANSWERED {
                        return Err(Ending::Close(1008, "Pong timeout"));
                    }
                    self.unanswered += 1;
                    let payload = (clock::wall() / 1_000_000).to_string();
                    self.write(Message::Ping(payload.into_bytes().into())).await?;
                    self.flush().await?;
                },
            }
        }
    }

    async fn on_message(&mut self, message: Message) -> Result<(), Ending> {
        match message {
            Message::Text(text) => {
                let now = clock::wall();
                let second = now / feeds::time::SECOND;
                self.messages = (second, if self.messages.0 == second { self.messages.1 + 1 } else { 1 });
                if self.messages.1 > self.exchange.protocol.messages_per_second() {
                    return Err(Ending::Close(1008, "Too many requests"));
                }
                let mut replies = Vec::new();
                self.conversation.on_text(text.as_str(), &self.exchange.listing, now, &mut replies);
                for reply in replies {
                    match reply {
                        Reply::Text(text) => self.write(Message::text(text)).await?,
                        Reply::Close(code, reason) => return Err(Ending::Close(code, reason)),
                    }
                }
                self.flush().await?;
                self.count_streams();
            }
            Message::Pong(_) => self.unanswered = 0,
            Message::Close(_) => {
                // The library answers in kind with the flush.
                let _ = timeout(WRITE_WAIT, self.socket.flush()).await;
                return Err(Ending::Gone);
            }
            // The library answers a ping with the next flush.
            Message::Ping(_) => self.flush().await?,
            Message::Binary(_) | Message::Frame(_) => {}
        }
        Ok(())
    }

    /// What the market has, as much as there is up to a bound.
    async fn on_items(&mut self, first: Item) -> Result<(), Ending> {
        let mut item = first;
        for _ in 0..ITEMS_AT_ONCE {
            if let Err(ending) = self.on_item(item).await {
                // What came before the end is sent before it.
                self.flush().await?;
                return Err(ending);
            }
            item = match self.items.try_recv() {
                Ok(item) => item,
                Err(TryRecvError::Empty) => return self.flush().await,
                Err(TryRecvError::Lagged(_)) => return Err(Ending::Slow),
                Err(TryRecvError::Closed) => return Err(Ending::Gone),
            };
        }
        self.on_item(item).await?;
        self.flush().await
    }

    async fn on_item(&mut self, item: Item) -> Result<(), Ending> {
        match item {
            Item::Event(event) => self.on_event(event).await,
            Item::Garbage(number) => {
                let (binary, bytes) = garbage(number);
                self.spoilt += 1;
                let text = String::from_utf8_lossy(&bytes).into_owned();
                self.write(if binary { Message::binary(bytes) } else { Message::text(text) }).await
            }
            Item::Oversize(bytes) => {
                self.spoilt += 1;
                self.write(Message::text(" ".repeat(bytes))).await
            }
            Item::Slow(frames) => {
                self.slow = self.slow.saturating_add(frames);
                Ok(())
            }
            Item::Shutdown => match self.conversation.shutdown(clock::wall()) {
                Some(text) => self.write(Message::text(text)).await,
                None => Ok(()),
            },
            Item::Close => Err(Ending::Close(1001, "Going away")),
            Item::Disconnect => Err(Ending::Disconnect),
            Item::HalfOpen => Err(Ending::HalfOpen),
        }
    }

    async fn on_event(&mut self, event: MarketEvent) -> Result<(), Ending> {
        let channel = match event.change {
            Change::Trade { .. } => Channel::Trades,
            Change::Quote { .. } => Channel::Quotes,
        };
        if !self.conversation.wants(event.symbol, channel) {
            return Ok(());
        }
        self.encoded.clear();
        self.conversation.frame(&event, &self.exchange.listing, &mut self.encoded);
        // Frames are made of ASCII.
        let text = Utf8Bytes::try_from(self.encoded.clone()).unwrap_or_default();
        self.write(Message::Text(text)).await?;
        self.events.push(event);
        if self.slow > 0 {
            self.slow -= 1;
            self.flush().await?;
            sleep(SLOW_FRAME).await;
        }
        Ok(())
    }

    async fn write(&mut self, message: Message) -> Result<(), Ending> {
        match timeout(WRITE_WAIT, self.socket.feed(message)).await {
            Ok(Ok(())) => {
                self.frames += 1;
                Ok(())
            }
            Ok(Err(error)) => Err(ending_of(&error)),
            Err(_) => Err(Ending::Slow),
        }
    }

    /// Hands over what was written, and counts it.
    async fn flush(&mut self) -> Result<(), Ending> {
        match timeout(WRITE_WAIT, self.socket.flush()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(ending_of(&error)),
            Err(_) => return Err(Ending::Slow),
        }
        let mut totals = self.exchange.totals();
        for event in self.events.drain(..) {
            totals.sent.count(&event);
        }
        totals.frames += std::mem::take(&mut self.frames);
        totals.spoilt += std::mem::take(&mut self.spoilt);
        Ok(())
    }

    fn count_streams(&mut self) {
        let (before, now) = (self.streams, self.conversation.streams());
        self.streams = now;
        self.exchange.subscribed.send_modify(|streams| *streams = (*streams + now).saturating_sub(before));
    }

    /// The end with a goodbye, which the client may answer.
    async fn close(&mut self, code: u16, reason: &'static str) {
        let frame = CloseFrame { code: code.into(), reason: reason.into() };
        let goodbye = async {
            if self.socket.close(Some(frame)).await.is_ok() {
                while let Some(Ok(_)) = self.socket.next().await {}
            }
        };
        // Whoever says no goodbye is left without.
        let _ = timeout(GOODBYE_WAIT, goodbye).await;
    }

    /// The end without a word. What the client still says is read, or the system would take back what was sent.
    async fn cut(&mut self) {
        let stream = self.socket.get_mut();
        let silence = async {
            let mut rest = [0; 1_024];
            if stream.shutdown().await.is_ok() {
                while matches!(stream.read(&mut rest).await, Ok(read) if read > 0) {}
            }
        };
        let _ = timeout(GOODBYE_WAIT, silence).await;
    }
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        let streams = self.streams;
        self.exchange.subscribed.send_modify(|all| *all = all.saturating_sub(streams));
    }
}

fn ending_of(error: &Error) -> Ending {
    tracing::debug!(%error, "write failed");
    Ending::Gone
}
