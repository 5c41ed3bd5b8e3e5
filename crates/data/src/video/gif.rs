//! Animated GIFs as videos.

use std::sync::Arc;

use crate::Error;
use crate::media::animation::Animation;
use crate::media::encoded::Media;
use crate::video::frames::{DEFAULT_FPS, Video};

impl Video {
    /// An animated GIF as a video; its mean frame delay gives the rate.
    ///
    /// # Errors
    /// When the bytes are not a GIF, or it is truncated, empty or too large.
    pub fn from_gif(encoded: impl Into<Arc<[u8]>>) -> Result<Self, Error> {
        let animation = Arc::new(Animation::open(encoded.into())?);
        let frames = (0..animation.frames())
            .map(|i| Media::from_animation(animation.clone(), i))
            .collect();
        let fps = animation.fps().unwrap_or(DEFAULT_FPS);
        Ok(Self { frames, fps })
    }
}
