//! The market behind a venue, made up or replayed, in real time, with the last trades of each symbol for those who ask.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use feeds::time::Nanos;
use tokio::sync::{broadcast, watch};

use super::faults::{Kind, Script};
use super::protocol::{Listing, Protocol};
use super::replayed::Part;
use super::spoiling::{Faults, Item};
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
    record: Mutex<Record>,
    totals: Mutex<Totals>,
    origin: Origin,
}

/// Where the events come from.
#[derive(Clone)]
pub(super) enum Origin {
    /// They are made up.
    Made(MarketSpec),
    /// They happened before.
    Replayed(Part),
}

impl Origin {
    fn listing(&self, protocol: &dyn Protocol) -> Listing {
        match self {
            Origin::Made(spec) => {
                let instruments = Market::new(*spec).instruments().to_vec();
                Listing::new(instruments.iter().map(|it| protocol.native(it)).collect(), instruments)
            }
            Origin::Replayed(part) => Listing::new(part.natives(), part.instruments()),
        }
    }

    fn events(&self, start: Nanos) -> Box<dyn Iterator<Item = MarketEvent> + Send> {
        match self {
            Origin::Made(spec) => Box::new(Market::new(MarketSpec { start, ..*spec })),
            Origin::Replayed(part) => Box::new(part.events(start)),
        }
    }
}

/// What happened so far, as those who ask are told.
#[derive(Debug)]
struct Record {
    /// By symbol: the last trades.
    trades: Vec<VecDeque<MarketEvent>>,
    /// By symbol: the last quote.
    quotes: Vec<Option<MarketEvent>>,
    /// The number of the last event.
    position: u64,
    /// How far ahead the venue's clock is.
    skew: Nanos,
    /// Nothing will happen any more.
    over: bool,
    /// How the next connections are refused, and how many.
    refusing: Option<(Kind, u64)>,
}

impl Record {
    fn put(&mut self, event: MarketEvent) {
        let symbol = event.symbol as usize;
        match event.change {
            Change::Trade { .. } => {
                let trades = &mut self.trades[symbol];
                if trades.len() == HISTORY_TRADES {
                    trades.pop_front();
                }
                trades.push_back(event);
            }
            Change::Quote { .. } => self.quotes[symbol] = Some(event),
        }
    }
}

impl Exchange {
    pub(super) fn new(protocol: &'static dyn Protocol, origin: Origin, script: Script) -> Exchange {
        let listing = origin.listing(protocol);
        let symbols = listing.natives.len();
        let record = Record {
            trades: vec![VecDeque::new(); symbols],
            quotes: vec![None; symbols],
            position: 0,
            skew: 0,
            over: false,
            refusing: None,
        };
        let totals = Mutex::new(Totals::new(protocol.venue(), &listing));
        let (items, _) = broadcast::channel(ITEMS_MAX);
        let (subscribed, _) = watch::channel(0);
        Exchange { protocol, listing, script, items, subscribed, record: Mutex::new(record), totals, origin }
    }

    /// What was made and sent so far. No one who holds it waits.
    pub(super) fn totals(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What there is at this moment. The market stands still for whoever holds it.
    pub(super) fn view(&self) -> View<'_> {
        let record = self.record();
        View { listing: &self.listing, now: clock::wall() + record.skew, record }
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the next connection is refused with, if chance wants that.
    pub(super) fn refusal(&self) -> Option<Kind> {
        let mut record = self.record();
        let (kind, left) = record.refusing.take()?;
        record.refusing = (left > 1).then(|| (kind, left - 1));
        Some(kind)
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
        self.totals().opened_at = Some(start);
        let mut faults = Faults::new(&self.script, |native| self.listing.number(native));
        let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let mut at_once = 0;
        for event in self.origin.events(start).take(limit) {
            at_once += 1;
            let early = event.received_at - start - opened.elapsed_nanos();
            if early > 0 {
                tokio::time::sleep(Duration::from_nanos(early.unsigned_abs())).await;
                at_once = 0;
            } else if at_once >= EVENTS_AT_ONCE {
                tokio::task::yield_now().await;
                at_once = 0;
            }
            self.happen(event, &mut faults);
        }
        self.end(&mut faults);
    }

    /// One event, with what goes wrong at it. Whoever subscribes has either seen it happen or gets it.
    pub(super) fn happen(&self, event: MarketEvent, faults: &mut Faults) {
        let mut items = Vec::new();
        let mut record = self.record();
        let event = faults.apply(event, &mut items);
        record.put(event);
        record.position = faults.number();
        record.skew = faults.skew_millis() * MILLI;
        let mut totals = self.totals();
        totals.made.count(&event);
        for (kind, count) in faults.begun() {
            *totals.faults.entry(kind).or_default() += 1;
            if matches!(kind, Kind::TooMany | Kind::Unavailable) {
                record.refusing = Some((kind, count));
            }
        }
        self.send(items);
    }

    fn end(&self, faults: &mut Faults) {
        let mut items = Vec::new();
        let mut record = self.record();
        faults.finish(&mut items);
        items.push(Item::Close);
        record.over = true;
        self.totals().over = true;
        self.send(items);
    }

    fn send(&self, items: Vec<Item>) {
        for item in items {
            // With nobody connected there is nobody to send to.
            let _ = self.items.send(item);
        }
    }
}

/// What a venue has at one moment.
pub struct View<'a> {
    listing: &'a Listing,
    now: Nanos,
    record: MutexGuard<'a, Record>,
}

impl View<'_> {
    /// The venue's symbols.
    #[must_use]
    pub fn listing(&self) -> &Listing {
        self.listing
    }

    /// The venue's time, which may be wrong on purpose.
    #[must_use]
    pub fn now(&self) -> Nanos {
        self.now
    }

    /// The number of the last event.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.record.position
    }

    /// The prices as they stand, for those who subscribe. A market that is over has none.
    #[must_use]
    pub fn quote(&self, symbol: u32) -> Option<MarketEvent> {
        self.record.quotes[symbol as usize].filter(|_| !self.record.over)
    }

    /// The last `limit` trades in order, for those who subscribe. A market that is over has none.
    #[must_use]
    pub fn newest(&self, symbol: u32, limit: usize) -> Vec<MarketEvent> {
        if self.record.over { Vec::new() } else { self.trades_below(symbol, None, limit) }
    }

    /// At most `limit` trades from id `first` on, or the last ones, in order.
    #[must_use]
    pub fn trades(&self, symbol: u32, first: Option<u64>, limit: usize) -> Vec<MarketEvent> {
        let Some(first) = first else { return self.trades_below(symbol, None, limit) };
        let trades = &self.record.trades[symbol as usize];
        let begin = trades.partition_point(|event| event.change.id() < first);
        trades.range(begin..).take(limit).copied().collect()
    }

    /// The last `limit` trades below id `end`, or of all, in order.
    #[must_use]
    pub fn trades_below(&self, symbol: u32, end: Option<u64>, limit: usize) -> Vec<MarketEvent> {
        let trades = &self.record.trades[symbol as usize];
        let end = end.map_or(trades.len(), |end| trades.partition_point(|event| event.change.id() < end));
        trades.range(end.saturating_sub(limit)..end).copied().collect()
    }

    /// The first `limit` trades later than `time`, in order.
    #[must_use]
    pub fn trades_after(&self, symbol: u32, time: Nanos, limit: usize) -> Vec<MarketEvent> {
        let trades = self.record.trades[symbol as usize].iter();
        trades.skip_while(|event| event.exchange_ts <= time).take(limit).copied().collect()
    }
}
