//! Frames that belong together and are decoded when the first of them is needed.

use image::RgbImage;

use crate::Error;

/// SHA-256 of a media's content.
pub type MediaHash = [u8; 32];

/// The frames of a video, of which each is an image of its own in a row.
pub(crate) trait FrameStore: std::fmt::Debug + Send + Sync {
    /// Width and height of every frame.
    fn dimensions(&self) -> (u32, u32);

    /// A frame's pixels.
    fn frame(&self, index: usize) -> Result<RgbImage, Error>;

    /// SHA-256 of the file and a frame's place in it.
    fn hash(&self, index: usize) -> Result<MediaHash, Error>;
}
