//! Every container and codec that percept does not decode itself, by the program `ffmpeg`.

mod output;
pub(super) mod pipe;
mod probe;
mod program;
