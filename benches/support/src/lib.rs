//! What the bench targets share: one Criterion, one engine of blocks, arms, figures,
//! and a scenario of events.

pub mod arguments;
pub mod arms;
pub mod blocks;
mod fail;
pub mod figures;
pub mod heap;
pub mod scenario;
mod settings;
pub mod threads;
pub mod turns;

pub use fail::fail;
pub use settings::criterion;
