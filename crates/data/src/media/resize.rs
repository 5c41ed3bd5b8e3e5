//! Pillow's bicubic resize, bit for bit: separable, antialiased when it shrinks, 22-bit fixed
//! point, 8-bit between the two passes (`ImagingResample`, `src/libImaging/Resample.c`).
//!
//! Since Pillow 13 the vertical pass comes first where it removes many rows
//! (python-pillow/Pillow#9549); up to Pillow 12 the horizontal pass always came first. What comes
//! first shows, because values are clipped between the passes: at hard edges by up to 24 grey
//! levels. percept follows Pillow 13.

use image::RgbImage;

const PRECISION_BITS: u32 = 32 - 8 - 2;
/// One half, so that dropping the fraction rounds.
const HALF: i32 = 1 << (PRECISION_BITS - 1);

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

/// Whether Pillow 13 shrinks the height before it touches the width. Found by comparing both
/// orders with Pillow over 45 pairs of sizes (tools/image_goldens.py keeps some of them).
fn vertical_first(from: (usize, usize), to: (usize, usize)) -> bool {
    from.1.saturating_sub(to.1) > 2 * from.0.saturating_sub(to.0)
}

/// `image` at `width` × `height` (both at least 1).
pub(crate) fn resize(image: &RgbImage, width: usize, height: usize) -> RgbImage {
    let from = (image.width() as usize, image.height() as usize);
    if vertical_first(from, (width, height)) {
        return resize_width(&resize_height(image, height), width);
    }
    resize_height(&resize_width(image, width), height)
}

fn resize_width(image: &RgbImage, width: usize) -> RgbImage {
    let from = image.width() as usize;
    if from == width {
        return image.clone();
    }
    let taps = taps(from, width);
    let mut out = Vec::with_capacity(width * image.height() as usize * 3);
    for row in image.as_raw().chunks_exact(from * 3) {
        for tap in &taps {
            let mut sums = [HALF; 3];
            for (pixel, weight) in row[tap.first * 3..].chunks_exact(3).zip(&tap.weights) {
                for (sum, &value) in sums.iter_mut().zip(pixel) {
                    *sum += i32::from(value) * weight;
                }
            }
            out.extend(sums.map(clip));
        }
    }
    RgbImage::from_raw(width as u32, image.height(), out)
        .expect("one pixel for each target column of each row")
}

fn resize_height(image: &RgbImage, height: usize) -> RgbImage {
    if image.height() as usize == height {
        return image.clone();
    }
    let stride = image.width() as usize * 3;
    let source = image.as_raw();
    let mut out = Vec::with_capacity(stride * height);
    let mut sums = vec![HALF; stride];
    for tap in taps(image.height() as usize, height) {
        sums.fill(HALF);
        let rows = source[tap.first * stride..].chunks_exact(stride);
        for (row, weight) in rows.zip(&tap.weights) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += i32::from(value) * weight;
            }
        }
        out.extend(sums.iter().map(|&sum| clip(sum)));
    }
    RgbImage::from_raw(image.width(), height as u32, out)
        .expect("one pixel for each target row of each column")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_passes_is_that_of_pillow_13() {
        // (from, to), vertical first; each pair is at the limit found with Pillow 13.0.0.
        for (from, to, first) in [
            ((60, 60), (45, 29), true),
            ((60, 60), (45, 30), false),
            ((40, 90), (8, 25), true),
            ((40, 90), (8, 26), false),
            ((90, 40), (86, 31), true),
            ((90, 40), (67, 1), false),
            ((60, 60), (120, 59), true),
            ((60, 60), (120, 61), false),
        ] {
            assert_eq!(vertical_first(from, to), first, "{from:?} to {to:?}");
        }
    }

    #[test]
    fn a_flat_image_stays_flat() {
        let flat = RgbImage::from_pixel(31, 17, image::Rgb([3, 128, 255]));
        for (width, height) in [(1, 1), (7, 40), (64, 5), (31, 17), (100, 100)] {
            let resized = resize(&flat, width, height);
            assert_eq!(resized.dimensions(), (width as u32, height as u32));
            assert!(resized.pixels().all(|p| p.0 == [3, 128, 255]));
        }
    }
}
