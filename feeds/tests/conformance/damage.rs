//! Frames that came to harm, or whose fields are not what they were.

use std::ops::Range;

use feeds::frame::FrameKind;
use feeds::tick::Event;
use feeds::venue::Venue;
use feeds::venues::VENUES;
use proptest::prelude::*;

use crate::describe_tick;
use crate::harness::{Line, Run, fixture};

#[test]
fn garbled_frames_are_accounted_for() {
    for venue in VENUES {
        let mut run = Run::new(*venue);
        let mut fed = 0;
        for (received_at, payload) in fixture(*venue) {
            for at in 0..payload.len() {
                for byte in [0, b'"', b'\\', b'{', b'[', b'-', b'9', b' ', 0xff] {
                    let mut garbled = payload.clone();
                    garbled[at] = byte;
                    venue.recognises(&garbled);
                    run.feed(Some(received_at), &garbled);
                    fed += 1;
                }
            }
        }
        run.session.finish(&mut run.out);
        assert_eq!(run.counts.frames, fed);
        assert!(run.out.ticks.len() as u64 >= run.counts.ticks, "{}: a tick got lost", venue.id());
    }
}

#[test]
fn a_frame_with_a_byte_taken_out_or_a_bit_turned_over_has_a_verdict() {
    for venue in VENUES {
        let mut run = Run::new(*venue);
        let mut fed = 0;
        for (received_at, payload) in fixture(*venue) {
            for at in 0..payload.len() {
                let mut shorter = payload.clone();
                shorter.remove(at);
                let mut turned = payload.clone();
                turned[at] ^= 1 << (at % 8);
                for damaged in [shorter, turned] {
                    venue.recognises(&damaged);
                    run.feed(Some(received_at), &damaged);
                    fed += 1;
                }
            }
        }
        run.session.finish(&mut run.out);
        assert_eq!(run.counts.frames, fed);
        assert!(run.out.ticks.len() as u64 >= run.counts.ticks, "{}: a tick got lost", venue.id());
    }
}

/// What happens to a frame on its way.
#[derive(Clone, Debug)]
enum Harm {
    Turn(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Insert(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Repeat(prop::sample::Index, prop::sample::Index),
}

fn harm() -> impl Strategy<Value = Harm> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        (index(), 0..8_u8).prop_map(|(at, bit)| Harm::Turn(at, bit)),
        index().prop_map(Harm::Remove),
        (index(), prop_oneof![any::<u8>(), prop::sample::select(&b"\"\\{}[],:-09.eE"[..])])
            .prop_map(|(at, byte)| Harm::Insert(at, byte)),
        index().prop_map(Harm::Cut),
        (index(), index()).prop_map(|(from, to)| Harm::Repeat(from, to)),
    ]
}

fn harmed(payload: &[u8], harm: &Harm) -> Vec<u8> {
    let mut bytes = payload.to_vec();
    if bytes.is_empty() {
        return bytes;
    }
    match harm {
        Harm::Turn(at, bit) => {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        Harm::Remove(at) => drop(bytes.remove(at.index(payload.len()))),
        Harm::Insert(at, byte) => bytes.insert(at.index(payload.len()), *byte),
        Harm::Cut(at) => bytes.truncate(at.index(payload.len())),
        Harm::Repeat(from, to) => {
            let piece = payload[from.index(payload.len())..].to_vec();
            let at = to.index(payload.len());
            bytes.splice(at..at, piece);
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    /// Any venue, its frames in any order, some several times and some harmed: each has a verdict, and the same twice.
    #[test]
    fn whatever_comes_is_accounted_for(
        which in any::<prop::sample::Index>(),
        frames in prop::collection::vec((any::<prop::sample::Index>(), prop::collection::vec(harm(), 0..4)), 1..60),
        without_times in any::<bool>(),
    ) {
        let venue = VENUES[which.index(VENUES.len())];
        let lines = fixture(venue);
        let fed: Vec<Line> = frames
            .iter()
            .map(|(index, harms)| {
                let (received_at, payload) = &lines[index.index(lines.len())];
                (*received_at, harms.iter().fold(payload.clone(), |bytes, harm| harmed(&bytes, harm)))
            })
            .collect();
        let run = |lines: &[Line]| {
            let mut run = Run::new(venue);
            for (received_at, payload) in lines {
                run.feed((!without_times).then_some(*received_at), payload);
            }
            run.session.finish(&mut run.out);
            run
        };
        let (once, again) = (run(&fed), run(&fed));
        prop_assert_eq!(once.counts.frames, fed.len() as u64);
        prop_assert!(once.out.ticks.len() as u64 >= once.counts.ticks, "{}", venue.id());
        prop_assert_eq!((&once.out.ticks, &once.out.notices), (&again.out.ticks, &again.out.notices));
    }
}

/// The values of a JSON text that are no objects or arrays, each with the key before it.
fn scalars(text: &[u8]) -> Vec<(String, Range<usize>)> {
    let (mut found, mut key, mut at) = (Vec::new(), String::new(), 0);
    while at < text.len() {
        let start = at;
        match text[at] {
            b'"' => {
                at += 1;
                while at < text.len() && text[at] != b'"' {
                    at += if text[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
                if text.get(at) == Some(&b':') {
                    key = String::from_utf8_lossy(&text[start + 1..at - 1]).into_owned();
                } else {
                    found.push((key.clone(), start..at.min(text.len())));
                }
            }
            b'-' | b'0'..=b'9' | b'a'..=b'z' => {
                at += text[at..].iter().take_while(|byte| !b",]} \n".contains(byte)).count();
                found.push((key.clone(), start..at));
            }
            _ => at += 1,
        }
    }
    found
}

fn new_ticks(run: &mut Run, (received_at, payload): &Line) -> (FrameKind, Vec<String>) {
    let before = run.out.ticks.len();
    let kind = run.feed(Some(*received_at), payload);
    (kind, run.out.ticks[before..].iter().map(|tick| describe_tick(tick, &run.symbols)).collect())
}

/// True if a side of the quote has a size and no price.
fn is_half(event: &Event) -> bool {
    let Event::Quote(quote) = event else { return false };
    let sides = [(quote.bid(), quote.bid_size()), (quote.ask(), quote.ask_size())];
    sides.iter().any(|(price, size)| price.is_zero() && !size.is_zero())
}

/// What a frame gives once one of its values is of another type, if that is neither broken nor rejected nor the same.
/// What is `null` is not there, which some values may be; but no side of a quote may be half there.
fn silent_changes(venue: &dyn Venue) -> Vec<String> {
    let lines = fixture(venue);
    let mut silent = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let before = || Run::unfinished(venue, &lines[..index]);
        let (kind, original) = new_ticks(&mut before(), line);
        if kind != FrameKind::Ticks {
            continue;
        }
        for (key, place) in scalars(&line.1) {
            for value in ["true", "{}", "[]", "null"] {
                // A word for yes or no may be the other one.
                if value == "true" && [&b"true"[..], b"false"].contains(&&line.1[place.clone()]) {
                    continue;
                }
                let changed = [&line.1[..place.start], value.as_bytes(), &line.1[place.end..]].concat();
                let mut run = before();
                let (kind, ticks) = new_ticks(&mut run, &(line.0, changed));
                let is_taken =
                    kind == FrameKind::Ticks && !ticks.iter().any(|tick| tick.contains(" Rejected("));
                let is_half = || run.out.ticks.iter().any(|tick| is_half(&tick.event));
                if is_taken && if value == "null" { is_half() } else { ticks != original } {
                    silent.push(format!("{} {key}={value} gives {ticks:?} for {original:?}", venue.id()));
                }
            }
        }
    }
    silent
}

#[test]
fn a_value_of_another_type_is_never_taken_for_something_else() {
    let silent: Vec<String> = VENUES.iter().flat_map(|venue| silent_changes(*venue)).collect();
    assert_eq!(silent, Vec::<String>::new());
}
