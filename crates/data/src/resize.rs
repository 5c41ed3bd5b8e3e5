//! Pillow's bicubic resize, bit for bit: separable, antialiased when it shrinks, 22-bit fixed
//! point, 8-bit between the two passes (`ImagingResample` of Pillow 11, `src/libImaging`).

use image::RgbImage;

const PRECISION_BITS: u32 = 32 - 8 - 2;

/// Keys' cubic with a = −0.5.
fn bicubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

/// The source pixels that one target pixel is made of.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

fn taps(from: usize, to: usize) -> Vec<Taps> {
    let scale = from as f64 / to as f64;
    let filter = scale.max(1.0);
    let support = 2.0 * filter;
    (0..to)
        .map(|at| {
            let center = (at as f64 + 0.5) * scale;
            // Rounding as in C: truncation towards zero, then clamping.
            let first = ((center - support + 0.5) as i64).max(0) as usize;
            let end = ((center + support + 0.5) as i64).clamp(0, from as i64) as usize;
            let raw: Vec<f64> = (first..end)
                .map(|x| bicubic((x as f64 - center + 0.5) / filter))
                .collect();
            let sum: f64 = raw.iter().sum();
            let weights = raw
                .iter()
                .map(|w| {
                    let fixed = w / sum * f64::from(1 << PRECISION_BITS);
                    (fixed + if fixed < 0.0 { -0.5 } else { 0.5 }) as i32
                })
                .collect();
            Taps { first, weights }
        })
        .collect()
}

fn clip(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

/// `image` at `width` × `height` (both at least 1).
pub(crate) fn resize(image: &RgbImage, width: usize, height: usize) -> RgbImage {
    let (from_width, from_height) = (image.width() as usize, image.height() as usize);
    let half = 1i32 << (PRECISION_BITS - 1);
    let mut wide = image.clone();
    if from_width != width {
        let taps = taps(from_width, width);
        let source = image.as_raw();
        let mut out = Vec::with_capacity(width * from_height * 3);
        for row in source.chunks_exact(from_width * 3) {
            for tap in &taps {
                let mut sums = [half; 3];
                for (pixel, weight) in row[tap.first * 3..].chunks_exact(3).zip(&tap.weights) {
                    for (sum, &value) in sums.iter_mut().zip(pixel) {
                        *sum += i32::from(value) * weight;
                    }
                }
                out.extend(sums.map(clip));
            }
        }
        wide = RgbImage::from_raw(width as u32, from_height as u32, out)
            .expect("one pixel for each target column of each row");
    }
    if from_height == height {
        return wide;
    }
    let source = wide.as_raw();
    let stride = width * 3;
    let mut out = Vec::with_capacity(stride * height);
    for tap in taps(from_height, height) {
        for x in 0..stride {
            let mut sum = half;
            for (i, weight) in tap.weights.iter().enumerate() {
                sum += i32::from(source[(tap.first + i) * stride + x]) * weight;
            }
            out.push(clip(sum));
        }
    }
    RgbImage::from_raw(width as u32, height as u32, out)
        .expect("one pixel for each target row of each column")
}
