//! Decodes one block: what a decode thread does with a piece of a file, without knowing what came before it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use feeds::formats::{COMPLAINTS, Decoded, Decoder};
use feeds::frame::{FrameCounts, FrameError, FrameKind};
use feeds::outage::{Outage, drop_beyond};
use feeds::symbol::{Symbol, SymbolId};
use feeds::tick::Tick;
use feeds::time::Nanos;
use feeds::venue::{Gap, Output};

use super::block::Piece;
use super::clock::{self, Survey};
use super::error::Failure;
use super::filter::Filter;
use crate::clock::stamp;

/// A decoded piece.
#[derive(Debug)]
pub(super) struct Block {
    /// Which of the file's decoders numbered its symbols.
    pub(super) decoder: usize,
    pub(super) ticks: Vec<Tick>,
    pub(super) offsets: Vec<(usize, Nanos)>,
    pub(super) outages: Vec<Outage>,
    pub(super) gaps: Vec<Gap>,
    /// Symbols of `decoder` that have a tick or a gap here for the first time. As long as the block is unfiltered
    /// it is not known whether these are delivered, and they are announced again with the next block.
    pub(super) announced: Vec<(SymbolId, Symbol)>,
    pub(super) frames: FrameCounts,
    pub(super) lines: u64,
    /// Lines of the file before it; set when it is back in order.
    pub(super) lines_before: u64,
    pub(super) complaints: Vec<(u64, FrameError)>,
    pub(super) complaints_in_all: u64,
    pub(super) survey: Survey,
    /// Which symbols are wanted, if the filter is still to be applied: the clock must see every tick first.
    pub(super) unfiltered: Option<Vec<bool>>,
    /// Indices of ticks that the clock has rejected.
    pub(super) unconfirmed: Vec<usize>,
    /// The buffer that the piece came in, to be used again; its first `filled` bytes are the lines.
    pub(super) buffer: Vec<u8>,
    pub(super) filled: usize,
    /// Bytes on disk up to its end.
    pub(super) offset: u64,
    pub(super) entered: Instant,
    pub(super) decoded: Instant,
}

/// One decoder with what it remembers from block to block.
pub(super) struct Worker {
    number: usize,
    decoder: Box<dyn Decoder>,
    filter: Filter,
    /// True if the file's clock has to be watched.
    has_clock: bool,
    wanted: Vec<bool>,
    announced: Vec<bool>,
}

impl Worker {
    pub(super) fn new(number: usize, decoder: Box<dyn Decoder>, filter: Filter) -> Worker {
        let has_clock = !decoder.has_receive_times();
        Worker { number, decoder, filter, has_clock, wanted: Vec::new(), announced: Vec::new() }
    }

    /// Decodes `piece`, which came in at `entered` and ends `offset` bytes into the file on disk; `ticks` is an
    /// empty vector to be filled.
    pub(super) fn decode(&mut self, piece: Piece, offset: u64, entered: Instant, ticks: Vec<Tick>) -> Block {
        let mut out = Decoded::default();
        out.output.ticks = ticks;
        let (buffer, filled) = match piece {
            Piece::Lines { buffer, filled } => {
                self.decoder.decode(&buffer[..filled], &mut out);
                (buffer, filled)
            }
            Piece::TooLong { buffer, limit } => {
                let error = FrameError::new(format!("the line is longer than {limit} bytes"), &buffer);
                out.frames.count(&FrameKind::Broken(error.clone()));
                out.complain(0, error);
                out.lines += 1;
                (buffer, 0)
            }
        };
        Block { buffer, filled, ..self.block(out, offset, entered) }
    }

    /// The end of the file: what the decoder still has.
    pub(super) fn finish(mut self, offset: u64) -> Result<Block, Failure> {
        let finish = || {
            let mut out = Decoded::default();
            self.decoder.finish(&mut out);
            self.block(out, offset, stamp().instant())
        };
        catch_unwind(AssertUnwindSafe(finish)).map_err(|panic| Failure::Panicked(said(panic.as_ref())))
    }

    /// True if what a line means depends on the lines before it.
    pub(super) fn is_sequential(&self) -> bool {
        self.decoder.fork().is_none()
    }

    pub(super) fn into_decoder(self) -> Box<dyn Decoder> {
        self.decoder
    }

    /// Filters and looks at what was decoded.
    fn block(&mut self, mut out: Decoded, offset: u64, entered: Instant) -> Block {
        drop_beyond(self.decoder.symbols(), &mut out.output.ticks);
        let survey = if self.has_clock { clock::survey(&out.output.ticks) } else { Survey::default() };
        self.filter.extend(&mut self.wanted, self.decoder.symbols());
        let unfiltered = (survey.open && !self.filter.is_open()).then(|| self.wanted.clone());
        if unfiltered.is_none() {
            let Output { ticks, offsets, outages, .. } = &mut out.output;
            self.filter.apply(ticks, offsets, outages, &self.wanted);
        }
        let wanted = &self.wanted;
        out.output.gaps.retain(|gap| wanted.get(gap.symbol.0 as usize).copied().unwrap_or(true));
        let announced = self.announce(&out, unfiltered.is_some());
        out.complaints.truncate(COMPLAINTS);
        Block {
            decoder: self.number,
            ticks: out.output.ticks,
            offsets: out.output.offsets,
            outages: out.output.outages,
            gaps: out.output.gaps,
            announced,
            frames: out.frames,
            lines: out.lines,
            lines_before: 0,
            complaints: out.complaints,
            complaints_in_all: out.complaints_in_all,
            survey,
            unfiltered,
            unconfirmed: Vec::new(),
            buffer: Vec::new(),
            filled: 0,
            offset,
            entered,
            decoded: stamp().instant(),
        }
    }

    /// The symbols that are delivered for the first time.
    fn announce(&mut self, out: &Decoded, again: bool) -> Vec<(SymbolId, Symbol)> {
        let symbols = self.decoder.symbols().symbols();
        self.announced.resize(symbols.len(), false);
        let mut new = Vec::new();
        let ticks = out.output.ticks.iter().map(|tick| tick.symbol);
        for id in ticks.chain(out.output.gaps.iter().map(|gap| gap.symbol)) {
            let index = id.0 as usize;
            if let (Some(seen @ false), Some(symbol)) = (self.announced.get_mut(index), symbols.get(index))
                && self.wanted.get(index).copied().unwrap_or(true)
            {
                *seen = true;
                new.push((id, symbol.clone()));
            }
        }
        for (id, _) in new.iter().filter(|_| again) {
            self.announced[id.0 as usize] = false;
        }
        new
    }
}

/// What a panic said.
pub(super) fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".to_owned())
}
