//! A venue knows the fields of its frames, and one that it does not know is noticed.

use feeds::fields::{FRAMES_BETWEEN_LOOKS, UNKNOWN_FIELDS};
use feeds::frame::{FieldCount, Frame, FrameCounts, FrameKind};
use feeds::outage::{Attention, Outage, Sign, Whose};
use feeds::symbol::SymbolTable;
use feeds::time::Nanos;
use feeds::venue::{Output, Venue};
use feeds::venues::VENUES;

use crate::harness::{Line, fixture};

/// Of the frames of a connection, each as the first one: what it was, and which fields were not known.
fn looked_at(venue: &dyn Venue, lines: &[Line]) -> Vec<(FrameKind, Vec<String>)> {
    let (mut session, mut symbols) = (venue.open(), SymbolTable::new(venue.id()));
    let mut out = Output::default();
    let look = |(received_at, payload): &Line| {
        let (frame, mut counts) =
            (Frame { received_at: Some(*received_at), payload }, FrameCounts::default());
        let mut attention = Attention::new(venue);
        let kind = attention.on_frame(&mut *session, frame, &mut symbols, &mut out, &mut counts);
        assert_eq!(counts.frames, 1, "{}: a frame is counted once", venue.id());
        (kind, counts.unknown_fields.into_keys().collect())
    };
    lines.iter().map(look).collect()
}

/// A venue whose frames are objects and that names no field fails here, too.
#[test]
fn every_field_of_the_fixtures_is_known() {
    for venue in VENUES {
        let lines = fixture(*venue);
        for ((_, payload), (_, unknown)) in lines.iter().zip(looked_at(*venue, &lines)) {
            let frame = String::from_utf8_lossy(payload);
            assert!(unknown.is_empty(), "{}: {unknown:?} of {frame}", venue.id());
        }
    }
}

#[test]
fn a_field_that_was_never_there_is_noticed_wherever_it_stands() {
    for venue in VENUES {
        let lines = fixture(*venue);
        let kinds: Vec<FrameKind> = looked_at(*venue, &lines).into_iter().map(|(kind, _)| kind).collect();
        let (mut ticks, mut objects) = (0, 0);
        for (place, (received_at, payload)) in lines.iter().enumerate() {
            if kinds[place] != FrameKind::Ticks {
                continue;
            }
            ticks += 1;
            for (at, _) in payload.iter().enumerate().filter(|(_, byte)| **byte == b'{') {
                let is_empty = payload[at + 1..].trim_ascii_start().starts_with(b"}");
                let field: &[u8] = if is_empty { b"\"made_up\":0" } else { b"\"made_up\":0," };
                let changed = [&payload[..=at], field, &payload[at + 1..]].concat();
                let mut changed_lines = lines.clone();
                changed_lines[place] = (*received_at, changed);
                let (kind, unknown) = looked_at(*venue, &changed_lines).swap_remove(place);
                let frame = String::from_utf8_lossy(&changed_lines[place].1);
                assert_eq!((kind, unknown), (FrameKind::Ticks, vec!["made_up".to_owned()]), "{frame}");
                objects += 1;
            }
        }
        assert!(ticks > 0, "{}", venue.id());
        assert_eq!(objects == 0, venue.fields().is_empty(), "{}: fields of arrays", venue.id());
    }
}

#[test]
fn fields_are_names_in_their_order() {
    for venue in VENUES {
        let names: Vec<&str> = venue.fields().split(' ').filter(|name| !name.is_empty()).collect();
        assert_eq!(names.join(" "), venue.fields(), "{}: one space between names", venue.id());
        let unordered = names.windows(2).find(|pair| pair[0] >= pair[1]);
        assert_eq!(unordered, None, "{}: not in order, or twice", venue.id());
    }
}

#[test]
fn one_of_so_many_frames_is_looked_at() {
    let venue = VENUES[0];
    let lines = fixture(venue);
    let kinds = looked_at(venue, &lines);
    let place = kinds.iter().position(|(kind, _)| *kind == FrameKind::Ticks).expect("a frame with ticks");
    let (received_at, payload) = &lines[place];
    let fields: String = (0..2 * UNKNOWN_FIELDS).map(|name| format!("\"new{name:02}\":0,")).collect();
    let changed = [b"{", fields.as_bytes(), &payload[1..]].concat();
    let (mut session, mut symbols) = (venue.open(), SymbolTable::new(venue.id()));
    let (mut attention, mut out) = (Attention::new(venue), Output::default());
    let mut counts = FrameCounts::default();
    for number in 0..=i64::from(2 * FRAMES_BETWEEN_LOOKS) {
        let frame = Frame { received_at: Some(received_at + number), payload: &changed };
        attention.on_frame(&mut *session, frame, &mut symbols, &mut out, &mut counts);
    }
    let since: Option<Nanos> = Some(*received_at);
    assert_eq!(counts.unknown_fields.len(), UNKNOWN_FIELDS + 1, "{:?}", counts.unknown_fields);
    assert!(counts.unknown_fields.values().all(|count| *count == FieldCount { frames: 3, since }));
    assert_eq!(counts.unknown_fields["?"].frames, 3, "those that found no place");
    assert_eq!(appeared(&out).len(), 1, "all with the first frame");
}

fn appeared(out: &Output) -> Vec<Outage> {
    out.outages.iter().filter(|outage| outage.sign == Sign::Fields).copied().collect()
}

/// What was not looked at between two looks may have had it.
#[test]
fn a_new_field_touches_what_came_since_the_look_before() {
    for venue in VENUES.iter().filter(|venue| !venue.fields().is_empty()) {
        let lines = fixture(*venue);
        let (mut session, mut symbols) = (venue.open(), SymbolTable::new(venue.id()));
        let (mut attention, mut out) = (Attention::new(*venue), Output::default());
        let mut hand_in = |received_at, payload: &[u8], out: &mut Output| {
            let frame = Frame { received_at: Some(received_at), payload };
            attention.on_frame(&mut *session, frame, &mut symbols, out, &mut FrameCounts::default())
        };
        let kinds: Vec<FrameKind> = lines.iter().map(|(at, line)| hand_in(*at, line, &mut out)).collect();
        assert_eq!(appeared(&out), [], "{}", venue.id());
        // Frames of the venue over and over, with a field more in all of them.
        let with_ticks = lines.iter().zip(&kinds).filter(|(_, kind)| **kind == FrameKind::Ticks);
        let changed: Vec<Vec<u8>> = with_ticks
            .filter_map(|((_, line), _)| {
                let at = line.iter().position(|byte| *byte == b'{')?;
                Some([&line[..=at], b"\"made_up\":0,", &line[at + 1..]].concat())
            })
            .collect();
        let (first, last) = (lines[0].0, lines[lines.len() - 1].0);
        for number in 0..2 * i64::from(FRAMES_BETWEEN_LOOKS) {
            let line = &changed[number as usize % changed.len()];
            hand_in(last + number, line, &mut out);
        }
        let [found] = appeared(&out)[..] else { panic!("{}: {:?}", venue.id(), appeared(&out)) };
        assert!(found.after.is_some_and(|after| (first..=last).contains(&after)), "{}", venue.id());
        assert!(found.channel.is_some() && matches!(found.whose, Whose::Below(1..)), "{found:?}");
    }
}
