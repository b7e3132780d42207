//! `/metrics`: a picture as OpenMetrics text, which Prometheus reads.
//!
//! Each scrape makes its registry anew from one picture, so that the numbers of a scrape belong together. What the
//! library has no type for, summaries, is written here.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::places::Places;
use super::stream::{Ended, Figures};
use crate::symbol::ledger::Ledger;
use crate::view::{LatencyView, VenueView, View};

/// What the text is.
pub(super) const CONTENT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, String)>;
type Counters = Family<Labels, Counter>;
type Float = Gauge<f64, std::sync::atomic::AtomicU64>;

/// The text of a picture.
pub(super) fn text(view: &View, figures: &Figures, places: &Places) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("tapedeck");
    engine(&mut registry, view);
    queues(&mut registry, view);
    connections(&mut registry, view);
    streams(&mut registry, figures);
    doors(&mut registry, places);
    for (name, help, value) in VENUES {
        let counters = Counters::default();
        for venue in &view.venues {
            counters.get_or_create(&vec![("venue", venue.venue.clone())]).inc_by(value(venue));
        }
        registry.register(*name, *help, counters);
    }
    kinds(&mut registry, view);
    sinks(&mut registry, view);
    let mut text = String::new();
    encode_registry(&mut text, &registry)?;
    latencies(&view.latency, &mut text)?;
    if let Some(bytes) = view.status.memory_bytes {
        text.push_str("# HELP process_resident_memory_bytes Memory of this process that is resident.\n");
        text.push_str(
            "# TYPE process_resident_memory_bytes gauge\n# UNIT process_resident_memory_bytes bytes\n",
        );
        writeln!(text, "process_resident_memory_bytes {bytes}")?;
    }
    encode_eof(&mut text)?;
    Ok(text)
}

/// Counters of a venue: name, help, value.
type OfVenue = (&'static str, &'static str, fn(&VenueView) -> u64);

const VENUES: &[OfVenue] = &[
    ("frames", "Frames that came in", |venue| venue.frames),
    ("frame_bytes", "Bytes of frames", |venue| venue.bytes),
    ("reconnects", "Connections after the first of each place", |venue| venue.reconnects),
    ("connect_failures", "Attempts to connect that failed", |venue| venue.failures),
    ("alarms", "Alarms, such as a stream that is silent for too long", |venue| venue.alarms),
    ("complaints", "Complaints of the venue", |venue| venue.complaints),
    ("skipped_messages", "Messages missing by the venue's own counting", |venue| venue.skipped),
    ("undelivered_frames", "Frames lost because the engine did not take them in time", |venue| {
        venue.undelivered
    }),
];

fn engine(registry: &mut Registry, view: &View) {
    let status = &view.status;
    let counter = |value: u64| {
        let counter: Counter = Counter::default();
        counter.inc_by(value);
        counter
    };
    let ledger = Counters::default();
    for (column, count) in Ledger::COLUMNS.iter().zip(status.ledger.0.columns()) {
        ledger.get_or_create(&vec![("column", (*column).to_owned())]).inc_by(count);
    }
    registry.register("ledger_ticks", "What became of every tick, as of the last checkpoint", ledger);
    registry.register("windows", "Windows emitted or amended by this process", counter(status.windows));
    registry.register("alerts", "Alerts that the log has had", counter(status.alerts));
    let help = "Gaps that found no room among those that wait to be asked for";
    registry.register("backfills_refused", help, counter(status.backfills_refused));
    registry.register("checkpoints", "Checkpoints of this process", counter(status.checkpoints));
    for (name, help, value) in [
        ("tape_entry", "The tape's last entry", status.tape as f64),
        ("committed_entry", "The last entry that is in the database", status.committed as f64),
        ("symbols", "Symbols in the database", status.symbols as f64),
        (
            "symbols_out_of_service",
            "Symbols that a fault of the engine's took out of service",
            status.out_of_service.len() as f64,
        ),
        (
            "ready",
            "1 if nothing keeps the run from doing what it is there for",
            f64::from(u8::from(status.ready)),
        ),
        ("ticks_per_second", "Ticks that came in a second, since the last look", status.ticks_per_s),
    ] {
        register_float(registry, name, help, None, value);
    }
    let age = status.checkpoint_age_s.unwrap_or(status.uptime_s);
    register_float(registry, "checkpoint_age", "How old the last checkpoint is", Some(Unit::Seconds), age);
    register_float(registry, "uptime", "For how long it runs", Some(Unit::Seconds), status.uptime_s);
}

fn register_float(registry: &mut Registry, name: &str, help: &str, unit: Option<Unit>, value: f64) {
    let gauge = Float::default();
    gauge.set(value);
    match unit {
        Some(unit) => registry.register_with_unit(name, help, unit, gauge),
        None => registry.register(name, help, gauge),
    }
}

fn gauges(rows: impl Iterator<Item = (Labels, u64)>) -> Family<Labels, Gauge> {
    let gauges = Family::<Labels, Gauge>::default();
    for (labels, value) in rows {
        gauges.get_or_create(&labels).inc_by(i64::try_from(value).unwrap_or(i64::MAX));
    }
    gauges
}

fn queues(registry: &mut Registry, view: &View) {
    let queues = &view.status.queues;
    let of = |name: &'static str| vec![("queue", name.to_owned())];
    let lengths = gauges(queues.iter().map(|queue| (of(queue.name), queue.length)));
    registry.register("queue_length", "What waits, or is in work", lengths);
    let bounds = gauges(queues.iter().map(|queue| (of(queue.name), queue.bound)));
    registry.register("queue_bound", "How much at most", bounds);
    let credit = queues.iter().filter(|queue| queue.name.ends_with("in flight"));
    let credit = gauges(credit.map(|queue| (of(queue.name), queue.bound.saturating_sub(queue.length))));
    registry.register("credit", "What may still be sent into a queue of the engine", credit);
}

fn connections(registry: &mut Registry, view: &View) {
    let states = view.connections.iter().map(|connection| {
        let state = serde_json::to_value(connection.status.state).ok();
        let state = state.and_then(|state| state.as_str().map(str::to_owned)).unwrap_or_default();
        (vec![("venue", connection.status.venue.to_owned()), ("state", state)], 1)
    });
    registry.register("connections", "Connections by what they are doing", gauges(states));
    let streams = view.connections.iter().flat_map(|connection| {
        let status = &connection.status;
        let of = |state: &str| vec![("venue", status.venue.to_owned()), ("state", state.to_owned())];
        [
            (of("wanted"), status.streams as u64),
            (of("acknowledged"), status.acknowledged),
            (of("refused"), status.refused),
            (of("silent"), status.silent.len() as u64),
        ]
    });
    registry.register("streams", "Streams that are wanted, and how they do", gauges(streams));
    let of = |venue: &VenueView| vec![("venue", venue.venue.clone())];
    let gaps = gauges(view.venues.iter().map(|venue| (of(venue), venue.gaps)));
    registry.register("gaps", "Ranges of ids that are missing, as of the last checkpoint", gaps);
    let missing = gauges(view.venues.iter().map(|venue| (of(venue), venue.missing)));
    registry.register("missing_ids", "Ids in those ranges", missing);
}

fn streams(registry: &mut Registry, figures: &Figures) {
    let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let of = |way: &str| vec![("way", way.to_owned())];
    let now = [(of("socket"), read(&figures.sockets)), (of("events"), read(&figures.events))];
    registry.register("followers", "Who follows a stream", gauges(now.into_iter()));
    let ended = Counters::default();
    for (name, count) in Ended::NAMES.iter().zip(&figures.ended) {
        ended.get_or_create(&vec![("reason", (*name).to_owned())]).inc_by(read(count));
    }
    registry.register("followers_ended", "Who followed a stream and does not any more", ended);
    for (name, help, count) in [
        ("followers_refused", "Who found no place to follow a stream", &figures.refused),
        ("stream_messages", "Messages to those who follow, but for heartbeats", &figures.told),
    ] {
        let counter: Counter = Counter::default();
        counter.inc_by(read(count));
        registry.register(name, help, counter);
    }
}

/// Who is let in over HTTP and who is not.
fn doors(registry: &mut Registry, places: &Places) {
    let (taken, bound) = places.taken();
    register_float(registry, "http_connections", "Connections that ask", None, taken as f64);
    register_float(registry, "http_connections_bound", "How many at most", None, bound as f64);
    let refused = Counters::default();
    for (why, count) in places.refused.counts() {
        refused.get_or_create(&vec![("why", why.to_owned())]).inc_by(count);
    }
    registry.register("http_refused", "Connections and requests that were refused, by why", refused);
}

fn sinks(registry: &mut Registry, view: &View) {
    let of = |name: &str| vec![("sink", name.to_owned())];
    let (delivered, failures) = (Counters::default(), Counters::default());
    for sink in &view.sinks {
        delivered.get_or_create(&of(&sink.name)).inc_by(sink.delivered);
        failures.get_or_create(&of(&sink.name)).inc_by(sink.failures);
    }
    registry.register("sink_delivered", "Alerts that sinks told", delivered);
    registry.register("sink_failures", "Attempts to tell alerts that failed", failures);
    let behind = gauges(view.sinks.iter().map(|sink| (of(&sink.name), sink.behind)));
    registry.register("sink_behind", "Alerts behind the one up to which a sink is done", behind);
}

fn kinds(registry: &mut Registry, view: &View) {
    let (kinds, ticks) = (Counters::default(), Counters::default());
    for venue in &view.venues {
        for (kind, count) in &venue.kinds {
            let labels = vec![("venue", venue.venue.clone()), ("kind", (*kind).to_owned())];
            kinds.get_or_create(&labels).inc_by(*count);
        }
    }
    let (outages, fields) = (Counters::default(), Counters::default());
    for venue in &view.venues {
        let of_venue = vec![("venue", venue.venue.clone())];
        fields.get_or_create(&of_venue).inc_by(venue.unknown_fields.values().sum());
        for (cause, count) in &venue.outages {
            let labels = vec![("venue", venue.venue.clone()), ("cause", (*cause).to_owned())];
            outages.get_or_create(&labels).inc_by(*count);
        }
    }
    let help = "Stretches in which ticks of a symbol may be missing or mean something else, as of the last checkpoint";
    registry.register("outages", help, outages);
    let help = "Fields that are not known, in the frames that were looked at, as of the last checkpoint";
    registry.register("unknown_fields", help, fields);
    registry.register("decoded_frames", "What frames turned out to be, as of the last checkpoint", kinds);
    for symbol in &view.symbols {
        let venue = symbol.symbol.split(':').next().unwrap_or_default();
        for (kind, count) in [("trade", symbol.trades), ("quote", symbol.quotes)] {
            let labels = vec![("venue", venue.to_owned()), ("kind", kind.to_owned())];
            ticks.get_or_create(&labels).inc_by(count);
        }
    }
    registry.register("ticks", "Trades and quotes that came in", ticks);
}

/// Percentiles by stage and venue, in seconds.
fn latencies(latencies: &[LatencyView], text: &mut String) -> fmt::Result {
    text.push_str("# HELP tapedeck_latency_seconds How long stages take, from arrival.\n");
    text.push_str("# TYPE tapedeck_latency_seconds summary\n# UNIT tapedeck_latency_seconds seconds\n");
    for row in latencies {
        let labels = format!("stage=\"{}\",venue=\"{}\"", escaped(row.stage), escaped(&row.venue));
        for (quantile, micros) in
            [("0.5", row.p50_us), ("0.99", row.p99_us), ("0.999", row.p999_us), ("1", row.max_us)]
        {
            let seconds = micros / 1e6;
            writeln!(text, "tapedeck_latency_seconds{{{labels},quantile=\"{quantile}\"}} {seconds}")?;
        }
        writeln!(text, "tapedeck_latency_seconds_count{{{labels}}} {}", row.count)?;
    }
    Ok(())
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
