//! A recording as a source: its parts in their order, each entry as the live run took it in.
//!
//! A recording is not merged with anything: two sockets can feed one symbol, and only the recording has the order in
//! which their frames came to the tape.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use feeds::formats::MAX_FRAME_BYTES;
use feeds::frame::{Frame, FrameCounts, FrameError, FrameKind};
use feeds::outage::Attention;
use feeds::recording::{self, Answer, BEGINS, Content, Entry, Header, OpenConnection, Opened, Wish};
use feeds::symbol::SymbolTable;
use feeds::venue::{Output, Session};
use feeds::venues::by_id;

use super::error::{Complaint, Failure, SourceError};
use super::input::{Input, Origin};
use super::open::identity;
use super::{Batch, COMPLAINTS_KEPT, FileInfo, Progress, SourceOptions};
use crate::clock;
use crate::feed::delivery::{ConnectionId, Decoded, Delivery, RawFrame};
use crate::feed::intake::Intake;

/// Frames in one batch; one of several connections has fewer.
const BATCH_FRAMES: usize = 4_096;
/// The name of the format.
pub(super) const NAME: &str = "recording";

/// One connection's decoding.
struct Connection {
    session: Box<dyn Session>,
    attention: Attention,
    symbols: SymbolTable,
    announced: usize,
}

/// See the module.
pub struct Recorded {
    files: Vec<FileInfo>,
    origins: Vec<Origin>,
    part: usize,
    reader: Option<BufReader<Input>>,
    line: Vec<u8>,
    lines: u64,
    connections: BTreeMap<u32, Connection>,
    /// Open, and of venues that are not known: they have been complained of.
    unknown: BTreeSet<u32>,
    intake: Intake,
    /// An entry that did not fit the batch before.
    held: Option<Vec<u8>>,
    /// Why nothing more can be read, to be told behind what gathered.
    failed: Option<SourceError>,
    control: u64,
    complaints: Vec<Complaint>,
    complaints_kept: usize,
    complaints_in_all: u64,
    strict: bool,
    stopped: bool,
    judged: bool,
    read: u64,
}

/// Refuses parts, which are in their order, of several runs, and such that are not all there: nobody could tell what came
/// between them. The first need not be among them, nor the last.
fn are_one_run(parts: &[(Header, FileInfo, Origin)]) -> Result<(), SourceError> {
    let mut firsts: Vec<PathBuf> = Vec::new();
    for (at, (header, info, _)) in parts.iter().enumerate() {
        let Some((before, _, _)) = at.checked_sub(1).map(|at| &parts[at]) else {
            firsts.push(info.path.clone());
            continue;
        };
        if header.run != before.run {
            firsts.push(info.path.clone());
        } else if header.part != before.part + 1 {
            let (is, was) = (header.part, before.part);
            let why = format!(
                "it is part {is} and the one before it is part {was}; name all parts of a run, each once"
            );
            return Err(SourceError::NoRecording { path: info.path.clone(), why });
        }
    }
    if firsts.len() > 1 { Err(SourceError::SeveralRuns(firsts)) } else { Ok(()) }
}

/// True if these are the first bytes of a recording of many connections.
pub(super) fn is_recording(bytes: &[u8]) -> bool {
    bytes.starts_with(BEGINS)
}

impl Recorded {
    /// Opens the parts. They are read in the order of their numbers.
    pub(super) fn open(paths: &[PathBuf], options: &SourceOptions) -> Result<Recorded, SourceError> {
        let mut parts = Vec::new();
        for path in paths {
            let origin = Origin::open(path)?;
            let (head, _) = origin.inflated_head();
            let first = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let header =
                Header::read(first).map_err(|why| SourceError::NoRecording { path: path.clone(), why })?;
            parts.push((header, identity(&origin, NAME, None), origin));
        }
        parts.sort_by_key(|(header, _, _)| (header.run, header.part));
        are_one_run(&parts)?;
        let judged = parts.iter().any(|(header, _, _)| header.judged);
        let (files, origins): (Vec<_>, Vec<_>) =
            parts.into_iter().map(|(_, info, origin)| (info, origin)).unzip();
        Ok(Recorded {
            intake: Intake::new(files.len()),
            files,
            origins,
            part: 0,
            reader: None,
            line: Vec::new(),
            lines: 0,
            connections: BTreeMap::new(),
            unknown: BTreeSet::new(),
            held: None,
            failed: None,
            control: 0,
            complaints: Vec::new(),
            complaints_kept: 0,
            complaints_in_all: 0,
            strict: options.strict,
            stopped: false,
            judged,
            read: 0,
        })
    }

    pub(super) fn files(&self) -> &[FileInfo] {
        &self.files
    }

    pub(super) fn progress(&self) -> Progress {
        let open = self.reader.as_ref().map_or(0, |reader| reader.get_ref().offset());
        Progress { read: self.read + open, total: self.files.iter().map(|file| file.size).sum() }
    }

    pub(super) fn has_rules(&self) -> bool {
        self.judged
    }

    pub(super) fn was_stopped(&self) -> bool {
        self.stopped
    }

    pub(super) fn complaints_in_all(&self) -> u64 {
        self.complaints_in_all
    }

    /// The next batch; `None` after the last.
    pub(super) fn next(&mut self) -> Result<Option<Batch>, SourceError> {
        let mut gathered: Option<(u32, Decoded)> = None;
        while !self.stopped && self.failed.is_none() {
            match self.fetch() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
            let line = std::mem::take(&mut self.line);
            let taken = self.take(&line, &mut gathered);
            self.line = line;
            match taken {
                Taken::Gathered if !self.is_full(gathered.as_ref()) => {}
                Taken::Gathered => break,
                Taken::Later => {
                    self.held = Some(std::mem::take(&mut self.line));
                    break;
                }
                Taken::Batch(batch) => return self.attach(*batch).map(Some),
            }
        }
        match gathered {
            Some((number, mut decoded)) => {
                if let Some(connection) = self.connections.get_mut(&number) {
                    decoded.new_symbols = connection.symbols.symbols()[connection.announced..].to_vec();
                    connection.announced = connection.symbols.symbols().len();
                }
                decoded.decoded = clock::stamp();
                let batch = self.intake.accept(Delivery::Frames(Box::new(decoded)), clock::stamp());
                self.attach(batch).map(Some)
            }
            None if self.control > 0 || !self.complaints.is_empty() => {
                let batch = Intake::nothing(clock::stamp());
                self.attach(batch).map(Some)
            }
            None => self.failed.take().map_or(Ok(None), Err),
        }
    }

    fn is_full(&self, gathered: Option<&(u32, Decoded)>) -> bool {
        gathered.is_some_and(|(_, decoded)| decoded.frames.len() >= BATCH_FRAMES)
            || self.complaints.len() >= BATCH_FRAMES
    }

    /// Adds what is counted by file.
    fn attach(&mut self, mut batch: Batch) -> Result<Batch, SourceError> {
        let file = self.part.min(self.files.len().saturating_sub(1));
        let mut counts = FrameCounts::default();
        for _ in 0..std::mem::take(&mut self.control) {
            counts.count(&FrameKind::Control);
        }
        for complaint in &self.complaints {
            counts.count(&FrameKind::Broken(complaint.error.clone()));
        }
        batch.frames.push((file, counts));
        batch.complaints_in_all += self.complaints.len() as u64;
        if self.strict
            && let Some(Complaint { line, error, .. }) = self.complaints.first()
        {
            let path = self.files[file].path.clone();
            return Err(SourceError::Strict { path, line: *line, error: error.clone() });
        }
        let mut kept = std::mem::take(&mut self.complaints);
        kept.truncate(COMPLAINTS_KEPT.saturating_sub(self.complaints_kept));
        self.complaints_kept += kept.len();
        batch.complaints = kept;
        Ok(batch)
    }

    /// Puts the next line into `line`, from the next part if need be; false at the end.
    fn fetch(&mut self) -> Result<bool, SourceError> {
        if let Some(held) = self.held.take() {
            self.line = held;
            return Ok(true);
        }
        loop {
            let Some(origin) = self.origins.get_mut(self.part) else { return Ok(false) };
            let path = origin.path.clone();
            if self.reader.is_none() {
                let input = origin.input();
                let input = input
                    .map_err(|error| Failure::Read { offset: 0, what: error.to_string() }.of(path.clone()))?;
                self.reader = Some(BufReader::new(input));
                self.lines = 0;
            }
            let Some(reader) = &mut self.reader else { return Ok(false) };
            self.line.clear();
            let read = reader.read_until(b'\n', &mut self.line);
            self.lines += 1;
            match read {
                Ok(0) => self.next_part(),
                Ok(_) if self.line.ends_with(b"\n") => {
                    self.line.pop();
                    return Ok(true);
                }
                Ok(_) => {
                    self.complain("the last line was cut off");
                    self.next_part();
                }
                // A crash cuts a part at its end. What is behind that is in the parts that follow, if there are any.
                Err(error) => {
                    let failure = reader.get_ref().failure(&error);
                    let is_last = self.part + 1 >= self.origins.len();
                    if !is_last {
                        self.complain("the part was cut off");
                    }
                    self.next_part();
                    if is_last {
                        return Err(failure.of(path));
                    }
                }
            }
        }
    }

    fn next_part(&mut self) {
        self.read += self.reader.take().map_or(0, |reader| reader.get_ref().offset());
        self.part += 1;
    }

    fn complain(&mut self, why: &str) {
        let file = self.part.min(self.files.len().saturating_sub(1));
        let start = &self.line[..self.line.len().min(MAX_FRAME_BYTES)];
        self.complaints_in_all += 1;
        self.complaints.push(Complaint { file, line: self.lines, error: FrameError::new(why, start) });
    }

    fn take(&mut self, line: &[u8], gathered: &mut Option<(u32, Decoded)>) -> Taken {
        if line.starts_with(BEGINS) {
            return self.begin(line, gathered.is_some());
        }
        let entry = match recording::decode(line) {
            Ok(entry) => entry,
            Err(why) => {
                self.line.clear();
                self.line.extend_from_slice(line);
                self.complain(why);
                return Taken::Gathered;
            }
        };
        match &entry.content {
            Content::Frame(payload) => {
                if gathered.as_ref().is_some_and(|(number, _)| *number != entry.connection) {
                    return Taken::Later;
                }
                self.frame(&entry, payload, gathered);
                Taken::Gathered
            }
            _ if gathered.is_some() => Taken::Later,
            _ => self.other(&entry),
        }
    }

    /// A part begins: connections of parts that are not here are taken up.
    fn begin(&mut self, line: &[u8], gathering: bool) -> Taken {
        let Ok(header) = Header::read(line) else { return Taken::Gathered };
        let is_missing = |number| !self.connections.contains_key(number) && !self.unknown.contains(number);
        let missing = header.connections.iter().find(|open| is_missing(&open.number));
        match missing {
            Some(_) if gathering => Taken::Later,
            Some(open) => {
                // The line comes again until all of them are open.
                self.held = Some(line.to_vec());
                self.line = line.to_vec();
                let taken = self.open_connection(open.number, &open.opened);
                self.take_up(open);
                taken
            }
            None => {
                self.control += 1;
                Taken::Gathered
            }
        }
    }

    /// What a connection was granted, and what is not wanted of it, in parts that are not here. None of it is an entry.
    fn take_up(&mut self, open: &OpenConnection) {
        let (connection, received_at) = (ConnectionId(open.number), 0);
        for stream in open.unwanted.iter().cloned() {
            let wish = Wish { stream, wanted: false };
            self.intake.accept(Delivery::Wish { connection, wish, received_at }, clock::stamp());
        }
        let answer = Answer { streams: open.granted.iter().cloned().collect(), granted: true };
        self.intake.accept(Delivery::Answer { connection, answer, received_at }, clock::stamp());
    }

    fn other(&mut self, entry: &Entry<'_>) -> Taken {
        self.control += 1;
        let connection = ConnectionId(entry.connection);
        let delivery = match &entry.content {
            Content::Opened(opened) => return self.open_connection(entry.connection, opened),
            Content::Closed(why) => self.close(entry, why, false),
            Content::BrokenOff(why) => self.close(entry, why, true),
            Content::Rules(text) => {
                Delivery::Rules { text: text.to_string(), received_at: entry.received_at, answer: None }
            }
            Content::Time => Delivery::Time { received_at: entry.received_at },
            Content::Stopping => Delivery::Stopping { received_at: entry.received_at },
            Content::Alarm(alarm) => {
                Delivery::Alarm { connection, alarm: alarm.clone(), received_at: entry.received_at }
            }
            Content::Wish(wish) => {
                Delivery::Wish { connection, wish: wish.clone(), received_at: entry.received_at }
            }
            Content::Answer(answer) => {
                Delivery::Answer { connection, answer: answer.clone(), received_at: entry.received_at }
            }
            Content::Past(past) => Delivery::Past { past: past.clone(), received_at: entry.received_at },
            Content::Frame(_) => return Taken::Gathered,
            Content::Stop => {
                self.stopped = self.part + 1 >= self.origins.len();
                return Taken::Gathered;
            }
        };
        Taken::Batch(Box::new(self.intake.accept(delivery, clock::stamp())))
    }

    fn close(&mut self, entry: &Entry<'_>, why: &[u8], broken_off: bool) -> Delivery {
        let mut rest = Box::new(Output::default());
        self.unknown.remove(&entry.connection);
        if let Some(mut closed) = self.connections.remove(&entry.connection)
            && !broken_off
        {
            closed.session.finish(&mut rest);
        }
        let (connection, why) = (ConnectionId(entry.connection), String::from_utf8_lossy(why).into_owned());
        Delivery::Closed { connection, why, received_at: entry.received_at, rest, broken_off }
    }

    fn open_connection(&mut self, number: u32, opened: &Opened) -> Taken {
        let Some(venue) = by_id(&opened.venue) else {
            self.unknown.insert(number);
            self.complain("a connection of a venue that is not known");
            return Taken::Gathered;
        };
        let symbols = SymbolTable::new(venue.id());
        let attention = Attention::new(venue);
        self.connections
            .insert(number, Connection { session: venue.open(), attention, symbols, announced: 0 });
        let delivery = Delivery::Opened {
            connection: ConnectionId(number),
            venue,
            address: opened.address.clone(),
            received_at: 0,
        };
        Taken::Batch(Box::new(self.intake.accept(delivery, clock::stamp())))
    }

    fn frame(&mut self, entry: &Entry<'_>, payload: &[u8], gathered: &mut Option<(u32, Decoded)>) {
        let Some(connection) = self.connections.get_mut(&entry.connection) else {
            self.complain("a frame of a connection that is not open");
            return;
        };
        let (_, decoded) = gathered.get_or_insert_with(|| (entry.connection, empty(entry.connection)));
        let frame = Frame { received_at: Some(entry.received_at), payload };
        let Connection { session, attention, symbols, .. } = connection;
        let Decoded { output, counts, .. } = decoded;
        attention.on_frame(&mut **session, frame, symbols, output, counts);
        let ticks = decoded.output.ticks.len();
        let (entered, payload) = (decoded.decoded, bytes::Bytes::new());
        decoded.frames.push(RawFrame { received_at: entry.received_at, entered, payload, ticks });
    }
}

enum Taken {
    /// It is in what gathers.
    Gathered,
    /// It comes behind what gathered.
    Later,
    /// It is a batch of its own.
    Batch(Box<Batch>),
}

fn empty(connection: u32) -> Decoded {
    Decoded {
        connection: ConnectionId(connection),
        frames: Vec::new(),
        output: Output::default(),
        counts: FrameCounts::default(),
        new_symbols: Vec::new(),
        decoded: clock::stamp(),
    }
}
