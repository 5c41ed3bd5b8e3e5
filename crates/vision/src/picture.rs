//! Pictures of floating-point colours, for computing.

use image::{Rgb, RgbImage};
use percept_data::coco::Mask;

/// Red, green, blue in levels 0 to 255, row by row.
#[derive(Debug, Clone)]
pub(crate) struct Picture {
    pub width: usize,
    pub height: usize,
    pub colours: Vec<[f32; 3]>,
}

impl Picture {
    pub fn of(image: &RgbImage) -> Self {
        Self {
            width: image.width() as usize,
            height: image.height() as usize,
            colours: image.pixels().map(|p| p.0.map(f32::from)).collect(),
        }
    }

    pub fn get(&self, x: usize, y: usize) -> [f32; 3] {
        self.colours[y * self.width + x]
    }

    /// Writes the pixels of the mask into `image`, rounded.
    pub fn write(&self, mask: &Mask, image: &mut RgbImage) {
        for (x, y) in mask.pixels() {
            let colour = self.get(x as usize, y as usize);
            image.put_pixel(x, y, Rgb(colour.map(level)));
        }
    }
}

/// The nearest level.
pub(crate) fn level(value: f32) -> u8 {
    // A cast of floats saturates.
    value.round() as u8
}
