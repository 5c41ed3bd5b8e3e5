//! A clip by the times of its frames.

use std::path::Path;

use percept_data::{Clip as Video, Error as DataError, Frame};

use crate::error::Error;

/// A clip, not decoded yet.
pub(super) struct Clip(Video);

impl Clip {
    /// A video file, an animation, or a folder of frames, of which
    /// [`DEFAULT_FPS`](percept_data::DEFAULT_FPS) are shown a second.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self(Video::open(path)?))
    }

    /// When it ends, in seconds.
    pub fn lasts_s(&self) -> f64 {
        self.0.info().end_s()
    }

    /// The frame that is shown at a time before the end.
    pub fn frame_at(&self, time_s: f64) -> Result<Frame, DataError> {
        let frames = self.0.frames_at(&[time_s])?;
        frames
            .into_iter()
            .next()
            .ok_or_else(|| DataError::media("a clip without frames").in_file(self.0.path()))
    }
}
