//! The `tapedeck` program.

fn main() {}
