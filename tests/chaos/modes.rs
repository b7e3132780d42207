//! What goes wrong: each for 20 seeds, and what each must come to.

use std::time::Duration;

use tapedeck::market::random::Random;
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::sync::{broadcast, mpsc};
use tokio::time::{sleep, sleep_until};

use crate::exchange::{Book, FAULTY, Link, request};
use crate::protocol::{Dialect, binance};
use crate::stage::{Outcome, PIPE_BYTES, play, wall};
use crate::wire::{self, BINARY, CONTINUATION, TEXT, close, head, masked, message, part};

/// Seeds of each mode.
pub(crate) const SEEDS: u64 = 20;
/// What a client takes of one message: the limit, what the pipe holds, and a frame that was on its way.
const SWALLOWED_MAX: usize = (16 << 20) + PIPE_BYTES + (1 << 20);
const MIB: usize = 1 << 20;

/// One way of going wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Status 503 with a page, a page instead of a handshake, a redirection, a bare end.
    Pages,
    /// The answer to the handshake comes byte by byte and never ends.
    SlowHandshake,
    /// Connected, answering, and without data: maintenance.
    Maintenance,
    /// A page, or words, where a message should be.
    PageFrames,
    /// Trades that never come.
    Gaps,
    /// Trades in another order.
    Reorder,
    /// Trades again.
    Repeats,
    /// Ids begin again at 1.
    Wrap,
    /// A symbol comes under a name that nobody asked for.
    Renamed,
    /// Times in another unit, numbers in another form, members that are gone.
    Schema,
    /// Messages of random bytes.
    Garbage,
    /// Bytes that are no frames at all.
    RawGarbage,
    /// A frame that announces 64 MiB.
    Giant,
    /// A message that has no end, in frames of 1 MiB.
    Endless,
    /// A message of many empty frames.
    EmptyFrames,
    /// A message that comes a byte a second.
    SlowMessage,
    /// What the protocol forbids: masks, opcodes, reserved bits, long control frames, no UTF-8.
    Forbidden,
    /// Closed with any code.
    CloseCodes,
    /// Cut within a frame, or between two.
    Cut,
    /// Nothing is read or written any more, and no end is told.
    HalfOpen,
}

impl Mode {
    pub(crate) fn is_before_handshake(self) -> bool {
        matches!(self, Mode::Pages | Mode::SlowHandshake)
    }

    /// The next trade's id.
    pub(crate) fn next_id(self, dialect: Dialect, symbol: usize, book: &Book, random: &mut Random) -> u64 {
        let newest = book.newest[symbol];
        match (dialect, self) {
            // Unique, with holes; whose it is can be told by its last bit.
            (Dialect::Bitfinex, _) => (newest | 1) + 2 * (1 + random.below(3)) - 1 + symbol as u64,
            (_, Mode::Wrap) if random.happens(1, 100) => 1,
            _ => newest + 1,
        }
    }

    /// Instead of a handshake.
    pub(crate) async fn refuse(self, wire: &mut DuplexStream, mut random: Random) {
        if self == Mode::SlowHandshake {
            let answer = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n"
                .bytes()
                .chain(std::iter::repeat(b'x'));
            for byte in answer {
                sleep(Duration::from_secs(1)).await;
                if wire.write_all(&[byte]).await.is_err() {
                    return;
                }
            }
        }
        request(wire).await;
        let page = "<!doctype html><html><h1>Down for maintenance</h1></html>";
        let heads = [
            "503 Service Unavailable\r\ncontent-type: text/html",
            "200 OK\r\ncontent-type: text/html",
            "301 Moved Permanently\r\nlocation: https://status.example/",
            "502 Bad Gateway",
            "429 Too Many Requests\r\nretry-after: 7",
            "418 I'm a teapot",
        ];
        let answer = match random.below(heads.len() as u64 + 2) as usize {
            which if which < heads.len() => {
                format!("HTTP/1.1 {}\r\ncontent-length: {}\r\n\r\n{page}", heads[which], page.len())
            }
            which if which == heads.len() => page.to_owned(),
            _ => String::new(),
        };
        let _ = wire.write_all(answer.as_bytes()).await;
    }

    /// On an open connection, instead of this trade or around it. False if the connection is over.
    pub(crate) async fn play(
        self,
        link: &mut Link,
        said: &mut mpsc::Receiver<(u8, Vec<u8>)>,
        trades: &mut broadcast::Receiver<(usize, u64)>,
        (symbol, id): (usize, u64),
    ) -> bool {
        match self {
            Mode::Pages | Mode::SlowHandshake | Mode::Wrap => link.bring(symbol, id).await,
            Mode::Maintenance => link.be_quiet(said).await,
            Mode::PageFrames => pages(link, symbol, id).await,
            Mode::Gaps => {
                for _ in 0..link.random.below(8) {
                    let _ = trades.recv().await;
                }
                true
            }
            Mode::Reorder => reorder(link, trades, (symbol, id)).await,
            Mode::Repeats => {
                let recent = link.recent.clone();
                for text in recent {
                    link.say(&text).await;
                }
                link.bring(symbol, id).await
            }
            Mode::Renamed => rename(link, trades).await,
            Mode::Schema => schema(link, symbol, id).await,
            Mode::Garbage => garbage(link).await && link.bring(symbol, id).await,
            Mode::RawGarbage => {
                let bytes = random_bytes(&mut link.random, 200);
                link.put(&bytes).await;
                false
            }
            Mode::Giant => pour(link, &head(0x80 | BINARY, 64 * MIB), &[0; MIB]).await,
            Mode::Endless => pour(link, &part(TEXT, b"{"), &part(CONTINUATION, &[b' '; MIB])).await,
            Mode::EmptyFrames => empty_frames(link, symbol, id).await,
            Mode::SlowMessage => slow(link).await,
            Mode::Forbidden => forbidden(link).await,
            Mode::CloseCodes => {
                let codes = [
                    0, 999, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012,
                    1013, 1014, 1015, 1016, 2999, 3000, 3999, 4000, 4408, 4999, 5000, 65_535,
                ];
                let code = codes[link.random.below(codes.len() as u64) as usize];
                link.put(&close(code)).await;
                false
            }
            Mode::Cut => {
                let whole = message(TEXT, link.talk.trade(symbol, id, wall()).as_bytes());
                let some = link.random.below(whole.len() as u64) as usize;
                link.put(&whole[..some]).await;
                false
            }
            Mode::HalfOpen => {
                link.reading.abort();
                sleep_until(link.exchange.start + FAULTY * 3).await;
                false
            }
        }
    }
}

fn random_bytes(random: &mut Random, most: u64) -> Vec<u8> {
    (0..=random.below(most)).map(|_| random.bits() as u8).collect()
}

async fn pages(link: &mut Link, symbol: usize, id: u64) -> bool {
    for text in ["<html>503</html>", "Internal Server Error", "", "null", "{\"error\":{}}", "[]"] {
        link.say(text).await;
    }
    link.bring(symbol, id).await
}

async fn reorder(
    link: &mut Link,
    trades: &mut broadcast::Receiver<(usize, u64)>,
    first: (usize, u64),
) -> bool {
    let mut held = vec![first];
    for _ in 0..1 + link.random.below(7) {
        held.extend(trades.recv().await);
    }
    while !held.is_empty() {
        let (symbol, id) = held.remove(link.random.below(held.len() as u64) as usize);
        if link.talk.is_subscribed(symbol) && !link.bring(symbol, id).await {
            return false;
        }
    }
    true
}

/// What is asked for as FOOUSDT is now called otherwise, for a while.
async fn rename(link: &mut Link, trades: &mut broadcast::Receiver<(usize, u64)>) -> bool {
    let names = ["FOOUSD", "foousdt", "FOOUSDT_PERP", "ÄÖÜ€", "A,B", "1INCHUSDT", "x\\\"y"];
    let name = names[link.random.below(names.len() as u64) as usize];
    for other in 0..1 + link.random.below(5) {
        let number = wall().unsigned_abs() / 1_000 + other;
        let text = binance(name, number, wall(), "7.5");
        if !link.say(&text).await {
            return false;
        }
        let _ = trades.recv().await;
    }
    true
}

/// A trade with something else about it; whether it can be used is for the decoder to say.
async fn schema(link: &mut Link, symbol: usize, id: u64) -> bool {
    let native = link.exchange.dialect.natives()[symbol];
    let good = binance(native, id, wall(), "101.5");
    let millis = wall() / 1_000_000;
    let changes = [
        (format!(r#""T":{millis}"#), format!(r#""T":{millis}000"#)),
        (format!(r#""T":{millis}"#), format!(r#""T":{millis}000000"#)),
        (format!(r#""T":{millis}"#), format!(r#""T":{}"#, millis / 1_000)),
        (format!(r#""T":{millis}"#), format!(r#""T":"{millis}""#)),
        (r#""p":"101.5""#.to_owned(), r#""p":101.5"#.to_owned()),
        (r#""p":"101.5""#.to_owned(), r#""p":"1e400""#.to_owned()),
        (r#""p":"101.5""#.to_owned(), r#""price":"101.5""#.to_owned()),
        (r#""q":"0.25""#.to_owned(), r#""q":null"#.to_owned()),
        (format!(r#""t":{id}"#), r#""t":"18446744073709551616""#.to_owned()),
        (r#""m":false"#.to_owned(), r#""m":"no","new":[{"x":{}}]"#.to_owned()),
        (r#""M":true"#.to_owned(), r#""M":true,"venue":{"a":[1,2]},"u":null"#.to_owned()),
    ];
    let (from, to) = &changes[link.random.below(changes.len() as u64) as usize];
    let odd = good.replace(from, to);
    assert_ne!(odd, good);
    link.say(&odd).await
}

async fn garbage(link: &mut Link) -> bool {
    for _ in 0..1 + link.random.below(20) {
        let bytes = random_bytes(&mut link.random, 400);
        let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        let frame =
            if link.random.happens(1, 2) { message(BINARY, &bytes) } else { message(TEXT, text.as_bytes()) };
        if !link.put(&frame).await {
            return false;
        }
    }
    true
}

/// `start`, and then `more` until the client has enough.
async fn pour(link: &mut Link, start: &[u8], more: &[u8]) -> bool {
    let mut poured = 0;
    let mut is_taken = link.put(start).await;
    while is_taken && poured < 64 * MIB {
        is_taken = link.put(more).await;
        poured += more.len();
    }
    let mut book = link.exchange.book.borrow_mut();
    book.swallowed = book.swallowed.max(poured);
    false
}

/// A million empty frames of one message for the first seed, a fiftieth of them for the others.
async fn empty_frames(link: &mut Link, symbol: usize, id: u64) -> bool {
    let count =
        if link.exchange.seed == 0 && link.exchange.book.borrow().faults == 1 { 1_000_000 } else { 20_000 };
    let text = link.talk.trade(symbol, id, wall());
    let many = part(CONTINUATION, b"").repeat(1_000);
    link.put(&part(TEXT, b"")).await;
    for _ in 0..count / 1_000 {
        if !link.put(&many).await {
            return false;
        }
    }
    link.put(&message(CONTINUATION, text.as_bytes())).await
}

/// A byte a second of what would be a message of 100 kB.
async fn slow(link: &mut Link) -> bool {
    let mut is_taken = link.put(&head(0x80 | TEXT, 100_000)).await;
    while is_taken && link.exchange.is_faulty() {
        sleep(Duration::from_secs(1)).await;
        is_taken = link.put(b" ").await;
    }
    false
}

async fn forbidden(link: &mut Link) -> bool {
    let long = [b'x'; 200];
    let frames = [
        masked(b"{}"),
        message(3, b"{}"),
        message(11, b""),
        message(0x40 | TEXT, b"{}"),
        message(wire::PING, &long),
        part(wire::PING, b"x"),
        message(TEXT, b"\xff\xfe{"),
        message(TEXT, b"\xc3"),
        message(CONTINUATION, b"{}"),
        [part(TEXT, b"{"), message(TEXT, b"}")].concat(),
        message(wire::CLOSE, b"x"),
        message(wire::CLOSE, b"\x03\xe8\xff\xfe"),
    ];
    let frame = &frames[link.random.below(frames.len() as u64) as usize];
    link.put(frame).await;
    // Whoever sent that may go on sending; what is behind it must not matter.
    link.put(&message(TEXT, b"{}")).await;
    false
}

/// Plays a mode for every seed; what always holds is checked, `check` the rest.
fn each(mode: Mode, check: impl Fn(&Outcome)) {
    for seed in 0..SEEDS {
        let outcome = play(Dialect::Binance, mode, seed);
        outcome.check();
        outcome.check_recovered(Dialect::Binance);
        check(&outcome);
    }
}

fn no_alarm(outcome: &Outcome) {
    assert!(outcome.alarms.is_empty(), "{}: {:?}", outcome.what, outcome.alarms);
}

fn reconnects(outcome: &Outcome) -> u64 {
    outcome.status.iter().map(|status| status.reconnects).sum()
}

fn reconnected(outcome: &Outcome) {
    no_alarm(outcome);
    assert!(reconnects(outcome) >= 1, "{}", outcome.what);
}

fn stayed(outcome: &Outcome) {
    no_alarm(outcome);
    assert_eq!(reconnects(outcome), 0, "{}", outcome.what);
}

#[test]
fn pages_and_slow_answers_instead_of_a_handshake_are_outlived() {
    for mode in [Mode::Pages, Mode::SlowHandshake] {
        each(mode, |outcome| {
            stayed(outcome);
            assert!(outcome.status[0].failures >= 3, "{}: {:?}", outcome.what, outcome.status);
        });
    }
}

#[test]
fn maintenance_a_byte_a_second_and_half_open_sockets_are_told_within_20_s_and_1() {
    for mode in [Mode::Maintenance, Mode::SlowMessage, Mode::HalfOpen] {
        each(mode, Outcome::check_silence_told);
    }
}

#[test]
fn pages_and_garbage_as_messages_are_counted_and_cost_no_connection() {
    for mode in [Mode::PageFrames, Mode::Garbage] {
        each(mode, |outcome| {
            stayed(outcome);
            assert!(outcome.broken > 0 && outcome.missing == 0, "{}", outcome.what);
        });
    }
}

#[test]
fn gaps_are_told_and_nothing_else_is_disturbed() {
    each(Mode::Gaps, |outcome| {
        stayed(outcome);
        assert!(outcome.missing > 0, "{}", outcome.what);
    });
}

#[test]
fn another_order_and_repeats_cost_nothing() {
    for mode in [Mode::Reorder, Mode::Repeats] {
        each(mode, |outcome| {
            stayed(outcome);
            assert_eq!(outcome.missing, 0, "{}", outcome.what);
        });
    }
}

#[test]
fn names_that_nobody_asked_for_are_symbols_of_their_own() {
    each(Mode::Renamed, |outcome| {
        assert_eq!(reconnects(outcome), 0, "{}", outcome.what);
        assert!(outcome.ids.len() > 2, "{}: {:?}", outcome.what, outcome.ids.keys());
    });
}

#[test]
fn changed_units_and_members_are_read_or_counted_and_cost_no_connection() {
    each(Mode::Schema, |outcome| {
        stayed(outcome);
        let ledger = &outcome.summary.ledger;
        assert!(outcome.broken + ledger.rejected + ledger.late > 0, "{}: {ledger:?}", outcome.what);
    });
}

#[test]
fn frames_that_nobody_may_send_cost_one_connection_each() {
    for mode in [Mode::RawGarbage, Mode::Forbidden, Mode::CloseCodes, Mode::Cut] {
        each(mode, reconnected);
    }
}

#[test]
fn of_64_mib_and_of_what_has_no_end_no_more_than_the_limit_is_taken() {
    for mode in [Mode::Giant, Mode::Endless] {
        for seed in 0..SEEDS / 5 {
            let outcome = play(Dialect::Binance, mode, seed);
            outcome.check();
            outcome.check_recovered(Dialect::Binance);
            reconnected(&outcome);
            assert!(
                outcome.book.swallowed <= SWALLOWED_MAX,
                "{}: {} bytes",
                outcome.what,
                outcome.book.swallowed
            );
        }
    }
}

#[test]
fn a_million_empty_frames_are_one_message() {
    each(Mode::EmptyFrames, |outcome| {
        stayed(outcome);
        assert_eq!(outcome.missing, 0, "{}", outcome.what);
    });
}
