//! Small pure parts of the picture; the whole is tested over its sockets in `tests/serve.rs`.

use std::sync::Arc;
use std::time::Duration;

use feeds::number::Decimal;
use feeds::time::SECOND;

use super::symbols::{basis_points, difference};
use super::unready;
use crate::clock::{self, Stamp};
use crate::config::{Catalogue, Config};
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

/// Nothing ever came: after a while each part that should have moved is named, and after the end only that.
#[test]
fn what_stands_still_is_not_ready() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let config = Config::standard(&Catalogue::built_in());
    let deck =
        Deck::start(&store, &LiveOptions { config, workers: 1, cut: Cut::Adaptive, sabotage: None }, None)
            .unwrap();
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
