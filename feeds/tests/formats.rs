//! Every file format: on text of our own with all that can be wrong in it, on arbitrary bytes, and on real files
//! against the truth that another program computed of them.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot read its input has failed")]

#[path = "formats/captures.rs"]
mod captures;

#[path = "formats/made_venue.rs"]
mod made_venue;

#[path = "formats/real.rs"]
mod real;

#[path = "formats/tables.rs"]
mod tables;

#[path = "formats/split.rs"]
mod split;

use feeds::formats::{Decoded, Decoder, Format, FormatError, Head, by_name, detect};
use feeds::tick::{Event, Rejection, Side, Tick};

/// A head of `bytes`, in a file of this name, with nothing told.
fn head<'a>(file_name: &'a str, bytes: &'a [u8]) -> Head<'a> {
    Head { file_name, bytes, venue: None, symbol: None }
}

/// All of `bytes`, decoded as one block by the format that the head is detected as.
fn decode(head: &Head<'_>) -> (Box<dyn Decoder>, Decoded) {
    let format = detect(head).expect("a known format");
    run(format, head)
}

fn run(format: &dyn Format, head: &Head<'_>) -> (Box<dyn Decoder>, Decoded) {
    let mut decoder = format.open(head).unwrap();
    let mut out = Decoded::default();
    decoder.decode(head.bytes, &mut out);
    decoder.finish(&mut out);
    assert!(out.frames.adds_up());
    assert_eq!(out.frames.frames, out.lines);
    (decoder, out)
}

fn refused(format: &str, head: &Head<'_>) -> FormatError {
    by_name(format).unwrap().open(head).err().expect("an error")
}

/// A tick in words: `venue:SYMBOL time id price size side`.
fn words(decoder: &dyn Decoder, tick: &Tick) -> String {
    let symbol = &decoder.symbols().symbols()[tick.symbol.0 as usize];
    match tick.event {
        Event::Trade(trade) => {
            let id = trade.id().map_or("-".to_owned(), |id| id.to_string());
            let side = match trade.side {
                Side::Buy => "buy",
                Side::Sell => "sell",
                Side::Unknown => "?",
            };
            format!("{symbol} {} {id} {} {} {side}", tick.exchange_ts, trade.price(), trade.size())
        }
        Event::Quote(quote) => {
            let (bid, ask) = (quote.bid(), quote.ask());
            format!("{symbol} {} {} {bid} {ask} {}", tick.exchange_ts, quote.bid_size(), quote.ask_size())
        }
        Event::Rejected(why) => format!("{symbol} {} {why:?}", tick.exchange_ts),
    }
}

fn all_words(decoder: &dyn Decoder, out: &Decoded) -> Vec<String> {
    out.output.ticks.iter().map(|tick| words(decoder, tick)).collect()
}

fn rejections(out: &Decoded) -> Vec<Rejection> {
    out.output
        .ticks
        .iter()
        .filter_map(|tick| match tick.event {
            Event::Rejected(why) => Some(why),
            _ => None,
        })
        .collect()
}

#[test]
fn formats_have_names_of_their_own_and_are_found_by_them() {
    let names: Vec<&str> = feeds::formats::FORMATS.iter().map(|format| format.name()).collect();
    assert_eq!(
        names,
        [
            "recording",
            "hftbacktest",
            "cryptofeed",
            "binance-trades",
            "binance-aggtrades",
            "tardis-trades",
            "tardis-quotes",
            "csv",
            "ndjson"
        ]
    );
    for name in names {
        assert_eq!(by_name(name).map(|format| format.name()), Some(name));
    }
    assert!(by_name("auto").is_none());
}
