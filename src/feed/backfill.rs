//! Asks venues for trades that are missing, gap by gap, and delivers the answers as they came.
//!
//! Nothing is computed from an answer here: it goes on record and on the tape like any frame, so a replay has it where
//! the live run had it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use feeds::live::{PastRange, PastRequest, PastTrades};
use feeds::recording::Past;
use feeds::symbol::{Symbol, SymbolTable};
use feeds::tick::Event;
use feeds::time::Nanos;
use feeds::venue::Venue;
use feeds::venues::by_id;
use hyper::Method;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::time::{sleep, timeout};

use super::address::{Address, AddressError};
use super::ask::{Refusal, ask, dial};
use super::budget::Budgets;
use super::delivery::Delivery;
use super::dial::Dial;
use super::feeds::{FeedOptions, FeedSpec};
use crate::config::limits::{BACKFILL_BYTES, BACKFILL_HORIZON, BACKFILLS_WAITING};

/// How long one answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// Waits before an answer is asked for again; behind the last one the gap stays.
const AGAIN_AFTER: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(10), Duration::from_secs(30)];

/// Trades that are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Whose.
    pub symbol: Symbol,
    /// The first id.
    pub first: u64,
    /// The last id.
    pub last: u64,
    /// Time of the trade before.
    pub after: Nanos,
    /// Time of the trade behind.
    pub before: Nanos,
}

/// Where it is told what is missing; clones share it.
#[derive(Clone, Debug)]
pub struct Wants {
    sender: mpsc::Sender<Wanted>,
    refused: Arc<AtomicU64>,
}

/// How what waits does, for other threads; what is told comes to an end though this is kept.
#[derive(Clone, Debug)]
pub struct WantsGauge {
    sender: mpsc::WeakSender<Wanted>,
    refused: Arc<AtomicU64>,
}

impl Wants {
    /// With room for [`BACKFILLS_WAITING`], and where it comes out.
    #[must_use]
    pub fn new() -> (Wants, mpsc::Receiver<Wanted>) {
        let (sender, receiver) = mpsc::channel(BACKFILLS_WAITING);
        (Wants { sender, refused: Arc::default() }, receiver)
    }

    /// Tells what is missing; false if too much waits. Where nobody is there to ask, as in a run without feeds, there is
    /// nothing to tell.
    #[must_use]
    pub fn tell(&self, gap: Wanted) -> bool {
        let is_refused = matches!(self.sender.try_send(gap), Err(TrySendError::Full(_)));
        self.refused.fetch_add(u64::from(is_refused), Ordering::Relaxed);
        !is_refused
    }

    /// How it does.
    #[must_use]
    pub fn gauge(&self) -> WantsGauge {
        WantsGauge { sender: self.sender.downgrade(), refused: Arc::clone(&self.refused) }
    }
}

impl WantsGauge {
    /// Gaps that wait to be asked for.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let sender = self.sender.upgrade().filter(|sender| !sender.is_closed());
        sender.map_or(0, |sender| sender.max_capacity() - sender.capacity())
    }

    /// Gaps that found no room, and stay missing.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

/// See the module.
pub struct Backfill {
    dial: Arc<dyn Dial>,
    budgets: Arc<Budgets>,
    wall: fn() -> Nanos,
    deliveries: mpsc::Sender<Delivery>,
    /// By venue, where it is asked instead of its own address.
    bases: BTreeMap<&'static str, Option<Address>>,
}

impl Backfill {
    /// For the venues of `specs`, with connections as `options` say.
    ///
    /// # Errors
    /// If an address of `specs` is none.
    pub fn new(
        specs: &[FeedSpec],
        options: &FeedOptions,
        deliveries: mpsc::Sender<Delivery>,
    ) -> Result<Backfill, AddressError> {
        let bases = specs.iter().map(|spec| {
            let base = spec.url.as_deref().map(Address::parse).transpose()?;
            Ok((spec.venue.id(), base))
        });
        Ok(Backfill {
            dial: Arc::clone(&options.dial),
            budgets: Arc::clone(&options.budgets),
            wall: options.wall,
            deliveries,
            bases: bases.collect::<Result<_, AddressError>>()?,
        })
    }

    /// Asks for what comes in, one gap at a time, until nothing more can.
    pub async fn run(self, mut wanted: mpsc::Receiver<Wanted>) {
        while let Some(gap) = wanted.recv().await {
            let Some(venue) = by_id(gap.symbol.venue()) else { continue };
            let Some(past) = venue.past_trades() else { continue };
            if (self.wall)().saturating_sub(gap.before) > BACKFILL_HORIZON {
                continue;
            }
            let (symbol, first, last) = (gap.symbol.to_string(), gap.first, gap.last);
            match self.fill(venue, past, gap).await {
                Ok(trades) => tracing::info!(symbol, first, last, trades, "asked for what was missing"),
                Err(why) => tracing::warn!(symbol, first, last, why, "what is missing stays missing"),
            }
        }
    }

    /// Asks for one gap, answer by answer; the number of trades that came.
    async fn fill(&self, venue: &dyn Venue, past: &dyn PastTrades, gap: Wanted) -> Result<usize, String> {
        let native = gap.symbol.native();
        let (mut first, mut after, mut trades) = (gap.first, gap.after, 0);
        while first <= gap.last {
            let last = gap.last.min(first.saturating_add(past.per_request().max(1) - 1));
            let range = PastRange { native, first, last, after, before: gap.before };
            let body = self.answer(venue, past, &range).await?;
            let received_at = (self.wall)();
            let request = PastRequest { native, first, last, received_at, body: &body };
            let (mut symbols, mut ticks) = (SymbolTable::new(venue.id()), Vec::new());
            past.decode(&request, &mut symbols, &mut ticks).map_err(|error| error.to_string())?;
            let newest = ticks.iter().filter_map(|tick| match tick.event {
                Event::Trade(trade) => Some((trade.id()?, tick.exchange_ts)),
                _ => None,
            });
            let newest = newest.max();
            trades += ticks.len();
            if !ticks.is_empty() {
                let body = String::from_utf8(body.to_vec()).map_err(|_| "the answer is no text")?;
                let (venue, native) = (venue.id().to_owned(), native.to_owned());
                let past = Past { venue, native, first, last, body };
                let sent = self.deliveries.send(Delivery::Past { past, received_at }).await;
                sent.map_err(|_| "nobody takes it".to_owned())?;
            }
            // An answer may end before what was asked for; behind one without a trade there is nothing to be had.
            let Some((id, ts)) = newest else { break };
            (first, after) = (id.saturating_add(1), ts);
        }
        if trades == 0 { Err("the venue has none of it".to_owned()) } else { Ok(trades) }
    }

    async fn answer(
        &self,
        venue: &dyn Venue,
        past: &dyn PastTrades,
        range: &PastRange<'_>,
    ) -> Result<bytes::Bytes, String> {
        let address = Address::parse(&format!("{}{}", past.host(), past.path(range)));
        let address = address.map_err(|error| error.to_string())?;
        let host = address.host.clone();
        let address = match self.bases.get(venue.id()) {
            Some(Some(base)) => address.moved_to(base),
            Some(None) => address,
            None => return Err("it has no feed here".to_owned()),
        };
        let mut waits = AGAIN_AFTER.into_iter();
        loop {
            self.budgets.connect(&host, past.requests()).await;
            let answer = timeout(ANSWER_WITHIN, self.ask(&address)).await;
            let refusal = match answer {
                Ok(Ok(body)) => return Ok(body),
                Ok(Err(refusal)) => refusal,
                Err(_) => Refusal::from(format!("no answer within {} s", ANSWER_WITHIN.as_secs())),
            };
            if let Some(asked) = refusal.asked {
                self.budgets.hold(&host, asked.min(super::backoff::ASKED_LONGEST));
            }
            match waits.next() {
                Some(wait) => sleep(wait).await,
                None => return Err(refusal.why),
            }
        }
    }

    async fn ask(&self, address: &Address) -> Result<bytes::Bytes, Refusal> {
        let wire = dial(&*self.dial, address).await?;
        ask(wire, address, Method::GET, BACKFILL_BYTES, (self.wall)()).await
    }
}
