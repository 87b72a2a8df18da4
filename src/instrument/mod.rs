//! Programs that are known in advance, to hold measurements against: one of a
//! stated cost, and one that fills the ring at any rate.

mod records;
mod spinner;

pub use records::RecordLoad;
pub use spinner::Spinner;
