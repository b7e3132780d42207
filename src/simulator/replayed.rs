//! A capture as a venue's market: read once for what is in it, then again to be played, at a pace and as of now.
//!
//! Whatever format and venue it is of, its trades and quotes become events of a market, and the venue that is played
//! writes them in its own frames, under the names that they have in the capture. Of a capture of several venues each
//! plays its own part. What is marked as past, what was
//! rejected, and repeats by id are left out. Trades of venues whose ids count up keep them; others are numbered.

use std::path::PathBuf;
use std::sync::Arc;

use feeds::number::Decimal;
use feeds::tick::{Event, Side, Tick};
use feeds::time::Nanos;
use feeds::venue::DuplicateKey;

use crate::market::{Change, Instrument, MarketEvent};
use crate::source::{self, Batch, Source, SourceError, SourceOptions};

/// Exchange times are whole milliseconds.
const MILLI: Nanos = 1_000_000;

/// Why a capture cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum ReplayedError {
    /// It cannot be read.
    #[error("the capture cannot be played")]
    Source(#[from] SourceError),
    /// It has no trade and no quote.
    #[error("there is neither a trade nor a quote in it")]
    Empty,
    /// The pace is no number above zero.
    #[error("{0} is no speed")]
    Speed(f64),
}

/// What is known of one symbol before it is played.
#[derive(Clone, Debug)]
struct Known {
    venue: String,
    native: String,
    price_scale: u8,
    size_scale: u8,
    /// Its ids count up by one.
    counts: bool,
}

/// A capture that can be played.
#[derive(Clone, Debug)]
pub struct Replayed {
    paths: Vec<PathBuf>,
    options: SourceOptions,
    speed: f64,
    venues: Vec<String>,
    known: Vec<Known>,
    first: Nanos,
}

impl Replayed {
    /// Reads `paths` through. `speed` is in seconds of the capture per second, above zero.
    ///
    /// # Errors
    /// [`ReplayedError`].
    pub fn open(paths: &[PathBuf], speed: f64) -> Result<Replayed, ReplayedError> {
        if !(speed.is_finite() && speed > 0.0) {
            return Err(ReplayedError::Speed(speed));
        }
        let options = SourceOptions { decoders: 1, ..SourceOptions::default() };
        let mut source = source::open(paths, &options)?;
        let mut known: Vec<Known> = Vec::new();
        let mut venues: Vec<String> = Vec::new();
        let mut first = None;
        while let Some(batch) = source.next()? {
            for new in &batch.new_symbols {
                let venue = new.symbol.venue().to_owned();
                if !venues.contains(&venue) {
                    venues.push(venue.clone());
                }
                let counts = new.trade_key == DuplicateKey::Contiguous;
                let native = new.symbol.native().to_owned();
                known.push(Known { venue, native, price_scale: 0, size_scale: 0, counts });
            }
            for tick in batch.ticks.iter().filter(|tick| counts(tick)) {
                first.get_or_insert(time_of(tick));
                if let Some(known) = known.get_mut(symbol_of(tick, &batch)) {
                    known.widen(&tick.event);
                }
            }
        }
        let first = first.ok_or(ReplayedError::Empty)?;
        Ok(Replayed { paths: paths.to_vec(), options, speed, venues, known, first })
    }

    /// The ids of the venues that it comes from.
    #[must_use]
    pub fn venues(&self) -> &[String] {
        &self.venues
    }

    /// The symbols' names, as in the capture.
    #[must_use]
    pub fn natives(&self) -> Vec<String> {
        self.known.iter().map(|known| known.native.clone()).collect()
    }

    /// What `venue` plays of it: all of a capture of one venue, its own part of one of several; `None` if it has none.
    pub(super) fn part(self: &Arc<Replayed>, venue: &str) -> Option<Part> {
        let all = self.venues.len() == 1;
        let mut symbols = Vec::new();
        let place = |(index, known): (usize, &Known)| {
            (all || known.venue == venue).then(|| {
                symbols.push(index);
                symbols.len() as u32 - 1
            })
        };
        let places = self.known.iter().enumerate().map(place).collect();
        (!symbols.is_empty()).then(|| Part { replayed: Arc::clone(self), symbols, places })
    }

    /// When something of the capture's time `time` happens.
    fn moved(&self, time: Nanos, start: Nanos) -> Nanos {
        // A capture of a month is exact to a nanosecond.
        start.saturating_add(((time - self.first) as f64 / self.speed) as Nanos)
    }
}

/// What one venue plays of a capture.
#[derive(Clone, Debug)]
pub(super) struct Part {
    replayed: Arc<Replayed>,
    /// Its symbols, by their numbers in the capture.
    symbols: Vec<usize>,
    /// By a symbol's number in the capture: its number here.
    places: Vec<Option<u32>>,
}

impl Part {
    fn known(&self) -> impl Iterator<Item = &Known> {
        self.symbols.iter().filter_map(|symbol| self.replayed.known.get(*symbol))
    }

    /// The symbols' names, as in the capture.
    pub(super) fn natives(&self) -> Vec<String> {
        self.known().map(|known| known.native.clone()).collect()
    }

    /// What is fixed about the symbols.
    pub(super) fn instruments(&self) -> Vec<Instrument> {
        let listed =
            |known: &Known| Instrument::listed(known.native.clone(), known.price_scale, known.size_scale);
        self.known().map(listed).collect()
    }

    /// The events, from `start` on. A file that cannot be read any more ends them, and is told in the log.
    pub(super) fn events(&self, start: Nanos) -> Played {
        let source = source::open(&self.replayed.paths, &self.replayed.options);
        let source =
            source.map_err(|error| tracing::error!(%error, "the capture cannot be opened again")).ok();
        Played {
            part: self.clone(),
            source,
            batch: None,
            at: 0,
            start,
            received_at: start,
            trades: vec![None; self.symbols.len()],
            quotes: 0,
            passed_over: 0,
        }
    }
}

impl Known {
    fn widen(&mut self, event: &Event) {
        let (prices, sizes) = match event {
            Event::Trade(trade) => ([trade.price(); 2], [trade.size(); 2]),
            Event::Quote(quote) => ([quote.bid(), quote.ask()], [quote.bid_size(), quote.ask_size()]),
            _ => return,
        };
        for (price, size) in prices.iter().zip(sizes) {
            self.price_scale = self.price_scale.max(price.scale());
            self.size_scale = self.size_scale.max(size.scale());
        }
    }
}

/// True for what happened when the capture was made.
fn counts(tick: &Tick) -> bool {
    !tick.history && !tick.excluded && matches!(tick.event, Event::Trade(_) | Event::Quote(_))
}

fn time_of(tick: &Tick) -> Nanos {
    tick.received_at().unwrap_or(tick.exchange_ts)
}

fn symbol_of(tick: &Tick, batch: &Batch) -> usize {
    batch.symbols.get(tick.symbol.0 as usize).map_or(usize::MAX, |symbol| symbol.0 as usize)
}

/// The mantissa at `scale`, if it is one.
fn at_scale(value: Decimal, scale: u8) -> Option<i64> {
    let by = 10i64.checked_pow(u32::from(scale.checked_sub(value.scale())?))?;
    value.mantissa().checked_mul(by)
}

/// A capture being played.
pub(super) struct Played {
    part: Part,
    source: Option<Source>,
    batch: Option<Batch>,
    at: usize,
    start: Nanos,
    received_at: Nanos,
    /// By symbol: the last trade's id.
    trades: Vec<Option<u64>>,
    quotes: u64,
    passed_over: u64,
}

impl Played {
    /// The next tick's event; `None` if it is none.
    fn event(&mut self, tick: &Tick, symbol: usize) -> Option<MarketEvent> {
        let replayed = &self.part.replayed;
        let place = (*self.part.places.get(symbol)?)?;
        let known = replayed.known.get(symbol)?;
        let trades = self.trades.get_mut(place as usize)?;
        let price = |value| at_scale(value, known.price_scale);
        let size = |value| at_scale(value, known.size_scale);
        let change = match &tick.event {
            Event::Trade(trade) => {
                let last = *trades;
                let id = match trade.id().filter(|_| known.counts) {
                    Some(id) if last.is_some_and(|last| id <= last) => return None,
                    Some(id) => id,
                    None => last.map_or(1, |last| last + 1),
                };
                let buyer_is_maker = trade.side == Side::Sell;
                let change = Change::Trade {
                    id,
                    price: price(trade.price())?,
                    size: size(trade.size())?,
                    buyer_is_maker,
                };
                *trades = Some(id);
                change
            }
            Event::Quote(quote) => {
                self.quotes += 1;
                Change::Quote {
                    id: self.quotes,
                    bid: price(quote.bid())?,
                    bid_size: size(quote.bid_size())?,
                    ask: price(quote.ask())?,
                    ask_size: size(quote.ask_size())?,
                }
            }
            _ => return None,
        };
        let exchange_ts = replayed.moved(tick.exchange_ts, self.start);
        let received_at = replayed.moved(time_of(tick), self.start);
        self.received_at = received_at.max(self.received_at.saturating_add(1));
        let exchange_ts = exchange_ts - exchange_ts.rem_euclid(MILLI);
        Some(MarketEvent { exchange_ts, received_at: self.received_at, symbol: place, change })
    }

    /// The next tick that counts, and its symbol.
    fn tick(&mut self) -> Option<(Tick, usize)> {
        loop {
            if let Some(batch) = &self.batch {
                let found = batch.ticks[self.at..].iter().position(counts);
                if let Some(ahead) = found {
                    let tick = batch.ticks[self.at + ahead];
                    self.at += ahead + 1;
                    return Some((tick, symbol_of(&tick, batch)));
                }
            }
            self.at = 0;
            self.batch = match self.source.as_mut()?.next() {
                Ok(batch) => Some(batch?),
                Err(error) => {
                    tracing::error!(%error, "the capture ends here");
                    return None;
                }
            };
        }
    }
}

impl Iterator for Played {
    type Item = MarketEvent;

    fn next(&mut self) -> Option<MarketEvent> {
        while let Some((tick, symbol)) = self.tick() {
            if let Some(event) = self.event(&tick, symbol) {
                return Some(event);
            }
            self.passed_over += 1;
        }
        tracing::info!(passed_over = self.passed_over, "the capture is over");
        self.source = None;
        self.batch = None;
        None
    }
}
