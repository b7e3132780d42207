//! Windows against a model that keeps every tick and computes everything anew, written from the rules alone.

mod bounds;
pub(crate) mod made;
pub(crate) mod model;
mod oracle;
