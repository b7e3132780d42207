//! What a session keeps is bounded: floods of symbols, of ids and of requests that nobody answers, and what they cost in
//! memory of this process. One test, in a process of its own, so that nothing else moves the measure.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot read its input has failed")]

#[path = "conformance/harness.rs"]
mod harness;

use std::fs;

use feeds::live::{Channel, Stream};
use feeds::venue::{Output, Venue};
use feeds::venues::VENUES;

use crate::harness::{Run, fixture, natives};

/// Frames of new symbols, and frames with other numbers, that each venue gets: a million together.
const FLOOD: usize = 16_000;
/// What a symbol may cost: its name with the places to find it, and what the session knows of it.
const SYMBOL_BYTES: usize = 2 << 10;
/// What may come and go beside: room of the allocator, and what a session keeps however much comes.
const SLACK_BYTES: usize = 4 << 20;

/// What comes in a flood to a venue's session, and what that has then.
type Flood = fn(&dyn Venue) -> Run;

/// Bytes of this process that are in memory; `None` where the system does not say.
fn resident() -> Option<usize> {
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: usize = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4_096)
}

/// `text` with each number moved on by `n`, as long as it has room for it.
fn moved_on(text: &[u8], n: usize) -> Vec<u8> {
    let mut moved = Vec::with_capacity(text.len());
    for piece in text.chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit()) {
        let number = std::str::from_utf8(piece).ok().and_then(|digits| digits.parse::<u64>().ok());
        match number {
            Some(number) => moved.extend_from_slice(number.wrapping_add(n as u64).to_string().as_bytes()),
            None => moved.extend_from_slice(piece),
        }
    }
    moved
}

/// Every frame of the fixture in turn, each time about a symbol that was not there before.
fn flood_of_symbols(venue: &dyn Venue) -> Run {
    let (names, lines) = (natives(venue), fixture(venue));
    let mut run = Run::unfinished(venue, &lines);
    for n in 0..FLOOD {
        let (received_at, payload) = &lines[n % lines.len()];
        let Ok(text) = std::str::from_utf8(payload) else { continue };
        let changed = names
            .iter()
            .fold(text.to_owned(), |text, name| text.replace(name.as_str(), &format!("{name}{n}")));
        run.feed(Some(*received_at), changed.as_bytes());
        run.out = Output::default();
    }
    run
}

/// Every frame in turn, each time with other numbers: ids, channels, requests, prices, times.
fn flood_of_numbers(venue: &dyn Venue) -> Run {
    let lines = fixture(venue);
    let mut run = Run::unfinished(venue, &lines);
    for n in 0..FLOOD {
        let (received_at, payload) = &lines[n % lines.len()];
        run.feed(Some(*received_at), &moved_on(payload, n));
        run.out = Output::default();
    }
    run
}

/// Subscriptions of one stream, again and again, none of which is answered.
fn flood_of_requests(venue: &dyn Venue) -> Run {
    let mut run = Run::new(venue);
    let name = natives(venue).remove(0);
    let stream = [Stream::new(name, Channel::Trades)];
    for _ in 0..2 * FLOOD {
        run.session.subscribe(&stream, 0, &mut run.out);
        run.session.unsubscribe(&stream, 0, &mut run.out);
        run.out = Output::default();
    }
    run
}

#[test]
fn floods_cost_what_they_may() {
    let Some(_) = resident() else {
        eprintln!("skipped: the system does not say how much memory is in use");
        return;
    };
    for venue in VENUES {
        let floods: [(&str, Flood); 3] =
            [("symbols", flood_of_symbols), ("numbers", flood_of_numbers), ("requests", flood_of_requests)];
        for (name, flood) in floods {
            let before = resident().unwrap();
            let run = flood(*venue);
            let grown = resident().unwrap().saturating_sub(before);
            let symbols = run.symbols.symbols().len();
            let most = symbols * SYMBOL_BYTES + SLACK_BYTES;
            assert!(grown <= most, "{}: {grown} bytes for a flood of {name}, {symbols} symbols", venue.id());
            // Some frames are about no symbol.
            assert!(name != "symbols" || symbols > FLOOD / 50, "{}: {symbols} symbols", venue.id());
        }
    }
}
