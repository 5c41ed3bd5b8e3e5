//! A picture as a tool gets it.

use image::RgbImage;

/// A picture, and by which names annotations may know it.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// The pixels.
    pub image: &'a RgbImage,
    /// Its file, with the folders that a row names: `train2017/000000000009.jpg`.
    pub file: Option<&'a str>,
    /// Its number in an annotation file (`image_id` of a row).
    pub image_id: Option<u64>,
}
