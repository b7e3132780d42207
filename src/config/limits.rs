//! Every bound of the engine in one place, with the arithmetic behind it.
//!
//! A bound that a configuration can move stands here with its default and its ends; the others are what the memory
//! of the whole process is reckoned from.

use feeds::tick::Tick;
use feeds::time::{Nanos, SECOND};

/// Ticks of an epoch for each symbol touched lately: enough to pay for a message to an actor.
pub const EPOCH_TICKS_PER_SYMBOL: usize = 8;
/// Fewest ticks at which an epoch is cut while more are waiting. At 10 M ticks/s an epoch of 8,192 is 0.8 ms of work
/// against the 5–20 µs that it costs to send one around.
pub const EPOCH_TICKS_MIN: usize = 8_192;
/// Most ticks of an epoch: what 32,768 symbols with 8 ticks each give.
pub const EPOCH_TICKS_MAX: usize = 262_144;
/// Epochs between the sequencer and the commit. Two keep decoding, applying and committing at work together; the
/// other two take up the difference between one epoch and the next.
pub const EPOCHS_IN_FLIGHT: usize = 4;
/// Bytes of ticks in the epochs in flight. Epochs of the largest size reach this bound before they are four; it
/// holds two of them, so that one can be gathered while another is applied.
pub const EPOCH_BYTES_IN_FLIGHT: usize = 64 << 20;
/// Messages that a mailbox holds: one share of each epoch in flight, and room for the messages that are no epochs
/// (a question, a barrier, the end), each of which is sent one at a time.
pub const MAILBOX_MESSAGES: usize = EPOCHS_IN_FLIGHT + 4;

const _: () = assert!(EPOCH_TICKS_MIN <= EPOCH_TICKS_MAX);
const _: () = assert!(EPOCH_TICKS_MAX.is_multiple_of(EPOCH_TICKS_PER_SYMBOL));
const _: () = assert!(2 * EPOCH_TICKS_MAX * size_of::<Tick>() <= EPOCH_BYTES_IN_FLIGHT);
const _: () = assert!(EPOCHS_IN_FLIGHT * EPOCH_TICKS_MIN * size_of::<Tick>() <= EPOCH_BYTES_IN_FLIGHT);
const _: () = assert!(MAILBOX_MESSAGES > EPOCHS_IN_FLIGHT);

/// The most ticks that an epoch may have when `symbols` symbols were touched lately.
#[must_use]
pub const fn epoch_ticks(symbols: usize) -> usize {
    let wanted = symbols.saturating_mul(EPOCH_TICKS_PER_SYMBOL);
    if wanted < EPOCH_TICKS_MIN {
        EPOCH_TICKS_MIN
    } else if wanted > EPOCH_TICKS_MAX {
        EPOCH_TICKS_MAX
    } else {
        wanted
    }
}

/// How long a tick without a key is remembered to know it again from another connection of its venue, where there is more
/// than one: a connection that is further behind another is not only slow, and is dropped.
pub const OVERLAP_KEPT: Nanos = 10 * SECOND;
/// Ticks of one stream that are remembered so, at most: 400 a second for as long, at some 150 bytes each 600 KB.
pub const OVERLAP_TICKS: usize = 4_096;

/// Threads that apply ticks, at most; beyond the cores of any one machine more only cost.
pub const WORKERS_MAX: usize = 256;

/// Entries after which a checkpoint is due, by default: at 1 M ticks/s one a second, and 0.1 s of work to do again.
pub const CHECKPOINT_ENTRIES: u64 = 1_000_000;
/// Fewest and most entries between checkpoints that a configuration may ask for.
pub const CHECKPOINT_ENTRIES_RANGE: (u64, u64) = (1_000, 1_000_000_000);
/// Alerts that the log keeps, by default: at 500 bytes each, half a gigabyte, and three hours at 100 a second.
pub const ALERTS_KEPT: u64 = 1_000_000;
/// Fewest and most alerts that a configuration may have kept.
pub const ALERTS_KEPT_RANGE: (u64, u64) = (1_000, 1_000_000_000_000);
/// Time after which a checkpoint is due, by default.
pub const CHECKPOINT_EVERY: Nanos = 5 * SECOND;
/// Shortest and longest time between checkpoints that a configuration may ask for.
pub const CHECKPOINT_EVERY_RANGE: (Nanos, Nanos) = (SECOND / 10, 3_600 * SECOND);
/// How often the log is synced where `sync` is `default`: what a power loss can take.
pub const SYNC_EVERY: Nanos = SECOND / 10;
/// How often the witness of what is synced is written, at most: it costs two syncs of its own, and what it is late by
/// only makes it less strict.
pub const WITNESS_EVERY: Nanos = SECOND;
/// How long a batch is tried again when the disk is full, before the run gives up (resumable).
pub const DISK_FULL_RETRY: Nanos = 5 * SECOND;

/// The same for a live run, which has nowhere to come by its input again: until somebody makes room, or stops it.
pub const DISK_FULL_WAIT: Nanos = 3_600 * SECOND;

const _: () = assert!(CHECKPOINT_ENTRIES >= EPOCH_TICKS_MAX as u64);
const _: () = assert!(CHECKPOINT_ENTRIES_RANGE.0 <= CHECKPOINT_ENTRIES);
const _: () = assert!(CHECKPOINT_ENTRIES <= CHECKPOINT_ENTRIES_RANGE.1);
const _: () = assert!(SYNC_EVERY <= CHECKPOINT_EVERY);

/// Ticks in one stored chunk of the tape: at some 30 bytes each, 120 KiB.
pub const TAPE_CHUNK_TICKS: u64 = 4_096;
/// Windows in one stored value. With 17 columns at 3 bytes a value, a block of 64 takes 3 KiB: one page of the store.
pub const BLOCK_WINDOWS: usize = 64;

/// The last ids (or rows) of a symbol that a repeat is looked for in, where ids are unique but not contiguous.
/// Reconnects send the last 50 to 1,000 trades again. 8 KiB a symbol, made when first needed.
pub const UNIQUE_RING: usize = 1_024;
/// Ranges of missing contiguous ids of a symbol that may still be filled; the oldest is given up first. 16 KiB.
pub const OPEN_HOLES: usize = 1_024;
/// Untimed quotes of a symbol that wait for the connection's first offset estimate.
pub const UNTIMED_QUOTES_WAITING: usize = 1_000;
/// Timed events of a connection over which its clock offset is estimated.
pub const OFFSET_EVENTS: usize = 1_024;

/// Symbols that a run takes out of service before it gives up: each costs going back to the last checkpoint, and so
/// many say that the fault is not the symbols'.
pub const FAULTS_MAX: usize = 16;
/// Bad rows and frames that are shown before they are only counted.
pub const COMPLAINTS_SHOWN: usize = 10;

/// Deliveries between all connections and the sequencer; each holds at most what one read of a socket gave. When they
/// are this many, connections stop reading, and TCP pushes back.
pub const DELIVERIES_WAITING: usize = 1_024;
/// Largest file of trusted certificates that is read: all that browsers trust take a quarter of it.
pub const CA_BYTES_MAX: u64 = 1 << 20;
/// How long a stream may bring nothing before it is alarming, by default: the quietest of the large venues' liquid
/// symbols trade several times a minute.
pub const SILENCE: Nanos = 30 * SECOND;
/// Shortest and longest `silence`: below a second every market would be alarming, above a day nothing is.
pub const SILENCE_RANGE: (Nanos, Nanos) = (SECOND, 86_400 * SECOND);

/// Connections over HTTP that ask and are answered, at a time, by default: pages, scrapers, programs and people. If nobody
/// reads its answer of 4 MiB, they take 1 GiB. Who follows a stream gives the place back, and takes one of
/// [`STREAM_FOLLOWERS`].
pub const HTTP_CONNECTIONS: usize = 256;
/// Most connections that a configuration may ask for.
pub const HTTP_CONNECTIONS_MAX: usize = 1 << 20;
/// Connections from one address, by default: an office behind one. Loopback is this machine, and is not counted
/// unless a configuration says so.
pub const HTTP_ADDRESS_CONNECTIONS: usize = 256;
/// Connections with one token, by default: a program with many followers.
pub const HTTP_TOKEN_CONNECTIONS: usize = 1_024;
/// Requests a second from one address, by default: 20 pages that ask twice a second, and as much again.
pub const HTTP_REQUESTS_A_SECOND: u32 = 100;
/// Most requests a second that a configuration may ask for.
pub const HTTP_REQUESTS_A_SECOND_MAX: u32 = 1_000_000;
/// Addresses whose connections and requests are counted: 4,096 at some 64 bytes. Those that are quiet go first.
pub const HTTP_ADDRESSES: usize = 4_096;
/// Connections that are being told that there is no room; further ones are closed without a word.
pub const HTTP_REFUSALS: usize = 64;
/// Tokens of a configuration. A request is compared with all of them, a microsecond for a thousand.
pub const HTTP_TOKENS_MAX: usize = 1_024;
/// Longest token: random ones have 32 to 64 characters.
pub const HTTP_TOKEN_BYTES: usize = 512;
/// How long a client may take over its TLS handshake.
pub const HTTP_TLS_WITHIN: Nanos = 5 * SECOND;
/// Bytes of a request's path and query.
pub const HTTP_URI_BYTES: usize = 8 << 10;
/// Bytes of a request's body, where one is taken: as long as a configuration may be.
pub const HTTP_BODY_BYTES: usize = CONFIG_BYTES_MAX as usize;
/// How long a client may take over a request's body.
pub const HTTP_BODY_WITHIN: Nanos = 10 * SECOND;
/// How long a change may take to be on the tape; an hour of a full disk is not waited for.
pub const CONTROL_WITHIN: Nanos = 30 * SECOND;
/// Changes that wait to be put on the tape.
pub const COMMANDS_WAITING: usize = 16;
/// Symbols that one change may add and remove together: as many as the largest venues list.
pub const SYMBOLS_ASKED: usize = 4_096;
/// Bytes of a symbol's name in such a change; the longest that venues have, those of options, take some 40.
pub const SYMBOL_BYTES_ASKED: usize = 64;
/// Bytes of a request's line and headers. Browsers send one or two thousand.
pub const HTTP_HEADER_BYTES: usize = 16 << 10;
/// Headers of a request. Browsers send some twenty.
pub const HTTP_HEADERS: usize = 64;
/// How long a client may take over a request's headers, and be quiet between two requests. A page asks every second, a
/// scraper every 15 s, which then connects again.
pub const HTTP_HEADER_WITHIN: Nanos = 10 * SECOND;
/// How long one connection may last. A client that reads its answers slowly, or not at all, is gone then.
pub const HTTP_CONNECTION_WITHIN: Nanos = 600 * SECOND;
/// How long requests that are being answered may take when the run ends.
pub const HTTP_END_WITHIN: Nanos = SECOND;
/// Threads that read for answers, so that a slow disk holds up no other request; the CPU is the run's.
pub const HTTP_READERS: usize = 2;
/// Rows in one answer: some 4 MiB of JSON.
pub const HTTP_ROWS_MAX: usize = 10_000;
/// Rows in one answer, by default.
pub const HTTP_ROWS: usize = 1_000;

/// Alerts that one request looks at for those that it wants: some 50 ms of reading.
pub const ALERTS_LOOKED_AT: usize = 50_000;

/// Followers of streams at a time. Each takes some 35 KiB and, where it does not read, less than that in the kernels of both
/// ends: 1.1 GiB if all stall at once, for the ten seconds until they are cut and the thirty in which they may still find
/// that out. (`benches/subscribers.rs` measures it.)
pub const STREAM_FOLLOWERS: usize = 16_384;
/// Files that a run has open beside those who ask and follow: the store's tables, recordings, connections to venues.
pub const RUN_FILES: usize = 1_024;
/// How long a follower may take to read what was begun to be written to it, or to answer a ping; below the 30 s in which the
/// kernel itself gives up one that does not read at all.
pub const STREAM_WRITE_WITHIN: Nanos = 10 * SECOND;
/// How often a follower is told where it is: proxies end what is quiet for half a minute.
pub const STREAM_HEARTBEAT: Nanos = 15 * SECOND;
/// How often what is told to a follower over WebSocket carries a ping; after [`STREAM_BATCH_BYTES`] also before.
pub const STREAM_PROBE_EVERY: Nanos = SECOND / 4;
/// How long a follower that owes the answer is told more: twice the 50 ms in which those who read are told. And not more than
/// [`STREAM_SEND_BYTES`], for which its own buffers have room.
pub const STREAM_ANSWER_WITHIN: Nanos = SECOND / 10;
/// Bytes written to a follower at once, but for a longer message: some 30 alerts.
pub const STREAM_BATCH_BYTES: usize = 16 << 10;
/// Largest message to a follower.
pub const STREAM_MESSAGE_BYTES: usize = 1 << 20;
/// What the kernel keeps of what a follower has not read; it takes the double for its own accounts. Left to itself it
/// keeps 3 MiB.
pub const STREAM_SEND_BYTES: usize = 32 << 10;
/// Largest message of a follower, which has nothing to say.
pub const STREAM_INBOUND_BYTES: usize = 16 << 10;
/// Messages of a follower between two heartbeats, besides its answers to pings.
pub const STREAM_MESSAGES_INBOUND: usize = 64;
/// Alerts that are kept encoded for those who follow, and their bytes at most: ten seconds of a storm.
pub const ALERT_TAIL: usize = 8_192;
/// See [`ALERT_TAIL`].
pub const ALERT_TAIL_BYTES: usize = 16 << 20;
/// Emissions of windows that are kept for those who follow them, and their bytes at most: some seconds of 10,000 symbols.
pub const WINDOW_TAIL: usize = 32_768;
/// See [`WINDOW_TAIL`].
pub const WINDOW_TAIL_BYTES: usize = 16 << 20;
/// How often a symbol hands in how its open windows stand, at most, while somebody looks: as often as a person sees.
pub const LOOK_EVERY: Nanos = SECOND / 4;
/// How often who looks is told what is new, at most; more than twice as often as anything can be.
pub const LOOKED_EVERY: Nanos = SECOND / 10;
/// Who looks at open windows at a time: for each, 16 bytes of every symbol are kept, which are 160 MiB if there are 10,000.
pub const LOOKERS: usize = 1_024;
/// Symbols among which one who looks searches for what is new before it is told: some 10 µs.
pub const LOOKED_AT_ONCE: usize = 1_024;
/// Alerts that are read from the store at once for a follower who is behind that.
pub const ALERTS_AT_ONCE: usize = 64;
/// Alerts that are looked at for those.
pub const ALERTS_LOOKED_AT_ONCE: usize = 4_096;

/// Sinks of a configuration: each has a thread.
pub const SINKS_MAX: usize = 16;
/// Alerts that a sink is handed at once, where it takes several.
pub const SINK_BATCH: usize = 64;
/// Alerts in one notification of a group: some 64 KiB of JSON, less than the 100 kB that common receivers take.
pub const SINK_GROUP_ALERTS: usize = 128;
/// Groups that a sink knows at a time, with alerts that wait or told lately: at some 200 bytes each, 0.8 MiB.
pub const SINK_GROUPS: usize = 4_096;
/// Alerts that wait with their groups in a sink: 4 MiB at 1 KiB each, 64 MiB for all sinks. Their numbers, which are kept with
/// the cursor, take 8 KiB.
pub const SINK_ALERTS_WAITING: usize = 4_096;
/// What a sink groups by, at most: rule, symbol, severity and some labels.
pub const SINK_GROUP_BY_MAX: usize = 16;
/// How long the first alert of a new group waits for others, by default: what one cause sets off is told at once.
pub const SINK_GROUP_WAIT: Nanos = 30 * SECOND;
/// Shortest and longest `group_wait`; 0 for none, and an hour is when somebody should have been told.
pub const SINK_GROUP_WAIT_RANGE: (Nanos, Nanos) = (0, 3_600 * SECOND);
/// Least time between two notifications of one group, by default.
pub const SINK_GROUP_INTERVAL: Nanos = 300 * SECOND;
/// Shortest and longest `group_interval`.
pub const SINK_GROUP_INTERVAL_RANGE: (Nanos, Nanos) = (SECOND / 1_000, 86_400 * SECOND);
/// How long an answer to an alert that was posted may take.
pub const SINK_POST_WITHIN: Nanos = 10 * SECOND;
/// Bytes of such an answer that are read; nobody looks at it.
pub const SINK_ANSWER_BYTES: usize = 64 << 10;
/// How long sinks may go on with what is committed when the run ends.
pub const SINK_END_WITHIN: Nanos = 4 * SECOND;
/// Longest secret to sign with.
pub const SECRET_BYTES: u64 = 4_096;

/// How old a picture of a live run may be when it is shown: two a second are as many as a person sees.
pub const VIEW_EVERY: Nanos = SECOND / 2;
/// How often the last ticks are handed from the run to whoever shows them.
pub const LAST_TICKS_EVERY: Nanos = SECOND / 4;
/// How long the tape of a live run may stand still before the run is not ready. The clock alone is an entry a second.
pub const INTAKE_STILL: Nanos = 10 * SECOND;
/// How long a checkpoint may be overdue before the run is not ready; a full disk is tried again for half of that.
pub const COMMIT_OVERDUE: Nanos = 10 * SECOND;

/// Gaps that wait to be asked for; a venue answers a few a second. What finds no room stays a gap.
pub const BACKFILLS_WAITING: usize = 256;
/// How old a gap may be that is asked for.
pub const BACKFILL_HORIZON: Nanos = 900 * SECOND;
/// Largest answer with past trades: 1,000 of them at some 200 bytes, ten times over.
pub const BACKFILL_BYTES: usize = 2 << 20;

/// Buffers of 256 KiB between the sequencer and the recorder's writer: 4 MiB, a quarter of a second at 20 MB/s.
pub const RECORDER_BUFFERS: usize = 16;
/// Uncompressed bytes of one part of a recording: some 100 MB on disk.
pub const RECORDING_PART_BYTES: usize = 1 << 30;
/// Longest time of one part of a recording.
pub const RECORDING_PART_TIME: Nanos = 3_600 * SECOND;

/// How far behind its symbol's newest tick a tick may be and still count, by default.
pub const LATENESS: Nanos = 2 * SECOND;
/// Largest lateness; windows stay open, and in memory, for that long.
pub const LATENESS_MAX: Nanos = 86_400 * SECOND;
/// How far ahead of its receive time a tick's time may be, by default.
pub const MAX_AHEAD: Nanos = 10 * SECOND;
/// Largest `max_ahead`.
pub const MAX_AHEAD_MAX: Nanos = 86_400 * SECOND;
/// How long a symbol is quiet before the clock moves its frontier, by default.
pub const IDLE: Nanos = 10 * SECOND;
/// Shortest and longest `idle`; clock entries come once a second.
pub const IDLE_RANGE: (Nanos, Nanos) = (SECOND, 86_400 * SECOND);
/// Without receive times, a jump forward by more than this waits for the next tick to confirm it.
pub const JUMP_MAX: Nanos = 600 * SECOND;

const _: () = assert!(SINK_GROUP_ALERTS <= SINK_ALERTS_WAITING && SINK_BATCH <= SINK_GROUP_ALERTS);
const _: () =
    assert!(SINK_GROUP_WAIT <= SINK_GROUP_WAIT_RANGE.1 && SINK_GROUP_INTERVAL <= SINK_GROUP_INTERVAL_RANGE.1);
const _: () = assert!(SILENCE_RANGE.0 <= SILENCE && SILENCE <= SILENCE_RANGE.1);
const _: () = assert!(HTTP_ROWS <= HTTP_ROWS_MAX && DISK_FULL_RETRY < COMMIT_OVERDUE);
const _: () = assert!(LATENESS <= LATENESS_MAX && MAX_AHEAD <= MAX_AHEAD_MAX);
const _: () = assert!(IDLE_RANGE.0 <= IDLE && IDLE <= IDLE_RANGE.1);

/// Windows that a configuration may have.
pub const WINDOWS_MAX: usize = 64;
/// Smallest size of a window.
pub const WINDOW_SIZE_MIN: Nanos = SECOND / 1_000;
/// Largest size of a window.
pub const WINDOW_SIZE_MAX: Nanos = 7 * 86_400 * SECOND;
/// Longest name of a window or group, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Rules that a configuration may have. Each costs every symbol it is for some 100 bytes and some 50 ns a judgement.
pub const RULES_MAX: usize = 10_000;
/// Silences, and inhibitions, that a configuration may have: each is looked at for every alert.
pub const SILENCES_MAX: usize = 1_000;
/// Longest text of a condition or message, in bytes; twenty lines, more than anyone can check by reading.
pub const RULE_BYTES_MAX: usize = 4_096;
/// How deep a condition may be nested: reading it takes some ten calls for each level, a few hundred bytes of stack each.
pub const RULE_DEPTH_MAX: usize = 64;
/// Signs in a row (`not not`, `--`), which nest as well.
pub const RULE_SIGNS_MAX: usize = 2;
/// Windows of a statistic that a condition may read back, and average over: at 32 bytes a value, and 16 for what an alert
/// names of its window, 480 KiB a symbol.
pub const RULE_WINDOWS_MAX: u32 = 10_000;
/// Times that a condition may be counted (`3 of …`): 8 KiB a rule and symbol.
pub const RULE_COUNT_MAX: u32 = 1_000;
/// Longest duration in a rule.
pub const RULE_DURATION_MAX: Nanos = 366 * 86_400 * SECOND;
/// Labels of a rule.
pub const RULE_LABELS_MAX: usize = 32;
/// Rows of input of one test of rules: some 200 MB of them.
pub const TEST_ROWS_MAX: usize = 1_000_000;
/// Largest configuration file that is read.
pub const CONFIG_BYTES_MAX: u64 = 1 << 20;

const _: () = assert!(WINDOW_SIZE_MIN < WINDOW_SIZE_MAX && WINDOW_SIZE_MAX <= RULE_DURATION_MAX);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_follow_the_symbols_between_their_ends() {
        assert_eq!(epoch_ticks(0), EPOCH_TICKS_MIN);
        assert_eq!(epoch_ticks(1_024), EPOCH_TICKS_MIN);
        assert_eq!(epoch_ticks(10_000), 80_000);
        assert_eq!(epoch_ticks(usize::MAX), EPOCH_TICKS_MAX);
    }
}
