//! Processes that we start, and that are gone when we are.
//!
//! A [`Ward`] holds all of them: a cgroup and a directory, both named after this
//! process. Children die with it by the kernel's hand, and all that is in the cgroup by a
//! guard's; what is left even so, and the directory, is found by those names at the next
//! start.

mod child;
mod end;
mod guard;
mod output;
mod signals;
mod tracefs;
mod ward;

pub use child::Child;
pub use end::ProcessEnd;
pub use output::KeptOutput;
pub use signals::{interrupted, interruption, watch_signals};
pub use tracefs::provide_tracefs;
pub use ward::{Ward, WardPlace};
