//! The frames: trades and best bids and offers as Binance sends them, ready for the wire.

use feeds::time::Nanos;
use tapedeck::clock;

/// Symbols.
pub(crate) const SYMBOLS: usize = 8;
/// Of so many frames one is a trade.
const TRADE_EVERY: usize = 4;
/// Market time of all frames together: as long as sending them takes, more or less.
const SPAN: Nanos = 2_000_000_000;

/// Frames by connection.
pub(crate) struct Frames {
    /// For each connection its bytes, heads of WebSocket included.
    pub(crate) bytes: Vec<Vec<u8>>,
    /// For each connection where each frame ends.
    pub(crate) ends: Vec<Vec<usize>>,
}

/// The name of a symbol.
pub(crate) fn native(symbol: usize) -> String {
    format!("MADE{symbol}USDT")
}

impl Frames {
    /// `count` frames, dealt to `connections` by their symbols.
    pub(crate) fn made(count: usize, connections: usize) -> Frames {
        let mut frames = Frames { bytes: vec![Vec::new(); connections], ends: vec![Vec::new(); connections] };
        let begin = clock::wall();
        let mut ids = [1_000_u64; SYMBOLS];
        for number in 0..count {
            let symbol = (number / TRADE_EVERY + number) % SYMBOLS;
            let at = begin + SPAN / count as Nanos * number as Nanos;
            let text = frame(symbol, number, at, &mut ids[symbol]);
            let place = symbol % connections;
            let bytes = &mut frames.bytes[place];
            // Text, whole, and a length in 16 bits.
            bytes.extend([0x81, 126]);
            bytes.extend((text.len() as u16).to_be_bytes());
            bytes.extend(text.as_bytes());
            frames.ends[place].push(bytes.len());
        }
        frames
    }
}

fn frame(symbol: usize, number: usize, at: Nanos, id: &mut u64) -> String {
    let (native, time) = (native(symbol), at / 1_000_000);
    let lower = native.to_lowercase();
    let (cents, size) = (number % 97, 1 + number % 89);
    if number.is_multiple_of(TRADE_EVERY) {
        *id += 1;
        let maker = number.is_multiple_of(8);
        return format!(
            r#"{{"stream":"{lower}@trade","data":{{"e":"trade","E":{time},"s":"{native}","t":{id},"p":"64{cents:03}.51000000","q":"0.{size:03}00000","T":{time},"m":{maker},"M":true}}}}"#
        );
    }
    format!(
        r#"{{"stream":"{lower}@bookTicker","data":{{"u":{number},"s":"{native}","b":"64{cents:03}.50000000","B":"1.{size:03}00000","a":"64{cents:03}.51000000","A":"2.{size:03}00000"}}}}"#
    )
}
