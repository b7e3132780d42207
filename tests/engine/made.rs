//! Made-up inputs: small markets as CSV and as captures, cut, shuffled and repeated.

use std::io::Write;
use std::path::{Path, PathBuf};

use feeds::time::SECOND;
use proptest::prelude::*;
use tapedeck::config::{Catalogue as Names, Config};
use tapedeck::market::capture::CaptureWriter;
use tapedeck::market::{Change, Market, MarketEvent, MarketSpec, csv};

/// What a test replays.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Trades in a CSV, without receive times.
    Csv,
    /// Trades and untimed quotes with receive times, so with clock entries.
    Capture,
}

/// Lines of a made-up market, without what comes before the first of them, and the time of each.
pub(crate) struct Made {
    pub(crate) kind: Kind,
    pub(crate) head: Vec<u8>,
    pub(crate) lines: Vec<Vec<u8>>,
    pub(crate) times: Vec<i64>,
}

/// `lines` lines of a market from `seed`. The quietest of its symbols tick a few times a minute.
pub(crate) fn made(kind: Kind, seed: u64, lines: usize) -> Made {
    made_of(7, kind, seed, lines)
}

/// The same of so many symbols.
pub(crate) fn made_of(symbols: u32, kind: Kind, seed: u64, lines: usize) -> Made {
    let spec = MarketSpec { symbols, seed, ticks_per_second: 12, ..MarketSpec::default() };
    let quotes_per_trade = if matches!(kind, Kind::Csv) { 0 } else { 2 };
    let mut market = Market::new(MarketSpec { quotes_per_trade, ..spec });
    let instruments = market.instruments().to_vec();
    let mut writer = CaptureWriter::new(&instruments);
    let mut made = Made { kind, head: Vec::new(), lines: Vec::new(), times: Vec::new() };
    match kind {
        Kind::Csv => made.head.extend_from_slice(csv::HEADER.as_bytes()),
        Kind::Capture => writer.put_opening(&mut made.head, spec.start),
    }
    while made.lines.len() < lines {
        let event = market.next().unwrap();
        let instrument = &instruments[event.symbol as usize];
        let mut line = Vec::new();
        match kind {
            Kind::Csv if !csv::put_row(&mut line, &event, instrument) => continue,
            Kind::Csv => {}
            Kind::Capture => writer.put_event(&mut line, &event, instrument),
        }
        made.times.push(event.exchange_ts);
        made.lines.push(line);
    }
    made
}

/// The name of a symbol as on the wire.
pub(crate) fn native_of(symbol: usize) -> String {
    Market::new(MarketSpec { symbols: 7, ..MarketSpec::default() }).instruments()[symbol].native.clone()
}

/// A trade of `symbol` as its line of a capture.
pub(crate) fn capture_trade(symbol: u32, id: u64, exchange_ts: i64, received_at: i64) -> Vec<u8> {
    let market = Market::new(MarketSpec { symbols: 7, ..MarketSpec::default() });
    let instruments = market.instruments();
    let change = Change::Trade { id, price: 1_000, size: 5, buyer_is_maker: false };
    let event = MarketEvent { exchange_ts, received_at, symbol, change };
    let mut line = Vec::new();
    CaptureWriter::new(instruments).put_event(&mut line, &event, &instruments[symbol as usize]);
    line
}

/// Writes `lines` behind `head` to a file in `folder`.
pub(crate) fn file(folder: &Path, name: &str, head: &[u8], lines: &[Vec<u8>]) -> PathBuf {
    let path = folder.join(name);
    let mut out = std::fs::File::create(&path).unwrap();
    out.write_all(head).unwrap();
    out.write_all(&lines.concat()).unwrap();
    path
}

impl Made {
    /// All of it in one file.
    pub(crate) fn whole(&self, folder: &Path) -> Vec<PathBuf> {
        vec![file(folder, self.name("whole"), &self.head, &self.lines)]
    }

    /// A name that says what it is.
    pub(crate) fn name(&self, stem: &'static str) -> &'static str {
        match (self.kind, stem) {
            (Kind::Csv, "whole") => "whole.csv",
            (Kind::Csv, "other") => "other.csv",
            (Kind::Capture, "whole") => "whole.txt",
            _ => "other.txt",
        }
    }
}

pub(crate) fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Csv), Just(Kind::Capture)]
}

/// Rules of every kind, such that each fires now and then: live and over final windows, with deadlines, over quotes and
/// outages, with memory, and over two symbols.
const RULES: &str = "
[[rules]]
name = \"burst\"
when = \"volume[1s, -1] > 2 * mean(volume[1s, -1], 5)\"
cooldown = \"3s\"
[[rules]]
name = \"held\"
when = \"close[1s, -1] > vwap[1m]\"
for = \"2s\"
severity = \"info\"
[[rules]]
name = \"now\"
when = \"size > 2 * mean(volume[1s], 3) and trades[1s] > 0\"
until = \"trades[1s] > 2\"
once_per_window = \"1m\"
[[rules]]
name = \"turn\"
when = \"change(close[1s, -1]) > 0 then change(close[1s, -1]) < 0 within 10s\"
labels = { kind = \"pattern\" }
[[rules]]
name = \"quiet\"
when = \"not size > 0 for 3s\"
severity = \"critical\"
[[rules]]
name = \"crossing\"
when = \"crosses_above(price, vwap[1m])\"
[[rules]]
name = \"spread\"
when = \"spread > 0 and age(trades) > 1s\"
message = \"{symbol}: {spread}\"
[[rules]]
name = \"gap\"
when = \"gap(trades) or stale(quotes)\"
[[rules]]
name = \"pair\"
when = '''change(\"binance:ONE\".close[1s, -1]) > 0 and change(\"binance:OTHER\".close[1s, -1]) > 0'''
for = \"1s\"
[[silences]]
name = \"some\"
rules = [\"turn\"]
symbols = [\"binance-us:*\"]
until = \"2100-01-01T00:00:00Z\"
[[silences]]
name = \"early\"
rules = [\"held\", \"now\", \"pair\"]
until = \"MIDDLE\"
[[inhibitions]]
source = { rules = [\"held\"] }
target = { rules = [\"now\"], severity = \"warning\" }
equal = [\"venue\"]
[[inhibitions]]
source = { rules = [\"quiet\"] }
target = { rules = [\"burst\"] }
equal = [\"symbol\"]
";

/// Windows over trades, over quotes and over both, and checkpoints as often as may be configured.
pub(crate) fn config(more: bool) -> Config {
    let mut text = String::from(
        "[engine]\nlateness = \"500ms\"\nidle = \"2s\"\ncheckpoint_entries = 1000\n\
         [[windows]]\nname = \"1s\"\n\
         [[windows]]\nname = \"1m\"\nstats = [\"bar\", \"quotes\", \"mid_close\", \"spread_tw\"]\n\
         [[windows]]\nname = \"7s\"\nstats = [\"spread_tw\"]\n",
    );
    if more {
        text.push_str(
            "[[windows]]\nname = \"z2s\"\nsize = \"2s\"\n[[windows]]\nname = \"z5s\"\nsize = \"5s\"\nstats = [\"quotes\"]\n\
             [[windows]]\nname = \"z1h\"\nsize = \"1h\"\n",
        );
    }
    let market = Market::new(MarketSpec { symbols: 7, ..MarketSpec::default() });
    let names: Vec<&str> = market.instruments().iter().map(|it| it.native.as_str()).collect();
    let middle = feeds::time::format(MarketSpec::default().start + 20 * SECOND);
    text.push_str(&RULES.replace("ONE", names[0]).replace("OTHER", names[1]).replace("MIDDLE", &middle));
    let mut config = Config::parse("made", &text, &Names::built_in()).unwrap();
    config.engine.checkpoint_entries = 300;
    assert_eq!(config.engine.idle, 2 * SECOND);
    config
}
