//! Which machine this is, and what it can do.
//!
//! Parsers are pure functions over text; files are read at one edge, below a root
//! that tests replace by a tree of their own.

mod cpuinfo;
mod files;
mod fingerprint;
mod virtualisation;

pub use files::Unreadable;
pub use fingerprint::Host;
pub use virtualisation::Virtualisation;
