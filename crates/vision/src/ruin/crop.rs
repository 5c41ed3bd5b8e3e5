//! mDPO: a random crop of a small part, enlarged to the picture's size.
//!
//! As torchvision's `RandomResizedCrop`: area uniform in `scale` of the picture, the ratio of the sides log-uniform in
//! 3/4 to 4/3, ten attempts to fit, then a centred crop; bilinear with antialiasing (here: triangle) to the picture's size.
//! Source: arXiv 2406.11839 and `luka-group/mDPO` (area 0.01 to 0.2).

use image::{RgbImage, imageops};
use percept_base::random::unit;
use serde_json::{Value, json};

use super::Ruin;
use crate::random::stream;

/// Ratio of width to height, smallest and largest.
const RATIO: (f64, f64) = (3.0 / 4.0, 4.0 / 3.0);

/// A crop of this share of the picture's area.
#[derive(Debug, Clone, Copy)]
pub struct Crop {
    /// Smallest and largest share.
    pub scale: (f64, f64),
}

impl Crop {
    /// Left, top, width, height.
    fn place(&self, width: u32, height: u32, seed: u64) -> [u32; 4] {
        let mut random = stream(&[seed, 0x63_72_6f_70]);
        let (w, h) = (f64::from(width), f64::from(height));
        let mut between = |low: f64, high: f64| low + (high - low) * unit(random.next_u64());
        for _ in 0..10 {
            let area = w * h * between(self.scale.0, self.scale.1);
            let ratio = between(RATIO.0.ln(), RATIO.1.ln()).exp();
            let (cut_w, cut_h) = ((area * ratio).sqrt().round(), (area / ratio).sqrt().round());
            let (x, y) = (between(0.0, 1.0), between(0.0, 1.0));
            if (1.0..=w).contains(&cut_w) && (1.0..=h).contains(&cut_h) {
                let (left, top) = ((w - cut_w + 1.0) * x, (h - cut_h + 1.0) * y);
                return [left as u32, top as u32, cut_w as u32, cut_h as u32];
            }
        }
        // A very long picture: the largest centred part whose ratio is allowed.
        let (cut_w, cut_h) = match w / h {
            ratio if ratio < RATIO.0 => (w, (w / RATIO.0).round().max(1.0)),
            ratio if ratio > RATIO.1 => ((h * RATIO.1).round().max(1.0), h),
            _ => (w, h),
        };
        let middle = |whole: f64, cut: f64| ((whole - cut) / 2.0) as u32;
        [
            middle(w, cut_w),
            middle(h, cut_h),
            cut_w as u32,
            cut_h as u32,
        ]
    }
}

impl Ruin for Crop {
    fn identity(&self) -> Value {
        json!({"ruin": "crop", "scale": [self.scale.0, self.scale.1]})
    }

    fn ruined(&self, image: &RgbImage, seed: u64) -> RgbImage {
        let (width, height) = image.dimensions();
        let [x, y, w, h] = self.place(width, height, seed);
        let part = imageops::crop_imm(image, x, y, w, h).to_image();
        imageops::resize(&part, width, height, imageops::FilterType::Triangle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_is_evenly_spread_over_its_range_and_the_crop_lies_inside() {
        let crop = Crop { scale: (0.01, 0.2) };
        let (width, height) = (640, 480);
        let mut shares = Vec::new();
        for seed in 0..4000 {
            let [x, y, w, h] = crop.place(width, height, seed);
            assert!(x + w <= width && y + h <= height);
            let ratio = f64::from(w) / f64::from(h);
            assert!((0.73..1.37).contains(&ratio), "{ratio}");
            shares.push(f64::from(w * h) / f64::from(width * height));
        }
        let mean = shares.iter().sum::<f64>() / shares.len() as f64;
        assert!((mean - 0.105).abs() < 0.005, "{mean}");
        assert!(shares.iter().all(|share| (0.009..0.202).contains(share)));
        assert_eq!(crop.place(640, 480, 7), crop.place(640, 480, 7));
        // A strip has no crop of the wanted ratio.
        let [_, _, w, h] = Crop { scale: (0.9, 1.0) }.place(400, 4, 1);
        assert_eq!((w, h), (5, 4));
    }
}
