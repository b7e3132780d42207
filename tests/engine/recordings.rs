//! Recordings that are not whole: cut in the middle of a compressed frame, of a venue that is not known, without the
//! parts before, or of connections that broke off.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::sync::Arc;

use feeds::live::{Channel, Stream};
use feeds::recording::{Answer, Wish};
use feeds::time::SECOND;
use feeds::venues::by_id;
use tapedeck::clock;
use tapedeck::config::RulesSpec;
use tapedeck::feed::delivery::{ConnectionId, Delivery};
use tapedeck::replay::{Ending, ReplayOptions, Report};
use tapedeck::schema::gaps::{self, Missing};
use tapedeck::source::SourceError;
use tapedeck::store::{Family, Store};
use tapedeck::symbol::outages::Cause;
use tapedeck::tape::Cut;

use crate::live::{Connection, deliveries, live_options, recording, run_live};
use crate::made::{capture_trade, config, native_of};
use crate::support::{assert_same, dump_of, dumped, lines, memory, options, run};

/// What the replay of these files says, and its dump.
fn replayed(files: &[PathBuf]) -> (Report, String) {
    let store = memory();
    let report = run(&store, files, &ReplayOptions { config: config(true), ..options() });
    (report, dumped(&store))
}

/// The whole lines that can be had of a compressed file that was cut.
fn whole_lines(packed: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = BufReader::new(zstd::stream::read::Decoder::new(packed).unwrap());
    let mut lines = Vec::new();
    loop {
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line).is_err() || !line.ends_with(b"\n") {
            return lines;
        }
        lines.push(line);
    }
}

/// A recorder that is killed leaves a frame of zstd without its end. What can be had of it comes before the error.
#[test]
fn a_compressed_recording_that_was_cut_gives_its_whole_lines_and_then_says_so() {
    let folder = tempfile::tempdir().unwrap();
    run_live(folder.path(), deliveries(7, 1_200), &live_options(2, Cut::Adaptive));
    let plain = zstd::stream::decode_all(&std::fs::read(&recording(folder.path())[0]).unwrap()[..]).unwrap();
    // Flushed now and then, as a recorder does each second.
    let mut packing = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    for piece in plain.chunks(9_999) {
        packing.write_all(piece).unwrap();
        packing.flush().unwrap();
    }
    let packed = packing.finish().unwrap();
    let [cut, plain] = ["cut.rec.zst", "cut.rec"].map(|name| folder.path().join(name));
    let is_frame = |line: &[u8]| matches!(line.split(|byte| *byte == b' ').nth(3), Some(b"f" | b"e"));
    let mut seen = 0;
    for at in (packed.len() / 2..packed.len()).step_by(packed.len() / 40) {
        let lines = whole_lines(&packed[..at]);
        if !is_frame(lines.last().unwrap()) {
            continue;
        }
        seen += 1;
        std::fs::write(&cut, &packed[..at]).unwrap();
        std::fs::write(&plain, lines.concat()).unwrap();
        let (whole, expected) = replayed(std::slice::from_ref(&plain));
        let (report, dump) = replayed(std::slice::from_ref(&cut));
        assert!(matches!(whole.ending, Ending::Complete));
        assert!(matches!(report.ending, Ending::Damaged(SourceError::Cut { .. })), "{:?}", report.ending);
        assert_eq!(report.summary.ledger, whole.summary.ledger);
        assert_same(&dump, &expected, "what is whole");
    }
    assert!(seen > 0, "every cut was behind something else than a frame");
}

/// One connection is of a venue that is not known, and goes on from a part that is not here.
const HAND_WRITTEN: &str = r#"{"tapedeck_recording":2,"part":3,"connections":[{"number":1,"venue":"nobody","address":"ws://x/y"},{"number":2,"venue":"binance","address":"ws://x/z"}],"run":17,"judged":false}
1 1700000000000000000 1 f {"a":1}
1 1700000000000000001 2 f {"stream":"btcusdt@trade","data":{"e":"trade","E":1700000000000,"s":"BTCUSDT","t":7,"p":"5.5","q":"2","T":1700000000000,"m":true,"M":true}}
2 1700000000000000002 1 f {"a":2}
2 1700000000000000003 1 c gone
2 1700000000000000004 0 s 
"#;

#[test]
fn a_connection_of_an_unknown_venue_is_complained_of_once_and_what_is_behind_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("by-hand.rec");
    std::fs::write(&path, HAND_WRITTEN).unwrap();
    let (report, _) = replayed(&[path]);
    assert!(matches!(report.ending, Ending::Complete), "{:?}", report.ending);
    assert_eq!(report.summary.ledger.received, 1);
    let why: Vec<String> = report.complaints.iter().map(ToString::to_string).collect();
    assert_eq!(report.complaints_in_all, 3, "{why:?}");
    let count = |what: &str| why.iter().filter(|why| why.contains(what)).count();
    assert_eq!((count("a venue that is not known"), count("that is not open")), (1, 2), "{why:?}");
}

const START: i64 = 1_700_000_000 * SECOND;

/// A trade of each of two symbols in each of these seconds.
fn trades(seconds: std::ops::Range<i64>) -> Vec<(i64, Vec<u8>)> {
    let of_both = seconds.flat_map(|second| [(0, second), (1, second)]);
    let lines = of_both.map(|(symbol, second)| {
        let time = START + second * SECOND;
        let line = capture_trade(symbol, u64::try_from(second).unwrap(), time, time);
        let space = line.iter().position(|byte| *byte == b' ').unwrap();
        (time, line[space + 1..].trim_ascii_end().to_vec())
    });
    lines.collect()
}

fn answer(streams: Vec<Stream>, received_at: i64) -> Delivery {
    let answer = Answer { streams, granted: true };
    Delivery::Answer { connection: ConnectionId(2), answer, received_at }
}

/// The symbols of which trades are missing because a connection ended.
fn ends(store: &Arc<dyn Store>) -> Vec<u32> {
    let pairs = store.scan(Family::Gaps, &[], None).map(|pair| pair.unwrap());
    let stretches = pairs.filter_map(|(key, value)| match gaps::decode(&key, &value).unwrap() {
        (symbol, Missing::Stretch(stretch)) => (stretch.cause == Cause::Connection).then_some(symbol),
        _ => None,
    });
    stretches.collect()
}

/// What was told before a part begins is told again where it does: by which rules is judged, what was granted, and what is
/// not wanted.
#[test]
fn a_later_part_alone_has_its_rules_and_what_its_connections_carry() {
    let folder = tempfile::tempdir().unwrap();
    let binance = by_id("binance").unwrap();
    let (mut connection, opened) = Connection::open(1, binance, START);
    // It is to bring the same, and does not yet; one of the streams is not wanted of it any more.
    let (_, other) = Connection::open(2, binance, START);
    let streams = [0, 1].map(|symbol| Stream::new(native_of(symbol), Channel::Trades));
    let wish = Wish { stream: streams[1].clone(), wanted: false };
    let wish = Delivery::Wish { connection: ConnectionId(2), wish, received_at: START };
    // An answer about nothing changes nothing; a part ends by its time.
    let later = answer(Vec::new(), clock::wall() + 7_200 * SECOND);
    let before = connection.frames(&trades(1..20));
    let behind = connection.frames(&trades(20..40));
    let deliveries = vec![
        opened,
        other,
        wish,
        answer(streams.to_vec(), START),
        before,
        later,
        behind,
        Delivery::Time { received_at: START + 45 * SECOND },
        connection.close(START + 46 * SECOND),
    ];
    let live = run_live(folder.path(), deliveries, &live_options(2, Cut::Adaptive));
    let parts = recording(folder.path());
    assert_eq!(parts.len(), 2);
    // As a replay does with the configuration of a recording that has rules.
    let mut windows_only = config(true);
    windows_only.rules = RulesSpec::default();
    let replay = ReplayOptions { config: windows_only, ..options() };
    assert_same(&dump_of(&parts, &replay), &dumped(&live), "all parts");
    let second = memory();
    run(&second, &parts[1..], &replay);
    let alerts = dumped(&second);
    assert!(lines(&alerts, "alert,").iter().any(|line| line.contains(",quiet,")), "{alerts}");
    assert_eq!((ends(&live), ends(&second)), (vec![1], vec![1]));
}

/// A quote without a time of the exchange's: it waits until a trade tells how far behind frames are.
fn quote(symbol: &str, received_at: i64) -> (i64, Vec<u8>) {
    let quote = format!(
        r#"{{"stream":"x@bookTicker","data":{{"u":9,"s":"{symbol}","b":"7.5","B":"1","a":"8","A":"2"}}}}"#
    );
    (received_at, quote.into_bytes())
}

/// What a session was given and nobody else, and a session that is gone, are in no recording.
#[test]
fn a_connection_that_broke_off_replays_as_it_was() {
    for loses in [None, Some("NEVERTOLD")] {
        let folder = tempfile::tempdir().unwrap();
        let venue = by_id("binance").unwrap();
        let (mut lost, opened) = Connection::open(1, venue, START);
        let mut deliveries = vec![opened, lost.frames(&[quote("HERE", START)])];
        // It is decoded and goes nowhere.
        drop(loses.map(|symbol| lost.frames(&[quote(symbol, START)])));
        deliveries.push(lost.break_off(START + SECOND));
        let (mut other, opened) = Connection::open(2, venue, START + SECOND);
        deliveries.extend([opened, other.frames(&trades(2..4)), other.close(START + 4 * SECOND)]);
        let live = run_live(folder.path(), deliveries, &live_options(1, Cut::Adaptive));
        let (report, replayed) = replayed(&recording(folder.path()));
        assert_same(&replayed, &dumped(&live), "the replay");
        assert_eq!((report.summary.ledger.received, report.summary.ledger.dropped), (4, 0));
    }
}

/// The same connection, closed: the quote that waited is told to be lost.
#[test]
fn quotes_that_waited_are_dropped_when_their_connection_closes() {
    let folder = tempfile::tempdir().unwrap();
    let (mut connection, opened) = Connection::open(1, by_id("binance").unwrap(), START);
    let quote = connection.frames(&[quote("HERE", START)]);
    let live = run_live(
        folder.path(),
        vec![opened, quote, connection.close(START)],
        &live_options(1, Cut::Adaptive),
    );
    let (report, replayed) = replayed(&recording(folder.path()));
    assert_same(&replayed, &dumped(&live), "the replay");
    assert_eq!((report.summary.ledger.received, report.summary.ledger.dropped), (1, 1));
}

/// The first trade of a connection tells how far behind it is, which is no news of the frame before that could not be read:
/// in one delivery with it or in its own.
#[test]
fn frames_without_ticks_mean_the_same_in_one_delivery_and_in_several() {
    let venue = by_id("binance").unwrap();
    let at = |tenths: i64| START + tenths * SECOND / 10;
    let trade = |id, tenths, behind| {
        let line = capture_trade(0, id, at(tenths - behind), at(tenths));
        let space = line.iter().position(|byte| *byte == b' ').unwrap();
        (at(tenths), line[space + 1..].trim_ascii_end().to_vec())
    };
    let quotes = || (0..100).map(|second| quote(&native_of(0), at(second)));
    let frames = [
        quote(&native_of(0), at(101)),
        (at(102), b"{".to_vec()),
        trade(2, 103, 6),
        quote(&native_of(0), at(105)),
    ];
    let dumps = [1, 2, 3, 4].map(|each| {
        let folder = tempfile::tempdir().unwrap();
        let (mut known, opened) = Connection::open(1, venue, START);
        let before: Vec<_> = [trade(1, 0, 0)].into_iter().chain(quotes()).collect();
        let mut deliveries = vec![opened, known.frames(&before)];
        let (mut new, opened) = Connection::open(2, venue, START);
        deliveries.push(opened);
        deliveries.extend(frames.chunks(each).map(|frames| new.frames(frames)));
        let live = run_live(folder.path(), deliveries, &live_options(1, Cut::Adaptive));
        let (_, replayed) = replayed(&recording(folder.path()));
        assert_same(&replayed, &dumped(&live), "the replay");
        let gaps = live.scan(Family::Gaps, &[], None).map(|pair| pair.unwrap()).collect::<Vec<_>>();
        assert!(!gaps.is_empty());
        (dumped(&live), gaps)
    });
    for other in &dumps[1..] {
        assert_same(&other.0, &dumps[0].0, "what was live");
        assert_eq!(other.1, dumps[0].1);
    }
}
