//! The venues: one file each here, and one line each in [`VENUES`].

use crate::venue::Venue;

/// Every venue, in the order of documentation and listings.
pub static VENUES: &[&dyn Venue] = &[];

/// The venue with this id.
#[must_use]
pub fn by_id(id: &str) -> Option<&'static dyn Venue> {
    VENUES.iter().copied().find(|venue| venue.id() == id)
}
