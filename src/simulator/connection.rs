//! One client's connection over WebSocket: what it says, what it gets, and how it ends.

use std::time::Duration;

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

use super::market::Exchange;
use super::protocol::{Conversation, Reply, Streams, channel_of};
use super::spoiling::{Item, garbage};
use crate::clock;
use crate::market::MarketEvent;

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
/// How often a connection is looked after.
const BEAT: Duration = Duration::from_secs(1);

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
    streams: Streams,
    /// Events that share a frame, which is not written yet.
    gathered: Vec<MarketEvent>,
    /// What was written and not flushed.
    written: Written,
    slow: u64,
    /// Seconds since the last ping, and pings without an answer.
    pinged: (u64, u32),
    /// The second of the last message and how many came in it.
    messages: (i64, u32),
    /// Streams as the exchange knows them.
    counted: usize,
    encoded: Vec<u8>,
}

/// What is counted as sent once it is flushed.
#[derive(Default)]
struct Written {
    events: Vec<MarketEvent>,
    past: Vec<MarketEvent>,
    frames: u64,
    spoilt: u64,
}

impl<'a> Connection<'a> {
    pub(super) fn new(
        exchange: &'a Exchange,
        conversation: Box<dyn Conversation>,
        socket: Socket,
        items: Receiver<Item>,
    ) -> Connection<'a> {
        Connection {
            exchange,
            conversation,
            socket,
            items,
            streams: Streams::default(),
            gathered: Vec::new(),
            written: Written::default(),
            slow: 0,
            pinged: (0, 0),
            messages: (0, 0),
            counted: 0,
            encoded: Vec::new(),
        }
    }

    /// Talks until one of the two ends it.
    pub(super) async fn talk(mut self) {
        let venue = self.exchange.protocol.venue();
        let ending = match self.turns().await {
            Ok(()) => Ending::Gone,
            Err(ending) => ending,
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

    /// Turns of client, market and clock until the connection ends.
    async fn turns(&mut self) -> Result<(), Ending> {
        let mut replies = Vec::new();
        self.conversation.on_open(&self.exchange.view(), &mut self.streams, &mut replies);
        self.reply(replies).await?;
        let mut beats: Interval = interval(BEAT);
        // The first tick is at once.
        beats.tick().await;
        loop {
            tokio::select! {
                biased;
                message = self.socket.next() => match message {
                    Some(Ok(message)) => self.on_message(message).await?,
                    Some(Err(_)) | None => return Err(Ending::Gone),
                },
                _ = beats.tick() => self.on_beat().await?,
                item = self.items.recv() => match item {
                    Ok(item) => self.on_items(item).await?,
                    Err(RecvError::Lagged(_)) => return Err(Ending::Slow),
                    Err(RecvError::Closed) => return Err(Ending::Gone),
                },
            }
        }
    }

    /// A second has passed: pings, and what else the venue does by the clock.
    async fn on_beat(&mut self) -> Result<(), Ending> {
        if let Some(seconds) = self.exchange.protocol.ping_seconds() {
            self.pinged.0 += 1;
            if self.pinged.0 >= seconds {
                if self.pinged.1 >= PINGS_UNANSWERED {
                    return Err(Ending::Close(1008, "Pong timeout"));
                }
                self.pinged = (0, self.pinged.1 + 1);
                let payload = (clock::wall() / 1_000_000).to_string();
                self.write(Message::Ping(payload.into_bytes().into())).await?;
                self.flush().await?;
            }
        }
        // A heartbeat may name the newest trade, which the client has then.
        loop {
            match self.items.try_recv() {
                Ok(item) => self.on_items(item).await?,
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Lagged(_)) => return Err(Ending::Slow),
                Err(TryRecvError::Closed) => return Err(Ending::Gone),
            }
        }
        let mut replies = Vec::new();
        self.conversation.on_second(&self.exchange.view(), &self.streams, &mut replies);
        self.reply(replies).await
    }

    /// Does what the venue says.
    async fn reply(&mut self, replies: Vec<Reply>) -> Result<(), Ending> {
        self.count_streams();
        for reply in replies {
            match reply {
                Reply::Text(text) => self.write(Message::text(text)).await?,
                Reply::Told { text, events, past } => {
                    self.write(Message::text(text)).await?;
                    let told = if past { &mut self.written.past } else { &mut self.written.events };
                    told.extend(events);
                }
                Reply::Close(code, reason) => {
                    self.flush().await?;
                    return Err(Ending::Close(code, reason));
                }
            }
        }
        self.flush().await
    }

    async fn on_message(&mut self, message: Message) -> Result<(), Ending> {
        match message {
            Message::Text(text) => {
                let now = clock::wall();
                let second = now / feeds::time::SECOND;
                self.messages = (second, if self.messages.0 == second { self.messages.1 + 1 } else { 1 });
                let mut replies = Vec::new();
                if self.messages.1 > self.exchange.protocol.messages_per_second() {
                    replies.push(self.exchange.protocol.too_many());
                } else {
                    let view = self.exchange.view();
                    self.conversation.on_text(text.as_str(), &view, &mut self.streams, &mut replies);
                }
                self.reply(replies).await?;
            }
            Message::Pong(_) => self.pinged.1 = 0,
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
        if let Item::Event(number, event) = item {
            return self.on_event(number, event).await;
        }
        self.write_gathered().await?;
        match item {
            Item::Event(..) => Ok(()),
            Item::Garbage(number) => {
                let (binary, bytes) = garbage(number);
                self.written.spoilt += 1;
                let text = String::from_utf8_lossy(&bytes).into_owned();
                self.write(if binary { Message::binary(bytes) } else { Message::text(text) }).await
            }
            Item::Oversize(bytes) => {
                // The client may hang up in the middle of it, with all that came before read.
                self.flush().await?;
                self.written.spoilt += 1;
                self.write(Message::text(" ".repeat(bytes))).await
            }
            Item::Slow(frames) => {
                self.slow = self.slow.saturating_add(frames);
                Ok(())
            }
            Item::Shutdown => {
                let now = self.exchange.view().now();
                match self.conversation.shutdown(now) {
                    Some(text) => self.write(Message::text(text)).await,
                    None => Ok(()),
                }
            }
            Item::Close => Err(Ending::Close(1001, "Going away")),
            Item::Disconnect => Err(Ending::Disconnect),
            Item::HalfOpen => Err(Ending::HalfOpen),
        }
    }

    async fn on_event(&mut self, number: u64, event: MarketEvent) -> Result<(), Ending> {
        if !self.streams.want(number, &event) {
            return Ok(());
        }
        let most = self.exchange.protocol.trades_per_frame();
        if let Some(first) = self.gathered.first() {
            let same = first.symbol == event.symbol
                && first.exchange_ts == event.exchange_ts
                && channel_of(first) == channel_of(&event);
            if !same || self.gathered.len() >= most {
                self.write_gathered().await?;
            }
        }
        self.gathered.push(event);
        if most == 1 || self.slow > 0 || channel_of(&event) == feeds::live::Channel::Quotes {
            self.write_gathered().await?;
        }
        if self.slow > 0 {
            self.slow -= 1;
            self.flush().await?;
            sleep(SLOW_FRAME).await;
        }
        Ok(())
    }

    /// Writes the frame that was gathered, if there is one.
    async fn write_gathered(&mut self) -> Result<(), Ending> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        self.encoded.clear();
        self.conversation.frame(&self.gathered, &self.exchange.listing, &mut self.encoded);
        // Frames are made of ASCII.
        let text = Utf8Bytes::try_from(self.encoded.clone()).unwrap_or_default();
        self.write(Message::Text(text)).await?;
        self.written.events.append(&mut self.gathered);
        Ok(())
    }

    async fn write(&mut self, message: Message) -> Result<(), Ending> {
        match timeout(WRITE_WAIT, self.socket.feed(message)).await {
            Ok(Ok(())) => {
                self.written.frames += 1;
                Ok(())
            }
            Ok(Err(error)) => Err(ending_of(&error)),
            Err(_) => Err(Ending::Slow),
        }
    }

    /// Hands over what was written, and counts it.
    async fn flush(&mut self) -> Result<(), Ending> {
        self.write_gathered().await?;
        match timeout(WRITE_WAIT, self.socket.flush()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(ending_of(&error)),
            Err(_) => return Err(Ending::Slow),
        }
        let mut totals = self.exchange.totals();
        for event in self.written.events.drain(..) {
            totals.sent.count(&event);
        }
        for event in self.written.past.drain(..) {
            totals.sent.count_past(&event);
        }
        totals.frames += std::mem::take(&mut self.written.frames);
        totals.spoilt += std::mem::take(&mut self.written.spoilt);
        Ok(())
    }

    fn count_streams(&mut self) {
        let (before, now) = (self.counted, self.streams.len());
        self.counted = now;
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
        let streams = self.counted;
        self.exchange.subscribed.send_modify(|all| *all = all.saturating_sub(streams));
    }
}

fn ending_of(error: &Error) -> Ending {
    tracing::debug!(%error, "write failed");
    Ending::Gone
}
