//! Draws a row of handwritten digits on a cluttered canvas.

use image::{Rgb, RgbImage};

use super::config::DigitSumConfig;
use super::handwriting::{Handwriting, SIDE};
use crate::tasks::random::Random;

/// Free pixels between a digit and the border of its cell.
const GAP: f32 = 1.0;
/// The widest a digit may be against its height, so that the flat strokes of a 1 or 7 do not grow out of shape.
const STRETCH: (f32, f32) = (0.85, 1.15);

type Colour = [f32; 3];

/// Where one digit stands, in pixels.
struct Place {
    left: f32,
    top: f32,
    width: f32,
    height: f32,
}

/// One image of `digits`, left to right in the given cells.
pub(super) fn draw(
    digits: &[&Handwriting],
    cells: &[usize],
    config: &DigitSumConfig,
    random: &mut Random,
) -> RgbImage {
    let (width, height) = (config.width as usize, config.height as usize);
    let mut canvas = background(width, height, config.clutter, random);
    let ink: Colour = std::array::from_fn(|_| random.range(0.0, 90.0));
    clutter(&mut canvas, width, ink, config.clutter, random);
    for (digit, place) in digits.iter().zip(places(digits, cells, config, random)) {
        stamp(&mut canvas, width, digit, &place, ink);
    }
    let noise = 10.0 * config.clutter;
    RgbImage::from_fn(config.width, config.height, |x, y| {
        let pixel = canvas[y as usize * width + x as usize];
        let grain = random.range(-noise, noise);
        Rgb(pixel.map(|channel| (channel + grain).round().clamp(0.0, 255.0) as u8))
    })
}

/// A light tint with a linear shade across it.
fn background(width: usize, height: usize, strength: f32, random: &mut Random) -> Vec<Colour> {
    let tint: Colour = std::array::from_fn(|_| random.range(200.0, 255.0));
    let shade = [
        random.range(-25.0, 25.0) * strength,
        random.range(-25.0, 25.0) * strength,
    ];
    let at = |i: usize| {
        let (x, y) = (
            (i % width) as f32 / width as f32 - 0.5,
            (i / width) as f32 / height as f32 - 0.5,
        );
        tint.map(|channel| channel + shade[0] * x + shade[1] * y)
    };
    (0..width * height).map(at).collect()
}

/// Faint thin strokes and dots under the digits: what a person ignores without thought.
fn clutter(canvas: &mut [Colour], width: usize, ink: Colour, strength: f32, random: &mut Random) {
    let height = canvas.len() / width;
    let marks = (strength * 6.0 * random.unit()).round() as usize;
    for _ in 0..marks {
        let alpha = random.range(0.15, 0.35);
        let (mut x, mut y) = (
            random.range(0.0, width as f32),
            random.range(0.0, height as f32),
        );
        let angle = random.range(0.0, std::f32::consts::TAU);
        let length = if random.below(2) == 0 {
            2
        } else {
            6 + random.below(width / 4)
        };
        for _ in 0..length {
            if (0.0..width as f32).contains(&x) && (0.0..height as f32).contains(&y) {
                blend(&mut canvas[y as usize * width + x as usize], ink, alpha);
            }
            x += angle.cos();
            y += angle.sin();
        }
    }
}

/// Sizes and positions: each digit anywhere inside its cell.
fn places(
    digits: &[&Handwriting],
    cells: &[usize],
    config: &DigitSumConfig,
    random: &mut Random,
) -> Vec<Place> {
    let cell_width = config.width as f32 / config.cells as f32;
    let room = (cell_width - 2.0 * GAP, config.height as f32 - 2.0 * GAP);
    let place = |(digit, &cell): (&&Handwriting, &usize)| {
        let height = random.range(config.min_scale, config.max_scale) * config.height as f32;
        let inked = (digit.columns.1 - digit.columns.0) as f32 + 1.0;
        let width = height * (inked / (SIDE as f32 + 1.0)) * random.range(STRETCH.0, STRETCH.1);
        let shrink = (room.0 / width).min(room.1 / height).min(1.0);
        let (width, height) = (width * shrink, height * shrink);
        let left = cell as f32 * cell_width + GAP;
        Place {
            left: left + random.range(0.0, room.0 - width),
            top: GAP + random.range(0.0, room.1 - height),
            width,
            height,
        }
    };
    digits.iter().zip(cells).map(place).collect()
}

/// Enlarges one digit onto the canvas: Catmull–Rom between the 8×8 ink values, then a soft threshold that gives strokes
/// an edge again.
fn stamp(canvas: &mut [Colour], width: usize, digit: &Handwriting, place: &Place, ink: Colour) {
    // Half a source pixel of margin on each side, so that strokes end softly instead of at the border of the box.
    let columns = (digit.columns.1 - digit.columns.0) as f32 + 1.0;
    let rows = SIDE as f32 + 1.0;
    let height = canvas.len() / width;
    let (right, bottom) = (place.left + place.width, place.top + place.height);
    for y in place.top.floor() as usize..(bottom.ceil() as usize).min(height) {
        for x in place.left.floor() as usize..(right.ceil() as usize).min(width) {
            let u = (x as f32 + 0.5 - place.left) / place.width * columns - 1.0
                + digit.columns.0 as f32;
            let v = (y as f32 + 0.5 - place.top) / place.height * rows - 1.0;
            let edge = ((sample(digit, v, u) - 0.15) / 0.5).clamp(0.0, 1.0);
            blend(
                &mut canvas[y * width + x],
                ink,
                edge * edge * (3.0 - 2.0 * edge),
            );
        }
    }
}

fn sample(digit: &Handwriting, row: f32, column: f32) -> f32 {
    let (rows, columns) = (
        catmull_rom(row - row.floor()),
        catmull_rom(column - column.floor()),
    );
    let (top, left) = (row.floor() as isize - 1, column.floor() as isize - 1);
    let mut total = 0.0;
    for (i, wr) in rows.iter().enumerate() {
        for (j, wc) in columns.iter().enumerate() {
            total += wr * wc * digit.ink(top + i as isize, left + j as isize);
        }
    }
    total
}

/// Weights of the four neighbours of a point that lies `t` beyond the second.
fn catmull_rom(t: f32) -> [f32; 4] {
    let (t2, t3) = (t * t, t * t * t);
    [
        (-t3 + 2.0 * t2 - t) / 2.0,
        (3.0 * t3 - 5.0 * t2 + 2.0) / 2.0,
        (-3.0 * t3 + 4.0 * t2 + t) / 2.0,
        (t3 - t2) / 2.0,
    ]
}

fn blend(pixel: &mut Colour, ink: Colour, alpha: f32) {
    for (channel, ink) in pixel.iter_mut().zip(ink) {
        *channel += (ink - *channel) * alpha;
    }
}

/// `digits` of the `cells`, ascending; every choice is equally likely.
pub(super) fn cells(digits: usize, cells: usize, random: &mut Random) -> Vec<usize> {
    let mut left = digits;
    (0..cells)
        .filter(|&cell| {
            let taken = random.below(cells - cell) < left;
            left -= usize::from(taken);
            taken
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::handwriting;
    use super::*;

    #[test]
    fn digits_stand_in_order_apart_and_inside() {
        let config = DigitSumConfig {
            max_scale: 1.0,
            ..DigitSumConfig::default()
        };
        for seed in 0..500 {
            let mut random = Random::new(&[seed]);
            let digits: Vec<&Handwriting> = (0..2 + random.below(4))
                .map(|_| &handwriting::all()[random.below(1797)])
                .collect();
            let cells = cells(digits.len(), config.cells, &mut random);
            let mut edge = 0.0;
            for place in places(&digits, &cells, &config, &mut random) {
                assert!(place.left >= edge + GAP - 1e-3, "digits touch");
                assert!(
                    place.top >= GAP - 1e-3
                        && place.top + place.height <= config.height as f32 - GAP + 1e-3
                );
                edge = place.left + place.width;
            }
            assert!(edge <= config.width as f32 - GAP + 1e-3);
        }
    }
}
