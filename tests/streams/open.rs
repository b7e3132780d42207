//! Windows that are open: what looks at them say, what who is slow is told of them, and that they change nothing.

use std::cell::Cell;
use std::time::Duration;

use bytes::Bytes;
use feeds::frame::{Frame, FrameCounts};
use feeds::outage::Attention;
use feeds::symbol::SymbolTable;
use feeds::time::{Nanos, SECOND};
use feeds::venue::{Output, Session};
use feeds::venues::by_id;
use serde_json::Value;
use tapedeck::clock;
use tapedeck::config::{Catalogue, Config};
use tapedeck::feed::delivery::{ConnectionId, Decoded, Delivery, RawFrame};
use tapedeck::market::capture::CaptureWriter;
use tapedeck::market::{Change, Market, MarketEvent, MarketSpec};
use tapedeck::query::dump;
use tapedeck::serve::Terms;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::client::{Follower, Said};
use crate::support::{DEADLINE, Served};

const CONFIG: &str = "[[windows]]\nname = \"1s\"\n[[windows]]\nname = \"1m\"\n";
const PATH: &str = "/v1/windows/stream?live=true";
const MILLISECOND: Nanos = SECOND / 1_000;
/// Looks before the slow one reads: three seconds, of which it is told one before an answer is missed.
const LOOKS: usize = 12;
/// When the first trade is, at the beginning of a minute.
const BEGIN: Nanos = 1_700_000_040 * SECOND;

/// A run with one connection, whose frames the test makes.
struct Stage {
    served: Served,
    session: Box<dyn Session>,
    attention: Attention,
    symbols: SymbolTable,
    announced: usize,
    runtime: Runtime,
}

impl Stage {
    fn new() -> Stage {
        let config = Config::parse("test", CONFIG, &Catalogue::built_in()).unwrap();
        let terms = Terms { write_within: Duration::from_secs(60), ..Terms::default() };
        let mut served = Served::with(config, terms);
        let venue = by_id("binance").unwrap();
        let (connection, address) = (ConnectionId(1), "ws://made".to_owned());
        let opened = Delivery::Opened { connection, venue, address, received_at: BEGIN };
        served.deck.take(opened, false).unwrap();
        Stage {
            served,
            session: venue.open(),
            attention: Attention::new(venue),
            symbols: SymbolTable::new(venue.id()),
            announced: 0,
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
        }
    }

    fn connect(&self, path: &str) -> Follower {
        self.runtime.block_on(Follower::connect(self.served.address, path))
    }

    /// Delivers these events.
    fn take(&mut self, events: &[MarketEvent]) {
        let market = market();
        let instruments = market.instruments();
        let mut writer = CaptureWriter::new(instruments);
        let (mut output, mut counts, mut frames) = (Output::default(), FrameCounts::default(), Vec::new());
        for event in events {
            let mut line = Vec::new();
            writer.put_event(&mut line, event, &instruments[event.symbol as usize]);
            let space = line.iter().position(|byte| *byte == b' ').unwrap();
            let payload = line[space + 1..].trim_ascii_end();
            let received_at = event.received_at;
            let frame = Frame { received_at: Some(received_at), payload };
            self.attention.on_frame(&mut *self.session, frame, &mut self.symbols, &mut output, &mut counts);
            let (payload, ticks) = (Bytes::copy_from_slice(payload), output.ticks.len());
            frames.push(RawFrame { received_at, entered: clock::stamp(), payload, ticks });
        }
        let new_symbols = self.symbols.symbols()[self.announced..].to_vec();
        self.announced += new_symbols.len();
        let (connection, decoded) = (ConnectionId(1), clock::stamp());
        let decoded = Decoded { connection, frames, output, counts, new_symbols, decoded };
        self.served.deck.take(Delivery::Frames(Box::new(decoded)), false).unwrap();
    }

    /// What `follower` is told next, while another symbol's trade is sent again and again: epochs go by
    /// that change nothing.
    fn next(&mut self, follower: &mut Follower) -> Value {
        let begun = clock::stamp();
        loop {
            assert!(begun.elapsed_nanos() < DEADLINE.as_nanos() as i64, "nothing is told");
            self.take(&[trade(OTHER, 1, 0)]);
            let said =
                self.runtime.block_on(async { timeout(Duration::from_millis(10), follower.next()).await });
            match said {
                Ok(Said::Row(message)) => return message,
                Ok(Said::Heartbeat(_)) | Err(_) => {}
                Ok(cut) => panic!("{cut:?}"),
            }
        }
    }

    /// The dump of what came of all, at the end.
    fn dumped(self) -> String {
        let store = self.served.store.clone();
        self.served.end();
        let catalogue = tapedeck::query::Catalogue::read(&*store).unwrap();
        let mut out = Vec::new();
        dump::write(&*store, &catalogue, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }
}

const OTHER: u32 = 1;

fn market() -> Market {
    Market::new(MarketSpec { symbols: 3, ticks_per_second: 30, ..MarketSpec::default() })
}

/// The trade of this id, so long after the begin.
fn trade(symbol: u32, id: u64, after: Nanos) -> MarketEvent {
    let exchange_ts = BEGIN + after;
    let change =
        Change::Trade { id, price: 1_000 + id as i64 % 7, size: 5, buyer_is_maker: id.is_multiple_of(2) };
    MarketEvent { exchange_ts, received_at: exchange_ts + MILLISECOND, symbol, change }
}

/// The rows of a message about our symbol, and whether they are looks.
fn ours(message: &Value, name: &str) -> (Vec<Value>, bool) {
    let rows = message["rows"].as_array().unwrap().iter();
    let rows = rows.filter(|row| row["symbol"].as_str().unwrap().ends_with(name)).cloned().collect();
    (rows, message["open"] == true)
}

fn without_revision(row: &Value) -> Value {
    let mut row = row.clone();
    row["revision"] = Value::Null;
    row
}

#[test]
fn a_look_says_what_the_window_closes_with() {
    let mut stage = Stage::new();
    let name = market().instruments()[0].native.clone();
    let mut follower = stage.connect(&format!("{PATH}&window=1s&symbol=binance:{name}"));
    stage.take(&[trade(0, 1, MILLISECOND)]);
    let (rows, is_open) = ours(&stage.next(&mut follower), &name);
    assert!(is_open);
    assert_eq!((rows.len(), &rows[0]["trades"], &rows[0]["revision"]), (1, &Value::from(1), &Value::Null));
    // The symbol has been looked at a moment ago. That these come is said all the same, without another tick of it.
    let more: Vec<MarketEvent> = (2..=5).map(|id| trade(0, id, id as i64 * 100 * MILLISECOND)).collect();
    stage.take(&more);
    let last = loop {
        let message = stage.next(&mut follower);
        let (rows, is_open) = ours(&message, &name);
        assert!(is_open && rows.len() == 1, "{message}");
        if rows[0]["trades"] == 5 {
            break rows[0].clone();
        }
    };
    stage.take(&[trade(0, 6, 1_200 * MILLISECOND)]);
    let mut closed = None;
    let next = loop {
        let message = stage.next(&mut follower);
        let (mut rows, is_open) = ours(&message, &name);
        let row = rows.pop().unwrap();
        if is_open && row["start"] != last["start"] {
            break row;
        }
        assert!(!is_open || closed.is_none(), "a look behind the result");
        if !is_open {
            assert_eq!((&row["revision"], message.get("open")), (&Value::from(0), None));
            closed = Some(row);
        }
    };
    assert_eq!(closed.map(|row| without_revision(&row)), Some(last));
    assert_eq!(next["trades"], 1);
    stage.served.end();
}

#[test]
fn who_is_slow_is_told_the_last_look_and_how_many_were_left_out() {
    let mut stage = Stage::new();
    let name = market().instruments()[0].native.clone();
    let path = format!("{PATH}&symbol=binance:{name}");
    // Neither answers a ping before it reads, and who owes an answer is told no more.
    let (mut prompt, mut slow) = (stage.connect(&path), stage.connect(&path));
    let (mut count, mut looks, mut last) = (0, 0, Value::Null);
    let mut id = 0;
    while looks < LOOKS {
        id += 1;
        stage.take(&[trade(0, id, id as i64 * MILLISECOND)]);
        let message = stage.next(&mut prompt);
        let (rows, is_open) = ours(&message, &name);
        assert!(is_open, "{message}");
        count += rows.len() as u64 + message["left_out"].as_u64().unwrap();
        looks += 1;
        last = rows[0].clone();
    }
    while last["trades"] != id {
        let message = stage.next(&mut prompt);
        let (rows, _) = ours(&message, &name);
        count += rows.len() as u64 + message["left_out"].as_u64().unwrap();
        last = rows[0].clone();
    }
    let (mut told, mut left_out) = (0, 0);
    loop {
        let message = stage.next(&mut slow);
        let (rows, is_open) = ours(&message, &name);
        assert!(is_open);
        told += rows.len() as u64;
        left_out += message["left_out"].as_u64().unwrap();
        if rows[0] == last {
            break;
        }
    }
    assert_eq!(told + left_out, count, "each look is told or counted");
    assert!(left_out >= 4 && told < count, "told {told}, left out {left_out} of {count}");
    stage.served.end();
}

#[test]
fn looks_change_no_result() {
    let batches: Vec<Vec<MarketEvent>> = {
        let events: Vec<MarketEvent> = market().take(3_000).collect();
        events.chunks(40).map(<[MarketEvent]>::to_vec).collect()
    };
    let run = |is_followed: bool| {
        let mut stage = Stage::new();
        let mut follower = is_followed.then(|| stage.connect(PATH));
        let looks = Cell::new(0);
        for batch in &batches {
            stage.take(batch);
            let Some(follower) = &mut follower else { continue };
            let reading = async {
                while let Said::Row(message) = follower.next().await {
                    looks.set(looks.get() + usize::from(message["open"] == true));
                }
            };
            let _ = stage.runtime.block_on(async { timeout(Duration::from_millis(15), reading).await });
        }
        (stage.dumped(), looks.get())
    };
    let (followed, looks) = run(true);
    let (alone, none) = run(false);
    assert!(looks >= 3 && none == 0, "{looks}");
    assert!(followed.lines().count() > 100, "{followed}");
    assert!(followed == alone, "looks change a result");
}
