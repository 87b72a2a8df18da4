//! Tables and pictures, rendered from [`crate::schema`] alone.

pub mod overhead;
pub mod soak;
pub mod soak_picture;
