//! What a reader must know of a window beside its numbers.

/// A set of remarks on one result, from a fixed list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u16);

/// Every flag's name, in the order of printing; the position is the bit.
pub const NAMES: [&str; 9] = [
    "partial",
    "gap",
    "stale",
    "late_revised",
    "backfilled",
    "quiet",
    "quarantined",
    "unscaled",
    "unknown_fields",
];

impl Flags {
    /// Nothing to remark.
    pub const NONE: Flags = Flags(0);
    /// Emitted before its end was reached.
    pub const PARTIAL: Flags = Flags(1);
    /// Trades are known to be missing in it.
    pub const GAP: Flags = Flags(1 << 1);
    /// A stream that it reads was silent for longer than it may be.
    pub const STALE: Flags = Flags(1 << 2);
    /// Revised after it was final, with trades that a gap had kept back.
    pub const BACKFILLED: Flags = Flags(1 << 4);
    /// The symbol was taken out of service after a fault; this is its state before.
    pub const QUARANTINED: Flags = Flags(1 << 6);
    /// A field appeared in the venue's frames that is not known: what is read of them may mean something else.
    pub const UNKNOWN_FIELDS: Flags = Flags(1 << 8);

    /// These and those.
    #[must_use]
    pub const fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// These without those.
    #[must_use]
    pub const fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }

    /// True if all of `other` are in here.
    #[must_use]
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// As stored.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// From what was stored; `None` if a bit has no name here.
    #[must_use]
    pub fn from_bits(bits: u64) -> Option<Flags> {
        u16::try_from(bits).ok().filter(|bits| bits >> NAMES.len() == 0).map(Flags)
    }
}

impl std::fmt::Display for Flags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut first = true;
        for (bit, name) in NAMES.iter().enumerate() {
            if self.0 & (1 << bit) != 0 {
                f.write_str(if first { "" } else { "|" })?;
                f.write_str(name)?;
                first = false;
            }
        }
        Ok(())
    }
}
