//! The recorder: what came, to files, in the sequencer's order ([`feeds::recording`] has the format).
//!
//! Parts are rotated by size and by time, and compressed with zstd. What was handed on is flushed once a second, so that
//! a crash costs that second at most; a part that was cut so is read up to its last whole entry.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use feeds::recording::{Content, Entry, Header, OpenConnection, Opened, VERSION};
use feeds::time::{Nanos, SECOND};

use crate::config::limits::{RECORDER_BUFFERS, RECORDING_PART_BYTES, RECORDING_PART_TIME};
use crate::feed::delivery::Delivery;

/// Bytes that are handed to the writer at once.
const BUFFER_BYTES: usize = 256 << 10;
/// zstd's level: the fastest that still makes a sixth of JSON.
const LEVEL: i32 = 1;

/// Why recording stopped.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be written: {cause}; free or name another folder", .folder.display())]
pub struct RecordError {
    folder: PathBuf,
    cause: String,
}

enum Order {
    Bytes(Vec<u8>),
    Flush,
    Rotate,
}

/// See the module.
pub struct Recorder {
    folder: PathBuf,
    orders: Option<Sender<Order>>,
    writer: Option<JoinHandle<io::Result<()>>>,
    buffer: Vec<u8>,
    run: Nanos,
    judged: bool,
    part: u64,
    part_bytes: usize,
    part_began: Nanos,
    flushed: Nanos,
    open: BTreeMap<u32, OpenConnection>,
    /// The rules in force, if any were given.
    rules: Option<String>,
}

impl Recorder {
    /// Begins the recording of a run in `folder`, which is made if it is not there. `now` names its files.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn start(folder: &Path, now: Nanos) -> Result<Recorder, RecordError> {
        Recorder::begin(folder, now, true)
    }

    /// The same where frames are recorded and nothing is judged.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn of_frames(folder: &Path, now: Nanos) -> Result<Recorder, RecordError> {
        Recorder::begin(folder, now, false)
    }

    fn begin(folder: &Path, now: Nanos, judged: bool) -> Result<Recorder, RecordError> {
        let failed = |error: io::Error| RecordError { folder: folder.to_owned(), cause: error.to_string() };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let (orders, to_write) = bounded(RECORDER_BUFFERS);
        let mut files = Files { folder: folder.to_owned(), stem: stem(now), part: 0 };
        let first = files.next().map_err(failed)?;
        let writer = std::thread::Builder::new().name("recorder".to_owned());
        let writer = writer.spawn(move || write_all(&mut files, first, &to_write)).map_err(failed)?;
        let mut recorder = Recorder {
            folder: folder.to_owned(),
            orders: Some(orders),
            writer: Some(writer),
            buffer: Vec::with_capacity(BUFFER_BYTES),
            run: now,
            judged,
            part: 1,
            part_bytes: 0,
            part_began: now,
            flushed: now,
            open: BTreeMap::new(),
            rules: None,
        };
        recorder.put_header();
        Ok(recorder)
    }

    /// Records a delivery that the sequencer is about to take in; `number` is the number of the tape's next entry.
    ///
    /// # Errors
    /// If the folder cannot be written any more.
    pub fn put(&mut self, number: u64, delivery: &Delivery) -> Result<(), RecordError> {
        self.note(delivery);
        let entry = |received_at, connection, content| Entry { number, received_at, connection, content };
        let now = match delivery {
            Delivery::Opened { connection, venue, address, received_at } => {
                let opened = Opened { venue: venue.id().to_owned(), address: address.clone() };
                entry(*received_at, connection.0, Content::Opened(opened)).encode(&mut self.buffer);
                *received_at
            }
            Delivery::Frames(decoded) => {
                for frame in &decoded.frames {
                    let content = Content::Frame(Cow::Borrowed(&frame.payload));
                    entry(frame.received_at, decoded.connection.0, content).encode(&mut self.buffer);
                }
                decoded.frames.last().map_or(self.flushed, |frame| frame.received_at)
            }
            Delivery::Closed { connection, why, received_at, broken_off, .. } => {
                let why = Cow::Borrowed(why.as_bytes());
                let content = if *broken_off { Content::BrokenOff(why) } else { Content::Closed(why) };
                entry(*received_at, connection.0, content).encode(&mut self.buffer);
                *received_at
            }
            Delivery::Alarm { connection, alarm, received_at } => {
                let content = Content::Alarm(alarm.clone());
                entry(*received_at, connection.0, content).encode(&mut self.buffer);
                *received_at
            }
            Delivery::Wish { connection, wish, received_at } => {
                entry(*received_at, connection.0, Content::Wish(wish.clone())).encode(&mut self.buffer);
                *received_at
            }
            Delivery::Answer { connection, answer, received_at } => {
                entry(*received_at, connection.0, Content::Answer(answer.clone())).encode(&mut self.buffer);
                *received_at
            }
            Delivery::Past { past, received_at } => {
                entry(*received_at, 0, Content::Past(past.clone())).encode(&mut self.buffer);
                *received_at
            }
            Delivery::Rules { text, received_at, .. } => {
                entry(*received_at, 0, Content::Rules(Cow::Borrowed(text))).encode(&mut self.buffer);
                *received_at
            }
            Delivery::Time { received_at } => {
                entry(*received_at, 0, Content::Time).encode(&mut self.buffer);
                *received_at
            }
            Delivery::Stopping { received_at } => {
                entry(*received_at, 0, Content::Stopping).encode(&mut self.buffer);
                *received_at
            }
        };
        self.hand_on(number, now)
    }

    /// Keeps what a part says of those before it.
    fn note(&mut self, delivery: &Delivery) {
        match delivery {
            Delivery::Opened { connection, venue, address, .. } => {
                let opened = Opened { venue: venue.id().to_owned(), address: address.clone() };
                self.open.insert(connection.0, OpenConnection::new(connection.0, opened));
            }
            Delivery::Closed { connection, .. } => {
                self.open.remove(&connection.0);
            }
            Delivery::Wish { connection, wish, .. } => {
                if let Some(open) = self.open.get_mut(&connection.0) {
                    open.wish(wish);
                }
            }
            Delivery::Answer { connection, answer, .. } => {
                if let Some(open) = self.open.get_mut(&connection.0) {
                    open.answer(answer);
                }
            }
            Delivery::Rules { text, .. } => self.rules = Some(text.clone()),
            Delivery::Frames(_)
            | Delivery::Alarm { .. }
            | Delivery::Past { .. }
            | Delivery::Time { .. }
            | Delivery::Stopping { .. } => {}
        }
    }

    /// Records that the run was stopped on purpose, and waits until all is on disk.
    ///
    /// # Errors
    /// If it could not be written.
    pub fn stop(mut self, number: u64, now: Nanos) -> Result<(), RecordError> {
        Entry { number, received_at: now, connection: 0, content: Content::Stop }.encode(&mut self.buffer);
        self.send_buffer()?;
        self.finish()
    }

    fn hand_on(&mut self, number: u64, now: Nanos) -> Result<(), RecordError> {
        let second_is_over = now.saturating_sub(self.flushed) >= SECOND;
        if self.buffer.len() >= BUFFER_BYTES || second_is_over {
            self.send_buffer()?;
        }
        if second_is_over {
            self.flushed = now;
            self.send(Order::Flush)?;
        }
        if self.part_bytes >= RECORDING_PART_BYTES
            || now.saturating_sub(self.part_began) >= RECORDING_PART_TIME
        {
            self.send_buffer()?;
            self.send(Order::Rotate)?;
            (self.part, self.part_bytes, self.part_began) = (self.part + 1, 0, now);
            self.put_header();
            if let Some(rules) = &self.rules {
                // A part that is replayed alone is judged by them.
                let content = Content::Rules(Cow::Borrowed(rules));
                Entry { number, received_at: now, connection: 0, content }.encode(&mut self.buffer);
            }
        }
        Ok(())
    }

    fn put_header(&mut self) {
        let header = Header {
            tapedeck_recording: VERSION,
            part: self.part,
            connections: self.open.values().cloned().collect(),
            run: self.run,
            judged: self.judged,
        };
        self.buffer.extend(header.line());
    }

    fn send_buffer(&mut self) -> Result<(), RecordError> {
        let buffer = std::mem::replace(&mut self.buffer, Vec::with_capacity(BUFFER_BYTES));
        self.part_bytes += buffer.len();
        self.send(Order::Bytes(buffer))
    }

    /// Waits for room: a disk that is too slow holds the run back, and it the sockets.
    fn send(&mut self, order: Order) -> Result<(), RecordError> {
        let sent = self.orders.as_ref().is_some_and(|orders| orders.send(order).is_ok());
        if sent { Ok(()) } else { self.finish() }
    }

    /// Ends the writer, and says why it ended if it did by itself.
    fn finish(&mut self) -> Result<(), RecordError> {
        self.orders = None;
        let ended = match self.writer.take().map(JoinHandle::join) {
            Some(Ok(result)) => result.map_err(|error| error.to_string()),
            Some(Err(_)) => Err("its thread panicked".to_owned()),
            None => Ok(()),
        };
        ended.map_err(|cause| RecordError { folder: self.folder.clone(), cause })
    }
}

/// The names of the parts.
struct Files {
    folder: PathBuf,
    stem: String,
    part: u64,
}

type Part = zstd::stream::write::Encoder<'static, BufWriter<File>>;

impl Files {
    fn next(&mut self) -> io::Result<Part> {
        self.part += 1;
        let path = self.folder.join(format!("{}-{:06}.rec.zst", self.stem, self.part));
        let file = File::options().write(true).create_new(true).open(path)?;
        zstd::stream::write::Encoder::new(BufWriter::new(file), LEVEL)
    }
}

/// To the millisecond: a run may be started again within a second.
fn stem(now: Nanos) -> String {
    let digits =
        feeds::time::format(now).chars().filter(|c| c.is_ascii_digit() || *c == 'T').collect::<String>();
    format!("tapedeck-{}", digits.get(..18).unwrap_or(&digits))
}

fn write_all(files: &mut Files, first: Part, orders: &Receiver<Order>) -> io::Result<()> {
    let mut part = first;
    for order in orders {
        match order {
            Order::Bytes(bytes) => part.write_all(&bytes)?,
            Order::Flush => part.flush()?,
            Order::Rotate => {
                end(part)?;
                part = files.next()?;
            }
        }
    }
    end(part)
}

fn end(part: Part) -> io::Result<()> {
    let file = part.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()
}
