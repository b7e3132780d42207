//! Bounds when the store is slow, and what happens when it fails.
