//! Videos: clips by time, and the frames of rows.
//!
//! Without feature `h264` nothing reads what the index of a film says; ffmpeg then reads the film.

mod animated;
mod bytes;
pub(crate) mod clip;
#[cfg_attr(not(feature = "h264"), allow(dead_code))]
mod colour;
mod ffmpeg;
mod folder;
pub(crate) mod frame_iter;
pub(crate) mod frames;
#[cfg_attr(not(feature = "h264"), allow(dead_code))]
mod h264;
pub(crate) mod info;
#[cfg_attr(not(feature = "h264"), allow(dead_code, unused_imports))]
mod mp4;
pub(crate) mod open;
mod row_clip;
pub(crate) mod sampling;
mod source;
mod turn;
mod webp_chunks;
