//! The exchange: one market of two symbols, and every connection's course by the mode and the seed.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use feeds::time::Nanos;
use tapedeck::market::random::Random;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::{broadcast, mpsc};
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep, sleep_until};

use crate::modes::Mode;
use crate::protocol::{Dialect, Talk, coinbase};
use crate::stage::wall;
use crate::wire;

/// Mean time between two trades.
const TRADE_EVERY: Duration = Duration::from_millis(500);
/// How long the faults go on; what is opened later is served well.
pub(crate) const FAULTY: Duration = Duration::from_secs(200);
/// How long the market is open: longer, by the longest wait before an attempt and more.
pub(crate) const OPEN: Duration = Duration::from_secs(330);

/// What the exchange has to say of itself.
#[derive(Default)]
pub(crate) struct Book {
    /// By symbol: the id of the newest trade.
    pub(crate) newest: [u64; 2],
    /// By symbol: when that was.
    pub(crate) happened: [Nanos; 2],
    /// By symbol: when a connection last brought one.
    pub(crate) brought: [Option<Instant>; 2],
    /// Faults that were played.
    pub(crate) faults: u64,
    /// Most bytes that a client took of one message that should not have been taken whole.
    pub(crate) swallowed: usize,
}

/// The exchange, as every connection knows it.
#[derive(Clone)]
pub(crate) struct Exchange {
    pub(crate) dialect: Dialect,
    pub(crate) mode: Mode,
    pub(crate) seed: u64,
    pub(crate) start: Instant,
    pub(crate) book: Rc<RefCell<Book>>,
    trades: broadcast::Sender<(usize, u64)>,
}

impl Exchange {
    pub(crate) fn new(dialect: Dialect, mode: Mode, seed: u64) -> Exchange {
        let (trades, _) = broadcast::channel(4_096);
        Exchange { dialect, mode, seed, start: Instant::now(), book: Rc::default(), trades }
    }

    /// Serves every wire that comes, and lets trades happen.
    pub(crate) async fn run(self, mut wires: mpsc::Receiver<DuplexStream>) {
        spawn_local(self.clone().trade());
        let mut number = 0;
        while let Some(wire) = wires.recv().await {
            spawn_local(self.clone().connection(wire, number));
            number += 1;
        }
    }

    async fn trade(self) {
        let mut random = Random::new(self.seed);
        // Ids that differ by symbol in their last digit, so that whose a trade is can be told by it.
        *self.book.borrow_mut() = Book { newest: [1_000, 5_000], ..Book::default() };
        loop {
            let wait = random.exponential(TRADE_EVERY.as_nanos() as u64);
            sleep(Duration::from_nanos(wait)).await;
            if self.start.elapsed() >= OPEN {
                return;
            }
            let symbol = random.below(2) as usize;
            let id = self.mode.next_id(self.dialect, symbol, &self.book.borrow(), &mut random);
            {
                let mut book = self.book.borrow_mut();
                (book.newest[symbol], book.happened[symbol]) = (id, wall());
            }
            let _ = self.trades.send((symbol, id));
        }
    }

    pub(crate) fn is_faulty(&self) -> bool {
        self.start.elapsed() < FAULTY
    }

    async fn connection(self, mut wire: DuplexStream, number: u64) {
        let random = Random::new(self.seed ^ (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        if self.is_faulty() && self.mode.is_before_handshake() {
            self.book.borrow_mut().faults += 1;
            self.mode.refuse(&mut wire, random).await;
            return;
        }
        let Ok(socket) = tokio_tungstenite::accept_async(wire).await else { return };
        let (reader, writer) = tokio::io::split(socket.into_inner());
        let (said_in, said) = mpsc::channel(100);
        let reading = spawn_local(listen(reader, said_in)).abort_handle();
        let trades = self.trades.subscribe();
        let talk = Talk::new(self.dialect, number);
        let mut link = Link { exchange: self, writer, talk, random, reading, recent: Vec::new() };
        link.serve(said, trades).await;
        link.reading.abort();
    }
}

async fn listen(mut reader: ReadHalf<DuplexStream>, said: mpsc::Sender<(u8, Vec<u8>)>) {
    while let Some(heard) = wire::read(&mut reader).await {
        if said.send(heard).await.is_err() {
            break;
        }
    }
}

/// One open connection.
pub(crate) struct Link {
    pub(crate) exchange: Exchange,
    pub(crate) writer: WriteHalf<DuplexStream>,
    pub(crate) talk: Talk,
    pub(crate) random: Random,
    pub(crate) reading: tokio::task::AbortHandle,
    /// The last texts that went out.
    pub(crate) recent: Vec<String>,
}

impl Link {
    async fn serve(
        &mut self,
        mut said: mpsc::Receiver<(u8, Vec<u8>)>,
        mut trades: broadcast::Receiver<(usize, u64)>,
    ) {
        let mut until_fault = self.exchange.is_faulty().then(|| 5 + self.random.below(25));
        loop {
            let is_on = tokio::select! {
                heard = said.recv() => match heard {
                    Some((opcode, payload)) => self.hear(opcode, &payload).await,
                    None => return,
                },
                Ok((symbol, id)) = trades.recv() => {
                    if !self.talk.is_subscribed(symbol) {
                        continue;
                    }
                    let is_due = until_fault == Some(0);
                    until_fault = until_fault.and_then(|left| left.checked_sub(1));
                    if is_due && self.exchange.is_faulty() {
                        self.exchange.book.borrow_mut().faults += 1;
                        let mode = self.exchange.mode;
                        until_fault = Some(5 + self.random.below(25));
                        mode.play(self, &mut said, &mut trades, (symbol, id)).await
                    } else {
                        self.bring(symbol, id).await
                    }
                }
            };
            if !is_on {
                return;
            }
        }
    }

    /// Answers. False if there is nobody any more.
    pub(crate) async fn hear(&mut self, opcode: u8, payload: &[u8]) -> bool {
        match opcode {
            wire::TEXT => {
                let (answers, past) = self.talk.answer(std::str::from_utf8(payload).unwrap());
                for text in answers {
                    if !self.say(&text).await {
                        return false;
                    }
                }
                for symbol in past {
                    // The race: the last trade may be said once more as a live one, before or behind.
                    let (id, at) = {
                        let book = self.exchange.book.borrow();
                        (book.newest[symbol], book.happened[symbol])
                    };
                    if at == 0 {
                        continue;
                    }
                    let native = self.exchange.dialect.natives()[symbol];
                    let last = coinbase("last_match", native, id, at, "101.5");
                    let texts = match self.random.below(3) {
                        0 => vec![last],
                        1 => vec![last, self.talk.trade(symbol, id, at)],
                        _ => vec![self.talk.trade(symbol, id, at), last],
                    };
                    for text in texts {
                        if !self.say(&text).await {
                            return false;
                        }
                    }
                }
                true
            }
            wire::PING => self.put(&wire::message(wire::PONG, payload)).await,
            wire::CLOSE => {
                self.put(&wire::message(wire::CLOSE, payload)).await;
                false
            }
            _ => true,
        }
    }

    /// A trade to the client.
    pub(crate) async fn bring(&mut self, symbol: usize, id: u64) -> bool {
        let text = self.talk.trade(symbol, id, wall());
        let is_on = self.say(&text).await;
        self.exchange.book.borrow_mut().brought[symbol] = Some(Instant::now());
        if self.recent.len() >= 8 {
            self.recent.remove(0);
        }
        self.recent.push(text);
        is_on
    }

    pub(crate) async fn say(&mut self, text: &str) -> bool {
        self.put(&wire::message(wire::TEXT, text.as_bytes())).await
    }

    pub(crate) async fn put(&mut self, bytes: &[u8]) -> bool {
        self.writer.write_all(bytes).await.is_ok()
    }

    /// Answers what is asked, and brings nothing, until the faulty time is over.
    pub(crate) async fn be_quiet(&mut self, said: &mut mpsc::Receiver<(u8, Vec<u8>)>) -> bool {
        let end = self.exchange.start + FAULTY;
        loop {
            tokio::select! {
                heard = said.recv() => match heard {
                    Some((opcode, payload)) => if !self.hear(opcode, &payload).await { return false },
                    None => return false,
                },
                () = sleep_until(end) => return true,
            }
        }
    }
}

/// Reads a request's head.
pub(crate) async fn request(wire: &mut DuplexStream) {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        match wire.read_u8().await {
            Ok(byte) => bytes.push(byte),
            Err(_) => return,
        }
    }
}
