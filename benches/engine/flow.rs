//! Ticks as a source delivers them: decoded, in batches, from a made-up market with Zipf's activity.

use std::sync::Arc;

use feeds::symbol::{Symbol, SymbolId};
use feeds::tick::Tick;
use feeds::time::{Nanos, SECOND};
use feeds::venue::DuplicateKey;
use tapedeck::clock;
use tapedeck::market::{Market, MarketSpec};
use tapedeck::source::{Batch, NewSymbol, Run};
use tapedeck::stat::{SETS, by_name};
use tapedeck::window::{Plan, Window};

/// Ticks of a batch, as a block of a CSV file gives them.
pub(crate) const BATCH_TICKS: usize = 20_000;

/// Which ticks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    pub(crate) symbols: u32,
    pub(crate) ticks: usize,
    /// They have receive times, so that there are clock entries and every tick is timed on its way.
    pub(crate) stamped: bool,
}

impl Flow {
    /// As many ticks for so many symbols as are measured.
    pub(crate) fn of(symbols: u32, stamped: bool) -> Flow {
        Flow { symbols, ticks: if symbols <= 200 { 10_000_000 } else { 3_000_000 }, stamped }
    }

    /// The market: trades only, some 55 a second for each symbol on average, by Zipf's law.
    pub(crate) fn market(&self) -> Market {
        let ticks_per_second = u64::from(self.symbols) * 55;
        Market::new(MarketSpec {
            symbols: self.symbols,
            ticks_per_second,
            quotes_per_trade: 0,
            ..MarketSpec::default()
        })
    }

    /// All ticks, in batches.
    pub(crate) fn batches(&self) -> Vec<Vec<Tick>> {
        let mut market = self.market();
        let instruments = market.instruments().to_vec();
        let mut left = self.ticks;
        let mut batches = Vec::new();
        while left > 0 {
            let size = left.min(BATCH_TICKS);
            let ticks = market.by_ref().take(size).map(|event| {
                let tick = instruments[event.symbol as usize].tick(&event, SymbolId(event.symbol));
                if self.stamped { tick } else { tick.with_received_at(None) }
            });
            batches.push(ticks.collect());
            left -= size;
        }
        batches
    }

    /// The symbols as a source announces them.
    pub(crate) fn new_symbols(&self) -> Vec<NewSymbol> {
        let market = self.market();
        let names = market.instruments().iter().map(|instrument| Symbol::new("binance", &instrument.native));
        names
            .map(|symbol| NewSymbol {
                symbol,
                trade_key: DuplicateKey::Contiguous,
                quote_key: DuplicateKey::Unique,
                file: 0,
            })
            .collect()
    }
}

/// A batch of one file. `ids` leads from each symbol to itself.
pub(crate) fn batch(ticks: Vec<Tick>, ids: &Arc<[SymbolId]>, new_symbols: Vec<NewSymbol>) -> Batch {
    let now = clock::stamp().instant();
    Batch {
        inputs: Vec::new(),
        clock: None,
        rules: None,
        past: Vec::new(),
        runs: vec![Run { file: 0, end: ticks.len() }],
        ticks,
        symbols: Arc::clone(ids),
        new_symbols,
        offsets: Vec::new(),
        outages: Vec::new(),
        continued: Vec::new(),
        gaps: Vec::new(),
        frames: Vec::new(),
        complaints: Vec::new(),
        complaints_in_all: 0,
        entered: now,
        decoded: now,
    }
}

/// The numbers `0..symbols`.
pub(crate) fn ids(symbols: u32) -> Arc<[SymbolId]> {
    (0..symbols).map(SymbolId).collect()
}

/// Windows of these sizes in seconds, with the statistics of the set `bar`.
pub(crate) fn plan(seconds: &[Nanos]) -> Plan {
    let bar = SETS.iter().find(|(name, _)| *name == "bar").map_or(&[][..], |(_, names)| *names);
    let window = |seconds: &Nanos| Window {
        name: format!("{seconds}s"),
        size: seconds * SECOND,
        stats: bar.iter().filter_map(|name| by_name(name)).collect(),
    };
    Plan::new(seconds.iter().map(window).collect())
}
