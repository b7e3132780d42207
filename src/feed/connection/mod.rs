//! One connection, from its first byte to its last: opened, greeted, subscribed, read, watched, closed.

mod checks;
mod refusals;
mod streams;

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use feeds::live::Stream;
use feeds::recording::Alarm;
use feeds::venue::Output;
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::budget::Window;
use super::delivery::{ConnectionId, Delivery};
use super::dial::Metered;
use super::inbound::Inbound;
use super::open::{Opening, Refusal, close_frame, open};
use super::slot::{Slot, SlotState, lock};
use super::watch::Watch;
use refusals::Refusals;

/// How often silences and deadlines are looked at: what is late is noticed within a second.
const CHECK_EVERY: Duration = Duration::from_millis(500);
/// How long the sequencer may take nothing before the connection is dropped: longer, and the venue would drop it.
pub const DELIVER_WITHIN: Duration = Duration::from_secs(10);
/// How long the venue may not take a message of ours.
const SEND_WITHIN: Duration = Duration::from_secs(10);
/// How long the venue may take to answer our close.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// Why a connection or an attempt ended.
#[derive(Clone, Debug)]
pub struct End {
    /// In one line.
    pub why: String,
    /// How long the venue wants to be left alone.
    pub asked: Option<Duration>,
    /// How long it was open; `None` if it never was.
    pub lived: Option<Duration>,
}

/// What a connection says of itself to its keeper.
#[derive(Debug, Default)]
pub struct Phase {
    /// It is to replace another one, which still delivers.
    pub is_successor: AtomicBool,
    /// Every subscription is confirmed, refused or bringing data.
    pub is_ready: AtomicBool,
    /// Why it should be replaced, if it should.
    pub replace: Mutex<Option<String>>,
    /// Streams that are confirmed or bring data.
    pub acknowledged: AtomicU64,
    /// Streams that were refused and are not there, whether asked for again or not.
    pub refused: Mutex<BTreeSet<Stream>>,
    /// Streams that have brought nothing for too long.
    pub silent: Mutex<Vec<Stream>>,
    /// Wakes the keeper.
    pub news: Arc<Notify>,
}

/// A message that waits for its turn.
struct Outgoing {
    text: String,
    /// What it subscribes to; watched from when it goes out.
    streams: Vec<Stream>,
}

struct Connection {
    id: ConnectionId,
    slot: Arc<Slot>,
    phase: Arc<Phase>,
    socket: WebSocketStream<Metered>,
    bytes: Arc<AtomicU64>,
    inbound: Inbound,
    watch: Watch,
    origin: Instant,
    /// What is subscribed, or about to be.
    have: BTreeSet<Stream>,
    /// Of those, neither confirmed nor refused nor bringing data.
    pending: BTreeSet<Stream>,
    refused: Refusals,
    /// Told as not wanted any more.
    unwanted: BTreeSet<Stream>,
    outbox: VecDeque<Outgoing>,
    requests: Window,
    /// When the first of the outbox may go.
    send_at: Option<Instant>,
    /// The bytes that were in at the last sign of life, and when that was.
    alive: (u64, Instant),
    /// A ping of ours is out since the last sign of life.
    asked_for_life: bool,
    /// How often the session's own sign of life is due.
    app_ping_every: Option<Duration>,
    app_ping_at: Option<Instant>,
    lifetime_at: Option<Instant>,
    unready_said: bool,
    complaints_shown: usize,
    closing: Option<(Instant, String)>,
    /// Frames were decoded and could not be delivered: its session is ahead of what is on the tape.
    broken_off: bool,
}

/// Opens a connection and serves it until it ends. `lifetime_at` moves with `jitter`, so that not all end together.
pub async fn run(
    slot: Arc<Slot>,
    phase: Arc<Phase>,
    mut leave: watch::Receiver<Option<String>>,
    jitter: Duration,
) -> End {
    let left = async { leave.wait_for(Option::is_some).await.map(|why| why.clone()).ok().flatten() };
    let opened = tokio::select! {
        opened = open(&slot, &phase) => opened,
        why = left => {
            let why = why.unwrap_or_else(|| "its keeper is gone".to_owned());
            return End { why, asked: None, lived: None };
        }
    };
    match opened {
        Ok(opening) => Connection::new(slot, phase, opening, jitter).serve(leave).await,
        Err(Refusal { why, asked }) => {
            slot.counters.failures.fetch_add(1, Ordering::Relaxed);
            End { why, asked, lived: None }
        }
    }
}

enum Event {
    Leave(String),
    Changed,
    Check,
    Send,
    Message(Option<Result<Message, WsError>>),
}

impl Connection {
    fn new(slot: Arc<Slot>, phase: Arc<Phase>, opening: Opening, jitter: Duration) -> Connection {
        let origin = Instant::now();
        let seed = slot.shared.seed ^ u64::from(opening.id.0).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let lifetime = slot.live.lifetime_seconds.map(|s| Duration::from_secs(u64::from(s)));
        let app_ping_every = opening.ping_seconds.or(slot.live.ping_seconds);
        let app_ping_every = app_ping_every.map(|seconds| Duration::from_secs(u64::from(seconds.max(1))));
        Connection {
            id: opening.id,
            inbound: Inbound::new(slot.venue, opening.id, slot.shared.wall),
            watch: Watch::new(slot.silence),
            origin,
            have: BTreeSet::new(),
            pending: BTreeSet::new(),
            refused: Refusals::new(seed),
            unwanted: BTreeSet::new(),
            outbox: VecDeque::new(),
            requests: Window::default(),
            send_at: None,
            alive: (0, origin),
            asked_for_life: false,
            app_ping_every,
            app_ping_at: app_ping_every.map(|every| origin + every),
            // An hour of a day early, and up to half of that earlier still.
            lifetime_at: lifetime.map(|life| origin + life - life / 24 - jitter.min(life / 48)),
            unready_said: false,
            complaints_shown: 0,
            closing: None,
            broken_off: false,
            socket: opening.socket,
            bytes: opening.bytes,
            phase,
            slot,
        }
    }

    async fn serve(mut self, mut leave: watch::Receiver<Option<String>>) -> End {
        let (slot, id) = (self.slot.clone(), self.id);
        slot.counters.connections.fetch_add(1, Ordering::Relaxed);
        lock(&slot.open).insert(id);
        let why = match self.opened().await {
            Ok(()) => self.serve_open(&mut leave).await,
            Err(why) => why,
        };
        // What was not wanted any more when it ended is not missing, whoever ended it.
        let _ = self.tell_wishes(&slot.wanted()).await;
        // What the venue's last words were may say more, but a close of ours should at least go out.
        let _ = timeout(CLOSE_WITHIN, self.socket.flush()).await;
        let Connection { socket, mut inbound, origin, broken_off, .. } = self;
        let lived = Some(origin.elapsed());
        // The venue must not wait for an engine that is busy.
        drop(socket);
        let mut rest = Box::<Output>::default();
        if !broken_off {
            inbound.session.finish(&mut rest);
        }
        let (why_told, received_at) = (why.clone(), slot.shared.now());
        let closed = Delivery::Closed { connection: id, why: why_told, received_at, rest, broken_off };
        // Without limit: that it ended must be known. If nobody is there any more, nobody needs to.
        let _ = slot.shared.deliveries.send(closed).await;
        lock(&slot.open).remove(&id);
        End { why, asked: None, lived }
    }

    async fn opened(&mut self) -> Result<(), String> {
        if !self.phase.is_successor.load(Ordering::Relaxed) {
            self.slot.enter(SlotState::Subscribing);
        }
        let (venue, address) = (self.slot.venue, self.slot.address.shown());
        self.deliver(Delivery::Opened {
            connection: self.id,
            venue,
            address,
            received_at: self.slot.shared.now(),
        })
        .await?;
        let mut out = Output::default();
        self.inbound.session.greet(self.slot.shared.now(), &mut out);
        self.enqueue(out, &[]);
        Ok(())
    }

    async fn serve_open(&mut self, leave: &mut watch::Receiver<Option<String>>) -> String {
        let mut changes = self.slot.changes.subscribe();
        changes.mark_changed();
        let mut checks = interval(CHECK_EVERY);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if self.send_at.is_none() && !self.outbox.is_empty() {
                self.send_at = Some(self.requests.reserve(self.slot.live.requests, Instant::now()));
            }
            let send_at = self.send_at.unwrap_or(self.origin);
            let (is_staying, has_mail) = (self.closing.is_none(), self.send_at.is_some());
            let event = tokio::select! {
                biased;
                why = leave.wait_for(Option::is_some), if is_staying => Event::Leave(
                    why.ok().and_then(|why| why.clone()).unwrap_or_else(|| "its keeper is gone".to_owned())),
                changed = changes.changed(), if is_staying => match changed {
                    Ok(()) => Event::Changed,
                    Err(_) => Event::Leave("its slot is gone".to_owned()),
                },
                _ = checks.tick() => Event::Check,
                () = sleep_until(send_at), if is_staying && has_mail => Event::Send,
                message = self.socket.next() => Event::Message(message),
            };
            let result = match event {
                Event::Leave(why) => self.leave(why).await,
                Event::Changed => self.follow_wanted().await,
                Event::Check => self.check().await,
                Event::Send => self.send_next().await,
                Event::Message(message) => self.receive(message).await,
            };
            if let Err(why) = result {
                return self.closing.take().map_or(why, |(_, asked)| asked);
            }
        }
    }

    /// What is not wanted any more may be why it is to go: that is told before its end.
    async fn leave(&mut self, why: String) -> Result<(), String> {
        self.tell_wishes(&self.slot.wanted()).await?;
        self.close(why).await
    }

    async fn close(&mut self, why: String) -> Result<(), String> {
        self.closing = Some((Instant::now() + CLOSE_WITHIN, why));
        self.send(Message::Close(Some(close_frame())), CLOSE_WITHIN).await
    }

    async fn send_next(&mut self) -> Result<(), String> {
        self.send_at = None;
        let Some(outgoing) = self.outbox.pop_front() else { return Ok(()) };
        self.send(Message::text(outgoing.text), SEND_WITHIN).await?;
        self.watch_from_now(&outgoing.streams);
        self.tell();
        Ok(())
    }

    async fn send(&mut self, message: Message, within: Duration) -> Result<(), String> {
        match timeout(within, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("cannot send: {error}")),
            Err(_) => Err(format!("the venue took no message for {} s", within.as_secs())),
        }
    }

    /// Takes a message and all that are there behind it, without waiting.
    async fn receive(&mut self, first: Option<Result<Message, WsError>>) -> Result<(), String> {
        let mut next = Some(first);
        let mut end = None;
        while let Some(message) = next {
            match message {
                Some(Ok(Message::Text(text))) => {
                    self.inbound.take(text.into(), self.bytes.load(Ordering::Relaxed))
                }
                Some(Ok(Message::Binary(bytes))) => {
                    self.inbound.take(bytes, self.bytes.load(Ordering::Relaxed))
                }
                Some(Ok(Message::Close(Some(frame)))) => {
                    end = Some(format!("closed by the venue: {} {}", u16::from(frame.code), frame.reason));
                }
                Some(Ok(Message::Close(None))) => end = Some("closed by the venue".to_owned()),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(error)) => end = Some(error.to_string()),
                None => end = Some("the venue hung up".to_owned()),
            }
            if end.is_some() || self.inbound.is_full() {
                break;
            }
            next = self.socket.next().now_or_never();
        }
        self.hand_on().await?;
        end.map_or(Ok(()), Err)
    }

    /// Delivers what was gathered, and does what it asks for.
    async fn hand_on(&mut self) -> Result<(), String> {
        let Some(mut decoded) = self.inbound.gathered() else { return Ok(()) };
        let counters = &self.slot.counters;
        let bytes: usize = decoded.frames.iter().map(|frame| frame.payload.len()).sum();
        counters.frames.fetch_add(decoded.frames.len() as u64, Ordering::Relaxed);
        counters.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        if let Some(frame) = decoded.frames.last() {
            counters.last_frame_at.store(frame.received_at, Ordering::Relaxed);
        }
        // Answers go before requests: they have a deadline.
        for text in std::mem::take(&mut decoded.output.sends).into_iter().rev() {
            self.outbox.push_front(Outgoing { text, streams: Vec::new() });
        }
        let now = self.origin.elapsed();
        for symbol in &decoded.new_symbols {
            self.watch.meet(symbol);
        }
        let mut has_news = false;
        for tick in &decoded.output.ticks {
            if let Some(stream) = self.watch.hear(tick, now) {
                has_news |= self.pending.remove(&stream) | self.refused.remove(&stream);
            }
        }
        let mut alarms = Vec::new();
        for notice in &decoded.output.notices {
            has_news |= self.notice(notice, &mut alarms);
        }
        if has_news {
            self.tell();
        }
        let answers = self.answers(&decoded.output.notices);
        if let Err(why) = self.deliver(Delivery::Frames(Box::new(decoded))).await {
            self.broken_off = true;
            return Err(why);
        }
        for answer in answers {
            self.deliver(answer).await?;
        }
        for what in alarms {
            self.alarm(None, what).await?;
        }
        Ok(())
    }

    fn replace(&self, why: String) {
        lock(&self.phase.replace).get_or_insert(why);
        self.phase.news.notify_one();
    }

    /// Tells of a stream that has been silent for so long, or of something else.
    async fn alarm(&self, silent: Option<(Stream, Duration)>, what: String) -> Result<(), String> {
        self.slot.counters.alarms.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(connection = self.id.0, what);
        let received_at = self.slot.shared.now();
        let (stream, silent) = silent.unzip();
        let silent = silent.map_or(0, |silent| i64::try_from(silent.as_nanos()).unwrap_or(i64::MAX));
        let alarm = Alarm { stream, since: received_at.saturating_sub(silent), what };
        self.deliver(Delivery::Alarm { connection: self.id, alarm, received_at }).await
    }

    async fn deliver(&self, delivery: Delivery) -> Result<(), String> {
        let frames = match &delivery {
            Delivery::Frames(decoded) => decoded.frames.len() as u64,
            _ => 0,
        };
        let why = match timeout(DELIVER_WITHIN, self.slot.shared.deliveries.send(delivery)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(_)) => "nobody takes its frames".to_owned(),
            Err(_) => format!(
                "the engine took nothing for {} s, {frames} frames are lost",
                DELIVER_WITHIN.as_secs()
            ),
        };
        self.slot.counters.undelivered.fetch_add(frames, Ordering::Relaxed);
        Err(why)
    }
}
