//! Recordings that are not whole: cut in the middle of a compressed frame, or of a venue that is not known.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;

use tapedeck::replay::{Ending, ReplayOptions, Report};
use tapedeck::source::SourceError;
use tapedeck::tape::Cut;

use crate::live::{deliveries, live_options, recording, run_live};
use crate::made::config;
use crate::support::{assert_same, dumped, memory, options, run};

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
