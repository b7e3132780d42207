//! The files of a source as one stream, in tape order.
//!
//! Files merge by receive time if they have one, by exchange time if none has. Only heads are compared: the order
//! inside a file stays, ties go by the order of the command line.
//!
//! A file cut into consecutive ones behaves like the whole. A file goes on from the one before it on the command
//! line if
//!
//! - both are of the same format and venue, and all ticks of the one before were handed out, and
//! - it begins where that one ended: without receive times not more than ten minutes before its clock, with receive
//!   times not before its last tick and not more than ten minutes later.
//!
//! Then it takes over the clock and, in a capture, the decoder, so the connection goes on. The first tick decides
//! about a jump at the end of the file before.
//!
//! Ticks out of order at the cut make the two overlap. So a file that would begin while the one before it still has
//! ticks waits for its end if that is near (not more than [`AHEAD_TICKS`] away), if they overlap by no more than the
//! one before is out of order within itself, and by less than what lies before. A file without the header of its
//! kind is a piece of the one before, and waits in any case.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crossbeam_channel::bounded;
use feeds::tick::Tick;
use feeds::time::Nanos;

use super::clock;
use super::error::{Complaint, Failure, SourceError};
use super::lane::{Follower, Lane};
use super::open::Setup;
use super::pipeline::{Plan, Spares};
use super::register::Register;
use super::{Batch, FileInfo, Offset, Progress, Run, SourceOptions};

/// Ticks in a batch of a merge; it may be longer by what one file has in one go.
const MERGED_TICKS: usize = 8_192;
/// How far the end of a file may be away when it is looked for, in ticks: 5 MiB of them.
const AHEAD_TICKS: usize = 65_536;
/// Vectors of ticks that are kept to be filled again; more are dropped.
const SPARE_TICKS: usize = 16;

/// Files, opened and in order.
pub struct Merge {
    files: Vec<FileInfo>,
    lanes: Vec<Lane>,
    /// Where the next tick of each file that has not ended sorts at the earliest, and the file.
    order: BinaryHeap<Reverse<(Nanos, usize)>>,
    /// Files that wait for the end of the one before them, and were looked at for that.
    waiting: Vec<bool>,
    looked_at: Vec<bool>,
    /// Files that were started since the last batch, with the file that each goes on from.
    continued: Vec<(usize, usize)>,
    register: Register,
    setup: Setup,
    decoders: usize,
    has_receive_times: bool,
    /// What is said when all files are used up.
    failures: Vec<SourceError>,
    /// What is said next.
    stopped: Option<SourceError>,
    /// Bytes on disk that were delivered, by file.
    read: Vec<u64>,
    spares: Spares,
}

impl Merge {
    pub(super) fn new(
        files: Vec<FileInfo>,
        lanes: Vec<Lane>,
        has_receive_times: bool,
        options: &SourceOptions,
        setup: Setup,
    ) -> Merge {
        let waiting: Vec<bool> = lanes.iter().map(Lane::is_piece).collect();
        let first = |(file, lane): (usize, &Lane)| Reverse((lane.first_key().unwrap_or(Nanos::MIN), file));
        let order = lanes.iter().enumerate().filter(|(file, _)| !waiting[*file]).map(first).collect();
        Merge {
            read: vec![0; files.len()],
            looked_at: waiting.clone(),
            continued: Vec::new(),
            waiting,
            files,
            lanes,
            order,
            register: Register::new(options.strict),
            setup,
            decoders: options.decoders.max(1),
            has_receive_times,
            failures: Vec::new(),
            stopped: None,
            spares: bounded(SPARE_TICKS),
        }
    }

    /// The files, in the order of the command line.
    #[must_use]
    pub fn files(&self) -> &[FileInfo] {
        &self.files
    }

    /// True if the ticks have receive times (those of all files, or of none).
    #[must_use]
    pub fn has_receive_times(&self) -> bool {
        self.has_receive_times
    }

    /// How far the delivered batches have come.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress { read: self.read.iter().sum(), total: self.files.iter().map(|file| file.size).sum() }
    }

    /// Complaints behind what was read so far, kept or not.
    #[must_use]
    pub fn complaints_in_all(&self) -> u64 {
        self.register.complaints_in_all()
    }

    /// Takes the vector of a used batch back, to be filled again.
    pub fn recycle(&self, mut ticks: Vec<Tick>) {
        ticks.clear();
        // With enough of them, this one is dropped.
        let _ = self.spares.0.try_send(ticks);
    }

    /// The next batch in tape order; waits for it. `None` after the last.
    ///
    /// # Errors
    /// A [`SourceError`] if a file cannot be read or decoded further. A file that is cut or damaged ends where it
    /// cannot be inflated any more; the error comes when all that could be read of all files was delivered. After an
    /// error there is no further batch.
    pub fn next(&mut self) -> Result<Option<Batch>, SourceError> {
        if let Some(error) = self.stopped.take() {
            return Err(error);
        }
        let mut merged = None;
        match self.gather(&mut merged) {
            Ok(Some(batch)) => return Ok(Some(batch)),
            Ok(None) => {}
            Err(error) => {
                self.order.clear();
                self.lanes.clear();
                self.failures.clear();
                // What was gathered is whole, and comes first.
                if merged.is_none() {
                    return Err(error);
                }
                self.stopped = Some(error);
            }
        }
        if let Some(batch) = &mut merged {
            batch.continued = std::mem::take(&mut self.continued);
            batch.new_symbols = self.register.take_new_symbols();
            batch.symbols = self.register.identity();
        }
        Ok(merged)
    }

    /// Gathers a batch of several files in `merged`, or returns one of a single file.
    fn gather(&mut self, merged: &mut Option<Batch>) -> Result<Option<Batch>, SourceError> {
        while let Some(Reverse((_, file))) = self.order.pop() {
            if self.goes_on_later(file)? {
                self.waiting[file] = true;
                continue;
            }
            self.start(file)?;
            let follower = self.follower(file);
            let ready = self.lanes[file].make_ready(follower, &mut self.register);
            let has_more = ready.map_err(|failure| self.failed(file, failure))?;
            if let Some(offence) = self.register.take_offence() {
                return Err(self.offended(offence));
            }
            if !has_more {
                let failure = self.lanes[file].take_failure();
                self.failures.extend(failure.map(|failure| failure.of(self.files[file].path.clone())));
                self.read[file] = self.files[file].size;
                self.wake(file + 1);
                continue;
            }
            let limit = self.order.peek().map(|Reverse(limit)| *limit);
            let lane = &mut self.lanes[file];
            if lane.front_comes_before(limit) {
                // All of it comes next: no tick is copied. What was gathered before goes out first.
                let batch = if merged.is_none() { self.whole(file) } else { None };
                self.order.push(Reverse((self.lanes[file].key(), file)));
                return Ok(batch);
            }
            if let Some(offset) = lane.pour(limit.unwrap_or((Nanos::MAX, usize::MAX)), merged, &self.spares.1)
            {
                self.read[file] = offset;
            }
            self.order.push(Reverse((lane.key(), file)));
            if merged.as_ref().is_some_and(|batch| batch.ticks.len() >= MERGED_TICKS) {
                return Ok(None);
            }
        }
        if merged.is_none() && !self.failures.is_empty() {
            return Err(self.failures.remove(0));
        }
        Ok(None)
    }

    /// True if `file` is to begin and the one before it, still at work, ends nearby: then it goes on from there.
    fn goes_on_later(&mut self, file: usize) -> Result<bool, SourceError> {
        let Some(before) = file.checked_sub(1) else { return Ok(false) };
        let may_go_on = self.lanes[file].opened().is_some_and(|opened| opened.first_time.is_some());
        if self.looked_at[file]
            || !may_go_on
            || !self.lanes[before].is_running()
            || !self.is_alike(before, file)
        {
            return Ok(false);
        }
        self.looked_at[file] = true;
        let follower = self.follower(before);
        let ended = self.lanes[before].look_ahead(AHEAD_TICKS, follower, &mut self.register);
        let ended = ended.map_err(|failure| self.failed(before, failure))?;
        let lane = &self.lanes[before];
        let times = (lane.first_key(), self.lanes[file].first_key(), lane.now());
        let (true, (Some(begin), Some(first), Some(end))) = (ended, times) else { return Ok(false) };
        let (overlap, before) = (end.saturating_sub(first), first.saturating_sub(begin));
        Ok(overlap <= lane.behind() && overlap < before && self.follows(file - 1))
    }

    /// Lets `file` begin, if it waits for the one before it.
    fn wake(&mut self, file: usize) {
        if self.waiting.get(file).copied().unwrap_or(false) {
            self.waiting[file] = false;
            let first = self.lanes[file].first_key().unwrap_or(Nanos::MIN);
            self.order.push(Reverse((first.max(self.lanes[file - 1].key()), file)));
        }
    }

    /// Starts `file`, if it is not.
    fn start(&mut self, file: usize) -> Result<(), SourceError> {
        let Some(opened) = self.lanes[file].opened() else { return Ok(()) };
        let forks = opened.decoder.fork().is_some();
        let before = file.checked_sub(1).filter(|before| self.lanes[*before].has_ended());
        let before = before.filter(|before| self.follows(*before));
        self.continued.extend(before.map(|before| (file, before)));
        let carried = before.map(|before| self.lanes[before].carry()).unwrap_or_default();
        let running = self.lanes.iter().filter(|lane| lane.is_running()).count();
        let plan = Plan {
            block_bytes: self.setup.block_bytes,
            line_bytes: if forks { self.setup.line_bytes } else { self.setup.frame_bytes },
            decoders: self.decoders / (running + 1),
            filter: self.lanes[file].filter.clone(),
            joins: true,
        };
        let started = self.lanes[file].start(carried, plan, &self.spares);
        started.map_err(|failure| self.failed(file, failure))
    }

    /// The file behind `file`, if that one has not begun and goes on from this one.
    fn follower(&self, file: usize) -> Option<Follower> {
        let opened = self.lanes.get(file + 1)?.opened()?;
        self.follows(file).then_some(Follower { first_time: opened.first_time })
    }

    /// True if the file behind `file`, not begun yet, goes on from where this one stands.
    fn follows(&self, file: usize) -> bool {
        let (lane, Some(behind)) = (&self.lanes[file], self.lanes.get(file + 1)) else { return false };
        let begins_here = behind.first_key().is_some_and(|first| match self.has_receive_times {
            // Of a file whose quotes all wait for a time, nothing has come out yet that could be sorted.
            true if lane.key() == Nanos::MIN => true,
            true => (lane.key()..=lane.key().saturating_add(clock::JUMP)).contains(&first),
            false => lane.now().is_none_or(|now| first >= now.saturating_sub(clock::JUMP)),
        });
        behind.is_piece() || begins_here && self.is_alike(file, file + 1)
    }

    /// Files whose threads are at work.
    #[cfg(test)]
    pub(super) fn running(&self) -> usize {
        self.lanes.iter().filter(|lane| lane.is_running()).count()
    }

    fn is_alike(&self, a: usize, b: usize) -> bool {
        let (a, b) = (&self.files[a], &self.files[b]);
        (a.format, a.venue) == (b.format, b.venue)
    }

    /// The part in front of `file` as a batch.
    fn whole(&mut self, file: usize) -> Option<Batch> {
        let part = self.lanes[file].take()?;
        self.read[file] = part.offset;
        Some(Batch {
            inputs: Vec::new(),
            clock: None,
            rules: None,
            past: Vec::new(),
            runs: vec![Run { file, end: part.ticks.len() }],
            symbols: part.symbols,
            new_symbols: self.register.take_new_symbols(),
            offsets: part.offsets.iter().map(|&(at, offset)| Offset { at, file, offset }).collect(),
            ticks: part.ticks,
            continued: std::mem::take(&mut self.continued),
            outages: part.outages,
            gaps: part.gaps,
            frames: vec![(file, part.frames)],
            complaints: part.complaints,
            complaints_in_all: part.complaints_in_all,
            entered: part.entered,
            decoded: part.decoded,
        })
    }

    fn failed(&self, file: usize, failure: Failure) -> SourceError {
        failure.of(self.files[file].path.clone())
    }

    fn offended(&self, Complaint { file, line, error }: Complaint) -> SourceError {
        SourceError::Strict { path: self.files[file].path.clone(), line, error }
    }
}
