//! Smooth shapes on a noisy ground.

use image::{Rgb, RgbImage};

use crate::tasks::random::Random;

/// Units of the world across a frame.
pub(super) const WIDTH: f32 = 112.0;
/// Units of the world down a frame.
pub(super) const HEIGHT: f32 = 56.0;
/// Grey of the ground, about the mean of the image processor, as in `scenes`.
const GROUND: f32 = 120.0;
/// Levels by which a pixel may differ from its colour.
const NOISE: f32 = 6.0;
/// Copies of what moves in a smeared frame.
const SMEAR: usize = 9;

pub(super) type Colour = [f32; 3];
/// Left, top, right, bottom in units of the world.
pub(super) type Bounds = [f32; 4];

/// A shape.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// All points within a radius of a line.
    Capsule {
        from: [f32; 2],
        to: [f32; 2],
        radius: f32,
    },
    /// A superellipse whose outline may wave.
    Blob {
        centre: [f32; 2],
        radii: [f32; 2],
        /// 2 is an ellipse, 8 almost a rectangle.
        power: f32,
        /// Radians.
        tilt: f32,
        /// Part of the radius by which the outline goes in and out.
        wave: f32,
        /// Waves around it, and where they begin.
        waves: (f32, f32),
    },
}

impl Shape {
    /// A blob without waves.
    pub(super) fn ellipse(centre: [f32; 2], radii: [f32; 2]) -> Self {
        Self::Blob {
            centre,
            radii,
            power: 2.0,
            tilt: 0.0,
            wave: 0.0,
            waves: (0.0, 0.0),
        }
    }

    /// About how far a point is outside, in units; negative inside.
    fn distance(&self, x: f32, y: f32) -> f32 {
        match *self {
            Self::Capsule { from, to, radius } => {
                let [dx, dy] = [to[0] - from[0], to[1] - from[1]];
                let [px, py] = [x - from[0], y - from[1]];
                let along = (px * dx + py * dy) / (dx * dx + dy * dy).max(1e-6);
                let along = along.clamp(0.0, 1.0);
                (px - along * dx).hypot(py - along * dy) - radius
            }
            Self::Blob {
                centre,
                radii,
                power,
                tilt,
                wave,
                waves,
            } => {
                let [dx, dy] = [x - centre[0], y - centre[1]];
                let (sin, cos) = tilt.sin_cos();
                let u = (dx * cos + dy * sin) / radii[0];
                let v = (dy * cos - dx * sin) / radii[1];
                let rho = (u.abs().powf(power) + v.abs().powf(power)).powf(1.0 / power);
                let edge = 1.0 + wave * (waves.0 * v.atan2(u) + waves.1).sin();
                (rho - edge) * radii[0].min(radii[1])
            }
        }
    }

    /// The box around it.
    pub(super) fn bounds(&self) -> Bounds {
        match *self {
            Self::Capsule { from, to, radius } => [
                from[0].min(to[0]) - radius,
                from[1].min(to[1]) - radius,
                from[0].max(to[0]) + radius,
                from[1].max(to[1]) + radius,
            ],
            Self::Blob {
                centre,
                radii,
                tilt,
                wave,
                ..
            } => {
                let (sin, cos) = (tilt.sin().abs(), tilt.cos().abs());
                let grown = 1.0 + wave.abs();
                let w = (radii[0] * cos + radii[1] * sin) * grown;
                let h = (radii[0] * sin + radii[1] * cos) * grown;
                [centre[0] - w, centre[1] - h, centre[0] + w, centre[1] + h]
            }
        }
    }
}

/// A shape and its colour.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) shape: Shape,
    pub(super) colour: Colour,
}

/// What stands still in a clip.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stage {
    /// Difference of the ground's colour from grey.
    pub(super) tint: Colour,
    /// Where the floor begins, in units.
    pub(super) floor: f32,
}

/// Draws a frame: the parts from back to front, smeared by `smear` units to both sides.
pub(super) fn draw(
    stage: &Stage,
    parts: &[Part],
    smear: f32,
    scale: u32,
    grain: &[u64],
) -> RgbImage {
    let (width, height) = (WIDTH as u32 * scale, HEIGHT as u32 * scale);
    let empty: Vec<Colour> = (0..width * height)
        .map(|i| {
            let y = (i / width) as f32 / scale as f32;
            let shade = if y >= stage.floor { -22.0 } else { 0.0 };
            stage.tint.map(|tint| GROUND + tint + shade)
        })
        .collect();
    let copies = if smear > 0.0 { SMEAR } else { 1 };
    let mut total = vec![[0.0f32; 3]; empty.len()];
    for copy in 0..copies {
        let shift = match copies {
            1 => 0.0,
            _ => smear * (2.0 * copy as f32 / (copies - 1) as f32 - 1.0),
        };
        let mut canvas = empty.clone();
        for part in parts {
            paint(&mut canvas, [width, height], part, shift, scale as f32);
        }
        for (sum, pixel) in total.iter_mut().zip(canvas) {
            for (sum, channel) in sum.iter_mut().zip(pixel) {
                *sum += channel / copies as f32;
            }
        }
    }
    let mut noise = Random::new(grain);
    RgbImage::from_fn(width, height, |x, y| {
        let grain = noise.range(-NOISE, NOISE);
        let pixel = total[(y * width + x) as usize];
        Rgb(pixel.map(|channel| (channel + grain).round().clamp(0.0, 255.0) as u8))
    })
}

fn paint(canvas: &mut [Colour], [width, height]: [u32; 2], part: &Part, shift: f32, scale: f32) {
    let [left, top, right, bottom] = part.shape.bounds();
    let columns = span(left + shift, right + shift, scale, width);
    for y in span(top, bottom, scale, height) {
        for x in columns.clone() {
            let at = [x, y].map(|pixel| (pixel as f32 + 0.5) / scale);
            let outside = part.shape.distance(at[0] - shift, at[1]) * scale;
            let cover = (0.5 - outside).clamp(0.0, 1.0);
            let pixel = &mut canvas[(y * width + x) as usize];
            for (channel, ink) in pixel.iter_mut().zip(part.colour) {
                *channel += (ink - *channel) * cover;
            }
        }
    }
}

/// Pixels of a frame that may be touched.
fn span(low: f32, high: f32, scale: f32, size: u32) -> std::ops::Range<u32> {
    let pixel = |at: f32| (at * scale).clamp(0.0, size as f32);
    (pixel(low - 1.0).floor() as u32)..(pixel(high + 1.0).ceil() as u32)
}
