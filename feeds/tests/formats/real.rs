//! Real files against the truth that another program computed of them. They lie beside the workspace and are not
//! part of it; without them these tests say so and pass.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use feeds::formats::{Decoded, Decoder, Head, detect};
use feeds::number::Decimal;
use feeds::tick::{Event, Quote, Side, Trade};
use rust_decimal::Decimal as Exact;
use serde_json::Value;

use crate::{decode, head};

fn data() -> Option<PathBuf> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data"));
    if !path.is_dir() {
        eprintln!("skipped: no real files at {}", path.display());
        return None;
    }
    Some(path.to_owned())
}

fn inflated(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return bytes;
    }
    let mut text = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut text).unwrap();
    text
}

fn truth(data: &Path, name: &str) -> Value {
    let path = data.join("truth").join(format!("{name}.json"));
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn exact(decimal: Decimal) -> Exact {
    Exact::from_i128_with_scale(i128::from(decimal.mantissa()), u32::from(decimal.scale())).normalize()
}

fn stated(value: &Value) -> Exact {
    value.as_str().unwrap().parse::<Exact>().unwrap().normalize()
}

fn trades<'d>(decoder: &dyn Decoder, out: &'d Decoded, symbol: &str) -> Vec<(i64, &'d Trade)> {
    let of =
        |tick: &&feeds::tick::Tick| decoder.symbols().symbols()[tick.symbol.0 as usize].as_str() == symbol;
    let trade = |tick: &'d feeds::tick::Tick| match &tick.event {
        Event::Trade(trade) => Some((tick.exchange_ts, trade)),
        _ => None,
    };
    out.output.ticks.iter().filter(of).filter_map(trade).collect()
}

fn same_trades(found: &[(i64, &Trade)], said: &Value) {
    let sum = |side: Option<Side>| -> Exact {
        let of = found.iter().filter(|(_, trade)| side.is_none_or(|side| trade.side == side));
        of.map(|(_, trade)| exact(trade.size())).sum::<Exact>().normalize()
    };
    let count = |side: Side| found.iter().filter(|(_, trade)| trade.side == side).count() as u64;
    let prices = || found.iter().map(|(_, trade)| exact(trade.price()));
    let notional: Exact = found.iter().map(|(_, trade)| exact(trade.price()) * exact(trade.size())).sum();
    assert_eq!(found.len() as u64, said["trades"].as_u64().unwrap());
    assert_eq!(sum(None), stated(&said["size_sum"]));
    assert_eq!(notional.normalize(), stated(&said["notional_sum"]));
    assert_eq!(
        (sum(Some(Side::Buy)), sum(Some(Side::Sell))),
        (stated(&said["buy_size"]), stated(&said["sell_size"]))
    );
    assert_eq!(Value::from(count(Side::Buy)), said["buy"]);
    assert_eq!(Value::from(count(Side::Sell)), said["sell"]);
    let (first, last) = (found.first().unwrap(), found.last().unwrap());
    assert_eq!(
        (exact(first.1.price()), exact(last.1.price())),
        (stated(&said["first_price"]), stated(&said["last_price"]))
    );
    assert_eq!(prices().min().unwrap(), stated(&said["min_price"]));
    assert_eq!(prices().max().unwrap(), stated(&said["max_price"]));
    assert_eq!(
        (Value::from(first.0), Value::from(last.0)),
        (said["first_time_ns"].clone(), said["last_time_ns"].clone())
    );
    let id = |trade: &Trade| Value::from(trade.id().unwrap().to_string());
    assert_eq!((id(first.1), id(last.1)), (said["first_id"].clone(), said["last_id"].clone()));
}

#[test]
fn real_trade_files() {
    let Some(data) = data() else { return };
    let files = [
        ("DERIVED_binancevision_trades_BTCUSDT_20240808", "binance-trades", "BTCUSDT", "binance:BTCUSDT"),
        (
            "DERIVED_binancevision_aggTrades_XRPETH_20191011_part1",
            "binance-aggtrades",
            "XRPETH",
            "binance:XRPETH",
        ),
        (
            "tardis_binance-futures_trades_20200222_BTCUSDT_part1",
            "tardis-trades",
            "binance-futures:BTCUSDT",
            "binance-usdm:BTCUSDT",
        ),
    ];
    for (name, format, theirs, ours) in files {
        let bytes = inflated(&data.join("files").join(format!("{name}.csv.gz")));
        let file_name = format!("{name}.csv");
        let head = head(&file_name, &bytes);
        assert_eq!(detect(&head).unwrap().name(), format);
        let (decoder, out) = decode(&head);
        let truth = truth(&data, name);
        same_trades(&trades(decoder.as_ref(), &out, ours), &truth["symbols"][theirs]);
        assert_eq!(Value::from(out.frames.ticks), truth["rows"]);
        assert_eq!(out.complaints_in_all, 0);
    }
}

#[test]
fn real_quote_files() {
    let Some(data) = data() else { return };
    let files = [
        ("tardis_binance-futures_quotes_20200222_BTCUSDT_part1", ".csv.gz", "binance-futures:BTCUSDT"),
        ("tardis_huobi-dm-swap_quotes_BTC-USD", ".csv", "huobi-dm-swap:BTC-USD"),
    ];
    for (name, ending, symbol) in files {
        let bytes = inflated(&data.join("files").join(format!("{name}{ending}")));
        let (_, out) = decode(&head("quotes.csv", &bytes));
        let truth = truth(&data, name);
        let quotes: Vec<&Quote> = out
            .output
            .ticks
            .iter()
            .filter_map(|tick| if let Event::Quote(quote) = &tick.event { Some(quote) } else { None })
            .collect();
        let said = &truth["l1_symbols"][symbol];
        assert_eq!(Value::from(quotes.len()), said["updates"]);
        let last = quotes.last().unwrap();
        assert_eq!(
            (exact(last.bid()), exact(last.ask())),
            (stated(&said["last_bid"]), stated(&said["last_ask"]))
        );
        assert_eq!(Value::from(out.output.ticks[0].exchange_ts), truth["first_time_ns"]);
        assert!(out.output.ticks.iter().all(|tick| tick.received_at().is_some()));
    }
}

#[test]
fn real_captures_account_for_every_line() {
    let Some(data) = data() else { return };
    let mut seen = 0;
    for folder in ["cryptofeed", "hftbacktest"] {
        for entry in fs::read_dir(data.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let bytes = inflated(&path);
            let cut = bytes[..bytes.len().min(1 << 16)]
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map_or(bytes.len(), |at| at + 1);
            let head = Head { file_name: &name, bytes: &bytes[..cut], venue: None, symbol: None };
            let format = detect(&head).unwrap_or_else(|| panic!("{name} is of no known format"));
            assert_eq!(format.name(), folder, "{name}");
            let Ok(mut decoder) = format.open(&head) else {
                eprintln!("{name}: its venue is not known yet");
                continue;
            };
            let mut out = Decoded::default();
            decoder.decode(&bytes, &mut out);
            decoder.finish(&mut out);
            let truth = truth(&data, name.split('.').next().unwrap());
            assert_eq!(Value::from(out.lines), truth["lines"], "{name}");
            assert_eq!(Value::from(out.frames.blank), truth["blank_lines"], "{name}");
            let recorders = truth["recorder_meta_lines"].as_u64().unwrap();
            let of_venue = truth["totals"]["control"].as_u64().unwrap();
            assert_eq!(out.frames.control, recorders + of_venue, "{name}");
            assert!(out.frames.adds_up() && out.frames.frames == out.lines, "{name}");
            assert_eq!(out.frames.broken, 0, "{name}: {:?}", out.complaints);
            seen += 1;
        }
    }
    eprintln!("{seen} captures of known venues");
}
