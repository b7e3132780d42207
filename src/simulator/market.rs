//! The market behind a venue: the made-up one, in real time, with the last trades of each symbol for those who ask.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use feeds::time::Nanos;
use tokio::sync::{broadcast, watch};

use super::faults::{Faults, Item, Script};
use super::protocol::{Listing, Protocol};
use super::totals::Totals;
use crate::clock;
use crate::market::{Change, Market, MarketEvent, MarketSpec};

/// Items that wait for a connection; one that falls behind further is dropped. At 10,000 events a second it is
/// 1.6 s, at 80 bytes each 1.3 MB that all connections share.
pub(super) const ITEMS_MAX: usize = 16_384;
/// Trades of one symbol that can be asked for.
const HISTORY_TRADES: usize = 10_000;
/// Events that are sent before the connections get a turn: few beside [`ITEMS_MAX`].
const EVENTS_AT_ONCE: u32 = 64;
/// Exchange times are whole milliseconds.
const MILLI: Nanos = 1_000_000;

/// One venue: what its market, its connections and its answers share.
pub(super) struct Exchange {
    pub(super) protocol: &'static dyn Protocol,
    pub(super) listing: Listing,
    pub(super) script: Script,
    pub(super) items: broadcast::Sender<Item>,
    /// Streams that clients are subscribed to.
    pub(super) subscribed: watch::Sender<usize>,
    history: Mutex<Vec<VecDeque<MarketEvent>>>,
    totals: Mutex<Totals>,
    market: MarketSpec,
}

impl Exchange {
    pub(super) fn new(protocol: &'static dyn Protocol, market: MarketSpec, script: Script) -> Exchange {
        let listing = Listing::new(protocol, Market::new(market).instruments().to_vec());
        let history = Mutex::new(vec![VecDeque::new(); listing.natives.len()]);
        let totals = Mutex::new(Totals::new(protocol.venue(), &listing));
        let (items, _) = broadcast::channel(ITEMS_MAX);
        let (subscribed, _) = watch::channel(0);
        Exchange { protocol, listing, script, items, subscribed, history, totals, market }
    }

    /// What was made and sent so far. No one who holds it waits.
    pub(super) fn totals(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What those who ask about the past can be told.
    pub(super) fn past(&self) -> Past<'_> {
        Past { exchange: self }
    }

    fn remember(&self, event: MarketEvent) {
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let trades = &mut history[event.symbol as usize];
        if trades.len() == HISTORY_TRADES {
            trades.pop_front();
        }
        trades.push_back(event);
    }

    /// Runs the market, from the moment at which `opens_with` streams are subscribed, for `limit` events or without
    /// end. Every connection is closed behind the last event.
    pub(super) async fn run(self: Arc<Exchange>, opens_with: usize, limit: Option<u64>) {
        let mut subscribed = self.subscribed.subscribe();
        if subscribed.wait_for(|streams| *streams >= opens_with).await.is_err() {
            return;
        }
        let (now, opened) = (clock::wall(), clock::stamp());
        let start = now - now % MILLI;
        let mut faults = Faults::new(&self.script, |native| self.listing.number(native));
        let events = Market::new(MarketSpec { start, ..self.market });
        let mut items = Vec::new();
        let mut at_once = 0;
        for event in
            events.take(limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX)))
        {
            at_once += 1;
            let early = event.received_at - start - opened.elapsed_nanos();
            if early > 0 {
                tokio::time::sleep(Duration::from_nanos(early.unsigned_abs())).await;
                at_once = 0;
            } else if at_once >= EVENTS_AT_ONCE {
                tokio::task::yield_now().await;
                at_once = 0;
            }
            let event = faults.apply(event, &mut items);
            if matches!(event.change, Change::Trade { .. }) {
                self.remember(event);
            }
            self.totals().made.count(&event);
            self.send(&mut items);
        }
        faults.finish(&mut items);
        items.push(Item::Close);
        self.send(&mut items);
    }

    fn send(&self, items: &mut Vec<Item>) {
        for item in items.drain(..) {
            // With nobody connected there is nobody to send to.
            let _ = self.items.send(item);
        }
    }
}

/// The last trades of each symbol.
pub struct Past<'a> {
    exchange: &'a Exchange,
}

impl Past<'_> {
    /// The venue's symbols.
    #[must_use]
    pub fn listing(&self) -> &Listing {
        &self.exchange.listing
    }

    /// At most `limit` trades from id `first` on, or the last ones, in order.
    #[must_use]
    pub fn trades(&self, symbol: u32, first: Option<u64>, limit: usize) -> Vec<MarketEvent> {
        let history = self.exchange.history.lock().unwrap_or_else(PoisonError::into_inner);
        let trades = &history[symbol as usize];
        let begin = match first {
            Some(first) => trades.partition_point(|event| id(event) < first),
            None => trades.len().saturating_sub(limit),
        };
        trades.iter().skip(begin).take(limit).copied().collect()
    }
}

fn id(event: &MarketEvent) -> u64 {
    match event.change {
        Change::Trade { id, .. } | Change::Quote { id, .. } => id,
    }
}
