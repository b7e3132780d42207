//! What is to be computed: the windows in their chain, and where the slices lie.

use feeds::live::Channel;
use feeds::time::{Nanos, SECOND};

use crate::alert::rulebook::Books;
use crate::stat::{Reads, Statistic};
use crate::symbol::outages::Channels;

/// One configured window.
#[derive(Clone, Debug)]
pub struct Window {
    /// Its name in the configuration and in every output.
    pub name: String,
    /// Its length in nanoseconds; windows begin at multiples of it.
    pub size: Nanos,
    /// What is printed of it, in this order.
    pub stats: Vec<&'static Statistic>,
}

impl Window {
    /// True if one of its statistics reads ticks of this kind. Only such ticks make the window exist.
    #[must_use]
    pub fn reads(&self, kind: Reads) -> bool {
        self.stats.iter().any(|stat| stat.reads == kind)
    }
}

/// A window's place in the chain.
#[derive(Clone, Debug)]
pub(crate) struct Level {
    /// Index of the window in the configuration.
    pub(crate) window: usize,
    /// Its length.
    pub(crate) size: Nanos,
    /// The next shorter level whose windows fill this one's exactly; none if it is merged from slices.
    pub(crate) finer: Option<usize>,
    /// It exists through trades.
    pub(crate) trades: bool,
    /// It exists through quotes.
    pub(crate) quotes: bool,
}

impl Level {
    /// The channels that it reads.
    pub(crate) fn reads(&self) -> Channels {
        let of = |reads: bool, channel| if reads { Channels::of(channel) } else { Channels::NONE };
        of(self.trades, Channel::Trades).with(of(self.quotes, Channel::Quotes))
    }

    /// The start of the window that contains `ts`.
    #[inline]
    pub(crate) fn start_of(&self, ts: Nanos) -> Nanos {
        ts.div_euclid(self.size) * self.size
    }
}

/// The windows of every symbol, and the times that rule them. One plan serves all symbols.
#[derive(Clone, Debug)]
pub struct Plan {
    windows: Vec<Window>,
    /// By window.
    reads: Vec<Channels>,
    levels: Vec<Level>,
    roots: Vec<usize>,
    quotes: bool,
    /// How far behind the frontier a tick may be.
    pub lateness: Nanos,
    /// How far ahead of its receive time a tick may be.
    pub max_ahead: Nanos,
    /// How long a symbol is quiet before the clock moves its frontier.
    pub idle: Nanos,
    /// The rules.
    pub books: Books,
}

impl Plan {
    /// Default allowed lateness.
    pub const LATENESS: Nanos = 2 * SECOND;
    /// Default bound on times ahead of their receive time.
    pub const MAX_AHEAD: Nanos = 10 * SECOND;
    /// Default quiet time.
    pub const IDLE: Nanos = 10 * SECOND;

    /// A plan for `windows`, with the default times. Sizes are at least 1.
    #[must_use]
    pub fn new(windows: Vec<Window>) -> Plan {
        let mut order: Vec<usize> = (0..windows.len()).collect();
        order.sort_by_key(|&index| windows[index].size);
        let mut levels: Vec<Level> = Vec::with_capacity(windows.len());
        for window in order {
            let size = windows[window].size.max(1);
            let finer = levels.iter().rposition(|level| size % level.size == 0);
            let (trades, quotes) =
                (windows[window].reads(Reads::Trades), windows[window].reads(Reads::Quotes));
            levels.push(Level { window, size, finer, trades, quotes });
        }
        let mut reads = vec![Channels::NONE; windows.len()];
        levels.iter().for_each(|level| reads[level.window] = level.reads());
        let roots = (0..levels.len()).filter(|&level| levels[level].finer.is_none()).collect();
        let quotes = levels.iter().any(|level| level.quotes);
        Plan {
            windows,
            reads,
            levels,
            roots,
            quotes,
            lateness: Plan::LATENESS,
            max_ahead: Plan::MAX_AHEAD,
            idle: Plan::IDLE,
            books: Books::default(),
        }
    }

    /// The windows in the order of the configuration.
    #[must_use]
    pub fn windows(&self) -> &[Window] {
        &self.windows
    }

    /// The channels that the window at this place in the configuration reads.
    ///
    /// # Panics
    /// If there is no such window.
    #[inline]
    #[must_use]
    pub fn reads(&self, window: usize) -> Channels {
        self.reads[window]
    }

    /// True if some window reads quotes; if none does, quotes are counted and not kept.
    #[must_use]
    pub fn reads_quotes(&self) -> bool {
        self.quotes
    }

    /// Levels, the shortest window first.
    pub(crate) fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// Levels that are merged from slices directly.
    pub(crate) fn roots(&self) -> &[usize] {
        &self.roots
    }

    /// The slice that contains `ts`: between the nearest edges of all windows. (The edges of a window that a
    /// shorter one divides are among the shorter one's, so the roots' edges are all.)
    pub(crate) fn slice_of(&self, ts: Nanos) -> (Nanos, Nanos) {
        let (mut start, mut end) = (Nanos::MIN, Nanos::MAX);
        for &root in &self.roots {
            let level = &self.levels[root];
            let edge = level.start_of(ts);
            start = start.max(edge);
            end = end.min(edge + level.size);
        }
        (start, end)
    }

    /// The next frontier after `frontier` at which a window with ticks up to `newest` is emitted or final; `None`
    /// when all are. Never later than the truth, for callers that only want to know whom to wake.
    #[must_use]
    pub fn next_due(&self, newest: Nanos, frontier: Nanos) -> Option<Nanos> {
        // Whatever ends before the newest tick is final `lateness` after it at the latest, and a gap before it cannot
        // be filled in time once the watermark is past it.
        if frontier <= newest.saturating_add(self.lateness) {
            return Some(frontier.saturating_add(1));
        }
        let ends = self.levels.iter().map(|level| level.start_of(newest) + level.size);
        ends.flat_map(|end| [end, end + self.lateness]).filter(|&at| at > frontier).min()
    }
}
