//! CHiP (after VCD and POVID): the forward process of a diffusion model, without the model.
//!
//! `x_t = √ᾱ_t · x + √(1 − ᾱ_t) · ε`, with `ᾱ_t = Π_{s ≤ t} (1 − β_s)` and, for `s = 0 … 999`,
//! `β_s = σ(−6 + 12 s / 999) · (5e-3 − 1e-5) + 1e-5`. `x` is the picture normalised by CLIP's mean and standard deviation, as it
//! reaches the model there.
//! Source: arXiv 2501.16629 (step 500); `add_diffusion_noise` of DAMO-NLP-SG/VCD, from which it comes.
//!
//! Two things differ because a picture is written, and not a tensor: levels are clipped to 0 to 255, and noise is drawn at
//! the model's resolution (the longer side has `side` cells), or resizing would average it away.

use image::{Rgb, RgbImage};
use percept_base::random::unit;
use serde_json::{Value, json};

use super::Ruin;
use crate::picture::level;
use crate::random::stream;

/// Mean and standard deviation of CLIP's image processor, of levels from 0 to 1.
const MEAN: [f64; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const STD: [f64; 3] = [0.268_629_54, 0.261_302_58, 0.275_777_11];

/// Steps of the process.
pub(crate) const STEPS: usize = 1000;

/// Noise of a step.
#[derive(Debug, Clone, Copy)]
pub struct DiffusionNoise {
    /// From 0 to 999.
    pub step: usize,
    /// Cells of noise on the longer side; 0: one for each pixel.
    pub side: u32,
}

/// `√ᾱ_t` and `√(1 − ᾱ_t)`.
fn weights(step: usize) -> (f64, f64) {
    let kept: f64 = (0..=step.min(STEPS - 1))
        .map(|s| {
            let at = -6.0 + 12.0 * s as f64 / (STEPS - 1) as f64;
            1.0 - ((5e-3 - 1e-5) / (1.0 + (-at).exp()) + 1e-5)
        })
        .product();
    (kept.sqrt(), (1.0 - kept).sqrt())
}

impl Ruin for DiffusionNoise {
    fn identity(&self) -> Value {
        json!({"ruin": "diffusion_noise", "step": self.step, "side": self.side})
    }

    fn ruined(&self, image: &RgbImage, seed: u64) -> RgbImage {
        let (width, height) = image.dimensions();
        let longer = width.max(height).max(1);
        let side = match self.side {
            0 => longer,
            side => side.min(longer),
        };
        let cells = |length: u32| {
            (u64::from(length) * u64::from(side))
                .div_ceil(longer.into())
                .max(1) as u32
        };
        let (across, down) = (cells(width), cells(height));
        let mut random = stream(&[seed, 0x6e_6f_69_73]);
        let mut noise = Vec::with_capacity((across * down) as usize * 3 + 1);
        while noise.len() < (across * down) as usize * 3 {
            // Box and Muller: two normal numbers of two even ones; 1 − u is never 0.
            let radius = (-2.0 * (1.0 - unit(random.next_u64())).ln()).sqrt();
            let (sin, cos) = (std::f64::consts::TAU * unit(random.next_u64())).sin_cos();
            noise.extend([radius * cos, radius * sin]);
        }
        let (keep, add) = weights(self.step);
        let cell =
            |at: u32, length: u32, cells: u32| u64::from(at) * u64::from(cells) / u64::from(length);
        RgbImage::from_fn(width, height, |x, y| {
            let at = cell(y, height, down) * u64::from(across) + cell(x, width, across);
            let noise = &noise[at as usize * 3..][..3];
            let pixel = image.get_pixel(x, y).0;
            Rgb(std::array::from_fn(|c| {
                let normal = (f64::from(pixel[c]) / 255.0 - MEAN[c]) / STD[c];
                let noisy = keep * normal + add * noise[c];
                level(((noisy * STD[c] + MEAN[c]) * 255.0) as f32)
            }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From torch 2.15: `torch.cumprod(1 - (torch.sigmoid(torch.linspace(-6, 6, 1000, dtype=float64)) * (0.5e-2 - 1e-5)
    /// + 1e-5), 0)[t]`, see `tools/visual_pairs.py noise`.
    #[test]
    fn the_schedule_is_that_of_vcd() {
        for (step, kept) in REFERENCE {
            let (keep, add) = weights(step);
            assert!(
                (keep * keep - kept).abs() < 1e-12,
                "{step}: {}",
                keep * keep
            );
            assert!((keep * keep + add * add - 1.0).abs() < 1e-12);
        }
    }

    const REFERENCE: [(usize, f64); 4] = [
        (0, 0.999_977_661_610_448_4),
        (499, 0.746_674_540_202_854_6),
        (500, 0.744_798_526_043_072_6),
        (999, 0.081_249_194_303_999_9),
    ];

    #[test]
    fn noise_has_the_mean_and_the_deviation_of_its_step() {
        // Middle levels are not clipped at an early step.
        let image = RgbImage::from_pixel(300, 200, Rgb([123, 117, 104]));
        let noisy = DiffusionNoise { step: 300, side: 0 }.ruined(&image, 5);
        let (keep, add) = weights(300);
        for c in 0..3 {
            let levels: Vec<f64> = noisy.pixels().map(|p| f64::from(p.0[c]) / 255.0).collect();
            let mean = levels.iter().sum::<f64>() / levels.len() as f64;
            let var = levels.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / levels.len() as f64;
            let start = f64::from(image.get_pixel(0, 0).0[c]) / 255.0;
            let expected = keep * (start - MEAN[c]) + MEAN[c];
            assert!((mean - expected).abs() < 0.005, "{mean} {expected}");
            assert!(
                (var.sqrt() / (add * STD[c]) - 1.0).abs() < 0.03,
                "{}",
                var.sqrt()
            );
        }
        let coarse = DiffusionNoise {
            step: 500,
            side: 30,
        };
        let picture = coarse.ruined(&image, 5);
        assert_eq!(picture, coarse.ruined(&image, 5));
        assert_ne!(picture, coarse.ruined(&image, 6));
        // Cells of ten pixels.
        assert_eq!(picture.get_pixel(0, 0), picture.get_pixel(9, 9));
        assert_ne!(picture.get_pixel(0, 0), picture.get_pixel(10, 0));
    }
}
