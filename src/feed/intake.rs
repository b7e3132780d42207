//! Deliveries to batches: one numbering of symbols and inputs over all connections.
//!
//! A live run and the replay of its recording both go through here, so that the sequencer gets the same from either.

use std::sync::Arc;

use feeds::live::PastRequest;
use feeds::outage::{Outage, Sign, Whose};
use feeds::recording::{Alarm, Past, Wish};
use feeds::symbol::{Symbol, SymbolId, SymbolTable};
use feeds::time::Nanos;
use feeds::venue::{DuplicateKey, Output, Venue};
use feeds::venues::by_id;
use rustc_hash::FxHashMap;

use super::carried::{Carried, Carriers};
use super::delivery::{ConnectionId, Decoded, Delivery};
use super::overlap::{Overlaps, unkeyed};
use crate::clock::Stamp;
use crate::source::{Batch, NewInput, NewOutage, NewSymbol, Offset, Run};
use crate::symbol::outages::{Cause, Channels};

/// What a connection's ticks are translated with.
struct Connection {
    venue: &'static str,
    /// Channels whose ticks have no key.
    unkeyed: Channels,
    input: usize,
    /// Its numbers of symbols to ours.
    symbols: Arc<[SymbolId]>,
    /// By its number of a symbol: no other connection had named it before.
    is_first: Vec<bool>,
    /// The receive time of its last frame.
    last: Option<Nanos>,
}

/// See the module.
pub struct Intake {
    /// The number of the next input.
    next_input: usize,
    connections: FxHashMap<ConnectionId, Connection>,
    carriers: Carriers,
    overlaps: Overlaps,
    numbers: FxHashMap<Symbol, SymbolId>,
    /// Connections that end now are ended by the run.
    stopping: bool,
}

impl Intake {
    /// One whose first connection is input `first_input`.
    #[must_use]
    pub fn new(first_input: usize) -> Intake {
        Intake {
            next_input: first_input,
            connections: FxHashMap::default(),
            carriers: Carriers::default(),
            overlaps: Overlaps::default(),
            numbers: FxHashMap::default(),
            stopping: false,
        }
    }

    /// The batch of a delivery. `now` is when it was taken in.
    pub fn accept(&mut self, delivery: Delivery, now: Stamp) -> Batch {
        let mut batch = empty(now);
        match delivery {
            Delivery::Opened { connection, venue, address, .. } => {
                let number = self.next_input;
                self.next_input += 1;
                self.connections.insert(connection, Connection::new(venue, number));
                self.carriers.open(connection, venue.id());
                self.overlaps.open(venue.id());
                batch.inputs.push(NewInput { number, name: address, venue: venue.id() });
            }
            Delivery::Frames(decoded) => self.frames(*decoded, &mut batch),
            Delivery::Closed { connection, rest, .. } => {
                self.output(connection, *rest, &mut batch);
                self.close(connection, &mut batch);
            }
            Delivery::Time { received_at } => batch.clock = Some(received_at),
            Delivery::Stopping { .. } => self.stopping = true,
            Delivery::Rules { text, .. } => batch.rules = Some(text),
            Delivery::Past { past, received_at } => self.past(&past, received_at, &mut batch),
            Delivery::Wish { connection, wish, .. } => self.wish(connection, &wish, &mut batch),
            Delivery::Answer { connection, answer, .. } => self.carriers.answer(connection, answer),
            Delivery::Alarm { connection, alarm, .. } => self.alarm(connection, &alarm, &mut batch),
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
        if let Some(known) = self.connections.get_mut(&connection) {
            batch.frames.push((known.input, counts));
            known.last = frames.last().map(|frame| frame.received_at).or(known.last);
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
            known.is_first.push(id == next);
            self.carriers.meet(connection, symbol);
            ids.push(id);
        }
        known.symbols = ids.into();
    }

    fn output(&mut self, connection: ConnectionId, mut output: Output, batch: &mut Batch) {
        let Some(known) = self.connections.get(&connection) else { return };
        let file = known.input;
        self.carriers.hear(connection, &output);
        if !known.unkeyed.is_empty() {
            let whose = (known.venue, connection);
            self.overlaps.mark(whose, known.unkeyed, &known.symbols, &mut output.ticks);
        }
        batch.symbols = Arc::clone(&known.symbols);
        batch.runs.push(Run { file, end: output.ticks.len() });
        let offsets = output.offsets.iter().map(|&(at, offset)| Offset { at, file, offset });
        batch.offsets.extend(offsets);
        let wanted = |number| self.carriers.wanted(connection, number);
        let outages = output.outages.iter().map(|outage| known.outage(outage, &wanted));
        batch.outages.extend(outages);
        batch.ticks = output.ticks;
    }

    /// What no other connection carries is out from its last frame on. When the run stops, that is for the next one to
    /// say, which knows until when.
    fn close(&mut self, connection: ConnectionId, batch: &mut Batch) {
        let Some(known) = self.connections.remove(&connection) else { return };
        self.overlaps.close(known.venue);
        let number = |native: &str| self.numbers.get(&Symbol::new(known.venue, native)).copied();
        let symbols = self.carriers.close(connection, number);
        if !symbols.is_empty() && !self.stopping {
            let (at, file, after) = (batch.ticks.len(), known.input, known.last);
            let (offsets, cause) = (batch.offsets.len(), Cause::Connection);
            batch.outages.push(NewOutage { at, offsets, file, symbols, after, cause });
        }
    }

    /// What nobody wants any more is not missing any more.
    fn wish(&mut self, connection: ConnectionId, wish: &Wish, batch: &mut Batch) {
        let is_unwanted = self.carriers.wish(connection, wish);
        let Some(known) = self.connections.get(&connection).filter(|_| is_unwanted) else { return };
        if let Some(&symbol) = self.numbers.get(&Symbol::new(known.venue, &wish.stream.native)) {
            let symbols = vec![(symbol, Channels::of(wish.stream.channel))];
            let (file, cause) = (known.input, Cause::Unwanted);
            batch.outages.push(NewOutage { at: 0, offsets: 0, file, symbols, after: None, cause });
        }
    }

    /// Trades that were missing, of a symbol that is known.
    fn past(&self, past: &Past, received_at: Nanos, batch: &mut Batch) {
        let known = self.numbers.get(&Symbol::new(&past.venue, &past.native));
        let Some((&symbol, venue)) = known.zip(by_id(&past.venue)) else { return };
        let Some(trades) = venue.past_trades() else { return };
        let Past { native, first, last, body, .. } = past;
        let (first, last, body) = (*first, *last, body.as_bytes());
        let request = PastRequest { native, first, last, received_at, body };
        let mut symbols = SymbolTable::new(venue.id());
        if let Err(error) = trades.decode(&request, &mut symbols, &mut batch.past) {
            tracing::warn!(venue = venue.id(), native, %error, "past trades could not be read");
        }
        batch.symbols = symbols.symbols().iter().map(|_| symbol).collect();
        batch.past.retain(|tick| symbols.symbols()[tick.symbol.0 as usize].native() == native);
    }

    /// A stream that is silent may be out since it was last heard.
    fn alarm(&self, connection: ConnectionId, alarm: &Alarm, batch: &mut Batch) {
        let (Some(known), Some(stream)) = (self.connections.get(&connection), &alarm.stream) else { return };
        if let Some(&symbol) = self.numbers.get(&Symbol::new(known.venue, &stream.native)) {
            batch.outages.push(NewOutage {
                at: 0,
                offsets: 0,
                file: known.input,
                symbols: vec![(symbol, Channels::of(stream.channel))],
                after: Some(alarm.since),
                cause: Cause::Silence,
            });
        }
    }
}

impl Connection {
    fn new(venue: &'static dyn Venue, input: usize) -> Connection {
        let (unkeyed, symbols) = (unkeyed(venue), Arc::new([]));
        Connection { venue: venue.id(), unkeyed, input, symbols, is_first: Vec::new(), last: None }
    }

    fn outage(&self, outage: &Outage, wanted: &dyn Fn(usize) -> Channels) -> NewOutage {
        let numbers = match outage.whose {
            Whose::Symbol(symbol) => symbol.0 as usize..symbol.0 as usize + 1,
            Whose::Below(number) => 0..number as usize,
            Whose::Between(from, to) => from as usize..to as usize,
        };
        // Who is new here may have been heard on another connection.
        let is_out =
            |number: &usize| outage.sign != Sign::New || self.is_first.get(*number).copied().unwrap_or(false);
        let channels = outage.channel.map_or(Channels::ALL, Channels::of);
        let of = |number: usize| Some((*self.symbols.get(number)?, channels.both(wanted(number))));
        let symbols: Carried =
            numbers.filter(is_out).filter_map(of).filter(|(_, channels)| !channels.is_empty()).collect();
        let after = outage.after.filter(|_| outage.sign != Sign::New);
        let cause = Cause::of(outage.sign);
        let (at, offsets) = (outage.at, outage.offsets);
        NewOutage { at, offsets, file: self.input, symbols, after, cause }
    }
}

fn empty(now: Stamp) -> Batch {
    Batch {
        ticks: Vec::new(),
        symbols: Arc::new([]),
        runs: Vec::new(),
        inputs: Vec::new(),
        clock: None,
        rules: None,
        past: Vec::new(),
        new_symbols: Vec::new(),
        offsets: Vec::new(),
        outages: Vec::new(),
        continued: Vec::new(),
        gaps: Vec::new(),
        frames: Vec::new(),
        complaints: Vec::new(),
        complaints_in_all: 0,
        entered: now.instant(),
        decoded: now.instant(),
    }
}
