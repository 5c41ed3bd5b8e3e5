//! Videos as frames.

pub(crate) mod frames;
mod gif;
