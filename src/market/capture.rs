//! A capture of Binance's combined spot streams, as a collector would have recorded it: one frame a line, behind
//! its receive time in nanoseconds.
//!
//! Trades and quotes are the market's events. Now and then there is a depth frame, which readers that want no
//! book pass over, and the first line is the answer to a subscription.

use feeds::time::Nanos;

use super::digits::{put_integer, put_padded};
use super::{Change, Instrument, MarketEvent};

/// Digits behind the point on this venue's wire, whatever the tick size.
const WIRE_DIGITS: u8 = 8;
/// One quote in this many is followed by a depth frame.
const QUOTES_PER_DEPTH: u64 = 16;
/// Levels on each side of a depth frame.
const DEPTH_LEVELS: i64 = 3;

/// Turns events into lines.
#[derive(Clone, Debug, Default)]
pub struct CaptureWriter {
    /// By symbol: its name in stream names.
    streams: Vec<Vec<u8>>,
    quotes: u64,
}

impl CaptureWriter {
    /// A writer for a market of these instruments.
    #[must_use]
    pub fn new(instruments: &[Instrument]) -> CaptureWriter {
        let streams = instruments.iter().map(|it| it.native.to_ascii_lowercase().into_bytes()).collect();
        CaptureWriter { streams, quotes: 0 }
    }

    /// Appends what comes before the first event: the answer to the subscription.
    pub fn put_opening(&self, out: &mut Vec<u8>, at: Nanos) {
        put_integer(out, at.unsigned_abs());
        out.extend_from_slice(b" {\"result\":null,\"id\":1}\n");
    }

    /// Appends the frame of `event`, and after some quotes a depth frame with the same receive time.
    pub fn put_event(&mut self, out: &mut Vec<u8>, event: &MarketEvent, instrument: &Instrument) {
        match event.change {
            Change::Trade { .. } => self.put_trade(out, event, instrument),
            Change::Quote { .. } => {
                self.put_quote(out, event, instrument);
                self.quotes += 1;
                if self.quotes.is_multiple_of(QUOTES_PER_DEPTH) {
                    self.put_depth(out, event, instrument);
                }
            }
        }
    }

    fn put_head(&self, out: &mut Vec<u8>, received_at: Nanos, symbol: u32, stream: &str) {
        put_integer(out, received_at.unsigned_abs());
        out.extend_from_slice(b" {\"stream\":\"");
        out.extend_from_slice(&self.streams[symbol as usize]);
        out.extend_from_slice(stream.as_bytes());
        out.extend_from_slice(b"\",\"data\":{");
    }

    fn put_trade(&self, out: &mut Vec<u8>, event: &MarketEvent, instrument: &Instrument) {
        let Change::Trade { id, price, size, buyer_is_maker } = event.change else {
            return;
        };
        let millis = (event.exchange_ts / 1_000_000).unsigned_abs();
        self.put_head(out, event.received_at, event.symbol, "@trade");
        out.extend_from_slice(b"\"e\":\"trade\",\"E\":");
        // The venue sends in the millisecond of the trade or the next.
        put_integer(out, millis + (id & 1));
        put_name(out, instrument);
        out.extend_from_slice(b",\"t\":");
        put_integer(out, id);
        put_text(out, "p", price, instrument.price_scale);
        put_text(out, "q", size, instrument.size_scale);
        out.extend_from_slice(b",\"T\":");
        put_integer(out, millis);
        let maker: &[u8] = if buyer_is_maker { b"true" } else { b"false" };
        out.extend_from_slice(b",\"m\":");
        out.extend_from_slice(maker);
        out.extend_from_slice(b",\"M\":true}}\n");
    }

    fn put_quote(&self, out: &mut Vec<u8>, event: &MarketEvent, instrument: &Instrument) {
        let Change::Quote { id, bid, bid_size, ask, ask_size } = event.change else {
            return;
        };
        self.put_head(out, event.received_at, event.symbol, "@bookTicker");
        out.extend_from_slice(b"\"u\":");
        put_integer(out, id);
        put_name(out, instrument);
        put_text(out, "b", bid, instrument.price_scale);
        put_text(out, "B", bid_size, instrument.size_scale);
        put_text(out, "a", ask, instrument.price_scale);
        put_text(out, "A", ask_size, instrument.size_scale);
        out.extend_from_slice(b"}}\n");
    }

    fn put_depth(&self, out: &mut Vec<u8>, event: &MarketEvent, instrument: &Instrument) {
        let Change::Quote { id, bid, bid_size, ask, ask_size } = event.change else {
            return;
        };
        self.put_head(out, event.received_at, event.symbol, "@depth@100ms");
        out.extend_from_slice(b"\"e\":\"depthUpdate\",\"E\":");
        put_integer(out, (event.exchange_ts / 1_000_000).unsigned_abs() + 1);
        put_name(out, instrument);
        out.extend_from_slice(b",\"U\":");
        put_integer(out, id);
        out.extend_from_slice(b",\"u\":");
        put_integer(out, id);
        put_levels(out, "b", instrument, |level| (bid - level, bid_size + level));
        put_levels(out, "a", instrument, |level| (ask + level, ask_size + level));
        out.extend_from_slice(b"}}\n");
    }
}

fn put_name(out: &mut Vec<u8>, instrument: &Instrument) {
    out.extend_from_slice(b",\"s\":\"");
    out.extend_from_slice(instrument.native.as_bytes());
    out.push(b'"');
}

fn put_text(out: &mut Vec<u8>, key: &str, mantissa: i64, scale: u8) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":\"");
    put_padded(out, mantissa, scale, WIRE_DIGITS);
    out.push(b'"');
}

fn put_levels(out: &mut Vec<u8>, key: &str, instrument: &Instrument, at: impl Fn(i64) -> (i64, i64)) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":[");
    for level in 0..DEPTH_LEVELS {
        let (price, size) = at(level);
        out.extend_from_slice(if level == 0 { b"[\"" } else { b",[\"" });
        put_padded(out, price.max(0), instrument.price_scale, WIRE_DIGITS);
        out.extend_from_slice(b"\",\"");
        put_padded(out, size, instrument.size_scale, WIRE_DIGITS);
        out.extend_from_slice(b"\"]");
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{Market, MarketSpec};
    use serde_json::Value;

    #[test]
    fn every_line_is_a_frame_of_the_venue_behind_its_receive_time() {
        let spec = MarketSpec { symbols: 5, ..MarketSpec::default() };
        let market = Market::new(spec);
        let instruments = market.instruments().to_vec();
        let mut writer = CaptureWriter::new(&instruments);
        let mut out = Vec::new();
        writer.put_opening(&mut out, spec.start);
        let events: Vec<MarketEvent> = market.take(5_000).collect();
        for event in &events {
            writer.put_event(&mut out, event, &instruments[event.symbol as usize]);
        }
        let text = String::from_utf8(out).unwrap();
        let (mut last, mut frames, mut depths) = (0, events.iter(), 0);
        for (number, line) in text.lines().enumerate() {
            let (time, json) = line.split_once(' ').unwrap();
            let time: i64 = time.parse().unwrap();
            assert!(time >= last, "line {number}");
            last = time;
            let frame: Value = serde_json::from_str(json).unwrap();
            if number == 0 {
                assert_eq!(frame, serde_json::json!({"result": null, "id": 1}));
            } else if frame["data"]["e"] == "depthUpdate" {
                depths += 1;
            } else {
                let event = frames.next().unwrap();
                assert_eq!(time, event.received_at);
                check(&frame, event, &instruments[event.symbol as usize]);
            }
        }
        assert!(frames.next().is_none() && depths > 100, "{depths} depth frames");
    }

    fn check(frame: &Value, event: &MarketEvent, instrument: &Instrument) {
        let stream = frame["stream"].as_str().unwrap();
        let (name, kind) = stream.split_once('@').unwrap();
        let data = &frame["data"];
        assert_eq!(name.to_uppercase(), instrument.native);
        assert_eq!(data["s"], instrument.native.as_str());
        let decimal = |key: &str, mantissa: i64, scale: u8| {
            let text = data[key].as_str().unwrap();
            assert_eq!(text.split_once('.').unwrap().1.len(), 8);
            let read: rust_decimal::Decimal = text.parse().unwrap();
            assert_eq!(read, rust_decimal::Decimal::new(mantissa, u32::from(scale)));
        };
        match event.change {
            Change::Trade { id, price, size, buyer_is_maker } => {
                assert_eq!((kind, data["t"].as_u64()), ("trade", Some(id)));
                assert_eq!(data["T"].as_i64(), Some(event.exchange_ts / 1_000_000));
                assert_eq!(data["m"].as_bool(), Some(buyer_is_maker));
                decimal("p", price, instrument.price_scale);
                decimal("q", size, instrument.size_scale);
            }
            Change::Quote { id, bid, bid_size, ask, ask_size } => {
                assert_eq!((kind, data["u"].as_u64()), ("bookTicker", Some(id)));
                decimal("b", bid, instrument.price_scale);
                decimal("B", bid_size, instrument.size_scale);
                decimal("a", ask, instrument.price_scale);
                decimal("A", ask_size, instrument.size_scale);
            }
        }
    }
}
