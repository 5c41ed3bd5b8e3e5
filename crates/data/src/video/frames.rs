//! A video, however it came.

use crate::media::encoded::Media;

/// Frames per second when a video does not say: the rate at which Qwen2.5-VL samples by default.
pub const DEFAULT_FPS: f32 = 2.0;

/// A video as its frames.
#[derive(Debug, Clone)]
pub struct Video {
    /// Frames in order of time.
    pub frames: Vec<Media>,
    /// Frames per second of `frames`.
    pub fps: f32,
}
