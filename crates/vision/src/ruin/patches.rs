//! OPA-DPO: a share of the picture's patches is painted over, drawn at random.
//!
//! The patches are squares of a grid whose longer side has `side / patch` of them: 14 pixels at 336, as CLIP ViT-L/14-336 sees
//! them. Exactly `⌊share · patches + ½⌋` are painted, at least one.
//! Source: arXiv 2501.09695 (30 %); the grid and the colour are our reading.

use image::{Rgb, RgbImage};
use serde_json::{Value, json};

use super::Ruin;
use crate::random::stream;

/// Patches on the longer side: 336 / 14.
const PATCHES: u32 = 24;

/// This share of the patches in this grey level.
#[derive(Debug, Clone, Copy)]
pub struct MaskedPatches {
    /// From 0 to 1.
    pub share: f64,
    /// 0 to 255.
    pub level: u8,
}

impl Ruin for MaskedPatches {
    fn identity(&self) -> Value {
        json!({"ruin": "mask", "share": self.share, "level": self.level, "patches": PATCHES})
    }

    fn ruined(&self, image: &RgbImage, seed: u64) -> RgbImage {
        let (width, height) = image.dimensions();
        let side = width.max(height).div_ceil(PATCHES).max(1);
        let (across, down) = (width.div_ceil(side), height.div_ceil(side));
        let count = (across * down) as usize;
        let mut order: Vec<usize> = (0..count).collect();
        stream(&[seed, 0x6d_61_73_6b]).shuffle(&mut order);
        let painted = ((self.share * count as f64).round() as usize).clamp(1, count.max(1));
        let mut is_painted = vec![false; count];
        for at in order.into_iter().take(painted) {
            is_painted[at] = true;
        }
        RgbImage::from_fn(width, height, |x, y| {
            let at = (y / side * across + x / side) as usize;
            match is_painted[at] {
                true => Rgb([self.level; 3]),
                false => *image.get_pixel(x, y),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_exact_and_what_is_not_painted_stays() {
        let image = RgbImage::from_fn(336, 336, |x, y| Rgb([x as u8 / 2 + 1, y as u8 / 2 + 1, 9]));
        let ruin = MaskedPatches {
            share: 0.3,
            level: 0,
        };
        let masked = ruin.ruined(&image, 3);
        let black = masked.pixels().filter(|p| p.0 == [0, 0, 0]).count();
        // 172.8 of 576 patches.
        assert_eq!(black, 173 * 14 * 14);
        let kept = |(x, y, p): (u32, u32, &Rgb<u8>)| p.0 == [0, 0, 0] || p == image.get_pixel(x, y);
        assert!(masked.enumerate_pixels().all(kept));
        assert_ne!(masked, ruin.ruined(&image, 4));
        assert_eq!(ruin.ruined(&RgbImage::new(1, 1), 0).dimensions(), (1, 1));
    }
}
