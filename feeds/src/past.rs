//! Trades of an answer about the past, on their way out: those that were asked for, in the order of their ids.

use crate::frame::FrameError;
use crate::json::Sink;
use crate::live::PastRequest;
use crate::symbol::SymbolTable;
use crate::tick::{Event, Rejection, Tick};
use crate::time::{Nanos, TimeError};
use crate::venue::Output;
use crate::verdict::Fault;

/// A trade as the answer has it; its time and values may still be unusable.
pub(crate) struct PastTrade {
    pub(crate) id: u64,
    pub(crate) time: Result<Nanos, TimeError>,
    pub(crate) event: Result<Event, Rejection>,
}

/// Reads the answer by `rows`, and puts out what was asked for of it, each id once.
///
/// # Errors
/// If it cannot be read. Nothing is put out then.
pub(crate) fn read(
    request: &PastRequest<'_>,
    symbols: &mut SymbolTable,
    out: &mut Vec<Tick>,
    rows: impl FnOnce(&[u8]) -> Result<Vec<PastTrade>, Fault>,
) -> Result<(), FrameError> {
    let mut rows = rows(request.body).map_err(|fault| fault.about(request.body))?;
    rows.retain(|row| (request.first..=request.last).contains(&row.id));
    rows.sort_by_key(|row| row.id);
    rows.dedup_by_key(|row| row.id);
    let mut output = Output::default();
    let symbol = symbols.intern(request.native.as_bytes());
    let mut sink = Sink { received_at: Some(request.received_at), symbols, out: &mut output };
    for row in rows {
        sink.put(symbol, row.time, row.event);
    }
    out.append(&mut output.ticks);
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::live::PastTrades;

    /// What `past` makes of `body` for trades `first` to `last` of `native`, in words.
    pub(crate) fn shown(
        past: &dyn PastTrades,
        native: &str,
        [first, last]: [u64; 2],
        body: &str,
    ) -> Result<Vec<String>, FrameError> {
        let received_at = 1_800_000_000_000_000_000;
        let request = PastRequest { native, first, last, received_at, body: body.as_bytes() };
        let (mut symbols, mut ticks) = (SymbolTable::new("v"), Vec::new());
        let read = past.decode(&request, &mut symbols, &mut ticks);
        assert!(read.is_ok() || ticks.is_empty(), "something of a broken answer: {body}");
        read?;
        assert!(ticks.iter().all(|tick| symbols.symbols()[tick.symbol.0 as usize].native() == native));
        Ok(ticks.iter().map(|tick| format!("{} {:?}", tick.exchange_ts, tick.event)).collect())
    }
}
