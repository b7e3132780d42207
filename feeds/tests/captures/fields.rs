//! The fields of real frames: a venue knows all of those that it sent.

use std::collections::{BTreeMap, BTreeSet};

use feeds::frame::{Frame, FrameCounts};
use feeds::outage::Attention;
use feeds::symbol::SymbolTable;
use feeds::venue::Output;
use feeds::venues::by_id;

use crate::{CAPTURES, data, frames, inflate};

/// Every frame is looked at, as if each were the first of its connection.
#[test]
fn captures_have_no_field_that_is_not_known() {
    let Some(data) = data() else { return };
    let mut unknown: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for &(capture, id, _, lines) in CAPTURES {
        let venue = by_id(id).unwrap();
        let bytes = inflate(&data.join(capture));
        let (mut session, mut table) = (venue.open(), SymbolTable::new(id));
        let (mut out, mut counts) = (Output::default(), FrameCounts::default());
        for (received_at, payload) in &frames(&bytes, lines).1 {
            let frame = Frame { received_at: Some(*received_at), payload };
            Attention::new(venue).on_frame(&mut *session, frame, &mut table, &mut out, &mut counts);
        }
        unknown.entry(id).or_default().extend(counts.unknown_fields.into_keys());
    }
    unknown.retain(|_, names| !names.is_empty());
    assert!(unknown.is_empty(), "{unknown:#?}");
}
