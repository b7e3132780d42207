//! Which ticks are delivered: `--symbol`, `--from` and `--to`.

use feeds::outage::Outage;
use feeds::symbol::{Symbol, SymbolTable};
use feeds::tick::{Event, Tick};
use feeds::time::Nanos;

/// The asked-for symbols and times.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    symbols: Vec<String>,
    from: Nanos,
    to: Nanos,
}

impl Filter {
    pub(super) fn new(symbols: Vec<String>, from: Option<Nanos>, to: Option<Nanos>) -> Filter {
        Filter { symbols, from: from.unwrap_or(Nanos::MIN), to: to.unwrap_or(Nanos::MAX) }
    }

    /// True if everything is delivered.
    pub(super) fn is_open(&self) -> bool {
        self.symbols.is_empty() && self.from == Nanos::MIN && self.to == Nanos::MAX
    }

    fn takes_symbol(&self, symbol: &Symbol) -> bool {
        self.symbols.is_empty()
            || self.symbols.iter().any(|name| name == symbol.as_str() || name == symbol.native())
    }

    /// Brings `wanted` up to the symbols of `table`.
    pub(super) fn extend(&self, wanted: &mut Vec<bool>, table: &SymbolTable) {
        let known = wanted.len();
        wanted.extend(table.symbols()[known..].iter().map(|symbol| self.takes_symbol(symbol)));
    }

    /// Takes out of `ticks` what is not delivered, and moves the positions in `offsets` and `outages` along. `wanted` says it of
    /// each symbol.
    ///
    /// A rejected tick has no time of its own and stands where the file stands: at its receive time or, without
    /// one, at the highest time before it in `ticks` (at the first one behind it, at the start).
    pub(super) fn apply(
        &self,
        ticks: &mut Vec<Tick>,
        offsets: &mut [(usize, Nanos)],
        outages: &mut [Outage],
        wanted: &[bool],
    ) {
        if self.is_open() {
            return;
        }
        let mut now = ticks.iter().find(|tick| !is_rejected(tick)).map(|tick| tick.exchange_ts);
        let mut kept = 0;
        let (mut offset, mut outage) = (0, 0);
        for index in 0..ticks.len() {
            while offset < offsets.len() && offsets[offset].0 <= index {
                offsets[offset].0 = kept;
                offset += 1;
            }
            while outage < outages.len() && outages[outage].at <= index {
                outages[outage].at = kept;
                outage += 1;
            }
            let tick = ticks[index];
            let time = if is_rejected(&tick) {
                tick.received_at().or(now)
            } else {
                now = now.max(Some(tick.exchange_ts));
                Some(tick.exchange_ts)
            };
            let in_range = time.is_none_or(|time| (self.from..self.to).contains(&time));
            if in_range && wanted.get(tick.symbol.0 as usize).copied().unwrap_or(true) {
                ticks[kept] = tick;
                kept += 1;
            }
        }
        ticks.truncate(kept);
        for (at, _) in &mut offsets[offset..] {
            *at = kept;
        }
        for outage in &mut outages[outage..] {
            outage.at = kept;
        }
    }
}

fn is_rejected(tick: &Tick) -> bool {
    matches!(tick.event, Event::Rejected(_))
}
