//! However a file is cut into blocks it gives the same, and no bytes make a decoder panic.

use feeds::formats::{Decoded, Decoder, FORMATS, Format, Head, by_name};
use feeds::venue::Venue;
use proptest::prelude::*;

use crate::made_venue::VENUES;
use crate::{all_words, head};

const HEADER: &str = "time_ms,symbol,id,price,qty,is_buyer_maker\n";

/// Rows, good and bad, of all line ends.
fn row() -> impl Strategy<Value = String> {
    let field = prop_oneof![
        8 => Just(None),
        1 => "[-0-9a-z.\"]{0,12}".prop_map(Some),
    ];
    let good = (0i64..10_000, "[A-C]{1,9}", 0u32..99, "[0-9]{1,6}\\.[0-9]{0,8}", "[1-9]{1,3}", any::<bool>());
    (good, prop::collection::vec(field, 6), prop_oneof![Just("\n"), Just("\r\n"), Just("\n\n"), Just(",\n")])
        .prop_map(|((time, symbol, id, price, size, side), odd, end)| {
            let time = 1_700_000_000_000 + time;
            let plain = [time.to_string(), symbol, id.to_string(), price, size, side.to_string()];
            let fields: Vec<String> =
                plain.into_iter().zip(odd).map(|(good, odd)| odd.unwrap_or(good)).collect();
            fields.join(",") + end
        })
}

fn read(decoder: &mut dyn Decoder, block: &[u8]) -> (Vec<String>, Decoded) {
    let mut out = Decoded::default();
    decoder.decode(block, &mut out);
    (all_words(decoder, &out), out)
}

/// Where lines end in `bytes`.
fn line_ends(bytes: &[u8]) -> Vec<usize> {
    bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect()
}

proptest! {
    #[test]
    fn any_split_at_line_ends_decodes_as_the_whole(
        rows in prop::collection::vec(row(), 0..40),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        keep_last_end in any::<bool>(),
    ) {
        let mut text = format!("{HEADER}1700000000000,AB,1,1,1,true\n{}", rows.concat()).into_bytes();
        let ends = line_ends(&text);
        if !keep_last_end {
            text.pop();
        }
        let first = Head { bytes: &text[..ends[1].min(text.len())], ..head("x.csv", b"") };
        let mut whole = by_name("csv").unwrap().open(&first).unwrap();
        let (expected, all) = read(whole.as_mut(), &text);

        let mut places: Vec<usize> = cuts.iter().map(|cut| *cut.get(&ends)).map(|at| at.min(text.len())).collect();
        places.extend([0, text.len()]);
        places.sort_unstable();
        let mut words = Vec::new();
        let mut frames = feeds::frame::FrameCounts::default();
        let (mut lines, mut complaints) = (0, 0);
        for pair in places.windows(2) {
            let mut fork = whole.fork().unwrap();
            let (part, out) = read(fork.as_mut(), &text[pair[0]..pair[1]]);
            words.extend(part);
            frames.merge(&out.frames);
            lines += out.lines;
            complaints += out.complaints_in_all;
        }
        prop_assert_eq!(words, expected);
        prop_assert_eq!(frames, all.frames);
        prop_assert_eq!((lines, complaints), (all.lines, all.complaints_in_all));
    }

    #[test]
    fn the_fast_path_reads_what_a_plain_reading_does(
        time in 1_700_000_000_000i64..1_700_000_999_999,
        symbol in "[A-Z]{1,20}",
        id in any::<u32>(),
        whole in 0u64..1_000_000_000,
        fraction in "[0-9]{0,8}",
        maker in any::<bool>(),
        extra in "[a-z]{0,20}",
    ) {
        let text = format!("x,time,symbol,id,price,qty,is_buyer_maker\n{extra},{time},{symbol},{id},{whole}.{fraction},3,{maker}\n");
        let file = head("x.csv", text.as_bytes());
        let mut decoder = by_name("csv").unwrap().open(&file).unwrap();
        let (words, _) = read(decoder.as_mut(), file.bytes);
        let price: rust_decimal::Decimal = format!("{whole}.{fraction}0").parse().unwrap();
        let side = if maker { "sell" } else { "buy" };
        prop_assert_eq!(words, vec![format!("file:{symbol} {time}000000 {id} {} 3 {side}", price.normalize())]);
    }
}

/// Heads that the formats take, to be followed by anything.
const HEADS: &[&str] = &[
    "{\"tapedeck_recording\":2,\"part\":1,\"connections\":[]}\n",
    "1700000000000001 {\"SAB\":\"1\"}\n",
    "wss://made.example/x <-> 1700000000.5\n",
    "11,1.5,2,3,1700000000123,True,True\n",
    "11,1.5,2,21,22,1700000000123,False,True\n",
    "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n",
    "exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount\n",
    HEADER,
    "{\"time\":1700000000,\"symbol\":\"AB\",\"price\":1,\"qty\":1}\n",
    "",
];

fn formats() -> Vec<Box<dyn Format>> {
    fn of(venues: &'static [&'static dyn Venue]) -> Vec<Box<dyn Format>> {
        vec![
            Box::new(feeds::formats::hftbacktest::HftBacktest::of(venues)),
            Box::new(feeds::formats::cryptofeed::Cryptofeed::of(venues)),
        ]
    }
    of(VENUES)
}

fn try_all(bytes: &[u8], head_bytes: &[u8], file_name: &str) {
    let own = formats();
    let every = FORMATS.iter().copied().chain(own.iter().map(AsRef::as_ref));
    for format in every {
        let file = Head { symbol: Some("AB"), ..head(file_name, head_bytes) };
        format.matches(&file);
        let Ok(mut decoder) = format.open(&file) else { continue };
        let mut out = Decoded::default();
        decoder.decode(bytes, &mut out);
        decoder.finish(&mut out);
        assert!(out.frames.adds_up(), "{}", format.name());
        assert_eq!(out.frames.frames, out.lines, "{}", format.name());
        for tick in &out.output.ticks {
            assert!((tick.symbol.0 as usize) < decoder.symbols().symbols().len(), "{}", format.name());
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_format_panic(
        start in prop::sample::select(HEADS),
        bytes in prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(&b"\n\r,\"'{}[]:. \\b0123456789eE-<>"[..])], 0..300),
        file_name in ".{0,40}",
    ) {
        let text = [start.as_bytes(), &bytes].concat();
        try_all(&text, &text, &file_name);
        try_all(&text, &bytes, "ABUSDT-trades-2024-01-01.csv");
        try_all(&bytes, start.as_bytes(), "");
    }

    #[test]
    fn binary_garbage_is_of_no_format(bytes in prop::collection::vec(any::<u8>(), 64..600)) {
        // Chance must not write a header of ours in 64 bytes and more.
        prop_assert!(feeds::formats::detect(&head("x", &bytes)).is_none());
    }
}
