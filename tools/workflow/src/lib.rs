//! Workflows proven by running them: reads each file, resolves every expression in it,
//! and runs its steps in a clean clone.
//!
//! Whatever this knows no meaning of is a flaw: a key, an action, a context, a function.

pub mod contexts;
pub mod expression;
pub mod file;
pub mod flaws;
pub mod plan;
pub mod root;
pub mod run;
