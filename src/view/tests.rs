//! Small pure parts of the picture; the whole is tested over its sockets in `tests/serve.rs`.

use std::sync::Arc;
use std::time::Duration;

use feeds::number::Decimal;
use feeds::time::SECOND;

use super::symbols::{basis_points, difference};
use super::unready;
use crate::clock::{self, Stamp};
use crate::config::{Catalogue, Config};
use crate::feed::ConnectionStatus;
use crate::feed::slot::SlotState;
use crate::live::{Deck, LiveOptions};
use crate::store::Store;
use crate::store::memory::MemoryStore;
use crate::tape::Cut;

fn number(text: &str) -> Decimal {
    Decimal::parse(text.as_bytes()).unwrap()
}

#[test]
fn spreads_are_exact_whatever_the_scales() {
    for (ask, bid, spread) in [
        ("100.5", "100.25", "0.25"),
        ("0.00000012", "0.0000001", "0.00000002"),
        ("3", "3", "0"),
        ("1", "2.5", "-1.5"),
        ("9000000000", "0.000000001", "8999999999.999999999"),
    ] {
        let difference = difference(number(ask), number(bid));
        assert_eq!(difference.map(|spread| spread.to_string()).as_deref(), Some(spread));
    }
    assert_eq!(difference(number("9000000000000"), number("0.000000000001")), None);
}

#[test]
fn basis_points_are_of_the_middle() {
    let bps = basis_points(number("99.5"), number("100.5")).unwrap();
    assert!((bps - 100.0).abs() < 1e-9, "{bps}");
    assert_eq!(basis_points(number("0"), number("0")), None);
}

fn deck() -> Deck {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let config = Config::standard(&Catalogue::built_in());
    Deck::start(&store, &LiveOptions { config, workers: 1, cut: Cut::Adaptive, sabotage: None }, None)
        .unwrap()
}

/// A connection with so many streams acknowledged, and these refused.
fn connection(state: SlotState, acknowledged: u64, refused: &[&str]) -> ConnectionStatus {
    ConnectionStatus {
        venue: "foo",
        address: "ws://127.0.0.1:1/foo".to_owned(),
        state,
        since: None,
        streams: 5,
        acknowledged,
        refused: refused.len() as u64,
        refused_streams: refused.iter().map(|&stream| stream.to_owned()).collect(),
        frames: 0,
        bytes: 0,
        reconnects: 0,
        failures: 0,
        last_frame_at: None,
        alarms: 0,
        complaints: 0,
        skipped: 0,
        restarted: 0,
        undelivered: 0,
        revived: 0,
        silent: Vec::new(),
        last_end: None,
    }
}

/// A connection that is up and brings nothing is no better than none.
#[test]
fn what_is_refused_all_is_not_ready_and_is_named() {
    let deck = deck();
    let pulse = deck.pulse();
    let why = |connections: &[ConnectionStatus]| {
        pulse.ask(connections.to_vec(), 0);
        unready(&pulse, 5 * SECOND, clock::stamp())
    };
    let streams = ["A trades", "A quotes", "B trades", "B quotes", "C trades"];
    let refused = connection(SlotState::Live, 0, &streams);
    let good = connection(SlotState::Live, 4, &streams[..1]);
    let said = "foo ws://127.0.0.1:1/foo refused 5 of 5 subscriptions, granted none: A trades, A quotes, \
                B trades and 2 more";
    assert_eq!(why(std::slice::from_ref(&refused)), [said]);
    // Until now it had never been ready: while it connects anew, it is waited for.
    assert_eq!(
        why(&[connection(SlotState::Subscribing, 0, &[])]),
        ["1 of 1 connections wait for their subscriptions: foo ws://127.0.0.1:1/foo (0 of 5)"]
    );
    assert_eq!(why(std::slice::from_ref(&good)), [""; 0], "one that is refused is shown elsewhere");
    assert_eq!(why(std::slice::from_ref(&refused)), [said], "whether it was ready before or not");
    let mut many = vec![refused; 5];
    many.push(good);
    let all = why(&many);
    assert_eq!((all.len(), all[3].as_str()), (4, "so it is with 2 more connections"), "{all:?}");
    deck.stop().unwrap();
}

/// Symbols are taken out of a run, and a connection stays that nothing is wanted of.
#[test]
fn where_nothing_is_wanted_nothing_has_to_be_up() {
    let deck = deck();
    let pulse = deck.pulse();
    let why = |connections: &[ConnectionStatus]| {
        pulse.ask(connections.to_vec(), 0);
        unready(&pulse, 5 * SECOND, clock::stamp())
    };
    let of = |state, streams| ConnectionStatus { streams, ..connection(state, 0, &[]) };
    let gone = of(SlotState::Stopped, 0);
    assert_eq!(why(std::slice::from_ref(&gone)), [""; 0]);
    assert_eq!(why(&[of(SlotState::Subscribing, 0), gone.clone()]), [""; 0]);
    let live = ConnectionStatus { acknowledged: 5, ..of(SlotState::Live, 5) };
    assert_eq!(why(&[live, gone.clone()]), [""; 0]);
    // It was ready before.
    assert_eq!(why(&[of(SlotState::Subscribing, 5), gone]), ["no connection is up"]);
    deck.stop().unwrap();
}

/// Nothing ever came: after a while each part that should have moved is named, and after the end only that.
#[test]
fn what_stands_still_is_not_ready() {
    let deck = deck();
    let pulse = deck.pulse();
    let after = |seconds| Stamp::of(clock::stamp().instant() + Duration::from_secs(seconds));
    let why = |seconds| unready(&pulse, 5 * SECOND, after(seconds));
    assert_eq!(why(1), ["the feeds are being started"]);
    assert_eq!(
        why(12),
        [
            "the feeds are being started",
            "the feeds have not been heard of for 12 s",
            "the tape has stood still for 12 s; 0 deliveries wait"
        ]
    );
    assert_eq!(why(16).last().unwrap(), "nothing has been committed for 16 s");
    deck.stop().unwrap();
    assert_eq!(why(1), ["the run has ended"]);
}
