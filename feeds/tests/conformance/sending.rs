//! What sessions send: asked for by name, readable, no longer than venues take, and without effect on what is
//! decoded.

use feeds::frame::Frame;
use feeds::live::{Channel, Live, Stream};
use feeds::symbol::SymbolTable;
use feeds::venue::{Output, Venue};
use feeds::venues::VENUES;

use crate::NOW;
use crate::harness::{Run, fixture, natives};

/// Most bytes of a message. Of the venues that name a bound the least is 21,000 characters.
const MESSAGE_BYTES_MAX: usize = 20_000;
/// Signs of life that are a bare word.
const WORDS: [&str; 2] = ["ping", "PING"];

#[test]
fn every_stream_is_asked_for_by_name() {
    for venue in VENUES {
        let Some(live) = venue.live() else { continue };
        let names = natives(*venue);
        let channels = venue.channels().iter().map(|name| Channel::by_name(name).unwrap());
        for channel in channels {
            let streams: Vec<Stream> = names.iter().map(|name| Stream::new(name, channel)).collect();
            let (mut session, mut out) = (venue.open(), Output::default());
            session.greet(NOW, &mut out);
            out.sends.clear();
            for request in streams.chunks(live.streams_per_request) {
                session.subscribe(request, NOW, &mut out);
            }
            assert!(!out.sends.is_empty(), "{}: nothing asked for {channel:?}", venue.id());
            let asked = out.sends.concat().to_lowercase();
            for name in &names {
                assert!(asked.contains(&name.to_lowercase()), "{}: {name} is not in {asked}", venue.id());
            }
            // Some venues number subscriptions in their answers.
            let mut symbols = SymbolTable::new(venue.id());
            for (_, payload) in fixture(*venue) {
                session.on_frame(Frame { received_at: None, payload: &payload }, &mut symbols, &mut out);
            }
            out.sends.clear();
            session.unsubscribe(&streams[..1], NOW, &mut out);
            assert!(!out.sends.is_empty(), "{}: {channel:?} cannot be ended", venue.id());
            if live.ping_seconds.is_some() {
                out.sends.clear();
                session.ping(NOW, &mut out);
                assert!(!out.sends.is_empty(), "{}: no sign of life", venue.id());
            }
        }
    }
}

#[test]
fn what_is_sent_changes_nothing_that_is_decoded() {
    for venue in VENUES {
        let lines = fixture(*venue);
        let heard = Run::feed_all(*venue, &lines);
        let mut spoken = Run::new(*venue);
        let streams: Vec<Stream> =
            natives(*venue).iter().map(|name| Stream::new(name, Channel::Trades)).collect();
        spoken.session.greet(NOW, &mut spoken.out);
        for (received_at, payload) in &lines {
            spoken.session.subscribe(&streams, NOW, &mut spoken.out);
            spoken.session.ping(NOW, &mut spoken.out);
            spoken.feed(Some(*received_at), payload);
            spoken.session.unsubscribe(&streams, NOW, &mut spoken.out);
        }
        spoken.session.finish(&mut spoken.out);
        assert_eq!(spoken.out.ticks, heard.out.ticks, "{}", venue.id());
        assert_eq!(spoken.counts, heard.counts, "{}", venue.id());
        // A replay sends nothing, and must come to the same.
        assert_eq!(spoken.out.offsets, heard.out.offsets, "{}", venue.id());
        assert_eq!(spoken.out.outages, heard.out.outages, "{}", venue.id());
        assert_eq!(spoken.out.gaps, heard.out.gaps, "{}", venue.id());
    }
}

/// As many symbols as a connection carries, with names longer than most.
fn many(venue: &dyn Venue, live: &Live) -> Vec<Stream> {
    let channels: Vec<Channel> =
        venue.channels().iter().map(|name| Channel::by_name(name).unwrap()).collect();
    let name = |n: usize| format!("FOO{n:05}-BAR-270326");
    let all = (0..live.streams_per_connection)
        .map(|n| Stream::new(name(n / channels.len()), channels[n % channels.len()]));
    all.collect()
}

#[test]
fn every_message_is_json_or_a_word_and_short_enough() {
    for venue in VENUES {
        let id = venue.id();
        let mut sent = Run::feed_all(*venue, &fixture(*venue)).out.sends;
        if let Some(live) = venue.live() {
            let streams = many(*venue, live);
            let (mut session, mut out) = (venue.open(), Output::default());
            session.greet(NOW, &mut out);
            session.ping(NOW, &mut out);
            for chunk in streams.chunks(live.streams_per_request) {
                session.subscribe(chunk, NOW, &mut out);
            }
            for chunk in streams.chunks(live.streams_per_request) {
                session.unsubscribe(chunk, NOW, &mut out);
            }
            let asked = out.sends.len();
            assert!(asked >= 2 * streams.len() / live.streams_per_request / 2, "{id}: {asked} messages");
            sent.append(&mut out.sends);
        }
        for message in sent {
            assert!(message.len() <= MESSAGE_BYTES_MAX, "{id}: {} bytes in a message", message.len());
            let is_json = serde_json::from_str::<serde_json::Value>(&message)
                .is_ok_and(|value| value.is_object() || value.is_array());
            assert!(is_json || WORDS.contains(&message.as_str()), "{id} sends {message}");
        }
    }
}

#[test]
fn names_that_need_escapes_still_make_json() {
    for venue in VENUES {
        let Some(live) = venue.live() else { continue };
        let (mut session, mut out) = (venue.open(), Output::default());
        for channel in venue.channels().iter().map(|name| Channel::by_name(name).unwrap()) {
            let stream = [Stream::new("A\"B\\C\u{7}é", channel)];
            session.subscribe(&stream, NOW, &mut out);
            session.unsubscribe(&stream, NOW, &mut out);
        }
        assert!(live.streams_per_request > 0 && !out.sends.is_empty());
        for message in &out.sends {
            let value: Result<serde_json::Value, _> = serde_json::from_str(message);
            assert!(value.is_ok(), "{} sends {message}", venue.id());
        }
    }
}
