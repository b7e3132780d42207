//! Tables: columns, symbols, units, and rows with all that can be wrong in them.

use feeds::formats::{Decoder, FormatError, Head, by_name, detect};
use feeds::tick::Rejection;
use feeds::venue::DuplicateKey;

use crate::{all_words, decode, head, refused, rejections, run};

const PLAIN: &str = "time_ms,symbol,id,price,qty,is_buyer_maker\n";

fn detected(file_name: &str, text: &str) -> Option<&'static str> {
    detect(&head(file_name, text.as_bytes())).map(|format| format.name())
}

#[test]
fn csv_by_header_in_any_order_and_writing() {
    let same = ["file:AB 1700000000123000000 7 1.5 2 sell", "some:C 1700000000124000000 8 30 0.001 buy"];
    let texts = [
        "time_ms,symbol,id,price,qty,is_buyer_maker\n1700000000123,AB,7,1.50,2.0,true\n1700000000124,some:C,8,30,0.001,false\n",
        "\u{feff}Price,Size,X,SIDE,TS,Ticker,Trade_ID\r\n1.50,2.0,,sell,1700000000.123,AB,7\r\n30,1e-3,,BUY,1700000000.124,some:C,8",
        "\"amount\",\"price\",\"time\",\"symbol\",\"id\",\"side\"\n\"2\",\"1.5\",\"2023-11-14T22:13:20.123Z\",\"AB\",\"7\",\"sell\"\n\
         \n0.001,30,2023-11-14T22:13:20.124Z,some:C,8,\"b\"\n",
        "timestamp,note,symbol,id,price,qty,is_buyer_maker\n1700000000123000,\"x, y\",AB,7,1.5,2,True\n1700000000124000,z,some:C,8,30,.001,0\n",
    ];
    for text in texts {
        assert_eq!(detected("x.csv", text), Some("csv"));
        let (decoder, out) = decode(&head("x.csv", text.as_bytes()));
        assert_eq!(all_words(decoder.as_ref(), &out), same, "{text}");
        assert_eq!((out.frames.control, out.frames.broken), (1, 0));
        assert_eq!(decoder.trade_key(), DuplicateKey::Unique);
        assert!(!decoder.has_receive_times());
    }
}

#[test]
fn csv_with_few_columns_and_a_symbol_that_is_told() {
    let text = b"price,qty,time\n5,1,1700000000\n";
    let told = Head { symbol: Some("AB"), venue: Some("mine"), ..head("x.csv", text) };
    let (decoder, out) = decode(&told);
    assert_eq!(all_words(decoder.as_ref(), &out), ["mine:AB 1700000000000000000 - 5 1 ?"]);
    assert_eq!(decoder.trade_key(), DuplicateKey::None);
    let whole = Head { symbol: Some("own:AB"), ..head("x.csv", text) };
    let (decoder, out) = decode(&whole);
    assert_eq!(all_words(decoder.as_ref(), &out), ["own:AB 1700000000000000000 - 5 1 ?"]);
    assert_eq!(
        refused("csv", &head("x.csv", text)).to_string(),
        "\"x.csv\" has no column `symbol`; give --symbol"
    );
    let wrong = Head { venue: Some("Not A Venue"), ..head("x.csv", PLAIN.as_bytes()) };
    assert!(matches!(refused("csv", &wrong), FormatError::Needs(_)));
}

#[test]
fn csv_quotes_and_receive_times() {
    let text = "received_at,time,symbol,bid,bid_size,ask,ask_size\n\
        1700000000500,1700000000400,AB,1.0,5,1.1,6\n1700000000501,1700000000401,AB,1.0,5,,\n1700000000502,1700000000402,AB,-1,5,1.1,6\n\
        ,1700000000402,AB,1,5,1.1,6\n";
    let (decoder, out) = decode(&head("q.csv", text.as_bytes()));
    let zero = ["file:AB 1700000000400000000 5 1 1.1 6", "file:AB 1700000000401000000 5 1 0 0"];
    assert_eq!(all_words(decoder.as_ref(), &out)[..2], zero);
    assert_eq!(rejections(&out), [Rejection::BadSign, Rejection::BadTime]);
    assert!(decoder.has_receive_times());
    assert_eq!(out.output.ticks[0].received_at(), Some(1_700_000_000_500_000_000));
    let received: Vec<Option<i64>> = out.output.ticks[2..].iter().map(|tick| tick.received_at()).collect();
    assert_eq!(received, [Some(1_700_000_000_502_000_000), None], "a rejected tick keeps its receive time");
    assert_eq!(decoder.trade_key(), DuplicateKey::None);
}

#[test]
fn rows_with_bad_values_are_rejected_and_those_that_cannot_be_read_are_broken() {
    let good = "1700000000123,AB,7,1.50,2.0,true\n";
    let rejected = [
        ("1700000000123,AB,7,NaN,2,true", Rejection::BadNumber),
        ("1700000000123,AB,7,,2,true", Rejection::BadNumber),
        ("1700000000123,AB,7,1,99999999999999999999999,true", Rejection::BadNumber),
        ("1700000000123,AB,7,1,1e400,true", Rejection::BadNumber),
        ("1700000000123,AB,x7,1,1,true", Rejection::BadNumber),
        ("1700000000123,AB,7,-1,2,true", Rejection::BadSign),
        ("1700000000123,AB,7,1,-2,true", Rejection::BadSign),
        ("1700000000123,AB,7,1,0.000,true", Rejection::BadSign),
        ("0,AB,7,1,2,true", Rejection::BadTime),
        (",AB,7,1,2,true", Rejection::BadTime),
        ("-1700000000123,AB,7,1,2,true", Rejection::BadTime),
        ("9223372036854,AB,7,1,2,true", Rejection::BadTime),
        ("99999999999999999999,AB,7,1,2,true", Rejection::BadTime),
        // A time, but in microseconds, where the first was in milliseconds.
        ("1700000000123000,AB,7,1,2,true", Rejection::OtherUnit),
    ];
    for (row, why) in rejected {
        let text = format!("{PLAIN}{good}{row}\n{good}");
        let (decoder, out) = decode(&head("x.csv", text.as_bytes()));
        assert_eq!(rejections(&out), [why], "{row}");
        assert_eq!(all_words(decoder.as_ref(), &out)[1], format!("file:AB 0 {why:?}"), "{row}");
        assert_eq!((out.frames.ticks, out.frames.broken), (3, 0), "{row}");
        assert_eq!((out.complaints[0].0, out.complaints_in_all), (2, 1), "{row}");
        assert!(out.complaints[0].1.excerpt.starts_with(row), "{row}");
    }
    let long = format!("1700000000123,{},7,1,2,true", "A".repeat(1 << 20));
    let broken: [&[u8]; 10] = [
        b"1700000000123,AB,7,1,2",
        b"1700000000123,AB,7,1,2,true,1",
        b"1700000000123,AB,7,1,50,2,true",
        b"x",
        b"1700000000123,,7,1,2,true",
        b"1700000000123,A\xff,7,1,2,true",
        b"1700000000123,A\x00,7,1,2,true",
        b"1700000000123,AB,7,1,2,maybe",
        &[b'x'; 1_000_000],
        long.as_bytes(),
    ];
    for row in broken {
        let text = [PLAIN.as_bytes(), good.as_bytes(), row, b"\n", good.as_bytes()].concat();
        let head = Head { bytes: &text[..PLAIN.len() + good.len()], ..head("x.csv", b"") };
        let mut decoder = by_name("csv").unwrap().open(&head).unwrap();
        let mut out = feeds::formats::Decoded::default();
        decoder.decode(&text, &mut out);
        let shown = String::from_utf8_lossy(&row[..row.len().min(40)]).into_owned();
        assert_eq!((out.frames.ticks, out.frames.broken, out.frames.frames), (2, 1, 4), "{shown}");
        assert_eq!(out.output.ticks.len(), 2, "{shown}");
        assert_eq!((out.complaints.len(), out.complaints[0].0), (1, 2), "{shown}");
        assert_eq!(decoder.symbols().symbols().len(), 1, "{shown}");
    }
}

#[test]
fn wrong_columns_are_named() {
    let error = refused("csv", &head("x.csv", b"time,symbol,cost,qty\n1700000000,AB,1,2\n"));
    let expected = FormatError::Columns { missing: "price".into(), found: "time,symbol,cost,qty".into() };
    assert_eq!(error, expected);
    let quotes = refused("csv", &head("x.csv", b"time,symbol,bid,ask\n"));
    assert_eq!(quotes.to_string(), "no column `bid_size`; the header has time,symbol,bid,ask");
    // A header that nearly fits is still taken for CSV, so that the error can say what is missing.
    assert_eq!(detected("x.csv", "time,symbol,cost,qty\n"), Some("csv"));
    let book = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount\n";
    assert_eq!(detected("x.csv", book), Some("csv"));
    assert!(matches!(refused("csv", &head("x.csv", book.as_bytes())), FormatError::NotThis(_)));
    let wide = format!("time,symbol,price,qty{}\n", ",x".repeat(70));
    assert!(matches!(refused("csv", &head("x.csv", wide.as_bytes())), FormatError::NotThis(_)));
    assert!(matches!(refused("csv", &head("x.csv", b"")), FormatError::NotThis(_)));
    assert!(matches!(refused("tardis-trades", &head("x.csv", b"a,b\n")), FormatError::Columns { .. }));
    assert!(matches!(refused("binance-trades", &head("x.csv", b"a,b\n")), FormatError::NotThis(_)));
    assert!(matches!(refused("ndjson", &head("x.csv", b"a,b\n")), FormatError::NotThis(_)));
    let error = refused("ndjson", &head("x", b"{\"time\":1,\"cost\":2}\n"));
    assert_eq!(error, FormatError::Columns { missing: "price".into(), found: "cost,time".into() });
}

#[test]
fn ids_that_are_no_numbers_are_not_taken() {
    let text = "time,symbol,id,price,qty\n1700000000,AB,5f0c-aa,1,2\n1700000001,AB,,1,2\n";
    let (decoder, out) = decode(&head("x.csv", text.as_bytes()));
    assert_eq!(all_words(decoder.as_ref(), &out)[0], "file:AB 1700000000000000000 - 1 2 ?");
    assert_eq!((decoder.trade_key(), rejections(&out).len()), (DuplicateKey::None, 0));
}

#[test]
fn the_header_again_further_down_is_a_header() {
    let text = format!("{PLAIN}1700000000123,AB,7,1,2,true\n{PLAIN}\n1700000000124,AB,8,1,2,true\n");
    let (decoder, out) = decode(&head("x.csv", text.as_bytes()));
    assert_eq!((out.frames.ticks, out.frames.control, out.frames.blank), (2, 2, 1));
    assert_eq!(decoder.symbols().symbols().len(), 1);
}

#[test]
fn binance_vision_trades_and_aggregate_trades() {
    let spot = "11,1.50000000,2.00000000,3.00000000,1700000000123,True,True\n";
    let micros = "11,1.50000000,2.00000000,3.00000000,1700000000123000,true,true\n";
    let futures = "id,price,qty,quote_qty,time,is_buyer_maker\n11,1.5,2,3,1700000000123,true\n";
    for text in [spot, micros, futures] {
        let head = head("ABUSDT-trades-2023-11-14.csv", text.as_bytes());
        assert_eq!(detected(head.file_name, text), Some("binance-trades"));
        let (decoder, out) = decode(&head);
        assert_eq!(
            all_words(decoder.as_ref(), &out),
            ["binance:ABUSDT 1700000000123000000 11 1.5 2 sell"],
            "{text}"
        );
        assert_eq!(decoder.trade_key(), DuplicateKey::Contiguous);
    }
    let spot = "11,1.5,2,21,22,1700000000123,False,True\n";
    let futures = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n\
        11,1.5,2,21,22,1700000000123,false\n";
    let bare = "11,1.5,2,21,22,1700000000123,false\n";
    for text in [spot, futures, bare] {
        let head =
            Head { venue: Some("binance-usdm"), ..head("ABUSDT-aggTrades-2023-11.csv", text.as_bytes()) };
        assert_eq!(detected(head.file_name, text), Some("binance-aggtrades"));
        let (decoder, out) = decode(&head);
        assert_eq!(
            all_words(decoder.as_ref(), &out),
            ["binance-usdm:ABUSDT 1700000000123000000 11 1.5 2 buy"],
            "{text}"
        );
    }
}

#[test]
fn binance_vision_files_need_a_symbol_from_somewhere() {
    let text =
        b"11,1.5,2,3,1700000000123,True,True\n11,1.5,2,3,1700000000123,True,True,x\n1,NaN,2,3,1,True,True\n";
    let nameless = head("trades.csv", text);
    assert!(refused("binance-trades", &nameless).to_string().ends_with("give --symbol"));
    let (decoder, out) = decode(&Head { symbol: Some("binance-coinm:ABUSD_PERP"), ..nameless });
    assert_eq!(
        all_words(decoder.as_ref(), &out),
        ["binance-coinm:ABUSD_PERP 1700000000123000000 11 1.5 2 sell", "binance-coinm:ABUSD_PERP 0 BadTime"]
    );
    assert_eq!(out.frames.broken, 1);
}

#[test]
fn tardis_trades_and_quotes_of_several_exchanges() {
    let text = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n\
        binance-futures,ABUSDT,1700000000123000,1700000000125001,7,buy,1.5,2\n\
        bitfinex,tAB:USD,1700000000124000,1700000000125002,8,sell,1.5,2\n\
        Bad Name,AB,1700000000124000,1700000000125003,8,sell,1.5,2\n\
        other,AB,1700000000124000,1700000000125004,9,unknown,1.5,2\n";
    assert_eq!(detected("x.csv", text), Some("tardis-trades"));
    let (decoder, out) = decode(&head("x.csv", text.as_bytes()));
    assert_eq!(
        all_words(decoder.as_ref(), &out),
        [
            "binance-usdm:ABUSDT 1700000000123000000 7 1.5 2 buy",
            "bitfinex:tAB:USD 1700000000124000000 8 1.5 2 sell",
            "other:AB 1700000000124000000 9 1.5 2 ?",
        ]
    );
    assert_eq!(out.frames.broken, 1);
    assert_eq!(out.output.ticks[0].received_at(), Some(1_700_000_000_125_001_000));
    let text = "exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount\n\
        huobi-dm-swap,AB-USD,1700000000123000,1700000000125001,5,1.6,1.5,4\n\
        huobi-dm-swap,AB-USD,1700000000123000,1700000000125001,,,1.5,4\n";
    assert_eq!(detected("x.csv", text), Some("tardis-quotes"));
    let (decoder, out) = decode(&head("x.csv", text.as_bytes()));
    assert_eq!(
        all_words(decoder.as_ref(), &out),
        [
            "htx-coin-swap:AB-USD 1700000000123000000 4 1.5 1.6 5",
            "htx-coin-swap:AB-USD 1700000000123000000 4 1.5 0 0"
        ]
    );
}

#[test]
fn ndjson_takes_the_text_of_numbers() {
    let text = r#"{"time":1700000000123,"symbol":"AB","id":9007199254740993,"price":0.1234567890123456,"qty":"2.50","is_buyer_maker":true}
{"ts":"1700000000124","symbol":"some:A\/B","trade_id":"8","price":"1e-7","amount":1E+2,"side":"buy","more":{"a":[1]}}

{"time":1700000000125,"symbol":"AB","bid":"1","bid_size":"2","ask":3,"ask_size":null}
{"time":1700000000126,"symbol":"AB","price":"NaN","qty":1}
{"time":0,"symbol":"AB","price":1,"qty":1}
{"time":1700000000126,"symbol":7,"price":1,"qty":1}
{"time":1700000000126,"symbol":"AB","price":1}
{"time":1700000000126,"time":1,"symbol":"AB","price":1,"qty":1}
[1]
{"time":17000"#;
    assert_eq!(detected("x", text), Some("ndjson"));
    let (decoder, out) = decode(&head("x", text.as_bytes()));
    assert_eq!(
        all_words(decoder.as_ref(), &out),
        [
            "file:AB 1700000000123000000 9007199254740993 0.1234567890123456 2.5 sell",
            "some:A/B 1700000000124000000 8 0.0000001 100 buy",
            "file:AB 1700000000125000000 2 1 3 0",
            "file:AB 0 BadNumber",
            "file:AB 0 BadTime",
        ]
    );
    assert_eq!((out.frames.ticks, out.frames.broken, out.frames.blank), (5, 5, 1));
    let told = Head { symbol: Some("AB"), ..head("x", br#"{"time":1700000000,"price":1,"qty":2}"#) };
    let (decoder, out) = decode(&told);
    assert_eq!(all_words(decoder.as_ref(), &out), ["file:AB 1700000000000000000 - 1 2 ?"]);
    assert_eq!(decoder.trade_key(), DuplicateKey::None);
    assert!(refused("ndjson", &Head { symbol: None, ..told }).to_string().contains("--symbol"));
}

#[test]
fn a_file_of_nothing_but_a_header_is_empty_and_later_rows_tell_their_own_unit() {
    let (decoder, out) = decode(&head("x.csv", PLAIN.as_bytes()));
    assert_eq!((out.output.ticks.len(), out.frames.control), (0, 1));
    assert!(decoder.symbols().symbols().is_empty());
    let mut decoder: Box<dyn Decoder> =
        by_name("csv").unwrap().open(&head("x.csv", PLAIN.as_bytes())).unwrap();
    let mut out = feeds::formats::Decoded::default();
    decoder.decode(b"1700000000,AB,7,1,2,true\n1700000000123,AB,7,1,2,true\n0,AB,7,1,2,true\n", &mut out);
    assert_eq!(out.output.ticks[1].exchange_ts, 1_700_000_000_123_000_000);
    assert_eq!(rejections(&out), [Rejection::BadTime]);
}

#[test]
fn complaints_are_bounded_and_counted_on() {
    let text = format!("{PLAIN}1700000000123,AB,7,1,2,true\n{}", "x\n".repeat(50));
    let (_, out) = run(by_name("csv").unwrap(), &head("x.csv", text.as_bytes()));
    assert_eq!((out.complaints.len(), out.complaints_in_all), (feeds::formats::COMPLAINTS, 50));
}

#[test]
fn what_is_of_no_format_is_not_taken_for_one() {
    let none: [&[u8]; 12] = [
        b"",
        b"\n\n",
        b"hello\nworld\n",
        b"open_time;open;high\n",
        b"20200101 170000065,1.121200,1.121370,0\n",
        b"USD/JPY,20130101 21:54:59.123,86.7,86.8\n",
        b"{\"a\":1}\n",
        b"{\n\"time\": 1\n}\n",
        b"1700000000000000 \x00\x01\n",
        b"\x28\xb5\x2f\xfd\x00\x00\n",
        b"time\n1700000000\n",
        &[0; 4096],
    ];
    for bytes in none {
        let found = detect(&head("x.csv", bytes)).map(|format| format.name());
        assert_eq!(found, None, "{:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(40)]));
    }
}
