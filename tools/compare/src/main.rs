//! The gate: judges benchmark runs against a baseline.

fn main() {}
