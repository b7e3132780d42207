//! What a connection remembers ends with it: snapshots against live trades, numbers of channels, counters that restart.

use crate::modes::{Mode, SEEDS};
use crate::protocol::Dialect;
use crate::stage::play;

/// The last trade comes again behind each subscription, before, behind or beside the live one: what was missed stays
/// missing, and what came counts once.
#[test]
fn a_snapshot_that_races_with_trades_fills_no_gap_and_counts_no_trade_twice() {
    let mut missing = 0;
    for mode in [Mode::Cut, Mode::CloseCodes] {
        for seed in 0..SEEDS {
            let outcome = play(Dialect::Coinbase, mode, seed);
            outcome.check();
            outcome.check_recovered(Dialect::Coinbase);
            assert!(outcome.summary.ledger.history > 0, "{}", outcome.what);
            missing += outcome.missing;
        }
    }
    assert!(missing > 0, "no connection missed anything");
}

/// On every other connection the two symbols have each other's numbers: a number that outlived its connection would
/// give a trade to the other symbol. Whose it is shows in its id.
#[test]
fn numbers_of_channels_die_with_their_connection() {
    for mode in [Mode::Cut, Mode::Forbidden] {
        for seed in 0..SEEDS {
            let outcome = play(Dialect::Bitfinex, mode, seed);
            let ledger = &outcome.summary.ledger;
            assert!(ledger.adds_up() && ledger.received == outcome.delivered, "{}: {ledger:?}", outcome.what);
            outcome.check_recovered(Dialect::Bitfinex);
            let reconnects = outcome.status[0].reconnects;
            assert!(reconnects >= 2, "{}: {reconnects} reconnects", outcome.what);
            for (symbol, native) in Dialect::Bitfinex.natives().iter().enumerate() {
                let ids = &outcome.ids[*native];
                assert!(
                    ids.len() > 20 && ids.iter().all(|id| id % 2 == symbol as u64),
                    "{}: {native}",
                    outcome.what
                );
            }
            let distinct: usize = outcome.ids.values().map(|ids| ids.len()).sum();
            assert_eq!(ledger.aggregated + ledger.late, distinct as u64, "{}", outcome.what);
        }
    }
}

/// Ids that begin again at 1 are new trades, not repeats.
#[test]
fn ids_that_begin_again_are_no_repeats_and_no_gap_of_millions() {
    for seed in 0..SEEDS {
        let outcome = play(Dialect::Binance, Mode::Wrap, seed);
        let ledger = &outcome.summary.ledger;
        assert!(ledger.adds_up() && ledger.received == outcome.delivered, "{}: {ledger:?}", outcome.what);
        outcome.check_recovered(Dialect::Binance);
        assert_eq!(ledger.aggregated + ledger.late, outcome.delivered, "{}: {ledger:?}", outcome.what);
        assert_eq!(outcome.missing, 0, "{}", outcome.what);
    }
}
