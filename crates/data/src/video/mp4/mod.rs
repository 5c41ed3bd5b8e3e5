//! MP4 and MOV files.

mod boxes;
#[cfg(feature = "h264")]
mod decode;
pub(super) mod film;
mod fragments;
mod groups;
mod movie;
mod samples;
mod timeline;
