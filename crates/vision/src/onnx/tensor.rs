//! Pictures as tensors.

use image::imageops::{FilterType, resize};
use image::{Rgb, RgbImage};

use super::model::Array;

/// Mean and deviation of levels from 0 to 1, red, green and blue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Levels {
    pub mean: [f32; 3],
    pub std: [f32; 3],
}

impl Levels {
    /// Levels as they are.
    pub const PLAIN: Self = Self {
        mean: [0.0; 3],
        std: [1.0; 3],
    };
    /// ImageNet's, as torchvision has them.
    pub const IMAGENET: Self = Self {
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
    };
}

/// The picture stretched to a size, `[1, 3, height, width]`.
pub(super) fn of_picture(image: &RgbImage, height: u32, width: u32, levels: Levels) -> Array {
    let small = match image.dimensions() == (width, height) {
        true => image.clone(),
        false => resize(image, width, height, FilterType::Triangle),
    };
    let mut data = Vec::with_capacity(3 * height as usize * width as usize);
    for c in 0..3 {
        let normal = |p: &Rgb<u8>| (f32::from(p.0[c]) / 255.0 - levels.mean[c]) / levels.std[c];
        data.extend(small.pixels().map(normal));
    }
    Array {
        shape: vec![1, 3, height as usize, width as usize],
        data,
    }
}
