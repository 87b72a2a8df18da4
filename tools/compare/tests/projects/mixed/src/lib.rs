//! Nothing but its benchmarks: see `benches/mixed.rs`.
