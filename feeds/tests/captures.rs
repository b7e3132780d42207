//! Real captures against the truth that another program computed of them: per symbol each count, exact sum, id,
//! price and time, and the kinds of all frames.
//!
//! The captures lie beside the workspace and are not part of it; without them these tests say so and pass.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot read its input has failed")]

#[path = "captures/fields.rs"]
mod fields;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use feeds::frame::{Frame, FrameCounts};
use feeds::symbol::SymbolTable;
use feeds::tick::{Event, Quote, Rejection, Side, Trade};
use feeds::time::{self, Nanos, Unit};
use feeds::venue::{Output, Venue};
use feeds::venues::{VENUES, by_id};
use rust_decimal::Decimal as Exact;
use serde_json::Value;

/// How a capture's lines are written.
#[derive(Clone, Copy, PartialEq)]
enum Lines {
    /// `<integer time> <frame>`, behind it the unit.
    Integer(Unit),
    /// `<seconds>: <frame>`, the first line naming the endpoint.
    Cryptofeed,
}

/// Capture, venue, venue that its frames alone show (empty: none of them is plain), form of lines.
const CAPTURES: &[(&str, &str, &str, Lines)] = &[
    ("hftbacktest/spot_btcusdt_20240808.gz", "binance", "binance", Lines::Integer(Unit::Nanos)),
    ("hftbacktest/spot_ethusdt_20240808.gz", "binance", "binance", Lines::Integer(Unit::Nanos)),
    ("hftbacktest/usdm_btcusdt_20240808.gz", "binance-usdm", "binance-usdm", Lines::Integer(Unit::Nanos)),
    (
        "hftbacktest/usdm_btcusdt_20230404.dat.gz",
        "binance-usdm",
        "binance-usdm",
        Lines::Integer(Unit::Micros),
    ),
    ("cryptofeed/cf_binance_spot.raw.gz", "binance", "binance", Lines::Cryptofeed),
    ("cryptofeed/cf_binance_us.raw.gz", "binance-us", "binance", Lines::Cryptofeed),
    ("cryptofeed/cf_binance_usdm.raw.gz", "binance-usdm", "binance-usdm", Lines::Cryptofeed),
    ("cryptofeed/cf_binance_coinm.raw.gz", "binance-coinm", "binance-coinm", Lines::Cryptofeed),
    ("cryptofeed/cf_huobi_spot.raw.gz", "htx", "htx", Lines::Cryptofeed),
    ("cryptofeed/cf_huobi_linear_swap.raw.gz", "htx-linear-swap", "htx-linear-swap", Lines::Cryptofeed),
    (
        "hftbacktest/hyperliquid_btc_20250126_part1.ndjson.gz",
        "hyperliquid",
        "hyperliquid",
        Lines::Integer(Unit::Nanos),
    ),
    ("cryptofeed/cf_upbit.raw.gz", "upbit", "upbit", Lines::Cryptofeed),
    ("cryptofeed/cf_bitflyer.raw.gz", "bitflyer", "bitflyer", Lines::Cryptofeed),
    ("cryptofeed/cf_phemex.raw.gz", "phemex", "phemex", Lines::Cryptofeed),
    ("cryptofeed/cf_poloniex.raw.gz", "poloniex", "poloniex", Lines::Cryptofeed),
    ("cryptofeed/cf_gemini.raw.gz", "gemini", "gemini", Lines::Cryptofeed),
    ("cryptofeed/cf_coinbase_exchange.raw.gz", "coinbase", "coinbase", Lines::Cryptofeed),
    ("cryptofeed/cf_kraken_futures.raw.gz", "kraken-futures", "kraken-futures", Lines::Cryptofeed),
    ("cryptofeed/cf_kraken_v1_book.raw.gz", "kraken", "kraken", Lines::Cryptofeed),
    ("cryptofeed/cf_kraken_v1_ticker.raw.gz", "kraken", "kraken", Lines::Cryptofeed),
    ("cryptofeed/cf_kraken_v1_trade.raw.gz", "kraken", "kraken", Lines::Cryptofeed),
    ("cryptofeed/cf_bybit_v5_linear.raw.gz", "bybit-linear", "", Lines::Cryptofeed),
    ("cryptofeed/cf_bybit_v2_linear.raw.gz", "bybit-linear", "bybit-linear", Lines::Cryptofeed),
    ("cryptofeed/cf_bitstamp.raw.gz", "bitstamp", "bitstamp", Lines::Cryptofeed),
    ("cryptofeed/cf_okx.raw.gz", "okx", "okx", Lines::Cryptofeed),
    ("cryptofeed/cf_deribit.raw.gz", "deribit", "deribit", Lines::Cryptofeed),
    ("cryptofeed/cf_bitfinex.raw.gz", "bitfinex", "bitfinex", Lines::Cryptofeed),
    ("cryptofeed/cf_bitget_v1_spot.raw.gz", "bitget", "bitget", Lines::Cryptofeed),
    ("cryptofeed/cf_bitget_v1_mix.raw.gz", "bitget-mix", "bitget-mix", Lines::Cryptofeed),
    ("cryptofeed/cf_dydx_v3.raw.gz", "dydx", "dydx", Lines::Cryptofeed),
    ("cryptofeed/cf_bitmex.raw.gz", "bitmex", "bitmex", Lines::Cryptofeed),
    ("cryptofeed/cf_kucoin.raw.gz", "kucoin", "kucoin", Lines::Cryptofeed),
    ("cryptofeed/cf_gateio_v4_spot.raw.gz", "gate", "gate", Lines::Cryptofeed),
    ("cryptofeed/cf_gateio_v4_futures.raw.gz", "gate-futures", "gate-futures", Lines::Cryptofeed),
    ("cryptofeed/cf_hitbtc_v2.raw.gz", "hitbtc", "hitbtc", Lines::Cryptofeed),
];

/// Files that lie beside the captures: what is compared elsewhere, and what no format here reads.
const ELSEWHERE: &[(&str, &[&str])] = &[
    (
        "compared in tests/formats/real.rs",
        &[
            "DERIVED_binancevision_aggTrades_XRPETH_20191011_part1.csv.gz",
            "DERIVED_binancevision_trades_BTCUSDT_20240808.csv.gz",
            "tardis_binance-futures_quotes_20200222_BTCUSDT_part1.csv.gz",
            "tardis_binance-futures_trades_20200222_BTCUSDT_part1.csv.gz",
            "tardis_huobi-dm-swap_quotes_BTC-USD.csv",
        ],
    ),
    ("compared below, frames without times", &["bybit_2024-12-01_XRPUSDT_ob500.data.gz"]),
    (
        "books and tickers of tables, of which no ticks are read",
        &[
            "tardis_binance-futures_book_snapshot_5_BTCUSDT.csv",
            "tardis_deribit_incremental_book_L2_BTC-PERPETUAL.csv",
            "tardis_derivative_ticker.csv",
        ],
    ),
    (
        "of other markets, in formats that are not read",
        &[
            "dbn_test_cmbp-1.v3.dbn.zst",
            "dbn_test_mbo.v3.dbn.zst",
            "dbn_test_mbp-1.v3.dbn.zst",
            "dbn_test_mbp-10.v3.dbn.zst",
            "dbn_test_ohlcv-1s.v3.dbn.zst",
            "dbn_test_tbbo.v3.dbn.zst",
            "dbn_test_trades.v3.dbn.zst",
            "dukascopy_BTCUSD_2023-02-20_12h_ticks.bi5",
            "dukascopy_EURUSD_2019-02-04_08h_ticks.bi5",
            "histdata_eurusd_ticks_20200101_part1.csv.gz",
            "truefx_usdjpy_ticks_201301_part1.csv.gz",
        ],
    ),
];

/// Captures of quotes to which nothing gives a time, in no frame. They are dropped at the end, and quotes all the same.
const UNPLACED: &[&str] = &["cryptofeed/cf_bitfinex.raw.gz", "cryptofeed/cf_kraken_v1_ticker.raw.gz"];

/// What a capture's books are to its ticks.
#[derive(Clone, Copy, PartialEq)]
enum Books {
    /// Frames of their own, which are passed over.
    Apart,
    /// Whole in each frame, and their tops are the quotes. The truth counts them as books only.
    Quotes,
    /// A whole one comes in one frame with trades of the past.
    WithPast,
}

fn books(capture: &str) -> Books {
    match capture {
        "cryptofeed/cf_upbit.raw.gz" => Books::Quotes,
        "cryptofeed/cf_gemini.raw.gz" => Books::WithPast,
        _ => Books::Apart,
    }
}

fn data() -> Option<PathBuf> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data"));
    if !path.is_dir() {
        eprintln!("skipped: no captures at {}", path.display());
        return None;
    }
    Some(path.to_owned())
}

fn inflate(path: &Path) -> Vec<u8> {
    let file = fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut bytes = Vec::new();
    flate2::read::MultiGzDecoder::new(file).read_to_end(&mut bytes).unwrap();
    bytes
}

fn truth(data: &Path, capture: &str) -> Value {
    let name = Path::new(capture).file_name().unwrap().to_str().unwrap().split('.').next().unwrap();
    serde_json::from_slice(&fs::read(data.join("truth").join(format!("{name}.json"))).unwrap()).unwrap()
}

/// A frame and when it came in.
type Line<'c> = (Nanos, Cow<'c, [u8]>);

/// What a recorder wrote as Python writes bytes (`b'\x1f\n'`), or the text itself.
fn unwritten(frame: &[u8]) -> Cow<'_, [u8]> {
    let Some(mut rest) =
        frame.strip_prefix(b"b").filter(|rest| rest.starts_with(b"'") || rest.starts_with(b"\""))
    else {
        return Cow::Borrowed(frame);
    };
    rest = &rest[1..rest.len() - 1];
    let mut bytes = Vec::new();
    while let [first, behind @ ..] = rest {
        let (byte, behind) = match (first, behind) {
            (b'\\', [b'x', digits @ ..]) => {
                (u8::from_str_radix(std::str::from_utf8(&digits[..2]).unwrap(), 16).unwrap(), &digits[2..])
            }
            (b'\\', [b'n', behind @ ..]) => (b'\n', behind),
            (b'\\', [b'r', behind @ ..]) => (b'\r', behind),
            (b'\\', [b't', behind @ ..]) => (b'\t', behind),
            (b'\\', [byte, behind @ ..]) => (*byte, behind),
            (byte, behind) => (*byte, behind),
        };
        bytes.push(byte);
        rest = behind;
    }
    Cow::Owned(bytes)
}

/// The endpoint that a capture names, if it does, and its frames with their times.
fn frames(bytes: &[u8], lines: Lines) -> (Option<&str>, Vec<Line<'_>>) {
    let (mut endpoint, mut frames) = (None, Vec::new());
    for line in bytes.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
        if line.starts_with(b"wss://") {
            endpoint = std::str::from_utf8(line).unwrap().split(' ').next();
            continue;
        }
        let space = line.iter().position(|&byte| byte == b' ').expect("a time and a frame");
        let time = match lines {
            Lines::Integer(unit) => time::parse_in(&line[..space], unit),
            Lines::Cryptofeed => time::parse_in(line[..space].strip_suffix(b":").unwrap(), Unit::Seconds),
        };
        frames.push((time.expect("a receive time"), unwritten(&line[space + 1..])));
    }
    (endpoint, frames)
}

fn exact(text: impl ToString) -> Exact {
    Exact::from_str(&text.to_string()).expect("a decimal")
}

/// An id of the truth as the number that ticks have: a UUID is the exclusive or of its halves.
fn number(id: &Value) -> Option<String> {
    let digits: String = id.as_str()?.split('-').collect();
    match u128::from_str_radix(&digits, 16) {
        Ok(uuid) if digits.len() == 32 => Some((((uuid >> 64) ^ uuid) as u64).to_string()),
        _ => Some(digits),
    }
}

/// The counter that stands in the capture itself beside an id that is no number, in the same object.
fn counter(capture: &[u8], [id_key, counter_key]: [&str; 2], id: &Value) -> Option<String> {
    let written = format!("\"{id_key}\":{id}");
    let at = capture.windows(written.len()).position(|window| window == written.as_bytes()).expect("the id");
    let start = capture[..at].iter().rposition(|&byte| byte == b'{').unwrap();
    let end = at + capture[at..].iter().position(|&byte| byte == b'}').unwrap();
    let row: Value = serde_json::from_slice(&capture[start..=end]).unwrap();
    match &row[counter_key] {
        Value::String(digits) => Some(digits.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// What the trades of one symbol add up to.
#[derive(Default)]
struct Sums {
    trades: Vec<(Nanos, Trade)>,
    history: Vec<(Nanos, Trade)>,
    quotes: u64,
    last_quote: Option<Quote>,
}

impl Sums {
    fn check_trades(
        name: &str,
        found: &[(Nanos, Trade)],
        truth: &Value,
        number: &dyn Fn(&Value) -> Option<String>,
    ) {
        let price = |trade: &Trade| exact(trade.price());
        let sum = |side: Option<Side>, worth: &dyn Fn(&Trade) -> Exact| -> Exact {
            let trades = found.iter().map(|(_, trade)| trade);
            trades.filter(|trade| side.is_none_or(|side| side == trade.side)).map(worth).sum()
        };
        let count = |side| found.iter().filter(|(_, trade)| trade.side == side).count();
        let size = |trade: &Trade| exact(trade.size());
        let decimals = [
            ("size_sum", sum(None, &size)),
            ("notional_sum", sum(None, &|trade| price(trade) * size(trade))),
            ("buy_size", sum(Some(Side::Buy), &size)),
            ("sell_size", sum(Some(Side::Sell), &size)),
            ("first_price", price(&found[0].1)),
            ("last_price", price(&found[found.len() - 1].1)),
            ("min_price", found.iter().map(|(_, trade)| price(trade)).min().unwrap()),
            ("max_price", found.iter().map(|(_, trade)| price(trade)).max().unwrap()),
        ];
        for (field, ours) in decimals {
            assert_eq!(ours, exact(truth[field].as_str().unwrap()), "{name} {field}");
        }
        let counts = [("buy", Side::Buy), ("sell", Side::Sell), ("unknown_side", Side::Unknown)];
        for (field, side) in counts {
            assert_eq!(Some(count(side) as u64), truth[field].as_u64(), "{name} {field}");
        }
        assert_eq!(Some(found.len() as u64), truth["trades"].as_u64(), "{name} trades");
        for (end, (time, trade)) in [("first", found[0]), ("last", found[found.len() - 1])] {
            let (id, said) = (trade.id().map(|id| id.to_string()), number(&truth[format!("{end}_id")]));
            assert_eq!(id, said, "{name} {end} id");
            assert_eq!(Some(time), truth[format!("{end}_time_ns")].as_i64(), "{name} {end} time");
        }
    }

    fn check_quotes(&self, name: &str, truth: &Value, books: Books) {
        let (count, last) = match books {
            Books::Quotes => ("snapshots", "final_best"),
            _ => ("updates", "last"),
        };
        assert_eq!(Some(self.quotes), truth[count].as_u64(), "{name} quotes");
        let Some(quote) = self.last_quote else { return };
        let sides = [
            ("bid", quote.bid()),
            ("bid_size", quote.bid_size()),
            ("ask", quote.ask()),
            ("ask_size", quote.ask_size()),
        ];
        for (side, ours) in sides {
            let theirs = truth[format!("{last}_{side}")].as_str().unwrap();
            assert_eq!(exact(ours), exact(theirs), "{name} {last}_{side}");
        }
    }
}

struct Decoded {
    counts: FrameCounts,
    symbols: BTreeMap<String, Sums>,
    offsets: Vec<(usize, Nanos)>,
    /// Quotes that nothing placed.
    dropped: u64,
}

fn decode(venue: &dyn Venue, frames: &[Line<'_>]) -> Decoded {
    let (mut session, mut table) = (venue.open(), SymbolTable::new(venue.id()));
    let (mut out, mut counts) = (Output::default(), FrameCounts::default());
    for (received_at, payload) in frames {
        let frame = Frame { received_at: Some(*received_at), payload };
        counts.count(&session.on_frame(frame, &mut table, &mut out));
    }
    session.finish(&mut out);
    let mut symbols: BTreeMap<String, Sums> = BTreeMap::new();
    let mut dropped_quotes = 0;
    for tick in &out.ticks {
        let sums = symbols.entry(table.symbols()[tick.symbol.0 as usize].native().to_owned()).or_default();
        match tick.event {
            Event::Trade(trade) if tick.history => sums.history.push((tick.exchange_ts, trade)),
            Event::Trade(trade) => sums.trades.push((tick.exchange_ts, trade)),
            Event::Quote(quote) => (sums.quotes, sums.last_quote) = (sums.quotes + 1, Some(quote)),
            Event::Rejected(Rejection::Dropped) => {
                (sums.quotes, dropped_quotes) = (sums.quotes + 1, dropped_quotes + 1);
            }
            Event::Rejected(why) => panic!("a real tick rejected: {why:?}"),
        }
    }
    Decoded { counts, symbols, offsets: out.offsets, dropped: dropped_quotes }
}

/// Frames by kind as the truth counts them. Quotes without sizes, which it counts too, are passed over.
fn check_frames(counts: &FrameCounts, truth: &Value, has_quotes: bool, books: Books) {
    let totals = &truth["totals"];
    let total = |field: &str| totals[field].as_u64().unwrap_or_else(|| panic!("no {field}"));
    let passed = |kind: &str| counts.passed_over.get(kind).copied().unwrap_or(0);
    assert!(counts.adds_up());
    assert_eq!(Some(counts.frames), truth["received_frames"].as_u64());
    let (quotes, others) = if has_quotes { (total("l1_frames"), 0) } else { (0, total("l1_frames")) };
    let (book_quotes, book_ticks) = match books {
        Books::Apart => (0, 0),
        Books::Quotes => (total("l2_snapshot_msgs"), total("l2_snapshot_msgs")),
        Books::WithPast => (0, total("snapshot_trade_frames")),
    };
    assert_eq!(counts.ticks, total("trade_frames") + total("snapshot_trade_frames") + quotes + book_quotes);
    assert_eq!(passed("depth_snapshot") + book_ticks, total("l2_snapshot_msgs"));
    assert_eq!(passed("depth"), total("l2_update_msgs"));
    assert_eq!(passed("kline"), total("candles"));
    assert_eq!((counts.control, counts.heartbeat), (total("control"), total("heartbeats")));
    let named = passed("depth_snapshot") + passed("depth") + passed("kline");
    assert_eq!(counts.passed_over.values().sum::<u64>() - named, total("other") + others);
    assert!(counts.unknown.is_empty(), "{:?}", counts.unknown);
    assert_eq!((counts.broken, counts.blank), (0, 0));
}

#[test]
fn captures_give_what_the_truth_says() {
    let Some(data) = data() else { return };
    for &(capture, venue, _, lines) in CAPTURES {
        let (bytes, truth) = (inflate(&data.join(capture)), truth(&data, capture));
        let (_, frames) = frames(&bytes, lines);
        let decoded = decode(by_id(venue).unwrap(), &frames);
        let is_unplaced = UNPLACED.contains(&capture);
        assert_eq!(decoded.dropped > 0, is_unplaced, "{capture}: {} quotes dropped", decoded.dropped);
        assert!(!is_unplaced || decoded.offsets.is_empty(), "{capture} has times after all");
        let has_sizes = |quote: &Value| !quote["last_bid_size"].is_null();
        let has_quotes = by_id(venue).unwrap().channels().contains(&"quotes")
            && truth["l1_symbols"].as_object().unwrap().values().any(has_sizes);
        let books = books(capture);
        check_frames(&decoded.counts, &truth, has_quotes, books);
        let number = |id: &Value| match venue {
            "kraken-futures" => counter(&bytes, ["uid", "seq"], id),
            "kucoin" => counter(&bytes, ["tradeId", "sequence"], id),
            _ => number(id),
        };
        let of = |field: &str| truth[field].as_object().unwrap();
        let (trades, history) = (of("symbols"), of("snapshot_symbols"));
        let quotes: Vec<_> = match books {
            Books::Quotes => of("l2_symbols").iter().collect(),
            _ => of("l1_symbols").iter().filter(|_| has_quotes).collect(),
        };
        for (symbol, truth) in trades {
            let (name, found) = (format!("{capture} {symbol}"), &decoded.symbols[symbol].trades);
            Sums::check_trades(&name, found, truth, &number);
        }
        for (symbol, truth) in history {
            let (name, found) = (format!("{capture} {symbol}, past"), &decoded.symbols[symbol].history);
            Sums::check_trades(&name, found, truth, &number);
        }
        for (symbol, truth) in &quotes {
            decoded.symbols[*symbol].check_quotes(&format!("{capture} {symbol}"), truth, books);
        }
        let count = |has: fn(&Sums) -> bool| decoded.symbols.values().filter(|sums| has(sums)).count();
        assert_eq!(count(|sums| !sums.trades.is_empty()), trades.len(), "{capture} symbols with trades");
        assert_eq!(count(|sums| !sums.history.is_empty()), history.len(), "{capture} symbols with a past");
        assert_eq!(count(|sums| sums.quotes > 0), quotes.len(), "{capture} symbols with quotes");
        let sum = |of: fn(&Sums) -> usize| decoded.symbols.values().map(of).sum::<usize>();
        // Shown with --nocapture; what is not equal has ended the test before.
        println!(
            "{venue:16} {capture:54} {:6} trades {:5} past {:6} quotes {:6} frames, equal",
            sum(|sums| sums.trades.len()),
            sum(|sums| sums.history.len()),
            sum(|sums| usize::try_from(sums.quotes).unwrap()),
            decoded.counts.frames
        );
    }
}

#[test]
fn every_capture_is_in_a_list() {
    let Some(data) = data() else { return };
    let elsewhere = ELSEWHERE.iter().flat_map(|(_, names)| *names).map(|name| format!("files/{name}"));
    let listed: BTreeSet<String> =
        CAPTURES.iter().map(|(capture, ..)| (*capture).to_owned()).chain(elsewhere).collect();
    let mut there = BTreeSet::new();
    for folder in ["cryptofeed", "hftbacktest", "files"] {
        for entry in fs::read_dir(data.join(folder)).unwrap() {
            there.insert(format!("{folder}/{}", entry.unwrap().file_name().into_string().unwrap()));
        }
    }
    assert_eq!(there.difference(&listed).collect::<Vec<_>>(), Vec::<&String>::new(), "compared nowhere");
    assert_eq!(listed.difference(&there).collect::<Vec<_>>(), Vec::<&String>::new(), "not there");
}

#[test]
fn the_offset_is_near_the_clocks_difference() {
    let Some(data) = data() else { return };
    for &(capture, venue, _, lines) in CAPTURES {
        let (bytes, truth) = (inflate(&data.join(capture)), truth(&data, capture));
        let decoded = decode(by_id(venue).unwrap(), &frames(&bytes, lines).1);
        // The truth has it for trade times, which lie a little before the event times.
        let delay = &truth["anomalies"]["local_minus_exchange_trade_time"];
        let Some(least) = delay["min_ms"].as_f64() else { continue };
        let (_, last) = *decoded.offsets.last().expect("an estimate");
        let millis = last as f64 / 1e6;
        assert!(
            (millis - least).abs() < 300.0,
            "{capture}: offset {millis} ms, least trade delay {least} ms"
        );
    }
}

#[test]
fn captures_tell_their_venue() {
    let Some(data) = data() else { return };
    for &(capture, venue, by_frames, lines) in CAPTURES {
        let bytes = inflate(&data.join(capture));
        let (endpoint, frames) = frames(&bytes, lines);
        let told =
            frames.iter().find_map(|(_, payload)| VENUES.iter().find(|venue| venue.recognises(payload)));
        assert_eq!(told.map_or("", |venue| venue.id()), by_frames, "{capture} by its frames");
        let wrong = frames.iter().find(|(_, frame)| {
            VENUES.iter().find(|venue| venue.recognises(frame)).is_some_and(|venue| venue.id() != by_frames)
        });
        assert_eq!(wrong, None, "{capture}: a frame that tells another venue");
        if let Some(url) = endpoint {
            let rest = url.strip_prefix("wss://").unwrap();
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = host.split(':').next().unwrap();
            let answers = by_id(venue)
                .unwrap()
                .endpoints()
                .iter()
                .any(|endpoint| endpoint.host == host && format!("/{path}").starts_with(endpoint.path));
            assert!(answers, "{capture}: {venue} does not know {host}/{path}");
        }
    }
}

/// A download of a venue's own: frames alone, one a line, of one deep book.
#[test]
fn frames_without_times_are_passed_over_as_the_depth_that_they_are() {
    let Some(data) = data() else { return };
    let capture = "files/bybit_2024-12-01_XRPUSDT_ob500.data.gz";
    let (bytes, truth) = (inflate(&data.join(capture)), truth(&data, capture));
    let venue = by_id("bybit-linear").unwrap();
    let (mut session, mut table) = (venue.open(), SymbolTable::new(venue.id()));
    let (mut out, mut counts) = (Output::default(), FrameCounts::default());
    for payload in bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        counts.count(&session.on_frame(Frame { received_at: None, payload }, &mut table, &mut out));
    }
    check_frames(&counts, &truth, true, Books::Apart);
    assert!(out.ticks.is_empty() && out.offsets.is_empty());
}
