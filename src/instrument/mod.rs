//! Programs that are known in advance, to hold measurements against: one of a
//! stated cost, and one that fills the ring at any rate; and the age of what is read.

mod aged;
mod records;
mod spinner;

pub use aged::{Aged, Ages};
pub use records::RecordLoad;
pub use spinner::Spinner;
