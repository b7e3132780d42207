//! The run as a whole, and its venues.

use std::collections::BTreeMap;

use feeds::frame::FrameCounts;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{Viewer, seconds};
use crate::actors::work::Fault;
use crate::clock::Stamp;
use crate::commit::figures::Figures;
use crate::config::limits::{BACKFILLS_WAITING, DELIVERIES_WAITING, EPOCH_BYTES_IN_FLIGHT, EPOCHS_IN_FLIGHT};
use crate::feed::ConnectionStatus;
use crate::feed::slot::SlotState;
use crate::live::pulse::Asked;
use crate::symbol::ledger::Ledger;

/// The run as a whole.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Status {
    /// The program's version.
    pub version: &'static str,
    /// The run's number in its database.
    pub run: u32,
    /// For how long it runs, in seconds.
    pub uptime_s: f64,
    /// True once it was stopped and all of it is committed.
    pub ended: bool,
    /// True if nothing keeps it from doing what it is there for.
    pub ready: bool,
    /// What does.
    pub unready: Vec<String>,
    /// The tape's last entry.
    pub tape: u64,
    /// The last entry that is in the database.
    pub committed: u64,
    /// Checkpoints of this process.
    pub checkpoints: u64,
    /// How old the last one is, in seconds.
    pub checkpoint_age_s: Option<f64>,
    /// What became of every tick, as of the last checkpoint, earlier runs included.
    pub ledger: Columns,
    /// Trades among them that were aggregated or late.
    pub trades: u64,
    /// Quotes among them that were aggregated or late.
    pub quotes: u64,
    /// Symbols in the database.
    pub symbols: usize,
    /// Symbols that are out of service after a fault of the engine's, in the order in which they were found.
    pub out_of_service: Vec<FaultView>,
    /// Windows emitted or amended by this process.
    pub windows: u64,
    /// Ticks that came in a second, since it was last looked at or longer.
    pub ticks_per_s: f64,
    /// What waits where.
    pub queues: Vec<Queue>,
    /// Gaps that found no room among those that wait to be asked for, and stay missing.
    pub backfills_refused: u64,
    /// Alerts that the log has had, which is the number of the last.
    pub alerts: u64,
    /// The database's directory; none in memory.
    pub db: Option<String>,
    /// The recording's directory.
    pub recording: Option<String>,
    /// Memory of this process that is resident, in bytes, where the system says.
    pub memory_bytes: Option<u64>,
}

/// A symbol that is out of service: its ticks are rejected, and its windows were flagged `quarantined`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FaultView {
    /// Which.
    pub symbol: String,
    /// From this entry of the tape on.
    pub entry: u64,
    /// What the fault said.
    pub cause: String,
}

/// A queue of the engine.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Queue {
    /// What waits in it.
    pub name: &'static str,
    /// How many.
    pub length: u64,
    /// How many at most.
    pub bound: u64,
    /// What happens when it is full.
    pub policy: &'static str,
}

/// A ledger by the names of its columns, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Columns(pub Ledger);

impl Serialize for Columns {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(Ledger::COLUMNS.len()))?;
        for (name, count) in Ledger::COLUMNS.iter().zip(self.0.columns()) {
            map.serialize_entry(name, &count)?;
        }
        map.end()
    }
}

/// A venue: its connections together, and what its frames and ids show.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct VenueView {
    /// Its id.
    pub venue: String,
    /// Connections.
    pub connections: usize,
    /// Of those, with every subscription confirmed.
    pub live: usize,
    /// Frames that came in.
    pub frames: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// Connections after the first of each place.
    pub reconnects: u64,
    /// Attempts to connect that failed.
    pub failures: u64,
    /// Subscriptions that were refused.
    pub refused: u64,
    /// Alarms.
    pub alarms: u64,
    /// Complaints.
    pub complaints: u64,
    /// Messages that are missing by the venue's own counting.
    pub skipped: u64,
    /// Frames lost because the engine did not take them in time.
    pub undelivered: u64,
    /// Streams that have brought nothing for too long.
    pub silent: usize,
    /// Ranges of ids that are missing, as of the last checkpoint.
    pub gaps: u64,
    /// Ids in those.
    pub missing: u64,
    /// What became of its frames, as of the last checkpoint: kind and count.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Fields that its frames have and that are not known, as of the last checkpoint: name, and in how many of the frames
    /// that were looked at.
    pub unknown_fields: BTreeMap<String, u64>,
    /// Stretches in which ticks of a symbol may be missing, as of the last checkpoint: cause and count.
    pub outages: BTreeMap<&'static str, u64>,
}

pub(super) fn status(viewer: &Viewer, asked: &Asked, committed: &Figures, now: Stamp, rate: f64) -> Status {
    let (pulse, facts) = (viewer.pulse(), &viewer.facts);
    let unready = viewer.unready();
    let path = |path: &std::path::PathBuf| path.display().to_string();
    Status {
        version: env!("CARGO_PKG_VERSION"),
        run: pulse.run(),
        uptime_s: seconds(now.since(pulse.begun())),
        ended: pulse.ended(),
        ready: unready.is_empty(),
        unready,
        tape: pulse.tape(),
        committed: committed.applied,
        checkpoints: committed.checkpoints,
        checkpoint_age_s: committed.committed_at.map(|at| seconds(now.since(at))),
        ledger: Columns(committed.ledger),
        trades: committed.ledger.trades,
        quotes: committed.ledger.quotes,
        symbols: committed.symbols,
        out_of_service: committed.faults.iter().map(fault).collect(),
        windows: committed.emissions,
        ticks_per_s: rate,
        queues: queues(asked.waiting, pulse.in_flight(), pulse.wants().waiting()),
        backfills_refused: pulse.wants().refused(),
        alerts: pulse.alerts().head(),
        db: facts.db.as_ref().map(path),
        recording: facts.recording.as_ref().map(path),
        memory_bytes: memory(),
    }
}

fn fault(fault: &Fault) -> FaultView {
    FaultView { symbol: fault.symbol.to_string(), entry: fault.number, cause: fault.cause.clone() }
}

fn queues(waiting: usize, (epochs, bytes): (usize, usize), gaps: usize) -> Vec<Queue> {
    let queue = |name, length: usize, bound: usize, policy| Queue {
        name,
        length: length as u64,
        bound: bound as u64,
        policy,
    };
    let epochs_wait = "the sequencer waits, and the next epoch grows";
    vec![
        queue("deliveries", waiting, DELIVERIES_WAITING, "connections stop reading, and TCP pushes back"),
        queue("epochs in flight", epochs, EPOCHS_IN_FLIGHT, epochs_wait),
        queue("bytes in flight", bytes, EPOCH_BYTES_IN_FLIGHT, epochs_wait),
        queue("gaps to ask for", gaps, BACKFILLS_WAITING, "further ones are not asked for, and stay missing"),
    ]
}

/// The venues of `connections`, by id. `gaps` has ranges and ids that are missing.
pub(super) fn venues(
    connections: &[ConnectionStatus],
    committed: &Figures,
    gaps: &BTreeMap<String, (u64, u64)>,
) -> Vec<VenueView> {
    let mut venues: BTreeMap<&str, VenueView> = BTreeMap::new();
    for connection in connections {
        let venue = venues.entry(connection.venue).or_default();
        venue.connections += 1;
        venue.live += usize::from(connection.state == SlotState::Live);
        venue.frames += connection.frames;
        venue.bytes += connection.bytes;
        venue.reconnects += connection.reconnects;
        venue.failures += connection.failures;
        venue.refused += connection.refused;
        venue.alarms += connection.alarms;
        venue.complaints += connection.complaints;
        venue.skipped += connection.skipped;
        venue.undelivered += connection.undelivered;
        venue.silent += connection.silent.len();
    }
    for (id, venue) in &mut venues {
        venue.venue = (*id).to_owned();
        (venue.gaps, venue.missing) = gaps.get(*id).copied().unwrap_or_default();
        let outages = committed.outages.iter().filter(|((of, _), _)| of == id);
        venue.outages = outages.map(|((_, cause), count)| (*cause, *count)).collect();
        let Some(counts) = committed.venues.get(*id) else { continue };
        venue.kinds = kinds(counts);
        let fields = counts.unknown_fields.iter();
        venue.unknown_fields = fields.map(|(name, count)| (name.clone(), count.frames)).collect();
    }
    venues.into_values().collect()
}

fn kinds(counts: &FrameCounts) -> BTreeMap<&'static str, u64> {
    BTreeMap::from([
        ("ticks", counts.ticks),
        ("control", counts.control),
        ("heartbeat", counts.heartbeat),
        ("passed_over", counts.passed_over.values().sum()),
        ("unknown", counts.unknown.values().sum()),
        ("broken", counts.broken),
        ("blank", counts.blank),
    ])
}

/// What Linux says in kibibytes; nothing elsewhere.
fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    kibibytes.checked_mul(1_024)
}
