//! Videos as frames.

pub(crate) mod gif;
