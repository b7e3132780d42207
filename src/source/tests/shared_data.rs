//! Real files, where they are there.
