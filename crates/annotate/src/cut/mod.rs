//! Frames cut at equal times, and the folder that keeps them.

mod clip;
mod frame_pair;
mod frames;
mod project;
mod times;

pub use frame_pair::{FrameFile, FramePair};
pub use project::Project;
pub use times::Times;
