//! One file on its way to the merge: its blocks back in order, with everything settled that depends on the order.

use std::collections::VecDeque;
use std::sync::Arc;

use crossbeam_channel::Receiver;
use feeds::formats::{Decoded, Decoder};
use feeds::frame::FrameError;
use feeds::outage::{Outage, Sign, Whose};
use feeds::symbol::SymbolId;
use feeds::tick::Tick;
use feeds::time::{self, Nanos};
use feeds::venue::DuplicateKey;
use rustc_hash::FxHashSet;

use super::clock::{self, FileClock};
use super::decode::Block;
use super::error::{Complaint, Failure};
use super::filter::Filter;
use super::input::Origin;
use super::part::{Part, empty_batch};
use super::pipeline::{Done, End, Pipeline, Plan, Spares};
use super::register::Register;
use super::{Batch, FileGap, NewOutage, NewSymbol, Run};
use crate::symbol::outages::{Cause, Channels};

/// What is known of a file before it is started.
pub(super) struct Opened {
    pub(super) origin: Origin,
    pub(super) decoder: Box<dyn Decoder>,
    /// Where its first tick sorts, if the file's head tells.
    pub(super) first_key: Option<Nanos>,
    /// The first time of any tick in the file's head, if that has one and the file has no receive times.
    pub(super) first_time: Option<Nanos>,
    /// True if it lacks the header of its kind, and the file before it has it.
    pub(super) is_piece: bool,
}

/// What a file takes over from the one that it goes on from.
#[derive(Default)]
pub(super) struct Carried {
    /// The clock, if it has one.
    clock: Option<FileClock>,
    /// The decoder, if what a line means depends on the lines before it.
    decoder: Option<Box<dyn Decoder>>,
    /// Where the last tick sorted.
    key: Option<Nanos>,
}

/// A file that goes on from another one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Follower {
    /// The first time of any tick in its head, if it has no receive times.
    pub(super) first_time: Option<Nanos>,
}

enum Stage {
    Opened(Box<Opened>),
    Running(Pipeline),
    Ended,
}

/// One file.
pub(super) struct Lane {
    file: usize,
    stage: Stage,
    pub(super) filter: Filter,
    keys: (DuplicateKey, DuplicateKey),
    /// For finding the line of a tick again.
    finder: Option<Box<dyn Decoder>>,
    /// `None` for a file with receive times.
    clock: Option<FileClock>,
    lines: u64,
    /// By decoder, its numbers to those of the source.
    maps: Vec<(Vec<SymbolId>, Arc<[SymbolId]>)>,
    ready: VecDeque<Part>,
    failure: Option<Failure>,
    /// Where its first tick sorts, if the file's head tells.
    first_key: Option<Nanos>,
    is_piece: bool,
    /// What the file behind it takes over.
    decoder: Option<Box<dyn Decoder>>,
    /// Where the next tick sorts at the earliest.
    key: Nanos,
}

impl Lane {
    pub(super) fn new(
        file: usize,
        opened: Opened,
        keys: (DuplicateKey, DuplicateKey),
        filter: Filter,
    ) -> Lane {
        Lane {
            file,
            clock: (!opened.decoder.has_receive_times()).then(FileClock::default),
            first_key: opened.first_key,
            is_piece: opened.is_piece,
            stage: Stage::Opened(Box::new(opened)),
            filter,
            keys,
            finder: None,
            lines: 0,
            maps: Vec::new(),
            ready: VecDeque::new(),
            failure: None,
            decoder: None,
            key: Nanos::MIN,
        }
    }

    /// What is known of it, as long as it is not started.
    pub(super) fn opened(&self) -> Option<&Opened> {
        match &self.stage {
            Stage::Opened(opened) => Some(opened),
            Stage::Running(_) | Stage::Ended => None,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.stage, Stage::Running(_))
    }

    /// True if nothing more comes.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended) && self.ready.is_empty()
    }

    /// The file's clock where it has been read to.
    pub(super) fn now(&self) -> Option<Nanos> {
        self.clock.as_ref().and_then(FileClock::now)
    }

    /// How far the file is out of order, where it has been read to.
    pub(super) fn behind(&self) -> Nanos {
        self.clock.as_ref().map_or(0, FileClock::behind)
    }

    /// Why the file ended early, once.
    pub(super) fn take_failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    /// Where its first tick sorts, if the file's head tells.
    pub(super) fn first_key(&self) -> Option<Nanos> {
        self.first_key
    }

    /// True if it lacks the header of its kind and goes on from the file before it.
    pub(super) fn is_piece(&self) -> bool {
        self.is_piece
    }

    /// What the file behind this one, which has ended, takes over.
    pub(super) fn carry(&mut self) -> Carried {
        let key = (self.key > Nanos::MIN).then_some(self.key);
        let clock = self.clock.as_ref().map(FileClock::carried);
        Carried { clock, decoder: self.decoder.take(), key }
    }

    /// Starts the file's threads, if they are not.
    pub(super) fn start(&mut self, carried: Carried, plan: Plan, spares: &Spares) -> Result<(), Failure> {
        let Stage::Opened(opened) = std::mem::replace(&mut self.stage, Stage::Ended) else { return Ok(()) };
        let Opened { mut origin, decoder, .. } = *opened;
        let plan = Plan { joins: origin.is_regular(), ..plan };
        let input = origin.input();
        let input = input.map_err(|error| Failure::Read { offset: 0, what: error.to_string() })?;
        if let Some(clock) = &mut self.clock {
            *clock = carried.clock.unwrap_or_default();
            self.finder = decoder.fork();
        }
        self.key = carried.key.unwrap_or(Nanos::MIN);
        let decoder = carried.decoder.unwrap_or(decoder);
        self.stage = Stage::Running(Pipeline::start(input, decoder, plan, spares)?);
        Ok(())
    }

    /// Sees to it that a settled part is in front; false at the end of the file. `follower` is the file that goes
    /// on from this one, if one does.
    pub(super) fn make_ready(
        &mut self,
        follower: Option<Follower>,
        register: &mut Register,
    ) -> Result<bool, Failure> {
        while self.ready.is_empty() {
            if !self.advance(follower, register)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Settles blocks until the file ends or `ticks` are in front; true if it has ended.
    pub(super) fn look_ahead(
        &mut self,
        ticks: usize,
        follower: Option<Follower>,
        register: &mut Register,
    ) -> Result<bool, Failure> {
        while self.ready.iter().map(|part| part.ticks.len() - part.at).sum::<usize>() < ticks {
            if !self.advance(follower, register)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes in the next block; false at the end of the file.
    fn advance(&mut self, follower: Option<Follower>, register: &mut Register) -> Result<bool, Failure> {
        let Stage::Running(pipeline) = &mut self.stage else { return Ok(false) };
        match pipeline.next()? {
            Done::Block(block) => self.admit(*block, register),
            Done::End(end) => self.end(*end, follower, register)?,
        }
        Ok(true)
    }

    fn admit(&mut self, mut block: Block, register: &mut Register) {
        block.lines_before = self.lines;
        self.lines += block.lines;
        // The lines of an open block are needed if a tick turns out to be rejected.
        if let Stage::Running(pipeline) = &self.stage
            && !block.survey.open
        {
            pipeline.give_back(std::mem::take(&mut block.buffer));
        }
        let mut settled = VecDeque::new();
        match &mut self.clock {
            Some(clock) => clock.admit(block, &mut settled),
            None => settled.push_back(block),
        }
        for block in settled {
            self.settle(block, register);
        }
    }

    fn end(&mut self, end: End, follower: Option<Follower>, register: &mut Register) -> Result<(), Failure> {
        let End { worker, ending, offset } = end;
        if follower.is_some() && ending.is_ok() && worker.is_sequential() {
            self.decoder = Some(worker.into_decoder());
        } else {
            self.admit(worker.finish(offset)?, register);
        }
        self.failure = ending.err();
        if let Some(clock) = &mut self.clock {
            let mut settled = VecDeque::new();
            clock.end(follower.and_then(|follower| follower.first_time), &mut settled);
            for block in settled {
                self.settle(block, register);
            }
        }
        self.stage = Stage::Ended;
        Ok(())
    }

    /// Where the next tick sorts at the earliest.
    pub(super) fn key(&self) -> Nanos {
        self.key
    }

    /// True if nothing of the part in front was handed out yet, and all of it sorts before `limit` (the next tick
    /// of any other file, and that file; `None` if there is none).
    pub(super) fn front_comes_before(&self, limit: Option<(Nanos, usize)>) -> bool {
        self.ready.front().filter(|part| part.at == 0).is_some_and(|part| match (limit, part.highest) {
            (None, _) => true,
            (Some(limit), Some(highest)) => (highest.max(self.key), self.file) < limit,
            (Some(_), None) => false,
        })
    }

    /// Takes the part in front off as a whole.
    pub(super) fn take(&mut self) -> Option<Part> {
        let part = self.ready.pop_front()?;
        self.key = self.key.max(part.highest.unwrap_or(Nanos::MIN));
        Some(part)
    }

    /// Copies the ticks of the part in front that sort before `limit` to `merged`. Returns the bytes on disk up to
    /// the part's end if that was reached.
    pub(super) fn pour(
        &mut self,
        limit: (Nanos, usize),
        merged: &mut Option<Batch>,
        spares: &Receiver<Vec<Tick>>,
    ) -> Option<u64> {
        let part = self.ready.front_mut()?;
        let (file, begun) = (self.file, part.at);
        let mut next = part.ticks.get(begun).map(|tick| sort_key(tick, self.clock.is_some(), self.key));
        if next.is_some_and(|key| (key, file) >= limit) {
            self.key = next.unwrap_or(self.key);
            return None;
        }
        let batch = merged.get_or_insert_with(|| {
            let ticks = spares.try_recv().unwrap_or_default();
            empty_batch(ticks, part.entered, part.decoded)
        });
        if begun == 0 {
            part.attach(file, batch);
        }
        while let Some(key) = next.filter(|key| (*key, file) < limit) {
            part.move_marks(file, batch);
            let mut tick = part.ticks[part.at];
            tick.symbol = part.symbols.get(tick.symbol.0 as usize).copied().unwrap_or(tick.symbol);
            batch.ticks.push(tick);
            part.at += 1;
            self.key = key;
            next = part.ticks.get(part.at).map(|tick| sort_key(tick, self.clock.is_some(), key));
        }
        let end = batch.ticks.len();
        match batch.runs.last_mut() {
            Some(run) if run.file == file => run.end = end,
            _ if part.at > begun => batch.runs.push(Run { file, end }),
            _ => {}
        }
        if let Some(key) = next {
            self.key = key;
            return None;
        }
        part.move_marks(file, batch);
        self.ready.pop_front().map(|part| part.offset)
    }

    /// Makes a part of a block whose ticks are settled.
    fn settle(&mut self, mut block: Block, register: &mut Register) {
        let unconfirmed = self.unconfirmed(&block);
        let in_all = block.complaints_in_all + unconfirmed.len() as u64;
        let file = self.file;
        let before = block.lines_before;
        let decoded = block.complaints.drain(..).map(|(line, error)| (before + line + 1, error));
        let mut complaints: Vec<Complaint> =
            decoded.chain(unconfirmed).map(|(line, error)| Complaint { file, line, error }).collect();
        complaints.sort_by_key(|complaint| complaint.line);
        if let Stage::Running(pipeline) = &self.stage
            && !block.buffer.is_empty()
        {
            pipeline.give_back(std::mem::take(&mut block.buffer));
        }
        if let Some(wanted) = &block.unfiltered {
            self.filter.apply(&mut block.ticks, &mut block.offsets, &mut block.outages, wanted);
        }
        let symbols = self.translate(&block, register);
        let number = |id: SymbolId| symbols.get(id.0 as usize).copied().unwrap_or(id);
        let gaps = block.gaps.iter().map(|gap| {
            let symbol = number(gap.symbol);
            FileGap { file, gap: feeds::venue::Gap { symbol, ..*gap } }
        });
        // A file is all there is: what came before it is missing from nothing.
        let outages = block.outages.iter().filter(|outage| outage.sign != Sign::New);
        let outages = outages.map(|outage| file_outage(file, &symbols, outage));
        let highest = block.survey.times.filter(|_| !block.survey.open).map(|times| times.highest);
        self.ready.push_back(Part {
            gaps: gaps.collect(),
            outages: outages.collect(),
            symbols: symbols.clone(),
            ticks: block.ticks,
            offsets: block.offsets,
            frames: block.frames,
            complaints: register.complain(complaints, in_all),
            complaints_in_all: in_all,
            entered: block.entered,
            decoded: block.decoded,
            highest,
            offset: block.offset,
            at: 0,
            offsets_at: 0,
            outages_at: 0,
        });
    }

    /// Announces the block's new symbols and returns the map for its decoder's numbers.
    fn translate(&mut self, block: &Block, register: &mut Register) -> Arc<[SymbolId]> {
        if self.maps.len() <= block.decoder {
            self.maps.resize_with(block.decoder + 1, || (Vec::new(), Arc::new([])));
        }
        let (map, shared) = &mut self.maps[block.decoder];
        let ticks = block.ticks.iter().map(|tick| tick.symbol);
        let delivered: Option<FxHashSet<SymbolId>> =
            block.unfiltered.as_ref().map(|_| ticks.chain(block.gaps.iter().map(|gap| gap.symbol)).collect());
        for (id, symbol) in &block.announced {
            if delivered.as_ref().is_some_and(|delivered| !delivered.contains(id)) {
                continue;
            }
            let (trade_key, quote_key) = self.keys;
            let new = NewSymbol { symbol: symbol.clone(), trade_key, quote_key, file: self.file };
            let index = id.0 as usize;
            if map.len() <= index {
                map.resize(index + 1, SymbolId(u32::MAX));
            }
            map[index] = register.intern(new);
        }
        if !block.announced.is_empty() {
            *shared = Arc::from(map.as_slice());
        }
        shared.clone()
    }

    /// Lines (from 1, in the file) and reasons of the ticks that the clock rejected.
    fn unconfirmed(&mut self, block: &Block) -> Vec<(u64, FrameError)> {
        let mut found = Vec::new();
        if block.unconfirmed.is_empty() {
            return found;
        }
        let bytes = &block.buffer[..block.filled];
        let mut out = Decoded::default();
        let mut wanted =
            block.unconfirmed.iter().map(|index| (*index, reason(&block.ticks[*index]))).peekable();
        if let Some(finder) = &mut self.finder {
            for (line, text) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
                finder.decode(text, &mut out);
                while let Some((_, why)) = wanted.next_if(|(index, _)| *index < out.output.ticks.len()) {
                    found.push((
                        block.lines_before + line as u64 + 1,
                        FrameError::new(why, text.trim_ascii()),
                    ));
                }
            }
        }
        // Where lines cannot be decoded one by one, the block's last line must do.
        found.extend(wanted.map(|(_, why)| (block.lines_before + block.lines, FrameError::new(why, b""))));
        found
    }
}

/// An outage of a decoder in the numbering of the whole source. Symbols that were never delivered miss nothing.
fn file_outage(file: usize, symbols: &[SymbolId], outage: &Outage) -> NewOutage {
    let numbers = match outage.whose {
        Whose::Symbol(symbol) => symbol.0 as usize..symbol.0 as usize + 1,
        Whose::Below(number) => 0..(number as usize).min(symbols.len()),
        Whose::Between(from, to) => from as usize..to as usize,
    };
    let known = symbols.get(numbers).unwrap_or_default().iter().filter(|symbol| symbol.0 != u32::MAX);
    let cause = Cause::of(outage.sign);
    let channels = outage.channel.map_or(Channels::ALL, Channels::of);
    let symbols = known.map(|&symbol| (symbol, channels)).collect();
    let (at, offsets, after) = (outage.at, outage.offsets, outage.after);
    NewOutage { at, offsets, file, symbols, after, cause }
}

/// Where `tick`, the next one of a file, sorts: at its time, but never before `key`, where the tick in front of it
/// sorts. (That is the order of a merge that compares heads: when a tick is handed out, all other heads sort behind
/// it.) A rejected tick has no time of its own.
#[inline]
fn sort_key(tick: &Tick, has_clock: bool, key: Nanos) -> Nanos {
    match has_clock {
        false => tick.received_at().unwrap_or(key).max(key),
        true => clock::time_of(tick).unwrap_or(key).max(key),
    }
}

fn reason(tick: &Tick) -> String {
    let minutes = clock::JUMP / (60 * time::SECOND);
    let when = time::format(tick.exchange_ts);
    format!("time {when} is more than {minutes} minutes ahead and the next tick does not confirm it")
}
