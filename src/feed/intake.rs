//! Deliveries to batches: one numbering of symbols and inputs over all connections.
//!
//! A live run and the replay of its recording both go through here, so that the sequencer gets the same from either.

use std::sync::Arc;

use feeds::symbol::{Symbol, SymbolId};
use feeds::venue::{DuplicateKey, Output};
use feeds::venues::by_id;
use rustc_hash::FxHashMap;

use super::delivery::{ConnectionId, Decoded, Delivery};
use crate::clock::Stamp;
use crate::source::{Batch, NewInput, NewSymbol, Offset, Run};

/// What a connection's ticks are translated with.
struct Connection {
    input: usize,
    /// Its numbers of symbols to ours.
    symbols: Arc<[SymbolId]>,
}

/// See the module.
pub struct Intake {
    /// The number of the next input.
    next_input: usize,
    connections: FxHashMap<ConnectionId, Connection>,
    numbers: FxHashMap<Symbol, SymbolId>,
}

impl Intake {
    /// One whose first connection is input `first_input`.
    #[must_use]
    pub fn new(first_input: usize) -> Intake {
        Intake { next_input: first_input, connections: FxHashMap::default(), numbers: FxHashMap::default() }
    }

    /// The batch of a delivery. `now` is when it was taken in.
    pub fn accept(&mut self, delivery: Delivery, now: Stamp) -> Batch {
        let mut batch = empty(now);
        match delivery {
            Delivery::Opened { connection, venue, address, .. } => {
                let number = self.next_input;
                self.next_input += 1;
                self.connections.insert(connection, Connection { input: number, symbols: Arc::new([]) });
                batch.inputs.push(NewInput { number, name: address, venue: venue.id() });
            }
            Delivery::Frames(decoded) => self.frames(*decoded, &mut batch),
            Delivery::Closed { connection, rest, .. } => {
                self.output(connection, *rest, &mut batch);
                self.connections.remove(&connection);
            }
            Delivery::Time { received_at } => batch.clock = Some(received_at),
            Delivery::Alarm { .. } => {}
        }
        batch
    }

    /// Nothing, for what is counted with it.
    #[must_use]
    pub fn nothing(now: Stamp) -> Batch {
        empty(now)
    }

    fn frames(&mut self, decoded: Decoded, batch: &mut Batch) {
        let Decoded { connection, frames, output, counts, new_symbols, decoded: at } = decoded;
        self.introduce(connection, &new_symbols, batch);
        // The earliest of them: they were ready together, and none is told to have been faster than it was.
        batch.entered = frames.first().map_or(at, |frame| frame.entered).instant();
        batch.decoded = at.instant();
        if let Some(known) = self.connections.get(&connection) {
            batch.frames.push((known.input, counts));
        }
        self.output(connection, output, batch);
    }

    /// Gives numbers to the symbols that a connection names first.
    fn introduce(&mut self, connection: ConnectionId, new_symbols: &[Symbol], batch: &mut Batch) {
        let Some(known) = self.connections.get_mut(&connection) else { return };
        if new_symbols.is_empty() {
            return;
        }
        let mut ids = known.symbols.to_vec();
        for symbol in new_symbols {
            let next = SymbolId(u32::try_from(self.numbers.len()).unwrap_or(u32::MAX));
            let id = *self.numbers.entry(symbol.clone()).or_insert(next);
            if id == next {
                let keys = by_id(symbol.venue()).map(|venue| (venue.trade_key(), venue.quote_key()));
                let (trade_key, quote_key) = keys.unwrap_or((DuplicateKey::None, DuplicateKey::None));
                batch.new_symbols.push(NewSymbol {
                    symbol: symbol.clone(),
                    trade_key,
                    quote_key,
                    file: known.input,
                });
            }
            ids.push(id);
        }
        known.symbols = ids.into();
    }

    fn output(&self, connection: ConnectionId, output: Output, batch: &mut Batch) {
        let Some(known) = self.connections.get(&connection) else { return };
        let file = known.input;
        batch.symbols = Arc::clone(&known.symbols);
        batch.runs.push(Run { file, end: output.ticks.len() });
        let offsets = output.offsets.iter().map(|&(at, offset)| Offset { at, file, offset });
        batch.offsets.extend(offsets);
        batch.ticks = output.ticks;
    }
}

fn empty(now: Stamp) -> Batch {
    Batch {
        ticks: Vec::new(),
        symbols: Arc::new([]),
        runs: Vec::new(),
        inputs: Vec::new(),
        clock: None,
        new_symbols: Vec::new(),
        offsets: Vec::new(),
        continued: Vec::new(),
        gaps: Vec::new(),
        frames: Vec::new(),
        complaints: Vec::new(),
        complaints_in_all: 0,
        entered: now.instant(),
        decoded: now.instant(),
    }
}
