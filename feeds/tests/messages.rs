//! Single messages of each kind, collected by another project, and what each is.
//!
//! They lie beside the workspace and are not part of it; without them this test says so and passes.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its input has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::Path;

use feeds::frame::{Frame, FrameCounts, FrameKind};
use feeds::live::PastRequest;
use feeds::outage::Attention;
use feeds::symbol::SymbolTable;
use feeds::tick::Event;
use feeds::venue::Output;
use feeds::venues::by_id;

/// File, venue, kind, number of ticks. Answers to requests for the past (`http_`) are no frames.
const MESSAGES: &[(&str, &str, &str, usize)] = &[
    ("binance/futures/market_data_json/kline_stream_open.json", "binance-usdm", "kline", 0),
    ("binance/futures/market_data_json/liquidation_stream.json", "binance-usdm", "liquidation", 0),
    ("binance/futures/market_data_json/mark_price_stream.json", "binance-usdm", "mark_price", 0),
    ("binance/futures/market_data_json/ticker_stream.json", "binance-usdm", "ticker", 0),
    // Its time is none of this age, so that the tick is a rejected one.
    ("binance/futures/market_data_json/trade_stream.json", "binance-usdm", "ticks", 1),
    ("bybit/ws_kline.json", "bybit-linear", "kline", 0),
    // A delta of one side, the other taken away, and no snapshot before it.
    ("bybit/ws_orderbook_delta.json", "bybit-linear", "half_quote", 0),
    ("bybit/ws_subscription_ack.json", "bybit-linear", "control", 0),
    ("bybit/ws_subscription_failure.json", "bybit-linear", "control", 0),
    ("bybit/ws_ticker_option.json", "bybit-linear", "ticker", 0),
    ("hyperliquid/ws_all_dexs_asset_ctxs.json.gz", "hyperliquid", "asset_context", 0),
    ("hyperliquid/ws_allmids.json", "hyperliquid", "mids", 0),
    ("okx/ws_bbo_tbt.json", "okx", "ticks", 1),
    ("okx/ws_books_update.json", "okx", "depth", 0),
    ("okx/ws_candle.json", "okx", "kline", 0),
    ("okx/ws_funding_rate.json", "okx", "funding", 0),
    ("okx/ws_instruments.json", "okx", "instruments", 0),
    // Rows without the object around them: no frame is so.
    ("okx/ws_opt_summary.json", "okx", "broken", 0),
    ("deribit/ws_book_delta.json", "deribit", "depth", 0),
    ("deribit/ws_book_grouped_snapshot.json", "deribit", "depth_snapshot", 0),
    ("deribit/ws_chart.json", "deribit", "kline", 0),
    ("deribit/ws_error.json", "deribit", "control", 0),
    ("deribit/ws_subscribe_response.json", "deribit", "control", 0),
    ("deribit/ws_ticker.json", "deribit", "ticks", 1),
    // Its legs are no trades of this channel.
    ("deribit/ws_trades_option_combo.json", "deribit", "ticks", 1),
    ("deribit/ws_volatility_index.json", "deribit", "volatility_index", 0),
    // Rows without the table around them.
    ("bitmex/ws_funding_rate.json", "bitmex", "unknown", 0),
    ("bitmex/ws_instrument.json", "bitmex", "unknown", 0),
    ("bitmex/ws_instrument_mark_update.json", "bitmex", "unknown", 0),
    ("bitmex/ws_liquidation.json", "bitmex", "unknown", 0),
    ("bitmex/ws_orderbook_10.json", "bitmex", "unknown", 0),
    ("bitmex/ws_trade_bin_1m.json", "bitmex", "unknown", 0),
    ("coinbase/ws_candles.json", "coinbase-advanced", "kline", 0),
    ("coinbase/ws_heartbeats.json", "coinbase-advanced", "heartbeat", 0),
    ("coinbase/ws_l2_data_snapshot.json", "coinbase-advanced", "depth_snapshot", 0),
    ("coinbase/ws_l2_data_update.json", "coinbase-advanced", "depth", 0),
    ("coinbase/ws_market_trades.json", "coinbase-advanced", "ticks", 2),
    ("coinbase/ws_subscriptions.json", "coinbase-advanced", "control", 0),
    ("coinbase/ws_ticker.json", "coinbase-advanced", "ticks", 1),
    // Of the protocol after the one that is read.
    ("dydx/ws_block_height_subscribed.json", "dydx", "unknown", 0),
    ("dydx/ws_block_height_update.json", "dydx", "unknown", 0),
    ("dydx/ws_candles_subscribed.json", "dydx", "unknown", 0),
    ("dydx/ws_candles_update.json", "dydx", "unknown", 0),
    ("dydx/ws_error.json", "dydx", "control", 0),
    ("dydx/ws_markets_subscribed.json", "dydx", "unknown", 0),
    ("dydx/ws_markets_update.json", "dydx", "unknown", 0),
    ("dydx/ws_orderbook_subscribed.json", "dydx", "unknown", 0),
    ("dydx/ws_trades_subscribed.json", "dydx", "unknown", 0),
    ("kraken/ws_book_snapshot.json", "kraken", "depth_snapshot", 0),
    ("kraken/ws_book_update.json", "kraken", "depth", 0),
    ("kraken/ws_futures_book_snapshot.json", "kraken-futures", "depth_snapshot", 0),
    ("kraken/ws_futures_ticker.json", "kraken-futures", "ticks", 1),
    ("kraken/ws_futures_trade_snapshot.json", "kraken-futures", "ticks", 2),
    ("kraken/ws_l3_snapshot.json", "kraken", "order_depth", 0),
    ("kraken/ws_l3_update_add.json", "kraken", "order_depth", 0),
    ("kraken/ws_l3_update_modify_qty.json", "kraken", "order_depth", 0),
    ("kraken/ws_ohlc_update.json", "kraken", "kline", 0),
    ("kraken/ws_pong.json", "kraken", "heartbeat", 0),
    ("kraken/ws_subscribe_response.json", "kraken", "control", 0),
    ("kraken/ws_ticker_snapshot.json", "kraken", "ticks", 1),
    ("kraken/ws_trade_update.json", "kraken", "ticks", 2),
];

/// Adapters of exchanges that are no venue here.
const OF_NO_VENUE: &[&str] = &["lighter/"];

fn kind(kind: &FrameKind) -> &str {
    match kind {
        FrameKind::Ticks => "ticks",
        FrameKind::Control => "control",
        FrameKind::Heartbeat => "heartbeat",
        FrameKind::PassedOver(name) => name,
        FrameKind::Unknown(_) => "unknown",
        FrameKind::Broken(_) => "broken",
        FrameKind::Blank => "blank",
    }
}

fn read(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if path.extension().is_none_or(|extension| extension != "gz") {
        return bytes;
    }
    let mut text = Vec::new();
    let inflated = flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut text);
    inflated.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text
}

fn messages() -> Option<&'static Path> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/messages/nautilus"));
    if !folder.is_dir() {
        eprintln!("skipped: no messages at {}", folder.display());
        return None;
    }
    Some(folder)
}

#[test]
fn every_message_is_what_it_is() {
    let Some(folder) = messages() else { return };
    for &(file, venue, expected, ticks) in MESSAGES {
        let payload = read(&folder.join(file));
        let (venue, mut symbols) = (by_id(venue).expect(venue), SymbolTable::new(venue));
        let (mut session, mut attention) = (venue.open(), Attention::new(venue));
        let (mut out, mut counts) = (Output::default(), FrameCounts::default());
        let frame = Frame { received_at: Some(1_800_000_000_000_000_000), payload: &payload };
        let found = attention.on_frame(&mut *session, frame, &mut symbols, &mut out, &mut counts);
        let unknown: Vec<&String> = counts.unknown_fields.keys().collect();
        assert!(unknown.is_empty(), "{file}: fields that are not known: {unknown:?}");
        session.finish(&mut out);
        assert_eq!((kind(&found), out.ticks.len()), (expected, ticks), "{file}");
    }
    let listed: BTreeSet<&str> = MESSAGES.iter().map(|(file, ..)| *file).collect();
    for file in files(folder, "") {
        let name = file.rsplit('/').next().unwrap();
        let is_answer = name.starts_with("http_") || file.contains("/http_json/");
        let is_elsewhere = OF_NO_VENUE.iter().any(|adapter| file.starts_with(adapter));
        assert!(is_answer || is_elsewhere || listed.contains(file.as_str()), "{file} is not in the list");
    }
}

/// All files below a folder, by their paths in it.
fn files(folder: &Path, inside: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder.join(inside)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = if inside.is_empty() { name } else { format!("{inside}/{name}") };
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(folder, &path)),
            false => found.push(path),
        }
    }
    found
}

/// Rows of a table, put into the frame that they come in.
const ROWS: &[(&str, &str, &str, usize)] = &[
    ("bitmex/ws_funding_rate.json", "funding", "funding", 0),
    ("bitmex/ws_instrument.json", "instrument", "instrument", 0),
    ("bitmex/ws_instrument_mark_update.json", "instrument", "instrument", 0),
    ("bitmex/ws_liquidation.json", "liquidation", "liquidation", 0),
    ("bitmex/ws_orderbook_10.json", "orderBook10", "depth", 0),
    ("bitmex/ws_trade_bin_1m.json", "tradeBin1m", "kline", 0),
    ("bitmex/http_get_trades.json", "trade", "ticks", 3),
];

#[test]
fn rows_in_their_table_are_what_they_are() {
    let Some(folder) = messages() else { return };
    for &(file, table, expected, ticks) in ROWS {
        let rows = fs::read_to_string(folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let rows = if rows.starts_with('[') { rows } else { format!("[{rows}]") };
        let payload = format!(r#"{{"table":"{table}","action":"insert","data":{rows}}}"#);
        let venue = by_id("bitmex").expect("bitmex");
        let (mut symbols, mut out) = (SymbolTable::new("bitmex"), Output::default());
        let frame = Frame { received_at: None, payload: payload.as_bytes() };
        let found = venue.open().on_frame(frame, &mut symbols, &mut out);
        assert_eq!((kind(&found), out.ticks.len()), (expected, ticks), "{file}");
        assert!(out.ticks.iter().all(|tick| matches!(tick.event, Event::Trade(_))), "{file}");
    }
}

/// Answers of the venues themselves to requests for trades of the past: file, venue, symbol, number of trades.
const PAST: &[(&str, &str, &str, usize)] = &[
    ("deribit/http_get_last_trades.json", "deribit", "ETH-PERPETUAL", 10),
    ("kraken/http_trades.json.gz", "kraken", "BTC/USDT", 1_000),
];

#[test]
fn trades_of_the_past_are_read_from_real_answers() {
    let Some(folder) = messages() else { return };
    for &(file, venue, native, count) in PAST {
        let body = read(&folder.join(file));
        let past = by_id(venue).unwrap().past_trades().unwrap();
        let decode = |first, last| {
            let request =
                PastRequest { native, first, last, received_at: 1_800_000_000_000_000_000, body: &body };
            let (mut symbols, mut ticks) = (SymbolTable::new(venue), Vec::new());
            past.decode(&request, &mut symbols, &mut ticks).unwrap();
            ticks
        };
        let id = |event: Event| if let Event::Trade(trade) = event { trade.id() } else { None };
        let all: Vec<u64> = decode(0, u64::MAX).iter().filter_map(|tick| id(tick.event)).collect();
        assert_eq!(all.len(), count, "{file}");
        let (first, last) = (all[0], all[all.len() - 1]);
        assert_eq!(all, (first..=last).collect::<Vec<_>>(), "{file}: ids count up by one");
        let inner: Vec<Option<u64>> = decode(first + 1, last - 1).iter().map(|tick| id(tick.event)).collect();
        assert_eq!(inner, (first + 1..last).map(Some).collect::<Vec<_>>(), "{file}");
    }
}
