//! Which machine this is, and what it can do.
