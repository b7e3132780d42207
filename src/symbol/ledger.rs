//! What became of a symbol's ticks: every one is in exactly one column.

use feeds::tick::Rejection;

use crate::codec::{CodecError, Put, Reader};

/// The ledger of one symbol, or of all together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Ticks that came in.
    pub received: u64,
    /// Taken into windows.
    pub aggregated: u64,
    /// Below the watermark: kept aside.
    pub late: u64,
    /// Seen before.
    pub duplicate: u64,
    /// Not usable: no number, a bad time, a symbol in quarantine.
    pub rejected: u64,
    /// Given up because a bound was reached.
    pub dropped: u64,
    /// Marked as past by the venue.
    pub history: u64,
    /// Trades among `aggregated` and `late`.
    pub trades: u64,
    /// Quotes among `aggregated` and `late`.
    pub quotes: u64,
}

impl Ledger {
    /// The columns' names, in the order of printing and of storing.
    pub const COLUMNS: [&str; 7] =
        ["received", "aggregated", "late", "duplicate", "rejected", "dropped", "history"];

    /// Counts a tick that cannot be used.
    pub fn reject(&mut self, why: Rejection) {
        match why {
            Rejection::Dropped => self.dropped += 1,
            Rejection::BadNumber | Rejection::BadSign | Rejection::BadTime | Rejection::OtherUnit => {
                self.rejected += 1;
            }
        }
    }

    /// The columns, as in [`Ledger::COLUMNS`].
    #[must_use]
    pub fn columns(&self) -> [u64; 7] {
        [self.received, self.aggregated, self.late, self.duplicate, self.rejected, self.dropped, self.history]
    }

    /// True if the columns add up both ways.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        let [received, parts @ ..] = self.columns();
        received == parts.iter().sum::<u64>() && self.aggregated + self.late == self.trades + self.quotes
    }

    /// Adds another ledger.
    pub fn merge(&mut self, other: &Ledger) {
        self.received += other.received;
        self.aggregated += other.aggregated;
        self.late += other.late;
        self.duplicate += other.duplicate;
        self.rejected += other.rejected;
        self.dropped += other.dropped;
        self.history += other.history;
        self.trades += other.trades;
        self.quotes += other.quotes;
    }

    /// Appends nine unsigned integers: the columns, trades, quotes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        for value in self.columns().into_iter().chain([self.trades, self.quotes]) {
            out.put_u64(value);
        }
    }

    /// Reads what [`Ledger::encode`] wrote.
    ///
    /// # Errors
    /// [`CodecError`] if the bytes are not that.
    pub fn decode(from: &mut Reader<'_>) -> Result<Ledger, CodecError> {
        Ok(Ledger {
            received: from.u64()?,
            aggregated: from.u64()?,
            late: from.u64()?,
            duplicate: from.u64()?,
            rejected: from.u64()?,
            dropped: from.u64()?,
            history: from.u64()?,
            trades: from.u64()?,
            quotes: from.u64()?,
        })
    }
}
