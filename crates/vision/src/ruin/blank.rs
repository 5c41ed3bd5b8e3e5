//! A picture of one colour: the null image of V-DPO.

use image::{Rgb, RgbImage};
use serde_json::{Value, json};

use super::Ruin;

/// Every pixel of this grey level.
#[derive(Debug, Clone, Copy)]
pub struct Blank {
    /// 0 to 255.
    pub level: u8,
}

impl Ruin for Blank {
    fn identity(&self) -> Value {
        json!({"ruin": "blank", "level": self.level})
    }

    fn ruined(&self, image: &RgbImage, _: u64) -> RgbImage {
        RgbImage::from_pixel(image.width(), image.height(), Rgb([self.level; 3]))
    }
}
