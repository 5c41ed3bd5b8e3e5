//! What a clip is, and one of its frames.

use image::RgbImage;

use crate::video::turn::Turn;

/// What is known of a clip before anything is decoded.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipInfo {
    /// Pixels across, as [`Frame::image`] has them: turned as the file says, pixels as they are stored.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Seconds from the first frame to the end of the last.
    pub duration_s: f64,
    /// `h264`, `vp9`, `gif`, …, as ffmpeg names it; `images` for a folder.
    pub codec: String,
    /// When each frame begins, in seconds of the file's own clock, ascending. The first may be above 0.
    pub frame_times: Vec<f64>,
    /// Width of a pixel over its height, as stored, before turning. Frames are not stretched: neither PyAV nor qwen-vl-utils
    /// nor decord stretches them.
    pub pixel_aspect: (u32, u32),
    /// By how many degrees, clockwise, stored pictures are turned (0, 90, 180, 270).
    pub rotation: u32,
    /// What decodes it: `openh264`, `image` or `ffmpeg`.
    pub decoder: &'static str,
}

impl ClipInfo {
    /// The size and shape of a clip whose stored pictures are turned; nothing of its frames.
    pub(crate) fn turned(stored: (u32, u32), pixel_aspect: (u32, u32), turn: Turn) -> Self {
        let (width, height) = turn.size(stored);
        Self {
            width,
            height,
            duration_s: 0.0,
            codec: String::new(),
            frame_times: Vec::new(),
            pixel_aspect,
            rotation: u32::from(turn.quarters) * 90,
            decoder: "image",
        }
    }

    /// Frames per second on average; the rate that rows and `decord` know. None for a clip that lasts no time.
    pub fn fps(&self) -> Option<f64> {
        (self.duration_s > 0.0).then(|| self.frame_times.len() as f64 / self.duration_s)
    }

    /// When the last frame ends, in seconds of the file's clock.
    pub fn end_s(&self) -> f64 {
        self.frame_times.first().copied().unwrap_or(0.0) + self.duration_s
    }
}

/// One frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// When it begins, in seconds of the file's clock.
    pub time_s: f64,
    /// Its pixels, turned as the file says.
    pub image: RgbImage,
}
