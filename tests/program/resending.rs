//! An exchange of the tests: a market that is the same each time it is told, and is told from whatever event on is
//! asked for, so that a run that was killed can be sent again what it lost.
//!
//! It has trades only: their times are the market's own, so that nothing that follows from them depends on when they
//! are sent.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

use super::support::{Draws, pause};

/// Its symbols; each takes part in half of the market's moments.
pub(crate) const NATIVES: [&str; 4] = ["ONEUSDT", "TWOUSDT", "THREEUSDT", "FOURUSDT"];
/// When the market opens: ms since 1970.
const OPENS_MS: u64 = 1_750_000_000_000;
/// Between two trades are up to so many ms of the market's time.
const APART_MS: u64 = 40;
/// One in so many trades is told up to [`BEHIND_MS`] late, which is within the lateness of the configuration.
const BEHIND_ONE_IN: u64 = 8;
const BEHIND_MS: u64 = 400;
/// A symbol trades for about so long, and is then silent for about as long.
const SPELL_MS: u64 = 6_000;
/// Trades that are sent without a pause, and the pause: some thousands a second, which is a minute of the market.
const BURST: u64 = 10;
const REST: Duration = Duration::from_millis(3);

/// One trade.
#[derive(Clone, Copy)]
struct Trade {
    symbol: usize,
    id: u64,
    at_ms: u64,
    /// In hundredths.
    price: u64,
    size: u64,
    is_buy: bool,
}

/// The market, as far as anybody has asked for it.
struct Market {
    draws: Draws,
    now_ms: u64,
    prices: [u64; NATIVES.len()],
    ids: [u64; NATIVES.len()],
    trades: Vec<Trade>,
}

impl Market {
    fn new(seed: u64) -> Market {
        let prices = [10_000, 25_000, 500, 70_000];
        Market { draws: Draws(seed), now_ms: OPENS_MS, prices, ids: [0; NATIVES.len()], trades: Vec::new() }
    }

    fn trade(&mut self, number: u64) -> Trade {
        let place = usize::try_from(number).unwrap();
        while self.trades.len() <= place {
            let trade = self.next();
            self.trades.push(trade);
        }
        self.trades[place]
    }

    fn next(&mut self) -> Trade {
        self.now_ms += self.draws.below(APART_MS);
        let symbol = loop {
            let symbol = self.draws.below(NATIVES.len() as u64);
            // Spells of one symbol begin within those of another; there is always one that trades.
            if symbol == 0 || ((self.now_ms + symbol * SPELL_MS / 3) / SPELL_MS).is_multiple_of(2) {
                break symbol as usize;
            }
        };
        let step = self.draws.below(21);
        self.prices[symbol] = (self.prices[symbol] + step).saturating_sub(10).max(100);
        self.ids[symbol] += 1;
        let behind = if self.draws.below(BEHIND_ONE_IN) == 0 { self.draws.below(BEHIND_MS) } else { 0 };
        // Now and then a large one.
        let most = if self.draws.below(30) == 0 { 5_000 } else { 200 };
        Trade {
            symbol,
            id: self.ids[symbol],
            at_ms: self.now_ms - behind.min(self.now_ms - OPENS_MS),
            price: self.prices[symbol],
            size: 1 + self.draws.below(most),
            is_buy: self.draws.below(2) == 0,
        }
    }
}

impl Trade {
    fn frame(&self) -> String {
        let native = NATIVES[self.symbol];
        let hundredths = |value: u64| format!("{}.{:02}", value / 100, value % 100);
        format!(
            "{{\"stream\":\"{}@trade\",\"data\":{{\"e\":\"trade\",\"E\":{at},\"s\":\"{native}\",\"t\":{},\"p\":\"{}\",\
             \"q\":\"{}\",\"T\":{at},\"m\":{},\"M\":true}}}}",
            native.to_lowercase(),
            self.id,
            hundredths(self.price),
            hundredths(self.size),
            !self.is_buy,
            at = self.at_ms,
        )
    }
}

/// What its threads share.
struct Shared {
    market: Mutex<Market>,
    /// The first event of who subscribes.
    from: AtomicU64,
    /// The event before which it ends.
    until: AtomicU64,
    /// Events up to here were sent, perhaps into a connection that broke.
    sent: AtomicU64,
    in_haste: bool,
    stop: AtomicBool,
}

/// See the module.
pub(crate) struct Resending {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepts: Option<JoinHandle<()>>,
}

impl Resending {
    /// The market of `seed`, for ever; at some thousands of trades a second, or `in_haste` as fast as they are taken.
    pub(crate) fn start(seed: u64, in_haste: bool) -> Resending {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            market: Mutex::new(Market::new(seed)),
            from: AtomicU64::new(0),
            until: AtomicU64::new(u64::MAX),
            sent: AtomicU64::new(0),
            in_haste,
            stop: AtomicBool::new(false),
        });
        let served = Arc::clone(&shared);
        let accepts = std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if served.stop.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&served);
                // It ends with its connection.
                std::thread::spawn(move || drop(shared.converse(stream)));
            }
        });
        Resending { address, shared, accepts: Some(accepts) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whoever subscribes from now on is told the market from event `number` on.
    pub(crate) fn resend_from(&self, number: u64) {
        self.shared.from.store(number, Ordering::SeqCst);
    }

    /// The market has this many events, and no more.
    pub(crate) fn end_with(&self, events: u64) {
        self.shared.until.store(events, Ordering::SeqCst);
    }

    /// How far it has told the market to anybody.
    pub(crate) fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::SeqCst)
    }
}

impl Drop for Resending {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // So that it looks once more.
        drop(TcpStream::connect(self.address));
        if let Some(accepts) = self.accepts.take() {
            accepts.join().unwrap();
        }
    }
}

impl Shared {
    /// One connection, to its end. What is no WebSocket (a question for past trades) is hung up on.
    fn converse(&self, stream: TcpStream) -> Result<(), tungstenite::Error> {
        stream.set_nodelay(true)?;
        let Ok(mut socket) = tungstenite::accept(stream) else { return Ok(()) };
        let mut wanted = 0;
        // Its client subscribes to trades and quotes of all symbols on one connection.
        while wanted < NATIVES.len() {
            let Message::Text(text) = socket.read()? else { continue };
            let request: serde_json::Value = serde_json::from_str(&text).unwrap();
            let streams = request["params"].as_array().unwrap();
            wanted += streams.iter().filter(|name| name.as_str().unwrap().ends_with("@trade")).count();
            let answer = format!("{{\"result\":null,\"id\":{}}}", request["id"]);
            socket.send(Message::text(answer))?;
        }
        self.tell(&mut socket)
    }

    fn tell(&self, socket: &mut WebSocket<TcpStream>) -> Result<(), tungstenite::Error> {
        let mut next = self.from.load(Ordering::SeqCst);
        while !self.stop.load(Ordering::SeqCst) {
            let end = self.until.load(Ordering::SeqCst).min(next + BURST);
            for number in next..end {
                let trade = self.market.lock().unwrap().trade(number);
                socket.write(Message::text(trade.frame()))?;
            }
            socket.flush()?;
            next = next.max(end);
            self.sent.fetch_max(next, Ordering::SeqCst);
            if !self.in_haste || end == self.until.load(Ordering::SeqCst) {
                pause(REST);
            }
        }
        Ok(())
    }
}
