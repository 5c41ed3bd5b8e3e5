//! A way to make a picture worse.

use image::RgbImage;
use serde_json::Value;

/// Makes a picture worse without looking at what it shows. The result has the picture's size, and is a function of picture,
/// options and seed.
pub trait Ruin: Send + Sync {
    /// What is done, with its options.
    fn identity(&self) -> Value;

    /// The picture made worse.
    fn ruined(&self, image: &RgbImage, seed: u64) -> RgbImage;
}
