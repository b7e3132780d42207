//! Every venue in the list, the same checks: its fixtures give what they gave, damaged frames give a verdict each,
//! and nothing waits without bound.
//!
//! A fixture is `feeds/fixtures/<venue>.frames`, one `<received ns> <frame>` a line, with what it must give in
//! `<venue>.expect`. `UPDATE_EXPECT=1` writes the latter anew; read the difference before it is kept.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot read its input has failed")]

#[path = "conformance/damage.rs"]
mod damage;

#[path = "conformance/fields.rs"]
mod fields;

#[path = "conformance/harness.rs"]
mod harness;

#[path = "conformance/sending.rs"]
mod sending;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;

use feeds::frame::FrameKind;
use feeds::live::Channel;
use feeds::offset::WAITING_MAX;
use feeds::symbol::SymbolTable;
use feeds::tick::Tick;
use feeds::time::{self, Nanos};
use feeds::venue::{Endpoint, Venue};
use feeds::venues::{VENUES, by_id};

use crate::harness::{Line, Run, fixture, fixture_path};

/// Venues whose frames are another's to the letter: the first of the list is taken where only frames tell.
const TWINS: &[(&str, &str)] = &[("binance-us", "binance")];

/// When messages are sent.
const NOW: Nanos = 1_750_000_000_000_000_000;

fn describe_tick(tick: &Tick, symbols: &SymbolTable) -> String {
    let symbol = &symbols.symbols()[tick.symbol.0 as usize];
    let untimed = if tick.timed { "" } else { " untimed" };
    let history = if tick.history { " history" } else { "" };
    let history = if tick.excluded { " excluded" } else { history };
    format!("{symbol} {}{untimed}{history} {:?}", time::format(tick.exchange_ts), tick.event)
}

/// What a fixture gives, one line for each frame and below it what came out.
fn transcript(venue: &dyn Venue, lines: &[Line]) -> String {
    let mut run = Run::new(venue);
    let (mut text, mut ticks, mut offsets) = (String::new(), 0, 0);
    for number in 1..=lines.len() + 1 {
        match lines.get(number - 1) {
            Some((received_at, payload)) => {
                let kind = run.feed(Some(*received_at), payload);
                writeln!(text, "{number} {kind:?}").unwrap();
            }
            None => {
                run.session.finish(&mut run.out);
                writeln!(text, "end").unwrap();
            }
        }
        for (at, offset) in &run.out.offsets[offsets..] {
            writeln!(text, "  offset {offset} before tick {at}").unwrap();
        }
        for tick in &run.out.ticks[ticks..] {
            writeln!(text, "  {}", describe_tick(tick, &run.symbols)).unwrap();
        }
        (ticks, offsets) = (run.out.ticks.len(), run.out.offsets.len());
    }
    for gap in &run.out.gaps {
        writeln!(text, "gap {gap:?}").unwrap();
    }
    for notice in &run.out.notices {
        writeln!(text, "notice {notice:?}").unwrap();
    }
    for send in &run.out.sends {
        writeln!(text, "send {send}").unwrap();
    }
    text
}

#[test]
fn fixtures_give_what_they_gave() {
    let bless = std::env::var_os("UPDATE_EXPECT").is_some();
    for venue in VENUES {
        let (path, now) = (fixture_path(*venue, "expect"), transcript(*venue, &fixture(*venue)));
        if bless {
            fs::write(&path, &now).unwrap();
            continue;
        }
        let expected = fs::read_to_string(&path).unwrap_or_else(|error| {
            panic!("{}: {error}; run with UPDATE_EXPECT=1 and read it", path.display())
        });
        let differs = expected.lines().zip(now.lines()).find(|(expected, now)| expected != now);
        assert_eq!(differs, None, "{}: first line that differs, expected and now", venue.id());
        assert_eq!(expected, now, "{}", venue.id());
    }
}

#[test]
fn fixtures_show_what_the_venue_claims() {
    for venue in VENUES {
        let text = transcript(*venue, &fixture(*venue));
        for (channel, tick) in [("trades", "Trade(trade"), ("quotes", "Quote(quote")] {
            assert_eq!(text.contains(tick), venue.channels().contains(&channel), "{}: {channel}", venue.id());
        }
        for kind in [" Ticks\n", " Control\n", " PassedOver(", " Broken(", " Rejected("] {
            assert!(text.contains(kind), "{}: no frame of the fixture gives{kind}", venue.id());
        }
        let Some(live) = venue.live() else { continue };
        let is_refusal = ["notice Refused(", "notice Complaint("].iter().any(|notice| text.contains(notice));
        assert!(is_refusal, "{}: nothing in the fixture is refused", venue.id());
        assert!(
            live.ping_seconds.is_none() || text.contains(" Heartbeat\n"),
            "{}: no sign of life",
            venue.id()
        );
    }
}

#[test]
fn constants_are_of_one_form() {
    let (mut ids, mut endpoints) = (HashSet::new(), HashSet::new());
    for venue in VENUES {
        let id = venue.id();
        assert!(ids.insert(id), "{id} twice");
        assert!(by_id(id).is_some_and(|found| found.name() == venue.name()));
        assert!(id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{id}");
        assert!(!venue.name().is_empty() && !venue.completeness().is_empty(), "{id}");
        assert!(venue.channels().iter().all(|channel| ["trades", "quotes"].contains(channel)), "{id}");
        assert!(!venue.endpoints().is_empty(), "{id} answers nowhere");
        for endpoint in venue.endpoints() {
            assert!(endpoints.insert((endpoint.host, endpoint.path)), "{id}: {endpoint:?} is another's too");
            assert!(!endpoint.host.contains(['/', ':']), "{id}: {endpoint:?}");
            assert!(endpoint.path.is_empty() || endpoint.path.starts_with('/'), "{id}: {endpoint:?}");
        }
    }
}

#[test]
fn the_first_frame_that_tells_tells_the_venue() {
    for venue in VENUES {
        let lines = fixture(*venue);
        assert!(lines.iter().any(|(_, payload)| venue.recognises(payload)), "{} knows no frame", venue.id());
        let twin = TWINS.iter().find(|(id, _)| *id == venue.id()).map_or(venue.id(), |(_, twin)| twin);
        for (_, payload) in &lines {
            if let Some(first) = VENUES.iter().find(|other| other.recognises(payload)) {
                assert_eq!(first.id(), twin, "{}", String::from_utf8_lossy(payload));
            }
        }
    }
}

#[test]
fn a_frame_cut_at_any_byte_gives_no_tick() {
    for venue in VENUES {
        for (received_at, payload) in fixture(*venue) {
            let payload = payload.trim_ascii();
            for cut in 0..payload.len() {
                let mut run = Run::new(*venue);
                let kind = run.feed(Some(received_at), &payload[..cut]);
                run.session.finish(&mut run.out);
                assert!(run.out.ticks.is_empty() && kind != FrameKind::Ticks, "{} cut at {cut}", venue.id());
                assert!(!venue.recognises(&payload[..cut]), "{} cut at {cut} is recognised", venue.id());
            }
        }
    }
}

#[test]
fn order_and_repeats_lose_no_frame() {
    for venue in VENUES {
        let (id, lines) = (venue.id(), fixture(*venue));
        let once = Run::feed_all(*venue, &lines);
        let again = Run::feed_all(*venue, &lines);
        assert_eq!(once.out.ticks, again.out.ticks, "{id}: a session has no other input");
        let twice = Run::feed_all(*venue, lines.iter().flat_map(|line| [line, line]));
        assert_eq!(twice.counts.frames, 2 * once.counts.frames);
        assert_eq!(twice.counts.ticks, 2 * once.counts.ticks, "{id}: repeats are not the decoder's to drop");
        assert_eq!(twice.out.ticks.len(), 2 * once.out.ticks.len(), "{id}");
        let backwards = Run::feed_all(*venue, lines.iter().rev());
        let halves = Run::feed_all(*venue, lines.iter().skip(1).step_by(2).chain(lines.iter().step_by(2)));
        for reordered in [backwards, halves] {
            assert_eq!(reordered.counts.frames, once.counts.frames);
            assert_eq!(reordered.counts.broken, once.counts.broken, "{id}: order breaks no frame");
            assert!(reordered.out.ticks.len() as u64 >= reordered.counts.ticks, "{id}: a tick got lost");
        }
    }
}

#[test]
fn waiting_is_bounded_and_ends() {
    let rounds = WAITING_MAX + 500;
    for venue in VENUES {
        for (received_at, payload) in fixture(*venue) {
            let mut run = Run::new(*venue);
            for _ in 0..rounds {
                run.feed(Some(received_at), &payload);
                let symbols = run.symbols.symbols().len();
                let waiting = usize::try_from(run.counts.ticks).unwrap().saturating_sub(run.out.ticks.len());
                assert!(waiting <= WAITING_MAX * symbols, "{}: {waiting} frames wait", venue.id());
            }
            run.session.finish(&mut run.out);
            assert!(run.out.ticks.len() as u64 >= run.counts.ticks, "{}: some never came out", venue.id());
        }
    }
}

#[test]
fn without_receive_times_nothing_waits() {
    for venue in VENUES {
        let mut run = Run::new(*venue);
        for (_, payload) in fixture(*venue) {
            let before = run.out.ticks.len();
            let kind = run.feed(None, &payload);
            assert_eq!(kind == FrameKind::Ticks, run.out.ticks.len() > before, "{}: {kind:?}", venue.id());
        }
        assert!(run.out.offsets.is_empty(), "{}: an offset from nothing", venue.id());
    }
}

#[test]
fn live_constants_are_of_one_form() {
    for venue in VENUES {
        let Some(live) = venue.live() else { continue };
        let id = venue.id();
        for name in venue.channels() {
            let channel = Channel::by_name(name).unwrap();
            let of_channel = || live.routes.iter().filter(|route| route.channels.contains(&channel));
            // The last one takes what no ending before it did, and no two take the same.
            let endings: HashSet<&str> = of_channel().map(|route| route.ending).collect();
            assert_eq!(endings.len(), of_channel().count(), "{id}: routes of {name}");
            assert_eq!(of_channel().next_back().unwrap().ending, "", "{id}: routes of {name}");
        }
        for route in live.routes {
            let rest = route.url.strip_prefix("wss://").unwrap_or_else(|| panic!("{id}: {}", route.url));
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = host.split(':').next().unwrap();
            let answers =
                |endpoint: &Endpoint| endpoint.host == host && format!("/{path}").starts_with(endpoint.path);
            assert!(venue.endpoints().iter().any(answers), "{id}: {} is no endpoint", route.url);
            assert!(!route.channels.is_empty(), "{id}: {}", route.url);
        }
        let counts = [live.streams_per_connection, live.streams_per_request];
        assert!(counts.iter().all(|count| *count > 0), "{id}: {counts:?}");
        for rate in [live.requests, live.connects] {
            assert!(rate.count > 0 && rate.seconds > 0, "{id}: {rate:?}");
        }
        assert!(live.ping_seconds.is_none_or(|ping| ping > 0 && ping < live.dead_seconds), "{id}");
    }
}
