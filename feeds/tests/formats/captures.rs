//! Captures of a made-up venue: what the lines mean, and which venue they are of.

use feeds::formats::cryptofeed::Cryptofeed;
use feeds::formats::hftbacktest::HftBacktest;
use feeds::formats::recording::Recording;
use feeds::formats::{Decoded, Format, FormatError, Head};
use feeds::frame::FrameCounts;
use feeds::venue::DuplicateKey;

use crate::made_venue::VENUES;
use crate::{all_words, head, run};

const HFT: HftBacktest = HftBacktest::of(VENUES);
const CF: Cryptofeed = Cryptofeed::of(VENUES);

fn counts(out: &Decoded) -> [u64; 6] {
    let FrameCounts { frames, ticks, control, heartbeat, broken, blank, .. } = out.frames;
    [frames, ticks, control, heartbeat, broken, blank]
}

fn needs(format: &dyn Format, head: &Head<'_>) -> String {
    match format.open(head).err() {
        Some(FormatError::Needs(what)) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn hftbacktest_lines_in_nanoseconds_and_microseconds() {
    for (unit, zeros) in [("us", ""), ("ns", "000")] {
        let text = format!(
            "\u{feff}1700000000000001{zeros} {{\"SAB\":\"1.50\"}}\r\n\n1700000000000002{zeros} {{}}\r\n\
             1700000000000003{zeros} {{\"SAB\":\"x\"}}\nno time\n12 {{}}\n1700000000000004{zeros} {{\"SCD\":\"7\"}}"
        );
        let head = head("made.gz", text.as_bytes());
        assert!(HFT.matches(&head), "{unit}");
        let (decoder, out) = run(&HFT, &head);
        assert_eq!(decoder.venue().map(|venue| venue.id()), Some("short"));
        assert_eq!(decoder.trade_key(), DuplicateKey::Row);
        assert!(decoder.has_receive_times() && decoder.fork().is_none());
        assert_eq!(
            all_words(decoder.as_ref(), &out),
            [
                "short:SAB 1700000000000000000 1 1.5 1 buy",
                "short:SAB 1700000000000002000 BadNumber",
                "short:SCD 1700000000000003000 4 7 1 buy",
            ],
            "{unit}"
        );
        assert_eq!(out.output.ticks[0].received_at(), Some(1_700_000_000_000_001_000));
        assert_eq!(counts(&out), [7, 3, 0, 1, 2, 1]);
        let lines: Vec<u64> = out.complaints.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [3, 4, 5]);
        assert!(out.output.sends.is_empty());
    }
}

#[test]
fn a_capture_is_of_the_venue_told_or_of_the_first_that_recognises_a_frame() {
    let text = b"1700000000000001 {}\n1700000000000001 {\"LAB\":\"1\"}\n";
    let detected = HFT.open(&head("x", text)).unwrap();
    assert_eq!(detected.venue().unwrap().id(), "long");
    let told = HFT.open(&Head { venue: Some("short"), ..head("x", text) }).unwrap();
    assert_eq!(told.venue().unwrap().id(), "short");
    assert!(needs(&HFT, &head("x", b"1700000000000001 {}\n")).ends_with("give --venue"));
    let unknown = Head { venue: Some("elsewhere"), ..head("x", text) };
    assert_eq!(needs(&HFT, &unknown), "no venue \"elsewhere\"; give --venue with one of short long");
    assert!(matches!(HFT.open(&head("x", b"what\n")), Err(FormatError::NotThis(_))));
}

#[test]
fn cryptofeed_lines() {
    let text = "wss://made.example:9443/longer?x=1 <-> 1700000000.5\n\
        wss://made.example:9443/longer?x=1 <- 1700000000.6: {\"sub\":1}\n\
        1700000001.8469708: {\"SAB\":\"2\"}\n\
        1700000002: b'{\"SAB\":\"3\\x31\"}'\n\
        1700000003.000000001: b'{\\q'\n\
        \n\
        0.5: {}\n\
        wss://made.example what\n\
        wss://made.example:9443/longer?x=1 <-> 1700000004\n\
        1700000005.1: {\"SAB\":\"4\"}\n\
        wss://made.example/ <-> 1700000006\n\
        1700000007.1: {\"SAB\":\"5\"}\n";
    let head = head("made.raw", text.as_bytes());
    assert!(CF.matches(&head));
    let (decoder, out) = run(&CF, &head);
    assert_eq!(
        all_words(decoder.as_ref(), &out),
        [
            "long:SAB 1700000001846969800 1 2 1 buy",
            "long:SAB 1700000001999999000 2 31 1 buy",
            "long:SAB 1700000005099999000 1 4 1 buy",
        ],
        "the endpoint with the longest path, and a fresh session for a second opening"
    );
    assert_eq!(out.output.ticks[0].received_at(), Some(1_700_000_001_846_970_800));
    // Broken: the escape, the time, the address without an arrow, the frame of another venue.
    assert_eq!(counts(&out), [12, 3, 4, 0, 4, 1]);
    assert!(out.complaints[3].1.reason.contains("another venue"), "{:?}", out.complaints);
}

#[test]
fn cryptofeed_venue_by_address_then_frames_then_as_told() {
    let unknown = "wss://other.example <-> 1700000000.5\n1700000001.8: {\"LAB\":\"2\"}\n";
    assert_eq!(CF.open(&head("x", unknown.as_bytes())).unwrap().venue().unwrap().id(), "long");
    let silent = "wss://other.example <-> 1700000000.5\n1700000001.8: {\"-AB\":\"2\"}\n";
    assert!(needs(&CF, &head("x", silent.as_bytes())).contains("--venue"));
    let told = Head { venue: Some("short"), ..head("x", silent.as_bytes()) };
    assert_eq!(CF.open(&told).unwrap().venue().unwrap().id(), "short");
    let headless = b"1700000001.8: {\"LAB\":\"2\"}\n";
    assert!(CF.matches(&head("x", headless)));
    assert!(!CF.matches(&head("x", b"1700000001.8,{\"LAB\"}\n")));
}

#[test]
fn recordings_are_told_by_their_first_line_and_not_read_as_one_file_among_others() {
    let refuse = |text: &str| {
        let head = head("x", text.as_bytes());
        assert!(Recording.matches(&head), "{text}");
        Recording.open(&head).err().unwrap().to_string()
    };
    let other = refuse("{\"tapedeck_recording\":1,\"venue\":\"long\"}\n");
    assert_eq!(other, "a recording of version 1; this program reads version 2");
    assert!(refuse("{\"tapedeck_recording\":2,\"part\":1,\"connections\":[]}\n").contains("by itself"));
    assert!(refuse("{\"tapedeck_recording\":x}\n").starts_with("the first line is not"));
}
