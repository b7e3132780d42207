//! What is stored comes back, and bytes that are something else are refused.

use ::feeds::frame::{FieldCount, FrameCounts};
use ::feeds::live::Channel;
use ::feeds::symbol::{Symbol, SymbolId};
use ::feeds::tick::{Event, Rejection, Tick};
use ::feeds::time::Nanos;
use ::feeds::venue::DuplicateKey;
use proptest::prelude::*;

use super::faults::StoredFault;
use super::feeds::Feed;
use super::gaps::Missing;
use super::head::Head;
use super::run::{Input, Progress, Run};
use super::{Key, faults, gaps, rows, symbols, ticks, time_at, u32_at, u64_at};
use crate::codec::CodecError;
use crate::stat::{CarriedQuote, Pane};
use crate::symbol::duplicates::Hole;
use crate::symbol::outages::{Cause, Channels, Outage, Stretch};
use crate::symbol::{Entry, Strike};
use crate::tape::epoch::Joined;
use crate::window::tests::made::{quotes, trades};
use crate::window::{Emission, Flags};

fn panes() -> impl Strategy<Value = Pane> {
    let trades = prop::collection::vec((0i64..1_000, trades()), 0..6);
    let quotes = prop::collection::vec(quotes(), 0..4);
    (trades, quotes).prop_map(|(trades, quotes)| {
        let mut pane = Pane::default();
        for (number, (ts, trade)) in (0..).zip(&trades) {
            pane.add_trade(crate::stat::Key { ts: *ts, number }, trade);
        }
        for (number, quote) in (0..).zip(&quotes) {
            pane.add_quote(crate::stat::Key { ts: number as Nanos, number }, quote);
        }
        pane
    })
}

fn emissions() -> impl Strategy<Value = Emission> {
    let carried = prop::option::of((any::<i64>(), any::<u64>(), quotes()));
    let until = prop_oneof![Just(1_000), 0i64..1_000];
    (-5_000i64..5_000, any::<u32>(), 0u64..256, until, panes(), carried).prop_map(
        |(start, revision, flags, until, pane, carried)| Emission {
            window: 0,
            start,
            revision,
            flags: Flags::from_bits(flags).unwrap(),
            number: 0,
            until: start + until,
            pane,
            carried: carried
                .map(|(ts, number, quote)| CarriedQuote::new(crate::stat::Key { ts, number }, &quote)),
        },
    )
}

fn any_ticks() -> impl Strategy<Value = Tick> {
    let why = prop_oneof![
        Just(Rejection::BadNumber),
        Just(Rejection::BadSign),
        Just(Rejection::BadTime),
        Just(Rejection::OtherUnit),
        Just(Rejection::Dropped)
    ];
    let event = prop_oneof![
        trades().prop_map(Event::Trade),
        quotes().prop_map(Event::Quote),
        why.prop_map(Event::Rejected)
    ];
    let received_at = prop::option::of(any::<i64>().prop_filter("none", |at| *at != Nanos::MIN));
    (0u32..9, any::<i64>(), received_at, event, any::<bool>(), any::<bool>()).prop_map(
        |(symbol, ts, received_at, event, timed, history)| {
            let mut tick = Tick::new(SymbolId(symbol), ts, received_at, event);
            (tick.timed, tick.history) = (timed, history);
            tick
        },
    )
}

fn holes() -> impl Strategy<Value = Hole> {
    (any::<u64>(), any::<u64>(), any::<i64>(), any::<i64>()).prop_map(|(first, last, after, before)| Hole {
        first,
        last,
        after,
        before,
        declared: true,
    })
}

/// `decode` refuses what is cut short or too long, and takes anything else without a panic.
fn holds<T>(
    value: &[u8],
    at: &prop::sample::Index,
    byte: u8,
    decode: impl Fn(&[u8]) -> Result<T, CodecError>,
) -> Result<(), TestCaseError> {
    let at = at.index(value.len());
    prop_assert!(decode(&value[..at]).is_err(), "cut at {}", at);
    prop_assert!(decode(&[value, &[byte]].concat()).is_err(), "one byte too many");
    let mut changed = value.to_vec();
    changed[at] = byte;
    let _ = decode(&changed);
    let _ = decode(&[&value[..at], &[byte; 40]].concat());
    Ok(())
}

proptest! {
    #[test]
    fn rows_come_back(
        emissions in prop::collection::vec(emissions(), 1..80),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut emissions = emissions;
        emissions.sort_by_key(|emission| emission.start);
        let mut encoded = rows::Emissions::default();
        for emission in &emissions {
            encoded.push(emission, 1_000);
        }
        let mut block = rows::Block::default();
        for head in &encoded.heads {
            block.push(head.start, encoded.bytes(head));
        }
        prop_assert_eq!(block.rows(), emissions.len() as u64);
        let (key, value) = block.take(3, 7, 11, 2);
        prop_assert_eq!(block.rows(), 0);
        let highest = emissions.last().unwrap().start;
        prop_assert_eq!(key, Key::default().u16(3).u32(7).time(highest).u64(11).u16(2).bytes());
        let decoded = rows::decode(&value).unwrap();
        prop_assert_eq!(decoded.len(), emissions.len());
        for (row, emission) in decoded.iter().zip(&emissions) {
            prop_assert_eq!((row.start, row.revision, row.flags), (emission.start, emission.revision, emission.flags));
            prop_assert_eq!((&row.pane, &row.carried), (&emission.pane, &emission.carried));
            prop_assert_eq!(row.view(1_000).end, emission.until);
        }
        holds(&value, &at, byte, rows::decode)?;
    }

    #[test]
    fn ticks_come_back(
        made in prop::collection::vec((1u64..1_000, any_ticks()), 1..40),
        first in 0u64..1_000_000,
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut chunk = ticks::Chunk::default();
        let mut number = first;
        let mut expected = Vec::new();
        for (step, tick) in made {
            // What is no tick stands among them and is read back, too.
            chunk.push(number, 3, &Entry::Clock(Strike { frontier: tick.exchange_ts, received_at: None }));
            chunk.push(number, tick.symbol.0, &Entry::Tick(tick));
            expected.push((number, tick));
            number += step;
        }
        let (key, value) = chunk.take().unwrap();
        prop_assert!(chunk.take().is_none());
        prop_assert_eq!(&key, &Key::default().u64(first).bytes());
        prop_assert_eq!(ticks::decode_chunk(&key, &value).unwrap(), expected.clone());
        holds(&value, &at, byte, |value| ticks::decode_chunk(&key, value))?;

        let (number, tick) = expected[0];
        let (key, value) = (ticks::late_key(tick.symbol.0, tick.exchange_ts, number), ticks::encode_late(&tick));
        prop_assert_eq!(ticks::decode_late(&key, &value).unwrap(), (number, tick));
        holds(&value, &at, byte, |value| ticks::decode_late(&key, value))?;
        prop_assert!(ticks::decode_late(&key[..11], &value).is_err());
    }

    #[test]
    fn gaps_come_back(symbol in any::<u32>(), hole in holes(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let (key, value) = (gaps::key(symbol, hole.first), gaps::encode(&hole));
        prop_assert_eq!(gaps::decode(&key, &value).unwrap(), (symbol, Missing::Ids(hole)));
        holds(&value, &at, byte, |value| gaps::decode(&key, value))?;
        prop_assert!(gaps::decode(&key[..7], &value).is_err());
    }

    #[test]
    fn stretches_come_back(symbol in any::<u32>(), from in any::<i64>(), to in any::<i64>(), channel in 0..2_usize, cause in 0..Cause::ALL.len(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let stretch = Stretch { channel: Channel::ALL[channel], cause: Cause::ALL[cause], from, to };
        let (key, value) = (gaps::stretch_key(symbol, &stretch), gaps::encode_missing(&stretch));
        prop_assert_eq!(gaps::decode(&key, &value).unwrap(), (symbol, Missing::Stretch(stretch)));
        holds(&value, &at, byte, |value| gaps::decode(&key, value))?;
    }

    #[test]
    fn faults_come_back(symbol in any::<u32>(), number in any::<u64>(), cause in any::<String>(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let (key, value) = (faults::key(symbol), faults::encode(number, &cause));
        prop_assert_eq!(faults::decode(&key, &value).unwrap(), StoredFault { symbol, number, cause: cause.clone() });
        holds(&value, &at, byte, |value| faults::decode(&key, value))?;
        let long = faults::decode(&key, &faults::encode(number, &cause.repeat(1_000))).unwrap();
        prop_assert!(cause.repeat(1_000).starts_with(&long.cause) && long.cause.len() <= 2_048);
    }

    #[test]
    fn symbols_come_back(number in any::<u32>(), native in "[A-Z/:.-]{1,12}", at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let keys = [DuplicateKey::Contiguous, DuplicateKey::Unique, DuplicateKey::Row, DuplicateKey::None];
        let symbol = Symbol::parse(&format!("v:{native}")).unwrap();
        for (trade_key, quote_key) in keys.into_iter().flat_map(|one| keys.map(|other| (one, other))) {
            let joined = Joined { number, symbol: symbol.clone(), trade_key, quote_key, book: 2 };
            let (key, value) = (symbols::key(number), symbols::encode(&joined));
            let decoded = symbols::decode(&key, &value).unwrap();
            prop_assert_eq!((decoded.number, &decoded.symbol), (number, &symbol));
            prop_assert_eq!((decoded.trade_key, decoded.quote_key), (trade_key, quote_key));
            holds(&value, &at, byte, |value| symbols::decode(&key, value))?;
        }
    }

    #[test]
    fn runs_and_feeds_come_back(number in any::<u32>(), text in any::<String>(), count in any::<u64>(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let input =
            Input { path: text.clone(), format: "f".to_owned(), size: count, first_block: "00".to_owned() };
        let run = Run {
            number,
            progress: if count % 2 == 0 { Progress::Complete } else { Progress::Unfinished },
            first: 1,
            applied: count,
            ticks_before: 2,
            ticks: 3,
            inputs: vec![input],
            options: text.clone(),
            config: text.clone(),
            rules_before: 3,
            rules: text.clone(),
            alerts: count,
            committed_at: -4,
        };
        prop_assert_eq!(&Run::decode(&run.encode()).unwrap(), &run);
        // A byte too many may be white space, which JSON does not mind.
        holds(&run.encode(), &at, if byte.is_ascii_whitespace() { 0 } else { byte }, Run::decode)?;
        let mut feed = Feed { name: text.clone(), broken: count, ..Feed::default() };
        feed.passed_over.insert(text, count);
        prop_assert_eq!(Feed::decode(&feed.encode()).unwrap(), feed);
    }

    #[test]
    fn keys_sort_as_their_parts(one in any::<(u32, i64, u64)>(), other in any::<(u32, i64, u64)>()) {
        let key = |(symbol, time, number): (u32, i64, u64)| Key::default().u32(symbol).time(time).u64(number).bytes();
        prop_assert_eq!(key(one).cmp(&key(other)), one.cmp(&other));
        let bytes = key(one);
        prop_assert_eq!((u32_at(&bytes, 0), time_at(&bytes, 4), u64_at(&bytes, 12)), (Ok(one.0), Ok(one.1), Ok(one.2)));
        prop_assert!(u64_at(&bytes, 13).is_err());
    }

    #[test]
    fn the_next_key_is_behind_all_that_begin_alike(prefix in prop::collection::vec(any::<u8>(), 0..4), tail in prop::collection::vec(any::<u8>(), 0..4)) {
        let text = Key(prefix.clone());
        let key = [prefix.clone(), tail].concat();
        match text.next() {
            Some(next) => {
                prop_assert!(key < next);
                prop_assert!(!next.starts_with(&prefix) || prefix.is_empty());
            }
            None => prop_assert!(prefix.iter().all(|byte| *byte == u8::MAX)),
        }
    }
}

#[test]
fn every_kind_of_entry_comes_back() {
    let outage = |since, cause| Outage { since, channels: Channels::of(Channel::Quotes), cause };
    let mut entries = vec![
        (5, 1, Entry::Clock(Strike { frontier: -7, received_at: Some(9) })),
        (5, 2, Entry::End),
        (5, 3, Entry::Stop),
        (5, 4, Entry::Rules(3)),
    ];
    entries.extend(Cause::ALL.into_iter().map(|cause| (9, 0, Entry::Outage(outage(Nanos::MIN + 1, cause)))));
    let mut chunk = ticks::Chunk::default();
    for (number, symbol, entry) in &entries {
        chunk.push(*number, *symbol, entry);
    }
    assert_eq!(chunk.entries(), entries.len() as u64);
    let (key, value) = chunk.take().unwrap();
    let read = ticks::decode_entries(&key, &value).unwrap();
    assert_eq!(format!("{read:?}"), format!("{entries:?}"));
    assert!(chunk.take().is_none());
    for end in 0..value.len() {
        assert!(ticks::decode_entries(&key, &value[..end]).is_err(), "{end}");
    }
    let more = FrameCounts {
        frames: 9,
        ticks: 3,
        control: 2,
        heartbeat: 2,
        broken: 1,
        blank: 1,
        ..FrameCounts::default()
    };
    let frames = vec![(0, more.clone()), (u32::MAX, more)];
    let head = Head { run: 3, applied: u64::MAX, ticks: 7, frames };
    let bytes = head.encode();
    assert_eq!(Head::decode(&bytes).unwrap(), head);
    assert!((0..bytes.len()).all(|end| Head::decode(&bytes[..end]).is_err()));
}

/// As it was written before fields that are not known were counted.
#[test]
fn a_feed_without_unknown_fields_is_one_that_has_none() {
    let counts = FrameCounts { frames: 2, ticks: 2, ..FrameCounts::default() };
    let mut feed = Feed { name: "made".to_owned(), ..Feed::default() }.with(&counts);
    let bytes = feed.encode();
    let text = std::str::from_utf8(&bytes[1..]).unwrap();
    let before = text.replace(",\"unknown_fields\":{}", "");
    assert_ne!(before, text);
    assert_eq!(Feed::decode(&[&bytes[..1], before.as_bytes()].concat()).unwrap(), feed);
    feed.unknown_fields.insert("new".to_owned(), FieldCount { frames: 3, since: Some(-7) });
    assert_eq!(Feed::decode(&feed.encode()).unwrap(), feed);
}
