//! What a simulated venue made and what it truly sent, to hold against what a client has.

use std::collections::BTreeMap;
use std::fmt;

use feeds::number::Decimal;
use feeds::time::Nanos;

use super::faults::Kind;
use super::protocol::Listing;
use crate::market::{Change, MarketEvent};

/// Most runs of ids that are kept for one symbol; what comes after is only counted.
const RUNS_MAX: usize = 4_096;

/// One venue's account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Totals {
    /// The venue.
    pub venue: String,
    /// When its market opened, nanoseconds since 1970.
    pub opened_at: Option<Nanos>,
    /// Its market is over.
    pub over: bool,
    /// Connections that were accepted after that.
    pub reopened: u64,
    /// Connections that were accepted.
    pub connections: u64,
    /// Connections that were refused by the script.
    pub refused: u64,
    /// Connections that were dropped because their client was too slow.
    pub dropped: u64,
    /// WebSocket messages that were sent: data, answers and faults.
    pub frames: u64,
    /// Frames among them that are faults: rubbish and too large.
    pub spoilt: u64,
    /// Answers about the past.
    pub answers: u64,
    /// Trades in them.
    pub answered: u64,
    /// Faults that began, by kind. Those of connections are in [`Totals::refused`].
    pub faults: BTreeMap<Kind, u64>,
    /// What happened in the market.
    pub made: Account,
    /// What was handed to the clients' sockets in full, all connections together.
    pub sent: Account,
}

/// Trades and quotes of every symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// In the order of activity.
    pub symbols: Vec<SymbolTotals>,
}

/// Trades and quotes of one symbol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SymbolTotals {
    /// Its name on the wire.
    pub native: String,
    /// Trades, repeats included.
    pub trades: u64,
    /// The ids of the trades in the order in which they came, as runs of ids that count up by one: first and last.
    pub runs: Vec<(u64, u64)>,
    /// True if there were more runs than are kept.
    pub runs_cut: bool,
    /// The sum of the trades' sizes, in units of `10^-size_scale`.
    pub volume: i128,
    /// Digits behind the point in `volume`.
    pub size_scale: u8,
    /// Trades that were sent as past, which are not in `trades`.
    pub history: u64,
    /// Quotes.
    pub quotes: u64,
}

impl Totals {
    pub(super) fn new(venue: &str, listing: &Listing) -> Totals {
        let symbols = listing.natives.iter().zip(&listing.instruments).map(|(native, instrument)| {
            let (native, size_scale) = (native.clone(), instrument.size_scale);
            SymbolTotals { native, size_scale, ..SymbolTotals::default() }
        });
        let account = Account { symbols: symbols.collect() };
        Totals {
            venue: venue.to_owned(),
            opened_at: None,
            over: false,
            reopened: 0,
            connections: 0,
            refused: 0,
            dropped: 0,
            frames: 0,
            spoilt: 0,
            answers: 0,
            answered: 0,
            faults: BTreeMap::new(),
            made: account.clone(),
            sent: account,
        }
    }
}

impl Account {
    pub(super) fn count(&mut self, event: &MarketEvent) {
        let Some(symbol) = self.symbols.get_mut(event.symbol as usize) else { return };
        match event.change {
            Change::Trade { id, size, .. } => symbol.count_trade(id, size),
            Change::Quote { .. } => symbol.quotes += 1,
        }
    }

    /// Counts what was told as past.
    pub(super) fn count_past(&mut self, event: &MarketEvent) {
        if let Some(symbol) = self.symbols.get_mut(event.symbol as usize) {
            symbol.history += 1;
        }
    }

    /// Trades of all symbols that were sent as past.
    #[must_use]
    pub fn history(&self) -> u64 {
        self.symbols.iter().map(|symbol| symbol.history).sum()
    }

    /// Trades and quotes of all symbols.
    #[must_use]
    pub fn ticks(&self) -> (u64, u64) {
        self.symbols.iter().fold((0, 0), |(trades, quotes), it| (trades + it.trades, quotes + it.quotes))
    }
}

impl SymbolTotals {
    /// Counts a trade; `size` is at the scale of this.
    pub fn count_trade(&mut self, id: u64, size: i64) {
        self.trades += 1;
        self.volume += i128::from(size);
        let goes_on = self.runs.last_mut().filter(|(_, last)| last.checked_add(1) == Some(id));
        if let Some((_, last)) = goes_on.filter(|_| !self.runs_cut) {
            *last = id;
        } else if self.runs.len() < RUNS_MAX {
            self.runs.push((id, id));
        } else {
            self.runs_cut = true;
        }
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((made_trades, made_quotes), (trades, quotes)) = (self.made.ticks(), self.sent.ticks());
        writeln!(f, "{}: made {made_trades} trades, {made_quotes} quotes", self.venue)?;
        writeln!(
            f,
            "  sent {trades} trades, {} past trades, {quotes} quotes in {} frames over {} connections; {} refused, {} \
             dropped as too slow, {} answers about the past with {} trades",
            self.sent.history(),
            self.frames,
            self.connections,
            self.refused,
            self.dropped,
            self.answers,
            self.answered
        )?;
        if !self.faults.is_empty() {
            let faults: Vec<String> =
                self.faults.iter().map(|(kind, times)| format!("{} {times}", kind.name())).collect();
            writeln!(f, "  faults: {}", faults.join(", "))?;
        }
        for symbol in self.sent.symbols.iter().filter(|it| it.trades + it.history + it.quotes > 0) {
            let runs: Vec<String> =
                symbol.runs.iter().take(8).map(|(first, last)| format!("{first}-{last}")).collect();
            let more = if symbol.runs.len() > runs.len() || symbol.runs_cut { " …" } else { "" };
            let volume = match i64::try_from(symbol.volume) {
                Ok(volume) => Decimal::new(volume, symbol.size_scale).to_string(),
                Err(_) => format!("{}e-{}", symbol.volume, symbol.size_scale),
            };
            writeln!(
                f,
                "  {} {} trades, volume {volume}, {} past, {} quotes, ids {}{more}",
                symbol.native,
                symbol.trades,
                symbol.history,
                symbol.quotes,
                runs.join(" ")
            )?;
        }
        Ok(())
    }
}
