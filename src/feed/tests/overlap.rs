//! Two connections that bring one stream without ids: each of its ticks counts once, whichever is ahead.

use std::collections::BTreeMap;

use feeds::number::Decimal;
use feeds::symbol::SymbolId;
use feeds::tick::{Event, Quote, Side, Tick, Trade};
use feeds::time::{Nanos, SECOND};
use feeds::venues::by_id;
use proptest::prelude::*;

use crate::config::limits::{OVERLAP_KEPT, OVERLAP_TICKS};
use crate::feed::delivery::ConnectionId;
use crate::feed::overlap::{Overlaps, unkeyed};
use crate::symbol::outages::Channels;

const VENUE: &str = "made";
const START: Nanos = 1_700_000_000 * SECOND;
const ONE: ConnectionId = ConnectionId(1);
const OTHER: ConnectionId = ConnectionId(2);

fn trade(exchange_ts: Nanos, received_at: Nanos) -> Tick {
    let (price, size) = (Decimal::new(100, 0), Decimal::new(1, 0));
    let event = Event::Trade(Trade::new(None, price, size, Side::Buy));
    Tick::new(SymbolId(0), START + exchange_ts, Some(START + received_at), event)
}

/// A quote without a time of its own.
fn quote(bid: i64, received_at: Nanos) -> Tick {
    let [bid, ask, size] = [bid, bid + 1, 5].map(|number| Decimal::new(number, 0));
    let event = Event::Quote(Quote::new(None, bid, size, ask, size));
    let mut tick = Tick::new(SymbolId(0), START, Some(START + received_at), event);
    tick.timed = false;
    tick
}

/// True if it counts.
fn counts(overlaps: &mut Overlaps, connection: ConnectionId, tick: Tick) -> bool {
    let mut ticks = [tick];
    overlaps.mark((VENUE, connection), Channels::ALL, &[SymbolId(7)], &mut ticks);
    !ticks[0].repeated
}

fn two() -> Overlaps {
    let mut overlaps = Overlaps::default();
    overlaps.open(VENUE);
    overlaps.open(VENUE);
    overlaps
}

/// Times of a market in which up to two trades are equal.
fn market() -> impl Strategy<Value = Vec<Nanos>> {
    proptest::collection::vec((1..SECOND / 10, 1usize..=2), 1..60).prop_map(|steps| {
        let mut now = 0;
        let time = |(step, copies): &(Nanos, usize)| {
            now += step;
            vec![now; *copies]
        };
        steps.iter().flat_map(time).collect()
    })
}

proptest! {
    /// The first connection has the market up to an end, the second one from before that end on; each is ahead at times.
    #[test]
    fn every_trade_counts_once(
        market in market(),
        cut in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        turns in proptest::collection::vec(any::<bool>(), 200),
    ) {
        let end = 1 + cut.0.index(market.len());
        let from = cut.1.index(end);
        let (mut old, mut new) = (market[..end].iter().peekable(), market[from..].iter().peekable());
        let mut overlaps = two();
        let mut counted: BTreeMap<Nanos, usize> = BTreeMap::new();
        let mut turns = turns.into_iter().cycle();
        let mut take = |overlaps: &mut Overlaps, connection, ts: Nanos| {
            if counts(overlaps, connection, trade(ts, ts)) {
                *counted.entry(ts).or_default() += 1;
            }
        };
        while old.peek().is_some() || new.peek().is_some() {
            let is_old = turns.next().unwrap() && old.peek().is_some() || new.peek().is_none();
            let (connection, from) = if is_old { (ONE, &mut old) } else { (OTHER, &mut new) };
            take(&mut overlaps, connection, *from.next().unwrap());
        }
        let mut expected: BTreeMap<Nanos, usize> = BTreeMap::new();
        for ts in market {
            *expected.entry(ts).or_default() += 1;
        }
        prop_assert_eq!(counted, expected);
    }
}

#[test]
fn one_connection_alone_repeats_nothing() {
    let mut overlaps = Overlaps::default();
    overlaps.open(VENUE);
    for _ in 0..3 {
        assert!(counts(&mut overlaps, ONE, trade(1, 1)));
    }
    overlaps.open("elsewhere");
    assert!(counts(&mut overlaps, OTHER, trade(1, 1)), "of another venue");
}

#[test]
fn what_came_too_long_ago_or_before_too_many_is_forgotten() {
    let mut overlaps = two();
    assert!(counts(&mut overlaps, ONE, trade(1, 1)));
    assert!(!counts(&mut overlaps, OTHER, trade(1, 1 + OVERLAP_KEPT)));
    assert!(counts(&mut overlaps, ONE, trade(2, 1)));
    assert!(counts(&mut overlaps, OTHER, trade(2, 2 + OVERLAP_KEPT)));
    let many = i64::try_from(OVERLAP_TICKS).unwrap();
    let mut overlaps = two();
    for ts in 0..many {
        assert!(counts(&mut overlaps, ONE, trade(ts, 0)));
    }
    assert!(!counts(&mut overlaps, OTHER, trade(many - 1, 0)));
    assert!(counts(&mut overlaps, OTHER, trade(0, 0)));
}

/// A quote says how things are: who is alone with the stream says it anew.
#[test]
fn equal_quotes_without_a_time_count_when_the_other_connection_has_ended() {
    let mut overlaps = two();
    for (bid, is_new) in [(10, true), (11, true), (10, true)] {
        assert_eq!(counts(&mut overlaps, ONE, quote(bid, 0)), is_new);
        assert!(!counts(&mut overlaps, OTHER, quote(bid, 0)));
    }
    overlaps.open(VENUE);
    overlaps.close(VENUE);
    assert!(counts(&mut overlaps, OTHER, quote(10, 0)));
    // What has a time is still on its way.
    assert!(counts(&mut overlaps, ONE, trade(5, 0)));
    overlaps.close(VENUE);
    assert!(!counts(&mut overlaps, OTHER, trade(5, 0)));
    overlaps.close(VENUE);
    overlaps.open(VENUE);
    assert!(counts(&mut overlaps, OTHER, trade(5, 0)), "nobody is left to repeat");
}

#[test]
fn past_ticks_and_those_with_ids_are_no_concern() {
    let mut overlaps = two();
    for connection in [ONE, OTHER] {
        let mut past = trade(1, 1);
        past.history = true;
        assert!(counts(&mut overlaps, connection, past));
    }
    let of = |venue: &str| unkeyed(by_id(venue).unwrap());
    assert_eq!(of("binance"), Channels::NONE);
    assert_eq!(of("kraken"), Channels::of(feeds::live::Channel::Quotes));
    assert_eq!(of("phemex"), Channels::ALL);
}
