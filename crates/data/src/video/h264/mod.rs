//! H.264: parameter sets, and the decoder of OpenH264 where percept is built with it.

mod bits;
pub(super) mod config;
#[cfg(feature = "h264")]
pub(super) mod decoder;
pub(super) mod limits;
pub(super) mod sps;
