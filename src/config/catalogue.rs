//! The names that a configuration may use, from the lists in the code.

use feeds::venues::VENUES;

/// What a window of some kind is.
#[derive(Clone, Copy, Debug)]
pub struct WindowKind {
    /// Its name for `kind`.
    pub name: &'static str,
    /// One line for people.
    pub doc: &'static str,
}

/// The kinds of windows, in the order of listings.
pub static WINDOW_KINDS: &[WindowKind] = &[WindowKind {
    name: "tumbling",
    doc: "adjoining spans of one size, aligned to 1970-01-01 UTC; a tick is in exactly one",
}];

/// Kinds that are known, and not there yet.
pub(super) const LATER_KINDS: [&str; 9] =
    ["sliding", "session", "ticks", "tick_count", "volume", "notional", "imbalance", "runs", "range"];

/// A venue's id and the channels that are decoded.
pub(super) type VenueNames = (&'static str, &'static [&'static str]);

/// Statistics, sets of them, and venues.
#[derive(Clone, Debug)]
pub struct Catalogue {
    pub(super) statistics: Vec<&'static str>,
    pub(super) sets: Vec<(&'static str, &'static [&'static str])>,
    pub(super) venues: Vec<VenueNames>,
}

impl Catalogue {
    /// What this build has.
    #[must_use]
    pub fn built_in() -> Catalogue {
        Catalogue {
            statistics: crate::stat::STATISTICS.iter().map(|statistic| statistic.name).collect(),
            sets: crate::stat::SETS.to_vec(),
            venues: VENUES.iter().map(|venue| (venue.id(), venue.channels())).collect(),
        }
    }

    /// The statistics that `name` stands for: itself, or those of the set.
    pub(super) fn expand(&self, name: &str) -> Option<Vec<&'static str>> {
        if let Some((_, members)) = self.sets.iter().find(|(set, _)| *set == name) {
            return Some(members.to_vec());
        }
        self.statistics.iter().find(|statistic| **statistic == name).map(|statistic| vec![*statistic])
    }

    /// The names of all sets, then of all statistics.
    pub(super) fn stat_names(&self) -> Vec<&'static str> {
        self.sets.iter().map(|(set, _)| *set).chain(self.statistics.iter().copied()).collect()
    }

    /// The channels of the venue `id`.
    pub(super) fn channels(&self, id: &str) -> Option<&'static [&'static str]> {
        self.venues.iter().find(|(venue, _)| *venue == id).map(|(_, channels)| *channels)
    }

    /// The ids of all venues.
    pub(super) fn venue_ids(&self) -> Vec<&'static str> {
        self.venues.iter().map(|(venue, _)| *venue).collect()
    }
}
