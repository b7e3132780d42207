//! RocksDB's options and the arithmetic behind them, in one place.

use rocksdb::{BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType, DBRecoveryMode, Options};

use super::Family;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// A family is written to a file when it has gathered this much. Also what must be free before RocksDB takes writes
/// again after the disk was full.
pub(super) const WRITE_BUFFER: usize = 64 * MIB;

/// Write buffers of one family: one that fills, two that are being written out.
const WRITE_BUFFERS: i32 = 3;

/// What all families' write buffers may take together: three families are heavy (tape, windows, state), and not all
/// at once, so the sum is 256 MiB rather than 8 × 3 × 64 MiB.
const ALL_WRITE_BUFFERS: usize = 4 * WRITE_BUFFER;

/// The logs may be this long together before the family that holds the oldest up is written out: twice the write
/// buffers, so that it is seldom the reason. It bounds what opening after a crash reads, about a second of it.
const ALL_LOGS: usize = 2 * ALL_WRITE_BUFFERS;

/// A table file: as large as a write buffer, so that one becomes one.
const TABLE_FILE: usize = WRITE_BUFFER;

/// Table files kept open. Below the limit of 1024 that many systems begin with, with room for sockets and captures.
const OPEN_FILES: i32 = 512;

/// One cache for data, index and filter blocks of all families, so that they are bounded too.
const BLOCK_CACHE: usize = 64 * MIB;

/// Values are whole blocks of windows or chunks of tape, a few KiB and more, so a block holds a few of them.
const BLOCK: usize = 16 * KIB;

/// Asks the system to write a table file out as it grows, rather than in one burst at its end. The log is left
/// alone: syncing pieces of it can leave a hole after a power loss.
const TABLE_SYNC: u64 = MIB as u64;

/// RocksDB's own log of what it does.
const INFO_LOG: usize = 8 * MIB;
const INFO_LOGS: usize = 4;

/// Who opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// The writer. It makes the database if `create` is set.
    Write {
        /// There is nothing yet.
        create: bool,
    },
    /// A reader, beside a writer or alone.
    Read,
}

/// The options of the database.
pub(super) fn database(access: Access) -> Options {
    let mut options = Options::default();
    // What a crash cuts off at the end of the log was never acknowledged; damage anywhere else in it is refused
    // rather than taken for the end.
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_max_total_wal_size(ALL_LOGS as u64);
    options.set_db_write_buffer_size(ALL_WRITE_BUFFERS);
    options.set_bytes_per_sync(TABLE_SYNC);
    options.set_max_log_file_size(INFO_LOG);
    options.set_keep_log_file_num(INFO_LOGS);
    match access {
        Access::Write { create } => {
            options.create_if_missing(create);
            options.create_missing_column_families(true);
            options.set_max_open_files(OPEN_FILES);
            options.set_max_background_jobs(background_jobs());
        }
        // A reader's files may be deleted by the writer; what it holds open stays readable.
        Access::Read => options.set_max_open_files(-1),
    }
    options
}

/// One flush and one compaction at least, and no more threads than processors beyond that.
fn background_jobs() -> i32 {
    let processors = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    i32::try_from(processors.clamp(2, 8)).unwrap_or(2)
}

/// The options of one family.
fn family(cache: &Cache) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_size(BLOCK);
    blocks.set_block_cache(cache);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    blocks.set_bloom_filter(10.0, false);
    let mut options = Options::default();
    options.set_block_based_table_factory(&blocks);
    options.set_write_buffer_size(WRITE_BUFFER);
    options.set_max_write_buffer_number(WRITE_BUFFERS);
    options.set_target_file_size_base(TABLE_FILE as u64);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_bottommost_compression_type(DBCompressionType::Zstd);
    options
}

/// The families to open: `default`, which RocksDB wants and which stays empty, and `families`.
pub(super) fn descriptors(families: impl IntoIterator<Item = Family>) -> Vec<ColumnFamilyDescriptor> {
    let cache = Cache::new_lru_cache(BLOCK_CACHE);
    let names = families.into_iter().map(Family::name);
    std::iter::once(rocksdb::DEFAULT_COLUMN_FAMILY_NAME)
        .chain(names)
        .map(|name| ColumnFamilyDescriptor::new(name, family(&cache)))
        .collect()
}
